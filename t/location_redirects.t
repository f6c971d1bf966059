#!/usr/bin/perl

# What nginx's own directives in and around a gateway location may do with a request:
# "if", "set", try_files, X-Accel-Redirect of another server.  It is decided and sent
# once, with the tenant's key, at the URI that it has by then.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Upstream;

my $app = Gateway::Upstream->start(sub {
    my ($req) = @_;
    my ($to) = $req->{target} =~ /to=(.*)/;
    return { headers => [ 'X-Accel-Redirect' => $to, 'X-Api-Key' => 'own' ], body => 'not sent' };
});
my $gw = Gateway->start(server => <<"S");
    location /v1/projects {
        if (\$arg_mark) { add_header X-If marked; }
        if (\$request_method = PURGE) { return 410; }
        if (\$arg_back) { rewrite ^ /v1/topics/rewritten? last; }
        set \$mark 1;
        ampersand platform; include PROXY;
    }
    location /v1/destinations { try_files /none /v1/topics/tried; ampersand platform; include PROXY; }
    location /v1/operations { try_files /none \@other; ampersand platform; include PROXY; }
    location \@other { ampersand platform; include PROXY; }
    location /app { proxy_pass @{[ $app->url ]}; }
S
my $token = $gw->tenant('acme', project => 'p-1');
my $up = $gw->upstream;

# Status, a header of "if", and what upstream got.

sub ask {
    my ($method, $path, %o) = @_;
    $up->take;
    my $res = $gw->request($method, $path, token => $token, %o);
    my @seen = $up->take;
    is join(' ', grep { $_ ne 'key-of-acme' } map { Gateway::Upstream::header($_, 'x-api-key') } @seen), '', "$method $path: the tenant's key alone";
    return join ' ', $res->{status}, $res->{headers}{'x-if'} // '-', map { $_->{target} } @seen;
}

my $v1 = '/v1/projects/p-1';
for (
    # "if" that matches, and one that does not
    [ GET => '/v1/projects/-/topics?mark=1', "200 marked $v1/topics?mark=1" ],
    [ GET => '/v1/projects/-/topics', "200 - $v1/topics" ],
    [ GET => '/v1/projects/-/topics?mark=1', '200 marked' ],    # from the cache
    [ POST => '/v1/projects/-/topics?mark=1', "200 marked $v1/topics?mark=1", json => {} ],
    [ POST => '/v1/projects/-/groups?mark=1', "200 marked $v1/groups?mark=1", json => { groupRef => 'g' } ],
    [ GET => '/v1/projects/p-2/topics?mark=1', '403 -' ],
    [ GET => '/v1/projects/-/none?mark=1', '404 -' ],
    [ DELETE => '/v1/projects/-/topics?mark=1', '405 -' ],
    [ PURGE => '/v1/projects/-/topics', '410 -' ],
    [ PATCH => '/v1/projects/-/topics/t?back=1', "200 - $v1/topics/rewritten", json => {} ],

    # try_files, to a URI and to a named location
    [ PATCH => '/v1/destinations/d', "200 - $v1/topics/tried", json => {} ],
    [ GET => '/v1/operations/o', "200 - $v1/operations/o" ],

    # another server sends the request here
    [ GET => '/app?to=/v1/integrations/i', "200 - $v1/integrations/i" ],
    [ GET => '/app?to=/v1/projects/p-2/integrations', '403 -' ],
    [ GET => '/app?to=/v1/none', '404 -' ],
) {
    my ($method, $path, $expected, @more) = @$_;
    is ask($method, $path, @more), $expected, "$method $path";
}
is $gw->get('/app?to=/v1/integrations/i')->{status}, 401, 'a client without a token gets nothing from there';
$gw->finish;
done_testing;
