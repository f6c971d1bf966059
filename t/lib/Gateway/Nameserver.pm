package Gateway::Nameserver;

# A name server on a free port of 127.0.0.1 that answers questions for A records;
# an answer lives for a second.
#
#   my $dns = Gateway::Nameserver->start;
#   $dns->names('redis.test' => '127.0.0.1,127.0.0.2', ...);   # all that it knows from now on
#   $dns->resolver;                                            # nginx's directives for it
#   $dns->port; $dns->stop;

use strict;
use warnings;

use File::Temp ();
use IO::Socket::INET ();
use POSIX ();

sub start {
    my ($class) = @_;
    my $socket = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1', LocalPort => 0)
        or die "socket: $!";
    my $self = bless {
        owner => $$,
        port  => $socket->sockport,
        dir   => File::Temp->newdir('dns.XXXXXX', TMPDIR => 1),
    }, $class;
    $self->names;
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        $SIG{$_} = 'DEFAULT' for qw(INT TERM);
        _serve($socket, "$self->{dir}/names");
        POSIX::_exit(0);
    }
    $self->{pid} = $pid;
    return $self;
}

sub port { $_[0]{port} }

sub resolver { return "resolver 127.0.0.1:$_[0]{port} valid=1s ipv6=off; resolver_timeout 1s;" }

sub names {
    my ($self, %names) = @_;
    open my $f, '>', "$self->{dir}/new" or die $!;
    print $f "$_ $names{$_}\n" for keys %names;
    close $f;
    rename "$self->{dir}/new", "$self->{dir}/names" or die $!;
}

sub _serve {
    my ($socket, $file) = @_;
    while (defined $socket->recv(my $question, 512)) {
        my ($id, $rest) = (substr($question, 0, 2), substr($question, 12));
        my (@labels, $at);
        for ($at = 0; my $n = ord substr $rest, $at; $at += $n + 1) {
            push @labels, substr $rest, $at + 1, $n;
        }
        my $name = join '.', @labels;
        my $type = unpack 'n', substr $rest, $at + 1, 2;
        open my $f, '<', $file or next;
        my %names = map { /^(\S+) (\S+)/ } <$f>;
        my @addresses = $type == 1 ? split /,/, $names{$name} // '' : ();
        my $flags = exists $names{$name} ? 0x8180 : 0x8183;
        my $answer = $id . pack('n5', $flags, 1, scalar @addresses, 0, 0) . substr($rest, 0, $at + 5);
        $answer .= pack('nnnNn', 0xc00c, 1, 1, 1, 4) . pack('C4', split /\./) for @addresses;
        $socket->send($answer);
    }
}

sub stop {
    my ($self) = @_;
    my $pid = delete $self->{pid} or return;
    kill 'KILL', $pid;
    waitpid $pid, 0;
}

sub DESTROY {
    my ($self) = @_;
    local ($?, $!);
    $self->stop if $self->{owner} == $$;
}

1;
