#!/usr/bin/perl

# ampctl as an ACL user: the rights that its remedy names are sufficient, each is
# necessary, and doctor names a missing one.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Gateway::Changes;
use Gateway::Ctl;
use Gateway::Redis;
use Gateway::Redis::Cluster;
use Gateway::Redis::Sentinel;

my $ctl = Gateway::Ctl->new;
my $probe = Gateway::Redis->start;
$ctl->{env}{AMPERSAND_MASTER_KEY_FILE} = $ctl->dir . '/master.key';
$ctl->run('masterkey', 'new', $ctl->dir . '/master.key');

# The rights are those of ampctl's remedy.

$probe->command(qw(ACL SETUSER ops on >pwcanary ~amp:* &amp:* +select));
my $remedy = $ctl->json('--redis', $probe->url('ops:pwcanary@'), qw(tenant list))->{doc}{error}{remedy};
my ($commands, $keys, $channel) = $remedy =~ /run ((?:\+\S+ )+)on .*\((~\S+)\) and channel \((&\S+)\)/;
ok $commands, 'the remedy names commands' or diag $remedy;
my @commands = split ' ', $commands;

sub doctor { my %c; push @{ $c{ $_->{check} } }, $_ for @{ $ctl->json('doctor')->{doc}{checks} }; return \%c }

for my $form (qw(single Sentinel Cluster)) {
    subtest "$form: these rights are sufficient" => sub {
        my %how = (users => { ops => "on >pwcanary $keys $channel @commands" }, password => 'masterpw');
        my $redis = $form eq 'single' ? Gateway::Redis->start(users => $how{users})
            : "Gateway::Redis::$form"->start(%how, replicas => $form eq 'Sentinel' ? 1 : 0);
        $ctl->{env}{AMPERSAND_REDIS} = $redis->url('ops:pwcanary@');
        Gateway::Changes::walk($ctl, $redis, $redis->subscribe('amp:events'));
        my @bad = grep { $_->{status} eq 'fail' && $_->{check} ne 'ampersand' } map { @$_ } values %{ doctor() };
        is_deeply \@bad, [], 'doctor finds nothing';
    };
}

subtest 'each right is necessary, and doctor names a missing one' => sub {
    $ctl->{env}{AMPERSAND_REDIS} = $probe->url('ops:pwcanary@');
    my %found = ('+@scripting' => 'redis writes', '+publish' => 'redis writes', '+time' => 'redis', '+info' => 'redis version',
        '+@write' => 'redis writes', '+@read' => 'tenants');
    for my $less (sort keys %found) {
        $probe->command(qw(ACL SETUSER ops reset on >pwcanary), $keys, $channel, grep { $_ ne $less } @commands);
        my ($check) = @{ doctor()->{ $found{$less} } || [] };
        is $check->{status}, 'fail', "without $less: $found{$less}" or diag explain $check;
        like $check->{remedy}, qr/\Q$less\E/, 'remedy';
    }
    $probe->command(qw(ACL SETUSER ops reset on >pwcanary ~other:*), $channel, @commands);
    is doctor()->{'redis writes'}[0]{status}, 'fail', 'without the keys';
    $probe->command(qw(ACL SETUSER ops reset on >pwcanary), $keys, @commands);
    is doctor()->{'redis writes'}[0]{status}, 'fail', 'without the channel';
};

subtest 'a cluster with one node that does not have the user' => sub {
    my $c = Gateway::Redis::Cluster->start(users => { ops => "on >pwcanary $keys $channel @commands" }, replicas => 0);
    $ctl->{env}{AMPERSAND_REDIS} = $c->url('ops:pwcanary@');
    my ($first, $second, $third) = $c->masters;
    $third->command(qw(ACL SETUSER ops -@write));
    my $bad = doctor()->{'redis writes'};
    is_deeply [ sort map { $_->{status} } @$bad ], [qw(fail ok)], 'another ACL';
    my ($fail) = grep { $_->{status} eq 'fail' } @$bad;
    my $port = $third->port;
    like $fail->{message}, qr/^Redis at 127\.0\.0\.1:$port does not permit/, 'the node is named';
    $third->command(qw(ACL DELUSER ops));
    like doctor()->{redis}[-1]{message}, qr/^Redis at 127\.0\.0\.1:$port refused user or password/, 'none';
};

subtest 'a Sentinel with a password' => sub {
    my $s = Gateway::Redis::Sentinel->start(replicas => 1, password => 'pwcanary', sentinel_password => 'pwcanary');
    is $ctl->json('--redis', $s->url(':pwcanary@'), qw(tenant list))->{code}, 0, 'gets the password of the URL';
    my $r = $ctl->json('--redis', $s->url(':wrongcanary@'), qw(tenant list));
    is $r->{doc}{error}{code}, 'redis_auth', 'a wrong one';
    like $r->{doc}{error}{message}, qr/Sentinel at/, 'the Sentinel is named' or diag $r->{out};
    is $ctl->json('--redis', $s->url, qw(tenant list))->{doc}{error}{code}, 'redis_auth', 'none';
};

unlike $ctl->said, qr/canary/, 'no command has printed a password';

done_testing;
