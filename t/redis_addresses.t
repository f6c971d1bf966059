# A host name with several addresses: Redis at one of them is reachable.  Every
# address is tried before an outage is logged and before waiting commands fail,
# all within the one time-out.  The names come from /etc/hosts, which the test
# replaces in a mount namespace of its own; t/redis_names.t has those of nginx's
# resolver.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Temp ();
use Gateway;
use Gateway::FakeRedis;
use Gateway::Redis;
use IO::Socket::INET ();
use Socket ();
use Test::More;
use Time::HiRes qw(sleep time);

my $hosts = <<'E';
127.0.0.1  localhost
::1        localhost ip6-localhost ip6-loopback
127.0.0.1  two.test
127.0.0.2  two.test
127.0.0.1  three.test
127.0.0.2  three.test
127.0.0.3  three.test
E

if (!$ENV{REDIS_ADDRESSES_HOSTS}) {
    my $file = File::Temp->new(TEMPLATE => 'hosts.XXXXXX', TMPDIR => 1, UNLINK => 0);
    print $file $hosts;
    close $file;
    chmod 0644, "$file";
    my @user = $> ? '--map-root-user' : ();
    my @unshare = ('unshare', '--mount', @user, 'sh', '-c', 'mount --bind "$0" /etc/hosts && exec "$@"', "$file");
    if (system(@unshare, 'true') == 0) {
        $ENV{REDIS_ADDRESSES_HOSTS} = "$file";
        exec @unshare, $^X, $0;
    }
    unlink "$file";
    plan skip_all => 'no mount namespace of its own';
}
unlink $ENV{REDIS_ADDRESSES_HOSTS};

my $path = '/v1/integrations';
my $real = Gateway::Redis->start;

sub lines { my ($gw) = @_; return grep { /\[(?:error|warn)\].*ampersand: / } split /\n/, $gw->error_log }

sub up {
    my ($gw) = @_;
    return $gw->wait_for(sub { my $s = $gw->status; $s->{redis_links_up} == $s->{redis_links} && $s->{redis_events_up} });
}

# A tenant of all gateways here: they have their master key in common.

my $first = Gateway->start(redis => $real);
my $n = 0;
sub new_tenant {
    my (@fakes) = @_;
    my $token = $first->tenant('a' . ++$n);
    $_->copy($real) for @fakes;
    return $token;
}

# Where a bound of time is not the point, a busy machine has time enough.

sub gateway {
    my ($url, %o) = @_;
    return Gateway->start(like => $first, redis_url => $url, redis_args => 'timeout=1s', %o);
}

# Addresses of a name in the order in which nginx tries them.

sub addresses {
    my ($name) = @_;
    my ($error, @found) = Socket::getaddrinfo($name, 0, { socktype => Socket::SOCK_STREAM() });
    die "$name: $error" if $error;
    return map { (Socket::getnameinfo($_->{addr}, Socket::NI_NUMERICHOST(), Socket::NIx_NOSERV()))[1] } @found;
}

# A fake Redis at one address, at the port that another one has or had.

sub redis_at {
    my ($address, $port) = @_;
    return Gateway::FakeRedis->start(address => $address, port => $port);
}

# A socket that accepts no connection: the kernel drops SYN when the queue of
# connections is full.

sub deaf {
    my ($address, $port) = @_;
    my $listen = IO::Socket::INET->new(Listen => 1, LocalAddr => $address, LocalPort => $port, ReuseAddr => 1) or die "listen: $!";
    listen $listen, 0;
    my @full = map { IO::Socket::INET->new(PeerAddr => $address, PeerPort => $listen->sockport, Blocking => 0) } 1 .. 4;
    sleep 0.05;
    return [ $listen, @full ];
}

my @two = addresses('two.test');
plan skip_all => "two.test is @two" if @two != 2;

my @localhost = addresses('localhost');
subtest "localhost is @localhost, Redis is at 127.0.0.1" => sub {
    plan skip_all => 'one address' if @localhost < 2;
    my $token = new_tenant();
    my $gw = gateway('redis://localhost:' . $real->port, workers => 2);
    is $gw->get($path, token => $token)->{status}, 200, 'the first request is served';
    ok up($gw), 'all links are up';
    is_deeply [ lines($gw) ], [], 'no outage';
    is $gw->status->{redis_failures_total}, 0, 'no failure is counted';
    like $gw->error_log, qr/\[info\].*cannot be connected to, trying its next address/, 'the refused address is logged as information'
        if $localhost[0] ne '127.0.0.1';
    $gw->finish;
};

for my $where (0, 1) {
    subtest "Redis is at $two[$where], $two[1 - $where] refuses connections" => sub {
        my $fake = redis_at($two[$where]);
        my $port = $fake->port;
        my $token = new_tenant($fake);
        my $gw = gateway("redis://two.test:$port");
        is $gw->get($path, token => $token)->{status}, 200, 'the first request is served';
        ok up($gw), 'the links are up';
        is_deeply [ lines($gw) ], [], 'no outage';

        my $other = redis_at($two[ 1 - $where ], $port);
        $token = new_tenant($other);
        $fake->stop;
        is $gw->get($path, token => $token)->{status}, 200, 'Redis moves to the other address: a request is served';
        ok $other->count('GET'), 'by that address';
        ok up($gw), 'the links are up';
        is_deeply [ lines($gw) ], [], 'no outage';
        $gw->finish;
    };
}

my @silent = (
    [ 'accepts no connection', sub { deaf(@_) }, qr/out of reach: Connection refused/ ],
    [ 'accepts connections and sends nothing', sub {
        IO::Socket::INET->new(Listen => 64, LocalAddr => $_[0], LocalPort => $_[1], ReuseAddr => 1) or die "listen: $!" },
        qr/did not answer within 400 ms/ ],
);

subtest 'an address that does not answer takes its share of the time only' => sub {
    for (@silent) {
        my ($name, $silent) = @$_;
        my $fake = redis_at($two[1]);
        my $port = $fake->port;
        my $socket = $silent->($two[0], $port);
        my $token = new_tenant($fake);
        my $gw = gateway("redis://two.test:$port");
        is $gw->get($path, token => $token)->{status}, 200, "$name: the first request is served";
        ok up($gw), 'the links are up';
        is_deeply [ lines($gw) ], [], 'no outage';
        is $gw->status->{redis_timeouts_total}, 2, 'each link has waited for it once';

        $fake->kick;
        ok $gw->wait_for(sub { $fake->count('SUBSCRIBE') > 1 }), 'a lost connection is made again';
        ok up($gw), 'the links are up';
        is $gw->status->{redis_timeouts_total}, 2, 'with the address that worked';
        $gw->finish;
    }
};

for (@silent) {
    my ($name, $silent, $reason) = @$_;

    subtest "ampctl: an address that $name takes its share of the time only" => sub {
        my $fake = redis_at($two[1]);
        my $port = $fake->port;
        my $socket = $silent->($two[0], $port);
        new_tenant($fake);
        my @show = ('tenant', 'show', "a$n", '--redis', "redis://two.test:$port", '--timeout');
        my ($exit, $out, $err) = $first->try_ctl(@show, '4s');
        is $exit, 0, 'the other address is used' or diag $err;
        like $out, qr/\ba$n\b/, 'and has the tenant';

        $fake->stop;
        my $start = time;
        ($exit, $out, $err) = $first->try_ctl(@show, '400ms');
        is $exit, 3, 'no address has a Redis: exit 3';
        cmp_ok time - $start, '>=', 0.2, 'after the share of the silent address';
        like $err, $reason, 'with the reason';
    };
}

subtest 'three silent addresses share one time-out' => sub {
    my @three = addresses('three.test');
    my @sockets = deaf($three[0], 0);
    my $port = $sockets[0][0]->sockport;
    push @sockets, map { deaf($_, $port) } @three[1, 2];
    my $token = new_tenant();
    my $gw = gateway("redis://three.test:$port", redis_args => 'timeout=3s');
    my $start = time;
    is $gw->get($path, token => $token)->{status}, 503, 'the first request gets 503';
    cmp_ok time - $start, '<', 7, 'after one time-out, not after three';
    ok $gw->wait_for(sub { grep { /\[error\]/ } lines($gw) }), 'an outage is logged';
    my @error = grep { /\[error\]/ } lines($gw);
    is scalar @error, 1, 'in one line' or diag @error;
    like $error[0], qr/does not answer in time/, 'with the reason';
    my ($before) = $gw->error_log =~ /\A(.*?)\[error\]/s;
    my $next = () = $before =~ /does not answer in time[^\n]*, trying its next address/g;
    cmp_ok $next, '>=', 2, 'after all addresses were tried';
    $gw->finish;
};

subtest 'an outage is that of all addresses' => sub {
    my $fake = redis_at($two[0]);
    my $port = $fake->port;
    my $gw = gateway("redis://two.test:$port");
    ok up($gw), 'the links are up';
    my $token = new_tenant();
    $fake->stop;
    is $gw->get($path, token => $token)->{status}, 503, 'no address has a Redis: 503';
    ok $gw->wait_for(sub { lines($gw) == 2 }), 'a line for each link' or diag lines($gw);
    my $reason = qr/cannot be connected to.*111: Connection refused|closed the connection/;    # at once, or while it stopped
    is scalar(grep { $_ =~ $reason } lines($gw)), 2, 'with the reason' or diag lines($gw);

    my $other = redis_at($two[1], $port);
    $other->copy($real);
    ok $gw->wait_for(sub { $gw->get($path, token => $token)->{status} == 200 }), 'Redis comes back at the other address';
    ok up($gw), 'the links are up';
    is scalar(lines($gw)), 2, 'no other line' or diag lines($gw);
    $gw->finish;
};

for my $where (0, 1) {
    subtest "$two[$where] answers with an error, $two[1 - $where] refuses connections" => sub {
        my $fake = redis_at($two[$where]);
        $fake->fault({ on => 'PING', reply => "-NOAUTH Authentication required.\r\n" });
        my $gw = gateway('redis://two.test:' . $fake->port);
        ok $gw->wait_for(sub { grep { /\[error\]/ } lines($gw) }), 'an outage is logged';
        like +(grep { /\[error\]/ } lines($gw))[0], qr/answers with an error: NOAUTH/, 'the reason is the answer';
        $gw->finish;
    };
}

subtest 'a program that is no Redis at the first address' => sub {
    my $fake = redis_at($two[1]);
    my $web = redis_at($two[0], $fake->port);
    $web->fault({ on => 'INFO', reply => "HTTP/1.1 400 Bad Request\r\n\r\n" });
    my $token = new_tenant($fake);
    my $gw = gateway('redis://two.test:' . $fake->port);
    is $gw->get($path, token => $token)->{status}, 200, 'Redis at the second one serves the first request';
    ok up($gw), 'the links are up';
    is_deeply [ lines($gw) ], [], 'no outage';
    $gw->finish;
};

sub bulk  { '$' . length($_[0]) . "\r\n$_[0]\r\n" }
sub array { '*' . @_ . "\r\n" . join '', @_ }

for my $where (0, 1) {
    subtest "Sentinel and master are at $two[$where]" => sub {
        my ($sentinel, $master) = map { redis_at($two[$where]) } 1 .. 2;
        $sentinel->fault({ on => 'SENTINEL', reply => array(bulk('two.test'), bulk($master->port)) });
        $master->fault({ on => 'ROLE', reply => array(bulk('master'), ":0\r\n", "*0\r\n") });
        my $token = new_tenant($master);
        my $gw = gateway('redis+sentinel://two.test:' . $sentinel->port . '/main');
        is $gw->get($path, token => $token)->{status}, 200, 'the first request is served';
        ok up($gw), 'the links are up';
        is_deeply [ lines($gw) ], [], 'no outage';
        $gw->finish;
    };

    subtest "the cluster's node is at $two[$where]" => sub {
        my ($seed, $node) = map { redis_at($two[$where]) } 1 .. 2;
        my $map = array(array(":0\r\n", ":16383\r\n", array(bulk('two.test'), ':' . $node->port . "\r\n", bulk('a' x 40))));
        $_->fault({ on => 'CLUSTER', reply => $map }) for $seed, $node;
        my $token = new_tenant($seed, $node);
        my $gw = gateway('redis+cluster://two.test:' . $seed->port);
        is $gw->get($path, token => $token)->{status}, 200, 'the first request is served';
        ok $node->count('GET'), 'by the node';
        ok up($gw), 'the links are up';
        is_deeply [ lines($gw) ], [], 'no outage';
        $gw->finish;
    };
}

$first->finish;
done_testing;
