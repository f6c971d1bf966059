# What Redis may answer to any command: each refusal is one clear line in the
# log, and takes down the link, or the command alone.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::FakeRedis;
use Test::More;
use Time::HiRes qw(sleep time);

my $path = '/v1/integrations';
my $fake = Gateway::FakeRedis->start;
my $gw = $fake->gateway(http => 'ampersand_tenant_ttl 1h; ampersand_tenant_grace 60s;');

# Of the link that serves; the subscription's are warnings.

sub lines { return grep { /\[error\].*ampersand: / } split /\n/, $gw->error_log }

sub up {
    return $gw->wait_for(sub {
        my $s = $gw->status;
        $s->{redis_links_up} == 1 && $s->{redis_events_up} && !$s->{redis_degraded};
    });
}

my $known = $fake->new_tenants;
is $gw->get($path, token => $known)->{status}, 200, 'a tenant is served';

my @down = (
    [ 'no login', "-NOAUTH Authentication required.\r\n", qr/answers with an error: NOAUTH/ ],
    [ 'a changed password', "-WRONGPASS invalid username-password pair\r\n", qr/answers with an error: WRONGPASS/ ],
    [ 'loading', "-LOADING Redis is loading the dataset in memory\r\n", qr/answers with an error: LOADING/ ],
    [ 'a replica without its master', "-MASTERDOWN Link with MASTER is down\r\n", qr/answers with an error: MASTERDOWN/ ],
    [ 'garbage', "HTTP/1.1 400 Bad Request\r\n\r\n", qr/does not speak Redis' protocol/ ],
    [ 'a reply without end', '$9000000' . "\r\n" . 'x' x 1_100_000, qr/a reply of more than a megabyte/ ],
    [ 'one reply too many', undef, qr/a reply without a command/, suffix => "+OK\r\n" ],
);
for (@down) {
    my ($name, $reply, $line, %fault) = @$_;
    subtest "$name takes the link down" => sub {
        my ($token, $after) = $fake->new_tenants(2);
        ok up(), 'Redis is there';
        sleep 0.15;
        my $before = lines();
        my $connects = $gw->status->{redis_connects_total};
        $fake->fault({ on => 'GET', key => 'amp:token', (defined $reply ? (reply => $reply) : %fault) }, { on => 'PING', silent => 1 });
        my $first = $fake->timed($token);
        $fake->is_503($first, 'an unknown tenant gets 503') if defined $reply;
        cmp_ok $first->{ms}, '<', 400, 'in time';
        $gw->wait_for(sub { $gw->status->{redis_degraded} == 1 });
        is $gw->status->{redis_degraded}, 1, 'the status says degraded';
        my @ms = sort { $a <=> $b } map { $fake->timed($after)->{ms} } 1 .. 5;
        cmp_ok $ms[2], '<', 20, 'the next ones at once';
        is $gw->get($path, token => $known)->{status}, 200, 'a known tenant is served';
        my @said = lines();
        is scalar(@said) - $before, 1, 'one line' or diag join "\n", @said[$before .. $#said];
        like $said[-1], $line, 'that says it';
        like $said[-1], qr/tenants in the zone are served/, 'and what follows';
        ok $gw->wait_for(sub { $gw->status->{redis_connects_total} > $connects }), 'it connects again';
        $fake->fault;
        ok $gw->wait_for(sub { $gw->get($path, token => $after)->{status} == 200 }), 'and serves again';
        ok up(), 'the status too';
    };
}

my @alone = (
    [ 'NOPERM', "-NOPERM this user has no permissions to run the 'get' command\r\n" ],
    [ 'MISCONF', "-MISCONF Redis is configured to save RDB snapshots, but it's currently unable to\r\n" ],
    [ 'OOM', "-OOM command not allowed when used memory > 'maxmemory'.\r\n" ],
    [ 'CLUSTERDOWN', "-CLUSTERDOWN The cluster is down\r\n" ],
);
for (@alone) {
    my ($code, $reply) = @$_;
    subtest "$code refuses the command alone" => sub {
        my @tokens = $fake->new_tenants(3);
        ok up(), 'Redis is there';
        my $before = lines();
        my $connects = $gw->status->{redis_connects_total};
        $fake->fault({ on => 'GET', key => 'amp:token', reply => $reply });
        $fake->is_503($fake->timed($_), 'an unknown tenant gets 503') for @tokens;
        is $gw->get($path, token => $known)->{status}, 200, 'a known one is served';
        my @said = lines();
        is scalar(@said) - $before, 1, 'one line' or diag join "\n", @said[$before .. $#said];
        like $said[-1], qr/refuses GET: $code /, 'that says it';
        $fake->fault;
        sleep 1.1;
        is $gw->get($path, token => $tokens[0])->{status}, 200, 'accepted again';
        like $gw->error_log, qr/\[notice\].*accepts GET again(?!.*refuses)/s, 'which is a line too';
        is $gw->status->{redis_connects_total}, $connects, 'over the same connection';
    };
}

subtest 'READONLY: the master is elsewhere, which a new connection may find' => sub {
    my @tokens = $fake->new_tenants(3);
    ok up(), 'Redis is there';
    my $before = lines();
    my $connects = $gw->status->{redis_connects_total};
    my $readonly = "-READONLY You can't write against a read only replica.\r\n";
    $fake->fault({ on => 'GET', key => 'amp:token', reply => $readonly, times => 1 });
    is $gw->get($path, token => $tokens[0])->{status}, 200, 'the request gets its answer';
    is $gw->status->{redis_connects_total}, $connects + 1, 'after one more connect';
    is scalar(lines()) - $before, 0, 'which is no error';
    like $gw->error_log, qr/\[notice\].*answers with an error: READONLY [^\n]*connecting again/, 'but said';
    $fake->fault({ on => 'GET', key => 'amp:token', reply => $readonly });
    $fake->is_503($fake->timed($_), 'still read-only') for @tokens[1, 2];
    is $gw->status->{redis_connects_total}, $connects + 1, 'it does not go on connecting';
    my @said = lines();
    is scalar(@said) - $before, 1, 'one line' or diag join "\n", @said;
    like $said[-1], qr/refuses GET: READONLY/, 'that says it';
    $fake->fault;
};

$gw->finish;
done_testing;
