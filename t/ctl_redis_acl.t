#!/usr/bin/perl

# The rights of the ACL user: one list, which the docs and the remedies of ampctl
# show; it is sufficient, each right is necessary, and doctor names a missing one.

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
my ($rules) = $remedy =~ /: ACL SETUSER ops (.*) \(Redis 6\.0: without &amp:events\)$/;
ok $rules, 'the remedy is a command of Redis' or diag $remedy;
my ($keys, $channel, @commands) = split ' ', $rules;
is "$keys $channel", '~amp:* &amp:events', 'keys and channel';
like $ctl->json('--redis', $probe->url('ops:pwcanary@'), qw(tenant list --prefix stage:))->{doc}{error}{remedy},
    qr/ ~stage:\* &stage:events .*without &stage:events/, 'those of another prefix';

sub slurp { open my $f, '<', $_[0] or die "$_[0]: $!"; local $/; return scalar <$f> }

subtest 'the docs name the same rights' => sub {
    my ($line) = slurp('docs/redis.md') =~ /^ +ACL SETUSER gateway on >PASSWORD (.*?)\n\n/ms;
    is join(' ', split ' ', $line // ''), $rules, 'docs/redis.md';
};

# What the sources send: words in capitals that begin a command, and the calls in scripts.

subtest 'the rights are those of the commands in the sources' => sub {
    my %sent = (subscribe => 1);
    for my $file (glob 'src/module/*/*.c src/ctl/*.c src/core/*.lua') {
        my $text = slurp($file);
        if ($file =~ /lua$/) {
            $sent{lc $1} = 1 while $text =~ /redis\.p?call\('(\w+)'/g;
            next;
        }
        $sent{lc $1} = 1 while $text =~ /argv\[(?:0|n\+\+)\] = [^;]*?amp_span\("([A-Z]+)"\)/g;
        $sent{lc $1} = 1 while $text =~ /eval \? amp_span\("EVAL"\) : amp_span\("([A-Z]+)"\)/g;
        $sent{lc $1} = 1 while $text =~ /hs->master \? amp_span\("ROLE"\) : amp_span\("([A-Z]+)"\)/g;
        $sent{lc $1} = 1 while $text =~ /argv\[0\] = "([A-Z]+)"/g;
        $sent{lc $1} = 1 while $text =~ /(?:store_queue|store_command|_command|redisFormatCommand|tenant_set_of_ids)\([^;]*?"([A-Z]{3,})\b/g;
    }
    # CONFIG is of doctor alone, which goes on without it; AUTH needs no right; SENTINEL is for Sentinels
    delete @sent{qw(config auth sentinel)};
    is_deeply [ sort keys %sent ], [ sort map { /^\+(\w+)/ } @commands ], 'each, and no other';
};

sub doctor { my %c; push @{ $c{ $_->{check} } }, $_ for @{ $ctl->json('doctor')->{doc}{checks} }; return \%c }

for my $form (qw(single Sentinel Cluster)) {
    subtest "$form: these rights are sufficient" => sub {
        my %how = (users => { ops => "on >pwcanary -\@all $rules" }, password => 'masterpw');
        my $redis = $form eq 'single' ? Gateway::Redis->start(users => $how{users})
            : "Gateway::Redis::$form"->start(%how, replicas => $form eq 'Sentinel' ? 1 : 0);
        $ctl->{env}{AMPERSAND_REDIS} = $redis->url('ops:pwcanary@');
        Gateway::Changes::walk($ctl, $redis, $redis->subscribe('amp:events'));
        my @bad = grep { $_->{status} eq 'fail' && $_->{check} ne 'ampersand' } map { @$_ } values %{ doctor() };
        is_deeply \@bad, [], 'doctor finds nothing' or diag explain \@bad;
    };
}

# Redis says what is missing; without EVAL it cannot be asked, and doctor tries each command.

for my $how ([ 'asked' ], [ 'tried', '+eval' ]) {
    my ($name, @less) = @$how;
    subtest "each right is necessary, and doctor names a missing one: $name" => sub {
        $ctl->{env}{AMPERSAND_REDIS} = $probe->url('ops:pwcanary@');
        my $rights = sub {
            $probe->command(qw(ACL SETUSER ops reset on >pwcanary), @_);
            return doctor()->{'redis rights'}[0];
        };
        my $without = sub { my %less = map { $_ => 1 } @less, @_; return grep { !$less{$_} } @commands };
        # those that another form of the URL needs
        for my $less (grep { !/asking|cluster|role|select/ } @commands) {
            my $check = $rights->($keys, $channel, $without->($less));
            is $check->{status}, 'fail', "without $less" or diag explain $check;
            my %names = map { substr($_, 1) => 1 } @less, $less;
            my $names = join ', ', sort keys %names;
            like $check->{message}, qr/^the user "ops" may not run \Q$names\E$/, 'named';
            like $check->{remedy}, qr/ACL SETUSER ops \Q$rules\E/, 'remedy';
        }
        my $with = $rights->($keys, $channel, $without->());
        is $with->{status}, @less ? 'fail' : 'ok', 'with all that are left';
        for my $family ($name eq 'asked' ? qw(token:* tokens:* tenant:* tenants gen:* limit:* cooldown:* usage:* doctor:*) : 'gen:*') {
            my @patterns = map { "~amp:$_" } grep { $_ ne $family } qw(token:* tokens:* tenant:* tenants gen:* limit:* cooldown:* usage:* doctor:*);
            like $rights->(@patterns, $channel, $without->())->{message}, qr/\bany command on amp:\Q$family\E/, "without ~amp:$family";
        }
        like $rights->($keys, $without->())->{message}, qr/any command on amp:events$/, 'without the channel';
        like $rights->('~other:*', $channel, $without->())->{message}, qr/any command on amp:token:\*, .*any command on amp:limit:\*/, 'without the keys';
    };
}

subtest 'a change and an event of the doctor' => sub {
    $probe->command(qw(ACL SETUSER ops reset on >pwcanary), $keys, @commands);
    my $check = doctor()->{'redis writes'}[0];
    is $check->{status}, 'fail', 'without the channel';
    like $check->{remedy}, qr/&amp:events/, 'remedy';
};

is_deeply $probe->command('KEYS', 'amp:*'), [], 'doctor leaves no key behind';

subtest 'a cluster with one node that does not have the user' => sub {
    my $c = Gateway::Redis::Cluster->start(users => { ops => "on >pwcanary -\@all $rules" }, replicas => 0);
    $ctl->{env}{AMPERSAND_REDIS} = $c->url('ops:pwcanary@');
    my ($first, $second, $third) = $c->masters;
    $third->command(qw(ACL SETUSER ops -@write));
    my $all = doctor();
    my $port = $third->port;
    my ($right) = grep { $_->{status} eq 'fail' } @{ $all->{'redis rights'} };
    like $right->{message}, qr/^Redis at 127\.0\.0\.1:$port: the user "ops" may not run .*\bhset\b/, 'the node is named, with the rights';
    my $bad = $all->{'redis writes'};
    is_deeply [ sort map { $_->{status} } @$bad ], [qw(fail ok)], 'another ACL';
    my ($fail) = grep { $_->{status} eq 'fail' } @$bad;
    like $fail->{message}, qr/^Redis at 127\.0\.0\.1:$port does not permit/, 'the node is named';
    $third->command(qw(ACL DELUSER ops));
    like doctor()->{redis}[-1]{message}, qr/^Redis at 127\.0\.0\.1:$port refused user or password/, 'none';
};

for my $form (qw(Sentinel Cluster)) {
    subtest "$form: a replica, which may be the next master" => sub {
        my $all = "Gateway::Redis::$form"->start(replicas => 1, users => { ops => "on >pwcanary -\@all $rules" });
        $ctl->{env}{AMPERSAND_REDIS} = $all->url('ops:pwcanary@');
        my @masters = $form eq 'Cluster' ? $all->masters : $all->master;
        my ($replica) = grep { my $node = $_; !grep { $_ == $node } @masters } $all->nodes;
        my $port = $replica->port;
        my $first = doctor();
        is_deeply [ map { $_->{status} } @{ $first->{'redis rights'} } ], ['ok'], 'the same rights everywhere';
        is $first->{'redis replicas'}, undef, 'nothing to be said of replicas';
        $replica->command(qw(ACL SETUSER ops -hset));
        my ($right) = grep { $_->{status} eq 'fail' } @{ doctor()->{'redis rights'} };
        is $right->{message}, "Redis at 127.0.0.1:$port: the user \"ops\" may not run hset", 'it lacks a right';
        like $right->{remedy}, qr/ACL SETUSER ops /, 'the remedy';
        $replica->command(qw(ACL DELUSER ops));
        my ($fail) = @{ doctor()->{'redis replicas'} };
        is $fail->{status}, 'fail', 'it lacks the user';
        like $fail->{message}, qr/^(?:Redis at \S+: )?a replica, which may be the next master: Redis at 127\.0\.0\.1:$port refused user or password/, 'and is named';
    };
}

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
