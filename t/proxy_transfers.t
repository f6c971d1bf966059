#!/usr/bin/perl

# Large bodies through the proxy API: uploads with a length, in chunks, after 100
# Continue and over HTTP/2 arrive whole and as plain nginx beside the gateway sends
# them; a download whose reader is slow does not hold up the provider; the workers
# need no memory for either.

use strict;
use warnings;

use Digest::SHA ();
use File::Temp ();
use FindBin;
use IO::Select ();
use JSON::PP ();
use POSIX ();
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Versions;

my $size = 48 * 1024 * 1024;
my $max = $size;
my $memory = 8 * 1024;    # kB that a worker may grow by

my $dir = File::Temp->newdir;
my $file = "$dir/body";
my $sha = do {
    open my $f, '>', $file or die $!;
    my $block = join '', map { chr $_ % 251 } 1 .. 65_536;
    print $f substr("$_ $block", 0, 65_536) for 1 .. $size / 65_536;
    close $f;
    Digest::SHA->new(1)->addfile($file)->hexdigest;
};
my ($provider, $provider_pid) = provider();
my $owner = $$;
END {
    if ($provider_pid && $$ == $owner) {
        my $status = $?;
        kill 'KILL', $provider_pid;
        waitpid $provider_pid, 0;
        $? = $status;
    }
}

my ($h2, $plain, $plain_h2) = map { Gateway::Redis::free_port() } 1 .. 3;
my $gw = Gateway->start(
    upstream => "http://127.0.0.1:$provider",
    server   => Gateway::Versions::http2("127.0.0.1:$h2"),
    location => "ampersand_body_max $max;",
    http     => "server { listen 127.0.0.1:$plain; " . Gateway::Versions::http2("127.0.0.1:$plain_h2")
        . " location /proxy/ { proxy_pass http://ampersand/; proxy_http_version 1.1; proxy_set_header Connection ''; client_max_body_size 0; } }",
);
my $token = $gw->tenant('acme');
my @headers = ('-H', "X-Api-Key: $token", '-H', 'x-amp-installation-id: i-1', '-H', 'Content-Type: application/octet-stream');

is -s $file, $size, 'a body of 48 MB';

my %ports = (gateway => [ $gw->port, $h2 ], nginx => [ $plain, $plain_h2 ]);
$gw->get("/-/status");    # a worker that answers has its name
my $before = peak();

my %seen;
for my $case (
    [ 'with a length', 0, '-H', 'Expect:' ],
    [ 'in chunks', 0, '-H', 'Expect:', '-H', 'Transfer-Encoding: chunked' ],
    [ 'after 100 Continue', 0, '-H', 'Expect: 100-continue' ],
    [ 'over HTTP/2', 1, '--http2-prior-knowledge' ],
) {
    my ($name, $version, @more) = @$case;
    subtest "an upload $name" => sub {
        my %got = map { ($_ => upload($ports{$_}[$version], @more)) } qw(gateway nginx);
        is $got{gateway}{bytes}, $size, 'it arrives whole';
        is $got{gateway}{sha}, $sha, 'and unchanged';
        is_deeply $got{gateway}, $got{nginx}, 'framed as plain nginx does';
    };
}

subtest 'an upload that is refused' => sub {
    for ([ $max + 1, $token, 413, 'body-too-large' ], [ 1000, 'x', 401, 'bad-token' ]) {
        my ($length, $key, $status, $problem) = @$_;
        my $res = $gw->raw("PUT /proxy/files HTTP/1.1\r\nHost: g\r\nX-Api-Key: $key\r\nx-amp-installation-id: i\r\n"
            . "Expect: 100-continue\r\nContent-Length: $length\r\n\r\n", interim => 1);
        is $res->{status}, $status, "$status instead of 100 Continue";
        like $res->{body}, qr/:problem:$problem"/, 'with the reason';
    }
    system "cp $file $file.more && printf x >> $file.more";
    my $out = curl($gw->port, '-T', "$file.more", '-H', 'Expect:', '-H', 'Transfer-Encoding: chunked', '-o', '/dev/null', '-w', '%{http_code}');
    like $out, qr/^(?:413|000|100)$/, 'in chunks, too';    # curl may see the connection end while it still sends
    ok !-e "$dir/sent-past", 'and not sent on';
};

subtest 'a download whose reader is slow' => sub {
    my %took;
    for my $where (qw(gateway nginx)) {
        my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $ports{$where}[0]) or die "connect: $!";
        syswrite $socket, "GET /proxy/download/$where HTTP/1.1\r\nHost: g\r\nX-Api-Key: $token\r\nx-amp-installation-id: i\r\nConnection: close\r\n\r\n";
        ok $gw->wait_for(sub { -e "$dir/done-$where" }), "$where: the provider has sent all before the client reads";
        my $res = Gateway::read_response($socket);
        is length $res->{body}, $size, "$where: all of it comes";
        is Digest::SHA::sha1_hex($res->{body}), $sha, "$where: unchanged";
    }
};

SKIP: {
    skip 'a sanitizer keeps what is freed', 1 if $ENV{ASAN_OPTIONS};
    my $after = peak();
    cmp_ok $after - $before, '<', $memory, 'the workers have grown by less than 8 MB' or diag "$before kB, $after kB";
}

$gw->finish;
done_testing;


# The most memory that a worker has had, in kB.

sub peak {
    my $most = 0;
    for my $pid ($gw->workers_pids) {
        open my $f, '<', "/proc/$pid/status" or next;
        my ($kb) = do { local $/; <$f> } =~ /^VmHWM:\s+(\d+)/m;
        $most = $kb if $kb > $most;
    }
    return $most;
}

sub curl {
    my ($port, @args) = @_;
    open my $curl, '-|', 'curl', '-sS', '-m', $Gateway::PATIENCE, @headers, @args, "http://127.0.0.1:$port/proxy/files" or die "curl: $!";
    local $/;
    return <$curl> // '';
}

sub upload { my ($port, @args) = @_; return eval { JSON::PP::decode_json(curl($port, '-T', $file, @args)) } // {} }

# A provider that says what it got, or sends the file: a process for each connection.

sub provider {
    my $listen = IO::Socket::INET->new(Listen => 20, LocalAddr => '127.0.0.1') or die "listen: $!";
    my $pid = fork // die "fork: $!";
    return ($listen->sockport, $pid) if $pid;
    $SIG{$_} = 'DEFAULT' for qw(INT TERM);
    $SIG{CHLD} = 'IGNORE';
    while (1) {
        my $c = $listen->accept or next;
        next if fork;
        serve($c);
        POSIX::_exit(0);
    }
}

sub serve {
    my ($c) = @_;
    my $in = '';
    my $more = sub { sysread $c, $in, 262_144, length $in or POSIX::_exit(0) };
    while (1) {
        $more->() while $in !~ /\r\n\r\n/;
        (my $head, $in) = split /\r\n\r\n/, $in, 2;
        if (my ($where) = $head =~ m{^GET \S*/download/(\w+)}) {
            print $c "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: $size\r\nConnection: close\r\n\r\n";
            $c->flush;
            open my $f, '<', $file or die $!;
            while (sysread $f, my $block, 65_536) {
                syswrite $c, $block;
            }
            open my $done, '>', "$dir/done-$where";
            return;
        }
        my $digest = Digest::SHA->new(1);
        my $bytes = 0;
        my $take = sub {
            my ($n) = @_;
            while ($n) {
                $more->() unless length $in;
                my $part = substr $in, 0, $n, '';
                $digest->add($part);
                $bytes += length $part;
                $n -= length $part;
            }
        };
        if ($head =~ /^Transfer-Encoding: chunked/mi) {
            while (1) {
                $more->() while $in !~ /\r\n/;
                $in =~ s/^([0-9a-f]+)\r\n//i or die 'no chunk';
                my $n = hex $1;
                $take->($n);
                $more->() while length $in < 2;
                substr $in, 0, 2, '';
                last unless $n;
            }
        } elsif ($head =~ /^Content-Length: (\d+)/mi) {
            $take->($1);
        }
        if ($bytes > $max) { open my $f, '>', "$dir/sent-past" }
        my $body = JSON::PP::encode_json({
            bytes => $bytes, sha => $digest->hexdigest,
            map { my $name = $_; $name => $head =~ /^\Q$name\E: (.*?)\r?$/mi ? $1 : undef } qw(Content-Length Transfer-Encoding Expect Content-Type),
        });
        print $c "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
        $c->flush;
    }
}
