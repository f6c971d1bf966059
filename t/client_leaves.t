# Clients that leave in every state of their request, at random moments, in every way
# of HTTP/1.1 and HTTP/2: no memory and no connection is left, and the requests of
# other clients are answered.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::FakeRedis;
use Gateway::Made;
use Gateway::Redis;
use Gateway::Upstream;
use Gateway::Versions;
use JSON::PP ();
use Socket qw(SOL_SOCKET SO_LINGER);
use Test::More;
use Time::HiRes qw(sleep);

my $many = $ENV{CLIENT_LEAVES} || 15;    # clients of each state and way

my $real = Gateway::Redis->start;
my $fake = Gateway::FakeRedis->start;
my $up = Gateway::Upstream->start(sub { return { delay => 0.03 } });
my $h2 = Gateway::Redis::free_port();

# nginx 1.22 keeps a connection that was reset while it discarded a body until
# keepalive_timeout
my $gw = Gateway->start(
    redis => $real, redis_url => $fake->url, redis_args => 'timeout=3s', upstream => $up->url, workers => 2,
    server => Gateway::Versions::http2("127.0.0.1:$h2") . ' keepalive_timeout 2s;',
);
my $token = $gw->tenant('acme', args => [ '--redis', $real->url ]);
$fake->copy($real);

my $json = JSON::PP::encode_json({ groupRef => 'g', consumerRef => 'c', provider => 'hubspot', x => 'y' x 300 });
my $n = 0;

# How a request is begun in each state: method, path, token, body, what of it is sent.

my %states = (
    'before the look-up' => sub { { method => 'GET', path => '/v1/integrations', token => $token, head => 40 } },
    'during the look-up' => sub { { method => 'GET', path => '/v1/integrations', token => Gateway::Made::token() } },
    'before its body' =>    sub { { method => 'POST', path => '/v1/oauth-connect', token => $token, body => $json, part => 0 } },
    'during its body' =>    sub { { method => 'POST', path => '/v1/oauth-connect', token => $token, body => $json, part => 50 } },
    'with look-up and body' => sub { { method => 'POST', path => '/v1/oauth-connect', token => Gateway::Made::token(), body => $json, part => 50 } },
    'after its body' =>     sub { { method => 'POST', path => '/v1/oauth-connect', token => $token, body => $json } },
    'during upstream' =>    sub { { method => 'GET', path => '/v1/integrations?q=' . ++$n, token => $token } },
    'in the cache lock' =>  sub { { method => 'GET', path => '/v1/integrations?l=' . int($n++ / 4), token => $token } },
);

sub begin {
    my ($r) = @_;
    my $socket = $gw->connect or die "connect: $!";
    my $head = "$r->{method} $r->{path} HTTP/1.1\r\nHost: a\r\nX-Api-Key: $r->{token}\r\n";
    $head .= "Content-Type: application/json\r\nContent-Length: " . length($r->{body}) . "\r\n" if $r->{body};
    my $bytes = "$head\r\n" . substr($r->{body} // '', 0, $r->{part} // length($r->{body} // ''));
    $bytes = substr $bytes, 0, $r->{head} if $r->{head};
    syswrite $socket, $bytes;
    return $socket;
}

sub begin_h2 {
    my ($r) = @_;
    my $body = $r->{body};
    my $part = defined $body && defined $r->{part};
    return Gateway::Made::h2(
        $h2, $r->{method}, $r->{path},
        [ 'x-api-key' => $r->{token}, defined $body ? ('content-type' => 'application/json', 'content-length' => length $body) : () ],
        $part ? ($r->{part} ? substr($body, 0, $r->{part}) : undef) : $body, end => !$part && !$r->{head},
    );
}

my $linger = pack 'ii', 1, 0;
my %ways = (
    close        => sub { close $_[0] },
    reset        => sub { setsockopt $_[0], SOL_SOCKET, SO_LINGER, $linger; close $_[0] },
    'half-close' => sub { shutdown $_[0], 1; sleep 0.001; push @Gateway::kept, $_[0] },
);
my %ways_h2 = (
    close      => $ways{close},
    reset      => $ways{reset},
    RST_STREAM => sub { syswrite $_[0], Gateway::Made::frame(3, 0, 1, pack 'N', 8); push @Gateway::kept, $_[0] },
    GOAWAY     => sub { syswrite $_[0], Gateway::Made::frame(7, 0, 0, pack 'NN', 0, 0); push @Gateway::kept, $_[0] },
);

sub sockets {
    my $count = 0;
    for my $pid ($gw->workers_pids) {
        $count += grep { (readlink($_) // '') =~ /^socket:/ } glob "/proc/$pid/fd/*";
    }
    return $count;
}

# The peers of the workers' sockets: printed when the test fails.

sub peers {
    my %inode;
    for my $pid ($gw->workers_pids) {
        (readlink($_) // '') =~ /^socket:\[(\d+)/ and $inode{$1} = $pid for glob "/proc/$pid/fd/*";
    }
    open my $f, '<', '/proc/net/tcp' or return;
    my %count;
    while (<$f>) {
        my @f = split;
        next unless $inode{ $f[9] };
        my ($here, $there) = map { hex((split /:/)[1]) } @f[1, 2];
        my %name = ($gw->port => 'HTTP/1.1', $h2 => 'HTTP/2', $up->port => 'upstream', $fake->port => 'Redis');
        $count{ ($name{$here} || $name{$there} || 'other') . " state $f[3]" }++;
    }
    return map { "$_: $count{$_}\n" } sort keys %count;
}

is $gw->get('/v1/integrations', token => $token)->{status}, 200, 'a tenant is served';
$gw->wait_for(sub { sockets() > 0 });
is $gw->get('/v1/integrations', token => $token)->{status}, 200, 'and again' for 1 .. 4;
my $before = sockets();
$fake->fault({ on => 'GET', key => 'token', delay => 0.02 });

for my $protocol ('HTTP/1.1', 'HTTP/2') {
    my ($begin, $how) = $protocol eq 'HTTP/2' ? (\&begin_h2, \%ways_h2) : (\&begin, \%ways);
    for my $state (sort keys %states) {
        local $SIG{PIPE} = 'IGNORE';
        for my $way (sort keys %$how) {
            my @here;
            for (1 .. $many) {
                push @here, $begin->($states{$state}->());
                sleep rand 0.003;
                $how->{$way}->(splice @here, rand @here, 1) if rand > 0.4;
            }
            $how->{$way}->($_) for @here;
        }
        @Gateway::kept = ();
        my $ok = grep { $gw->get('/v1/integrations', token => $token)->{status} == 200 } 1 .. 4;
        is $ok, 4, "$protocol: clients left $state, others are served";
    }
}

subtest 'curl and nghttp, killed' => sub {
    plan skip_all => 'no curl' unless grep { -x "$_/curl" } split /:/, $ENV{PATH};
    for (1 .. 10) {
        my $pid = fork // die;
        if (!$pid) {
            open STDOUT, '>', '/dev/null';
            open STDERR, '>', '/dev/null';
            exec 'curl', '-s', '--http2-prior-knowledge', '-H', "X-Api-Key: $token",
                "http://127.0.0.1:$h2/v1/integrations?c=" . $_ or POSIX::_exit(1);
        }
        sleep 0.01 + rand 0.03;
        kill 'KILL', $pid;
        waitpid $pid, 0;
    }
    is $gw->get('/v1/integrations', token => $token)->{status}, 200, 'served';
};

$fake->fault;
is $gw->get('/v1/integrations', token => Gateway::Made::token())->{status}, 401, 'look-ups are answered';
like $gw->access_log, qr/"status":499/, 'and the log has 499 for clients that left';
is $gw->status->{redis_failures_total}, 0, 'the link to Redis was never lost';
ok $gw->wait_for(sub { sockets() <= $before + 64 * 2 }), 'connections are closed';    # upstream keepalive
$up->stop;
ok $gw->wait_for(sub { sockets() <= $before + 2 }), 'all but those to Redis'
    or diag sockets(), ' were ', $before, "\n", peers();
$gw->finish;
done_testing;
