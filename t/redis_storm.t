# Many workers, one Redis: few attempts to connect while Redis is down and when it
# comes back; no connection is left and no request fails when workers exit.

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
my $gw = Gateway->start(redis => $redis, redis_args => 'timeout=300ms', count => 1, workers => $workers, http => 'ampersand_tenant_ttl 1h; ampersand_tenant_grace 60s;');

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
my $token = $gw->tenant('acme', settled => 1);
is $gw->get($path, token => $token)->{status}, 200, 'a tenant is served';
ok $gw->links_proven, 'every link stays';

subtest 'Redis is down' => sub {
    $redis->stop;
    ok $gw->wait_for(sub { $gw->status->{redis_degraded} == $workers }), 'redis_degraded: every worker';
    my $before = connects();
    $gw->wait_for(sub { connects() > $before + 2 * $workers });    # the back-off has grown
    my ($from, $start) = (connects(), time);
    sleep 1.5;    # a rate needs a time
    my $rate = (connects() - $from) / (time - $start);
    cmp_ok $rate, '<', 2.5 * ($workers + 1), sprintf 'attempts: %.1f a second from %d links', $rate, $workers + 1;
    cmp_ok $rate, '>', 0, 'it goes on connecting';
    is scalar(grep { $gw->get($path, token => $token)->{status} != 200 } 1 .. 20), 0, 'a tenant in the zone is served';
    my @said = grep { /\[error\].*ampersand: Redis/ } split /\n/, $gw->error_log;
    cmp_ok scalar(@said), '>=', $workers, 'an error of each worker';
    is $gw->repeated, 0, 'and one for each outage' or diag join "\n", @said;
};

subtest 'Redis is back' => sub {
    my $from = connects();
    $redis->restart;
    my $start = time;
    ok up($workers), 'every link is up';
    note sprintf 'after %.2f s', time - $start;
    my $more = connects() - $from;
    cmp_ok $more, '<=', 3 * ($workers + 1), "with $more attempts";
    is scalar(clients()), $workers + 1, 'and as many connections as before';
    ok $gw->links_proven, 'every link stays';
    is scalar($gw->log_lines(qr/is back after/)), scalar(grep { !/still out of reach/ } $gw->log_lines(qr/\[(?:error|warn)\].*ampersand: Redis/)), 'one line for each outage of a link';
};

subtest 'Redis closes all connections at once' => sub {
    my $from = connects();
    $redis->command('CLIENT', 'KILL', 'TYPE', $_, 'SKIPME', 'yes') for 'normal', 'pubsub';
    ok $gw->wait_for(sub { connects() - $from >= $workers + 1 }), 'each link connects again';
    ok up($workers), 'every link is up';
    is connects() - $from, $workers + 1, 'with one attempt';
};

subtest 'reload' => sub {
    ok up($workers), 'all links are there';
    my $new = $gw->tenant('late');
    my $s = $gw->connect;
    syswrite $s, "GET $path HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
    $gw->wait_for(sub { ($gw->under_way)[1] > 0 });    # a worker reads half a request
    my %old = map { $_ => 1 } $gw->workers_pids;
    $gw->reload;
    $gw->wait_for(sub { 1 >= grep { $old{$_} } $gw->workers_pids });
    is scalar(grep { $old{$_} } $gw->workers_pids), 1, 'an old worker waits for the rest of a request';
    ok up($workers), 'the new ones have their links';
    syswrite $s, "X-Api-Key: $new\r\n\r\n";
    is Gateway::read_response($s)->{status}, 200, 'and still looks up its tenant';
    ok $gw->wait_for(sub { !grep { $old{$_} } $gw->workers_pids }), 'then it exits';
    ok $gw->wait_for(sub { clients() == $workers + 1 }), 'and its connections are closed' or diag clients();
};

subtest 'reload and quit while Redis is silent' => sub {
    $redis->pause;
    my %old = map { $_ => 1 } $gw->workers_pids;
    $gw->reload;
    ok $gw->wait_for(sub { !grep { $old{$_} } $gw->workers_pids }), 'old workers do not wait for Redis';
    is $gw->get($path, token => $token)->{status}, 200, 'a tenant in the zone is served by new workers';
    $gw->finish;    # while Redis is silent
    $redis->resume;
    ok $gw->wait_for(sub { clients() == 0 }), 'no connection is left' or diag clients();
};

done_testing;
