# redis+sentinel:// under load: the master dies, freezes or steps down, and no
# request of a known tenant fails; changes are heard of again; the old master,
# which does not know that it is none any more, is not believed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::Load;
use Gateway::Redis;
use Gateway::Redis::Sentinel;
use Test::More;
use Time::HiRes qw(sleep time);

my $path = '/v1/integrations';
my $workers = 2;
my $s = Gateway::Redis::Sentinel->start;
my $gw = Gateway->start(redis => $s, redis_args => '', workers => $workers, http => 'ampersand_tenant_ttl 300ms; ampersand_tenant_grace 10m;');
$gw->upstream->answer({ echo => 1 });

sub tenant {
    my ($id) = @_;
    return { id => $id, token => $gw->tenant($id), project => "p-$id", key => "key-of-$id" };
}

sub errors { return grep { /\[error\].*ampersand: / } split /\n/, $gw->error_log }

sub all_up {
    my $status = $gw->status;
    return $status->{redis_events_up} && $status->{redis_links_up} == $workers && $status->{redis_links} == $workers;
}

my @known = map { tenant("known$_") } 1 .. 5;
my @strangers = map { tenant("stranger$_") } 1 .. 8;
is $gw->get($path, token => $_->{token})->{status}, 200, "$_->{id} is served" for @known;
ok $gw->wait_for(\&all_up), 'every link is up' or diag $gw->error_log;
is_deeply [ errors() ], [], 'nothing to say';

for my $how ('command', 'crash', 'pause') {
    my %name = (command => 'SENTINEL FAILOVER', crash => 'kill -9 of the master', pause => 'the master freezes');
    subtest $name{$how} => sub {
        my $old = $s->master;
        my $load = Gateway::Load->start(gateways => [$gw], tenants => \@known, clients => 4);
        my $errors = errors();
        sleep 0.5;
        my $stranger = shift @strangers;
        my $begin = time;
        my $promoted = $s->failover($how);
        ok $gw->wait_for(sub { $gw->get($path, token => $stranger->{token})->{status} == 200 }),
            'an unknown tenant is served by the new master' or diag $gw->error_log;
        note sprintf '%s: Sentinel has a new master after %.0f ms, it serves after %.0f ms',
            $name{$how}, $promoted * 1000, (time - $begin) * 1000;
        ok $gw->wait_for(\&all_up), 'every link is up' or diag $gw->error_log;
        note sprintf 'all links are up after %.0f ms', (time - $begin) * 1000;

        # the old one would have an answer, but an old one
        my $change = shift @known;
        $gw->ctl('tenant', 'disable', $change->{id});
        ok $gw->wait_for(sub { $gw->get($path, token => $change->{token})->{status} == 401 }),
            'a change at the new master is seen';
        push @known, $change;

        if ($how eq 'pause') {
            $old->resume;
            sleep 0.5;
            is $gw->get($path, token => $change->{token})->{status}, 401, 'the old master wakes up and is not believed';
        }
        ok $s->settle, 'the old master is a replica now';
        ok $gw->wait_for(\&all_up), 'every link is up';
        is_deeply [ $gw->connections_to(map { $_->port } $s->master, $s->replicas) ], [ $workers + 1, 0, 0 ],
            'all are to the new master, none to another';

        $gw->ctl('tenant', 'enable', $change->{id});
        ok $gw->wait_for(sub { $gw->get($path, token => $change->{token})->{status} == 200 }), 'changes are heard of';

        my $r = $load->stop;
        my @failed = grep { !/^$change->{id} .*: 401/ } @{ $r->{failures} };
        is scalar(@failed), 0, "none of $r->{requests} requests of known tenants failed" or diag join "\n", @failed;
        is_deeply $r->{wrong}, [], 'nobody was taken for another';
        $errors = errors() - $errors;
        cmp_ok $errors, '<=', $workers, 'at most one error a worker' or diag join "\n", errors();
    };
}

subtest 'Sentinels come and go' => sub {
    my @sentinels = $s->sentinels;
    my $load = Gateway::Load->start(gateways => [$gw], tenants => \@known, clients => 4);
    $sentinels[0]->crash;
    sleep 0.5;
    my $one = shift @strangers;
    is $gw->get($path, token => $one->{token})->{status}, 200, 'one is away: nothing happens';

    $s->failover('crash');
    my $two = shift @strangers;
    ok $gw->wait_for(sub { $gw->get($path, token => $two->{token})->{status} == 200 }), 'the other two name the new master'
        or diag $gw->error_log;
    ok $s->settle, 'all are back';
    ok $gw->wait_for(\&all_up), 'every link is up';

    my $master = $s->master;
    $_->crash for @sentinels;
    sleep 0.3;
    $master->command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    my $three = shift @strangers;
    my $status = $gw->get($path, token => $three->{token})->{status};
    ok $status == 200 || $status == 503, 'all are away: an unknown tenant gets 503 at worst' or diag $status;
    $_->restart for @sentinels;
    ok $gw->wait_for(sub { all_up() && $gw->get($path, token => $three->{token})->{status} == 200 }),
        'all are back: all is well' or diag $gw->error_log;
    my $r = $load->stop;
    is $r->{failed}, 0, "none of $r->{requests} requests of known tenants failed" or diag join "\n", @{ $r->{failures} };
};
$gw->finish;

done_testing;
