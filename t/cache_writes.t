#!/usr/bin/perl

# What a write does to the caches, however it ends and whatever is under way
# meanwhile: forced interleavings, clients that leave, a Redis that is away.

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes qw(sleep time);

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Made;
use Gateway::Redis;
use Gateway::Upstream;

# An Ampersand with one number for each path: a GET answers it, a PATCH raises
# it.  wait=S holds the answer back for S seconds after that was done; late=S
# does it S seconds after the request came, which is what the client sees of a
# slow way there.

my $up = Gateway::Upstream->start(do {
    my (%n, @later);
    sub {
        my ($req) = @_;
        my ($path, $query) = split /\?/, $req->{target};
        my ($wait) = ($query // '') =~ /wait=([\d.]+)/;
        ($wait) = (Gateway::Upstream::header($req, 'user-agent') // '') =~ /wait=([\d.]+)/ unless $wait;
        my $how = Gateway::Upstream::header($req, 'user-agent') // '';
        $n{$path}++ if $req->{method} ne 'GET';
        return undef if $how =~ /silent/;
        return { drop => 1 } if $how =~ /drop/;
        return { body => $n{$path} // 0, delay => $wait, status => $how =~ /status=(\d+)/ ? $1 : 200 };
    };
});

my $redis = Gateway::Redis->start('--appendonly', 'yes', '--appendfsync', 'always');
my @o = (workers => 2, redis => $redis, upstream => $up->url, proxy_conf => { proxy_read_timeout => '600ms' });
my $h2 = Gateway::Redis::free_port();
my $gw = Gateway->start(@o, server => "listen 127.0.0.1:$h2 http2;");
my $far = Gateway->start(@o, like => $gw);
my %token = (
    acme => $gw->tenant('acme', project => 'p-1', key => 'key-acme'),
    twin => $gw->tenant('twin', project => 'p-1', key => 'key-twin'),
);

sub how { return (headers => [ 'User-Agent' => $_[0] // 'x' ]) }
sub get { my ($g, $who, $path, $how) = @_; return $g->get($path, token => $token{$who}, how($how)) }
sub number { return get(@_)->{body} }
sub cached { return get(@_)->{headers}{'x-cache-status'} }

sub change {
    my ($path, $how) = @_;
    return $gw->request('PATCH', $path, token => $token{acme}, json => {}, how($how));
}

# A request that is sent and not waited for.

sub begin {
    my ($g, $method, $path, $how) = @_;
    my $socket = $g->connect or die "connect: $!";
    my $seen = $up->requests;
    my $body = $method eq 'GET' ? '' : '{}';
    syswrite $socket, "$method $path HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Api-Key: $token{acme}\r\nUser-Agent: "
        . ($how // 'x') . "\r\nContent-Type: application/json\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
    $gw->wait_for(3, sub { $up->requests > $seen }) or die 'no request upstream';
    return $socket;
}

# Keys change at once, and again when Redis has told the new generation.

sub settled {
    my ($g, $path) = @_;
    my $hits = 0;
    ok $g->wait_for(2, sub {
        $hits = cached($g, 'acme', $path) eq 'HIT' ? $hits + 1 : 0;
        sleep 0.01;
        return $hits == 5;
    }), 'the new one is kept';
}

my $i = 0;
sub path { return '/v1/destinations/d' . ++$i }

subtest 'a GET under way while the write happens stores the old answer nowhere' => sub {
    my $path = path();
    my $get = begin($gw, 'GET', $path, 'wait=0.4');
    is change($path)->{status}, 200, 'a write while the GET is under way';
    is number($gw, 'acme', $path), 1, 'its own GET sees it';
    is Gateway::read_response($get)->{body}, 0, 'the GET ends with the old answer';
    is number($gw, $_, $path), 1, "which $_ does not get" for qw(acme twin);
    settled($gw, $path);
    is number($gw, 'acme', $path), 1, 'the new one';
};

subtest 'a GET between the change at Ampersand and its answer, and one that begins before and ends after' => sub {
    my $path = path();
    my $write = begin($gw, 'PATCH', $path, 'wait=0.3');
    is number($gw, 'acme', $path), 1, 'Ampersand has done it, the gateway has not heard';
    my $get = begin($gw, 'GET', "$path?x=1", 'wait=0.5');
    is Gateway::read_response($write)->{status}, 200, 'the write is answered';
    is cached($gw, 'acme', $path), 'MISS', 'what was stored before counts no more';
    Gateway::read_response($get);
    is cached($gw, 'acme', "$path?x=1"), 'MISS', 'nor what was asked for before';
};

subtest 'the same on another gateway, that hears of the write by Redis' => sub {
    my $path = path();
    my $get = begin($far, 'GET', $path, 'wait=0.4');
    is change($path)->{status}, 200, 'a write here while a GET is under way there';
    sleep 0.15;
    is number($far, 'twin', $path), 1, 'seen there';
    is Gateway::read_response($get)->{body}, 0, 'the old answer';
    is number($far, 'acme', $path), 1, 'is not kept there';
};

subtest 'within 100 ms everywhere, for every tenant of the project' => sub {
    my @ms;
    for my $n (1 .. 15) {
        my $path = path();
        my $who = $n % 2 ? 'twin' : 'acme';
        number($far, $who, $path);
        is cached($far, $who, $path), 'HIT', 'kept there';
        change($path);
        my $begun = time;
        $far->wait_for(2, sub { number($far, $who, $path) == 1 });
        push @ms, (time - $begun) * 1000;
    }
    @ms = sort { $a <=> $b } @ms;
    diag sprintf 'a write is seen on the other gateway after %.1f ms, at most %.1f ms', $ms[7], $ms[-1];
    cmp_ok $ms[7], '<', 100, 'in time';
};

subtest 'a client that leaves does not break its write off' => sub {
    my $path = path();
    number($gw, 'acme', $path);
    my $write = begin($gw, 'PATCH', $path, 'wait=0.3');
    close $write;
    sleep 0.1;
    is number($gw, 'acme', $path), 0, 'not answered: the old answer';
    ok $gw->wait_for(2, sub { number($gw, 'acme', $path) == 1 }), 'answered: the new one';
};

subtest 'nor over HTTP/2, however it leaves' => sub {
    my %ways = (
        close => sub { close $_[0] },
        RST_STREAM => sub { syswrite $_[0], Gateway::Made::frame(3, 0, 1, pack 'N', 8) },
        GOAWAY => sub { syswrite $_[0], Gateway::Made::frame(7, 0, 0, pack 'NN', 0, 0) },
    );
    for my $way (sort keys %ways) {
        my $path = path();
        number($gw, 'acme', $path);
        my $seen = $up->requests;
        my $socket = Gateway::Made::h2($h2, 'PATCH', $path, [ 'x-api-key' => $token{acme}, 'user-agent' => 'wait=0.3',
            'content-type' => 'application/json', 'content-length' => 2 ], '{}');
        ok $gw->wait_for(3, sub { $up->requests > $seen }), "$way: under way";
        $ways{$way}->($socket);
        ok $gw->wait_for(2, sub { number($gw, 'acme', $path) == 1 }), "$way: seen when it is done";
    }
};

subtest 'an unknown outcome counts as a write' => sub {
    for my $how ('wait=5', 'drop', 'status=500', 'status=504') {
        my $path = path();
        number($gw, 'acme', $path);
        cmp_ok change($path, $how)->{status}, '>=', 500, $how;
        isnt cached($gw, 'acme', $path), 'HIT', "$how: asked again";
    }
    my $path = path();
    number($gw, 'acme', $path);
    close begin($gw, 'PATCH', $path, 'wait=5');
    ok $gw->wait_for(3, sub { number($gw, 'acme', $path) == 1 }), 'a time-out after the client has left';
    for my $status (400, 409, 422, 429) {
        my $path = path();
        number($gw, 'acme', $path);
        is change($path, "status=$status")->{status}, $status, "a refusal, $status";
        is cached($gw, 'acme', $path), 'HIT', "$status: changes nothing";
    }
};

subtest 'a GET that changes something is a write, without that it is none' => sub {
    for my $case ([ '/v1/destinations/r', 'rotate', '/v1/connections/r' ],
                  [ '/v1/connections/r', 'refresh', '/v1/destinations/r' ]) {
        my ($path, $parameter, $other) = @$case;
        number($gw, 'acme', $_) for $path, $other;
        is cached($gw, 'acme', $_), 'HIT', "$_ is kept" for $path, $other;
        is get($gw, 'acme', "$path?$parameter=true")->{status}, 200, $parameter;
        is cached($gw, 'acme', $path), 'MISS', "$parameter: new";
        is cached($gw, 'acme', $other), 'HIT', "$parameter: others are kept";
        settled($gw, $path);
        get($gw, 'acme', "$path?$parameter=false");
        is cached($gw, 'acme', $path), 'HIT', "$parameter=false is a read";
    }
};

subtest 'a write while Redis is away is told when it is back' => sub {
    my @paths = map { path() } 1 .. 3;
    number($_->[0], 'acme', $_->[1]) for map { my $p = $_; map { [ $_, $p ] } $gw, $far } @paths;
    $redis->crash;
    $gw->wait_for(5, sub { !$gw->status->{redis_links_up} && !$far->status->{redis_links_up} });
    is change($_)->{status}, 200, 'a write' for @paths;
    is number($gw, 'acme', $_), 1, 'seen here' for @paths;
    is number($far, 'acme', $paths[0]), 0, 'not there, how should it be';
    $gw->reload;
    $redis->restart;
    for my $path (@paths) {
        ok $far->wait_for(8, sub { number($far, 'acme', $path) == 1 }), 'seen there in the end';
        is number($gw, 'acme', $path), 1, 'and here still';
    }
};

$far->finish;
$gw->finish;
done_testing;
