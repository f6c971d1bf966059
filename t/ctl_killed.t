#!/usr/bin/perl

# ampctl is killed (signal 9) before each of the commands that it sends to Redis,
# one after another: no state in between grants more than the one before or the
# one after, and the same command, run again, completes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Select ();
use IO::Socket::INET ();
use JSON::PP;
use POSIX ();
use Test::More;

use Gateway::Ctl;
use Gateway::Redis;

my $redis = Gateway::Redis->start;
my $ctl   = Gateway::Ctl->new($redis);
my $old   = $ctl->{env}{AMPERSAND_MASTER_KEY_FILE};
my $new   = $ctl->dir . '/new.key';
$ctl->run('masterkey', 'new', $new);

# All of Redis, to be restored before each try; but the audit stream.

sub saved {
    return { map { ($_ => $redis->command('DUMP', $_)) } grep { $_ ne 'amp:audit' } @{ $redis->command('KEYS', '*') } };
}

sub restore {
    my ($saved) = @_;
    $redis->command('FLUSHALL');
    $redis->command('RESTORE', $_, 0, $saved->{$_}) for keys %$saved;
}

# Passes n commands on to Redis, and then says so on the pipe, and passes nothing
# more.  A command is a RESP array of bulk strings.

sub proxy {
    my ($listen, $n, $tell) = @_;
    my $select = IO::Select->new($listen);
    my (%peer, %from, %buffer);
    while (1) {
        for my $s ($select->can_read) {
            if ($s == $listen) {
                my $client = $listen->accept;
                my $server = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $redis->port) or POSIX::_exit(1);
                @peer{ $client, $server } = ($server, $client);
                $from{$client} = 1;
                $select->add($client, $server);
                next;
            }
            my $got = sysread $s, my $bytes, 65536;
            if (!$got) {
                $select->remove($s, $peer{$s});
                close $_ for $peer{$s}, $s;
                next;
            }
            if (!$from{$s}) {
                syswrite $peer{$s}, $bytes;
                next;
            }
            $buffer{$s} = ($buffer{$s} // '') . $bytes;
            while (length(my $one = command(\$buffer{$s}))) {
                if ($n-- == 0) {
                    syswrite $tell, 'x';
                    sleep 60;
                    POSIX::_exit(0);
                }
                syswrite $peer{$s}, $one;
            }
        }
    }
}

# The first whole command of a buffer, which is cut off; empty: not whole yet.

sub command {
    my ($buffer) = @_;
    my ($count) = $$buffer =~ /\A\*(\d+)\r\n/ or return '';
    my $at = $+[0];
    for (1 .. $count) {
        substr($$buffer, $at) =~ /\A\$(\d+)\r\n/ or return '';
        $at += $+[0] + $1 + 2;
    }
    return '' if length $$buffer < $at;
    return substr $$buffer, 0, $at, '';
}

# Runs ampctl, and kills it before its n-th command: whether it came to that.

sub killed_before {
    my ($n, @args) = @_;
    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5) or die "listen: $!";
    pipe my $told, my $tell or die "pipe: $!";
    my $pid = fork // die "fork: $!";
    if ($pid == 0) { close $told; proxy($listen, $n - 1, $tell); POSIX::_exit(0) }
    close $tell;
    my $url = 'redis://127.0.0.1:' . $listen->sockport . '/0';
    close $listen;
    my $job = $ctl->start({ env => { AMPERSAND_REDIS => $url } }, @args, '--timeout', '60s');
    my $killed = 0;
    my $wait = IO::Select->new($told);
    until ($killed) {
        if ($wait->can_read(0.02)) { $killed = 1; kill KILL => $job->{pid} }
        last if waitpid($job->{pid}, POSIX::WNOHANG()) == $job->{pid};
    }
    waitpid $job->{pid}, 0 if $killed;
    kill KILL => $pid;
    waitpid $pid, 0;
    return $killed;
}

# For each n: from the saved state, killed before the n-th command, then again.

sub each_step {
    my ($saved, $args, $between, $after) = @_;
    my $n = 1;
    for ( ; $n < 200; $n++) {
        restore($saved);
        last if !killed_before($n, @$args);
        $between->("killed before command $n");
        my $r = $ctl->run(@$args);
        is $r->{code}, 0, "killed before command $n, then run again" or diag $r->{err};
        $after->("command $n");
    }
    cmp_ok $n, '>', 4, $n - 1 . ' steps';
}

sub record { return decode_json($redis->command('GET', "amp:tenant:$_[0]") // 'null') }
sub tokens { my ($id) = @_; return { @{ $redis->command('HGETALL', "amp:tokens:$id") } } }
# An entry of the index whose token has gone is harmless: nobody lists it.

sub listed { my ($id) = @_; my $t = tokens($id); return grep { valid($t->{$_}) } sort keys %$t }
sub valid { my ($digest) = @_; return $redis->command('GET', "amp:token:$digest") }

$ctl->run(qw(tenant add acme --project p-1 --rate 50/s), '--key-file', $ctl->file('acme.key', "sk_canary_killed\n"));
$ctl->run(qw(tenant add gone --project p-2));
$ctl->run(qw(token issue acme --label stays));
my $before = saved();
my ($was, $old_tokens) = (record('acme'), tokens('acme'));

subtest 'config import --prune' => sub {
    my $doc = $ctl->json(qw(config export))->{doc};
    @{ $doc->{tenants} } = grep { $_->{id} eq 'acme' } @{ $doc->{tenants} };
    my $acme = $doc->{tenants}[0];
    $acme->{grants} = { allow => ['catalog'], deny => [] };
    $acme->{limits} = { default => { rate => '5/s', burst => 5 } };
    @{ $acme->{tokens} } = grep { $_->{label} eq 'stays' } @{ $acme->{tokens} };
    my $kept = $acme->{tokens}[0]{digest};
    push @{ $acme->{tokens} }, { id => 'acme.abcdefghij', digest => 'ab' x 32, label => 'new' };
    push @{ $doc->{tenants} }, { id => 'added', project => { id => 'p-3' }, tokens => [ { id => 'added.abcdefghij', digest => 'cd' x 32 } ] };
    my @args = ('config', 'import', $ctl->file('doc.json', encode_json($doc)), '--prune');
    restore($before);
    $ctl->run(@args);
    my $is = record('acme');
    my $same = sub { my ($a, $b) = @_; return !grep { JSON::PP->new->canonical->allow_nonref->encode($a->{$_}) ne JSON::PP->new->canonical->allow_nonref->encode($b->{$_}) } qw(grants limits project) };
    ok !$same->($was, $is), 'the import changes the record';

    each_step($before, \@args, sub {
        my ($name) = @_;
        my $now = record('acme');
        ok $same->($now, $was) || $same->($now, $is), "$name: the record is that of before or after";
        ok !valid('ab' x 32) || $same->($now, $is), "$name: a new token has the new record only";
        ok !valid('cd' x 32) || record('added'), "$name: no token without its tenant";
        ok valid($kept), "$name: a token that stays is valid";
    }, sub {
        my ($name) = @_;
        ok $same->(record('acme'), $is), "$name: the record";
        is_deeply [ listed('acme') ], [ sort 'acme.abcdefghij', grep { $old_tokens->{$_} eq $kept } keys %$old_tokens ], "$name: the tokens";
        is $redis->command('GET', 'amp:tenant:gone'), undef, "$name: who is not in the file is gone";
        is_deeply [ sort @{ $redis->command('SMEMBERS', 'amp:tenants') } ], [qw(acme added)], "$name: the tenants";
    });
};

subtest 'masterkey rewrap' => sub {
    my @args = ('masterkey', 'rewrap', '--master-key', $new, '--master-key', $old);
    my $opens = sub { return $ctl->json('doctor', map { ('--master-key', $_) } @_)->{out} !~ /"sealed keys"/ };
    each_step($before, \@args, sub {
        ok $opens->($new, $old), "$_[0]: the key opens with one of both";
        is_deeply record('acme')->{grants}, $was->{grants}, "$_[0]: grants";
    }, sub { ok $opens->($new), "$_[0]: the key opens with the new one" });
};

subtest 'token rotate' => sub {
    my ($id) = grep { decode_json(valid($old_tokens->{$_}))->{label} eq 'stays' } keys %$old_tokens;
    my @args = ('token', 'rotate', $id, '--overlap', '1h');
    each_step($before, \@args, sub {
        ok valid($old_tokens->{$id}), "$_[0]: the old token is valid";
        my %listed = map { ($_ => 1) } values %{ tokens('acme') };
        my @hidden = grep { /^amp:token:/ && !$listed{ substr $_, 10 } } @{ $redis->command('KEYS', 'amp:token:*') };
        @hidden = grep { decode_json($redis->command('GET', $_))->{tenant} eq 'acme' } @hidden;
        is_deeply \@hidden, [], "$_[0]: every token is listed, so that it can be revoked";
    }, sub {
        my $ttl = $redis->command('TTL', "amp:token:$old_tokens->{$id}");
        ok $ttl > 0 && $ttl <= 3600, "$_[0]: the old token ends with the overlap";
    });
};

unlike $ctl->said, qr/sk_canary/, 'no key was printed';

done_testing;
