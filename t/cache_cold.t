#!/usr/bin/perl

# Many clients at once for one key that is not in the cache: how often the
# upstream is asked, and that all of them are answered.  t/bench/latency prints
# how long they wait.

use strict;
use warnings;

use FindBin;
use IO::Select ();
use Socket qw(SOL_SOCKET SO_RCVTIMEO);
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Made;
use Gateway::Redis;
use Gateway::Upstream;
use Gateway::Versions;

my $clients = $ENV{CACHE_COLD} || 1000;

# The path says what is answered: /v1/integrations/<what>-<name>.  The first
# request for a path is held back until $up->release.

my %asked;
my $up = Gateway::Upstream->start(sub {
    my ($req) = @_;
    my ($what) = $req->{target} =~ m{/(\w+)-\w+$} or return undef;
    my $n = ++$asked{ $req->{target} };
    my %answer = (hold => $n == 1, body => qq({"n":$req->{n}}));
    $answer{headers} = [ 'Cache-Control' => 'no-store' ] if $what eq 'private';
    $answer{headers} = [ Vary => 'Accept-Language' ] if $what eq 'vary';
    $answer{status} = 404 if $what eq 'none';
    $answer{hold} = 1 if $what =~ /^(?:private|none)$/ && $n > 200;    # the second round
    $answer{hold} = 1 if $what eq 'silent';
    $answer{status} = 503 if $what eq 'failing' && $n <= 3 || $what eq 'down';
    return \%answer;
});

# An upstream request holds the lock as long as the test needs it.

my %lock = (proxy_cache_lock_age => '300s');
my $h2 = Gateway::Redis::free_port();
my $gw = Gateway->start(workers => 2, proxy_conf => \%lock, upstream => $up->url, server => Gateway::Versions::http2("127.0.0.1:$h2"), count => 1);
my %token = map { $_ => $gw->tenant($_, project => "p-$_", key => "key-$_") } qw(acme other);

# Waits until so many requests are in the gateway, and so many of them upstream.

sub under_way {
    my ($gateway, $many, $asked) = @_;
    $asked ||= 1;
    ok $gateway->wait_for(sub { $gateway->under_way == $many && $up->requests == $asked }), "$many requests are under way, $asked of them upstream";
}

sub clients {
    my ($gateway, $many, $target, %o) = @_;
    my @sockets = map { $gateway->connect or die "connect: $!" } 1 .. $many;
    my $i = 0;
    for my $socket (@sockets) {
        my $token = $o{tokens} ? $o{tokens}[ $i % @{ $o{tokens} } ] : $token{acme};
        my $more = $o{headers} ? $o{headers}[ $i % @{ $o{headers} } ] . "\r\n" : '';
        syswrite $socket, "GET $target HTTP/1.1\r\nHost: a\r\nX-Api-Key: $token\r\n$more\r\n";
        $i++;
    }
    return @sockets;
}

# Opens all connections, sends all requests, releases the held answer when all
# are under way, then reads.  Of each client: { status, cache, n }; n is the
# number of the request that the upstream saw.

sub herd {
    my ($gateway, $many, $target, %o) = @_;
    my @sockets = clients($gateway, $many, $target, %o);
    under_way($gateway, $many, $o{asked});
    $up->release;
    return finished(@sockets);
}

sub finished {
    my @sockets = @_;
    setsockopt $_, SOL_SOCKET, SO_RCVTIMEO, pack('q2', 15, 0) for @sockets;
    return map { answer($_) } @sockets;
}

sub answer {
    my ($socket) = @_;
    my $in = '';
    while ($in !~ /\r\n\r\n.*\}\r?\n?(?:\r\n0\r\n\r\n)?\z/s) {
        last unless sysread $socket, $in, 65536, length $in;
    }
    return {
        status => ($in =~ m{^HTTP/1.1 (\d+)})[0] // 0,
        type => ($in =~ /"type":"[^"]*:([\w-]+)"/)[0] // '',
        cache => ($in =~ /^x-cache-status: (\w+)/mi)[0] // '', n => ($in =~ /"n":(\d+)/)[0] // '',
    };
}

sub count {
    my ($field, @all) = @_;
    my %n;
    $n{ $_->{$field} }++ for @all;
    return join ' ', map { "$_:$n{$_}" } sort keys %n;
}

# How many requests the upstream had when it sent its first answer.

sub before_the_first_answer {
    my $n = 0;
    for my $record ($up->_records) {
        last if $record->{answered};
        $n++ if exists $record->{head};
    }
    return $n;
}

$gw->get('/v1/topics', token => $token{$_}) for sort keys %token;

subtest "$clients clients" => sub {
    for my $round (1, 2) {
        $up->clear;
        my @all = herd($gw, $clients, "/v1/integrations/shared-r$round");
        is count('status', @all), "200:$clients", 'all are answered';
        is scalar $up->requests, 1, 'by one upstream request';
        is count('cache', @all), 'HIT:' . ($clients - 1) . ' MISS:1', 'and all but one from the cache';
    }
};

subtest 'tenants share no entry, the catalogue is shared by all' => sub {
    $up->clear;
    my @all = herd($gw, 100, '/v1/integrations/shared-tenants', tokens => [ @token{qw(acme other)} ], asked => 2);
    is count('status', @all), '200:100', 'all are answered';
    is_deeply [ sort map { Gateway::Upstream::header($_, 'x-api-key') } $up->requests ],
        [ qw(key-acme key-other) ], 'by one upstream request for each tenant';

    $up->clear;
    @all = herd($gw, 100, '/v1/providers/shared-catalogue', tokens => [ @token{qw(acme other)} ]);
    is count('status', @all), '200:100', 'the catalogue: all are answered';
    is scalar $up->requests, 1, 'by one upstream request';
};

subtest "an answer that may not be shared: $_" => sub {
    my $what = $_;
    my $status = $what eq 'none' ? 404 : 200;

    $up->clear;
    my @all = herd($gw, 200, "/v1/integrations/$what-x");
    is count('status', @all), "$status:200", 'all are answered';
    is scalar(keys %{ { map { $_->{n} => 1 } @all } }), 200, 'each by its own upstream request';
    is before_the_first_answer(), 1, 'the others waited for the first answer';

    $up->clear;
    my @sockets = clients($gw, 200, "/v1/integrations/$what-x");
    ok $gw->wait_for(sub { $up->requests == 200 }), 'the next time no request waits for another';
    $up->release;
    is count('status', finished(@sockets)), "$status:200", 'all are answered';
} for 'private', 'none';

# After a failure some waiting requests are sent upstream, and once more; then the
# others are answered with the failure.

subtest 'failures' => sub {
    $up->clear;
    my @all = herd($gw, 200, '/v1/integrations/failing-x');
    is count('status', @all), '200:197 503:3', 'three clients get the failures, the others the answer';
    my $asked = $up->requests;
    ok $asked >= 4 && $asked <= 8, '4 to 8 upstream requests' or diag $asked;

    $up->clear;
    @all = herd($gw, 300, '/v1/integrations/down-x');
    like count('status', @all), qr/^502:2[34]\d 503:6\d$/, 'nothing but failures: all are answered';
    cmp_ok scalar $up->requests, '<=', 64, 'by at most 64 upstream requests, of both workers together';
    is before_the_first_answer(), 1, 'the second is sent after the first has failed';
};

subtest 'Vary' => sub {
    $up->clear;
    my @all = herd($gw, 100, '/v1/integrations/vary-x', headers => [ 'Accept-Language: de', 'Accept-Language: en' ]);
    is count('status', @all), '200:100', 'all are answered';
    is scalar $up->requests, 2, 'by one upstream request for each language';
};

subtest 'the client whose request is upstream leaves' => sub {
    $up->clear;
    my ($first) = clients($gw, 1, '/v1/integrations/shared-left');
    ok $gw->wait_for(sub { $up->requests == 1 }), 'its request is upstream';
    my @others = clients($gw, 200, '/v1/integrations/shared-left');
    under_way($gw, 201);
    close $first;
    $up->release;
    is count('status', finished(@others)), '200:200', 'the others are answered';
    is scalar $up->requests, 1, 'by that upstream request';
};

subtest 'some of the waiting clients leave' => sub {
    $up->clear;
    my @sockets = clients($gw, 200, '/v1/integrations/shared-some');
    under_way($gw, 200);
    for my $i (grep { $_ % 3 } 0 .. $#sockets) {
        close $sockets[$i];
        undef $sockets[$i];
    }
    $gw->under_way for 1 .. 6;    # the workers have processed the events of the closed connections
    $up->release;
    is count('status', finished(grep { $_ } @sockets)), '200:67', 'the 67 others are answered';
    is scalar $up->requests, 1, 'by one upstream request';
};

subtest 'HTTP/2' => sub {
    $up->clear;
    my @sockets = map {
        Gateway::Made::h2($h2, 'GET', '/v1/integrations/shared-two', [ 'x-api-key' => $token{acme} ])
    } 1 .. 100;
    under_way($gw, 100);
    $up->release;
    my $n = 0;
    for my $socket (@sockets) {
        my $in = '';
        1 while $in !~ /"n":\d+\}/ && IO::Select->new($socket)->can_read(5)
            && sysread $socket, $in, 65536, length $in;
        $n++ if $in =~ /"n":\d+\}/;
    }
    is $n, 100, 'all are answered';
    is scalar $up->requests, 1, 'by one upstream request';
};

subtest 'a reload while they wait' => sub {
    $up->clear;
    my @old = clients($gw, 50, '/v1/integrations/shared-reload');
    under_way($gw, 50);
    $gw->reload;
    my @new = clients($gw, 50, '/v1/integrations/shared-reload');
    under_way($gw, 100);
    $up->release;
    is count('status', finished(@old, @new)), '200:100', 'the clients of old and new workers are answered';
    is scalar $up->requests, 1, 'by one upstream request';
};

$gw->finish;

my $short = Gateway->start(like => $gw, workers => 2, proxy_conf => { %lock, proxy_read_timeout => '1s' });
$short->get('/v1/topics', token => $token{acme});

subtest 'an upstream request that is not answered in time' => sub {
    $up->clear;
    my @sockets = clients($short, 200, '/v1/integrations/shared-silent');
    is count('status', finished(@sockets)), '200:199 504:1', 'one client gets 504, the others an answer';

    # the second wave is of 8; a request may go beside it when the lock is free
    cmp_ok scalar $up->requests, '<=', 10, 'by the second wave, not the third';
};

subtest 'nothing is answered in time' => sub {
    $up->clear;
    my @all = finished(clients($short, 300, '/v1/integrations/silent-x'));
    is count('status', @all), '504:300', 'all get 504';
    cmp_ok scalar $up->requests, '<=', 64, 'by at most 64 upstream requests';
    my %problem = map { $_->{type} => 1 } grep { $_->{type} } @all;
    is join(' ', sort keys %problem), 'upstream-timeout', 'which is retryable';
};

$short->finish;

# The lock of a killed worker is released when it is too old.

my $killed = Gateway->start(like => $gw, workers => 2, count => 1, proxy_conf => { proxy_cache_lock_age => '3s' });
$killed->get('/v1/topics', token => $token{acme});

subtest 'the worker whose request is upstream is killed' => sub {
    for my $try (1 .. 10) {
        $up->clear;
        my @sockets = clients($killed, 100, "/v1/integrations/shared-killed$try");
        $killed->wait_for(sub { $killed->under_way == 100 && $up->requests });
        my ($asks, @more) = $up->requests;
        if (@more) {    # the lock is too old already
            $up->release;
            finished(@sockets);
            next;
        }
        my ($leader) = grep { talks($_, $asks->{peer}) } $killed->workers_pids;
        kill 'KILL', $leader if $leader;
        my @all = finished(@sockets);
        my $alive = grep { $_->{status} == 200 } @all;
        note "$alive of 100 clients were the other worker's";
        next if !$leader || !$alive || $alive == @all;
        is count('status', @all), '0:' . (100 - $alive) . " 200:$alive", 'the clients of the other worker are answered';
        is scalar $up->requests, 2, 'by a second upstream request';
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

$killed->finish(killed => 1);
done_testing;
