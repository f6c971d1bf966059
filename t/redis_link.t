# The link to a real Redis: how it logs in, what it says when it may not, what
# happens when Redis goes, freezes, comes back, loses its data; and how fast a
# change reaches every worker.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA ();
use Gateway;
use Gateway::FakeRedis;
use Gateway::Redis;
use JSON::PP ();
use Test::More;
use Time::HiRes qw(sleep time);

my $path = '/v1/integrations';
my $secret = 'canary-s3cret@:/';
my $quoted = 'canary-s3cret%40%3A%2F';

sub errors { return grep { /\[error\].*ampersand: / } split /\n/, $_[0]->error_log }

subtest 'logging in' => sub {
    my $redis = Gateway::Redis->start('--requirepass', $secret, '--unixsocketperm', '777');
    chmod 0755, $redis->dir;    # workers may run as another user
    $redis->command('ACL', 'SETUSER', 'gate', 'on', ">$secret", '~*', '&*', '+@all');
    $redis->command('ACL', 'SETUSER', 'deaf', 'on', ">$secret", '~*', 'resetchannels', '+@all');
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
        is_deeply [ errors($gw) ], [], 'nothing to say';
        unlike $gw->error_log, qr/canary/, 'least of all the password';
        $gw->ctl('tenant', 'remove', "t$db", '--redis', "$admin/$db", @ctl) if $token && $db < 2;
        $gw->stop;
    }

    my @wrong = (
        [ 'a wrong password', "redis://:canary-wrong\@127.0.0.1:$port", qr/answers with an error: WRONGPASS/ ],
        [ 'no password', "redis://127.0.0.1:$port", qr/answers with an error: NOAUTH/ ],
        [ 'an unknown user', "redis://nobody:$quoted\@127.0.0.1:$port", qr/answers with an error: WRONGPASS/ ],
        [ 'a database that is not there', "redis://:$quoted\@127.0.0.1:$port/99", qr/answers with an error: ERR DB index is out of range/ ],
        [ 'a user without the channel', "redis://deaf:$quoted\@127.0.0.1:$port", qr/answers with an error: NOPERM.*changes take effect/ ],
    );
    for (@wrong) {
        my ($name, $url, $line) = @$_;
        my $gw = Gateway->start(redis => $redis, redis_url => $url);
        ok $gw->wait_for(sub { errors($gw) }), "$name is an error";
        sleep 0.5;
        is scalar(errors($gw)), 1, 'said once' or diag join "\n", errors($gw);
        like +(errors($gw))[0], $line, 'and clearly';
        unlike $gw->error_log, qr/canary/, 'without the password';
        $gw->stop;
    }

    my $fake = Gateway::FakeRedis->start;
    $fake->fault({ on => 'AUTH', reply => "-ERR unknown command 'AUTH', with args beginning with: 'canary-s3cret' \r\n" });
    my $gw = Gateway->start(redis => $redis, redis_url => "redis://:canary-s3cret\@127.0.0.1:" . $fake->port);
    ok $gw->wait_for(sub { errors($gw) }), 'a Redis that repeats the password';
    unlike $gw->error_log, qr/canary/, 'is not quoted';
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
    ok $gw->wait_for(sub { $gw->get($path, token => $token)->{status} == 200 }), 'serves when Redis is there';
    $gw->stop;
};

my $redis = Gateway::Redis->start;
my $gw = Gateway->start(redis => $redis, workers => 2, http => 'ampersand_tenant_ttl 1h;');
my $token = $gw->tenant('acme');

# Each worker in turn, over enough connections to meet both.

sub everywhere {
    my ($t, $status) = @_;
    return !grep { $gw->get($path, token => $t)->{status} != $status } 1 .. 6;
}

my $n = 0;
sub newcomer { return $gw->tenant('n' . ++$n) }

subtest 'Redis goes and comes' => sub {
    ok everywhere($token, 200), 'a tenant is served';
    $gw->wait_for(sub { $gw->status->{redis_events_up} });
    my $new = newcomer();
    sleep 1.1;    # the links have proven themselves

    for my $type ('normal', 'pubsub') {
        $redis->command('CLIENT', 'KILL', 'TYPE', $type, 'SKIPME', 'yes');
        my $bad = grep { $gw->get($path, token => newcomer())->{status} != 200 } 1 .. 4;
        is $bad, 0, "CLIENT KILL TYPE $type: no request fails";
    }
    is scalar(errors($gw)), 0, 'and it is no error';

    my $late = newcomer();
    my %keys = map { $_ => $redis->command('GET', $_) }
        grep { $redis->command('TYPE', $_) eq 'string' } @{ $redis->command('KEYS', 'amp:*') };
    $redis->stop;
    ok everywhere($token, 200), 'stopped: a known tenant is served';
    is $gw->get($path, token => $late)->{status}, 503, 'an unknown one is not';
    $redis->restart;
    $redis->command('SET', $_, $keys{$_}) for keys %keys;
    ok $gw->wait_for(sub { everywhere($late, 200) }), 'started again: all are served';
    like $gw->error_log, qr/\[notice\].*is back/, 'and the log says so';

    sleep 1.1;
    my $before = errors($gw);
    my $frozen = newcomer();
    $redis->pause;
    my $start = time;
    is $gw->get($path, token => $frozen)->{status}, 503, 'frozen: an unknown tenant gets 503';
    cmp_ok time - $start, '<', 0.5, 'in time';
    ok everywhere($token, 200), 'a known one is served';
    sleep 0.3;
    $redis->resume;
    ok $gw->wait_for(sub { everywhere($frozen, 200) }), 'thawed: served';
    my $lines = errors($gw) - $before;
    ok $lines >= 1 && $lines <= 2, 'one line a worker' or diag $lines;
};

subtest 'changes are heard of' => sub {
    ok $gw->wait_for(sub {
        my $s = $gw->status;
        $s->{redis_events_up} && $s->{redis_links_up} == $s->{redis_links};
    }), 'every worker has its link, one the events';
    my $t = newcomer();
    my $id = "n$n";
    ok everywhere($t, 200), 'a tenant is served';

    my $within = sub {
        my ($status, $name, @command) = @_;
        $gw->ctl(@command);
        my $end = time + 0.1;
        sleep 0.005 until time > $end || $gw->get($path, token => $t)->{status} == $status;
        cmp_ok time, '<=', $end + 0.05, "$name: within 100 ms";
        ok everywhere($t, $status), 'in every worker';
    };
    $within->(401, 'tenant disabled', 'tenant', 'disable', $id);
    $within->(200, 'tenant enabled', 'tenant', 'enable', $id);
    $gw->ctl('key', 'set', $id, '--key-file', '-', \"another-key\n");
    $gw->upstream->clear;
    sleep 0.1;
    $gw->get("$path?fresh=$_", token => $t) for 1 .. 4;
    my @sent = map { scalar Gateway::Upstream::header($_, 'x-api-key') } $gw->upstream->requests;
    is_deeply [ grep { $_ ne 'another-key' } @sent ], [], 'key set: the new one goes upstream from every worker';
    my ($tid) = map { $_->{id} } @{ (sub { ref $_[0] eq 'ARRAY' ? $_[0] : $_[0]{tokens} })->(JSON::PP::decode_json($gw->ctl('token', 'list', $id, '--json'))) };
    $within->(401, 'token revoked', 'token', 'revoke', $tid);

    my $other = newcomer();
    ok everywhere($other, 200), 'another tenant';
    my $record = $redis->command('GET', "amp:tenant:n$n");
    $record =~ s/"disabled":\s*false/"disabled":true/ or $record =~ s/\}\s*\z/,"disabled":true}/;
    $redis->command('SET', "amp:tenant:n$n", $record);    # nobody is told
    ok everywhere($other, 200), 'a change that nobody was told of is not seen yet';
    $redis->command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    ok $gw->wait_for(sub { everywhere($other, 401) }), 'it is when the subscription was cut';

    ok everywhere($token, 200), 'the first tenant was asked for again';
    $redis->command('FLUSHALL');
    ok everywhere($token, 200), 'FLUSHALL: a known tenant is served';
    $redis->command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    ok $gw->wait_for(sub { everywhere($token, 401) }), 'until it was asked for again';

    $redis->command('CONFIG', 'SET', 'maxmemory', '1');
    is $gw->get($path, token => $token)->{status}, 401, 'a full Redis still answers look-ups';
    $redis->command('CONFIG', 'SET', 'maxmemory', '0');
};
$gw->finish;

subtest 'a late answer never revives what a change has ended' => sub {
    my $real = Gateway::Redis->start;
    my $fake = Gateway::FakeRedis->start;
    my $gw = Gateway->start(redis => $real, redis_url => $fake->url, workers => 2);
    my $late = sub {
        my ($id, $key, $on, $event, $change, $expected, $name) = @_;
        my $t = $gw->tenant($id, args => [ '--redis', $real->url ]);
        $fake->copy($real);
        $gw->wait_for(sub { $gw->status->{redis_events_up} });
        my $digest = Digest::SHA::sha256_hex($t);
        my %e = (v => 1, %$event, $event->{type} eq 'token' ? (token => $digest) : ());
        $fake->fault({ on => $on, key => $key, delay => 0.05, publish => JSON::PP::encode_json(\%e), times => 1 });
        my $s = $gw->connect;
        syswrite $s, "GET $path HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Api-Key: $t\r\n\r\n";
        $gw->wait_for(sub { $fake->count($on, qr/$key/) });    # the old answer is on its way
        $change->($digest);
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
