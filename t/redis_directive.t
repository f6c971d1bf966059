# ampersand_redis: what nginx -t says of it, with what to write instead, and
# never a password.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::Certificates;
use Test::More;

my $certs = Gateway::Certificates->new;
my ($ca, $pem, $key) = map { $certs->file($_) } 'ca.pem', 'client.pem', 'client.key';

sub try { return Gateway->configtest("events {}\nhttp {\n    ampersand_redis $_[0];\n}\n") }

for (
    'redis://127.0.0.1', 'redis://[::1]:6380/3', 'unix:/run/redis.sock?db=2', 'rediss://127.0.0.1', 'rediss://gate:canary@localhost:6380/1',
    "rediss://127.0.0.1 ca_file=$ca", "rediss://127.0.0.1 ca_file=$ca cert_file=$pem key_file=$key server_name=redis.test timeout=1s prefix=x:",
    'redis+sentinel://127.0.0.1,127.0.0.2:26380/main/2', "rediss+sentinel://:canary\@127.0.0.1/main ca_file=$ca",
    'redis+cluster://127.0.0.1:7000,127.0.0.1:7001', "rediss+cluster://127.0.0.1 server_name=redis.test",
) {
    my ($ok, $text) = try($_);
    ok $ok, $_ or diag $text;
}

my $open = $certs->file('open.key');
system 'cp', $key, $open;
chmod 0644, $open;

for (
    [ "redis://127.0.0.1 ca_file=$ca", qr/ca_file=, cert_file=, key_file= and server_name= are for TLS, write rediss:\/\// ],
    [ 'unix:/run/redis.sock server_name=x', qr/are for TLS/ ],
    [ "redis+cluster://127.0.0.1 cert_file=$pem key_file=$key", qr/are for TLS/ ],
    [ "rediss://127.0.0.1 cert_file=$pem", qr/needs both cert_file=FILE and key_file=FILE/ ],
    [ "rediss://127.0.0.1 key_file=$key", qr/needs both cert_file=FILE and key_file=FILE/ ],
    [ "rediss://127.0.0.1 cert_file=$pem key_file=$open", qr/may be read or written by other users: chmod 600/ ],
    [ "rediss://127.0.0.1 ca_file=/nowhere.pem", qr/nowhere\.pem.*No such file/s ],
    [ "rediss://127.0.0.1 ca_file=$key", qr/client\.key/ ],
    [ "rediss://127.0.0.1 cert_file=$pem key_file=" . $certs->file('server.key'), qr/key values mismatch/ ],
    [ 'rediss://127.0.0.1 ca_file=', qr/unknown parameter/ ],
    [ 'redis+sentinel://127.0.0.1', qr/write redis:\/\// ],
    [ 'redis+cluster://127.0.0.1/3', qr/write redis:\/\// ],
    [ 'redis://:canary@127.0.0.1 canary', qr/unknown parameter .*ca_file=/ ],
    [ 'redis://gate@127.0.0.1', qr/add password_file=FILE/ ],
    [ 'redis+cluster://:canary@no.such.host.invalid:1', qr/Redis at "redis\+cluster:\/\/no\.such\.host\.invalid:1": host not found/ ],
) {
    my ($args, $line) = @$_;
    my ($ok, $text) = try($args);
    ok !$ok, "no: $args";
    like $text, $line, 'which it says';
    like $text, qr/nginx\.conf:\d+/, 'with the line';
    unlike $text, qr/canary/, 'without the password';
}

done_testing;
