#!/usr/bin/perl

# Gateways whose clocks disagree: an hour ahead, an hour behind, one percent too
# fast, one percent too slow.  Together they never admit more than the limit, in
# the time of Redis.  t/unit/test_lease.c asserts on a virtual clock, with clocks
# that drift, how near to the limit they come.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Flood;

my ($library) = glob '/usr/lib/*/faketime/libfaketime.so.1';
plan skip_all => 'libfaketime is not installed' unless $library;

my @http = (http => 'keepalive_requests 1000000;', redis_args => 'timeout=1s');

sub gateway {
    my ($fake, @like) = @_;
    local $ENV{NGINX_WRAP} = "env LD_PRELOAD=$library FAKETIME=$fake";
    return Gateway->start(@http, @like);
}

my $right = Gateway->start(@http);
my %off = map { $_ => gateway($_, like => $right) } '+1h', '-1h', '+0,x1.01', '+0,x0.99';

sub hour { my ($gw) = @_; return ($gw->get('/-/status')->{headers}{date} =~ /(\d\d):\d\d:\d\d GMT/)[0] }

SKIP: {
    skip 'nginx keeps the right time under libfaketime', 1
        if hour($off{'+1h'}) == hour($right);

    for my $case ([ 200, 40 ], [ 100, 1 ]) {
        my ($rate, $burst) = @$case;
        subtest "$rate/s, burst $burst" => sub {
            my $t = $right->tenant("t$rate", project => 'p-1', args => [ '--rate', "$rate/s", '--burst', $burst ]);
            my $f = Gateway::Flood->run(
                token => $t, on => [ $right, map { $off{$_} } sort keys %off ], seconds => 2, connections => 2
            );
            is $f->others, 0, 'each request is admitted, or refused with 429';
            cmp_ok $f->good, '<=', $rate * $f->seconds + $burst, 'never more than rate and burst';
            cmp_ok $f->excess($rate, $burst), '<=', 0.1 * $rate, 'in no window more';
            cmp_ok $f->good, '>', $burst, 'and more than the burst';
            note sprintf '%.1f %%, shares %s', 100 * $f->good / ($rate * $f->seconds + $burst), join ' ', $f->shares;
        };
    }
}

$_->finish for $right, values %off;
done_testing;
