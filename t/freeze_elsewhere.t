#!/usr/bin/perl

# ampctl freeze and thaw with Sentinels, and with a Redis cluster: for all tenants
# and for one, at every gateway; a fail-over keeps what is frozen, and the switch
# works after it.

use strict;
use warnings;

use FindBin;
use JSON::PP qw(decode_json);
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Redis::Cluster;
use Gateway::Redis::Sentinel;

sub frozen {
    my ($gw, $token, $method) = @_;
    my $res = $gw->request($method, '/v1/topics', token => $token, $method eq 'POST' ? (json => {}) : ());
    return $res->{status} == 503 && $res->{body} =~ /problem:frozen/ ? 1 : $res->{status} == 200 ? 0 : $res->{status};
}

sub becomes {
    my ($expected, $name, @call) = @_;
    my $got;
    ok $call[0]->wait_for(sub { ($got = frozen(@call)) eq $expected }), "$call[2]: " . ($expected ? 'frozen' : 'served') . ", $name" or diag $got;
}

sub walk {
    my ($redis, $fail_over) = @_;
    my $gw = Gateway->start(redis => $redis, redis_args => 'timeout=500ms');
    my $second = Gateway->start(like => $gw, redis_args => 'timeout=500ms');
    my %token = map { ($_ => $gw->tenant($_, project => "p-$_")) } qw(acme other);
    for my $gateway ($gw, $second) {
        ok $gateway->wait_for(sub { $gateway->linked }), 'linked';
        becomes(0, 'before', $gateway, $token{$_}, 'POST') for sort keys %token;
    }

    $gw->ctl(qw(freeze --class write));
    for my $gateway ($gw, $second) {
        becomes(1, 'a class for all', $gateway, $token{$_}, 'POST') for sort keys %token;
        becomes(0, 'another class', $gateway, $token{acme}, 'GET');
    }
    $gw->ctl(qw(freeze --tenant acme));
    becomes(1, 'one tenant', $_, $token{acme}, 'GET') for $gw, $second;
    becomes(0, 'and no other', $_, $token{other}, 'GET') for $gw, $second;
    is_deeply decode_json($gw->ctl(qw(freeze list --json)))->{all}, ['write'], 'freeze list';

    $fail_over->($redis);
    for my $gateway ($gw, $second) {
        ok $gateway->wait_for(sub { $gateway->linked }), 'linked again';
        is frozen($gateway, $token{other}, 'POST'), 1, 'still frozen for all';
        becomes(1, 'still, for the tenant', $gateway, $token{acme}, 'GET');
    }
    is_deeply decode_json($gw->ctl(qw(freeze list --json --timeout 20s)))->{all}, ['write'], 'and Redis has it';
    my $third = Gateway->start(like => $gw, redis_args => 'timeout=500ms');
    becomes(1, 'a gateway that starts', $third, $token{other}, 'POST');

    $gw->ctl(qw(thaw --timeout 20s));
    becomes(0, 'thawed for all', $_, $token{other}, 'POST') for $gw, $second, $third;
    becomes(1, 'not for the tenant', $_, $token{acme}, 'GET') for $gw, $second, $third;
    $gw->ctl(qw(thaw --tenant acme --timeout 20s));
    becomes(0, 'thawed for the tenant', $_, $token{acme}, 'POST') for $gw, $second, $third;
    $_->finish for $gw, $second, $third;
}

subtest 'Sentinels' => sub {
    walk(Gateway::Redis::Sentinel->start, sub {
        my ($s) = @_;
        $s->command('WAIT', 1, 10_000);    # a replica has the switch
        $s->failover('crash');
    });
};

subtest 'a cluster whose node with the switch is lost' => sub {
    walk(Gateway::Redis::Cluster->start, sub {
        my ($c) = @_;
        my $node = $c->master_of($c->slot('amp:frozen'));
        $node->command('WAIT', 1, 10_000);
        $c->crash($node);
    });
};

done_testing;
