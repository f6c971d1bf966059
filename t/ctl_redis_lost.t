#!/usr/bin/perl

# A master that executes a command and fails before it replies: ampctl sends the
# command again, and the change is made once.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use POSIX ();
use Test::More;

use Gateway::Ctl;
use Gateway::FakeRedis;
use Gateway::Redis;

my $main  = $$;
my $redis = Gateway::Redis->start;
my $ctl   = Gateway::Ctl->new($redis);
my $lose  = $ctl->dir . '/lose';

# A proxy in front of Redis: while the file exists, it drops the next reply to a
# script, closes the connection, and removes the file.

my $listen = IO::Socket::INET->new(Listen => 16, LocalAddr => '127.0.0.1') or die $!;
my $proxy = fork // die $!;
if ($proxy == 0) {
    $SIG{$_} = 'DEFAULT' for qw(INT TERM);
    $SIG{CHLD} = 'IGNORE';
    while (my $client = $listen->accept) {
        next if fork;
        my $server = IO::Socket::INET->new(PeerAddr => '127.0.0.1:' . $redis->port) or POSIX::_exit(1);
        my ($script, $both) = (0, IO::Select->new($client, $server));
        while (1) {
            for my $from ($both->can_read) {
                sysread $from, my $bytes, 65536 or POSIX::_exit(0);
                $script = $bytes =~ /EVAL/ if $from == $client;
                POSIX::_exit(0) if $from == $server && $script && $bytes !~ /^-NOSCRIPT/ && unlink $lose;
                syswrite $from == $client ? $server : $client, $bytes;
            }
        }
    }
    POSIX::_exit(0);
}
END { if (defined $main && $$ == $main && $proxy) { local $?; kill 'KILL', $proxy; waitpid $proxy, 0 } }

my $sentinel = Gateway::FakeRedis->start;
$sentinel->fault({ on => 'SENTINEL', reply => sprintf "*2\r\n\$9\r\n127.0.0.1\r\n\$%d\r\n%d\r\n",
    length $listen->sockport, $listen->sockport });
$ctl->{env}{AMPERSAND_REDIS} = 'redis+sentinel://127.0.0.1:' . $sentinel->port . '/main';

sub losing { open my $f, '>', $lose or die $!; close $f; my $r = $ctl->json(@_); ok !-e $lose, 'a reply was lost'; return $r }
sub record { return decode_json $redis->command('GET', 'amp:tenant:acme') }

my $key = $ctl->file('key', "sk_lost\n");
is $ctl->run(qw(tenant add acme --project p --key-file), $key)->{code}, 0, 'a tenant, without a lost reply';

subtest 'changes of a record' => sub {
    for my $args (
        [qw(tenant disable acme)], [qw(tenant enable acme)], [qw(limit set acme --rate 5/s)],
        [qw(grant set acme --allow read)], [ qw(key set acme --key-file), $key ],
    ) {
        my $rev = record()->{rev};
        is losing(@$args)->{code}, 0, "@$args";
        is record()->{rev}, $rev + 1, 'once';
    }
    is scalar @{ record()->{keys} }, 2, 'one more key';
};

subtest 'tokens' => sub {
    my $r = losing(qw(token issue acme));
    is $r->{code}, 0, 'issued';
    is scalar @{ $redis->command('KEYS', 'amp:token:*') }, 2, 'once';
    is losing('token', 'revoke', $r->{doc}{id})->{code}, 0, 'revoked';
    is scalar @{ $redis->command('KEYS', 'amp:token:*') }, 1, 'gone';
};

subtest 'a purge' => sub {
    is losing(qw(cache purge acme))->{code}, 0, 'done';
};

subtest 'a new tenant: the outcome is unknown, and the message says so' => sub {
    my $r = losing(qw(tenant add second --project p));
    is $r->{code}, 3, 'exit 3';
    is $r->{doc}{error}{code}, 'redis_unreachable', 'code';
    like $r->{doc}{error}{remedy}, qr/not known whether it was done/, 'remedy';
    $r = $ctl->json(qw(tenant add second --project p));
    is $r->{doc}{error}{code}, 'exists', 'the tenant exists';
    is $ctl->run(qw(token issue second))->{code}, 0, 'token issue works for it';
};

subtest 'a removal' => sub {
    my $r = losing(qw(tenant remove acme));
    is $r->{code}, 0, 'done';
    is_deeply [ sort @{ $redis->command('KEYS', '*acme*') } ], [], 'nothing is left';
    is scalar @{ $redis->command('KEYS', 'amp:token:*') }, 1, "only the other tenant's token is left";
};

done_testing;
