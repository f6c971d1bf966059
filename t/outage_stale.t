# Records that have to be verified all the time (ampersand_tenant_ttl is short) while
# Redis freezes, is killed, closes its connections, is full: requests of tenants in
# the zone are served until ampersand_tenant_grace ends, others get 503 without a
# command of Redis; one line when the outage begins and one when it ends; and what
# is served when Redis has lost a record.

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
    redis => $redis, redis_args => 'timeout=500ms', workers => 2, Gateway::Workers::options(),
    http => 'ampersand_tenant_ttl 300ms; ampersand_tenant_grace 3s;',
);
my @tokens = map { $gw->tenant("t$_") } 1 .. 20;
my $late = $gw->tenant('late');
$redis->command('SAVE');
ok $gw->wait_for(sub { $gw->linked }), 'every link is up';
my $all = Gateway::Workers->new($gw);
$all->statuses($_) for @tokens;

# A client that sends one request after another, to each worker, of each tenant in
# turn, until it gets a TERM.

sub client {
    my ($first) = @_;
    pipe my $in, my $out or die $!;
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        my $all = Gateway::Workers->new($gw);
        my (%count, @ms);
        my $i = $first;
        my $stop = 0;
        $SIG{TERM} = sub { $stop = 1 };
        until ($stop) {
            my $asked = time;
            my $res = eval { $all->one($i % 2, $path, token => $tokens[ $i / 2 % @tokens ]) };
            last if $stop;    # the signal may have cut the answer short
            $i++;
            $count{ $res ? $res->{status} : 'none' }++;
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

sub errors { return scalar $gw->errors }
sub backs  { return scalar $gw->log_lines(qr/\[notice\].*ampersand: .* is back/) }

# Waits until stale records have been served.

sub stale {
    my $before = $gw->status->{stale_tenants_served_total};
    return $gw->wait_for(sub { $gw->status->{stale_tenants_served_total} > $before + 50 });
}

sub up {
    return $gw->wait_for(sub {
        $gw->linked && $all->statuses($tokens[0]) eq '200 200';
    });
}

my @faults = (
    [ 'is frozen', sub { $redis->pause; stale(); $redis->resume } ],
    [ 'is killed and started again', sub { kill 'KILL', $redis->pid; stale(); $redis->restart } ],
    [ 'closes all connections, again and again', sub {
        for (1 .. 8) { $redis->command('CLIENT', 'KILL', 'TYPE', $_, 'SKIPME', 'yes') for 'normal', 'pubsub'; sleep 0.1 }    # some while the gateway connects
    } ],
    [ 'is full', sub {
        $redis->command('CONFIG', 'SET', 'maxmemory', '1');
        sleep 0.5;    # ampersand_tenant_ttl passes
        $redis->command('CONFIG', 'SET', 'maxmemory', '0');
    } ],
    [ 'is busy with a script', sub {
        my $pid = fork // die $!;
        if (!$pid) {
            my $busy = sub { eval { Gateway::Redis::Link->new($redis->port)->_call('EVAL', "for i = 1, $_[0] do local x = i * i end", 0) } };
            my $start = time;
            $busy->(1_000_000);
            $busy->(int(0.7 * 1_000_000 / (time - $start)));    # 0.7 s, on any machine
            POSIX::_exit(0);
        }
        waitpid $pid, 0;
    } ],
);
for (@faults) {
    my ($name, $fault) = @$_;
    subtest "Redis $name" => sub {
        up();
        $gw->links_proven if $name =~ /closes/;
        $all->statuses($_) for @tokens;
        my $before = $gw->status;
        my @jobs = map { client($_ * 13) } 1 .. 2;
        $fault->();
        my $ended = time;
        ok up(), 'it works again';
        my $back = time - $ended;
        kill 'TERM', map { $_->{pid} } @jobs;
        for my $job (@jobs) {
            local $/;
            my $c = JSON::PP::decode_json(readline $job->{in});
            waitpid $job->{pid}, 0;
            my $sum = 0;
            $sum += $_ for values %{ $c->{count} };
            is_deeply [ keys %{ $c->{count} } ], [200], "none of $sum requests fails"
                or diag explain $c->{count};
            note sprintf 'p50 %.2f ms, p99 %.2f ms, longest %.0f ms', @$c{qw(p50 p99 max)};
        }
        my $after = $gw->status;
        note sprintf '%d requests served with stale records; every link is up after %.0f ms',
            $after->{stale_tenants_served_total} - $before->{stale_tenants_served_total}, 1000 * $back;
    };
}

subtest 'until grace ends' => sub {
    up();
    $gw->links_proven;    # the last "is back" is in the log
    $all->statuses($_) for @tokens;
    my ($errors, $backs) = (errors(), backs());
    my $verified = time;
    $redis->stop;
    $gw->wait_for(sub { $gw->status->{redis_links_up} == 0 });
    my $wrong = 0;
    my $timeouts = $gw->status->{redis_commands_total};
    while (time < $verified + 2) {
        for my $what ([ $tokens[3], 200 ], [ $late, 503 ], [ Gateway::Made::token(), 503 ]) {
            my ($token, $status) = @$what;
            my $res = $all->one(rand 2, $path, token => $token);
            $wrong++ if $res->{status} != $status
                || $status == 503 && ($res->{headers}{'retry-after'} || 0) < 1;
        }
        sleep 0.01;
    }
    is $wrong, 0, 'a tenant in the zone is served, others get 503 with Retry-After';
    is $gw->status->{redis_commands_total}, $timeouts, 'without a command of Redis';
    is errors() - $errors, 2, 'one error a worker' or diag $gw->error_log;
    is $gw->get('/-/status')->{status}, 200, 'the status page answers';
    ok $gw->wait_for(sub { $all->statuses($tokens[3]) eq '503 503' }), 'grace ends';
    my $lived = time - $verified;
    cmp_ok $lived, '>', 2.5, sprintf 'after ampersand_tenant_ttl and _grace: %.1f s', $lived;
    my $res = $gw->get($path, token => $tokens[3]);
    like $res->{body}, qr/problem:store-down/, '503 store-down';
    ok $res->{headers}{'retry-after'}, 'Retry-After';

    $redis->restart;
    my $start = time;
    ok $gw->wait_for(sub { $all->statuses($late) eq '200 200' && $all->statuses($tokens[3]) eq '200 200' }),
        sprintf 'Redis is back: all tenants are served';
    note sprintf 'after %.0f ms', 1000 * (time - $start);
    ok $gw->wait_for(sub { backs() - $backs >= 2 }), 'a line of each worker';
    $gw->links_proven;
    # the subscription has its own line
    cmp_ok backs() - $backs, '<=', 3, 'and only one' or diag $gw->error_log;
    is errors() - $errors, 2, 'no other error';
};

subtest 'records that Redis has lost' => sub {
    up();
    $all->statuses($_) for @tokens;
    $redis->command('DEL', 'amp:tenant:t7');
    $redis->command('SET', 'amp:tenant:t8', 'garbage');
    $redis->command('DEL', 'amp:tenant:t9');
    $redis->command('LPUSH', 'amp:tenant:t9', 'a list');
    my $lost = $gw->status->{records_lost_total};
    ok $gw->wait_for(sub { $all->statuses($tokens[6]) eq '401 401' }), 'a record that is deleted: 401 when ampersand_tenant_ttl has passed';
    cmp_ok $gw->status->{records_lost_total}, '>', $lost, 'which is counted';
    like $gw->error_log, qr/has lost a token or tenant that it had, or a change of one, and announced nothing: was it emptied or restored/, 'and said';
    sleep 0.4;    # ampersand_tenant_ttl passes
    is $all->statuses($tokens[$_]), '200 200', 'one that cannot be decoded: served with the last good record' for 7, 8;
    ok $gw->wait_for(sub { $all->statuses($tokens[7]) eq '503 503' }), 'until grace ends';
    like $gw->get($path, token => $tokens[7])->{body}, qr/problem:bad-record/, 'then 503 bad-record';
    $redis->command('FLUSHALL');
    ok $gw->wait_for(sub { $all->statuses($tokens[0]) eq '401 401' }), 'FLUSHALL: 401 when ampersand_tenant_ttl has passed';
};

$gw->finish;
done_testing;
