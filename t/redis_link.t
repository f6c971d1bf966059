# The link to a real Redis: how it logs in, the log line when Redis refuses that,
# what happens when Redis stops, freezes, comes back, loses its data; and that a
# change is applied by every worker.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA ();
use Gateway;
use Gateway::FakeRedis;
use Gateway::Redis;
use Gateway::Workers;
use JSON::PP ();
use Test::More;

my $path = '/v1/integrations';
my $secret = 'canary-s3cret@:/';
my $quoted = 'canary-s3cret%40%3A%2F';

subtest 'logging in' => sub {
    my $redis = Gateway::Redis->start('--requirepass', $secret, '--unixsocketperm', '777');
    chmod 0755, $redis->dir;    # workers may run as another user
    $redis->command('ACL', 'SETUSER', 'gate', 'on', ">$secret", '~*', '&*', '+@all');
    $redis->command('ACL', 'SETUSER', 'no-channel', 'on', ">$secret", '~*', 'resetchannels', '+@all');
    my $port = $redis->port;
    my $file = $redis->dir . '/password';
    open my $f, '>', $file or die $!;
    print $f "$secret\n";
    close $f;
    chmod 0600, $file;
    my $admin = "redis://default:$quoted\@127.0.0.1:$port";

    my @fine = (
        [ 'password in the URL', "redis://:$quoted\@127.0.0.1:$port", 0, '' ],
        [ 'user and password',   "redis://gate:$quoted\@127.0.0.1:$port/0", 0, '' ],
        [ 'password_file=',      "redis://127.0.0.1:$port", 0, "password_file=$file" ],
        [ 'user, password_file=', "redis://gate\@127.0.0.1:$port/3", 3, "password_file=$file" ],
        [ 'a unix socket',       'unix:' . $redis->socket, 0, "password_file=$file" ],
        [ 'its database',        'unix:' . $redis->socket . '?db=5', 5, "password_file=$file" ],
        [ 'prefix=',             "redis://:$quoted\@127.0.0.1:$port/1", 1, 'prefix=other:', '--prefix', 'other:' ],
    );
    for (@fine) {
        my ($name, $url, $db, $args, @ctl) = @$_;
        my $gw = Gateway->start(redis => $redis, redis_url => $url, redis_args => $args);
        my $token = eval { $gw->tenant("t$db", args => [ '--redis', "$admin/$db", @ctl ]) };
        SKIP: {
            if (!$token && "@ctl") {
                skip 'ampctl has no --prefix', 1;
            }
            is $gw->get($path, token => $token // '')->{status}, 200, $name or diag $@, $gw->error_log;
        }
        is_deeply [ $gw->errors ], [], 'no error in the log';
        unlike $gw->error_log, qr/canary/, 'no password in the log';
        $gw->ctl('tenant', 'remove', "t$db", '--redis', "$admin/$db", @ctl) if $token && $db < 2;
        $gw->stop;
    }

    my @wrong = (
        [ 'a wrong password', "redis://:canary-wrong\@127.0.0.1:$port", qr/answers with an error: WRONGPASS/ ],
        [ 'no password', "redis://127.0.0.1:$port", qr/answers with an error: NOAUTH/ ],
        [ 'an unknown user', "redis://nobody:$quoted\@127.0.0.1:$port", qr/answers with an error: WRONGPASS/ ],
        [ 'a database that does not exist', "redis://:$quoted\@127.0.0.1:$port/99", qr/answers with an error: ERR DB index is out of range/ ],
        [ 'a user without the channel', "redis://no-channel:$quoted\@127.0.0.1:$port", qr/answers with an error: NOPERM.*changes take effect/ ],
    );
    for (@wrong) {
        my ($name, $url, $line) = @$_;
        my $gw = Gateway->start(redis => $redis, redis_url => $url);
        ok $gw->wait_for(sub { $gw->errors }), "$name is an error";
        my $connects = $gw->status->{redis_connects_total};
        $gw->wait_for(sub { $gw->status->{redis_connects_total} > $connects + 1 });
        is scalar($gw->errors), 1, 'one line, however often it fails' or diag join "\n", $gw->errors;
        like +($gw->errors)[0], $line, 'the reason';
        unlike $gw->error_log, qr/canary/, 'no password in the log';
        $gw->stop;
    }

    my $fake = Gateway::FakeRedis->start;
    $fake->fault({ on => 'AUTH', reply => "-ERR unknown command 'AUTH', with args beginning with: 'canary-s3cret' \r\n" });
    my $gw = Gateway->start(redis => $redis, redis_url => "redis://:canary-s3cret\@127.0.0.1:" . $fake->port);
    ok $gw->wait_for(sub { $gw->errors }), 'an error reply that repeats the password';
    unlike $gw->error_log, qr/canary/, 'is not in the log';
    $gw->finish;
};

subtest 'a gateway that started before its Redis' => sub {
    my $redis = Gateway::Redis->start;
    my $gw = Gateway->start(redis => $redis);
    my $token = $gw->tenant('acme');
    my %keys = map { $_ => $redis->command('GET', $_) }
        grep { $redis->command('TYPE', $_) eq 'string' } @{ $redis->command('KEYS', 'amp:*') };
    $redis->stop;
    my ($old) = $gw->workers_pids;
    kill 'KILL', $old;
    $gw->wait_for(sub { my @now = $gw->workers_pids; @now && $now[0] != $old });
    is $gw->get($path, token => $token)->{status}, 503, 'answers 503';
    $redis->restart;
    $redis->command('SET', $_, $keys{$_}) for keys %keys;
    ok $gw->wait_for(sub { $gw->get($path, token => $token)->{status} == 200 }), 'serves when Redis has started';
    $gw->finish(killed => 1);
};

my $redis = Gateway::Redis->start;
my $gw = Gateway->start(redis => $redis, redis_args => 'timeout=500ms', workers => 2, Gateway::Workers::options());
my $token = $gw->tenant('acme');

my $all = Gateway::Workers->new($gw);

sub everywhere {
    my ($t, $status) = @_;
    return $all->statuses($t) eq "$status $status";
}

my $n = 0;
sub new_tenant { return $gw->tenant('n' . ++$n) }

subtest 'Redis goes and comes' => sub {
    ok everywhere($token, 200), 'a tenant is served';
    ok $gw->links_proven, 'every link is up';

    for my $type ('normal', 'pubsub') {
        $redis->command('CLIENT', 'KILL', 'TYPE', $type, 'SKIPME', 'yes');
        my $bad = grep { $gw->get($path, token => new_tenant())->{status} != 200 } 1 .. 4;
        is $bad, 0, "CLIENT KILL TYPE $type: no request fails";
    }
    is scalar($gw->errors), 0, 'and no error in the log';

    my $late = new_tenant();
    my %keys = map { $_ => $redis->command('GET', $_) }
        grep { $redis->command('TYPE', $_) eq 'string' } @{ $redis->command('KEYS', 'amp:*') };
    $redis->stop;
    ok everywhere($token, 200), 'stopped: a tenant in the zone is served';
    is $gw->get($path, token => $late)->{status}, 503, 'another one is not';
    $redis->restart;
    $redis->command('SET', $_, $keys{$_}) for keys %keys;
    ok $gw->wait_for(sub { everywhere($late, 200) }), 'started again: all are served';
    like $gw->error_log, qr/\[notice\].*is back/, 'which the log says';

    ok $gw->links_proven, 'every link is up';
    my $before = $gw->errors;
    my $frozen = new_tenant();
    $redis->pause;
    is $gw->get($path, token => $frozen)->{status}, 503, 'frozen: a tenant that is not in the zone gets 503';
    ok everywhere($token, 200), 'a tenant in the zone is served';
    $redis->resume;
    ok $gw->wait_for(sub { everywhere($frozen, 200) }), 'it goes on: served';
    my $lines = scalar($gw->errors) - $before;
    ok $lines >= 1 && $lines <= 2, 'one line a worker' or diag $lines;
};

subtest 'changes are applied' => sub {
    ok $gw->wait_for(sub { $gw->linked }), 'every link is up';
    my $t = new_tenant();
    my $id = "n$n";
    ok everywhere($t, 200), 'a tenant is served';

    my $change = sub {
        my ($status, $name, @command) = @_;
        $gw->ctl(@command);
        ok $gw->wait_for(sub { everywhere($t, $status) }), "$name: in every worker";
    };
    $change->(401, 'tenant disabled', 'tenant', 'disable', $id);
    $change->(200, 'tenant enabled', 'tenant', 'enable', $id);
    my $events = $gw->status->{events_total};
    $gw->ctl('key', 'set', $id, '--key-file', '-', \"another-key\n");
    ok $gw->wait_for(sub { $gw->status->{events_total} > $events }), 'key set: an event';
    $gw->upstream->clear;
    $all->get("$path?fresh=$_", token => $t) for 1, 2;
    my @sent = map { scalar Gateway::Upstream::header($_, 'x-api-key') } $gw->upstream->requests;
    is_deeply [ grep { $_ ne 'another-key' } @sent ], [], 'every worker sends the new key';
    my ($tid) = map { $_->{id} } @{ (sub { ref $_[0] eq 'ARRAY' ? $_[0] : $_[0]{tokens} })->(JSON::PP::decode_json($gw->ctl('token', 'list', $id, '--json'))) };
    $change->(401, 'token revoked', 'token', 'revoke', $tid);

    my $other = new_tenant();
    ok everywhere($other, 200), 'another tenant';
    my $record = $redis->command('GET', "amp:tenant:n$n");
    $record =~ s/"disabled":\s*false/"disabled":true/ or $record =~ s/\}\s*\z/,"disabled":true}/;
    $redis->command('SET', "amp:tenant:n$n", $record);    # no event
    ok everywhere($other, 200), 'a change without an event: not applied yet';
    $redis->command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    ok $gw->wait_for(sub { everywhere($other, 401) }), 'applied when the subscription was cut';

    ok everywhere($token, 200), 'the first tenant is verified';
    $redis->command('FLUSHALL');
    ok everywhere($token, 200), 'FLUSHALL: a tenant in the zone is served';
    $redis->command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    ok $gw->wait_for(sub { everywhere($token, 401) }), 'until it is verified';

    $redis->command('CONFIG', 'SET', 'maxmemory', '1');
    is $gw->get($path, token => $token)->{status}, 401, 'a full Redis still answers look-ups';
    $redis->command('CONFIG', 'SET', 'maxmemory', '0');
};
$gw->finish;

subtest 'a late reply does not undo a change' => sub {
    my $real = Gateway::Redis->start;
    my $fake = Gateway::FakeRedis->start;
    my $gw = Gateway->start(redis => $real, redis_url => $fake->url, redis_args => 'timeout=60s', workers => 2);
    my $late = sub {
        my ($id, $key, $on, $event, $change, $expected, $name) = @_;
        my $t = $gw->tenant($id, args => [ '--redis', $real->url ]);
        $fake->copy($real);
        $gw->wait_for(sub { $gw->status->{redis_events_up} });
        my $digest = Digest::SHA::sha256_hex($t);
        my %e = (v => 1, %$event, $event->{type} eq 'token' ? (token => $digest) : ());
        my $events = $gw->status->{events_total};
        $fake->fault({ on => $on, key => $key, hold => 1, times => 1 });
        my $s = $gw->connect;
        syswrite $s, "GET $path HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Api-Key: $t\r\n\r\n";
        $gw->wait_for(sub { $fake->count($on, qr/$key/) });    # the old reply is held back
        $change->($digest);
        $fake->publish('amp:events', JSON::PP::encode_json(\%e));
        ok $gw->wait_for(sub { $gw->status->{events_total} > $events }), "$name: the event is applied";
        $fake->release;
        is Gateway::read_response($s)->{status}, $expected, "$name: the request gets the new state";
        is $gw->get($path, token => $t)->{status}, $expected, 'and so does the next';
        $fake->fault;
        $fake->clear;
    };
    $late->('rev', 'token', 'GET', { type => 'token', tenant => 'rev' },
        sub { $fake->set("amp:token:$_[0]" => undef) }, 401, 'token revoked');
    $late->('dis', 'tenant:dis', 'GET', { type => 'tenant', tenant => 'dis', rev => 9 },
        sub {
            my $record = JSON::PP::decode_json($real->command('GET', 'amp:tenant:dis'));
            $fake->set('amp:tenant:dis' => JSON::PP::encode_json({ %$record, rev => 9, disabled => JSON::PP::true() }));
        }, 401, 'tenant disabled');
    $gw->finish;
};

done_testing;
