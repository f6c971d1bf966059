#!/usr/bin/perl

# Metrics with labels: who sends what, whom the answer is from, how long it took
# and where; how upstream requests fail.  They outlive a reload and a worker, and
# there are no more tenants than configured.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Clock;
use Gateway::FakeRedis;
use Gateway::Upstream;

my $up = Gateway::Upstream->start(sub {
    my ($req) = @_;
    return {
        delay   => $req->{target} =~ /slow/ ? 0.3 : 0,
        drop    => $req->{target} =~ /lost/ ? 1 : 0,
        status  => $req->{target} =~ /broken/ ? 503 : 200,
        headers => [ 'Cache-Control' => $req->{target} =~ /once/ ? 'no-store' : 'max-age=60' ],
        body    => '{}',
    };
});

# {name}{labels as they stand in the text} = value.  nginx counts a request after
# its answer has gone, so it waits until all have been counted,
# unless a place was freed.

sub metrics {
    my ($gw, $freed) = @_;
    my (%m, $text);
    $gw->wait_for(sub {
        $text = $gw->get('/-/status?format=prometheus')->{body};
        my ($decided, $counted) = map { my $n = 0; $n += $_ for $text =~ /^ampersand_${_}_total\{.*\} (\d+)$/mg; $n } qw(requests tenant_requests);
        return $freed || $decided == $counted;
    }) or fail 'all requests are counted';
    for (split /\n/, $text) {
        my ($name, $labels, $value) = /^(\w+)(?:\{(.*)\})? (\S+)$/ or next;
        ok !exists $m{$name}{ $labels // '' }, "$_: once" if exists $m{$name}{ $labels // '' };
        $m{$name}{ $labels // '' } = $value;
    }
    return \%m;
}

sub total {
    my ($of, $pattern) = @_;
    my $n = 0;
    $n += $of->{$_} for grep { !$pattern || /$pattern/ } keys %$of;
    return $n;
}

my $gw = Gateway->start(workers => 2, upstream => $up->url, http => 'ampersand_status_tenants 3;');
my %token = map { $_ => $gw->tenant($_, project => "p-$_", key => "key-of-$_") } qw(acme other-tenant third fourth);

subtest 'requests by tenant, operation and source' => sub {
    $gw->get('/v1/integrations', token => $token{acme}) for 1 .. 3;
    $gw->get('/v1/integrations/once', token => $token{acme});
    $gw->get('/v1/no-such-path', token => $token{acme});
    $gw->get('/v1/integrations');
    my $m = metrics($gw);
    my $tenant = $m->{ampersand_tenant_requests_total};
    my $platform = 'tenant="acme",api="platform",class="read"';
    is $tenant->{qq($platform,source="upstream")}, 2, 'answered by Ampersand';
    is $tenant->{qq($platform,source="cache")}, 2, 'from the cache';
    is $tenant->{'tenant="acme",api="none",class="none",source="gateway"'}, 1, 'refused, no operation';
    is $tenant->{'tenant="",api="none",class="none",source="gateway"'}, 1, 'nobody was identified';
    is total($tenant), total($m->{ampersand_requests_total}), 'as many as there are decisions';
    is total($tenant), 6, 'all of them, and not those for the status';

    my $operation = $m->{ampersand_operation_requests_total};
    is $operation->{'operation="listIntegrations",status="2xx",source="cache"'}, 2, 'an operation';
    is $operation->{'operation="listIntegrations",status="2xx",source="upstream"'}, 1, 'its misses';

    my $refusals = $m->{ampersand_tenant_refusals_total};
    is $refusals->{'tenant="acme",problem="unknown-operation"'}, 1, 'why the tenant was refused';
    is $refusals->{'tenant="",problem="no-token"'}, 1, 'why nobody was';

    my $cache = $m->{ampersand_cache_requests_total};
    is $cache->{'status="hit"'}, 2, 'hits';
    is $cache->{'status="miss"'}, 2, 'misses';
    is $m->{ampersand_build_info}{ (keys %{ $m->{ampersand_build_info} })[0] }, 1, 'versions';

    my $json = $gw->status->{tenants}{acme};
    is "$json->{gateway} $json->{upstream} $json->{cache}", total($tenant, 'acme.*gateway') . ' ' . total($tenant, 'acme.*upstream') . ' 2', 'in JSON, too';
};

subtest 'durations: each part of a request apart' => sub {
    my $before = metrics($gw);
    $gw->get('/v1/integrations/slow-once', token => $token{acme});
    my $m = metrics($gw);
    my $labels = 'api="platform",class="read"';
    my $took = sub {
        my ($what, $labels) = @_;
        return ($m->{"ampersand_${what}_duration_seconds_sum"}{$labels} // 0)
            - ($before->{"ampersand_${what}_duration_seconds_sum"}{$labels} // 0);
    };
    cmp_ok $took->('upstream', $labels), '>=', 0.3, 'upstream has its time';
    cmp_ok $took->('gateway', $labels), '<', $took->('upstream', $labels), "and the gateway does not have upstream's";
    cmp_ok $took->('gateway', $labels), '>', 0, 'but some';

    for my $name (qw(gateway upstream wait)) {
        my %of = %{ $m->{"ampersand_${name}_duration_seconds_bucket"} || {} };
        my (%last, $wrong);
        for my $bucket (sort { ($a =~ /le="(.*)"/)[0] <=> ($b =~ /le="(.*)"/)[0] } keys %of) {
            my ($series) = $bucket =~ /^(.*),le=/;
            $wrong = $bucket if $of{$bucket} < ($last{$series} // 0);
            $last{$series} = $of{$bucket};
        }
        is $wrong, undef, "$name: buckets are cumulative";
        is_deeply \%last, $m->{"ampersand_${name}_duration_seconds_count"} || {}, "$name: the last one has all";
    }
    is total($m->{ampersand_gateway_duration_seconds_count}), total($m->{ampersand_tenant_requests_total}), 'each request once';
};

subtest 'how upstream requests fail' => sub {
    my $before = metrics($gw);
    $gw->get('/v1/integrations/lost-once', token => $token{acme});
    $gw->get('/v1/integrations/broken-once', token => $token{acme});
    my $m = metrics($gw);
    my $more = sub {
        my ($metric, $labels) = @_;
        return ($m->{$metric}{$labels} // 0) - ($before->{$metric}{$labels} // 0);
    };
    cmp_ok $more->('ampersand_upstream_errors_total', 'api="platform",error="invalid"'), '>=', 1, 'closed without an answer';
    cmp_ok $more->('ampersand_upstream_errors_total', 'api="platform",error="status"'), '>=', 1, 'an answer with a status 5xx';
    is total($m->{ampersand_upstream_errors_total}, 'proxy'), 0, 'of this API only';
    cmp_ok total($m->{ampersand_upstream_connections_total}, 'platform.*yes'), '>', 0, 'connections are used again';
};

subtest 'tenants beyond ampersand_status_tenants are one' => sub {
    $gw->get('/v1/integrations', token => $token{$_}) for qw(other-tenant third fourth);
    $gw->get('/v1/integrations', token => $token{fourth});
    my $tenant = metrics($gw)->{ampersand_tenant_requests_total};
    is total($tenant, 'tenant="third"'), 1, 'the third has a place';
    is total($tenant, 'tenant="fourth"'), 0, 'the fourth has none';
    is total($tenant, 'tenant="other"'), 2, 'but is counted';
};

subtest 'a reload and a dead worker lose no count' => sub {
    my $before = metrics($gw);
    $gw->reload;
    ok $gw->wait_for(sub { $gw->linked }), 'reloaded';
    my ($worker) = $gw->workers_pids;
    kill 'KILL', $worker;
    ok $gw->wait_for(sub { !grep { $_ == $worker } $gw->workers_pids }), 'a worker was killed';
    ok $gw->wait_for(sub { $gw->linked }), 'and another one started';
    my $m = metrics($gw);
    for my $name (qw(tenant_requests operation_requests tenant_refusals cache_requests)) {
        is_deeply $m->{"ampersand_${name}_total"}, $before->{"ampersand_${name}_total"}, $name;
    }
};

subtest 'a reload with another ampersand_status_tenants' => sub {
    for my $n (1 .. 20, 200, 10000, 4) {
        local $gw->{o}{http} = "ampersand_status_tenants $n;";
        ok $gw->reload, "$n tenants";
    }
    ok $gw->wait_for(sub { $gw->linked }), 'it runs';
    is $gw->get('/v1/integrations', token => $token{$_})->{status}, 200, "$_ is served" for qw(acme fourth);
    ok $gw->wait_for(sub { total(metrics($gw, 1)->{ampersand_tenant_requests_total}, 'tenant="fourth"') }), 'and has a place now';
};

$gw->finish(killed => 1);

subtest 'waiting has durations of its own' => sub {
    my $fake = Gateway::FakeRedis->start;
    my $gw = $fake->gateway(upstream => $up->url, redis_args => 'timeout=20s');
    my $token = $fake->new_tenants;
    $fake->fault({ on => 'GET', delay => 0.3 });
    is $gw->get('/v1/integrations', token => $token)->{status}, 200, 'a tenant that Redis tells of slowly';
    my $m = metrics($gw);
    my $labels = 'api="platform",class="read"';
    cmp_ok $m->{ampersand_wait_duration_seconds_sum}{qq($labels,for="lookup")} // 0, '>=', 0.3, 'it waited for the look-up';
    cmp_ok $m->{ampersand_gateway_duration_seconds_sum}{$labels}, '<', $m->{ampersand_wait_duration_seconds_sum}{qq($labels,for="lookup")},
        "which is not the gateway's own time";
    $fake->fault;
    $gw->finish;
};

SKIP: {
    my $clock = Gateway::Clock->new(monotonic => 1) or skip 'libfaketime is not installed', 1;

    subtest 'after an hour of silence a place is free' => sub {
        local $ENV{NGINX_WRAP} = $clock->wrap;
        my $gw = Gateway->start(upstream => $up->url, http => 'ampersand_status_tenants 1;', main => $clock->main);
        my %token = map { $_ => $gw->tenant($_, project => "p-$_", key => "key-of-$_") } qw(first second);
        $gw->get('/v1/integrations', token => $token{$_}) for qw(first second);
        my $tenant = metrics($gw)->{ampersand_tenant_requests_total};
        is total($tenant, 'tenant="first"'), 1, 'the first has the place';
        $clock->set(3700);
        ok $gw->wait_for(sub { !total(metrics($gw, 1)->{ampersand_tenant_requests_total}, 'tenant="first"') }), 'and is gone an hour later';
        ok $gw->wait_for(sub {
            $gw->get('/v1/integrations', token => $token{second});
            return total(metrics($gw, 1)->{ampersand_tenant_requests_total}, 'tenant="second"');
        }), 'the second has it now';
        is total(metrics($gw, 1)->{ampersand_tenant_requests_total}, 'tenant="first"'), 0, 'alone';
        $gw->finish;
    };
}

subtest 'ampersand_status_tenants is checked' => sub {
    for ([ 0, qr/value must be between 1 and 10000/ ], [ 10001, qr/value must be between 1 and 10000/ ], [ 'many', qr/invalid number/ ]) {
        my ($value, $says) = @$_;
        my ($ok, $out) = Gateway->configtest("events { } http { ampersand_status_tenants $value; }");
        ok !$ok && $out =~ $says, qq("$value") or diag $out;
    }
};

done_testing;
