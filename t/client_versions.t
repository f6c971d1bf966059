#!/usr/bin/perl

# What the gateway does for a request is the same over HTTP/1.1, HTTP/2 and HTTP/3:
# identity, bodies, refusals, the cache, limits, and what it sends upstream.

use strict;
use warnings;

use File::Temp ();
use FindBin;
use JSON::PP ();
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Certificates;
use Gateway::Versions;

my $certs = Gateway::Certificates->new;
my $port = Gateway::Redis::free_port();
my $without = Gateway::Versions::without_http3();
my $tmp = File::Temp->newdir('versions.XXXXXX', TMPDIR => 1);

my $up = Gateway::Upstream->start(sub {
    my ($req) = @_;
    return { hold => 1 } if $req->{target} =~ /hold/;
    return { headers => [ 'Content-Type' => 'application/json', 'Cache-Control' => 'max-age=60' ], body => '{"n":1}' };
});

my $gw = Gateway->start(
    upstream => $up->url,
    count    => 1,
    server   => Gateway::Versions::http2("127.0.0.1:$port ssl")
        . ($without ? '' : Gateway::Versions::http3("127.0.0.1:$port"))
        . " ssl_certificate @{[ $certs->file('server.pem') ]}; ssl_certificate_key @{[ $certs->file('server.key') ]};"
        . ' ampersand_body_max 4k;'
        . qq( add_header Alt-Svc 'h3=":$port"; ma=86400' always;),
);

my @versions = (['1.1', '--http1.1'], ['2', '--http2'], $without ? () : ['3', '--http3-only']);

# The command, which one can read with the same arguments for each version.

sub curl { my ($option, @args) = @_; return ('curl', '-sk', '-i', $option, '--max-time', 30, @args) }

sub answer {
    my ($option, $target, @args) = @_;
    open my $f, '-|', curl($option, @args, "https://127.0.0.1:$port$target") or die $!;
    my $text = do { local $/; <$f> } // '';
    close $f;
    my $exit = $? >> 8;
    my ($head, $body);
    do { ($head, $body) = split /\r\n\r\n/, $text, 2; $text = $body } while ($head // '') =~ m{^HTTP/\S+ 1\d\d};
    my ($line, @lines) = split /\r\n/, $head // '';
    my %headers;
    push @{ $headers{ lc +(split /:\s*/, $_, 2)[0] } }, (split /:\s*/, $_, 2)[1] for @lines;
    my ($version, $status) = ($line // '') =~ m{^HTTP/(\S+) (\d+)};
    return { version => $version, status => $status, headers => \%headers, body => $body, exit => $exit };
}

# What has to be equal: names of tenants, times and ids are not.

sub comparable {
    my ($res, $n) = @_;
    my %headers;
    for my $name (qw(content-type x-gateway-source x-cache-status cache-status etag allow www-authenticate cache-control
                     ratelimit-policy content-length alt-svc)) {
        $headers{$name} = [ map { s/ttl=\d+/ttl=N/r } @{ $res->{headers}{$name} } ] if $res->{headers}{$name};
    }
    $headers{id} = @{ $res->{headers}{'x-request-id'} || [] };
    my $body = ($res->{body} // '') =~ s/"(requestId|time|retryAfter)":"[^"]*"/"$1":""/gr;
    return { status => $res->{status}, headers => \%headers, body => $body =~ s/\b([tps])-$n/$1/gr };
}

# HTTP/2 and HTTP/3 have no upper case in names of headers.

sub sent {
    my ($n) = @_;
    return [ map {
        my $head = $_->{head} =~ s/^([\w-]+):/\L$1:/mgr =~ s/^(x-request-id|traceparent): \S+/$1: -/mgr;
        { head => $head =~ s/\b([tpk])-$n/$1/gr, body => ($_->{body} // '') =~ s/\b([tps])-$n/$1/gr };
    } $up->take ];
}

# Each request, in this order, for a tenant of each version.

# As large a body as a client sends before it can have an answer: nginx answers without
# reading all of it, and ends an HTTP/3 stream then, on which the answer may be lost.

my $big = "$tmp/big";
my $json = 'Content-Type: application/json';
open my $f, '>', $big or die $!;
print $f '{"a":"' . 'x' x 6000 . '"}';
close $f;

my @requests = (
    ['no token', '/v1/integrations'],
    ['a malformed token', '/v1/integrations', '-H', 'X-Api-Key: agw_nonsense'],
    ['an unknown token', '/v1/integrations', '-H', 'X-Api-Key: UNKNOWN'],
    ['two tokens', '/v1/integrations', '-H', 'X-Api-Key: TOKEN', '-H', 'Authorization: Bearer UNKNOWN'],
    ['Authorization', '/v1/topics', '-H', 'Authorization: Bearer TOKEN'],
    ['a cold key', '/v1/integrations?x=1', '-H', 'X-Api-Key: TOKEN'],
    ['from the cache', '/v1/integrations?x=1', '-H', 'X-Api-Key: TOKEN'],
    ['HEAD', '/v1/integrations?x=1', '-H', 'X-Api-Key: TOKEN', '-I'],
    ['not modified', '/v1/integrations?x=1', '-H', 'X-Api-Key: TOKEN', '-H', 'If-None-Match: ETAG'],
    ['another project', '/v1/projects/p-other/integrations', '-H', 'X-Api-Key: TOKEN'],
    ['elsewhere', '/elsewhere', '-H', 'X-Api-Key: TOKEN'],
    ['no such method', '/v1/topics', '-H', 'X-Api-Key: TOKEN', '-X', 'DELETE'],
    ['a bad path', '/v1/integrations/%2e%2e/%00', '-H', 'X-Api-Key: TOKEN'],
    ['headers that are not for Ampersand', '/v1/topics', '-H', 'X-Api-Key: TOKEN', '-H', 'Cookie: a=b', '-H', 'X-Forwarded-For: 1.2.3.4',
        '-H', 'X-Amp-Project-Id: p-VERSION', '-H', 'Accept: application/json', '-A', 'test'],
    ['a body', '/v1/topics', '-H', 'X-Api-Key: TOKEN', '-H', $json, '-d', '{"a":1}'],
    ['a body without a length', '/v1/topics', '-H', 'X-Api-Key: TOKEN', '-H', $json, '-X', 'POST', '-T', "$tmp/small"],
    ['a body that is checked', '/v1/oauth-connect', '-H', 'X-Api-Key: TOKEN', '-H', $json, '-d', '{"provider":"x"}'],
    ['one that names another project', '/v1/oauth-connect', '-H', 'X-Api-Key: TOKEN', '-H', $json, '-d', '{"projectId":"p-other"}'],
    ['one that is no JSON', '/v1/oauth-connect', '-H', 'X-Api-Key: TOKEN', '-H', $json, '-d', '[]'],
    ['one that is too large', '/v1/topics', '-H', 'X-Api-Key: TOKEN', '-H', $json, '--data-binary', "\@$big"],
    ['within the limit', '/v1/topics?y=1', '-H', 'X-Api-Key: SLOW'],
    ['at the limit', '/v1/topics?y=2', '-H', 'X-Api-Key: SLOW'],
);
open $f, '>', "$tmp/small" or die $!;
print $f '{"a":2}';
close $f;

my %done;
my $unknown;
for my $version (@versions) {
    my ($v, $option) = @$version;
    my ($n) = $v =~ /^(\d)/;
    my $token = $gw->tenant("t-$n", project => "p-$n", key => "k-$n");
    my $slow = $gw->tenant("s-$n", project => "p-$n", key => "k-$n", args => [ '--rate', '1/h', '--burst', '1' ]);
    $unknown //= do {
        my $spare = JSON::PP::decode_json($gw->ctl('token', 'issue', "t-$n", '--json'));
        $gw->ctl('token', 'revoke', $spare->{id});
        $spare->{token};
    };
    my $etag = '';
    for my $request (@requests) {
        my ($what, @args) = @$request;
        my @filled = map { s/TOKEN/$token/gr =~ s/SLOW/$slow/gr =~ s/UNKNOWN/$unknown/gr =~ s/ETAG/$etag/gr =~ s/VERSION/$n/gr } @args;
        my $res = answer($option, @filled);
        $etag = $res->{headers}{etag}[0] if $res->{headers}{etag};
        is $res->{version}, $v, "HTTP/$v: $what" or do { diag "curl: exit $res->{exit}"; next };
        $done{$v}{$what} = { answer => comparable($res, $n), sent => sent($n) };
    }
}

my %expected = (
    'no token' => 401, 'an unknown token' => 401, 'two tokens' => 401, 'Authorization' => 200, 'from the cache' => 200,
    'not modified' => 304, 'another project' => 403, 'elsewhere' => 404, 'no such method' => 405, 'a bad path' => 400,
    'a body' => 200, 'a body without a length' => 200, 'a body that is checked' => 200,
    'one that names another project' => 403, 'one that is no JSON' => 400, 'one that is too large' => 413, 'at the limit' => 429,
);
is $done{'1.1'}{$_}{answer}{status}, $expected{$_}, "$_: $expected{$_}" for sort keys %expected;
is $done{'1.1'}{'from the cache'}{answer}{headers}{'x-gateway-source'}[0], 'cache', 'an answer comes from the cache';

is $done{'1.1'}{$_}{answer}{headers}{'alt-svc'}[0], qq(h3=":$port"; ma=86400), "$_: Alt-Svc" for 'no token', 'from the cache', 'a body';

for my $v (grep { $_ ne '1.1' } map { $_->[0] } @versions) {
    for my $what (map { $_->[0] } @requests) {
        is_deeply $done{$v}{$what}{answer}, $done{'1.1'}{$what}{answer}, "HTTP/$v: $what: the answer is that of HTTP/1.1";
        is_deeply $done{$v}{$what}{sent}, $done{'1.1'}{$what}{sent}, "HTTP/$v: $what: so is the upstream request";
    }
}

# A client that leaves gives its place in the gateway back, where nginx does not go on
# for the sake of the cache.

for my $version (@versions) {
    my ($v, $option) = @$version;
    subtest "HTTP/$v: a client that leaves" => sub {
        my $token = $gw->tenant('leaves-' . int $v);
        $gw->ctl('limit', 'set', 'leaves-' . int $v, '--concurrency', '1');
        my $pid = fork // die $!;
        if ($pid == 0) {
            open STDOUT, '>', '/dev/null';
            exec curl($option, $v eq '3' ? ('--max-time', '5') : (), '-H', "X-Api-Key: $token", "https://127.0.0.1:$port/proxy/hold?v=$v") or POSIX::_exit(127);
        }
        ok $gw->wait_for(sub { grep { $_->{target} =~ /hold\?v=\Q$v\E$/ } $up->requests }), 'a request is upstream';
        is $gw->get('/v1/topics', token => $token)->{status}, 429, 'a second one is refused';

        # over UDP only a client that says so has left: at the end of its patience

        kill 'KILL', $pid if $v ne '3';
        waitpid $pid, 0;
        ok $gw->wait_for(sub { $gw->get('/v1/topics', token => $token)->{status} == 200 }), 'once the client has left, it is not';
        $up->release;
    };
}

is_deeply [ grep { !/upstream prematurely closed/ } $gw->log_lines(qr/\[(?:warn|error|crit)\]/) ], [], 'no client made a line at level warn or above';

SKIP: { skip $without, 1 if $without; pass 'HTTP/3 was tested' }

$gw->finish;
done_testing;
