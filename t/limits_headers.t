#!/usr/bin/perl

# The response headers of limits: RateLimit, RateLimit-Policy, Retry-After and
# X-RateLimit-*, and that they are right; the limits that configuration sets.

use strict;
use warnings;

use FindBin;
use POSIX ();
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

# RateLimit in a header: the names and r as given; t, seconds until the next change,
# is smaller by what has passed since $begun.

sub rate_limit {
    my ($header, $want, $begun, $name) = @_;
    my @got = $header =~ /"(\w+)";r=(\d+);t=(\d+)/g;
    my @want = $want =~ /"(\w+)";r=(\d+);t=(\d+)/g;
    my $passed = POSIX::ceil(time - $begun);
    my $fine = @got == @want;
    for my $i (0 .. $#want) {
        $fine &&= $i % 3 < 2 ? $got[$i] eq $want[$i] : $got[$i] <= $want[$i] && $got[$i] >= $want[$i] - $passed;
    }
    ok $fine, $name or diag "$header, not $want, after $passed s";
}

subtest 'ampersand_limit_default' => sub {
    my $t = tenant();
    my $begun = time;
    my @got = map { get($t, "/v1/destinations/d$_") } 1 .. 5;
    is join(' ', map { $_->{status} } @got), '200 200 200 200 429', 'a burst of four';
    is $_->{headers}{'ratelimit-policy'}, '"default";q=4;w=40', 'the policy' for @got;
    rate_limit($got[$_]{headers}{ratelimit}, sprintf('"default";r=%d;t=%d', 3 - $_, 10 * $_ + 10), $begun, "after $_") for 0 .. 2;
    rate_limit($got[3]{headers}{ratelimit}, '"default";r=0;t=10', $begun, 'no unit left: the next one comes in ten seconds');
    rate_limit($got[4]{headers}{ratelimit}, '"default";r=0;t=10', $begun, 'refused');
    is $got[4]{headers}{'retry-after'}, ($got[4]{headers}{ratelimit} =~ /t=(\d+)/)[0], 'Retry-After says the same';

    $t = tenant('--rate', '1000/s', '--burst', 50);
    is get($t, "/v1/destinations/e$_")->{status}, 200, 'a tenant with a rate of its own' for 1 .. 6;
};

subtest 'two limits' => sub {
    my $t = tenant('--rate', '6/m', '--burst', 5);
    $gw->ctl('limit', 'set', "t$n", '--class', 'read', '--rate', '100/h', '--burst', 2);
    my $begun = time;
    my @got = map { get($t, "/v1/destinations/f$_") } 1 .. 3;
    is $got[0]{headers}{'ratelimit-policy'}, '"default";q=5;w=50, "read";q=2;w=72', 'both policies';
    rate_limit($got[0]{headers}{ratelimit}, '"default";r=4;t=10, "read";r=1;t=36', $begun, 'both states');
    my ($left) = $got[2]{headers}{ratelimit} =~ /"read";r=0;t=(\d+)$/;
    ok $left <= 36 && $left >= 36 - POSIX::ceil(time - $begun), 'refused: the state of the limit that refuses' or diag $got[2]{head};
    is $got[2]{headers}{'retry-after'}, $left, 'Retry-After says the same';
};

subtest 'r and t are right' => sub {
    my $t = tenant('--rate', '6/m', '--burst', 3);
    my ($r) = get($t, '/v1/destinations/g0')->{headers}{ratelimit} =~ /r=(\d+)/;
    is $r, 2, 'two are left';
    is get($t, "/v1/destinations/g$_")->{status}, 200, 'one of them' for 1 .. $r;
    is get($t, '/v1/destinations/g4')->{status}, 429, 'and no more';

    $t = tenant('--rate', '1/s', '--burst', 1);
    my ($res, $i) = ({}, 0);
    $i++ until ($res = get($t, "/v1/destinations/h$i"))->{status} == 429;
    my $left;
    ($r, $left) = $res->{headers}{ratelimit} =~ /r=(\d+);t=(\d+)/;
    is "$r $left", '0 1', 'none is left, for a second';
    sleep 1;    # what "t" says
    is get($t, '/v1/destinations/h')->{status}, 200, 'then there is one';
};

subtest 'ampersand_limit_headers' => sub {
    my $t = tenant('--rate', '10/s', '--burst', 20);
    my $h = get($t, '/v1/integrations')->{headers};
    is join(' ', map { $h->{"x-ratelimit-$_"} // '-' } qw(limit remaining reset)), '20 19 1', 'X-RateLimit-*';
    is $h->{'ratelimit-policy'}, '"default";q=20;w=2', 'beside RateLimit-Policy';
    $h = get($t, '/v1/destinations')->{headers};
    is scalar(grep { /ratelimit/ } keys %$h), 0, 'off: no header';
    $h = get($t, '/v1/integrations')->{headers};
    is $h->{'x-cache-status'}, 'HIT', 'an answer from the cache';
    is scalar(grep { /ratelimit/ } keys %$h), 0, 'no header: it was not charged';
};

subtest 'ampersand_limit_hits' => sub {
    my $t = tenant('--rate', '1/h', '--burst', 3);
    my @got = map { get($t, '/v1/topics') } 1 .. 4;
    is join(' ', map { $_->{headers}{'x-cache-status'} // '-' } @got), 'MISS HIT HIT -', 'hits are charged';
    is $got[3]{status}, 429, 'and refused above the limit';
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
