#!/usr/bin/perl

# No client without a token makes the error log grow at level error, wherever in a
# gateway's server it asks; no line has a token in it; what other servers of this nginx
# log stays as it is.

use strict;
use warnings;

use File::Temp ();
use FindBin;
use IO::Socket::INET ();
use MIME::Base64 qw(encode_base64);
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Certificates;
use Gateway::Made;

my $certs = Gateway::Certificates->new;
my ($tls, $proxied, $other) = map { Gateway::Redis::free_port() } 1 .. 3;
my $site = File::Temp->newdir('site.XXXXXX', TMPDIR => 1);
mkdir "$site/folder";
chmod 0755, $site, "$site/folder";
open my $passwords, '>', "$site/passwords" or die $!;
print $passwords "joe:{PLAIN}secret\n";
close $passwords;

sub gateway {
    my (%o) = @_;
    return Gateway->start(
        log_level => $o{level},
        main      => $o{main},
        http      => "server { listen 127.0.0.1:$other; location = /denied { deny all; } }",
        server    => <<"E",
            listen 127.0.0.1:$tls ssl;
            listen 127.0.0.1:$proxied proxy_protocol;
            ssl_certificate @{[ $certs->file('server.pem') ]};
            ssl_certificate_key @{[ $certs->file('server.key') ]};
            location = /health { return 200 "ok\\n"; }
            location = /denied { deny all; }
            location = /own { error_log logs/own.log error; deny all; }
            location = /if { if (\$arg_x) { return 204; } deny all; }
            location = /password { auth_basic on; auth_basic_user_file $site/passwords; }
            location /files/ { alias $site/; }
E
    );
}

sub to {
    my ($port, $bytes) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die "connect: $!";
    syswrite $socket, $bytes;
    shutdown $socket, 1;
    my $in = '';
    1 while sysread $socket, $in, 65536, length $in;
    return $in;
}

# TLS 1.3 with a share of x25519 that is a byte short: nginx does not know OpenSSL's
# error for it as a client's fault.

sub bad_hello {
    my $list = sub { return pack('n', length $_[0]) . $_[0] };
    my $extension = sub { return pack('n', $_[0]) . $list->($_[1]) };
    my $extensions = $extension->(43, "\x02\x03\x04") . $extension->(10, $list->(pack 'n', 29))
        . $extension->(13, $list->(pack 'n3', 0x0403, 0x0804, 0x0401))
        . $extension->(51, $list->(pack('n', 29) . $list->('k' x 31)));
    my $hello = "\x03\x03" . 'r' x 32 . "\0" . $list->(pack 'n', 0x1301) . "\x01\0" . $list->($extensions);
    return "\x16\x03\x01" . $list->("\x01\0" . $list->($hello));
}

my $token = Gateway::Made::token();

sub cause {
    my ($gw) = @_;
    my $post = "HTTP/1.1\r\nHost: g\r\n";
    to($gw->port, "POST $_ ${post}Transfer-Encoding: chunked\r\n\r\nzz\r\n")
        for qw(/ /health /denied /v1/integrations /-/status);
    to($gw->port, "POST $_ ${post}Content-Length: 2000000\r\n\r\n") for qw(/ /health /v1/integrations);
    $gw->get($_) for qw(/denied /own /if /files/folder/ /files/none /files/passwords/x), '/files/' . 'x' x 300;
    $gw->get('/password', headers => [ Authorization => 'Basic ' . encode_base64($_, '') ]) for 'joe:x', 'jim:x';
    to($tls, bad_hello());
    to($tls, "GET / HTTP/1.1\r\nHost: g\r\n\r\n");
    to($proxied, "GET / HTTP/1.1\r\nHost: g\r\nX-Api-Key: $token\r\nAuthorization: Basic c2VjcmV0\r\n\r\n");
    to($gw->port, "GET /?token=$token\x01 HTTP/1.1\r\n\r\n");
    to($gw->port, "GET / HTTP/1.1\r\nHost: g\r\nX_Api_Key: $token\r\n\r\n");
    return;
}

# In nginx's own words.

my @said = (
    qr/client sent invalid chunked body/,
    qr/client intended to send too large body: 2000000 bytes/,
    qr/access forbidden by rule/,
    qr/user "joe": password mismatch/,
    qr/user "jim" was not found/,
    qr/failed \(2: No such file/,
    qr/failed \(20: Not a directory/,
    qr/failed \(36: File name too long/,
    qr/directory index of ".*" is forbidden/,
    qr/broken header: "" while reading PROXY protocol/,
    qr/SSL_do_handshake\(\) failed \(SSL: .* while SSL handshaking/,
    qr/invalid header line: "X_Api_Key: agw_\*\*\*"/,
);

my $secret = qr/\Q@{[ substr $token, 0, 12 ]}\E|c2VjcmV0/;

subtest 'one log, at level info' => sub {
    my $gw = gateway(level => 'info');
    my $before = 0;
    for my $when ('after the start', 'after a reload') {
        cause($gw);
        for my $line (@said) {
            ok $gw->wait_for(sub { grep { /\[info\]/ } substr($gw->error_log, $before) =~ /^(.*$line.*)$/mg }),
                "$when, at level info: $line" or diag join "\n", $gw->log_lines($line);
        }
        my $log = substr $gw->error_log, $before;
        is_deeply [ $log =~ /^(.*\[(?:warn|error|crit)\].*)$/mg ], [], 'no line above';
        unlike $log, $secret, 'no token, no password';
        ok !-s $gw->dir . '/logs/own.log', 'nor a line in the log of a location';
        $before = length $gw->error_log;
        $gw->reload if $when =~ /start/;
    }
    to($other, "GET /denied HTTP/1.1\r\nHost: g\r\n\r\n");
    ok $gw->wait_for(sub { $gw->log_lines(qr/\[error\].*access forbidden by rule/) }), 'another server logs as it did';
    $gw->finish;
};

subtest 'two logs, at levels error and info' => sub {
    my $gw = gateway(level => 'error', main => 'error_log logs/info.log info;');
    my $info = sub { open my $f, '<', $gw->dir . '/logs/info.log' or return ''; local $/; return scalar <$f> // '' };
    cause($gw);
    ok $gw->wait_for(sub { $info->() =~ /\[info\].*X_Api_Key/ }), 'the one has the lines';
    is $gw->error_log, '', 'the other is empty';
    unlike $info->(), qr/\[(?:error|crit)\]|$secret/, 'no token, no line at level error';
    $gw->finish;
};

done_testing;
