package Gateway::Made;

# What clients make up.
#
#   Gateway::Made::token();             # well-formed, checksum and all, and unknown
#   Gateway::Made::h2($gw_port, ...);   # see below

use strict;
use warnings;

use Compress::Zlib ();
use IO::Socket::INET ();

my @digits = (0 .. 9, 'A' .. 'Z', 'a' .. 'z');

sub token {
    my $token = 'agw_' . join '', map { $digits[ rand 62 ] } 1 .. 30;
    my $crc = Compress::Zlib::crc32($token);
    my $sum = '';
    for (1 .. 6) {
        $sum = $digits[ $crc % 62 ] . $sum;
        $crc = int $crc / 62;
    }
    return $token . $sum;
}

# A raw HTTP/2 connection with one request on stream 1.
#   my $socket = Gateway::Made::h2($port, 'POST', '/v1/x', [ 'x-api-key' => $t ], $body, end => 1);
#   syswrite $socket, Gateway::Made::frame($type, $flags, $stream, $payload);

sub frame {
    my ($type, $flags, $stream, $payload) = @_;
    return substr(pack('N', length $payload), 1) . pack('CCN', $type, $flags, $stream) . $payload;
}

sub h2 {
    my ($port, $method, $path, $headers, $body, %o) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 5)
        or die "connect: $!";
    my @all = (':method' => $method, ':scheme' => 'http', ':path' => $path, ':authority' => 'gateway.test', @$headers);
    my $block = '';
    while (my ($name, $value) = splice @all, 0, 2) {
        $block .= "\0" . chr(length $name) . $name . chr(length $value) . $value;    # each below 127
    }
    my $end = $o{end} // 1;
    my $bytes = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" . frame(4, 0, 0, '')
        . frame(1, 4 | ($end && !defined $body ? 1 : 0), 1, $block);
    $bytes .= frame(0, $end ? 1 : 0, 1, $body) if defined $body;
    local $SIG{PIPE} = 'IGNORE';
    syswrite $socket, $bytes;
    return $socket;
}

1;
