#!/usr/bin/perl

# Event streams (text/event-stream) through the proxy API: the head and each event
# arrive before the next one is sent, however the provider frames the answer, over
# HTTP/1.1 and HTTP/2; a stream is never stored; its end at one side is the end at
# the other.

use strict;
use warnings;

use FindBin;
use IO::Select ();
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Versions;

# The test itself is the provider, so that it knows what has been sent.

my $listen = IO::Socket::INET->new(Listen => 10, LocalAddr => '127.0.0.1') or die "listen: $!";
my $h2 = Gateway::Redis::free_port();
my $gw = Gateway->start(
    upstream => 'http://127.0.0.1:' . $listen->sockport,
    server   => Gateway::Versions::http2("127.0.0.1:$h2"),
    location => 'ampersand_cache_ttl proxyRequest 60s;',
);
my $token = $gw->tenant('acme');

# The end of a connection, or $what in what came: all that came.

sub read_until {
    my ($socket, $what) = @_;
    my $in = '';
    my $end = time + $Gateway::PATIENCE;
    while ($in !~ $what && time < $end) {
        next unless IO::Select->new($socket)->can_read(1);
        sysread $socket, $in, 65536, length $in or last;
    }
    return $in;
}

sub accepted {
    IO::Select->new($listen)->can_read($Gateway::PATIENCE) or die 'no upstream request';
    my $provider = $listen->accept;
    read_until($provider, qr/\r\n\r\n/);
    return $provider;
}

sub ask {
    my ($path, $version) = @_;
    my $client = $gw->connect;
    syswrite $client, "GET /proxy/$path HTTP/" . ($version // '1.1') . "\r\nHost: g\r\nX-Api-Key: $token\r\n"
        . "x-amp-installation-id: i-1\r\nAccept: text/event-stream\r\nConnection: close\r\n\r\n";
    return $client;
}

sub chunk { return sprintf "%x\r\n%s\r\n", length $_[0], $_[0] }

my %framing = (
    'in chunks' => [ "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n", \&chunk, "0\r\n\r\n" ],
    'until the connection ends' => [ "HTTP/1.1 200 OK\r\nContent-Type: Text/Event-Stream; charset=utf-8\r\nConnection: close\r\n\r\n",
        sub { $_[0] }, '' ],
    'of HTTP/1.0' => [ "HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", sub { $_[0] }, '' ],
    'with a length' => [ "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 27\r\n\r\n", sub { $_[0] }, '' ],
);

for my $name (sort keys %framing) {
    my ($head, $framed, $last) = @{ $framing{$name} };
    for my $version ('1.1', '1.0', '2') {
        subtest "an answer $name, to a client of HTTP/$version" => sub {
            my $client;
            my $whole = qr/\r\n\r\n/;
            if ($version eq '2') {
                # curl shows the head of HTTP/2 only with the first event
                open $client, '-|', 'nghttp', '-v', '-H', "X-Api-Key: $token", '-H', 'x-amp-installation-id: i-1',
                    "http://127.0.0.1:$h2/proxy/events/" . ($name =~ tr/ /-/r) or die "nghttp: $!";
                $whole = qr/recv HEADERS frame/;
            } else {
                $client = ask('events/' . ($name =~ tr/ /-/r), $version);
            }
            my $provider = accepted();
            syswrite $provider, $head;
            my $got = read_until($client, $whole);
            like $got, qr{\b200\b.*content-type:.* text/event-stream}is, 'the head comes before the first event';
            for my $n (1 .. 3) {
                syswrite $provider, $framed->("data: $n\n\n");
                like read_until($client, qr/data: $n\n\n/), qr/data: $n\n\n/, "event $n comes before the next is sent";
            }
            syswrite $provider, $last;
            close $provider;
            unlike read_until($client, qr/^0\r\n\r\n\z/m), qr/data: \d/, 'and the end';
            close $client;
        };
    }
}

subtest 'a stream is not stored, and nobody waits for its end' => sub {
    my @clients = map { ask('events/same') } 1 .. 2;
    my $first = accepted();
    syswrite $first, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: max-age=600\r\n\r\n";
    my $second = accepted();
    syswrite $second, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    for (@clients) {
        my $got = read_until($_, qr/\r\n\r\n/);
        like $got, qr/^Cache-Status: ampersand; fwd=miss\r$/m, 'an answer that is not stored';
        unlike $got, qr/^ETag/mi, 'without a tag';
    }
    syswrite $_, "data: x\n\n" for $first, $second;
    like read_until($_, qr/data: x/), qr/data: x/, 'the event' for @clients;
};

subtest 'a client that leaves ends the stream of the provider' => sub {
    my $client = ask('events/left');
    my $provider = accepted();
    syswrite $provider, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n";
    read_until($client, qr/data: 1/);
    close $client;
    is read_until($provider, qr/./), '', 'its connection is closed';
};

subtest 'a provider that fails in the middle ends the stream of the client' => sub {
    my $client = ask('events/cut');
    my $provider = accepted();
    syswrite $provider, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" . chunk("data: 1\n\n");
    read_until($client, qr/data: 1/);
    close $provider;
    unlike read_until($client, qr/^0\r\n\r\n\z/m), qr/^0\r\n/m, 'without the chunk that says that it is whole';
    close $client;
};

subtest 'what only resembles a stream is buffered and stored' => sub {
    for my $try (1, 2) {
        my $client = ask('events/other');
        if ($try == 1) {
            my $provider = accepted();
            syswrite $provider, "HTTP/1.1 200 OK\r\nContent-Type: text/event-streams\r\nContent-Length: 2\r\n\r\nok";
        }
        like read_until($client, qr/\r\n\r\nok/), $try == 1 ? qr/fwd=miss; stored/ : qr/ampersand; hit/, "request $try";
    }
};

$gw->finish;
done_testing;
