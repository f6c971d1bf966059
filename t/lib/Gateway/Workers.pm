package Gateway::Workers;

# A keep-alive connection to each worker of a gateway: a request can be sent to
# a chosen worker, or to all of them.
#
#   my $gw = Gateway->start(workers => 3, Gateway::Workers::options());   # reuseport, X-Worker, X-Key
#   my $all = Gateway::Workers->new($gw);           # after a reload: new($gw, @old_pids), without those
#   $all->pids;
#   my @res = $all->get('/v1/x', token => $t);      # one answer of each
#   my $res = $all->one($i, '/v1/x', token => $t, headers => [ Accept => 'x' ]);    # of one
#   $all->statuses($token);                         # "200 200 200"

use strict;
use warnings;

use Time::HiRes qw(sleep time);

sub options {
    return (
        listen => 'reuseport',
        server => 'add_header X-Worker $pid always; add_header X-Key $ampersand_cache_key always;'
            . ' keepalive_requests 10000000; keepalive_timeout 600s;',
    );
}

sub new {
    my ($class, $gw, @old) = @_;
    my $want = $gw->{o}{workers} || 1;
    my $self = bless { gw => $gw, sockets => {} }, $class;
    my $end = time + 60;
    while (keys %{ $self->{sockets} } < $want) {
        die "no connection to each of $want workers\n" if time > $end;
        my $socket = $gw->connect or next;
        my $res = _ask($socket, '/-/status') or next;
        my $pid = $res->{headers}{'x-worker'} or next;
        $self->{sockets}{$pid} ||= $socket unless grep { $_ == $pid } @old;
    }
    return $self;
}

sub pids {
    my ($self) = @_;
    my @pids = sort { $a <=> $b } keys %{ $self->{sockets} };
    return @pids;
}

sub one {
    my ($self, $i, $target, %r) = @_;
    my $pid = ($self->pids)[$i];
    my $res = _ask($self->{sockets}{$pid}, $target, %r);
    die "worker $pid does not answer\n" unless $res && $res->{status};
    return $res;
}

sub get {
    my ($self, $target, %r) = @_;
    return map { $self->one($_, $target, %r) } 0 .. $self->pids - 1;
}

sub statuses {
    my ($self, $token, $target) = @_;
    return join ' ', map { $_->{status} } $self->get($target || '/v1/integrations', token => $token);
}

sub _ask {
    my ($socket, $target, %r) = @_;
    my $text = "GET $target HTTP/1.1\r\nHost: gateway.test\r\n";
    $text .= "X-Api-Key: $r{token}\r\n" if defined $r{token};
    my @headers = @{ $r{headers} // [] };
    while (my ($name, $value) = splice @headers, 0, 2) {
        $text .= "$name: $value\r\n";
    }
    local $SIG{PIPE} = 'IGNORE';
    syswrite $socket, "$text\r\n" or return;
    return Gateway::read_response($socket);
}

1;
