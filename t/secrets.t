#!/usr/bin/perl

# Secrets are placed in keys, tokens, headers, paths and bodies, and every code path
# is exercised; then no log, file, Redis value, shared memory or answer holds one.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::Canary;
use Gateway::Redis;
use Gateway::Upstream;
use IO::Socket::INET ();
use JSON::PP ();
use MIME::Base64 qw(decode_base64);
use Socket qw(SOL_SOCKET SO_LINGER);
use Test::More;

my $c = Gateway::Canary->new;
my $tmp = File::Temp->newdir;

sub slurp {
    my ($path) = @_;
    open my $f, '<:raw', $path or die "$path: $!";
    local $/;
    return <$f>;
}

sub file {
    my ($name, $text) = @_;
    open my $f, '>', "$tmp/$name" or die $!;
    print $f $text;
    close $f;
    chmod 0600, "$tmp/$name";
    return "$tmp/$name";
}

# do=... in the query selects the upstream's answer.

sub answer {
    my ($req) = @_;
    my ($do) = $req->{target} =~ /\bdo=(\w+)/;
    my $key = Gateway::Upstream::header($req, 'x-api-key') // '';
    my $echo = "$req->{head}\r\n\r\n$req->{body}";
    return undef unless $do;
    return { status => 500, body => $echo, headers => [ 'X-Api-Key' => $key ] }
        if $do eq 'echo500';
    return { status => 503, body => $echo, close => 1 } if $do eq 'echo503';
    return { status => 404, body => $echo } if $do eq 'echo404';
    return { headers => [ 'X-Api-Key' => $key, 'Set-Cookie' => "k=$key" ] } if $do eq 'header';
    return { drop => 1 } if $do eq 'drop';
    return { delay => 5 } if $do eq 'slow';
    return { delay => 2, body => '{"slow":true}' } if $do eq 'late';
    return { body => 'x' x 4_000_000 } if $do eq 'big';
    return "garbage without a header\r\n\r\n" if $do eq 'garbage';
    return "HTTP/1.1 200 OK\r\nX-Odd\x01: 1\r\n\r\n" if $do eq 'control';
    return "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut" if $do eq 'cut';
    return { headers => [ 'Cache-Control' => 'max-age=1' ], body => '{"stale":true}' } if $do eq 'stale';
    return undef;
}

my $upstream = Gateway::Upstream->start(\&answer);

my $password = $c->plant('the Redis password');
my $redis = Gateway::Redis->start('--requirepass', $password, '--appendonly', 'yes');
my $pwfile = file('redis.pw', "$password\n");

# The shipped files, with a shorter timeout except for destinations, and one API
# whose upstream is missing.

my $proxy = slurp("$Gateway::ROOT/conf/ampersand/proxy.conf");
my $patient_file = file('patient.conf', $proxy);
$proxy .= "proxy_read_timeout 400ms;\n";
my $proxy_file = file('proxy.conf', $proxy);
my $gateway = slurp("$Gateway::ROOT/conf/ampersand/gateway.conf");
$gateway =~ s/ampersand\/proxy\.conf/$proxy_file/g;
$gateway =~ s/(ampersand\s+search;)/$1 ampersand_upstream http:\/\/absent;/ or die 'search';
$gateway =~ s/(location \/read\/v1 \{.*?\})/location \/v1\/destinations { ampersand platform; include $patient_file; }\n$1/s;

my $absent = Gateway::Redis::free_port();
my $gw = Gateway->start(
    workers => 2, count => 1, redis => $redis, redis_args => "timeout=150ms password_file=$pwfile",
    upstream => $upstream->url, gateway => $gateway,
    http => "upstream absent { server 127.0.0.1:$absent; }\nlog_subrequest on;\n"
          . "ampersand_cache_stale 60s; ampersand_cache_ttl default 1m;",
);

my %master = (first => slurp($gw->dir . '/master.key'));
$master{first} =~ s/\s//g;
$c->bytes('the master key', $master{first});

my $said = '';          # all that ampctl has said
my $answers = '';       # all that clients have got

# Runs ampctl and collects its output, without the token that it may show.

sub ctl {
    my (@args) = @_;
    my @stdin = ref $args[-1] ? pop @args : ();
    my ($exit, $out, $err) = $gw->try_ctl(@args, '--redis-password-file', $pwfile, @stdin);
    $said .= $out . $err;
    return { exit => $exit, out => $out, err => $err };
}

sub tenant {
    my ($id, $key, @args) = @_;
    my ($exit, $out, $err) = $gw->try_ctl('tenant', 'add', $id, '--project', "p-$id", '--key-file', '-',
        '--json', @args, '--redis-password-file', $pwfile, \"$key\n");
    die "tenant add: $err" if $exit;
    my $token = JSON::PP::decode_json($out)->{token};
    is(() = "$out$err" =~ /\Q$token\E/g, 1, "tenant add shows the token of $id, once");
    $said .= $err . ($out =~ s/\Q$token\E//r);
    return $c->plant("the token of $id", $token);
}

sub call {
    my ($method, $target, %r) = @_;
    my $res = $gw->request($method, $target, %r);
    $answers .= ($res->{head} // '') . "\n" . ($res->{body} // '') . "\n";
    return $res->{status};
}

my %token;
$token{acme} = tenant('acme', $c->plant('the Ampersand key of acme'), '--grant', 'catalog', '--grant', 'read',
                      '--grant', 'write', '--grant', 'data', '--grant', 'secrets');
$token{globex} = tenant('globex', $c->plant('the Ampersand key of globex'));
$token{gone} = tenant('gone', $c->plant('the Ampersand key of gone'));
$token{slow} = tenant('slow', $c->plant('the Ampersand key of slow'), '--rate', '1/m', '--burst', '1');

my $path   = $c->plant('an API key in a path');
my $body   = $c->plant('a credential in a body');
my $cookie = $c->plant('a cookie');
my $auth   = $c->plant('an Authorization');
my $query  = $c->plant('a query value');
my $header = $c->plant('a header');

my @odd = (headers => [ Cookie => "session=$cookie", 'X-Secret' => $header, 'Proxy-Authorization' => "Basic $auth",
                        Referer => "https://x.test/$path" ]);

sub spy { my ($dir) = $gw->dir; return -e "$dir/logs/access.log" ? slurp("$dir/logs/access.log") : '' }

# A client that sends these bytes and leaves when the code answers true.  True when
# its request is logged.

sub abort {
    my ($bytes, $reached, $reset) = @_;
    my $before = () = spy() =~ /\n/g;
    my $s = $gw->connect or die $!;
    syswrite $s, $bytes;
    my $logged = sub { (() = spy() =~ /\n/g) > $before };
    $gw->wait_for(sub { $reached->() || $logged->() });    # the upstream may time out before
    setsockopt $s, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0 if $reset;
    close $s;
    return $gw->wait_for($logged);
}

sub head { my ($method, $target, $token, @more) = @_;
    return "$method $target HTTP/1.1\r\nHost: g\r\nX-Api-Key: $token\r\nCookie: s=$cookie\r\n" . join('', map { "$_\r\n" } @more) . "\r\n";
}


subtest 'hits, misses and each kind of refusal' => sub {
    my $t = $token{acme};
    my @secret = (json => { name => 'x', type => 'webhook', metadata => {}, clientSecret => $body, secrets => { k => $body } });
    my @calls = (
        [ GET => '/v1/integrations', 200, token => $t ],
        [ GET => '/v1/integrations', 200, token => $t ],
        [ HEAD => '/v1/integrations', 200, token => $t ],
        [ GET => '/v1/projects/p-acme/integrations', 200, token => $t ],
        [ GET => '/v1/providers', 200, token => $t ],
        [ GET => '/v1/integrations', 200, headers => [ Authorization => "Bearer $t" ] ],
        [ GET => "/v1/api-keys/$path", 200, token => $t ],
        [ GET => "/v1/api-keys/$path?do=echo404", 404, token => $t, echo => 1 ],
        [ DELETE => "/v1/api-keys/$path", 200, token => $t ],
        [ PATCH => "/v1/api-keys/$path", 200, token => $t, json => { updateMask => ['label'], apiKey => { label => $body } } ],
        [ GET => "/v1/api-keys/$path", 403, token => $token{globex} ],
        [ PUT => "/v1/api-keys/$path", 405, token => $t ],
        [ GET => "/v1/projects/other/api-keys/$path", 403, token => $t ],
        [ GET => "/v1/nothing/$path", 404, token => $t ],
        [ GET => "/v1/api-keys/$path%2fx/y", 400, token => $t ],
        [ GET => "/v1/api-keys/../$path/%2e%2e/", 400, token => $t ],
        [ GET => "/elsewhere/$path", 404, token => $t ],
        [ GET => "/v1/integrations?apiKey=$query", 400, token => $t ],
        [ GET => "/v1/destinations/d?includeSecrets=true&x=$query", 200, token => $t ],
        [ GET => "/v1/destinations/d?includeSecrets=true&x=$query", 403, token => $token{globex} ],
        [ GET => "/v1/destinations/d?includeSecrets=$query", 200, token => $t ],
        [ POST => "/v1/destinations?x=$query", 200, token => $t, @secret ],
        [ POST => '/v1/provider-apps', 200, token => $t, @secret ],
        [ POST => '/v1/oauth-connect', 403, token => $t, json => { projectId => $body, x => $body } ],
        [ POST => '/v1/oauth-connect', 400, token => $t, body => "{\"projectId\": \"$body\", " ],
        [ POST => '/v1/provider-apps', 413, token => $t, headers => [ 'Content-Length' => 20_000_000 ] ],
        [ GET => '/v1/integrations', 401 ],
        [ GET => '/v1/integrations', 401, token => $auth ],
        [ GET => '/v1/integrations', 401, headers => [ Authorization => "Basic $auth" ] ],
        [ GET => '/v1/integrations', 401, headers => [ Authorization => "Bearer $auth" ] ],
        [ GET => '/v1/integrations', 401, token => $t, headers => [ Authorization => "Bearer $auth" ] ],
        [ GET => '/v1/integrations', 401, token => $t, headers => [ 'X-Api-Key' => $auth ] ],
        [ POST => '/read/v1/projects/p-acme/nothing', 404, token => $t ],
        [ GET => '/proxy/x?do=header', 200, token => $t ],
        [ GET => "/proxy/x/$path?k=$query", 200, token => $t ],
        [ POST => "/v1/provider-apps", 200, token => $token{slow} ],
        [ POST => "/v1/provider-apps", 429, token => $token{slow} ],
        [ GET => '/-/status', 200 ], [ GET => '/-/status?format=prometheus', 200 ], [ GET => '/-/status?format=html', 200 ],
    );
    for (@calls) {
        my ($method, $target, $status, %r) = @$_;
        my $echo = delete $r{echo};
        push @{ $r{headers} }, @{ $odd[1] };
        my $kept = $answers;
        my $got = call($method, $target, %r);
        is($got, $status, "$method: $status");
        diag(($target =~ s/cnry\w+/.../r)) if $got != $status;
        $answers = $kept if $echo;    # Ampersand's own error passes unchanged
    }

    # of an unknown token only the digest is sent to Redis and kept in memory
    my $unknown = $c->plant('a removed token', $token{gone});
    is(ctl('tenant', 'remove', 'gone')->{exit}, 0, 'a tenant is removed');
    is($gw->wait_for(sub { call(GET => '/v1/integrations', token => $unknown) == 401 }), 1, 'and its token unknown');
};


subtest 'an upstream that fails in every way' => sub {
    for (
        [ echo500 => 500, 1 ], [ echo503 => 503, 1 ], [ echo404 => 404, 1 ], [ header => 200 ],
        [ drop => 502 ], [ slow => 504 ], [ garbage => 502 ], [ control => 502 ], [ cut => 200 ],
    ) {
        my ($do, $status, $echo) = @$_;
        for my $try ([ GET => "/v1/api-keys/$path?do=$do" ], [ POST => "/v1/provider-apps?do=$do&x=$query" ],
                     [ GET => "/v1/integrations?do=$do" ])
        {
            my ($method, $target) = @$try;
            my $kept = $answers;
            my @body = $method eq 'POST' ? (json => { clientSecret => $body }) : ();
            is(call($method, $target, token => $token{acme}, @odd, @body), $status,
               "$method, $do: $status");
            $answers = $kept if $echo;
        }

        # failures in a row would suspend the host
        is(call(GET => "/v1/integrations?do=header&x=$do", token => $token{acme}), 200, 'an answer in between');
    }
    my $refused = call(POST => '/search/v1/projects/p-acme/integrations/i/objects/o/search', token => $token{acme}, json => { x => $body });
    ok($refused == 502 || $refused == 404, "a connection that is refused: 502") or diag($refused);
};


subtest 'answers that are cached, refreshed in the background, and buffered in files' => sub {
    is(call(GET => '/v1/integrations?do=stale', token => $token{acme}), 200, 'stored for a second');
    ok($gw->wait_for(sub {
        my $res = $gw->get('/v1/integrations?do=stale', token => $token{acme});
        $answers .= $res->{head} . $res->{body};
        return $res->{headers}{'x-cache-status'} eq 'STALE';
    }), 'given stale while it is refreshed in the background');

    my $s = $gw->connect;
    print $s head(GET => '/v1/destinations/d?do=big', $token{acme}, 'Connection: close');
    $s->flush;
    my $all = Gateway::read_response($s);
    is(length $all->{body}, 4_000_000, 'a large answer');

    is(call(POST => '/v1/destinations', token => $token{acme}, body => ('{"clientSecret":"' . $body x 4000 . '"}'),
            headers => [ 'Content-Type' => 'application/json' ]), 200, 'a large body');
};


subtest 'clients that leave in every state' => sub {
    my $t = $token{acme};
    my $seen = sub { my $n = scalar $upstream->requests; return sub { scalar($upstream->requests) > $n } };

    ok(abort(head(GET => "/v1/api-keys/$path?do=slow", $t), $seen->(), $_), 'while the upstream thinks') for 0, 1;
    ok(abort(head(POST => "/v1/provider-apps?x=$query", $t, 'Content-Length: 500000') . qq({"clientSecret":"$body") . ' ' x 200_000,
             sub { $gw->under_way == 1 }), 'in the middle of a body');
    ok(abort(head(POST => '/v1/oauth-connect', $t, 'Content-Length: 500') . qq({"x":"$body"), sub { $gw->under_way == 1 }),
       'in the middle of a body that the gateway reads');
    ok(abort(head(GET => '/v1/integrations/j?do=big', $t), $seen->()), 'in the middle of an answer');

    my $first = $gw->connect;
    print $first head(GET => '/v1/integrations/lock?do=late', $t, 'Connection: close');
    $first->flush;
    ok(abort(head(GET => '/v1/integrations/lock?do=late', $t), sub { $gw->under_way == 2 }), 'waiting for the cache');
    is(Gateway::read_response($first)->{status}, 504, 'the one in front of it');

    my $fresh = tenant('fresh', $c->plant('the Ampersand key of fresh'));
    $redis->pause;
    ok(abort(head(GET => "/v1/api-keys/$path", $fresh), sub { $gw->under_way == 1 }), 'during the look-up of the tenant');
    is(call(GET => '/v1/integrations', token => $fresh), 503, 'a slow Redis');
    $redis->resume;
    ok($gw->wait_for(sub { call(GET => '/v1/integrations', token => $fresh) == 200 }), 'which comes back');
};


subtest 'records that are corrupted or copied from another tenant' => sub {
    my $bad = $c->plant('a corrupted record');
    my $plain = $c->plant('a key in plaintext in a record');
    my $acme = JSON::PP::decode_json($redis->command('GET', 'amp:tenant:acme'));
    my $globex = JSON::PP::decode_json($redis->command('GET', 'amp:tenant:globex'));
    my %record = (
        'cut short'       => qq({"v":1,"rev":1,"id":"ID","project":{"id":"p-x","name":"$bad"),
        'not JSON'        => $bad,
        'no key'          => qq({"v":1,"rev":1,"id":"ID","project":{"id":"p-x"},"keys":[]}),
        'another tenant'  => JSON::PP::encode_json({ %$acme, note => $bad }),
        'a plaintext key' => qq({"v":1,"rev":1,"id":"ID","project":{"id":"p-x"},"keys":[{"id":"k1","sealed":"$plain","state":"active"}],"grants":{"allow":["read"]}}),
        'a key with an odd id' => qq({"v":1,"rev":1,"id":"ID","project":{"id":"p-x"},"keys":[{"id":"$bad $bad","sealed":"v1.$bad","state":"active"}]}),
    );
    my $n = 0;
    for my $what (sort keys %record) {
        my $id = 'bad' . ++$n;
        my $token = tenant($id, $c->plant("the Ampersand key of $id"));
        $redis->command('SET', "amp:tenant:$id", $record{$what} =~ s/ID/$id/r);
        my $before = $upstream->requests;
        is(call(GET => "/v1/integrations?x=$n", token => $token), 503, "$what: 503");
        is(scalar $upstream->requests, $before, '... and nothing is sent');
        ctl('tenant', 'show', $id, @$_) for [], ['--json'];
        ctl('key', 'list', $id);
        ctl('key', 'verify', $id);
    }
    ctl('tenant', 'list');
    ctl('doctor', @$_) for [], ['--json'];
    $redis->command('DEL', "amp:tenant:bad$_") for 1 .. $n;
    $redis->command('SREM', 'amp:tenants', "bad$_") for 1 .. $n;

    my $token = tenant('list', $c->plant('the Ampersand key of list'));
    $redis->command('DEL', 'amp:tenant:list');
    $redis->command('RPUSH', 'amp:tenant:list', $bad);
    is(call(GET => '/v1/integrations?x=list', token => $token), 503, 'not a string: 503');
    ctl('tenant', 'show', 'list');
    $redis->command('DEL', 'amp:tenant:list');

    ($token) = map { tenant($_, $c->plant("the Ampersand key of $_")) } 'mangled';
    for my $key (@{ $redis->command('KEYS', 'amp:token:*') }) {
        my $text = $redis->command('GET', $key);
        $redis->command('SET', $key, "{\"tenant\":\"$bad") if $text =~ /mangled/;
    }
    is(call(GET => '/v1/integrations?x=mangled', token => $token), 503, 'a token record that is cut short: 503');
    ctl('token', 'list', 'mangled');
    ctl('doctor');
    for my $key (@{ $redis->command('KEYS', 'amp:token:*') }) {
        $redis->command('DEL', $key) if index($redis->command('GET', $key), $bad) >= 0;
    }

    # keys that were sealed for other tenants
    $token = tenant('thief', $c->plant('the Ampersand key of thief'));
    my $thief = JSON::PP::decode_json($redis->command('GET', 'amp:tenant:thief'));
    for my $from ($acme, $globex) {
        $thief->{keys}[0] = { %{ $from->{keys}[0] }, state => 'active' };
        $thief->{rev}++;
        $redis->command('SET', 'amp:tenant:thief', JSON::PP::encode_json($thief));
        my $before = $upstream->requests;
        is(call(GET => "/v1/integrations?x=thief$thief->{rev}", token => $token), 503, 'a key that was moved from another tenant: 503');
        is(scalar $upstream->requests, $before, '... and nothing is sent');
        is(ctl('key', 'verify', 'thief')->{exit}, 1, 'ampctl does not open it either');
        $gw->reload;
    }
};


subtest 'reloads, and Redis down, away or with another password' => sub {
    ok($gw->reload, 'a reload');
    is(call(GET => '/v1/integrations?x=reload', token => $token{acme}), 200, 'served after it');

    my $wrong = $c->plant('a wrong Redis password');
    file('redis.pw', "$wrong\n");
    $gw->reload;
    ok($gw->wait_for(sub { $gw->error_log =~ /WRONGPASS/ }), 'the error log names the wrong password\'s error reply');
    call(GET => '/v1/integrations', token => $token{globex});
    ctl('tenant', 'list', @$_) for [], ['--json'];
    file('redis.pw', "$password\n");
    $gw->reload;

    $redis->stop;
    $gw->wait_for(sub { call(GET => '/v1/integrations', token => $token{fresh} // $token{globex}) });
    ctl($_->[0], @$_[1 .. $#$_]) for [ 'tenant', 'list' ], [ 'doctor' ], [ 'doctor', '--json' ], [ 'token', 'issue', 'acme' ];
    call(GET => '/-/status');
    ok(1, 'Redis is down');
    $redis->restart;
};


# A Redis whose error reply repeats its arguments: an old version, or one that has
# renamed AUTH.

subtest 'a Redis that repeats the password in its error reply' => sub {
    my $secret = $c->plant('a password that Redis repeats');
    my $echo = Gateway::Redis->start('--requirepass', $secret, '--rename-command', 'AUTH', 'HTUA');
    my $file = file('echo.pw', "$secret\n");
    my $other = Gateway->start(redis => $echo, redis_args => "password_file=$file");
    ok($other->wait_for(sub { $other->error_log =~ /ERR unknown command 'AUTH'/ }), 'the gateway logs the error reply');
    $c->clean("the error log", $other->error_log);
    for my $more ([], ['--json']) {
        my ($exit, $out, $err) = $other->try_ctl('tenant', 'list', '--redis-password-file', $file, @$more);
        is($exit, 3, 'ampctl is refused');
        $c->clean('what ampctl says', $out . $err);
        ($exit, $out, $err) = $other->try_ctl('doctor', '--redis-password-file', $file, @$more);
        $c->clean('what ampctl doctor says', $out . $err);
    }
    $other->finish;
    $echo->stop;
};


subtest 'every command of ampctl' => sub {
    my $rekey = $c->plant('a second Ampersand key of acme');
    my $mistyped = $c->plant('a key that was given as an argument');
    my $key = file('acme.key', "$rekey\n");
    my $open = file('open.key', "$rekey\n");
    chmod 0644, $open;
    my @commands = (
        [ 'tenant', 'list' ], [ 'tenant', 'show', 'acme' ], [ 'tenant', 'show', 'nobody' ], [ 'tenant', 'disable', 'globex' ],
        [ 'tenant', 'enable', 'globex' ], [ 'tenant', 'add', 'acme', '--project', 'p-acme', '--key-file', $key ],
        [ 'tenant', 'add', 'two words', '--project', 'p', '--key-file', $key ], [ 'tenant', 'remove', 'nobody' ],
        [ 'token', 'list', 'acme' ], [ 'token', 'revoke', 'none' ], [ 'token', 'revoke', $token{globex} ],
        [ 'token', 'issue', 'nobody' ], [ 'token', 'issue', 'acme', '--expires', 'x' ],
        [ 'key', 'set', 'acme', '--key-file', $key ], [ 'key', 'list', 'acme' ], [ 'key', 'verify', 'acme' ],
        [ 'key', 'set', 'acme', '--key-file', $open ], [ 'key', 'set', 'acme', '--key-file', '-', \"$rekey $rekey\n" ],
        [ 'key', 'set', 'acme', '--key-file', '-', \"$rekey\n$rekey\n" ], [ 'key', 'set', 'nobody', '--key-file', $key ],
        [ 'key', 'set', 'acme', '--key-file', '/nowhere' ], [ 'key', 'set', 'acme', $mistyped ],
        [ 'key', 'set', 'acme', "--key=$mistyped" ], [ 'key', 'set', 'acme', '--key', $mistyped ],
        [ 'key', 'verify', 'acme', '--upstream', 'http://127.0.0.1:9' ], [ 'key', 'retire', 'acme', 'none' ],
        [ 'limit', 'set', 'acme', '--rate', '50/s', '--burst', '9' ], [ 'limit', 'show', 'acme' ],
        [ 'grant', 'set', 'acme', '--allow', 'read' ], [ 'grant', 'show', 'acme' ],
        [ 'cache', 'purge', 'acme' ], [ 'operations' ], [ 'operations', '--api', 'nothing' ], [ 'doctor' ],
        [ 'masterkey', 'rewrap' ], [ 'masterkey', 'new', $gw->dir . '/master.key' ], [ 'masterkey', 'new', "$tmp/new.key" ],
        [ 'doctor', '--master-key', $open ], [ 'tenant', 'list', '--master-key', $key ], [ 'nothing' ], [ '--version' ],
        [ 'key', 'list', 'acme', '--master-key', $key ], [ 'masterkey', 'rewrap', '--master-key', $open ],
    );
    my %helped;
    for my $command (@commands) {
        ctl(@$command[0 .. ($#$command > 1 ? 1 : $#$command)], '-h')
            if !$helped{ join ' ', grep { defined } @$command[0, 1] }++;
        my @stdin = ref $command->[-1] ? pop @$command : ();
        for my $more ([], ['--json']) {
            ctl(@$command, @$more, @stdin);
        }
        unlink "$tmp/new.key" if @$command > 2 && $command->[2] eq "$tmp/new.key" && $c->bytes('a new master key', slurp("$tmp/new.key") =~ s/\s//gr);
    }
    for my $url ("redis://:$mistyped\@127.0.0.1:9/0", "redis://u:$mistyped\@127.0.0.1:9/0", "rediss:/:$mistyped\@h",
                 "redis://:$mistyped\@127.0.0.1:x/0", ":$mistyped\@127.0.0.1", 'redis://:' . $mistyped . '@127.0.0.1:' . $redis->port . '/0')
    {
        for my $more ([], ['--json']) {
            my ($exit, $out, $err) = $gw->try_ctl('doctor', '--redis', $url, @$more);
            ($exit, my $out2, my $err2) = $gw->try_ctl('tenant', 'list', '--redis', $url, @$more);
            $said .= "$out$err$out2$err2";
            isnt($exit, 0, 'a Redis URL with a password that does not work');
        }
    }

    # an upstream that repeats the request in its answer
    for my $do ('echo500', 'echo404', 'header', 'garbage', 'drop') {
        my $up = Gateway::Upstream->start(sub { my ($req) = @_; $req->{target} .= "?do=$do"; return answer($req) });
        ctl('key', 'verify', 'acme', '--upstream', $up->url, @$_) for [], ['--json'];
        ctl('doctor', '--upstream', $up->url);
        $up->stop;
    }

    for my $more ([], ['--json']) {
        my ($exit, $out, $err) = $gw->try_ctl('token', 'issue', 'acme', '--redis-password-file', $pwfile, @$more);
        my ($token) = $out =~ /(agw_\w+)/;
        is(() = "$out$err" =~ /agw_/g, 1, 'token issue shows the token, once');
        $c->plant('an issued token', $token);
        $said .= $err;
        ctl('token', 'list', 'acme', @$more);
        ctl('tenant', 'show', 'acme', @$more);
    }
    like($said, qr/acme/, 'ampctl had output');
    $c->clean('what ampctl says', $said);
};


subtest 'a configuration that is refused' => sub {
    my $secret = $c->plant('a password in a configuration');
    my $all = '';
    for my $line ("ampersand_redis redis://:$secret\@127.0.0.1:9/x;", "ampersand_redis redis:/:$secret\@h;",
                  "ampersand_redis redis://127.0.0.1 redis://:$secret\@127.0.0.1;", "ampersand_redis redis://127.0.0.1 password=$secret;",
                  "ampersand_redis redis://:$secret\@127.0.0.1 redis://:$secret\@127.0.0.1;",
                  "ampersand_redis redis://:$secret\@no.such.host.invalid/0;", "ampersand_redis redis://:$secret\@127.0.0.1:99999/0;",
                  "ampersand_redis redis://u:$secret\@127.0.0.1/0 timeout=x;", "ampersand_redis http://:$secret\@127.0.0.1/0;")
    {
        my ($ok, $out) = Gateway->configtest("events {}\nhttp { ampersand_zone 1m; $line }");
        ok(!$ok, 'a Redis that cannot be');
        like($out, qr/nginx\.conf:\d/, '... is named by its place');
        $c->clean('what nginx -t says', $out);
    }
    my $out = `@{[ $ENV{NGINX_BINARY} || '/usr/sbin/nginx' ]} -T -p @{[ $gw->dir ]} -c @{[ $gw->dir ]}/nginx.conf 2>&1`;
    like($out, qr/ampersand_master_key/, 'nginx -T');
    $c->clean('the configuration as nginx -T shows it', $out);
};


# At level info nginx logs the parts of a request that it could not parse; the
# shipped configuration logs at notice.

subtest 'requests that nginx itself refuses' => sub {
    $c->clean('the error log at info', $gw->error_log);
    $gw->{o}{log_level} = 'notice';
    $gw->reload;
    my $dir = $gw->dir;
    $gw->wait_for(sub { $gw->workers_pids == 2 });
    open my $f, '>', "$dir/logs/error.log";
    close $f;
    my $t = $token{acme};
    for my $bytes (
        "GET /v1/api-keys/$path HTTP/9.9\r\n\r\n", "GET /v1/api-keys/$path\x01 HTTP/1.1\r\nHost: g\r\n\r\n",
        "GET /v1/api-keys/$path HTTP/1.1\r\nX-Api-Key: $t\r\n\r\n", "GET /v1/api-keys/$path HTTP/1.1\r\nHost: g\r\nX_Api_Key: $t\r\n\r\n",
        "GET /v1/api-keys/$path HTTP/1.1\r\nHost: g\r\nX-Api-Key\x01: $t\r\n\r\n",
        "GET /v1/api-keys/$path HTTP/1.1\r\nHost: g\r\nX-Api-Key: $t\r\nCookie: " . "$cookie" x 2000 . "\r\n\r\n",
        "GET /v1/api-keys/" . $path x 2000 . " HTTP/1.1\r\nHost: g\r\n\r\n",
        "GET /v1/api-keys/$path HTTP/1.1\r\nHost: g\r\nX-Api-Key: $t\r\nContent-Length: $body\r\n\r\n",
        "GET http://$auth:$auth\@g/v1/api-keys/$path HTTP/1.1\r\nHost: g\r\nX-Api-Key: $t\r\n\r\n",
        "POST /v1/provider-apps HTTP/1.1\r\nHost: g\r\nX-Api-Key: $t\r\nTransfer-Encoding: chunked\r\n\r\n$body\r\n",
        "$auth /v1/api-keys/$path HTTP/1.1\r\nHost: g\r\nX-Api-Key: $t\r\n\r\n", "$t\r\n\r\n",
        "GET /v1/api-keys/%zz$path HTTP/1.1\r\nHost: g\r\nX-Api-Key: $t\r\n\r\n",
    ) {
        my $res = $gw->raw($bytes, timeout => 3);
        $answers .= ($res->{head} // '') . $res->{body};
    }
    abort("GET /v1/api-keys/$path HTTP/1.1\r\nHost: g\r\nX-Api-Key: $t\r\n", sub { ($gw->under_way)[1] == 1 });
    call(GET => "/v1/integrations/$path?do=$_", token => $t) for 'drop', 'control';
    like($gw->error_log, qr/upstream sent invalid header/, 'the log is in use');
    $c->clean('the error log at notice', $gw->error_log);
};


subtest 'no secret is in memory, Redis, answers, logs or files' => sub {
    my $shared;
    is(call(GET => '/v1/integrations?x=last', token => $token{acme}), 200, 'served');
    for my $pid ($gw->workers_pids) {
        $shared = Gateway::Canary::shared($pid);
        SKIP: {
            skip "/proc/$pid/mem may not be read", 2 if !defined $shared || $shared eq '';
            my ($active) = grep { $_->{state} eq 'active' }
                @{ JSON::PP::decode_json($redis->command('GET', 'amp:tenant:acme'))->{keys} };
            my ($master, $sealed) = $active->{sealed} =~ /^v1\.([0-9a-f]{8})\.(.*)$/;
            ok(index($shared, $master . decode_base64($sealed =~ tr{-_}{+/}r)) >= 0,
                'the shared memory holds the sealed key of acme');
            $c->clean('the shared memory', $shared, except => [ 'a key in plaintext in a record' ]);
        }
    }

    $redis->command('CONFIG', 'GET', 'port');
    my $all = Gateway::Canary::redis($redis);
    like($all, qr/amp:tenant:acme/, 'Redis holds the tenants') or diag('redis was restarted: without persistence it is empty');
    $c->clean('Redis', $all);
    my $kept = Gateway::Canary::files($redis->dir);
    $c->clean("Redis's own file " . substr($_, length $redis->dir), $kept->{$_}, except => [ grep { /record/ } $c->names ])
        for sort keys %$kept;
    $c->clean('the answers that clients got', $answers);

    my $access = $gw->access_log;
    for my $status (200, 400, 401, 403, 404, 405, 413, 429, 499, 502, 503, 504) {
        like($access, qr/"status":$status,/, "the access log has a $status");
    }
    $c->clean('the access log', $access);

    my $dir = $gw->dir;

    # the cache key, which cache files hold, has Accept, path and query
    my $files = Gateway::Canary::files($gw->dir, skip => qr{/master\.key$});
    ok(scalar(grep { m{/cache/} } keys %$files), 'the cache holds answers');
    # the number of gateways, for a start without Redis, is kept there
    is_deeply([ grep { m{\Q$dir\E/tmp/} && !m{/ampersand-gateways-} } keys %$files ], [], 'no temporary file is left');
    $c->clean('a file of the gateway: ' . substr($_, length $gw->dir), $files->{$_})
        for grep { $c->found($files->{$_}) } sort keys %$files;

    if ($ENV{TEST_VERBOSE} || $ENV{HARNESS_IS_VERBOSE}) {
        for my $pid ($gw->workers_pids) {
            note("private memory of worker $pid: ", join ', ', $c->found(Gateway::Canary::heap($pid) // ''));
        }
    }
};

$gw->finish;
$c->clean('the error log', $gw->error_log);
done_testing();
