#!/usr/bin/perl

# Limits while things break: gateways are killed with leases in hand, Redis is
# away, or fails over to a replica that may have lost the last leases.  Never
# more than rate and burst over the whole time, and admissions go on.

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes qw(sleep time);

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Flood;
use Gateway::Redis;
use Gateway::Redis::Sentinel;

# A busy machine may let Redis wait longer than a gateway does by default; and a
# gateway that is cut off alone takes its share beside what the others lease.

my @like = (http => 'keepalive_requests 1000000;', workers => 2, redis_args => 'timeout=1s');

sub gateways {
    my ($many, @o) = @_;
    my $first = Gateway->start(@like, @o);
    return ($first, map { Gateway->start(like => $first, @like) } 2 .. $many);
}

sub parts {
    my ($f, $seconds) = @_;
    return join ' ', map { $f->good($_ * 0.5, $_ * 0.5 + 0.5) } 0 .. $seconds * 2 - 1;
}

subtest 'gateways are killed' => sub {
    my @on = gateways(4);
    my $f = Gateway::Flood->run(
        token => $on[0]->tenant('t1', project => 'p-1', args => [ '--rate', '300/s', '--burst', 60 ]),
        on => \@on, seconds => 4, connections => 2,
        meanwhile => sub {
            sleep 0.7;
            kill 'KILL', ($on[1]->workers_pids)[0];    # another takes its place
            sleep 0.3;
            $on[$_]->crash for 2, 3;
        },
    );
    is $f->others, 0, 'admitted or refused';
    cmp_ok $f->good, '<=', 300 * $f->seconds + 60, 'never more than rate and burst';
    cmp_ok $f->good(1, 4), '>=', 0.6 * 300 * 3, 'the others go on';
    cmp_ok $f->good(3.2, 4), '>=', 0.85 * 300 * 0.8, 'and have it all when the dead are forgotten, after 2 s'
        or diag parts($f, 4);
    note 'by half a second: ', parts($f, 4);
    $on[0]->finish;
    for (@on[ 1 .. 3 ]) {
        $_->stop;
        is scalar(grep { !/exited on signal 9/ } $_->complaints), 0, 'nothing but the kills';
    }
};

subtest 'Redis is away, and comes back' => sub {
    my @on = gateways(2, redis => Gateway::Redis->start('--appendonly', 'yes'));
    my $t = $on[0]->tenant('t1', project => 'p-1', args => [ '--rate', '200/s', '--burst', 20 ]);
    my $redis = $on[0]->redis;
    Gateway::Flood->run(token => $t, on => \@on, seconds => 0.5, connections => 2);
    $redis->stop;
    my $f = Gateway::Flood->run(token => $t, on => \@on, seconds => 1.5, connections => 2);
    is $f->others, 0, 'no errors';

    # what one of them had leased at the end the other did not know of
    cmp_ok $f->good, '<=', 200 * ($f->seconds + 0.125) + 20, 'not more than the rate';
    cmp_ok $f->good, '>=', 0.8 * 200 * 1.5, 'and hardly less: each its share' or diag parts($f, 2);
    ok $on[1]->status->{limits_degraded}, 'the status says so';
    like $on[1]->error_log, qr/no leases from Redis, each gateway holds tenants to its share/, 'so does the log';
    $redis->restart;
    ok $on[0]->wait_for(sub {
        $_->request('POST', '/v1/topics', token => $t, json => {}) for @on;
        !grep { $_->status->{limits_degraded} } @on;
    }), 'until it is back';
    $f = Gateway::Flood->run(token => $t, on => \@on, seconds => 1, connections => 2);
    cmp_ok $f->good, '<=', 200 * $f->seconds + 20, 'then as ever';
    cmp_ok $f->good(0.5, 1), '>=', 0.85 * 200 * 0.5, 'all of it' or diag parts($f, 1);
    $_->finish for @on;
};

subtest 'the master is killed during a flood' => sub {
    my $s = Gateway::Redis::Sentinel->start;
    my @on = gateways(2, redis => $s);
    my $old = $s->master->port;
    my $f = Gateway::Flood->run(
        token => $on[0]->tenant('t1', project => 'p-1', args => [ '--rate', '200/s', '--burst', 50 ]),
        on => \@on, seconds => 4.5, connections => 2,
        meanwhile => sub { sleep 0.8; $s->failover('crash') },
    );
    isnt $s->master->port, $old, 'another is master';
    is $f->others, 0, 'no errors';
    cmp_ok $f->good, '<=', 200 * $f->seconds + 50, 'never more than rate and burst over all of it';
    cmp_ok $f->good(0.8, 4.5), '>=', 0.5 * 200 * 3.7, 'admissions go on' or diag parts($f, 5);
    cmp_ok $f->good(3.5, 4.5), '>=', 0.7 * 200, 'and are what they were' or diag parts($f, 5);
    cmp_ok $f->excess(200, 50), '<=', 20, 'in no window more';
    note 'by half a second: ', parts($f, 5);
    ok !$on[0]->status->{limits_degraded}, 'leases come from the new one';
    $_->finish for @on;
};

done_testing;
