package Gateway::Answers;

# Answers of a hostile or broken upstream, by number: the upstream's process and
# the test make the same answer of the same number.
#
#   my $answer = Gateway::Answers::answer($n, $method);
#   $answer->{bytes}, ->{close}, ->{pieces}: for Gateway::Upstream
#   $answer->{kind}     what it is, in words
#   $answer->{expect}   'pass': the status and the body reach the client
#                       'refuse': a 502
#                       'cut': the head reaches the client, and no more than the body
#   $answer->{status}, ->{body}
#
# What must never reach a client has the word FORGED in it: interim answers, bytes
# behind the answer, fields that are not for the client.

use strict;
use warnings;

use Gateway::Versions ();

# A generator of its own, so that the numbers are the same in each process.

my $state;

sub _seed { ($state) = @_; $state = ($state * 2654435761 + 12345) % 4294967296; _rand(2) for 1 .. 3 }

sub _rand {
    my ($n) = @_;
    $state = ($state * 1664525 + 1013904223) % 4294967296;
    return int($state / 65536) % $n;
}

sub _pick { return $_[ _rand(scalar @_) ] }

my $FORGED = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nX-Gateway-Source: FORGED\r\nSet-Cookie: FORGED=1\r\n\r\nFORGED";

# Fields of an answer that the client may get, and those that it may not.

my @fields = (
    'Content-Type: application/json', 'ETag: "e"', 'X-Custom: a, b', 'Vary: Accept', 'Link: </a>; rel=next',
    'X-Empty:', 'Retry-After: 1', 'x-lower: y', "X-Long: @{[ 'z' x 900 ]}", 'Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT',
    "X-Latin: \xe4", 'Server: s', 'Date: Sun, 06 Nov 1994 08:49:37 GMT', 'Location: /x', 'Content-Language: de',
);
my @kept = map { "$_: FORGED" } (
    'Alt-Svc', 'alt-svc', 'Strict-Transport-Security', 'Public-Key-Pins', 'Public-Key-Pins-Report-Only', 'Clear-Site-Data',
    'Set-Cookie2', 'Set-Cookie', 'NEL', 'Report-To', 'Reporting-Endpoints', 'Expect-CT', 'Accept-CH', 'Critical-CH',
    'Keep-Alive', 'Proxy-Connection', 'Proxy-Authenticate', 'Proxy-Authentication-Info', 'TE', 'Trailer', 'Upgrade',
    'HTTP2-Settings', 'X-Gateway-Source', 'X-Request-Id', 'X-Cache-Status', 'X-Api-Key', 'X-Accel-Redirect', 'B@d',
);

sub _fields {
    my @all = map { _pick(@fields, @kept) } 1 .. _rand(7);
    if (_rand(3) == 0) {
        my $name = 'X-Hop-' . _rand(100);
        push @all, _pick("Connection: $name", "connection: close,$name", "Connection: keep-alive , \t$name",
            "Connection: x\r\nConnection: $name"), "$name: FORGED";
        @all = reverse @all if _rand(2);
    }
    return map { $_ . _pick("\r\n", "\r\n", "\r\n", "\n") } @all;
}

sub _interims {
    return '' if _rand(2);
    return join '', map {
        'HTTP/1.1 ' . _pick('100 Continue', '102 Processing', '103 Early Hints', '110', '199 ') . "\r\n"
            . join('', map { "$_\r\n" } map {
                _pick(@fields, @kept, 'Content-Length: ' . length $FORGED, 'Transfer-Encoding: chunked', 'Connection: close',
                    'Cache-Control: no-store', 'Set-Cookie: FORGED=1', 'X-Forged: FORGED')
            } 1 .. _rand(5))
            . "\r\n"
    } 0 .. _rand(3);
}

sub _chunked {
    my ($body) = @_;
    my $text = '';
    while (length $body) {
        my $n = 1 + _rand(length $body);
        $text .= sprintf "%x%s\r\n%s\r\n", $n, _pick('', '', ';a=b'), substr $body, 0, $n, '';
    }
    return $text . _pick("0\r\n\r\n", "000\r\n\r\n", "0\r\nX-Trailer: FORGED\r\n\r\n");
}

sub _valid {
    my ($n, $method) = @_;
    my $status = _pick(200, 200, 200, 201, 301, 400, 404, 409, 500, 599);
    my $body = "real-$n-" . 'x' x _pick(0, 1, 50, 300, 5000, 20000);
    my %answer = (kind => 'valid', expect => 'pass', status => $status, body => $body);
    my $version = _pick('1.1', '1.1', '1.1', '1.0');
    my $line = "HTTP/$version" . _pick(' ', ' ', '  ') . $status . _pick(' OK', ' OK', ' ', '', " Gr\xfc\xdfe") . _pick("\r\n", "\n");
    my @fields = _fields();
    my $more = _rand(3) ? '' : $FORGED;
    my $framing = _rand(3);

    if ($method eq 'HEAD') {
        $answer{body} = '';
        push @fields, "Content-Length: 5\r\n" if $framing;
        ($body, $answer{kind}) = ($more, 'to HEAD');
    } elsif ($framing == 0) {
        push @fields, 'Content-Length: ' . length($body) . "\r\n";
        $body .= $more;
    } elsif ($framing == 1) {
        my $chunked = _pick('Transfer-Encoding: chunked', "transfer-encoding:\tCHUNKED");
        push @fields, "$chunked\r\n";
        @answer{qw(kind expect)} = ('a tab before "chunked"', 'refuse')
            if $chunked =~ /\t/ && Gateway::Versions::refuses_tab();
        $body = _chunked($body) . $more;
    } else {
        $answer{close} = 1;
    }

    $answer{close} ||= $version eq '1.0' || !_rand(5);
    $answer{kind} .= ', bytes behind it' if $more && $framing != 2;
    $answer{bytes} = _interims() . $line . join('', @fields) . "\r\n" . $body;
    return \%answer;
}

sub _bodiless {
    my $status = _pick(204, 304);
    my @fields = (_fields(), _rand(3) ? () : "Content-Length: 6\r\n");
    return {
        kind => "a $status with a body", expect => 'pass', status => $status, body => '', close => !_rand(4),
        bytes => _interims() . "HTTP/1.1 $status X\r\n" . join('', @fields) . "\r\n" . _pick('', 'FORGED', $FORGED),
    };
}

my @lines = (
    'HTTP/1.1 101 Switching Protocols', 'HTTP/1.1 600 X', 'HTTP/1.1 999 X', 'HTTP/1.1 099 X', 'HTTP/1.1 000 X', 'HTTP/1.1 20 OK',
    'HTTP/1.1 2000 OK', 'HTTP/1.1 OK', 'HTTP/1.1 -200 OK', 'HTTP/1.1', 'HTTP/1.1 ', 'HTTP/1.1200 OK', "HTTP/1.1\t200 OK",
    'http/1.1 200 OK', 'HTTP/1 200 OK', 'HTTP/.1 200 OK', 'HTTP/0.9 200 OK', 'HTTP 200 OK', 'HTTPS/1.1 200 OK', 'ICY 200 OK',
    ' HTTP/1.1 200 OK', "\r\nHTTP/1.1 200 OK", "HTTP/1.1 200 OK\rX: FORGED", "HTTP/1.1 200 O\0K", 'FORGED', '<html>FORGED',
    '{"FORGED":1}', "\0\1\2", 'GET /FORGED HTTP/1.1', 'Content-Length: 2', '200 OK', 'HTTP/1.1 2OO OK', 'HTTP/111.1 200 OK',
);
my @fieldlines = (
    "Content-Length: 6\r\nContent-Length: 6", "Content-Length: 6\r\nContent-Length: 60", "Content-Length: 6\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nContent-Length: 6", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    'Transfer-Encoding: gzip, chunked', 'Transfer-Encoding: xchunked', 'Transfer-Encoding: identity', 'Transfer-Encoding:',
    'Content-Length: -1', 'Content-Length: +6', 'Content-Length: 6, 6', 'Content-Length: 0x6', 'Content-Length: six',
    'Content-Length:', 'Content-Length: 99999999999999999999', "X-Nul: a\0b", "X-Cr: a\rSet-Cookie: FORGED=1", 'X Space: FORGED',
    'X-Colon : FORGED', ' folded: FORGED', "X-A: b\r\n\tFORGED", "X\x7f: FORGED", ': FORGED', "Transfer-Encoding : chunked",
    'X-Huge: ' . 'FORGED' x 40_000, "Connection: @{[ 'x, ' x 300 ]}",
);

sub _broken {
    my ($n) = @_;
    my %answer = (kind => 'broken', expect => 'refuse', close => 1);
    my $which = _rand(5);

    if ($which == 0) {
        my $line = _pick(@lines);
        @answer{qw(kind bytes)} = ("status line \"$line\"", _interims() . "$line\r\n" . join('', _fields()) . "\r\n$FORGED");
    } elsif ($which == 1) {
        my $field = _pick(@fieldlines);
        @answer{qw(kind bytes)} = ('field "' . substr($field, 0, 40) . '"',
            _interims() . "HTTP/1.1 200 OK\r\n" . join('', _fields()) . "$field\r\n\r\n$FORGED");
    } elsif ($which == 2) {
        my $bytes = _interims() . "HTTP/1.1 200 OK\r\nX-Gateway-Source: FORGED\r\n\r\n";
        @answer{qw(kind bytes)} = ('a head that ends early', substr $bytes, 0, length($bytes) - 1 - _rand(50));
    } elsif ($which == 3) {
        @answer{qw(kind bytes)} = ('interim answers without an end', "HTTP/1.1 103 Early Hints\r\nX: FORGED\r\n\r\n" x _pick(1, 10, 5000));
    } else {
        @answer{qw(kind bytes)} = ('nothing', '');
    }
    return \%answer;
}

# The head is valid, the body is not: the client may get less of it, and no more.

sub _cut {
    my ($n) = @_;
    my $body = "real-$n-" . 'x' x _pick(1, 300, 5000);
    my %answer = (kind => 'a body that is cut', expect => 'cut', status => 200, body => $body, close => 1);
    my $head = _interims() . "HTTP/1.1 200 OK\r\n" . join('', _fields());
    if (_rand(2)) {
        $answer{bytes} = $head . 'Content-Length: ' . (length($body) + 1 + _rand(100)) . "\r\n\r\n$body";
    } else {
        my $chunk = sprintf "%x\r\n%s\r\n", length $body, $body;
        $answer{kind} = 'chunks that are broken';
        $answer{bytes} = $head . "Transfer-Encoding: chunked\r\n\r\n$chunk"
            . _pick('', 'zz', "zz\r\nFORGED\r\n", "-1\r\nFORGED\r\n", "fffffffffffffffff\r\nFORGED", '6', "0\r\n");
    }
    return \%answer;
}

sub answer {
    my ($n, $method) = @_;
    _seed($n);
    my $which = _rand(20);
    my $answer = $method eq 'HEAD' || $which < 10 ? _valid($n, $method)
        : $which < 12 ? _bodiless() : $which < 18 ? _broken($n) : _cut($n);
    $answer->{pieces} = 2 + _rand(4) if !_rand(25) && length $answer->{bytes} > 10;
    return $answer;
}

1;
