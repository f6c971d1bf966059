#!/usr/bin/perl

# Requests in flight: exact for all workers of a gateway, given back however a
# request ends, and not kept by a worker that was killed.

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes qw(sleep time);

use lib "$FindBin::Bin/lib";
use Gateway;

my $gw = Gateway->start(workers => 4, http => 'ampersand_limit_default 1000/s concurrency=2;', server => <<'E');
        location = /v1/destinations/observed {
            ampersand platform;
            ampersand_observe on;
            include PROXY;
        }
E
my $up = $gw->upstream;
my $URN = 'urn:ampersand-gateway:problem:';

sub send_one {
    my ($token, $method, $target) = @_;
    my $s = $gw->connect or die $!;
    print $s "$method $target HTTP/1.1\r\nHost: g\r\nX-Api-Key: $token\r\nConnection: close\r\n"
        . ($method eq 'POST' ? "Content-Length: 2\r\n\r\n{}" : "\r\n");
    $s->flush;
    return $s;
}

sub statuses {
    my %n;
    $n{ Gateway::read_response($_)->{status} }++ for @_;
    return join ' ', map { "$_:$n{$_}" } sort keys %n;
}

# Different targets: a cacheable GET would wait for another one.

sub at_once {
    my ($n, $token, $method, $target) = @_;
    return statuses(map { send_one($token, $method, $method eq 'GET' ? $target . rand : $target) } 1 .. $n);
}

# So many, once Ampersand has them all.

sub hold {
    my ($n, $token, $method, $target) = @_;
    $up->take;
    my @held = map { send_one($token, $method, $target) } 1 .. $n;
    my $seen = 0;
    ok $gw->wait_for(sub { $seen += $up->take; $seen == $n }), "$n are held";
    is at_once(1, $token, 'POST', '/v1/topics'), '429:1', 'and no more is taken';
    return @held;
}

my $acme = $gw->tenant('acme');
$gw->ctl('limit', 'set', 'acme', '--concurrency', 3);
my $other = $gw->tenant('other');

subtest 'as many as there may be, on whichever worker' => sub {
    $up->answer({ delay => 0.5 });
    for my $what ([ 'POST', '/v1/topics' ], [ 'GET', '/v1/destinations/x' ]) {
        is at_once(12, $acme, @$what), '200:3 429:9', "@$what: three of twelve";
    }
    is at_once(12, $acme, 'POST', '/v1/topics'), '200:3 429:9', 'and again, so all were given back';
    is at_once(12, $other, 'POST', '/v1/topics'), '200:2 429:10', 'another tenant has the default';
    $up->answer({});
    is at_once(3, $acme, 'POST', '/v1/topics'), '200:3', 'none is left over';
};

subtest 'the refusal' => sub {
    $up->answer({ delay => 1 });
    my @held = hold(3, $acme, 'POST', '/v1/topics');
    my $res = $gw->get('/v1/destinations/y', token => $acme);
    is $res->{status}, 429, 'also of what may be cached';
    is $gw->json($res)->{type}, "${URN}too-many-at-once", 'type';
    is $res->{headers}{'retry-after'}, 1, 'Retry-After';
    is $res->{headers}{'x-gateway-source'}, 'gateway', 'who says so';
    is $gw->get('/v1/destinations/observed', token => $acme)->{status}, 200, 'ampersand_observe lets it pass';
    is statuses(@held), '200:3', 'those before it were served';
    cmp_ok $gw->status->{requests}{'too-many-at-once'}, '>=', 2, 'counted';
};

subtest 'hits are no requests in flight' => sub {
    $up->answer({});
    my $get = sub { $gw->get('/v1/destinations/stored', token => $acme) };
    is $get->()->{status}, 200, 'stored';
    $up->answer({ delay => 0.6 });
    my @held = hold(3, $acme, 'POST', '/read/v1/integrations/i/objects/o');
    is $get->()->{headers}{'x-gateway-source'}, 'cache', 'served meanwhile';
    is statuses(@held), '200:3', 'the others end well';
};

subtest 'clients that go, upstreams that fail' => sub {
    for (1 .. 3) {
        $up->answer({ delay => 20 });
        my @gone = hold(3, $acme, 'GET', '/proxy/x');
        close $_ for @gone;
        $up->answer({});
        ok $gw->wait_for(sub { at_once(3, $acme, 'POST', '/v1/topics') eq '200:3' }), 'all three are free again';
    }
    $up->answer({ drop => 1 });
    at_once(3, $acme, 'POST', '/v1/topics') for 1 .. 2;
    $up->answer({});
    is at_once(3, $acme, 'POST', '/v1/topics'), '200:3', 'after failures too';
};

subtest 'what a rate refuses is not in flight' => sub {
    my $t = $gw->tenant('slow', args => [ '--rate', '1/h', '--burst', 1 ]);
    $gw->ctl('limit', 'set', 'slow', '--concurrency', 1);
    is at_once(1, $t, 'POST', '/v1/topics'), '200:1', 'one';
    for (1 .. 3) {
        my $res = $gw->request('POST', '/v1/topics', token => $t, json => {});
        is $gw->json($res)->{type}, "${URN}rate-limited", 'refused by the rate each time';
    }
};

subtest 'a worker that is killed takes its own with it' => sub {
    $up->answer({ delay => 20 });
    my @held = hold(3, $acme, 'POST', '/v1/topics');
    my %old = map { $_ => 1 } $gw->workers_pids;
    kill 'KILL', keys %old;
    ok $gw->wait_for(sub { 4 == grep { !$old{$_} } $gw->workers_pids }), 'all workers are new';
    $up->answer({ delay => 0.4 });
    is at_once(9, $acme, 'POST', '/v1/topics'), '200:3 429:6', 'three again, no more, no less';
};

subtest 'a reload' => sub {
    $up->answer({ delay => 1 });
    my @held = hold(3, $acme, 'POST', '/v1/topics');
    $gw->reload;
    is statuses(@held), '200:3', 'served by the old workers';
    $up->answer({ delay => 0.4 });
    is at_once(9, $acme, 'POST', '/v1/topics'), '200:3 429:6', 'three again';
    $up->answer({});
};

$gw->stop;
my @bad = grep { !/exited on signal 9/ } $gw->complaints;
is scalar @bad, 0, 'nothing but the kills in the error log' or diag @bad;
done_testing;
