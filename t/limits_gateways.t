#!/usr/bin/perl

# One limit, several gateways: together never more than rate and burst, hardly
# less, each its share, with few calls; also when gateways are killed, when
# Redis is away, restarted, or another server.

use strict;
use warnings;

use FindBin;
use IO::Select ();
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Redis;

my @http = (http => 'keepalive_requests 1000000;');
my $first = Gateway->start(@http, redis => Gateway::Redis->start('--appendonly', 'yes'));
my @gateways = ($first, map { Gateway->start(like => $first, @http) } 2 .. 8);
my $up = $first->upstream;
my $n = 0;

sub tenant { return $first->tenant('t' . ++$n, project => "p-$n", args => \@_) }

# As fast as it goes for some seconds: ($begun, [ { time, status, gateway } ])

sub flood {
    my ($token, $seconds, $connections, @on) = @_;
    my $text = "POST /v1/topics HTTP/1.1\r\nHost: g\r\nX-Api-Key: $token\r\nContent-Length: 2\r\n\r\n{}";
    my (%of, %in, @seen);
    for my $g (@on) {
        for (1 .. $connections) {
            my $s = $gateways[$g]->connect or die $!;
            $of{$s} = $g;
            $in{$s} = '';
            syswrite $s, $text;
            $in{"s$s"} = $s;
        }
    }
    my $select = IO::Select->new(map { $in{"s$_"} } keys %of);
    my $begun = time;
    while (my @ready = $select->can_read(3)) {
        for my $s (@ready) {
            if (!sysread $s, $in{$s}, 65536, length $in{$s}) {
                $select->remove($s);
                next;
            }
            next unless $in{$s} =~ /\r\n\r\n/;
            my ($length) = $in{$s} =~ /\r\nContent-Length: (\d+)/i or die $in{$s};
            my $end = index($in{$s}, "\r\n\r\n") + 4 + $length;
            next if length $in{$s} < $end;
            push @seen, { time => time, status => substr($in{$s}, 9, 3), gateway => $of{$s} };
            substr $in{$s}, 0, $end, '';
            if (time - $begun < $seconds) {
                syswrite $s, $text;
            } else {
                $select->remove($s);
            }
        }
    }
    return ($begun, \@seen);
}

# The most above rate x time + burst that any window of answers holds.

sub excess {
    my ($rate, $burst, @times) = @_;
    my ($worst, $low) = (-1e9, 1e18);
    for my $i (0 .. $#times) {
        my $debt = $i - $rate * $times[$i];
        $low = $debt if $debt < $low;
        my $over = $debt + 1 - $low - $burst;
        $worst = $over if $over > $worst;
    }
    return $worst;
}

sub calls { my $c = 0; $c += $gateways[$_]->status->{lease_calls_total} for @_; return $c }

for my $case ([ 2, 200, 40 ], [ 4, 400, 100 ], [ 8, 300, 60 ]) {
    my ($many, $rate, $burst) = @$case;
    subtest "$many gateways, $rate/s, burst $burst" => sub {
        my @on = (0 .. $many - 1);
        my $t = tenant('--rate', "$rate/s", '--burst', $burst);
        my $calls = calls(@on);
        my ($begun, $seen) = flood($t, 2, 2, @on);
        my @good = grep { $_->{status} == 200 } @$seen;
        my $took = $seen->[-1]{time} - $begun;
        is scalar(grep { $_->{status} !~ /^(?:200|429)$/ } @$seen), 0, 'admitted or refused';
        cmp_ok scalar(@good), '<=', $rate * $took + $burst, 'never more than rate and burst';

        # seen at the door: later than decided upon, by as long as a busy machine takes
        cmp_ok excess($rate, $burst, map { $_->{time} } @good), '<=', 0.1 * $rate, 'in no window';
        cmp_ok scalar(@good), '>=', 0.97 * ($rate * 2 + $burst) - 1, 'and hardly less';
        $calls = calls(@on) - $calls;
        cmp_ok $calls, '<=', $many * (20 * $took + 8), 'few calls';
        my %by;
        $by{ $_->{gateway} }++ for grep { $_->{time} > $begun + 0.5 } @good;
        my $fair = 0;
        $fair += $_ for values %by;
        $fair /= $many;
        my @far = grep { abs(($by{$_} // 0) - $fair) > 0.1 * $fair + 3 } @on;
        is scalar(@far), 0, 'each has its share' or diag join ' ', map { "$_: " . ($by{$_} // 0) } @on;
        note sprintf '%.1f %% of what is allowed, %d calls, shares %s', 100 * @good / ($rate * $took + $burst), $calls,
            join ' ', map { $by{$_} // 0 } @on;
    };
}

subtest 'a tenant that one gateway sees' => sub {
    my $t = tenant('--rate', '200/s', '--burst', 20);
    my ($begun, $seen) = flood($t, 1.5, 4, 3);
    my $good = grep { $_->{status} == 200 } @$seen;
    cmp_ok $good, '>=', 0.97 * (200 * 1.5 + 20) - 1, 'has its whole rate there';
    cmp_ok $good, '<=', 200 * ($seen->[-1]{time} - $begun) + 20, 'and no more';
};

subtest 'a slow limit, one unit at a time, is exact' => sub {
    my $t = tenant('--rate', '1/h', '--burst', 5);
    my @status = map { $gateways[ $_ % 4 ]->request('POST', '/v1/topics', token => $t, json => {})->{status} } 1 .. 9;
    is "@status", '200 200 200 200 200 429 429 429 429', 'five on four gateways';
};

subtest 'what is not spent is handed back' => sub {
    my $t = tenant('--rate', '1/h', '--burst', 3);
    my $post = sub { $gateways[ $_[0] ]->request('POST', '/v1/topics', token => $t, json => {})->{status} };
    is $post->(0), 200, 'one here';
    ok $first->wait_for(5, sub { $first->redis->command('HGET', "amp:limit:{t$n}:default", 'ahead') < 3601e9 }),
        'Redis has the others again';
    is join(' ', map { sleep 0.05; $post->(1) } 1 .. 3), '200 200 429', 'two there';
};

subtest 'a change applies at once, and keeps what was spent' => sub {
    my $t = tenant('--rate', '1/h', '--burst', 3);
    my $post = sub { $gateways[ $_[0] ]->request('POST', '/v1/topics', token => $t, json => {})->{status} };
    is join(' ', map { $post->(1) } 0 .. 3), '200 200 200 429', 'three';
    $first->ctl('limit', 'set', "t$n", '--rate', '1/h', '--burst', 5);
    my $begun = time;
    ok $first->wait_for(2, sub { $post->(1) == 200 }), 'more';
    cmp_ok time - $begun, '<', 0.2, 'at once';
    my $more = 1;
    sleep 0.05;
    $more++ while $more < 5 && $post->(1) == 200;
    cmp_ok $more, '<=', 2, 'two more at most, not five';
};

subtest 'gateways are killed with leases in hand' => sub {
    my $t = tenant('--rate', '300/s', '--burst', 60);
    my $pid = fork // die $!;
    if ($pid == 0) {
        sleep 0.7;
        kill 'KILL', $gateways[$_]->workers_pids for 6, 7;
        POSIX::_exit(0);
    }
    my ($begun, $seen) = flood($t, 2, 2, 4 .. 7);
    waitpid $pid, 0;
    my @good = grep { $_->{status} == 200 } @$seen;
    cmp_ok scalar(@good), '<=', 300 * ($seen->[-1]{time} - $begun) + 60, 'never more';
    cmp_ok scalar(@good), '>=', 0.85 * (300 * 2 + 60), 'and the others go on';
};

subtest 'Redis is away: each its share' => sub {
    my $t = tenant('--rate', '100/s', '--burst', 20);
    flood($t, 0.5, 2, 0, 1);
    $first->redis->stop;
    my ($begun, $seen) = flood($t, 2, 2, 0, 1);
    my $took = $seen->[-1]{time} - $begun;
    my @good = grep { $_->{status} == 200 } @$seen;
    is scalar(grep { $_->{status} !~ /^(?:200|429)$/ } @$seen), 0, 'no errors';
    cmp_ok scalar(@good), '<=', 100 * $took + 25, 'not more than the rate';
    cmp_ok scalar(@good), '>=', 40, 'and something';
    ok $gateways[1]->status->{limits_degraded}, 'the status says so';
    like $gateways[1]->error_log, qr/no leases from Redis, each gateway holds tenants to its share/, 'so does the log';
    $first->redis->restart;
    ok $first->wait_for(5, sub { flood_one($t); !$gateways[1]->status->{limits_degraded} }), 'until it is back'
        or diag join "\n", grep { /ampersand: (?:Redis|no|leases)/ } split /\n/, $gateways[1]->error_log;
};

sub flood_one { return $gateways[1]->request('POST', '/v1/topics', token => $_[0], json => {})->{status} }

$gateways[$_]->finish for 0 .. 5;
for my $g (@gateways[ 6, 7 ]) {
    $g->stop;
    is scalar(grep { !/exited on signal 9/ } $g->complaints), 0, 'nothing but the kills';
}
done_testing;
