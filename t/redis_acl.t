# Redis users with few rights: those that the README names are enough.  A user
# that lacks a right causes one clear line in the log, and no failed request of a
# tenant that is in the zone.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::Load;
use Gateway::Redis;
use Gateway::Versions;
use Test::More;

my $path = '/v1/integrations';
my $redis = Gateway::Redis->start('--requirepass', 'canary-admin');
my $channel = Gateway::Versions::channel_right($redis);
my $admin = $redis->url(':canary-admin@');

# What gateway and ampctl need, and no more: the line in the docs.

my ($rights) = Gateway::_slurp("$Gateway::ROOT/docs/redis.md") =~ /^ +ACL SETUSER gateway on >PASSWORD ~amp:\* &amp:events (.*?)\n\n/ms;
$rights = "~amp:* $channel -\@all " . join ' ', split ' ', $rights;
my $gateway = "on >canary-gate $rights";
my $ampctl = "on >canary-ops $rights";

sub user {
    my ($name, $rules) = @_;
    $redis->command('ACL', 'SETUSER', $name, 'reset', split ' ', $rules);
    return $redis->url("$name:canary-" . ($name eq 'ops' ? 'ops' : 'gate') . '@');
}

my $url = user('gate', $gateway);
my $ops = user('ops', $ampctl);
my $gw = Gateway->start(redis => $redis, redis_url => $url, redis_args => 'timeout=2s', http => 'ampersand_tenant_ttl 100ms;');
$gw->upstream->answer({ echo => 1 });

sub tenant {
    my ($id, @args) = @_;
    return { id => $id, token => $gw->tenant($id, args => [ '--redis', $ops, @args ]), project => "p-$id", key => "key-of-$id" };
}

my @known = map { tenant("known$_", '--rate', '10000/s', '--burst', 10000) } 1 .. 3;

subtest 'enough rights' => sub {
    my $load = Gateway::Load->start(gateways => [$gw], tenants => \@known);
    ok $gw->wait_for(sub { $gw->linked }), 'every link is up' or diag $gw->error_log;
    my $lookups = $gw->status->{lookups_total};
    ok $gw->wait_for(sub { $gw->status->{lookups_total} > $lookups + 30 }), 'records are verified under load';
    my $r = $load->stop;
    is $r->{failed}, 0, "none of $r->{requests} requests failed" or diag join "\n", @{ $r->{failures} };
    is_deeply [ $gw->errors ], [], 'no error in the log';
    $gw->ctl('--redis', $ops, 'tenant', 'disable', 'known3');
    ok $gw->wait_for(sub { $gw->get($path, token => $known[2]{token})->{status} == 401 }), 'a change is applied';
    $gw->ctl('--redis', $ops, 'tenant', 'enable', 'known3');
    ok $gw->wait_for(sub { $gw->get($path, token => $known[2]{token})->{status} == 200 }), 'and another one';
};

my $n = 0;
for (
    [ 'GET', '-get', 'NOPERM' ],
    [ 'these keys', 'resetkeys ~other:*', 'NOPERM' ],
    [ 'SUBSCRIBE', '-subscribe', 'NOPERM', 1 ],
    [ 'PING', '-ping', 'NOPERM', 0, 1 ],
    [ 'anything: off', 'off', 'WRONGPASS|NOAUTH|NOPERM|disabled', 0, 1 ],
    [ 'anything: another password', 'resetpass >canary-else', 'WRONGPASS', 0, 1 ],
) {
    my ($name, $rule, $says, $events, $kick) = @$_;
    subtest "a user who may not $name" => sub {
        my $new = tenant('new' . ++$n);
        ok $gw->wait_for(sub { $gw->linked && $gw->get($path, token => $known[0]{token})->{status} == 200 }), 'every link is up, and answers';
        my $errors = $gw->errors;
        my $load = Gateway::Load->start(gateways => [$gw], tenants => \@known, clients => 4);
        $redis->command('ACL', 'SETUSER', 'gate', split ' ', $rule);
        $redis->command('CLIENT', 'KILL', 'TYPE', $_, 'SKIPME', 'yes') for $kick || $events ? ('normal', 'pubsub') : ();
        if (!$events) {
            my $res;
            ok $gw->wait_for(sub { $res = $gw->get($path, token => $new->{token}); $res->{status} == 503 }),
                'a tenant that is not in the zone gets 503' or diag $res->{status};
        }
        ok $gw->wait_for(sub { $gw->errors > $errors }), 'an error';
        my $s = $gw->status;
        $gw->wait_for(sub {
            my $now = $gw->status;
            $now->{redis_connects_total} >= $s->{redis_connects_total} + 2 || $now->{lookups_total} >= $s->{lookups_total} + 20;
        });
        my @lines = ($gw->errors)[ $errors .. $gw->errors - 1 ];
        @lines = grep { !/refused a look-up/ && !($kick && /refuses PING/) } @lines;    # before the connection is closed
        is scalar(@lines), 1, 'one line, however often it fails' or diag join "\n", @lines;
        like join("\n", @lines), qr/$says/, 'the reason' or diag join "\n", @lines;
        note $lines[0];
        unlike $gw->error_log, qr/canary/, 'no password in the log';
        user('gate', $gateway);
        ok $gw->wait_for(sub { $gw->linked && $gw->get($path, token => $new->{token})->{status} == 200 }),
            'served when the right is given back';
        ok $gw->wait_for(sub { (() = $gw->error_log =~ /refuses GET/g) == (() = $gw->error_log =~ /accepts GET again/g) }),
            'the log says so' if $name =~ /GET|keys/;
        my $r = $load->stop;
        is $r->{failed}, 0, "none of $r->{requests} requests of tenants in the zone failed" or diag join "\n", @{ $r->{failures} };
    };
}

is_deeply [ grep { !/^(?:200|401|503)$/ } $gw->access_log =~ /"status":(\d+)/g ], [], 'no other status';
$gw->finish;
done_testing;
