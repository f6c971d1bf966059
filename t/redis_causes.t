# What the log says of an outage whose cause changes: each cause that lasts, once.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::Certificates;
use Gateway::FakeRedis;
use Gateway::Redis;
use IO::Select ();
use IO::Socket::INET ();
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

my $path = '/v1/integrations';
my $fake = Gateway::FakeRedis->start;
my $port = $fake->port;
my $gw = $fake->gateway(workers => 1, redis_args => 'timeout=300ms', http => 'ampersand_tenant_ttl 1h;');
my $token = $fake->new_tenants;
is $gw->get($path, token => $token)->{status}, 200, 'a tenant is served';

# Lines of the link for look-ups.

sub lines { my ($what) = @_; return $gw->log_lines(qr/\[error\].*ampersand: .*$what/) }

$fake->stop;
ok $gw->wait_for(sub { lines(qr/tenants in the zone are served/) }), 'Redis is gone: a line' or diag $gw->error_log;

my $again = Gateway::FakeRedis->start(port => $port);
$again->fault({ on => 'PING', reply => "-NOAUTH Authentication required.\r\n" });
ok $gw->wait_for(sub { lines(qr/answers with an error: NOAUTH Authentication required\., still out of reach/) }),
    'it is back and wants a password: another line' or diag $gw->error_log;

$again->fault({ on => 'PING', silent => 1 });
ok $gw->wait_for(sub { lines(qr/does not answer in time: timeout=300ms of ampersand_redis has to be at least five round trips, still/) }),
    'it is too slow: the line names timeout=' or diag $gw->error_log;

# The first cause again, and one that was said.

$again->fault({ on => 'PING', reply => "-NOAUTH Authentication required.\r\n" });
my $connects = $gw->status->{redis_connects_total};
ok $gw->wait_for(sub { $gw->status->{redis_connects_total} > $connects + 12 }), 'a cause that was said before lasts';
is scalar(lines(qr/NOAUTH/)), 1, 'no further line';
is $gw->get($path, token => $token)->{status}, 200, 'the tenant in the zone is served all the time';

$again->fault;
ok $gw->wait_for(sub { $gw->linked && $gw->error_log =~ /is back after/ }), 'the outage ends';
is $gw->repeated, 0, 'which is one outage';
$gw->finish;

# A Redis that is far away is nothing wrong with Redis, but with the time-out.

my $doctor = sub { return join '', ($gw->try_ctl('doctor', '--redis', $again->url))[ 1, 2 ] };
unlike $doctor->(), qr/redis distance/, 'doctor: a Redis that is near';
$again->fault({ on => 'PING', delay => 0.06 });
like $doctor->(), qr/redis distance.*a round trip takes \d\d ms.*\n.*timeout= of at least five round trips/, 'doctor: one that is far away';
$again->stop;

# A relay in front of a port: each part of the stream arrives half a round trip later.

sub far {
    my ($to, $round_trip) = @_;
    my $listen = IO::Socket::INET->new(Listen => 64, LocalAddr => '127.0.0.1', LocalPort => 0) or die $!;
    my $pid = fork // die "fork: $!";
    return ($listen->sockport, $pid) if $pid;
    $SIG{$_} = 'DEFAULT' for qw(INT TERM);
    my $select = IO::Select->new($listen);
    my (%peer, @late);
    while (1) {
        for my $s ($select->can_read(0.001)) {
            if ($s == $listen) {
                my $client = $listen->accept or next;
                my $server = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $to) or next;
                @peer{ $client, $server } = ($server, $client);
                $select->add($client, $server);
                next;
            }
            my $n = sysread $s, my $part, 65536;
            push @late, [ time + $round_trip / 2, $peer{$s}, $n ? $part : undef ];
            $select->remove($s) if !$n;
        }
        while (@late && $late[0][0] <= time) {
            my (undef, $s, $part) = @{ shift @late };
            defined $part ? syswrite($s, $part) : shutdown $s, 1;
        }
    }
}

subtest 'TLS, and a round trip of 50 ms' => sub {
    my $redis = Gateway::Redis->start(tls => Gateway::Certificates->new);
    my ($at, $pid) = far($redis->port, 0.05);
    my $url = "rediss://127.0.0.1:$at";
    for my $case ([ '100ms', 0 ], [ '250ms', 1 ]) {
        my ($timeout, $works) = @$case;
        my $g = Gateway->start(redis => $redis, redis_url => $url, redis_args => $redis->args . " timeout=$timeout");
        if ($works) {
            ok $g->wait_for(sub { $g->linked }), "timeout=$timeout, five round trips: every link is up" or diag $g->error_log;
        }
        else {
            ok $g->wait_for(sub { $g->log_lines(qr/\[error\].*does not answer in time: timeout=100ms of ampersand_redis has to be at least five round trips/) }),
                "timeout=$timeout: the log names it" or diag $g->error_log;
            local %ENV = (%ENV, $redis->env);
            like +($g->try_ctl('doctor', '--redis', $url, '--redis-ca', $ENV{AMPERSAND_REDIS_CA}))[1],
                qr/^warn +redis distance:.*a round trip takes [5-9]\d ms/m, 'and doctor warns of the distance';
        }
        $g->stop;
    }
    kill 'TERM', $pid;
    waitpid $pid, 0;
};

done_testing;
