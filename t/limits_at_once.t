#!/usr/bin/perl

# A whole burst in one moment, over one, two and four gateways: all of it is
# admitted, to the last unit, and not one more.  How many of these requests are
# admitted at the first attempt is asserted by t/unit/test_lease.c ("at once").

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes qw(sleep time);

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Clock;

# The time-out of Redis is no subject here: longer than a busy machine needs.

my @like = (redis_args => 'timeout=3s');
my $first = Gateway->start(@like);
my @gateways = ($first, map { Gateway->start(like => $first, @like) } 2 .. 4);
my $n = 0;

sub tenant { my (@args) = @_; return $first->tenant('t' . ++$n, project => "p-$n", args => \@args) }

# So many requests to each gateway, before any of them is answered: the number
# of those that got 200.

sub at_once {
    my ($token, $each, @on) = @_;
    my @sockets = map { my $g = $_; map { $g->connect or die $! } 1 .. $each } @on;
    my $good = 0;
    syswrite $_, "POST /v1/topics HTTP/1.1\r\nHost: g\r\nX-Api-Key: $token\r\n"
        . "Content-Length: 2\r\nConnection: close\r\n\r\n{}" for @sockets;
    for my $s (@sockets) {
        my $answer = '';
        1 while sysread $s, $answer, 65536, length $answer;
        $good += $answer =~ m{^HTTP/1.1 200 };
    }
    return $good;
}

for my $case ([ '1/h', 100, 1 ], [ '1/h', 100, 2 ], [ '1/h', 100, 4 ], [ '10000/d', 200, 4 ], [ '1/m', 48, 4 ]) {
    my ($rate, $burst, $many) = @$case;
    my %unit = (h => 3600, d => 86400 / 10000, m => 60);
    my ($seconds) = $unit{ substr $rate, -1 };
    my $name = "$rate, burst $burst on $many";
    my @on = @gateways[ 0 .. $many - 1 ];
    my $t = tenant('--rate', $rate, '--burst', $burst);
    my $begun = time;
    my $good = at_once($t, $burst / $many, @on);
    note "$name: $good at the first attempt";

    # a gateway hands back what it has leased and not spent
    ok $first->wait_for(sub { $good < $burst ? ($good += at_once($t, 1, @on), 0)[1] : 1 }), "$name: all of the burst is admitted";
    $good += at_once($t, 5, @on);
    cmp_ok $good, '<=', $burst + (time - $begun) / $seconds, "$name: and not more";
}

subtest 'one of two gateways can spend nearly the whole burst' => sub {
    my $t = tenant('--rate', '1/h', '--burst', 60);
    my $good = at_once($t, 1, $gateways[1]);
    is $good, 1, 'the first gateway: one';
    ok $first->wait_for(sub { $good < 60 ? ($good += at_once($t, 60 - $good, $gateways[0]), 0)[1] : 1 }), 'the second gateway: all others';
    is at_once($t, 5, @gateways[ 0, 1 ]), 0, 'then nothing is left';
};

$_->finish for @gateways;

# The last leases that a former server gave may be lost, so a bucket starts empty
# on a new server: from the moment at which the gateway connected to that
# server, not from the first use of the limit.  Within ten seconds of its start
# a gateway takes a server for the first one; libfaketime passes these ten
# seconds in a jump of the gateway's clock.

subtest 'a restart of Redis, then a reload, then a first use' => sub {
    my $clock = Gateway::Clock->new or plan skip_all => 'libfaketime is not installed';
    local $ENV{NGINX_WRAP} = $clock->wrap;
    my $gw = Gateway->start(
        workers => 2, redis => Gateway::Redis->start('--appendonly', 'yes'),
        main => $clock->main,
    );
    my $post = sub { $gw->request('POST', '/v1/topics', token => $_[0], json => {})->{status} };
    my $t = $gw->tenant('before', project => 'p-1', args => [ '--rate', '20/s' ]);
    is $post->($t), 200, 'a lease of the first server';
    my $hour = sub { ($gw->get('/-/status')->{headers}{date} =~ /(\d\d):\d\d:\d\d GMT/)[0] };
    my $before = $hour->();
    $clock->set(7200);
    ok $gw->wait_for(sub { $hour->() != $before }), 'the clock of the gateway jumps';
    $gw->redis->restart;
    ok $gw->wait_for(sub { $gw->linked }), 'connected to the second server';
    sleep 0.4;    # longer than the bucket, of four units, takes to refill
    my %old = map { $_ => 1 } $gw->workers_pids;
    $gw->reload;
    ok $gw->wait_for(sub { my @now = $gw->workers_pids; @now == 2 && !grep { $old{$_} } @now }), 'all workers are new';
    $t = $gw->tenant('after', project => 'p-2', args => [ '--rate', '20/s', '--burst', 4 ]);
    is join(' ', map { $post->($t) } 1 .. 4), '200 200 200 200', 'the whole burst';
    $gw->finish;
};

done_testing;
