#!/usr/bin/perl

# What an upstream answers is a final answer of HTTP, or a 502: interim answers are
# skipped, fields that are not for the client are removed from answers and from the
# cache, and a connection with bytes behind an answer is not used again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Gateway;

my $up = Gateway::Upstream->start;
my $gw = Gateway->start(upstream => $up->url, http => 'ampersand_cache_ttl default 1h;');
my $token = $gw->tenant('acme', project => 'p-1');
my $n = 0;

# The upstream sends these bytes; the client asks for a path that was never asked for.

sub get {
    my ($bytes, %r) = @_;
    $up->answer({ bytes => $bytes, %r });
    $n++;
    return $gw->request($r{method} || 'GET', $r{target} || "/v1/integrations?n=$n", token => $token);
}

my $final = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nreal";

subtest 'interim answers are skipped' => sub {
    for my $target ('/v1/integrations?i', '/proxy/x') {
        for my $status (100, 102, 103, 199) {
            my $interim = "HTTP/1.1 $status Interim\r\nLink: </x>\r\nSet-Cookie: a=b\r\nCache-Control: no-store\r\n"
                . "Content-Length: 500\r\nX-Interim: x\r\n\r\n";
            my $res = get($interim x 3 . $final, target => "$target$status");
            is $res->{status}, 200, "$status on $target: the final answer";
            is $res->{body}, 'real', 'its body';
            unlike $res->{head}, qr/x-interim|link|no-store/i, 'and no field of the interim one';
        }
        for my $pieces (2, 3, 5, 9, 60) {
            is get("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n$final", target => "$target$pieces", pieces => $pieces)->{body},
                'real', "in $pieces pieces";
        }
    }
    is $gw->get('/v1/integrations?i103', token => $token)->{headers}{'x-cache-status'}, 'HIT',
        'what an interim answer says does not keep the final one out of the cache';
    is get("HTTP/1.1 103 X\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", method => 'HEAD', target => '/proxy/x')->{status}, 200, 'HEAD';
    is get("HTTP/1.1 100 Continue\r\n\r\n$final", method => 'POST', target => '/proxy/x')->{body}, 'real', 'POST';
    is get("HTTP/1.1 103 X\r\n\r\n" x 3000 . $final)->{status}, 502, 'more than 32 KB of them: 502';
};

subtest 'what is no final answer of HTTP is a 502' => sub {
    for my $line ('101 Switching Protocols', '600 X', '999 X', '099 X', '000', '20 OK', 'OK') {
        my $res = get("HTTP/1.1 $line\r\nUpgrade: x\r\nContent-Length: 4\r\n\r\nreal");
        is $res->{status}, 502, "\"$line\": 502";
        is $res->{headers}{'content-type'}, 'application/problem+json', 'as a problem';
        is $res->{headers}{'x-gateway-source'}, 'gateway', 'of the gateway';
    }
    for my $target ('/v1/integrations?h', '/proxy/x') {
        my $res = get("real\r\n\r\n", target => $target, close => 1);
        is $res->{status}, 502, "HTTP/0.9 on $target: 502";
        like $res->{head}, qr{^HTTP/1\.1 502}, 'with a head';
    }
    for my $fields ("Content-Length: 4\r\nTransfer-Encoding: chunked", "Content-Length: 4\r\nContent-Length: 4",
        'Content-Length: -4', 'Transfer-Encoding: gzip, chunked')
    {
        is get("HTTP/1.1 200 OK\r\n$fields\r\n\r\nreal", close => 1)->{status}, 502, "$fields: 502";
    }
    is get("HTTP/1.1 200 OK\r\n" . $final)->{body}, 'real', 'a repeated status line is passed over';
    my @lines = $gw->log_lines(qr/upstream sent no valid answer/);
    ok scalar(@lines), 'the log says why';
    cmp_ok scalar(grep { /\[error\]/ } @lines), '<', @lines / 2, 'at level error once a second at most';
};

subtest 'fields of one connection, and of another origin' => sub {
    my @names = ('Alt-Svc', 'Strict-Transport-Security', 'Public-Key-Pins', 'Clear-Site-Data', 'Set-Cookie2', 'NEL', 'Report-To',
        'Reporting-Endpoints', 'Expect-CT', 'Keep-Alive', 'Proxy-Connection', 'Proxy-Authenticate', 'TE', 'Trailer', 'Upgrade',
        'X-Hop', 'X-Hop-2');
    my $bytes = "HTTP/1.1 200 OK\r\nX-First: 1\r\nConnection: keep-alive, x-hop\r\n"
        . join('', map { "$_: for-the-gateway\r\n" } @names)
        . "Content-Length: 4\r\nConnection: X-Hop-2\r\nX-Last: 2\r\n\r\nreal";

    for my $target ('/proxy/x', '/v1/integrations?c', '/v1/integrations?c') {
        my $res = get($bytes, target => $target);
        my %got = map { lc $_->[0] => 1 } @{ $res->{all} };
        is_deeply [ grep { $got{ lc $_ } } @names ], [], "$target ($res->{headers}{'x-gateway-source'}): none reaches the client";
        is $res->{body}, 'real', 'the body is whole';
        is "$res->{headers}{'x-first'}$res->{headers}{'x-last'}", '12', 'the fields around them, too';
    }
    is $gw->get('/v1/integrations?c', token => $token)->{headers}{'x-cache-status'}, 'HIT', 'the answer was stored';
    my $stored = `grep -rlsa for-the-gateway @{[ $gw->dir ]}/cache`;
    is $stored, '', 'without them';
};

subtest 'bytes behind an answer' => sub {
    my $forged = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";
    my %answers = (
        'a body' => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 'a 204' => "HTTP/1.1 204 No Content\r\n\r\n",
        'no body' => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 'a 304' => "HTTP/1.1 304 Not Modified\r\n\r\n",
        'chunks' => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        'an interim answer' => "HTTP/1.1 103 X\r\nContent-Length: @{[ length $forged ]}\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    );
    for my $what (sort keys %answers) {
        for my $method (qw(GET HEAD POST)) {
            $up->take;
            my $res = get($answers{$what} . $forged, method => $method, target => '/proxy/x');
            like $res->{status}, qr/^(?:200|204|304)$/, "$method, $what: $res->{status}";
            $up->answer({ body => 'next' });
            is $gw->get('/proxy/y', token => $token)->{body}, 'next', 'the next request gets its own answer';
            my ($first, $second) = $up->take;
            isnt $second->{peer}, $first->{peer}, 'over another connection';
        }
    }
    $up->take;
    for my $bytes ("HTTP/1.1 103 X\r\n\r\n$final", "HTTP/1.1 204 No Content\r\n\r\n") {
        get($bytes, target => '/proxy/x') for 1 .. 2;
        my @seen = $up->take;
        is $seen[0]{peer}, $seen[1]{peer}, 'without such bytes the connection is kept';
    }
};

subtest 'a broken answer and a stale entry' => sub {
    my $gw = Gateway->start(upstream => $up->url, proxy_conf => { proxy_cache_background_update => 'off' },
        http => 'ampersand_cache_stale 60s; ampersand_cache_ttl default 1s;');
    my $token = $gw->tenant('acme', project => 'p-1');
    $up->answer({ body => 'stored' });
    is $gw->get('/v1/integrations', token => $token)->{body}, 'stored', 'stored';
    for my $bytes ("HTTP/1.1 101 X\r\n\r\n", 'garbage', "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n") {
        $up->answer({ bytes => $bytes, close => 1 });
        my $res;
        ok $gw->wait_for(sub {
            $res = $gw->get('/v1/integrations', token => $token);
            return $res->{headers}{'x-cache-status'} eq 'STALE' || $res->{status} != 200;
        }), 'expired';
        is "$res->{status} $res->{body}", '200 stored', 'the stale entry is served';
        unlike $res->{head}, qr/HTTP.*HTTP/s, 'with one head';
    }
    $up->answer({ bytes => "HTTP/1.1 103 X\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew" });
    is $gw->get('/v1/integrations', token => $token)->{body}, 'new', 'a final answer behind an interim one takes its place';
    $gw->finish;
};

$gw->finish;

done_testing;
