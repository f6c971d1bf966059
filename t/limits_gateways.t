#!/usr/bin/perl

# One limit, several gateways: together never more than rate and burst, with few
# calls of Redis.  t/unit/test_lease.c asserts on a virtual clock that they admit
# hardly less, and each gateway its share.

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes ();

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Flood;

# The time-out of Redis is no subject here: longer than a busy machine needs.

my @like = (redis_args => 'timeout=3s', http => 'keepalive_requests 1000000;');
my $first = Gateway->start(@like);
my @gateways = ($first, map { Gateway->start(like => $first, @like) } 2 .. 8);
my $n = 0;

sub tenant { my (@args) = @_; return $first->tenant('t' . ++$n, project => "p-$n", args => \@args) }
sub post { my ($g, $t) = @_; return $gateways[$g]->request('POST', '/v1/topics', token => $t, json => {})->{status} }

sub calls { my $c = 0; $c += $_->status->{lease_calls_total} for @_; return $c }

for my $case ([ 2, 200, 40 ], [ 4, 400, 100 ], [ 8, 300, 60 ], [ 1, 200, 20 ]) {
    my ($many, $rate, $burst) = @$case;
    subtest "$many of 8 gateways, $rate/s, burst $burst" => sub {
        my @on = @gateways[ 0 .. $many - 1 ];
        my $t = tenant('--rate', "$rate/s", '--burst', $burst);
        my $calls = calls(@on);
        my $f = Gateway::Flood->run(token => $t, on => \@on, seconds => 1.5, connections => 2);
        my $took = $f->seconds;
        $calls = calls(@on) - $calls;
        is $f->others, 0, 'each request is admitted, or refused with 429';
        cmp_ok $f->good, '<=', $rate * $took + $burst, 'never more than rate and burst';
        cmp_ok $f->excess($rate, $burst), '<=', 0.1 * $rate, 'in no window more';
        cmp_ok $calls, '<=', $many * (20 * $took + 8), 'at most 20 calls a second and gateway';
        my @shares = $f->shares;
        is scalar(grep { !$_ } @shares), 0, 'each gateway admits requests';
        note sprintf '%.1f %% of what is allowed, %d calls, shares %s', 100 * $f->good / ($rate * $took + $burst), $calls, "@shares";
    };
}

subtest 'a slow limit, one unit at a time, is exact' => sub {
    my $t = tenant('--rate', '1/h', '--burst', 5);
    my @status = map { post($_ % 4, $t) } 1 .. 9;
    is "@status", '200 200 200 200 200 429 429 429 429', 'five units for four gateways';
};

subtest 'unspent units are handed back' => sub {
    my $t = tenant('--rate', '1/h', '--burst', 3);
    is post(0, $t), 200, 'one at the first gateway';
    ok $first->wait_for(sub { $first->redis->command('HGET', "amp:limit:{t$n}:default", 'ahead') < 3601e9 }),
        'its other units are in Redis again';
    ok $first->wait_for(sub { post(1, $t) == 200 }), "one at another gateway: number $_" for 1, 2;
    is post($_, $t), 429, 'then none is left' for 0, 1;
};

subtest 'units that other gateways want are handed back soon' => sub {
    my $t = tenant('--rate', '50/s', '--burst', 100);
    my @on = @gateways[ 0, 1 ];
    my $returned = sub { my $c = 0; $c += $_->status->{lease_units_returned_total} for @on; return $c };
    my $before = $returned->();
    ok $first->wait_for(sub {
        Gateway::Flood->run(token => $t, on => \@on, seconds => 0.5, connections => 2);
        Time::HiRes::sleep(0.6);
        return $returned->() > $before;
    }), 'half a second after the last request';
};

subtest 'a gateway that quits hands its units back' => sub {
    my $t = tenant('--rate', '1/m', '--burst', 400);
    my $going = Gateway->start(like => $first, @like);
    my $there = Gateway::Flood->run(token => $t, on => [$going], seconds => 0.1, connections => 2)->good;
    $going->finish;
    my $here = Gateway::Flood->run(token => $t, on => [$first], seconds => 60, connections => 4, until => 429)->good;
    cmp_ok $there + $here, '>=', 400 - 4, 'another gateway can spend them';
    cmp_ok $there + $here, '<=', 400 + 1, 'and no more';
    note "$there at the gateway that quit, $here at the other one";
};

subtest 'a change of a limit takes effect, and spent units stay spent' => sub {
    my $t = tenant('--rate', '1/h', '--burst', 3);
    is join(' ', map { post(1, $t) } 0 .. 3), '200 200 200 429', 'a burst of three';
    $first->ctl('limit', 'set', "t$n", '--rate', '1/h', '--burst', 5);
    ok $first->wait_for(sub { post(1, $t) == 200 }), 'a burst of five: more requests are admitted';
    my $more = 1;
    $more += post(1, $t) == 200 for 1 .. 6;
    cmp_ok $more, '<=', 2, 'two at most, not five';
};

$_->finish for @gateways;
done_testing;
