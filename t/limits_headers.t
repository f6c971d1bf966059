#!/usr/bin/perl

# What the gateway says of limits, and that it is what then happens; the limits
# that configuration sets.

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes qw(sleep time);

use lib "$FindBin::Bin/lib";
use Gateway;

my $gw = Gateway->start(workers => 2, http => 'ampersand_limit_default 6/m burst=4;', server => <<'E');
        location = /v1/topics {
            ampersand platform;
            ampersand_limit_hits on;
            include PROXY;
        }
        location = /v1/integrations {
            ampersand platform;
            ampersand_limit_headers all;
            include PROXY;
        }
        location = /v1/destinations {
            ampersand platform;
            ampersand_limit_headers off;
            include PROXY;
        }
E
my $n = 0;

sub tenant { my (@args) = @_; return $gw->tenant('t' . ++$n, project => "p-$n", args => \@args) }
sub get { my ($t, $target) = @_; return $gw->get($target, token => $t) }

subtest 'ampersand_limit_default' => sub {
    my $t = tenant();
    my @got = map { get($t, "/v1/destinations/d$_") } 1 .. 5;
    is join(' ', map { $_->{status} } @got), '200 200 200 200 429', 'four at once';
    is $_->{headers}{'ratelimit-policy'}, '"default";q=4;w=40', 'the policy' for @got;
    like $got[$_]{headers}{ratelimit}, qr/^"default";r=@{[ 3 - $_ ]};t=@{[ 10 * $_ + 10 ]}$/, "after $_" for 0 .. 2;
    is $got[3]{headers}{ratelimit}, '"default";r=0;t=10', 'none left: the next comes in ten seconds';
    is $got[4]{headers}{'retry-after'}, 10, 'Retry-After';
    is $got[4]{headers}{ratelimit}, '"default";r=0;t=10', 'says the same';

    $t = tenant('--rate', '1000/s', '--burst', 50);
    is get($t, "/v1/destinations/e$_")->{status}, 200, 'a rate of its own' for 1 .. 6;
};

subtest 'two limits' => sub {
    my $t = tenant('--rate', '1/s', '--burst', 5);
    $gw->ctl('limit', 'set', "t$n", '--class', 'read', '--rate', '10000/d', '--burst', 2);
    my @got = map { get($t, "/v1/destinations/f$_") } 1 .. 3;
    is $got[0]{headers}{'ratelimit-policy'}, '"default";q=5;w=5, "read";q=2;w=18', 'both policies';
    like $got[0]{headers}{ratelimit}, qr/^"default";r=4;t=1, "read";r=1;t=9$/, 'and both states';
    like $got[2]{headers}{ratelimit}, qr/^"default";r=[234];t=[123], "read";r=0;t=9$/, 'the one that refuses';
    is $got[2]{headers}{'retry-after'}, 9, 'as Retry-After';
};

subtest 'r and t are true' => sub {
    my $t = tenant('--rate', '2/s', '--burst', 3);
    my ($r, $left) = get($t, '/v1/destinations/g0')->{headers}{ratelimit} =~ /r=(\d+);t=(\d+)/;
    is $r, 2, 'two are left';
    is get($t, "/v1/destinations/g$_")->{status}, 200, 'one of them' for 1 .. $r;
    my $res = get($t, '/v1/destinations/g4');
    is $res->{status}, 429, 'and no more';
    ($r, $left) = $res->{headers}{ratelimit} =~ /r=(\d+);t=(\d+)/;
    is "$r $left", '0 1', 'none, for a second';
    sleep 1;
    is get($t, '/v1/destinations/g5')->{status}, 200, 'then there is one';
};

subtest 'ampersand_limit_headers' => sub {
    my $t = tenant('--rate', '10/s', '--burst', 20);
    my $h = get($t, '/v1/integrations')->{headers};
    is join(' ', map { $h->{"x-ratelimit-$_"} // '-' } qw(limit remaining reset)), '20 19 1', 'all';
    is $h->{'ratelimit-policy'}, '"default";q=20;w=2', 'beside the draft';
    $h = get($t, '/v1/destinations')->{headers};
    is scalar(grep { /ratelimit/ } keys %$h), 0, 'off';
    $h = get($t, '/v1/integrations')->{headers};
    is $h->{'x-cache-status'}, 'HIT', 'a hit';
    is scalar(grep { /ratelimit/ } keys %$h), 0, 'says nothing: it was not held to limits';
};

subtest 'ampersand_limit_hits' => sub {
    my $t = tenant('--rate', '1/h', '--burst', 3);
    my @got = map { get($t, '/v1/topics') } 1 .. 4;
    is join(' ', map { $_->{headers}{'x-cache-status'} // '-' } @got), 'MISS HIT HIT -', 'hits are charged';
    is $got[3]{status}, 429, 'and refused';
};

subtest 'bad configuration' => sub {
    for my $case (
        [ '50', 'invalid rate "50", write for example 50/s' ],
        [ '50/s burst=0', 'invalid parameter "burst=0"' ],
        [ '50/s burst=x', 'invalid parameter "burst=x"' ],
        [ '50/s bursts=1', 'invalid parameter "bursts=1"' ],
        [ '50/s concurrency=-1', 'invalid parameter "concurrency=-1"' ],
        [ '50/s; ampersand_limit_default 5/s', 'is duplicate' ],
        [ '1/h burst=10000', 'takes too long to refill at 1/h, write burst=626 or less' ],
        )
    {
        my ($ok, $out) = Gateway->configtest("events {} http { ampersand_limit_default $case->[0]; }");
        ok !$ok && $out =~ /\Q$case->[1]\E/, "bad: $case->[0]" or diag $out;
    }
    my ($ok, $out) = Gateway->configtest('events {} http { ampersand_limit_headers some; }');
    like $out, qr/invalid value "some"/, 'ampersand_limit_headers';
};

$gw->finish;
done_testing;
