package Gateway::Bench;

# What measurements share: an upstream that costs little, nginx processes with a
# configuration of one's own, load from wrk, and what a process used.  Workers that
# are measured run on core 0; the upstream and wrk on core 1.
#
#   my $bench = Gateway::Bench->new(connections => 32);
#   $bench->upstream;                       # its port.  "p" in the query: an answer that may not be stored
#   my $pid = $bench->nginx('name', $conf, @wrap);   # DIR in $conf: its own directory; gone with the object
#   $bench->dir;                            # a directory for files
#   my $pid = $bench->spawn('name', @command);   # another program
#   my $file = $bench->tenants($gateway, 'name', $n, $limit);    # the tokens of n new tenants
#   $bench->certificate;                    # a file with one certificate of an authority
#   $bench->warm($port, 'hit', $tokens_file, $n);    # n requests at least, one after the other tenant
#   my ($us, $rps) = $bench->measure($port, $worker, 'miss', $tokens_file, $seconds);
#                                           # CPU a request of that process, requests a second; 'hit', 'pass' too
#   $bench->wrk($port, 'hit', $tokens_file, $seconds);   # load only: (requests, requests a second)
#   worker_of($master); loaded($master); wait_port($port);
#   median(@values); shown('%.1f', @values);             # "median (min..max)"

use strict;
use warnings;

use Compress::Zlib ();
use Digest::SHA ();
use Exporter qw(import);
use File::Temp ();
use Gateway ();
use IO::Socket::INET ();
use JSON::PP ();
use POSIX ();
use Time::HiRes qw(sleep);

our @EXPORT_OK = qw(worker_of loaded wait_port median shown);
our $BODY = '{"results":[' . join(',', map { qq({"id":"$_","name":"integration-$_"}) } 1 .. 25) . ']}';

# Directives of http{} and arguments of Gateway->start for a gateway that is measured.

our $KEEP = 'access_log off; keepalive_requests 100000000;';

# Keys for all misses of a run: with less, nginx removes an old file for each new one.

our $CACHE_ZONE = '128m';

my $NGINX = $ENV{NGINX_BINARY} || '/usr/sbin/nginx';

sub new {
    my ($class, %o) = @_;
    my $self = bless { connections => $o{connections} || 32, tmp => File::Temp->newdir, pids => [], owner => $$ }, $class;
    chmod 0755, $self->dir;
    $self->{upstream} = Gateway::Redis::free_port();
    $self->nginx('upstream', <<"CONF", 'taskset', '-c', '1');
daemon off; worker_processes 1; pid DIR/pid; error_log DIR/logs/error.log;
events { worker_connections 4096; }
http {
    $KEEP
    map \$arg_p \$cc { "" max-age=3600; default no-store; }
    server {
        listen 127.0.0.1:$self->{upstream} backlog=4096;
        default_type application/json;
        add_header Cache-Control \$cc;
        location / { return 200 '$BODY'; }
    }
}
CONF
    wait_port($self->{upstream});
    return $self;
}

sub dir      { $_[0]{tmp}->dirname }
sub upstream { $_[0]{upstream} }

sub gateway_args {
    my ($self) = @_;
    return (
        workers => 1, upstream => "http://127.0.0.1:$self->{upstream}", zone => '128m', log_level => 'error', cache_zone => $CACHE_ZONE,
        main => 'worker_cpu_affinity 01; worker_rlimit_nofile ' . _files() . ';',
        http => "$KEEP ampersand_cache_ttl default 60m; ampersand_tenant_ttl 60m;",
    );
}

# As many as README says, where this user may.

sub _files {
    my $most = `sh -c "ulimit -Hn"`;
    return $most =~ /^(\d+)/ && $1 < 32768 ? $1 : 32768;
}

sub nginx {
    my ($self, $name, $conf, @wrap) = @_;
    my $dir = $self->dir . "/$name";
    mkdir $dir;
    mkdir "$dir/$_" for qw(logs tmp cache);
    chmod 0777, $dir, map { "$dir/$_" } qw(tmp cache);
    open my $f, '>', "$dir/nginx.conf" or die $!;
    print $f $conf =~ s/DIR/$dir/gr;
    close $f;
    return $self->spawn($name, @wrap, $NGINX, '-p', $dir, '-c', "$dir/nginx.conf");
}

sub spawn {
    my ($self, $name, @command) = @_;
    my $log = $self->dir . "/$name/logs/error.log";
    my $pid = fork // die $!;
    if ($pid == 0) {
        open STDERR, '>>', $log;
        exec @command or POSIX::_exit(127);
    }
    push @{ $self->{pids} }, $pid;
    return $pid;
}

# Tenants with a project, key and token each, by one import.

sub tenants {
    my ($self, $gw, $name, $n, $limit) = @_;
    my $file = $self->dir . "/tokens.$name.$n";
    my $key = $self->dir . '/key.txt';
    open my $f, '>', $key or die $!;
    print $f "amp-key-of-tenant-0123456789abcdef\n";
    close $f;
    chmod 0600, $key;
    my @digits = (0 .. 9, 'A' .. 'Z', 'a' .. 'z');
    my (@tokens, @tenants);
    for my $i (1 .. $n) {
        my $token = 'agw_' . join '', map { $digits[ rand 62 ] } 1 .. 30;
        my $crc = Compress::Zlib::crc32($token);
        my $sum = '';
        for (1 .. 6) {
            $sum = $digits[ $crc % 62 ] . $sum;
            $crc = int($crc / 62);
        }
        push @tokens, $token . $sum;
        push @tenants, {
            id => "$name-$i", project => { id => "project-$name-$i", name => "name-$i" },
            keys => [ { id => 'k1', state => 'active', file => $key } ], $limit ? (limits => { default => $limit, read => $limit }) : (),
            tokens => [ { id => "$name-$i." . join('', map { $digits[ rand 62 ] } 1 .. 10), digest => Digest::SHA::sha256_hex($tokens[-1]) } ],
        };
    }
    open $f, '>', "$file.json" or die $!;
    print $f JSON::PP::encode_json({ version => 1, tenants => \@tenants });
    close $f;
    $gw->ctl('config', 'import', "$file.json");
    open $f, '>', $file or die $!;
    print $f map { "$_\n" } @tokens;
    close $f;
    return $file;
}

sub certificate {
    my ($self) = @_;
    my $file = $self->dir . '/one.pem';
    my ($one) = Gateway::_slurp('/etc/ssl/certs/ca-certificates.crt') =~ /(-----BEGIN CERT.*?-----END CERTIFICATE-----\n)/s
        or die "no certificates of authorities\n";
    open my $f, '>', $file or die $!;
    print $f $one;
    close $f;
    return $file;
}

# Ends one of its processes.

sub quit {
    my ($self, $pid) = @_;
    kill 'QUIT', $pid;
    waitpid $pid, 0;
    @{ $self->{pids} } = grep { $_ != $pid } @{ $self->{pids} };
}

sub DESTROY {
    my ($self) = @_;
    local ($?, $@, $!);
    return if $self->{owner} != $$;
    kill 'TERM', $_ for @{ $self->{pids} };
}

sub wait_port {
    my ($port) = @_;
    for (1 .. 1000) {
        return 1 if IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 1);
        sleep 0.02;
    }
    die "nothing listens on $port\n";
}

# User and system time of a process, in microseconds (clock ticks are 10 ms, too
# coarse for a second of load).

sub _cpu {
    my ($pid) = @_;
    return (split / /, Gateway::_slurp("/proc/$pid/schedstat"))[0] / 1000;
}

sub _process_of {
    my ($master, $what) = @_;
    for my $stat (glob '/proc/[0-9]*/stat') {
        my $text = eval { Gateway::_slurp($stat) } // next;
        next unless $text =~ /^(\d+) \(nginx\) \S (\d+) / && $2 == $master;
        my $pid = $1;
        return $pid if (eval { Gateway::_slurp("/proc/$pid/cmdline") } // '') =~ $what;
    }
    return undef;
}

sub worker_of {
    my ($master) = @_;
    for (1 .. 250) {
        my $pid = _process_of($master, qr/worker process/);
        return $pid if $pid;
        sleep 0.02;
    }
    die "no worker of nginx $master\n";
}

# Until nginx's cache loader is done, a minute after the start, each miss costs
# one more open(): nginx looks for entries on the disk.

sub loaded {
    my ($master) = @_;
    sleep 0.5 while _process_of($master, qr/cache loader/);
}

sub wrk {
    my ($self, $port, $path, $tokens, $seconds) = @_;
    my $script = "$Gateway::ROOT/t/bench/tenants.lua";
    my $out = `taskset -c 1 wrk -t1 -c$self->{connections} -d${seconds}s -s $script http://127.0.0.1:$port/ -- $tokens $path 2>&1`;
    my ($requests) = $out =~ /(\d+) requests in/ or die "wrk:\n$out";
    my ($rps) = $out =~ m{Requests/sec:\s+([\d.]+)};
    die "answers other than 200:\n$out" if $out =~ /Non-2xx/;
    return ($requests, $rps);
}

sub warm {
    my ($self, $port, $path, $tokens, $n) = @_;
    for (my ($seconds, $done) = (1, 0); $done < $n; $seconds *= 2) {
        ($done) = $self->wrk($port, $path, $tokens, $seconds);
    }
}

sub measure {
    my ($self, $port, $pid, $path, $tokens, $seconds) = @_;
    my $before = _cpu($pid);
    my ($requests, $rps) = $self->wrk($port, $path, $tokens, $seconds);
    return ((_cpu($pid) - $before) / $requests, $rps);
}

sub median {
    my @s = sort { $a <=> $b } @_;
    return $s[$#s / 2];
}

sub shown {
    my ($format, @values) = @_;
    my @s = sort { $a <=> $b } @values;
    return sprintf "$format ($format..$format)", median(@s), $s[0], $s[-1];
}

1;
