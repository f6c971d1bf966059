#!/usr/bin/perl

# How long an expired answer may be served: while it is refreshed, and while
# Ampersand fails.

use strict;
use warnings;

use File::Temp ();
use FindBin;
use Test::More;
use Time::HiRes qw(sleep time);

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Upstream;

# The target says what Cache-Control the answer has; "down" in a file makes all
# answers to targets with it a 503, "same" answers a conditional request with 304.

my $down = File::Temp->new;
my $up = Gateway::Upstream->start(sub {
    my ($req) = @_;
    my ($control) = $req->{target} =~ /control=([^&]*)/;
    $control = ($control // '') =~ s/%([0-9A-F]{2})/chr hex $1/ger;
    my @headers = ('Content-Type' => 'application/json', $control eq '' ? () : ('Cache-Control' => $control));
    return { status => 503, body => '{}' } if -s $down->filename && $req->{target} =~ /down/;
    if ($req->{target} =~ /same/) {
        push @headers, ETag => '"v1"';
        return { status => 304, headers => [ ETag => '"v1"' ], body => '' }
            if grep { $_ eq '"v1"' } Gateway::Upstream::header($req, 'if-none-match');
    }
    return { headers => \@headers, body => qq({"n":$req->{n}}) };
});

my $lives = 'ampersand_suspend off; ampersand_cache_ttl default 1s; ampersand_cache_ttl getOperation 1s;';
my $updating = 'updating error timeout http_500 http_502 http_503 http_504';
my $gw = Gateway->start(workers => 2, upstream => $up->url, http => $lives);
my %o = (workers => 2, like => $gw);
my %gateway = (
    default => $gw,
    long    => Gateway->start(%o, http => "$lives ampersand_cache_stale 600s;"),
    off     => Gateway->start(%o, http => "$lives ampersand_cache_stale off error=off;"),
    brief   => Gateway->start(%o, http => "$lives ampersand_cache_stale 600s error=1s;"),
    copy    => Gateway->start(%o, http => $lives, proxy_conf => { proxy_cache_use_stale => $updating }),
);
my $token = $gw->tenant('acme', project => 'p-1', key => 'key-acme');

sub get { my ($which, $target) = @_; return $gateway{$which}->get($target, token => $token) }
sub said { my ($res) = @_; return "$res->{status} " . ($res->{headers}{'x-cache-status'} // 'none') }

# gateway, operation, what the answer says, what is expected of an expired answer: that
# the client waits for the new one (EXPIRED) or gets the old one (STALE)

my @refreshed = (
    [ long => 'topics', '', 'STALE', 'an expired list, within its bound' ],
    [ default => 'topics', '', 'EXPIRED', 'past the default bound, which is the lifetime' ],
    [ off => 'topics', '', 'EXPIRED', 'off' ],
    [ copy => 'topics', '', 'EXPIRED', 'a copy of proxy.conf that says "updating"' ],
    [ long => 'operations/o', '', 'EXPIRED', 'what is polled' ],
    [ copy => 'operations/o', '', 'EXPIRED', 'what is polled, in a copy that says "updating"' ],
    [ long => 'topics', 'max-age=1', 'STALE', "Ampersand's own lifetime" ],
    [ long => 'topics', 'max-age=1, must-revalidate', 'EXPIRED', 'must-revalidate' ],
    [ long => 'topics', 'max-age=1, proxy-revalidate', 'EXPIRED', 'proxy-revalidate' ],
    [ long => 'topics', 's-maxage=1', 'EXPIRED', 's-maxage' ],
    [ default => 'topics', 'max-age=1, stale-while-revalidate=600', 'STALE', "Ampersand's own bound" ],
    [ long => 'topics', 'max-age=1, stale-while-revalidate=0', 'EXPIRED', "Ampersand's own bound, if it is none" ],
    [ off => 'topics', 'max-age=1, stale-while-revalidate=600', 'EXPIRED', 'not where it is off' ],
);
my @failing = (
    [ default => 'topics', '', 200, 'an expired list' ],
    [ default => 'operations/o', '', 200, 'what is polled' ],
    [ off => 'topics', '', 503, 'off' ],
    [ brief => 'operations/o', '', 503, 'past its bound' ],
    [ default => 'topics', 'max-age=1, must-revalidate', 503, 'must-revalidate' ],
    [ default => 'topics', 's-maxage=1', 503, 's-maxage' ],
    [ default => 'topics', 'max-age=1, stale-if-error=0', 503, "Ampersand's own bound" ],
    [ brief => 'operations/o', 'max-age=1, stale-if-error=600', 200, "Ampersand's own bound, if it is longer" ],
);

sub target {
    my ($case, $what) = @_;
    my $control = $case->[2] =~ s/([^A-Za-z0-9-])/sprintf '%%%02X', ord $1/ger;
    return "/v1/$case->[1]?x=$what&control=$control";
}

my %first;
for my $what (qw(up down)) {
    for my $case ($what eq 'up' ? @refreshed : @failing) {
        my $res = get($case->[0], target($case, $what));
        $first{ join '|', @$case, $what } = $gw->json($res)->{n};
    }
}
my $same = '/v1/topics?x=same';
is said(get('default', $same)), '200 MISS', 'all is stored';
my $old = time + 4;
sleep 0.1 while time < $old;    # also as nginx counts, in whole seconds

subtest 'while it is refreshed' => sub {
    for my $case (@refreshed) {
        my $res = get($case->[0], target($case, 'up'));
        is said($res), "200 $case->[3]", "$case->[4]: $case->[3]";
        my $first = $first{ join '|', @$case, 'up' };
        my $n = $gw->json($res)->{n};
        $case->[3] eq 'STALE' ? is($n, $first, 'the old answer') : isnt($n, $first, 'a new answer');
        like $res->{headers}{'cache-status'}, $case->[3] eq 'STALE' ? qr/hit; ttl=-[2-9]/ : qr/fwd=stale; stored; ttl=/,
            'Cache-Status';
    }
};

subtest 'while Ampersand fails' => sub {
    print {$down} 'down';
    $down->flush;
    for my $case (@failing) {
        my $res = get($case->[0], target($case, 'down'));
        is $res->{status}, $case->[3], "$case->[4]: $case->[3]";
        next if $case->[3] != 200;
        is $gw->json($res)->{n}, $first{ join '|', @$case, 'down' }, 'the old answer';
        like $res->{headers}{'cache-status'}, qr/ttl=-[2-9]/, 'Cache-Status';
        cmp_ok $res->{headers}{age}, '>=', 3, 'Age';
    }
};

# In http{} of many configurations: proxy_cache_revalidate on.

subtest 'a 304 makes an entry fresh again' => sub {
    my $asks = Gateway->start(like => $gw, http => 'proxy_cache_revalidate on; ampersand_cache_ttl default 3s; ampersand_cache_stale off;');
    my $ask = sub { $asks->get($_[0], token => $token) };
    my @targets = map { "/v1/topics?x=same&control=$_" } '', 'max-age%3D3';
    is said($ask->($_)), '200 MISS', "$_: stored" for @targets;
    my $expired = time + 5;
    sleep 0.1 while time < $expired;
    for my $target (@targets) {
        my $res = $ask->($target);
        is said($res), '200 REVALIDATED', "$target: asked for";
        is $res->{headers}{age}, 0, 'Age';
        is $res->{headers}{'cache-status'}, 'ampersand; fwd=stale; fwd-status=304; ttl=3', 'Cache-Status';
        is said($ask->($target)), '200 HIT', 'fresh again';
    }
    $asks->finish;
};

$_->finish for values %gateway;
done_testing;
