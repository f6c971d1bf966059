#!/usr/bin/perl

# Thousands of requests on one HTTP/2 connection, a hundred at a time: each is
# answered as on a connection of its own, refusals among them, and the worker needs
# no memory for those that are over.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Versions;

my $n = 3000;
my $memory = 2 * 1024;    # kB that a worker may grow by in $n requests

my $upstream = Gateway::Upstream->start;
my $h2 = Gateway::Redis::free_port();
my $gw = Gateway->start(
    upstream => $upstream->url,
    server   => Gateway::Versions::http2("127.0.0.1:$h2"),
    http     => 'keepalive_requests 1000000;',    # nginx ends a connection after 1000
    count    => 1,
);
my $token = $gw->tenant('acme');

# What h2load says of $count requests for these paths, in turns, on one connection.

sub load {
    my ($port, $count, @paths) = @_;
    my @urls = map { "'http://127.0.0.1:$port$_'" } @paths;
    my $out = qx(timeout $Gateway::PATIENCE h2load -n $count -c 1 -m 100 -H 'X-Api-Key: $token' \\
        -H 'x-amp-installation-id: i' @urls 2>&1);
    my %seen = reverse $out =~ /(\d+) (succeeded|failed|errored|2xx|3xx|4xx|5xx)\b/g;
    return (\%seen, $out);
}

sub memory {
    my ($pid) = $gw->workers_pids;
    open my $f, '<', "/proc/$pid/status" or die "worker: $!";
    my ($kb) = do { local $/; <$f> } =~ /^VmRSS:\s+(\d+)/m;
    return $kb;
}

my @paths = ('/v1/integrations', '/v1/connections?groupRef=g', '/proxy/any', '/v1/providers');

my ($warm) = load($h2, $n, @paths);
is $warm->{succeeded}, $n, "$n requests on one connection succeed";
is $warm->{'2xx'}, $n, 'with 200';
is $warm->{failed}, 0, 'none fails';

my $before = memory();
my ($again) = load($h2, $n, @paths);
is $again->{'2xx'}, $n, 'as many again';

my ($mixed) = load($h2, 1000, '/v1/integrations', '/v1/nothing', '/v1/projects/other/integrations', '/proxy/any');
is "$mixed->{'2xx'} $mixed->{'4xx'}", '500 500', 'refusals among them: each has its own answer';

SKIP: {
    skip 'a sanitizer keeps what is freed', 1 if $ENV{ASAN_OPTIONS};
    my $after = memory();
    cmp_ok $after - $before, '<', $memory, 'the worker has not grown by 2 MB' or diag "$before kB, $after kB";
}

ok $gw->wait_for(sub { $gw->under_way == 0 }), 'no request is left';

$gw->finish;
done_testing;
