# An outage of Redis, as clients see it under load: requests of tenants in the zone
# are served without one failure, others get 503, never 401 or 403, and without a
# command of Redis once the outage is known; one line in the log when it begins
# and one when it ends.

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
my $keep = 'ampersand_tenant_ttl 10m; ampersand_tenant_grace 10m;';
my $redis = Gateway::Redis->start('--appendonly', 'yes');
my $gw = Gateway->start(
    redis => $redis, redis_args => 'timeout=300ms', workers => $workers, http => $keep,
);
$gw->upstream->answer({ echo => 1 });

sub tenant {
    my ($id) = @_;
    return { id => $id, token => $gw->tenant($id), project => "p-$id", key => "key-of-$id" };
}

my @known = map { tenant("known$_") } 1 .. 5;
$gw->get($path, token => $_->{token}) for @known;

# Tenants that the gateway has not looked up yet.

my @unknown = map { tenant("new$_") } 1 .. 16;

# Log lines of all links: errors, that an outage begins; errors and warnings (of the
# subscription); that an outage has ended.  SET is sent once a day for each token, so
# that it is accepted again is seen the next day.

sub said {
    my @lines = grep { /ampersand: Redis/ && !/still out of reach|(?:refuses|accepts) SET\b/ } split /\n/, $gw->error_log;
    return (scalar(grep { /\[error\]/ } @lines), scalar(grep { /\[(?:error|warn)\]/ } @lines), scalar(grep { /is back|accepts \S+ again/ } @lines));
}

sub all_up { return $gw->linked }

# Waits for so many requests more.

sub answered {
    my ($load, $more) = @_;
    my $before = $load->report->{requests};
    return $gw->wait_for(sub { $load->report->{requests} >= $before + $more });
}

# Does something to Redis under load, sends a request of a new tenant (dead: it gets
# 503), undoes it, and waits until a new tenant is served.

sub outage {
    my ($name, %o) = @_;
    subtest $name => sub {
        my $load = Gateway::Load->start(gateways => [$gw], tenants => \@known, clients => 4);
        my ($dead, $after) = (shift @unknown, shift @unknown);
        my @before = said();
        answered($load, 50);

        $o{begin}->();
        if ($o{dead}) {
            my $first = $gw->get($path, token => $dead->{token});
            is $first->{status}, 503, 'a new tenant gets 503';
            like $first->{headers}{'retry-after'} // '', qr/^[1-9]\d*$/, 'Retry-After';
            ok $gw->wait_for(sub { $gw->get($path, token => $dead->{token}); $gw->status->{redis_degraded} == $workers }),
                'redis_degraded: every worker';
            my $commands = $gw->status->{redis_commands_total};
            my @res = map { $gw->get($path, token => $dead->{token}) } 1 .. 15;
            is scalar(grep { $_->{status} != 503 } @res), 0, 'and so on';
            is $gw->status->{redis_commands_total}, $commands, 'without a command of Redis' if $o{dead} eq 'stopped';
            cmp_ok $gw->status->{redis_links_up}, '<', $workers, 'redis_links_up';
        } elsif (!$o{storm}) {
            is $gw->get($path, token => $dead->{token})->{status}, 200, 'a new tenant is served';
        }
        answered($load, 100);

        my $end = time;
        $o{end}->() if $o{end};
        ok $gw->wait_for(sub { $gw->get($path, token => $after->{token})->{status} == 200 }),
            'then new tenants are served';
        my $served = time - $end;
        ok $gw->wait_for(\&all_up), 'and every link is up';
        note sprintf '%s: new tenants are served after %.0f ms, all links are up after %.0f ms',
            $name, $served * 1000, (time - $end) * 1000;
        my ($errors, $begins, $ends);
        ok $gw->wait_for(sub {
            my @now = said();
            ($errors, $begins, $ends) = map { $now[$_] - $before[$_] } 0 .. 2;
            return $begins == $ends;
        }), 'a line for the end of each outage' or diag "$begins, $ends";
        cmp_ok $errors, '>=', 1, 'an error' if $o{dead};
        is $gw->repeated, 0, 'one error for each outage of a worker' or diag join "\n", $gw->log_lines(qr/ampersand: Redis/);
        is $errors, 0, 'no error' unless $o{dead} || $o{storm} || $o{refuses};

        my $r = $load->stop;
        is $r->{failed}, 0, "none of $r->{requests} requests of tenants in the zone failed"
            or diag join "\n", @{ $r->{failures} };
        is_deeply $r->{wrong}, [], 'no answer was for another tenant';
    };
}

ok $gw->wait_for(\&all_up), 'every link is up';

outage('Redis stops', dead => 'stopped', begin => sub { $redis->stop }, end => sub { $redis->restart });
outage('kill -9', dead => 'stopped', begin => sub { $redis->crash }, end => sub { $redis->restart });
outage('Redis freezes', dead => 'frozen', begin => sub { $redis->pause }, end => sub { $redis->resume });
$gw->links_proven;
outage('the connections are closed', begin => sub {
    $redis->command('CLIENT', 'KILL', 'TYPE', $_, 'SKIPME', 'yes') for 'normal', 'pubsub';
});
outage('the connections are closed again and again', storm => 1, begin => sub {
    for (1 .. 10) {
        $redis->command('CLIENT', 'KILL', 'TYPE', $_, 'SKIPME', 'yes') for 'normal', 'pubsub';
        sleep 0.05;    # some while the gateway connects
    }
});
outage('Redis is full', refuses => 1, begin => sub { $redis->command('CONFIG', 'SET', 'maxmemory', 1) },
    end => sub { $redis->command('CONFIG', 'SET', 'maxmemory', 0) });

subtest 'Redis loses all its data' => sub {
    # a stall of a busy machine is an outage for the other gateway, and an outage
    # ends with all records stale
    my $gw = Gateway->start(like => $gw, workers => $workers, redis_args => 'timeout=60s', http => $keep);
    ok $gw->wait_for(sub { $gw->linked }), 'every link is up';
    $gw->get($path, token => $_->{token}) for @known;

    my $load = Gateway::Load->start(gateways => [$gw], tenants => \@known, clients => 4);
    my $new = shift @unknown;
    answered($load, 50);
    $redis->command('FLUSHALL');
    answered($load, 300);
    my $r = $load->stop;
    is $r->{failed}, 0, "none of $r->{requests} requests of tenants in the zone failed"
        or diag join "\n", @{ $r->{failures} };
    is $gw->get($path, token => $new->{token})->{status}, 401, 'a tenant that is neither in Redis nor in the zone: 401';
    $gw->finish;
};

unlike join('', $gw->access_log =~ /"status":(\d+)/g), qr/403/, 'no request got 403';
$gw->finish;

subtest 'grace ends' => sub {
    my $gw = Gateway->start(
        redis => $redis, redis_args => '', workers => $workers, http => 'ampersand_tenant_ttl 400ms; ampersand_tenant_grace 1600ms;',
    );
    ok $gw->wait_for(sub { $gw->linked }), 'the gateway hears events';
    my $events = $gw->status->{events_total};
    my $token = $gw->tenant('limited');

    # an event that comes later would say that the record is outdated: no grace then
    ok $gw->wait_for(sub { $gw->status->{events_total} >= $events + 2 }), 'those of the new tenant and its token are applied';
    my $fetched = time;
    is $gw->get($path, token => $token)->{status}, 200, 'a tenant';
    $redis->crash;
    my $res;
    $gw->wait_for(sub { $res = $gw->get($path, token => $token); $res->{status} != 200 });
    my $served = time - $fetched;
    cmp_ok $served, '>=', 1.98, 'is served for ampersand_tenant_ttl and ampersand_tenant_grace';
    is $res->{status}, 503, 'and gets 503 then';
    like $res->{headers}{'retry-after'} // '', qr/^[1-9]\d*$/, 'Retry-After';
    cmp_ok $gw->status->{stale_tenants_served_total}, '>', 0, 'stale_tenants_served_total';
    $redis->restart;
    ok $gw->wait_for(sub { $gw->get($path, token => $token)->{status} == 200 }), 'served when Redis has started';
    is_deeply [ grep { $_ != 200 && $_ != 503 } $gw->access_log =~ /"status":(\d+)/g ], [], 'no other status';
    $gw->finish;
};

subtest 'a gateway that starts while Redis is down' => sub {
    my $first = Gateway->start(redis => $redis);
    my $token = $first->tenant('waits');
    $redis->stop;
    my $gw = Gateway->start(like => $first, workers => $workers);
    my $res = $gw->get($path, token => $token);
    is $res->{status}, 503, 'starts, and answers 503';
    ok $gw->wait_for(sub { $gw->status->{redis_failures_total} >= 2 * $workers }), 'and tries to connect';
    $redis->restart;
    my $begin = time;
    ok $gw->wait_for(sub { $gw->get($path, token => $token)->{status} == 200 }), 'serves when Redis has started';
    note sprintf 'after %.0f ms', (time - $begin) * 1000;
    ok $gw->wait_for(sub { $gw->linked }), 'every link is up';
    $first->ctl('tenant', 'disable', 'waits');
    ok $gw->wait_for(sub { $gw->get($path, token => $token)->{status} == 401 }), 'a change is applied';
    $_->finish for $gw, $first;
};

done_testing;
