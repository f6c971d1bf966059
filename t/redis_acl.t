# Redis users with few rights: those that the README names are enough, and one
# that lacks a right is a clear line in the log and no failed request of a
# tenant that is known.

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
my $redis = Gateway::Redis->start('--requirepass', 'canary-admin');
my ($version) = $redis->info('server')->{redis_version} =~ /^(\d+\.\d+)/;
my $channel = $version >= 6.2 ? '&amp:*' : '';
my $admin = $redis->url(':canary-admin@');

# What a gateway needs, and no more.

my $gateway = "on >canary-gate ~amp:* $channel -\@all +get +hgetall +eval +evalsha +script|load +hincrby +hget +hset +hmget +hlen +hdel +pexpire"
    . ' +incrby +set +pttl +info +time +publish +subscribe +ping +select +role +auth';
my $ampctl = "on >canary-ops ~amp:* $channel -\@all +\@read +\@write +\@scripting +\@pubsub +\@transaction +\@connection +time +info +role";
$ampctl =~ s/\+\@pubsub/+publish/;

sub user {
    my ($name, $rules) = @_;
    $redis->command('ACL', 'SETUSER', $name, 'reset', split ' ', $rules);
    return $redis->url("$name:canary-" . ($name eq 'ops' ? 'ops' : 'gate') . '@');
}

sub errors { return grep { /\[error\].*ampersand: / } split /\n/, $_[0]->error_log }

sub all_up { my $s = $_[0]->status; return $s->{redis_events_up} && $s->{redis_links_up} == $s->{redis_links} }

my $url = user('gate', $gateway);
my $ops = user('ops', $ampctl);
my $gw = Gateway->start(redis => $redis, redis_url => $url, http => 'ampersand_tenant_ttl 100ms;');
$gw->upstream->answer({ echo => 1 });

sub tenant {
    my ($id, @args) = @_;
    return { id => $id, token => $gw->tenant($id, args => [ '--redis', $ops, @args ]), project => "p-$id", key => "key-of-$id" };
}

my @known = map { tenant("known$_", '--rate', '10000/s', '--burst', 10000) } 1 .. 3;

subtest 'enough rights' => sub {
    my $load = Gateway::Load->start(gateways => [$gw], tenants => \@known);
    ok $gw->wait_for(sub { all_up($gw) }), 'every link is up' or diag $gw->error_log;
    sleep 0.7;
    my $r = $load->stop;
    is $r->{failed}, 0, "none of $r->{requests} requests failed" or diag join "\n", @{ $r->{failures} };
    is_deeply [ errors($gw) ], [], 'nothing to say';
    $gw->ctl('--redis', $ops, 'tenant', 'disable', 'known3');
    ok $gw->wait_for(sub { $gw->get($path, token => $known[2]{token})->{status} == 401 }), 'changes are heard of';
    $gw->ctl('--redis', $ops, 'tenant', 'enable', 'known3');
    ok $gw->wait_for(sub { $gw->get($path, token => $known[2]{token})->{status} == 200 }), 'both';
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
        my $stranger = tenant('stranger' . ++$n);
        ok $gw->wait_for(sub { all_up($gw) }), 'every link is up';
        sleep 1.1;
        my $errors = errors($gw);
        my $load = Gateway::Load->start(gateways => [$gw], tenants => \@known, clients => 4);
        $redis->command('ACL', 'SETUSER', 'gate', split ' ', $rule);
        $redis->command('CLIENT', 'KILL', 'TYPE', $_, 'SKIPME', 'yes') for $kick || $events ? ('normal', 'pubsub') : ();
        if (!$events) {
            my $res;
            ok $gw->wait_for(sub { $res = $gw->get($path, token => $stranger->{token}); $res->{status} == 503 }),
                'an unknown tenant gets 503' or diag $res->{status};
        }
        ok $gw->wait_for(sub { errors($gw) > $errors }), 'an error';
        sleep 0.7;
        my @lines = (errors($gw))[ $errors .. errors($gw) - 1 ];
        @lines = grep { !/refused a look-up/ } @lines;
        is scalar(@lines), 1, 'said once' or diag join "\n", @lines;
        like join("\n", @lines), qr/$says/, 'and clearly' or diag join "\n", @lines;
        note $lines[0];
        unlike $gw->error_log, qr/canary/, 'without a password';
        user('gate', $gateway);
        ok $gw->wait_for(sub { all_up($gw) && $gw->get($path, token => $stranger->{token})->{status} == 200 }),
            'all is well when the right is back';
        ok $gw->wait_for(sub { (() = $gw->error_log =~ /refuses GET/g) == (() = $gw->error_log =~ /accepts GET again/g) }),
            'the log says so' if $name =~ /GET|keys/;
        my $r = $load->stop;
        is $r->{failed}, 0, "none of $r->{requests} requests of known tenants failed" or diag join "\n", @{ $r->{failures} };
    };
}

is_deeply [ grep { !/^(?:200|401|503)$/ } $gw->access_log =~ /"status":(\d+)/g ], [], 'never anything else';
$gw->finish;
done_testing;
