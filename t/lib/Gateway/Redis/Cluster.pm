package Gateway::Redis::Cluster;

# A Redis Cluster on free loopback ports: masters that share all slots, each
# with replicas; gone with the object.
#
#   my $c = Gateway::Redis::Cluster->start(
#       masters => 3, replicas => 1, timeout => 1000,    # ms, cluster-node-timeout; the defaults
#       tls => 1, certificate => ..., users => {...}, binary => ..., password => 'x',
#   );
#   $c->url; $c->args; $c->env;        # redis+cluster://127.0.0.1:p,... : the first masters
#   $c->nodes; $c->masters;            # Gateway::Redis each; masters: as a running node sees them now
#   $c->slot('amp:tenant:x'); $c->master_of($slot);
#   $c->move($slot);                   # to the next master, with its keys: the answer is MOVED there
#   $c->migrate($slot);                # the same, but not ended before move(): keys have gone, the answer is ASK
#   $c->crash($master);                # kill -9, or $c->pause($master): waits until its replica has
#                                      # its slots; answers the seconds that took
#   $c->settle;                        # all nodes are back and all agree
#   $c->command(...);                  # at the master of the key (the second word); follows MOVED and ASK
#   $c->everywhere(...);               # at each master: a list of answers
#   $c->subscribe('amp:events');

use strict;
use warnings;

use Gateway::Redis ();
use Time::HiRes qw(time);

sub start {
    my ($class, %o) = @_;
    $o{certs} = ref $o{tls} ? $o{tls} : Gateway::Certificates->new if $o{tls};
    for my $try (1 .. 5) {
        my $self = bless { o => \%o }, $class;
        return $self if $self->_start;
    }
    die "no cluster starts\n";
}

# Each node starts with a complete nodes.conf: no CLUSTER MEET is needed.

sub _start {
    my ($self) = @_;
    my $o = $self->{o};
    my $masters = $o->{masters} || 3;
    my $n = $masters * (1 + ($o->{replicas} // 1));
    my @ports = Gateway::Redis::free_ports($n);
    my @ids = map { sprintf '%040x', $_ + 1 } 0 .. $n - 1;
    my @password = defined $o->{password}
        ? ('--requirepass', $o->{password}, '--masterauth', $o->{password}) : ();
    my %each = map { $_ => $o->{$_} } grep { defined $o->{$_} } qw(certificate clients users binary);
    $each{tls} = $o->{certs} if $o->{certs};

    $self->{nodes} = [ map {
        Gateway::Redis->new(
            %each, port => $ports[$_],
            '--cluster-enabled', 'yes', '--cluster-node-timeout', $o->{timeout} || 1000,
            '--cluster-replica-validity-factor', 0, $o->{certs} ? ('--tls-cluster', 'yes') : (),
            '--repl-diskless-sync', 'yes', '--repl-diskless-sync-delay', 0, '--repl-ping-replica-period', 1, @password,
        )
    } 0 .. $n - 1 ];

    my @nodes = $self->nodes;
    for my $me (0 .. $n - 1) {
        open my $f, '>', $nodes[$me]->dir . '/nodes.conf' or die $!;
        for my $i (0 .. $n - 1) {
            my $kind = $i < $masters ? 'master -' : 'slave ' . $ids[$i % $masters];
            my $slots = $i < $masters
                ? sprintf ' %d-%d', int(16384 * $i / $masters), int(16384 * ($i + 1) / $masters) - 1 : '';
            printf $f "%s 127.0.0.1:%d\@%d %s%s 0 0 %d connected%s\n",
                $ids[$i], $ports[$i], $ports[$i] + 10000, $i == $me ? 'myself,' : '', $kind, $i % $masters + 1, $slots;
        }
        print $f "vars currentEpoch $masters lastVoteEpoch 0\n";
        close $f;
    }

    $self->{seeds} = [ @ports[0 .. $masters - 1] ];
    $_->spawn for @nodes;
    my $fine = 1;
    for (@nodes) {
        $fine &&= $_->ready;
    }
    return $fine && $self->settle;
}

sub nodes { @{ $_[0]{nodes} } }
sub args  { $_[0]{nodes}[0]->args }
sub env   { $_[0]{nodes}[0]->env }
sub certs { $_[0]{o}{certs} }

sub url {
    my ($self, $who) = @_;
    return ($self->{o}{certs} ? 'rediss' : 'redis') . '+cluster://' . ($who // '')
        . join ',', map { "127.0.0.1:$_" } @{ $self->{seeds} };
}

sub _alive {
    my ($self) = @_;
    return grep { $_->pid && !$self->{frozen}{$_} } $self->nodes;
}

# [first slot, last slot, master] as a running node sees them.

sub _slots {
    my ($self, $node) = @_;
    ($node) = $self->_alive unless $node;
    return map { [ $_->[0], $_->[1], $self->{nodes}[ hex($_->[2][2]) - 1 ] ] } @{ $node->command('CLUSTER', 'SLOTS') };
}

sub masters {
    my ($self) = @_;
    my %seen;
    return grep { !$seen{$_}++ } map { $_->[2] } $self->_slots;
}

sub slot {
    my ($self, $key) = @_;
    my ($node) = $self->_alive;
    return $node->command('CLUSTER', 'KEYSLOT', $key);
}

sub master_of {
    my ($self, $slot, $node) = @_;
    my ($found) = grep { $_->[0] <= $slot && $slot <= $_->[1] } $self->_slots($node);
    return $found && $found->[2];
}

sub _id { return $_[1]->command('CLUSTER', 'MYID') }

sub _next {
    my ($self, $from) = @_;
    my @masters = $self->masters;
    my ($at) = grep { $masters[$_] == $from } 0 .. $#masters;
    return $masters[ ($at + 1) % @masters ];
}

sub migrate {
    my ($self, $slot) = @_;
    return @{ $self->{on_its_way}{$slot} } if $self->{on_its_way}{$slot};
    my $from = $self->master_of($slot);
    my $to = $self->_next($from);
    $to->command('CLUSTER', 'SETSLOT', $slot, 'IMPORTING', $self->_id($from));
    $from->command('CLUSTER', 'SETSLOT', $slot, 'MIGRATING', $self->_id($to));
    my @keys = @{ $from->command('CLUSTER', 'GETKEYSINSLOT', $slot, 1000) };
    my $password = $self->{o}{password};
    $from->command('MIGRATE', '127.0.0.1', $to->port, '', 0, 5000,
        defined $password ? ('AUTH', $password) : (), 'KEYS', @keys) if @keys;
    $self->{on_its_way}{$slot} = [ $from, $to ];
    return ($from, $to);
}

sub move {
    my ($self, $slot) = @_;
    my ($from, $to) = $self->migrate($slot);
    delete $self->{on_its_way}{$slot};
    my $id = $self->_id($to);
    $_->command('CLUSTER', 'SETSLOT', $slot, 'NODE', $id) for $to, $from;
    # a replica that does not know of the move yet would not take this slot over
    Gateway::Redis::wait_for(sub { !grep { $self->master_of($slot, $_) != $to } $self->_alive })
        or die "slot $slot has not moved\n";
    return ($from, $to);
}

sub _lose {
    my ($self, $node, $how) = @_;
    my ($slots) = grep { $_->[2] == $node } $self->_slots;
    my $begin = time;
    $self->{frozen}{$node} = $how eq 'pause';
    $node->$how;
    Gateway::Redis::wait_for(sub {
        my @unaware = grep {
            my $master = $self->master_of($slots->[0], $_);
            !$master || $master == $node || $self->_state($_) ne 'ok';
        } $self->_alive;
        return !@unaware;
    }) or die "no replica was promoted\n", map { $_->tail } $self->nodes;
    return time - $begin;
}

sub crash { my ($self, $node) = @_; return $self->_lose($node, 'crash') }
sub pause { my ($self, $node) = @_; return $self->_lose($node, 'pause') }

sub _state {
    my ($self, $node) = @_;
    return $node->command('CLUSTER', 'INFO') =~ /^cluster_state:(\w+)/m ? $1 : '';
}

sub settle {
    my ($self) = @_;
    for ($self->nodes) {
        if (!$_->pid) {
            $_->restart;
        } elsif (delete $self->{frozen}{$_}) {
            $_->resume;
        }
    }
    return Gateway::Redis::wait_for(sub {
        for my $node ($self->nodes) {
            return 0 if $self->_state($node) ne 'ok';
            my $info = $node->info('replication');
            # Redis 6 calls a replica online that gets nothing before its first answer
            return 0 if $info->{role} eq 'slave' ? $info->{master_link_status} ne 'up'
                : grep { /^slave\d/ && $info->{$_} !~ /state=online,offset=[1-9]/ } keys %$info;
            my $known = $node->command('CLUSTER', 'NODES');
            return 0 if $known =~ /fail|handshake|disconnected/;
        }
        my %views = map { join(' ', sort map { "$_->[0]-$_->[1]-" . $_->[2]->port } $self->_slots($_)) => 1 } $self->nodes;
        return keys %views == 1;
    });
}

sub command {
    my ($self, @args) = @_;
    my $slot = $self->slot($args[1]);
    my $node = $self->master_of($slot);
    my $asking;
    for my $hop (1 .. 5) {
        $node->command('ASKING') if $asking;
        my $answer = eval { $node->command(@args) };
        return $answer unless $@;
        $@ =~ /^redis error: (MOVED|ASK)/ or die $@;
        $asking = $1 eq 'ASK';
        $node = $asking ? $self->{on_its_way}{$slot}[1] : $self->master_of($slot);
    }
    die "too many hops for @args\n";
}

sub everywhere {
    my ($self, @args) = @_;
    return map { $_->command(@args) } $self->masters;
}

sub subscribe {
    my ($self, $channel) = @_;
    my ($node) = $self->_alive;
    return $node->subscribe($channel);
}

1;
