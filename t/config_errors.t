#!/usr/bin/perl

# A configuration that cannot work fails "nginx -t" with its place and the remedy; a
# location with missing directives fails closed.

use strict;
use warnings;

use File::Temp ();
use FindBin;
use JSON::PP qw(decode_json);
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Versions;

my $tmp = File::Temp->newdir('config.XXXXXX', TMPDIR => 1);
my $PASSWORD = 'pw-canary-4711';
my $proxy_conf = "$Gateway::ROOT/conf/ampersand/proxy.conf";

sub file {
    my ($name, $text, $mode) = @_;
    my $path = "$tmp/$name";
    open my $f, '>', $path or die $!;
    print $f $text;
    close $f;
    chmod $mode // 0600, $path;
    return $path;
}

my $ctl = $ENV{AMPCTL} || "$Gateway::ROOT/build/ampctl";
my $key = "$tmp/master.key";
system($ctl, 'masterkey', 'new', $key) == 0 or die 'no master key';
my $text = do { open my $f, '<', $key or die $!; local $/; <$f> };

my $cache = "proxy_cache_path $tmp/cache keys_zone=ampersand:1m;";
my $zone  = 'ampersand_zone 1m;';
my $redis = 'ampersand_redis redis://127.0.0.1:6379/0;';
my $master = "ampersand_master_key $key;";
my $block = 'upstream up { server 127.0.0.1:1; } ampersand_upstream http://up;';
my $place = "location /v1 { ampersand platform; include $proxy_conf; }";

sub http {
    my ($http, $server) = @_;
    return "events {}\nhttp {\n$cache\n$http\nserver { listen 127.0.0.1:1; " . ($server // $place) . " }\n}\n";
}

my $good = "$zone $redis $master $block";
my ($ok, $out) = Gateway->configtest(http($good));
ok $ok, 'what is right is taken' or BAIL_OUT($out);

sub bad {
    my ($what, $conf, @say) = @_;
    subtest $what => sub {
        my ($ok, $out) = Gateway->configtest($conf);
        ok !$ok, 'refused';
        like $out, qr/\[emerg\]/, 'with an error' or diag $out;
        like $out, qr/$_/, "says $_" for @say;
        like $out, qr{nginx\.conf:\d+}, 'names file and line';
        unlike $out, qr/\Q$PASSWORD\E/, 'shows no password';
        my ($secret) = $text =~ /(\S{20,})\s*$/;
        unlike $out, qr/\Q$secret\E/, 'shows no key' if $secret;
        unlike $out, qr/signal|Sanitizer|core dumped/, 'and does not crash';
    };
}

# missing directives

bad 'no zone', http("$redis $master $block"), 'ampersand_zone 16m;';
bad 'no Redis', http("$zone $master $block"), 'ampersand_redis redis://127.0.0.1:6379/0;';
bad 'no master key', http("$zone $redis $block"), 'ampersand_master_key /etc/ampersand/master.key;';
bad 'no upstream block', http("$zone $redis $master"), 'upstream api.withampersand.com', 'upstreams.conf';
bad 'no such upstream block', http("$good", "ampersand_upstream http://other; $place"), 'upstream other';
bad 'a status without a zone', http('', 'location / { ampersand_status; }'), 'ampersand_zone 16m;';

# invalid values

bad 'an unknown API', http($good, 'location / { ampersand plattform; }'), 'plattform',
    'platform, read, write, search, proxy or off';
bad 'no API', http($good, 'location / { ampersand; }'), 'number of arguments';
bad 'two APIs', http($good, 'location / { ampersand platform read; }'), 'number of arguments';
bad 'ampersand in server{}', http($good, 'ampersand platform;'), 'not allowed here';
bad "a zone of $_", http("ampersand_zone $_; $redis $master $block"), 'zone size', '16m'
    for qw(x -1 0 100k 1x), '""';
bad "a TTL of $_", http("$good $_ 5x;"), 'invalid' for qw(ampersand_tenant_ttl ampersand_tenant_grace);
bad "a cache TTL of $_", http("$good ampersand_cache_ttl default $_;"), 'invalid time', '30s' for qw(x -1 1x 1h1d), '""';
bad "a cache TTL for $_", http("$good ampersand_cache_ttl $_ 5s;"), $_, 'ampctl operations'
    for qw(topics listtopics Read platform none), '""';
bad "a cache TTL for $_", http("$good ampersand_cache_ttl $_ 5s;"), 'never cached'
    for qw(createTopic listApiKeys getJWTKey generateUploadUrl secrets write data);
bad 'a cache TTL without a time', http("$good ampersand_cache_ttl default;"), 'number of arguments';
bad 'ampersand_observe maybe', http("$good ampersand_observe maybe;"), '"on" or "off"';
bad 'a body of x', http("$good ampersand_body_max x;"), 'invalid';
bad "ampersand_upstream $_", http("$zone $redis $master upstream up { server 127.0.0.1:1; } ampersand_upstream $_;"),
    'http://NAME or https://NAME'
    for qw(up http:// https:// ftp://up http://up/ http://up/v1 http://$up //up), '""';
bad "ampersand_identity $_", http("$good ampersand_identity \$remote_addr $_;"), 'by=fingerprint.*by=claim:sub'
    for 'by=', 'by=name', 'by=claim', 'by=claim:', 'by=claim:a=b', 'fingerprint';
bad 'ampersand_limit_fallback and the like', http("$good ampersand_nothing x;"), 'unknown directive';

# directives given twice

bad "$_->[0] twice", http("$good $_->[1] $_->[1]"), 'duplicate'
    for [ zone => $zone ], [ redis => $redis ], [ observe => 'ampersand_observe on;' ],
        [ upstream => 'ampersand_upstream http://up;' ], [ body_max => 'ampersand_body_max 1m;' ],
        [ tenant_ttl => 'ampersand_tenant_ttl 1m;' ], [ identity => 'ampersand_identity $remote_addr;' ],
        [ tenant_grace => 'ampersand_tenant_grace 1m;' ],
        [ cache_ttl => 'ampersand_cache_ttl default 1m;' ], [ cache_ttl_op => 'ampersand_cache_ttl listTopics 1m;' ];
bad 'ampersand twice', http($good, 'location / { ampersand platform; ampersand read; }'), 'duplicate';
bad 'the same master key twice', http("$good $master"), 'twice|duplicate|already';

# Redis

bad "Redis at $_->[0]", http("$zone ampersand_redis $_->[0]; $master $block"), @$_[1 .. $#$_]
    for [ "rediss://u:$PASSWORD\@h.invalid:6379", 'host not found' ],
        [ "redis+sentinel://h.invalid:1,127.0.0.1:2/name", 'host not found' ], [ "redis+cluster://:$PASSWORD\@127.0.0.1,h.invalid:2", 'host not found' ],
        [ "http://u:$PASSWORD\@h", 'redis://' ], [ 'localhost:6379', 'redis://' ],
        [ 'redis://', 'redis://' ], [ "redis://u:$PASSWORD\@", 'host' ], [ "redis://:$PASSWORD\@h:x", 'port' ],
        [ "redis://:$PASSWORD\@h:0", 'port' ], [ "redis://:$PASSWORD\@h:70000", 'port' ],
        [ "redis://:$PASSWORD\@127.0.0.1/x", 'database' ], [ "redis://:$PASSWORD\@127.0.0.1?db=1", 'query' ],
        [ "redis://:$PASSWORD\@no-such-host.invalid", 'no-such-host' ], [ "redis://u:$PASSWORD%0\@h", 'percent-encode' ],
        [ 'unix:', 'unix:PATH|path' ], [ 'unix:/x?y=1', 'db=N' ], [ '""', 'redis://' ],
        [ 'redis://u@127.0.0.1', 'password_file=' ];
bad "ampersand_redis ... $_->[0]", http("$zone ampersand_redis redis://127.0.0.1 $_->[0]; $master $block"), $_->[1]
    for [ 'timeout=x', 'timeout=100ms' ], [ 'timeout=0', 'timeout=100ms' ], [ 'prefix=', 'prefix' ],
        [ 'prefix=a*b', 'prefix' ], [ 'x', 'timeout=, prefix=, password_file=, .*server_name=' ],
        [ "password_file=$tmp/none", 'No such file' ],
        [ 'password_file=' . file('open', "$PASSWORD\n", 0644), 'chmod 600' ],
        [ 'password_file=' . file('empty', ''), 'empty' ];

{
    my ($ok, $out) = Gateway->configtest(
        http("$zone ampersand_redis redis://127.0.0.1 password=$PASSWORD; $master $block"));
    unlike $out, qr/\Q$PASSWORD\E/, 'a misplaced password is not shown';
}

# the master key

bad "a master key file that $_->[0]", http("$zone $redis ampersand_master_key $_->[1]; $block"), $_->[2]
    for [ 'is missing', "$tmp/none", 'No such file' ], [ 'the world may read', file('world', $text, 0644), 'chmod 600' ],
        [ 'the group may write', file('group', $text, 0660), 'chmod 600' ], [ 'is empty', file('void', ''), 'empty' ],
        [ 'is a directory', $tmp, 'regular file' ], [ 'is no key', file('junk', "junk\n"), 'ampctl masterkey new' ],
        [ 'is long', file('long', 'x' x 100_000), 'too long' ];

# directives of nginx that would let clients bypass checks

bad 'underscores_in_headers on', http("underscores_in_headers on; $good"), 'underscores_in_headers', '"off"';
SKIP: {
    my $why = Gateway::Versions::no_early_bodies();
    skip $why, 1 if $why;
    bad 'client_body_early_read', http("client_body_early_read 1; $good"), 'client_body_early_read', 'remove it';
}
bad 'underscores_in_headers in server{}', http($good, "underscores_in_headers on; $place"), 'underscores_in_headers', '"off"';

subtest 'a server without gateway locations needs no directive' => sub {
    for my $conf (http('', 'location / { return 200; }'), http('underscores_in_headers on;', 'location / { return 200; }'),
                  http('', 'location / { ampersand off; }'), http($zone, 'location / { ampersand_status; }')) {
        my ($ok, $out) = Gateway->configtest($conf);
        ok $ok, 'nginx -t succeeds' or diag $out;
    }
};

# --- configurations that start

sub gateway {
    my (%o) = @_;
    my $gw = Gateway->start(%o);
    return ($gw, $gw->tenant('acme', project => 'p-1', key => 'the-key'));
}

subtest '"ampersand off", and locations with missing directives' => sub {
    my ($gw, $t) = gateway(server => <<'E');
        location /v1/topics/ {
            ampersand platform;
            include PROXY;
            location /v1/topics/open {
                ampersand off;
                return 200 "open $ampersand_decision|$ampersand_upstream|$ampersand_uri|$ampersand_api_key|$ampersand_tenant\n";
            }
            location /v1/topics/off {
                ampersand off;
                include PROXY;
            }
        }
        # without the line for X-Api-Key
        location = /v1/topics/forgot {
            ampersand platform;
            proxy_pass $ampersand_upstream$ampersand_uri;
        }
        # with the client's header in place of the variable
        location = /v1/topics/client {
            ampersand platform;
            proxy_pass $ampersand_upstream$ampersand_uri;
            proxy_set_header X-Api-Key $http_x_api_key;
        }
        # with a proxy_pass of its own
        location = /v1/topics/bare {
            proxy_pass $ampersand_upstream$ampersand_uri;
        }
        location = /v1/topics/raw {
            ampersand platform;
            return 200 "$ampersand_tenant|$ampersand_api_key|$ampersand_uri";
        }
E
    my $up = $gw->upstream;
    my $res = $gw->get('/v1/topics/open');
    is $res->{status}, 200, 'off needs no token';
    is $res->{body}, "open ||||\n", 'and has no variables';

    for my $where (qw(forgot client)) {
        for my $method (qw(PATCH DELETE)) {
            my $res = $gw->request($method, "/v1/topics/$where", token => $t, $method eq 'PATCH' ? (json => {}) : ());
            is $res->{status}, 200, "$where, $method";
            my ($sent) = $up->take;
            is Gateway::Upstream::header($sent, 'x-api-key'), 'the-key', "$where, $method: with the tenant's key";
            is scalar(grep { $_->[1] =~ /\Q$t/ } @{ $sent->{headers} }), 0, "$where, $method: without the token";
        }
    }
    for my $where (qw(off/x bare)) {
        my $res = $gw->get("/v1/topics/$where", token => $t);
        is $res->{status}, 500, "$where: no upstream";
        is +($gw->json($res) || {})->{type}, 'urn:ampersand-gateway:problem:internal', "$where: type";
    }
    $res = $gw->get('/v1/topics/raw');
    unlike $res->{body}, qr/the-key/, 'return before the access phase shows no key';
    is scalar($up->take), 0, 'none of these requests went upstream';
    is $gw->request('PATCH', '/v1/topics/x', token => $t, json => {})->{status}, 200, 'a complete location works';
    unlike $gw->error_log . $gw->access_log, qr/the-key|\Q$t\E/, 'no log has the key or the token';
    $gw->finish;
};

subtest 'a line after the include' => sub {
    my ($ok, $out) = Gateway->configtest(
        http($good, "location /v1 { ampersand platform; include $proxy_conf; proxy_set_header X-Api-Key \"\"; }"));
    ok $ok, 'nginx takes it' or diag $out;
    my ($gw, $t) = gateway(location => 'proxy_set_header X-Api-Key "";');
    $gw->request('POST', '/v1/topics', token => $t, json => {});
    is_deeply [ map { Gateway::Upstream::header($_, 'x-api-key') } $gw->upstream->requests ], ['the-key'],
        'the key is sent all the same';
    $gw->finish;
};

subtest 'a variable that is read before it is set has its value later' => sub {
    my ($gw, $t) = gateway(
        http => <<'E',
    map $ampersand_tenant $early_map { default "m:$ampersand_tenant"; "" none; }
    map $ampersand_api_key$ampersand_uri$ampersand_upstream$ampersand_cache_key $early_all { default x; "" ""; }
    limit_req_zone $ampersand_tenant$early_all zone=early:1m rate=10000r/s;
    limit_conn_zone $ampersand_project zone=conns:1m;
    log_format early '$ampersand_tenant|$ampersand_project|$ampersand_operation|$ampersand_decision|$early_set|$ampersand_api_key';
E
        server => <<'E',
        set $early_set "$ampersand_tenant$ampersand_api_key$ampersand_uri$ampersand_upstream$ampersand_no_cache$ampersand_host";
        if ($ampersand_tenant) { return 500; }
        set $early_key "$ampersand_api_key$ampersand_uri$ampersand_upstream$ampersand_cache_key";
        if ($early_key) { return 500; }
        set $early_who "$ampersand_decision$ampersand_operation$ampersand_project";
        if ($early_who) { return 500; }
        if ($early_map = m:acme) { return 500; }
        limit_req zone=early burst=100 nodelay;
        limit_conn conns 100;
E
        location => 'access_log logs/early.log early; add_header X-Who "$ampersand_tenant/$ampersand_operation" always;',
    );
    for my $method (qw(GET POST GET)) {
        my $res = $gw->request($method, '/v1/topics', token => $t, $method eq 'POST' ? (json => {}) : ());
        is $res->{status}, 200, $method;
        is $res->{headers}{'x-who'}, 'acme/' . ($method eq 'GET' ? 'listTopics' : 'createTopic'), 'the variables have their values then';
    }
    is_deeply [ map { scalar Gateway::Upstream::header($_, 'x-api-key') } $gw->upstream->requests ],
        [ ('the-key') x $gw->upstream->requests ], 'the key is sent upstream';
    is $gw->get('/v1/nothing', token => $t)->{status}, 404, 'a refused request';
    my $log;
    $gw->wait_for(sub { ($log = Gateway::_slurp($gw->dir . '/logs/early.log')) =~ /unknown-operation/ });
    my @lines = split /\n/, $log;
    is $lines[0], 'acme|p-1|listTopics|pass|1|-', 'the log has the tenant, and no key';
    is $lines[-1], 'acme|p-1|-|unknown-operation|1|-', 'also for a refused request';
    unlike $log, qr/the-key/, 'no log has the key';
    $gw->finish;
};

done_testing;
