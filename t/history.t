#!/usr/bin/perl

# The history of the status: requests, refusals and durations of the whole
# gateway by seconds, of the last 15 minutes.

use strict;
use warnings;

use FindBin;
use JSON::PP ();
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Clock;
use Gateway::Upstream;

my $up = Gateway::Upstream->start(sub {
    my ($req) = @_;
    return {
        headers => [ 'Cache-Control' => $req->{target} =~ /once/ ? 'no-store' : 'max-age=600' ],
        body    => '{}',
    };
});

sub status {
    my ($gw, $seconds) = @_;
    return JSON::PP::decode_json($gw->get("/-/status?history=$seconds")->{body});
}

sub sum { my $n = 0; $n += $_ // 0 for @_; return $n }

# What the history has of all seconds together.

sub totals {
    my ($history) = @_;
    my %t = map { my $source = $_; $source => sum(map { $_->{$source} } @$history) } qw(gateway upstream cache);
    for my $second (@$history) {
        $t{refusals}{$_} += $second->{refusals}{$_} for keys %{ $second->{refusals} };
        $t{durations}{$_} += sum(@{ $second->{durations}{$_} }) for keys %{ $second->{durations} };
    }
    return \%t;
}

# nginx counts a request after its answer has gone, and shows a second when it
# is over.

sub counted {
    my ($gw, $n) = @_;
    my $status;
    $gw->wait_for(sub {
        $status = status($gw, 900);
        my $t = totals($status->{history});
        return $t->{gateway} + $t->{upstream} + $t->{cache} >= $n;
    }) or fail "$n requests are counted";
    return $status;
}

subtest 'each request in its second' => sub {
    my $gw = Gateway->start(workers => 2, upstream => $up->url);
    my $token = $gw->tenant('acme', project => 'p-1', key => 'key-1');

    is_deeply status($gw, 900)->{history}, [], 'nothing was counted yet';
    my $before = status($gw, 900)->{second};
    $gw->get('/v1/integrations', token => $token) for 1 .. 3;
    $gw->get('/v1/integrations/once', token => $token);
    $gw->get('/v1/integrations');
    my $status = counted($gw, 5);

    is_deeply totals($status->{history}), {
        gateway => 1, upstream => 2, cache => 2, refusals => { 'no-token' => 1 },
        durations => { gateway => 5, upstream => 2 },
    }, 'requests by source, refusals by problem, durations';
    my @seconds = map { $_->{second} } @{ $status->{history} };
    is_deeply \@seconds, [ sort { $a <=> $b } @seconds ], 'oldest first';
    cmp_ok $seconds[0], '>=', $before, 'not before the first request';
    cmp_ok $seconds[-1], '<', $status->{second}, 'a second that is over';
    is scalar @{ $status->{history}[0]{durations}{gateway} }, scalar @{ $status->{bounds} }, 'a count for each bound';

    my $idle = $status->{second};
    $gw->wait_for(sub { status($gw, 1)->{second} > $idle + 2 }) or fail 'time passes';
    $gw->get('/v1/integrations', token => $token);
    $status = counted($gw, 6);
    cmp_ok $status->{history}[-1]{second}, '>', $idle, 'after a pause a request is in its own second';
    is $status->{history}[-1]{cache}, 1, 'alone';

    $idle = $status->{second};
    $gw->wait_for(sub { status($gw, 1)->{second} > $idle + 3 }) or fail 'time passes';
    is_deeply status($gw, 2)->{history}, [], 'only so many seconds as were asked for';
    is status($gw, $_)->{history} && 1, 1, "history=$_" for 1, 900, 1000, 4_000_000_000;
    ok !exists $gw->status->{history}, 'without the argument there is none';
    ok !exists status($gw, $_)->{history}, "history=$_ is none" for 'x', -1, 0;

    $gw->reload;
    ok $gw->wait_for(sub { $gw->linked }), 'reloaded';
    is_deeply totals(status($gw, 900)->{history}), totals($status->{history}), 'a reload loses nothing';

    my $json = $gw->status;
    is_deeply $json->{tenants}{''}, { gateway => 1, upstream => 0, cache => 0, refusals => { 'no-token' => 1 }, limitRefusals => {} }, 'nobody was identified';
    my %acme = %{ $json->{tenants}{acme} };
    delete @acme{qw(limits cooldown budget keyUsable)};    # metrics_tenants.t has these
    is_deeply \%acme, { gateway => 0, upstream => 2, cache => 3, refusals => {}, limitRefusals => {} }, 'the tenant';
    is_deeply $json->{operations}{listIntegrations},
        { gateway => 0, upstream => 1, cache => 3, statuses => { '2xx' => 4 } }, 'an operation';
    is sum(map { @{ $_->{counts} } } grep { $_->{part} eq 'upstream' && $_->{api} eq 'platform' && $_->{class} eq 'read' } @{ $json->{durations} }),
        2, 'durations by API and class';
    is sum(values %{ $json->{upstream}{platform}{connections} }), 2, 'connections';
    is $json->{cache}{hit}, 3, 'what was found in the cache';
    $gw->finish;
};

SKIP: {
    my $clock = Gateway::Clock->new or skip 'libfaketime is not installed', 1;

    subtest 'after 15 minutes a second is gone' => sub {
        local $ENV{NGINX_WRAP} = $clock->wrap;
        my $gw = Gateway->start(upstream => $up->url, main => $clock->main);
        $gw->get('/v1/integrations') for 1 .. 2;
        my $first = counted($gw, 2)->{second};
        my $jump = sub {
            my ($seconds) = @_;
            $clock->set($seconds);
            $gw->wait_for(sub { status($gw, 1)->{second} > $first + $seconds - 60 }) or fail "$seconds s later";
        };
        $jump->(600);
        $gw->get('/v1/integrations');
        my $status = counted($gw, 3);
        is totals($status->{history})->{gateway}, 3, 'ten minutes later all are there';
        cmp_ok $status->{history}[0]{second}, '<=', $first, 'the old ones where they were';
        cmp_ok $status->{history}[-1]{second}, '>', $first + 500, 'and the new one in its second';
        $jump->(1200);
        is totals(status($gw, 900)->{history})->{gateway}, 1, 'ten minutes later the first are gone';
        $jump->(3000);
        is_deeply status($gw, 900)->{history}, [], 'then all';
        $gw->finish;
    };
}

done_testing;
