package Gateway;

# A whole gateway of the test's own: redis-server, an upstream, nginx with the
# built module; everything on free loopback ports, in one temporary directory,
# gone with the object.
#
#   my $gw = Gateway->start(
#       workers => 2, upstream => $url,        # default: a Gateway::Upstream that answers {"ok":true}
#       redis => $gateway_redis, redis_url => "redis://...",    # also a ::Sentinel, a ::Cluster
#       redis_args => 'ca_file=...',           # after the URL; default: what $gateway_redis->args says, and timeout=1s
#       like => $gw,                           # one more gateway with its Redis, upstream and master key
#       main => '', http => '', server => '', location => '', listen => '',  # more configuration
#       gateway => 'include ...;',             # instead of ampersand/gateway.conf
#       directives => 'ampersand_redis ...',   # instead of the three that are needed
#                                              # "include PROXY;" in server: ampersand/proxy.conf
#       proxy_conf => { proxy_read_timeout => '1s' },    # other values in that file
#       zone => '4m', cache_zone => '4m',      # shared memory: ampersand_zone, keys_zone of the cache
#       module => $path,                      # another build of it
#       root => $dir,                          # another checkout: its module and its conf/ampersand
#       daemon => 1,                           # nginx in the background, so that it can be upgraded
#   );
#   my $token = $gw->tenant('acme', project => 'p-1', name => 'alpha', key => 'k-1', args => [...]);
#                                              # settled => 1: the events of tenant and token are applied; one that comes
#                                              # later makes the record outdated, which is not served without Redis then
#   my $res = $gw->get('/v1/integrations', token => $token, headers => [ Accept => 'x' ]);
#   my $res = $gw->request('POST', '/v1/...', token => $token, json => {...});   # or body => '...'
#   $res->{status}, $res->{body}, $res->{headers}{'content-type'} (first), $res->{all} ([name, value], ...)
#   $res = $gw->raw($bytes);                   # exactly these bytes, one answer
#   $gw->upstream->requests;                   # what it saw: [{ head, body, method, target, headers }]
#   $gw->ctl('limit', 'set', ...);             # ampctl; dies on failure.  try_ctl: ($exit, $out, $err)
#   $gw->applied('p-1', sub { ... }, $other);  # until $gw and $other have applied the events of that write
#   $gw->upgrade;                              # USR2, then QUIT for the old master; needs daemon => 1
#   $gw->reload; $gw->error_log; $gw->access_log; $gw->workers_pids; $gw->connections_to(@ports);
#   $gw->errors;                               # the module's lines of level error; log_lines(qr/.../): any lines
#   $gw->linked;                               # every worker has its link to Redis, and one the subscription
#   $gw->links_proven;                         # waits until the loss of a link is no outage yet
#   $gw->under_way;                            # requests in the gateway beside this one; with count => 1 in start()
#   $gw->repeated;                             # errors in the log that say an outage a second time
#   $gw->wait_for(sub { ... });                # until the code returns true: 1, or 0 after $PATIENCE seconds
#   $gw->finish;                               # stops nginx; asserts that the error log holds no alert and no crash
#   $gw->finish(killed => 1);                  # the same, where the test itself has killed workers with signal 9
#
# A gateway without a finish() is checked when it goes, or when the test ends:
# an alert or a crash then makes the test file fail.

use strict;
use warnings;

use Cwd ();
use File::Basename ();
use File::Temp ();
use IO::Select ();
use IO::Socket::INET ();
use JSON::PP ();
use POSIX ();
use Scalar::Util ();
use Test::More ();
use Time::HiRes qw(sleep time);

use Gateway::Redis ();
use Gateway::Upstream ();

our $ROOT = Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../..');

my $NGINX  = $ENV{NGINX_BINARY}  || '/usr/sbin/nginx';
my $MODULE = $ENV{NGINX_MODULE}  || "$ROOT/build/ngx_http_ampersand_module.so";
my $AMPCTL = $ENV{AMPCTL}        || "$ROOT/build/ampctl";

# How long to wait for what has to happen.  A test that passes does not wait
# for it to end, so it can be much longer than a busy machine needs.

our $PATIENCE = 60;

# What no program may write, whatever a test does to it.

our $CRASH = qr/Sanitizer|runtime error:|exited on signal|segfault|core dumped/;

my @running;    # weak references, for END
my @faults;     # of gateways that no test has finished

sub start {
    my ($class, %o) = @_;
    if (my $like = $o{like}) {
        $o{redis}    ||= $like->redis;
        $o{upstream} ||= $like->upstream_url;
    }
    my $self = bless {
        owner => $$,
        o     => \%o,
        tmp   => File::Temp->newdir('gateway.XXXXXX', TMPDIR => 1),
    }, $class;

    $SIG{$_} ||= sub { exit 1 } for qw(INT TERM);
    $SIG{PIPE} = 'IGNORE';    # a worker that dies fails a check, not the test

    my $dir = $self->dir;
    chmod 0755, $dir;    # nginx's workers may run as another user
    mkdir "$dir/$_" for qw(logs cache tmp);
    chmod 0777, "$dir/$_" for qw(cache tmp);

    $self->{redis}    = $o{redis} || ($o{redis_url} ? undef : Gateway::Redis->start);
    $self->{upstream} = $o{upstream} ? undef : Gateway::Upstream->start;

    $o{like} ? link($o{like}->dir . '/master.key', "$dir/master.key")
        : $self->ctl('masterkey', 'new', "$dir/master.key");

    for my $try (1 .. 5) {
        $self->{port} = Gateway::Redis::free_port();
        $self->_configure;
        next unless $self->_spawn;
        Scalar::Util::weaken($running[@running] = $self);
        return $self;
    }
    die "nginx does not start:\n" . $self->error_log;
}

sub dir      { $_[0]{tmp}->dirname }
sub port     { $_[0]{port} }
sub redis    { $_[0]{redis} }
sub upstream { $_[0]{upstream} }
sub url      { "http://127.0.0.1:$_[0]{port}" }
sub pid      { $_[0]{pid} }

sub upstream_url { $_[0]{o}{upstream} || $_[0]{upstream}->url }
sub redis_url    { $_[0]{o}{redis_url} || $_[0]{redis}->url }

sub _redis_args {
    my ($self) = @_;
    return $self->{o}{redis_args} // ($self->{o}{redis_url} ? '' : $self->{redis}->args);
}

sub _slurp {
    my ($path) = @_;
    open my $f, '<', $path or return '';
    local $/;
    return <$f> // '';
}

sub error_log  { _slurp($_[0]->dir . '/logs/error.log') }

# nginx writes a line after the answer has gone, and then its worker waits for events.
# The lines of different workers are in any order.

sub access_log {
    my ($self) = @_;
    $self->wait_for(sub { !grep { !_waits($_) } $self->workers_pids });
    return _slurp($self->dir . '/logs/access.log');
}

sub _waits { return _slurp("/proc/$_[0]/stat") =~ /\) S / }

sub _configure {
    my ($self) = @_;
    my $o = $self->{o};
    my $dir = $self->dir;
    my ($server) = $self->upstream_url =~ m{^https?://([^/]+)};
    my $workers = $o->{workers} || 1;
    my $level = $o->{log_level} || 'info';
    my $root = $o->{root} || $ROOT;
    my $module = $o->{module} || ($o->{root} ? "$root/build/ngx_http_ampersand_module.so" : $MODULE);

    # the shipped files, with this checkout's paths; a reload may still be under
    # way, and reads all of an old file or of a new one
    mkdir "$dir/ampersand";
    for my $name (qw(gateway.conf proxy.conf log.conf)) {
        my $text = _slurp("$root/conf/ampersand/$name");
        $text =~ s{include(\s+)ampersand/}{include$1$dir/ampersand/}g;
        $text =~ s{(include\s+\S*proxy\.conf;)}{$1 $o->{location}}g
            if $name eq 'gateway.conf' && $o->{location};
        for my $line (sort keys %{ $o->{proxy_conf} || {} }) {
            next unless $name eq 'proxy.conf';
            $text =~ s{^\Q$line\E\s[^;]*;}{$line $o->{proxy_conf}{$line};}m
                or $text .= "$line $o->{proxy_conf}{$line};\n";
        }
        open my $f, '>', "$dir/ampersand/$name.new" or die $!;
        print $f $text;
        close $f or die $!;
        rename "$dir/ampersand/$name.new", "$dir/ampersand/$name" or die $!;
    }

    my $main    = $o->{main} || '';
    my $http    = $o->{http} || '';
    my $extra   = ($o->{server} || '') =~ s{include PROXY;}{include $dir/ampersand/proxy.conf;}gr;
    $extra .= ' location = /-/count { stub_status; }' if $o->{count};
    my $listen  = $o->{listen} || '';
    my $gateway = $o->{gateway} || "include $dir/ampersand/gateway.conf;";
    my $redis   = $self->redis_url . ' ' . $self->_redis_args;

    # Redis is slower on a busy machine than the default of 100 ms allows
    $redis .= ' timeout=1s' unless defined $o->{redis_args};

    my $needed  = $o->{directives} || <<"E";
    ampersand_zone        @{[ $o->{zone} || '4m' ]};
    ampersand_redis       $redis;
    ampersand_master_key  $dir/master.key;
E

    # No test lasts an hour: a change that it sees was announced by an event.
    $http .= ' ampersand_tenant_ttl 1h;' unless "$needed $http" =~ /ampersand_tenant_ttl/;

    # Tests make an upstream fail more often in a row than a host may.
    $http .= ' ampersand_suspend off;' unless $o->{root} || $http =~ /ampersand_suspend/;

    open my $f, '>', "$dir/nginx.conf.new" or die $!;
    print $f <<"E";
load_module $module;
daemon @{[ $o->{daemon} ? 'on' : 'off' ]};
worker_processes $workers;
worker_shutdown_timeout 10s;
pid $dir/nginx.pid;
error_log $dir/logs/error.log $level;
$main
events {
    worker_connections 2048;
}
http {
    include $dir/ampersand/log.conf;
    access_log $dir/logs/access.log ampersand;

    client_body_temp_path $dir/tmp/body;
    proxy_temp_path $dir/tmp/proxy;
    fastcgi_temp_path $dir/tmp/fastcgi;
    uwsgi_temp_path $dir/tmp/uwsgi;
    scgi_temp_path $dir/tmp/scgi;

    proxy_cache_path $dir/cache levels=1:2 keys_zone=ampersand:@{[ $o->{cache_zone} || '4m' ]} inactive=10m use_temp_path=off;

$needed
    upstream ampersand {
        server $server;
        keepalive 64;
        keepalive_requests 1000000;
    }
    ampersand_upstream http://ampersand;
    $http

    server {
        listen 127.0.0.1:$self->{port} $listen;
        $extra
        $gateway
        location = /-/status {
            ampersand_status;
        }
    }
}
E
    close $f or die $!;
    rename "$dir/nginx.conf.new", "$dir/nginx.conf" or die $!;
}

sub _spawn {
    my ($self) = @_;
    my $dir = $self->dir;
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDIN,  '<', '/dev/null';
        open STDOUT, '>>', "$dir/logs/nginx.out";
        open STDERR, '>>', "$dir/logs/error.log";
        exec split(' ', $ENV{NGINX_WRAP} || ''), $NGINX, '-p', $dir, '-c', "$dir/nginx.conf" or POSIX::_exit(127);
    }
    $self->{pid} = $pid;

    my $end = time + $PATIENCE;
    while (time < $end) {
        return 1 if $self->connect && (!$self->{o}{daemon} || ($self->{pid} = $self->_master));
        if (waitpid($pid, POSIX::WNOHANG()) == $pid && ($? || !$self->{o}{daemon})) {
            delete $self->{pid};
            return 0;
        }
        sleep 0.02;
    }
    $self->stop;
    return 0;
}

# The pid in nginx.pid: of the new master after an upgrade has begun.

sub _master { return _slurp($_[0]->dir . '/nginx.pid') + 0 if -s $_[0]->dir . '/nginx.pid'; return 0 }

# The end of a master, the test's child or not.

sub _ended {
    my ($pid) = @_;
    return waitpid($pid, POSIX::WNOHANG()) == $pid || !kill 0, $pid;
}

# A new master and new workers, which inherit the sockets; then the old ones quit.

sub upgrade {
    my ($self) = @_;
    my $old = $self->{pid};
    kill 'USR2', $old;
    $self->wait_for(sub {
        my $new = $self->_master;
        return $new && $new != $old && grep { _slurp("/proc/$_/cmdline") =~ /worker process/ } $self->children($new);
    }) or die "no new master:\n" . $self->error_log;
    $self->{pid} = $self->_master;
    kill 'QUIT', $old;
    return $self->wait_for(sub { _ended($old) });
}

# nginx -t with this configuration: ($ok, $text)

sub configtest {
    my ($class, $text) = @_;
    my $tmp = File::Temp->newdir('gateway.XXXXXX', TMPDIR => 1);
    mkdir "$tmp/logs";
    open my $f, '>', "$tmp/nginx.conf" or die $!;
    print $f "load_module $MODULE; pid $tmp/nginx.pid; error_log stderr;\n$text";
    close $f;
    my $out = `$NGINX -t -p $tmp -c $tmp/nginx.conf 2>&1`;
    die "nginx -t crashed: $out" if $out =~ $CRASH || $? & 127 || $? >> 8 > 128;
    return ($? == 0, $out);
}

sub reload {
    my ($self) = @_;
    my %old = map { $_ => 1 } $self->workers_pids;
    $self->_configure;
    kill 'HUP', $self->{pid};
    my $end = time + $PATIENCE;
    while (time < $end) {
        my @now = $self->workers_pids;
        return 1 if grep({ !$old{$_} } @now) && !grep { $old{$_} && !_exiting($_) } @now;
        sleep 0.02;
    }
    die "nginx does not reload:\n" . $self->error_log;
}

# 1 for a worker that accepts no more connections.

sub _exiting { return _slurp("/proc/$_[0]/cmdline") !~ /worker process(?! is shutting down)/ }

# pids of the workers (not of the cache manager), also of those shutting down

sub workers_pids {
    my ($self) = @_;
    return grep { _slurp("/proc/$_/cmdline") =~ /worker process/ } $self->children;
}

# All processes of the master: workers, cache manager and loader.

sub children {
    my ($self, $master) = @_;
    $master //= $self->{pid};
    return map { _slurp($_) =~ /^(\d+) \(nginx\) \S (\d+) / && $2 == $master ? $1 : () } glob '/proc/[0-9]*/stat';
}

# kill -9 for all of it, the master first.

sub crash {
    my ($self) = @_;
    my @children = $self->children;
    my $pid = delete $self->{pid};
    kill 'KILL', $pid, @children;
    waitpid $pid, 0;
    $self->wait_for(sub { !grep { kill 0, $_ } @children });
    unlink $self->dir . '/nginx.pid';
}

# How many connections the workers have to each of these ports.

sub connections_to {
    my ($self, @ports) = @_;
    my %ours;
    for my $pid ($self->workers_pids) {
        for my $fd (glob "/proc/$pid/fd/*") {
            $ours{$1} = 1 if (readlink $fd // '') =~ /^socket:\[(\d+)\]/;
        }
    }
    my %count = map { $_ => 0 } @ports;
    for my $line (split /\n/, _slurp('/proc/net/tcp')) {
        my (undef, undef, $remote, $state, @rest) = split ' ', $line;
        next unless ($state // '') eq '01' && $ours{ $rest[5] };
        my $port = hex +($remote =~ /:(\w+)/)[0];
        $count{$port}++ if exists $count{$port};
    }
    return map { $count{$_} } @ports;
}

# The last argument may be a reference to a text for standard input.

sub try_ctl {
    my ($self, @args) = @_;
    my $stdin = ref $args[-1] ? ${ pop @args } : '';
    my $dir = $self->dir;
    local %ENV = (%ENV, AMPERSAND_MASTER_KEY_FILE => "$dir/master.key", Gateway::Redis->env($self->_redis_args));
    $ENV{AMPERSAND_REDIS}    = $self->redis_url;
    $ENV{AMPERSAND_UPSTREAM} = $self->upstream_url;

    my $in = "$dir/ctl.in.$$";
    open my $f, '>', $in or die $!;
    print $f $stdin;
    close $f;
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDIN,  '<', $in;
        open STDOUT, '>', "$dir/ctl.out.$$";
        open STDERR, '>', "$dir/ctl.err.$$";
        exec $AMPCTL, @args or POSIX::_exit(127);
    }
    waitpid $pid, 0;
    my ($exit, $signal) = ($? >> 8, $? & 127);
    my ($out, $err) = (_slurp("$dir/ctl.out.$pid"), _slurp("$dir/ctl.err.$pid"));
    unlink $in, "$dir/ctl.out.$pid", "$dir/ctl.err.$pid";
    die "ampctl crashed, signal $signal: $err" if $signal || $err =~ $CRASH;
    return ($exit, $out, $err);
}

sub ctl {
    my ($self, @args) = @_;
    my ($exit, $out, $err) = $self->try_ctl(@args);
    die "ampctl @{[ grep { !ref } @args ]}: exit $exit\n$out$err" if $exit;
    return $out;
}

sub tenant {
    my ($self, $id, %t) = @_;
    my @args = ('tenant', 'add', $id, '--project', $t{project} || "p-$id", '--json');
    push @args, '--project-name', $t{name} if $t{name};
    push @args, @{ $t{args} } if $t{args};
    my $key = $t{key} // "key-of-$id";
    push @args, '--key-file', '-', \"$key\n" if length $key;
    my $events = $t{settled} ? $self->status->{events_total} : 0;
    my $token = JSON::PP::decode_json($self->ctl(@args))->{token};
    !$t{settled} || $self->wait_for(sub { $self->status->{events_total} >= $events + 2 })
        or die "the events of tenant $id were not applied\n";
    return $token;
}

sub connect {
    my ($self, $timeout) = @_;
    return IO::Socket::INET->new(
        PeerAddr => '127.0.0.1', PeerPort => $self->{port}, Timeout => $timeout || $PATIENCE
    );
}

sub request {
    my ($self, $method, $target, %r) = @_;
    my @headers = (Host => 'gateway.test', Connection => 'close');
    push @headers, 'X-Api-Key' => $r{token} if defined $r{token};
    my $body = $r{body};
    if ($r{json}) {
        $body = JSON::PP->new->canonical->encode($r{json});
        push @headers, 'Content-Type' => 'application/json';
    }
    push @headers, 'Content-Length' => length $body if defined $body;
    push @headers, @{ $r{headers} } if $r{headers};

    my $text = "$method $target HTTP/1.1\r\n";
    while (my ($name, $value) = splice @headers, 0, 2) {
        $text .= "$name: $value\r\n";
    }
    return $self->raw("$text\r\n" . ($body // ''), method => $method);
}

sub get { my ($self, $target, %r) = @_; return $self->request('GET', $target, %r) }

sub raw {
    my ($self, $bytes, %r) = @_;
    my $socket = $self->connect or die "connect: $!";
    local $SIG{PIPE} = 'IGNORE';
    my $done = 0;
    while ($done < length $bytes) {
        my $n = syswrite $socket, $bytes, length($bytes) - $done, $done;
        last unless defined $n;    # the gateway may have answered and closed
        $done += $n;
    }
    my $res = read_response($socket, %r);

    # nginx closes when it has done what comes after an answer: an entry is in the cache then;
    # a post_action may take longer
    if (!$res->{cut} && ($res->{headers}{connection} || '') eq 'close' && !$r{rest}) {
        my $end = time + 3;
        while ((my $wait = $end - time) > 0) {
            last if !IO::Select->new($socket)->can_read($wait) || !sysread $socket, my $rest, 65536;
        }
    }
    return $res;
}

# One answer from a socket; keeps what follows it in $r{rest} (a reference).

sub read_response {
    my ($socket, %r) = @_;
    my $in = $r{rest} ? ${ $r{rest} } : '';
    my $end = time + ($r{timeout} || $PATIENCE);
    my $more = sub {
        my $wait = $end - time;
        return 0 if $wait <= 0 || !IO::Select->new($socket)->can_read($wait);
        return sysread $socket, $in, 65536, length $in;
    };

    my $head;
    do {
        while ($in !~ /\r\n\r\n/) {
            $more->() or return { status => 0, body => $in, headers => {}, all => [], cut => 1, head => '' };
        }
        ($head, $in) = split /\r\n\r\n/, $in, 2;
    } while (!$r{interim} && $head =~ m{^HTTP/1\.\d 100});

    my ($line, @lines) = split /\r\n/, $head;
    my ($status) = $line =~ m{^HTTP/1\.\d (\d{3})};
    my @all = map { [ split /:\s*/, $_, 2 ] } @lines;
    my %headers;
    $headers{ lc $_->[0] } //= $_->[1] for @all;
    my $res = { status => $status, all => \@all, headers => \%headers, head => $head };

    my $body = '';
    if (($r{method} || '') eq 'HEAD' || $status == 204 || $status == 304) {
        # no body
    } elsif (($headers{'transfer-encoding'} || '') eq 'chunked') {
        while (1) {
            while ($in !~ /^[0-9a-f]+\r\n/i && !$res->{cut}) {
                $more->() or $res->{cut} = 1;
            }
            last if $res->{cut};
            $in =~ s/^([0-9a-f]+)\r\n//i;
            my $n = hex $1;
            while (length $in < $n + 2 && !$res->{cut}) {
                $more->() or $res->{cut} = 1;
            }
            last if $res->{cut};
            $body .= substr $in, 0, $n;
            substr $in, 0, $n + 2, '';
            last if $n == 0;
        }
    } elsif (defined $headers{'content-length'}) {
        my $n = $headers{'content-length'};
        while (length $in < $n && !$res->{cut}) {
            $more->() or $res->{cut} = 1;
        }
        $body = substr $in, 0, $n, '';
    } else {
        1 while $more->();
        ($body, $in) = ($in, '');
    }

    $res->{body} = $body;
    ${ $r{rest} } = $in if $r{rest};
    return $res;
}

sub json { return eval { JSON::PP::decode_json($_[1]{body}) } }

sub status {
    my ($self) = @_;
    return JSON::PP::decode_json($self->get('/-/status')->{body});
}

# Requests of which nginx has read the header, and (in list context) those of
# which it reads the header.

sub under_way {
    my ($self) = @_;
    my ($reading, $writing) = $self->get('/-/count')->{body} =~ /Reading: (\d+) Writing: (\d+)/
        or die "no stub_status: count => 1 in start()\n";
    return wantarray ? ($writing - 1, $reading) : $writing - 1;
}

# Waits until the code returns true: 1, or 0 after so many seconds ($PATIENCE,
# unless the first argument says otherwise).

sub wait_for {
    my ($self, @args) = @_;
    my $code = pop @args;
    my $end = time + (@args ? $args[0] : $PATIENCE);
    while (1) {
        return 1 if $code->();
        return 0 if time > $end;
        sleep 0.01;
    }
}

# Runs the code, which writes to the project, and waits until this gateway and
# the others have applied the events that Redis published for that write: 1, or 0
# when they do not.  A gateway changes its cache keys when the write is answered,
# and again when it applies these events.

sub applied {
    my ($self, $project, $code, @others) = @_;
    my $generations = sub {
        my %of = @{ $self->redis->command('HGETALL', "amp:gen:$project") };
        my $sum = 0;
        $sum += $_ for values %of;
        return $sum;
    };
    my @all = map { [ $_, $_->status->{events_total} ] } $self, @others;
    my $before = $generations->();
    $code->();
    my $published = 0;
    return $self->wait_for(sub { $published = $generations->() - $before })
        && !grep {
            my ($gw, $events) = @$_;
            !$gw->wait_for(sub { $gw->status->{events_total} >= $events + $published });
        } @all;
}

# Every worker has its link to Redis, and one of them the subscription.

sub linked {
    my ($self) = @_;
    my $s = $self->status;
    my $workers = $self->{o}{workers} || 1;
    return $s->{redis_events_up} && $s->{redis_links_up} == $workers && $s->{redis_links} == $workers;
}

# A link that is lost within ten time-outs of Redis is an outage; later it is an
# interruption, and the gateway connects again at once.  Nothing but time shows the
# difference.

sub links_proven {
    my ($self) = @_;
    $self->wait_for(sub { $self->linked }) or return 0;
    my ($n, $unit) = ($self->{o}{redis_args} // 'timeout=1s') =~ /timeout=(\d+)(m?s)/ ? ($1, $2) : (100, 'ms');
    sleep 11 * $n / ($unit eq 'ms' ? 1000 : 1);
    return 1;
}

# How often a worker has logged an error although its outage had not ended: no "is
# back" or "accepts" is between two lines.

sub repeated {
    my ($self) = @_;
    my ($n, %down) = (0);
    for my $line ($self->log_lines(qr/ampersand: Redis/)) {
        my ($level, $pid) = $line =~ /\[(\w+)\] (\d+)#/ or next;
        next if $line =~ /still out of reach/;    # a new cause of the same outage
        if ($line =~ /is back|accepts \S+ again/) {
            delete $down{$pid};
        } elsif ($level eq 'error') {
            $n++ if $down{$pid}++;
        }
    }
    return $n;
}

sub log_lines { my ($self, $pattern) = @_; return grep { /$pattern/ } split /\n/, $self->error_log }
sub errors    { return $_[0]->log_lines(qr/\[error\](?!.*still out of reach).*ampersand: /) }

# What no test may leave behind.

sub complaints {
    my ($self) = @_;
    return ((grep { /\[(?:alert|emerg)\]|$CRASH/ } split /\n/, $self->error_log), @{ $self->{complaints} || [] });
}

sub finish {
    my ($self, %o) = @_;
    $self->stop;
    $self->{finished} = 1;
    my @bad = $self->complaints;
    @bad = grep { !/exited on signal 9|was locked by/ } @bad if $o{killed};    # a lock that it held
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    Test::More::is(scalar @bad, 0, 'the error log holds no alert, crash or sanitizer report')
        or Test::More::diag(join "\n", @bad[0 .. ($#bad > 20 ? 20 : $#bad)]);
}

sub stop {
    my ($self) = @_;
    my $pid = delete $self->{pid} or return;
    kill 'QUIT', $pid;
    my $end = time + $PATIENCE;
    while (time < $end) {
        return if _ended($pid);
        sleep 0.02;
    }
    push @{ $self->{complaints} }, "nginx did not quit within $PATIENCE s";
    kill 'KILL', $self->children($pid), $pid;
    waitpid $pid, 0;
}

# A gateway that the test has not finished: only the test itself sends signal 9.

sub _check {
    my ($self) = @_;
    $self->stop;
    push @faults, grep { !/exited on signal 9|was locked by/ } $self->complaints unless $self->{finished}++;
}

sub DESTROY {
    my ($self) = @_;
    local ($?, $@, $!);
    $self->_check if $self->{owner} == $$;
}

END {
    my $status = $?;
    $_->_check for grep { $_ && $_->{owner} == $$ } @running;
    if (@faults) {
        Test::More::diag(join "\n", 'a gateway that was not finished left an alert or a crash:', @faults);
        $status ||= 1;
    }
    $? = $status;
}

1;
