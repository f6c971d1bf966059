#!/usr/bin/perl

# ampctl audit: who has changed what.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use Test::More;

use Gateway::Ctl;
use Gateway::Redis;

my $redis = Gateway::Redis->start;
my $ctl   = Gateway::Ctl->new($redis);
my $key   = $ctl->file('key', "sk_canary_audit\n");

sub audit { return $ctl->json('audit', @_)->{doc} }
sub last_of { return audit()->[-1] }

subtest 'nothing was changed yet' => sub {
    is_deeply audit(), [], 'JSON';
    like $ctl->run('audit')->{out}, qr/^there are no such changes/, 'text';
};

subtest 'a change leaves a line: who, when, with which command, before and after' => sub {
    my $first = $ctl->json(qw(tenant add acme --project p-1 --key-file), $key)->{doc};
    my ($added, $token) = @{ audit() };
    is $added->{change}, 'tenant added', 'tenant add';
    is $added->{user}, (getpwuid $<)[0], 'user' unless $ENV{SUDO_USER};
    ok length $added->{host}, 'host';
    is $added->{command}, 'tenant add', 'command';
    is $added->{tenant}, 'acme', 'tenant';
    ok abs($added->{time} / 1000 - time) < 600, 'time';
    is $added->{before}, undef, 'before';
    is_deeply $added->{after}{project}, { id => 'p-1', name => '' }, 'after';
    is $token->{after}{id}, $first->{id}, 'its token, by the id';

    $ctl->run(qw(limit set acme --rate 5/s));
    my $line = last_of();
    is_deeply [ @$line{qw(change command tenant)} ], [ 'tenant changed', 'limit set', 'acme' ], 'limit set';
    is_deeply $line->{before}{limits}, {}, 'before';
    is_deeply $line->{after}{limits}, { default => { rate => '5/s', burst => 5 } }, 'after';
    like $ctl->run('audit')->{out}, qr{^\d{4}-\S+Z \S+@\S+ limit set: tenant changed acme\n    /limits/default: - -> \{"rate":"5/s","burst":5\}$}m, 'as text: what differs';
};

subtest 'every command that changes something' => sub {
    my $token = $ctl->json(qw(token issue acme --label ci))->{doc}{id};
    my %commands = (
        'token revoke'  => [ 'token revoked', $token ], 'grant add' => [ 'tenant changed', qw(acme --allow secrets) ],
        'grant remove'  => [ 'tenant changed', qw(acme --allow secrets) ], 'cache set' => [ 'tenant changed', qw(acme --ttl 5m) ],
        'cache purge'   => [ 'cache purged', 'acme' ], 'tenant disable' => [ 'tenant changed', 'acme' ],
        'tenant enable' => [ 'tenant changed', 'acme' ], 'cooldown clear' => [ 'cool-down ended', 'acme' ],
        'key set'       => [ 'tenant changed', 'acme', '--key-file', $key ], 'key retire' => [ 'tenant changed', qw(acme k1) ],
    );
    for my $command ('grant add', 'tenant disable', 'key set', sort grep { !/^(?:grant add|tenant disable|key set)$/ } keys %commands) {
        my ($change, @args) = @{ $commands{$command} };
        is $ctl->run(split(/ /, $command), @args)->{code}, 0, $command;
        is_deeply [ @{ last_of() }{qw(command change tenant)} ], [ $command, $change, 'acme' ], 'its line';
    }
    my $n = @{ audit() };
    $ctl->run(qw(limit set acme --rate 9/s --dry-run));
    $ctl->run(qw(tenant enable acme));
    $ctl->run(qw(token list acme));
    is scalar @{ audit() }, $n, 'what changes nothing leaves no line';
    $ctl->run(qw(tenant remove acme));
    is last_of()->{change}, 'tenant removed', 'tenant remove';
    unlike encode_json(audit()), qr/sk_canary|agw_|"sealed"/, 'no secret';
};

subtest '--tenant and --since' => sub {
    $ctl->run(qw(tenant add other --project p));
    is_deeply [ grep { $_->{tenant} ne 'other' } @{ audit('--tenant', 'other') } ], [], 'one tenant';
    is scalar @{ audit('--tenant', 'other') }, 2, 'all of its lines';
    is scalar @{ audit('--since', '1d') }, scalar @{ audit() }, 'since a day';
    $redis->command('XADD', 'amp:audit', '999999999999999-0', 'change', 'later', 'tenant', "x\x1b[2J");
    unlike $ctl->run('audit')->{out}, qr/\x1b/, 'no control character';
};

subtest 'more lines than are read at once' => sub {
    $redis->command('DEL', 'amp:audit');
    $redis->command('XADD', 'amp:audit', "$_-0", 'change', "c$_", 'tenant', 't') for 1 .. 1203;
    is_deeply [ map { $_->{change} } @{ audit() } ], [ map { "c$_" } 1 .. 1203 ], 'each, once, in order';
    $redis->command('DEL', 'amp:audit');
};

subtest '--follow shows what is changed from then on' => sub {
    my $job = $ctl->start(qw(audit --follow --json));
    my $seen = sub { open my $f, '<', "$job->{base}.out" or return ''; local $/; return <$f> // '' };
    $ctl->run(qw(tenant disable other));
    ok Gateway::Redis::wait_for(sub { $seen->() =~ /"command":"tenant disable"/ }), 'a change';
    $ctl->run(qw(tenant enable other));
    ok Gateway::Redis::wait_for(sub { $seen->() =~ /"command":"tenant enable"/ }), 'the next one';
    kill 'TERM', $job->{pid};
    $ctl->wait($job);
    is scalar(() = $seen->() =~ /tenant disable/g), 1, 'each once';
};

subtest 'a stream that cannot be written: the change is made, with a warning' => sub {
    $redis->command('DEL', 'amp:audit');
    $redis->command('SET', 'amp:audit', 'x');
    my $r = $ctl->run(qw(tenant disable other));
    is $r->{code}, 0, 'done';
    like $r->{err}, qr/^ampctl: warning: the change is made, but is not in the audit stream/, 'the warning';
    ok decode_json($redis->command('GET', 'amp:tenant:other'))->{disabled}, 'it is made';
};

done_testing;
