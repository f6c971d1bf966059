#!/usr/bin/perl

# Rates and bursts over all workers: never more than the limit, Retry-After is
# right, and only a request that reaches Ampersand is charged.

use strict;
use warnings;

use FindBin;
use IO::Select ();
use JSON::PP qw(decode_json);
use List::Util qw(min);
use Test::More;
use Time::HiRes qw(sleep time);

use lib "$FindBin::Bin/lib";
use Gateway;

my $gw = Gateway->start(workers => 4, redis_args => 'timeout=1s', http => 'keepalive_requests 1000000;', server => <<'E');
        location = /v1/destinations/observed {
            ampersand platform;
            ampersand_observe on;
            include PROXY;
        }
        location = /v1/destinations {
            ampersand platform;
            ampersand_observe on;
            include PROXY;
        }
E
my $up = $gw->upstream;
my $URN = 'urn:ampersand-gateway:problem:';
my $n = 0;

sub tenant {
    my (@args) = @_;
    return $gw->tenant('t' . ++$n, project => "p-$n", args => \@args);
}

sub post { my ($t, %r) = @_; return $gw->request('POST', '/v1/topics', token => $t, json => {}, %r) }
sub get  { my ($t, $target, %r) = @_; return $gw->get($target, token => $t, %r) }

# Requests for some seconds, as fast as they are answered, over many connections:
# the time from the first request to the last answer, and the number of each status.

sub burst {
    my ($token, $seconds, $connections, $method, $target) = @_;
    my $text = "$method $target HTTP/1.1\r\nHost: g\r\nX-Api-Key: $token\r\n"
        . ($method eq 'POST' ? "Content-Length: 2\r\n\r\n{}" : "\r\n");
    my @sockets = map { $gw->connect or die $! } 1 .. $connections;
    my $select = IO::Select->new(@sockets);
    my (%in, %status);
    my $begun = time;
    syswrite $_, $text for @sockets;
    while (my @ready = $select->can_read(60)) {
        for my $s (@ready) {
            if (!sysread $s, $in{$s}, 65536, length($in{$s} // '')) {
                $select->remove($s);
                next;
            }
            next unless $in{$s} =~ /\r\n\r\n/;
            my ($length) = $in{$s} =~ /\r\nContent-Length: (\d+)/i or die $in{$s};
            my $end = index($in{$s}, "\r\n\r\n") + 4 + $length;
            next if length $in{$s} < $end;
            $status{ substr $in{$s}, 9, 3 }++;
            substr $in{$s}, 0, $end, '';
            if (time - $begun < $seconds) {
                syswrite $s, $text;
            } else {
                $select->remove($s);
            }
        }
    }
    return (time - $begun, \%status);
}

# Never more than rate and burst allow in the time that it took; and no refusal
# before the burst is spent.  That an impatient tenant gets nearly all of its
# rate is asserted by t/unit/test_lease.c, on a virtual clock.

sub exact {
    my ($rate, $burst, $for) = @_;
    my $what = "$rate/s, burst $burst";
    my $t = tenant('--rate', "$rate/s", '--burst', $burst);
    $up->clear;
    my ($seconds, $status) = burst($t, $for, 16, 'POST', '/v1/topics');
    my ($got, $refused) = map { $status->{$_} // 0 } 200, 429;
    is join(' ', grep { !/^(?:200|429)$/ } keys %$status), '', "$what: each request is admitted, or refused with 429";
    cmp_ok $got, '<=', int($rate * $seconds + $burst), "$what: never more than rate and burst";
    cmp_ok $got, '>=', min($burst, $got + $refused), "$what: no refusal before the burst is spent";
    is scalar($up->requests), $got, "$what: a refused request does not reach Ampersand";
}

subtest 'rate and burst are exact over all workers' => sub {
    exact(@$_) for [ 100, 50, 1.5 ], [ 400, 8, 1 ], [ 20, 20, 1 ], [ 100, 1, 1 ];
};

subtest 'Retry-After is right' => sub {
    my $t = tenant('--rate', '1/s', '--burst', 2);
    my ($begun, $admitted, $res) = (time, 0);
    $admitted++ while ($res = post($t))->{status} == 200;
    cmp_ok $admitted, '>=', 2, 'the burst is admitted';
    cmp_ok $admitted, '<=', 2 + time - $begun, 'and no more than one a second beside it';
    is $res->{status}, 429, 'then a request is refused';
    is $res->{headers}{'retry-after'}, 1, 'for a second';
    my $p = $gw->json($res);
    is $p->{type}, "${URN}rate-limited", 'type';
    ok $p->{retryable}, 'retryable';
    sleep 1;    # what Retry-After says
    is post($t)->{status}, 200, 'a second later a request is admitted';

    for my $case ([ '6/m', 10 ], [ '1/h', 3600 ]) {
        my ($rate, $interval) = @$case;
        $t = tenant('--rate', $rate, '--burst', 1);
        $begun = time;
        post($t);
        my $seconds = post($t)->{headers}{'retry-after'};
        ok $seconds <= $interval && $seconds >= $interval - (time - $begun), "$rate: the rest of $interval s" or diag $seconds;
    }
};

subtest 'a limit of a class' => sub {
    my $t = tenant('--rate', '1000/s', '--burst', 1000);
    $gw->ctl('limit', 'set', "t$n", '--class', 'write', '--rate', '1/h', '--burst', 2);
    ok $gw->wait_for(sub { post($t)->{status} == 429 }), 'writes reach their limit';
    is get($t, '/v1/topics')->{status}, 200, 'reads are still admitted';
    is $gw->request('POST', '/read/v1/integrations/i/objects/o', token => $t, json => {})->{status}, 200, 'and so are data operations';

    $t = tenant();
    $gw->ctl('limit', 'set', "t$n", '--class', $_->[0], '--rate', '1/h', '--burst', $_->[1])
        for [ 'read', 3 ], [ 'data', 2 ];
    my %target = (read => [ 'GET', '/v1/destinations/x' ], data => [ 'GET', '/proxy/x' ]);
    for my $class (sort keys %target) {
        my ($method, $target) = @{ $target{$class} };
        my @status = map { $gw->request($method, "$target$_", token => $t)->{status} } 1 .. 5;
        my $free = $class eq 'read' ? 3 : 2;
        is "@status", join(' ', (200) x $free, (429) x (5 - $free)), "$class: $free";
    }
    is post($t)->{status}, 200, 'a class without a limit is not limited';

    # of two limits the narrower one decides, and its refusals are not charged to the other
    $t = tenant('--rate', '1/h', '--burst', 4);
    $gw->ctl('limit', 'set', "t$n", '--class', 'write', '--rate', '1/h', '--burst', 1);
    is post($t)->{status}, 200, 'one write';
    is post($t)->{status}, 429, 'a second one is refused' for 1 .. 5;
    my @status = map { get($t, "/v1/destinations/y$_")->{status} } 1 .. 4;
    is "@status", '200 200 200 429', 'three of four units are left';
};

subtest 'refused requests and answers from the cache are not charged' => sub {
    my $t = tenant('--rate', '1/h', '--burst', 3);
    is get($t, '/v1/projects/other')->{status}, 403, 'a forbidden project' for 1 .. 5;
    is get($t, '/v1/nothing')->{status}, 404, 'an unknown operation' for 1 .. 5;
    is get($t, '/v1/topics')->{headers}{'x-cache-status'}, 'MISS', 'a miss: the first of three units';
    is get($t, '/v1/topics')->{headers}{'x-cache-status'}, 'HIT', 'a hit: not charged' for 1 .. 10;
    is get($t, '/v1/providers')->{status}, 200, 'the second unit';
    is post($t)->{status}, 200, 'the third unit';
    is get($t, '/v1/destinations/d')->{status}, 429, 'the limit is reached';
    my $res = get($t, '/v1/providers');
    is $res->{status}, 200, 'a cached answer is still served';
    is $res->{headers}{'x-gateway-source'}, 'cache', 'from the cache';
    is get($t, '/v1/integrations')->{status}, 429, 'a request that needs the upstream is refused';
    my $other = tenant();
    is get($other, '/v1/integrations')->{status}, 200, 'another tenant has its own limit';
};

subtest 'concurrent requests for one missing cache entry are charged once' => sub {
    my $t = tenant('--rate', '1/h', '--burst', 1);
    $up->answer({ echo => 1, delay => 0.3 });
    my ($seconds, $status) = burst($t, 0, 8, 'GET', '/v1/integrations');
    is_deeply $status, { 200 => 8 }, 'eight requests, one unit';
    $up->answer({});
};

subtest 'a refused miss keeps the connection' => sub {
    my $t = tenant('--rate', '1/h', '--burst', 1);
    post($t);
    my $s = $gw->connect;
    my $rest = '';
    for my $target ('/v1/topics', '/v1/integrations', '/proxy/x', '/v1/nothing', '/v1/topics') {
        print $s "GET $target HTTP/1.1\r\nHost: g\r\nX-Api-Key: $t\r\n\r\n";
        $s->flush;
        my $res = Gateway::read_response($s, rest => \$rest, timeout => 60);
        is $res->{status}, $target =~ /nothing/ ? 404 : 429, "$target: refused";
        is $res->{headers}{'content-type'}, 'application/problem+json', "$target: a problem";
        is $res->{headers}{connection}, 'keep-alive', "$target: the connection stays open";
    }
    for my $i (1, 2) {
        print $s "POST /v1/topics HTTP/1.1\r\nHost: g\r\nX-Api-Key: $t\r\nContent-Length: 2\r\n\r\n{}";
        $s->flush;
        is Gateway::read_response($s, rest => \$rest, timeout => 60)->{headers}{connection}, 'keep-alive', 'POST: the connection stays open';
    }
    is $rest, '', 'nothing follows the last answer';
};

subtest 'ampctl limit set takes effect' => sub {
    my $t = tenant();
    is post($t)->{status}, 200, 'no limit';
    for (1 .. 3) {
        $gw->ctl('limit', 'set', "t$n", '--rate', '1/h', '--burst', 1);
        ok $gw->wait_for(sub { post($t)->{status} == 429 }), 'a limit is set';
        $gw->ctl('limit', 'set', "t$n", '--rate', 'none');
        ok $gw->wait_for(sub { post($t)->{status} == 200 }), 'a limit is removed';
    }
};

subtest 'ampersand_observe counts refusals and lets the requests pass' => sub {
    my $t = tenant('--rate', '1/h', '--burst', 1, '--grant', 'catalog', '--grant', 'write');
    my $before = $gw->status;
    my @status = map { $gw->request('POST', '/v1/destinations', token => $t, json => {})->{status} } 1 .. 4;
    is "@status", '200 200 200 200', 'where it is on, all pass';
    is post($t)->{status}, 429, 'where it is off, a request is refused';
    is $gw->status->{observed_total} - $before->{observed_total}, 3, 'three refusals are counted';

    my $res = $gw->get('/v1/destinations/observed', token => $t);
    is $res->{status}, 200, 'a request without a grant passes too';
    $res = $gw->get('/v1/destinations/other', token => $t);
    is $res->{status}, 403, 'where it is off, it does not';

    my @decisions = sort map { decode_json($_)->{decision} } grep { /"operation":"createDestination"/ }
        split /\n/, $gw->access_log;
    is "@decisions", 'observe:rate-limited observe:rate-limited observe:rate-limited pass', 'the access log says so';

    is $gw->get('/v1/destinations')->{status}, 401, 'a request without a token never passes';
    is $gw->get('/v1/destinations', token => $t, headers => [ 'X-Amp-Project-Id' => 'p-1' ])->{status}, 403,
        'nor does a request for another project';
};

subtest 'the state of a limit outlives the tenant record in the zone' => sub {
    my $t = tenant('--rate', '1/h', '--burst', 1);
    is post($t)->{status}, 200, 'one';
    $gw->ctl('tenant', 'disable', "t$n");
    ok $gw->wait_for(sub { post($t)->{status} == 401 }), 'disabled';
    $gw->ctl('tenant', 'enable', "t$n");
    ok $gw->wait_for(sub { post($t)->{status} != 401 }), 'enabled again';
    is post($t)->{status}, 429, 'it is still at its limit';
    $gw->reload;
    is post($t)->{status}, 429, 'after a reload too';
};

$gw->finish;
done_testing;
