# What a user sees of an outage of Redis, under load: a known tenant is served
# without one failed request, an unknown one gets 503 in time and never 401 or
# 403, the log says it once, and all is well soon after.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::Load;
use Gateway::Redis;
use Test::More;
use Time::HiRes qw(sleep time);

my $path = '/v1/integrations';
my $workers = 2;
my $redis = Gateway::Redis->start('--appendonly', 'yes');
my $gw = Gateway->start(
    redis => $redis, redis_args => '', workers => $workers,
    http => 'ampersand_tenant_ttl 10m; ampersand_tenant_grace 10m;',
);
$gw->upstream->answer({ echo => 1 });

sub tenant {
    my ($id) = @_;
    return { id => $id, token => $gw->tenant($id), project => "p-$id", key => "key-of-$id" };
}

my @known = map { tenant("known$_") } 1 .. 5;
$gw->get($path, token => $_->{token}) for @known;

# Tenants that the gateway has not heard of, made while Redis is there.

my @strangers = map { tenant("stranger$_") } 1 .. 16;

sub timed {
    my ($token) = @_;
    my $start = time;
    my $res = $gw->get($path, token => $token);
    $res->{ms} = (time - $start) * 1000;
    return $res;
}

# How often an outage was said to begin, an error or only a warning (of the
# subscription to changes), and to end: all links together.

sub said {
    my @lines = grep { /ampersand: Redis/ } split /\n/, $gw->error_log;
    return (scalar(grep { /\[error\]/ } @lines), scalar(grep { /\[(?:error|warn)\]/ } @lines), scalar(grep { /is back|accepts \S+ again/ } @lines));
}

sub all_up {
    my $s = $gw->status;
    return $s->{redis_events_up} && $s->{redis_links} == $workers && $s->{redis_links_up} == $workers;
}

# Does something to Redis under load, looks at what an unknown tenant gets (dead:
# 503), undoes it, and waits until an unknown one is served.

sub outage {
    my ($name, %o) = @_;
    subtest $name => sub {
        my $load = Gateway::Load->start(gateways => [$gw], tenants => \@known, clients => 4);
        my ($dead, $after) = (shift @strangers, shift @strangers);
        my @before = said();
        sleep 0.2;

        $o{begin}->();
        if ($o{dead}) {
            my $first = timed($dead->{token});
            is $first->{status}, 503, 'an unknown tenant gets 503';
            cmp_ok $first->{ms}, '<', 350, 'in time';    # a time-out is 100 ms; two CPUs, many tests
            like $first->{headers}{'retry-after'} // '', qr/^[1-9]\d*$/, 'with Retry-After';
            timed($dead->{token}) for 1 .. 2 * $workers;
            my @res = map { timed($dead->{token}) } 1 .. 15;
            is scalar(grep { $_->{status} != 503 } @res), 0, 'and so on';
            my @ms = sort { $a <=> $b } map { $_->{ms} } @res;
            cmp_ok $ms[7], '<', 20, sprintf 'then at once: %.1f ms', $ms[7];
            cmp_ok $gw->status->{redis_links_up}, '<', $workers, 'the metrics say so';
        } elsif (!$o{storm}) {
            is $gw->get($path, token => $dead->{token})->{status}, 200, 'an unknown tenant is served';
        }
        sleep $o{lasts} || 0.5;

        my $end = time;
        $o{end}->() if $o{end};
        ok $gw->wait_for(sub { $gw->get($path, token => $after->{token})->{status} == 200 }),
            'then all are served';
        my $served = time - $end;
        ok $gw->wait_for(\&all_up), 'and every link is up';
        note sprintf '%s: unknown tenants are served after %.0f ms, all links are up after %.0f ms',
            $name, $served * 1000, (time - $end) * 1000;
        my ($errors, $begins, $ends);
        ok $gw->wait_for(sub {
            my @now = said();
            ($errors, $begins, $ends) = map { $now[$_] - $before[$_] } 0 .. 2;
            return $begins == $ends;
        }), 'the log says of each outage that it has ended' or diag "$begins, $ends";
        cmp_ok $errors, '>=', 1, 'an error' if $o{dead};
        cmp_ok $errors, '<=', $o{dead} || $o{storm} || $o{refuses} ? $workers : 0, 'once a worker';
        cmp_ok $begins, '<=', $workers + 1, 'and once for the subscription';

        my $r = $load->stop;
        is $r->{failed}, 0, "none of $r->{requests} requests of known tenants failed"
            or diag join "\n", @{ $r->{failures} };
        is_deeply $r->{wrong}, [], 'nobody was taken for another';
    };
}

ok $gw->wait_for(\&all_up), 'all links are up';
sleep 1.1;    # and proven: ten time-outs

outage('Redis stops', dead => 1, begin => sub { $redis->stop }, end => sub { $redis->restart });
outage('kill -9', dead => 1, begin => sub { $redis->crash }, end => sub { $redis->restart });
outage('Redis freezes', dead => 1, begin => sub { $redis->pause }, end => sub { $redis->resume });
outage('clients are thrown out', lasts => 1.2, begin => sub {
    $redis->command('CLIENT', 'KILL', 'TYPE', $_, 'SKIPME', 'yes') for 'normal', 'pubsub';
});
outage('clients are thrown out again and again', storm => 1, begin => sub {
    for (1 .. 10) {
        $redis->command('CLIENT', 'KILL', 'TYPE', $_, 'SKIPME', 'yes') for 'normal', 'pubsub';
        sleep 0.05;
    }
});
outage('Redis is full', refuses => 1, begin => sub { $redis->command('CONFIG', 'SET', 'maxmemory', 1) },
    end => sub { $redis->command('CONFIG', 'SET', 'maxmemory', 0) });

subtest 'Redis loses all it has' => sub {
    my $load = Gateway::Load->start(gateways => [$gw], tenants => \@known, clients => 4);
    my $stranger = shift @strangers;
    sleep 0.1;
    $redis->command('FLUSHALL');
    sleep 1;
    my $r = $load->stop;
    is $r->{failed}, 0, "none of $r->{requests} requests of known tenants failed"
        or diag join "\n", @{ $r->{failures} };
    is $gw->get($path, token => $stranger->{token})->{status}, 401, 'what is nowhere is unknown';
};

unlike join('', $gw->access_log =~ /"status":(\d+)/g), qr/403/, 'no tenant was ever forbidden anything';
$gw->finish;

subtest 'grace ends' => sub {
    my $gw = Gateway->start(
        redis => $redis, redis_args => '', workers => $workers, http => 'ampersand_tenant_ttl 400ms; ampersand_tenant_grace 1600ms;',
    );
    my $token = $gw->tenant('limited');
    is $gw->get($path, token => $token)->{status}, 200, 'a tenant';
    my $fetched = time;
    $redis->crash;
    my $res;
    $gw->wait_for(sub { $res = $gw->get($path, token => $token); $res->{status} != 200 });
    my $served = time - $fetched;
    cmp_ok $served, '>', 1.9, 'is served as long as ampersand_tenant_ttl and ampersand_tenant_grace say';
    cmp_ok $served, '<', 3, 'and not longer';
    is $res->{status}, 503, 'then it is 503';
    like $res->{headers}{'retry-after'} // '', qr/^[1-9]\d*$/, 'with Retry-After';
    cmp_ok $gw->status->{stale_tenants_served_total}, '>', 0, 'the metrics count what was served so';
    $redis->restart;
    ok $gw->wait_for(sub { $gw->get($path, token => $token)->{status} == 200 }), 'until Redis is there again';
    is_deeply [ grep { $_ != 200 && $_ != 503 } $gw->access_log =~ /"status":(\d+)/g ], [], 'never anything else';
    $gw->finish;
};

subtest 'a gateway that starts while Redis is away' => sub {
    my $first = Gateway->start(redis => $redis);
    my $token = $first->tenant('waits');
    $redis->stop;
    my $gw = Gateway->start(like => $first, workers => $workers);
    my $res = $gw->get($path, token => $token);
    is $res->{status}, 503, 'starts, and answers 503';
    sleep 1;
    $redis->restart;
    my $begin = time;
    ok $gw->wait_for(sub { $gw->get($path, token => $token)->{status} == 200 }), 'works once Redis is there';
    note sprintf 'after %.0f ms', (time - $begin) * 1000;
    ok $gw->wait_for(sub { my $s = $gw->status; $s->{redis_events_up} && $s->{redis_links_up} == $workers }),
        'and hears of changes';
    $first->ctl('tenant', 'disable', 'waits');
    ok $gw->wait_for(sub { $gw->get($path, token => $token)->{status} == 401 }), 'as it should';
    $_->finish for $gw, $first;
};

done_testing;
