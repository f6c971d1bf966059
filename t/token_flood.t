# Thousands of made-up tokens: they cost a bounded part of the zone and a bounded
# number of look-ups, push out no tenant, and none of them is let in.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::FakeRedis;
use Gateway::Made;
use Gateway::Redis;
use Gateway::Workers;
use IO::Socket::INET ();
use JSON::PP ();
use List::Util ();
use POSIX ();
use Test::More;
use Time::HiRes qw(time);

my $real = Gateway::Redis->start;
my $fake = Gateway::FakeRedis->start;
my $path = '/v1/integrations';

# Many requests over few connections: the statuses, counted.

sub statuses {
    my ($gw, @tokens) = @_;
    my %count;
    while (my @some = splice @tokens, 0, 200) {
        my $socket = $gw->connect or die "connect: $!";
        my $text = join '', map { "GET $path HTTP/1.1\r\nHost: a\r\nX-Api-Key: $_\r\n\r\n" } @some;
        my $pid = fork // die "fork: $!";
        if (!$pid) {
            syswrite $socket, $text;
            POSIX::_exit(0);
        }
        my $rest = '';
        $count{ Gateway::read_response($socket, rest => \$rest)->{status} }++ for @some;
        waitpid $pid, 0;
    }
    return \%count;
}

subtest 'unknown tokens' => sub {
    my $gw = Gateway->start(
        redis => $real, redis_url => $fake->url, workers => 2, zone => '512k', log_level => 'error',
    );
    my @known = map { $gw->tenant("t$_", args => [ '--redis', $real->url ]) } 1 .. 10;
    $fake->copy($real);
    $gw->get($path, token => $_) for @known;
    my $before = $gw->status;
    is $before->{zone_tenants}, 10, 'ten tenants are in the zone';

    $fake->clear;
    my $malformed = statuses($gw, map {
        my $t = Gateway::Made::token();
        substr $t, 4 + rand 30, 1, '_' if $_ % 3 == 0;
        substr $t, -1, 1, substr($t, -1) eq 'x' ? 'y' : 'x' if $_ % 3 == 1;
        chop $t if $_ % 3 == 2;
        $t;
    } 1 .. 600);
    is_deeply $malformed, { 401 => 600 }, '600 malformed tokens: 401';
    is $fake->count('GET'), 0, 'without a look-up';

    my $flood = statuses($gw, map { Gateway::Made::token() } 1 .. 1800);
    is_deeply $flood, { 401 => 1800 }, '1800 unknown tokens, less than the burst of an address: 401';
    is $fake->count('GET', qr/tenant/), 0, 'none causes a look-up of a tenant';

    my $after = $gw->status;
    cmp_ok $after->{zone_unknown_tokens}, '<=', 512 * 1024 / 16 / 128, 'a sixteenth of the zone remembers the last of them';
    cmp_ok $after->{zone_unknown_tokens}, '>', 100, 'but some';
    is $after->{zone_tenants}, 10, 'all tenants are still in the zone';
    is $after->{zone_tokens}, 10, 'so are their tokens';

    $fake->clear;
    is_deeply statuses($gw, @known), { 200 => 10 }, 'they are served';
    is $fake->count('GET'), 0, 'without a look-up';

    my $same = Gateway::Made::token();
    is_deeply statuses($gw, ($same) x 50), { 401 => 50 }, 'one unknown token fifty times';
    is $fake->count('GET'), 1, 'is one look-up';
    unlike $gw->error_log, qr/\[(?:error|crit)\]/, 'nothing of that is in the error log';
    $gw->finish;
};

# Tokens with a right checksum, a different one each time, as fast as they are
# answered, until the file "stop" is there.

sub flood {
    my ($gw, $address) = @_;
    pipe my $in, my $out or die $!;
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        my $socket = IO::Socket::INET->new(
            PeerAddr => '127.0.0.1', PeerPort => $gw->port, LocalAddr => $address) or die $!;
        my ($rest, %count) = ('');
        until (-e $gw->dir . '/stop') {
            my $text = join '', map { "GET $path HTTP/1.1\r\nHost: a\r\nX-Api-Key: " . Gateway::Made::token() . "\r\n\r\n" } 1 .. 50;
            syswrite $socket, $text;
            for (1 .. 50) {
                my $res = Gateway::read_response($socket, rest => \$rest);
                my $type = $res->{body} =~ m{problem:([\w-]+)} ? $1 : '';
                $type .= '+' if $res->{headers}{'retry-after'};
                $count{"$res->{status} $type"}++;
            }
        }
        print $out JSON::PP::encode_json(\%count);
        close $out;
        POSIX::_exit(0);
    }
    close $out;
    return { pid => $pid, in => $in };
}

subtest 'unknown identities' => sub {
    my $gw = Gateway->start(
        redis => $real, redis_url => $fake->url, server => 'ampersand_identity $arg_who;', log_level => 'error',
    );
    $gw->wait_for(sub { $gw->linked });
    $fake->clear;
    is $gw->get("$path?who=nobody")->{status}, 401, 'an unknown identity' for 1 .. 20;
    is $fake->count('GET'), 1, 'is one look-up';
    is $gw->status->{zone_tenants}, 0, 'and no tenant';
    $gw->finish;
};

subtest 'a flood from one address' => sub {
    # the gateway's clock goes at a tenth of the speed, so that the flood is above the
    # look-up limit on a slow machine too
    my ($library) = glob '/usr/lib/*/faketime/libfaketime.so.1';
    plan skip_all => 'libfaketime is not installed' unless $library;
    my $speed = 0.1;
    local $ENV{NGINX_WRAP} = "env LD_PRELOAD=$library FAKETIME=+0,x$speed";
    my $gw = Gateway->start(
        workers => 2, Gateway::Workers::options(), zone => '2m',
        http => 'keepalive_requests 10000000; ampersand_tenant_ttl 50ms;',
    );
    my $redis = $gw->redis;
    my @known = map { $gw->tenant("t$_") } 1 .. 10;
    my $all = Gateway::Workers->new($gw);
    $all->statuses($_) for @known;
    my $before = $gw->status;
    my $cpu = sub { $redis->command('INFO', 'cpu') =~ /used_cpu_user:([\d.]+)/ ? $1 : 0 };
    my $busy = $cpu->();

    my $start = time;
    my @jobs = map { flood($gw, '127.0.0.1') } 1 .. 3;

    # requests of tenants in the zone, and changes, during the flood
    my (@ms, %statuses);
    my ($round, $changed) = (0, 0);
    my ($new, $at);
    until ($changed && !$new && $round > 50) {
        for my $token (@known) {
            my $asked = time;
            $statuses{ $all->one($round % 2, $path, token => $token)->{status} }++;
            push @ms, (time - $asked) * 1000;
        }
        $round++;
        last if time > $start + $Gateway::PATIENCE;
        if (!$changed && $gw->status->{lookups_refused_total} > 0) {
            $changed = 1;
            pass 'the look-up limit is reached';
            $gw->ctl('limit', 'set', 't1', '--rate', '100000/s');
            is $all->statuses($known[0]), '200 200', 'a tenant that changes is looked up';
            my $bad = 0;
            for (1 .. 10) {
                $redis->command('PUBLISH', 'amp:events', qq({"v":1,"type":"tenant","tenant":"t$_","rev":$round})) for 1 .. 10;
                $bad += $all->statuses($_) ne '200 200' for @known;
            }
            is $bad, 0, 'so are all of them, ten times';
            $new = $gw->ctl('token', 'issue', 't1', '--json') =~ /"token":\s*"(agw_\w+)"/ ? $1 : '';
            my $other = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $gw->port, LocalAddr => '127.0.0.2');
            syswrite $other, "GET $path HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Api-Key: $new\r\n\r\n";
            is Gateway::read_response($other)->{status}, 200, 'a new token works at once from another address';
            $new = $gw->ctl('token', 'issue', 't1', '--json') =~ /"token":\s*"(agw_\w+)"/ ? $1 : '';
            $at = time;
        }
        if ($new && $all->statuses($new) eq '200 200') {
            note sprintf 'a new token from the address of the flood works after %.0f ms', 1000 * (time - $at);
            $new = '';
        }
    }
    ok $changed, 'the flood was above the look-up limit';
    open my $stop, '>', $gw->dir . '/stop' or die $!;
    my %count;
    for my $job (@jobs) {
        local $/;
        my $c = JSON::PP::decode_json(readline $job->{in});
        $count{$_} += $c->{$_} for keys %$c;
        waitpid $job->{pid}, 0;
    }
    my $took = time - $start;
    $busy = $cpu->() - $busy;
    my $after = $gw->status;
    my $sent = List::Util::sum(values %count);
    my $lookups = $after->{lookups_total} - $before->{lookups_total};
    @ms = sort { $a <=> $b } @ms;
    note sprintf '%d tokens a second, %d look-ups a second; Redis %.1f%% of a CPU; tenants in the zone p50 %.1f ms, p99 %.1f ms',
        $sent / $took, $lookups / $took, 100 * $busy / $took, $ms[@ms / 2], $ms[0.99 * $#ms];

    is join(', ', sort keys %count), '401 unknown-token, 503 busy+', '401, or 503 with Retry-After where the look-up limit is reached'
        or diag explain \%count;
    # each worker: a burst of 2000, 1000 a second of its clock; 1024 at the same time;
    # and the tenants, verified each 50 ms
    cmp_ok $lookups, '<=', 2 * (2000 + 1000 * $took * $speed + 1024) + 20 * 20 * $took * $speed + 20, 'the look-ups are bounded';
    is_deeply [ keys %statuses ], [200], 'tenants in the zone are served';
    is $after->{zone_tenants}, 10, 'and still in the zone';
    is $after->{lookup_failures_total}, 0, 'no look-up failed';
    ok $gw->wait_for(sub { $all->statuses(Gateway::Made::token()) eq '401 401' }), 'afterwards an unknown token is looked up';
    my @lines = grep { /too many unknown tokens/ } split /\n/, $gw->error_log;
    ok @lines >= 1 && @lines <= 2, 'one line a worker' or diag scalar @lines;
    cmp_ok $after->{lookups_refused_total}, '>', 0, 'and a counter';
    $gw->finish;
};

done_testing;
