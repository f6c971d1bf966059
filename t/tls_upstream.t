#!/usr/bin/perl

# TLS to Ampersand: the certificate is verified, SNI is sent, and no request is sent
# to a server without a valid certificate.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Temp ();
use POSIX ();
use Test::More;

use Gateway;
use Gateway::Canary;

my $tmp = File::Temp->newdir('tls.XXXXXX', TMPDIR => 1);
chmod 0755, $tmp->dirname;

sub sh {
    my ($command) = @_;
    my $out = `cd $tmp && $command 2>&1`;
    die "$command\n$out" if $?;
}

# An authority, its certificates for the real name and for another name, and a
# self-signed certificate.

sh('openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=test-authority');
for my $cert ([ real => 'api.withampersand.com' ], [ other => 'evil.example' ]) {
    my ($name, $host) = @$cert;
    sh("openssl req -newkey rsa:2048 -nodes -keyout $name.key -out $name.csr -subj /CN=$host");
    open my $f, '>', "$tmp/$name.ext" or die $!;
    print $f "subjectAltName=DNS:$host\n";
    close $f;
    sh("openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile $name.ext -out $name.pem");
}
sh('openssl req -x509 -newkey rsa:2048 -nodes -keyout self.key -out self.pem -days 2 -subj /CN=api.withampersand.com -addext subjectAltName=DNS:api.withampersand.com');

# One TLS server for each certificate; it logs the requested name and the key.

my %port = map { $_ => Gateway::Redis::free_port() } qw(real other self);
mkdir "$tmp/logs";
open my $conf, '>', "$tmp/nginx.conf" or die $!;
print $conf "daemon off; pid $tmp/pid; error_log $tmp/logs/error.log; worker_processes 1;\nevents {}\nhttp {\n",
    "log_format tls '\$server_port \$ssl_server_name \$http_host \$http_x_api_key';\naccess_log $tmp/logs/access.log tls;\n",
    (map { "${_}_temp_path $tmp/$_;\n" } qw(client_body proxy fastcgi uwsgi scgi)),
    (map {
        "server { listen 127.0.0.1:$port{$_} ssl; ssl_certificate $tmp/$_.pem; ssl_certificate_key $tmp/$_.key;\n"
      . "default_type application/json; location / { return 200 '{\"from\":\"$_\"}'; } }\n"
    } sort keys %port), "}\n";
close $conf;

my $server = fork // die $!;
if ($server == 0) {
    open STDERR, '>>', "$tmp/logs/error.log";
    exec $ENV{NGINX_SERVER} || '/usr/sbin/nginx', '-p', "$tmp", '-c', "$tmp/nginx.conf" or POSIX::_exit(127);
}
my $owner = $$;
END {
    if (defined $owner && $$ == $owner && $server) {
        local $?;
        kill 'TERM', $server;
        waitpid $server, 0;
    }
}

sub gateway {
    my ($name) = @_;
    return Gateway->start(
        http   => "upstream api.withampersand.com { server 127.0.0.1:$port{$name}; keepalive 4; }",
        server => 'ampersand_upstream https://api.withampersand.com;',
        proxy_conf => { proxy_ssl_trusted_certificate => "$tmp/ca.pem" },
    );
}

# The upstream writes its log after the answer has gone.

sub seen { return grep { /^$_[0] / } split /\n/, Gateway::_slurp("$tmp/logs/access.log") }

subtest 'the real name, signed by the authority that is trusted' => sub {
    my $gw = gateway('real');
    my $token = $gw->tenant('acme', key => 'key-of-acme');
    my $res;
    $gw->wait_for(sub { ($res = $gw->get('/v1/integrations?n=' . rand, token => $token))->{status} == 200 });
    is $res->{status}, 200, 'is served' or diag $gw->error_log;
    is $res->{body}, '{"from":"real"}', 'by the upstream';
    my $line;
    $gw->wait_for(sub { ($line) = seen($port{real}); $line });
    is $line, "$port{real} api.withampersand.com api.withampersand.com key-of-acme",
        'which was asked for by name (SNI), with the Host and the key of the tenant';
    is scalar(grep { $_->[0] eq 'X-Api-Key' } @{ $res->{all} }), 0, 'the key is not in the answer';
    $gw->finish;
};

subtest 'the memory of a worker, with an idle connection' => sub {
    my $gw = gateway('real');
    my $key = join '', map { ('a' .. 'z')[ rand 26 ] } 1 .. 40;
    my $token = $gw->tenant('acme', key => $key);
    my $big = 'x' x 20_000;
    is $gw->request('POST', '/v1/topics', token => $token, json => { big => $big })->{status}, 200, 'a POST with a large body';
    is $gw->get('/v1/integrations?n=1', token => $token)->{status}, 200, 'a GET';
    ok $gw->wait_for(sub { 2 == grep { /\Q$key\E/ } seen($port{real}) }), 'were sent with the key';
    is(($gw->connections_to($port{real}))[0], 1, 'the connection is kept');
    for my $pid ($gw->workers_pids) {
        my $heap = Gateway::Canary::heap($pid);
        SKIP: {
            skip "/proc/$pid/mem may not be read", 2 if !defined $heap || $heap eq '';
            cmp_ok index($heap, 'api.withampersand.com'), '>=', 0, 'the heap holds the name of the host';
            is index($heap, $key), -1, 'and no key';
        }
    }
    $gw->finish;
};

for my $case ([ other => 'a certificate for another name' ], [ self => 'a self-signed certificate' ]) {
    my ($name, $what) = @$case;
    subtest $what => sub {
        my $gw = gateway($name);
        my $token = $gw->tenant('acme', key => 'key-of-acme');
        my $res = $gw->get('/v1/integrations', token => $token);
        is $res->{status}, 502, 'is refused';
        is $gw->json($res)->{type}, 'urn:ampersand-gateway:problem:upstream-failed', 'as a problem';
        is_deeply [ seen($port{$name}) ], [], 'before any request, or key, is sent';
        like $gw->error_log, qr/upstream SSL certificate (?:verify error|does not match)/, 'and the log says why';
        $gw->finish;
    };
}

done_testing;
