# A look-up is one round trip, by a script; it does no harm when Redis refuses the
# script, and none when a record is too large or a key holds something else.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::FakeRedis;
use Gateway::Made;
use Gateway::Redis;
use Gateway::Redis::Cluster;
use JSON::PP ();
use Test::More;

my $path = '/v1/integrations';

subtest 'one command for each look-up' => sub {
    my $fake = Gateway::FakeRedis->start(script => 1);
    my $gw = $fake->gateway;
    my @tokens = $fake->new_tenants(2);
    my $reads = sub { join ' ', map { $_->[0] } grep { $_->[0] =~ /^(?:LOOKUP|GET|HGETALL|PTTL)$/ } $fake->commands };
    ok $gw->wait_for(sub { $gw->linked }), 'every link is up';
    for my $case ([ 'a tenant', $tokens[0], 200 ], [ 'an unknown token', Gateway::Made::token(), 401 ]) {
        my ($name, $token, $status) = @$case;
        $fake->clear;
        is $gw->get($path, token => $token)->{status}, $status, $name;
        is $reads->(), 'LOOKUP', "$name: one command";
    }

    $fake->fault({ on => 'LOOKUP', reply => "-NOSCRIPT No matching script. Please use EVAL.\r\n", times => 1 });
    $fake->clear;
    is $gw->get($path, token => $tokens[1])->{status}, 200, 'a server that has not seen the script gets it';
    is $reads->(), 'LOOKUP LOOKUP', 'at once';

    for my $case (
        [ 'an error', "-ERR unknown command 'EVALSHA'\r\n" ], [ 'no array', ":0\r\n" ], [ 'too few parts', "*1\r\n\$-1\r\n" ],
        [ 'a part that is an error', "*6\r\n-ERR ACL failure in script: User x has no permissions to run the 'get' command\r\n" . "\$-1\r\n" x 5 ],
    ) {
        my ($name, $reply) = @$case;
        my $other = $fake->gateway;    # which asks in steps for some seconds now
        $fake->fault({ on => 'LOOKUP', reply => $reply });
        my ($token, $next) = $fake->new_tenants(2);
        $fake->clear;
        is $other->get($path, token => $token)->{status}, 200, "$name: the tenant is served";
        is $reads->(), 'LOOKUP GET GET PTTL HGETALL', 'by a command for each step';
        $fake->clear;
        is $other->get($path, token => $next)->{status}, 200, 'and the next one';
        is $reads->(), 'GET GET PTTL HGETALL', 'without the script';
        $fake->fault;
        $other->finish;
    }
    $gw->finish;
    $fake->stop;
};

# Replaces the record of a tenant.

sub large { my ($record, $n) = @_; return JSON::PP->new->canonical->encode({ %{ JSON::PP::decode_json($record) }, more => 'x' x $n }) }

for my $kind ([ 'one server', Gateway::Redis->start ], [ 'a cluster', Gateway::Redis::Cluster->start(masters => 2, replicas => 0) ]) {
    my ($name, $redis) = @$kind;
    subtest "$name: records that cannot be read" => sub {
        my $gw = Gateway->start(redis => $redis, workers => 1, http => 'ampersand_tenant_ttl 200ms; ampersand_tenant_grace 10m;');
        my %token = map { $_ => $gw->tenant($_) } qw(fine known large huge other cold);
        is $gw->get($path, token => $token{$_})->{status}, 200, "$_ is served" for qw(fine known);
        ok $gw->wait_for(sub { $gw->linked }), 'every link is up';
        my $connects = $gw->status->{redis_connects_total};

        my %made = (large => 70_000, huge => 3_000_000, known => 70_000);
        $redis->command('SET', "amp:tenant:$_", large($redis->command('GET', "amp:tenant:$_"), $made{$_})) for sort keys %made;
        $redis->command('DEL', 'amp:tenant:other');
        $redis->command('LPUSH', 'amp:tenant:other', 'x');
        for my $id (qw(large huge other)) {
            my $res = $gw->get($path, token => $token{$id});
            is $res->{status}, 503, "$id is refused";
            like $res->{body}, qr/bad-record/, 'for its record';
        }
        is $gw->get($path, token => $token{fine})->{status}, 200, 'others are served';
        is $gw->get($path, token => $token{cold})->{status}, 200, 'and new ones';
        is $gw->status->{redis_connects_total}, $connects, 'over the same connections';
        like $gw->error_log, qr/record of tenant "large" cannot be read: the record is too large; "ampctl tenant show" says what to do/,
            'the log says which record, and what to do';
        ok $gw->wait_for(sub { $gw->get($path, token => $token{known})->{status} == 200 && $gw->status->{stale_tenants_served_total} }),
            'a tenant of which a gateway knows an older record is served';

        $gw->ctl('tenant', 'disable', 'known');
        ok $gw->wait_for(sub { $gw->get($path, token => $token{known})->{status} == 503 }), 'until it is disabled';
        like $redis->command('GET', 'amp:tenant:known'), qr/"disabled":true/, 'which its record says too';

        my ($exit, undef, $err) = $gw->try_ctl('tenant', 'show', 'other');
        is $exit, 1, 'ampctl cannot show a key of another type';
        like $err, qr/cannot be read \(a value of another type\)/, 'says why';
        like $err, qr/ampctl tenant remove other/, 'and what mends it';
        for my $id (qw(other huge)) {
            $gw->ctl('tenant', 'remove', $id);
            is $redis->command('EXISTS', "amp:tenant:$id"), 0, "$id is removed";
            $gw->ctl('tenant', 'add', $id, '--project', "p-$id");
        }
        $redis->command('DEL', 'amp:tokens:cold');
        $redis->command('SET', 'amp:tokens:cold', 'x');
        ($exit, undef, $err) = $gw->try_ctl('token', 'list', 'cold');
        like $err, qr/the key is "amp:tokens:cold"/, 'ampctl names the key';
        $gw->ctl('tenant', 'remove', 'cold');
        is $redis->command('EXISTS', 'amp:tokens:cold'), 0, 'an index of tokens that is none is removed';
        $gw->finish;
    };
}

subtest 'a cool-down that began before is read with the tenant' => sub {
    my $gw = Gateway->start;
    my $token = $gw->tenant('hot');
    $gw->redis->command('SET', 'amp:cooldown:{hot}', 1, 'PX', 60_000);
    my $res = $gw->get($path, token => $token);
    is $res->{status}, 429, 'the first request is refused';
    $gw->finish;
};

done_testing;
