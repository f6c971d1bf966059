package Gateway::Upstream;

# A raw recording upstream: takes any bytes that come, keeps them, answers.
#
#   my $up = Gateway::Upstream->start(sub { my ($req) = @_; return $answer });
#   Gateway::Upstream->start($code, address => '127.0.0.2', port => $port);
#   $req: { head, body, method, target, headers => [[name, value], ...], n, host, peer }
#   $answer: raw bytes; { bytes, delay, hold, close, pieces } or
#            { status, headers => [name => value, ...], body, delay, hold, close, drop }; undef: 200 {"ok":true}.
#            drop: closes without an answer.  hold: answers after release().
#            pieces: so many writes instead of one, with 2 ms between them.
#   $up->release;                    # sends all answers that are held back; release(1): the oldest one
#   $up->url; $up->requests; $up->clear; $up->connections; $up->stop
#   $up->take;                       # the requests since the last take()
#   $up->answered;                   # [n, time] of each answer that was delayed or held back
#   $up->strays;                     # bytes that were no whole request when a connection ended
#   $up->answer($answer);                # without code: from now on this, as a hash; raw: bytes; echo => 1:
#                                        # the body is {"n","method","target","key"} of the request
#   Gateway::Upstream::header($req, 'x-api-key')
#
# It is one process with a select loop; the code runs there.

use strict;
use warnings;

use File::Temp ();
use IO::Select ();
use IO::Socket::INET ();
use JSON::PP ();
use POSIX ();
use Time::HiRes qw(sleep time);

my $JSON = JSON::PP->new->latin1->canonical;

sub start {
    my ($class, $answer, %o) = @_;
    my $listen = IO::Socket::INET->new(
        Listen => 1024, LocalAddr => $o{address} || '127.0.0.1', LocalPort => $o{port} || 0, ReuseAddr => 1
    ) or die "listen: $!";
    my $self = bless {
        owner => $$,
        port  => $listen->sockport,
        file  => File::Temp->new,
    }, $class;
    $self->{path} = $self->{file}->filename;

    pipe my $release, $self->{release} or die "pipe: $!";
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        $SIG{$_} = 'DEFAULT' for qw(INT TERM);
        $SIG{PIPE} = 'IGNORE';
        close $self->{release};
        _serve($listen, $release, $answer, $self->{file}->filename);
        POSIX::_exit(0);
    }
    $self->{pid} = $pid;
    return $self;
}

sub port { $_[0]{port} }
sub url  { "http://127.0.0.1:$_[0]{port}" }

sub _records {
    my ($self) = @_;
    open my $f, '<', $self->{file}->filename or return;
    my @lines = <$f>;
    return map { $JSON->decode($_) } grep { /\n\z/ } @lines;
}

sub requests    { return grep { exists $_->{head} } $_[0]->_records }
sub connections { return scalar grep { $_->{connection} } $_[0]->_records }
sub answered    { return map { $_->{answered} // () } $_[0]->_records }
sub strays      { return map { $_->{stray} // () } $_[0]->_records }
sub release     { syswrite $_[0]{release}, pack 'C', $_[1] || 255 }
sub clear       { truncate $_[0]{file}->filename, 0; $_[0]{taken} = 0 }

sub take {
    my ($self) = @_;
    open my $f, '<', $self->{file}->filename or return;
    seek $f, $self->{taken} || 0, 0;
    my @found;
    while (my $line = <$f>) {
        last unless $line =~ /\n\z/;
        $self->{taken} += length $line;
        my $record = $JSON->decode($line);
        push @found, $record if exists $record->{head};
    }
    return @found;
}

sub answer {
    my ($self, $answer) = @_;
    my $path = "$self->{path}.answer";
    open my $f, '>', "$path.new" or die "$path: $!";
    print $f $JSON->encode($answer || {});
    close $f;
    rename "$path.new", $path or die "$path: $!";
}

sub _scripted {
    my ($file, $req) = @_;
    open my $f, '<', "$file.answer" or return;
    my $res = $JSON->decode(do { local $/; <$f> });
    return $res->{raw} if defined $res->{raw};
    if (delete $res->{echo}) {
        $res->{body} = $JSON->encode({
            n => $req->{n}, method => $req->{method}, target => $req->{target},
            key => scalar header($req, 'x-api-key'),
        });
    }
    return $res;
}

sub stop {
    my ($self) = @_;
    my $pid = delete $self->{pid} or return;
    kill 'KILL', $pid;
    waitpid $pid, 0;
    unlink "$self->{path}.answer";
}

sub DESTROY {
    my ($self) = @_;
    local ($?, $@, $!);
    $self->stop if $self->{owner} == $$;
}

sub header {
    my ($req, $name) = @_;
    my @values = map { $_->[1] } grep { lc $_->[0] eq lc $name } @{ $req->{headers} };
    return wantarray ? @values : $values[0];
}

sub _serve {
    my ($listen, $release, $answer, $file) = @_;
    open my $log, '>>', $file or die $!;
    $log->autoflush(1);

    my $select = IO::Select->new($listen, $release);
    my (%in, @later);
    my $n = 0;

    my $close = sub {
        my ($c) = @_;
        $select->remove($c);
        print $log $JSON->encode({ stray => $in{$c}{data} }), "\n"
            if $in{$c} && length $in{$c}{data};
        delete $in{$c};
        close $c;
    };

    while (1) {
        my $wait = @later ? $later[0]{at} - time : 10;
        my @ready = $select->can_read($wait > 10 ? 10 : $wait > 0 ? $wait : 0);

        if (grep { $_ == $release } @ready) {
            sysread $release, my $byte, 1 or return;    # the test has ended
            my @held = sort { $a->{n} <=> $b->{n} } grep { $_->{hold} && $in{ $_->{c} } } @later;
            $_->{at} = 0 for splice @held, 0, unpack 'C', $byte;
            @later = sort { $a->{at} <=> $b->{at} || $a->{n} <=> $b->{n} } @later;
        }

        while (@later && $later[0]{at} <= time) {
            my $l = shift @later;
            next unless $in{ $l->{c} };
            _write($l->{c}, $l->{bytes});
            print $log $JSON->encode({ answered => [ $l->{n}, time ] }), "\n";
            $close->($l->{c}) if $l->{close};
        }

        for my $c (@ready) {
            if ($c == $listen) {
                my $new = $listen->accept or next;
                $select->add($new);
                $in{$new} = { data => '' };
                print $log $JSON->encode({ connection => 1 }), "\n";
                next;
            }
            next unless $in{$c};

            my $got = sysread $c, $in{$c}{data}, 262144, length $in{$c}{data};
            if (!$got) {
                $close->($c);
                next;
            }

            while ($in{$c} && (my $req = _parse(\$in{$c}{data}))) {
                $req->{n} = $n++;
                $req->{peer} = $c->peerport;
                print $log $JSON->encode($req), "\n";
                my $res = $answer ? $answer->($req) : _scripted($file, $req);
                my ($bytes, $delay, $end) = _bytes($res, $req);
                if (!defined $bytes) {
                    $close->($c);
                } elsif (ref $res && $res->{pieces}) {
                    my $size = int(length($bytes) / $res->{pieces}) + 1;
                    my @pieces = unpack "(a$size)*", $bytes;
                    push @later, map {
                        { c => $c, n => $req->{n}, at => time + $_ * 0.002, bytes => $pieces[$_],
                          close => $end && $_ == $#pieces }
                    } 0 .. $#pieces;
                    @later = sort { $a->{at} <=> $b->{at} } @later;
                } elsif ($delay) {
                    my $hold = ref $res && $res->{hold};
                    push @later, {
                        c => $c, n => $req->{n}, at => time + $delay, bytes => $bytes, close => $end, hold => $hold,
                    };
                    @later = sort { $a->{at} <=> $b->{at} } @later;
                } else {
                    _write($c, $bytes);
                    $close->($c) if $end;
                }
            }
        }
    }
}

sub _write {
    my ($c, $bytes) = @_;
    my $done = 0;
    while ($done < length $bytes) {
        my $n = syswrite $c, $bytes, length($bytes) - $done, $done;
        last unless defined $n;
        $done += $n;
    }
}

# A whole request off the front of the bytes, or undef.

sub _parse {
    my ($data) = @_;
    my $at = index $$data, "\r\n\r\n";
    return if $at < 0;
    my $head = substr $$data, 0, $at;
    my ($line, @lines) = split /\r\n/, $head;
    my @headers = map { [ split /:\s*/, $_, 2 ] } @lines;
    my ($length) = map { $_->[1] } grep { lc $_->[0] eq 'content-length' } @headers;
    my ($te)     = map { $_->[1] } grep { lc $_->[0] eq 'transfer-encoding' } @headers;
    my $rest = substr $$data, $at + 4;
    my ($body, $used) = ('', 0);

    if ($te && $te =~ /chunked/i) {
        my $p = 0;
        while (1) {
            return unless substr($rest, $p) =~ /\A([0-9a-f]+)\r\n/i;
            my $n = hex $1;
            $p += length($1) + 2;
            return if length $rest < $p + $n + 2;
            $body .= substr $rest, $p, $n;
            $p += $n + 2;
            last if $n == 0;
        }
        $used = $p;
    } elsif ($length) {
        return if length $rest < $length;
        $body = substr $rest, 0, $length;
        $used = $length;
    }

    substr $$data, 0, $at + 4 + $used, '';
    my ($method, $target) = split / /, $line;
    my ($host) = map { $_->[1] } grep { lc $_->[0] eq 'host' } @headers;
    return {
        head => $head, body => $body, method => $method, target => $target,
        headers => \@headers, host => $host,
    };
}

sub _bytes {
    my ($res, $req) = @_;
    $res //= {};
    return ($res, 0, 0) unless ref $res;
    $res->{delay} = 1e9 if $res->{hold};
    return (undef, 0, 1) if $res->{drop};
    return ($res->{bytes}, $res->{delay} || 0, $res->{close} || 0) if defined $res->{bytes};
    my $status = $res->{status} || 200;
    my $body = $res->{body} // '{"ok":true}';
    my @headers = @{ $res->{headers} || [] };
    my %has = map { lc } @headers;
    push @headers, 'Content-Type' => 'application/json' unless exists $has{'content-type'};
    my $text = "HTTP/1.1 $status Status\r\n";
    while (my ($name, $value) = splice @headers, 0, 2) {
        $text .= "$name: $value\r\n";
    }
    my $empty = $status == 204 || $status == 304;
    $text .= 'Content-Length: ' . length($body) . "\r\n" unless $empty;
    $text .= "Connection: close\r\n" if $res->{close};
    $text .= "\r\n";
    $text .= $body unless $empty || $req->{method} eq 'HEAD';
    return ($text, $res->{delay} || 0, $res->{close} || 0);
}

1;
