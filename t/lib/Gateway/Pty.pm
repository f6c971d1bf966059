package Gateway::Pty;

# A program at a terminal of its own (a pseudo-terminal of Linux), as a person has
# it: what it writes, keys, its size, its settings before and after.
#
#   my $pty = Gateway::Pty->start({ columns => 80, lines => 24, env => {...} }, @command);
#   $pty->shows(qr/.../) or diag $pty->screen;   waits until the screen has it
#   $pty->type('q');
#   my $status = $pty->wait;                     as $?
#   $pty->settings;                              "stty -a" of the terminal

use strict;
use warnings;

use Fcntl qw(O_RDWR O_NOCTTY O_NONBLOCK);
use IO::Select;
use POSIX ();
use Time::HiRes qw(sleep time);

# asm-generic/ioctls.h

use constant { TIOCSCTTY => 0x540E, TIOCSWINSZ => 0x5414, TIOCGPTN => 0x80045430, TIOCSPTLCK => 0x40045431 };

sub start {
    my ($class, $how, @command) = @_;
    sysopen my $master, '/dev/ptmx', O_RDWR | O_NOCTTY | O_NONBLOCK or die "/dev/ptmx: $!";
    my $n = pack 'i', 0;
    ioctl $master, TIOCSPTLCK, $n or die "TIOCSPTLCK: $!";
    ioctl $master, TIOCGPTN, $n or die "TIOCGPTN: $!";
    my $self = bless { master => $master, name => '/dev/pts/' . unpack('i', $n), out => '' }, $class;

    # held open, so that its settings outlive the program

    sysopen $self->{slave}, $self->{name}, O_RDWR | O_NOCTTY or die "$self->{name}: $!";
    $self->size($how->{columns} || 80, $how->{lines} || 24);
    $self->{before} = $self->settings;

    $self->{pid} = fork // die "fork: $!";
    if (!$self->{pid}) {
        POSIX::setsid();
        sysopen my $slave, $self->{name}, O_RDWR or POSIX::_exit(126);
        ioctl $slave, TIOCSCTTY, 0;
        open STDIN, '<&', $slave;
        open STDOUT, '>&', $slave;
        open STDERR, '>&', $slave;
        delete $ENV{NO_COLOR};
        %ENV = (%ENV, TERM => 'xterm', %{ $how->{env} || {} });
        $SIG{$_} = 'DEFAULT' for qw(HUP INT QUIT TERM);     # a job in the background ignores some
        exec { $command[0] } @command or POSIX::_exit(127);
    }
    return $self;
}

sub size {
    my ($self, $columns, $lines) = @_;
    my $size = pack 'S4', $lines, $columns, 0, 0;
    ioctl $self->{slave}, TIOCSWINSZ, $size or die "TIOCSWINSZ: $!";
    return;
}

sub settings {
    my ($self) = @_;
    my $text = `stty -a -F $self->{name}`;
    return $text =~ s/rows \d+; columns \d+;//r;
}

sub _read {
    my ($self, $seconds) = @_;
    return if !IO::Select->new($self->{master})->can_read($seconds);
    sysread $self->{master}, my $data, 65536 or return;
    $self->{out} .= $data;
    return;
}

# The last whole screen: what was written since the cursor went home last but one.

sub screen {
    my ($self) = @_;
    my @screens = split /\e\[H/, $self->{out};
    my $last = @screens > 1 ? $screens[-1] =~ /\e\[J/ || @screens == 2 ? $screens[-1] : $screens[-2] : $self->{out};
    return $last =~ s/\e\[[\d;?]*[A-Za-z]//gr =~ s/\r//gr;
}

sub shows {
    my ($self, $pattern) = @_;
    for (my $end = time + 30; time < $end; $self->_read(0.1)) {
        return 1 if $self->screen =~ $pattern;
    }
    return;
}

sub type {
    my ($self, $keys) = @_;
    syswrite $self->{master}, $keys;
    return;
}

sub pid { $_[0]{pid} }
sub out { $_[0]{out} }

sub wait {
    my ($self) = @_;
    for (my $end = time + 30; time < $end; $self->_read(0.05)) {
        my $pid = waitpid $self->{pid}, POSIX::WNOHANG();
        next if !$pid;
        my $status = $?;
        $self->{pid} = 0;
        $self->_read(0.1);
        return $status;
    }
    return -1;
}

sub DESTROY {
    my ($self) = @_;
    local ($?, $@);
    if ($self->{pid}) {
        kill 'KILL', $self->{pid};
        waitpid $self->{pid}, 0;
    }
    return;
}

1;
