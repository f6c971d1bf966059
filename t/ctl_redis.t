#!/usr/bin/perl

# ampctl and Redis: URLs, passwords, errors, and what is stored.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::INET;
use JSON::PP;
use POSIX ();
use Test::More;

use Gateway::Ctl;
use Gateway::FakeRedis;
use Gateway::Redis;

my $redis = Gateway::Redis->start;
my $ctl   = Gateway::Ctl->new($redis);
my $port  = $redis->port;
my $sock  = $redis->socket;

sub redis_at { my ($url, @args) = @_; return $ctl->json('--redis', $url, @args ? @args : qw(tenant list)) }

subtest 'URLs that are understood' => sub {
    $ctl->run(qw(tenant add zero --project p));
    is redis_at("redis://127.0.0.1:$port/1", qw(tenant add one --project p))->{code}, 0, 'database 1';
    my %ids = (
        "redis://127.0.0.1:$port" => 'zero', "redis://127.0.0.1:$port/" => 'zero',
        "redis://localhost:$port/0" => 'zero', "redis://127.0.0.1:$port/1" => 'one',
        "unix:$sock" => 'zero', "unix:$sock?db=1" => 'one', "unix://$sock?db=1" => 'one',
    );
    for my $url (sort keys %ids) {
        my $r = redis_at($url);
        is $r->{code}, 0, $url;
        is_deeply [ map { $_->{id} } @{ $r->{doc} } ], [ $ids{$url} ], 'the right database';
    }
    is_deeply [ map { $_->{id} } @{ $ctl->json({ env => { AMPERSAND_REDIS => "unix:$sock?db=1" } }, qw(tenant list))->{doc} } ],
        ['one'], 'from the environment';
};

subtest 'URLs that are refused: exit 2, the supported forms, no password in the message' => sub {
    for my $url (
        'redis+sentinel://h:1,h:2', 'redis+cluster://h:1/0', 'redis://h,h', 'http://h', '127.0.0.1:6379', '',
        'redis://', 'redis://:6379', 'redis://h:0', 'redis://h:99999', 'redis://h:x', 'redis://h/x', 'redis://h?db=1',
        'redis://u:canary%zz@h', 'redis://u:canary%00@h', 'redis://[::1', 'unix:', 'unix:/x?y=1',
        'unix:/' . 'x' x 120, 'redis://u:canary@h:99999', 'redis://canary@127.0.0.1',
    ) {
        my $r = redis_at($url);
        is $r->{code}, 2, "'$url'";
        is $r->{doc}{error}{code}, 'usage', 'code';
        like $r->{doc}{error}{remedy}, qr{redis://\[user|--redis-password-file}, 'what is supported';
        unlike "$r->{out}$r->{err}", qr/canary/, 'no password';
    }
    my $r = $ctl->run('--redis', 'redis://h:1,h:2', qw(tenant list));
    like $r->{err}, qr/several hosts are Sentinels or a cluster/, 'the message names the two forms with several hosts';
};

subtest 'another prefix is another store' => sub {
    is_deeply $ctl->json(qw(--prefix other: tenant list))->{doc}, [], 'empty';
    my $events = $redis->subscribe('other:events');
    is $ctl->run(qw(--prefix other: tenant add pre --project p))->{code}, 0, 'a tenant';
    ok $redis->command('EXISTS', 'other:tenant:pre'), 'its key';
    is decode_json($events->message(2))->{tenant}, 'pre', 'its channel';
    ok !$redis->command('EXISTS', 'amp:tenant:pre'), 'and not with the default prefix';
};

subtest 'Redis is down: exit 3 from every command that needs it' => sub {
    my $dead = Gateway::Redis::closed_port();
    my $key = $ctl->file('key', 'sk');
    for my $args (
        [qw(tenant add a --project p)], (map { [ 'tenant', $_, 'a' ] } qw(show disable enable remove)), [qw(tenant list)],
        [qw(token issue a)], [qw(token list a)], [qw(token revoke a.x3Kf0a9QzT)],
        [qw(key set a --key-file), $key], [qw(key list a)], [qw(key verify a)], [qw(key retire a k1)],
        [qw(limit set a --rate 5/s)], [qw(limit show a)], [qw(grant set a --allow read)], [qw(grant show a)],
        [qw(cache purge a)], [qw(masterkey rewrap)],
    ) {
        my $r = redis_at("redis://127.0.0.1:$dead", @$args);
        is $r->{code}, 3, "@$args";
        is $r->{doc}{error}{code}, 'redis_unreachable', 'code';
    }
    is redis_at("unix:$sock.none")->{code}, 3, 'no socket';
    is redis_at("redis://no-such-host.invalid")->{code}, 3, 'no such host';
};

subtest 'a Redis that hangs: exit 3 after the time-out' => sub {
    $redis->pause;
    my $r = $ctl->json(qw(tenant list --timeout 300ms));
    $redis->resume;
    is $r->{code}, 3, 'exit 3';
    like $r->{doc}{error}{message}, qr/did not answer within 300 ms/, 'message';
};

subtest 'passwords: in the URL, percent-encoded, in a file; never shown' => sub {
    my $locked = Gateway::Redis->start('--requirepass', 'pa:s@canary');
    $locked->command(qw(ACL SETUSER ops on >opscanary ~amp:* &amp:* +@all));
    $locked->command(qw(ACL SETUSER reader on >opscanary ~amp:* &amp:* +@read +select));
    my $at = '127.0.0.1:' . $locked->port;
    my $r = redis_at("redis://$at");
    is $r->{code}, 3, 'none';
    is $r->{doc}{error}{code}, 'redis_auth', 'code';
    like $r->{doc}{error}{remedy}, qr/--redis-password-file/, 'remedy';
    is redis_at("redis://:wrongcanary\@$at")->{doc}{error}{code}, 'redis_auth', 'a wrong one';
    is redis_at("redis://:pa%3As%40canary\@$at")->{code}, 0, 'percent-encoded';
    is redis_at("redis://default:pa:s\@canary\@$at")->{code}, 0, 'not encoded';
    is redis_at("redis://ops:opscanary\@$at", qw(tenant add acme --project p))->{code}, 0, 'a user';
    my $file = $ctl->file('pw', "opscanary\n");
    is redis_at("redis://ops\@$at", qw(tenant list --redis-password-file), $file)->{code}, 0, 'a file';
    is redis_at("redis://ops:x\@$at", qw(tenant list --redis-password-file), $file)->{code}, 2, 'a password in both places';
    is redis_at("redis://$at", qw(tenant list --redis-password-file /nonexistent))->{code}, 1, 'no such file';
    is redis_at("redis://:x\@127.0.0.1:$port")->{doc}{error}{code}, 'redis_auth', 'a password for a Redis without one';
    $r = redis_at("redis://reader:opscanary\@$at", qw(tenant disable acme));
    is $r->{code}, 3, 'a user without the right to write';
    is $r->{doc}{error}{code}, 'redis_permission', 'code';
    like $r->{doc}{error}{remedy}, qr/ACL SETUSER reader .* \+eval /, 'remedy';
};

subtest 'a replica, and a Redis without memory' => sub {
    my $other = Gateway::Redis->start;
    $ctl->{env}{AMPERSAND_REDIS} = $other->url;
    $ctl->run(qw(tenant add acme --project p));
    $other->command(qw(CONFIG SET maxmemory 1));
    my $r = $ctl->json(qw(tenant disable acme));
    is $r->{code}, 3, 'no memory';
    is $r->{doc}{error}{code}, 'redis_memory', 'code';
    $other->command(qw(CONFIG SET maxmemory 0));
    $other->command(qw(CONFIG SET replica-serve-stale-data yes));
    $other->command('REPLICAOF', '127.0.0.1', Gateway::Redis::free_port());
    is $ctl->run(qw(tenant list))->{code}, 0, 'a replica can be read';
    $r = $ctl->json(qw(tenant disable acme));
    is $r->{code}, 3, 'not written';
    is $r->{doc}{error}{code}, 'redis_readonly', 'code';
    $ctl->{env}{AMPERSAND_REDIS} = $redis->url;
};

subtest 'error replies: each has its code and remedy' => sub {
    my %codes = (
        '-LOADING Redis is loading the dataset in memory' => 'redis_loading',
        '-MISCONF Redis is configured to save RDB snapshots' => 'redis_persistence',
        '-MASTERDOWN Link with MASTER is down' => 'redis_readonly',
        '-MOVED 3999 127.0.0.1:6381' => 'redis_cluster',
        '-BUSY Redis is busy running a script.' => 'redis_busy',
        '-ERR DB index is out of range' => 'redis_database',
        '-ERR something new' => 'redis_error',
        'HTTP/1.1 400 Bad Request' => 'redis_protocol',
        "-ERR unknown command 'SSCAN'" => 'redis_command',
    );
    for my $answer (sort keys %codes) {
        my $listen = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die $!;
        my $pid = fork // die $!;
        if ($pid == 0) {
            my $c = $listen->accept;
            sysread $c, my $in, 4096;
            syswrite $c, "$answer\r\n";
            sysread $c, $in, 4096;
            POSIX::_exit(0);
        }
        my $r = redis_at('redis://127.0.0.1:' . $listen->sockport);
        kill 'KILL', $pid;
        waitpid $pid, 0;
        is $r->{code}, 3, $answer;
        is $r->{doc}{error}{code}, $codes{$answer}, 'code';
        ok length $r->{doc}{error}{remedy}, 'remedy';
    }
    $redis->command('LPUSH', 'amp:tenant:list', 1);
    my $r = $ctl->json(qw(tenant show list));
    is $r->{code}, 1, 'a key of another type under a tenant key name';
    is $r->{doc}{error}{code}, 'bad_record', 'code';
    $redis->command('DEL', 'amp:tenant:list');
};

subtest 'malformed replies of Sentinels and cluster nodes: exit 3' => sub {
    my $fake = Gateway::FakeRedis->start;
    my $port = $fake->port;
    my ($a, $e) = (sub { '*' . @_ . "\r\n" . join '', @_ }, sub { '$' . length($_[0]) . "\r\n$_[0]\r\n" });
    my $slots = sub { $a->(map { $a->(@$_) } @_) };
    my %answers = (
        SENTINEL => [
            "+OK\r\n", ":1\r\n", "*0\r\n", "*-1\r\n", $a->($e->('h')), $a->($e->('127.0.0.1'), $e->('0')),
            $a->($e->('127.0.0.1'), $e->('70000')), $a->($e->('x' x 300), $e->('1')), $a->($e->(''), $e->('1')),
            $a->(":1\r\n", ":1\r\n"), "-IDONTKNOW\r\n", '-' . 'x' x 5000 . "\r\n", '$99999999999' . "\r\n",
        ],
        CLUSTER => [
            "+OK\r\n", "\$-1\r\n", "*0\r\n", "*-1\r\n", $slots->([]), $slots->([ ":0\r\n", ":16383\r\n" ]),
            $a->("+x\r\n"), $slots->([ ":-1\r\n", ":5\r\n", $a->($e->('127.0.0.1'), ":$port\r\n") ]),
            $slots->([ ":0\r\n", ":16384\r\n", $a->($e->('127.0.0.1'), ":$port\r\n") ]),
            $slots->([ ":0\r\n", ":16383\r\n", $a->($e->('127.0.0.1'), ":70000\r\n") ]),
            $slots->([ ":0\r\n", ":16383\r\n", $a->($e->('x' x 300), ":1\r\n") ]),
            $slots->([ ":0\r\n", ":16383\r\n", $a->($e->('?'), ":1\r\n") ]),
            $slots->([ ":0\r\n", ":16383\r\n", "+x\r\n" ]), $slots->([ "+x\r\n", "+y\r\n", "+z\r\n" ]),
            "*2147483647\r\n", "-ERR\r\n", "x\r\n",
        ],
    );
    my %url = (SENTINEL => "redis+sentinel://127.0.0.1:$port/main", CLUSTER => "redis+cluster://127.0.0.1:$port");
    for my $on (sort keys %answers) {
        for my $reply (@{ $answers{$on} }) {
            $fake->fault({ on => $on, reply => $reply });
            is redis_at($url{$on}, qw(--timeout 300ms tenant list))->{code}, 3, substr "$on $reply" =~ s/\r\n/ /gr, 0, 70;
        }
    }
    my $all = $slots->([ ":0\r\n", ":16383\r\n", $a->("\$-1\r\n", ":$port\r\n") ]);
    for my $reply ('-MOVED 1 :0', '-MOVED 1', '-ASK x', "-MOVED 3999 127.0.0.1:$port", "-ASK 3999 :$port", '-TRYAGAIN x', '-CLUSTERDOWN x') {
        $fake->fault({ on => 'CLUSTER', reply => $all }, { on => 'SSCAN', reply => "$reply\r\n" });
        is redis_at($url{CLUSTER}, qw(--timeout 300ms tenant list))->{code}, 3, $reply;
        ok $fake->count('SSCAN') < 20, 'retried with pauses' or diag $fake->count('SSCAN');
        $fake->clear;
    }
};

subtest 'tenants are read again when their server is replaced by another one' => sub {
    my $fake = Gateway::FakeRedis->start(data => { map { ("amp:tenant:$_" =>
        qq({"v":1,"rev":1,"id":"$_","project":{"id":"p"},"keys":[]})) } qw(a b c) });
    my $slots = "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n\$9\r\n127.0.0.1\r\n:" . $fake->port . "\r\n";
    my $part = sub { my ($cursor, @ids) = @_;
        "*2\r\n\$1\r\n$cursor\r\n*" . @ids . "\r\n" . join '', map { "\$1\r\n$_\r\n" } @ids };
    $fake->fault({ on => 'CLUSTER', reply => $slots },
        { on => 'SSCAN', times => 1, reply => $part->(7, 'b') }, { on => 'SSCAN', times => 1, close => 1, cut => 0 },
        { on => 'SSCAN', times => 1, reply => $part->(0, 'a') }, { on => 'SSCAN', reply => $part->(0, qw(c b a)) });
    my $r = redis_at('redis+cluster://127.0.0.1:' . $fake->port, qw(tenant list));
    is $r->{code}, 0, 'done';
    is_deeply [ map { $_->{id} } @{ $r->{doc} } ], [qw(a b c)], 'all of them, each once';
};

subtest 'scripts work again after SCRIPT FLUSH' => sub {
    $redis->command(qw(SCRIPT FLUSH));
    is $ctl->run(qw(tenant disable zero))->{code}, 0, 'one';
    is $ctl->run(qw(tenant enable zero))->{code}, 0, 'again';
};

subtest 'Redis holds neither tokens nor keys in plaintext' => sub {
    my $key = $ctl->file('key', "sk_canary_stored\n");
    my @tokens = (
        $ctl->json(qw(tenant add vault --project p --key-file), $key)->{doc}{token},
        map { $ctl->json(qw(token issue vault))->{doc}{token} } 1 .. 3,
    );
    $ctl->run(qw(key set vault --key-file), $key);
    my $dump = '';
    for my $name (@{ $redis->command('KEYS', '*') }) {
        my $type = $redis->command('TYPE', $name);
        my $value = $type eq 'string' ? [ $redis->command('GET', $name) ]
            : $type eq 'hash' ? $redis->command('HGETALL', $name)
            : $type eq 'stream' ? [ JSON::PP::encode_json($redis->command('XRANGE', $name, '-', '+')) ]
            : $redis->command('SMEMBERS', $name);
        $dump .= join "\n", $name, @$value, '';
    }
    like $dump, qr/vault/, 'the dump holds the tenant';
    unlike $dump, qr/sk_canary/, 'no key';
    unlike $dump, qr/agw_/, 'no token';
    is scalar(grep { index($dump, substr $_, 4, 30) >= 0 } @tokens), 0, 'nor its random part';
    open my $f, '<', $ctl->dir . '/master.key'; my $master = <$f>; chomp $master;
    ok index($dump, $master) < 0, 'no master key';
};

unlike $ctl->said, qr/canary/, 'no command has printed a secret';

done_testing;
