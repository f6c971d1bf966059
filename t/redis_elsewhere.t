# Rare and wrong answers of Sentinels and cluster nodes: scripted, one reply at a
# time.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::FakeRedis;
use Gateway::Redis;
use Test::More;

my $path = '/v1/integrations';
my $real = Gateway::Redis->start;

sub bulk  { '$' . length($_[0]) . "\r\n$_[0]\r\n" }
sub array { '*' . @_ . "\r\n" . join '', @_ }
sub port  { ':' . $_[0]->port . "\r\n" }
sub lines { my ($gw) = @_; return $gw->log_lines(qr/\[(?:error|warn)\].*ampersand: /) }

sub up {
    my ($gw) = @_;
    return $gw->wait_for(sub { $gw->linked });
}

my $n = 0;
sub new_tenant {
    my ($gw, @fakes) = @_;
    my $token = $gw->tenant('e' . ++$n, args => [ '--redis', $real->url ]);
    $_->copy($real) for @fakes;
    return $token;
}

subtest 'Sentinel' => sub {
    my @s = map { Gateway::FakeRedis->start } 1 .. 2;
    my ($old, $new) = map { Gateway::FakeRedis->start } 1 .. 2;
    my $role = sub { { on => 'ROLE', reply => array(bulk($_[0]), ":0\r\n", "*0\r\n") } };
    my $names = sub { { on => 'SENTINEL', reply => array(bulk('127.0.0.1'), bulk($_[0]->port)) } };
    $_->fault($role->('master')) for $old, $new;
    $_->fault($names->($old)) for @s;
    my $gw = Gateway->start(
        redis => $real, http => 'ampersand_tenant_ttl 1h;',
        redis_url => 'redis+sentinel://gate:canary@' . join(',', map { '127.0.0.1:' . $_->port } @s) . '/main/3',
    );
    ok up($gw), 'the master is found';
    is $gw->get($path, token => new_tenant($gw, $old, $new))->{status}, 200, 'a look-up at the master';
    is_deeply [ map { $_->count('AUTH') + $_->count('SELECT') } @s ], [ 0, 0 ], 'a Sentinel gets no password that it did not ask for, and no database';
    ok $old->count('AUTH') && $old->count('SELECT', qr/^3$/), 'the master gets both';
    my ($asked) = grep { $s[$_]->count('SENTINEL') } 0, 1;
    is_deeply [ ($s[$asked]->commands)[0] ], [ ['PING'] ], 'a handshake' or diag explain $s[$asked]->commands;

    $_->publish('+switch-master', 'other 127.0.0.1 1 127.0.0.1 2') for @s;
    $_->publish('+switch-master', $_[0] // 'main') for @s;
    $_->publish('+switch-master', 'main 127.0.0.1 1 127.0.0.1 99999') for @s;
    ok up($gw), 'messages of another master and malformed ones are ignored';

    my $other = $s[1 - $asked];
    $other->publish('+switch-master', join ' ', 'main 127.0.0.1', $old->port, '127.0.0.1', $new->port);
    ok $gw->wait_for(sub { $new->count('SUBSCRIBE') }), 'another Sentinel names another master: the links move there';
    ok up($gw), 'and stay there';
    $new->clear;
    is $gw->get($path, token => new_tenant($gw, $old, $new))->{status}, 200, 'served';
    ok $new->count('GET'), 'by the new master';
    is scalar(lines($gw)), 0, 'no error' or diag lines($gw);
    cmp_ok $gw->status->{redis_moves_total}, '>=', 2, 'the status counts it';

    $_->fault($names->($new)) for @s;
    $new->fault($role->('slave'));
    my $late = new_tenant($gw, $old, $new);
    $new->kick;
    ok $gw->wait_for(sub { grep { /is not a master/ } lines($gw) }), 'a server that is no master any more is left';
    is $gw->get($path, token => $late)->{status}, 503, 'and gets no look-up';
    $_->fault($names->($old)) for @s;
    ok $gw->wait_for(sub { $gw->get($path, token => $late)->{status} == 200 }), 'served when the Sentinels name a master';

    $_->fault({ on => 'PING', reply => "-NOAUTH Authentication required.\r\n", times => 1 }, { on => 'PING', reply => "+PONG\r\n" }, $names->($old)) for @s;
    $_->clear for @s;
    $_->kick for @s, $old;
    ok $gw->wait_for(sub { grep { $_->count('AUTH') } @s }), 'a Sentinel that asks for the password gets it';
    ok up($gw), 'and answers';

    for (
        [ 'no such master', "*-1\r\n", qr/knows no master of that name/ ],
        [ 'an error', "-ERR No such master with that name\r\n", qr/answers with an error/ ],
        [ 'no address', array(bulk(''), bulk('x')), qr/names no host and port/, 'no host and port' ],
        [ 'an unknown host', array(bulk('?'), bulk(6379)), qr/names no host and port/, 'no host and port' ],
        [ 'no answer of a Sentinel', "+OK\r\n", qr/answers as no Sentinel does/, 'is no Sentinel' ],
    ) {
        my ($name, $reply, $line, $says) = @$_;
        is $gw->get($path, token => new_tenant($gw, $old, $new))->{status}, 200, 'served';    # the link is proven
        my $before = lines($gw);
        $_->fault({ on => 'SENTINEL', reply => $reply }) for @s;
        $old->kick;
        ok $gw->wait_for(sub { grep { $_ =~ $line } (lines($gw))[ $before .. $#{ [ lines($gw) ] } ] }), "$name: a line in the log";
        my ($exit, undef, $err) = $gw->try_ctl('tenant', 'list', '--timeout', '2s');
        is $exit, 3, "$name: ampctl does not use it";
        like $err, qr/\Q$says/, 'and says the same' if $says;
        $_->fault($names->($old)) for @s;
        ok up($gw), 'connected again';
    }

    $_->stop for @s;
    is $gw->get($path, token => new_tenant($gw, $old))->{status}, 200, 'without Sentinels the link to the master stays';
    unlike $gw->error_log, qr/canary/, 'no password in the log';
    $gw->finish;
};

subtest 'Cluster' => sub {
    my ($x, $y) = map { Gateway::FakeRedis->start } 1 .. 2;
    my $range = sub { array(":$_[0]\r\n", ":$_[1]\r\n", array($_[3] // bulk('127.0.0.1'), port($_[2]), bulk('a' x 40))) };
    my $map = sub { { on => 'CLUSTER', reply => array(@_) } };
    my $all = $map->($range->(0, 16383, $x));
    $_->fault($all) for $x, $y;
    my $gw = Gateway->start(
        redis => $real, http => 'ampersand_tenant_ttl 1h;', redis_url => 'redis+cluster://127.0.0.1:' . $x->port,
    );
    my $ask = sub { my ($status, $name) = @_; is $gw->get($path, token => new_tenant($gw, $x, $y))->{status}, $status, $name };
    ok up($gw), 'a slot map';
    $ask->(200, 'served');

    $_->clear for $x, $y;
    $x->fault({ on => 'GET', reply => '-ASK 1 127.0.0.1:' . $y->port . "\r\n" }, $all);
    $ask->(200, 'ASK');
    my @seen = map { $_->[0] } $y->commands;
    like "@seen", qr/ASKING GET.*ASKING GET/, 'ASKING precedes each GET';
    is $x->count('GET'), 2, 'the slot map is unchanged';

    $x->fault({ on => 'GET', key => 'token', reply => "-TRYAGAIN Multiple keys request during rehashing of slot\r\n", times => 2 }, $all);
    $ask->(200, 'TRYAGAIN');

    $_->clear for $x, $y;
    my $maps = $gw->status->{redis_slot_maps_total};
    $x->fault({ on => 'GET', reply => '-MOVED 1 :' . $x->port . "\r\n" }, $all);
    $ask->(503, 'MOVED to itself, always');
    is $x->count('GET'), 5, 'five attempts';
    cmp_ok $gw->status->{redis_slot_maps_total} - $maps, '<=', 3, 'few slot maps are asked for';
    $x->fault($all);
    $ask->(200, 'served again');

    my $token = new_tenant($gw, $x, $y);
    $x->fault({ on => 'GET', reply => '-MOVED 1 127.0.0.1:' . $y->port . "\r\n" }, $all);
    $y->fault({ on => 'GET', silent => 1 }, $all);
    is $gw->get($path, token => $token)->{status}, 503, 'MOVED to a node that is silent';
    $_->fault($all) for $x, $y;
    ok $gw->wait_for(sub { $gw->get($path, token => $token)->{status} == 200 }), 'served again';
    $y->clear;

    $_->fault($map->($range->(0, 16383, $y, "\$-1\r\n"))) for $x, $y;
    $x->fault({ on => 'GET', reply => '-MOVED 1 127.0.0.1:' . $y->port . "\r\n" }, $map->($range->(0, 16383, $y, "\$-1\r\n")));
    ok $gw->wait_for(sub { $gw->get($path, token => new_tenant($gw, $x, $y))->{status} == 200 && $y->count('GET') }),
        'a node without a host in the slot map is at the address that answered';
    $_->fault($all) for $x, $y;
    $y->fault({ on => 'GET', reply => '-MOVED 1 127.0.0.1:' . $x->port . "\r\n" }, $all);
    $ask->(200, 'served by the first node again');

    my $before = lines($gw);
    my %bad = (
        'not an array' => "+OK\r\n", 'a range too large' => array($range->(0, 16384, $x)), 'backwards' => array($range->(5, 4, $x)),
        'no master' => array(array(":0\r\n", ":1\r\n")), 'a port that is none' => array(array(":0\r\n", ":1\r\n", array(bulk('h'), ":70000\r\n"))),
        'without slots' => array(), 'a host too long' => array($range->(0, 1, $x, bulk('h' x 300))), 'a refusal' => "-ERR This instance has cluster support disabled\r\n",
    );
    for my $name (sort keys %bad) {
        $_->fault({ on => 'CLUSTER', reply => $bad{$name} }) for $x, $y;
        my $asked = $gw->status->{redis_slot_maps_total};
        $_->kick for $x, $y;
        $gw->wait_for(sub { $gw->status->{redis_slot_maps_total} > $asked });
        $ask->(200, "$name: the old slot map stays");
    }
    my @said = grep { /gives no slot map/ } lines($gw);
    is scalar @said, 1, 'one line, however often it fails' or diag lines($gw);

    $_->fault({ on => 'CLUSTER', reply => array($range->(0, 0, $x)) }) for $x, $y;
    $_->kick for $x, $y;
    ok $gw->wait_for(sub { $gw->get($path, token => $token = new_tenant($gw, $x, $y))->{status} == 503 }), 'a slot map with one slot';
    is $gw->status->{redis_degraded}, 1, 'redis_degraded';
    $_->clear for $x, $y;
    is scalar(grep { $gw->get($path, token => $token)->{status} != 503 } 1 .. 20), 0, 'and so on';
    is $x->count('GET') + $y->count('GET'), 0, 'without a command of Redis';
    $_->fault($all) for $x, $y;
    ok $gw->wait_for(sub { $gw->get($path, token => $token)->{status} == 200 }), 'served when the slot map is complete';
    ok up($gw), 'every link is up';
    $gw->finish;
};

subtest 'a Redis that is no cluster' => sub {
    my $gw = Gateway->start(redis => $real, redis_url => 'redis+cluster://127.0.0.1:' . $real->port);
    ok $gw->wait_for(sub { lines($gw) }), 'an error in the log';
    my $maps = $gw->status->{redis_slot_maps_total};
    $gw->wait_for(sub { $gw->status->{redis_slot_maps_total} > $maps + 1 });
    my @said = lines($gw);
    is scalar @said, 1, 'one line, however often it fails' or diag @said;
    like $said[0], qr/gives no slot map: ERR This instance has cluster support disabled/, 'the reason';
    is $gw->get($path, token => new_tenant($gw))->{status}, 503, 'no tenant is served';
    $gw->finish;
};

done_testing;
