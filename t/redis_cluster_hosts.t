# What CLUSTER SLOTS and MOVED may give as the host of a node: an address, null,
# an empty text, "?".  The gateway and ampctl use the same node, or none.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::FakeRedis;
use Gateway::Made;
use Gateway::Redis;
use Gateway::Redis::Cluster;
use Gateway::Versions;
use Test::More;

my $path = '/v1/integrations';

sub bulk { return defined $_[0] ? '$' . length($_[0]) . "\r\n$_[0]\r\n" : "\$-1\r\n" }

# One range of slots, one node; the metadata are those of Redis 7.

sub slot_map {
    my ($host, $port, $metadata) = @_;
    my $node = bulk($host) . ":$port\r\n" . bulk('a' x 40);
    $node = "*4\r\n$node*" . @$metadata . "\r\n" . join '', map { bulk($_) } @$metadata if $metadata;
    $node = "*3\r\n$node" unless $metadata;
    return "*1\r\n*3\r\n:0\r\n:16383\r\n$node";
}

my @cases = (
    # the host, the metadata, is the node used?
    [ 'an address', '127.0.0.1', undef, 1 ],
    [ 'a null, as for an unknown endpoint', undef, [ ip => '127.0.0.9' ], 1 ],
    [ 'an empty text, as of a node without others', '', [], 1 ],
    [ '"?" with an address in the metadata', '?', [ ip => '127.0.0.1' ], 1 ],
    [ '"?" with an empty address in the metadata', '?', [ ip => '' ], 1 ],
    [ '"?" without an address in the metadata', '?', [ zone => 'a' ], 0 ],
    [ '"?" without metadata', '?', undef, 0 ],
);
my $real = Gateway::Redis->start;

for my $case (@cases) {
    my ($name, $host, $metadata, $used) = @$case;
    subtest $name => sub {
        my $fake = Gateway::FakeRedis->start;
        my $url = 'redis+cluster://127.0.0.1:' . $fake->port;
        $fake->fault({ on => 'CLUSTER', reply => slot_map($host, $fake->port, $metadata) });
        my $gw = Gateway->start(redis => $real, redis_url => $url, workers => 1);

        # 401: the token was looked up, and there is none
        my $status = sub { return $gw->get($path, token => Gateway::Made::token())->{status} };
        my $line = qr/\[error\].*ampersand: Redis "127\.0\.0\.1:\d+" gives no address for the master of 16384 slots/;
        if ($used) {
            ok $gw->wait_for(sub { $status->() == 401 }), 'the gateway uses the node' or diag $gw->error_log;
            unlike $gw->error_log, $line, 'and logs nothing of it';
        }
        else {
            ok $gw->wait_for(sub { $gw->error_log =~ $line }), 'the gateway logs that there is no address';
            is $status->(), 503, 'and refuses a request that needs the node';
            is $gw->status->{redis_degraded}, 1, 'the status says degraded';
            $gw->wait_for(sub { $status->(); $fake->count('CLUSTER', qr/SLOTS/) > 3 });
            is scalar($gw->log_lines($line)), 1, 'one line, however often the map is read';
        }

        my ($exit, undef, $err) = $gw->try_ctl('tenant', 'show', 'acme', '--redis', $url, '--timeout', '1s');
        is $exit, $used ? 1 : 3, $used ? 'ampctl uses it: no such tenant' : 'ampctl does not use it';
        like $err, qr/names no address.*cluster-announce-hostname/s, 'and says what to set in Redis' unless $used;
        $gw->stop;
        $fake->stop;
    };
}

subtest 'a malformed map is not used: the last one stays in use' => sub {
    my $fake = Gateway::FakeRedis->start;
    my $port = $fake->port;
    $fake->fault({ on => 'CLUSTER', reply => slot_map('127.0.0.1', $port) });
    my $gw = Gateway->start(redis => $real, redis_url => "redis+cluster://127.0.0.1:$port", workers => 1);
    my $status = sub { return $gw->get($path, token => Gateway::Made::token())->{status} };
    ok $gw->wait_for(sub { $status->() == 401 }), 'the node is used';
    $fake->fault({ on => 'CLUSTER', reply => slot_map('127.0.0.1', $port) =~ s/:16383/:16384/r },
        { on => 'GET', reply => "-CLUSTERDOWN The cluster is down\r\n", times => 1 });
    is $status->(), 503, 'CLUSTERDOWN: the map is read again';
    ok $gw->wait_for(sub { $gw->error_log =~ /gives no slot map: it is malformed/ }), 'it is malformed now';
    is $status->(), 401, 'the node of the last map is used';
    $gw->stop;
    $fake->stop;
};

subtest 'a cluster that prefers host names and has none: MOVED to "?"' => sub {
    my $c = Gateway::Redis::Cluster->start(replicas => 0);
    my ($one) = $c->nodes;
    my $without = Gateway::Versions::without_hosts($one);
    plan skip_all => $without if $without;
    $_->command(qw(CONFIG SET cluster-preferred-endpoint-type hostname)) for $c->nodes;
    is $one->command('CLUSTER', 'SLOTS')->[0][2][0], '?', 'CLUSTER SLOTS names no host';

    # the map is read with back-off where slots move one after the other: a
    # command waits for it, up to the time-out
    my $gw = Gateway->start(redis => $c, redis_args => 'timeout=3s', workers => 1);
    my %token = map { $_ => $gw->tenant($_) } qw(a b c d);
    is $gw->get($path, token => $token{a})->{status}, 200, 'a tenant is added and served';
    for my $id (qw(b c d)) {
        my ($from) = $c->move($c->slot("amp:tenant:$id"));
        my $moved = !eval { $from->command('GET', "amp:tenant:$id"); 1 } && $@;
        like $moved, qr/MOVED \d+ \?:\d+/, "the slot of $id moves to \"?\"";
        is $gw->get($path, token => $token{$id})->{status}, 200, 'the gateway follows';
        my ($exit) = $gw->try_ctl('tenant', 'disable', $id);
        is $exit, 0, 'ampctl too';
        ok $gw->wait_for(sub { $gw->get($path, token => $token{$id})->{status} == 401 }), 'the change takes effect';
    }
    is_deeply [ $gw->errors ], [], 'the gateway logs no error';
    $gw->finish;
};

done_testing;
