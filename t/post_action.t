# nginx's post_action redirects a request when it ends: also one whose client has left
# during its look-up, which nobody waits for then.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA ();
use Gateway;
use Gateway::FakeRedis;
use Gateway::Made;
use Gateway::Redis;
use Gateway::Upstream;
use Test::More;

my $real = Gateway::Redis->start;
my $fake = Gateway::FakeRedis->start;
my $up = Gateway::Upstream->start(sub { return { hold => 1 } });
my $gw = Gateway->start(
    redis => $real, redis_url => $fake->url, redis_args => 'timeout=60s', upstream => $up->url, workers => 1,
    location => 'post_action /after;',
    server => 'location = /after { proxy_pass ' . $up->url . '; }',
);

# a subscription that is made during a look-up makes it start again
ok $gw->wait_for(sub { $gw->linked }), 'every worker has its link, and one the subscription';

my $token = Gateway::Made::token();
my $digest = Digest::SHA::sha256_hex($token);
$fake->fault({ on => 'GET', key => $digest, hold => 1 });

my $client = $gw->connect;
syswrite $client, "GET /v1/topics HTTP/1.1\r\nHost: a\r\nX-Api-Key: $token\r\n\r\n";
ok $gw->wait_for(sub { $fake->count('GET', qr/$digest/) }), 'a look-up is under way';
close $client;
ok $gw->wait_for(sub { scalar $up->requests }), 'its client leaves, and post_action sends a request';

my ($worker) = $gw->workers_pids;
$fake->release;
is $gw->get('/v1/topics', token => $token)->{status}, 401, 'the look-up ends';
$up->release;
is(($gw->workers_pids)[0], $worker, 'the worker lives');

$gw->finish;
done_testing;
