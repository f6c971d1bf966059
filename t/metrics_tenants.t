#!/usr/bin/perl

# What the status says of a tenant besides counts: how near its limits are, whether
# its key opens, when its tokens expire, how long it cools down; and of Redis: how
# long its replies took, which leased units were of use, whether events were missed.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Upstream;

my $up = Gateway::Upstream->start(sub {
    my ($req) = @_;
    return $req->{target} =~ /slow/ ? { hold => 1, body => '{}' } : $req->{target} =~ /busy/ ? { status => 429, headers => [ 'Retry-After' => 300 ], body => '{}' }
        : { headers => [ 'Cache-Control' => 'no-store' ], body => '{}' };
});
my $gw = Gateway->start(workers => 2, upstream => $up->url);

# nginx counts a request after its answer has gone

sub tenant {
    my ($id) = @_;
    my $tenant;
    $gw->wait_for(sub { $tenant = $gw->status->{tenants}{$id} }) or fail "$id is counted";
    return $tenant;
}

# the value of a metric with these labels, or undef

sub metric {
    my ($name, $labels) = @_;
    tenant($1) if $labels =~ /tenant="([^"]+)"/;
    my ($value) = $gw->get('/-/status?format=prometheus')->{body} =~ /^ampersand_\Q$name\E\{\Q$labels\E\} (\S+)$/m;
    return $value;
}

subtest 'how near a limit is' => sub {
    my $token = $gw->tenant('limited', args => [qw(--rate 10/h --burst 10)]);
    $gw->ctl(qw(limit set limited --class write --rate 60/m --burst 5));
    $gw->get('/v1/integrations', token => $token);
    is metric(limit_burst_requests => 'tenant="limited",limit="default"'), 10, 'burst';
    is metric(limit_requests_per_second => 'tenant="limited",limit="default"') + 0, 0.002778, 'rate';
    is metric(limit_requests_per_second => 'tenant="limited",limit="write"') + 0, 1, 'rate of a class';
    my $one = metric(limit_used_ratio => 'tenant="limited",limit="default"');
    cmp_ok $one, '<=', 0.2, 'after one request it is far';
    $gw->get('/v1/integrations', token => $token) for 1 .. 7;
    my $most = metric(limit_used_ratio => 'tenant="limited",limit="default"');
    cmp_ok $most, '>=', 0.7, 'after eight of ten it is near';
    cmp_ok $most, '<=', 0.9, 'and not reached';
    $gw->get('/v1/integrations', token => $token) for 1 .. 5;
    is metric(limit_used_ratio => 'tenant="limited",limit="default"') + 0, 1, 'and then it is reached';
    is metric(limit_used_ratio => 'tenant="limited",limit="write"') + 0, 0, 'that of another class is untouched';
    my $limits = tenant('limited')->{limits};
    is_deeply [ @{ $limits->{write} }{qw(rate burst)} ], [ '60/m', 5 ], 'in JSON, too';
    cmp_ok $limits->{default}{used}, '>=', 0.9, 'with what is used';
};

subtest 'requests in flight' => sub {
    my $token = $gw->tenant('parallel');
    $gw->ctl(qw(limit set parallel --concurrency 4));
    $gw->get('/v1/integrations', token => $token);
    is_deeply tenant('parallel')->{limits}, { concurrency => { burst => 4, used => 0 } }, 'none of four';
    is metric(limit_burst_requests => 'tenant="parallel",limit="concurrency"'), 4, 'metric';
    is metric(limit_requests_per_second => 'tenant="parallel",limit="concurrency"'), undef, 'which has no rate';
};

subtest 'who is refused by which limit' => sub {
    my $token = $gw->tenant('refused', args => [qw(--rate 10/h --burst 4)]);
    $gw->ctl(qw(limit set refused --class write --rate 1/h --burst 1));
    my $own = JSON::PP::decode_json($gw->ctl(qw(token issue refused --rate 1/h --burst 1 --json)))->{token};
    my $refused = sub { metric(limit_refusals_total => qq(tenant="refused",limit="$_[0]")) };
    $gw->request('POST', '/v1/provider-apps', token => $token, json => {}) for 1 .. 4;
    $gw->get('/v1/integrations', token => $own) for 1 .. 2;
    ok $gw->wait_for(sub { (tenant('refused')->{refusals}{'token-rate-limited'} // 0) == 1 }), 'all are counted';
    is_deeply tenant('refused')->{limitRefusals}, { write => 3, token => 1 }, 'that of a class, that of a token';
    is_deeply [ map { $refused->($_) } qw(write token default concurrency) ], [ 3, 1, undef, undef ], 'metric';
    my $n = grep { $gw->get('/v1/integrations', token => $token)->{status} == 429 } 1 .. 5;
    cmp_ok $n, '>', 0, 'then the tenant has used its own';
    ok $gw->wait_for(sub { (tenant('refused')->{limitRefusals}{default} // 0) == $n }), 'which is counted' or diag explain tenant('refused');

    my $busy = $gw->tenant('in-flight');
    $gw->ctl(qw(limit set in-flight --concurrency 1));
    my $first = $gw->connect;
    print $first "GET /v1/integrations/slow HTTP/1.1\r\nHost: x\r\nX-Api-Key: $busy\r\nConnection: close\r\n\r\n";
    $first->flush;
    ok $gw->wait_for(sub { grep { $_->{target} =~ /slow/ } $up->requests }), 'one is in flight';
    is $gw->get('/v1/integrations', token => $busy)->{status}, 429, 'another one is too many';
    $up->release;
    like Gateway::read_response($first)->{head}, qr/ 200 /, 'that one is served';
    ok $gw->wait_for(sub { (tenant('in-flight')->{limitRefusals}{concurrency} // 0) == 1 }), 'requests in flight';
};

subtest 'a key that does not open' => sub {
    my $token = $gw->tenant('sound');
    my $keyless = $gw->tenant('keyless', key => '');
    $gw->get('/v1/integrations', token => $_) for $token, $keyless;
    is metric(tenant_key_usable => 'tenant="sound"'), 1, 'one that opens';
    is metric(tenant_key_usable => 'tenant="keyless"'), 0, 'no key';
    my $record = $gw->redis->command('GET', 'amp:tenant:sound');
    my ($sealed) = $record =~ /"sealed":\s*"([^"]+)"/;
    my $other = $sealed =~ s/(.)(.{8})$/($1 eq 'A' ? 'B' : 'A') . $2/er;
    $gw->redis->command('SET', 'amp:tenant:sound', $record =~ s/\Q$sealed\E/$other/r =~ s/("rev":\s*)(\d+)/$1 . ($2 + 1)/er);
    $gw->redis->command('PUBLISH', 'amp:events', '{"v":1,"type":"tenant","tenant":"sound","rev":99}');
    ok $gw->wait_for(sub { $gw->get('/v1/integrations', token => $token); ($gw->status->{tenants}{sound}{keyUsable} // 1) == 0 }), 'one that was damaged';
    is metric(tenant_key_usable => 'tenant="sound"'), 0, 'metric';
};

subtest 'tokens that expire' => sub {
    my $never = $gw->tenant('lasting');
    my $soon = JSON::PP::decode_json($gw->ctl(qw(token issue lasting --expires 2h --json)))->{token};
    my $later = JSON::PP::decode_json($gw->ctl(qw(token issue lasting --expires 90d --json)))->{token};
    $gw->get('/v1/integrations', token => $never);
    is tenant('lasting')->{tokenExpires}, undef, 'one that never expires';
    $gw->get('/v1/integrations', token => $later);
    my $wait = sub {
        my ($at, $what) = @_;
        ok $gw->wait_for(sub { abs((tenant('lasting')->{tokenExpires} // 0) - time - $at) < 120 }), $what or diag explain tenant('lasting');
    };
    $wait->(90 * 86400, 'one that does');
    $gw->get('/v1/integrations', token => $soon);
    $wait->(2 * 3600, 'the one that expires first');
    $gw->get('/v1/integrations', token => $_) for $later, $never;
    $wait->(2 * 3600, 'stays the one');
    cmp_ok abs(metric(tenant_token_expiry_timestamp_seconds => 'tenant="lasting"') - time - 7200), '<', 120, 'metric';
};

subtest 'a cool-down' => sub {
    my $token = $gw->tenant('cooling');
    $gw->get('/v1/integrations', token => $token);
    is metric(tenant_cooldown_seconds => 'tenant="cooling"'), 0, 'none';
    $gw->get('/v1/integrations/busy', token => $token);
    ok $gw->wait_for(sub { (tenant('cooling')->{cooldown} // 0) > 250 }), 'after a 429 of Ampersand';
    cmp_ok metric(tenant_cooldown_seconds => 'tenant="cooling"'), '<=', 300, 'metric';
};

subtest 'Redis' => sub {
    my $token = $gw->tenant('writer', args => [qw(--rate 100/s)]);
    $gw->get('/v1/integrations', token => $token);
    $gw->request('POST', '/v1/integrations:batch', token => $token, json => {});
    cmp_ok metric(redis_duration_seconds_count => qq(for="$_")), '>', 0, "$_ has durations" for qw(lookup lease);
    cmp_ok metric(redis_duration_seconds_sum => 'for="lookup"'), '>', 0, 'which are no zeros';
    my $status = $gw->status;
    is scalar(@{ $status->{redis}{$_} }), scalar(@{ $status->{bounds} }), "$_ in JSON" for qw(lookup lease invalidation);
    cmp_ok $status->{lease_units_total}, '>=', 9, 'units were leased';

    my $missed = $status->{events_missed_total};
    $gw->redis->command(qw(CLIENT KILL TYPE pubsub));
    ok $gw->wait_for(sub { $gw->status->{events_missed_total} > $missed }), 'the loss of the subscription is counted';
};

subtest 'tenants that nobody has a record of' => sub {
    is_deeply [ map { tenant($_)->{limits} } '', 'other' ], [ undef, undef ], 'have no limits';
};

SKIP: {
    my $promtool = (grep { -x } map { "$_/promtool" } split /:/, $ENV{PATH})[0] or skip 'promtool is not installed (tools/deps monitoring)', 1;
    open my $pipe, '|-', $promtool, 'check', 'metrics' or die "$promtool: $!";
    print $pipe $gw->get('/-/status?format=prometheus')->{body};
    ok close $pipe, 'promtool finds no fault';
}

$gw->finish;

done_testing;
