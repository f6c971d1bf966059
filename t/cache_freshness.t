#!/usr/bin/perl

# What an answer says of itself decides whether it is stored, for how long, and for
# whom (RFC 9111, 9110).

use strict;
use warnings;

use FindBin;
use POSIX qw(strftime);
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Upstream;

my $gw = Gateway->start(workers => 2);
my $up = $gw->upstream;
my $token = $gw->tenant('acme', project => 'p-1', key => 'key-acme');
my $other = $gw->tenant('other', project => 'p-2', key => 'key-other');
my $i = 0;

sub path { return '/v1/integrations/i' . ++$i }
sub get { my ($path, @h) = @_; return $gw->get($path, token => $token, headers => \@h) }
sub said { return $_[0]{headers}{'cache-status'} // 'none' }
sub found { return $_[0]{headers}{'x-cache-status'} // 'none' }
sub number { return $gw->json($_[0])->{n} }
sub date { return strftime '%a, %d %b %Y %H:%M:%S GMT', gmtime $_[0] }

subtest 'how long' => sub {
    my $skewed = time - 3000;
    my @cases = (
        [ 101 - 100, 'Cache-Control' => 'max-age=101', Age => '100' ],
        [ undef, Age => '500', 'Cache-Control' => 'max-age=60' ],
        [ undef, Age => '60', 'Cache-Control' => 'max-age=60' ],
        [ 60, Age => 'x', 'Cache-Control' => 'max-age=60' ],
        [ 9, 'Cache-Control' => 'public, s-maxage=9, max-age=2' ],
        [ undef, 'Cache-Control' => 's-maxage=0, max-age=60' ],
        [ 7, 'Cache-Control' => 'max-age=60', 'Cache-Control' => 'max-age=7' ],
        [ 2147483647, 'Cache-Control' => 'max-age=99999999999999999999' ],
        [ 70, 'Cache-Control' => 'MAX-AGE="70"' ],
        [ 80, 'Cache-Control' => 'x="no-store, private", max-age=80' ],
        [ undef, 'Cache-Control' => 'max-age=abc' ],
        [ undef, 'Cache-Control' => 'max-age=60, no-cache="set-cookie"' ],
        [ undef, 'Cache-Control' => 'max-age=60, private="x"' ],
        [ 300, Date => date($skewed), Expires => date($skewed + 300) ],
        [ 200, Date => date($skewed), Expires => date($skewed + 300), Age => '100' ],
        [ undef, Date => date($skewed + 6000), Expires => date($skewed + 5000) ],
        [ 50, 'Cache-Control' => 'max-age=50', Expires => '0' ],
        [ 60, Age => '10' ],
        [ 50, Age => '10;x', 'Cache-Control' => 'max-age=60' ],
        [ 50, Age => '10', Age => '20', 'Cache-Control' => 'max-age=60' ],
        [ undef, Date => date($skewed), Expires => date($skewed + 300) =~ s/GMT/AEST/r ],
        [ 33, 'CDN-Cache-Control' => 'max-age=33', 'Cache-Control' => 'no-store' ],
        [ undef, 'CDN-Cache-Control' => 'no-store', 'Cache-Control' => 'max-age=60' ],
        [ 60, 'CDN-Cache-Control' => 'public', 'Cache-Control' => 'max-age=10' ],
    );
    for my $case (@cases) {
        my ($seconds, @headers) = @$case;
        $up->answer({ echo => 1, headers => \@headers });
        is said(get(path())), 'ampersand; fwd=miss' . ($seconds ? "; stored; ttl=$seconds" : ''), "@headers";
    }
};

subtest 'ttl falls' => sub {
    $up->answer({ echo => 1, headers => [ 'Cache-Control' => 'max-age=1000', Age => '10' ] });
    my $path = path();
    get($path);
    my $ttl = sub { said(get($path)) =~ /^ampersand; hit; ttl=(\d+)$/ ? $1 : 'none' };
    ok $gw->wait_for(sub { $ttl->() <= 988 }), 'with each second';
    my $res = get($path);
    is $res->{headers}{age} + (said($res) =~ /ttl=(\d+)/)[0], 1000, 'Age and ttl are the lifetime';
};

subtest 'If-None-Match comes before If-Modified-Since' => sub {
    my @was = ('Last-Modified' => date(time - 1000));
    for my $tag ([ ETag => '"own"' ], []) {
        $up->answer({ echo => 1, headers => [ @was, @$tag ] });
        my $path = path();
        get($path);
        my $etag = get($path)->{headers}{etag};
        my $ask = sub { get($path, @_)->{status} };
        is $ask->('If-None-Match' => $etag, 'If-Modified-Since' => date(time - 5000)), 304, 'the tag fits, the date does not';
        is $ask->('If-None-Match' => '"x"', 'If-Modified-Since' => date(time)), 200, 'the date fits, the tag does not';
        is $ask->('If-Modified-Since' => date(time)), 304, 'only a date, which fits';
        is $ask->('If-Modified-Since' => date(time - 5000)), 200, 'only a date, which does not';
        is $ask->('If-Match' => $etag, 'If-Unmodified-Since' => date(time - 5000)), 200, 'If-Match before If-Unmodified-Since';
    }
};

subtest 'a compressed answer without Vary' => sub {
    $up->answer({ echo => 1, headers => [ 'Content-Encoding' => 'gzip' ] });
    my $path = path();
    my @gzip = ('Accept-Encoding' => 'gzip');
    is found(get($path, @gzip)), 'MISS', 'stored';
    is found(get($path, @gzip)), 'HIT', 'for who reads it';
    $up->answer({ echo => 1 });
    my $plain = get($path);
    is found($plain), 'MISS', 'not for who does not';
    is $plain->{headers}{'content-encoding'}, undef, 'who gets its own';
    is get($path)->{headers}{'content-encoding'}, undef, 'from the cache, too';
};

subtest "the catalogue's entry is everybody's" => sub {
    my @own = ('X-RateLimit-Remaining' => '17', RateLimit => '"default";r=17;t=3', 'X-Amzn-Trace-Id' => 'Root=1',
               'Server-Timing' => 'db;dur=5', 'X-Caller' => 'acme');
    my @all = (ETag => '"v1"', 'Content-Language' => 'en', 'Last-Modified' => date(time - 9), 'Cache-Control' => 'max-age=77',
               'X-Content-Type-Options' => 'nosniff');
    $up->answer({ echo => 1, headers => [ @own, @all ] });
    for my $found (qw(MISS HIT)) {
        my $res = $gw->get('/v1/providers', token => $found eq 'HIT' ? $other : $token);
        is found($res), $found, $found;
        my %own = @own;
        is $res->{headers}{ lc $_ }, undef, "$_ is the caller's" for sort keys %own;
        my %all = @all;
        is $res->{headers}{ lc $_ }, $all{$_}, "$_ is the answer's" for sort keys %all;
        is $gw->json($res)->{n} > 0, 1, 'the body is whole';
    }
    is get(path())->{headers}{'x-caller'}, 'acme', "a tenant's own answers have all headers";
    $up->answer({ echo => 1, headers => [ 'Set-Cookie' => 'a=b' ] });
    is said(get('/v1/providers/hubspot')), 'ampersand; fwd=miss', 'an answer with a cookie is not stored';
};

subtest 'parameters that ask for secrets, with any operation' => sub {
    $up->answer({ echo => 1 });
    my $rich = $gw->tenant('rich', project => 'p-3', key => 'key-rich', args => [ qw(--grant default --grant secrets) ]);
    for my $name (qw(includeCreds includeRefreshToken includeSecrets INCLUDECREDS)) {
        my $target = "/v1/connections?$name=true";
        is $gw->json(get($target))->{type}, 'urn:ampersand-gateway:problem:secrets-not-granted', "$name: needs the grant";
        is found($gw->get($target, token => $rich)), 'BYPASS', 'is not stored' for 1, 2;
        is found(get("/v1/connections?$name=false")), 'MISS', "$name=false does not ask";
    }
    is get('/proxy/x?includeSecrets=1')->{status}, 200, 'of the proxy API it is the provider that defines it';
};

# What nginx does not store, whoever has told it so.

subtest 'nginx stores nothing' => sub {
    $up->answer({ echo => 1 });
    my %not = (
        proxy_no_cache => { proxy_conf => { proxy_no_cache => 1 } },
        proxy_buffering => { proxy_conf => { proxy_buffering => 'off' } },
        proxy_cache_convert_head => { proxy_conf => { proxy_cache_convert_head => 'off' } },
    );
    for my $what (sort keys %not) {
        my $own = Gateway->start(like => $gw, %{ $not{$what} });
        my $head = $what =~ /head/;
        my $path = path();
        my $ask = sub { $own->request($head ? 'HEAD' : 'GET', $path, token => $token) };
        is said($ask->()), 'ampersand; fwd=miss', "$what: not said to be stored";
        is found($ask->()), 'MISS', 'and it is not';
        my $get = $own->get($path, token => $token);
        is $get->{status}, 200, 'GET';
        ok number($get), 'has its body';
        $own->finish;
    }
    for my $line ('proxy_buffering off;', 'proxy_cache_convert_head off;') {
        my $own = Gateway->start(like => $gw, http => $line);
        my $path = path();
        is said($own->request('HEAD', $path, token => $token)), 'ampersand; fwd=miss; stored; ttl=60', "$line in http{}: stored";
        my $get = $own->get($path, token => $token);
        is found($get), 'HIT', 'and found';
        ok number($get), 'with its body';
        $own->finish;
    }
};

$gw->finish;
done_testing;
