#!/usr/bin/perl

# A client that leaves while its token is looked up: its request ends then, and not
# when Redis answers; the answer is for the others.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::FakeRedis;
use Gateway::Made;
use Gateway::Redis;
use Gateway::Versions;

my $real = Gateway::Redis->start;
my $fake = Gateway::FakeRedis->start;
my $h2 = Gateway::Redis::free_port();
my $gw = Gateway->start(
    redis => $real, redis_url => $fake->url, redis_args => 'timeout=60s',
    server => Gateway::Versions::http2("127.0.0.1:$h2"),
);
my $path = '/v1/integrations';

my %begin = (
    'HTTP/1.1' => sub {
        my ($token) = @_;
        my $socket = $gw->connect or die "connect: $!";
        syswrite $socket, "GET $path HTTP/1.1\r\nHost: a\r\nX-Api-Key: $token\r\n\r\n";
        return $socket;
    },
    'HTTP/2' => sub { return Gateway::Made::h2($h2, 'GET', $path, [ 'x-api-key' => $_[0] ], undef, end => 1) },
);
my %leave = (
    close      => sub { close $_[0] },
    RST_STREAM => sub { syswrite $_[0], Gateway::Made::frame(3, 0, 1, pack 'N', 8) },
);

sub ended { return scalar grep { /"status":499/ } split /\n/, $gw->access_log }

my $n = 0;
for my $case (['HTTP/1.1', 'close'], ['HTTP/2', 'close'], ['HTTP/2', 'RST_STREAM']) {
    my ($version, $way) = @$case;
    subtest "$version: $way" => sub {
        my $token = $gw->tenant('t' . ++$n, args => [ '--redis', $real->url ]);
        $fake->copy($real);
        $fake->clear;
        $fake->fault({ on => 'GET', key => 'token', hold => 1 });
        my $before = ended();

        my $leaves = $begin{$version}->($token);
        my $stays = $begin{'HTTP/1.1'}->($token);
        ok $gw->wait_for(sub { $fake->count('GET', qr/token/) }), 'the token is looked up';
        $leave{$way}->($leaves);
        ok $gw->wait_for(sub { ended() == $before + 1 }), 'the request ends while Redis has not answered';

        $fake->release;
        is Gateway::read_response($stays)->{status}, 200, 'who stays is served';
        $fake->fault;
    };
}

$gw->finish;
done_testing;
