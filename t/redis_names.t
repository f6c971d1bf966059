# Host names of Redis: resolved when nginx reads its configuration, and in each
# attempt to connect where http{} has a resolver.  t/redis_addresses.t has names
# with several addresses in /etc/hosts.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::FakeRedis;
use Gateway::Nameserver;
use Gateway::Redis;
use IO::Socket::INET ();
use Test::More;
use Time::HiRes qw(sleep);

my $path = '/v1/integrations';

my $dns = Gateway::Nameserver->start;
my $resolver = $dns->resolver;

sub lines { my ($gw) = @_; return $gw->log_lines(qr/\[(?:error|warn)\].*ampersand: /) }

sub up {
    my ($gw) = @_;
    return $gw->wait_for(sub { $gw->linked });
}

my $real = Gateway::Redis->start;
my $n = 0;
sub served {
    my ($gw, @fakes) = @_;
    my $token = $gw->tenant('n' . ++$n, args => [ '--redis', $real->url ]);
    $_->copy($real) for @fakes;
    return $gw->get($path, token => $token)->{status};
}

subtest 'the address of a name changes' => sub {
    my $first = Gateway::FakeRedis->start;
    my $port = $first->port;
    my $second = eval { Gateway::FakeRedis->start(address => '127.0.0.2', port => $port) };
    plan skip_all => "no 127.0.0.2: $@" if !$second;
    $dns->names('localhost' => '127.0.0.1');
    my $gw = Gateway->start(redis => $real, redis_url => "redis://localhost:$port", http => $resolver);
    ok up($gw), 'the links are up';
    is served($gw, $first, $second), 200, 'a request is served';
    cmp_ok $first->count('GET'), '>', 0, 'by Redis at the first address';
    $dns->names('localhost' => '127.0.0.2');
    # until the cached address expires, after a second, it connects to the first one
    ok $gw->wait_for(sub { $first->kick; sleep 0.1; $second->count('SUBSCRIBE') }), 'the links connect to the second address';
    ok up($gw), 'the links are up';
    is served($gw, $first, $second), 200, 'a request is served';
    cmp_ok $second->count('GET'), '>', 0, 'by Redis at the second address';
    is scalar(grep { /resolve/ } lines($gw)), 0, 'no error of the resolver' or diag lines($gw);

    $dns->names();
    my $asked = $first->count('SUBSCRIBE');
    ok $gw->wait_for(sub { $second->kick; sleep 0.1; $first->count('SUBSCRIBE') > $asked }),
        'the name is gone: the address from the start of nginx is used';
    ok up($gw), 'the links are up';
    $gw->finish;
};

subtest 'a name that a Sentinel announces' => sub {
    my ($sentinel, $master) = map { Gateway::FakeRedis->start } 1 .. 2;
    my $bulk = sub { '$' . length($_[0]) . "\r\n$_[0]\r\n" };
    $sentinel->fault({ on => 'SENTINEL', reply => "*2\r\n" . $bulk->('master.test') . $bulk->($master->port) });
    $master->fault({ on => 'ROLE', reply => "*1\r\n" . $bulk->('master') });
    my $url = 'redis+sentinel://127.0.0.1:' . $sentinel->port . '/main';

    my $gw = Gateway->start(redis => $real, redis_url => $url);
    ok $gw->wait_for(sub { lines($gw) }), 'without a resolver it is an error';
    my $tries = sub { my $s = $gw->status; return $s->{redis_connects_total} + $s->{redis_failures_total} };
    my $before = $tries->();
    ok $gw->wait_for(sub { $tries->() > $before + 1 }), 'it is tried again';
    my @said = grep { /\[error\]/ } lines($gw);
    is scalar @said, 1, 'one line, however often it fails' or diag @said;
    like $said[0], qr/Redis "master\.test:\d+" has a name that cannot be resolved: add "resolver" to http\{\}/, 'with the remedy';
    is served($gw, $master), 503, 'no tenant is served';
    $gw->finish;

    $dns->names('master.test' => '127.0.0.1');
    $gw = Gateway->start(redis => $real, redis_url => $url, http => $resolver);
    ok up($gw), 'with a resolver the links are up';
    is served($gw, $master), 200, 'a request is served';
    $gw->finish;
};

# nginx rotates a name's addresses at random: either may be the first one.

subtest 'a name with two addresses, of which one has a Redis' => sub {
    my $fake = Gateway::FakeRedis->start;
    $dns->names('localhost' => '127.0.0.2,127.0.0.1');
    my $gw = Gateway->start(redis => $real, redis_url => 'redis://localhost:' . $fake->port, workers => 4, http => $resolver, redis_args => 'timeout=1s');
    ok up($gw), 'the links of all workers are up';
    is served($gw, $fake), 200, 'a request is served';
    for (1 .. 2) {
        my $subscribed = $fake->count('SUBSCRIBE');
        $fake->kick;
        ok $gw->wait_for(sub { $fake->count('SUBSCRIBE') > $subscribed }), 'lost connections are made again';
        ok up($gw), 'the links are up';
    }
    is scalar(lines($gw)), 0, 'no outage' or diag lines($gw);
    $gw->finish;
};

subtest 'a name server that does not answer' => sub {
    my $silent = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1', LocalPort => 0) or die $!;
    my $fake = Gateway::FakeRedis->start;
    my $gw = Gateway->start(
        redis => $real, redis_url => 'redis://localhost:' . $fake->port, redis_args => 'timeout=1s',
        http => 'resolver 127.0.0.1:' . $silent->sockport . ' ipv6=off; resolver_timeout 30s;',
    );
    ok up($gw), 'the links use the address from the start of nginx';
    is served($gw, $fake), 200, 'a request is served';
    is scalar(lines($gw)), 0, 'no outage' or diag lines($gw);
    $gw->finish;
};

done_testing;
