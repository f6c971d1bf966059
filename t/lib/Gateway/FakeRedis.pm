package Gateway::FakeRedis;

# A scripted Redis that can misbehave: speaks RESP2 on a free loopback port,
# answers GET and HGETALL from a hash, and applies faults to its replies.  One
# process with a select loop.
#
#   my $fake = Gateway::FakeRedis->start(data => { 'amp:tenant:x' => '{...}' });
#   start(port => 1234, address => '127.0.0.2');    # not a free port of 127.0.0.1
#   start(script => 1);             # knows lookup.lua too, which is the command LOOKUP here; without
#                                   # it each step of a look-up is a command
#   $fake->set($key => $text or { hash } or undef, ...);
#   $fake->copy($real);             # all that a Gateway::Redis holds under amp:
#   $fake->fault({ ... }, ...);     # replaces all faults; without arguments: none
#   $fake->publish('amp:events', $text);    # to_subscribers($bytes): raw bytes
#   $fake->commands;                # [name, args...] of each since start() or clear(), but for GET amp:frozen,
#                                   # which a gateway sends at a moment of its own, when it has subscribed
#   $fake->count('GET', qr/token/); # of those
#   $fake->clear; $fake->url; $fake->stop
#   $fake->kick;                    # closes all connections; kick('events'): the subscriptions
#   $fake->release;                 # sends what faults with "hold" keep back
#
# In front of a gateway, whose tenants ampctl adds to a real Redis:
#   my $gw = $fake->gateway(http => '...');    # Gateway->start
#   my $real = $fake->real;
#   my @tokens = $fake->new_tenants(3, args => [...]); # tenants that the gateway has not looked up: s1, s2, ...
#   my $res = $fake->timed($token);            # a request; {ms}: how long it took
#   $fake->is_503($res, 'name');               # store-down or bad-record, with Retry-After
#
# A fault: { on => 'GET', key => qr..., times => n, ...} (on: a command's name,
# default GET and HGETALL; "connect": a new connection; key: a regular
# expression as text) and one or more of
#   reply => $bytes    instead of the reply
#   prefix => $bytes, suffix => $bytes
#   delay => $seconds  keeps the order of the connection's replies
#   jitter => $seconds a delay of up to so much
#   bytes => 1         one write and one packet for each byte
#   split => $n        the first n bytes, the rest two milliseconds later
#   cut => $n          only the first n bytes, then silence; negative: from the end
#   close => 1         after what is sent; with cut: after those bytes
#   silent => 1        never answers, nor what comes after it on the connection
#   hold => 1          not before release()
#   publish => $text   on amp:events, before the reply leaves (after the delay)
# A reply is computed when the command comes in, before the delay.

use strict;
use warnings;

use Digest::SHA ();
use File::Basename ();
use IO::Handle ();
use IO::Select ();
use IO::Socket::INET ();
use JSON::PP ();
use POSIX ();
use Scalar::Util ();
use Test::More ();
use Socket qw(IPPROTO_TCP TCP_NODELAY PF_UNIX SOCK_STREAM PF_UNSPEC);
use Time::HiRes qw(sleep time);

my $JSON = JSON::PP->new->latin1->canonical;

sub start {
    my ($class, %o) = @_;
    my $listen = IO::Socket::INET->new(
        Listen => 1024, LocalAddr => $o{address} || '127.0.0.1', LocalPort => $o{port} || 0, ReuseAddr => 1
    ) or die "listen: $!";
    socketpair(my $ours, my $theirs, PF_UNIX, SOCK_STREAM, PF_UNSPEC) or die "socketpair: $!";
    $_->autoflush(1) for $ours, $theirs;

    my $self = bless { owner => $$, port => $listen->sockport, control => $ours }, $class;
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        $SIG{$_} = 'DEFAULT' for qw(INT TERM);
        $SIG{PIPE} = 'IGNORE';
        close $ours;
        Gateway::FakeRedis::Server->new($listen, $theirs, $o{data}, $o{script})->run;
        POSIX::_exit(0);
    }
    close $theirs;
    $self->{pid} = $pid;
    return $self;
}

sub port { $_[0]{port} }
sub url  { "redis://127.0.0.1:$_[0]{port}/0" }

sub _order {
    my ($self, @order) = @_;
    my $control = $self->{control};
    print $control $JSON->encode(\@order), "\n";
    my $line = <$control> // die "the fake Redis is gone\n";
    return @{ $JSON->decode($line) };
}

sub set      { my ($self, %keys) = @_; $self->_order('set', \%keys) }
sub copy {
    my ($self, $real) = @_;
    for my $key (@{ $real->command('KEYS', 'amp:*') }) {
        my $type = $real->command('TYPE', $key);
        $self->set($key => $real->command('GET', $key)) if $type eq 'string';
        $self->set($key => { @{ $real->command('HGETALL', $key) } }) if $type eq 'hash';
    }
}

sub fault    { my ($self, @faults) = @_; $self->_order('fault', map { +{ %$_ } } @faults) }
sub publish  { my ($self, $channel, $text) = @_; $self->_order('publish', $channel, $text) }
sub to_subscribers { my ($self, $bytes) = @_; $self->_order('to_subscribers', $bytes) }
sub commands { $_[0]->_order('commands') }
sub clear    { $_[0]->_order('clear') }
sub kick     { $_[0]->_order('kick', $_[1] // '') }
sub release  { $_[0]->_order('release') }

sub gateway {
    my ($self, %o) = @_;
    require Gateway;
    $self->{real} ||= Gateway::Redis->start;
    my $gw = Gateway->start(redis => $self->{real}, redis_url => $self->url, %o);
    Scalar::Util::weaken($self->{gw} = $gw);
    return $gw;
}

sub real { $_[0]{real} }

sub new_tenants {
    my ($self, $count, %t) = @_;
    my @args = ('--redis', $self->{real}->url, @{ delete $t{args} || [] });
    my @tokens = map { $self->{gw}->tenant('s' . ++$self->{tenants}, %t, args => \@args) } 1 .. $count || 1;
    $self->copy($self->{real});
    return wantarray ? @tokens : $tokens[0];
}

sub strangers { my $self = shift; return $self->new_tenants(@_) }    # the former name

sub timed {
    my ($self, $token) = @_;
    my $start = time;
    my $res = $self->{gw}->get('/v1/integrations', token => $token);
    $res->{ms} = (time - $start) * 1000;
    return $res;
}

sub is_503 {
    my ($self, $res, $name) = @_;
    my $problem = $self->{gw}->json($res) || {};
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return Test::More::ok($res->{status} == 503 && ($res->{headers}{'retry-after'} // '') =~ /^[1-9]\d*$/
        && $res->{headers}{'content-type'} eq 'application/problem+json'
        && ($problem->{type} // '') =~ /store-down|bad-record/, $name)
        || Test::More::diag("$res->{status}\n$res->{head}\n$res->{body}");
}

sub errors { return $_[0]{gw}->errors }

sub count {
    my ($self, $name, $key) = @_;
    return scalar grep { $_->[0] eq $name && (!$key || ($_->[1] // '') =~ $key) } $self->commands;
}

sub stop {
    my ($self) = @_;
    my $pid = delete $self->{pid} or return;
    kill 'KILL', $pid;
    waitpid $pid, 0;
}

sub DESTROY {
    my ($self) = @_;
    local ($?, $@, $!);
    $self->stop if $self->{owner} == $$;
}


package Gateway::FakeRedis::Server;

use Time::HiRes qw(time);

sub new {
    my ($class, $listen, $control, $data, $script) = @_;
    return bless {
        listen => $listen, control => $control, data => { %{ $data || {} } }, script => $script,
        faults => [], commands => [], clients => {}, select => IO::Select->new($listen, $control),
    }, $class;
}

sub run {
    my ($self) = @_;
    my $orders = '';
    while (1) {
        my $next = 10;
        for my $c (values %{ $self->{clients} }) {
            next if !@{ $c->{out} } || $c->{out}[0]{hold};
            my $wait = $c->{out}[0]{at} - time;
            $next = $wait if $wait < $next;
        }
        my @ready = $self->{select}->can_read($next > 0 ? $next : 0);
        for my $s (@ready) {
            if ($s == $self->{listen}) {
                $self->accept;
            } elsif ($s == $self->{control}) {
                sysread $s, $orders, 1 << 20, length $orders or return;
                while ($orders =~ s/\A(.*)\n//) {
                    my @answer = $self->order(@{ $JSON->decode($1) });
                    syswrite $s, $JSON->encode(\@answer) . "\n";
                }
            } elsif (my $c = $self->{clients}{$s}) {
                $self->read($c);
            }
        }
        $self->flush($_) for values %{ $self->{clients} };
    }
}

sub order {
    my ($self, $what, @args) = @_;
    if ($what eq 'set') {
        $self->{data}{$_} = $args[0]{$_} for keys %{ $args[0] };
    } elsif ($what eq 'fault') {
        $self->{faults} = \@args;
    } elsif ($what eq 'publish') {
        return $self->publish(@args);
    } elsif ($what eq 'to_subscribers') {
        $self->send($_, $args[0]) for grep { %{ $_->{channels} } } values %{ $self->{clients} };
    } elsif ($what eq 'commands') {
        return grep { ($_->[1] // '') ne 'amp:frozen' } @{ $self->{commands} };
    } elsif ($what eq 'clear') {
        $self->{commands} = [];
    } elsif ($what eq 'release') {
        $_->{hold} = 0 for map { @{ $_->{out} } } values %{ $self->{clients} };
    } elsif ($what eq 'kick') {
        my @some = values %{ $self->{clients} };
        @some = grep { %{ $_->{channels} } } @some if $args[0] eq 'events';
        $self->close($_) for @some;
    }
    return 1;
}

sub publish {
    my ($self, $channel, $text) = @_;
    my @to = grep { $_->{channels}{$channel} } values %{ $self->{clients} };
    syswrite $_->{socket}, _array('message', $channel, $text) for @to;
    return scalar @to;
}

sub accept {
    my ($self) = @_;
    my $s = $self->{listen}->accept or return;
    setsockopt $s, Socket::IPPROTO_TCP(), Socket::TCP_NODELAY(), 1;
    $self->{select}->add($s);
    my $c = $self->{clients}{$s} = { socket => $s, in => '', out => [], channels => {} };
    if (my $f = $self->match('connect', '')) {
        $self->send($c, $f->{reply} // '', { %$f, silent => 0 });
    }
}

sub close {
    my ($self, $c) = @_;
    $self->{select}->remove($c->{socket});
    delete $self->{clients}{ $c->{socket} };
    close $c->{socket};
}

sub read {
    my ($self, $c) = @_;
    if (!sysread $c->{socket}, $c->{in}, 65536, length $c->{in}) {
        return $self->close($c);
    }
    while (my @args = _command(\$c->{in})) {
        $args[0] = uc $args[0];
        if ($args[0] =~ /\AEVAL(SHA)?\z/ && _lookup() eq ($1 ? $args[1] : Digest::SHA::sha1_hex($args[1]))) {
            @args = ('LOOKUP', @args[ 3 .. $#args ]);
        }
        push @{ $self->{commands} }, [@args];
        my $f = $self->match($args[0], $args[1] // '');
        # replies keep the order of the commands: one that is missing keeps back all after it
        next if $c->{silent};
        $c->{silent} = $f && ($f->{silent} || defined $f->{cut});
        $self->send($c, $self->answer($c, @args), $f) unless $f && $f->{silent};
    }
}

sub match {
    my ($self, $name, $key) = @_;
    for my $f (@{ $self->{faults} }) {
        next unless $f->{on} ? $f->{on} eq $name : $name =~ /\A(?:GET|HGETALL)\z/;
        next if defined $f->{key} && $key !~ /$f->{key}/;
        next if defined $f->{times} && $f->{times}-- <= 0;
        return $f;
    }
    return;
}

sub answer {
    my ($self, $c, $name, @args) = @_;
    my $value = $self->{data}{ $args[0] // '' };
    return '+PONG' . "\r\n" if $name eq 'PING' && !%{ $c->{channels} };
    return _array('pong', '') if $name eq 'PING';
    return "+OK\r\n" if $name eq 'AUTH' || $name eq 'SELECT';
    if ($name eq 'SUBSCRIBE') {
        $c->{channels}{ $args[0] } = 1;
        return "*3\r\n" . _bulk('subscribe') . _bulk($args[0]) . ":1\r\n";
    }
    if ($name eq 'HGETALL') {
        return _array(ref $value ? map { ($_, $value->{$_}) } sort keys %$value : ());
    }
    return _bulk($value) if $name eq 'GET';
    return _array(int time, 0) if $name eq 'TIME';
    return $self->{script} ? $self->lookup(@args) : "-ERR unknown command 'EVALSHA'\r\n" if $name eq 'LOOKUP';
    return ":0\r\n";
}

# What lookup.lua does.

sub lookup {
    my ($self, $key, $prefix, $id, $max, $alone) = @_;
    my $member = sub {
        my ($text, @names) = @_;
        my $value = eval { $JSON->decode($text) };
        $value = ref $value eq 'HASH' ? $value->{$_} : undef for @names;
        return ref $value ? undef : $value;
    };
    my $token;
    if ($id eq '') {
        $token = $self->{data}{$key};
        $id = $alone ? undef : $member->($token, 'tenant');
    }
    my $tenant = defined $id ? $self->{data}{"${prefix}tenant:$id"} : undef;
    my $project = $alone ? undef : $member->($tenant, 'project', 'id');
    my $gens = defined $project ? $self->{data}{"${prefix}gen:$project"} || {} : undef;
    return "*6\r\n" . join '', (map { _bulk($_) } $token, $id, $tenant, $project),
        $gens ? _array(map { ($_, $gens->{$_}) } sort keys %$gens) : _bulk(undef), ":-2\r\n";
}

# The SHA-1 of lookup.lua as tools/lua-header sends it.

{
    my $sha;

    sub _lookup {
        return $sha //= do {
            my $file = File::Basename::dirname(__FILE__) . '/../../../src/core/lookup.lua';
            open my $f, '<', $file or die "$file: $!";
            Digest::SHA::sha1_hex(join '', map { s/^[ \t]*//r =~ s/^--.*//r } <$f>);
        };
    }
}

sub send {
    my ($self, $c, $bytes, $f) = @_;
    $f ||= {};
    $bytes = $f->{reply} if defined $f->{reply};
    $bytes = ($f->{prefix} // '') . $bytes . ($f->{suffix} // '');
    $bytes = substr $bytes, 0, $f->{cut} if defined $f->{cut};
    my $at = time + ($f->{delay} || 0) + ($f->{jitter} ? rand $f->{jitter} : 0);
    if ($f->{split}) {
        push @{ $c->{out} }, { at => $at, bytes => substr $bytes, 0, $f->{split}, '' };
        $at += 0.002;
    }
    push @{ $c->{out} }, {
        at => $at, bytes => $bytes, one => $f->{bytes},
        close => $f->{close}, publish => $f->{publish}, hold => $f->{hold},
    };
}

sub flush {
    my ($self, $c) = @_;
    while (@{ $c->{out} } && !$c->{out}[0]{hold} && $c->{out}[0]{at} <= time) {
        my $o = shift @{ $c->{out} };
        $self->publish('amp:events', $o->{publish}) if defined $o->{publish};
        my $done = 0;
        while ($done < length $o->{bytes}) {
            my $n = syswrite $c->{socket}, $o->{bytes}, $o->{one} ? 1 : length($o->{bytes}) - $done, $done;
            last unless defined $n;
            $done += $n;
        }
        return $self->close($c) if $o->{close};
    }
}

sub _bulk  { defined $_[0] ? '$' . length($_[0]) . "\r\n$_[0]\r\n" : "\$-1\r\n" }
sub _array { '*' . @_ . "\r\n" . join '', map { _bulk($_) } @_ }

# A whole command off the front of the bytes, or nothing.

sub _command {
    my ($in) = @_;
    return unless $$in =~ /\A\*(\d+)\r\n/g;
    my ($n, $at, @args) = ($1, pos $$in);
    for (1 .. $n) {
        return unless substr($$in, $at, 20) =~ /\A\$(\d+)\r\n/;
        my $start = $at + length($1) + 3;
        return if length $$in < $start + $1 + 2;
        push @args, substr $$in, $start, $1;
        $at = $start + $1 + 2;
    }
    substr $$in, 0, $at, '';
    return @args;
}

1;
