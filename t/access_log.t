#!/usr/bin/perl

# The shipped access log: each line is a JSON object, whatever a client sends; it
# says who asked for what, whom the answer is from and how long it took, and has
# no URI, no key and no token.

use strict;
use warnings;

use FindBin;
use JSON::PP ();
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Upstream;

my $up = Gateway::Upstream->start(sub {
    my ($req) = @_;
    return { headers => [ 'Cache-Control' => 'max-age=60' ], body => '{}', status => $req->{target} =~ /gone/ ? 404 : 200 };
});
my $gw = Gateway->start(upstream => $up->url);
my $token = $gw->tenant('acme', project => 'p-1', key => 'key-of-acme', args => [ '--rate', '100/s', '--burst', 50 ]);
my ($token_id) = map { $_->{id} } @{ JSON::PP::decode_json($gw->ctl(qw(token list acme --json))) };
my $trace = '4bf92f3577b34da6a3ce929d0e0e4736';
my $n = 0;

# The line of a request, which is found by its id.

sub line {
    my ($target, %o) = @_;
    my $id = 'id-' . ++$n;
    my $method = delete $o{method} || 'GET';
    push @{ $o{headers} }, 'X-Request-Id' => $id;
    $gw->request($method, $target, token => $token, %o);
    my $line;
    $gw->wait_for(sub { ($line) = grep { /"requestId":"$id"/ } split /\n/, $gw->access_log; $line });
    my $object = eval { JSON::PP->new->utf8->decode($line) };
    ok $object, 'the line is JSON' or diag "$line\n$@";
    return $object || {};
}

subtest 'what it says of a request' => sub {
    my @headers = ('User-Agent' => 'curl/8.0', traceparent => "00-$trace-00f067aa0ba902b7-01");
    my $miss = line('/v1/integrations', headers => [@headers]);
    my %want = (
        tenant => 'acme', api => 'platform', operation => 'listIntegrations', method => 'GET', status => 200, decision => 'pass',
        path => '/projects/{projectIdOrName}/integrations', source => 'upstream', cache => 'MISS', userAgent => 'curl/8.0',
        traceId => $trace, upstreamStatus => '200', tokenId => $token_id,
    );
    is $miss->{$_}, $want{$_}, $_ for sort keys %want;
    like $miss->{upstream}, qr/^127\.0\.0\.1:\d+$/, 'the address of upstream';
    like $miss->{limit}, qr/;r=\d+;t=\d+/, 'what is left of the limit';
    like $miss->{$_}, qr/^[\d.]+$/, $_ for qw(seconds upstreamSeconds bytes);

    my $hit = line('/v1/integrations', headers => [@headers]);
    is "$hit->{source} $hit->{cache}", 'cache HIT', 'a hit';
    is $hit->{upstream}, '', 'which asked no upstream';
};

subtest 'refusals' => sub {
    my $none = line('/v1/integrations', token => undef);
    is join(' ', map { "<$none->{$_}>" } qw(tenant api operation path source decision)), '<> <> <> <> <gateway> <no-token>', 'nobody';
    my $unknown = line('/v1/no-such/path');
    is join(' ', map { "<$unknown->{$_}>" } qw(tenant api path source decision)), '<acme> <> <> <gateway> <unknown-operation>', 'no operation';
};

subtest 'what a client sends' => sub {
    for (
        [ 'quotes and backslashes', 'User-Agent' => 'a"b\\c"}', 'a"b\\c"}' ],
        [ 'a tab', 'User-Agent' => "a\tb", "a\tb" ],
        [ 'bytes that are no UTF-8', 'User-Agent' => "a\xff\xfeb", '' ],
        [ 'a token as user agent', 'User-Agent' => "x $token", '' ],
        [ 'a token in upper case', 'User-Agent' => uc $token, '' ],
    ) {
        my ($name, $header, $value, $want, $field) = @$_;
        is line('/v1/integrations', headers => [ $header => $value ])->{ $field || 'userAgent' }, $want, $name;
    }
    my $key = 'secret-in-a-path';
    line("/v1/api-keys/$key");
    unlike $gw->access_log, qr/\Q$key\E|agw_|key-of-acme/i, 'no path, token or key is logged';
};

# Hostile bytes: whatever stands in a request, a line is JSON, and shows no token.

subtest 'any bytes' => sub {
    my $seed = $ENV{FUZZ_SEED} || 4711;
    srand $seed;
    note "FUZZ_SEED=$seed";
    my @bytes = ("\x00", "\x01", "\x1b", "\x7f", "\x80", "\x9b", "\xc0\xaf", "\xe2\x80\xa8", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff",
        '"', '\\', '\\u', '{', '}', "'", '%', '%00', "\t", ' ', '<', 'a', '0', '-', '\\"', $token, lc $token);
    my $any = sub { join '', map { $bytes[ rand @bytes ] } 1 .. 1 + rand 12 };
    my $sent = 0;
    for (1 .. 300) {
        my $method = rand 4 < 1 ? $any->() : (qw(GET POST HEAD FOO))[ rand 4 ];
        my $target = rand 2 < 1 ? '/v1/integrations' : '/v1/' . $any->();
        my $head = join '', map { "$_: " . $any->() . "\r\n" }
            grep { rand 2 < 1 } qw(User-Agent traceparent tracestate X-Request-Id Referer X-Forwarded-For Host Accept X-Amp-Group-Ref);
        my $auth = rand 2 < 1 ? "X-Api-Key: $token\r\n" : 'Authorization: ' . $any->() . "\r\n";
        my $socket = $gw->connect or next;
        print $socket "$method $target HTTP/1.1\r\nHost: g\r\n${auth}${head}Connection: close\r\n\r\n";
        shutdown $socket, 1;
        local $/;
        $sent++ if defined <$socket>;
    }
    cmp_ok $sent, '>', 200, 'requests were sent';
    line('/v1/integrations');
    my @lines = split /\n/, $gw->access_log;
    cmp_ok scalar(@lines), '>=', 200, 'and logged';
    is join("\n", grep { !eval { JSON::PP->new->utf8->decode($_); 1 } } @lines), '', 'each line is JSON';
    my ($secret) = $token =~ /^agw_(.{20})/;
    is join("\n", grep { /agw_|\Q$secret\E/i } @lines), '', 'none has a token';
};

$gw->finish;

# What upstream says of limits, too.

subtest 'bytes of upstream' => sub {
    my $up = Gateway::Upstream->start(sub {
        return { headers => [ 'RateLimit' => "\xff\xfe\"x", 'RateLimit-Policy' => "\xff" ], body => '{}' };
    });
    my $gw = Gateway->start(upstream => $up->url);
    my $token = $gw->tenant('acme');
    $gw->get($_, token => $token, headers => [ 'X-Request-Id' => 'bytes' ]) for '/v1/integrations', '/proxy/x';
    $gw->wait_for(sub { 2 == grep { /"requestId":"bytes"/ } split /\n/, $gw->access_log });
    is join("\n", grep { !eval { JSON::PP->new->utf8->decode($_); 1 } } split /\n/, $gw->access_log), '', 'each line is JSON';
    $gw->finish;
};

done_testing;
