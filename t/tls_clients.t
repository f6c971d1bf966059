#!/usr/bin/perl

# Client certificates: who is refused is told why; the tenant is named by a fingerprint or
# a subject, and a value that is no tenant's id says so.

use strict;
use warnings;

use FindBin;
use JSON::PP qw(decode_json);
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Certificates;
use Gateway::Versions;

plan skip_all => 'no curl' if system('curl --version > /dev/null 2>&1') != 0;

my $certs = Gateway::Certificates->new;
my ($by_print, $by_name, $raw) = map { Gateway::Redis::free_port() } 1 .. 3;
my ($print) = qx(openssl x509 -in @{[ $certs->file('client.pem') ]} -noout -fingerprint -sha1) =~ /=(\S+)/;
$print = lc $print =~ s/://gr;
my ($subject) = qx(openssl x509 -in @{[ $certs->file('client.pem') ]} -noout -subject -nameopt RFC2253) =~ /^subject=\s*(.*)$/m;

sub server {
    my ($port, $identity) = @_;
    return "server { @{[ Gateway::Versions::http2(qq(127.0.0.1:$port ssl)) ]} ssl_verify_client on; ampersand_identity $identity;\n"
        . "location /v1 { ampersand platform; include PROXY; } }\n";
}

my $gw = Gateway->start(
    http => "ssl_certificate @{[ $certs->file('server.pem') ]}; ssl_certificate_key @{[ $certs->file('server.key') ]};\n"
        . "ssl_client_certificate @{[ $certs->ca ]};\n"
        . "map \$ssl_client_fingerprint \$by_print { default ''; $print acme; }\n"
        . "map \$ssl_client_s_dn \$by_name { default ''; '$subject' acme; }\n",
    server => "location = /x { return 204; } }\n" . server($by_print, '$by_print') . server($by_name, '$by_name')
        . server($raw, '$ssl_client_s_dn') . 'server { listen unix:other.sock;',
);
$gw->tenant('acme', project => 'p-1');

sub curl {
    my ($port, @with) = @_;
    my ($scheme) = $with[0] && $with[0] eq 'http' ? shift @with : 'https';
    my $out = qx(curl -sk --max-time 60 @with -w '\n%{http_code}' $scheme://127.0.0.1:$port/v1/integrations);
    my ($body, $status) = $out =~ /^(.*)\n(\d+)\z/s;
    return ($status, eval { decode_json($body) } || {});
}

sub cert { my ($name) = @_; return ('--cert', $certs->file("$name.pem"), '--key', $certs->file("$name.key")) }

for my $version ('--http1.1', '--http2') {
    for (
        [ 'no certificate', 'no-certificate', qr/certificate/, $version ],
        [ 'one of a stranger', 'bad-certificate', qr/certificate/, $version, cert('foreign') ],
        [ 'an expired one', 'bad-certificate', qr/expired/, $version, cert('expired') ],
    ) {
        my ($what, $type, $say, @with) = @$_;
        my ($status, $problem) = curl($by_print, @with);
        is $status, 400, "$version, $what: 400";
        is $problem->{type}, "urn:ampersand-gateway:problem:$type", "$version, $what: the type";
        like "$problem->{detail} $problem->{remedy}", $say, "$version, $what: says so";
    }
    is +(curl($by_print, $version, cert('client')))[0], 200, "$version: a fingerprint names the tenant";
    is +(curl($by_name, $version, cert('client')))[0], 200, "$version: a subject names the tenant";
}

my ($status, $problem) = curl($by_print, 'http');
is $status, 400, 'plain HTTP: 400';
is $problem->{type}, 'urn:ampersand-gateway:problem:plain-http', 'plain HTTP: the type';
like $problem->{remedy}, qr{https://}, 'plain HTTP: what to write';

($status, $problem) = curl($raw, cert('client'));
is $status, 401, 'a subject as it is: 401';
like $problem->{detail}, qr/is not the id of a tenant/, 'says what is wrong with it';
like $problem->{causes}[0], qr/The identity ".*CN=.*" cannot be a tenant's id\./, 'and shows it';
like $problem->{remedy}, qr/map\{\}/, 'and what to do';

$gw->finish;
done_testing;
