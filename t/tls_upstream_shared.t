#!/usr/bin/perl

# TLS to several of Ampersand's hosts at one address: no connection and no session
# of one host serves another, whether the upstream{} is one or five.  ampctl
# verifies the name that the gateway verifies.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Temp ();
use POSIX ();
use Test::More;

use Gateway;

my $tmp = File::Temp->newdir('tls.XXXXXX', TMPDIR => 1);
chmod 0755, $tmp->dirname;
my @apis = qw(api read write search proxy);
my $owner = $$;
my @servers;
our $body = '{}';

sub sh { my $out = qx(cd $tmp && $_[0] 2>&1); die "$_[0]\n$out" if $? }

sub cert {
    my ($name, @names) = @_;
    open my $f, '>', "$tmp/$name.ext" or die $!;
    print $f 'subjectAltName=', join(',', map { "DNS:$_" } @names), "\n";
    close $f;
    sh("openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $name.key -out $name.csr -subj /CN=$name");
    sh("openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile $name.ext -out $name.pem");
}

sh('openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=authority');
cert($_, "$_.withampersand.com") for @apis;
cert(all => map { "$_.withampersand.com" } @apis);
cert(address => 'localhost');

# An nginx that stands for Ampersand; it logs what came over which connection.

sub server {
    my ($name, $more, @certs) = @_;
    my $port = Gateway::Redis::free_port();
    my $dir = "$tmp/$name";
    mkdir $dir;
    open my $f, '>', "$dir/nginx.conf" or die $!;
    print $f "daemon off; pid $dir/pid; error_log $dir/error.log; worker_processes 1;\nevents {}\nhttp {\n",
        "log_format tls '\$connection \$ssl_server_name \$http_host \$ssl_session_reused';\naccess_log $dir/access.log tls;\n$more\n",
        (map { "${_}_temp_path $dir/$_;\n" } qw(client_body proxy fastcgi uwsgi scgi)),
        (map {
            my ($cert, $host) = @$_;
            "server { listen 127.0.0.1:$port ssl; server_name $host; ssl_certificate $tmp/$cert.pem; ssl_certificate_key $tmp/$cert.key;\n"
          . "ssl_session_cache shared:s:1m; default_type application/json; location / { return 200 '$body'; } }\n"
        } @certs), "}\n";
    close $f;
    my $pid = fork // die $!;
    if ($pid == 0) {
        open STDERR, '>>', "$dir/error.log";
        exec $ENV{NGINX_SERVER} || '/usr/sbin/nginx', '-p', $dir, '-c', "$dir/nginx.conf" or POSIX::_exit(127);
    }
    push @servers, $pid;
    return { port => $port, seen => sub { map { [ split / / ] } split /\n/, Gateway::_slurp("$dir/access.log") } };
}

END {
    if (defined $owner && $$ == $owner) {
        local $?;
        kill 'TERM', @servers;
        waitpid $_, 0 for @servers;
    }
}

# With one upstream{} for all hosts, or with those of upstreams.conf.

sub gateway {
    my ($server, $shared) = @_;
    my $blocks = Gateway::_slurp('conf/ampersand/upstreams.conf') =~ s/ampersand_server \S+;/server 127.0.0.1:$server->{port};/gr;
    return Gateway->start(
        http => $shared ? "upstream egress { server 127.0.0.1:$server->{port}; keepalive 16; }" : $blocks,
        server => 'ampersand_upstream ' . ($shared ? 'https://egress;' : 'https://$ampersand_host;'),
        proxy_conf => { proxy_ssl_trusted_certificate => "$tmp/ca.pem" },
    );
}

my $operation = '/v1/projects/-/integrations/i';
my %call = (
    api => sub { $_[0]->get('/v1/integrations?n=' . rand, token => $_[1])->{status} },
    proxy => sub { $_[0]->get('/proxy/x', token => $_[1], headers => [ 'x-amp-installation-id' => 'i' ])->{status} },
    map { my $api = $_; $api => sub { $_[0]->request('POST', "/$api$operation" . ($api eq 'search' ? '' : '/objects/o'), token => $_[1], json => {})->{status} } } qw(read write search),
);

for my $shared (1, 0) {
    my $name = $shared ? 'one upstream{}' : 'five upstream{}';

    subtest "$name, a server that proves only proxy.withampersand.com" => sub {
        my $server = server("proxy$shared", '', [ proxy => '_' ]);
        my $gw = gateway($server, $shared);
        my $token = $gw->tenant('acme', key => 'key-of-acme');
        is $call{api}->($gw, $token), 502, 'a request for api is refused';
        $gw->wait_for(sub { $call{proxy}->($gw, $token) == 200 });
        is $call{proxy}->($gw, $token), 200, 'one for proxy is served';
        is $call{api}->($gw, $token), 502, 'and its connection does not serve api';
        is_deeply [ grep { $_->[2] ne 'proxy.withampersand.com' } $server->{seen}->() ], [], 'no request, and no key, for another host came';
        $gw->finish;
    };

    for my $how ([ 'kept connections', '' ], [ 'new connections', 'keepalive_timeout 0;' ], [ 'TLS 1.2', 'keepalive_timeout 0; ssl_protocols TLSv1.2;' ]) {
        subtest "$name, a server with a certificate for each host, $how->[0]" => sub {
            my $server = server("each$shared" . $how->[0] =~ s/\W//gr, $how->[1], map { [ $_ => "$_.withampersand.com" ] } @apis);
            my $gw = gateway($server, $shared);
            my $token = $gw->tenant('acme', key => 'key-of-acme');
            $gw->wait_for(sub { $call{api}->($gw, $token) == 200 });
            my @bad;
            for my $round (1 .. 3) {
                for my $api (@apis, 'api') {
                    my $status = $call{$api}->($gw, $token);
                    push @bad, "$api $status" if $status != 200;
                }
            }
            is_deeply \@bad, [], 'each request is served';
            my @seen = $server->{seen}->();
            is_deeply [ grep { $_->[1] ne $_->[2] } @seen ], [], 'over a connection that was made for its host';
            my (%hosts, %connections);
            $hosts{ $_->[0] }{ $_->[2] } = $connections{ $_->[2] }{ $_->[0] } = 1 for @seen;
            is_deeply [ grep { keys %$_ > 1 } values %hosts ], [], 'one host a connection';
            if ($how->[1] eq '' && !$shared) {
                is_deeply [ grep { keys %$_ > 1 } values %connections ], [], 'and, from one worker, one connection a host';
            }
            if ($how->[1] ne '') {
                is !!(grep { $_->[3] eq 'r' } @seen), !$shared, $shared ? 'no session is used again' : 'sessions are used again';
            }
            $gw->finish;
        };
    }
}

subtest 'a shared upstream{} keeps connections of one host' => sub {
    my $server = server('keeps', '', [ all => '_' ]);
    my $gw = gateway($server, 1);
    my $token = $gw->tenant('acme', key => 'key-of-acme');
    $gw->wait_for(sub { $call{api}->($gw, $token) == 200 });
    $call{api}->($gw, $token) for 1 .. 5;
    my %connections = map { $_->[0] => 1 } $server->{seen}->();
    is scalar(keys %connections), 1, 'one connection for six requests';
    $gw->finish;
};

# 100 requests at once, each of which takes a second, and 100 more.

subtest 'as many idle connections are kept as there were requests in flight' => sub {
    local $body = '"' . 'x' x 400 . '"';
    my $server = server('slow', 'limit_rate 300;', [ all => '_' ]);
    my $gw = gateway($server, 0);
    my $token = $gw->tenant('acme', key => 'key-of-acme');
    $gw->wait_for(sub { $call{api}->($gw, $token) == 200 });
    for my $round (1, 2) {
        open my $f, '>', "$tmp/curl" or die $!;
        print $f "parallel\nparallel-immediate\nparallel-max = 100\nsilent\nheader = \"X-Api-Key: $token\"\n",
            map { 'url = "' . $gw->url . "/v1/integrations?n=$round.$_\"\noutput = \"/dev/null\"\nwrite-out = \"%{http_code}\\n\"\n" } 1 .. 100;
        close $f;
        my %status;
        $status{$_}++ for split /\n/, qx(curl -q -K $tmp/curl 2> /dev/null);
        is $status{200}, 100, "round $round is served" or diag join ' ', %status;
    }
    my %connections = map { $_->[0] => 1 } $server->{seen}->();
    cmp_ok scalar(keys %connections), '>', 64, 'the requests needed more than 64 connections';
    cmp_ok scalar(keys %connections), '<=', 101, 'and the second round made none' or diag scalar keys %connections;
    $gw->finish;
};

subtest 'ampctl verifies the same name' => sub {
    plan skip_all => 'needs root, to replace the CAs of the system' if $> != 0 || system('unshare -m true 2> /dev/null');
    my $gw = Gateway->start;
    $gw->tenant('acme', key => 'key-of-acme');
    for my $case ([ 'api', 1 ], [ 'all', 1 ], [ 'address', 0 ], [ 'proxy', 0 ]) {
        my ($cert, $good) = @$case;
        my $server = server("ctl$cert", '', [ $cert => '_' ]);
        $gw->wait_for(sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $server->{port}) });
        my @command = ($ENV{AMPCTL} || 'build/ampctl', qw(key verify acme --redis), $gw->redis_url, '--master-key', $gw->dir . '/master.key',
            '--upstream', "https://127.0.0.1:$server->{port}/");
        my $out = qx(unshare -m sh -c 'mount --bind $tmp/ca.pem /etc/ssl/certs/ca-certificates.crt && exec "\$@"' - @command 2>&1);
        is $? == 0 ? 1 : 0, $good, "a certificate of $cert" or diag $out;
        like $out, qr/its certificate has to be one of api\.withampersand\.com/, 'says what it has to be' if !$good;
        is_deeply [ map { "$_->[1] $_->[2]" } $server->{seen}->() ], $good ? ['api.withampersand.com api.withampersand.com'] : [],
            'SNI and Host, after the certificate was verified';
    }
    $gw->finish;
};

done_testing;
