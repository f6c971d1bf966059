#!/usr/bin/perl

# The container without an engine (tools/check-image builds it): its files, and the
# nginx.conf that its entrypoint writes for given settings.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp ();
use IPC::Open3 qw(open3);
use JSON::PP ();
use POSIX ();
use Test::More;

use lib dirname(abs_path(__FILE__)) . '/lib';
use Gateway::Redis;
use Gateway::Versions;

my $root = dirname(dirname(abs_path(__FILE__)));
chdir $root or die "$root: $!";

delete @ENV{grep /^(GATEWAY_|AMPERSAND_)/, keys %ENV};

sub slurp { open my $f, '<', $_[0] or die "$_[0]: $!"; local $/; return scalar <$f> }

my $tmp = File::Temp->newdir('container.XXXXXX', TMPDIR => 1);
chmod 0755, $tmp;
my $n = 0;
my $nobody = 'redis://127.0.0.1:' . Gateway::Redis::free_port();

# The entrypoint with these values: status and all that it says.

sub entrypoint {
    my ($env, @args) = @_;
    my %env = (GATEWAY_DIR => "$tmp/" . ++$n, AMPERSAND_REDIS => $nobody, %$env);
    local @ENV{keys %env} = values %env;
    my $pid = open3(my $in, my $out, undef, 'docker/entrypoint', @args);
    close $in;
    my $text = do { local $/; <$out> } // '';
    waitpid $pid, 0;
    return { status => $? >> 8, text => $text, dir => $env{GATEWAY_DIR} };
}

subtest 'Dockerfile' => sub {
    my $text = slurp('docker/Dockerfile') =~ s/\\\n/ /gr;
    my %ignored = map { $_ => 1 } split /\n/, slurp('.dockerignore');
    my %stages = map { $_ => 1 } $text =~ /^FROM \S+ AS (\S+)$/mg;
    is_deeply [sort keys %stages], [qw(build emulator gateway)], 'stages';

    while ($text =~ /^COPY (.*) \S+$/mg) {
        my $what = $1;
        if ($what =~ /^--from=(\S+)/) {
            ok $stages{$1}, "COPY $what: a stage";
            next;
        }
        for my $file (split ' ', $what) {
            ok -e $file, "COPY $file: it is there";
            ok !$ignored{$file =~ s{/.*}{}r}, "COPY $file: not in .dockerignore";
        }
    }
    for my $stage (split /^(?=FROM )/m, $text) {
        my ($name) = $stage =~ /^FROM \S+ AS (\S+)/ or next;
        next if $name eq 'build';
        like $stage, qr/^USER [1-9]\d*:[1-9]\d*$/m, "$name: not root";
        my ($entry) = $stage =~ /^ENTRYPOINT (.*)$/m;
        ok ref eval { JSON::PP::decode_json($entry) }, "$name: ENTRYPOINT is a list";
    }
    like $text, qr/(?:\A|\n)FROM \S+ AS gateway\n(?!.*\nFROM )/s, 'the gateway is the last stage, the default';
    unlike $text, qr/^(?:ENV|ARG)\b.*(?:PASSWORD|TOKEN|SECRET|API_KEY)/m, 'no secret';
};

subtest 'compose.yaml' => sub {
    my (%services, @path, $bad);
    for (split /\n/, slurp('docker/compose.yaml')) {
        next if /^\s*(?:#|$)/;
        $bad = $_ if /\t/ || !/^( *)(?:- \S.*|([\w-]+):(?: +\S.*)?)$/ || length($1) % 2;
        my ($depth, $name) = (length($1 // '') / 2, $2);
        next if !defined $name;
        $#path = $depth - 1;
        $path[$depth] = $name;
        my ($value) = /: +(.*)$/;
        $services{$path[1]}{join '.', @path[2 .. $#path]} = $value
            if $depth > 1 && $path[0] eq 'services';
    }
    is $bad, undef, 'reads as YAML';
    is_deeply [sort keys %services], [qw(emulator gateway redis)], 'services';

    my $dockerfile = slurp('docker/Dockerfile');
    for my $name (qw(gateway emulator)) {
        my $service = $services{$name};
        ok -f "docker/$service->{'build.context'}/$service->{'build.dockerfile'}", "$name: the Dockerfile is there";
        like $dockerfile, qr/ AS \Q$service->{'build.target'}\E$/m, "$name: so is the stage";
    }
    my $gateway = $services{gateway};
    my ($redis) = $gateway->{'environment.AMPERSAND_REDIS'} =~ m{^redis://(\w+):6379$};
    my ($upstream, $port) = $gateway->{'environment.AMPERSAND_UPSTREAM'} =~ m{^http://(\w+):(\d+)$};
    ok $services{$redis // ''}, 'AMPERSAND_REDIS names a service';
    ok $services{$upstream // ''}, 'AMPERSAND_UPSTREAM too';
    like $dockerfile, qr/^ENV EMULATOR_LISTEN=\S+:$port$/m, 'on the port it listens on';
    like $services{redis}{command}, qr/"--appendonly", "yes"/, 'Redis keeps its data';
};

subtest 'HTTP/2 without TLS' => sub {
    my ($port, $other) = map { Gateway::Redis::free_port() } 1 .. 2;
    my %env = (GATEWAY_DIR => "$tmp/" . ++$n, AMPERSAND_REDIS => $nobody, AMPERSAND_UPSTREAM => 'http://127.0.0.1:1',
        GATEWAY_WORKERS => 1, GATEWAY_LISTEN => "127.0.0.1:$port", GATEWAY_HTTP2_LISTEN => "127.0.0.1:$other");
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        @ENV{keys %env} = values %env;
        open STDOUT, '>', "$tmp/http2.out";
        open STDERR, '>&', \*STDOUT;
        exec 'docker/entrypoint' or POSIX::_exit(127);
    }
    my $got = '';
    for (1 .. 600) {
        $got = qx(curl -s --max-time 5 --http2-prior-knowledge -w '%{http_version}' http://127.0.0.1:$other/-/health);
        last if length $got && $got ne '0';
        select undef, undef, undef, 0.1;
    }
    is $got, "ok\n2", 'it answers there' or diag slurp("$tmp/http2.out");
    is qx(curl -s --max-time 5 -w '%{http_version}' http://127.0.0.1:$port/-/health), "ok\n1.1", 'and to HTTP/1.1 at the other port';
    kill 'TERM', $pid;
    waitpid $pid, 0;
};

subtest 'what the entrypoint refuses' => sub {
    my @bad = (
        [AMPERSAND_REDIS => ''],
        (map { [AMPERSAND_REDIS => "redis://h$_"] } "\n", '"', "'", ';', '{', '}', '$x', '\\', "\t"),
        (map { [AMPERSAND_UPSTREAM => $_] } 'h:80', 'ftp://h', 'http://', 'http://h/v1', 'http://h; server x',
            'http://u@h', 'http://h:80:80', "http://h\nhttp://h", 'http://$h', 'http://h h'),
        (map { [GATEWAY_LISTEN => $_] } 'x', '0', '70000', 'h:', ':80', '127.0.0.1:80 ssl', '80;', "80\n81", 'unix:/x'),
        [GATEWAY_STATUS_LISTEN => 'x'],
        (map { [GATEWAY_HTTP2_LISTEN => $_] } 'x', '70000', '80;', '127.0.0.1:80 ssl'),
        (map { [GATEWAY_STATUS_ALLOW => $_] } '', 'nobody', 'all; allow all', "10.0.0.0/8\nall", '10.0.0.0/8,::1'),
        (map { [GATEWAY_WORKERS => $_] } '0', '-1', 'many', '2;', "2\n"),
        (map { my $name = $_; map { [$name => $_] } '0', '-1', 'x', '5s', "2\n", '12345' } qw(GATEWAY_KEEPALIVE GATEWAY_KEEPALIVE_TIMEOUT)),
        (map { [GATEWAY_DIR => "$tmp/$_"] } 'a"b', 'a;b', "a\nb", 'a$b', 'a{'),
        [AMPERSAND_MASTER_KEY_FILE => "$tmp/a\"b"],
        (map { ["AMPERSAND_REDIS_$_" => "$tmp/a;b"] } qw(PASSWORD_FILE CA CERT KEY SERVER_NAME)),
        [NGINX_MODULE => '/x";'],
    );
    for (@bad) {
        my ($name, $value) = @$_;
        my %also = $name eq 'GATEWAY_STATUS_ALLOW' ? (GATEWAY_STATUS_LISTEN => 9145) : ();
        my $r = entrypoint({ %also, $name => $value }, 'render');
        my $shown = "$name=$value" =~ s/[^ -~]/?/gr;
        is $r->{status}, 2, "$shown: status";
        like $r->{text}, qr/^gateway: $name .*\n\z/, "$shown: says which";
        ok !-e "$r->{dir}/nginx.conf", "$shown: nothing is written";
    }
    unlike entrypoint({ AMPERSAND_REDIS => 'redis://:pa;ss@h' }, 'render')->{text}, qr/pa|ss@/,
        'a password that is refused is not shown';
};

subtest 'what it renders' => sub {
    for (
        ['one upstream', { AMPERSAND_UPSTREAM => 'http://127.0.0.1:9090/' },
            qr/^(?: +upstream (?:api|read|write|search|proxy)\.withampersand\.com \{\n +server 127\.0\.0\.1:9090;\n +keepalive 512;\n +keepalive_timeout 45s;\n +\}\n){5} +ampersand_upstream +http:\/\/\$ampersand_host;/m],
        ['https, no port', { AMPERSAND_UPSTREAM => 'https://127.0.0.1' },
            qr/server +127\.0\.0\.1:443;.*ampersand_upstream +https:\/\/\$ampersand_host;/s],
        ['idle connections', { GATEWAY_KEEPALIVE => 64, GATEWAY_KEEPALIVE_TIMEOUT => 30 }, qr/(?:keepalive 64;\n +keepalive_timeout 30s;.*){5}/s],
        ['an IPv6 upstream', { AMPERSAND_UPSTREAM => 'https://[::1]' }, qr/server +\[::1\]:443;/],
        ['an IPv6 upstream with a port', { AMPERSAND_UPSTREAM => 'https://[::1]:8443' }, qr/server +\[::1\]:8443;/],
        ['a socket for Redis', { AMPERSAND_REDIS => 'unix:/run/redis.sock?db=1' }, qr/ampersand_redis +"unix:\/run\/redis\.sock\?db=1";/],
        ['workers', { GATEWAY_WORKERS => 3 }, qr/worker_processes +3;/],
        ['a port alone', { GATEWAY_LISTEN => '8089' }, qr/listen +8089;/],
        ['every address', { GATEWAY_LISTEN => '*:8089' }, qr/listen +\*:8089;/],
        ['a listener for the status', { GATEWAY_STATUS_LISTEN => '*:9145', GATEWAY_STATUS_ALLOW => '10.0.0.0/8  ::1' },
            qr/listen +\*:9145;\n\n +location = \/-\/status \{\n +ampersand_status;\n +access_log +off;\n +allow +10\.0\.0\.0\/8;\n +allow +::1;\n +deny +all;\n/],
        ['a folder with a blank, & and |', { GATEWAY_DIR => "$tmp/a b&c|d \@DIR\@" }, qr/"\Q$tmp\E\/a b&c\|d \@DIR\@\/cache"/],
        ['a password in the URL', { AMPERSAND_REDIS => 'redis://:p&a%3Bss@127.0.0.1:6379/2' }, qr/"redis:\/\/:p&a%3Bss\@127\.0\.0\.1:6379\/2";/],
    ) {
        my ($name, $env, $want) = @$_;
        my $r = entrypoint({ AMPERSAND_UPSTREAM => 'http://127.0.0.1:9090', %$env }, 'render');
        is $r->{status}, 0, "$name: nginx accepts it" or diag $r->{text};
        like slurp("$r->{dir}/nginx.conf"), $want, "$name: text";
        is sprintf('%04o', (stat "$r->{dir}/nginx.conf")[2] & 07777), '0600', "$name: mode";
    }

    for my $at ('127.0.0.1:8081', '127.0.0.1:8080') {
        my $r = entrypoint({ AMPERSAND_UPSTREAM => 'http://127.0.0.1:9090', GATEWAY_HTTP2_LISTEN => $at }, 'render');
        if ($at =~ /8080/ && Gateway::Versions::nginx() < 1025001) {
            is $r->{status}, 2, 'HTTP/2 at the address of HTTP/1.1: refused';
            like $r->{text}, qr/GATEWAY_HTTP2_LISTEN .*needs an address of its own.*write another port/s, 'with the remedy';
            next;
        }
        is $r->{status}, 0, "HTTP/2 at $at: nginx accepts it" or diag $r->{text};
        unlike $r->{text}, qr/\[warn\]/, 'without a warning';
        like slurp("$r->{dir}/nginx.conf"), qr/listen +127\.0\.0\.1:8080;\n(?: +listen +\Q$at\E;\n)? +http2 +on;|listen +127\.0\.0\.1:8080;\n +listen +\Q$at\E http2;/,
            'text';
    }

    my $password = "$tmp/password";
    open my $f, '>', $password or die $!;
    print $f "secret\n";
    close $f;
    chmod 0600, $password;
    my $r = entrypoint({ AMPERSAND_REDIS_PASSWORD_FILE => $password, AMPERSAND_UPSTREAM => 'http://127.0.0.1:1' }, 'render');
    is $r->{status}, 0, 'a password file';
    like slurp("$r->{dir}/nginx.conf"), qr/"password_file=\Q$password\E";/, 'is named';

    # the module reads these files, so no nginx here
    my %tls = map { ("AMPERSAND_REDIS_$_" => "/tls/\L$_") } qw(CA CERT KEY);
    $r = entrypoint({ %tls, AMPERSAND_REDIS_SERVER_NAME => 'redis.test', NGINX_BINARY => 'true',
        AMPERSAND_REDIS => 'rediss+sentinel://u:p@[::1]:1,h:2/main/3' }, 'render');
    is $r->{status}, 0, 'Sentinels with TLS';
    like slurp("$r->{dir}/nginx.conf"), qr{ampersand_redis +"rediss\+sentinel://u:p\@\[::1\]:1,h:2/main/3" "ca_file=/tls/ca" "cert_file=/tls/cert" "key_file=/tls/key" "server_name=redis\.test";},
        'the settings of TLS';
    $r = entrypoint({ AMPERSAND_REDIS_CA => 'ca.pem', AMPERSAND_REDIS => 'rediss+cluster://h:1,h:2', NGINX_BINARY => 'true' }, 'render');
    like slurp("$r->{dir}/nginx.conf"), qr{"rediss\+cluster://h:1,h:2" "ca_file=\Q$root\E/ca\.pem";}, 'a relative file';

    # no network here: only what would be included
    $r = entrypoint({ NGINX_BINARY => 'true' }, 'render');
    my $conf = slurp("$r->{dir}/nginx.conf");
    like $conf, qr/^ +include +ampersand\/upstreams\.conf;$/m, 'the real hosts by default';

    my @servers = map { /^nameserver\s+([^\s%]+)\s*$/ ? ($1 =~ /:/ ? "[$1]" : $1) : () }
        -e '/etc/resolv.conf' ? split /\n/, slurp('/etc/resolv.conf') : ();
    my ($resolver) = $conf =~ /^ +resolver +(.*?)(?: ipv6=off)?;\n +include +ampersand\/upstreams\.conf;$/m;
    is $resolver, @servers ? "@servers" : undef, 'with the name servers of this machine';

    $conf = slurp(entrypoint({ NGINX_BINARY => 'true', GATEWAY_KEEPALIVE => 99 }, 'render')->{dir} . '/nginx.conf');
    like $conf, qr/(?:ampersand_server \w+\.withampersand\.com:443;\n +keepalive 99;.*){5}/s, 'the real hosts with another number';
    unlike $conf, qr/ampersand_upstream/, 'each with its own upstream{}';
};

subtest 'the master key' => sub {
    my %env = (GATEWAY_DIR => "$tmp/keep", AMPERSAND_UPSTREAM => 'http://127.0.0.1:1');
    is entrypoint(\%env, 'render')->{status}, 0, 'first';
    my $key = slurp("$tmp/keep/master.key");
    is entrypoint(\%env, 'render')->{status}, 0, 'again';
    is slurp("$tmp/keep/master.key"), $key, 'the key is kept';

    my $redis = Gateway::Redis->start;
    my %fresh = (GATEWAY_DIR => "$tmp/fresh", AMPERSAND_REDIS => $redis->url, AMPERSAND_UPSTREAM => 'http://127.0.0.1:1');
    is entrypoint(\%fresh, 'key')->{status}, 0, 'Redis has no tenant: a key is made';
    ok -e "$tmp/fresh/master.key", 'where it has to be';
    is system(($ENV{AMPCTL} || 'build/ampctl') . ' tenant add acme --project p --redis ' . $redis->url . ' > /dev/null'), 0, 'a tenant';
    is entrypoint(\%fresh, 'key')->{status}, 0, 'Redis has tenants: the key that is there is kept';
    rename "$tmp/fresh/master.key", "$tmp/fresh/elsewhere.key";
    my $r = entrypoint(\%fresh, 'render');
    is $r->{status}, 2, 'and without it none is made';
    like $r->{text}, qr/there is no master key file .*AMPERSAND_MASTER_KEY_FILE.*ampctl masterkey new.*ampctl key set/s, 'with the remedies';
    ok !-e "$tmp/fresh/master.key" && !-e "$tmp/fresh/nginx.conf", 'nothing is written';
    for my $lost ([ 'is gone', 'DEL', 'amp:tenants' ], [ 'is of another type', 'SET', 'amp:tenants', 'x' ]) {
        my ($what, @command) = @$lost;
        $redis->command(@command);
        is entrypoint(\%fresh, 'key')->{status}, 2, "nor where the list of tenants $what";
        ok !-e "$tmp/fresh/master.key", 'nothing is written';
    }
    is entrypoint({ %fresh, AMPERSAND_MASTER_KEY_FILE => "$tmp/fresh/elsewhere.key" }, 'render')->{status}, 0, 'with the right file it goes on';
    $r = entrypoint({ %fresh, AMPERSAND_REDIS => $nobody }, 'render');
    is $r->{status}, 0, 'Redis is away: the gateway starts';
    like $r->{text}, qr/Redis cannot be asked/, 'which is said';
};

subtest 'other commands' => sub {
    my $r = entrypoint({ GATEWAY_LISTEN => '0.0.0.0:1234' }, 'url');
    is $r->{text}, "http://127.0.0.1:1234\n", 'url';
    is entrypoint({ GATEWAY_LISTEN => '[::]:1234' }, 'url')->{text}, "http://[::1]:1234\n", 'url, IPv6';
    is entrypoint({ GATEWAY_LISTEN => '127.0.0.1:1' }, 'health')->{status}, 7, 'health: no answer';
    is entrypoint({}, 'sh', '-c', 'exit 5')->{status}, 5, 'anything else is run';
};

# As installed: other paths, and no master key made where one was promised.

subtest 'installed' => sub {
    local @ENV{qw(NGINX_MODULE AMPCTL)};
    delete @ENV{qw(NGINX_MODULE AMPCTL)};
    my $share = "$tmp/share";
    mkdir $share;
    system('cp', 'docker/entrypoint', 'conf/nginx.conf.in', $share) == 0 or die;
    my $r = do {
        local @ENV{qw(GATEWAY_DIR AMPERSAND_REDIS AMPERSAND_MASTER_KEY_FILE NGINX_BINARY)} =
            ("$tmp/installed", $nobody, "$tmp/secret.key", 'true');
        qx("$share/entrypoint" render 2>&1);
    };
    is $? >> 8, 2, 'a master key outside GATEWAY_DIR has to be there';
    like $r, qr/^gateway: AMPERSAND_MASTER_KEY_FILE names a file that does not exist/, 'and it says so';

    local @ENV{qw(GATEWAY_DIR AMPERSAND_REDIS NGINX_BINARY PATH)} =
        ("$tmp/installed", $nobody, 'true', "$root/build:$ENV{PATH}");
    is system("'$share/entrypoint' render > /dev/null 2>&1"), 0, 'inside it is made';
    my $conf = slurp("$tmp/installed/nginx.conf");
    like $conf, qr/error_log +stderr warn;.*access_log +\/dev\/stdout ampersand;/s, 'logs go to the standard streams';
    like $conf, qr/load_module +"\/usr\/lib\/nginx\/modules\//, 'the installed module';
};

done_testing;
