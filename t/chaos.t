# Faults of all kinds, one after the other at random, under mixed traffic to two
# gateways: no request of a tenant in the zone fails, no answer is for another
# tenant, a new tenant gets 503 at worst and is served after each fault, and no
# memory, descriptor or connection is left.
#
#   CHAOS_SECONDS=300     in all, a third each for one Redis, Sentinel, a cluster (default 15)
#   CHAOS_SEED=...        the same faults again
#   CHAOS_KIND=cluster    only that (single, sentinel, cluster)

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::Load;
use Gateway::Made;
use Gateway::Redis;
use Gateway::Redis::Cluster;
use Gateway::Redis::Sentinel;
use List::Util qw(max min shuffle);
use Test::More;
use Time::HiRes qw(sleep time);

my $path = '/v1/integrations';
my $workers = 2;
my @kinds = $ENV{CHAOS_KIND} || qw(single sentinel cluster);
my $seconds = ($ENV{CHAOS_SECONDS} || 15) / @kinds;
my $seed = $ENV{CHAOS_SEED} || int(time * 1000) % 1_000_000_000;
diag "CHAOS_SEED=$seed";

my %start = (
    single   => sub { Gateway::Redis->start('--appendonly', 'yes') },
    sentinel => sub { Gateway::Redis::Sentinel->start },
    cluster  => sub { Gateway::Redis::Cluster->start },
);

# Each fault lasts for a random time, and has ended when its function returns.

sub doze { sleep $_[0] + rand($_[1] - $_[0]) }

sub every { my ($r) = @_; return $r->can('masters') ? $r->masters : $r->can('master') ? $r->master : $r }

sub thrown_out {
    my ($r) = @_;
    for (1 .. 1 + rand 4) {
        for my $node (every($r)) {
            $node->command('CLIENT', 'KILL', 'TYPE', $_, 'SKIPME', 'yes') for 'normal', 'pubsub';
        }
        doze(0.01, 0.3);
    }
}

sub full {
    my ($r) = @_;
    my @nodes = every($r);
    $_->command('CONFIG', 'SET', 'maxmemory', 1) for @nodes;
    doze(0.2, 1);
    $_->command('CONFIG', 'SET', 'maxmemory', 0) for @nodes;
}

# All keys are deleted and restored in one transaction: no client sees them missing.

sub flushed {
    my ($r) = @_;
    my %dump = map { $_ => $r->command('DUMP', $_) } @{ $r->command('KEYS', 'amp:t*') };
    $r->command('MULTI');
    $r->command('FLUSHALL');
    $r->command('RESTORE', $_, 0, $dump{$_}) for keys %dump;
    $r->command('EXEC');
}

sub failed_over {
    my ($r, $how) = @_;
    $r->failover($how);
    doze(0, 0.5);
    $r->settle or die "Sentinel does not settle\n";
}

sub lost {
    my ($r, $how) = @_;
    $r->$how((shuffle $r->masters)[0]);
    doze(0, 0.5);
    $r->settle or die "the cluster does not settle\n";
}

my %faults = (
    single => {
        'a restart'       => sub { $_[0]->stop; doze(0, 1); $_[0]->restart },
        'kill -9'         => sub { $_[0]->crash; doze(0, 1); $_[0]->restart },
        'a freeze'        => sub { $_[0]->pause; doze(0.05, 1.5); $_[0]->resume },
        'CLIENT KILL'     => \&thrown_out,
        'full'            => \&full,
        'FLUSHALL'        => \&flushed,
    },
    sentinel => {
        'SENTINEL FAILOVER' => sub { failed_over($_[0], 'command') },
        'master kill -9'    => sub { failed_over($_[0], 'crash') },
        'master frozen'     => sub { failed_over($_[0], 'pause') },
        'a short freeze'    => sub { my $m = $_[0]->master; $m->pause; doze(0.05, 0.4); $m->resume },
        'CLIENT KILL'       => \&thrown_out,
        'a Sentinel is killed'   => sub { my ($s) = shuffle $_[0]->sentinels; $s->crash; doze(0, 1); $s->restart },
    },
    cluster => {
        'master kill -9' => sub { lost($_[0], 'crash') },
        'master frozen'  => sub { lost($_[0], 'pause') },
        'a short freeze' => sub { my ($m) = shuffle $_[0]->masters; $m->pause; doze(0.05, 0.4); $m->resume },
        'slots move'     => sub { my ($r, @t) = @_; $r->move($r->slot("amp:tenant:$_->{id}")) for @t[0 .. 3] },
        'CLIENT KILL'    => \&thrown_out,
        'full'           => \&full,
    },
);

# File descriptors, but for connections to the upstream and the files of the cache (open_file_cache), and memory: the
# most of any worker.

sub held {
    my ($gw) = @_;
    my ($fds, $kib) = (0, 0);
    for my $pid ($gw->workers_pids) {
        my @fd = grep { (readlink($_) // '') !~ m{/cache/} } glob "/proc/$pid/fd/*";
        $fds += @fd;
        $kib = max $kib, Gateway::_slurp("/proc/$pid/status") =~ /^RssAnon:\s+(\d+)/m;
    }
    my ($port) = $gw->upstream_url =~ /:(\d+)/;
    return { fds => $fds - ($gw->connections_to($port))[0], kib => $kib };
}

sub chaos {
    my ($kind) = @_;
    my $redis = $start{$kind}->();
    my $conf = 'ampersand_tenant_ttl 500ms; ampersand_tenant_grace 10m;';
    my $first = Gateway->start(redis => $redis, redis_args => $redis->args, workers => $workers, http => $conf);
    my $second = Gateway->start(like => $first, redis_args => $redis->args, workers => $workers, http => $conf);
    my @gateways = ($first, $second);
    $first->upstream->answer({ echo => 1 });

    my @tenants = map {
        { id => $_, token => $first->tenant($_), project => "p-$_", key => "key-of-$_" }
    } (map { "known$_" } 1 .. 8), map { "new$_" } 1 .. 12 + $seconds * 2;
    my @known = splice @tenants, 0, 8;
    my $served = sub {
        my ($t) = @_;
        return !grep { $_->get($path, token => $t->{token})->{status} != 200 } @gateways;
    };
    $served->($_) for @known;
    my $well = sub {
        return !grep {
            !$_->linked;
        } @gateways;
    };
    my $up = sub { $first->wait_for($well) };
    ok $up->(), 'two gateways' or BAIL_OUT(join '', map { $_->error_log } @gateways);

    my %load = (
        known   => Gateway::Load->start(gateways => \@gateways, tenants => \@known, clients => 8, pause => 0.008),
        made_up => Gateway::Load->start(gateways => \@gateways, clients => 2, pause => 0.02, writes => 0, tenants => [
            map { { id => 'unknown', token => Gateway::Made::token(), allow => [ 401, 503 ], project => '', key => 'none' } } 1 .. 50
        ]),
        new     => Gateway::Load->start(gateways => \@gateways, clients => 2, pause => 0.02, tenants => [
            map { { %$_, allow => [503] } } splice @tenants, -4
        ]),
    );
    $_->reload for @gateways;    # what a worker gets from its master grows with the first
    for my $gw (@gateways) {
        $gw->wait_for(sub { $gw->workers_pids == $workers && $gw->linked });
    }
    my $sent = $load{known}->report->{requests};
    $first->wait_for(sub { $load{known}->report->{requests} > $sent + 500 });    # each worker has its connections and memory
    my %before = map { $_ => held($_) } @gateways;

    my @log;
    my $end = time + $seconds;
    my @names;
    while (time < $end) {
        @names = shuffle sort keys %{ $faults{$kind} } unless @names;
        my $name = rand() < 0.1 ? 'a reload' : shift @names;
        $_->mark($name) for values %load;
        my $begin = time;
        if ($name eq 'a reload') {
            $gateways[ rand @gateways ]->reload;
        } else {
            $faults{$kind}{$name}->($redis, @known);
        }
        my $over = time;
        my $new = shift @tenants || $known[0];
        my $fine = $first->wait_for(sub { $served->($new) });
        my $recovered = time - $over;
        $fine &&= $up->();
        push @log, { name => $name, lasted => $over - $begin, recovered => $recovered, all => time - $over, fine => $fine };
        doze(0, 0.3);
        $first->upstream->clear;
    }

    my %r = map { $_ => $load{$_}->stop } keys %load;
    note sprintf '%-18s lasted %4.0f ms, a new tenant was served after %4.0f ms, all links up after %4.0f ms, slowest answer %4.0f ms',
        $_->{name}, (map { 1000 * $_ } @$_{qw(lasted recovered all)}), 1000 * ($r{known}{slowest}{ $_->{name} } // 0) for @log;
    diag sprintf '%s: %d faults, %d requests of tenants in the zone, %d failed, %d wrong; recovery at most %.0f ms',
        $kind, scalar @log, $r{known}{requests}, $r{known}{failed}, scalar(map { @{ $_->{wrong} } } values %r),
        1000 * max map { $_->{recovered} } @log;

    is_deeply [ map { $_->{name} } grep { !$_->{fine} } @log ], [], scalar(@log) . ' faults: served after each, with every link up';
    for my $who (sort keys %r) {
        is $r{$who}{failed}, 0, "$who: none of $r{$who}{requests} requests failed" or diag join "\n", @{ $r{$who}{failures} };
        is_deeply $r{$who}{wrong}, [], "$who: no answer was for another tenant";
    }

    for my $gw (@gateways) {
        ok $gw->wait_for(sub { $gw->workers_pids == $workers }), 'no old worker is left';
        my $now;
        ok $gw->wait_for(sub { $now = held($gw); $now->{fds} <= $before{$gw}{fds} }),
            'no more file descriptors than before' or diag "$before{$gw}{fds}, now $now->{fds}";
      SKIP: {
            skip 'a sanitizer keeps what is freed', 1 if $ENV{ASAN_OPTIONS};
            cmp_ok $now->{kib}, '<', $before{$gw}{kib} + 6144, "no more memory: $before{$gw}{kib} KiB, now $now->{kib}";
        }
        my @nodes = $redis->can('nodes') ? $redis->nodes : $redis;
        my @links = $gw->connections_to(map { $_->port } @nodes);
        # in a cluster a worker has one more, for the map
        cmp_ok max(@links), '<=', $workers * ($kind eq 'cluster' ? 2 : 1) + 1, 'no more connections than links' or diag "@links";
        $gw->finish;
    }
}

for my $kind (@kinds) {
    srand $seed;
    subtest $kind => sub { chaos($kind) };
}

done_testing;
