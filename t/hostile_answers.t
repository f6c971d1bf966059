#!/usr/bin/perl

# Ten thousand generated answers of an upstream, valid and broken, with and without the
# cache, over connections that stay open: each request gets one final answer, its own,
# and nothing of what an interim answer, a second answer or another origin said.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Select;
use Test::More;

use Gateway;
use Gateway::Answers;

my $N = $ENV{HOSTILE_ANSWERS} || 10_000;

my $up = Gateway::Upstream->start(sub {
    my ($req) = @_;
    my ($n) = $req->{target} =~ /(\d+)\z/;
    my $head = $req->{target} =~ m{^/head/};
    return undef if $req->{target} =~ /works/;
    return { %{ Gateway::Answers::answer($n, $head ? 'HEAD' : 'GET') } };
});

# two gateways: one with buffers, one without

my %gw = (
    on  => Gateway->start(upstream => $up->url),
    off => Gateway->start(upstream => $up->url, proxy_conf => { proxy_buffering => 'off' }),
);
my %token = map { $_ => $gw{$_}->tenant('acme', project => 'p-1', key => 'key-of-acme-5c1f') } keys %gw;
my %socket;

sub ask {
    my ($which, $method, $target) = @_;
    my $s = $socket{$which} ||= $gw{$which}->connect or die "connect: $!";
    my $length = $method eq 'POST' ? "Content-Length: 0\r\n" : '';
    print $s "$method $target HTTP/1.1\r\nHost: g\r\nX-Api-Key: $token{$which}\r\n$length\r\n";
    $s->flush;
    my $in = '';
    my $res = Gateway::read_response($s, method => $method, interim => 1, rest => \$in);
    sysread $s, $in, 65536, length $in if !length $in && IO::Select->new($s)->can_read(0);
    $res->{more} = $in;
    delete $socket{$which}
        if $res->{cut} || !$res->{status} || length $in || ($res->{headers}{connection} // '') eq 'close';
    return $res;
}

my %seen;
my @faults;

for my $n (1 .. $N) {
    my $which = $n % 5 ? 'on' : 'off';

    # broken answers in a row would suspend the host
    ask($which, 'POST', "/v1/topics?works=$n") if $n % 3 == 0;
    my $api = $n % 3;
    my $method = $n % 7 ? 'GET' : 'HEAD';

    # a HEAD of an operation that may be cached goes upstream as GET
    my $target = $api == 0 ? "/v1/integrations?q=$n" : $method eq 'HEAD' ? "/proxy/head/$n" : "/proxy/get/$n";
    my $answer = Gateway::Answers::answer($n, $target =~ /head/ ? 'HEAD' : 'GET');
    my $body = $method eq 'HEAD' ? '' : $answer->{body};

    for my $time (1 .. ($api == 0 && !($n % 4) ? 2 : 1)) {
        my $res = ask($which, $method, $target);
        my $source = join ',', map { $_->[1] } grep { lc $_->[0] eq 'x-gateway-source' } @{ $res->{all} };
        my @wrong;

        # of a body that breaks off nginx may send nothing; it closes the connection
        if ($answer->{expect} eq 'cut') {
            delete $socket{$which};
            $seen{nothing}++, next if !$res->{status} && $res->{cut} && $res->{body} eq '';
        }

        push @wrong, 'FORGED reached the client' if "$res->{head}$res->{body}$res->{more}" =~ /FORGED/;
        push @wrong, 'bytes behind the answer' if length $res->{more};
        push @wrong, "status " . ($res->{status} // 'none') if ($res->{status} // 0) < 200 || $res->{status} > 599;
        push @wrong, "X-Gateway-Source: $source" if $source !~ /^(?:gateway|upstream|cache)\z/;

        if ($answer->{expect} eq 'refuse') {
            push @wrong, "$res->{status}, not 502" if $res->{status} != 502;
            push @wrong, 'no problem' if ($res->{headers}{'content-type'} // '') ne 'application/problem+json';
        } elsif ($res->{status} != $answer->{status}) {
            push @wrong, "$res->{status}, not $answer->{status}";
        } elsif ($answer->{expect} eq 'pass') {
            push @wrong, 'not its body' if $res->{body} ne $body || $res->{cut};
        } else {
            push @wrong, 'more than its body' if index("$body" . 'x' x 200, $res->{body}) != 0;
        }

        $seen{ $answer->{expect} }++;
        $seen{cache}++ if $source eq 'cache';
        push @faults, "$n ($answer->{kind}, $method $target, buffering $which): " . join ', ', @wrong if @wrong;
    }
}

is scalar(@faults), 0, "$N answers: one final answer each" or diag join "\n", grep { defined } @faults[0 .. 30];
cmp_ok $seen{$_} // 0, '>', $N / 200, "$_: " . ($seen{$_} // 0) for qw(pass refuse cut cache);

for my $which (sort keys %gw) {
    unlike $gw{$which}->error_log, qr/key-of-acme/, "$which: no key in the error log";
    $gw{$which}->finish;
}

done_testing;
