#!/usr/bin/perl

# ampctl doctor compares the addresses that each gateway uses with those that DNS
# names.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Test::More;
use Time::HiRes qw(time);

use Gateway;
use Gateway::Upstream;

my $target = Gateway::Upstream->start;
my ($port) = $target->url =~ /:(\d+)$/;
my $gw = Gateway->start(
    upstream => $target->url,
    http => "upstream api.withampersand.com { server localhost:$port; keepalive 4; } upstream egress { server 127.0.0.1:$port; }",
    gateway => 'location /v1 { ampersand platform; ampersand_upstream http://$ampersand_host; include ampersand/proxy.conf; }'
        . ' location /read/v1 { ampersand read; ampersand_upstream http://egress; include ampersand/proxy.conf; }'
        . ' location /write/v1 { ampersand write; ampersand_upstream http://egress; include ampersand/proxy.conf; }',
);

sub addresses {
    my ($code, $out) = $gw->try_ctl('doctor', '--json', '--upstream', $target->url);
    return map { "$_->{status}: $_->{message}" } grep { $_->{check} eq 'addresses' } @{ JSON::PP::decode_json($out)->{checks} };
}

subtest 'the status has the addresses of each server' => sub {
    my $servers = $gw->status->{servers};
    is_deeply [ sort keys %$servers ], [ sort "127.0.0.1:$port", "localhost:$port" ], 'once, though two locations use one upstream{}';
    ok !!(grep { $_ eq "127.0.0.1:$port" } @{ $servers->{"localhost:$port"} }), 'those of the name';
};

subtest 'a gateway that uses what DNS names' => sub {
    ok $gw->wait_for(sub { addresses() }), 'is in the registry';
    is_deeply [ addresses() ], [ 'ok: 1 of the gateways have a status; they use the addresses that DNS names' ], 'ok';
};

subtest 'gateways of several versions, and an ampctl of another one' => sub {
    my $versions = sub {
        my ($code, $out) = $gw->try_ctl('doctor', '--json', '--upstream', $target->url);
        return join "\n", map { "$_->{status}: $_->{message}: $_->{remedy}" } grep { $_->{check} eq 'versions' }
            @{ JSON::PP::decode_json($out)->{checks} };
    };
    like $versions->(), qr/^ok: gateways: 1 of \d+\.\d+\.\d+, as ampctl: $/, 'one version';
    my $time = $gw->redis->command('TIME')->[0];
    $gw->redis->command('HSET', 'amp:gateways', 'older', ($time + 3600) * 1000);
    $gw->redis->command('SET', 'amp:gateway:older', '{"id":"older","version":"0.0.9"}');
    like $versions->(), qr/^warn: the gateways have several versions: .*\b1 of 0\.0\.9.*: finish the upgrade/, 'two versions';
    $gw->redis->command('DEL', 'amp:gateway:older');
    $gw->redis->command('HDEL', 'amp:gateways', 'older');
};

# Other gateways, whose status this test answers.

my $status = Gateway::Upstream->start;

sub other {
    my ($answer, $url) = @_;
    $status->answer($answer);
    $gw->redis->command('HSET', 'amp:gateways', 'other', int(time * 1000));
    $gw->redis->command('SET', 'amp:gateway:other', JSON::PP::encode_json({ id => 'other', status => $url // $status->url . '/-/status' }));
    my @lines = grep { /other|ok/ } addresses();
    $gw->redis->command('DEL', 'amp:gateway:other');
    $gw->redis->command('HDEL', 'amp:gateways', 'other');
    return "@lines";
}

sub servers { return { body => JSON::PP::encode_json({ servers => {@_} }) } }

like other(servers('localhost:443' => ['127.0.0.1:443'], '10.9.9.9:443' => ['10.9.9.9:443'], '[::1]:443' => ['[::1]:443'], 'unix:/x' => ['unix:/x'])),
    qr/^ok: 2 of/, 'addresses and sockets are no names';
is other(servers('localhost:443' => [ '127.0.0.1:443', '10.9.9.9:443', '[2001:db8::1]:443' ])),
    'warn: gateway "other" uses addresses of localhost that DNS does not name now: 10.9.9.9, 2001:db8::1', 'addresses that a host has left';
like other(servers('no-such-host.invalid:443' => ['10.9.9.9:443'])), qr/^warn: no-such-host\.invalid, which gateway "other" uses, has no address/, 'a name that is gone';
like other({ status => 403, body => '{}' }), qr/^warn: the status of gateway "other" at http\S+ cannot be read: it answers with an error$/, 'a status that is closed';
like other({ body => 'hello' }), qr/cannot be read: it is not JSON$/, 'no status';
like other({ body => '{}' }), qr/^ok: 2 of/, 'a gateway of a version without addresses';
like other({}, 'http://127.0.0.1:' . Gateway::Redis::free_port() . '/-/status'), qr/^warn: .*cannot be read: /, 'nobody answers';
like other({}, ''), qr/^ok: 1 of/, 'a gateway without a status';
like other({}, 'http://unix:/run/x:/-/status'), qr/^ok: 1 of/, 'a status at a socket';

my ($code, $out) = $gw->try_ctl('doctor', '--json', '--upstream', $target->url);
is $code, 0, 'warnings leave the exit code 0';

$gw->finish;
done_testing;
