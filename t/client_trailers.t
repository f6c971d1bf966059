#!/usr/bin/perl

# Trailers, as plain nginx beside the gateway treats them: those of a request are
# read and not sent on, whatever they are named; those of an answer are passed on
# with proxy_pass_trailers only, but for what the gateway removes from answers; no
# body or connection suffers.  Over HTTP/2 nginx 1.22 ends a connection on which a
# request has trailers.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Versions;

my $answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
    . "5\r\nhello\r\n0\r\nX-Sum: 42\r\nSet-Cookie: a=b\r\n\r\n";
my $upstream = Gateway::Upstream->start(sub {
    my ($req) = @_;
    return $req->{target} =~ /trailed/ ? { bytes => $answer } : undef;
});
my ($h2, $plain, $plain_h2) = map { Gateway::Redis::free_port() } 1 .. 3;
my $gw = Gateway->start(
    upstream => $upstream->url,
    server   => Gateway::Versions::http2("127.0.0.1:$h2"),
    http     => "server { listen 127.0.0.1:$plain; " . Gateway::Versions::http2("127.0.0.1:$plain_h2")
        . " location /proxy/ { proxy_pass http://ampersand/; proxy_http_version 1.1; proxy_set_header Connection ''; } }",
);
my $token = $gw->tenant('acme');
my %ports = (gateway => [ $gw->port, $h2 ], nginx => [ $plain, $plain_h2 ]);

# Two answers of one connection, and what upstream got.

sub two {
    my ($where, $first) = @_;
    $upstream->take;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $ports{$where}[0]) or die "connect: $!";
    syswrite $socket, $first . "GET /proxy/second HTTP/1.1\r\nHost: g\r\nX-Api-Key: $token\r\nx-amp-installation-id: i\r\nConnection: close\r\n\r\n";
    my $rest = '';
    my @answers = map { Gateway::read_response($socket, rest => \$rest) } 1, 2;
    return (\@answers, [ $upstream->take ]);
}

for my $trailer ('X-Sum: 42', 'X-Api-Key: other', "X-Amp-Project-Id: other\r\nContent-Length: 3", 'Transfer-Encoding: chunked') {
    subtest 'trailers of a request: ' . ($trailer =~ s/\r\n/, /r) => sub {
        for my $where (qw(nginx gateway)) {
            my ($answers, $seen) = two($where, "POST /proxy/first HTTP/1.1\r\nHost: g\r\nX-Api-Key: $token\r\n"
                . "x-amp-installation-id: i\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\n$trailer\r\n\r\n");
            is join(' ', map { $_->{status} } @$answers), '200 200', "$where: both requests of the connection are answered";
            is join(' ', map { $_->{target} } @$seen), '/first /second', "$where: upstream got both";
            is $seen->[0]{body}, 'hello', "$where: the body alone";
            is join(' ', grep { /^(?:x-sum|trailer|transfer-encoding)$/i } map { $_->[0] } @{ $seen->[0]{headers} }),
                $where eq 'nginx' ? 'Trailer' : '', "$where: no trailer";
            next if $where eq 'nginx';
            is join(' ', Gateway::Upstream::header($seen->[0], 'x-api-key')), 'key-of-acme', 'the key of the tenant alone';
            is join(' ', Gateway::Upstream::header($seen->[0], 'x-amp-project-id')), 'p-acme', 'the project of the tenant alone';
        }
    };
}

subtest 'trailers of a request over HTTP/2' => sub {
    my $file = $gw->dir . '/body';
    open my $f, '>', $file or die $!;
    print $f 'hello';
    close $f;
    my %outcome;
    for my $where (qw(nginx gateway)) {
        $upstream->take;
        my $out = qx(nghttp -v -d $file --trailer 'x-sum: 42' --trailer 'x-api-key: other' -H 'X-Api-Key: $token' \\
            -H 'x-amp-installation-id: i' http://127.0.0.1:$ports{$where}[1]/proxy/first 2>&1);
        ($outcome{$where}) = $out =~ /recv .*(:status: .*\d+|GOAWAY)/;
        ok defined $outcome{$where}, "$where: there is an answer, or the end of the connection" or diag $out;
        for my $seen ($upstream->take) {
            is $seen->{body}, 'hello', "$where: the body alone";
            is scalar(Gateway::Upstream::header($seen, 'x-sum')), undef, "$where: no trailer";
        }
    }
    is $outcome{gateway}, $outcome{nginx}, 'the same as with plain nginx';
};

subtest 'trailers of an answer' => sub {
    for my $where (qw(nginx gateway)) {
        my ($answers) = two($where, "GET /proxy/trailed HTTP/1.1\r\nHost: g\r\nX-Api-Key: $token\r\nx-amp-installation-id: i\r\n\r\n");
        is join(' ', map { $_->{status} } @$answers), '200 200', "$where: both requests of the connection are answered";
        is $answers->[0]{body}, 'hello', "$where: the body is whole";
        is join(' ', grep { /^(?:x-sum|set-cookie)$/i } map { $_->[0] } map { @{ $_->{all} } } @$answers), '', "$where: no trailer";
    }
};

$gw->finish;

subtest 'trailers of an answer, with proxy_pass_trailers' => sub {
    my $why = Gateway::Versions::no_trailers();
    plan skip_all => $why if $why;

    my @trailers = ('X-Sum: 42', 'Set-Cookie: a=b', 'X-Gateway-Source: upstream', 'X-Api-Key: k', 'Strict-Transport-Security: max-age=1',
        'Alt-Svc: h3=":1"', 'Access-Control-Allow-Origin: *', 'Connection: close', 'Content-Length: 1', "Digest: x");
    my $up = Gateway::Upstream->start(sub {
        my ($req) = @_;
        return { bytes => "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n"
            . ($req->{target} =~ /kept/ ? "Cache-Control: max-age=60\r\n" : '') . "\r\n5\r\nhello\r\n0\r\n"
            . join('', map { "$_\r\n" } @trailers) . "\r\n" };
    });
    my ($plain, $h2) = map { Gateway::Redis::free_port() } 1 .. 2;
    my $gw = Gateway->start(
        upstream => $up->url,
        location => 'proxy_pass_trailers on; ampersand_cache_ttl default 1m;',
        server   => Gateway::Versions::http2("127.0.0.1:$h2"),
        http     => "server { listen 127.0.0.1:$plain; location /proxy/ { proxy_pass http://ampersand/; proxy_http_version 1.1;
            proxy_set_header Connection ''; proxy_pass_trailers on; } }",
    );
    my $token = $gw->tenant('acme');

    # the end of an answer in chunks

    my $end = sub {
        my ($port, $path) = @_;
        my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die "connect: $!";
        print $socket "GET $path HTTP/1.1\r\nHost: g\r\nX-Api-Key: $token\r\nx-amp-installation-id: i\r\nTE: trailers\r\nConnection: TE, close\r\n\r\n";
        my $text = do { local $/; <$socket> };
        my ($head, $rest) = $text =~ /\A(.*?)\r\n\r\n(.*)\z/s;
        like $rest, qr/\A5\r\nhello\r\n0\r\n/, "$port$path: the body is whole" or diag $text;
        return [ $rest =~ /0\r\n(.*)\r\n\z/s ? split /\r\n/, $1 : () ];
    };
    ok((grep { $_ eq 'X-Sum: 42' } @{ $end->($plain, '/proxy/x') }), 'plain nginx passes them on');
    is_deeply $end->($gw->port, '/proxy/x'), [ 'X-Sum: 42', 'Digest: x' ], 'so does the gateway, but for those that no answer may have';
    is_deeply $end->($gw->port, '/proxy/kept'), [ 'X-Sum: 42', 'Digest: x' ], 'also while the answer is stored';
    $gw->finish;
};

done_testing;
