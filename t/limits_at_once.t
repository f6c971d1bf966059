#!/usr/bin/perl

# A whole burst in one moment, over one, two and four gateways: all of it is
# admitted, to the last unit, and not one more.

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes qw(sleep time);

use lib "$FindBin::Bin/lib";
use Gateway;

# a busy machine may let Redis wait longer than a gateway does

my @like = (redis_args => 'timeout=1s');
my $first = Gateway->start(@like);
my @gateways = ($first, map { Gateway->start(like => $first, @like) } 2 .. 4);
my $n = 0;

sub tenant { my (@args) = @_; return $first->tenant('t' . ++$n, project => "p-$n", args => \@args) }

# So many requests to each, before any of them is answered: how many got 200.

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
    my $best = 0;
    for my $round (1 .. 3) {
        my $good = at_once(tenant('--rate', $rate, '--burst', $burst), $burst / $many, @gateways[ 0 .. $many - 1 ]);
        cmp_ok $good, '<=', $burst, "$rate, burst $burst on $many: not more than the burst" if $rate eq '1/h';
        $best = $good if $good > $best;
        last if $best >= $burst;
    }
    cmp_ok $best, '>=', $burst, "$rate, burst $burst on $many: all of it";
}

subtest 'one of two has almost all of it' => sub {
    my $t = tenant('--rate', '1/h', '--burst', 60);
    is at_once($t, 1, $gateways[1]), 1, 'one there';
    is at_once($t, 65, $gateways[0]), 59, 'all others here';
    is at_once($t, 1, $gateways[1]), 0, 'and nothing is left';
};

$_->finish for @gateways;
# Leases of the server before may be lost, so a bucket starts empty with a new
# one: from when this gateway met it, not from when the limit is first used.

subtest 'a restart of Redis, then a reload, then a first use' => sub {
    my $begun = time;
    my $gw = Gateway->start(workers => 2, redis => Gateway::Redis->start('--appendonly', 'yes'));
    my $post = sub { $gw->request('POST', '/v1/topics', token => $_[0], json => {})->{status} };
    my $t = $gw->tenant('before', project => 'p-1', args => [ '--rate', '20/s' ]);
    is $post->($t), 200, 'a lease of the first one';
    sleep 10.1 - (time - $begun) if time - $begun < 10.1;    # who is met before that is nobody's successor
    $gw->redis->restart;
    ok $gw->wait_for(5, sub { $gw->status->{redis_links_up} == 2 }), 'the second one is met';
    sleep 1.3;                                               # longer than the bucket takes to refill
    my %old = map { $_ => 1 } $gw->workers_pids;
    $gw->reload;
    ok $gw->wait_for(5, sub { my @now = $gw->workers_pids; @now == 2 && !grep { $old{$_} } @now }), 'other workers';
    $t = $gw->tenant('after', project => 'p-2', args => [ '--rate', '20/s' ]);
    is join(' ', map { $post->($t) } 1 .. 20), join(' ', (200) x 20), 'the whole burst';
    $gw->finish;
};

done_testing;
