# The link to Redis while tenants are looked up: it is refused, cut, closed or
# silent; many clients share it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::FakeRedis;
use Test::More;

my $path = '/v1/integrations';
my $fake = Gateway::FakeRedis->start;
my $gw = $fake->gateway(redis_args => 'timeout=200ms', http => 'ampersand_tenant_ttl 300ms; ampersand_tenant_grace 60s;');

my $known = $fake->new_tenants;
is $gw->get($path, token => $known)->{status}, 200, 'a tenant is served';

subtest 'what is no fault' => sub {
    my @fine = (
        [ 'single bytes', { bytes => 1 } ],
        [ 'an answer after two delays of 20 ms', { on => 'GET', delay => 0.02 } ],
    );
    for (@fine) {
        my ($name, $fault) = @$_;
        my $token = $fake->new_tenants;
        my $before = $fake->errors;
        $fake->fault($fault);
        is $gw->get($path, token => $token)->{status}, 200, $name;
        is $fake->errors - $before, 0, 'no error in the log' or diag join "\n", $fake->errors;
    }
    $fake->fault;
};

subtest 'a reply cut at every byte, then closed' => sub {
    my $record = "\$-1\r\n";
    my @tokens = $fake->new_tenants(6);
    my ($ok, $wrong) = (0, 0);
    for my $cut (0 .. length($record) - 1) {
        $fake->fault({ on => 'GET', key => 'token', reply => $record, cut => $cut, close => 1, times => 2 });
        my $res = $gw->get($path, token => $tokens[$cut % 6]);
        $wrong++ if $res->{status} != 200 && $res->{status} != 503;
        $fake->fault;
        $gw->wait_for(sub { $gw->get($path, token => $tokens[$cut % 6])->{status} == 200 }) && $ok++;
    }
    is $wrong, 0, 'never anything but 503 or served';
    is $ok, length $record, 'served afterwards';
};

subtest 'one reply more than commands' => sub {
    my $token = $fake->new_tenants;
    $fake->fault({ on => 'HGETALL', suffix => "+OK\r\n", times => 1 });
    $gw->get($path, token => $token);
    $fake->fault;
    ok $gw->wait_for(sub { $gw->get($path, token => $fake->new_tenants)->{status} == 200 }),
        'an extra reply: the link is made anew';
    my @tokens = $fake->new_tenants(2);
    $fake->fault({ on => 'GET', key => 'token', suffix => "\$-1\r\n", times => 1 });
    my $res = $gw->get($path, token => $tokens[0]);
    $fake->is_503($res, 'two at once: none is taken for the answer to what was not yet asked');
    $fake->fault;
    ok $gw->wait_for(sub { $gw->get($path, token => $fake->new_tenants)->{status} == 200 }), 'served again';
};

subtest 'the link itself' => sub {
    my @ways = (
        [ 'closed when it connects', { on => 'connect', close => 1 } ],
        [ 'greeted with an error', { on => 'connect', reply => "-ERR max number of clients reached\r\n", close => 1 } ],
        [ 'greeted with garbage', { on => 'connect', reply => "SSH-2.0-OpenSSH_9\r\n" } ],
        [ 'PING without an answer', { on => 'PING', silent => 1 } ],
        [ 'PING refused', { on => 'PING', reply => "-LOADING Redis is loading\r\n" } ],
    );
    for (@ways) {
        my ($name, $fault) = @$_;
        my ($token, $other) = $fake->new_tenants(2);
        $gw->wait_for(sub { $gw->get($path, token => $known)->{status} == 200 && $gw->status->{redis_events_up} });
        $gw->get($path, token => $fake->new_tenants);    # the link is proven
        my $before = $fake->errors;
        $fake->fault($fault);
        $fake->kick;
        $fake->is_503($gw->get($path, token => $token), "$name: 503") for 1 .. 3;
        ok $gw->wait_for(sub { $gw->get($path, token => $token); $gw->status->{redis_degraded} }), 'redis_degraded';
        $fake->clear;
        $fake->is_503($gw->get($path, token => $token), 'and so on') for 1 .. 9;
        is $fake->count('GET'), 0, 'without a look-up';
        is $gw->get($path, token => $known)->{status}, 200, 'a tenant in the zone is served';
        is $fake->errors - $before, 1, 'one line' or diag join "\n", $fake->errors;
        $fake->fault;
        ok $gw->wait_for(sub { $gw->get($path, token => $other)->{status} == 200 }), 'served again';
    }
};

subtest 'look-ups that begin during the handshake are answered' => sub {
    my $token = $fake->new_tenants;
    $fake->fault({ on => 'PING', delay => 0.06 });
    $fake->kick;
    is $gw->get($path, token => $token)->{status}, 200, 'served';
    $fake->fault;
};

subtest 'many requests at once' => sub {
    my @tokens = $fake->new_tenants(10);
    $fake->clear;
    $fake->fault({ on => 'GET', key => 'token', delay => 0.05 });
    my @sockets;
    for my $token (@tokens) {
        for (1 .. 20) {
            my $s = $gw->connect or die $!;
            syswrite $s, "GET $path HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Api-Key: $token\r\n\r\n";
            push @sockets, $s;
        }
    }
    my $ok = grep { Gateway::read_response($_)->{status} == 200 } @sockets;
    is $ok, 200, '200 requests of 10 new tenants are served';
    # one more for each that ampersand_tenant_ttl may have caught
    cmp_ok $fake->count('GET', qr/amp:token/), '<=', 20, 'with one look-up for each tenant';

    $fake->fault({ silent => 1 }, { on => 'PING', silent => 1 });
    my @new = $fake->new_tenants(3);
    @sockets = map {
        my $s = $gw->connect or die $!;
        syswrite $s, "GET $path HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Api-Key: $new[$_ % 3]\r\n\r\n";
        $s;
    } 1 .. 60;
    my @res = map { Gateway::read_response($_) } @sockets;
    is scalar(grep { $_->{status} == 503 } @res), 60, 'when Redis is silent all get 503';
    ok $gw->wait_for(sub { $gw->get($path, token => $new[0]); $gw->status->{redis_degraded} }), 'redis_degraded';
    $fake->clear;
    $fake->is_503($gw->get($path, token => $new[0]), 'and so on') for 1 .. 9;
    is $fake->count('GET'), 0, 'without a look-up';
    $fake->fault;
    ok $gw->wait_for(sub { $gw->get($path, token => $new[0])->{status} == 200 }), 'until it answers again';
};

subtest 'a client that leaves does not change the answers of others' => sub {
    my ($gone, $stays) = $fake->new_tenants(2);
    $fake->clear;
    $fake->fault({ on => 'GET', key => 'token', delay => 0.04 });
    my $s = $gw->connect;
    syswrite $s, "GET $path HTTP/1.1\r\nHost: a\r\nX-Api-Key: $gone\r\n\r\n";
    $gw->wait_for(sub { $fake->count('GET', qr/token/) });
    close $s;
    is $gw->get($path, token => $stays)->{status}, 200, 'served';
    $fake->fault;
};

is scalar(grep { /\b40[13]\b/ } $gw->access_log =~ /"status":(\d+)/g), 0, 'no request got 401 or 403';
$gw->finish;
done_testing;
