#!/usr/bin/perl

# Limits and the cache: only what goes upstream is charged, and once; who finds
# out in front of the upstream that there is no unit here waits for one, and is
# refused only when there is none anywhere.

use strict;
use warnings;

use FindBin;
use Socket qw(SOL_SOCKET SO_RCVTIMEO);
use Test::More;
use Time::HiRes qw(sleep time);

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Made;
use Gateway::Redis;
use Gateway::Upstream;

# The answer stands in the path: /v1/integrations/<what>-<seconds>-<name>.

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
    workers => 2, upstream => $up->url, redis_args => 'timeout=1s',
    server => "listen 127.0.0.1:$h2 http2;",
    http => 'keepalive_requests 1000000; proxy_cache_path small keys_zone=small:32k use_temp_path=off;',
);
my $n = 0;

sub tenant { my (@args) = @_; return $gw->tenant('t' . ++$n, project => "p-$n", args => \@args) }
sub get { my ($t, $target, %r) = @_; return $gw->get($target, token => $t, %r) }
sub post { my ($t) = @_; return $gw->request('POST', '/v1/topics', token => $t, json => {})->{status} }

sub text {
    my ($t, $target, @headers) = @_;
    return join "\r\n", "GET $target HTTP/1.1", 'Host: a', "X-Api-Key: $t", @headers, '', '';
}

# All at once: how many of which status.

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
        setsockopt $s, SOL_SOCKET, SO_RCVTIMEO, pack('q2', 10, 0);
        sysread $s, my $in, 65536;
        $status{ ($in // '') =~ m{^HTTP/1.1 (\d+)} ? $1 : 0 }++;
    }
    return join ' ', map { "$_:$status{$_}" } sort keys %status;
}

# Whatever was leased has lapsed or was handed back.

sub idle { sleep 1.2 }

get(tenant(), '/v1/topics');

subtest 'many clients, one cold key' => sub {
    for my $round (1 .. 3) {
        my $t = tenant('--rate', '1/h', '--burst', 3);
        $up->clear;
        is herd(200, text($t, "/v1/integrations/shared-0.3-r$round")), '200:200', 'all are answered';
        is scalar $up->requests, 1, 'upstream is asked once';
        my @more = map { sleep 0.07; post($t) } 1 .. 3;
        is $more[0], 200, 'the other worker may have been charged, too, but no more';
        is $more[2], 429, 'and never less than what was asked';
    }
};

subtest 'many clients, eight cold keys' => sub {
    for my $round (1, 2) {
        my $t = tenant('--rate', '1/h', '--burst', 60);
        $up->clear;
        is herd(200, map { text($t, "/v1/integrations/shared-0.3-$_") } 1 .. 8), '200:200', 'all are answered';
        is scalar $up->requests, 8, 'upstream is asked once for each';
        my $more = 0;
        for (1 .. 70) {
            my $status = post($t);
            $more += $status == 200;
            sleep 0.07 if $status != 200;
            last if $status != 200 && post($t) != 200;
        }

        # one for each worker, and a few where the one who asked had just gone on
        cmp_ok $more, '>=', 60 - 3 * 8, 'and not charged for all that wait';
        cmp_ok $more, '<=', 60 - 8, 'but for each';
    }
};

subtest 'an answer that may not be shared: each is charged, none is refused' => sub {
    my $t = tenant('--rate', '1000/s', '--burst', 1000);
    for my $round (1, 2) {
        $up->clear;
        is herd(200, text($t, '/v1/integrations/private-0.2-x')), '200:200', 'answered';
        is scalar $up->requests, 200, 'each by a request of its own';
    }
    $t = tenant('--rate', '1/h', '--burst', 50);
    $up->clear;
    my $got = herd(100, text($t, '/v1/integrations/private-0.2-y'));
    my ($good) = $got =~ /^200:(\d+) 429:\d+$/;
    ok $good && $good <= 50 && $good >= 48, 'fifty, and the others are refused' or diag $got;
    is scalar $up->requests, $good, 'upstream saw no more';
};

subtest 'a failing upstream: all hear it, none is refused' => sub {
    my $t = tenant('--rate', '1000/s', '--burst', 1000);
    is herd(100, text($t, '/v1/integrations/down-0.1-x')), '503:100', 'answered';
};

subtest 'clients that want no stored answer' => sub {
    my $t = tenant('--rate', '1000/s', '--burst', 1000);
    get($t, '/v1/integrations/shared-0-reload');
    $up->clear;
    is herd(50, text($t, '/v1/integrations/shared-0-reload', 'Cache-Control: no-cache')), '200:50', 'answered';
    is scalar $up->requests, 50, 'and charged, each';
};

subtest 'Vary: another variant of what is stored' => sub {
    my $t = tenant('--rate', '10/s', '--burst', 10);
    for my $language ('en', 'de', 'fr') {
        my $res = get($t, '/v1/integrations/vary-0-x', headers => [ 'Accept-Language' => $language ]);
        is "$res->{status} $res->{headers}{'x-cache-status'}", '200 MISS', "$language: asked, without a lease";
        idle() if $language ne 'fr';
    }
};

subtest 'a client that comes now and then has its answers refreshed' => sub {
    my $t = tenant('--rate', '10/s', '--burst', 10);
    my $target = '/v1/integrations/brief-0-x';
    is get($t, $target)->{headers}{'x-cache-status'}, 'MISS', 'stored';
    my $poor = tenant('--rate', '1/h', '--burst', 1);
    get($poor, $target);
    sleep 2.1;    # stale, and nothing is leased
    $up->clear;
    is get($t, $target)->{headers}{'x-cache-status'}, 'STALE', 'the stale answer at once';
    ok $gw->wait_for(sub { $up->requests == 1 }), 'and a new one is fetched';
    ok $gw->wait_for(sub { get($t, $target)->{headers}{'x-cache-status'} eq 'HIT' }), 'for the next';
    $up->clear;
    like get($poor, $target)->{headers}{'x-cache-status'}, qr/^(?:STALE|UPDATING)$/, 'without a unit it stays stale'
        for 1 .. 3;
    is scalar $up->requests, 0, 'and is not fetched';
};

subtest 'HEAD, and HTTP/2' => sub {
    my $t = tenant('--rate', '10/s', '--burst', 5);
    my $res = $gw->request('HEAD', '/v1/integrations/shared-0-head', token => $t);
    is "$res->{status} $res->{body}", '200 ', 'HEAD waits for a lease, too';
    idle();
    my @sockets = map {
        Gateway::Made::h2($h2, 'GET', '/v1/integrations/shared-0.3-two', [ 'x-api-key' => $t ])
    } 1 .. 20;
    my $good = 0;
    for my $s (@sockets) {
        setsockopt $s, SOL_SOCKET, SO_RCVTIMEO, pack('q2', 5, 0);
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
    get($_, '/v1/nothing') for ($t, $other) x 4;    # both workers know them
    $gw->redis->command('CLIENT', 'PAUSE', 500, 'ALL');
    my @sockets = map { $gw->connect } 1 .. 60;
    syswrite $sockets[$_], text($_ % 2 ? $t : $other, '/v1/integrations/shared-0-left' . $_ % 3) for 0 .. $#sockets;
    my @h2 = map { Gateway::Made::h2($h2, 'GET', '/v1/integrations/shared-0-left1', [ 'x-api-key' => $t ]) } 1 .. 5;
    sleep 0.1;
    close $_ for @h2, @sockets[ 0 .. 39 ];
    is statuses(@sockets[ 40 .. 59 ]), '200:20', 'the others are answered when it is back';
    is post($t), 200, 'nothing is left in flight' for 1 .. 3;
};

subtest 'Redis says nothing: the share of the limit, no error' => sub {
    my $t = tenant('--rate', '100/s', '--burst', 100);
    ok $gw->wait_for(sub { get($t, '/v1/nothing')->{status} == 404 }), 'the tenant is known' for 1 .. 4;
    $gw->redis->pause;
    my $begun = time;
    my $got = herd(20, map { text($t, "/v1/integrations/shared-0-silent$_") } 1 .. 20);
    my $took = time - $begun;
    $gw->redis->resume;
    is $got, '200:20', 'answered';
    cmp_ok $took, '<', 3, 'after one command has timed out';
    ok $gw->wait_for(sub { get($t, '/v1/topics'); post($t); !$gw->status->{limits_degraded} }), 'and it is back';
};

$gw->finish;

my $small = Gateway->start(
    like => $gw, workers => 2, proxy_conf => { proxy_cache => 'small' },
    http => 'keepalive_requests 1000000; proxy_cache_path small keys_zone=small:32k use_temp_path=off;',
);

subtest 'a cache that is too small for its entries' => sub {
    my $t = tenant('--rate', '10000/s', '--burst', 10000);
    my $s = $small->connect;
    my ($rest, %seen) = ('');
    for my $round (1 .. 3) {
        for my $i (1 .. 500) {
            syswrite $s, text($t, "/v1/integrations/shared-0-e$i");
            my $res = Gateway::read_response($s, rest => \$rest, timeout => 5);
            $seen{"$res->{status} $res->{headers}{'x-cache-status'}"}++;
        }
    }
    is join(' ', sort keys %seen), '200 MISS', 'every answer was evicted before it was wanted again, none is refused'
        or diag explain \%seen;
};

$small->finish;
done_testing;
