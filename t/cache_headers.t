#!/usr/bin/perl

# What an answer says about the cache, and what a client may ask of it:
# Cache-Status (RFC 9211) and Cache-Control (RFC 9111, 5.2.1).

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes qw(sleep time);

use lib "$FindBin::Bin/lib";
use Gateway;

my $gw = Gateway->start(workers => 2, http => <<'E');
    ampersand_cache_ttl listTopics 1s;
    ampersand_cache_ttl listProviderApps 1s;
    ampersand_cache_ttl 404 2s;
E
my $up = $gw->upstream;
my $token = $gw->tenant('acme', project => 'p-1', key => 'key-acme');
$up->answer({ echo => 1 });

sub get { my ($path, @h) = @_; return $gw->get($path, token => $token, headers => \@h) }
sub number { my $doc = $gw->json($_[0]); return ref $doc eq 'HASH' ? $doc->{n} : undef }
sub said { return $_[0]{headers}{'cache-status'} // 'none' }
sub asked { my ($path, $control) = @_; return get($path, 'Cache-Control' => $control) }

my $i = 0;
sub path { return '/v1/destinations/d' . ++$i }

subtest 'hit, miss and what is never cached' => sub {
    my $path = path();
    is said(get($path)), 'ampersand; fwd=miss; stored; ttl=60', 'a miss';
    ok $gw->wait_for(sub { said(get($path)) =~ /^ampersand; hit; ttl=(?:60|59)$/ }), 'a hit';
    like said($gw->request('HEAD', $path, token => $token)), qr/^ampersand; hit; ttl=(?:60|59)$/, 'HEAD the same';
    is said($gw->request('PATCH', $path, token => $token, json => {})), 'ampersand; fwd=method', 'a write';
    is said(get("$path?rotate=true")), 'ampersand; fwd=bypass', 'an operation that is never cached';
    $up->answer({ echo => 1, headers => [ 'Cache-Control' => 'no-store' ] });
    is said(get(path())), 'ampersand; fwd=miss', 'not stored';
    $up->answer({ echo => 1, headers => [ Vary => 'Accept-Language' ] });
    $path = path();
    ok $gw->wait_for(sub { said(get($path, 'Accept-Language' => 'de')) =~ /hit/ }), 'one language is stored';
    is said(get($path, 'Accept-Language' => 'en')), 'ampersand; fwd=vary-miss; stored; ttl=60', 'another language';
    $up->answer({ echo => 1, headers => [ 'Cache-Status' => 'theirs; hit' ] });
    is_deeply [ map { $_->[1] } grep { lc $_->[0] eq 'cache-status' } @{ get(path())->{all} } ],
        [ 'theirs; hit', 'ampersand; fwd=miss; stored; ttl=60' ], 'a cache behind us comes first';
    $up->answer({ echo => 1 });
};

subtest 'an answer that did not come through the cache has no cache headers' => sub {
    for my $res ($gw->get('/v1/destinations'), get('/v1/nothing'), get('/v1/projects/p-2/destinations')) {
        cmp_ok $res->{status}, '>=', 400, "a refusal, $res->{status}";
        is $res->{headers}{$_}, undef, "no $_" for qw(cache-status x-cache-status age);
    }
};

subtest 'no Age where the cache was not asked, unless Ampersand gave one' => sub {
    my $write = sub { $gw->request('POST', '/v1/topics', token => $token, json => { name => 'n' }) };
    is $write->()->{headers}{age}, undef, 'a write';
    my $res = get('/v1/generate-upload-url');
    is $res->{status}, 200, 'a GET that is never stored';
    is $res->{headers}{age}, undef, 'no age';
    $up->answer({ echo => 1, headers => [ Age => '7' ] });
    is $write->()->{headers}{age}, 7, "Ampersand's own";
    $up->answer({ echo => 1 });
};

subtest 'requests that waited for one cache entry' => sub {
    my $path = path();
    $up->answer({ echo => 1, delay => 0.2 });
    my @sockets = map {
        my $s = $gw->connect;
        syswrite $s, "GET $path HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Api-Key: $token\r\n\r\n";
        $s;
    } 1 .. 5;
    my @said = sort map { said(Gateway::read_response($_)) } @sockets;
    $up->answer({ echo => 1 });
    is scalar(grep { /^ampersand; fwd=miss; stored; ttl=60$/ } @said), 1, 'one request went upstream';
    is scalar(grep { /^ampersand; fwd=miss; collapsed; ttl=(?:60|59)$/ } @said), 4, 'four waited for its answer' or diag "@said";
};

subtest 'Cache-Control: no-cache' => sub {
    for my $control ('no-cache', 'max-age=0', 'No-Cache', 'foo, max-age=0 , bar', 'no-transform,no-cache') {
        my $path = path();
        my $old = number(get($path));
        is number(get($path)), $old, 'the answer is cached';
        my $res = asked($path, $control);
        isnt number($res), $old, "$control: asked again";
        is $res->{headers}{'x-cache-status'}, 'BYPASS', "$control: X-Cache-Status";
        is said($res), 'ampersand; fwd=request; stored; ttl=60', "$control: Cache-Status";
        ok $gw->wait_for(sub { number(get($path)) == number($res) }), "$control: the entry is replaced";
    }
    for my $control ('max-age=60', 'no-cachex', 'x-no-cache', 'max-stale', 'public') {
        my $path = path();
        my $old = number(get($path));
        is number(asked($path, $control)), $old, "$control: the stored answer is served";
    }
    my $path = path();
    get($path);
    $up->answer({ status => 410 });
    is asked($path, 'no-cache')->{status}, 410, 'the upstream answers 410 since';
    ok $gw->wait_for(sub { get($path)->{status} == 410 }), 'the entry is removed';
    $up->answer({ echo => 1 });
    my $kept = path();
    my $old = number(get($kept));
    $up->answer({ status => 503 });
    is asked($kept, 'no-cache')->{status}, 503, 'a failure is passed on';
    is number(get($kept)), $old, 'and the entry stays';
    $up->answer({ echo => 1 });
};

subtest 'no-store and only-if-cached' => sub {
    my $path = path();
    my $res = asked($path, 'no-store');
    is said($res), 'ampersand; fwd=request', 'no-store';
    is get($path)->{headers}{'x-cache-status'}, 'MISS', 'is not stored';
    is number(asked($path, 'only-if-cached')), number(get($path)), 'only-if-cached: from the cache';
    my $seen = $up->requests;
    for my $case ([ path() ], [ path(), 'only-if-cached, no-cache' ], ["$path?rotate=true"], [ $path, 'only-if-cached, no-store' ]) {
        my ($path, $control) = @$case;
        $res = asked($path, $control || 'only-if-cached');
        is $res->{status}, 504, $control || 'only-if-cached';
        is $gw->json($res)->{type}, 'urn:ampersand-gateway:problem:not-cached', 'with its problem';
    }
    is scalar($up->requests), $seen, 'no request goes upstream';
};

subtest 'a request with no-cache counts against the rate limit' => sub {
    my $slow = $gw->tenant('slow', project => 'p-9', args => [ '--rate', '1/m', '--burst', '3' ]);
    my $ask = sub { $gw->get('/v1/destinations/x', token => $slow, headers => [ 'Cache-Control' => 'no-cache' ])->{status} };
    is_deeply [ map { $ask->() } 1 .. 5 ], [ 200, 200, 200, 429, 429 ], 'three pass, then 429';
    is $gw->get('/v1/destinations/x', token => $slow)->{status}, 200, 'a stored answer is still served';
};

subtest 'expired entries' => sub {
    get($_) for '/v1/topics', '/v1/provider-apps';
    ok $gw->wait_for(sub { said(get('/v1/topics')) =~ /^ampersand; hit; ttl=-[12]$/ }), 'stale while it is refreshed in the background';
    $up->answer({ status => 503 });
    ok $gw->wait_for(sub { said(get('/v1/provider-apps')) =~ /^ampersand; hit; ttl=-\d+$/ }), 'stale when Ampersand fails';
    $up->answer({ echo => 1 });
};

subtest 'a 404 is kept as long as ampersand_cache_ttl 404 says' => sub {
    my $path = path();
    $up->answer({ status => 404 });
    is said(get($path)), 'ampersand; fwd=miss; stored; ttl=2', 'stored';
    ok $gw->wait_for(sub { said(get($path)) =~ /^ampersand; hit/ }), 'and kept';
    is get($path)->{status}, 404, 'the stored answer is a 404';
    $up->answer({ status => 404, headers => [ 'Cache-Control' => 'max-age=3600' ] });
    is said(get(path())), 'ampersand; fwd=miss; stored; ttl=2', 'not longer than configured, whatever Ampersand says';
    $up->answer({ status => 404, headers => [ 'Cache-Control' => 'max-age=1' ] });
    is said(get(path())), 'ampersand; fwd=miss; stored; ttl=1', 'shorter when Ampersand says so';
    $up->answer({ status => 404, headers => [ 'Cache-Control' => 'no-store' ] });
    is said(get(path())), 'ampersand; fwd=miss', 'not at all when Ampersand says so';
    $up->answer({ status => 410 });
    is said(get(path())), 'ampersand; fwd=miss', 'no other error is stored';
    $up->answer({ echo => 1 });
    $gw->request('PATCH', $path, token => $token, json => {});
    is get($path)->{status}, 200, 'a write ends it';
};

subtest 'Vary' => sub {
    my $pair = sub {
        my ($vary, $first, $next) = @_;
        $up->answer({ echo => 1, headers => [ map { ('Vary', $_) } @$vary ] });
        my $path = path();
        my $old = number(get($path, @$first));
        return ($old, sub { number(get($path, @$next)) });
    };
    my $kept = sub { my ($old, $ask) = $pair->(@_); return $gw->wait_for(sub { $ask->() == $old }) };
    my $apart = sub { my ($old, $ask) = $pair->(@_); return $ask->() != $old };
    my @de = ('Accept-Language' => 'de');
    my @en = ('Accept-Language' => 'en');
    my @site = (Origin => 'https://a', 'X-Foo' => '1');
    ok $kept->(['Origin'], \@site, \@site), 'a header that Ampersand does not get selects nothing';
    ok $kept->(['Origin'], \@site, []), 'with or without it';
    ok $kept->(['X-Api-Key, x-foo', 'Authorization'], \@site, []), 'nor does a credential';
    ok $kept->([ 'Accept-Language', 'Origin' ], [ @de, @site ], \@de), 'a header that Ampersand gets selects the answer';
    ok $apart->([ 'Accept-Language', 'Origin' ], \@de, \@en), 'another value is another answer';
    ok $apart->([ 'Origin', 'ACCEPT-LANGUAGE,X-Foo' ], \@de, \@en), 'in a second line and in capitals too';
    ok $apart->([ '*', 'Origin' ], \@de, \@de), 'Vary: * is not cached';
    ok $apart->([ map { "Accept-$_" x 5 } 1 .. 5 ], \@de, \@de), 'an answer with too many names in Vary is not cached';
    $up->answer({ echo => 1 });
};

subtest 'lifetimes of a tenant' => sub {
    my $own = $gw->tenant('own', project => 'p-3', key => 'key-own');
    my $ttl = sub {
        my $said = said($gw->get($_[0], token => $own, headers => [ 'Cache-Control' => 'no-cache' ]));
        return $said =~ /; ttl=(\d+)$/ ? $1 : $said;
    };
    my $became = sub {
        my ($path, $want, $why) = @_;
        my $is;
        $gw->wait_for(sub { ($is = $ttl->($path)) eq $want });
        is $is, $want, $why;
    };
    is $ttl->('/v1/destinations'), 60, "the operations table's";
    is $ttl->('/v1/topics'), 1, "the configuration's";
    $gw->ctl(qw(cache set own --ttl 7s));
    $became->('/v1/destinations', 7, "the tenant's");
    is $ttl->('/v1/topics'), 7, "which beats the configuration's";
    isnt $ttl->('/v1/providers'), 7, 'not for the catalogue, which all tenants share';
    is $ttl->('/v1/api-keys'), 'none', 'an operation that is not granted is not cached';
    $gw->ctl(qw(cache set own --for listTopics --ttl 0));
    $became->('/v1/topics', 'ampersand; fwd=bypass', '0: the operation is not cached');
    is $ttl->('/v1/destinations'), 7, 'other operations still are';
    is said(get('/v1/topics', 'Cache-Control' => 'no-cache')), 'ampersand; fwd=request; stored; ttl=1', "other tenants keep the configured lifetime";
    is $ttl->('/proxy/x/y'), 'ampersand; fwd=bypass', 'the proxy API by name only';
    $gw->ctl(qw(cache set own --for proxyRequest --ttl 9s));
    $became->('/proxy/x/y', 9, 'the proxy API when it is named');
};

# Without background refresh and stale answers, as nginx's directives have it.

my $plain = Gateway->start(
    like => $gw, http => 'ampersand_cache_ttl default 1s;',
    proxy_conf => { proxy_cache_background_update => 'off', proxy_cache_use_stale => 'error http_503' },
);

subtest 'without background refresh the client waits for the new answer' => sub {
    my $ask = sub { $plain->get('/v1/topics', token => $token) };
    $up->answer({ echo => 1 });
    my $old = number($ask->());
    my $res;
    ok $plain->wait_for(sub { $res = $ask->(); number($res) != $old }), 'a new answer';
    is said($res), 'ampersand; fwd=stale; stored; ttl=1', 'which Cache-Status says';
    my $stored = time;
    sleep int($stored) + 2.02 - $stored;    # nginx counts lifetimes in whole seconds
    $up->answer({ status => 503 });
    $res = $ask->();
    is $res->{status}, 200, 'stale when Ampersand fails';
    like said($res), qr/^ampersand; fwd=stale; fwd-status=503; ttl=-\d+$/, 'which Cache-Status says';
    $up->answer({ status => 500 });
    is $ask->()->{status}, 500, 'not for a status that proxy_cache_use_stale does not name';
    $up->answer({ echo => 1 });
};

$plain->finish;

my $hits = Gateway->start(like => $gw, http => 'ampersand_limit_hits on;');

subtest 'ampersand_limit_hits on: only-if-cached is answered from the cache' => sub {
    my $ask = sub { $hits->get($_[0], token => $token, headers => [ 'Cache-Control' => 'only-if-cached' ]) };
    my $path = path();
    my $stored = number($hits->get($path, token => $token));
    my $seen = $up->requests;
    my $res = $ask->($path);
    is $res->{status}, 200, 'a stored answer';
    is number($res), $stored, 'from the cache';
    for my $missing (path(), "$path?rotate=true") {
        is $hits->json($ask->($missing))->{type}, 'urn:ampersand-gateway:problem:not-cached', 'none is stored: not-cached';
    }
    is scalar($up->requests), $seen, 'no request goes upstream';
};

$hits->finish;
$gw->finish;
done_testing;
