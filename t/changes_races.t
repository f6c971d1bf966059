# A record changes during its look-up: the old reply is held back until the gateway
# has applied the event, at each step and in both directions.  No request gets the
# old record then, and none later.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA ();
use Gateway;
use Gateway::FakeRedis;
use Gateway::Made;
use Gateway::Workers;
use JSON::PP ();
use Test::More;

my $path = '/v1/integrations';
my $fake = Gateway::FakeRedis->start;
my $gw = $fake->gateway(
    workers => 2, Gateway::Workers::options(), redis_args => 'timeout=2s',
    http => 'ampersand_tenant_ttl 1h;',
);
$fake->new_tenants;    # a first record
ok $gw->wait_for(sub { $gw->status->{redis_events_up} }), 'subscribed';
my $all = Gateway::Workers->new($gw);

my $n = 0;

# A tenant and its token, which the fake Redis may or may not hold.

sub made {
    my (%record) = @_;
    my $token = Gateway::Made::token();
    my $id = 'r' . ++$n;
    my $first = JSON::PP::decode_json($fake->real->command('GET', 'amp:tenant:s1'));
    $record{rev} ||= 8;
    my $t = {
        token => $token, id => $id, digest => Digest::SHA::sha256_hex($token),
        record => { %$first, id => $id, project => { id => "p-$id" }, grants => { allow => ['write'] }, %record },
    };
    $t->{token_key}  = "amp:token:$t->{digest}";
    $t->{tenant_key} = "amp:tenant:$id";
    $t->{token_text} = JSON::PP::encode_json({ v => 1, tenant => $id, id => "$id.0123456789", created => 1 });
    $t->{token_event}  = { type => 'token', tenant => $id, token => $t->{digest} };
    return $t;
}

sub text { my ($t, %c) = @_; return JSON::PP::encode_json({ %{ $t->{record} }, %c }) }

sub tenant_event { my ($t, $rev) = @_; return { type => 'tenant', tenant => $t->{id}, rev => $rev } }

# Publishes events, and waits until the gateway has received them.

sub announce {
    my @events = @_;
    my $before = $gw->status->{events_total};
    $fake->publish('amp:events', JSON::PP::encode_json({ v => 1, %$_ })) for @events;
    $gw->wait_for(sub { $gw->status->{events_total} >= $before + @events }) or die 'no event came';
}

# These records grant nothing that is asked for: 403 proves that one was used.

sub interleave {
    my ($name, $t, $on, $key, $change, $event, $expected, %o) = @_;
    subtest $name => sub {
        $fake->clear;
        for my $round (1 .. $o{rounds} || 1) {
            $fake->fault({ on => $on, key => "^\Q$key\E", hold => 1 });
            if ($round == 1) {
                $t->{socket} = $gw->connect;
                syswrite $t->{socket}, "GET $path HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Api-Key: $t->{token}\r\n\r\n";
            }
            ok $gw->wait_for(sub { $fake->count($on, qr/^\Q$key\E/) >= $round }), "round $round: a look-up without its reply";
            $change->($round);
            announce(ref $event eq 'CODE' ? $event->($round) : $event);
            $fake->fault if $round == ($o{rounds} || 1);
            $fake->release;
        }
        is Gateway::read_response($t->{socket})->{status}, $expected, 'the request gets the new record';
        is $all->statuses($t->{token}), "$expected $expected", 'so do the next ones, in every worker';
        cmp_ok $fake->count('GET', qr/^\Q$t->{token_key}\E/), '>=', 2, 'it was looked up again';
    };
}

my $t = made();
$fake->set($t->{token_key} => $t->{token_text}, $t->{tenant_key} => text($t));
interleave('token revoked', $t, 'GET', $t->{token_key},
    sub { $fake->set($t->{token_key} => undef) }, $t->{token_event}, 401);

$t = made();
$fake->set($t->{token_key} => $t->{token_text}, $t->{tenant_key} => text($t));
interleave('token revoked while the tenant is being read', $t, 'GET', $t->{tenant_key},
    sub { $fake->set($t->{token_key} => undef) }, $t->{token_event}, 401);

$t = made();
$fake->set($t->{tenant_key} => text($t));
interleave('token issued right after it was asked for', $t, 'GET', $t->{token_key},
    sub { $fake->set($t->{token_key} => $t->{token_text}) }, $t->{token_event}, 403);

for my $step ('tenant', 'project') {
    my @at = $step eq 'tenant' ? ('GET', 'amp:tenant:r' . ($n + 1)) : ('HGETALL', 'amp:gen:p-r' . ($n + 1));
    $t = made();
    $fake->set($t->{token_key} => $t->{token_text}, $t->{tenant_key} => text($t));
    interleave("tenant disabled while its $step is being read", $t, @at,
        sub { $fake->set($t->{tenant_key} => text($t, rev => 9, disabled => JSON::PP::true())) },
        tenant_event($t, 9), 401);

    @at = $step eq 'tenant' ? ('GET', 'amp:tenant:r' . ($n + 1)) : ('HGETALL', 'amp:gen:p-r' . ($n + 1));
    $t = made();
    $fake->set($t->{token_key} => $t->{token_text}, $t->{tenant_key} => text($t));
    interleave("tenant removed while its $step is being read", $t, @at,
        sub { $fake->set($t->{tenant_key} => undef) }, tenant_event($t, 9), 401);
}

$t = made();
$fake->set($t->{token_key} => $t->{token_text});
interleave('tenant added right after it was asked for', $t, 'GET', $t->{tenant_key},
    sub { $fake->set($t->{tenant_key} => text($t)) }, tenant_event($t, 8), 403);

$t = made();
$fake->set($t->{token_key} => $t->{token_text}, $t->{tenant_key} => text($t));
interleave('a tenant that changes three times meanwhile', $t, 'GET', $t->{tenant_key},
    sub { $fake->set($t->{tenant_key} => text($t, rev => 8 + $_[0], $_[0] == 3 ? (disabled => JSON::PP::true()) : ())) },
    sub { tenant_event($t, 8 + $_[0]) }, 401, rounds => 3);

subtest 'a purge while generations are being read' => sub {
    my $token = $fake->new_tenants;
    my $key = 'amp:gen:p-s2';
    $fake->set($key => { '*' => 4 });
    $fake->fault({ on => 'HGETALL', key => "^$key", hold => 1, times => 1 });
    my $s = $gw->connect;
    syswrite $s, "GET $path HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Api-Key: $token\r\n\r\n";
    $gw->wait_for(sub { $fake->count('HGETALL', qr/^$key/) });
    $fake->set($key => { '*' => 5 });
    announce({ type => 'purge', project => 'p-s2', family => '*', rev => 5 });
    $fake->release;
    is Gateway::read_response($s)->{status}, 200, 'served';
    like $_->{headers}{'x-key'}, qr/^[\w-]{16}\|\d+a5\./, 'the next key has the new generation'
        for $all->get($path, token => $token);
    announce({ type => 'purge', project => 'p-s2', family => '*', rev => 6 });
    like $_->{headers}{'x-key'}, qr/^[\w-]{16}\|\d+a6\./, 'and the next purge counts too'
        for $all->get($path, token => $token);
    $fake->set($key => { '*' => 1 });
    announce({ type => 'purge', project => 'p-s2', family => '*', rev => 1 });
    like $_->{headers}{'x-key'}, qr/^[\w-]{16}\|\d+a1\./, 'Redis was emptied: what it says now'
        for $all->get($path, token => $token);
};

subtest 'changes of other tenants do not matter' => sub {
    my $t = made();
    $fake->set($t->{token_key} => $t->{token_text}, $t->{tenant_key} => text($t));
    $fake->clear;
    $fake->fault({ on => 'GET', key => "^\Q$t->{tenant_key}\E", hold => 1, times => 1 });
    my $s = $gw->connect;
    syswrite $s, "GET $path HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Api-Key: $t->{token}\r\n\r\n";
    $gw->wait_for(sub { $fake->count('GET', qr/^\Q$t->{tenant_key}\E/) });
    announce(map { +{ type => 'tenant', tenant => "o$_", rev => 3 } } 1 .. 100);
    $fake->release;
    is Gateway::read_response($s)->{status}, 403, 'served';
    # one in a thousand of the others' may share its place
    cmp_ok $fake->count('GET', qr/^\Q$t->{tenant_key}\E/), '<=', 2, 'with at most one repeated look-up';
    is $all->statuses($t->{token}), '403 403', 'and stored';
};

subtest 'the subscription was cut while a look-up was under way' => sub {
    my $t = made();
    $fake->set($t->{token_key} => $t->{token_text}, $t->{tenant_key} => text($t));
    $fake->clear;
    $fake->fault({ on => 'GET', key => "^\Q$t->{tenant_key}\E", hold => 1, times => 1 });
    my $s = $gw->connect;
    syswrite $s, "GET $path HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Api-Key: $t->{token}\r\n\r\n";
    $gw->wait_for(sub { $fake->count('GET', qr/^\Q$t->{tenant_key}\E/) });
    $fake->set($t->{tenant_key} => text($t, rev => 9, disabled => JSON::PP::true()));
    $fake->kick('events');    # no event
    $gw->wait_for(sub { $fake->count('SUBSCRIBE') && $gw->status->{redis_events_up} });
    $fake->release;
    is Gateway::read_response($s)->{status}, 401, 'it is looked up again';
    is $all->statuses($t->{token}), '401 401', 'in every worker';
};

subtest 'a negative entry ends with its event' => sub {
    for my $what ('token', 'tenant') {
        my $t = made();
        $fake->set($t->{tenant_key} => text($t)) if $what eq 'token';
        $fake->set($t->{token_key} => $t->{token_text}) if $what eq 'tenant';
        is $all->statuses($t->{token}), '401 401', "a $what that does not exist";
        $fake->clear;
        is $all->statuses($t->{token}), '401 401', 'a negative entry';
        is $fake->count('GET'), 0, 'without a look-up';
        $fake->set($what eq 'token' ? ($t->{token_key} => $t->{token_text}) : ($t->{tenant_key} => text($t)));
        $fake->publish('amp:events', JSON::PP::encode_json({ v => 1, %{ $what eq 'token' ? $t->{token_event} : tenant_event($t, 8) } }));
        ok $gw->wait_for(sub { $all->statuses($t->{token}) eq '403 403' }), 'once it exists, it is used by every worker';
    }
};

$gw->finish;
done_testing;
