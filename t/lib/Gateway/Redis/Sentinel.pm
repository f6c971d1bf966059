package Gateway::Redis::Sentinel;

# A master, its replicas and the Sentinels that watch them, on free loopback
# ports; gone with the object.
#
#   my $s = Gateway::Redis::Sentinel->start(
#       replicas => 2, sentinels => 3, down_after => 700,    # ms; these are the defaults
#       tls => 1, certificate => ..., users => {...}, binary => ...,  # see Gateway::Redis
#       password => 'x',               # of the servers
#       sentinel_password => 'y',      # of the Sentinels
#       options => [ '--x', 'y' ],     # of the servers
#   );
#   $s->url; $s->args; $s->env;        # redis+sentinel://127.0.0.1:p,127.0.0.1:p,127.0.0.1:p/main
#   $s->master;                        # the Gateway::Redis that the Sentinels name
#   $s->replicas; $s->nodes; $s->sentinels;    # Gateway::Redis each
#   $s->failover('command');           # SENTINEL FAILOVER; 'crash', 'pause': of the master.  Waits
#                                      # until another is master; answers the seconds it took
#   $s->settle;                        # all nodes are back and follow one master
#   $s->command(...); $s->subscribe(...); $s->info(...);    # of the master
#   $s->pause; $s->resume; $s->stop; $s->restart            # all nodes, not the Sentinels

use strict;
use warnings;

use Gateway::Redis ();
use Time::HiRes qw(time);

sub name { 'main' }

sub start {
    my ($class, %o) = @_;
    $o{certs} = ref $o{tls} ? $o{tls} : Gateway::Certificates->new if $o{tls};
    my $self;
    for my $try (1 .. 3) {
        $self = bless { o => \%o }, $class;
        return $self if $self->_start;
    }
    die "Sentinels do not start\n", map { $_->tail } $self->sentinels;
}

sub _start {
    my ($self) = @_;
    my $o = $self->{o};
    my ($n, $m) = (1 + ($o->{replicas} // 2), $o->{sentinels} // 3);
    my @ports = Gateway::Redis::free_ports($n + $m);
    my $master = $ports[0];
    my @password = defined $o->{password}
        ? ('--requirepass', $o->{password}, '--masterauth', $o->{password}) : ();

    my %each = map { $_ => $o->{$_} } grep { defined $o->{$_} } qw(certificate clients users binary);
    $each{tls} = $o->{certs} if $o->{certs};

    $self->{nodes} = [ map {
        Gateway::Redis->new(
            %each, port => $ports[$_],
            '--repl-diskless-sync', 'yes', '--repl-diskless-sync-delay', 0, '--repl-ping-replica-period', 1,
            '--repl-timeout', 5, @password, @{ $o->{options} || [] },
            $_ ? ('--replicaof', '127.0.0.1', $master) : (),
        )
    } 0 .. $n - 1 ];

    my @ids = map { sprintf '%040x', $_ + 1 } 0 .. $m - 1;
    my $name = $self->name;
    my $quorum = int($m / 2) + 1;
    my $after = $o->{down_after} || 700;
    delete $each{users};
    $self->{sentinels} = [ map {
        my $me = $_;
        Gateway::Redis->new(
            %each, port => $ports[$n + $me],
            sentinel => join("\n",
                "sentinel myid $ids[$me]",
                "sentinel monitor $name 127.0.0.1 $master $quorum",
                "sentinel down-after-milliseconds $name $after",
                "sentinel failover-timeout $name 3000",
                "sentinel parallel-syncs $name 2",
                (defined $o->{password} ? "sentinel auth-pass $name $o->{password}" : ()),
                (map { "sentinel known-replica $name 127.0.0.1 $ports[$_]" } 1 .. $n - 1),
                # what Sentinels learn from each other within some seconds
                (map { "sentinel known-sentinel $name 127.0.0.1 $ports[$n + $_] $ids[$_]" } grep { $_ != $me } 0 .. $m - 1),
                (defined $o->{sentinel_password} ? "requirepass $o->{sentinel_password}" : ()),
                ''),
            defined $o->{sentinel_password} ? ('--requirepass', $o->{sentinel_password}) : (),
        )
    } 0 .. $m - 1 ];

    my @all = (@{ $self->{nodes} }, @{ $self->{sentinels} });
    $_->spawn for @all;
    my $fine = 1;
    for (@all) {
        $fine &&= $_->ready;
    }
    return $fine && $self->settle;
}

sub nodes     { @{ $_[0]{nodes} } }
sub sentinels { @{ $_[0]{sentinels} } }
sub args      { $_[0]{nodes}[0]->args }
sub env       { $_[0]{nodes}[0]->env }
sub certs     { $_[0]{o}{certs} }

sub url {
    my ($self, $who) = @_;
    return ($self->{o}{certs} ? 'rediss' : 'redis') . '+sentinel://' . ($who // '')
        . join(',', map { '127.0.0.1:' . $_->port } $self->sentinels) . '/' . $self->name;
}

sub _named {
    my ($self, $sentinel) = @_;
    my $at = $sentinel->command('SENTINEL', 'get-master-addr-by-name', $self->name) or return;
    my ($node) = grep { $_->port == $at->[1] } $self->nodes;
    return $node;
}

sub master {
    my ($self) = @_;
    for my $sentinel (grep { $_->pid } $self->sentinels) {
        my $node = eval { $self->_named($sentinel) };
        return $node if $node;
    }
    die "no Sentinel names a master\n";
}

sub replicas {
    my ($self) = @_;
    my $master = $self->master;
    return grep { $_ != $master } $self->nodes;
}

sub settle {
    my ($self) = @_;
    for (grep { !$_->pid } $self->nodes, $self->sentinels) {
        $_->restart;
    }
    $_->resume for $self->nodes;

    # Redis 7 lets Sentinels look more often than each ten seconds
    for ($self->sentinels) {
        eval { $_->command('SENTINEL', 'DEBUG', 'info-period', 300, 'publish-period', 300) };
    }
    return Gateway::Redis::wait_for(sub {
        my $master = $self->master;
        my $info = $master->info('replication');
        return $info->{role} eq 'master' && $self->nodes - 1 == (grep { /^slave\d/ && $info->{$_} =~ /state=online,offset=[1-9]/ } keys %$info)
            && !(grep { $_ != $master && $_->info('replication')->{master_link_status} ne 'up' } $self->nodes)
            && !(grep { $self->_settled($_) != $master } $self->sentinels);
    });
}

# The master that a Sentinel knows, with all its replicas and all the others.

sub _settled {
    my ($self, $sentinel) = @_;
    my %s = @{ $sentinel->command('SENTINEL', 'master', $self->name) };
    my $usable = grep { my %r = @$_; $r{flags} eq 'slave' && $r{'master-link-status'} eq 'ok' }
        @{ $sentinel->command('SENTINEL', 'replicas', $self->name) };
    return 0 unless $s{flags} eq 'master' && $s{'num-other-sentinels'} == $self->sentinels - 1
        && $usable == $self->nodes - 1;
    return $self->_named($sentinel);
}

sub failover {
    my ($self, $how) = @_;
    my $old = $self->master;
    my $begin = time;
    if ($how eq 'command') {
        my ($sentinel) = grep { $_->pid } $self->sentinels;
        # Sentinel may have begun one itself, or not know the replica's state yet
        Gateway::Redis::wait_for(sub {
            return eval { $sentinel->command('SENTINEL', 'FAILOVER', $self->name) } || $@ =~ /INPROG/;
        }) or die "Sentinel refuses the fail-over\n", $sentinel->tail;
    } else {
        $old->$how;
    }
    Gateway::Redis::wait_for(sub {
        my $new = $self->master;
        return $new != $old && $new->info('replication')->{role} eq 'master';
    }) or die "no fail-over\n", map { $_->tail } $self->sentinels;
    return time - $begin;
}

sub command   { my $self = shift; return $self->master->command(@_) }
sub subscribe { my $self = shift; return $self->master->subscribe(@_) }
sub info      { my $self = shift; return $self->master->info(@_) }

sub pause   { $_->pause   for $_[0]->nodes }
sub resume  { $_->resume  for $_[0]->nodes }
sub stop    { $_->stop    for $_[0]->nodes }
sub restart { $_->restart for $_[0]->nodes }

1;
