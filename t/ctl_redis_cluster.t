#!/usr/bin/perl

# ampctl and a Redis cluster of three masters with a replica each.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use Test::More;

use Gateway::Changes;
use Gateway::Ctl;
use Gateway::Redis;
use Gateway::Redis::Cluster;
use Gateway::Versions;

my $c   = Gateway::Redis::Cluster->start;
my $ctl = Gateway::Ctl->new($c);

sub checks { my %c; push @{ $c{ $_->{check} } }, $_ for @{ $_[0]{doc}{checks} }; return \%c }

subtest 'every change is made, and published on every node' => sub {
    Gateway::Changes::walk($ctl, $c, map { $_->subscribe('amp:events') } $c->nodes);
};

my @ids = map { "t$_" } 1 .. 12;
for my $id (@ids) {
    is $ctl->run('tenant', 'add', $id, '--project', 'p')->{code}, 0, "tenant $id";
}

subtest 'tenants are spread over the nodes, and all are found' => sub {
    my %masters = map { $c->master_of($c->slot("amp:tenant:$_"))->port => 1 } @ids;
    is keys %masters, 3, 'each node has some of the tenants';
    is_deeply [ map { $_->{id} } @{ $ctl->json(qw(tenant list))->{doc} } ], [ sort @ids ], 'tenant list';
    my ($one) = map { $_->port } $c->masters;
    is $ctl->json('--redis', "redis+cluster://127.0.0.1:$one", qw(tenant list))->{code}, 0, 'one node in the URL is enough';
    my $replica = (grep { $_->info('replication')->{role} eq 'slave' } $c->nodes)[0]->port;
    is $ctl->run('--redis', "redis+cluster://127.0.0.1:$replica", qw(tenant disable t1))->{code}, 0, 'a replica in the URL is enough';
    is $ctl->run('--redis', "redis+cluster://127.0.0.1:" . Gateway::Redis::free_port() . ",127.0.0.1:$one",
        qw(tenant enable t1))->{code}, 0, 'the first node of the URL is down';
};

subtest 'config export, --prune and import: all of them, whatever the slot' => sub {
    my $doc = $ctl->json(qw(config export))->{doc};
    is_deeply [ map { $_->{id} } @{ $doc->{tenants} } ], [ sort @ids ], 'export';
    my $all  = $ctl->file('all.json', JSON::PP::encode_json($doc));
    my $half = $ctl->file('half.json', JSON::PP::encode_json({ %$doc, tenants => [ @{ $doc->{tenants} }[ 0 .. 5 ] ] }));
    is_deeply $ctl->json('config', 'import', $half, '--prune')->{doc}{tenants},
        { added => 0, changed => 0, removed => 6, unchanged => 6 }, 'half of the file';
    is_deeply $ctl->json('config', 'import', $all)->{doc}{tenants}, { added => 6, changed => 0, removed => 0, unchanged => 6 }, 'all of it';
    is_deeply $ctl->json(qw(config export))->{doc}, $doc, 'tenants and tokens are those of before';
    is $ctl->json('config', 'import', $all, '--prune')->{doc}{tenants}{unchanged}, 12, 'again: nothing to do';
};

subtest 'slots that are moved: MOVED, ASK' => sub {
    my ($from, $to) = $c->move($c->slot('amp:tenant:t1'));
    is $ctl->run(qw(tenant disable t1))->{code}, 0, 'a slot that has moved';
    my $slot = $c->slot('amp:tenant:t2');
    ($from, $to) = $c->migrate($slot);
    for my $verb (qw(disable enable show)) {
        is $ctl->run('tenant', $verb, 't2')->{code}, 0, "$verb on a key that was migrated before its slot";
    }
    is scalar @{ $ctl->json(qw(tenant list))->{doc} }, @ids, 'tenant list finds all';
    $_->command('CLUSTER', 'SETSLOT', $slot, 'NODE', $to->command('CLUSTER', 'MYID')) for $to, $from;
};

subtest 'doctor' => sub {
    my $r = $ctl->json('doctor');
    my $checks = checks($r);
    is $checks->{'redis cluster'}[0]{status}, 'ok', 'slots';
    like $checks->{'redis cluster'}[0]{message}, qr/^3 nodes serve all slots, each with a replica/, 'text';
    is scalar @{ $checks->{'redis version'} }, 1, 'a check that all nodes pass is one line';
    is scalar @{ $checks->{'redis persistence'} }, 3, 'a check that fails is a line for each node';
    like $checks->{'redis persistence'}[0]{message}, qr/^Redis at 127\.0\.0\.1:\d+: /, 'with its name';
    is $checks->{'redis writes'}[0]{status}, 'ok', 'writes';
    is_deeply [ map { @{ $_->command('KEYS', 'amp:doctor*') } } $c->masters ], [], 'nothing is left';
};

subtest 'nodes announced by host name, or without an address' => sub {
    my $without = Gateway::Versions::without_hosts(($c->nodes)[0]);
    plan skip_all => $without if $without;
    for my $how (qw(unknown-endpoint hostname)) {
        $_->command('CONFIG', 'SET', 'cluster-announce-hostname', 'localhost') for $c->nodes;
        ok Gateway::Redis::wait_for(sub {
            !grep { $_->command('CLUSTER', 'NODES') =~ /^\S+ \S+(?<!,localhost) /m } $c->nodes
        }), 'all know their names';
        $_->command('CONFIG', 'SET', 'cluster-preferred-endpoint-type', $how) for $c->nodes;
        is +($c->nodes)[0]->command('CLUSTER', 'SLOTS')->[0][2][0], $how eq 'hostname' ? 'localhost' : undef, $how;
        is scalar @{ $ctl->json(qw(tenant list))->{doc} }, @ids, "$how: all tenants";
        $c->move($c->slot('amp:tenant:t6'));
        is $ctl->run(qw(tenant disable t6))->{code}, 0, "$how: after a move";
        $_->command(qw(CONFIG SET cluster-preferred-endpoint-type ip)) for $c->nodes;
    }
};

subtest 'a URL that does not fit the server' => sub {
    my ($node) = $c->masters;
    my $single = Gateway::Redis->start;
    my $r = $ctl->json('--redis', 'redis://127.0.0.1:' . $node->port, qw(tenant list));
    is_deeply [ $r->{code}, $r->{doc}{error}{code} ], [ 3, 'redis_cluster' ], 'redis:// for a cluster node';
    like $r->{doc}{error}{remedy}, qr/redis\+cluster:/, 'remedy';
    $r = $ctl->json('--redis', 'redis+cluster://127.0.0.1:' . $single->port, qw(tenant list));
    is_deeply [ $r->{code}, $r->{doc}{error}{code} ], [ 3, 'redis_cluster' ], 'redis+cluster:// for a single server';
    like $r->{doc}{error}{message}, qr/is not a node of a cluster/, 'message';
    my @free = map { '127.0.0.1:' . Gateway::Redis::free_port() } 1 .. 3;
    $r = $ctl->json('--redis', 'redis+cluster://' . join(',', @free), qw(tenant list));
    is_deeply [ $r->{code}, $r->{doc}{error}{code} ], [ 3, 'redis_unreachable' ], 'all nodes are down';
};

subtest 'a master is killed: commands wait for its replica' => sub {
    my $slot = $c->slot('amp:tenant:t3');
    my $old = $c->master_of($slot);
    $old->crash;
    my $r = $ctl->json(qw(tenant disable t3 --timeout 15s));
    is $r->{code}, 0, 'the command succeeds' or diag $r->{out};
    is scalar @{ $ctl->json(qw(tenant list))->{doc} }, @ids, 'and all tenants can be read';
    like checks($ctl->json('doctor'))->{'redis cluster'}[0]{message}, qr/1 of them without a replica/, 'doctor warns';
    ok $c->settle, 'the cluster is whole again';
};

subtest 'a master is frozen' => sub {
    my $old = $c->master_of($c->slot('amp:tenant:t4'));
    $old->pause;
    my $r = $ctl->json(qw(tenant disable t4 --timeout 15s));
    is $r->{code}, 0, 'done' or diag $r->{out};
    $old->resume;
    ok $c->settle, 'the cluster is whole again';
};

subtest 'slots that no node serves' => sub {
    my $slot = $c->slot('amp:tenant:t5');
    $_->command('CLUSTER', 'DELSLOTS', $slot) for $c->nodes;
    my $r = $ctl->json(qw(tenant show t5 --timeout 1s));
    is $r->{code}, 3, 'exit 3';
    is $r->{doc}{error}{code}, 'redis_cluster', 'code' or diag $r->{out};
    my ($check) = @{ checks($ctl->json(qw(doctor --timeout 1s)))->{'redis cluster'} || [] };
    is $check->{status}, 'fail', 'doctor fails' or diag explain $check;
    like $check->{message}, qr/serve 16383 of 16384 slots/, 'with the number of served slots';
};

done_testing;
