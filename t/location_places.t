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
    location ~ ^/searching/ { rewrite ^/searching(/.*)$ $1 break; ampersand search; include PROXY; }
    location ~ ^/v1/projects/-/topics { ampersand platform; include PROXY; }
    location /legacy/ { rewrite ^/legacy(/.*)$ /in/front$1 last; }
    location /again/ { rewrite ^/again/x(/.*)$ /again$1 break; ampersand proxy; include PROXY; }
    location /lost/ { error_page 403 = /within/v1/destinations; deny all; }
    location /within/v1 { internal; ampersand platform; include PROXY; }
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
    [ POST => '/searching/v1/projects/-/integrations/i', '/v1/projects/p-1/integrations/i' ],
    [ GET  => '/v1/projects/-/topics', '/v1/projects/p-1/topics' ],
    [ GET  => '/legacy/v1/integrations/a%20c', '/v1/projects/p-1/integrations/a%20c' ],
    [ GET  => '/legacy/crm/a%20b', '/a%20b' ],
    [ GET  => '/again/x/y', '/again/y' ],
    [ GET  => '/lost/x', '/v1/projects/p-1/destinations' ],
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
    [ '/within/v1/topics', 404, 'an internal location' ],
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
    . "server { listen 127.0.0.1:$port[0]; server_name write.withampersand.com; location / { ampersand write; error_page 418 = \@other; if (\$arg_other) { return 418; } include PROXY; } "
    . "location \@other { ampersand write; include PROXY; } location ~ ^/v1/projects/-/integrations/r/ { ampersand write; include PROXY; } }\n"
    . "server { listen 127.0.0.1:$port[1]; server_name proxy.withampersand.com; location / { ampersand proxy; include PROXY; } }\n"
    . "server { listen 127.0.0.1:$port[2]; location / { root $site; }");
$token = $gw->tenant('acme', project => 'p-1');
for (
    [ 0, POST => "/v1$object", 200, '/v1/projects/p-1/integrations/i/objects/contact' ],
    [ 0, POST => "/write/v1$object", 200, '/v1/projects/p-1/integrations/i/objects/contact' ],
    [ 0, POST => "/v1$object" =~ s{/i/}{/r/}r, 200, '/v1/projects/p-1/integrations/r/objects/contact' ],
    [ 0, POST => "/v1$object?other=1", 200, '/v1/projects/p-1/integrations/i/objects/contact?other=1' ],
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

# nginx -t says when a location can never match, and only then.

my ($text) = slurp($gw->dir . '/nginx.conf') =~ s/^(?:load_module|error_log|pid|daemon)\s[^;]*;//gmr;
my $in = 'include ' . $gw->dir . '/ampersand/proxy.conf;';
my $other = Gateway::Redis::free_port();

my ($path, $begins, $prefers) = (qr/no operation of this API has this path/, qr/no path of an operation of this API begins so/, qr/nginx prefers the regular expression/);
my @cases = (
    # no operation has such a path
    [ '= /v1/none', $path, "location = /v1/none { ampersand platform; $in }" ],
    [ '= /health', $path, "location = /health { ampersand platform; $in }" ],
    [ '= /', $path, "location = / { ampersand write; $in }" ],
    [ '/v1/none', $begins, "location /v1/none { ampersand platform; $in }" ],
    [ '/v1/integrationsx', $begins, "location /v1/integrationsx { ampersand platform; $in }" ],
    [ '^~ /v1/operations/o/logs/', $begins, "location ^~ /v1/operations/o/logs/ { ampersand platform; $in }" ],
    [ '/in/front/write/v1/projects/p/connections', $begins, "location /in/front/write/v1/projects/p/connections { ampersand write; $in }" ],
    [ '/v1/connections', $begins, "location /v1/connections { ampersand read; internal; $in }" ],
    [ '= /crm/contacts', $path, "location = /crm/contacts { ampersand proxy; $in }" ],
    [ '~ ^/v2', $begins, "location ~ ^/v2 { ampersand platform; $in }" ],
    [ '~ ^/read/v1/none/', $begins, "location ~ ^/read/v1/none/ { ampersand read; $in }" ],
    [ '/v1/none', $begins, "location /v1 { ampersand platform; $in location /v1/none { ampersand platform; $in } }" ],
    [ '/a%20b/v1', qr/has a byte that is encoded in a URI/, "location /a%20b/v1 { ampersand platform; $in }" ],

    # others come first
    [ '/v1', qr/$prefers "\^\/v1"/, "location ~ ^/v1 { ampersand platform; $in } location /v1 { ampersand platform; $in }" ],
    [ '/v1', qr/$prefers "\^\/\(v1\|read\)\/\?"/, "location ~ ^/(v1|read)/? { return 204; } location /v1 { ampersand platform; $in }" ],
    [ '/v1', qr/$prefers "\^\/\(\.\*\)\$"/, "location /v1 { ampersand platform; $in } location ~ ^/(.*)\$ { return 204; }" ],
    [ '/in/v1', qr/$prefers "\^\/IN"/, "location ~* ^/IN { return 204; } location /in { location /in/v1 { ampersand platform; $in } }" ],
    [ '~ ^/v1/topics', qr/an earlier regular expression matches before it: "\^\/v1\/"/,
        "location ~ ^/v1/ { return 204; } location ~ ^/v1/topics { ampersand platform; $in }" ],
    [ '~ ^/v1/topics', qr/because of "\^~" in location "\/v1"/,
        "location ^~ /v1 { ampersand platform; $in } location ~ ^/v1/topics { ampersand platform; $in }" ],
);
my @silent = (
    # an operation has it, or may have it
    "location = /v1$object { ampersand write; $in }", "location = /v1 { ampersand platform; $in }",
    map({ "location $_ { ampersand platform; $in }" } '/', '/v1', '/v1/', '/v1/integ', '/v1/integrations/i/installations/', '^~ /v1x',
        '/in/front/', '/read/v1', '/v1/projects/a:b/', '"/v1/projects/a b/"', '~ ^/v1/', '~* ^/V1/', '~ ^/(v1|x)/', '~ \.json$', '@named'),
    map({ "location $_ { ampersand proxy; $in }" } '/any/thing', '/proxy/x//y', '= /proxy/contacts'),
    "location ~* ^/V1/TOPICS/ { ampersand platform; $in }",

    # the URI is another one by then
    "location = /health { rewrite ^ /v1/integrations break; ampersand platform; $in }",
    "location /v1/none { if (\$arg_x) { rewrite ^ /v1/integrations break; } ampersand platform; $in }",

    # "ampersand" is inherited
    "location /v1 { ampersand platform; $in location = /v1/health { return 204; } location /v1/none { return 204; } }",

    # what comes first does not take all
    "location ~ ^/v1/topics { return 204; } location /v1 { ampersand platform; $in }",
    "location ~ ^/v1\$ { return 204; } location /v1 { ampersand platform; $in }",
    "location ~ ^/v1(?!/topics) { return 204; } location /v1 { ampersand platform; $in }",
    "location ~ ^/v1\\b { return 204; } location /v1 { ampersand platform; $in }",
    "location ~ ^/v1 { return 204; } location ^~ /v1/ { ampersand platform; $in }",
    "location ~ ^/v1 { return 204; } location = /v1/topics { ampersand platform; $in }",
    "location ~ ^/V1 { return 204; } location /v1 { ampersand platform; $in }",
    "location ~ ^/in { return 204; } location /in { location ~ ^/in/v1 { rewrite ^/in(.*) \$1 break; ampersand platform; $in } }",
    "location ~ ^/in { return 204; } location ^~ /in { location /in/v1 { ampersand platform; $in } }",
    "location ~ ^/v1/topics/ { return 204; } location ~ ^/v1/topics { ampersand platform; $in }",
    "location ~ ^/v1/topics { return 204; } location ~* ^/v1/topics { ampersand platform; $in }",
    "location ^~ /v1 { return 204; } location /v1/topics { return 204; } location ~ ^/v1/topics { ampersand platform; $in }",
    "location ^~ /v1 { return 204; } location /v1/topics/x { return 204; } location ~ ^/v1/topics { ampersand platform; $in }",
    'include ' . $gw->dir . '/ampersand/gateway.conf;',
);

# All of them in one configuration, each in a server on a line of its own.

my ($first, $n) = ($text =~ s/\}\s*\z//r, 0);
my ($ok, $out) = Gateway->configtest($first . join('', map { "server { listen 127.0.0.1:$other; server_name s" . $n++ . "; $_ }\n" }
    map({ $_->[2] } @cases), @silent) . "}\n");
ok $ok, 'nginx takes them' or diag $out;
my %warned;
push @{ $warned{$2} }, [ $3, $4 ] while $out =~ m{\[warn\] [^\n]*("ampersand" in \S+:(\d+): "location ([^"]+)" can never match, ([^\n;]*; the API's own place is "location \S+"))}g;
my ($least) = sort { $a <=> $b } keys %warned;
for my $case (@cases) {
    my ($location, $why, $locations) = @$case;
    my ($found, @more) = @{ delete $warned{$least++} || [] };
    is $found->[0], $location, "it names $location of: $locations";
    like $found->[1] // '', $why, 'with the reason';
    is scalar(@more), 0, 'and nothing else';
}
is_deeply \%warned, {}, 'no warning of the others';

done_testing;
