#!/usr/bin/perl

# Where a gateway location may stand: at the gateway's own paths, under any prefix, behind
# a rewrite, at the root of a server with the name of Ampersand's host; beside a location /
# of one's own.

use strict;
use warnings;

use File::Temp ();
use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;

sub slurp { my ($file) = @_; open my $f, '<', $file or die "$file: $!"; local $/; return scalar <$f> }

my $gw = Gateway->start(server => <<'S');
    location /ampersand/ { rewrite ^/ampersand(/.*)$ $1 last; }
    location /old/ { rewrite ^/old/(.*)$ /v1/integrations/$1? last; }
    location /in/front/v1 { ampersand platform; include PROXY; }
    location /in/front/write/v1 { ampersand write; include PROXY; }
    location /in/front/crm/ { ampersand proxy; include PROXY; }
    location /api/ { ampersand platform; include PROXY; }
    location /writing/ { ampersand write; include PROXY; }
    location /v1/providers { ampersand platform; include PROXY; }
S
my $token = $gw->tenant('acme', project => 'p-1');

my $object = '/projects/-/integrations/i/objects/contact';
for (
    # the path of the request, and the target that upstream sees
    [ GET  => '/v1/integrations', '/v1/projects/p-1/integrations' ],
    [ GET  => '/ampersand/v1/integrations?connected=true', '/v1/projects/p-1/integrations?connected=true' ],
    [ GET  => '/ampersand/v1/integrations/a%3Fb', '/v1/projects/p-1/integrations/a%3Fb' ],
    [ POST => "/ampersand/write/v1$object", "/v1/projects/p-1/integrations/i/objects/contact" ],
    [ GET  => '/ampersand/proxy/x/a%20b', '/x/a%20b' ],
    [ GET  => '/old/a%20b?x=1', '/v1/projects/p-1/integrations/a%20b' ],
    [ GET  => '/in/front/v1/integrations?n=1', '/v1/projects/p-1/integrations?n=1' ],
    [ POST => "/in/front/write/v1$object", "/v1/projects/p-1/integrations/i/objects/contact" ],
    [ GET  => '/in/front/crm/x/y', '/x/y' ],
    [ GET  => '/api/v1/integrations?n=2', '/v1/projects/p-1/integrations?n=2' ],
    [ POST => "/writing/v1$object", "/v1/projects/p-1/integrations/i/objects/contact" ],
    [ GET  => '/v1/providers/hubspot', '/v1/providers/hubspot' ],
) {
    my ($method, $path, $target) = @$_;
    my $res = $gw->request($method, $path, token => $token, $method eq 'POST' ? (json => { groupRef => 'g', type => 'create', record => {} }) : ());
    is $res->{status}, 200, "$method $path" or diag $res->{body};
    is join(' ', map { $_->{target} } $gw->upstream->take), $target, 'upstream sees Ampersand\'s path';
}

for (
    [ '/ampersand/v1/integrations/a%2Fb', 400, 'an encoded slash stays one behind a rewrite' ],
    [ '/ampersand/v1/integrations/%2e%2e/x', 404, 'nginx resolves dot segments before it rewrites' ],
    [ '/in/front/v1/none', 404, 'what is no operation is 404' ],
    [ '/in/front/v1/projects/p-2/integrations', 403, 'another project is 403' ],
    [ '/%69n/front/v1/integrations', 404, 'an encoded prefix is none' ],
    [ '/%69n/front/crm/x', 404, 'nor for the proxy API' ],
    [ '/%77riting/v1/projects/-/integrations/i/objects/contact', 404, 'nor that of a host' ],
    [ '/other', 404, 'no location' ],
    [ '/', 404, 'the root' ],
) {
    my ($path, $status, $what) = @$_;
    my $res = $gw->get($path, token => $token);
    is $res->{status}, $status, "$what: $path" or diag $res->{body};
    is $res->{headers}{'content-type'}, 'application/problem+json', 'said by the gateway';
}
is scalar($gw->upstream->take), 0, 'nothing of these is sent';
is scalar(() = $gw->log_lines(qr/\[error\]/)), 0, 'no line at level error';
$gw->finish;

# A server with the name of Ampersand's host, for clients that have it built in, and one
# with pages of its own.

my @port = map { Gateway::Redis::free_port() } 1 .. 3;
my $site = File::Temp->newdir('site.XXXXXX', TMPDIR => 1);
chmod 0755, $site;
open my $page, '>', "$site/page" or die $!;
print $page "a page\n";
close $page;

$gw = Gateway->start(server => "location = /x { return 204; } }\n"
    . "server { listen 127.0.0.1:$port[0]; server_name write.withampersand.com; location / { ampersand write; include PROXY; } }\n"
    . "server { listen 127.0.0.1:$port[1]; server_name proxy.withampersand.com; location / { ampersand proxy; include PROXY; } }\n"
    . "server { listen 127.0.0.1:$port[2]; location / { root $site; }");
$token = $gw->tenant('acme', project => 'p-1');
for (
    [ 0, POST => "/v1$object", 200, '/v1/projects/p-1/integrations/i/objects/contact' ],
    [ 0, POST => "/write/v1$object", 200, '/v1/projects/p-1/integrations/i/objects/contact' ],
    [ 0, GET  => '/v1/none', 404, '' ],
    [ 1, GET  => '/crm/v3/contacts?a=b', 200, '/crm/v3/contacts?a=b' ],
    [ 2, GET  => '/v1/integrations', 200, '/v1/projects/p-1/integrations' ],
    [ 2, GET  => '/page', 200, '' ],
) {
    my ($server, $method, $path, $status, $target) = @$_;
    local $gw->{port} = $port[$server];
    my $res = $gw->request($method, $path, token => $token, $method eq 'POST' ? (json => { groupRef => 'g', type => 'create', record => {} }) : ());
    is $res->{status}, $status, "$method $path at server $server" or diag $res->{body};
    is join(' ', map { $_->{target} } $gw->upstream->take), $target, 'and what upstream sees';
}
$gw->finish;

# nginx -t says when a location can never match.

my ($text) = slurp($gw->dir . '/nginx.conf') =~ s/^(?:load_module|error_log|pid|daemon)\s[^;]*;//gmr;
my $at = qr{location /(?= \{ ampersand write)};
for my $location ('= /v1/none', '= /health', '= /') {
    my ($ok, $out) = Gateway->configtest($text =~ s/$at/location $location/r);
    ok !$ok, "location $location is refused";
    like $out, qr{"ampersand" in \S+:\d+: "location \Q$location\E" can never match.*write for example "location /write/v1"},
        'with what to write' or diag $out;
}
my ($ok, $out) = Gateway->configtest($text =~ s{$at}{location = /v1$object}r);
ok $ok, 'a location for one operation is taken' or diag $out;

done_testing;
