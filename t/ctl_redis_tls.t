#!/usr/bin/perl

# ampctl and Redis with TLS: server and client certificates, and the messages when
# verification fails.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::INET;
use POSIX ();
use Test::More;

use Gateway::Certificates;
use Gateway::Changes;
use Gateway::Ctl;
use Gateway::Redis;
use Gateway::Redis::Cluster;
use Gateway::Redis::Sentinel;

my $certs = Gateway::Certificates->new;
my $redis = Gateway::Redis->start(tls => $certs);
my $ctl   = Gateway::Ctl->new($redis);
my $ca    = $certs->ca;
my $port  = $redis->port;

sub at { my ($url, @args) = @_; return $ctl->json('--redis', $url, @args, qw(tenant list)) }
sub checks { my %c; push @{ $c{ $_->{check} } }, $_ for @{ $_[0]{doc}{checks} }; return \%c }

sub refused {
    my ($r, $name, $message, $remedy) = @_;
    is $r->{code}, 3, "$name: exit 3";
    is $r->{doc}{error}{code}, 'redis_tls', "$name: code" or diag $r->{out};
    like $r->{doc}{error}{message}, $message, "$name: message";
    like $r->{doc}{error}{remedy}, $remedy, "$name: remedy";
}

subtest 'every change' => sub {
    Gateway::Changes::walk($ctl, $redis, $redis->subscribe('amp:events'));
};

subtest 'names and addresses' => sub {
    for my $host ('127.0.0.1', 'localhost') {
        is at("rediss://$host:$port", '--redis-ca', $ca)->{code}, 0, $host;
    }
    is at("rediss://127.0.0.1:$port", '--redis-ca', $ca, '--redis-server-name', $_)->{code}, 0, "as $_"
        for 'redis.test', 'localhost', '127.0.0.1', '::1';
    refused(at("rediss://127.0.0.1:$port", '--redis-ca', $ca, '--redis-server-name', $_), "as $_",
        qr/another name or address/, qr/--redis-server-name/) for 'other.test', '127.0.0.2';
};

subtest 'server certificates that are refused' => sub {
    refused(at("rediss://127.0.0.1:$port"), 'the CAs of the system', qr/cannot be trusted/, qr/--redis-ca/);
    refused(at("rediss://127.0.0.1:$port", '--redis-ca', $certs->file('foreign_ca.pem')), 'another CA', qr/cannot be trusted/, qr/--redis-ca/);
    my %why = (expired => qr/certificate has expired/, early => qr/not yet valid/, foreign => qr/cannot be trusted/,
        name => qr/another name or address/);
    for my $name (sort keys %why) {
        my $bad = Gateway::Redis->start(tls => $certs, certificate => $name);
        refused(at('rediss://127.0.0.1:' . $bad->port, '--redis-ca', $ca), $name, $why{$name}, qr/--redis-(?:ca|server-name)/);
    }
};

subtest 'a client certificate' => sub {
    my $strict = Gateway::Redis->start(tls => $certs, clients => 1);
    my $url = 'rediss://127.0.0.1:' . $strict->port;
    my ($cert, $key) = map { $certs->file("client.$_") } qw(pem key);
    is at($url, '--redis-ca', $ca, '--redis-cert', $cert, '--redis-key', $key)->{code}, 0, 'with one';
    is $ctl->run({ env => { $strict->env, AMPERSAND_REDIS => $url } }, qw(tenant list))->{code}, 0, 'from the environment';
    refused(at($url, '--redis-ca', $ca), 'without', qr/refused the TLS connection/, qr/--redis-cert FILE and --redis-key/);

    my $r = at($url, '--redis-ca', $ca, '--redis-cert', $cert);
    is $r->{code}, 2, 'a certificate without its key';
    is at($url, '--redis-ca', $ca, '--redis-key', $key)->{code}, 2, 'a key without its certificate';
    $r = at($url, '--redis-ca', $ca, '--redis-cert', $cert, '--redis-key', $certs->file('server.key'));
    is $r->{code}, 1, 'the key of another certificate';
    like $r->{doc}{error}{message}, qr/not the key of the certificate/, 'message';
    my $open = $ctl->file('open.key', do { local (@ARGV, $/) = $key; <> }, 0644);
    $r = at($url, '--redis-ca', $ca, '--redis-cert', $cert, '--redis-key', $open);
    is $r->{code}, 1, 'a key that others may read';
    like $r->{doc}{error}{remedy}, qr/chmod 600/, 'remedy';
    my $junk = $ctl->file('junk.key', "canary\n");
    for my $files ([ $junk, $cert, $key ], [ $ca, $junk, $key ], [ $ca, $cert, $junk ], [ $ca, $cert, '/nonexistent' ],
        [ '/nonexistent', $cert, $key ], [ $ca, $cert, '/dev/zero' ])
    {
        $r = at($url, map { ($_, shift @$files) } qw(--redis-ca --redis-cert --redis-key));
        is $r->{code}, 1, 'files that are no PEM files';
        is $r->{doc}{error}{code}, 'redis_tls', $r->{doc}{error}{message};
    }
};

subtest 'TLS on one side only' => sub {
    my $plain = Gateway::Redis->start;
    my $r = at('rediss://127.0.0.1:' . $plain->port, '--redis-ca', $ca, qw(--timeout 500ms));
    is $r->{code}, 3, 'the server';
    like $r->{doc}{error}{remedy}, qr/begins with redis, not rediss/, 'remedy';
    $r = at("redis://127.0.0.1:$port");
    is $r->{code}, 3, 'the client';
    like $r->{doc}{error}{remedy}, qr/rediss/, 'remedy' or diag $r->{out};
    for my $args ([ '--redis-ca', $ca ], [ '--redis-server-name', 'x' ]) {
        $r = at('redis://127.0.0.1:' . $plain->port, @$args);
        is $r->{code}, 2, "$args->[0] with redis://";
        like $r->{doc}{error}{remedy}, qr/write rediss in place of redis/, 'remedy';
    }
};

subtest 'TLS versions before 1.2 are refused' => sub {
    my $listen = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die $!;
    my $old = $listen->sockport;
    close $listen;
    my $pid = fork // die $!;
    if ($pid == 0) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', '/dev/null';
        open STDERR, '>&', \*STDOUT;
        exec qw(openssl s_server -quiet -tls1_1 -cipher ALL:@SECLEVEL=0 -accept), "127.0.0.1:$old",
            '-cert', $certs->file('server.pem'), '-key', $certs->file('server.key') or POSIX::_exit(127);
    }
    ok Gateway::Redis::wait_for(sub { IO::Socket::INET->new(PeerAddr => "127.0.0.1:$old") }), 'a server with TLS 1.1';
    my $r = at("rediss://127.0.0.1:$old", '--redis-ca', $ca);
    kill 'KILL', $pid;
    waitpid $pid, 0;
    refused($r, '1.1', qr/TLS/, qr/1\.2 or newer|certificate/);
};

subtest 'doctor' => sub {
    my $checks = checks($ctl->json('doctor'));
    is $checks->{'redis tls'}[0]{status}, 'warn', 'doctor warns of a certificate that ends in two days';
    like $checks->{'redis tls'}[0]{message}, qr/^TLSv1\.3, TLS_\w+; the certificate expires in 1 days/, 'text';
};

subtest 'Sentinels and a cluster with TLS' => sub {
    for my $s (
        Gateway::Redis::Sentinel->start(tls => $certs, replicas => 1),
        Gateway::Redis::Cluster->start(tls => $certs, replicas => 0),
    ) {
        my %env = (AMPERSAND_REDIS => $s->url, AMPERSAND_REDIS_CA => $ca);
        my $run = sub { $ctl->json({ env => \%env }, @_) };
        like $s->url, qr/^rediss\+/, $s->url;
        is $run->(qw(tenant add), "t$_", qw(--project p))->{code}, 0, 'a tenant' for 1 .. 5;
        is scalar @{ $run->(qw(tenant list))->{doc} }, 5, 'all tenants are listed';
        is checks($run->('doctor'))->{'redis writes'}[0]{status}, 'ok', 'doctor';
        my $r = $run->(qw(--redis-server-name other.test --redis), $s->url, '--redis-ca', $ca, qw(tenant list));
        refused($r, 'as another', qr/another name/, qr/--redis-server-name/);
    }
};

unlike $ctl->said, qr/canary|BEGIN/, 'no command has printed the contents of a file';

done_testing;
