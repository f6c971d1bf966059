#!/usr/bin/perl

# Isolation of tenants: pseudo-random requests from a grammar of methods, segments,
# encodings, projects, queries, headers and bodies.  Each upstream request keeps the
# rules of Gateway::Invariants, and each answer, from the cache too, is the tenant's.  AMPERSAND_TEST_SEED and _COUNT change the run.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Gateway;
use Gateway::Invariants;

my $seed  = $ENV{AMPERSAND_TEST_SEED}  || 20251122;
my $count = $ENV{AMPERSAND_TEST_COUNT} || 3000;
diag "seed $seed, $count requests";

my $upstream = Gateway::Upstream->start(sub {
    my ($req) = @_;
    my ($key) = Gateway::Upstream::header($req, 'x-api-key');
    return { body => "{\"key\":\"$key\",\"target\":\"$req->{target}\"}" };
});
my $gw = Gateway->start(upstream => $upstream->url, location => 'ampersand_cache_ttl proxyRequest 60s;');

my @tenants = (
    { id => 'acme', project => 'proj-A-1', name => 'alpha', key => 'key-of-acme-5c1f' },
    { id => 'beta', project => 'proj-B-2', name => 'bravo', key => 'key-of-beta-9e7d' },
    { id => 'twin', project => 'proj-A-1', name => 'alpha', key => 'key-of-twin-77b0' },
);
$_->{token} = $gw->tenant($_->{id}, %$_) for @tenants;

my $rules = Gateway::Invariants->new(
    tokens => [ map { $_->{token} } @tenants ],
    keys   => [ map { $_->{key} } @tenants ],
);

# xorshift: the same numbers with each version of Perl

my $state = $seed & 0xffffffff || 1;

sub dice {
    my ($n) = @_;
    $state ^= ($state << 13) & 0xffffffff;
    $state ^= $state >> 17;
    $state ^= ($state << 5) & 0xffffffff;
    return $state % $n;
}

sub pick { return $_[ dice(scalar @_) ] }

sub escape {
    my ($text) = @_;
    return $text if dice(4);
    my @c = split //, $text;
    for (@c) {
        next if dice(3);
        $_ = sprintf dice(2) ? '%%%02x' : '%%%02X', ord;
        s/%/%25/ if !dice(8);
    }
    return join '', @c;
}

my @project = qw(proj-A-1 proj-B-2 alpha bravo Alpha BRAVO PROJ-A-1 - -- * proj-A-1;x proj-B-2%00
    proj-A-1%2fproj-B-2 ..%2fproj-B-2 proj-A-1/../proj-B-2 .. %2e%2e);
my @word = qw(integrations installations connections objects metadata providers salesforce topics
    i o c api-keys projects my-info orgs revisions destinations operations logs x:pause x%3Apause
    integrations:batch connections:generate provider-apps generate-upload-url . .. ..; a%2fb a\\b
    a;b a%5cb a%25b a%c3%a9 %c0%ae%c0%ae @127.0.0.1 :80 http: x%3fy x%23y v1 oauth-connect a%0ab);
my @resource = qw(integrations integrations/i installations connections connections/c topics
    destinations/d provider-apps api-keys integrations/i/installations operations/o/logs
    integrations/i/installations/n providers/p/objects/o/metadata);
my @query = qw(groupRef=g-1 groupRef=g-2 groupref=x includeCreds=true includeCreds=false apiKey=k APIKEY=k
    api%4bey=k a=b a=b;apiKey=k a=%26apiKey=k projectId=proj-B-2 project=proj-B-2 a=%00 a=%0a refresh=1
    pageSize=5 x%5b%5d=1 a=? =b & && a+b=c%20d provider=salesforce a=../../x a=%2e%2e%2fb %=1);
my @header = (
    'X-Amp-Project-Id: proj-B-2', 'X-Amp-Project-Id: proj-A-1', 'x-amp-project-id: -', 'X_Amp_Project_Id: proj-B-2',
    'X-Amp-Group-Ref: g-1', 'X-Amp-Admin: 1', 'X-Amp-Request-Type: search', 'Cookie: a=b',
    'X-Forwarded-For: 1.2.3.4', 'X-Forwarded-Host: evil', 'Forwarded: for=x', 'Via: 1.1 x', 'X-Real-Ip: 1',
    'X-Original-URL: /v1/projects/proj-B-2', 'X-HTTP-Method-Override: DELETE', 'TE: trailers', 'Upgrade: h2c',
    'Expect: 100-continue', 'Keep-Alive: 5', 'Accept: text/x', 'Accept: application/json', 'Range: bytes=0-3',
    'If-None-Match: *', 'X-Custom: yes', 'User-Agent: ua', 'Content-Encoding: gzip', 'X-Accel-Redirect: /x',
    'Proxy-Authorization: Basic x', 'Authorization: Basic x', 'X-Api-Key: other', "X-Y: a\r\n folded", 'Trailer: x',
    'Accept-Encoding: gzip', 'traceparent: 00-1', 'X-Request-Id: r-1', 'Host: evil.test',
);
my @body = ('', '{}', '{"projectIdOrName":"proj-B-2"}', '{"projectIdOrName":"proj-A-1"}', '{"projectId":"-"}',
    '{"projectIdOrName":"-","projectId":"proj-B-2"}', '{"ProjectId":"proj-B-2"}', '[]', '{"a":1,"a":2}',
    '{"projectIdOrName":"alpha","x":{"projectId":"proj-B-2"}}', "GET /v1/projects/proj-B-2 HTTP/1.1\r\n\r\n");

sub target {
    my $kind = dice(20);
    my $path;
    if ($kind < 6) {
        $path = '/v1/projects/' . escape(pick(@project)) . '/' . pick(@resource);
    } elsif ($kind < 11) {
        $path = '/v1/' . (dice(3) ? '' : 'projects/') . pick(@resource);
    } elsif ($kind < 14) {
        $path = '/proxy/' . join '/', map { dice(8) ? escape(pick(@word)) : '' } 0 .. dice(4);
    } elsif ($kind < 15) {
        $path = '/v1/' . pick(qw(oauth-connect custom-auth/connect projects providers providers/x generate-upload-url));
    } elsif ($kind < 17) {
        $path = pick(qw(/read/v1 /write/v1 /search/v1)) . (dice(2) ? '' : '/projects/' . escape(pick(@project)))
            . pick('/integrations/i/objects/o', '/integrations/i', '/integrations/i/installations/n:pause');
    } else {
        $path = pick('', '/', '//') . join '/', pick(qw(v1 read/v1 proxy %76%31 V1 v1;x x/../v1)),
            map { escape(pick(@word, @project)) } 0 .. dice(5);
    }
    $path = escape($path) if !dice(12);
    $path .= '?' . join '&', map { pick(@query) } 0 .. dice(3) if !dice(3);
    $path = 'http://' . pick('evil.test', '127.0.0.1:1', 'proxy.withampersand.com') . $path if !dice(15);
    return $path;
}

my (%status, @faults);
my $sent = 0;

for my $i (1 .. $count) {
    my $tenant = pick(@tenants);
    my $target = target();
    my $method = pick(('GET') x 8, 'HEAD', ('POST') x 4, qw(PUT PATCH DELETE OPTIONS PROPFIND get));
    my $bytes = "$method $target HTTP/1.1\r\nHost: gateway.test\r\nConnection: "
        . pick(('close') x 6, 'close, x-api-key', 'upgrade, close, x-amp-project-id') . "\r\n"
        . (dice(10) ? 'X-Api-Key: ' : 'Authorization: Bearer ') . "$tenant->{token}\r\n";
    $bytes .= pick(@header) . "\r\n" for 1 .. (dice(2) ? 0 : dice(4));
    if ($method =~ /^P/ || !dice(15)) {
        my $body = pick(@body);
        $bytes .= dice(3) ? 'Content-Length: ' . length($body) . "\r\n\r\n$body"
            : "Transfer-Encoding: chunked\r\n\r\n" . (length $body ? sprintf("%x\r\n%s\r\n", length $body, $body) : '')
              . "0\r\n\r\n";
    } else {
        $bytes .= "\r\n";
    }

    my $res = $gw->raw($bytes, method => $method);
    my $source = $res->{headers}{'x-gateway-source'} // '';
    my @seen = $upstream->take;
    my @wrong;

    $status{ $res->{status} // 'none' }++;
    push @wrong, 'no answer' if !$res->{status};
    push @wrong, "status $res->{status}" if ($res->{status} // 0) >= 500;
    push @wrong, scalar(@seen) . " requests upstream, answered by \"$source\" ($res->{status})"
        if @seen != ($source eq 'upstream' ? 1 : 0)
            && !($res->{status} == 412 && @seen == 1);
    push @wrong, map { $rules->faults($_, $tenant) } @seen;

    if ($res->{status} == 200 && $method ne 'HEAD' && $source =~ /upstream|cache/) {
        my ($key, $where) = $res->{body} =~ /"key":"([^"]*)","target":"([^"]*)"/;
        push @wrong, "answered with the key of another tenant"
            if defined $key && $key ne $tenant->{key} && $where !~ m{^/v1/providers(?:/[^/]+)?(?:\?|$)};
    }

    $sent += @seen;
    push @faults, join "\n", "request $i: @wrong", $bytes, map { $_->{head} } @seen if @wrong;
    last if @faults > 5;
}

is scalar(@faults), 0, "$count requests kept the rules (seed $seed)" or diag join "\n\n", @faults;
cmp_ok $sent, '>', $count / 10, 'at least one in ten went upstream';
cmp_ok $status{$_} || 0, '>', $count / 100, "answered with $_" for 200, 400, 403, 404;
diag join ', ', map { "$_: $status{$_}" } sort keys %status;
is scalar($upstream->take), 0, 'nothing came upstream afterwards';

$gw->finish;
$upstream->stop;
is_deeply [ $upstream->strays ], [], 'the upstream got no byte outside a request';

done_testing;
