#!/usr/bin/perl

# ETag of cached answers, 304 for clients that have the answer, HEAD from the same entry.

use strict;
use warnings;

use File::Temp ();
use FindBin;
use Test::More;
use Time::HiRes qw(sleep time);

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Upstream;

# The target says how an answer ends (chunked, length, close), its length and its
# text.  The text depends on the size of a file too, so that a test can change it.

my $change = File::Temp->new;
my $up = Gateway::Upstream->start(sub {
    my ($req) = @_;
    my ($how, $bytes, $what) = $req->{target} =~ /(chunked|length|close|own|soft|dear|cut|gone)-(\d+)-(\w+)/
        or return { body => '{"id":"p-1"}' };
    my $body = substr("$what-" . (-s $change->filename) . '.' . 'x' x $bytes, 0, $bytes);
    my $head = 'HTTP/1.1 ' . ($how eq 'gone' ? 404 : 200) . " OK\r\nContent-Type: text/plain\r\n";
    $head .= qq{ETag: "theirs"\r\n} if $how eq 'own';
    $head .= qq{Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n} if $how eq 'soft';
    $head .= "Cache-Control: no-store\r\n" if $how eq 'dear';
    return { bytes => "$head\r\n$body", close => 1 } if $how eq 'close';
    my $length = "Content-Length: " . ($bytes + ($how eq 'cut')) . "\r\n";
    return { bytes => "$head$length\r\n$body", close => $how eq 'cut' } if $how ne 'chunked';
    my $chunks = join '', map { sprintf "%x\r\n%s\r\n", length $_, $_ } $body =~ /(.{1,3000})/gs;
    return { bytes => "${head}Transfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n" };
});

my $gw = Gateway->start(workers => 2, upstream => $up->url, http => 'ampersand_cache_ttl listTopics 1s; ampersand_cache_ttl 404 1m;');
my $far = Gateway->start(like => $gw);
my $token = $gw->tenant('acme', project => 'p-1', key => 'key-acme');

sub ask {
    my ($method, $path, @h) = @_;
    return $gw->request($method, $path, token => $token, headers => \@h);
}
sub get { return ask('GET', @_) }
sub etag { return $_[0]{headers}{etag} // 'none' }
sub length_of { return $_[0]{headers}{'content-length'} // 'none' }

# The answer from the cache.  A client may have an answer before it is stored.

sub stored {
    my ($path, @h) = @_;
    my $res;
    $gw->wait_for(sub { $res = get($path, @h); $res->{headers}{'x-cache-status'} eq 'HIT' });
    return $res;
}

my (%tag, %of);

subtest "an answer with $_" => sub {
    my $how = $_;
    for my $bytes (0, 1, 100, 3000, 5000, 40_000, 300_000) {
        my $path = "/v1/destinations/$how-$bytes-a";
        my $first = get($path);
        is length $first->{body}, $bytes, "$bytes bytes";
        my $hit = stored($path);
        is $hit->{headers}{'x-cache-status'}, 'HIT', 'stored';
        is $hit->{body}, $first->{body}, 'the same bytes';
        my $etag = etag($hit);
        like $etag, qr/^"[0-9a-f]{32}"$/, 'has an ETag';
        is $of{ $first->{body} } //= $etag, $etag, 'the same body has the same, however it came';
        like etag($first), qr/^(?:none|\Q$etag\E)$/, 'the first answer has the same ETag, or none';
        $tag{$path} = etag($hit);

        for my $method (qw(GET HEAD)) {
            my $same = ask($method, $path, 'If-None-Match' => $etag);
            is $same->{status}, 304, "$method with If-None-Match: 304";
            is etag($same), $etag, 'with the ETag';
            is $same->{body}, '', 'without a body';
            is $same->{headers}{'content-type'}, undef, 'and without a type';
        }
        my $head = ask('HEAD', $path);
        is "$head->{status} " . etag($head), "200 $etag", 'HEAD';
        is length_of($head), length_of($hit), 'HEAD has the length';
    }
} for qw(length chunked);

subtest 'If-None-Match and If-Match' => sub {
    my $path = '/v1/destinations/length-200-c';
    my $etag = etag(get($path));
    like $etag, qr/^"[0-9a-f]{32}"$/, 'the first answer has an ETag when it is small';
    is stored($path)->{status}, 200, 'stored';
    for my $value ("W/$etag", "\"x\", $etag", "W/\"x\",W/$etag , \"y\"", '*') {
        is get($path, 'If-None-Match' => $value)->{status}, 304, "$value: 304";
    }
    for my $value ('"x"', $etag =~ tr/"//dr, '"' . 'a' x 32 . '"', 'garbage', '"', 'W/') {
        my $res = get($path, 'If-None-Match' => $value);
        is "$res->{status} " . length $res->{body}, '200 200', "$value: 200";
    }
    is get($path, 'If-Match' => $etag)->{status}, 200, 'If-Match';
    my $res = get($path, 'If-Match' => '"x"');
    is $res->{status}, 412, 'another ETag in If-Match: 412';
    is $gw->json($res)->{type}, 'urn:ampersand-gateway:problem:precondition-failed', 'a problem';
    $res = get('/v1/destinations/length-200-c?new', 'If-None-Match' => $etag);
    is $res->{status}, 304, 'If-None-Match matches the answer of a miss';
    is stored('/v1/destinations/length-200-c?new')->{body}, get($path)->{body}, 'the whole answer is stored';
    $res = get($path, 'If-None-Match' => $etag, 'Cache-Control' => 'no-cache');
    is "$res->{status} $res->{headers}{'x-cache-status'}", '304 BYPASS', 'no-cache, and the answer is the same: 304';
    is $res->{headers}{'cache-status'}, 'ampersand; fwd=request; stored; ttl=60', 'Cache-Status';
};

subtest 'Range' => sub {
    my $path = '/v1/destinations/length-200-c';
    is get($path, Range => 'bytes=0-9', 'If-Range' => etag(stored($path)))->{status}, 200, 'ignored unless Ampersand supports ranges';
};

subtest "an ETag of Ampersand's is passed on" => sub {
    my $path = '/v1/destinations/own-5000-d';
    is etag(get($path)), '"theirs"', 'first';
    is etag(stored($path)), '"theirs"', 'and from the cache';
    is get($path, 'If-None-Match' => '"theirs"')->{status}, 304, '304 with it';
    $path = '/v1/destinations/soft-5000-d';
    get($path);
    is get($path, 'If-Modified-Since' => 'Sun, 06 Nov 1994 08:49:37 GMT')->{status}, 304, 'Last-Modified is passed on';
    isnt etag(stored($path)), 'none', 'with an ETag of the gateway';
};

subtest 'another gateway has the same ETags' => sub {
    for my $path (sort keys %tag) {
        my $res;
        $far->wait_for(sub {
            $res = $far->get($path, token => $token);
            return $res->{headers}{'x-cache-status'} eq 'HIT';
        });
        is etag($res), $tag{$path}, $path;
    }
};

subtest 'an answer that is not cached has no ETag of the gateway' => sub {
    for my $path ('/v1/destinations/dear-100-e', '/v1/destinations/length-100-e?rotate=true', '/v1/destinations/gone-100-e') {
        for (1, 2) {
            my $res = get($path, 'If-None-Match' => '*');
            is "$res->{status} " . etag($res), ($path =~ /gone/ ? '404' : '200') . ' none', $path;
        }
    }
    is etag(get('/v1/destinations/length-100-f', 'Cache-Control' => 'no-store')), 'none', 'no-store';
    is etag(ask('PATCH', '/v1/destinations/length-100-f', 'Content-Type' => 'application/json')), 'none', 'a write';
    my $res = get('/v1/destinations/close-9000-g');
    is length($res->{body}) . ' ' . etag($res), '9000 none', 'an answer that ends with its connection';
    is etag(get('/v1/destinations/close-9000-g')), 'none', 'stored';
    get('/v1/destinations/cut-9000-h') for 1, 2;
    is get('/v1/destinations/cut-9000-h')->{headers}{'x-cache-status'}, 'MISS', 'an incomplete answer is not stored';
};

subtest 'a refreshed answer has the same ETag if it is the same, else another' => sub {
    my $path = '/v1/topics?q=chunked-9000-i';
    get($path);
    my $etag = etag(stored($path));
    my $seen = $up->requests;
    ok $gw->wait_for(sub { get($path); $up->requests > $seen }), 'refreshed';
    is etag(stored($path)), $etag, 'the same ETag';
    is get($path, 'If-None-Match' => $etag)->{status}, 304, 'still 304';
    print $change 'x';
    $change->flush;
    my $res;
    ok $gw->wait_for(sub { $res = get($path, 'If-None-Match' => $etag); $res->{status} == 200 }), 'changed';
    isnt etag($res), $etag, 'another ETag';
    my $new = stored($path);
    is $new->{body}, $res->{body}, 'the new body';
    isnt etag($new), $etag, 'has a new one in the cache, too';
};

subtest 'the list of projects, which the gateway composes' => sub {
    get('/v1/projects');
    my $res = stored('/v1/projects');
    is $res->{body}, '[{"id":"p-1"}]', 'an array';
    like etag($res), qr/^"/, 'has an ETag';
    my $same = get('/v1/projects', 'If-None-Match' => etag($res));
    is "$same->{status} $same->{body}", '304 ', '304 with it';
    is ask('HEAD', '/v1/projects')->{headers}{etag}, etag($res), 'HEAD';
};

$far->finish;
$gw->finish;
done_testing;
