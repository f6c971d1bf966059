# Two gateways share a limit, and another Redis server goes on with its bucket: a slot of a
# cluster moves, Redis restarts without a loss, Sentinel makes a replica the master.  What
# was left is admitted within seconds, though the rate would need hours; and no more.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::Redis;
use Gateway::Redis::Cluster;
use Gateway::Redis::Sentinel;
use Test::More;

my ($rate, $burst, $before) = ('4/h', 60, 20);

sub goes_on {
    my ($redis, $elsewhere) = @_;
    my $first = Gateway->start(redis => $redis);
    my @on = ($first, Gateway->start(like => $first));
    my $token = $first->tenant('acme', project => 'p-1', args => [ '--rate', $rate, '--burst', $burst ]);
    my ($n, $begin) = (0, time);
    my $more = sub {
        my ($status) = map { $_->get('/v1/integrations?n=' . ++$n, token => $token)->{status} } $on[ $n % 2 ];
        return $status == 200;
    };
    is scalar(grep { $more->() } 1 .. $before), $before, "$before requests before";
    $elsewhere->('amp:limit:{acme}:default');
    my $after = 0;

    # each gateway may hold some units of the old server, which lapse
    ok $first->wait_for(sub { $after += $more->(); $after >= $burst - $before - 12 }), 'the bucket goes on' or diag $after;
    $after += $more->() for 1 .. 30;
    cmp_ok $before + $after, '<=', $burst + 1 + (time - $begin) / 900, 'and has no more than before';
    note "$after of ", $burst - $before;
    $_->finish for @on;
}

subtest 'a slot moves' => sub {
    my $c = Gateway::Redis::Cluster->start;
    goes_on($c, sub { $c->move($c->slot($_[0])) });
};

subtest 'Redis restarts, and has lost nothing' => sub {
    my $redis = Gateway::Redis->start('--appendonly', 'yes', '--appendfsync', 'always');
    goes_on($redis, sub { $redis->stop; $redis->restart });
};

subtest 'a planned fail-over' => sub {
    my $s = Gateway::Redis::Sentinel->start;
    goes_on($s, sub { $s->failover('command') });
};

done_testing;
