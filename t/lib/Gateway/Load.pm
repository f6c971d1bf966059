package Gateway::Load;

# Traffic in a process of its own, while a test does something else; each answer
# is checked.  One process with a select loop over keep-alive connections.
#
#   my $load = Gateway::Load->start(
#       gateways => [ $gw, ... ],
#       tenants  => [ { id => 'acme', token => ..., project => 'p-acme', key => 'key-of-acme', allow => [503] }, ... ],
#       clients  => 6, pause => 0.004,     # connections, and seconds between two requests of each
#       writes   => 0.2,                   # share of POSTs; the rest are GETs, half of them cacheable
#       paced    => 1,                     # each tenant has "pace" requests a second, over as many connections
#                                          # as there are gateways; GETs are of cold keys.  Not clients, pause
#   );                                     # allow: statuses accepted beside 200; a 503 needs Retry-After
#   $load->mark('kill -9');                # names what happens from now on
#   my $r = $load->report;                 # so far.  stop: the last one, after all answers have come
#   $r->{requests}; $r->{status}{200};
#   $r->{slowest}{'kill -9'}               # seconds, by mark
#   $r->{failed}, $r->{failures}           # how many, and [text, ...] of the first: a wrong status, a cut
#                                          # answer, none in 60 s
#   $r->{wrong}                            # [text, ...]: another tenant's key or project in an answer
#   $r->{repeated}                         # requests sent a second time: the server had closed their idle connection
#
# The upstream has to answer {"key": ..., "target": ...}, taken from its request:
# $gw->upstream->answer({ echo => 1 }).

use strict;
use warnings;

use IO::Handle ();
use IO::Select ();
use IO::Socket::INET ();
use JSON::PP ();
use POSIX ();
use Socket qw(PF_UNIX SOCK_STREAM PF_UNSPEC);
use Time::HiRes qw(time);

my $JSON = JSON::PP->new->latin1->canonical;

sub start {
    my ($class, %o) = @_;
    socketpair(my $ours, my $theirs, PF_UNIX, SOCK_STREAM, PF_UNSPEC) or die "socketpair: $!";
    $_->autoflush(1) for $ours, $theirs;
    my @ports = map { $_->port } @{ delete $o{gateways} };
    my $self = bless { owner => $$, control => $ours }, $class;
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        $SIG{$_} = 'DEFAULT' for qw(INT TERM);
        $SIG{PIPE} = 'IGNORE';
        close $ours;
        Gateway::Load::Run->new(%o, ports => \@ports, control => $theirs)->run;
        POSIX::_exit(0);
    }
    close $theirs;
    $self->{pid} = $pid;
    return $self;
}

sub _order {
    my ($self, @order) = @_;
    my $control = $self->{control};
    print $control $JSON->encode(\@order), "\n";
    my $line = <$control> // die "the load is gone\n";
    return $JSON->decode($line);
}

sub mark   { my ($self, $name) = @_; return $self->_order('mark', $name) }
sub report { my ($self) = @_; return $self->_order('report') }

sub stop {
    my ($self) = @_;
    my $report = $self->_order('stop');
    waitpid delete $self->{pid}, 0;
    return $report;
}

sub DESTROY {
    my ($self) = @_;
    local ($?, $@, $!);
    return unless $self->{pid} && $self->{owner} == $$;
    kill 'KILL', $self->{pid};
    waitpid $self->{pid}, 0;
}


package Gateway::Load::Run;

use Time::HiRes qw(time);

use constant PATIENCE => 60;

sub new {
    my ($class, %o) = @_;
    return bless {
        ports => $o{ports}, tenants => $o{tenants}, control => $o{control},
        pause => $o{pause} // 0.004, writes => $o{writes} // 0.2, orders => '', mark => 'calm', n => 0,
        clients => [ $o{paced} ? _paced(%o)
            : map { { at => time + rand 0.05, in => '', port => $o{ports}[ $_ % @{ $o{ports} } ] } } 1 .. $o{clients} || 6 ],
        report => { requests => 0, status => {}, slowest => {}, failed => 0, failures => [], wrong => [], repeated => 0 },
    }, $class;
}

sub _paced {
    my (%o) = @_;
    my @ports = @{ $o{ports} };
    return map {
        my $t = $_;
        my $every = @ports / $t->{pace};
        map { { at => time + $every * $_ / @ports, in => '', port => $ports[$_], of => $t, every => $every } } 0 .. $#ports;
    } @{ $o{tenants} };
}

sub run {
    my ($self) = @_;
    while (1) {
        my $now = time;
        my ($next, %of) = (1);
        my $select = IO::Select->new($self->{control});
        for my $c (@{ $self->{clients} }) {
            if (!$c->{text} && !$self->{stopping} && $c->{at} <= $now) {
                $self->begin($c);
            }
            if ($c->{text}) {
                $self->fail($c, 'no answer in ' . PATIENCE . ' s') if $now > $c->{begun} + PATIENCE;
            }
            if ($c->{socket}) {
                $select->add($c->{socket});
                $of{ $c->{socket} } = $c;
            }
            my $wait = ($c->{text} ? $c->{begun} + PATIENCE : $c->{at}) - $now;
            $next = $wait if $wait < $next;
        }
        if ($self->{stopping} && !grep { $_->{text} } @{ $self->{clients} }) {
            syswrite $self->{control}, $JSON->encode($self->{report}) . "\n";
            return;
        }
        for my $s ($select->can_read($next > 0.001 ? $next : 0.001)) {
            if ($of{$s}) {
                $self->read($of{$s});
            } else {
                sysread $s, $self->{orders}, 65536, length $self->{orders} or return;
                $self->order(@{ $JSON->decode($1) }) while $self->{orders} =~ s/\A(.*)\n//;
            }
        }
    }
}

sub order {
    my ($self, $what, $name) = @_;
    return $self->{stopping} = 1 if $what eq 'stop';
    $self->{mark} = $name if $what eq 'mark';
    syswrite $self->{control}, $JSON->encode($what eq 'report' ? $self->{report} : { ok => 1 }) . "\n";
}

sub begin {
    my ($self, $c) = @_;
    my $t = $c->{tenant} = $c->{of} || $self->{tenants}[ rand @{ $self->{tenants} } ];
    my $n = ++$self->{n};
    my $head = "Host: gateway.test\r\nX-Api-Key: $t->{token}\r\n";
    if (rand() < $self->{writes}) {
        $c->{text} = "POST /v1/integrations HTTP/1.1\r\n${head}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
        $c->{get} = 0;
    } else {
        my $fresh = $n % 2 || $c->{of} ? "?fresh=$n" : '';
        $c->{text} = "GET /v1/integrations$fresh HTTP/1.1\r\n$head\r\n";
        $c->{get} = 1;
    }
    $c->{begun} = time;
    $self->{report}{requests}++;
    $self->send($c);
}

sub send {
    my ($self, $c) = @_;
    $c->{reused} = $c->{socket} ? 1 : 0;
    $c->{in} = '';
    if (!$c->{socket}) {
        $c->{socket} = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $c->{port}, Timeout => 2)
            or return $self->fail($c, "connect: $!");
    }
    my $sent = syswrite $c->{socket}, $c->{text};
    $self->closed($c, 'cannot be sent') if !defined $sent;
}

# A server may close an idle connection at any time (RFC 9112, 9.3.1): the
# request is sent once more, over a new connection.

sub closed {
    my ($self, $c, $why) = @_;
    delete $c->{socket};
    if (!$c->{text}) {
        return;
    } elsif ($c->{reused} && $c->{in} eq '') {
        $self->{report}{repeated}++;
        $self->send($c);
    } else {
        $self->fail($c, $why);
    }
}

sub read {
    my ($self, $c) = @_;
    if (!sysread $c->{socket}, $c->{in}, 65536, length $c->{in}) {
        return $self->closed($c, 'closed after ' . length($c->{in}) . ' bytes');
    }
    return $self->fail($c, "an answer without a request: $c->{in}") if !$c->{text};
    my ($head, $body) = split /\r\n\r\n/, $c->{in}, 2;
    return unless defined $body;
    if ($head =~ /^content-length: *(\d+)/mi) {
        return if length $body < $1;
    } elsif ($head =~ /^transfer-encoding: *chunked/mi) {
        return unless $body =~ s/0\r\n\r\n\z//;
        $body =~ s/^[0-9a-f]+\r\n(.*?)\r\n/$1/gms;
    }
    $self->judge($c, $head, $body);
    delete $c->{socket} if $head =~ /^connection: *close/mi;
    $self->done($c);
}

sub judge {
    my ($self, $c, $head, $body) = @_;
    my ($r, $t) = ($self->{report}, $c->{tenant});
    my ($status) = $head =~ m{^HTTP/1\.1 (\d+)} or return $self->note($c, "no HTTP: $head");
    $r->{status}{$status}++;
    my $seconds = time - $c->{begun};
    $r->{slowest}{ $self->{mark} } = $seconds if $seconds > ($r->{slowest}{ $self->{mark} } // 0);

    if ($status == 200) {
        my $said = eval { $JSON->decode($body) } || {};
        my ($key, $target) = map { $_ // '' } @$said{qw(key target)};
        push @{ $r->{wrong} }, "$t->{id} ($self->{mark}): key $key, target $target"
            if $key ne $t->{key} || $target !~ m{^/v1/projects/\Q$t->{project}\E/};
        return;
    }
    my ($type) = $body =~ /"type": *"([^"]*)"/;
    return $self->note($c, "$status " . ($type // '')) unless grep { $_ == $status } @{ $t->{allow} || [] };
    $self->note($c, '503 without Retry-After') if $status == 503 && $head !~ /^retry-after: *[1-9]\d*/mi;
}

sub note {
    my ($self, $c, $why) = @_;
    my $r = $self->{report};
    $r->{failed}++;
    push @{ $r->{failures} }, sprintf '%s at %d, %s, %.0f ms: %s',
        $c->{tenant}{id}, $c->{port}, $self->{mark}, (time - $c->{begun}) * 1000, $why if @{ $r->{failures} } < 10;
}

sub fail {
    my ($self, $c, $why) = @_;
    $self->note($c, $why);
    delete $c->{socket};
    $self->done($c);
}

sub done {
    my ($self, $c) = @_;
    delete $c->{text};
    $c->{in} = '';
    my $now = time;
    if ($c->{every}) {    # it keeps its times, but does not make up for a pause of the machine
        $c->{at} += $c->{every};
        $c->{at} = $now if $c->{at} < $now - 0.2;
    } else {
        $c->{at} = $now + $self->{pause} * (0.5 + rand);
    }
}

1;
