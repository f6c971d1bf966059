# Reload, a killed worker and shut-down under load: no request fails but those in the
# hands of a killed worker, the zone survives, and old workers exit.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA ();
use Gateway;
use Gateway::FakeRedis;
use Gateway::Made;
use Gateway::Redis;
use Test::More;

my $real = Gateway::Redis->start;
my $fake = Gateway::FakeRedis->start;
my $gw = Gateway->start(redis => $real, redis_url => $fake->url, redis_args => 'timeout=1s', workers => 2);
my @tokens = map { $gw->tenant("t$_", args => [ '--redis', $real->url ]) } 1 .. 5;
$fake->copy($real);
my $path = '/v1/integrations';

# Clients: keep-alive, with a new connection for each request, and with unknown
# tokens; each writes the number of its requests and its failures to a file.

sub client {
    my ($kind, $file) = @_;
    my ($n, %bad, $socket) = (0);
    my $stop = 0;
    $SIG{TERM} = sub { $stop = 1 };
    $SIG{PIPE} = 'IGNORE';
    until ($stop) {
        my $token = $kind eq 'unknown token' ? Gateway::Made::token() : $tokens[ $n % 5 ];
        my $expected = $kind eq 'unknown token' ? 401 : 200;
        my $uri = "$path?n=" . ($n++ % 50);
        my $res;
        if ($kind eq 'keep-alive') {
            # a server may close an idle connection at any time (RFC 9112, 9.5)
            for my $try (1, 2) {
                my $fresh = !$socket;
                $socket ||= $gw->connect or last;
                syswrite $socket, "GET $uri HTTP/1.1\r\nHost: a\r\nX-Api-Key: $token\r\n\r\n";
                $res = Gateway::read_response($socket);
                undef $socket if $res->{cut} || lc($res->{headers}{connection} // '') eq 'close';
                last if $fresh || $res->{status};
            }
        } else {
            $res = eval { $gw->get($uri, token => $token) };
        }
        last if $stop;    # the signal may have cut the read short
        $bad{ ($res && $res->{status}) || 'none' }++ unless $res && $res->{status} == $expected && !$res->{cut};
    }
    open my $f, '>', $file or die $!;
    print $f join ' ', $n, map { "$_:$bad{$_}" } sort keys %bad;
    close $f;
}

my @clients;

# Waits for so many requests, as the gateway counts them.

sub answered {
    my ($more) = @_;
    my $count = sub { my $sum = 0; $sum += $_ for values %{ $gw->status->{requests} }; return $sum };
    my $before = $count->();
    return $gw->wait_for(sub { $count->() >= $before + $more });
}

sub clients {
    my $i = 0;
    for my $kind (@_) {
        my $file = $gw->dir . '/client.' . $i++;
        my $pid = fork // die "fork: $!";
        if (!$pid) {
            client($kind, $file);
            POSIX::_exit(0);
        }
        push @clients, { pid => $pid, kind => $kind, file => $file };
    }
}

sub results {
    kill 'TERM', $_->{pid} for @clients;
    waitpid $_->{pid}, 0 for @clients;
    my ($total, @bad) = (0);
    for my $c (splice @clients) {
        my ($n, @wrong) = split / /, Gateway::_slurp($c->{file});
        $total += $n || 0;
        push @bad, map { "$c->{kind} $_" } @wrong;
    }
    return ($total, @bad);
}

END { kill 'KILL', map { $_->{pid} } @clients if @clients }

my @kinds = ('keep-alive', 'keep-alive', 'new', 'unknown token');

$gw->get($path, token => $_) for @tokens;

subtest 'reload' => sub {
    my $before = $gw->status;
    $fake->fault({ on => 'GET', key => 'token', delay => 0.02 });    # look-ups are under way at each reload
    clients(@kinds);
    for (1 .. 5) {
        my %old = map { $_ => 1 } $gw->workers_pids;
        answered(40);
        $gw->reload;
        ok $gw->wait_for(sub { !grep { $old{$_} } $gw->workers_pids }), 'the old workers exit';
    }
    my ($n, @bad) = results();
    is_deeply \@bad, [], "none of $n requests failed";
    cmp_ok $n, '>=', 200, 'there was load';
    my $after = $gw->status;
    cmp_ok $after->{zone_tenants}, '>=', 5, 'the zone is the same';
    cmp_ok $after->{lookups_total}, '>=', $before->{lookups_total}, 'its counters too';

    $fake->fault;
    $gw->get($path, token => $_) for @tokens;
    $fake->clear;
    $gw->get($path, token => $_) for @tokens;
    is $fake->count('GET'), 0, 'a tenant that was verified after the reload is not looked up again';
};

subtest 'a reload while Redis is silent' => sub {
    $fake->fault({ silent => 1 }, { on => 'PING', silent => 1 }, { on => 'connect', silent => 1 });
    $fake->kick;
    my %old = map { $_ => 1 } $gw->workers_pids;
    $gw->reload;
    ok $gw->wait_for(sub { !grep { $old{$_} } $gw->workers_pids }), 'the old workers exit while Redis is silent';
    my $ok = grep { $gw->get($path, token => $_)->{status} == 200 } @tokens;
    is $ok, 5, 'the new workers serve tenants in the zone';
    $fake->fault;
    ok $gw->wait_for(sub { $gw->get($path, token => Gateway::Made::token())->{status} == 401 }), 'and look up tokens when Redis answers';
};

subtest 'a worker that is killed' => sub {
    ok $gw->wait_for(sub { $gw->workers_pids == 2 && $gw->linked }), 'every link is up';
    clients(@kinds);
    for (1 .. 4) {
        answered(30);
        my ($pid) = $gw->workers_pids;
        kill 'KILL', $pid;
        ok $gw->wait_for(sub { my @now = $gw->workers_pids; @now >= 2 && !grep { $_ == $pid } @now }), 'is replaced';
    }
    answered(40);
    my ($n, @bad) = results();
    my $failed = 0;
    $failed += (split /:/)[1] for @bad;
    is_deeply [ grep { !/none/ } @bad ], [], 'no answer was wrong';
    cmp_ok $failed, '<=', 4 * @kinds, "of $n requests only those of the killed workers failed";
    my $ok = grep { $gw->get($path, token => $_)->{status} == 200 } (@tokens) x 4;
    is $ok, 20, 'all is served';
    my $status = $gw->status;
    is $status->{zone_tenants}, 5, 'the zone is whole';
    ok $gw->wait_for(sub { $gw->status->{redis_events_up} }), 'and listens to events';
};

subtest 'a worker that is killed before Redis has confirmed an invalidation' => sub {
    my $sent = sub { return (grep { $_->[0] eq 'EVALSHA' && $_->[3] eq 'amp:gen:p-t1' } $fake->commands)[0] };
    my $write = sub { return $gw->request('POST', $path, token => $tokens[0], json => {})->{status} };
    ok $gw->wait_for(sub { $gw->linked }), 'every link is up';
    $write->();
    ok $gw->wait_for($sent), 'a write sends an invalidation';
    my $script = $sent->()[1];
    $fake->fault({ on => 'EVALSHA', key => $script, silent => 1 });
    $fake->clear;
    $write->();
    ok $gw->wait_for($sent), 'there is no reply to the next one';
    my @old = $gw->workers_pids;
    kill 'KILL', @old;
    ok $gw->wait_for(sub { my @now = $gw->workers_pids; @now >= 2 && !grep { my $pid = $_; grep { $_ == $pid } @old } @now }), 'the workers are replaced';
    $fake->clear;
    $fake->fault;
    ok $gw->wait_for($sent), 'another worker sends it again';
    ok $gw->wait_for(sub { $gw->linked }), 'every link is up';
};

subtest 'shutting down' => sub {
    clients('keep-alive', 'unknown token');
    answered(20);
    my $slow = $gw->connect;
    my $last = Gateway::Made::token();
    my $digest = Digest::SHA::sha256_hex($last);
    $fake->fault({ on => 'GET', key => $digest, hold => 1 });
    syswrite $slow, "GET $path HTTP/1.1\r\nHost: a\r\nX-Api-Key: $last\r\n\r\n";
    ok $gw->wait_for(sub { $fake->count('GET', qr/$digest/) }), 'a look-up has begun';
    kill 'QUIT', $gw->pid;
    ok $gw->wait_for(sub { $gw->error_log =~ /gracefully shutting down/ }), 'QUIT';
    $fake->release;
    is Gateway::read_response($slow)->{status}, 401, 'the request that waits for it is answered';
    results();
    ok $gw->wait_for(sub { waitpid($gw->pid, POSIX::WNOHANG()) != 0 }), 'and nginx is gone';
    delete $gw->{pid};
};

# The time-out of a command is far above the patience of wait_for().

subtest 'a quit does not wait for the time-out of a command that was answered' => sub {
    my $idle = Gateway->start(redis => $real, redis_args => 'timeout=300s', workers => 1);
    is $idle->get($path, token => Gateway::Made::token())->{status}, 401, 'a look-up was answered';
    kill 'QUIT', $idle->pid;
    ok $idle->wait_for(sub { waitpid($idle->pid, POSIX::WNOHANG()) != 0 }), 'nginx is gone';
    delete $idle->{pid};
    $idle->finish;
};

unlike $gw->error_log, qr/open socket/, 'no socket was left open';
$gw->finish(killed => 1);
done_testing;
