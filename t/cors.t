#!/usr/bin/perl

# ampersand_cors: preflights are answered without a token, pages of the listed origins
# may read every answer, refusals and cached ones too; other origins and gateways
# without the directive get nothing.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Upstream;

my ($app, $other, $elsewhere) = ('https://app.example.com', 'http://localhost:3000', 'https://evil.example');

my $up = Gateway::Upstream->start(sub {
    return { headers => [ 'Cache-Control' => 'max-age=600', Vary => 'Accept', ETag => '"1"', 'Access-Control-Allow-Origin' => '*',
                          'Access-Control-Expose-Headers' => 'X-Theirs' ], body => '{}' };
});
my $gw = Gateway->start(
    upstream => $up->url,
    http     => 'limit_req_zone $server_port zone=slow:64k rate=1r/m;',
    server   => <<"E",
        ampersand_cors $app $other;
        location = /v1/integrations/none { ampersand_cors off; ampersand platform; include PROXY; }
        location = /v1/integrations/denied { deny all; ampersand platform; include PROXY; }
        location = /v1/integrations/password { auth_basic on; auth_basic_user_file /dev/null; ampersand platform; include PROXY; }
        location = /v1/integrations/slow { limit_req zone=slow; ampersand platform; include PROXY; }
        location = /v1/integrations/read { limit_except GET { deny all; } ampersand platform; include PROXY; }
E
);
my $token = $gw->tenant('acme', project => 'p-1', args => [ '--rate', '100/h' ]);

# The values of a header, each line apart.

sub lines {
    my ($res, $name) = @_;
    return map { $_->[1] } grep { lc $_->[0] eq lc $name } @{ $res->{all} };
}

sub cors { return map { $_->[0] } grep { $_->[0] =~ /^access-control-/i } @{ $_[0]{all} } }

sub varies { return scalar(grep { $_ eq 'Origin' } lines($_[0], 'vary')) }

sub preflight {
    my ($path, $origin, $method, $headers, @more) = @_;
    return $gw->request('OPTIONS', $path, @more, headers => [ Origin => $origin, 'Access-Control-Request-Method' => $method,
        defined $headers ? ('Access-Control-Request-Headers' => $headers) : () ]);
}

sub from {
    my ($origin, $method, $path, %o) = @_;
    return $gw->request($method, $path, token => $token, %o, headers => [ @{ $o{headers} || [] }, Origin => $origin ]);
}

my $sdk = 'x-api-key,x-amp-client,x-amp-client-version,content-type';

subtest 'a preflight' => sub {
    my $before = $gw->status;
    my $res = preflight('/v1/integrations', $app, 'POST', $sdk);
    is $res->{status}, 204, 'is answered without a token';
    is $res->{body}, '', 'without a body';
    is_deeply [ lines($res, 'access-control-allow-origin') ], [$app], 'the origin';
    is $res->{headers}{'access-control-allow-headers'}, $sdk, 'the headers that were asked for';
    like $res->{headers}{'access-control-allow-methods'}, qr/\bPOST\b.*\bDELETE\b/, 'the methods';
    cmp_ok $res->{headers}{'access-control-max-age'}, '>', 60, 'it may be remembered';
    is_deeply [ lines($res, 'vary') ], ['Origin'], 'Vary';
    is $res->{headers}{'access-control-allow-credentials'}, undef, 'cookies are not asked for';
    like $res->{headers}{'x-request-id'}, qr/./, 'it has an id';

    is preflight($_, $other, 'DELETE', $sdk)->{headers}{'access-control-allow-origin'}, $other, "$_, another origin of the list"
        for qw(/v1/integrations/x /read/v1/x /write/v1/x /search/v1/x /proxy/x);
    like preflight('/proxy/x', $app, 'REPORT')->{headers}{'access-control-allow-methods'}, qr/REPORT/, 'the proxy API has any method';
    is preflight("/v1/integrations/$_", $app, 'GET', $sdk)->{status}, 204, "before $_ of nginx" for qw(denied password);
    is preflight('/v1/integrations/read', $app, 'PATCH', $sdk)->{status}, 204, 'before limit_except';
    is preflight('/v1/integrations', $app, 'GET', 'x y;z')->{headers}{'access-control-allow-headers'}, undef, 'no header that is none';
    is scalar($up->requests), 0, 'none goes to Ampersand';
    my $after = $gw->status;
    is $after->{preflights_total} - $before->{preflights_total}, 11, 'each is counted';
    is_deeply $after->{requests}, $before->{requests}, 'and as no request of a tenant';
    preflight('/v1/integrations', $elsewhere, 'GET', $sdk);
    my $refused = $gw->status;
    is $refused->{preflights_total}, $after->{preflights_total}, 'one of a wrong origin is not answered';
    is $refused->{requests}{'other-origin'}, ($after->{requests}{'other-origin'} // 0) + 1, 'but refused';
};

subtest 'what is no preflight' => sub {
    is $gw->request('OPTIONS', '/v1/integrations', headers => [ Origin => $app ])->{status}, 401, 'without Access-Control-Request-Method';
    is $gw->request('OPTIONS', '/v1/integrations', headers => [ 'Access-Control-Request-Method' => 'GET' ])->{status}, 401, 'without Origin';
    is $gw->request('OPTIONS', '/v1/integrations', headers => [ Origin => $app, Origin => $app, 'Access-Control-Request-Method' => 'GET' ])->{status},
        401, 'with two origins';
    is preflight('/v1/integrations', $app, 'GET', $sdk, token => $token)->{status}, 405, 'with a token: as any request';
};

subtest 'answers' => sub {
    for my $case (
        [ 'from Ampersand', GET => '/v1/integrations', 200 ], [ 'from the cache', GET => '/v1/integrations', 200 ],
        [ 'POST', POST => '/v1/integrations', 200, json => {} ], [ 'DELETE', DELETE => '/v1/integrations/i', 200 ],
        [ 'fresh', GET => '/v1/integrations/e', 200 ],
        [ 'not modified', GET => '/v1/integrations/e', 304, headers => [ 'If-None-Match' => '"1"' ] ],
        [ 'no token', GET => '/v1/integrations', 401, token => undef ], [ 'no operation', GET => '/v1/nothing', 404 ],
        [ 'another project', GET => '/v1/projects/p-2', 403 ], [ 'nowhere', GET => '/elsewhere', 404 ],
        [ 'deny', GET => '/v1/integrations/denied', 403 ], [ 'auth_basic', GET => '/v1/integrations/password', 401 ],
        [ 'limit_req, first', GET => '/v1/integrations/slow', 200 ], [ 'limit_req', GET => '/v1/integrations/slow', 503 ],
        [ 'no such method', PUT => '/v1/integrations', 405 ], [ 'a malformed path', GET => '/v1//x', 400 ],
    ) {
        my ($what, $method, $path, $status, %o) = @$case;
        my $res = from($app, $method, $path, %o);
        is $res->{status}, $status, "$what: $status" or diag $res->{body};
        is_deeply [ lines($res, 'access-control-allow-origin') ], [$app], "$what: the page may read it";
        is varies($res), 1, "$what: Vary: Origin";

        # the Fetch standard's list, and what belongs to the connection

        my %readable = map { lc($_) => 1 } split(/,\s*/, join ',', lines($res, 'access-control-expose-headers')),
            qw(cache-control content-type content-length content-encoding expires last-modified pragma
               connection date server transfer-encoding vary accept-ranges);
        is join(' ', grep { !$readable{ lc $_ } && !/^access-control-/i } map { $_->[0] } @{ $res->{all} }), '',
            "$what: all that the gateway sets can be read";
    }
    is from($app, GET => '/v1/integrations')->{headers}{'x-cache-status'}, 'MISS', 'after a write';
    is from($app, GET => '/v1/integrations')->{headers}{'x-cache-status'}, 'HIT', 'one entry of the cache';
    my $res = from($other, GET => '/v1/integrations');
    is "$res->{headers}{'x-cache-status'} $res->{headers}{'access-control-allow-origin'}", "HIT $other", 'serves every origin with its own';
    like join(',', lines($res, 'vary')), qr/Accept/, "with Ampersand's own Vary";
    like $res->{headers}{'access-control-expose-headers'}, qr/\b$_\b/, "$_ is exposed"
        for qw(X-Request-Id Retry-After RateLimit RateLimit-Policy ETag X-Gateway-Source Cache-Status X-Amp-Retry-After);
};

subtest 'a wrong origin' => sub {
    my $res = preflight('/v1/integrations', $elsewhere, 'GET', $sdk);
    is $res->{status}, 403, 'its preflight is refused';
    is $gw->json($res)->{type}, 'urn:ampersand-gateway:problem:other-origin', 'for that reason';
    is_deeply [ cors($res) ], [], 'it is not allowed';
    for my $origin ($elsewhere, 'null', "$app.evil.example", "$app:443", 'HTTPS://APP.EXAMPLE.COM', "$app/") {
        $res = from($origin, GET => '/v1/integrations');
        is $res->{status}, 200, "$origin: a request with a token is served";
        is_deeply [ cors($res) ], [], 'but the page may not read it';
        is varies($res), 1, 'Vary: Origin';
    }
    is varies($gw->get('/v1/integrations', token => $token)), 1, 'Vary: Origin without an origin, too';
};

subtest 'without the directive' => sub {
    for my $case ([ 'a preflight', preflight('/v1/integrations/none', $app, 'GET', $sdk) ],
                  [ 'an answer', from($app, GET => '/v1/integrations/none') ], [ 'the status', from($app, GET => '/-/status') ]) {
        my ($what, $res) = @$case;
        is_deeply [ cors($res) ], [], "$what: nothing is added";
        is varies($res), 0, "$what: no Vary: Origin";
    }
    is preflight('/v1/integrations/none', $app, 'GET', $sdk)->{status}, 401, 'a preflight needs a token';
};

$gw->finish;

subtest 'nginx -t' => sub {
    my $place = Gateway::_slurp($gw->dir . '/nginx.conf') =~ s/^(?:load_module|error_log|pid|daemon)\s[^;]*;//gmr;
    for my $case ([ '*', 'write each origin' ], [ 'null', 'write the scheme' ], [ 'app.example.com', 'https://app.example.com' ],
                  [ 'https://App.example.com', 'lower case' ], [ 'https://app.example.com/', 'no path' ],
                  [ 'https://app.example.com:443', 'leave out the port' ], [ "$app off", 'write the scheme' ]) {
        my ($value, $says) = @$case;
        my ($ok, $out) = Gateway->configtest($place =~ s/ampersand_cors \Q$app $other\E;/ampersand_cors $value;/r);
        ok !$ok, "$value: refused";
        like $out, qr/\[emerg\] .*invalid origin .*\Q$says\E.* in \S+:\d+/, 'with the line and what to write' or diag $out;
    }
    my ($ok, $out) = Gateway->configtest($place =~ s/(ampersand_cors \Q$app $other\E;)/$1 $1/r);
    like $out, qr/"ampersand_cors" directive is duplicate/, 'twice: refused';
};

done_testing;
