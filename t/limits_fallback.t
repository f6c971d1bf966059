#!/usr/bin/perl

# ampersand_limit_fallback: what limits are without Redis.

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes qw(sleep time);

use lib "$FindBin::Bin/lib";
use Gateway;

my %gw = (local => Gateway->start(workers => 2));
$gw{$_} = Gateway->start(like => $gw{local}, workers => 2, http => "ampersand_limit_fallback $_;") for qw(allow deny);
my %t = map { $_ => $gw{local}->tenant($_, args => [ '--rate', $_ eq 'local' ? '1/h' : '20/s', '--burst', 4 ]) } keys %gw;
my $free = $gw{local}->tenant('free');

sub statuses {
    my ($how, $token, $n) = @_;
    return join ' ', map { $gw{$how}->request('POST', '/v1/topics', token => $token, json => {})->{status} } 1 .. $n;
}

for my $how (sort keys %gw) {
    is statuses($how, $t{$how}, 1), 200, "$how: known";
    is statuses($how, $free, 1), 200, "$how: without limits";
    ok $gw{$how}->wait_for(2, sub { $gw{$how}->get('/v1/destinations/' . rand, token => $t{$how})->{status} == 429 }), "$how: at its limit";
}
$gw{local}->redis->stop;
ok $gw{$_}->wait_for(3, sub { statuses($_, $free, 1) == 200 && !$gw{$_}->status->{redis_links_up} }), "$_: Redis is away" for sort keys %gw;

subtest 'allow' => sub {
    ok $gw{allow}->wait_for(2, sub { statuses('allow', $t{allow}, 1) == 200 }), 'no limit any more';
    is statuses('allow', $t{allow}, 8), join(' ', (200) x 8), 'for nobody';
};

subtest 'deny' => sub {
    ok $gw{deny}->wait_for(2, sub { statuses('deny', $t{deny}, 1) == 503 }), 'an error';
    my $res = $gw{deny}->request('POST', '/v1/topics', token => $t{deny}, json => {});
    is $gw{deny}->json($res)->{type}, 'urn:ampersand-gateway:problem:store-down', 'that says why';
    like $res->{headers}{'retry-after'}, qr/^\d+$/, 'with Retry-After';
    is $gw{deny}->get('/v1/destinations/' . rand, token => $t{deny})->{status}, 503, 'also of what may be cached';
    is statuses('deny', $free, 3), '200 200 200', 'not of tenants without limits';
};

subtest 'local' => sub {
    is statuses('local', $t{local}, 3), '429 429 429', 'what was spent is spent';
    is statuses('local', $free, 3), '200 200 200', 'tenants without limits do not notice';
};

for my $how (sort keys %gw) {
    is scalar(() = $gw{$how}->error_log =~ /no leases from Redis/g) <= 2, 1, "$how: said once";
    cmp_ok $gw{$how}->status->{limit_fallbacks_total}, '>', 0, "$how: counted" if $how ne 'local';
}
my ($ok, $out) = Gateway->configtest('events {} http { ampersand_limit_fallback maybe; }');
like $out, qr/invalid value "maybe"/, 'bad configuration';

$_->finish for values %gw;
done_testing;
