package Gateway::Flood;

# Requests of one tenant, as fast as several gateways answer, over keep-alive
# connections; and what the answers show of its limit.
#
#   my $f = Gateway::Flood->run(
#       token => $token, on => [ $gw, ... ], seconds => 2, connections => 2,    # of each gateway
#       meanwhile => sub { ... },          # in a process of its own, from the start
#       until => 429,                      # a connection that gets this answer ends
#   );
#   $f->seconds;             # from the first request to the last answer
#   $f->good; $f->others;    # answers 200; those that are neither 200 nor 429
#   $f->good(0.5, 1);        # ... from so many seconds on, until so many
#   $f->shares;              # answers 200 of each gateway; also shares(0.5)
#   $f->excess($rate, $burst);    # the most above rate x time + burst that any window of answers holds
#
# A gateway that dies takes its connections out.

use strict;
use warnings;

use IO::Select ();
use POSIX ();
use Time::HiRes qw(time);

sub run {
    my ($class, %o) = @_;
    my $text = "POST /v1/topics HTTP/1.1\r\nHost: g\r\nX-Api-Key: $o{token}\r\nContent-Length: 2\r\n\r\n{}";
    my $pid;
    if ($o{meanwhile}) {
        $pid = fork // die "fork: $!";
        if ($pid == 0) {
            $o{meanwhile}->();
            POSIX::_exit(0);
        }
    }

    my %from;    # socket => { gateway, in }
    my $select = IO::Select->new;
    for my $g (0 .. $#{ $o{on} }) {
        for (1 .. $o{connections}) {
            my $s = $o{on}[$g]->connect or die "connect: $!";
            $from{$s} = { gateway => $g, in => '' };
            $select->add($s);
        }
    }
    my $self = bless { on => scalar @{ $o{on} }, begun => time, answers => [] }, $class;
    syswrite $_, $text for $select->handles;
    while (my @ready = $select->can_read(60)) {
        for my $s (@ready) {
            my $from = $from{$s};
            if (!sysread $s, $from->{in}, 65536, length $from->{in}) {
                $select->remove($s);
                next;
            }
            my $end = index $from->{in}, "\r\n\r\n";
            next if $end < 0;
            my ($length) = $from->{in} =~ /\r\nContent-Length: (\d+)/i or die $from->{in};
            $end += 4 + $length;
            next if length $from->{in} < $end;
            push @{ $self->{answers} },
                { at => time - $self->{begun}, status => substr($from->{in}, 9, 3), gateway => $from->{gateway} };
            substr $from->{in}, 0, $end, '';
            if (time - $self->{begun} < $o{seconds} && $self->{answers}[-1]{status} != ($o{until} // 0)) {
                syswrite $s, $text;
            } else {
                $select->remove($s);
            }
        }
    }
    waitpid $pid, 0 if $pid;
    return $self;
}

sub seconds { $_[0]{answers}[-1]{at} }

sub _good {
    my ($self, $from, $to) = @_;
    return grep { $_->{status} == 200 && $_->{at} >= ($from || 0) && $_->{at} < ($to || 1e9) } @{ $self->{answers} };
}

sub good   { return scalar _good(@_) }
sub others { return scalar grep { $_->{status} !~ /^(?:200|429)$/ } @{ $_[0]{answers} } }

sub shares {
    my ($self, $from) = @_;
    my @n = (0) x $self->{on};
    $n[ $_->{gateway} ]++ for $self->_good($from);
    return @n;
}

sub excess {
    my ($self, $rate, $burst) = @_;
    my ($worst, $low, $i) = (-1e9, 1e18, 0);
    for my $answer ($self->_good) {
        my $debt = $i++ - $rate * $answer->{at};
        $low = $debt if $debt < $low;
        my $over = $debt + 1 - $low - $burst;
        $worst = $over if $over > $worst;
    }
    return $worst;
}

1;
