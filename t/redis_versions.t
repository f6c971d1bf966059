# The same tour with servers of several versions: one server, Sentinel, a cluster.
#
# REDIS_SERVERS names them, paths with blanks between; without it they are those
# that are installed.  tools/redis-versions runs this file with the servers of
# Debian's suites.  (REDIS_SERVER=/path runs every test with another one.)

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::Load;
use Gateway::Redis;
use Gateway::Redis::Cluster;
use Gateway::Redis::Sentinel;
use Test::More;
use Time::HiRes qw(time);

my $path = '/v1/integrations';

sub tour {
    my ($kind, $redis, $lose) = @_;
    my $gw = Gateway->start(redis => $redis, workers => 2, http => 'ampersand_tenant_ttl 200ms; ampersand_tenant_grace 10m;');
    $gw->upstream->answer({ echo => 1 });
    my $up = sub { $gw->wait_for(sub { $gw->linked }) };
    my $status = sub { $gw->get($path, token => $_[0]{token})->{status} };
    my @known = map {
        { id => $_, project => "p-$_", key => "key-of-$_",
          token => $gw->tenant($_, args => [ '--rate', '1000/s', '--burst', 1000 ]) }
    } map { "known$_" } 1 .. 6;
    my ($new, $changes) = map { { token => $gw->tenant($_) } } qw(new changes);
    is_deeply [ map { $status->($_) } @known ], [ (200) x @known ], "$kind: tenants are served" or diag $gw->error_log;
    ok $up->(), 'every link is up' or diag $gw->error_log;

    my $load = Gateway::Load->start(gateways => [$gw], tenants => \@known, clients => 4);
    is $status->($changes), 200, 'a tenant';
    for (1 .. 3) {
        $gw->ctl('tenant', 'disable', 'changes');
        ok $gw->wait_for(sub { $status->($changes) == 401 }), 'is disabled';
        $gw->ctl('tenant', 'enable', 'changes');
        ok $gw->wait_for(sub { $status->($changes) == 200 }), 'and enabled';
    }
    $gw->ctl('limit', 'set', 'changes', '--rate', '1/m', '--burst', 1);
    my $n = 0;
    ok $gw->wait_for(sub { $gw->get("$path?n=" . $n++, token => $changes->{token})->{status} == 429 }), 'is held to its rate';

    my $begin = time;
    $lose->();
    ok $gw->wait_for(sub { $status->($new) == 200 }), 'a new tenant is served after the server was lost'
        or diag $gw->error_log;
    note sprintf '%s: after %.0f ms', $kind, (time - $begin) * 1000;
    ok $up->(), 'every link is up';
    my $r = $load->stop;
    is $r->{failed}, 0, "none of $r->{requests} requests failed" or diag join "\n", @{ $r->{failures} };
    is_deeply $r->{wrong}, [], 'no answer was for another tenant';
    $gw->finish;
}

my @servers = $ENV{REDIS_SERVERS} ? split ' ', $ENV{REDIS_SERVERS} : ();

if (!@servers) {
    for my $name (qw(redis-server valkey-server)) {
        my ($path) = grep { -x } map { "$_/$name" } split(/:/, $ENV{PATH}), '/usr/bin';
        SKIP: {
            skip "$name is not installed; tools/redis-versions fetches it, and other versions", 1 unless $path;
            push @servers, $path;
        }
    }
}

for my $path (@servers) {
    my %binary = (binary => $path);
    my $redis = Gateway::Redis->start(
        %binary, tls => 1, users => { gate => 'on >pw ~amp:* +@all' }, '--appendonly', 'yes');
    my $info = $redis->info('server');
    my $name = $info->{valkey_version} ? "Valkey $info->{valkey_version}" : "Redis $info->{redis_version}";
    diag $name;
    subtest $name => sub {
        tour('one server', $redis, sub { $redis->crash; $redis->restart });
        undef $redis;
        my $sentinel = Gateway::Redis::Sentinel->start(%binary);
        tour('Sentinel', $sentinel, sub { $sentinel->failover('crash') });
        undef $sentinel;
        my $cluster = Gateway::Redis::Cluster->start(%binary);
        tour('cluster', $cluster, sub { $cluster->crash($cluster->master_of($cluster->slot('amp:tenant:new'))) });
    };
}

done_testing;
