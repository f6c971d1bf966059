# Many workers, one Redis: no storm while it is away nor when it comes back; no
# socket is left and no request lost when workers go.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::Redis;
use Test::More;
use Time::HiRes qw(sleep time);

my $path = '/v1/integrations';
my $workers = 8;
my $redis = Gateway::Redis->start;
my $gw = Gateway->start(redis => $redis, redis_args => '', workers => $workers, http => 'ampersand_tenant_ttl 1h; ampersand_tenant_grace 60s;');

sub up {
    my ($count) = @_;
    return $gw->wait_for(sub {
        my $s = $gw->status;
        $s->{redis_links_up} == $count && $s->{redis_links} == $count && $s->{redis_events_up} && !$s->{redis_degraded};
    });
}

# Connections to Redis that are not this test's.

sub clients {
    my ($own) = $redis->command('CLIENT', 'ID');
    return grep { !/^id=$own / } split /\n/, $redis->command('CLIENT', 'LIST');
}

sub connects { return $gw->status->{redis_connects_total} }

ok up($workers), 'every worker has a link';
is scalar(clients()), $workers + 1, 'one each, and one subscription';
my $token = $gw->tenant('acme');
is $gw->get($path, token => $token)->{status}, 200, 'a tenant is served';
sleep 1.1;

subtest 'away for long' => sub {
    $redis->stop;
    ok $gw->wait_for(sub { $gw->status->{redis_degraded} == $workers }), 'all workers say degraded';
    sleep 1;
    my ($from, $start) = (connects(), time);
    sleep 2;
    my $rate = (connects() - $from) / (time - $start);
    cmp_ok $rate, '<', 2.5 * ($workers + 1), sprintf 'attempts: %.1f a second from %d links', $rate, $workers + 1;
    cmp_ok $rate, '>', 0, 'it does try';
    is scalar(grep { $gw->get($path, token => $token)->{status} != 200 } 1 .. 20), 0, 'a known tenant is served';
    my @said = grep { /\[error\].*ampersand: Redis/ } split /\n/, $gw->error_log;
    is scalar(@said), $workers, 'one line a worker' or diag join "\n", @said;
};

subtest 'back' => sub {
    my $from = connects();
    $redis->restart;
    my $start = time;
    ok up($workers), 'all are up again';
    my $took = time - $start;
    cmp_ok $took, '<', 2.5, sprintf 'within %.2f s', $took;
    my $more = connects() - $from;
    cmp_ok $more, '<=', 3 * ($workers + 1), "with $more attempts";
    is scalar(clients()), $workers + 1, 'and as many connections as before';
    sleep 1.2;
    my $back = grep { /is back after/ } split /\n/, $gw->error_log;
    is $back, $workers + 1, 'said once for each link';
};

subtest 'idle clients thrown out at once' => sub {
    my $from = connects();
    $redis->command('CLIENT', 'KILL', 'TYPE', $_, 'SKIPME', 'yes') for 'normal', 'pubsub';
    ok up($workers), 'all are up again';
    is connects() - $from, $workers + 1, 'one attempt each';
};

subtest 'reload' => sub {
    ok up($workers), 'all links are there';
    my $new = $gw->tenant('late');
    my $s = $gw->connect;
    syswrite $s, "GET $path HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
    sleep 0.2;
    my %old = map { $_ => 1 } $gw->workers_pids;
    $gw->reload;
    $gw->wait_for(sub { 1 >= grep { $old{$_} } $gw->workers_pids });
    is scalar(grep { $old{$_} } $gw->workers_pids), 1, 'an old worker waits for the rest of a request';
    ok up($workers), 'the new ones have their links';
    syswrite $s, "X-Api-Key: $new\r\n\r\n";
    is Gateway::read_response($s)->{status}, 200, 'whose tenant it still looks up';
    ok $gw->wait_for(sub { !grep { $old{$_} } $gw->workers_pids }), 'then it goes';
    ok $gw->wait_for(sub { clients() == $workers + 1 }), 'and its connections with it' or diag clients();
};

subtest 'reload and quit while Redis is away' => sub {
    $redis->pause;
    my %old = map { $_ => 1 } $gw->workers_pids;
    $gw->reload;
    ok $gw->wait_for(sub { !grep { $old{$_} } $gw->workers_pids }), 'old workers do not wait for Redis';
    is $gw->get($path, token => $token)->{status}, 200, 'a known tenant is served by new ones';
    my $start = time;
    $gw->finish;
    cmp_ok time - $start, '<', 3, 'nor does a quit';
    $redis->resume;
    ok $gw->wait_for(sub { clients() == 0 }), 'no connection is left' or diag clients();
};

done_testing;
