# redis+cluster:// under load: tenants in all slots, slots that have moved or are
# migrating, masters that crash or freeze, a cluster that is down.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA ();
use Gateway;
use Gateway::Load;
use Gateway::Redis;
use Gateway::Redis::Cluster;
use Test::More;
use Time::HiRes qw(time);

my $path = '/v1/integrations';
my $workers = 2;
my $c = Gateway::Redis::Cluster->start;
my $gw = Gateway->start(redis => $c, redis_args => 'timeout=500ms', workers => $workers, http => 'ampersand_tenant_ttl 300ms; ampersand_tenant_grace 10m;');
$gw->upstream->answer({ echo => 1 });

sub tenant {
    my ($id) = @_;
    return { id => $id, token => $gw->tenant($id), project => "p-$id", key => "key-of-$id" };
}

sub errors { return $gw->errors }

sub status_of { return $gw->get($path, token => $_[0]{token})->{status} }

sub all_up { return $gw->linked }

my @known = map { tenant("known$_") } 1 .. 12;
my @unknown = map { tenant("new$_") } 1 .. 14;
is_deeply [ map { status_of($_) } @known ], [ (200) x @known ], 'tenants of all slots are served' or diag $gw->error_log;
my %masters = map { $c->master_of($c->slot("amp:tenant:$_->{id}"))->port => 1 } @known, @unknown;
is scalar(keys %masters), 3, 'they are on all masters';
ok $gw->wait_for(\&all_up), 'every link is up' or diag $gw->error_log;
is_deeply [ errors() ], [], 'no error in the log';

# Waits for so many requests more.

sub answered {
    my ($load, $more) = @_;
    my $before = $load->report->{requests};
    return $gw->wait_for(sub { $load->report->{requests} >= $before + $more });
}

# Does something under load: no request of a tenant in the zone may fail.

sub calm {
    my ($name, $code) = @_;
    subtest $name => sub {
        my $load = Gateway::Load->start(gateways => [$gw], tenants => \@known, clients => 4);
        answered($load, 50);
        $code->();
        answered($load, 100);
        my $r = $load->stop;
        is $r->{failed}, 0, "none of $r->{requests} requests of tenants in the zone failed" or diag join "\n", @{ $r->{failures} };
        is_deeply $r->{wrong}, [], 'no answer was for another tenant';
    };
}

for my $how ('move', 'migrate') {
    calm($how eq 'move' ? 'slots move: MOVED' : 'slots are migrating: ASK', sub {
        my $before = $gw->status;
        my $new = shift @unknown;
        my %slots = map { $c->slot($_) => 1 } map {
            ("amp:tenant:$_->{id}", 'amp:token:' . Digest::SHA::sha256_hex($_->{token}))
        } $new, @known[0, 1];
        $c->$how($_) for keys %slots;
        is status_of($new), 200, 'a new tenant in these slots is served' or diag $gw->error_log;
        is_deeply [ map { status_of($_) } @known[0, 1] ], [ 200, 200 ], 'tenants in the zone are';
        $gw->ctl('tenant', 'disable', $new->{id});
        ok $gw->wait_for(sub { status_of($new) == 401 }), 'a change in these slots is applied';
        ok $gw->wait_for(sub { $gw->status->{redis_redirects_total} > $before->{redis_redirects_total} }),
            'redis_redirects_total counts';

        # a node that imports a slot does not see its new owner when the old one dies
        $c->move($_) for $how eq 'migrate' ? keys %slots : ();
    });
}

for my $how ('crash', 'pause') {
    my $name = $how eq 'crash' ? 'kill -9 of a master' : 'a master freezes';
    calm($name, sub {
        my ($new, $other) = splice @unknown, 0, 2;
        my $lost = $c->master_of($c->slot("amp:tenant:$new->{id}"));
        my $errors = errors();
        my $begin = time;
        my $promoted = $c->$how($lost);
        ok $gw->wait_for(sub { status_of($new) == 200 }), 'the replica serves a new tenant' or diag $gw->error_log;
        note sprintf '%s: the replica was promoted after %.0f ms, it serves after %.0f ms',
            $name, $promoted * 1000, (time - $begin) * 1000;
        ok $gw->wait_for(sub { status_of($other) == 200 }), 'and another';
        $gw->ctl('tenant', 'disable', $new->{id});
        ok $gw->wait_for(sub { status_of($new) == 401 }), 'changes are applied';
        ok $c->settle, 'the former master is back as a replica';
        ok $gw->wait_for(\&all_up), 'every link is up';
        is_deeply [ map { status_of($_) } @known ], [ (200) x @known ], 'all are served';
        cmp_ok errors() - $errors, '<=', 3 * $workers, 'at most one error for each worker and master' or diag join "\n", errors();
    });
}

calm('the cluster is down', sub {
    my ($new, $after) = splice @unknown, 0, 2;
    my $errors = errors();

    # a slot without a node: CLUSTERDOWN from every node
    my ($full, $slot) = ($c->master_of(0), 0);
    $slot++ while grep { $c->slot("amp:tenant:$_->{id}") == $slot } @known, @unknown, $new, $after;
    $full = $c->master_of($slot);
    $_->command('CLUSTER', 'DELSLOTS', $slot) for $c->nodes;
    ok $gw->wait_for(sub { !eval { $c->command('GET', 'amp:tenant:x'); 1 } && $@ =~ /CLUSTERDOWN/ }), 'CLUSTERDOWN';
    my $res = $gw->get($path, token => $new->{token});
    is $res->{status}, 503, 'a new tenant gets 503';
    like $res->{headers}{'retry-after'} // '', qr/^[1-9]\d*$/, 'Retry-After';
    my @res = map { $gw->get($path, token => $new->{token})->{status} } 1 .. 20;
    is_deeply [ grep { $_ != 503 } @res ], [], 'no other status';

    # one line for each worker and node, which may have been written when the master died
    my @down = grep { /CLUSTERDOWN/ } errors();
    ok @down && errors() - $errors <= 4 * $workers, 'a few errors in the log' or diag join "\n", errors();
    $full->command('CLUSTER', 'ADDSLOTS', $slot);
    my $begin = time;
    ok $gw->wait_for(sub { status_of($after) == 200 && status_of($new) == 200 }), 'served when it is up' or diag $gw->error_log;
    note sprintf 'after %.0f ms', (time - $begin) * 1000;
    $gw->wait_for(sub { $c->settle });
});

ok $gw->wait_for(\&all_up), 'every link is up';
my $errors = () = errors();
unlike join(' ', $gw->access_log =~ /"status":(\d+)/g), qr/403/, 'no request got 403';

subtest 'a gateway with one node in its URL' => sub {
    my ($seed) = $c->masters;
    my $other = Gateway->start(like => $gw, redis_url => 'redis+cluster://127.0.0.1:' . $seed->port);
    is_deeply [ map { $other->get($path, token => $_->{token})->{status} } @known ], [ (200) x @known ], 'finds the others';
    $other->finish;
};
$gw->finish;

done_testing;
