# redis+cluster:// under load: tenants over all slots, slots that move or are on
# their way, masters that die or freeze, a cluster that is down.

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
use Time::HiRes qw(sleep time);

my $path = '/v1/integrations';
my $workers = 2;
my $c = Gateway::Redis::Cluster->start;
my $gw = Gateway->start(redis => $c, workers => $workers, http => 'ampersand_tenant_ttl 300ms; ampersand_tenant_grace 10m;');
$gw->upstream->answer({ echo => 1 });

sub tenant {
    my ($id) = @_;
    return { id => $id, token => $gw->tenant($id), project => "p-$id", key => "key-of-$id" };
}

sub errors { return grep { /\[error\].*ampersand: / } split /\n/, $gw->error_log }

sub status_of { return $gw->get($path, token => $_[0]{token})->{status} }

sub all_up {
    my $status = $gw->status;
    return $status->{redis_events_up} && $status->{redis_links_up} == $workers && $status->{redis_links} == $workers;
}

my @known = map { tenant("known$_") } 1 .. 12;
my @strangers = map { tenant("stranger$_") } 1 .. 14;
is_deeply [ map { status_of($_) } @known ], [ (200) x @known ], 'tenants of all slots are served' or diag $gw->error_log;
my %masters = map { $c->master_of($c->slot("amp:tenant:$_->{id}"))->port => 1 } @known, @strangers;
is scalar(keys %masters), 3, 'they are on all masters';
ok $gw->wait_for(\&all_up), 'every link is up' or diag $gw->error_log;
is_deeply [ errors() ], [], 'nothing to say';

# Under load: none of it may fail.

sub calm {
    my ($name, $code) = @_;
    subtest $name => sub {
        my $load = Gateway::Load->start(gateways => [$gw], tenants => \@known, clients => 4);
        sleep 0.2;
        $code->();
        sleep 0.4;
        my $r = $load->stop;
        is $r->{failed}, 0, "none of $r->{requests} requests of known tenants failed" or diag join "\n", @{ $r->{failures} };
        is_deeply $r->{wrong}, [], 'nobody was taken for another';
    };
}

for my $how ('move', 'migrate') {
    calm($how eq 'move' ? 'slots move: MOVED' : 'slots are on their way: ASK', sub {
        my $before = $gw->status;
        my $new = shift @strangers;
        my %slots = map { $c->slot($_) => 1 } map {
            ("amp:tenant:$_->{id}", 'amp:token:' . Digest::SHA::sha256_hex($_->{token}))
        } $new, @known[0, 1];
        $c->$how($_) for keys %slots;
        is status_of($new), 200, 'an unknown tenant there is served' or diag $gw->error_log;
        is_deeply [ map { status_of($_) } @known[0, 1] ], [ 200, 200 ], 'known ones are';
        $gw->ctl('tenant', 'disable', $new->{id});
        ok $gw->wait_for(sub { status_of($new) == 401 }), 'a change there is made and heard of';
        ok $gw->wait_for(sub { $gw->status->{redis_redirects_total} > $before->{redis_redirects_total} }),
            'the metrics count what was sent elsewhere';

        # a node that imports a slot does not see its new owner when the old one dies
        $c->move($_) for $how eq 'migrate' ? keys %slots : ();
    });
}

for my $how ('crash', 'pause') {
    my $name = $how eq 'crash' ? 'kill -9 of a master' : 'a master freezes';
    calm($name, sub {
        my ($new, $other) = splice @strangers, 0, 2;
        my $lost = $c->master_of($c->slot("amp:tenant:$new->{id}"));
        my $errors = errors();
        my $begin = time;
        my $promoted = $c->$how($lost);
        ok $gw->wait_for(sub { status_of($new) == 200 }), 'the replica serves an unknown tenant' or diag $gw->error_log;
        note sprintf '%s: the replica was promoted after %.0f ms, it serves after %.0f ms',
            $name, $promoted * 1000, (time - $begin) * 1000;
        ok $gw->wait_for(sub { status_of($other) == 200 }), 'and another';
        $gw->ctl('tenant', 'disable', $new->{id});
        ok $gw->wait_for(sub { status_of($new) == 401 }), 'changes are heard of';
        ok $c->settle, 'the lost one is back as a replica';
        ok $gw->wait_for(\&all_up), 'every link is up';
        is_deeply [ map { status_of($_) } @known ], [ (200) x @known ], 'all are served';
        cmp_ok errors() - $errors, '<=', 3 * $workers, 'each worker says it once of each master' or diag join "\n", errors();
    });
}

calm('the cluster is down', sub {
    my ($new, $after) = splice @strangers, 0, 2;
    my $errors = errors();

    # a slot that nobody has: CLUSTERDOWN from every node
    my ($full, $slot) = ($c->master_of(0), 0);
    $slot++ while grep { $c->slot("amp:tenant:$_->{id}") == $slot } @known, @strangers, $new, $after;
    $full = $c->master_of($slot);
    $_->command('CLUSTER', 'DELSLOTS', $slot) for $c->nodes;
    ok $gw->wait_for(sub { !eval { $c->command('GET', 'amp:tenant:x'); 1 } && $@ =~ /CLUSTERDOWN/ }), 'CLUSTERDOWN';
    my $res = $gw->get($path, token => $new->{token});
    is $res->{status}, 503, 'an unknown tenant gets 503';
    like $res->{headers}{'retry-after'} // '', qr/^[1-9]\d*$/, 'with Retry-After';
    my @res = map { $gw->get($path, token => $new->{token})->{status} } 1 .. 20;
    is_deeply [ grep { $_ != 503 } @res ], [], 'never anything else';

    # each worker says it once of a node, and may have done so when the master died
    my @down = grep { /CLUSTERDOWN/ } errors();
    ok @down && errors() - $errors <= 4 * $workers, 'it is an error, said a few times' or diag join "\n", errors();
    $full->command('CLUSTER', 'ADDSLOTS', $slot);
    my $begin = time;
    ok $gw->wait_for(sub { status_of($after) == 200 && status_of($new) == 200 }), 'served when it is up' or diag $gw->error_log;
    note sprintf 'after %.0f ms', (time - $begin) * 1000;
    $gw->wait_for(sub { $c->settle });
});

ok $gw->wait_for(\&all_up), 'every link is up';
my $errors = () = errors();
unlike join(' ', $gw->access_log =~ /"status":(\d+)/g), qr/403/, 'nobody was forbidden anything';

subtest 'a gateway that knows one node only' => sub {
    my ($seed) = $c->masters;
    my $other = Gateway->start(like => $gw, redis_url => 'redis+cluster://127.0.0.1:' . $seed->port);
    is_deeply [ map { $other->get($path, token => $_->{token})->{status} } @known ], [ (200) x @known ], 'finds the others';
    $other->finish;
};
$gw->finish;

done_testing;
