# Error replies of Redis: each is one clear line in the log, and takes down the link,
# or fails the command alone.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::FakeRedis;
use Gateway::Made;
use Test::More;

# What Redis answers is the subject, not when: a busy machine needs time for a megabyte.

my $path = '/v1/integrations';
my $fake = Gateway::FakeRedis->start;
my $gw = $fake->gateway(redis_args => 'timeout=5s', http => 'ampersand_tenant_ttl 1h; ampersand_tenant_grace 1h;');

# Of the link for look-ups; the lines of the subscription are warnings.

sub lines { return $gw->errors }

sub up {
    return $gw->wait_for(sub {
        my $s = $gw->status;
        $gw->linked && !$s->{redis_degraded};
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
        my ($token, $after, $before_it) = $fake->new_tenants(3);
        ok up(), 'every link is up';
        is $gw->get($path, token => $before_it)->{status}, 200, 'a look-up';    # the link is proven
        my $before = lines();
        my $connects = $gw->status->{redis_connects_total};
        $fake->fault({ on => 'GET', key => 'amp:token', (defined $reply ? (reply => $reply) : %fault) }, { on => 'PING', silent => 1 });
        my $first = $fake->timed($token);
        $fake->is_503($first, 'a new tenant gets 503') if defined $reply;
        $gw->wait_for(sub { $gw->status->{redis_degraded} == 1 });
        is $gw->status->{redis_degraded}, 1, 'the status says degraded';
        my $gets = $fake->count('GET');
        is scalar(grep { $gw->get($path, token => $after)->{status} != 503 } 1 .. 5), 0, 'the next ones too';
        is $fake->count('GET'), $gets, 'without a look-up';
        is $gw->get($path, token => $known)->{status}, 200, 'a tenant in the zone is served';
        my @said = lines();
        is scalar(@said) - $before, 1, 'one line' or diag join "\n", @said[$before .. $#said];
        like $said[-1], $line, 'the reason';
        like $said[-1], qr/tenants in the zone are served/, 'the effect';
        ok $gw->wait_for(sub { $gw->status->{redis_connects_total} > $connects }), 'it connects again';
        $fake->fault;
        ok $gw->wait_for(sub { $gw->get($path, token => $after)->{status} == 200 }), 'served again';
        ok up(), 'every link is up';
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
    subtest "$code fails the command alone" => sub {
        my @tokens = $fake->new_tenants(3);
        ok up(), 'every link is up';
        my $before = lines();
        my $connects = $gw->status->{redis_connects_total};
        $fake->fault({ on => 'GET', key => 'amp:token', reply => $reply });
        $fake->is_503($fake->timed($_), 'a new tenant gets 503') for @tokens;
        is $gw->get($path, token => $known)->{status}, 200, 'a tenant in the zone is served';
        my @said = lines();
        is scalar(@said) - $before, 1, 'one line' or diag join "\n", @said[$before .. $#said];
        like $said[-1], qr/refuses GET: $code /, 'the reason';
        $fake->fault;
        ok $gw->wait_for(sub { $gw->get($path, token => $tokens[0])->{status} == 200 }), 'accepted again';
        ok $gw->wait_for(sub { $gw->get($path, token => Gateway::Made::token()); $gw->error_log =~ /\[notice\].*accepts GET again(?!.*refuses)/s }), 'which is a line too';
        is $gw->status->{redis_connects_total}, $connects, 'over the same connection';
    };
}

subtest 'READONLY: the master is elsewhere, which a new connection may find' => sub {
    my @tokens = $fake->new_tenants(3);
    ok up(), 'every link is up';
    my $before = lines();
    my $connects = $gw->status->{redis_connects_total};
    my $readonly = "-READONLY You can't write against a read only replica.\r\n";
    $fake->fault({ on => 'GET', key => 'amp:token', reply => $readonly, times => 1 });
    is $gw->get($path, token => $tokens[0])->{status}, 200, 'the request gets its answer';
    is $gw->status->{redis_connects_total}, $connects + 1, 'after one more connect';
    is scalar(lines()) - $before, 0, 'which is no error';
    like $gw->error_log, qr/\[notice\].*answers with an error: READONLY [^\n]*connecting again/, 'but a notice';
    $fake->fault({ on => 'GET', key => 'amp:token', reply => $readonly });
    $fake->is_503($fake->timed($_), 'still read-only') for @tokens[1, 2];
    is $gw->status->{redis_connects_total}, $connects + 1, 'no further connect';
    my @said = lines();
    is scalar(@said) - $before, 1, 'one line' or diag join "\n", @said;
    like $said[-1], qr/refuses GET: READONLY/, 'the reason';
    $fake->fault;
};

$gw->finish;
done_testing;
