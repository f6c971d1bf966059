#!/usr/bin/perl

# ampctl usage: what tenants and operations took stays in Redis, by days.  Gateways
# report each ten seconds; nothing counts twice, whatever gets lost; what a gateway
# has counted since its last report is lost only where it is killed.
#
# A clock of the test's own makes reports due, and midnight come.

use strict;
use warnings;

use FindBin;
use POSIX ();
use Test::More;
use Time::HiRes qw(time);

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Clock;
use Gateway::Redis;
use Gateway::Redis::Cluster;
use Gateway::Upstream;

my $up = Gateway::Upstream->start(sub {
    my ($req) = @_;
    return {
        headers => [ 'Cache-Control' => $req->{target} =~ /once/ ? 'no-store' : 'max-age=600' ],
        body    => '{"text":"' . 'x' x 1000 . '"}',
    };
});
my $redis = Gateway::Redis->start('--appendonly', 'yes');

# It is 23:30 (UTC) when the test begins.  Without libfaketime reports take as long
# as they do, and it is what it is.

my $clock = Gateway::Clock->new;
my $later = 84600 - time % 86400;
$clock->set($later) if $clock;

# Whatever a gateway does each ten seconds is due, and its requests are counted: nginx
# counts one after its answer has gone.

sub hasten {
    my ($gw) = @_;
    $gw->wait_for(sub {
        my $status = $gw->status;
        my ($decided, $counted) = (0, 0);
        $decided += $_ for values %{ $status->{requests} };
        $counted += $_->{gateway} + $_->{upstream} + $_->{cache} for values %{ $status->{tenants} };
        return $decided == $counted;
    }) or fail 'all requests are counted';
    $clock->set($later += 10) if $clock;
    return;
}

sub gateway {
    my (%o) = @_;
    local $ENV{NGINX_WRAP} = join ' ', grep { length } $ENV{NGINX_WRAP} // '', $clock ? $clock->wrap : ();
    return Gateway->start(upstream => $up->url, main => $clock ? $clock->main : '', redis_args => 'timeout=1s', %o);
}

my $gw = gateway(workers => 2, redis => $redis);
my %token = map { $_ => $gw->tenant($_, key => "canary-key-of-$_") } qw(acme beta);

sub usage {
    my (@args) = @_;
    my $of = ref $args[0] ? shift @args : $gw;
    return JSON::PP::decode_json($of->ctl('usage', @args, '--json'));
}

# The gateways' day; ampctl goes by the clock of Redis.

sub today { return POSIX::strftime('%Y-%m-%d', gmtime(time + ($clock ? $later : 0))) }

# { acme => { requests => ... }, ... }

sub by {
    my ($what, @args) = @_;
    return { map { $_->{$what} => $_ } @{ usage('--by', $what, @args)->{usage} } };
}

sub requests { return by('tenant', today())->{ $_[0] }{requests} // 0 }

sub reported {
    my ($tenant, $n, $what, $of) = @_;
    my $found;
    hasten($of || $gw);
    ok $gw->wait_for(sub { ($found = requests($tenant)) >= $n }), $what;
    is $found, $n, 'and no more';
    return;
}

# What was counted in the gateway is in Redis after one more report.

sub two_reports {
    my $before = requests('beta');
    $gw->get('/v1/integrations', token => $token{beta});
    hasten($gw);
    $gw->wait_for(sub { requests('beta') > $before }) or fail 'a report';
    return;
}

sub acme { $gw->get($_[1] // '/v1/integrations', token => $token{acme}) for 1 .. $_[0]; return }

subtest 'a gateway reports' => sub {
    my $began = time;
    acme(3);
    acme(2, '/v1/integrations/once');
    acme(1, '/v1/no-such-path');
    $gw->get('/v1/integrations');
    ok $gw->wait_for(sub { requests('acme') == 6 }), 'the requests of a tenant';
    cmp_ok time - $began, '<', 12, 'within ten seconds';
    my $acme = by('tenant', today())->{acme};
    is $acme->{upstream}, 3, 'those that were sent to Ampersand';
    is $acme->{refusals}, 1, 'those that were refused';
    cmp_ok $acme->{bytes}, '>', 5000, 'bytes';
    cmp_ok $acme->{bytes}, '<', 10000, 'and not many more';
    is by('tenant', today())->{''}{refusals}, 1, 'nobody was identified';
    is_deeply [ map { my $o = by('operation', today())->{$_}; "$o->{requests} $o->{upstream} $o->{refusals}" } qw(listIntegrations getIntegration) ],
        [ '3 1 0', '2 2 0' ], 'by operation';
    my $all = usage(today());
    is $all->{total}{requests}, 7, 'in all';
    is $all->{usage}[0]{tenant}, 'acme', 'most requests first';
    like $gw->ctl('usage', today()), qr/^acme +6 +3 +\d+ +1$/m, 'as a table';
    like $gw->ctl('usage', today()), qr/^\(not identified\) +1 +0 /m, 'with those who were not identified';
    unlike join('', $gw->ctl('usage', today(), '--json'), @{ $redis->command('KEYS', 'amp:usage:*') }), qr/canary|agw_/, 'no secret';
};

subtest 'days and months' => sub {
    my ($day) = $redis->command('KEYS', 'amp:usage:*')->[0] =~ /(\d{4}-\d\d-\d\d)$/;
    cmp_ok $redis->command('PTTL', "amp:usage:$day"), '>', 399 * 86400 * 1000, 'a day expires, in more than a year';
    my $month = substr $day, 0, 7;
    my $other = $day =~ /-15$/ ? "$month-16" : "$month-15";
    $redis->command('HSET', "amp:usage:$other", 't:acme:r', 100, 't:old:r', 7, 'o:listIntegrations:u', 5);
    is by('tenant', $other)->{acme}{requests}, 100, 'another day';
    is by('tenant', '--day', $day)->{acme}{requests}, 6, '--day';
    my $sum = by('tenant', '--month', $day);
    is $sum->{acme}{requests}, 106, 'this month';
    is $sum->{old}{requests}, 7, 'a tenant that was not there today';
    my $now = POSIX::strftime('%Y-%m-%d', gmtime($redis->command('TIME')->[0]));
    is usage()->{from}, $now, 'without a date: today';
    like usage('--month')->{from}, qr/^\Q@{[ substr $now, 0, 7 ]}\E-01$/, 'or this month';
    is by('tenant', '--month', $_)->{acme}{requests}, 106, "--month $_" for $month, $day;
    my $doc = usage('--month', '2024-02');
    is "$doc->{from} $doc->{to}", '2024-02-01 2024-02-29', 'each day of a month';
    is_deeply $doc->{usage}, [], 'nothing was counted';
    $redis->command('DEL', "amp:usage:$other");
    for my $bad ([ '2026-02-30' ], [ 'yesterday' ], [ '2026-02' ], [qw(--month 2026-13)], [qw(--by colour)], [qw(--day --month)]) {
        my ($exit, $out, $err) = $gw->try_ctl('usage', @$bad);
        is $exit, 2, "usage @$bad";
        like $err, qr/date|--by|exclude/, 'says why';
    }
};

subtest 'a day with many tenants' => sub {
    $redis->command('HSET', 'amp:usage:2025-07-01', map { ("t:many$_:r", 1, "t:many$_:b", 10) } 1 .. 3000);
    is usage('2025-07-01')->{total}{requests}, 3000, 'all are there';
    $redis->command('DEL', 'amp:usage:2025-07-01');
};

subtest 'a reply that is lost' => sub {
    two_reports();
    my $n = requests('acme');
    acme(4);
    $redis->pause;
    # the report waits in the socket of Redis, and times out
    my $timeouts = $gw->status->{redis_timeouts_total};
    hasten($gw);
    ok $gw->wait_for(sub { $gw->status->{redis_timeouts_total} > $timeouts }), 'Redis does not answer';
    $redis->resume;
    reported('acme', $n + 4, 'it counts once');
    two_reports();
    is requests('acme'), $n + 4, 'also after the next report';
};

subtest 'Redis is away' => sub {
    my $n = requests('acme');
    $redis->stop;
    acme(5);
    my $connects = $gw->status->{redis_connects_total};
    hasten($gw);
    $clock ? $gw->wait_for(sub { $gw->status->{redis_connects_total} >= $connects + 6 }) || fail 'a report was due' : Time::HiRes::sleep(11);
    acme(2);
    $redis->restart;
    reported('acme', $n + 7, 'what was counted meanwhile arrives');
};

subtest 'a reload, and a worker that is killed' => sub {
    my $n = requests('acme');
    acme(3);
    $gw->reload;
    ok $gw->wait_for(sub { $gw->linked }), 'reloaded';
    acme(3);
    $gw->wait_for(sub { $gw->status->{tenants}{acme}{cache} + $gw->status->{tenants}{acme}{upstream} }) or fail 'counted';
    my @workers = $gw->workers_pids;
    kill 'KILL', @workers;
    ok $gw->wait_for(sub { $gw->linked && !grep { my $p = $_; grep { $_ == $p } @workers } $gw->workers_pids }), 'workers were killed';
    reported('acme', $n + 6, 'nothing is lost');
    two_reports();
    is requests('acme'), $n + 6, 'nothing counts twice';
};

subtest 'another gateway, and one that ends' => sub {
    my $n = requests('acme');
    my $two = gateway(like => $gw, workers => 1);
    $two->get('/v1/integrations', token => $token{acme}) for 1 .. 3;
    $two->wait_for(sub { $two->status->{tenants}{acme} }) or fail 'counted';
    $two->finish;
    ok $gw->wait_for(sub { requests('acme') == $n + 3 }), 'it reports before it goes, and both count';
};

subtest 'a gateway that is killed' => sub {
    my $two = gateway(like => $gw, workers => 1);
    my $n = requests('acme');
    $two->get('/v1/integrations', token => $token{acme}) for 1 .. 3;
    reported('acme', $n + 3, 'what was reported', $two);
    $two->get('/v1/integrations', token => $token{acme}) for 1 .. 2;
    my $master = delete $two->{pid};
    kill 'KILL', $master, $two->children($master);
    waitpid $master, 0;
    two_reports();
    is requests('acme'), $n + 3, 'stays, and no more than its last ten seconds are lost';
};

SKIP: {
    skip 'libfaketime is not installed', 1 if !$clock;

    subtest 'midnight' => sub {
        my $day = sub { by('tenant', $_[0])->{acme}{requests} // 0 };
        my $time = sub { ($later += 86400 * $_[0] + $_[1] - (time + $later) % 86400) && $clock->set($later) };
        my $connects = sub { my $n = $gw->status->{redis_connects_total}; ok $gw->wait_for(sub { $gw->status->{redis_connects_total} >= $n + 6 }), $_[0] };
        two_reports();
        my $today = today();
        my $n = $day->($today);
        $time->(0, 86340);
        acme(3);
        reported('acme', $n + 3, 'a minute before');
        $redis->stop;
        acme(2);
        hasten($gw);
        $connects->('Redis is away, and what was counted cannot be reported');
        $time->(1, 60);
        acme(4);
        hasten($gw);
        $connects->('also a minute after');
        $redis->restart;
        reported('acme', 4, 'what was counted after midnight is of the new day');
        isnt today(), $today, 'another day';
        is $day->($today), $n + 5, 'what was counted before is of the day before';
        is $day->(today()), 4, 'and only that';
    };
}

$gw->finish(killed => 1);

subtest 'a user without the rights' => sub {
    my $locked = Gateway::Redis->start(users => { gate => 'on >pwcanary ~amp:* &amp:* +@all -hincrby' });
    my $gw = gateway(redis => $locked, redis_url => $locked->url('gate:pwcanary@'));
    my $token = $gw->tenant('acme', args => [ '--redis', $locked->url ]);
    $gw->get('/v1/integrations', token => $token);
    hasten($gw);
    ok $gw->wait_for(sub { $gw->error_log =~ /\[warn\].*usage is not counted in Redis/ }), 'a line in the log';
    is $gw->get('/v1/integrations', token => $token)->{status}, 200, 'requests are served';
    $locked->command(qw(ACL SETUSER gate +hincrby));
    hasten($gw);
    my $n;
    ok $gw->wait_for(sub {
        $n = usage($gw, today(), '--redis', $locked->url)->{total}{requests};
    }), 'what was counted arrives when the right is given' or diag $n;
    $gw->finish;
};

subtest 'a cluster' => sub {
    my $c = Gateway::Redis::Cluster->start;
    my $gw = gateway(redis => $c, redis_args => 'timeout=500ms');
    my $token = $gw->tenant('acme');
    my $key = sub { my ($n) = @_; return "amp:usage:2025-07-$n" };
    my %masters = map { $c->master_of($c->slot($key->($_)))->port => $c->command('HSET', $key->($_), 't:acme:r', 5, 'o:listIntegrations:r', 4) && 1 } '01' .. '31';
    is scalar(keys %masters), 3, 'the days are on all masters';
    is usage($gw, '--month', '2025-07')->{total}{requests}, 155, 'a month is the sum of them';
    is usage($gw, '--by', 'operation', '2025-07-31')->{total}{requests}, 4, 'a day of one';
    my $today = today();
    for my $n (1, 2) {
        $gw->get('/v1/integrations', token => $token) for 1 .. 3;
        hasten($gw);
        ok $gw->wait_for(sub { (usage($gw, $today)->{total}{requests} // 0) == 3 * $n }), 'a gateway reports' or diag explain usage($gw, $today);
        $c->move($c->slot("amp:usage:$today")) if $n == 1;
    }
    is scalar(@{ $c->command('HKEYS', "amp:usage:$today") } > 0), 1, 'also to another master, that has the day now';
    $gw->finish;
};

done_testing;
