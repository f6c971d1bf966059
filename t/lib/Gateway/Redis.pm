package Gateway::Redis;

# A redis-server of the test's own: free loopback port and unix socket, a
# temporary directory, gone with the object.
#
#   my $redis = Gateway::Redis->start;                 # or start('--requirepass', 'x')
#   $redis->port; $redis->socket; $redis->dir; $redis->pid;
#   $redis->url;                                       # redis://127.0.0.1:PORT/0
#   $redis->command('GET', 'amp:tenants');             # undef, text, number or [...]; dies on -ERR
#   my $sub = $redis->subscribe('amp:events'); $sub->message(2);  # text, or undef after 2 s
#   $redis->pause; $redis->resume;                     # SIGSTOP, SIGCONT
#   $redis->stop; $redis->restart;                     # same port, same data where saved

use strict;
use warnings;

use File::Temp ();
use IO::Select ();
use IO::Socket::INET ();
use POSIX ();
use Time::HiRes qw(sleep time);

sub free_port {
    my $s = IO::Socket::INET->new(
        Listen => 1, LocalAddr => '127.0.0.1', LocalPort => 0, ReuseAddr => 1
    ) or die "no free port: $!";
    return $s->sockport;
}

sub start {
    my ($class, @options) = @_;
    my $self = bless {
        owner   => $$,
        options => \@options,
        tmp     => File::Temp->newdir('redis.XXXXXX', TMPDIR => 1),
    }, $class;

    # an interrupted test still runs its destructors
    $SIG{$_} ||= sub { exit 1 } for qw(INT TERM);

    # another process may take a free port before redis-server does
    for my $try (1 .. 5) {
        $self->{port} = free_port();
        return $self if $self->_spawn;
    }
    die "redis-server does not start:\n" . $self->log;
}

sub port   { $_[0]{port} }
sub pid    { $_[0]{pid} }
sub dir    { $_[0]{tmp}->dirname }
sub socket { $_[0]->dir . '/redis.sock' }
sub url    { "redis://127.0.0.1:$_[0]{port}/0" }

sub log {
    my ($self) = @_;
    open my $f, '<', $self->dir . '/redis.log' or return '';
    local $/;
    return <$f> // '';
}

sub _spawn {
    my ($self) = @_;
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDIN,  '<', '/dev/null';
        open STDOUT, '>', $self->dir . '/redis.out';
        open STDERR, '>&', \*STDOUT;
        exec 'redis-server',
            '--port', $self->{port}, '--bind', '127.0.0.1',
            '--unixsocket', $self->socket, '--dir', $self->dir,
            '--logfile', $self->dir . '/redis.log',
            '--save', '', '--appendonly', 'no', @{ $self->{options} }
            or POSIX::_exit(127);
    }
    $self->{pid} = $pid;

    my $end = time + 10;
    while (time < $end) {
        my $answer = eval { $self->_connect->_call('PING') };
        if (defined $answer || ($@ && $@ =~ /NOAUTH/)) {
            return 1;
        }
        if (waitpid($pid, POSIX::WNOHANG()) == $pid) {
            delete $self->{pid};
            return 0;
        }
        sleep 0.02;
    }
    $self->stop;
    return 0;
}

sub _connect {
    my ($self) = @_;
    return Gateway::Redis::Link->new($self->{port});
}

sub command {
    my ($self, @args) = @_;
    if (!$self->{link} || $self->{link_owner} != $$) {
        $self->{link}       = $self->_connect;
        $self->{link_owner} = $$;
        my %options = @{ $self->{options} } % 2 ? () : @{ $self->{options} };
        $self->{link}->_call('AUTH', $options{'--requirepass'})
            if defined $options{'--requirepass'};
    }
    my $answer = eval { $self->{link}->_call(@args) };
    if ($@) {
        delete $self->{link} if $@ !~ /^redis error:/;
        die $@;
    }
    return $answer;
}

sub subscribe {
    my ($self, $channel) = @_;
    my $link = $self->_connect;
    $link->_call('SUBSCRIBE', $channel);
    return $link;
}

sub pause  { kill 'STOP', $_[0]{pid} }
sub resume { kill 'CONT', $_[0]{pid} }

sub stop {
    my ($self) = @_;
    my $pid = delete $self->{pid} or return;
    delete $self->{link};
    kill 'CONT', $pid;
    kill 'TERM', $pid;
    my $end = time + 5;
    while (time < $end) {
        return if waitpid($pid, POSIX::WNOHANG()) != 0;
        sleep 0.02;
    }
    kill 'KILL', $pid;
    waitpid $pid, 0;
}

sub restart {
    my ($self) = @_;
    $self->stop;
    $self->_spawn or die "redis-server does not start:\n" . $self->log;
}

sub DESTROY {
    my ($self) = @_;
    local ($?, $@, $!);
    $self->stop if $self->{owner} == $$;
}


# One connection that speaks RESP2.

package Gateway::Redis::Link;

sub new {
    my ($class, $port) = @_;
    my $socket = IO::Socket::INET->new(
        PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 5
    ) or die "connect: $!\n";
    return bless { socket => $socket, in => '' }, $class;
}

sub _call {
    my ($self, @args) = @_;
    my $text = '*' . @args . "\r\n";
    for my $arg (@args) {
        utf8::encode(my $bytes = $arg);
        $text .= '$' . length($bytes) . "\r\n$bytes\r\n";
    }
    local $SIG{PIPE} = 'IGNORE';
    my $done = 0;
    while ($done < length $text) {
        my $n = syswrite $self->{socket}, $text, length($text) - $done, $done;
        defined $n or die "write: $!\n";
        $done += $n;
    }
    return $self->_answer(Time::HiRes::time() + 10);
}

sub _more {
    my ($self, $end) = @_;
    my $wait = $end - Time::HiRes::time();
    $wait = 0 if $wait < 0;
    IO::Select->new($self->{socket})->can_read($wait) or die "timeout\n";
    my $n = sysread $self->{socket}, $self->{in}, 65536, length $self->{in};
    $n or die "closed\n";
}

sub _line {
    my ($self, $end) = @_;
    $self->_more($end) until $self->{in} =~ s/\A(.*?)\r\n//s;
    return $1;
}

sub _answer {
    my ($self, $end) = @_;
    my $line = $self->_line($end);
    my $kind = substr $line, 0, 1, '';
    return $line if $kind eq '+' || $kind eq ':';
    die "redis error: $line\n" if $kind eq '-';
    if ($kind eq '$') {
        return undef if $line < 0;
        $self->_more($end) while length $self->{in} < $line + 2;
        my $bytes = substr $self->{in}, 0, $line, '';
        substr $self->{in}, 0, 2, '';
        return $bytes;
    }
    if ($kind eq '*') {
        return undef if $line < 0;
        return [ map { $self->_answer($end) } 1 .. $line ];
    }
    die "not RESP: $kind$line\n";
}

# The next published text, or undef when none comes in time.

sub message {
    my ($self, $seconds) = @_;
    my $answer = eval { $self->_answer(Time::HiRes::time() + $seconds) };
    return $answer ? $answer->[2] : undef;
}

1;
