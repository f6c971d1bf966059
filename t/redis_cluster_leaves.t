# A node that leaves its cluster keeps its connections: the gateway notices, and
# listens and asks for the slot map elsewhere.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::Redis::Cluster;
use JSON::PP ();
use Test::More;

my $path = '/v1/integrations';
my $cluster = Gateway::Redis::Cluster->start(masters => 4, replicas => 0);
my @like = (redis => $cluster, workers => 2, http => "ampersand_tenant_ttl 1h;");
my @gateways = Gateway->start(@like);
push @gateways, Gateway->start(like => $gateways[0], @like);
my %token = map { $_ => $gateways[0]->tenant($_) } qw(kept revoked);
for my $gw (@gateways) {
    ok $gw->wait_for(sub { $gw->linked && $gw->status->{redis_events_up} }), 'every link is up';
    ok $gw->wait_for(sub { $gw->get($path, token => $token{$_})->{status} == 200 }), "$_ is served" for sort keys %token;
}

my $subscribers = sub { $_[0]->command('PUBSUB', 'NUMSUB', 'amp:events')->[1] };
my ($left) = sort { $subscribers->($b) <=> $subscribers->($a) } $cluster->masters;
my @rest = grep { $_ != $left } $cluster->masters;
ok $subscribers->($left), 'a gateway listens at the node';

# All slots of the node move, one after the other, while nobody uses them.

my ($range) = grep { $_->[2] == $left } $cluster->_slots;
my $id = $left->command('CLUSTER', 'MYID');
my $to = $rest[0]->command('CLUSTER', 'MYID');
for my $slot ($range->[0] .. $range->[1]) {
    $rest[0]->command('CLUSTER', 'SETSLOT', $slot, 'IMPORTING', $id);
    $left->command('CLUSTER', 'SETSLOT', $slot, 'MIGRATING', $to);
    my @keys = @{ $left->command('CLUSTER', 'GETKEYSINSLOT', $slot, 1000) };
    $left->command('MIGRATE', '127.0.0.1', $rest[0]->port, '', 0, 5000, 'KEYS', @keys) if @keys;
    # with its last slot the node may become a replica
    eval { $_->command('CLUSTER', 'SETSLOT', $slot, 'NODE', $to) } for $rest[0], $left, @rest[ 1 .. $#rest ];
}
$_->command('CLUSTER', 'FORGET', $id) for @rest;
$left->command('CLUSTER', 'RESET', 'SOFT');

ok Gateway::Redis::wait_for(sub { !$subscribers->($left) && @gateways == eval { my $n = 0; $n += $subscribers->($_) for @rest; $n } }),
    'the gateways listen at a node of the cluster';
for my $gw (@gateways) {
    ok $gw->wait_for(sub { $gw->status->{redis_events_up} && !$gw->status->{redis_degraded} }), 'the status says that all is well';
    ok $gw->wait_for(sub { $gw->get($path, token => $token{$_})->{status} == 200 }), "$_ is served" for sort keys %token;
}

my ($entry) = @{ JSON::PP::decode_json($gateways[0]->ctl('token', 'list', 'revoked', '--json', '--redis', 'redis+cluster://127.0.0.1:' . $rest[0]->port)) };
$gateways[0]->ctl('token', 'revoke', $entry->{id}, '--redis', 'redis+cluster://127.0.0.1:' . $rest[0]->port);
for my $gw (@gateways) {
    ok $gw->wait_for(sub { $gw->get($path, token => $token{revoked})->{status} == 401 }), 'a change is heard';
    ok $gw->wait_for(sub { $gw->get($path, token => $token{kept})->{status} == 200 }), 'others are served';
}
ok scalar(grep { $_->error_log =~ /Redis "127.0.0.1:@{[ $left->port ]}" is left, connecting to/ } @gateways), 'the log says so';
$_->finish for @gateways;
done_testing;
