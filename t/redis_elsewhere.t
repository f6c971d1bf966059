# Sentinels and cluster nodes that say what real ones say seldom, and what none
# should: scripted, one reply at a time.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::FakeRedis;
use Gateway::Redis;
use Test::More;
use Time::HiRes qw(sleep time);

my $path = '/v1/integrations';
my $real = Gateway::Redis->start;

sub bulk  { '$' . length($_[0]) . "\r\n$_[0]\r\n" }
sub array { '*' . @_ . "\r\n" . join '', @_ }
sub port  { ':' . $_[0]->port . "\r\n" }
sub lines { my ($gw) = @_; return grep { /\[(?:error|warn)\].*ampersand: / } split /\n/, $gw->error_log }

sub up {
    my ($gw) = @_;
    return $gw->wait_for(sub { my $s = $gw->status; $s->{redis_links_up} == $s->{redis_links} && $s->{redis_events_up} });
}

my $n = 0;
sub stranger {
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
    is $gw->get($path, token => stranger($gw, $old, $new))->{status}, 200, 'and asked';
    is_deeply [ map { $_->count('AUTH') + $_->count('SELECT') } @s ], [ 0, 0 ], 'a Sentinel gets no password that it did not ask for, and no database';
    ok $old->count('AUTH') && $old->count('SELECT', qr/^3$/), 'the master gets both';
    my ($asked) = grep { $s[$_]->count('SENTINEL') } 0, 1;
    is_deeply [ ($s[$asked]->commands)[0] ], [ ['PING'] ], 'greeted' or diag explain $s[$asked]->commands;

    $_->publish('+switch-master', 'other 127.0.0.1 1 127.0.0.1 2') for @s;
    $_->publish('+switch-master', $_[0] // 'main') for @s;
    $_->publish('+switch-master', 'main 127.0.0.1 1 127.0.0.1 99999') for @s;
    sleep 0.1;
    ok up($gw), "another master's news and broken ones are not for us";

    my $told = $s[1 - $asked];
    $told->publish('+switch-master', join ' ', 'main 127.0.0.1', $old->port, '127.0.0.1', $new->port);
    ok $gw->wait_for(sub { $new->count('SUBSCRIBE') }), 'a Sentinel that was not asked names another master: the links go there';
    ok up($gw), 'and stay';
    $new->clear;
    is $gw->get($path, token => stranger($gw, $old, $new))->{status}, 200, 'served';
    ok $new->count('GET'), 'by the new one';
    is scalar(lines($gw)), 0, 'no error' or diag lines($gw);
    cmp_ok $gw->status->{redis_moves_total}, '>=', 2, 'the status counts it';

    $_->fault($names->($new)) for @s;
    $new->fault($role->('slave'));
    my $late = stranger($gw, $old, $new);
    $new->kick;
    ok $gw->wait_for(sub { grep { /is not a master/ } lines($gw) }), 'a master that is none any more is left';
    is $gw->get($path, token => $late)->{status}, 503, 'and never asked';
    $_->fault($names->($old)) for @s;
    ok $gw->wait_for(sub { $gw->get($path, token => $late)->{status} == 200 }), 'until the Sentinels name one';

    $_->fault({ on => 'PING', reply => "-NOAUTH Authentication required.\r\n", times => 1 }, { on => 'PING', reply => "+PONG\r\n" }, $names->($old)) for @s;
    $_->clear for @s;
    $_->kick for @s, $old;
    ok $gw->wait_for(sub { grep { $_->count('AUTH') } @s }), 'a Sentinel that asks for the password gets it';
    ok up($gw), 'and is asked';

    for (
        [ 'no such master', "*-1\r\n", qr/knows no master of that name/ ],
        [ 'an error', "-ERR No such master with that name\r\n", qr/answers with an error/ ],
        [ 'no address', array(bulk(''), bulk('x')), qr/names no host and port/ ],
    ) {
        my ($name, $reply, $line) = @$_;
        sleep 1.1;    # the link has proven itself
        my $before = lines($gw);
        $_->fault({ on => 'SENTINEL', reply => $reply }) for @s;
        $old->kick;
        ok $gw->wait_for(sub { grep { $_ =~ $line } (lines($gw))[ $before .. $#{ [ lines($gw) ] } ] }), "$name: the log says it";
        $_->fault($names->($old)) for @s;
        ok up($gw), 'and it goes on';
    }

    $_->stop for @s;
    is $gw->get($path, token => stranger($gw, $old))->{status}, 200, 'without Sentinels the master serves';
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
    my $ask = sub { my ($status, $name) = @_; is $gw->get($path, token => stranger($gw, $x, $y))->{status}, $status, $name };
    ok up($gw), 'there is a map';
    $ask->(200, 'served');

    $_->clear for $x, $y;
    $x->fault({ on => 'GET', reply => '-ASK 1 127.0.0.1:' . $y->port . "\r\n" }, $all);
    $ask->(200, 'ASK');
    my @seen = map { $_->[0] } $y->commands;
    like "@seen", qr/ASKING GET.*ASKING GET/, 'ASKING goes first';
    is $x->count('GET'), 2, 'and the map stays as it is';

    $x->fault({ on => 'GET', key => 'token', reply => "-TRYAGAIN Multiple keys request during rehashing of slot\r\n", times => 2 }, $all);
    $ask->(200, 'TRYAGAIN');

    $_->clear for $x, $y;
    my $maps = $gw->status->{redis_slot_maps_total};
    $x->fault({ on => 'GET', reply => '-MOVED 1 :' . $x->port . "\r\n" }, $all);
    $ask->(503, 'MOVED to itself for ever');
    is $x->count('GET'), 5, 'five times';
    cmp_ok $gw->status->{redis_slot_maps_total} - $maps, '<=', 3, 'is no storm of maps';
    $x->fault($all);
    $ask->(200, 'served again');

    my $token = stranger($gw, $x, $y);
    $x->fault({ on => 'GET', reply => '-MOVED 1 127.0.0.1:' . $y->port . "\r\n" }, $all);
    $y->fault({ on => 'GET', silent => 1 }, $all);
    my $start = time;
    is $gw->get($path, token => $token)->{status}, 503, 'MOVED to a node that is silent';
    cmp_ok time - $start, '<', 0.3, 'ends in time';
    $_->fault($all) for $x, $y;
    ok $gw->wait_for(sub { $gw->get($path, token => $token)->{status} == 200 }), 'served again';
    $y->clear;

    $_->fault($map->($range->(0, 16383, $y, "\$-1\r\n"))) for $x, $y;
    $x->fault({ on => 'GET', reply => '-MOVED 1 127.0.0.1:' . $y->port . "\r\n" }, $map->($range->(0, 16383, $y, "\$-1\r\n")));
    ok $gw->wait_for(sub { $gw->get($path, token => stranger($gw, $x, $y))->{status} == 200 && $y->count('GET') }),
        'a node that does not know its host is where it was reached';
    $_->fault($all) for $x, $y;
    $y->fault({ on => 'GET', reply => '-MOVED 1 127.0.0.1:' . $x->port . "\r\n" }, $all);
    $ask->(200, 'back');

    my $before = lines($gw);
    my %bad = (
        'not an array' => "+OK\r\n", 'a range too large' => array($range->(0, 16384, $x)), 'backwards' => array($range->(5, 4, $x)),
        'no master' => array(array(":0\r\n", ":1\r\n")), 'a port that is none' => array(array(":0\r\n", ":1\r\n", array(bulk('h'), ":0\r\n"))),
        'a host too long' => array($range->(0, 1, $x, bulk('h' x 300))), 'a refusal' => "-ERR This instance has cluster support disabled\r\n",
    );
    for my $name (sort keys %bad) {
        $_->fault({ on => 'CLUSTER', reply => $bad{$name} }) for $x, $y;
        my $asked = $gw->status->{redis_slot_maps_total};
        $_->kick for $x, $y;
        $gw->wait_for(sub { $gw->status->{redis_slot_maps_total} > $asked });
        $ask->(200, "$name: the map that was there holds");
    }
    my @said = grep { /gives no slot map/ } lines($gw);
    is scalar @said, 1, 'said once' or diag lines($gw);

    $_->fault($map->()) for $x, $y;
    $_->kick for $x, $y;
    ok $gw->wait_for(sub { $gw->get($path, token => $token = stranger($gw, $x, $y))->{status} == 503 }), 'nobody serves a slot';
    is $gw->status->{redis_degraded}, 1, 'which is degraded';
    $start = time;
    $gw->get($path, token => $token) for 1 .. 20;
    cmp_ok time - $start, '<', 1, 'which is said at once';
    $_->fault($all) for $x, $y;
    ok $gw->wait_for(sub { $gw->get($path, token => $token)->{status} == 200 }), 'served when it has them again';
    ok up($gw), 'all is well';
    $gw->finish;
};

subtest 'a Redis that is no cluster' => sub {
    my $gw = Gateway->start(redis => $real, redis_url => 'redis+cluster://127.0.0.1:' . $real->port);
    ok $gw->wait_for(sub { lines($gw) }), 'is an error';
    sleep 0.5;
    my @said = lines($gw);
    is scalar @said, 1, 'said once' or diag @said;
    like $said[0], qr/gives no slot map: ERR This instance has cluster support disabled/, 'and clearly';
    is $gw->get($path, token => stranger($gw))->{status}, 503, 'nobody is served';
    $gw->finish;
};

done_testing;
