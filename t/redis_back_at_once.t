#!/usr/bin/perl

# Redis comes back after an outage.  Each worker's link waits in a back-off of up to
# 1.5 s then.  As soon as one worker has reached Redis, a request to any other worker
# ends that worker's back-off, and waits for the connection.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Redis;
use Gateway::Workers;

# The time-out is long, so that no reply is late on a busy machine.

my $workers = 6;
my $gw = Gateway->start(
    workers => $workers, redis => Gateway::Redis->start('--appendonly', 'yes'), redis_args => 'timeout=2s',
    Gateway::Workers::options(),
);
my $all = Gateway::Workers->new($gw);

for my $round (1 .. 2) {
    my @new = map { $gw->tenant("new$round-$_", project => 'p-new') } 1 .. $workers;
    my $before = $gw->status->{redis_failures_total};
    $gw->redis->stop;
    ok $gw->wait_for(sub { $gw->status->{redis_failures_total} - $before >= 8 * $workers }), 'the back-off of each worker has grown';
    $gw->redis->restart;
    ok $gw->wait_for(sub { $all->one(0, '/v1/integrations', token => $new[0])->{status} == 200 }), 'one worker reaches Redis';
    my @others = map { $all->one($_, '/v1/integrations', token => $new[$_])->{status} } 1 .. $workers - 1;
    is_deeply \@others, [ (200) x ($workers - 1) ], 'then each other worker looks tenants up, too';
}

$gw->finish;
done_testing;
