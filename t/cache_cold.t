#!/usr/bin/perl

# Many clients at once for one key that is not in the cache: how often Ampersand
# is asked, and how long the clients wait after its answer.

use strict;
use warnings;

use FindBin;
use IO::Select ();
use List::Util qw(max);
use Socket qw(SOL_SOCKET SO_RCVTIMEO);
use Test::More;
use Time::HiRes qw(sleep time);

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Made;
use Gateway::Redis;
use Gateway::Upstream;

my $clients = $ENV{CACHE_COLD} || 1000;

# The answer stands in the path: /v1/integrations/<what>-<seconds>-<name>; a
# failure is the answer to the first three.

my %asked;
my $up = Gateway::Upstream->start(sub {
    my ($req) = @_;
    my ($what, $delay) = $req->{target} =~ m{/(\w+)-([\d.]+)-\w+$};
    my $n = ++$asked{ $req->{target} };
    my %answer = (delay => $delay || 0, body => qq({"n":$req->{n}}));
    $answer{headers} = [ 'Cache-Control' => 'no-store' ] if ($what // '') eq 'private';
    $answer{headers} = [ Vary => 'Accept-Language' ] if ($what // '') eq 'vary';
    $answer{status} = 404 if ($what // '') eq 'none';
    $answer{status} = 503 if ($what // '') eq 'failing' && $n <= 3;
    $answer{status} = 503 if ($what // '') eq 'down';
    $answer{delay} = 30 if ($what // '') eq 'silent' && $n == 1;
    return \%answer;
});

my $h2 = Gateway::Redis::free_port();
my $gw = Gateway->start(workers => 2, upstream => $up->url, server => "listen 127.0.0.1:$h2 http2;");
my %token = map { $_ => $gw->tenant($_, project => "p-$_", key => "key-$_") } qw(acme other);

# Opens all connections, then sends all requests, then reads.  Of each client:
# { status, cache, n, at }; n is the number of the request that upstream saw.

sub herd {
    my ($gateway, $many, $target, %o) = @_;
    my @sockets = map { $gateway->connect or die "connect: $!" } 1 .. $many;
    my $i = 0;
    for my $socket (@sockets) {
        my $token = $o{tokens} ? $o{tokens}[ $i % @{ $o{tokens} } ] : $token{acme};
        my $more = $o{headers} ? $o{headers}[ $i % @{ $o{headers} } ] . "\r\n" : '';
        syswrite $socket, "GET $target HTTP/1.1\r\nHost: a\r\nX-Api-Key: $token\r\n$more\r\n";
        $i++;
    }
    $o{meanwhile}->(\@sockets) if $o{meanwhile};
    return finished(grep { $_ } @sockets);
}

# One after the other: once the answer is there they are all ready, and a test
# that takes its time over each would measure itself.

sub finished {
    my @sockets = @_;
    my @all = map { { in => '' } } @sockets;
    setsockopt $_, SOL_SOCKET, SO_RCVTIMEO, pack('q2', 15, 0) for @sockets;
    for my $i (0 .. $#sockets) {
        sysread $sockets[$i], $all[$i]{in}, 65536;
        $all[$i]{at} = time;
    }
    return map { answer($sockets[$_], $all[$_]) } 0 .. $#sockets;
}

sub answer {
    my ($socket, $got) = @_;
    my $in = $got->{in};
    while ($in !~ /\r\n\r\n.*\}\r?\n?(?:\r\n0\r\n\r\n)?\z/s) {
        last unless sysread $socket, $in, 65536, length $in;
    }
    return {
        at => $got->{at}, status => ($in =~ m{^HTTP/1.1 (\d+)})[0] // 0,
        cache => ($in =~ /^x-cache-status: (\w+)/mi)[0] // '', n => ($in =~ /"n":(\d+)/)[0] // '',
    };
}

sub count {
    my ($field, @all) = @_;
    my %n;
    $n{ $_->{$field} }++ for @all;
    return join ' ', map { "$_:$n{$_}" } sort keys %n;
}

# Milliseconds from upstream's (last) answer to each client's.

sub waits {
    my (@all) = @_;
    my $end = max(map { $_->[1] } $up->answered);
    return map { ($_->{at} - $end) * 1000 } @all;
}

sub said {
    my (@waits) = sort { $a <=> $b } @_;
    return sprintf 'half of them %.1f ms after the answer, 99 %% %.1f ms, the last %.1f ms',
        $waits[ @waits / 2 ], $waits[ $#waits * 0.99 ], $waits[-1];
}

# nginx's own way is every 500 ms

my $soon = 350;

$gw->get('/v1/topics', token => $token{$_}) for sort keys %token;

subtest "$clients clients" => sub {
    for my $round (1, 2) {
        $up->clear;
        my @all = herd($gw, $clients, "/v1/integrations/shared-0.7-r$round");
        is count('status', @all), "200:$clients", 'all are answered';
        is scalar $up->requests, 1, 'upstream is asked once';
        is count('cache', @all), 'HIT:' . ($clients - 1) . ' MISS:1', 'the others have it from the cache';
        my @waits = waits(@all);
        cmp_ok max(@waits), '<', $soon, 'at once';
        note "$clients clients, 2 workers: " . said(@waits);
    }
};

subtest 'tenants do not share, but in the catalogue' => sub {
    $up->clear;
    my @all = herd($gw, 100, '/v1/integrations/shared-0.3-tenants', tokens => [ @token{qw(acme other)} ]);
    is count('status', @all), '200:100', 'answered';
    is_deeply [ sort map { Gateway::Upstream::header($_, 'x-api-key') } $up->requests ],
        [ qw(key-acme key-other) ], 'one request of each tenant';

    $up->clear;
    @all = herd($gw, 100, '/v1/providers/shared-0.3-catalogue', tokens => [ @token{qw(acme other)} ]);
    is count('status', @all), '200:100', 'the catalogue: answered';
    is scalar $up->requests, 1, 'one request for both';
};

subtest 'an answer that may not be shared' => sub {
    for my $what ('private', 'none') {
        for my $round (1, 2) {
            $up->clear;
            my $begun;
            my @all = herd($gw, 200, "/v1/integrations/$what-0.4-x", meanwhile => sub { $begun = time });
            my $took = max(map { $_->{at} } @all) - $begun;
            is count('status', @all), ($what eq 'none' ? '404' : '200') . ':200', "$what: answered";
            is scalar(keys %{ { map { $_->{n} => 1 } @all } }), 200, 'each with its own';
            my $want = (3 - $round) * 0.4;
            ok $took > $want - 0.1 && $took < $want + 0.45, $round == 1 ? 'all wait for one' : 'nobody waits'
                or diag $took;
            note sprintf '%s, round %d: 200 clients in %.2f s', $what, $round, $took;
        }
    }
};

subtest 'failures: the next one asks' => sub {
    $up->clear;
    my $begun;
    my @all = herd($gw, 200, '/v1/integrations/failing-0.2-x', meanwhile => sub { $begun = time });
    is count('status', @all), '200:197 503:3', 'three are told, the others are answered';
    my $asked = $up->requests;
    ok $asked >= 4 && $asked <= 8, 'by the fourth request' or diag $asked;
    my $took = max(map { $_->{at} } @all) - $begun;
    cmp_ok $took, '<', 1.5, 'without pauses in between' or diag $took;
    note sprintf '%d answers of 0.2 s in %.2f s', $asked, $took;

    $up->clear;
    @all = herd($gw, 300, '/v1/integrations/down-0.2-x', meanwhile => sub { $begun = time });
    is count('status', @all), '503:300', 'nothing but failures: everybody hears it';
    $took = max(map { $_->{at} } @all) - $begun;
    cmp_ok $took, '<', 5, 'and none waits for all before it' or diag $took;
    note sprintf "300 failures of 0.2 s in %.2f s, one after the other 60 s", $took;
};

subtest 'Vary' => sub {
    $up->clear;
    my @all = herd($gw, 100, '/v1/integrations/vary-0.3-x', headers => [ 'Accept-Language: de', 'Accept-Language: en' ]);
    is count('status', @all), '200:100', 'answered';
    is scalar $up->requests, 2, 'once for each language';
    cmp_ok max(waits(@all)), '<', $soon, 'at once' or diag said(waits(@all));
};

subtest 'who asks leaves' => sub {
    $up->clear;
    my $first = $gw->connect;
    syswrite $first, "GET /v1/integrations/shared-0.7-left HTTP/1.1\r\nHost: a\r\nX-Api-Key: $token{acme}\r\n\r\n";
    ok $gw->wait_for(2, sub { $up->requests == 1 }), 'it asks';
    my @all = herd($gw, 200, '/v1/integrations/shared-0.7-left', meanwhile => sub { close $first });
    is count('status', @all), '200:200', 'the others are answered';
    is scalar $up->requests, 1, 'by the same request';
    cmp_ok max(waits(@all)), '<', $soon, 'at once' or diag said(waits(@all));
};

subtest 'some who wait leave' => sub {
    $up->clear;
    my @all = herd($gw, 200, '/v1/integrations/shared-0.5-some', meanwhile => sub {
        my ($sockets) = @_;
        sleep 0.1;
        for my $i (grep { $_ % 3 } 0 .. $#$sockets) {
            close $sockets->[$i];
            undef $sockets->[$i];
        }
    });
    is count('status', @all), '200:67', 'the others are answered';
    cmp_ok scalar $up->requests, '<=', 2, 'one who leaves first may have been the one who asked';
};

subtest 'HTTP/2' => sub {
    $up->clear;
    my @sockets = map {
        Gateway::Made::h2($h2, 'GET', '/v1/integrations/shared-0.5-two', [ 'x-api-key' => $token{acme} ])
    } 1 .. 100;
    my ($n, @at) = (0);
    for my $socket (@sockets) {
        my $in = '';
        1 while $in !~ /"n":\d+\}/ && IO::Select->new($socket)->can_read(5)
            && sysread $socket, $in, 65536, length $in;
        $n++ if $in =~ /"n":\d+\}/;
        push @at, { at => time };
    }
    is $n, 100, 'all are answered';
    is scalar $up->requests, 1, 'upstream is asked once';
    cmp_ok max(waits(@at)), '<', $soon, 'at once' or diag said(waits(@at));
};

subtest 'a reload meanwhile' => sub {
    $up->clear;
    my @old = map { $gw->connect } 1 .. 50;
    my $text = "GET /v1/integrations/shared-1.5-reload HTTP/1.1\r\nHost: a\r\nX-Api-Key: $token{acme}\r\n\r\n";
    syswrite $_, $text for @old;
    ok $gw->wait_for(2, sub { $up->requests == 1 }), 'an old worker asks';
    $gw->reload;
    my @all = (herd($gw, 50, '/v1/integrations/shared-1.5-reload'), finished(@old));
    is count('status', @all), '200:100', 'the clients of both are answered';
    is scalar $up->requests, 1, 'by one request';
    cmp_ok max(waits(@all)), '<', $soon, 'at once' or diag said(waits(@all));
};

$gw->finish;

my $short = Gateway->start(
    like => $gw, workers => 2,
    proxy_conf => { proxy_read_timeout => '900ms', proxy_cache_lock_age => '1s' },
);
$short->get('/v1/topics', token => $token{acme});

subtest 'upstream says nothing' => sub {
    $up->clear;
    my @all = herd($short, 200, '/v1/integrations/silent-0.1-x');
    is count('status', @all), '200:199 504:1', 'one waits for it in vain';
    is scalar $up->requests, 2, 'then the next asks';
    cmp_ok max(waits(@all)), '<', $soon, 'and all are answered' or diag said(waits(@all));
};

subtest 'the worker that asks is killed' => sub {
    $up->clear;
    my $target = '/v1/integrations/shared-0.3-killed';
    my ($leader, @all);
    for my $try (1 .. 10) {
        my @sockets = map { $short->connect } 1 .. 100;
        syswrite $_, "GET $target$try HTTP/1.1\r\nHost: a\r\nX-Api-Key: $token{acme}\r\n\r\n" for @sockets;
        my $asks;
        $short->wait_for(0.2, sub { ($asks) = grep { $_->{target} =~ /killed$try$/ } $up->requests });
        my ($who) = grep { talks($_, $asks->{peer}) } $short->workers_pids;
        next unless $who;
        kill 'KILL', $who;
        my $begun = time;
        @all = finished(@sockets);
        my $alive = grep { $_->{status} == 200 } @all;
        note "$alive of 100 clients were the other worker's";
        next unless $alive;
        is count('status', @all), '0:' . (100 - $alive) . " 200:$alive", 'those of the other worker are answered';
        is scalar(grep { $_->{target} =~ /killed$try$/ } $up->requests), 2, 'by a request of their own';
        my $took = max(map { $_->{at} // 0 } @all) - $begun;
        cmp_ok $took, '<', 1 + 0.3 + $soon / 1000, 'when the lock is old enough' or diag $took;
        return;
    }
    fail 'no worker was killed while the other one waited';
};

# Is the connection from this port the worker's?

sub talks {
    my ($pid, $from) = @_;
    my %inode = map { $_ => 1 } map { (readlink($_) // '') =~ /^socket:\[(\d+)/ } glob "/proc/$pid/fd/*";
    my ($port, $to) = map { sprintf ':%04X', $_ } $from, $up->port;
    open my $f, '<', '/proc/net/tcp' or return 0;
    return scalar grep { my @f = split; $f[1] =~ /$port$/ && $f[2] =~ /$to$/ && $inode{ $f[9] } } <$f>;
}

$short->stop;
is scalar(grep { !/exited on signal 9/ } $short->complaints), 0, 'nothing but the kill in its error log'
    or diag join "\n", $short->complaints;
done_testing;
