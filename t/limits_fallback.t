#!/usr/bin/perl

# ampersand_limit_fallback: which limits apply while Redis is down.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Flood;
use Gateway::Redis;

my $keep = 'keepalive_requests 1000000;';
my %gw = (local => Gateway->start(workers => 2, http => $keep, redis => Gateway::Redis->start('--appendonly', 'yes')));
$gw{$_} = Gateway->start(like => $gw{local}, workers => 2, http => "$keep ampersand_limit_fallback $_;") for qw(allow deny);
my %t = map { $_ => $gw{local}->tenant($_, args => [ '--rate', $_ eq 'local' ? '1/h' : '20/s', '--burst', 4 ]) } keys %gw;
my $free = $gw{local}->tenant('free');
my $share = $gw{local}->tenant('share', args => [ '--rate', '40/s', '--burst', 8 ]);

sub metric {
    my ($gw, $name) = @_;
    return ($gw->get('/-/status?format=prometheus')->{body} =~ /^ampersand_$name(?:\{\})? (\d+)/m)[0];
}

sub statuses {
    my ($how, $token, $n) = @_;
    return join ' ', map { $gw{$how}->request('POST', '/v1/topics', token => $token, json => {})->{status} } 1 .. $n;
}

for my $how (sort keys %gw) {
    is statuses($how, $t{$how}, 1), 200, "$how: a tenant is served";
    is statuses($how, $_, 1), 200, "$how: and another" for $free, $share;
    is metric($gw{$how}, 'limits_degraded'), 0, "$how: not degraded";
    ok $gw{$how}->wait_for(sub { $gw{$how}->get('/v1/destinations/' . rand, token => $t{$how})->{status} == 429 }), "$how: at its limit";
}
$gw{local}->redis->stop;
ok $gw{$_}->wait_for(sub { statuses($_, $free, 1) == 200 && !$gw{$_}->status->{redis_links_up} }), "$_: Redis is down" for sort keys %gw;

subtest 'allow' => sub {
    my $all = join ' ', (200) x 8;
    ok $gw{allow}->wait_for(sub { statuses('allow', $t{allow}, 8) eq $all }), 'a tenant at its limit is served';
    is statuses('allow', $t{allow}, 8), $all, 'fallback=allow: no request is limited';
};

subtest 'deny' => sub {
    ok $gw{deny}->wait_for(sub { statuses('deny', $t{deny}, 1) == 503 }), 'a tenant with a limit gets 503';
    my $res = $gw{deny}->request('POST', '/v1/topics', token => $t{deny}, json => {});
    is $gw{deny}->json($res)->{type}, 'urn:ampersand-gateway:problem:store-down', 'the reason';
    like $res->{headers}{'retry-after'}, qr/^\d+$/, 'Retry-After';
    is $gw{deny}->get('/v1/destinations/' . rand, token => $t{deny})->{status}, 503, 'a cacheable GET gets 503 too';
    is statuses('deny', $free, 3), '200 200 200', 'a tenant without limits is served';
};

subtest 'local' => sub {
    is statuses('local', $t{local}, 3), '429 429 429', 'spent units stay spent';
    is statuses('local', $free, 3), '200 200 200', 'a tenant without limits is served';
    my $f = Gateway::Flood->run(token => $share, on => [ $gw{local} ], seconds => 1.5, connections => 4);
    is $f->others, 0, 'no answer but 200 and 429';
    cmp_ok $f->good, '<=', 40 * $f->seconds + 8, 'never more than the limit';
    cmp_ok $f->good, '>', 0, 'and requests are admitted (t/unit/test_lease.c: how many)';
    note $f->good, ' of ', 40 * $f->seconds + 8, ', three gateways';
};

my %effect = (
    local => 'each gateway holds tenants to its share of their limits', allow => 'tenants are not held to their limits',
    deny => 'tenants that have limits get 503',
);

for my $how (sort keys %gw) {
    my @said = $gw{$how}->error_log =~ /\[warn\].*no leases from Redis, (.*?):/g;
    ok @said >= 1 && @said <= 2, "$how: one warning a worker";
    is $said[0], $effect{$how}, "$how: with the effect";
    my $status = $gw{$how}->status;
    is $status->{limits_degraded}, 1, "$how: limits_degraded";
    is metric($gw{$how}, 'limits_degraded'), 1, "$how: limits_degraded as a metric";
    cmp_ok $status->{limit_fallbacks_total}, '>', 0, "$how: fallbacks are counted";
    cmp_ok metric($gw{$how}, 'limit_fallbacks_total'), '>=', $status->{limit_fallbacks_total}, "$how: fallbacks as a metric";
    cmp_ok $status->{lease_failures_total}, '>', 0, "$how: failed lease calls are counted";
}

$gw{local}->redis->restart;
for my $how (sort keys %gw) {
    ok $gw{$how}->wait_for(sub { statuses($how, $share, 1); !$gw{$how}->status->{limits_degraded} }), "$how: leases come from Redis again";
    like $gw{$how}->error_log, qr/leases come from Redis again/, "$how: which the log says";
}
my ($ok, $out) = Gateway->configtest('events {} http { ampersand_limit_fallback maybe; }');
like $out, qr/invalid value "maybe"/, 'bad configuration';

$_->finish for values %gw;
done_testing;
