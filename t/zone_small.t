# A zone too small for its tenants: 2000 of them take turns in 256k, under load,
# among made-up tokens, records of all sizes and slow requests.  It costs
# look-ups, never an answer; one line says so, and counters move.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA ();
use Gateway;
use Gateway::Made;
use Gateway::Redis;
use JSON::PP ();
use Test::More;
use Time::HiRes qw(time);

my $path = '/v1/integrations';
my $n = 2000;
my $redis = Gateway::Redis->start;
my $gw = Gateway->start(
    redis => $redis, workers => 2, zone => '256k', log_level => 'notice',
    redis_args => 'timeout=3s', http => 'keepalive_requests 1000000;',
);

# A copied record serves nothing, its sealed key is another tenant's; so it is
# granted nothing that is asked for, and 403 proves that it was read.

my $own = $gw->tenant('own', args => [ '--rate', '100000/s' ]);
my $record = JSON::PP::decode_json($redis->command('GET', 'amp:tenant:own'));
my @tokens;
for my $i (1 .. $n) {
    push @tokens, my $token = Gateway::Made::token();
    my @groups = $i % 100 ? () : map { "group-$i-$_-" . 'x' x 200 } 1 .. 40;    # 8 KB
    $redis->command('MSET',
        'amp:token:' . Digest::SHA::sha256_hex($token),
        JSON::PP::encode_json({ v => 1, tenant => "m$i", id => "m$i.0123456789", created => 1 }),
        "amp:tenant:m$i",
        JSON::PP::encode_json({ %$record, id => "m$i", project => { id => "p$i" }, groups => \@groups, grants => { allow => ['write'] } }));
}

sub said { return scalar grep { /\[warn\].*"ampersand_zone" is too small/ } split /\n/, $gw->error_log }

is $gw->get($path, token => $own)->{status}, 200, 'a tenant';
is said(), 0, 'no warning yet';

# Requests of one client, 50 at a time: the statuses, counted.

sub client {
    my (@all) = @_;
    pipe my $in, my $out or die $!;
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        my %count;
        my ($socket, $rest) = ($gw->connect, '');
        while (my @some = splice @all, 0, 50) {
            syswrite $socket, join '', map { "GET $path HTTP/1.1\r\nHost: a\r\nX-Api-Key: $_\r\n\r\n" } @some;
            $count{ Gateway::read_response($socket, rest => \$rest)->{status} }++ for @some;
        }
        print $out JSON::PP::encode_json(\%count);
        close $out;
        POSIX::_exit(0);
    }
    close $out;
    return { pid => $pid, in => $in };
}

sub counted {
    my %sum;
    for my $job (@_) {
        local $/;
        my $count = JSON::PP::decode_json(readline $job->{in});
        $sum{$_} += $count->{$_} for keys %$count;
        waitpid $job->{pid}, 0;
    }
    return \%sum;
}

# Each goes round from another place.

my $start = time;
my @jobs = map { client(map { ($_, @tokens[ $_ .. $n - 1 ], @tokens[ 0 .. $_ - 1 ])[ 1 .. $n ] } $_ * 600) } 0 .. 2;
push @jobs, client(map { Gateway::Made::token() } 1 .. 1000);
my $served = 0;
my $asked = 0;
until (waitpid($jobs[0]{pid}, POSIX::WNOHANG())) {
    $asked++;
    my $res = $gw->get("$path?n=$asked", token => $own);
    $res->{status} == 200 ? $served++ : diag "$res->{status} $res->{body}";
}
my $count = counted(@jobs);
my $took = time - $start;
is_deeply $count, { 403 => 3 * $n, 401 => 1000 }, "each of $n tenants is found whenever it sends a request";
ok $asked == $served && $asked > 0, "and one that is in use all the time is served: $served of $asked";

my $status = $gw->status;
note sprintf '%d requests a second; %s evictions, %s look-ups, %s without room, %s tenants in the zone',
    (3 * $n + 1000 + $asked) / $took, @$status{qw(zone_evictions_total lookups_total zone_no_memory_total zone_tenants)};
cmp_ok $status->{zone_evictions_total}, '>', $n, 'evictions are counted';
cmp_ok $status->{lookups_total}, '>', 2 * $n, 'look-ups too';
cmp_ok $status->{zone_tenants}, '>', 50, 'the zone is in use';
is $status->{lookup_failures_total}, 0, 'none failed';
is said(), 1, 'and one line says that it is too small' or diag $gw->error_log;

subtest 'a tenant is evicted while its requests are under way' => sub {
    $gw->upstream->take;
    $gw->upstream->answer({ hold => 1 });
    my @slow = map {
        my $s = $gw->connect;
        syswrite $s, "GET $path?slow=$_ HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Api-Key: $own\r\n\r\n";
        $s;
    } 1 .. 20;
    my $seen = 0;
    ok $gw->wait_for(sub { $seen += $gw->upstream->take; $seen >= 20 }), '20 requests are at the upstream';
    is_deeply counted(client(@tokens)), { 403 => $n }, 'all other tenants are looked up meanwhile';
    $gw->upstream->answer({});
    $gw->upstream->release;
    is scalar(grep { Gateway::read_response($_)->{status} == 200 } @slow), 20, 'the requests are answered';
};

subtest 'changes are seen in it' => sub {
    $gw->ctl('tenant', 'disable', 'own');
    ok $gw->wait_for(sub { $gw->get($path, token => $own)->{status} == 401 }), 'disabled';
    is_deeply counted(client(@tokens[ 0 .. 999 ])), { 403 => 1000 }, 'others ask';
    is $gw->get($path, token => $own)->{status}, 401, 'still disabled';
    $gw->ctl('tenant', 'enable', 'own');
    ok $gw->wait_for(sub { $gw->get($path, token => $own)->{status} == 200 }), 'enabled';
};

is said(), 1, 'no further warning';
$gw->finish;
done_testing;
