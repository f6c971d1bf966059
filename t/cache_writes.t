#!/usr/bin/perl

# What a write does to the caches of two gateways: whatever its outcome, whatever
# other requests are under way, when its client leaves, and while Redis is away.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Made;
use Gateway::Redis;
use Gateway::Upstream;
use Gateway::Versions;

# An upstream that keeps one number for each path: a GET answers the number, a
# PATCH increments it.  User-Agent says what else: "hold" computes the answer at
# once and sends it after $up->release, "drop" closes the connection without an
# answer, "status=N" is the status of the answer.

my $up = Gateway::Upstream->start(do {
    my %n;
    sub {
        my ($req) = @_;
        my ($path) = split /\?/, $req->{target};
        my $how = Gateway::Upstream::header($req, 'user-agent') // '';
        $n{$path}++ if $req->{method} ne 'GET';
        return { drop => 1 } if $how =~ /drop/;
        return { body => $n{$path} // 0, hold => scalar($how =~ /hold/), status => $how =~ /status=(\d+)/ ? $1 : 200 };
    };
});

my $redis = Gateway::Redis->start('--appendonly', 'yes');
my @o = (workers => 2, redis => $redis, upstream => $up->url);
my $h2 = Gateway::Redis::free_port();
my $gw = Gateway->start(@o, server => Gateway::Versions::http2("127.0.0.1:$h2"));
my $far = Gateway->start(@o, like => $gw);
my $impatient = Gateway->start(@o, like => $gw, proxy_conf => { proxy_read_timeout => '300ms' });
my %token = (
    acme => $gw->tenant('acme', project => 'p-1', key => 'key-acme'),
    twin => $gw->tenant('twin', project => 'p-1', key => 'key-twin'),
);

sub how { return (headers => [ 'User-Agent' => $_[0] // 'x' ]) }
sub get { my ($g, $who, $path, $how) = @_; return $g->get($path, token => $token{$who}, how($how)) }
sub number { return get(@_)->{body} }
sub cached { return get(@_)->{headers}{'x-cache-status'} }

sub change {
    my ($path, $how, $g) = @_;
    return ($g || $gw)->request('PATCH', $path, token => $token{acme}, json => {}, how($how));
}

# A request that is sent and not waited for.

sub begin {
    my ($g, $method, $path, $how) = @_;
    my $socket = $g->connect or die "connect: $!";
    my $seen = $up->requests;
    my $body = $method eq 'GET' ? '' : '{}';
    syswrite $socket, "$method $path HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Api-Key: $token{acme}\r\nUser-Agent: "
        . ($how // 'x') . "\r\nContent-Type: application/json\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
    $gw->wait_for(sub { $up->requests > $seen }) or die 'no request upstream';
    return $socket;
}

sub applied { ok $gw->applied('p-1', $_[0], $far), 'both gateways have applied the write' }

my $i = 0;
sub path { return '/v1/destinations/d' . ++$i }

subtest 'the answer to a GET that began before a write is not stored' => sub {
    my $path = path();
    my $get = begin($gw, 'GET', $path, 'hold');
    applied(sub { is change($path)->{status}, 200, 'a write while the GET is under way' });
    is number($gw, 'acme', $path), 1, 'the next GET gets the new state';
    $up->release;
    is Gateway::read_response($get)->{body}, 0, 'the first GET ends with the old state';
    is number($gw, $_, $path), 1, "$_ gets the new state" for qw(acme twin);
    is cached($gw, 'acme', $path), 'HIT', 'from the cache';
};

subtest 'a GET that begins before a write is answered and ends after that' => sub {
    my $path = path();
    my $write = begin($gw, 'PATCH', $path, 'hold');
    is number($gw, 'acme', $path), 1, 'the upstream has done the write and not answered it';
    my $get = begin($gw, 'GET', "$path?x=1", 'hold');
    $up->release(1);
    is Gateway::read_response($write)->{status}, 200, 'the write is answered';
    is cached($gw, 'acme', $path), 'MISS', 'what was stored before that answer is not used';
    $up->release;
    is Gateway::read_response($get)->{status}, 200, 'the GET is answered';
    is cached($gw, 'acme', "$path?x=1"), 'MISS', 'and its answer is not used';
};

subtest 'the other gateway does not store the answer to a GET that began before the write' => sub {
    my $path = path();
    my $get = begin($far, 'GET', $path, 'hold');
    applied(sub { is change($path)->{status}, 200, 'a write at this gateway while a GET is under way at the other' });
    is number($far, 'twin', $path), 1, 'the other gateway gives the new state';
    $up->release;
    is Gateway::read_response($get)->{body}, 0, 'the GET ends with the old state';
    is number($far, 'acme', $path), 1, 'which is not stored';
};

subtest 'a write is seen on the other gateway by every tenant of the project' => sub {
    for my $who (qw(acme twin)) {
        my $path = path();
        number($far, $who, $path);
        is cached($far, $who, $path), 'HIT', "$who: stored at the other gateway";
        applied(sub { change($path) });
        is number($far, $who, $path), 1, "$who: the new state";
    }
};

# Several requests after the client has closed its connection: the workers have
# processed that event before they answer them.

sub asked_meanwhile {
    my ($path) = @_;
    is join(' ', map { number($gw, 'acme', $path) } 1 .. 6), '0 0 0 0 0 0', 'the old state until the write is answered';
}

subtest 'a write goes on when its client leaves' => sub {
    my $path = path();
    number($gw, 'acme', $path);
    applied(sub {
        close begin($gw, 'PATCH', $path, 'hold');
        asked_meanwhile($path);
        $up->release;
    });
    is number($gw, 'acme', $path), 1, 'the new state after that';
};

subtest 'a write over HTTP/2 goes on when its client leaves' => sub {
    my %ways = (
        close => sub { close $_[0] },
        RST_STREAM => sub { syswrite $_[0], Gateway::Made::frame(3, 0, 1, pack 'N', 8) },
        GOAWAY => sub { syswrite $_[0], Gateway::Made::frame(7, 0, 0, pack 'NN', 0, 0) },
    );
    for my $way (sort keys %ways) {
        my $path = path();
        number($gw, 'acme', $path);
        my $seen = $up->requests;
        applied(sub {
            my $socket = Gateway::Made::h2($h2, 'PATCH', $path, [ 'x-api-key' => $token{acme}, 'user-agent' => 'hold',
                'content-type' => 'application/json', 'content-length' => 2 ], '{}');
            ok $gw->wait_for(sub { $up->requests > $seen }), "$way: the write is under way";
            $ways{$way}->($socket);
            asked_meanwhile($path);
            $up->release;
        });
        is number($gw, 'acme', $path), 1, "$way: the new state after that";
    }
};

subtest 'a write with an unknown outcome invalidates, a refused write does not' => sub {
    for my $how ('hold', 'drop', 'status=500', 'status=504') {
        my $path = path();
        my ($g, $what) = $how eq 'hold' ? ($impatient, 'a time-out') : ($gw, $how);
        number($g, 'acme', $path);
        applied(sub { cmp_ok change($path, $how, $g)->{status}, '>=', 500, $what });
        isnt cached($g, 'acme', $path), 'HIT', "$what: the stored answer is not used";
    }
    my $path = path();
    number($impatient, 'acme', $path);
    applied(sub { close begin($impatient, 'PATCH', $path, 'hold') });
    is number($impatient, 'acme', $path), 1, 'a time-out after the client has left';
    for my $status (400, 409, 422, 429) {
        my $path = path();
        number($gw, 'acme', $path);
        is change($path, "status=$status")->{status}, $status, "the upstream answers $status";
        is cached($gw, 'acme', $path), 'HIT', "$status: the stored answer is used";
    }
};

subtest 'a GET with a parameter that changes state invalidates like a write' => sub {
    for my $case ([ '/v1/destinations/r', 'rotate', '/v1/connections/r' ],
                  [ '/v1/connections/r', 'refresh', '/v1/destinations/r' ]) {
        my ($path, $parameter, $other) = @$case;
        number($gw, 'acme', $_) for $path, $other;
        is cached($gw, 'acme', $_), 'HIT', "$_ is stored" for $path, $other;
        applied(sub { is get($gw, 'acme', "$path?$parameter=true")->{status}, 200, "$parameter=true" });
        is cached($gw, 'acme', $path), 'MISS', "$parameter=true: the stored answer is not used";
        is cached($gw, 'acme', $other), 'HIT', "$parameter=true: other families stay";
        get($gw, 'acme', "$path?$parameter=false");
        is cached($gw, 'acme', $path), 'HIT', "$parameter=false is a read";
    }
};

subtest 'a write while Redis is down invalidates at the other gateway when Redis is back' => sub {
    my @paths = map { path() } 1 .. 3;
    number($_->[0], 'acme', $_->[1]) for map { my $p = $_; map { [ $_, $p ] } $gw, $far } @paths;
    $redis->crash;
    ok $gw->wait_for(sub { !$gw->status->{redis_links_up} && !$far->status->{redis_links_up} }), 'Redis is down';
    is change($_)->{status}, 200, 'a write' for @paths;
    is number($gw, 'acme', $_), 1, 'this gateway gives the new state' for @paths;
    is number($far, 'acme', $paths[0]), 0, 'the other gateway still gives the old one';
    $gw->reload;
    $redis->restart;
    for my $path (@paths) {
        ok $far->wait_for(sub { number($far, 'acme', $path) == 1 }), 'the other gateway gives the new state';
        is number($gw, 'acme', $path), 1, 'this gateway still does';
    }
};

$_->finish for $impatient, $far, $gw;
done_testing;
