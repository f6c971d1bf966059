package Gateway::Killed;

# ampctl is killed (signal 9) before each of the commands that it sends to Redis,
# one after another: no state in between grants more than the one before or the
# one after, and the same command, run again, completes.
#
#   Gateway::Killed::walk($redis);      # a Gateway::Redis, or a ::Cluster of masters alone

use strict;
use warnings;

use IO::Select ();
use IO::Socket::INET ();
use JSON::PP;
use POSIX ();
use Test::More;

use Gateway::Ctl;
use Gateway::Redis;

my ($redis, $ctl, @nodes, @listen, $control, $told);

# A proxy in front of each node.  The nodes of a cluster announce its port, so
# that ampctl has no other way.

sub start {
    ($redis) = @_;
    my $cluster = $redis->can('masters');
    @nodes = $cluster ? $redis->masters : $redis;
    @listen = map { IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 16) or die "listen: $!" } @nodes;
    pipe my $orders, $control or die "pipe: $!";
    pipe $told, my $tell or die "pipe: $!";
    my $pid = fork // die "fork: $!";
    if ($pid == 0) { close $_ for $control, $told; proxy($orders, $tell); POSIX::_exit(0) }
    close $_ for $orders, $tell;

    $ctl = Gateway::Ctl->new($redis);
    my @ports = map { $_->sockport } @listen;
    $ctl->{env}{AMPERSAND_REDIS} = $cluster ? 'redis+cluster://' . join ',', map { "127.0.0.1:$_" } @ports : "redis://127.0.0.1:$ports[0]/0";
    return if !$cluster;

    $nodes[$_]->command('CONFIG', 'SET', 'cluster-announce-port', $ports[$_]) for 0 .. $#nodes;
    my $all = join ' ', sort { $a <=> $b } @ports;
    Gateway::Redis::wait_for(sub {
        !grep { join(' ', sort { $a <=> $b } map { $_->[2][1] } @{ $_->command('CLUSTER', 'SLOTS') }) ne $all } @nodes;
    }) or die "the nodes do not announce the proxies\n";
}

# All of Redis, to be restored before each try; but the audit stream.

sub saved {
    my @saved;
    for my $node (@nodes) {
        push @saved, { map { ($_ => $node->command('DUMP', $_)) } grep { $_ ne 'amp:audit' } @{ $node->command('KEYS', '*') } };
    }
    return \@saved;
}

sub restore {
    my ($saved) = @_;
    for my $i (0 .. $#nodes) {
        $nodes[$i]->command('FLUSHALL');
        $nodes[$i]->command('RESTORE', $_, 0, $saved->[$i]{$_}) for keys %{ $saved->[$i] };
    }
}

# Passes n commands on to Redis, then says so on the pipe, and passes nothing more
# until it is told another n; -1: all.  A command is a RESP array of bulk strings.

sub proxy {
    my ($control, $tell) = @_;
    $SIG{PIPE} = 'IGNORE';    # ampctl may be dead
    my $select = IO::Select->new($control, @listen);
    my %node = map { ($listen[$_] => $nodes[$_]) } 0 .. $#nodes;
    my (%peer, %from, %buffer);
    my $n = -1;
    while (1) {
        for my $s ($select->can_read) {
            if ($s == $control) {
                sysread $s, my $line, 16 or POSIX::_exit(0);
                $select->remove($_) for grep { $_ != $control && !$node{$_} } $select->handles;
                close $_ for map { $_->[0] } values %peer;
                (%peer, %from, %buffer) = ();
                $n = $line + 0;
                syswrite $tell, 'r';
                last;
            }
            if ($node{$s}) {
                my $client = $s->accept or next;
                my $server = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $node{$s}->port) or POSIX::_exit(1);
                @peer{ $client, $server } = ([$server], [$client]);
                $from{$client} = 1;
                $select->add($client, $server);
                next;
            }
            my $peer = ($peer{$s} || next)->[0];
            my $got = sysread $s, my $bytes, 65536;
            if (!$got) {
                $select->remove($s, $peer);
                delete @peer{ $s, $peer };
                close $_ for $peer, $s;
                next;
            }
            if (!$from{$s}) {
                syswrite $peer, $bytes;
                next;
            }
            $buffer{$s} = ($buffer{$s} // '') . $bytes;
            while ($n != -2 && length(my $one = command(\$buffer{$s}))) {
                if ($n == 0) {
                    syswrite $tell, 'x';
                    $n = -2;
                } else {
                    $n-- if $n > 0;
                    syswrite $peer, $one;
                }
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

# The proxy closes its connections, and passes n commands on from now on.

sub allow {
    my ($n) = @_;
    syswrite $control, "$n\n";
    sysread $told, my $ready, 1;
}

# Runs ampctl, and kills it before its n-th command: whether it came to that.

sub killed_before {
    my ($n, @args) = @_;
    allow($n - 1);
    my $job = $ctl->start(@args, '--timeout', '60s');
    my $killed = 0;
    my $wait = IO::Select->new($told);
    until ($killed) {
        if ($wait->can_read(0.02)) { sysread $told, $killed, 1; kill KILL => $job->{pid} }
        last if waitpid($job->{pid}, POSIX::WNOHANG()) == $job->{pid};
    }
    waitpid $job->{pid}, 0 if $killed;
    allow(-1);
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

sub walk {
    start(@_);
    my $old = $ctl->{env}{AMPERSAND_MASTER_KEY_FILE};
    my $new = $ctl->dir . '/new.key';
    $ctl->run('masterkey', 'new', $new);
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
            my @hidden = grep { /^amp:token:/ && !$listed{ substr $_, 10 } } map { @{ $_->command('KEYS', 'amp:token:*') } } @nodes;
            @hidden = grep { decode_json($redis->command('GET', $_))->{tenant} eq 'acme' } @hidden;
            is_deeply \@hidden, [], "$_[0]: every token is listed, so that it can be revoked";
        }, sub {
            my $ttl = $redis->command('TTL', "amp:token:$old_tokens->{$id}");
            ok $ttl > 0 && $ttl <= 3600, "$_[0]: the old token ends with the overlap";
        });
    };

    unlike $ctl->said, qr/sk_canary/, 'no key was printed';
}

1;
