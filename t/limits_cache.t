#!/usr/bin/perl

# Limits and the cache: only a request that goes upstream is charged, and once.  A
# request whose gateway has no unit left waits for a lease, and is refused only
# when there is no unit in Redis either.

use strict;
use warnings;

use FindBin;
use POSIX ();
use Socket qw(SOL_SOCKET SO_RCVTIMEO);
use Test::More;
use Time::HiRes qw(sleep time);

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Made;
use Gateway::Redis;
use Gateway::Upstream;
use Gateway::Versions;

# The path names the answer: /v1/integrations/<what>-<seconds>-<name>.

my $up = Gateway::Upstream->start(sub {
    my ($req) = @_;
    my ($what, $delay) = $req->{target} =~ m{/(\w+)-([\d.]+)-\w+$};
    my %answer = (delay => $delay || 0, body => qq({"n":$req->{n}}));
    $what //= '';
    $answer{headers} = [ 'Cache-Control' => 'no-store' ] if $what eq 'private';
    $answer{headers} = [ 'Cache-Control' => 'max-age=1' ] if $what eq 'brief';
    $answer{headers} = [ Vary => 'Accept-Language' ] if $what eq 'vary';
    $answer{status} = 503 if $what eq 'down';
    return \%answer;
});

my $h2 = Gateway::Redis::free_port();
my $gw = Gateway->start(
    workers => 2, upstream => $up->url, redis_args => 'timeout=2s',
    server => Gateway::Versions::http2("127.0.0.1:$h2"),
    http => 'ampersand_cache_stale 60s; keepalive_requests 1000000; proxy_cache_path small keys_zone=small:32k use_temp_path=off;',
);
my $n = 0;

sub tenant { my (@args) = @_; return $gw->tenant('t' . ++$n, project => "p-$n", args => \@args) }
sub get { my ($t, $target, %r) = @_; return $gw->get($target, token => $t, %r) }
sub post { my ($t) = @_; return $gw->request('POST', '/v1/topics', token => $t, json => {})->{status} }

sub text {
    my ($t, $target, @headers) = @_;
    return join "\r\n", "GET $target HTTP/1.1", 'Host: a', "X-Api-Key: $t", @headers, '', '';
}

# All at once: the number of each status.

sub herd {
    my ($many, @texts) = @_;
    my @sockets = map { $gw->connect or die "connect: $!" } 1 .. $many;
    syswrite $sockets[$_], $texts[ $_ % @texts ] for 0 .. $#sockets;
    return statuses(@sockets);
}

sub statuses {
    my (@sockets) = @_;
    my %status;
    for my $s (@sockets) {
        setsockopt $s, SOL_SOCKET, SO_RCVTIMEO, pack('q2', 60, 0);
        sysread $s, my $in, 65536;
        $status{ ($in // '') =~ m{^HTTP/1.1 (\d+)} ? $1 : 0 }++;
    }
    return join ' ', map { "$_:$status{$_}" } sort keys %status;
}

# The units that the tenant has spent, as Redis counts them at a rate of 1/h; units
# that a gateway has leased and not handed back yet count too.

sub charged {
    my $ahead = $gw->redis->command('HGET', "amp:limit:{t$n}:default", 'ahead') // 0;
    return POSIX::ceil($ahead / 3600e9);
}

get(tenant(), '/v1/topics');

subtest 'many clients, one cold key' => sub {
    for my $round (1 .. 3) {
        my $t = tenant('--rate', '1/h', '--burst', 3);
        $up->clear;
        is herd(200, text($t, "/v1/integrations/shared-0.3-r$round")), '200:200', 'all are answered';
        is scalar $up->requests, 1, 'upstream is asked once';
        ok $gw->wait_for(sub { charged() <= 2 }), 'at most one request of each worker is charged';
        cmp_ok charged(), '>=', 1, 'and at least the one that went upstream';
    }
};

subtest 'many clients, eight cold keys' => sub {
    for my $round (1, 2) {
        my $t = tenant('--rate', '1/h', '--burst', 60);
        $up->clear;
        is herd(200, map { text($t, "/v1/integrations/shared-0.3-$_") } 1 .. 8), '200:200', 'all are answered';
        is scalar $up->requests, 8, 'upstream is asked once for each';

        # one for each worker, and a few more where the first request had just ended
        ok $gw->wait_for(sub { charged() <= 3 * 8 }), 'the requests that waited for another are not charged';
        cmp_ok charged(), '>=', 8, 'each request that went upstream is';
    }
};

subtest 'an answer that may not be stored: each request is charged, none is refused' => sub {
    my $t = tenant('--rate', '1000/s', '--burst', 1000);
    for my $round (1, 2) {
        $up->clear;
        is herd(200, text($t, '/v1/integrations/private-0.2-x')), '200:200', 'answered';
        is scalar $up->requests, 200, 'each by an upstream request of its own';
    }
    $t = tenant('--rate', '1/h', '--burst', 50);
    $up->clear;
    my $got = herd(100, text($t, '/v1/integrations/private-0.2-y'));
    my ($good) = $got =~ /^200:(\d+) 429:\d+$/;
    ok $good && $good <= 50, 'at most fifty, the others are refused' or diag $got;
    is scalar $up->requests, $good, 'a refused request does not go upstream';
    ok $gw->wait_for(sub { $good < 50 ? ($good += post($t) == 200, 0)[1] : 1 }), 'all fifty can be spent' or diag $good;
    is post($t), 429, 'and no more' for 1 .. 3;
};

subtest 'a failing upstream: all requests get an error of upstream, no limit refuses them' => sub {
    my $t = tenant('--rate', '1000/s', '--burst', 1000);
    my $got = herd(100, text($t, '/v1/integrations/down-0.1-x'));
    my ($sent) = $got =~ /^502:\d+ 503:(\d+)$/;
    ok $sent && $sent < 70, 'answered: no more than 64 go upstream, and a few that came when it had answered' or diag $got;
};

subtest 'Cache-Control: no-cache of clients' => sub {
    my $t = tenant('--rate', '1000/s', '--burst', 1000);
    get($t, '/v1/integrations/shared-0-reload');
    $up->clear;
    is herd(50, text($t, '/v1/integrations/shared-0-reload', 'Cache-Control: no-cache')), '200:50', 'answered';
    is scalar $up->requests, 50, 'each by an upstream request of its own';
};

subtest 'Vary: another variant of a stored answer' => sub {
    my $t = tenant('--rate', '1/h', '--burst', 10);    # nothing is leased ahead of need
    for my $language ('en', 'de', 'fr') {
        my $res = get($t, '/v1/integrations/vary-0-x', headers => [ 'Accept-Language' => $language ]);
        is "$res->{status} $res->{headers}{'x-cache-status'}", '200 MISS', "$language: waits for a lease";
    }
};

subtest 'a stale answer is refreshed in the background, if a unit is left' => sub {
    my $t = tenant('--rate', '10/s', '--burst', 10);
    my $target = '/v1/integrations/brief-0-x';
    is get($t, $target)->{headers}{'x-cache-status'}, 'MISS', 'stored';
    my $poor = tenant('--rate', '1/h', '--burst', 1);
    get($poor, $target);
    sleep 2.1;    # max-age=1 has passed, also as nginx counts: in whole seconds
    $up->clear;
    is get($t, $target)->{headers}{'x-cache-status'}, 'STALE', 'the stale answer at once';
    ok $gw->wait_for(sub { $up->requests == 1 }), 'a new one is fetched';
    ok $gw->wait_for(sub { get($t, $target)->{headers}{'x-cache-status'} eq 'HIT' }), 'and served';
    $up->clear;
    like get($poor, $target)->{headers}{'x-cache-status'}, qr/^(?:STALE|UPDATING)$/, 'a tenant without a unit: the stale answer'
        for 1 .. 3;
    is scalar $up->requests, 0, 'which is not refreshed';
};

subtest 'HEAD, and HTTP/2' => sub {
    my $t = tenant('--rate', '1/h', '--burst', 5);    # nothing is leased ahead of need
    my $res = $gw->request('HEAD', '/v1/integrations/shared-0-head', token => $t);
    is "$res->{status} $res->{body}", '200 ', 'HEAD waits for a lease';
    my @sockets = map {
        Gateway::Made::h2($h2, 'GET', '/v1/integrations/shared-0.3-two', [ 'x-api-key' => $t ])
    } 1 .. 20;
    my $good = 0;
    for my $s (@sockets) {
        setsockopt $s, SOL_SOCKET, SO_RCVTIMEO, pack('q2', 60, 0);
        my $in = '';
        1 while $in !~ /"n":\d+\}/ && sysread $s, $in, 65536, length $in;
        $good++ if $in =~ /"n":\d+\}/;
    }
    is $good, 20, 'HTTP/2: all are answered';
};

subtest 'clients that leave while they wait for Redis' => sub {
    my $t = tenant('--rate', '10/s', '--burst', 10);
    $gw->ctl('limit', 'set', "t$n", '--concurrency', 5);
    my $other = tenant('--rate', '10/s', '--burst', 10);
    get($_, '/v1/nothing') for ($t, $other) x 4;    # both workers have looked them up
    $gw->redis->command('CLIENT', 'PAUSE', 500, 'ALL');
    my @sockets = map { $gw->connect } 1 .. 60;
    syswrite $sockets[$_], text($_ % 2 ? $t : $other, '/v1/integrations/shared-0-left' . $_ % 3) for 0 .. $#sockets;
    my @h2 = map { Gateway::Made::h2($h2, 'GET', '/v1/integrations/shared-0-left1', [ 'x-api-key' => $t ]) } 1 .. 5;
    sleep 0.1;    # some requests wait for Redis, others are still being read
    close $_ for @h2, @sockets[ 0 .. 39 ];
    is statuses(@sockets[ 40 .. 59 ]), '200:20', 'the others are answered when Redis answers';
    is post($t), 200, 'no request is left in flight' for 1 .. 3;
};

subtest 'Redis is silent: the share of the limit, no error' => sub {
    my $t = $gw->tenant('silent', project => 'p-silent', args => [ '--rate', '100/s', '--burst', 100 ], settled => 1);
    ok $gw->wait_for(sub { get($t, '/v1/nothing')->{status} == 404 }), 'the tenant is looked up' for 1 .. 4;
    $gw->redis->pause;
    my $got = herd(20, map { text($t, "/v1/integrations/shared-0-silent$_") } 1 .. 20);
    $gw->redis->resume;
    is $got, '200:20', 'all are answered while Redis is silent';
    ok $gw->wait_for(sub { get($t, '/v1/topics'); post($t); !$gw->status->{limits_degraded} }), 'leases come from Redis again';
};

$gw->finish;

my $small = Gateway->start(
    like => $gw, workers => 2, proxy_conf => { proxy_cache => 'small' },
    http => 'ampersand_cache_stale 60s; keepalive_requests 1000000; proxy_cache_path small keys_zone=small:32k use_temp_path=off;',
);

subtest 'a cache that is too small for its entries' => sub {
    my $t = tenant('--rate', '10000/s', '--burst', 10000);
    my $s = $small->connect;
    my ($rest, %seen) = ('');
    for my $round (1 .. 3) {
        for my $i (1 .. 500) {
            syswrite $s, text($t, "/v1/integrations/shared-0-e$i");
            my $res = Gateway::read_response($s, rest => \$rest, timeout => 60);
            $seen{"$res->{status} $res->{headers}{'x-cache-status'}"}++;
        }
    }
    is join(' ', sort keys %seen), '200 MISS', 'every answer is evicted before it is asked for again, no request is refused'
        or diag explain \%seen;
};

$small->finish;
done_testing;
