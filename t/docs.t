#!/usr/bin/perl

# The tables in docs/ list what the code has, and nothing else: problem types,
# metrics, fields of the access log, directives, variables, environment variables.
# What the text of any page names exists.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;

my $root = $Gateway::ROOT;

sub slurp {
    my (@files) = @_;
    return join '', map { open my $f, '<', $_ or die "$_: $!"; local $/; <$f> } @files;
}

# The first column of each table of a page whose heading begins with this word.

sub column {
    my ($page, $head) = @_;
    my (@found, $in);
    for my $line (split /\n/, slurp("$root/docs/$page")) {
        if ($line !~ /^\|/) {
            $in = 0;
        } elsif ($line =~ /^\| \Q$head\E \|/) {
            $in = 1;
        } elsif ($in && $line =~ /^\| (`[^|]+`) \|/) {
            push @found, $1 =~ /`([^`]+)`/g;
        }
    }
    return @found;
}

# Both ways: what is missing in the page, and what the code does not have.

sub same {
    my ($what, $code, $docs) = @_;
    my %code = map { $_ => 1 } @$code;
    my %docs = map { $_ => 1 } @$docs;
    my %n;
    $n{$_}++ for @$docs;
    cmp_ok scalar(keys %code), '>', 0, "$what: the code has some";
    is join(' ', sort grep { !$docs{$_} } keys %code), '', "$what: all are documented";
    is join(' ', sort grep { !$code{$_} } keys %docs), '', "$what: all that is documented exists";
    is join(' ', sort grep { $n{$_} > 1 } keys %n), '', "$what: none is listed twice";
}

my @problems = slurp("$root/src/core/amp_problem.c") =~ /^ +"([a-z-]+)", \d+, /mg;

subtest 'problem types' => sub {
    same('docs/problems.md', \@problems, [ column('problems.md', 'name') ]);
};

my $gw = Gateway->start;
my $status = $gw->get('/-/status?format=prometheus')->{body};
my %type = $status =~ /^# TYPE (\S+) (\S+)$/mg;
my @metrics = keys %type;

subtest 'metrics' => sub {
    same('docs/metrics.md', \@metrics, [ column('metrics.md', 'metric') ]);
    my %said = slurp("$root/docs/metrics.md") =~ /^\| `(ampersand_\w+)` \| (\w+) \|/mg;
    is $said{$_}, $type{$_}, "the type of $_" for sort keys %type;
};

# Figures without labels have the names of their metrics; the others have a table.

subtest 'members of JSON' => sub {
    my $token = $gw->tenant('acme', args => [qw(--rate 9/s)]);
    my $expires = JSON::PP::decode_json($gw->ctl(qw(token issue acme --expires 9d --json)))->{token};
    $gw->get('/v1/integrations', token => $_) for $token, $expires;
    my $json;
    $gw->wait_for(sub {
        $json = JSON::PP::decode_json($gw->get('/-/status?history=60')->{body});
        return ($json->{tenants}{acme}{tokenExpires} // 0) && @{ $json->{history} };
    }) or fail 'requests are counted';
    my @figures = map { s/^ampersand_//r } grep { $_ ne 'ampersand_requests_total' && $status !~ /^\Q$_\E(?:_bucket)?\{/m } @metrics;
    my %figure = map { $_ => 1 } @figures;
    same('docs/metrics.md', [ grep { !$figure{$_} } keys %$json ], [ column('metrics.md', 'member') ]);
    my %count = map { $_ => 1 } qw(gateway upstream cache refusals);
    same('docs/metrics.md, of a tenant', [ grep { !$count{$_} } keys %{ $json->{tenants}{acme} } ], [ column('metrics.md', "tenant's member") ]);
};

subtest 'the labels of ampersand_requests_total are problem types' => sub {
    my @labels = grep { $_ ne 'pass' } $status =~ /^ampersand_requests_total\{decision="([^"]+)"\}/mg;
    same('docs/problems.md', \@labels, [ column('problems.md', 'name') ]);
};

$gw->finish;

subtest 'fields of the access log' => sub {
    my $format = slurp("$root/conf/ampersand/log.conf") =~ s/^#.*$//mgr;
    same('docs/metrics.md', [ $format =~ /"(\w+)":/g ], [ column('metrics.md', 'field') ]);
};

my $directives = slurp("$root/src/module/ngx_http_ampersand_module.c");
my $variables = slurp(glob "$root/src/module/request/*variables.c");

my @directives = $directives =~ /\{ ngx_string\("(ampersand\w*)"\),/g;
my @variables = map { "\$$_" } $variables =~ /\{ ngx_string\("(ampersand_\w+)"\),/g;

subtest 'directives' => sub {
    same('docs/configuration.md', \@directives, [ column('configuration.md', 'directive') ]);
};

subtest 'variables' => sub {
    same('docs/configuration.md', \@variables, [ grep { /^\$/ } column('configuration.md', 'variable') ]);
};

my $ctl = slurp(glob "$root/src/ctl/*.c");
my $scripts = slurp("$root/tools/run-local", "$root/docker/entrypoint") =~ s/^\s*#.*$//mgr;
my @environment = ($ctl =~ /"(AMPERSAND_[A-Z0-9_]+)"/g, $scripts =~ /(?:\$\{?|\bplain )((?:AMPERSAND|GATEWAY)_[A-Z0-9_]+)/g);

subtest 'environment variables' => sub {
    same('docs/configuration.md', \@environment, [ grep { !/^\$/ } column('configuration.md', 'variable') ]);
};

subtest 'the tests of private parts of nginx' => sub {
    my ($table) = slurp("$root/docs/development.md") =~ /^### Private parts of nginx$(.*?)^## /ms or return fail 'a section';
    my @named = $table =~ /`(\w+\.t)`/g;
    cmp_ok scalar(@named), '>', 0, 'there are some';
    is join(' ', grep { !-e "$root/t/$_" } @named), '', 'each is a file';
    is join(' ', grep { /^\| / && !/^\| part / && !/`\w+\.t` \|$/ } split /\n/, $table), '', 'each part has one';
};

# Text and examples of every page; a page may name a variable of the tests too.

my @tests = slurp(glob("$root/t/*.t"), glob("$root/t/lib/Gateway/*.pm")) =~ /\$ENV\{(AMPERSAND_\w+)\}/g;

subtest 'names in the text exist' => sub {
    for my $page ("$root/README.md", "$root/CONTRIBUTING.md", glob "$root/docs/*.md") {
        my $text = slurp($page);
        my $name = substr $page, 1 + length $root;
        my $unknown = sub {
            my ($what, $found, @known) = @_;
            my %known = map { $_ => 1 } @known;
            my %unknown = map { $_ => 1 } grep { !$known{$_} } @$found;
            is join(' ', sort keys %unknown), '', "$name: $what";
        };
        $unknown->('variables', [ $text =~ /(\$ampersand_\w+)/g ], @variables);
        $unknown->('directives and metrics', [ $text =~ /(?<![\w\$])(ampersand_\w+)(?![\w.*])/g ], @directives, @metrics);
        $unknown->('problem types', [ $text =~ /urn:ampersand-gateway:problem:([a-z-]+)/g ], @problems);
        $unknown->('environment variables', [ $text =~ /\b((?:AMPERSAND|GATEWAY)_[A-Z0-9_]+)\b/g ], @environment, @tests);
    }
};

done_testing;
