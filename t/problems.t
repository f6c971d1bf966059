#!/usr/bin/perl

# Each error of the gateway and of nginx is a complete problem document; errors of
# Ampersand are passed on unchanged.

use strict;
use warnings;

use FindBin;
use IO::Socket::INET ();
use JSON::PP qw(decode_json);
use Test::More;
use Time::HiRes qw(sleep time);

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Versions;

# an address where no server listens

my $dead = Gateway::Redis::closed_port();
my $h2 = Gateway::Redis::free_port();

# At log level error, all lines of the error log are caused by clients.

my $gw = Gateway->start(
    log_level => 'error',
    http      => "upstream dead { server 127.0.0.1:$dead; }",
    server    => <<"E",
        @{[ Gateway::Versions::http2("127.0.0.1:$h2") ]}
        ampersand_body_max 16k;
        location = /v1/topics/dead {
            ampersand platform;
            ampersand_upstream http://dead;
            include PROXY;
        }
        location = /v1/topics/denied {
            deny all;
            ampersand platform;
            include PROXY;
        }
        location = /failed { return 500; }
        location = /teapot { return 418; }
        location = /moved { return 301 /v1; }
E
    proxy_conf => { proxy_read_timeout => '300ms' },
);
my $up = $gw->upstream;
my ($t, $none, $bound, $read, $slow) = (
    $gw->tenant('acme', project => 'p-1'),
    $gw->tenant('keyless', project => 'p-1', key => ''),
    $gw->tenant('bound', project => 'p-1', args => [ '--group', 'g1' ]),
    $gw->tenant('reader', project => 'p-1', args => [ '--grant', 'read' ]),
    $gw->tenant('slow', project => 'p-1', args => [ '--rate', '1/h', '--burst', '1' ]),
);
$gw->tenant('off', project => 'p-1');
my $off = decode_json($gw->ctl('token', 'issue', 'off', '--json'))->{token};
$gw->ctl('tenant', 'disable', 'off');
my $revoked = decode_json($gw->ctl('token', 'issue', 'acme', '--json'));
$gw->ctl('token', 'revoke', $revoked->{id});

my $URN = 'urn:ampersand-gateway:problem:';
my @refused;    # request ids, for the logs

sub is_problem {
    my ($res, $status, $type, $what, %o) = @_;
    my $p = eval { decode_json($res->{body}) } || {};
    is $res->{status}, $status, "$what: $status" or diag $res->{head} . "\n" . $res->{body};
    if (!$o{head}) {
        is $res->{headers}{'content-type'}, 'application/problem+json', "$what: content type";
        is $p->{type}, "$URN$type", "$what: type";
        is $p->{status}, $status, "$what: the same status inside";
        my @missing = grep { !defined $p->{$_} || !length $p->{$_} }
            qw(type title status detail subsystem time requestId causes remedy retryable);
        is "@missing", '', "$what: all members";
        is $p->{subsystem}, 'gateway', "$what: subsystem";
        is $p->{requestId}, $res->{headers}{'x-request-id'}, "$what: requestId is X-Request-Id";
        is scalar(@{ $p->{causes} || [] }), 1, "$what: one cause";
        like $p->{causes}[0], qr/^[A-Za-z].* .*\.$/s, "$what: it is a sentence";
        unlike $p->{remedy}, qr/<tenant>|<operationId>/, "$what: the remedy can be copied" if $p->{context}{operation};
        ok JSON::PP::is_bool($p->{retryable}), "$what: retryable is a boolean";
        my $retryable = $status =~ /^(?:408|429|502|503|504)$/ && !$o{unknown};
        is !!$p->{retryable}, !!$retryable, "$what: retryable";
        like $p->{time}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, "$what: time";
        is !!defined $p->{retryAfter}, !!defined $res->{headers}{'retry-after'}, "$what: retryAfter as Retry-After";
    }
    is $res->{headers}{'x-gateway-source'}, 'gateway', "$what: X-Gateway-Source";
    is $res->{headers}{'cache-control'}, 'no-store', "$what: not to be stored";
    is !!defined $res->{headers}{'www-authenticate'}, $status == 401, "$what: WWW-Authenticate with 401 only";
    is !!defined $res->{headers}{'retry-after'}, $status == 429 || $status == 503,
        "$what: Retry-After with 429 and 503";
    like $res->{headers}{'retry-after'}, qr/^[1-9]\d*$/, "$what: in seconds" if $res->{headers}{'retry-after'};
    is !!defined $res->{headers}{allow}, $status == 405 && $type eq 'method-not-allowed', "$what: Allow with 405 only";
    is $res->{headers}{'x-cache-status'}, undef, "$what: no cache was asked";
    my %n;
    $n{ lc $_->[0] }++ for @{ $res->{all} };
    is "@{[ grep { $n{$_} > 1 } sort keys %n ]}", '', "$what: no header twice";
    push @refused, [ $res->{headers}{'x-request-id'}, $status, $type, $what ];
    return $p;
}

my $long = 'x' x 5000;
my ($connect_status, $connect_type) = Gateway::Versions::refused_connect();

# what, type, status, method, target, request

my @own = (
    [ 'no token', 'no-token', 401, 'GET', '/v1/topics' ],
    [ 'an Ampersand key', 'bad-token', 401, 'GET', '/v1/topics', token => 'AKIA' . 'X' x 36 ],
    [ 'a mistyped token', 'bad-token', 401, 'GET', '/v1/topics', token => $t =~ s/(.)$/$1 eq 'a' ? 'b' : 'a'/er ],
    [ 'Basic', 'bad-token', 401, 'GET', '/v1/topics', headers => [ Authorization => 'Basic eDp5' ] ],
    [ 'an incomplete token', 'bad-token', 401, 'GET', '/v1/topics', token => substr $t, 0, 20 ],
    [ 'two tokens', 'two-credentials', 401, 'GET', '/v1/topics', token => $t,
      headers => [ Authorization => "Bearer $read" ] ],
    [ 'one token twice', 'two-credentials', 401, 'GET', '/v1/topics', token => $t, headers => [ 'X-Api-Key' => $t ] ],
    [ 'a revoked token', 'unknown-token', 401, 'GET', '/v1/topics', token => $revoked->{token} ],
    [ 'a disabled tenant', 'tenant-disabled', 401, 'GET', '/v1/topics', token => $off ],
    [ 'dots', 'bad-path', 400, 'GET', '/v1/projects/p-1/../p-2', token => $t ],
    [ 'a bad parameter', 'bad-query', 400, 'GET', '/v1/connections?groupRef=a&groupRef=b', token => $t ],
    [ 'a key in the query', 'key-in-query', 400, 'GET', '/v1/topics?apiKey=x', token => $t ],
    [ 'a header twice', 'bad-header', 400, 'GET', '/v1/topics', token => $t,
      headers => [ 'X-Amp-Project-Id' => 'p-1', 'X-Amp-Project-Id' => 'p-1' ] ],
    [ 'a body that is no JSON', 'bad-body', 400, 'POST', '/v1/oauth-connect', token => $t, body => 'x=y' ],
    [ 'a member in another case', 'bad-body', 400, 'POST', '/v1/oauth-connect', token => $t, json => { ProjectIdOrName => 'p-1' } ],
    [ 'a compressed body', 'body-encoded', 415, 'POST', '/v1/oauth-connect', token => $t, body => 'x',
      headers => [ 'Content-Encoding' => 'gzip' ] ],
    [ "another's project", 'other-project', 403, 'GET', '/v1/projects/p-2/topics', token => $t ],
    [ "another's project in the header", 'other-project', 403, 'GET', '/v1/topics', token => $t,
      headers => [ 'X-Amp-Project-Id' => 'p-2' ] ],
    [ "another's project in the body", 'other-project', 403, 'POST', '/v1/oauth-connect', token => $t,
      json => { projectIdOrName => 'p-2' } ],
    [ 'an organisation', 'operation-not-served', 403, 'GET', '/v1/orgs/o', token => $t ],
    [ 'no grant', 'operation-not-granted', 403, 'POST', '/v1/topics', token => $read, json => {} ],
    [ 'no grant for secrets', 'secrets-not-granted', 403, 'GET', '/v1/api-keys', token => $t ],
    [ 'no grant for a change', 'change-not-granted', 403, 'GET', '/v1/destinations/d?rotate=true', token => $read ],
    [ 'another group', 'other-group', 403, 'GET', '/v1/connections?groupRef=g2', token => $bound ],
    [ 'no group', 'no-group', 403, 'GET', '/v1/connections', token => $bound ],
    [ 'no operation', 'unknown-operation', 404, 'GET', '/v1/nothing', token => $t ],
    [ 'no method', 'method-not-allowed', 405, 'DELETE', '/v1/topics', token => $t ],
    [ 'a method of its own', 'method-not-allowed', 405, 'PURGE', '/v1/topics', token => $t ],
    [ 'no key', 'no-key', 503, 'GET', '/v1/topics', token => $none ],
    [ 'no key to write with', 'no-key', 503, 'POST', '/v1/topics', token => $none, json => {} ],
    [ 'too large by length', 'body-too-large', 413, 'POST', '/v1/topics', token => $t, body => 'x' x 70_000 ],
    [ 'too large for nginx', 'body-too-large', 413, 'POST', '/elsewhere', body => 'x' x 1_100_000 ],
    [ 'too large to check', 'body-too-large', 413, 'POST', '/v1/oauth-connect', token => $t, body => 'x' x 70_000 ],
    [ 'a long target', 'uri-too-long', 414, 'GET', '/v1/topics?x=' . $long x 2, token => $t ],
    [ 'a long header', 'headers-too-large', 431, 'GET', '/v1/topics', token => $t, headers => [ 'X-A' => $long x 2 ] ],
    [ 'an unknown place', 'unknown-operation', 404, 'GET', '/elsewhere' ],
    [ 'an unknown place, to write to', 'unknown-operation', 404, 'POST', '/elsewhere', body => 'x' ],
    [ 'nginx denies', 'forbidden', 403, 'GET', '/v1/topics/denied', token => $t ],
    [ 'nginx fails', 'nginx-failed', 500, 'GET', '/failed' ],
    [ 'a status of its own', 'nginx-refused', 418, 'GET', '/teapot' ],
    [ 'no Host', 'bad-request', 400, 'RAW', "GET /v1 HTTP/1.1\r\nX-Api-Key: $t\r\n\r\n" ],
    [ 'a bad Host', 'bad-request', 400, 'RAW', "GET /v1 HTTP/1.1\r\nHost: a/../b\r\n\r\n" ],
    [ 'two Hosts', 'bad-request', 400, 'RAW', "GET /v1 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" ],
    [ 'a malformed line', 'bad-request', 400, 'RAW', "GET\x01 /v1 HTTP/1.1\r\nHost: a\r\n\r\n" ],
    [ 'a malformed version', 'bad-request', 400, 'RAW', "GET /v1 HTTX/1.1\r\nHost: a\r\n\r\n" ],
    [ 'an unknown version', 'bad-request', 400, 'RAW', "GET /v1 HTTP/3.0\r\nHost: a\r\n\r\n" ],
    [ 'a NUL in the path', 'bad-request', 400, 'RAW', "GET /v1/\0 HTTP/1.1\r\nHost: a\r\n\r\n" ],
    [ 'an encoded NUL', 'bad-request', 400, 'RAW', "GET /v1/%00 HTTP/1.1\r\nHost: a\r\n\r\n" ],
    [ 'above the root', 'bad-request', 400, 'RAW', "GET /../v1 HTTP/1.1\r\nHost: a\r\n\r\n" ],
    [ 'a NUL in a header', 'bad-request', 400, 'RAW', "GET /v1 HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n" ],
    [ 'a bad length', 'bad-request', 400, 'RAW', "POST /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n" ],
    [ 'length and chunks', 'bad-request', 400, 'RAW', "POST /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
      . "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" ],
    [ 'an unknown encoding', 'bad-request', 400, 'RAW', "POST /v1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n" ],
    [ 'chunks that are none', 'bad-request', 400, 'RAW', "POST /v1/oauth-connect HTTP/1.1\r\nHost: a\r\nX-Api-Key: $t\r\n"
      . "Transfer-Encoding: chunked\r\n\r\nzz\r\n" ],
    [ 'too large in chunks', 'body-too-large', 413, 'RAW', "POST /v1/topics HTTP/1.1\r\nHost: a\r\nX-Api-Key: $t\r\n"
      . "Transfer-Encoding: chunked\r\n\r\n" . ("4000\r\n" . 'x' x 0x4000 . "\r\n") x 5 . "0\r\n\r\n" ],
    [ 'too large to check, in chunks', 'body-too-large', 413, 'RAW', "POST /v1/oauth-connect HTTP/1.1\r\nHost: a\r\n"
      . "X-Api-Key: $t\r\nTransfer-Encoding: chunked\r\n\r\n" . ("4000\r\n" . 'x' x 0x4000 . "\r\n") x 5 . "0\r\n\r\n" ],
    [ 'TRACE', 'method-not-allowed', 405, 'TRACE', '/v1/topics', token => $t ],
    [ 'CONNECT', $connect_type, $connect_status, 'RAW', "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n" ],
);

# What was wrong, by name.

my %cause = (
    'an Ampersand key'                 => "The token's prefix, alphabet or checksum is wrong.",
    'Basic'                            => 'Authorization is not "Bearer" and a token.',
    'an incomplete token'              => 'The credential does not have the length of a token.',
    'two tokens'                       => 'X-Api-Key and Authorization have different tokens.',
    'one token twice'                  => 'X-Api-Key or Authorization occurs twice.',
    'dots'                             => 'The path has a dot segment, "." or "..".',
    'a body that is no JSON'           => 'The body is not JSON.',
    'a member in another case'         => 'The member "projectIdOrName" of the body has to be spelt exactly so.',
    'too large by length'              => 'The body has more than 16384 bytes.',
    'too large to check'               => 'The body has more than 16384 bytes.',
    'too large in chunks'              => 'The body has more than 16384 bytes.',
    "too large for nginx"              => 'The body has more bytes than client_max_body_size of nginx allows.',
    'a bad parameter'                  => 'The query parameter "groupRef" is malformed, occurs twice, or',
    'a key in the query'               => 'The query parameter "apiKey" is named like an API key.',
    'a header twice'                   => 'The header "X-Amp-Project-Id" is empty or occurs twice.',
    "another's project"                => 'The path names another project.',
    "another's project in the header"  => 'The header x-amp-project-id names another project.',
    "another's project in the body"    => 'The body names another project, in projectIdOrName or projectId.',
    'an organisation'                  => 'The operation "getOrg" is never served to tenants.',
    'no grant'                         => 'The tenant\'s grants do not include the operation "createTopic".',
    'no grant for secrets'             => 'The answer to the operation "listApiKeys" has credentials.',
    'no grant for a change'            => 'A query parameter makes "getDestination" change something.',
    'another group'                    => 'The group "g2" is not one of the tenant\'s groups.',
    'no group'                         => 'The query has no groupRef, which "listConnections" takes.',
    'no method'                        => 'The path exists, but not with the method "DELETE".',
);
my %remedy = (
    'no grant'             => 'ampctl grant add reader --allow createTopic',
    'no grant for secrets' => 'ampctl grant add acme --allow secrets',
    'no key'               => 'ampctl key set keyless',
    'too large by length'  => 'ampersand_body_max decides; of a body in which the gateway looks for a project or group it takes 1 MB',
    'a disabled tenant'    => 'ampctl tenant enable off',
);

for my $case (@own) {
    my ($what, $type, $status, $method, $target, %r) = @$case;
    subtest $what => sub {
        my $res = $method eq 'RAW' ? $gw->raw($target) : $gw->request($method, $target, %r);
        my $p = is_problem($res, $status, $type, $what);
        like $p->{causes}[0], qr/^\Q$cause{$what}\E/, 'the cause names it' if $cause{$what};
        like $p->{remedy}, qr/\Q$remedy{$what}\E/, 'the remedy is a command' if $remedy{$what};
        my $allow = { 'no method' => 'GET, HEAD, POST' }->{$what};
        is $res->{headers}{allow}, $allow, 'Allow names them' if $allow;
        if ($status == 401) {
            like $res->{headers}{'www-authenticate'}, qr/^Bearer realm="[^"]+"/, 'asks for a bearer token';
            is $res->{headers}{'www-authenticate'} =~ /invalid_token/ ? 1 : 0, $type eq 'no-token' ? 0 : 1,
                'and names the error of an invalid one';
        }
        if ($method eq 'GET') {
            $res = $gw->request('HEAD', $target, %r);
            is_problem($res, $status, $type, "HEAD, $what", head => 1);
            is $res->{body}, '', 'HEAD: no body';
            cmp_ok $res->{headers}{'content-length'}, '>', 100, 'HEAD: the length GET has';
        }
    };
}

is scalar($up->requests), 0, 'none of these requests went upstream';

subtest 'at the limit' => sub {
    is $gw->request('POST', '/v1/topics', token => $slow, json => {})->{status}, 200, 'one request passes';
    my $p = is_problem($gw->request('POST', '/v1/topics', token => $slow, json => {}), 429, 'rate-limited', 'POST');
    is_deeply $p->{context}, { operation => 'createTopic', tenant => 'slow' }, 'the tenant and the limit';
    is_problem($gw->get('/v1/topics', token => $slow), 429, 'rate-limited', 'GET that may be cached');
    is_problem($gw->request('HEAD', '/v1/topics', token => $slow), 429, 'rate-limited', 'HEAD', head => 1);
};

subtest 'upstream fails' => sub {
    for my $case ([ 'down', 502, 'upstream-failed', '/v1/topics/dead', undef ],
                  [ 'drops', 502, 'upstream-failed', '/v1/topics', { drop => 1 } ],
                  [ 'garbage', 502, 'upstream-failed', '/v1/topics', 'garbage' ],
                  [ 'slow', 504, 'upstream-timeout', '/v1/topics', { delay => 3 } ]) {
        my ($what, $status, $type, $target, $answer) = @$case;

        # failures in a row would suspend the host
        $up->answer({});
        is $gw->request('POST', '/v1/topics', token => $t, json => {})->{status}, 200, 'an answer in between';

        $up->answer($answer eq 'garbage' ? { raw => "no HTTP at all\r\n\r\n" } : $answer) if $answer;
        for my $method ($target =~ /dead/ ? qw(PATCH DELETE) : qw(GET POST)) {
            my $res = $gw->request($method, $target, token => $t, $method =~ /^P/ ? (json => {}) : ());
            is_problem($res, $status, $type, "$what, $method", unknown => $method eq 'POST');
        }
    }
    $up->answer({});
};

# Lines caused by clients; those of "deny" are what the operator configured.

sub caused {
    return grep { /\[(?:error|crit|alert|emerg|warn)\]/ && !/upstream|access forbidden by rule/ }
        split /\n/, $gw->error_log;
}

subtest 'no client can make the error log grow' => sub {
    my @lines = caused();
    my @chunked = grep { /client sent invalid chunked body/ } @lines;
    my @others = grep { !/client sent invalid chunked body/ } @lines;
    is scalar(@others), 0, 'it holds lines about the upstream only' or diag join "\n", @others;
    is scalar(@chunked), 0, 'malformed chunks add nothing';
    @lines = grep { /upstream/ } split /\n/, $gw->error_log;
    cmp_ok scalar(@lines), '>', 3, 'failures of the upstream are logged';
    is scalar(grep { !/request id: "/ } @lines), 0, 'with the request id';
};

subtest "Ampersand's own errors pass unchanged" => sub {
    my $body = qq({"type":"x","title":"theirs","status":422,"x":"\\u00e4"}\n);
    my $cooling = 0;
    for my $status (400, 401, 403, 404, 405, 409, 413, 422, 429, 500, 501, 502, 503, 504) {

        # failures in a row would suspend the host
        $up->answer({});
        is $gw->request('POST', '/v1/topics', token => $t, json => {})->{status}, 200, 'an answer in between';

        for my $type ('application/problem+json', 'text/html; charset=x') {
            $up->answer({ status => $status, body => $body,
                          headers => [ 'Content-Type' => $type, 'Retry-After' => '17', 'X-Theirs' => 'yes',
                                       'WWW-Authenticate' => 'theirs' ] });
            for my $method (qw(GET POST)) {
                # after a 429 the gateway sends no request of that tenant upstream
                my $token = $status == 429 ? $gw->tenant('cooling-' . ++$cooling) : $t;
                my $res = $gw->request($method, '/v1/topics', token => $token, $method eq 'POST' ? (json => {}) : ());
                my $what = "$method $status $type";
                is $res->{status}, $status, "$what: status";
                is $res->{body}, $body, "$what: body";
                is $res->{headers}{'content-type'}, $type, "$what: content type";
                is $res->{headers}{'retry-after'}, '17', "$what: Retry-After";
                is $res->{headers}{'x-theirs'}, 'yes', "$what: its headers";
                is $res->{headers}{'x-gateway-source'}, 'upstream', "$what: source";
                is $res->{headers}{'cache-control'}, undef, "$what: no Cache-Control of the gateway";
            }
        }
    }
    $up->answer({});
};

subtest 'X-Request-Id' => sub {
    for my $good ('abc', '0', 'a' x 128, 'A-b_c.d:e#f/g+h=i@j') {
        $up->clear;
        my $res = $gw->get('/v1/topics/x', headers => [ 'X-Request-Id' => $good ]);
        is $res->{headers}{'x-request-id'}, $good, "\"$good\" is kept";
        is $gw->json($res)->{requestId}, $good, 'in the problem';
        $gw->request('POST', '/v1/topics', token => $t, json => {}, headers => [ 'X-Request-Id' => $good ]);
        is_deeply [ map { Gateway::Upstream::header($_, 'x-request-id') } $up->requests ], [$good], 'and upstream';
    }
    my %seen;
    for my $bad ('', 'a' x 129, 'a b', 'a"b', "a\tb", "\xc3\xa4", 'a,b', '<a>', "a'b", 'a\\b', '{}', '${x}') {
        my $res = $gw->get('/v1/topics/x', headers => [ 'X-Request-Id' => $bad ]);
        my $id = $res->{headers}{'x-request-id'};
        isnt $id, $bad, "\"$bad\" is replaced";
        like $id, qr/^[0-9a-f]{32}$/, 'by an id of the gateway';
        ok !$seen{$id}++, 'another one each time';
    }
};

subtest 'HTTP/2' => sub {
    my $curl = sub {
        my (@args) = @_;
        open my $f, '-|', 'curl', '-s', '-i', '--max-time', 5, '--http2-prior-knowledge', @args or die $!;
        my $text = do { local $/; <$f> } // '';
        close $f;
        my ($head, $body) = split /\r\n\r\n/, $text, 2;
        my ($line, @lines) = split /\r\n/, $head // '';
        my @all = map { [ split /:\s*/, $_, 2 ] } @lines;
        my %headers;
        $headers{ lc $_->[0] } //= $_->[1] for @all;
        return { status => ($line // '') =~ m{^HTTP/2 (\d+)}, head => $head, body => $body,
                 all => \@all, headers => \%headers };
    };
    my $url = "http://127.0.0.1:$h2";
    my $key = "X-Api-Key: $t";
    is_problem($curl->("$url/v1/topics"), 401, 'no-token', 'no token');
    is_problem($curl->('-H', $key, "$url/v1/projects/p-2"), 403, 'other-project', 'another project');
    is_problem($curl->('-H', $key, "$url/elsewhere"), 404, 'unknown-operation', 'elsewhere');
    is_problem($curl->('-H', $key, '-X', 'DELETE', "$url/v1/topics"), 405, 'method-not-allowed', 'no method');
    is_problem($curl->('-H', $key, '-H', 'Content-Type: application/json', '-d', '[]', "$url/v1/oauth-connect"),
               400, 'bad-body', 'a bad body');
    is_problem($curl->('-H', "X-Api-Key: $slow", "$url/v1/topics"), 429, 'rate-limited', 'at the limit');
    is_problem($curl->('-I', '-H', "X-Api-Key: $slow", "$url/v1/topics"), 429, 'rate-limited', 'HEAD', head => 1);
    is $curl->('-H', $key, "$url/v1/topics")->{status}, 200, 'a valid request is served';
};

subtest 'each refusal is in the access log, none in the error log at level error' => sub {
    my %access;
    for my $line (split /\n/, $gw->access_log) {
        my $entry = eval { decode_json($line) };
        ok defined $entry, 'the access log is JSON' or do { diag $line; next };
        push @{ $access{ $entry->{requestId} } }, $entry;
    }
    for my $refused (@refused) {
        my ($id, $status, $type, $what) = @$refused;
        my @lines = @{ $access{$id} || [] };
        is scalar(@lines), 1, "$what: one line with its id" or next;
        is $lines[0]{status}, $status, "$what: status";
        is $lines[0]{decision}, $type, "$what: decision";
    }
};

is scalar(grep { !/client sent invalid chunked body/ } caused()), 0, 'the error log has no line caused by a client';
$gw->finish;

# At level info the error log has the reason, with the request id.

{
    my $verbose = Gateway->start;
    my $token = $verbose->tenant('acme', project => 'p-1');
    my @ids;
    push @ids, [ $verbose->get('/v1/topics')->{headers}{'x-request-id'}, 'no-token' ];
    push @ids, [ $verbose->get('/v1/projects/p-2', token => $token)->{headers}{'x-request-id'}, 'other-project' ];
    push @ids, [ $verbose->get('/v1/x', token => $token)->{headers}{'x-request-id'}, 'unknown-operation' ];
    my $log = $verbose->error_log;
    like $log, qr/\[info\] .*refused: $_->[1],.*request id: "\Q$_->[0]\E"/, "$_->[1] is logged with its id" for @ids;
    unlike $log, qr/\Q$token\E/, 'without the token';
    $verbose->finish;
}

done_testing;
