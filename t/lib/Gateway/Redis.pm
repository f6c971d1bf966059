package Gateway::Redis;

# A redis-server of the test's own: free loopback port and unix socket, a
# temporary directory, gone with the object.  REDIS_SERVER=/path names another
# binary than Debian's.
#
#   my $redis = Gateway::Redis->start;                 # or start('--requirepass', 'x')
#   my $redis = Gateway::Redis->start(name => ..., '--option', ...);
#       tls => 1                # TLS with a certificate of Gateway::Certificates (1, or one's own object)
#       certificate => 'name'   # another one than "server"
#       clients => 1            # a client has to show a certificate too
#       users => { gate => 'on >pw ~amp:* &amp:* +@all' }
#       binary => '/path', port => 1234
#   $redis->port; $redis->socket; $redis->dir; $redis->pid; $redis->certs;
#   $redis->url;                                       # redis://127.0.0.1:PORT/0; url('user:password@')
#   $redis->args; $redis->env                          # for ampersand_redis and ampctl: what TLS needs
#   $redis->command('GET', 'amp:tenants');             # undef, text, number or [...]; dies on -ERR
#   $redis->info('server')->{redis_version};
#   my $sub = $redis->subscribe('amp:events'); $sub->message(60); # text, or undef after 60 s
#   $redis->pause; $redis->resume;                     # SIGSTOP, SIGCONT
#   $redis->stop; $redis->crash; $redis->restart;      # same port, same data where saved; crash: kill -9
#
# Several that belong together are started at once with new, spawn and ready.

use strict;
use warnings;

use File::Temp ();
use Gateway::Certificates ();
use IO::Select ();
use IO::Socket::INET ();
use IO::Socket::UNIX ();
use POSIX ();
use Time::HiRes qw(sleep time);

sub free_port {
    my $s = IO::Socket::INET->new(
        Listen => 1, LocalAddr => '127.0.0.1', LocalPort => 0, ReuseAddr => 1
    ) or die "no free port: $!";
    return $s->sockport;
}

# A port on which nobody listens, and nobody else can, for as long as the test runs.

my @closed;

sub closed_port {
    push @closed, IO::Socket::INET->new(Proto => 'tcp', LocalAddr => '127.0.0.1') || die "bind: $!";
    return $closed[-1]->sockport;
}

# So many ports below those that the kernel gives to clients, each with one
# 10000 above it: the bus of a cluster's node.

sub free_ports {
    my ($n) = @_;
    my %ports;
    while (keys %ports < $n) {
        my $port = 10000 + int rand 12000;
        my @s = map {
            IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', LocalPort => $_, ReuseAddr => 1)
        } $port, $port + 10000;
        $ports{$port} = 1 if @s == 2;
    }
    return keys %ports;
}

# Waits until the code returns true: what it returned, or nothing after so many
# seconds (60, unless the first argument says otherwise).

sub wait_for {
    my @args = @_;
    my $code = pop @args;
    my $end = time + (@args ? $args[0] : 60);
    while (1) {
        my $answer = eval { $code->() };
        return $answer if $answer || time > $end;
        sleep 0.02;
    }
}

sub start {
    my ($class, @args) = @_;
    my $self = $class->new(@args);

    # another process may take a free port before redis-server does
    for my $try (1 .. 5) {
        $self->{port} = $self->{o}{port} || free_port();
        $self->spawn;
        return $self if $self->ready;
    }
    die "redis-server does not start:\n" . $self->log;
}

sub new {
    my ($class, @args) = @_;
    my %o;
    while (@args && $args[0] !~ /^-/) {
        my ($name, $value) = splice @args, 0, 2;
        $o{$name} = $value;
    }
    my $self = bless {
        owner   => $$,
        o       => \%o,
        options => \@args,
        port    => $o{port},
        tmp     => File::Temp->newdir('redis.XXXXXX', TMPDIR => 1),
    }, $class;
    $self->{certs} = ref $o{tls} ? $o{tls} : Gateway::Certificates->new if $o{tls};

    # an interrupted test still runs its destructors
    $SIG{$_} ||= sub { exit 1 } for qw(INT TERM);
    return $self;
}

sub port   { $_[0]{port} }
sub pid    { $_[0]{pid} }
sub certs  { $_[0]{certs} }
sub dir    { $_[0]{tmp}->dirname }
sub socket { $_[0]->dir . '/redis.sock' }
sub scheme { $_[0]{certs} ? 'rediss' : 'redis' }

sub url {
    my ($self, $who) = @_;
    return $self->scheme . '://' . ($who // '') . "127.0.0.1:$self->{port}/0";
}

sub args {
    my ($self) = @_;
    my $certs = $self->{certs} or return '';
    return 'ca_file=' . $certs->ca . ($self->{o}{clients}
        ? ' cert_file=' . $certs->file('client.pem') . ' key_file=' . $certs->file('client.key') : '');
}

# The environment of ampctl for the same arguments of ampersand_redis.

sub env {
    my ($self, $args) = @_;
    $args //= $self->args;
    my %given = map { split /=/, $_, 2 } split ' ', $args;
    my %names = (ca_file => 'CA', cert_file => 'CERT', key_file => 'KEY', server_name => 'SERVER_NAME');
    return map { defined $given{$_} ? ("AMPERSAND_REDIS_$names{$_}" => $given{$_}) : () } keys %names;
}

sub log {
    my ($self) = @_;
    open my $f, '<', $self->dir . '/redis.log' or return '';
    local $/;
    return <$f> // '';
}

sub tail { return "$_[0]{port}:\n", $_[0]->log =~ /((?:.*\n){0,6})\z/ }

# A Sentinel rewrites its configuration file, so all its settings are in that
# file; a server has options on its command line only.

sub _command_line {
    my ($self) = @_;
    my ($o, $dir) = ($self->{o}, $self->dir);
    my @options = (
        '--bind', '127.0.0.1', '--unixsocket', $self->socket, '--dir', $dir, '--logfile', "$dir/redis.log",
    );
    if ($self->{certs}) {
        my $pair = $self->{certs}->file($o->{certificate} || 'server');
        push @options, '--port', 0, '--tls-port', $self->{port}, '--tls-ca-cert-file', $self->{certs}->ca,
            '--tls-cert-file', "$pair.pem", '--tls-key-file', "$pair.key",
            '--tls-auth-clients', $o->{clients} ? 'yes' : 'no', '--tls-replication', 'yes';
    } else {
        push @options, '--port', $self->{port};
    }

    if (defined $o->{sentinel}) {
        my $file = "$dir/sentinel.conf";
        if (!-e $file) {
            open my $f, '>', $file or die "$file: $!";
            while (my ($name, $value) = splice @options, 0, 2) {
                printf $f "%s %s\n", substr($name, 2), $value;
            }
            print $f $o->{sentinel};
            close $f or die "$file: $!";
        }
        return ($file, '--sentinel');
    }

    my %users = %{ $o->{users} || {} };

    # what a killed server has written is in the page cache: only a crash of the
    # machine needs fsync, and the disk of a busy machine stalls a server with it
    return (@options, '--save', '', '--appendonly', 'no', '--appendfsync', 'no',
        (map { ('--user', $_, split ' ', $users{$_}) } sort keys %users), @{ $self->{options} });
}

sub spawn {
    my ($self) = @_;
    my @command = ($self->{o}{binary} || $ENV{REDIS_SERVER} || 'redis-server', $self->_command_line);
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        $SIG{$_} = 'DEFAULT' for qw(INT TERM);
        open STDIN,  '<', '/dev/null';
        open STDOUT, '>', $self->dir . '/redis.out';
        open STDERR, '>&', \*STDOUT;
        exec @command or POSIX::_exit(127);
    }
    $self->{pid} = $pid;
}

sub ready {
    my ($self) = @_;
    my $end = time + 60;
    while (time < $end) {
        my $answer = eval { $self->_connect->_call('PING') };
        if (defined $answer || ($@ && $@ =~ /NOAUTH/)) {
            return 1;
        }
        if (waitpid($self->{pid}, POSIX::WNOHANG()) == $self->{pid}) {
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
    return Gateway::Redis::Link->new($self->{certs} ? $self->socket : $self->{port});
}

sub _password {
    my ($self) = @_;
    my @options = @{ $self->{options} };
    my ($at) = grep { $options[$_] eq '--requirepass' } 0 .. $#options;
    return defined $at ? $options[$at + 1] : undef;
}

sub command {
    my ($self, @args) = @_;
    if (!$self->{link} || $self->{link_owner} != $$) {
        $self->{link}       = $self->_connect;
        $self->{link_owner} = $$;
        my $password = $self->_password;
        $self->{link}->_call('AUTH', $password) if defined $password;
    }
    my $answer = eval { $self->{link}->_call(@args) };
    if ($@) {
        delete $self->{link} if $@ !~ /^redis error:/;
        die $@;
    }
    return $answer;
}

sub info {
    my ($self, @section) = @_;
    return { map { /^(\w+):(.*?)\r?$/ ? ($1, $2) : () } split /\n/, $self->command('INFO', @section) };
}

sub subscribe {
    my ($self, $channel) = @_;
    my $link = $self->_connect;
    my $password = $self->_password;
    $link->_call('AUTH', $password) if defined $password;
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
    my $end = time + 60;
    while (time < $end) {
        return if waitpid($pid, POSIX::WNOHANG()) != 0;
        sleep 0.02;
    }
    kill 'KILL', $pid;
    waitpid $pid, 0;
}

sub crash {
    my ($self) = @_;
    my $pid = delete $self->{pid} or return;
    delete $self->{link};
    kill 'KILL', $pid;
    waitpid $pid, 0;
}

sub restart {
    my ($self) = @_;
    $self->stop;
    $self->spawn;
    $self->ready or die "redis-server does not start:\n" . $self->log;
}

sub DESTROY {
    my ($self) = @_;
    local ($?, $@, $!);
    $self->crash if $self->{owner} == $$;
}


# One connection that speaks RESP2.

package Gateway::Redis::Link;

sub new {
    my ($class, $at) = @_;
    my $socket = $at =~ m{^/} ? IO::Socket::UNIX->new(Peer => $at, Timeout => 60) : IO::Socket::INET->new(
        PeerAddr => '127.0.0.1', PeerPort => $at, Timeout => 60
    );
    $socket or die "connect: $!\n";
    return bless { socket => $socket, in => '' }, $class;
}

sub _call {
    my ($self, @args) = @_;
    my $text = '*' . @args . "\r\n";
    for my $arg (@args) {
        my $bytes = $arg;
        utf8::encode($bytes) if utf8::is_utf8($bytes);
        $text .= '$' . length($bytes) . "\r\n$bytes\r\n";
    }
    local $SIG{PIPE} = 'IGNORE';
    my $done = 0;
    while ($done < length $text) {
        my $n = syswrite $self->{socket}, $text, length($text) - $done, $done;
        defined $n or die "write: $!\n";
        $done += $n;
    }
    return $self->_answer(Time::HiRes::time() + 60);
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
