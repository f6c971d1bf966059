#!/usr/bin/perl

# Each operation of the table through a gateway, in each spelling of its path: the
# upstream request is composed for the tenant's own project.

use strict;
use warnings;

use FindBin;
use JSON::PP qw(decode_json);
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;

my %HOST = map { $_->[0] => "$_->[1].withampersand.com" }
    [ platform => 'api' ], map { [ $_ => $_ ] } qw(read write search proxy);

my $gw = Gateway->start(http => 'ampersand_cache_ttl default 0s;');
my $up = $gw->upstream;

my $all = $gw->tenant('all', project => 'p-1', name => 'alpha', key => 'the-key',
                      args => [ '--grant', 'default', '--grant', 'secrets' ]);
my $plain = $gw->tenant('plain', project => 'p-1', name => 'alpha', key => 'the-key');

my @operations = @{ decode_json($gw->ctl('operations', '--json')) };
cmp_ok scalar(@operations), '>=', 91, 'ampctl lists all operations';

my $n = 0;

# Path parameters as the client writes them, and as they are sent upstream.

sub fill {
    my ($path, $project, $value) = @_;
    $path =~ s/\{projectIdOrName\}/$project/;
    $path =~ s/\{(\w+)\}/$value-$1/g;
    return $path;
}

# [spelling, path as sent, path upstream]

sub spellings {
    my ($op) = @_;
    my $prefix = $op->{api} eq 'platform' ? '' : "/$op->{api}";

    if ($op->{api} eq 'proxy') {
        return [ 'below /proxy', '/proxy/crm/v2/a%20b%2Fc', '/crm/v2/a%20b%2Fc' ];
    }

    my $target = '/v1' . fill($op->{path}, 'p-1', 'x%20y');
    $target = '/v1/projects/p-1' if $op->{operationId} eq 'listProjects';

    if ($op->{path} !~ /\{projectIdOrName\}/) {
        return [ 'as it is', "$prefix/v1" . fill($op->{path}, '', 'x%20y'), $target ];
    }

    (my $short = $op->{path}) =~ s{^/projects/\{projectIdOrName\}}{};

    return (
        [ "the project's id", "$prefix/v1" . fill($op->{path}, 'p-1', 'x%20y'), $target ],
        [ 'its name in other case', "$prefix/v1" . fill($op->{path}, 'AlPha', 'x%20y'), $target ],
        [ '"-"', "$prefix/v1" . fill($op->{path}, '-', '%78%20y'), $target ],
        [ 'the short path', "$prefix/v1" . fill($short, '', 'x%20y'), $target ],
    );
}

# Sends one request; what Ampersand should get is compared later.

my @sent;

sub call {
    my ($op, $method, $spelling, $path, $target) = @_;
    my $id = 'req-' . ++$n;
    my @declared = map { s/!//r } @{ $op->{query} };
    my $query = join '&', 'zz=last', map { "$_=v%20$_" } reverse @declared;
    my $expected = join '&', (map { "$_=v%20$_" } @declared), 'zz=last';
    ($query, $expected) = ('b=2&a=%2f', 'b=2&a=%2F') if $op->{api} eq 'proxy';

    my %body;
    if ($method =~ /^P/) {
        %body = (json => { groupRef => 'g', other => [ 1, 'two' ] });
        $body{json}{projectIdOrName} = 'ALPHA' if $op->{project_in} eq 'body';
    }

    my $res = $gw->request($method, "$path?$query", token => $all,
                           headers => [ 'X-Request-Id' => $id ], %body);
    push @sent, [ $op, $method, $spelling, $id, "$target?$expected", $res, $body{json} ];
}

my (@none, @secrets);

for my $op (@operations) {
    if ($op->{class} eq 'none') {
        push @none, $op;
        next;
    }
    push @secrets, $op if $op->{class} eq 'secrets';

    my @methods = $op->{method} eq '*' ? qw(GET POST PUT PATCH DELETE OPTIONS) : $op->{method};
    for my $method (@methods) {
        call($op, $method, @$_) for spellings($op);
    }
}

my %seen;
push @{ $seen{ Gateway::Upstream::header($_, 'x-request-id') // '' } }, $_ for $up->requests;

my %by_operation;
push @{ $by_operation{"$_->[0]{api} $_->[0]{operationId}"} }, $_ for @sent;

for my $name (sort keys %by_operation) {
    subtest $name => sub {
        for my $sent (@{ $by_operation{$name} }) {
            my ($op, $method, $spelling, $id, $target, $res, $json) = @$sent;
            my $what = "$method by $spelling";
            is $res->{status}, 200, "$what: answered" or diag $res->{body};
            my @req = @{ $seen{$id} || [] };
            is scalar(@req), 1, "$what: Ampersand was asked once" or next;
            my ($req) = @req;
            is $req->{method}, $method, "$what: method";
            is $req->{target}, $target, "$what: path and query";
            is $req->{host}, $HOST{ $op->{api} }, "$what: host";
            is_deeply [ Gateway::Upstream::header($req, 'x-api-key') ], ['the-key'], "$what: key";
            is_deeply [ Gateway::Upstream::header($req, 'x-amp-project-id') ],
                $op->{api} eq 'proxy' ? ['p-1'] : [], "$what: x-amp-project-id";
            if ($json) {
                my %expected = %$json;
                $expected{projectIdOrName} = 'p-1' if $op->{project_in} eq 'body';
                is_deeply decode_json($req->{body}), \%expected, "$what: body";
            }
        }
    };
}

subtest 'HEAD works wherever GET does' => sub {
    for my $op (grep { $_->{method} eq 'GET' && $_->{class} ne 'none' } @operations) {
        my ($spelling) = spellings($op);
        my $res = $gw->request('HEAD', $spelling->[1], token => $all);
        is $res->{status}, 200, "$op->{operationId}";
        is $res->{body}, '', "$op->{operationId}: without a body";
    }
};

subtest 'organisation, user and billing operations are never served' => sub {
    cmp_ok scalar(@none), '>=', 15, 'the table has such operations';
    $up->clear;
    for my $op (@none) {
        my $path = '/v1' . fill($op->{path}, '-', 'x');
        for my $token ($all, $plain) {
            my $res = $gw->request($op->{method}, $path, token => $token,
                                   $op->{method} =~ /^P/ ? (json => {}) : ());
            is $res->{status}, 403, "$op->{operationId}";
            is $gw->json($res)->{type}, 'urn:ampersand-gateway:problem:operation-not-served',
                "$op->{operationId}: type";
        }
    }
    is scalar($up->requests), 0, 'no request went upstream';
};

subtest 'secrets need their grant' => sub {
    cmp_ok scalar(@secrets), '>=', 9, 'the table has such operations';
    $up->clear;
    for my $op (@secrets) {
        for my $spelling (spellings($op)) {
            my $res = $gw->request($op->{method}, $spelling->[1], token => $plain,
                                   $op->{method} =~ /^P/ ? (json => {}) : ());
            is $res->{status}, 403, "$op->{operationId} by $spelling->[0]";
            is $gw->json($res)->{type}, 'urn:ampersand-gateway:problem:secrets-not-granted', 'type';
        }
    }
    for my $op (grep { @{ $_->{secret_query} } } @operations) {
        for my $spelling (spellings($op)) {
            for my $name (@{ $op->{secret_query} }) {
                my $res = $gw->get("$spelling->[1]?$name=true", token => $plain);
                is $res->{status}, 403, "$op->{operationId} with $name by $spelling->[0]";
            }
        }
    }
    is scalar($up->requests), 0, 'no request went upstream';
    for my $op (grep { @{ $_->{secret_query} } } @operations) {
        my ($spelling) = spellings($op);
        my $res = $gw->get("$spelling->[1]?$op->{secret_query}[0]=false", token => $plain);
        is $res->{status}, 200, "$op->{operationId}: \"false\" asks for none";
    }
};

subtest 'each API answers only below its own path' => sub {
    $up->clear;
    for my $target ('/read/v1/integrations/i/objects', '/write/v1/projects/p-1/integrations',
                    '/search/v1/installations', '/v1/proxy/x', '/v1/integrations/', '/v1x',
                    '/v2/projects', '/read/v1x/y', '/') {
        is $gw->get($target, token => $all)->{status}, 404, $target;
    }
    is scalar($up->requests), 0, 'no request went upstream';
};

$gw->finish;
done_testing;
