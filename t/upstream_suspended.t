#!/usr/bin/perl

# A host of Ampersand that fails several times in a row gets no request for a while:
# clients get a problem that says so, or a stale answer; then one request probes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw(time);

use Gateway;

my $up = Gateway::Upstream->start;
my $gw = Gateway->start(upstream => $up->url, workers => 2, http => 'ampersand_suspend on; ampersand_cache_stale 60s; ampersand_cache_ttl default 1s;',
    proxy_conf => { proxy_cache_background_update => 'off' });
my $token = $gw->tenant('acme', project => 'p-1');
my $n = 0;

sub get  { $n++; return $gw->get("/v1/integrations?n=$n", token => $token) }
sub post { return $gw->request('POST', '/v1/topics', token => $_[0] || $token, json => {}) }

sub type { my ($res) = @_; my $p = Gateway->json($res) || {}; return ($p->{type} // '') =~ s/.*://r }

# Five failures, whatever they are; from then on the host is suspended.

sub suspend {
    my ($answer) = @_;
    $up->answer($answer);
    for my $try (1 .. 5) {
        my $res = $try % 2 ? get() : post();
        isnt type($res), 'upstream-suspended', "failure $try: sent";
    }
}

sub works_again {
    my ($name) = @_;
    $up->answer({});
    ok $gw->wait_for(sub { get()->{status} == 200 }), "$name: works again";
    is $gw->status->{upstream_platform_suspended}, 0, 'the metric says so';
}

for my $case ([ 'a 503', { status => 503 } ], [ 'no answer', { drop => 1 } ], [ 'garbage', { bytes => 'x', close => 1 } ]) {
    my ($name, $answer) = @$case;
    subtest "$name, five times" => sub {
        suspend($answer);
        is $gw->status->{upstream_platform_suspended}, 1, 'the metric says so';
        is $gw->status->{upstream_write_suspended}, 0, 'of this host only';
        $up->take;
        for my $res (get(), post()) {
            is $res->{status}, 503, 'the next request: 503';
            is type($res), 'upstream-suspended', 'the problem';
            like $res->{headers}{'retry-after'}, qr/^[1-9]\d?$/, 'Retry-After';
            ok((Gateway->json($res) || {})->{retryable}, 'retryable, also a POST: it was not sent');
            is $res->{headers}{'x-gateway-source'}, 'gateway', 'of the gateway';
        }
        is scalar($up->take), 0, 'nothing was sent';
        works_again($name);
    };
}

cmp_ok $gw->status->{upstream_suspensions_total}, '>=', 3, 'the suspensions are counted';
cmp_ok scalar($gw->log_lines(qr/upstream "ampersand" \(platform\) fails, no request is sent/)), '>=', 3, 'and logged';
cmp_ok scalar($gw->log_lines(qr/upstream "ampersand" \(platform\) answers again/)), '>=', 3, 'so are their ends';

subtest 'answers that show that the host works' => sub {
    for my $status (400, 401, 404, 409, 429, 500, 501) {
        $up->answer({ status => $status });
        is get()->{status}, $status, "$status, again and again" for 1 .. 8;
    }
    for my $round (1 .. 4) {
        $up->answer({ status => 503 });
        is get()->{status}, 503, 'four times 503' for 1 .. 4;
        $up->answer({ status => 404 });
        is get()->{status}, 404, 'and another answer in between';
    }
    is $gw->status->{upstream_platform_suspended}, 0, 'do not suspend it';
};

# Behind the proxy API it is a provider that fails, of one tenant.

subtest 'the proxy API' => sub {
    for my $answer ({ status => 503 }, { status => 504 }, { drop => 1 }, { bytes => 'x', close => 1 }) {
        $up->answer($answer);
        isnt type($gw->get('/proxy/x', token => $token)), 'upstream-suspended', 'a provider that fails does not suspend it' for 1 .. 8;
    }
    my $closed = Gateway::Redis::closed_port();
    my $down = Gateway->start(like => $gw, upstream => "http://127.0.0.1:$closed", http => 'ampersand_suspend on;');
    is type($down->get('/proxy/x', token => $token)), 'upstream-failed', "no connection, $_" for 1 .. 5;
    is type($down->get('/proxy/x', token => $token)), 'upstream-suspended', 'five times without a connection do';
    is type($down->get('/v1/integrations', token => $token)), 'upstream-failed', 'for each of the five hosts apart';
    $down->finish;
};

subtest 'what is not sent costs nothing' => sub {
    works_again('before');
    my $few = $gw->tenant('few', project => 'p-1', args => [ '--rate', '1/h', '--burst', '2' ]);
    is post($few)->{status}, 200, 'one of two units';
    suspend({ status => 502 });
    is type(post($few)), 'upstream-suspended', 'not sent' for 1 .. 3;
    works_again('again');
    is post($few)->{status}, 200, 'the other unit is still there';
    is type(post($few)), 'rate-limited', 'and it was the last';
};

subtest 'a stale answer is served instead' => sub {
    $up->answer({ body => 'stored' });
    is $gw->get('/v1/integrations?stale', token => $token)->{body}, 'stored', 'stored';
    suspend({ status => 504 });
    ok $gw->wait_for(sub {
        $up->answer({ status => 504 });
        get() while $gw->status->{upstream_platform_suspended} == 0;
        $up->take;
        my $res = $gw->get('/v1/integrations?stale', token => $token);
        return $res->{headers}{'x-cache-status'} eq 'STALE' && $res->{body} eq 'stored' && !$up->take;
    }), 'stale, and nothing was sent';
};

subtest 'one request probes' => sub {
    works_again('before');
    suspend({ status => 503 });
    $up->take;
    $up->answer({ hold => 1 });
    my $probe = $gw->connect;
    my @refused;
    ok $gw->wait_for(sub {
        print $probe "POST /v1/topics HTTP/1.1\r\nHost: g\r\nX-Api-Key: $token\r\nContent-Length: 2\r\n\r\n{}";
        $probe->flush;
        my $sent = $gw->wait_for(sub { $up->connections && $up->take || IO::Select->new($probe)->can_read(0.01) });
        return 1 if !IO::Select->new($probe)->can_read(0.05);
        Gateway::read_response($probe);
        return 0;
    }), 'a probe was sent';
    is type(post()), 'upstream-suspended', 'no other request, meanwhile' for 1 .. 5;
    is scalar($up->take), 0, 'which nobody saw';
    $up->answer({});
    $up->release;
    is Gateway::read_response($probe)->{status}, 200, 'the probe is answered';
    is post()->{status}, 200, 'so the next request is sent, on any worker' for 1 .. 4;
};

$gw->finish;

done_testing;
