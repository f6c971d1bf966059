#!/usr/bin/perl

# Request bodies that the gateway checks and bodies that it passes on: with a
# length, in chunks, in single bytes, after 100 Continue, from a temporary file, at
# and above the limits, over HTTP/1.1 and HTTP/2, on keep-alive connections, and
# for a second upstream after the first has failed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw(sha1_hex);
use IO::Select;
use Socket ();
use JSON::PP;
use Test::More;

use Gateway;
use Gateway::Versions;

my $CHECK = 1024 * 1024;
my $MAX   = $CHECK + 1000;

my $upstream = Gateway::Upstream->start;
my $h2 = Gateway::Redis::free_port();
my $conf = do { local (@ARGV, $/) = "$Gateway::ROOT/conf/ampersand/proxy.conf"; <> };
my $retry = $conf =~ s/proxy_next_upstream +error timeout;/proxy_next_upstream error timeout non_idempotent;/r;

my $first = Gateway::Upstream->start(sub { return { drop => 1 } });
my $second = Gateway::Upstream->start;
my $closed = Gateway::Redis::closed_port();

my $gw = Gateway->start(
    upstream => $upstream->url,
    server   => Gateway::Versions::http2("127.0.0.1:$h2"),
    location => "ampersand_body_max $MAX;",
);
my $token = $gw->tenant('acme', project => 'proj-A-1', name => 'alpha', key => 'key-a');
my $bound = $gw->tenant('bound', project => 'proj-A-1', key => 'key-g', args => [ '--group', 'g-1' ]);

# A body of exactly so many bytes, whose project the gateway replaces.

sub sized {
    my ($n) = @_;
    my ($head, $tail) = ('{"projectIdOrName":"-","x":"', '"}');
    return $head . 'x' x ($n - length($head) - length $tail) . $tail;
}

sub replaced { return $_[0] =~ s/"projectIdOrName":"-"/"projectIdOrName":"proj-A-1"/r }

sub in_chunks {
    my ($body, $size) = @_;
    return join('', map { sprintf "%x\r\n%s\r\n", length, $_ } unpack "(a$size)*", $body) . "0\r\n\r\n";
}

# The upstream got one request, with this body and its length.

sub seen_is {
    my ($body, $name) = @_;
    my ($seen, @more) = $upstream->take;
    ok $seen && !@more, "$name: one upstream request" or return;
    is length $seen->{body}, length $body, "$name: the same length";
    is sha1_hex($seen->{body}), sha1_hex($body), "$name: the same bytes";
    is join(',', Gateway::Upstream::header($seen, 'content-length')), length $body, "$name: Content-Length";
}

my %kind = (
    'checked and replaced' => [ '/v1/oauth-connect', \&replaced, $CHECK ],
    'passed on' => [ '/proxy/x', sub { $_[0] }, $MAX ],
);

for my $kind (sort keys %kind) {
    my ($target, $after, $max) = @{ $kind{$kind} };

    subtest "$kind: by length" => sub {
        for my $n (60, 1000, 16_000, 70_000, $max) {
            my $body = sized($n);
            is $gw->request('POST', $target, token => $token, body => $body)->{status}, 200, "$n bytes";
            seen_is($after->($body), "$n bytes");
        }
        is $gw->request('POST', $target, token => $token, body => sized($max + 1))->{status}, 413, 'one byte more: 413';
        is scalar($upstream->take), 0, 'one byte more: not sent upstream';
    };

    subtest "$kind: in chunks" => sub {
        for my $case ([60, 1], [60, 7], [1000, 100], [70_000, 4096], [150_000, 65_536]) {
            my ($n, $size) = @$case;
            my $body = sized($n);
            my $res = $gw->raw("POST $target HTTP/1.1\r\nHost: g\r\nX-Api-Key: $token\r\nConnection: close\r\n"
                . "Transfer-Encoding: chunked\r\n\r\n" . in_chunks($body, $size));
            is $res->{status}, 200, "$n bytes in chunks of $size";
            seen_is($after->($body), "$n in $size");
        }
        my $res = $gw->raw("POST $target HTTP/1.1\r\nHost: g\r\nX-Api-Key: $token\r\nConnection: close\r\n"
            . "Transfer-Encoding: chunked\r\n\r\n" . in_chunks(sized($max + 1), 300_000));
        is $res->{status}, 413, 'one byte more: 413';
        is scalar($upstream->take), 0, 'one byte more: not sent upstream';
    };

    subtest "$kind: in single bytes" => sub {
        my $body = sized(60);
        for my $how ('length', 'chunks') {
            my $text = "POST $target HTTP/1.1\r\nHost: g\r\nX-Api-Key: $token\r\nConnection: close\r\n"
                . ($how eq 'length' ? "Content-Length: 60\r\n\r\n$body"
                    : "Transfer-Encoding: chunked\r\n\r\n" . in_chunks($body, 11));
            my $socket = $gw->connect;
            $socket->sockopt(Socket::TCP_NODELAY(), 1);
            for (split //, $text) {
                syswrite $socket, $_;
                select undef, undef, undef, 0.0002;    # or the kernel joins the bytes to one segment
            }
            is Gateway::read_response($socket)->{status}, 200, "by $how";
            seen_is($after->($body), "by $how");
        }
    };

    subtest "$kind: 100-continue" => sub {
        my $body = sized(5000);
        my $socket = $gw->connect;
        syswrite $socket, "POST $target HTTP/1.1\r\nHost: g\r\nX-Api-Key: $token\r\nConnection: close\r\n"
            . "Expect: 100-continue\r\nContent-Length: 5000\r\n\r\n";
        my $in = '';
        while ($in !~ /\r\n\r\n/ && IO::Select->new($socket)->can_read(5)) {
            sysread $socket, $in, 4096, length $in or last;
        }
        like $in, qr{^HTTP/1\.1 100 }, '100 Continue';
        syswrite $socket, $body;
        is Gateway::read_response($socket)->{status}, 200, 'the answer after the body';
        seen_is($after->($body), 'after 100 Continue');
    };

    subtest "$kind: pipelined requests on one connection" => sub {
        my $socket = $gw->connect;
        my $body = sized(900);
        my $head = "POST $target HTTP/1.1\r\nHost: g\r\nX-Api-Key: $token\r\n";
        syswrite $socket, $head . "Content-Length: 900\r\n\r\n$body"
            . $head . "Transfer-Encoding: chunked\r\n\r\n" . in_chunks($body, 100)
            . "GET /v1/topics HTTP/1.1\r\nHost: g\r\nX-Api-Key: $token\r\n\r\n"
            . $head . "Content-Length: 900\r\nConnection: close\r\n\r\n$body";
        my $rest = '';
        my @status = map { Gateway::read_response($socket, rest => \$rest)->{status} } 1 .. 4;
        is "@status", '200 200 200 200', 'four answers';
        my @seen = grep { $_->{method} eq 'POST' } $upstream->take;
        is join(' ', map { sha1_hex($_->{body}) } @seen), join(' ', (sha1_hex($after->($body))) x 3), 'three bodies';
    };

    subtest "$kind: HTTP/2" => sub {
        my $file = $gw->dir . '/body';
        for my $n (60, 150_000, $max + 1) {
            my $body = sized($n);
            open my $f, '>', $file or die $!;
            print $f $body;
            close $f;
            for my $how ('--data-binary @' . $file, "-X POST -T - < $file") {
                my $code = qx(curl -s -o /dev/null -w '%{http_code} %{http_version}' --http2-prior-knowledge -m 10 \\
                    -H 'X-Api-Key: $token' -H 'Expect:' http://127.0.0.1:$h2$target $how);
                my $name = "$n bytes " . ($how =~ /-T/ ? 'without a length' : 'by length');
                if ($n > $max) {
                    # curl may see the connection end while it still sends
                    like $code, qr/^(?:413 2|000)/, "$name: 413";
                    is scalar($upstream->take), 0, "$name: not upstream";
                    next;
                }
                is $code, '200 2', $name;
                seen_is($after->($body), $name);
            }
        }
        my $code = qx(curl -s -o /dev/null -w '%{http_code}' --http2-prior-knowledge -m 10 -X POST \\
            -H 'X-Api-Key: $token' -H 'Content-Length: 0' http://127.0.0.1:$h2$target);
        is $code, $target =~ /proxy/ ? 200 : 400, 'an empty one';
        $upstream->take;
    };
}

subtest 'an empty body' => sub {
    for my $h ([ 'Content-Length' => 0 ], [], [ 'Transfer-Encoding' => 'chunked' ]) {
        my $text = "POST %s HTTP/1.1\r\nHost: g\r\nX-Api-Key: $token\r\nConnection: close\r\n"
            . (@$h ? "$h->[0]: $h->[1]\r\n" : '') . "\r\n" . (@$h && $h->[1] ? "0\r\n\r\n" : '');
        my $name = @$h ? "$h->[0]: $h->[1]" : 'no length';
        is $gw->raw(sprintf $text, '/v1/oauth-connect')->{status}, 400, "$name, to be checked: 400";
        is scalar($upstream->take), 0, "$name: not upstream";
        is $gw->raw(sprintf $text, '/proxy/x')->{status}, 200, "$name, passed on: 200";
        is scalar($upstream->take), 1, "$name: upstream";
    }
};

subtest 'a replaced project leaves the rest of the body as it was' => sub {
    my $text = '{"z":[1,2.5,-3,true,null],"a":{"b":"\u00e9\ud83d\ude00\"\\\\\u0000"},"n":9007199254740993,"projectId":"-"}';
    is $gw->request('POST', '/v1/oauth-connect', token => $token, body => $text)->{status}, 200, 'it is accepted';
    my ($seen) = $upstream->take;
    my $sent = JSON::PP->new->utf8->decode($seen->{body});
    is_deeply $sent, { %{ JSON::PP->new->utf8->decode($text) }, projectId => 'proj-A-1' }, 'the same values';
    like $seen->{body}, qr/"n":9007199254740993\b/, 'a number beyond a double is itself';
    is join(',', $seen->{body} =~ /"(z|a|n|projectId)":/g), 'z,a,n,projectId', 'in the same order';
};

subtest 'a tenant that is bound to groups: its body is checked and passed on unchanged' => sub {
    my $text = qq( { "record" : 123456789012345678901234567890 , "f":1.10,"e":1E5, "g":-0, "u":"\\u0041",\r\n"groupRef":"g-1"}\t);
    is $gw->request('POST', '/write/v1/integrations/i/objects/o', token => $bound, body => $text)->{status}, 200, 'it is accepted';
    seen_is($text, 'numbers, spaces and escapes');

    my $large = '{"groupRef":"g-1","x":"' . 'y' x ($CHECK - 25) . '"}';
    is length $large, $CHECK, 'a body of 1 MiB';
    is $gw->request('POST', '/v1/groups', token => $bound, body => $large)->{status}, 200, 'from a file: 200';
    seen_is($large, 'from a file');
    is $gw->request('POST', '/v1/groups', token => $bound, body => "$large ")->{status}, 413, 'one byte more: 413';
    is $gw->request('POST', '/v1/groups', token => $token, body => "$large ")->{status}, 200, 'unbound, one more: 200';
    seen_is("$large ", 'unbound');
    is $gw->request('POST', '/v1/groups', token => $bound, body => $large =~ s/g-1/g-9/r)->{status}, 403,
        'another group behind a file: 403';
    is scalar($upstream->take), 0, 'not upstream';
};

$gw->finish;

subtest 'an upstream that fails before it answers: the next one gets the same bytes' => sub {
    for my $case ([ 'drops the connection', $first->port ], [ 'is down', $closed ]) {
        my ($name, $port) = @$case;
        my $gw = Gateway->start(
            upstream => "http://127.0.0.1:$port",
            http     => "upstream two { server 127.0.0.1:$port; server 127.0.0.1:" . $second->port . ' backup; }',
            gateway  => "location /v1 { ampersand platform; ampersand_upstream http://two;\n$retry }",
        );
        my $token = $gw->tenant('acme', project => 'proj-A-1', key => 'key-a');
        for my $n (200, 200_000) {
            my $body = sized($n);
            is $gw->request('POST', '/v1/oauth-connect', token => $token, body => $body)->{status}, 200, "$name: $n bytes";
            my ($seen, @more) = $second->take;
            ok $seen && !@more, "$name: once" or next;
            is $seen->{body}, replaced($body), "$name: the composed body";
            is Gateway::Upstream::header($seen, 'x-api-key'), 'key-a', "$name: with the key";
            my ($failed) = $first->take;
            is $failed->{body}, $seen->{body}, "$name: the same as the first upstream got" if $failed;
        }
        $gw->finish;
    }
    $_->stop for $first, $second;
    is_deeply [ $second->strays ], [], 'and no other bytes';
};

$upstream->stop;
is_deeply [ $upstream->strays ], [], 'the upstream got no byte outside a request';

done_testing;
