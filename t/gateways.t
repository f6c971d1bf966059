# The registry: which gateways live, what "ampctl gateway list" says of them, what
# "ampctl gateway wait" waits for, and the share of the rates that each gateway takes
# without Redis.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::Redis;
use Gateway::Redis::Cluster;
use JSON::PP ();
use Test::More;
use Time::HiRes qw(sleep time);

my $path = '/v1/integrations';
my @like = (redis_args => 'timeout=1s');
my $gw = Gateway->start(@like);
my $redis = $gw->redis;

sub listed { return @{ JSON::PP::decode_json($gw->ctl('gateway', 'list', '--json'))->{gateways} } }

# The number that a gateway has saved.

sub saved {
    my ($one) = @_;
    my ($file) = glob $one->dir . '/tmp/body/ampersand-gateways-*[0-9a-f]';
    return $file ? Gateway::_slurp($file) : '';
}

subtest 'one gateway' => sub {
    ok $gw->wait_for(sub { listed() == 1 }), 'is in the list';
    my ($one) = listed();
    like $one->{id}, qr/^[0-9a-f]{16}$/, 'its id';
    like $gw->ctl('--version'), qr/ \Q$one->{version}\E$/m, 'its version';
    cmp_ok abs(time - $one->{start}), '<', 60, 'its start';
    is $one->{status}, 'http://127.0.0.1:' . $gw->port . '/-/status', 'the address of its status';
    is $one->{event}, undef, 'no event so far';
    my ($head, $row) = split /\n/, $gw->ctl('gateway', 'list');
    like $head, qr/^GATEWAY +VERSION +START +LAST EVENT +APPLIED +STATUS$/, 'the heads of the table';
    like $row, qr/^$one->{id} +\Q$one->{version}\E +\S+Z +- +- +\Q$one->{status}\E$/, 'and its row';
    cmp_ok $redis->command('PTTL', "amp:gateway:$one->{id}"), '<=', 10_000, 'its record expires in 10 s';
};

my @on = ($gw, map { Gateway->start(like => $gw, @like) } 2 .. 3);

# A change, and the limit of a class that nobody has used: its record is in each zone.

my $token = $gw->tenant('acme');
$gw->ctl('limit', 'set', 'acme', '--class', 'write', '--rate', '1/h', '--burst', 30);

subtest 'three gateways' => sub {
    ok $gw->wait_for(sub { listed() == 3 }), 'are in the list';
    my @ids = map { $_->{id} } listed();
    is_deeply \@ids, [ sort @ids ], 'in the order of their ids';
    my $record = JSON::PP::decode_json($redis->command('GET', 'amp:tenant:acme'));
    ok $gw->wait_for(sub { 3 == grep { ($_->{event}{rev} // 0) == $record->{rev} } listed() }), 'each says that it uses the last change';
    my ($one) = listed();
    is_deeply [ @{ $one->{event} }{qw(type tenant)} ], [ 'tenant', 'acme' ], 'which it names';
    cmp_ok abs(time - $one->{applied}), '<', 60, 'and when that was';
    like $gw->ctl('gateway', 'list'), qr/ tenant acme, revision $record->{rev} /, 'in the table, too';
    ok $gw->wait_for(sub { 3 == grep { saved($_) eq "3\n" } @on }), 'each has saved the number';
};

# "gateway wait": its exit code, and the document or the error.

sub waits {
    my ($exit, $out) = $gw->try_ctl('gateway', 'wait', @_, '--json');
    return ($exit, JSON::PP::decode_json($out));
}

subtest 'ampctl gateway wait' => sub {
    my $id = sub { my ($one) = @_; return (map { $_->{id} } grep { $_->{status} =~ /:@{[ $one->port ]}\// } listed())[0] };
    my ($other, @ids) = map { $id->($_) } @on[ 1, 0 .. 2 ];

    my @statuses;
    for my $what ('disable', 'enable') {
        $_->get($path, token => $token) for @on;
        $gw->ctl('tenant', $what, 'acme');
        my ($exit, $doc) = waits('--timeout', '60s');
        push @statuses, map { $_->get($path, token => $token)->{status} } @on;
        is $exit, 0, "$what: every gateway uses it";
        is_deeply [ map { $_->{id} } @{ $doc->{gateways} } ], [ sort @ids ], 'the gateways';
    }
    is "@statuses", '401 401 401 200 200 200', 'the next request to each is answered so';
    is $gw->ctl('gateway', 'wait', '--timeout', '60s'), "every gateway uses all changes made so far: 3\n", 'what it prints';

    my @frozen = ($on[1]->pid, $on[1]->children);
    kill 'STOP', @frozen;
    my ($exit, $doc) = waits('--timeout', '3s');
    kill 'CONT', @frozen;
    is $exit, 1, 'one is stopped';
    is $doc->{error}{code}, 'gateways_lag', 'the error';
    is $doc->{error}{message}, "1 of 3 gateways may not use the last changes yet: $other (" . $on[1]->url . '/-/status)', 'names it';
    like $doc->{error}{remedy}, qr/redis_events_up/, 'and says what to look at';
    is +(waits('--timeout', '60s'))[0], 0, 'it goes on';

    $redis->command('ACL', 'SETUSER', 'default', '-subscribe');
    $redis->command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    ($exit, $doc) = waits('--timeout', '3s');
    is $exit, 1, 'those that live and do not hear of changes';
    like $doc->{error}{message}, qr/^3 of 3 gateways .*\b$_\b/, 'are named' for @ids;
    $redis->command('ACL', 'SETUSER', 'default', '+subscribe');
    is +(waits('--timeout', '60s'))[0], 0, 'they subscribe again';

    is +($gw->try_ctl('gateway', 'wait', '--redis', 'redis://127.0.0.1:1'))[0], 3, 'Redis is out of reach';
    is $gw->ctl('gateway', 'wait', '--prefix', 'other:'), "no gateway is in the registry\n", 'no gateway';
};

# POSTs until the first refusal: how many were admitted.

sub admitted {
    my ($one) = @_;
    my $n = 0;
    while ($n < 100) {
        my $status = $one->request('POST', $path, token => $token, json => {})->{status};
        return $n if $status == 429;
        die "status $status\n" if $status != 200;
        $n++;
    }
    return $n;
}

# The rights of the scripts are taken away: look-ups go on, leases do not.

sub without_leases { $redis->command('ACL', 'SETUSER', 'default', $_[0] ? ('-evalsha', '-eval') : ('+evalsha', '+eval')) }

subtest 'the share without leases is that of the gateways that live' => sub {
    $_->get($path, token => $token) for @on;
    without_leases(1);
    is_deeply [ map { admitted($_) } @on ], [ 10, 10, 10 ], 'each admits a third of the burst, though none knew the others by this limit';
    without_leases(0);
};

subtest 'a gateway that starts without leases' => sub {
    my $two = $on[1];
    $redis->command('DEL', 'amp:limit:{acme}:write');
    $two->stop;
    ok $gw->wait_for(sub { listed() == 2 }), 'one that ends leaves the list at once';
    without_leases(1);
    $two->_spawn or die $two->error_log;
    is admitted($two), 10, 'uses the number that it saved';
    $two->stop;
    unlink glob $two->dir . '/tmp/body/ampersand-gateways-*';
    $two->_spawn or die $two->error_log;
    is admitted($two), 30, 'without the file it takes itself for the only one';
    $two->stop;
    open my $f, '>', $two->dir . '/tmp/body/x' or die $!;
    close $f;
    my ($name) = glob $gw->dir . '/tmp/body/ampersand-gateways-*';
    $name =~ s{.*/}{};
    open $f, '>', $two->dir . "/tmp/body/$name" or die $!;
    print $f "many\n";
    close $f;
    chmod 0644, $two->dir . "/tmp/body/$name";
    $two->_spawn or die $two->error_log;
    ok $two->wait_for(sub { $two->log_lines(qr/\[warn\].*"\S+\Q$name\E" does not hold a number of gateways/) }), 'a file with anything else is named';
    without_leases(0);
    ok $gw->wait_for(sub { listed() == 3 }), 'with its rights again it registers';
};

subtest 'Redis is emptied' => sub {
    $redis->command('FLUSHALL');
    ok $gw->wait_for(sub { listed() == 3 }), 'the registry fills again';
};

subtest 'a gateway that dies' => sub {
    my $before = time;
    my ($dead) = map { $_->{id} } grep { $_->{status} =~ /:@{[ $on[2]->port ]}\// } listed();
    $on[2]->crash;
    my ($exit, $doc) = waits('--timeout', '60s');
    is $exit, 0, '"gateway wait" waits for it as long as it is in the list';
    is_deeply $doc->{gone}, [$dead], 'and says that it has gone';
    ok $gw->wait_for(sub { listed() == 2 }), 'it leaves the list';
    cmp_ok time - $before, '>', 5, 'when its time is over';
    ok $gw->wait_for(sub { saved($gw) eq "2\n" }), 'and the others count without it';
};

$_->finish(killed => 1) for @on;

subtest 'a cluster' => sub {
    my $one = Gateway->start(redis => Gateway::Redis::Cluster->start);
    ok $one->wait_for(sub { $one->linked && @{ JSON::PP::decode_json($one->ctl('gateway', 'list', '--json'))->{gateways} } == 1 }), 'a gateway is in the list';
    is +($one->try_ctl('gateway', 'wait', '--timeout', '60s'))[0], 0, 'it uses all changes';
    my ($record) = @{ JSON::PP::decode_json($one->ctl('gateway', 'list', '--json'))->{gateways} };
    is scalar @{ $record->{marks} }, 3, 'of each master, since a cluster keeps no order between them';
    $one->finish;
};

done_testing;
