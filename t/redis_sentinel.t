# redis+sentinel:// under load: the master crashes, freezes or steps down, and no
# request of a tenant in the zone fails; changes are applied afterwards; the old
# master, which still takes itself for the master, is not used.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::Load;
use Gateway::Redis;
use Gateway::Redis::Sentinel;
use Test::More;
use Time::HiRes qw(time);

my $path = '/v1/integrations';
my $workers = 2;
my $s = Gateway::Redis::Sentinel->start;
my $gw = Gateway->start(redis => $s, redis_args => 'timeout=500ms', workers => $workers, http => 'ampersand_tenant_ttl 300ms; ampersand_tenant_grace 10m;');
$gw->upstream->answer({ echo => 1 });

sub tenant {
    my ($id) = @_;
    return { id => $id, token => $gw->tenant($id), project => "p-$id", key => "key-of-$id" };
}

sub errors { return $gw->errors }

sub all_up { return $gw->linked }

# Waits for so many requests more.

sub answered {
    my ($load, $more) = @_;
    my $before = $load->report->{requests};
    return $gw->wait_for(sub { $load->report->{requests} >= $before + $more });
}

my @known = map { tenant("known$_") } 1 .. 5;
my @unknown = map { tenant("new$_") } 1 .. 8;
is $gw->get($path, token => $_->{token})->{status}, 200, "$_->{id} is served" for @known;
ok $gw->wait_for(\&all_up), 'every link is up' or diag $gw->error_log;
is_deeply [ errors() ], [], 'no error in the log';

for my $how ('command', 'crash', 'pause') {
    my %name = (command => 'SENTINEL FAILOVER', crash => 'kill -9 of the master', pause => 'the master freezes');
    subtest $name{$how} => sub {
        my $old = $s->master;
        my $load = Gateway::Load->start(gateways => [$gw], tenants => \@known, clients => 4);
        my $errors = errors();
        answered($load, 100);
        my $new = shift @unknown;
        my $begin = time;
        my $promoted = $s->failover($how);
        ok $gw->wait_for(sub { $gw->get($path, token => $new->{token})->{status} == 200 }),
            'a new tenant is served by the new master' or diag $gw->error_log;
        note sprintf '%s: Sentinel has a new master after %.0f ms, it serves after %.0f ms',
            $name{$how}, $promoted * 1000, (time - $begin) * 1000;
        ok $gw->wait_for(\&all_up), 'every link is up' or diag $gw->error_log;
        note sprintf 'all links are up after %.0f ms', (time - $begin) * 1000;

        # the old master still has the former record
        my $change = shift @known;
        $gw->ctl('tenant', 'disable', $change->{id});
        ok $gw->wait_for(sub { $gw->get($path, token => $change->{token})->{status} == 401 }),
            'a change at the new master is applied';
        push @known, $change;

        if ($how eq 'pause') {
            $old->resume;
            my $lookups = $gw->status->{lookups_total};
            $gw->wait_for(sub { $gw->status->{lookups_total} > $lookups + 10 });
            is $gw->get($path, token => $change->{token})->{status}, 401, 'the old master goes on and is not used';
        }
        ok $s->settle, 'the old master is a replica now';
        ok $gw->wait_for(\&all_up), 'every link is up';
        is_deeply [ $gw->connections_to(map { $_->port } $s->master, $s->replicas) ], [ $workers + 1, 0, 0 ],
            'all are to the new master';

        $gw->ctl('tenant', 'enable', $change->{id});
        ok $gw->wait_for(sub { $gw->get($path, token => $change->{token})->{status} == 200 }), 'changes are applied';

        my $r = $load->stop;
        my @failed = grep { !/^$change->{id} .*: 401/ } @{ $r->{failures} };
        is scalar(@failed), 0, "none of $r->{requests} requests of tenants in the zone failed" or diag join "\n", @failed;
        is_deeply $r->{wrong}, [], 'no answer was for another tenant';
        $errors = errors() - $errors;
        cmp_ok $errors, '<=', $workers, 'at most one error a worker' or diag join "\n", errors();
    };
}

subtest 'Sentinels come and go' => sub {
    my @sentinels = $s->sentinels;
    my $load = Gateway::Load->start(gateways => [$gw], tenants => \@known, clients => 4);
    $sentinels[0]->crash;
    answered($load, 100);
    my $one = shift @unknown;
    ok $gw->wait_for(sub { $gw->get($path, token => $one->{token})->{status} == 200 }), 'one Sentinel is down: a new tenant is served';

    $s->failover('crash');
    my $two = shift @unknown;
    ok $gw->wait_for(sub { $gw->get($path, token => $two->{token})->{status} == 200 }), 'the other two name the new master'
        or diag $gw->error_log;
    ok $s->settle, 'all Sentinels are back';
    ok $gw->wait_for(\&all_up), 'every link is up';

    my $master = $s->master;
    $_->crash for @sentinels;
    answered($load, 50);
    $master->command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    my $three = shift @unknown;
    my $status = $gw->get($path, token => $three->{token})->{status};
    ok $status == 200 || $status == 503, 'all Sentinels are down: a new tenant is served, or gets 503' or diag $status;
    $_->restart for @sentinels;
    ok $gw->wait_for(sub { all_up() && $gw->get($path, token => $three->{token})->{status} == 200 }),
        'all Sentinels are back: served' or diag $gw->error_log;
    my $r = $load->stop;
    is $r->{failed}, 0, "none of $r->{requests} requests of tenants in the zone failed" or diag join "\n", @{ $r->{failures} };
};
$gw->finish;

done_testing;
