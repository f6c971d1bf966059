#!/usr/bin/perl

# ampctl freeze and thaw: all gateways refuse what is frozen, at once, without
# asking Redis for it; also one that missed the event, or starts later.

use strict;
use warnings;

use FindBin;
use JSON::PP qw(decode_json encode_json);
use Test::More;
use Time::HiRes qw(time);

use lib "$FindBin::Bin/lib";
use Gateway;

my $gw = Gateway->start(workers => 2);
my $second = Gateway->start(like => $gw, workers => 2);
my $acme = $gw->tenant('acme', project => 'p-1');
my $other = $gw->tenant('other', project => 'p-2');
my $URN = 'urn:ampersand-gateway:problem:';

sub answer {
    my ($gateway, $token, $method, $target) = @_;
    my $res = $gateway->request($method, $target, token => $token, $method eq 'POST' ? (json => {}) : ());
    return $res->{status} == 200 ? 200 : "$res->{status} " . ($gateway->json($res)->{type} // '') =~ s/^\Q$URN\E//r;
}

sub becomes {
    my ($expected, @call) = @_;
    my $got;
    ok $call[0]->wait_for(sub { ($got = answer(@call)) eq $expected }), "@call[2, 3]: $expected" or diag $got;
}

for my $gateway ($gw, $second) {
    is answer($gateway, $_, 'GET', '/v1/topics'), 200, 'served before' for $acme, $other;
    ok $gateway->wait_for(sub { $gateway->status->{redis_events_up} }), 'subscribed';
}

subtest 'a class, for all tenants and gateways' => sub {
    is decode_json($gw->ctl(qw(freeze --class write --class data --json)))->{frozen}[0], 'write', 'frozen';
    for my $gateway ($gw, $second) {
        becomes('503 frozen', $gateway, $_, 'POST', '/v1/topics') for $acme, $other;
        is answer($gateway, $acme, 'POST', '/write/v1/integrations/i/objects/o'), '503 frozen', 'each class that is named';
        is answer($gateway, $acme, 'GET', '/v1/topics'), 200, 'another class is served';
    }
    my $res = $gw->request('POST', '/v1/topics', token => $acme, json => {});
    is $res->{headers}{'retry-after'}, 30, 'Retry-After';
    my $p = $gw->json($res);
    ok $p->{retryable}, 'retryable';
    like $p->{remedy}, qr/ampctl freeze list.*ampctl thaw/, 'and what operators do';
    is $gw->status->{frozen_classes}, 2, 'the status counts the classes';
    is_deeply decode_json($gw->ctl(qw(freeze list --json))), { all => [qw(write data)], tenants => [] }, 'freeze list';
    is answer($gw, $acme, 'GET', '/v1/projects/p-2/topics'), '403 other-project', 'what is refused anyway is refused as always';
    $gw->ctl(qw(thaw --class write));
    becomes(200, $_, $acme, 'POST', '/v1/topics') for $gw, $second;
    is answer($gw, $acme, 'POST', '/write/v1/integrations/i/objects/o'), '503 frozen', 'the other one stays';
    $gw->ctl('thaw');
    becomes(200, $_, $acme, 'POST', '/write/v1/integrations/i/objects/o') for $gw, $second;
};

subtest 'everything, cached answers included, without a call to Redis for a request' => sub {
    is answer($gw, $acme, 'GET', '/v1/topics'), 200, 'cached';
    $gw->ctl('freeze');
    becomes('503 frozen', $gw, $acme, 'GET', '/v1/topics');
    my $commands = $gw->redis->command('INFO', 'commandstats');
    my $gets = sub { $gw->redis->command('INFO', 'commandstats') =~ /cmdstat_get:calls=(\d+)/; $1 };
    my ($before, $began) = ($gets->(), time);
    is answer($gw, $acme, 'GET', '/v1/topics'), '503 frozen', 'frozen' for 1 .. 100;
    ok $gets->() - $before <= 4 * (time - $began + 1), 'no GET for a request';
    $gw->ctl('thaw');
    becomes(200, $gw, $acme, 'GET', '/v1/topics');
};

subtest 'one tenant' => sub {
    $gw->ctl(qw(freeze --tenant acme --class read));
    becomes('503 frozen', $_, $acme, 'GET', '/v1/topics') for $gw, $second;
    is answer($gw, $acme, 'POST', '/v1/topics'), 200, 'of the class';
    is answer($gw, $other, 'GET', '/v1/topics'), 200, 'and no other tenant';
    like $gw->ctl(qw(tenant show acme)), qr/^frozen +read$/m, 'tenant show';
    like $gw->ctl(qw(freeze list)), qr/^all tenants: nothing is frozen\ntenant acme: read\n\z/, 'freeze list';
    my %checks = map { $_->{check} => $_ } @{ decode_json($gw->ctl(qw(doctor --json)))->{checks} };
    like $checks{freeze}{message}, qr/1 are frozen: acme/, 'doctor';
    my $doc = decode_json $gw->ctl(qw(config export));
    ok !exists $doc->{tenants}[0]{frozen}, 'config export has no freeze: it is no configuration';
    open my $f, '>', $gw->dir . '/doc.json' or die $!;
    print $f encode_json $doc;
    close $f;
    $gw->ctl('config', 'import', $gw->dir . '/doc.json', '--prune');
    is answer($gw, $acme, 'GET', '/v1/topics'), '503 frozen', 'and an import ends none';
    $gw->ctl('thaw');
    is answer($gw, $acme, 'GET', '/v1/topics'), '503 frozen', 'nor does a thaw for all';
    $gw->ctl(qw(thaw --tenant acme));
    becomes(200, $_, $acme, 'GET', '/v1/topics') for $gw, $second;
};

subtest 'an event that was missed, a reload and a start' => sub {
    # without an event, as for a gateway whose subscription is down
    $gw->redis->command('SET', 'amp:frozen', '{"v":1,"rev":9,"classes":["read"]}');
    becomes('503 frozen', $_, $acme, 'GET', '/v1/topics') for $gw, $second;
    $gw->reload;
    is answer($gw, $acme, 'GET', '/v1/topics'), '503 frozen', 'after a reload';
    my $third = Gateway->start(like => $gw);
    becomes('503 frozen', $third, $acme, 'GET', '/v1/topics');
    $third->finish;
    $gw->redis->command('SET', 'amp:frozen', 'x');
    ok $gw->wait_for(sub { $gw->log_lines(qr/what is frozen cannot be read/) }), 'a malformed record is logged';
    is answer($gw, $acme, 'GET', '/v1/topics'), '503 frozen', 'and changes nothing';
    $gw->ctl('thaw');
    becomes(200, $_, $acme, 'GET', '/v1/topics') for $gw, $second;
};

subtest 'usage and audit' => sub {
    for my $case ([ qr/not a class/, qw(freeze --class all) ], [ qr/not what freeze takes/, qw(freeze acme) ],
                  [ qr/tenant id/, qw(freeze --tenant ../x) ]) {
        my ($says, @args) = @$case;
        my ($code, $out, $err) = $gw->try_ctl(@args);
        is $code, 2, "@args: exit 2";
        like $err . $out, $says, 'and why';
    }
    is +($gw->try_ctl(qw(freeze --tenant nobody)))[0], 1, 'no such tenant: exit 1';
    my @lines = grep { $_->{change} eq 'freeze changed' } @{ decode_json $gw->ctl(qw(audit --json)) };
    is_deeply $lines[0]{after}, { frozen => [qw(write data)] }, 'a line for each change for all';
};

$_->finish for $gw, $second;
done_testing;
