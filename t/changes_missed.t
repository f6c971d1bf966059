# Changes whose event a gateway misses: its subscription was cut, the worker that
# holds it stopped, killed or replaced, Redis restarted, the network silent.  Each is
# noticed when the subscription is made anew, and every record is verified before
# its next use; ampersand_tenant_ttl is the bound where there is no subscription.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA ();
use Gateway;
use Gateway::FakeRedis;
use Gateway::Made;
use Gateway::Redis;
use Gateway::Workers;
use JSON::PP ();
use Test::More;
use Time::HiRes qw(sleep time);

my $path = '/v1/integrations';
my $far = 2_000_000_000_000_000;    # a revision beyond any that ampctl gives
my $redis = Gateway::Redis->start;
my $gw = Gateway->start(
    redis => $redis, workers => 2, count => 1, Gateway::Workers::options(),
);
my @tokens = map { $gw->tenant("t$_") } 1 .. 2;

sub subscribed {
    my ($n) = @_;
    return $gw->wait_for(sub {
        my $subs = $redis->command('PUBSUB', 'NUMSUB', 'amp:events');
        $gw->status->{redis_events_up} && $subs->[1] == ($n || 1);
    });
}

# Changes a record without an event.

sub silently {
    my ($id, %change) = @_;
    my $record = JSON::PP::decode_json($redis->command('GET', "amp:tenant:$id"));
    $redis->command('SET', "amp:tenant:$id", JSON::PP::encode_json({ %$record, %change, rev => $record->{rev} + 1 }));
}

sub disabled { return (disabled => $_[0] ? JSON::PP::true() : JSON::PP::false()) }

# Waits until every worker answers so.

sub until_all {
    my ($all, $token, $status, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $start = time;
    my $want = join ' ', ($status) x $all->pids;
    my $seen = $gw->wait_for(sub { $all->statuses($token) eq $want });
    note sprintf 'after %.0f ms', 1000 * (time - $start);
    return ok $seen, $name // "every worker answers $status";
}

# The first worker holds the subscription, as long as it runs.

my $all = Gateway::Workers->new($gw);
ok subscribed(), 'subscribed';
is $all->statuses($_), '200 200', 'a tenant is served' for @tokens;

subtest 'a change without an event' => sub {
    silently('t1', disabled(1));
    is $all->statuses($tokens[0]), '200 200', 'it is not applied';
    my $before = $gw->status->{lookups_total};
    $redis->command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    until_all($all, $tokens[0], 401, 'until the subscription was cut');
    subscribed();
    $all->statuses($tokens[1]) for 1 .. 5;
    cmp_ok $gw->status->{lookups_total} - $before, '<=', 6, 'each record is verified once, when it is used';
    $gw->ctl('tenant', 'enable', 't1');
    until_all($all, $tokens[0], 200);
};

subtest 'the worker with the subscription is stopped for a while' => sub {
    my ($first, $second) = $all->pids;
    kill 'STOP', $first;
    $gw->ctl('tenant', 'disable', 't1');
    my ($id) = map { $_->{id} } @{ JSON::PP::decode_json($gw->ctl('token', 'list', 't2', '--json')) };
    $gw->ctl('token', 'revoke', $id);
    is $all->one(1, $path, token => $tokens[0])->{status}, 200, 'the other worker gets no event';
    kill 'CONT', $first;
    until_all($all, $tokens[0], 401, 'when it goes on all events are applied');
    until_all($all, $tokens[1], 401);
    $gw->ctl('tenant', 'enable', 't1');
    until_all($all, $tokens[0], 200);
};

subtest 'it is stopped, and its subscription cut meanwhile' => sub {
    my ($first) = $all->pids;
    kill 'STOP', $first;
    $redis->command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    $gw->ctl('tenant', 'disable', 't1');
    kill 'CONT', $first;
    until_all($all, $tokens[0], 401, 'the change is applied');
    $gw->ctl('tenant', 'enable', 't1');
    until_all($all, $tokens[0], 200);
};

subtest 'it is killed' => sub {
    my ($first) = $all->pids;
    kill 'KILL', $first;
    silently('t1', disabled(1));
    ok $gw->wait_for(sub { !grep { $_ == $first } $gw->workers_pids }), 'another takes its place';
    my $all = Gateway::Workers->new($gw);
    until_all($all, $tokens[0], 401, 'the change is applied');
    subscribed();
    $gw->ctl('tenant', 'enable', 't1');
    until_all($all, $tokens[0], 200);
};

subtest 'a reload, while old workers are still busy' => sub {
    my $busy = $gw->connect;
    my $body = '{"groupRef":"g"}';
    syswrite $busy, "POST /v1/integrations/x/installations HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        . "X-Api-Key: $tokens[0]\r\nContent-Type: application/json\r\nContent-Length: " . length($body) . "\r\n\r\n{";
    $gw->wait_for(sub { $gw->under_way > 0 });    # a worker reads the body
    my @old = $gw->workers_pids;
    $gw->reload;
    $all = Gateway::Workers->new($gw, @old);
    for my $round (1 .. 3) {
        $gw->ctl('tenant', 'disable', 't1');
        until_all($all, $tokens[0], 401, "round $round: a change is applied");
        $gw->ctl('tenant', 'enable', 't1');
        until_all($all, $tokens[0], 200, "round $round: and another one");
    }
    cmp_ok scalar(my @now = $gw->workers_pids), '>', 2, 'an old worker has run all the time';
    close $busy;
    ok $gw->wait_for(sub { 2 == (my @now = $gw->workers_pids) }), 'the old workers have exited';
    ok subscribed(), 'and one subscription is left';
    silently('t1', disabled(1));
    $redis->command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    until_all($all, $tokens[0], 401);
    $gw->ctl('tenant', 'enable', 't1');
    until_all($all, $tokens[0], 200);
};

subtest 'Redis restarts from an older or newer dump' => sub {
    my $keys = $redis->command('KEYS', 'amp:*');
    my %dump = map { $_ => $redis->command('GET', $_) } grep { $redis->command('TYPE', $_) eq 'string' } @$keys;
    my $record = JSON::PP::decode_json($dump{'amp:tenant:t1'});
    $redis->stop;
    is $all->statuses($tokens[0]), '200 200', 'Redis is down';
    $redis->restart;
    $redis->command('SET', $_, $dump{$_}) for grep { $_ ne 'amp:tenant:t1' } keys %dump;
    $redis->command('SET', 'amp:tenant:t1', JSON::PP::encode_json({ %$record, disabled(1), rev => $record->{rev} + 1 }));
    until_all($all, $tokens[0], 401, 'its records are applied');
};
$gw->finish(killed => 1);


# The rest needs a scripted Redis.

my $fake = Gateway::FakeRedis->start;

sub fake_gateway {
    my (@o) = @_;
    my $channel = @o && $o[0] eq 'no_channel' ? shift @o : '';
    $gw = $fake->gateway(workers => 2, Gateway::Workers::options(), @o);
    my $token = $fake->new_tenants;
    ok $gw->wait_for(sub { $channel ? $gw->status->{redis_links_up} == 2 : $gw->linked }), 'every link is up';
    return ($token, 's' . $fake->{tenants}, Gateway::Workers->new($gw));
}

sub put {
    my ($id, %change) = @_;
    my $record = JSON::PP::decode_json($fake->real->command('GET', "amp:tenant:$id"));
    $fake->set("amp:tenant:$id" => JSON::PP::encode_json({ %$record, %change }));
    return $record->{rev};
}

subtest 'a silent connection: no FIN, no answer' => sub {
    my ($token, $id, $all) = fake_gateway(redis_args => 'timeout=100ms');
    until_all($all, $token, 200);
    $fake->fault({ on => 'PING', silent => 1, times => 1 });
    put($id, disabled(1), rev => $far);
    until_all($all, $token, 401, 'noticed by a PING without an answer');
    $fake->fault;
    $gw->finish;
};

subtest 'a channel that may not be subscribed to' => sub {
    $fake->fault({ on => 'SUBSCRIBE', reply => "-NOPERM this user has no permissions to access one of the channels used as arguments\r\n" });
    my ($token, $id, $all) = fake_gateway('no_channel', http => 'ampersand_tenant_ttl 700ms;');
    until_all($all, $token, 200);
    my $rev = put($id, disabled(1), rev => $far);
    until_all($all, $token, 401, 'a change is applied by ampersand_tenant_ttl');
    put($id, disabled(0), rev => $far + 1);
    until_all($all, $token, 200, 'and another one');
    is scalar(grep { /NOPERM/ } $fake->errors), 1, 'one error in the log';

    my $new = Gateway::Made::token();
    is $all->statuses($new), '401 401', 'a token that does not exist yet';
    $fake->set('amp:token:' . Digest::SHA::sha256_hex($new) =>
        JSON::PP::encode_json({ v => 1, tenant => $id, id => "$id.0123456789", created => 1 }));
    until_all($all, $new, 200, 'a token that is added too');
    $fake->fault;
    $gw->finish;
};

# Cuts the subscription: the gateway verifies every record before its next use.

sub cut {
    my $before = $fake->count('SUBSCRIBE');
    $fake->kick('events');
    $gw->wait_for(sub { $fake->count('SUBSCRIBE') > $before && $gw->status->{redis_events_up} }) or die 'not subscribed';
}

sub announce {
    my ($id, $rev) = @_;
    my $before = $gw->status->{events_total};
    $fake->publish('amp:events', JSON::PP::encode_json({ v => 1, type => 'tenant', tenant => $id, rev => $rev }));
    $gw->wait_for(sub { $gw->status->{events_total} > $before }) or die 'no event came';
}

subtest 'requests share a verification, and it comes with use' => sub {
    my ($token, $id, $all) = fake_gateway(http => 'ampersand_tenant_ttl 1h;');
    $gw->wait_for(sub { $gw->status->{redis_events_up} });
    my @others = $fake->new_tenants(20);
    is $all->statuses($_), '200 200', 'a tenant is served' for $token, @others[ 0, 19 ];
    $all->statuses($_) for @others;
    cut();
    $fake->clear;
    is $gw->get('/-/status')->{status}, 200, 'no request of a tenant';
    is $fake->count('GET'), 0, 'no look-up';
    $fake->fault({ on => 'GET', key => 'token', delay => 0.05 });
    my @sockets = map {
        my $s = $gw->connect;
        syswrite $s, "GET $path HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Api-Key: $token\r\n\r\n";
        $s;
    } 1 .. 60;
    is scalar(grep { Gateway::read_response($_)->{status} == 200 } @sockets), 60, '60 requests of one tenant';
    my $n = $fake->count('GET', qr/token/);
    ok $n >= 1 && $n <= 2, "are one look-up in each worker that has some: $n";
    $fake->fault;
    $fake->clear;
    $all->statuses($_) for $token, @others, @others;
    is $fake->count('GET', qr/token/), 20, 'each of the others is one when it is used';
    $gw->finish;
};

subtest 'records older than the one in the zone' => sub {
    my ($token, $id, $all) = fake_gateway(http => 'ampersand_tenant_ttl 1s;');
    $gw->wait_for(sub { $gw->status->{redis_events_up} });
    my $rev = put($id, rev => $far);
    until_all($all, $token, 200);

    put($id, disabled(1), rev => $far - 1);
    cut();
    is $all->statuses($token), '200 200', 'a replica that lags: the newer record stays';
    until_all($all, $token, 401, 'for ampersand_tenant_ttl; then the record of Redis is applied');

    put($id, rev => $far - 1);
    announce($id, $far);
    $fake->is_503($gw->get($path, token => $token), 'announced, and not there yet: neither is served');
    put($id, rev => $far);
    is $all->statuses($token), '200 200', 'until it is';

    put($id, disabled(1), rev => 5);
    announce($id, 5);
    is $all->statuses($token), '401 401', 'an event with a lower revision: Redis was restored, at once';
    put($id, rev => 6);
    announce($id, 6);
    is $all->statuses($token), '200 200', 'and goes on from there';

    # silent: the verification waits; the event comes meanwhile
    sleep 1.1;    # ampersand_tenant_ttl passes
    $fake->clear;
    $fake->fault({ silent => 1 });
    my $s = $gw->connect;
    syswrite $s, "GET $path HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Api-Key: $token\r\n\r\n";
    $gw->wait_for(sub { $fake->count('GET') });
    announce($id, 7);
    is Gateway::read_response($s)->{status}, 503, 'an event names the tenant while its verification waits: not served';
    is $all->statuses($token), '503 503', 'nor later';
    put($id, rev => 7);
    $fake->fault;
    until_all($all, $token, 200, 'until Redis answers');
    $gw->finish;
};

done_testing;
