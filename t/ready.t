#!/usr/bin/perl

# ampersand_ready: 503 with the reason while nobody can be served, else 200.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw(sleep);

use Gateway;
use Gateway::Ctl;
use Gateway::Redis;

my $server = 'location = /-/ready { ampersand_ready; }';

sub ready {
    my ($gw) = @_;
    my $res = $gw->get('/-/ready');
    my $doc = $gw->json($res);
    return $res->{status} == 200 && $doc->{ready} ? 'ready' : "$res->{status} $doc->{reason}";
}

sub becomes { my ($gw, $want, $what) = @_; $gw->wait_for(sub { ready($gw) eq $want }); is ready($gw), $want, $what }

subtest 'Redis was never reached' => sub {
    my $gw = Gateway->start(redis_url => 'redis://127.0.0.1:' . Gateway::Redis::free_port(), server => $server);
    is ready($gw), '503 store-down', 'not ready';
    my $res = $gw->get('/-/ready');
    is $res->{headers}{'content-type'}, 'application/json', 'JSON';
    like $gw->json($res)->{remedy}, qr/ampctl doctor/, 'with a remedy';
    is $gw->request('HEAD', '/-/ready')->{status}, 503, 'HEAD';
    is $gw->request('POST', '/-/ready', body => 'x')->{status}, 405, 'POST';
    $gw->finish;
};

subtest 'an empty Redis, then a tenant, then an outage' => sub {
    my $gw = Gateway->start(server => $server, http => 'ampersand_tenant_ttl 1s; ampersand_tenant_grace 2s;', workers => 2);
    becomes($gw, 'ready', 'ready without a tenant: one can be added at any time');
    my $token = $gw->tenant('acme', settled => 1);
    is $gw->get('/v1/integrations', token => $token)->{status}, 200, 'a tenant is served';
    is ready($gw), 'ready', 'ready';
    $gw->redis->stop;
    is ready($gw), 'ready', 'ready without Redis: the tenant is in the zone';
    becomes($gw, '503 store-down', 'not ready when its record is too old');
    $gw->redis->restart;
    becomes($gw, 'ready', 'ready when Redis is back');
    $gw->finish;
};

subtest 'a disabled tenant in the zone is nobody' => sub {
    my $gw = Gateway->start(server => $server);
    my $token = $gw->tenant('acme');
    $gw->wait_for(sub { $gw->get('/v1/integrations', token => $token)->{status} == 200 });
    $gw->ctl('tenant', 'disable', 'acme');
    $gw->wait_for(sub { $gw->get('/v1/integrations', token => $token)->{status} == 401 });
    $gw->redis->stop;
    becomes($gw, '503 store-down', 'not ready');
    $gw->finish;
};

subtest 'another master key' => sub {
    my $gw = Gateway->start(server => $server);
    my $other = Gateway->start(redis => $gw->redis, upstream => $gw->upstream_url, server => $server, workers => 2);
    becomes($other, 'ready', 'ready while Redis has no tenant');
    my %token = map { $_ => $gw->tenant($_) } 'a' .. 'f';
    becomes($gw, 'ready', 'the gateway with the right one is ready');
    is $other->get('/v1/integrations', token => $token{a})->{status}, 503, 'the other one serves nobody';
    becomes($other, '503 no-key', 'and is not ready');
    like $other->json($other->get('/-/ready'))->{remedy}, qr/ampersand_master_key/, 'with a remedy';
    # a tenant whose key is sealed for it
    $other->ctl('tenant', 'add', 'own', '--project', 'p-own', '--key-file', do { my $f = $other->dir . '/k'; open my $h, '>', $f; print $h 'key-own'; close $h; chmod 0600, $f; $f });
    becomes($other, 'ready', 'ready as soon as one tenant can be served');
    $gw->finish;
    $other->finish;
};

subtest 'a user who may not sample' => sub {
    my $redis = Gateway::Redis->start(users => { gate => 'on >canary ~amp:* &amp:* +@all -srandmember' });
    my $gw = Gateway->start(redis => $redis, redis_url => $redis->url('gate:canary@'), server => $server);
    becomes($gw, 'ready', 'is no reason to refuse traffic');
    $gw->finish;
};

subtest 'a client that leaves while a sample is taken' => sub {
    my $gw = Gateway->start(server => $server, redis_args => 'timeout=5s');
    becomes($gw, 'ready', 'ready');
    $gw->tenant('acme');
    sleep 10.5;    # what NGX_AMPERSAND_SAMPLE_TIME says: then it samples again
    $gw->redis->pause;
    for (1 .. 3) {
        my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $gw->port) or die $!;
        print $s "GET /-/ready HTTP/1.1\r\nHost: x\r\n\r\n";
        sleep 0.1;
        close $s;
    }
    sleep 0.2;
    $gw->redis->resume;
    becomes($gw, 'ready', 'harms nobody');
    $gw->finish;
};

subtest 'it needs a zone' => sub {
    my ($ok, $out) = Gateway->configtest("events {}\nhttp { server { location / { ampersand_ready; } } }\n");
    ok !$ok, 'nginx -t refuses';
    like $out, qr/needs "ampersand_zone/, 'and says so';
};

done_testing;
