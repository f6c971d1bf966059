# Thousands of made-up tokens: they cost a bounded part of the zone, push out no
# tenant, and none of them is let in.  A zone that is too small costs look-ups,
# never an answer.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::FakeRedis;
use Gateway::Made;
use Gateway::Redis;
use Digest::SHA ();
use JSON::PP ();
use Test::More;

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

subtest 'made-up tokens' => sub {
    my $gw = Gateway->start(
        redis => $real, redis_url => $fake->url, workers => 2, zone => '512k', log_level => 'error',
    );
    my @known = map { $gw->tenant("t$_", args => [ '--redis', $real->url ]) } 1 .. 10;
    $fake->copy($real);
    $gw->get($path, token => $_) for @known;
    my $before = $gw->status;
    is $before->{zone_tenants}, 10, 'ten tenants are known';

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

    my $flood = statuses($gw, map { Gateway::Made::token() } 1 .. 3000);
    is_deeply $flood, { 401 => 3000 }, '3000 made-up ones: 401';
    is $fake->count('GET', qr/tenant/), 0, 'none comes near a tenant';

    my $after = $gw->status;
    cmp_ok $after->{zone_unknown_tokens}, '<=', 512 * 1024 / 16 / 128, 'a sixteenth of the zone remembers the last of them';
    cmp_ok $after->{zone_unknown_tokens}, '>', 100, 'but some';
    is $after->{zone_tenants}, 10, 'all tenants are still known';
    is $after->{zone_tokens}, 10, 'so are their tokens';

    $fake->clear;
    is_deeply statuses($gw, @known), { 200 => 10 }, 'they are served';
    is $fake->count('GET'), 0, 'without a look-up';

    my $same = Gateway::Made::token();
    is_deeply statuses($gw, ($same) x 50), { 401 => 50 }, 'one made-up token fifty times';
    is $fake->count('GET'), 1, 'is one look-up';
    unlike $gw->error_log, qr/\[(?:error|crit)\]/, 'nothing of that is in the error log';
    $gw->finish;
};

subtest 'a zone too small for its tenants' => sub {
    my $gw = Gateway->start(redis => $real, redis_url => $fake->url, zone => '256k', log_level => 'error');
    my $record = JSON::PP::decode_json($real->command('GET', 'amp:tenant:t1'));
    my $n = 600;
    $gw->tenant('big', args => [ '--redis', $real->url, map { ('--group', "group-$_-" . 'x' x 200) } 1 .. 50 ]);
    my $key = $gw->tenant('own', args => [ '--redis', $real->url ]);
    my $own = JSON::PP::decode_json($real->command('GET', 'amp:tenant:own'));
    $own->{grants} = { allow => ["write"] };    # the sealed key is another tenant's: 403 proves the record was read
    my (@tokens, %keys);
    for my $i (1 .. $n) {
        push @tokens, my $token = Gateway::Made::token();
        my $name = 'amp:token:' . Digest::SHA::sha256_hex($token);
        $keys{$name} = JSON::PP::encode_json({ v => 1, tenant => "m$i", id => "m$i.0123456789", created => 1 });
        $keys{"amp:tenant:m$i"} = JSON::PP::encode_json({ %$own, id => "m$i", project => { id => "p$i" } });
    }
    $fake->set(%keys);
    $fake->copy($real);

    my $own_ok = sub { $gw->get($path, token => $key)->{status} };
    is $own_ok->(), 200, 'a tenant';
    is_deeply statuses($gw, @tokens), { 403 => $n }, "$n tenants in 256k: each is known when it asks";
    is_deeply statuses($gw, map { ($_, Gateway::Made::token()) } @tokens), { 403 => $n, 401 => $n },
        'and again, among made-up tokens';
    is $own_ok->(), 200, 'the first tenant is served';
    my $status = $gw->status;
    cmp_ok $status->{zone_evictions_total}, '>', 0, 'entries were pushed out';
    cmp_ok $status->{zone_tenants}, '>', 50, 'the zone is in use';
    is $status->{lookup_failures_total}, 0, 'no look-up failed';
    $gw->finish;
};

done_testing;
