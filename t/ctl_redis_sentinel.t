#!/usr/bin/perl

# ampctl and a master with a replica that three Sentinels watch.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Gateway::Changes;
use Gateway::Ctl;
use Gateway::FakeRedis;
use Gateway::Redis;
use Gateway::Redis::Sentinel;

my $s   = Gateway::Redis::Sentinel->start(replicas => 1, password => 'pwcanary');
my $ctl = Gateway::Ctl->new($s);
my $url = $ctl->{env}{AMPERSAND_REDIS} = $s->url(':pwcanary@');

sub at { my ($url, @args) = @_; return $ctl->json('--redis', $url, @args ? @args : qw(tenant list)) }
sub code { my ($r) = @_; return [ $r->{code}, $r->{doc}{error}{code} ] }
sub checks { my %c; push @{ $c{ $_->{check} } }, $_ for @{ $_[0]{doc}{checks} }; return \%c }

subtest 'every change is made, and published on master and replicas' => sub {
    Gateway::Changes::walk($ctl, $s, map { $_->subscribe('amp:events') } $s->nodes);
};

is $ctl->run(qw(tenant add acme --project p))->{code}, 0, 'a tenant';

subtest 'wrong URLs: each has its code and message' => sub {
    my ($first) = map { $_->port } $s->sentinels;
    my $free = Gateway::Redis::free_port();
    my $r = at("redis+sentinel://:pwcanary\@127.0.0.1:$first/other");
    is_deeply code($r), [ 3, 'redis_sentinel' ], 'no master of that name';
    like $r->{doc}{error}{message}, qr/no Sentinel of .*\/other knows/, 'message';
    $r = at("redis+sentinel://127.0.0.1:$free,127.0.0.1:" . Gateway::Redis::free_port() . '/main');
    is_deeply code($r), [ 3, 'redis_unreachable' ], 'no Sentinel there';
    like $r->{doc}{error}{message}, qr/none of the 2 Sentinels answers/, 'message';
    $r = at('redis+sentinel://127.0.0.1:' . $s->master->port . '/main');
    is $r->{code}, 3, 'Redis in place of a Sentinel';
    $r = at('redis+sentinel://:pwcanary@127.0.0.1:' . Gateway::Redis->start->port . '/main');
    is_deeply code($r), [ 3, 'redis_sentinel' ], 'one without a password';
    like $r->{doc}{error}{message}, qr/is no Sentinel/, 'message';
    is_deeply code(at("redis://:pwcanary\@127.0.0.1:$first")), [ 3, 'redis_auth' ], 'a Sentinel in place of Redis';
    is_deeply code(at("redis://127.0.0.1:$first")), [ 3, 'redis_command' ], 'without a password';
    is_deeply code(at("redis+sentinel://127.0.0.1:$first/main")), [ 3, 'redis_auth' ], 'no password for the master';
    is at("redis+sentinel://:pwcanary\@127.0.0.1:$free,127.0.0.1:$first/main/1")->{code}, 0, 'one Sentinel is enough';
    is_deeply at("redis+sentinel://:pwcanary\@127.0.0.1:$first/main/1")->{doc}, [], 'another database';
};

subtest 'doctor' => sub {
    my $checks = checks($ctl->json('doctor'));
    my $port = $s->master->port;
    like $checks->{'redis sentinel'}[0]{message}, qr/127\.0\.0\.1:$port is master "main", named by 3 of 3/, 'the master';
    is $checks->{'redis role'}[0]{status}, 'ok', 'its role';
    ($s->sentinels)[1]->crash;
    my $r = $ctl->json('doctor');
    is_deeply [ map { $_->{status} } @{ checks($r)->{'redis sentinel'} } ], [qw(warn ok)], 'one Sentinel is down';
    like checks($r)->{'redis sentinel'}[1]{message}, qr/named by 2 of 3/, 'the other two name the master';
    ok $s->settle, 'the Sentinel is back';
};

# A Sentinel that names a replica for a while is what a fail-over looks like.

subtest 'a server that Sentinel names is used only when it is a master' => sub {
    my $old = $s->master;
    my ($replica) = $s->replicas;
    $replica->command(qw(REPLICAOF NO ONE));
    $old->command('REPLICAOF', '127.0.0.1', $replica->port);
    my $r = $ctl->json(qw(tenant disable acme --timeout 700ms));
    ok $r->{code} == 0 || $r->{doc}{error}{code} eq 'redis_failover', 'nothing is written to a replica' or diag $r->{out};
    ok $s->settle, 'the Sentinels have put it right';
};

# A Sentinel that was cut off keeps naming the old master.

subtest 'a Sentinel that is out of date, and one that is frozen' => sub {
    my $frozen = Gateway::Redis->start;
    my $old = Gateway::FakeRedis->start;
    my $name = sub { my $p = shift; $old->fault({ on => 'SENTINEL', reply => sprintf "*2\r\n\$9\r\n127.0.0.1\r\n\$%d\r\n%d\r\n", length $p, $p }) };
    (my $with = $url) =~ s/\@/'@127.0.0.1:' . $old->port . ','/e;
    $name->(($s->replicas)[0]->port);
    is at($with)->{code}, 0, 'it names a replica';
    $name->(Gateway::Redis::free_port());
    is at($with)->{code}, 0, 'it names a port where no server listens';
    $name->($frozen->port);
    $frozen->pause;
    is at($with)->{code}, 0, 'it names a frozen server';
    (my $stuck = $url) =~ s/\@/'@127.0.0.1:' . $frozen->port . ','/e;
    is at($stuck)->{code}, 0, 'the Sentinel itself is frozen';
    $frozen->resume;
};

for my $how (qw(command crash pause)) {
    subtest "fail-over by $how" => sub {
        my $old = $s->master;
        if ($how eq 'command') {
            $s->failover($how);
        } else {
            $old->$how;
        }
        my $r = $ctl->json(qw(tenant disable acme --timeout 15s));
        is $r->{code}, 0, 'a change is made' or diag $r->{out};
        ok Gateway::Redis::wait_for(sub { $s->master != $old }), 'at another master';
        is $ctl->json(qw(tenant enable acme))->{code}, 0, 'and a second one';
        ok $s->settle, 'all servers are back';
    };
}

subtest 'all servers are frozen: exit 3 after the time-out' => sub {
    $s->pause;
    my $r = $ctl->json(qw(tenant list --timeout 600ms));
    $s->resume;
    is_deeply code($r), [ 3, 'redis_unreachable' ], 'code';
};

unlike $ctl->said, qr/canary/, 'no command has printed the password';

done_testing;
