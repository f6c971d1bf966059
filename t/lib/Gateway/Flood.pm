package Gateway::Flood;

# Requests of one tenant or of several, as fast as several gateways answer, over
# keep-alive connections; and what the answers show of a limit.
#
#   my $f = Gateway::Flood->run(
#       token => $token, on => [ $gw, ... ], seconds => 2, connections => 2,    # of each gateway
#       tokens => [ $token, ... ],         # instead: so many connections for each of them, or connections => [ 8, 1 ]
#       every => [ 0, 0.1 ],               # of each token, at each connection: seconds between two requests
#       pause => [ 0, 0.1 ],               # the same, between an answer and the next request
#       meanwhile => sub { ... },          # in a process of its own; "seconds" begin when it has ended
#       until => 429,                      # a connection that gets this answer ends
#   );
#   $f->seconds;             # from the first request to the last answer
#   $f->calm;                # when "meanwhile" had ended, in seconds from the first request
#   $f->good; $f->others;    # answers 200; those that are neither 200 nor 429
#   $f->good(0.5, 1);        # ... from so many seconds on, until so many
#   $f->shares;              # answers 200 of each gateway; also shares(0.5)
#   $f->of($i);              # the same object, with the answers to one token only
#   $f->excess($rate, $burst);    # the most that any window holds above rate x time + burst
#
# A request is decided between its sending and its answer.  excess() counts a
# request for a window only if both are in it: how long answers take on a busy
# machine does not matter.
#
# A gateway that dies takes its connections out.

use strict;
use warnings;

use IO::Select ();
use POSIX ();
use Time::HiRes qw(time);

sub run {
    my ($class, %o) = @_;
    my @tokens = $o{tokens} ? @{ $o{tokens} } : $o{token};
    my @texts = map { "POST /v1/topics HTTP/1.1\r\nHost: g\r\nX-Api-Key: $_\r\nContent-Length: 2\r\n\r\n{}" } @tokens;
    my $pid;
    if ($o{meanwhile}) {
        $pid = fork // die "fork: $!";
        if ($pid == 0) {
            $o{meanwhile}->();
            POSIX::_exit(0);
        }
    }

    my %from;    # socket => { gateway, token, in, sent }
    my %due;     # socket => [ socket, when it sends the next request ]
    my $select = IO::Select->new;
    for my $g (0 .. $#{ $o{on} }) {
        for my $token (map { ($_) x (ref $o{connections} ? $o{connections}[$_] : $o{connections}) } 0 .. $#tokens) {
            my $s = $o{on}[$g]->connect or die "connect: $!";
            $from{$s} = { gateway => $g, token => $token, in => '', sent => 0 };
            $select->add($s);
        }
    }
    my $self = bless { on => scalar @{ $o{on} }, begun => time, calm => 0, answers => [] }, $class;
    syswrite $_, $texts[ $from{$_}{token} ] for $select->handles;
    my $deadline = time + 60;
    while ($select->count && time < $deadline) {
        my ($next) = sort { $a <=> $b } map { $_->[1] - time } values %due;
        my @ready = $select->can_read(defined $next ? $next > 0 ? $next : 0 : 60);
        $deadline = time + 60 if @ready;
        for my $due (grep { $_->[1] <= time } values %due) {
            my ($s) = @$due;
            delete $due{$s};
            $from{$s}{sent} = time - $self->{begun};
            syswrite $s, $texts[ $from{$s}{token} ];
        }
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
                {
                    at => time - $self->{begun}, sent => $from->{sent},
                    status => substr($from->{in}, 9, 3), gateway => $from->{gateway}, token => $from->{token},
                };
            substr $from->{in}, 0, $end, '';
            if ($pid && waitpid($pid, POSIX::WNOHANG())) {
                $self->{calm} = time - $self->{begun};
                undef $pid;
            }
            if (($pid || time - $self->{begun} < $self->{calm} + $o{seconds})
                && $self->{answers}[-1]{status} != ($o{until} // 0))
            {
                my $every = $o{every} ? $o{every}[ $from->{token} ] : 0;
                my $pause = $o{pause} ? $o{pause}[ $from->{token} ] : 0;
                if ($every || $pause) {
                    $due{$s} = [ $s, $pause ? time + $pause : $self->{begun} + $from->{sent} + $every ];
                    next;
                }
                $from->{sent} = time - $self->{begun};
                syswrite $s, $texts[ $from->{token} ];
            } else {
                $select->remove($s);
            }
        }
    }
    waitpid $pid, 0 if $pid;
    return $self;
}

sub seconds { $_[0]{answers}[-1]{at} }
sub calm    { $_[0]{calm} }

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

sub of {
    my ($self, $token) = @_;
    return bless { %$self, answers => [ grep { $_->{token} == $token } @{ $self->{answers} } ] }, ref $self;
}

sub excess {
    my ($self, $rate, $burst) = @_;
    my @good = sort { $a->{at} <=> $b->{at} } $self->_good;
    my $worst = -1e9;
    for my $from (@good) {
        my $n = 0;
        for my $answer (@good) {
            next if $answer->{sent} < $from->{sent};
            my $over = ++$n - $rate * ($answer->{at} - $from->{sent}) - $burst;
            $worst = $over if $over > $worst;
        }
    }
    return $worst;
}

1;
