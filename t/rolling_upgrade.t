# A rolling upgrade: gateways of version 0.1.0 and of this one use one store.  All
# together they never admit more than a limit allows, and each applies the changes that
# the other makes.
#
# What 0.1.0 does is recorded: t/release/0.1.0 has its lease.lua, the arguments of its
# calls and its messages are below.
#
#   RELEASE_DIR=DIR       a built checkout of 0.1.0: its module runs as well

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw(sha1_hex);
use Gateway;
use Gateway::Flood;
use Gateway::Redis;
use JSON::PP ();
use Test::More;
use Time::HiRes qw(sleep time);

my $path = '/v1/integrations';
my @like = (redis_args => 'timeout=1s', http => 'keepalive_requests 1000000;');
my $gw = Gateway->start(@like);
my $redis = $gw->redis;
my $script = Gateway::_slurp("$FindBin::Bin/release/0.1.0/lease.lua") or die 'lease.lua of 0.1.0';

# One call of a gateway of 0.1.0, with 50/s and burst 20: unit, window, reach, wanted,
# id, run_id, since, tail (two), back, charge, resume.  It returns now, lead, granted,
# gateways, ahead, wait.

sub old_call {
    my ($wanted) = @_;
    my ($run) = $redis->command('INFO', 'server') =~ /run_id:(\w+)/;
    return @{ $redis->command('EVAL', $script, 1, 'amp:limit:{acme}:default',
        20_000_000, 380_000_000, 125_000_000, $wanted, 'f00df00df00df00d', $run, 0, 0, 0, 0, 0, 0) };
}

my $token = $gw->tenant('acme', project => 'p-1', args => [ '--rate', '50/s', '--burst', 20 ]);

subtest 'one limit' => sub {
    my ($read, $write);
    pipe $read, $write or die $!;
    my $f = Gateway::Flood->run(
        token => $token, on => [$gw], seconds => 1, connections => 2,
        meanwhile => sub {
            close $read;
            my ($granted, $least, $most) = (0, 99, 0);
            my $end = time + 2;
            while (time < $end) {
                my (undef, undef, $n, $gateways) = old_call(10);
                $granted += $n;
                $least = $gateways if $gateways < $least;
                $most = $gateways if $gateways > $most;
                sleep 0.06;
            }
            syswrite $write, "$granted $most\n";
        },
    );
    close $write;
    my ($granted, $gateways) = split ' ', scalar <$read>;
    cmp_ok $gateways, '>=', 2, 'the old gateway knows of the new one';
    cmp_ok $granted, '>', 0, 'the old gateway gets units';
    cmp_ok $f->good, '>', 0, 'and the new one';
    cmp_ok $f->good + $granted, '<=', 50 * $f->seconds + 20, 'never more than rate and burst together';
    note "old $granted, new " . $f->good . " in " . $f->seconds;
};

subtest 'the share without leases counts gateways without a registry, too' => sub {
    is scalar @{ JSON::PP::decode_json($gw->ctl('gateway', 'list', '--json'))->{gateways} }, 1, 'one is in the registry';
    ok $gw->wait_for(sub {
        old_call(1);
        $gw->request('POST', '/v1/topics', token => $token, json => {});
        return (old_call(1))[3] >= 2;
    }), 'two lease';
    $gw->request('POST', '/v1/topics', token => $token, json => {});
    # the flood before has left the default limit empty: it may not decide
    $gw->ctl('limit', 'set', 'acme', '--rate', '1000000/s', '--burst', 100000);
    $gw->ctl('limit', 'set', 'acme', '--class', 'read', '--rate', '1/h', '--burst', 10);
    my $record = JSON::PP::decode_json($redis->command('GET', 'amp:tenant:acme'));
    $redis->command('ACL', 'SETUSER', 'default', '-evalsha', '-eval');
    my $n = 0;
    $n++ while $n < 100 && $gw->get("$path?n=$n", token => $token)->{status} == 200;
    is $n, 5, 'half of the burst';
    $redis->command('ACL', 'SETUSER', 'default', '+evalsha', '+eval');
    $gw->ctl('limit', 'set', 'acme', '--class', 'read', '--rate', 'none');
};

subtest 'records and messages of 0.1.0' => sub {
    my $other = '{"v":1,"rev":1,"id":"old","project":{"id":"p-old","name":""},"keys":[],"grants":{"allow":["default"],"deny":[]},"groups":[],"limits":{},"cache":{},"disabled":false}';
    my $record = JSON::PP::decode_json($redis->command('GET', 'amp:tenant:acme'));
    my %known = map { $_ => 1 } keys %{ JSON::PP::decode_json($other) };
    is_deeply [ grep { !$known{$_} } keys %$record ], ['incarnation'], 'a record has the members that 0.1.0 knows, and one that it passes over';
    is $record->{v}, 1, 'and its version';

    ok $gw->wait_for(sub { $gw->get($path, token => $token)->{status} == 200 }), 'the tenant is served';
    $record->{disabled} = JSON::PP::true;
    $record->{rev}++;
    $redis->command('SET', 'amp:tenant:acme', JSON::PP->new->canonical->encode($record));
    $redis->command('PUBLISH', 'amp:events', qq({"v":1,"type":"tenant","tenant":"acme","rev":$record->{rev}}));
    ok $gw->wait_for(sub { $gw->get($path, token => $token)->{status} == 401 }), 'a change by ampctl 0.1.0 reaches the gateway';
    $gw->ctl('tenant', 'enable', 'acme');
    ok $gw->wait_for(sub { $gw->get($path, token => $token)->{status} == 200 }), 'and one by this ampctl';

    $gw->get($path, token => $token);
    is $gw->get($path, token => $token)->{headers}{'x-cache-status'}, 'HIT', 'an answer is in the cache';
    my $gen = $redis->command('HINCRBY', 'amp:gen:p-1', 'integrations', 1);
    $redis->command('PUBLISH', 'amp:events', qq({"v":1,"type":"generation","project":"p-1","family":"integrations","rev":$gen}));
    ok $gw->wait_for(sub { $gw->get($path, token => $token)->{headers}{'x-cache-status'} eq 'MISS' }), 'a write through a gateway of 0.1.0 invalidates it';
};

SKIP: {
    skip 'RELEASE_DIR names no checkout of 0.1.0', 1 if !$ENV{RELEASE_DIR};
    subtest 'the module of 0.1.0' => sub {
        my $old = Gateway->start(like => $gw, @like, root => $ENV{RELEASE_DIR});
        $gw->ctl('limit', 'set', 'acme', '--rate', '50/s', '--burst', 20);
        my $f = Gateway::Flood->run(token => $token, on => [ $gw, $old ], seconds => 3, connections => 2);
        is $f->others, 0, 'no answer but 200 and 429';
        cmp_ok $f->good, '<=', 50 * $f->seconds + 20, 'never more than rate and burst together';
        my @shares = $f->shares;
        is scalar(grep { !$_ } @shares), 0, "each gets units: @shares";
        for my $pair ([ $gw, $old ], [ $old, $gw ]) {
            my ($writer, $reader) = @$pair;
            sleep 1;
            ok $reader->wait_for(sub { ($reader->get($path, token => $token)->{headers}{'x-cache-status'} // '') eq 'HIT' }), 'an answer is in the cache';
            ok $writer->wait_for(sub { $writer->request('POST', $path, token => $token, json => {})->{status} == 200 }), 'a write through the other gateway';
            ok $reader->wait_for(sub { ($reader->get($path, token => $token)->{headers}{'x-cache-status'} // '') eq 'MISS' }), 'invalidates it';
        }
        $gw->ctl('tenant', 'disable', 'acme');
        ok $_->wait_for(sub { $_->get($path, token => $token)->{status} == 401 }), 'a change reaches both' for $gw, $old;
        is scalar @{ JSON::PP::decode_json($gw->ctl('gateway', 'list', '--json'))->{gateways} }, 1, 'the old one is not in the list';
        $old->finish;
    };
}

$gw->finish;
done_testing;
