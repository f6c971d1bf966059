#!/usr/bin/perl

# Requests in flight: exact over all workers of a gateway; released however a
# request ends, and when its worker is killed.

use strict;
use warnings;

use FindBin;
use IO::Select ();
use Test::More;

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

# So many requests that are all answered at once.  Each has a target of its own: a
# cacheable GET would wait for another one.

sub sequence {
    my ($n, $token, $method, $target) = @_;
    return map { send_one($token, $method, $method eq 'GET' ? $target . rand : $target) } 1 .. $n;
}

sub at_once { return statuses(sequence(@_)) }

# So many requests while Ampersand holds its answers back: the others are refused
# before it answers.

sub over {
    my ($n, $limit, @request) = @_;
    $up->answer({ hold => 1 });
    my @sockets = sequence($n, @request);
    my @refused;
    $gw->wait_for(sub {
        push @refused, IO::Select->new(grep { my $s = $_; !grep { $_ == $s } @refused } @sockets)->can_read(0);
        return @refused >= $n - $limit;
    });
    $up->answer({});
    $gw->wait_for(sub { $up->release; IO::Select->new(@sockets)->can_read(0) == $n });
    return statuses(@sockets);
}

# So many requests, once Ampersand has received them all.

sub hold {
    my ($n, $token, $method, $target) = @_;
    $up->take;
    my @held = map { send_one($token, $method, $target) } 1 .. $n;
    my $seen = 0;
    ok $gw->wait_for(sub { $seen += $up->take; $seen == $n }), "$n are in flight";
    is at_once(1, $token, 'POST', '/v1/topics'), '429:1', 'one more is refused';
    return @held;
}

my $acme = $gw->tenant('acme');
$gw->ctl('limit', 'set', 'acme', '--concurrency', 3);
my $other = $gw->tenant('other');

subtest 'as many as the limit, on whichever worker' => sub {
    for my $what ([ 'POST', '/v1/topics' ], [ 'GET', '/v1/destinations/x' ]) {
        is over(12, 3, $acme, @$what), '200:3 429:9', "@$what: three of twelve";
    }
    is over(12, 3, $acme, 'POST', '/v1/topics'), '200:3 429:9', 'a second time: all were released';
    is over(12, 2, $other, 'POST', '/v1/topics'), '200:2 429:10', 'another tenant has the default';
    is at_once(3, $acme, 'POST', '/v1/topics'), '200:3', 'all were released';
};

subtest 'a refused request' => sub {
    $up->answer({ hold => 1 });
    my @held = hold(3, $acme, 'POST', '/v1/topics');
    my $res = $gw->get('/v1/destinations/y', token => $acme);
    is $res->{status}, 429, 'a cacheable GET is refused too';
    is $gw->json($res)->{type}, "${URN}too-many-at-once", 'type';
    is $res->{headers}{'retry-after'}, 1, 'Retry-After';
    is $res->{headers}{'x-gateway-source'}, 'gateway', 'X-Gateway-Source';
    $up->answer({});
    is $gw->get('/v1/destinations/observed', token => $acme)->{status}, 200, 'ampersand_observe lets it pass';
    $up->release;
    is statuses(@held), '200:3', 'the requests in flight are served';
    cmp_ok $gw->status->{requests}{'too-many-at-once'}, '>=', 2, 'refusals are counted';
};

subtest 'answers from the cache are not in flight' => sub {
    $up->answer({});
    my $get = sub { $gw->get('/v1/destinations/stored', token => $acme) };
    is $get->()->{status}, 200, 'stored';
    $up->answer({ hold => 1 });
    my @held = hold(3, $acme, 'POST', '/read/v1/integrations/i/objects/o');
    is $get->()->{headers}{'x-gateway-source'}, 'cache', 'served while the limit is reached';
    $up->answer({});
    $up->release;
    is statuses(@held), '200:3', 'the requests in flight are served';
};

subtest 'clients that leave, upstreams that fail' => sub {
    for (1 .. 3) {
        $up->answer({ hold => 1 });
        my @gone = hold(3, $acme, 'GET', '/proxy/x');
        close $_ for @gone;
        $up->answer({});
        ok $gw->wait_for(sub { at_once(3, $acme, 'POST', '/v1/topics') eq '200:3' }), 'all three are released';
    }
    $up->answer({ drop => 1 });
    at_once(3, $acme, 'POST', '/v1/topics') for 1 .. 2;
    $up->answer({});
    is at_once(3, $acme, 'POST', '/v1/topics'), '200:3', 'released after failures too';
};

subtest 'a request that the rate refuses is not in flight' => sub {
    my $t = $gw->tenant('slow', args => [ '--rate', '1/h', '--burst', 1 ]);
    $gw->ctl('limit', 'set', 'slow', '--concurrency', 1);
    is at_once(1, $t, 'POST', '/v1/topics'), '200:1', 'one';
    for (1 .. 3) {
        my $res = $gw->request('POST', '/v1/topics', token => $t, json => {});
        is $gw->json($res)->{type}, "${URN}rate-limited", 'the rate refuses, not the concurrency';
    }
};

subtest 'requests of a killed worker are released' => sub {
    $up->answer({ hold => 1 });
    my @held = hold(3, $acme, 'POST', '/v1/topics');
    my %old = map { $_ => 1 } $gw->workers_pids;
    kill 'KILL', keys %old;
    ok $gw->wait_for(sub { 4 == grep { !$old{$_} } $gw->workers_pids }), 'all workers are new';
    is over(9, 3, $acme, 'POST', '/v1/topics'), '200:3 429:6', 'three of nine';
};

subtest 'a reload' => sub {
    $up->answer({ hold => 1 });
    my @held = hold(3, $acme, 'POST', '/v1/topics');
    $gw->reload;
    $up->answer({});
    $up->release;
    is statuses(@held), '200:3', 'served by the old workers';
    is over(9, 3, $acme, 'POST', '/v1/topics'), '200:3 429:6', 'then three of nine';
};

$gw->finish(killed => 1);
done_testing;
