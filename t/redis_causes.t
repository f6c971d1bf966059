# What the log says of an outage whose cause changes: each cause that lasts, once.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::FakeRedis;
use Test::More;

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
done_testing;
