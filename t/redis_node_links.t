#!/usr/bin/perl

# Links to Redis by node and state, of all workers: what the metric says is what
# the servers say of their clients, after losses, reloads and the death of a worker.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::Redis;
use Gateway::Redis::Cluster;
use Gateway::Redis::Sentinel;
use Test::More;

# { "127.0.0.1:port" => { up => 2, ... } }, from Prometheus' text; JSON says the same.

sub links {
    my ($gw) = @_;
    my %links;
    my $text = $gw->get('/-/status?format=prometheus')->{body};
    $links{$1}{$2} = $3 + 0 while $text =~ /^ampersand_redis_node_links\{node="([^"]+)",state="(\w+)"\} (\d+)$/mg;
    return \%links;
}

# "up/connecting/down" of a server, or "" where it is not named

sub of {
    my ($gw, $port) = @_;
    my $of = links($gw)->{"127.0.0.1:$port"} or return '';
    return join '/', @{$of}{qw(up connecting down)};
}

sub becomes {
    my ($gw, $port, $expected, $what) = @_;
    my $found;
    ok $gw->wait_for(sub { ($found = of($gw, $port)) eq $expected }), $what or diag $found;
    return;
}

subtest 'one Redis' => sub {
    my $redis = Gateway::Redis->start;
    my $gw = Gateway->start(redis => $redis, workers => 2);
    becomes($gw, $redis->port, '3/0/0', 'a link of each worker, and the subscription');
    is_deeply $gw->status->{redisNodes}, links($gw), 'JSON says the same';
    my ($worker) = $gw->workers_pids;
    kill 'KILL', $worker;
    ok $gw->wait_for(sub { !grep { $_ == $worker } $gw->workers_pids }), 'a worker was killed';
    becomes($gw, $redis->port, '3/0/0', 'its links are not counted any more');
    ok $gw->reload, 'a reload';
    becomes($gw, $redis->port, '3/0/0', 'those of the workers before are gone');
    $redis->stop;
    becomes($gw, $redis->port, '0/0/3', 'it is away');
    $redis->restart;
    becomes($gw, $redis->port, '3/0/0', 'and back');
    is scalar(keys %{ links($gw) }), 1, 'no other server';
    $gw->finish(killed => 1);
};

subtest 'a socket' => sub {
    my $redis = Gateway::Redis->start;
    my $path = $redis->socket;
    chmod 0755, $redis->dir;    # nginx's workers may run as another user
    chmod 0777, $path;
    my $gw = Gateway->start(redis_url => "unix:$path");
    ok $gw->wait_for(sub { (links($gw)->{"unix:$path"}{up} // 0) == 2 }), 'by its path' or diag explain links($gw);
    $gw->finish;
};

subtest 'a cluster' => sub {
    my $c = Gateway::Redis::Cluster->start;
    my $gw = Gateway->start(redis => $c, workers => 2);
    $gw->get('/v1/integrations', token => $_) for map { $gw->tenant($_) } 1 .. 12;
    my @ports = map { $_->port } $c->masters;
    ok $gw->wait_for(sub { @ports == grep { of($gw, $_) =~ m{^[1-9]\d*/0/0$} } @ports }), 'links to each master' or diag explain links($gw);
    my ($lost) = $c->masters;
    $c->crash($lost);
    becomes($gw, $lost->port, '', 'a master that has left is not named');
    my @now = map { $_->port } $c->masters;
    ok $gw->wait_for(sub { $gw->linked && @now == grep { of($gw, $_) =~ m{^[1-9]\d*/0/0$} } @now }), 'its replica is' or diag explain links($gw);
    $gw->finish;
};

subtest 'Sentinels' => sub {
    my $s = Gateway::Redis::Sentinel->start;
    my $gw = Gateway->start(redis => $s, workers => 2);
    becomes($gw, $s->master->port, '3/0/0', 'the master');
    ok $gw->wait_for(sub { keys %{ links($gw) } > 1 && !grep { $_->{down} } values %{ links($gw) } }), 'and the Sentinels' or diag explain links($gw);
    my ($lost) = $s->sentinels;
    $lost->stop;
    ok $gw->wait_for(sub { of($gw, $lost->port) =~ m{^0/\d/[1-9]} }), 'one of these that is away' or diag explain links($gw);
    becomes($gw, $s->master->port, '3/0/0', 'while the master is there');
    $gw->finish;
};

done_testing;
