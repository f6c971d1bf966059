#!/usr/bin/perl

# ampctl doctor: names, connections and TLS of Ampersand's hosts, all tried at the
# same time.  The authorities that are trusted, and the network, are those of
# namespaces that end with ampctl.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Temp ();
use JSON::PP qw(decode_json);
use POSIX ();
use Test::More;
use Time::HiRes qw(time);

use Gateway;
use Gateway::Certificates;

plan skip_all => 'namespaces need root' if $> != 0;
plan skip_all => 'this machine allows no namespaces' if system('unshare --mount --net true 2> /dev/null') != 0;

my $certs = Gateway::Certificates->new;
my $tmp   = File::Temp->newdir('doctor.XXXXXX', TMPDIR => 1);
my $redis = Gateway::Redis->start;
my @hosts = map { "$_.withampersand.com" } qw(api read write search proxy);
my $names = sub { return join ',', map { "DNS:$_" } @_ };

$certs->sign(five  => $names->(@hosts), -1, 90);
$certs->sign(soon  => $names->(@hosts), -1, 5);
$certs->sign(one   => $names->($hosts[0]), -1, 90);
$certs->sign(ended => $names->(@hosts), -9, -2);

# One TLS server for each certificate.

my %port = map { $_ => Gateway::Redis::free_port() } qw(five soon one ended);
open my $conf, '>', "$tmp/nginx.conf" or die $!;
print $conf "daemon off; pid $tmp/pid; error_log $tmp/error.log; worker_processes 1;\nevents {}\nhttp { access_log $tmp/access.log;\n",
    (map { "${_}_temp_path $tmp/$_;\n" } qw(client_body proxy fastcgi uwsgi scgi)),
    (map { "server { listen 127.0.0.1:$port{$_} ssl; ssl_certificate " . $certs->file("$_.pem") . '; ssl_certificate_key '
        . $certs->file("$_.key") . "; location / { return 401; } }\n" } sort keys %port), "}\n";
close $conf;

my ($owner, $server) = ($$, fork // die $!);
if ($server == 0) {
    open STDERR, '>>', "$tmp/error.log";
    exec $ENV{NGINX_SERVER} || '/usr/sbin/nginx', '-p', "$tmp", '-c', "$tmp/nginx.conf" or POSIX::_exit(127);
}
END { if (defined $owner && $$ == $owner && $server) { local $?; kill 'TERM', $server; waitpid $server, 0 } }
Gateway::Redis::wait_for(sub { IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port{five}") }) or die 'no server: ' . Gateway::_slurp("$tmp/error.log");

sub doctor {
    my ($unshare, @args) = @_;
    my $run = 'mount --bind ' . $certs->ca . ' /etc/ssl/certs/ca-certificates.crt && exec "$@"';
    delete local @ENV{ grep { /^AMPERSAND_|_proxy$/i } keys %ENV };
    local $ENV{AMPERSAND_REDIS} = 'unix:' . $redis->socket;
    open my $out, '-|', 'unshare', '--mount', @$unshare, 'sh', '-c', $run, 'sh', $ENV{AMPCTL} || "$Gateway::ROOT/build/ampctl", 'doctor', '--json', @args
        or die "unshare: $!";
    my $began = time;
    my $doc = decode_json(do { local $/; <$out> });
    close $out;
    my %check = map { $_->{check} => $_ } grep { $_->{check} =~ /^(?:upstream|ampersand)/ } @{ $doc->{checks} };
    return { code => $? >> 8, seconds => time - $began, check => \%check };
}

sub at { return ([], '--upstream', "https://localhost:$port{$_[0]}") }
sub said { my ($r, $check) = @_; return join ' ', map { $_ // '' } @{ $r->{check}{$check} // {} }{qw(status message)} }

subtest 'a server that proves all five names' => sub {
    my $r = doctor(at('five'));
    is said($r, 'upstream dns'), 'ok the host of --upstream has an address', 'DNS';
    like said($r, 'upstream tls'), qr/^ok 5 hosts of Ampersand have proved their names; the first certificate expires in (?:89|90) days$/, 'TLS';
    is said($r, 'ampersand'), "ok reached at https://localhost:$port{five}", 'and it answers';
};

subtest 'a certificate that ends soon' => sub {
    my $r = doctor(at('soon'));
    like said($r, 'upstream tls'), qr/^warn 5 hosts .* expires in [45] days$/, 'a warning';
    like $r->{check}{'upstream tls'}{remedy}, qr/renew/, 'and what to do';
};

subtest 'a certificate that names one host' => sub {
    my $r = doctor(at('one'));
    is $r->{code}, 3, 'exit 3';
    like said($r, 'upstream tls'), qr/^fail no verified TLS connection to \Q$hosts[1], $hosts[2], $hosts[3], $hosts[4]\E at https:\S+: .*\Q$hosts[1]\E/,
        'names the others, and why';
    like $r->{check}{'upstream tls'}{remedy}, qr/certificate has to name each of these hosts/, 'and what to do';
};

subtest 'a certificate that has ended, and one of an authority that is not trusted' => sub {
    like said(doctor(at('ended')), 'upstream tls'), qr/^fail no verified TLS connection to \Q$hosts[0]\E,.*certificate has expired/, 'ended';
    my $ca = $certs->ca;
    no warnings 'redefine';
    local *Gateway::Certificates::ca = sub { return $_[0]->file('foreign_ca.pem') };
    like said(doctor(at('five')), 'upstream tls'), qr/^fail no verified TLS connection to \Q$hosts[0]\E,.*certificate/, 'not trusted';
};

subtest 'no name server, and names that do not exist' => sub {
    my $r = doctor(['--net']);
    is $r->{code}, 3, 'exit 3';
    like said($r, 'upstream dns'), qr/^fail no address of \Q@{[ join ', ', @hosts ]}\E: Could not resolve host/, 'all five are named';
    like $r->{check}{'upstream dns'}{remedy}, qr/name server/, 'and what to do';
    is_deeply [ sort keys %{ $r->{check} } ], ['upstream dns'], 'the rest follows from it';
    like said(doctor(['--net'], '--upstream', 'https://no-such-host.invalid'), 'upstream dns'), qr/ at https:.*no-such-host\.invalid/, 'of --upstream';
};

subtest 'nobody listens, and nobody answers' => sub {
    my $free = Gateway::Redis::free_port();
    my $r = doctor([], '--upstream', "https://127.0.0.1:$free");
    like said($r, 'ampersand'), qr/^fail no connection to \Q$hosts[0]\E, .*connect/, 'refused';
    my $silent = IO::Socket::INET->new(Listen => 64, LocalAddr => '127.0.0.1') or die $!;
    $r = doctor([], '--timeout', '2s', '--upstream', 'https://127.0.0.1:' . $silent->sockport);
    is $r->{code}, 3, 'exit 3';
    like said($r, 'ampersand'), qr/^fail no connection to \Q$hosts[0]\E, /, 'silent';
    cmp_ok $r->{seconds}, '<', 9, 'all five within one time-out';
};

subtest 'without TLS' => sub {
    my $plain = Gateway::Upstream->start;
    my $r = doctor([], '--upstream', $plain->url);
    is said($r, 'ampersand'), 'ok reached at ' . $plain->url, 'it answers';
    is $r->{check}{'upstream tls'}, undef, 'no line for TLS';
};

is Gateway::_slurp("$tmp/error.log") =~ /\[(?:alert|emerg|crit)\]/ ? 1 : 0, 0, 'the server of this test has no alert';

done_testing;
