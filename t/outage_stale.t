# Records that have to be verified all the time (ampersand_tenant_ttl is short)
# while Redis freezes, is killed, throws its clients out, is full: clients of known
# tenants do not notice until ampersand_tenant_grace ends; unknown ones get 503 at
# once; it is said once that Redis is away and once that it is back; and what is
# served when Redis has lost a record.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::Made;
use Gateway::Redis;
use Gateway::Workers;
use JSON::PP ();
use Test::More;
use Time::HiRes qw(sleep time);

my $path = '/v1/integrations';
my $redis = Gateway::Redis->start;
my $gw = Gateway->start(
    redis => $redis, redis_args => '', workers => 2, Gateway::Workers::options(),
    http => 'ampersand_tenant_ttl 300ms; ampersand_tenant_grace 3s;',
);
my @tokens = map { $gw->tenant("t$_") } 1 .. 20;
my $late = $gw->tenant('late');
$redis->command('SAVE');
ok $gw->wait_for(sub { my $s = $gw->status; $s->{redis_events_up} && $s->{redis_links_up} == 2 }), 'linked';
my $all = Gateway::Workers->new($gw);
$all->statuses($_) for @tokens;

# A client that asks without a pause, each worker, each tenant in turn.

sub client {
    my ($seconds, $first) = @_;
    pipe my $in, my $out or die $!;
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        my $all = Gateway::Workers->new($gw);
        my (%count, @ms);
        my $i = $first;
        my $end = time + $seconds;
        while (time < $end) {
            my $asked = time;
            my $res = $all->one($i % 2, $path, token => $tokens[ $i / 2 % @tokens ]);
            $i++;
            $count{ $res->{status} }++;
            push @ms, (time - $asked) * 1000;
        }
        @ms = sort { $a <=> $b } @ms;
        print $out JSON::PP::encode_json({ count => \%count, p50 => $ms[@ms / 2], p99 => $ms[0.99 * $#ms], max => $ms[-1] });
        close $out;
        POSIX::_exit(0);
    }
    close $out;
    return { pid => $pid, in => $in };
}

sub errors { return scalar grep { /\[error\].*ampersand: / } split /\n/, $gw->error_log }
sub backs  { return scalar grep { /\[notice\].*ampersand: .* is back/ } split /\n/, $gw->error_log }

sub up {
    return $gw->wait_for(sub {
        my $s = $gw->status;
        $s->{redis_events_up} && $s->{redis_links_up} == 2 && $all->statuses($tokens[0]) eq '200 200';
    });
}

my @faults = (
    [ 'is frozen', 1.2, sub { $redis->pause; sleep 0.6; $redis->resume } ],
    [ 'is killed and started again', 1.2, sub { kill 'KILL', $redis->pid; sleep 0.5; $redis->restart } ],
    [ 'throws its clients out, again and again', 1, sub {
        for (1 .. 8) { $redis->command('CLIENT', 'KILL', 'TYPE', $_, 'SKIPME', 'yes') for 'normal', 'pubsub'; sleep 0.1 }
    } ],
    [ 'is full', 0.8, sub {
        $redis->command('CONFIG', 'SET', 'maxmemory', '1');
        sleep 0.5;
        $redis->command('CONFIG', 'SET', 'maxmemory', '0');
    } ],
    [ 'is busy with a script', 1.2, sub {
        my $pid = fork // die $!;
        if (!$pid) {
            eval { Gateway::Redis::Link->new($redis->port)->_call('EVAL', 'for i = 1, 30000000 do local x = i * i end', 0) };
            POSIX::_exit(0);
        }
        waitpid $pid, 0;
    } ],
);
for (@faults) {
    my ($name, $seconds, $fault) = @$_;
    subtest "Redis $name" => sub {
        up();
        sleep 1.1 if $name =~ /throws/;    # once the links have proven themselves
        $all->statuses($_) for @tokens;
        my $before = $gw->status;
        my @jobs = map { client($seconds, $_ * 13) } 1 .. 2;
        sleep 0.1;
        $fault->();
        my $ended = time;
        ok up(), 'it works again';
        my $back = time - $ended;
        for my $job (@jobs) {
            local $/;
            my $c = JSON::PP::decode_json(readline $job->{in});
            waitpid $job->{pid}, 0;
            my $sum = 0;
            $sum += $_ for values %{ $c->{count} };
            is_deeply [ keys %{ $c->{count} } ], [200], "none of $sum requests fails"
                or diag explain $c->{count};
            cmp_ok $c->{max}, '<', 1000, sprintf 'p50 %.2f ms, p99 %.2f ms, longest %.0f ms', @$c{qw(p50 p99 max)};
        }
        my $after = $gw->status;
        note sprintf 'served from before the outage: %d; back after %.0f ms',
            $after->{stale_tenants_served_total} - $before->{stale_tenants_served_total}, 1000 * $back;
    };
}

subtest 'until grace ends' => sub {
    up();
    sleep 1.1;    # the last "is back" has been said
    $all->statuses($_) for @tokens;
    my ($errors, $backs) = (errors(), backs());
    my $known = time;
    $redis->stop;
    $gw->wait_for(sub { $gw->status->{redis_links_up} == 0 });
    my %ms;
    my $wrong = 0;
    while (time < $known + 2) {
        for my $what ([ 'known', $tokens[3], 200 ], [ 'unknown', $late, 503 ], [ 'made up', Gateway::Made::token(), 503 ]) {
            my $asked = time;
            my $res = $all->one(rand 2, $path, token => $what->[1]);
            push @{ $ms{ $what->[0] } }, 1000 * (time - $asked);
            $wrong++ if $res->{status} != $what->[2]
                || $what->[2] == 503 && ($res->{headers}{'retry-after'} || 0) < 1;
        }
        sleep 0.01;
    }
    is $wrong, 0, 'a known tenant is served, others get 503 with Retry-After';
    for my $what (sort keys %ms) {
        my @all = sort { $a <=> $b } @{ $ms{$what} };
        cmp_ok $all[@all / 2], '<', 20, sprintf '%s: p50 %.2f ms, longest %.1f ms', $what, $all[@all / 2], $all[-1];
    }
    is errors() - $errors, 2, 'each worker says once that Redis is away' or diag $gw->error_log;
    is $gw->get('/-/status')->{status}, 200, 'the status page answers';
    ok $gw->wait_for(sub { $all->statuses($tokens[3]) eq '503 503' }), 'grace ends';
    my $lived = time - $known;
    ok $lived > 2.5 && $lived < 5, sprintf 'after ampersand_tenant_ttl and _grace: %.1f s', $lived;
    my $res = $gw->get($path, token => $tokens[3]);
    like $res->{body}, qr/problem:store-down/, '503 store-down';
    ok $res->{headers}{'retry-after'}, 'with Retry-After';

    $redis->restart;
    my $start = time;
    ok $gw->wait_for(sub { $all->statuses($late) eq '200 200' && $all->statuses($tokens[3]) eq '200 200' }),
        sprintf 'Redis is back: all are served';
    note sprintf 'after %.0f ms', 1000 * (time - $start);
    ok $gw->wait_for(sub { backs() - $backs >= 2 }), 'each worker says so';
    sleep 0.3;
    # the subscription has its own line
    cmp_ok backs() - $backs, '<=', 3, 'once' or diag $gw->error_log;
    is errors() - $errors, 2, 'and there was no other error';
};

subtest 'what Redis has lost' => sub {
    up();
    $all->statuses($_) for @tokens;
    $redis->command('DEL', 'amp:tenant:t7');
    $redis->command('SET', 'amp:tenant:t8', 'garbage');
    $redis->command('DEL', 'amp:tenant:t9');
    $redis->command('LPUSH', 'amp:tenant:t9', 'a list');
    ok $gw->wait_for(sub { $all->statuses($tokens[6]) eq '401 401' }), 'a record that is gone: ampersand_tenant_ttl later the tenant is';
    sleep 0.4;
    is $all->statuses($tokens[$_]), '200 200', 'one that cannot be read any more: the tenant is served by what was known' for 7, 8;
    ok $gw->wait_for(sub { $all->statuses($tokens[7]) eq '503 503' }), 'until grace ends';
    like $gw->get($path, token => $tokens[7])->{body}, qr/problem:bad-record/, 'then 503 bad-record';
    $redis->command('FLUSHALL');
    ok $gw->wait_for(sub { $all->statuses($tokens[0]) eq '401 401' }), 'FLUSHALL: nobody is known ampersand_tenant_ttl later';
};

$gw->finish;
done_testing;
