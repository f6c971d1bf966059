#!/usr/bin/perl

# ampctl events --follow: each change when it is announced, from one Redis, a
# cluster, and the master that Sentinels name; after a lost connection it says
# since when changes may have been missed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use Test::More;

use Gateway::Ctl;
use Gateway::Redis;
use Gateway::Redis::Cluster;
use Gateway::Redis::Sentinel;

my $ctl;

sub text {
    my ($job, $kind) = @_;
    open my $f, '<', "$job->{base}.$kind" or return '';
    local $/;
    return <$f> // '';
}

sub says {
    my ($job, $pattern, $name) = @_;
    ok Gateway::Redis::wait_for(sub { text($job, 'out') =~ $pattern }), $name or diag text($job, 'out'), text($job, 'err');
    return;
}

sub follow {
    my (@args) = @_;
    my $job = $ctl->start(qw(events --follow), @args);
    ok Gateway::Redis::wait_for(sub { text($job, 'err') =~ /^ampctl: listening at Redis at \S+$/m }), 'it says where it listens'
        or diag text($job, 'err');
    return $job;
}

sub finish {
    my ($job) = @_;
    kill 'INT', $job->{pid};
    return $ctl->wait($job);
}

subtest 'one Redis' => sub {
    my $redis = Gateway::Redis->start;
    $ctl = Gateway::Ctl->new($redis);
    my $text = follow();
    my $json = follow('--json');

    $ctl->run({ stdin => "sk_canary\n" }, qw(tenant add acme --project p-1 --key-file -));
    says($text, qr/^\S+Z tenant acme: revision \d+$/m, 'a tenant');
    says($text, qr/^\S+Z token of tenant acme, with the hash [0-9a-f]{12}\.\.\.$/m, 'its token, by its hash');
    $ctl->run(qw(cache purge acme));
    says($text, qr/^\S+Z purge of project p-1, all: generation \d+$/m, 'a purge');
    $ctl->run(qw(cache purge acme --family connections));
    says($text, qr/^\S+Z purge of project p-1, connections: generation \d+$/m, 'of a family');
    $redis->command('PUBLISH', 'amp:events', '{"v":1,"type":"cooldown","tenant":"acme","ms":1500}');
    says($text, qr/^\S+Z cool-down of tenant acme: 1\.5 s$/m, 'a cool-down');
    $redis->command('PUBLISH', 'amp:events', '{"v":1,"type":"cooldown","tenant":"acme","ms":0}');
    says($text, qr/^\S+Z cool-down of tenant acme: ended$/m, 'its end');
    $redis->command('PUBLISH', 'amp:events', "\e[31m\xc2\x9b{\"v\":9");
    says($text, qr/^\S+Z a message of another version: \?\[31m\?\{"v":9$/m, 'what it does not know, without control characters');

    my @lines;
    Gateway::Redis::wait_for(sub { @lines = split /\n/, text($json, 'out'); @lines >= 7 });
    my @docs = map { JSON::PP->new->utf8->decode($_) } @lines;
    is_deeply $docs[0]{event}, { v => 1, type => 'tenant', tenant => 'acme', rev => $docs[0]{event}{rev} }, 'JSON: the message';
    cmp_ok abs(time - $docs[0]{time}), '<', 600, 'and the time';
    ok exists $docs[-1]{event} && !defined $docs[-1]{event}, 'null for what is no JSON';

    # lost: killed by Redis, and Redis restarted

    $redis->command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    says($text, qr/^\S+Z events since \S+Z may have been missed: the connection was lost$/m, 'a lost connection');
    says($json, qr/^\{"time":\d+,"missed":\{"since":\d+\}\}$/m, 'as JSON');
    $redis->stop;
    ok Gateway::Redis::wait_for(sub { text($text, 'err') =~ /warning: .*; trying again/ }), 'no Redis: it tries again';
    $redis->restart;
    says($text, qr/(?:may have been missed.*){2}/s, 'until Redis is back');
    $ctl->run(qw(tenant disable acme));
    $redis->command('PUBLISH', 'amp:events', '{"v":1,"type":"mark","rev":7}');
    says($text, qr/^\S+Z mark 7, of ampctl gateway wait$/m, 'and goes on');
    is finish($text)->{code}, -2, 'Ctrl-C ends it';
    finish($json);

    # a connection that hangs

    my $hung = follow('--timeout', '500ms');
    $redis->pause;
    ok Gateway::Redis::wait_for(sub { text($hung, 'err') =~ /warning: / }), 'a Redis that hangs is noticed';
    $redis->resume;
    says($hung, qr/may have been missed/, 'and heard again');
    finish($hung);

    my $r = $ctl->run('events');
    is $r->{code}, 2, 'without --follow: wrong usage';
    like $r->{err}, qr/--follow.*\n.*ampctl audit/, 'the remedy';
    $redis->stop;
    is $ctl->run(qw(events --follow))->{code}, 3, 'no Redis at the start: an error';
};

subtest 'a cluster: all nodes are heard at one' => sub {
    my $cluster = Gateway::Redis::Cluster->start(replicas => 0);
    $ctl = Gateway::Ctl->new($cluster);
    my $job = follow();
    $_->command('PUBLISH', 'amp:events', '{"v":1,"type":"mark","rev":' . $_->port . '}') for $cluster->nodes;
    for my $node ($cluster->nodes) {
        my $port = $node->port;
        says($job, qr/mark $port,/, 'a node');
    }
    my ($port) = text($job, 'err') =~ /listening at Redis at \S+:(\d+)/;
    my ($at) = grep { $_->port == $port } $cluster->nodes;
    my ($other) = grep { $_->port != $port } $cluster->nodes;
    $at->crash;
    says($job, qr/may have been missed/, 'when its node dies it goes to another');
    $other->command('PUBLISH', 'amp:events', '{"v":1,"type":"mark","rev":7}');
    says($job, qr/mark 7,/, 'and goes on');
    finish($job);
};

subtest 'Sentinel: a fail-over is followed' => sub {
    my $s = Gateway::Redis::Sentinel->start(replicas => 1);
    $ctl = Gateway::Ctl->new($s);
    my $job = follow();
    $s->failover('crash');
    says($job, qr/may have been missed/, 'it says what may have been missed');
    $s->command('PUBLISH', 'amp:events', '{"v":1,"type":"mark","rev":8}');
    says($job, qr/mark 8,/, 'and hears the new master');
    finish($job);
};

done_testing;
