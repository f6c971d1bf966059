#!/usr/bin/perl

# The operations table, as "ampctl operations --json" prints it, compared line by
# line with Ampersand's own documents.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use JSON::PP;
use Test::More;

my $root = dirname(dirname(abs_path(__FILE__)));
my $api = $ENV{AMPERSAND_API_DIR} // "$root/../shared/ampersand-api";
my $tsv = "$api/operations.tsv";

plan skip_all => "$tsv is missing; set AMPERSAND_API_DIR to its folder"
    unless -r $tsv;

my %documents = documents($tsv);
is scalar(keys %documents), 90, 'the documents have 90 operations';

my $ampctl = "$root/build/ampctl";
ok -x $ampctl, 'build/ampctl is built' or do { done_testing; exit 1 };

my $json = qx("$ampctl" operations --json);
is $?, 0, 'ampctl operations --json answers';

my $table = eval { JSON::PP->new->utf8->decode($json) };
is ref $table, 'ARRAY', 'with a JSON array' or do { done_testing; exit 1 };

my %table = map { $_->{operationId} => $_ } @$table;
is scalar(@$table), 91, 'of 91 operations';
is scalar(keys %table), 91, 'none twice';

is_deeply [sort grep { !$documents{$_} } keys %table], ['proxyRequest'],
    'proxyRequest is the only operation that the documents do not have';
is_deeply [sort grep { !$table{$_} } keys %documents], [],
    'no operation of the documents is missing';

subtest $_ => sub { compare($documents{$_}, $table{$_}) }
    for sort grep { $table{$_} } keys %documents;

subtest "$_: rules" => sub { rules($table{$_}) } for sort keys %table;

my %proxy = (api => 'proxy', method => '*', path => '/{path}', tag => 'Proxy',
             class => 'data', project_in => 'header', group_in => 'header');
is $table{proxyRequest}{$_}, $proxy{$_}, "proxyRequest: $_"
    for sort keys %proxy;

is_deeply $table{getConnection}{secret_query},
    ['includeCreds', 'includeRefreshToken'], 'getConnection may show secrets';
is_deeply $table{getConnection}{state_query}, ['refresh'],
    'getConnection may change state';
is_deeply $table{getDestination}{secret_query}, ['includeSecrets'],
    'getDestination may show secrets';
is_deeply $table{getDestination}{state_query}, ['rotate'],
    'getDestination may change state';

done_testing;


sub documents {
    my ($name) = @_;
    my %operations;

    open my $f, '<', $name or die "$name: $!\n";

    while (my $line = <$f>) {
        next if $line =~ /^#/;
        chomp $line;

        my %o;
        @o{qw(api method path operationId tag auth project_in group_in query
              body success)} = split /\t/, $line, -1;

        die "$name: $o{operationId} twice\n" if $operations{$o{operationId}};
        $operations{$o{operationId}} = \%o;
    }

    return %operations;
}


sub names {
    my ($list) = @_;

    return [] if $list eq '-';
    return [map { s/!$//r } split /,/, $list];
}


# "none" is spelt in three ways: two in the documents, one in the table.

sub place {
    my ($name) = @_;

    return $name =~ /^(?:-|none|nowhere|)$/ ? 'none' : $name;
}


sub compare {
    my ($document, $line) = @_;

    is $line->{$_}, $document->{$_}, $_ for qw(api method path tag);
    is place($line->{$_} // ''), place($document->{$_}), $_
        for qw(project_in group_in);
    is_deeply [map { s/!$//r } @{$line->{$_}}], names($document->{$_}), $_
        for qw(query body);

    is $line->{class}, 'none', 'never served'
        if $document->{auth} eq 'bearer-only';
}


sub rules {
    my ($line) = @_;
    my ($method, $class, $ttl) = @$line{qw(method class ttl)};

    like $class, qr/^(?:catalog|read|write|data|secrets|none)$/, 'class';
    like $ttl, qr/^\d+$/, 'lifetime';
    is ref $line->{$_}, 'ARRAY', "$_ is a list"
        for qw(reads writes query secret_query state_query body);

    is $ttl, 0, 'not a GET: never stored' if $method ne 'GET';
    is $ttl, 0, "$class: never stored"
        if $class =~ /^(?:secrets|write|none)$/;

    if ($method eq 'GET') {
        cmp_ok $ttl, '>', 0, 'stored' if $class =~ /^(?:read|catalog)$/;
        ok scalar(@{$line->{reads}}), 'reads something'
            if $class =~ /^(?:read|catalog|secrets)$/;

    } elsif ($class =~ /^(?:write|secrets)$/
             || $line->{operationId} =~ /^(?:trigger|pause|unpause|write)/)
    {
        ok scalar(@{$line->{writes}}), 'writes something';
    }

    my %declared = map { s/!$//r => 1 } @{$line->{query}};
    ok $declared{$_}, "$_ is declared"
        for @{$line->{secret_query}}, @{$line->{state_query}};

    ok !(grep { $_ eq '*' } @{$line->{reads}}, @{$line->{writes}}),
        'the family "*" is implied';
}
