# Reload, kill and shut down under load: nobody who asks properly is let down,
# what the zone knows survives, and old workers really go.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::FakeRedis;
use Gateway::Made;
use Gateway::Redis;
use Test::More;
use Time::HiRes qw(sleep time);

my $real = Gateway::Redis->start;
my $fake = Gateway::FakeRedis->start;
my $gw = Gateway->start(redis => $real, redis_url => $fake->url, workers => 2);
my @tokens = map { $gw->tenant("t$_", args => [ '--redis', $real->url ]) } 1 .. 5;
$fake->copy($real);
my $path = '/v1/integrations';

# Clients: keep-alive, new connections, and strangers; each writes what went
# wrong to its file, and the number of its requests.

sub client {
    my ($kind, $file) = @_;
    my ($n, %bad, $socket) = (0);
    my $stop = 0;
    $SIG{TERM} = sub { $stop = 1 };
    $SIG{PIPE} = 'IGNORE';
    until ($stop) {
        my $token = $kind eq 'stranger' ? Gateway::Made::token() : $tokens[ $n % 5 ];
        my $expected = $kind eq 'stranger' ? 401 : 200;
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

my @kinds = ('keep-alive', 'keep-alive', 'new', 'stranger');

$gw->get($path, token => $_) for @tokens;

subtest 'reload' => sub {
    my $before = $gw->status;
    $fake->fault({ on => 'GET', key => 'token', delay => 0.02 });    # look-ups are under way at each reload
    clients(@kinds);
    for (1 .. 5) {
        my %old = map { $_ => 1 } $gw->workers_pids;
        sleep 0.2;
        $gw->reload;
        my $start = time;
        ok $gw->wait_for(sub { !grep { $old{$_} } $gw->workers_pids }), "the old workers go";
        cmp_ok time - $start, '<', 2, 'within two seconds';
    }
    my ($n, @bad) = results();
    is_deeply \@bad, [], "none of $n requests failed";
    cmp_ok $n, '>', 200, 'there was load';
    my $after = $gw->status;
    cmp_ok $after->{zone_tenants}, '>=', 5, 'the zone is the same';
    cmp_ok $after->{lookups_total}, '>=', $before->{lookups_total}, 'its counters too';

    $fake->fault;
    $gw->get($path, token => $_) for @tokens;
    $fake->clear;
    $gw->get($path, token => $_) for @tokens;
    is $fake->count('GET'), 0, 'who was verified once after the reload is not asked for again';
};

subtest 'a reload while Redis is silent' => sub {
    $fake->fault({ silent => 1 }, { on => 'PING', silent => 1 }, { on => 'connect', silent => 1 });
    $fake->kick;
    my %old = map { $_ => 1 } $gw->workers_pids;
    $gw->reload;
    my $start = time;
    ok $gw->wait_for(sub { !grep { $old{$_} } $gw->workers_pids }), 'the old workers go';
    cmp_ok time - $start, '<', 2, 'within two seconds: nothing of Redis holds them';
    my $ok = grep { $gw->get($path, token => $_)->{status} == 200 } @tokens;
    is $ok, 5, 'the new ones serve known tenants';
    $fake->fault;
    ok $gw->wait_for(sub { $gw->get($path, token => Gateway::Made::token())->{status} == 401 }), 'and look up again when it answers';
};

subtest 'a worker that is killed' => sub {
    ok $gw->wait_for(sub { $gw->workers_pids == 2 && $gw->status->{redis_links_up} == 2 }),
        'after the silence every worker has its link again';
    clients(@kinds);
    for (1 .. 4) {
        sleep 0.15;
        my ($pid) = $gw->workers_pids;
        kill 'KILL', $pid;
        ok $gw->wait_for(sub { my @now = $gw->workers_pids; @now >= 2 && !grep { $_ == $pid } @now }), 'is replaced';
    }
    sleep 0.2;
    my ($n, @bad) = results();
    my $failed = 0;
    $failed += (split /:/)[1] for @bad;
    is_deeply [ grep { !/none/ } @bad ], [], 'no answer was wrong';
    cmp_ok $failed, '<=', 4 * @kinds, "of $n requests only those it had in hand failed";
    my $ok = grep { $gw->get($path, token => $_)->{status} == 200 } (@tokens) x 4;
    is $ok, 20, 'all is served';
    my $status = $gw->status;
    is $status->{zone_tenants}, 5, 'the zone is whole';
    ok $gw->wait_for(sub { $gw->status->{redis_events_up} }), 'and listens to events';
};

subtest 'shutting down' => sub {
    clients('keep-alive', 'stranger');
    sleep 0.2;
    my $slow = $gw->connect;
    $fake->fault({ on => 'GET', key => 'token', delay => 0.06 });
    syswrite $slow, "GET $path HTTP/1.1\r\nHost: a\r\nX-Api-Key: " . Gateway::Made::token() . "\r\n\r\n";
    $gw->wait_for(sub { $fake->count('GET', qr/token/) });
    sleep 0.01;
    kill 'QUIT', $gw->pid;
    is Gateway::read_response($slow)->{status}, 401, 'QUIT: who is being looked up is answered';
    results();
    ok $gw->wait_for(sub { waitpid($gw->pid, POSIX::WNOHANG()) != 0 }), 'and nginx is gone';
    delete $gw->{pid};
};

unlike $gw->error_log, qr/open socket/, 'no socket was left open';
is scalar(grep { /\[alert\]/ && !/exited on signal 9/ } split /\n/, $gw->error_log), 0, 'no other alert than that of the killed workers';
done_testing;
