#!/usr/bin/perl

# A page of another origin in chromium uses the gateway as Ampersand's browser SDK
# does: GET, POST, DELETE, a refusal, a cached answer; a page of a wrong origin cannot.

use strict;
use warnings;

use FindBin;
use JSON::PP ();
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Browser;
use Gateway::Upstream;

if (my $why = Gateway::Browser->missing) {
    plan skip_all => $why;
}

my ($page, $wrong) = map { Gateway::Redis::free_port() } 1 .. 2;
my $origin = "http://localhost:$page";

my $up = Gateway::Upstream->start(sub {
    my ($req) = @_;
    return { headers => [ 'Cache-Control' => 'max-age=600', ETag => '"1"' ], body => qq({"method":"$req->{method}"}) };
});
my $gw = Gateway->start(
    upstream => $up->url,
    http     => "server { listen 127.0.0.1:$page; listen 127.0.0.1:$wrong; default_type text/html;
                          location / { return 200 '<!doctype html><title>page</title>'; } }",
    server   => "ampersand_cors https://app.example.com $origin;",
);
my $token = $gw->tenant('acme', project => 'p-1', args => [ '--rate', '100/h' ]);
my $browser = Gateway::Browser->start;
my $json = JSON::PP->new->canonical->allow_nonref;

# What fetch() gives the page: status, headers that it may read, body; or the error.

sub fetch {
    my ($method, $path, %o) = @_;
    my $init = $json->encode({
        method  => $method,
        headers => { 'X-Amp-Client' => 'react', 'X-Amp-Client-Version' => '1.0', %{ $o{headers} || { 'X-Api-Key' => $token } },
                     $o{body} ? ('Content-Type' => 'application/json') : () },
        $o{body} ? (body => $o{body}) : (),
    });
    my $url = $json->encode($gw->url . $path);
    return $browser->js("fetch($url, $init).then(
        async r => ({ status: r.status, headers: Object.fromEntries(r.headers), body: await r.text() }), e => ({ error: String(e) }))");
}

ok $browser->visit("$origin/"), 'a page of another origin';

my $res = fetch(GET => '/v1/integrations');
is $res->{status}, 200, 'GET' or diag explain $res;
is $res->{body}, '{"method":"GET"}', 'the body can be read';
ok defined $res->{headers}{$_}, "$_ can be read" for qw(x-request-id etag x-gateway-source cache-status ratelimit ratelimit-policy);

# another spelling, since chromium has the first in a cache of its own

$res = fetch(GET => '/v1/projects/-/integrations', headers => { Authorization => "Bearer $token" });
is "$res->{status} $res->{headers}{'x-cache-status'}", '200 HIT', 'a cached answer, with Authorization';

$res = fetch(POST => '/v1/integrations', body => '{"name":"x"}');
is "$res->{status} $res->{body}", '200 {"method":"POST"}', 'POST';
$res = fetch(DELETE => '/v1/integrations/i');
is "$res->{status} $res->{body}", '200 {"method":"DELETE"}', 'DELETE';

$res = fetch(GET => '/v1/nothing');
is $res->{status}, 404, 'a refusal';
like $res->{body}, qr/"type":"urn:ampersand-gateway:problem:unknown-operation"/, 'its problem can be read';
$res = fetch(GET => '/v1/integrations', headers => {});
is $res->{status}, 401, 'a refusal without a token';
like $res->{headers}{'www-authenticate'}, qr/^Bearer/, 'with WWW-Authenticate';

$browser->errors;
ok $browser->visit("http://localhost:$wrong/"), 'a page of a wrong origin';
$up->clear;
$res = fetch(GET => '/v1/integrations/other');
like $res->{error}, qr/Failed to fetch/, 'it gets nothing';
ok((grep { /CORS|access control/i } $browser->errors), 'the browser says why');
is scalar($up->requests), 0, 'and its request was not sent';

undef $browser;
$gw->finish;
done_testing;
