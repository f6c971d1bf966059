#!/usr/bin/perl

# Who may do what: tenants, tokens, grants, groups and identities, and that their
# changes apply without a reload; a tenant's own project and no other; and the
# headers that the proxy API passes on.

use strict;
use warnings;

use FindBin;
use JSON::PP qw(decode_json);
use POSIX ();
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;

my $gw = Gateway->start(workers => 2, http => 'ampersand_cache_ttl default 0;');
my $up = $gw->upstream;
my $URN = 'urn:ampersand-gateway:problem:';
my $n = 0;

sub tenant { my (%t) = @_; return $gw->tenant('t' . ++$n, project => 'p-1', name => 'alpha', %t) }
sub get { my ($t, $target, @h) = @_; return $gw->get($target, token => $t, headers => \@h) }
sub type { my $p = $gw->json($_[0]); return ref $p eq 'HASH' ? ($p->{type} // '') =~ s/^\Q$URN\E//r : '' }

# Status, and the kind of problem.

sub answer {
    my ($t, $method, $target, @h) = @_;
    my $res = $gw->request($method, $target, token => $t, headers => \@h, $method =~ /^P/ ? (json => {}) : ());
    return $res->{status} == 200 ? '200' : "$res->{status} " . type($res);
}

# What ampctl changed applies without a reload.

sub becomes {
    my ($expected, $t, $method, $target, $what) = @_;
    my $got;
    ok $gw->wait_for(sub { ($got = answer($t, $method, $target)) eq $expected }), "$what: $expected" or diag $got;
}

subtest 'a tenant is disabled, enabled, removed' => sub {
    my $t = tenant();
    my $id = "t$n";
    for (1, 2) {
        is answer($t, 'GET', '/v1/topics'), '200', 'an enabled tenant is served';
        $gw->ctl('tenant', 'disable', $id);
        becomes('401 tenant-disabled', $t, 'GET', '/v1/topics', 'disabled');
        is answer($t, 'GET', '/v1/providers'), '401 tenant-disabled', 'for every operation';
        $gw->ctl('tenant', 'enable', $id);
        becomes('200', $t, 'GET', '/v1/topics', 'enabled');
    }
    $gw->ctl('tenant', 'remove', $id);
    becomes('401 unknown-token', $t, 'GET', '/v1/topics', 'removed');
    my $new = $gw->tenant($id, project => 'p-1');
    is answer($t, 'GET', '/v1/topics'), '401 unknown-token', 'its token stays invalid when a tenant of the same name is added';
    is answer($new, 'GET', '/v1/topics'), '200', 'the new tenant is served';
};

subtest 'a token is revoked, issued' => sub {
    my $t = tenant();
    my $issued = decode_json($gw->ctl('token', 'issue', "t$n", '--json'));
    is answer($issued->{token}, 'GET', '/v1/topics'), '200', 'a second token';
    $gw->ctl('token', 'revoke', $issued->{id});
    becomes('401 unknown-token', $issued->{token}, 'GET', '/v1/topics', 'revoked');
    is answer($t, 'GET', '/v1/topics'), '200', 'the first one still works';
    is answer($issued->{token}, 'GET', '/v1/topics'), '401 unknown-token', 'the revoked token stays invalid';
};

subtest 'the key changes' => sub {
    my $t = tenant(key => 'first-key');
    $up->clear;
    get($t, '/v1/topics');
    $gw->ctl('key', 'set', "t$n", '--key-file', '-', \"second-key\n");
    ok $gw->wait_for(sub {
        get($t, '/v1/topics');
        return (Gateway::Upstream::header(($up->requests)[-1], 'x-api-key') // '') eq 'second-key';
    }), 'the new key is used';
    my @keys = map { Gateway::Upstream::header($_, 'x-api-key') } $up->requests;
    is $keys[0], 'first-key', 'after the old key';
};

subtest 'grants' => sub {
    my $t = tenant();
    my $id = "t$n";
    my %call = (
        catalog => [ 'GET', '/v1/providers' ], read => [ 'GET', '/v1/topics' ], write => [ 'POST', '/v1/topics' ],
        data => [ 'POST', '/write/v1/integrations/i/objects/o' ], secrets => [ 'GET', '/v1/api-keys' ],
        tag => [ 'GET', '/v1/connections' ], id => [ 'GET', '/v1/connections/c' ],
    );
    # what is set, and what may be called then
    my @cases = (
        [ [], 'catalog data id read tag write' ],
        [ [ '--allow', 'read' ], 'id read tag' ],
        [ [ '--allow', 'write', '--allow', 'catalog' ], 'catalog write' ],
        [ [ '--allow', 'default', '--allow', 'secrets' ], 'catalog data id read secrets tag write' ],
        [ [ '--allow', 'Connection' ], 'id tag' ],
        [ [ '--allow', 'getConnection' ], 'id' ],
        [ [ '--allow', 'read', '--deny', 'getConnection' ], 'read tag' ],
        [ [ '--deny', 'none', '--allow', 'read' ], 'id read tag' ],
        [ [ '--allow', 'getConnection', '--deny', 'Connection' ], '' ],
        [ [ '--allow', 'default', '--deny', 'read' ], 'catalog data write' ],
        [ [ '--allow', 'getConnection', '--allow', 'default', '--deny', 'read' ], 'catalog data write' ],
        [ [ '--allow', 'none', '--deny', 'none' ], '' ],
        [ [ '--allow', 'default' ], 'catalog data id read tag write' ],
    );
    for my $case (@cases) {
        my ($args, $expected) = @$case;
        $gw->ctl('grant', 'set', $id, @$args) if @$args;
        my $got;
        $gw->wait_for(sub {
            $got = join ' ', sort grep { answer($t, @{ $call{$_} }) eq '200' } keys %call;
            return $got eq $expected;
        });
        is $got, $expected, "@$args";
    }
    $gw->ctl('grant', 'set', $id, '--allow', 'catalog');
    becomes('403 operation-not-granted', $t, 'GET', '/v1/topics', 'a class that is not granted');
    is answer($t, 'GET', '/v1/api-keys'), '403 secrets-not-granted', 'secrets have a problem type of their own';
    is answer($t, 'GET', '/v1/projects/p-2/topics'), '403 other-project', 'another project comes before grants';
};

subtest 'groups' => sub {
    my $t = tenant(args => [ '--group', 'g1', '--group', 'g 2/ä' ]);
    my @cases = (
        [ '200', 'GET', '/v1/connections?groupRef=g1' ], [ '200', 'GET', '/v1/connections?groupRef=g+2%2F%C3%A4' ],
        [ '403 other-group', 'GET', '/v1/connections?groupRef=G1' ], [ '403 other-group', 'GET', '/v1/connections?groupRef=g11' ],
        [ '403 other-group', 'GET', '/v1/connections?groupRef=' ], [ '403 other-group', 'GET', '/v1/connections?groupRef=g%201' ],
        [ '403 no-group', 'GET', '/v1/connections' ], [ '403 no-group', 'GET', '/v1/connections/c' ],
        [ '403 no-group', 'GET', '/v1/topics' ], [ '403 no-group', 'DELETE', '/v1/connections/c' ],
        [ '400 bad-query', 'GET', '/v1/connections?groupRef=g1&groupRef=g3' ],
        [ '400 bad-query', 'GET', '/v1/connections?groupRef=g1&groupref=g3' ],
        [ '200', 'GET', '/proxy/x', 'X-Amp-Group-Ref' => 'g1' ],
        [ '403 no-group', 'GET', '/proxy/x' ], [ '403 other-group', 'GET', '/proxy/x', 'X-Amp-Group-Ref' => 'g3' ],
        [ '403 other-group', 'GET', '/proxy/x', 'X-Amp-Group-Ref' => '' ],
        [ '403 no-group', 'GET', '/proxy/x', 'X-Amp-Group-Ref' => 'g1', 'X-Amp-Installation-Id' => 'i' ],
        [ '400 bad-header', 'GET', '/proxy/x', 'X-Amp-Group-Ref' => 'g1', 'X-Amp-Group-Ref' => 'g1' ],
        [ '403 no-group', 'POST', '/v1/integrations/i/installations' ],
    );
    for my $case (@cases) {
        my ($expected, @call) = @$case;
        is answer($t, @call), $expected, "@call";
    }
    for my $case ([ 200, '', { groupRef => 'g1' } ], [ 403, 'other-group', { groupRef => 'g3' } ],
                  [ 400, 'bad-body', { groupref => 'g1' } ], [ 400, 'bad-body', { groupRef => ['g1'] } ],
                  [ 400, 'bad-body', '{"groupRef":"g1","groupRef":"g3"}' ], [ 400, 'bad-body', '{"groupRef":"g1"}x' ]) {
        my ($status, $type, $body) = @$case;
        my $res = $gw->request('POST', '/write/v1/integrations/i/objects/o', token => $t,
                               ref $body ? (json => $body) : (body => $body));
        is "$res->{status} " . ($status == 200 ? '' : type($res)), "$status $type",
            ref $body ? JSON::PP->new->canonical->encode($body) : $body;
    }
};

subtest 'x-amp-project-id' => sub {
    my $t = tenant();
    for my $case ([ 200, 'p-1' ], [ 200, 'alpha' ], [ 200, 'ALPHA' ], [ 200, '-' ], [ 403, 'p-2' ], [ 403, 'P-1' ],
                  [ 403, 'p-1,p-2' ], [ 400, '' ], [ 403, 'p-1/../p-2' ]) {
        my ($status, $project) = @$case;
        for my $call ([ 'GET', '/v1/topics' ], [ 'GET', '/proxy/x' ], [ 'POST', '/v1/topics' ]) {
            $up->clear;
            my ($got) = answer($t, @$call, 'X-Amp-Project-Id' => $project) =~ /^(\d+)/;
            is $got, $status, "@$call, \"$project\"";
            my @req = $up->requests;
            is scalar(@req), $status == 200 ? 1 : 0, 'Ampersand is asked only for the own project';
            is_deeply [ map { Gateway::Upstream::header($_, 'x-amp-project-id') } @req ],
                $status == 200 && $call->[1] =~ /proxy/ ? ['p-1'] : [], "the proxy API gets the project's id";
        }
    }
};

subtest "the proxy API's headers" => sub {
    my $t = tenant(key => 'the-key');
    my %pass = ('X-Amp-Installation-Id' => 'inst', 'X-Amp-Integration-Name' => 'crm', 'X-Amp-Group-Ref' => 'g',
                'X-Amp-Proxy-Version' => '2', 'X-Amp-Rate-Limiter-Mode' => 'wait', 'X-Provider' => 'theirs',
                'Accept' => 'x/y', 'Accept-Language' => 'de', 'Content-Type' => 'x/y', 'If-Match' => '"e"',
                'Sforce-Call-Options' => 'client=x', 'X-Shopify-Topic' => 'a, b', 'Prefer' => 'z',
                'User-Agent' => 'me/1', 'Range' => 'bytes=0-1');
    my %drop = ('Cookie' => 'a=b', 'Forwarded' => 'for=x', 'X-Forwarded-For' => '1.2.3.4', 'X-Forwarded-Host' => 'h',
                'X-Real-IP' => '1.2.3.4', 'Via' => '1.1 x', 'X-Amp-Api-Key' => 'x', 'X-Amp-Request-Type' => 'x',
                'X-Amp-Anything' => 'x', 'X-Accel-Redirect' => '/x', 'X-Gateway-Source' => 'x',
                'Proxy-Authorization' => 'Basic x', 'TE' => 'trailers', 'Keep-Alive' => '1', 'X-Hop' => 'x',
                'X-HTTP-Method-Override' => 'DELETE', 'X-Original-URL' => '/x', 'Expect' => '100-continue',
                'Upgrade' => 'h2c', 'Trailer' => 'x');
    $up->clear;
    my $res = $gw->request('POST', '/proxy/crm/v2/x', token => $t, body => '{}',
                           headers => [ %pass, %drop, Authorization => "Bearer $t" ]);
    is $res->{status}, 200, 'answered' or diag $res->{body};
    my ($req) = $up->requests;
    is_deeply [ Gateway::Upstream::header($req, $_) ], [ $pass{$_} ], "$_ passes" for sort keys %pass;
    is_deeply [ Gateway::Upstream::header($req, $_) ], [], "$_ does not pass" for grep { $_ ne 'X-Hop' } sort keys %drop;
    is_deeply [ Gateway::Upstream::header($req, 'Authorization') ], [], 'the credential does not pass';
    is_deeply [ Gateway::Upstream::header($req, 'X-Api-Key') ], ['the-key'], "the tenant's key is sent";
    is_deeply [ Gateway::Upstream::header($req, 'X-Amp-Project-Id') ], ['p-1'], 'and its project';
    is_deeply [ Gateway::Upstream::header($req, 'Host') ], ['proxy.withampersand.com'], 'one Host';
    unlike $req->{head}, qr/\Q$t\E|gateway\.test/, 'neither the token nor the requested host is sent';

    $up->clear;
    $gw->raw("GET /proxy/x HTTP/1.1\r\nHost: g\r\nX-Api-Key: $t\r\nConnection: close, X-Hop\r\nX-Hop: x\r\n\r\n");
    ($req) = $up->requests;
    is_deeply [ Gateway::Upstream::header($req, 'X-Hop') ], [], 'a header that Connection names is not passed on';
    is_deeply [ Gateway::Upstream::header($req, 'X-Amp-Proxy-Version') ], ['1'], 'the version is filled in';

    $up->clear;
    $gw->request('POST', '/v1/topics', token => $t, json => {}, headers => [ %pass, %drop ]);
    ($req) = $up->requests;
    my @names = sort map { lc $_->[0] } @{ $req->{headers} };
    is "@names", 'accept accept-language content-length content-type content-type host traceparent user-agent x-api-key'
        . ' x-request-id', 'the other APIs get the allowed headers and no others';
};

$gw->finish;

# --- listProjects, against the emulator and against anything else

my $owner = $$;
pipe my $said, my $say or die $!;
my $emulator = fork // die $!;
if ($emulator == 0) {
    open STDOUT, '>&', $say;
    exec $^X, "$Gateway::ROOT/docker/emulator/emulator", '--listen', 'http://127.0.0.1:0' or POSIX::_exit(127);
}
close $say;

END {
    my $status = $?;
    if ($emulator && $$ == $owner) {
        kill 'KILL', $emulator;
        waitpid $emulator, 0;
    }
    $? = $status;
}

my ($url) = (readline($said) // '') =~ m{^listening on (http://\S+)$} or BAIL_OUT('no emulator');

my $ALPHA = '11111111-1111-4111-8111-111111111111';

subtest 'listProjects answers only the own project' => sub {
    my $gw = Gateway->start(upstream => $url);
    my $t = $gw->tenant('acme', project => $ALPHA, name => 'alpha', key => 'amp-alpha-key-11111111');
    my $beta = $gw->tenant('globex', project => '22222222-2222-4222-8222-222222222222', name => 'beta',
                           key => 'amp-beta-key-22222222');

    my $project = $gw->get('/v1', token => $t);
    is $project->{status}, 200, 'getProject';
    my @ways = ([], [ 'Accept-Encoding' => 'gzip' ], [ 'Accept-Encoding' => 'gzip, br' ], [ Range => 'bytes=0-1' ],
                [ Accept => 'application/json' ]);
    my $etag;
    for my $round ('MISS', 'HIT') {
        for my $headers (@ways) {
            my $res = $gw->get('/v1/projects', token => $t, headers => $headers);
            my $what = "$round @$headers";
            is $res->{status}, 200, $what;
            is $res->{body}, "[$project->{body}]", "$what: an array of one";
            is $res->{headers}{'content-length'}, length $res->{body}, "$what: its length"
                if defined $res->{headers}{'content-length'};
            is $res->{headers}{'content-encoding'}, undef, "$what: plain";
            $etag //= $res->{headers}{etag};
            is $res->{headers}{etag}, $etag, "$what: one body, one ETag";
            my $head = $gw->request('HEAD', '/v1/projects', token => $t, headers => $headers);
            is $head->{status}, 200, "$what: HEAD";
            is $head->{body}, '', "$what: HEAD has no body";
            is $head->{headers}{'content-length'}, $res->{headers}{'content-length'}, "$what: HEAD has the same length";
        }
    }
    is_deeply [ map { $_->{id} } @{ $gw->json($gw->get('/v1/projects', token => $t)) } ], [$ALPHA], "the tenant's own project";
    is_deeply [ map { $_->{name} } @{ $gw->json($gw->get('/v1/projects', token => $beta)) } ], ['beta'], "the other tenant's own project";
    is $gw->get("/v1/projects/beta", token => $t)->{status}, 403, "another project by its name: 403";
    $gw->finish;
};

subtest 'listProjects, whatever Ampersand answers' => sub {
    my $gw = Gateway->start;
    my $up = $gw->upstream;
    my $t = $gw->tenant('acme', project => 'p-1', name => 'alpha');
    my $list = sub { $gw->request($_[0], '/v1/projects?n=' . ++$n, token => $t) };

    my $json = '{"id":"p-1"}';
    $up->answer({ raw => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n"
                       . "1\r\n{\r\nb\r\n\"id\":\"p-1\"}\r\n0\r\n\r\n" });
    is $list->('GET')->{body}, "[$json]", 'in chunks';
    $up->answer({ raw => "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\nETag: \"x\"\r\n"
                       . "Accept-Ranges: bytes\r\n\r\n$json" });
    my $res = $gw->get('/v1/projects?n=' . ++$n, token => $t, headers => [ Range => 'bytes=0-3' ]);
    is "$res->{status} $res->{body}", "200 [$json]", 'no range of it';
    my $large = '{"id":"' . 'x' x 200_000 . '"}';
    $up->answer({ body => $large });
    $res = $list->('GET');
    is length $res->{body}, 2 + length $large, 'large';
    is $res->{body}, "[$large]", 'whole';
    for my $status (400, 401, 403, 404, 429, 500, 503) {
        my $body = qq({"status":$status});
        $up->answer({ status => $status, body => $body });
        $res = $list->('GET');
        is "$res->{status} $res->{body}", "$status $body", "$status passes as it is";
        is $res->{headers}{'content-length'}, length $body, 'with its length';
    }
    $up->answer({ drop => 1 });
    $res = $list->('GET');
    is $res->{status}, 502, 'no answer';
    is ref $gw->json($res), 'HASH', 'is a problem, not a list';
    is +(grep { $_->{target} !~ m{^/v1/projects/p-1\?n=\d+$} } $up->requests), 0, 'Ampersand is never asked for all';
    is +(grep { defined Gateway::Upstream::header($_, 'accept-encoding') } $up->requests), 0, 'nor for a compressed answer';
    $gw->finish;
};

subtest 'ampersand_identity' => sub {
    my $gw = Gateway->start(http => 'ampersand_identity $http_x_who; ampersand_cache_ttl default 0;');
    my $up = $gw->upstream;
    my $t = $gw->tenant('acme', project => 'p-1', key => 'key-acme');
    $gw->tenant('globex', project => 'p-2', key => 'key-globex');
    for my $who (qw(acme globex acme)) {
        my $res = $gw->get('/v1/topics', headers => [ 'X-Who' => $who ]);
        is $res->{status}, 200, $who;
        is Gateway::Upstream::header(($up->requests)[-1], 'x-api-key'), "key-$who", "with the tenant's own key";
    }
    my $asked = () = $up->requests;
    for my $case ([ 'no-identity' ], [ 'no-identity', 'X-Who' => '' ], [ 'no-identity', 'X-Who' => 'a b' ],
                  [ 'no-identity', 'X-Who' => '../acme' ], [ 'no-identity', 'X-Who' => 'a:b' ],
                  [ 'no-identity', 'X-Who' => 'x' x 65 ], [ 'no-identity', 'X-Who' => 'nobody' ],
                  [ 'no-identity', 'X-Who' => 'ACME' ], [ 'no-identity', 'X-Api-Key' => $t ]) {
        my ($type, @headers) = @$case;
        my $res = $gw->get('/v1/topics', headers => \@headers);
        is "$res->{status} " . type($res), "401 $type", "@headers";
        ok $res->{headers}{'www-authenticate'}, 'WWW-Authenticate';
    }
    is scalar(() = $up->requests), $asked, 'Ampersand is not asked';
    my $res = $gw->get('/v1/topics', token => 'whatever', headers => [ 'X-Who' => 'acme' ]);
    is $res->{status}, 200, 'an API credential is ignored when an identity names the tenant';
    unlike +($up->requests)[-1]{head}, qr/whatever/, 'and is not sent upstream';
    $gw->ctl('tenant', 'disable', 'acme');
    ok $gw->wait_for(sub { $gw->get('/v1/topics', headers => [ 'X-Who' => 'acme' ])->{status} == 401 }), 'disabled';
    is $gw->get('/v1/topics', headers => [ 'X-Who' => 'globex' ])->{status}, 200, 'the other tenant is still served';
    $gw->finish;
};

done_testing;
