#!/usr/bin/perl

# What is cached, for how long, for which tenants, and what invalidates it.

use strict;
use warnings;

use File::Temp ();
use FindBin;
use JSON::PP qw(decode_json);
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

use lib "$FindBin::Bin/lib";
use Gateway;

my $gw = Gateway->start(workers => 2, http => <<'E');
    ampersand_cache_stale 60s;
    ampersand_cache_ttl listTopics 1s;
    ampersand_cache_ttl listProviderApps 1s;
    ampersand_cache_ttl listInstallationsForProject 1s;
E
my $up = $gw->upstream;

my %token = (
    acme => $gw->tenant('acme', project => 'p-1', key => 'key-acme',
                        args => [ '--grant', 'default', '--grant', 'secrets' ]),
    twin  => $gw->tenant('twin',  project => 'p-1', key => 'key-twin'),
    other => $gw->tenant('other', project => 'p-2', key => 'key-other'),
);
my @operations = @{ decode_json($gw->ctl('operations', '--json')) };
my %line = map { $operations[$_]{operationId} => $_ + 1 } 0 .. $#operations;

$up->answer({ echo => 1 });

# Another gateway on the same store, with the same master key.

sub another {
    my (%o) = @_;
    return Gateway->start(like => $gw, %o);
}

sub get { my ($who, $target, @h) = @_; return $gw->get($target, token => $token{$who}, headers => \@h) }
sub cached { return get(@_)->{headers}{'x-cache-status'} }
sub number { my $doc = $gw->json($_[0]); return ref $doc eq 'HASH' ? $doc->{n} : undef }

sub write_to {
    my ($who, $method, $target) = @_;
    return $gw->request($method, $target, token => $token{$who}, json => {});
}

# In the key of an operation's entries.

sub keyed { return qr/\|$line{$_[0]}(?:[a-z][^|]*)?\|/ }

# The client may have its answer a moment before the cache file has its name.

sub kept_for {
    my ($gateway, $like) = @_;
    my $seconds;
    $gateway->wait_for(sub { defined($seconds = lifetime($gateway, $like)) });
    return $seconds;
}

# The seconds for which an entry is fresh, read from nginx's cache file.

sub lifetime {
    my ($gateway, $like) = @_;
    for my $file (grep { -f } glob $gateway->dir . '/cache/*/*/*') {
        open my $f, '<', $file or next;
        read $f, my $head, 8192;
        my ($key) = $head =~ /\nKEY: ([^\n]*)\n/ or next;
        next unless $key =~ $like;
        my ($version, $valid, $updating, $error, $modified, $date) = unpack 'Q q q q q q', $head;
        return $valid - $date;
    }
    return undef;
}

subtest 'each operation is cached as long as the operations table says' => sub {
    my %changed = map { $_ => 1 } qw(listTopics listProviderApps listInstallationsForProject);
    for my $op (grep { $_->{method} eq 'GET' && $_->{class} ne 'none' } @operations) {
        my $path = $op->{path} =~ s{\{projectIdOrName\}}{-}r =~ s{\{\w+\}}{life}gr;
        my $first = get('acme', "/v1$path");
        my $id = $op->{operationId};
        my $life = $op->{ttl} ? kept_for($gw, keyed($id)) : lifetime($gw, keyed($id));
        if ($op->{ttl}) {
            is $first->{headers}{'x-cache-status'}, 'MISS', "$id: asked for";
            is $life, $changed{$id} ? 1 : $op->{ttl}, "$id: lifetime";
            my $next = get('acme', "/v1$path");
            is $next->{headers}{'x-cache-status'}, 'HIT', "$id: cached";
            is $next->{body}, $first->{body}, "$id: the same answer";
            is $next->{headers}{'x-gateway-source'}, 'cache', "$id: source";
        } else {
            is $life, undef, "$id: no entry";
            is $first->{headers}{'x-cache-status'}, 'BYPASS', "$id: not looked for";
            isnt number(get('acme', "/v1$path")), number($first), "$id: asked for again";
        }
    }
};

subtest 'Age, X-Cache-Status and X-Gateway-Source' => sub {
    my $target = '/v1/integrations/age';
    my $miss = get('acme', $target);
    is $miss->{headers}{age}, 0, 'a new answer has age 0';
    is $miss->{headers}{'x-gateway-source'}, 'upstream', 'from Ampersand';
    ok $gw->wait_for(sub { get('acme', $target)->{headers}{age} >= 1 }), 'Age grows';
    my $hit = get('acme', $target);
    cmp_ok $hit->{headers}{age}, '<', 5, 'with the clock';
    is $hit->{headers}{'content-type'}, 'application/json', 'a hit has the content type';

    $up->answer({ echo => 1, headers => [ Age => '100', 'X-Cache-Status' => 'HIT',
                                          'X-Gateway-Source' => 'x', 'X-Request-Id' => 'theirs' ] });
    for my $status (qw(MISS HIT)) {
        my $res = get('acme', '/v1/integrations/old');
        my %n;
        $n{ lc $_->[0] }++ for @{ $res->{all} };
        is $res->{headers}{'x-cache-status'}, $status, "$status: the gateway's own status";
        cmp_ok $res->{headers}{age}, '>=', 100, "$status: Age includes the age that Ampersand gave";
        is $n{$_}, 1, "$status: one $_" for qw(age x-cache-status x-gateway-source x-request-id);
        isnt $res->{headers}{'x-request-id'}, 'theirs', "the gateway's own request id";
    }
    $up->answer({ echo => 1 });
};

subtest 'what Ampersand says about caching' => sub {
    my $soon = sub { POSIX::strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime(time + $_[0])) };
    my @not = (
        [ 'Cache-Control' => 'no-store' ], [ 'Cache-Control' => 'no-cache' ], [ 'Cache-Control' => 'private' ],
        [ 'Cache-Control' => 'private, max-age=60' ], [ 'Cache-Control' => 'max-age=0' ],
        [ 'Cache-Control' => 'max-age=60', 'Cache-Control' => 'no-store' ], [ 'Expires' => $soon->(-60) ],
        [ 'Expires' => '0' ], [ 'Set-Cookie' => 'a=b' ], [ 'Cache-Control' => 'max-age=60', 'Set-Cookie' => 'a=b' ],
        [ 'Vary' => '*' ],
    );
    my $i = 0;
    for my $headers (@not) {
        $up->answer({ echo => 1, headers => $headers });
        my $target = '/v1/integrations/not-' . ++$i;
        my $first = get('acme', $target);
        is $first->{status}, 200, "@$headers";
        is $first->{headers}{'set-cookie'}, undef, 'no cookie passes';
        is cached('acme', $target), 'MISS', "@$headers: not cached";
        is lifetime($gw, qr{[|/]not-$i\|}), undef, "@$headers: no entry";
    }

    my @for = (
        [ 7, 'Cache-Control' => 'max-age=7' ], [ 9, 'Cache-Control' => 'public, s-maxage=9, max-age=2' ],
        [ 3600, 'Cache-Control' => 'max-age=3600' ], [ 60, 'Cache-Control' => 'public' ],
        [ 60, 'X-Accel-Expires' => '5' ], [ 60, 'X-Accel-Expires' => '0' ], [ 60, 'Vary' => 'Accept' ],
        [ 300, 'Expires' => $soon->(300) ],
    );
    for my $case (@for) {
        my ($seconds, @headers) = @$case;
        $up->answer({ echo => 1, headers => \@headers });
        my $target = '/v1/integrations/for-' . ++$i;
        my $first = get('acme', $target);
        my $next = get('acme', $target);
        is $next->{headers}{'x-cache-status'}, 'HIT', "@headers: cached" or diag "$first->{head}\n$next->{head}";
        my $life = lifetime($gw, qr{[|/]for-$i\|}) // -1;
        ok abs($life - $seconds) <= ($headers[0] eq 'Expires' ? 3 : 0), "@headers: for $seconds s"
            or diag $life;
    }

    $up->answer({ echo => 1, headers => [ Vary => 'Accept-Language' ] });
    my %n;
    for my $language (qw(de en)) {
        my $first = get('acme', '/v1/integrations/vary', 'Accept-Language' => $language);
        is $first->{headers}{'x-cache-status'}, 'MISS', "Vary: $language is asked for";
        my $next = get('acme', '/v1/integrations/vary', 'Accept-Language' => $language);
        is $next->{headers}{'x-cache-status'}, 'HIT', "Vary: $language is cached";
        is number($next), number($first), 'its own answer';
        ok !$n{ number($first) }++, 'and no other';
    }
    $up->answer({ echo => 1 });
};

subtest 'errors are never cached' => sub {
    for my $status (201, 204, 301, 302, 400, 401, 403, 404, 409, 410, 429, 500, 502, 503) {
        for my $headers ([], [ 'Cache-Control' => 'max-age=60' ]) {
            $up->answer({ echo => 1, status => $status, headers => $headers });
            my $target = "/v1/integrations/e$status" . @$headers;
            for my $time (1, 2) {
                my $res = get('acme', $target);
                is $res->{status}, $status, "$status @$headers: passes";
                is $res->{headers}{'x-cache-status'}, 'MISS', "$status @$headers: not cached";
            }
            $up->answer({ echo => 1 });
            is get('acme', $target)->{status}, 200, "$status @$headers: the next answer is Ampersand's";
        }
    }
};

subtest 'answers with secrets, and GETs that change state, are never cached' => sub {
    for my $query ('connections/c?includeCreds=true', 'connections/c?includeRefreshToken=true',
                   'connections/c?refresh=true', 'destinations/d?includeSecrets=true',
                   'destinations/d?rotate=true', 'destinations/d?rotate', 'api-keys', 'jwt-keys/k') {
        my $first = get('acme', "/v1/$query");
        is $first->{status}, 200, $query;
        is $first->{headers}{'x-cache-status'}, 'BYPASS', "$query: not looked for";
        isnt number(get('acme', "/v1/$query")), number($first), "$query: asked for again";
        is $gw->request('HEAD', "/v1/$query", token => $token{acme})->{headers}{'x-cache-status'}, 'BYPASS',
            "$query: HEAD neither";
    }
    is cached('acme', '/v1/connections/c'), 'MISS', 'the same path without the parameter is another entry';
    is cached('acme', '/v1/connections/c?includeCreds=true'), 'BYPASS', 'which does not serve the path with it';
    is lifetime($gw, qr/includeCreds|includeSecrets/), undef, 'no such entry';
    is lifetime($gw, keyed($_)), undef, "no entry of $_" for qw(listApiKeys getApiKey);
    get('acme', '/v1/connections/c?refresh=false');
    is cached('acme', '/v1/connections/c?refresh=false'), 'HIT', 'refresh=false changes nothing';
};

subtest 'HEAD and GET are one entry' => sub {
    my $get = get('acme', '/v1/destinations/h1');
    my $head = $gw->request('HEAD', '/v1/destinations/h1', token => $token{acme});
    is $head->{headers}{'x-cache-status'}, 'HIT', "HEAD is answered from GET's";
    is $head->{headers}{'content-length'}, length $get->{body}, 'with its length';
    is $head->{body}, '', 'without its body';

    $head = $gw->request('HEAD', '/v1/destinations/h2', token => $token{acme});
    is $head->{headers}{'x-cache-status'}, 'MISS', 'HEAD first';
    $get = get('acme', '/v1/destinations/h2');
    is $get->{headers}{'x-cache-status'}, 'HIT', 'fills the entry';
    is $gw->json($get)->{method}, 'GET', 'with what GET gets';
};

subtest 'ampctl cache purge' => sub {
    my @targets = ('/v1/integrations/purge', '/v1/destinations/purge', '/v1/connections/purge');
    my $fill = sub { for my $who (@_) { cached($who, $_) for @targets } };

    # a gateway changes its cache keys once more when it hears of its own writes: of the GETs
    # that change state, above

    $gw->ctl('gateway', 'wait');

    $fill->(qw(acme twin other));
    my $before = number(get('acme', $targets[0]));
    $gw->ctl('cache', 'purge', 'acme', '--family', 'integrations');
    ok $gw->wait_for(sub { cached('twin', $targets[0]) eq 'MISS' }), 'a purge of one family applies';
    is cached('acme', $targets[0]), 'MISS', 'to every tenant of the project';
    isnt number(get('acme', $targets[0])), $before, 'the next answer is a new one';
    is cached('acme', $_), 'HIT', "$_ of another family stays" for @targets[1, 2];
    is cached('other', $targets[0]), 'HIT', "another project's stays";

    $fill->(qw(acme twin other));
    $gw->ctl('cache', 'purge', 'acme');
    ok $gw->wait_for(sub { cached('twin', $targets[0]) eq 'MISS' }), 'a purge of all families applies';
    is cached('acme', $_), 'MISS', "$_ is asked for again" for @targets;
    is cached('other', $_), 'HIT', "another project's $_ stays" for @targets;
};

subtest 'a successful write invalidates the families that it writes' => sub {
    my @cases = (
        # write, forgets, keeps
        [ 'POST', '/v1/destinations', [ '/v1/destinations', '/v1/destinations/w' ],
          [ '/v1/integrations', '/v1/connections' ] ],
        [ 'PATCH', '/v1/destinations/w',
          [ '/v1/destinations', '/v1/destinations/w', '/v1/topic-destination-routes' ], ['/v1/integrations'] ],
        [ 'DELETE', '/v1/connections/w',
          [ '/v1/connections', '/v1/connections/w', '/v1/integrations/i/installations' ],
          [ '/v1/integrations', '/v1/destinations' ] ],
        [ 'POST', '/v1/integrations', [ '/v1/integrations', '/v1/integrations/w' ],
          [ '/v1/connections', '/v1/destinations' ] ],
        [ 'POST', '/read/v1/integrations/i/objects/o', ['/v1/operations/w'],
          [ '/v1/integrations', '/v1/connections' ] ],
        [ 'PATCH', '/v1/projects/-', [ '/v1', '/v1/projects' ], ['/v1/integrations'] ],
    );
    for my $case (@cases) {
        my ($method, $target, $forgets, $keeps) = @$case;
        for my $who (qw(acme twin other)) { cached($who, $_) for @$forgets, @$keeps }
        ok $gw->applied('p-1', sub {
            is write_to('acme', $method, $target)->{status}, 200, "$method $target";
        }), "$method $target is applied";
        is cached('acme', $_), 'MISS', "$method $target: $_ is asked for again" for @$forgets;
        is cached('twin', $_), 'MISS', "$method $target: also for another tenant of the project" for @$forgets;
        is cached('acme', $_), 'HIT', "$method $target: $_ stays cached" for @$keeps;
        is cached('other', $_), 'HIT', "$method $target: another project keeps $_" for @$forgets;
    }
};

subtest 'a write that may have succeeded invalidates, one that failed does not' => sub {
    for my $case ([ 400, 'HIT' ], [ 401, 'HIT' ], [ 404, 'HIT' ], [ 409, 'HIT' ], [ 422, 'HIT' ], [ 429, 'HIT' ],
                  [ 500, 'MISS' ], [ 503, 'MISS' ], [ 201, 'MISS' ], [ 204, 'MISS' ], [ 'drop', 'MISS' ]) {
        my ($status, $next) = @$case;
        cached('acme', '/v1/destinations');
        is cached('acme', '/v1/destinations'), 'HIT', 'the answer is cached';
        $up->answer($status eq 'drop' ? { drop => 1 } : { echo => 1, status => $status });
        my $write = sub {
            is write_to('acme', 'POST', '/v1/destinations')->{status}, $status eq 'drop' ? 502 : $status, "POST: $status";
        };
        $next eq 'MISS' ? ok($gw->applied('p-1', $write), 'the write is applied') : $write->();
        $up->answer({ echo => 1 });
        is cached('acme', '/v1/destinations'), $next, "after $status: $next";
    }
    cached('acme', '/v1/destinations');
    is write_to('acme', 'POST', '/v1/projects/p-2/destinations')->{status}, 403, 'a refused write';
    is cached('acme', '/v1/destinations'), 'HIT', 'invalidates nothing';
};

subtest 'a write at one gateway invalidates at the other' => sub {
    my $second = another();
    my $there = sub {
        $second->get('/v1/destinations/far', token => $token{twin})->{headers}{'x-cache-status'}
    };
    is $there->(), 'MISS', 'asked for there';
    is $there->(), 'HIT', 'the answer is cached there';
    is write_to('acme', 'PATCH', '/v1/destinations/far')->{status}, 200, 'a write here';
    ok $second->wait_for(sub { $there->() eq 'MISS' }), 'invalidates there';
    $second->finish;
};

# Entries that live for one second, for the next three subtests.  nginx counts in
# whole seconds: they have expired when the second but one begins.

my %first = map { $_ => number(get($_, '/v1/topics')) } qw(acme twin other);
my @failing = map { "/v1/provider-apps?fault=$_" } 0 .. 5;
my @gone = map { "/v1/installations?groupRef=g$_" } 0 .. 4;
my %old = map { $_ => number(get('acme', $_)) } @failing, @gone;
my $stored = time;
sleep int($stored) + 2.02 - $stored;

subtest 'the background refresh asks with the right key for the right project' => sub {
    $up->clear;
    for my $who (qw(acme twin other)) {
        my $res = get($who, '/v1/topics');
        is $res->{headers}{'x-cache-status'}, 'STALE', "$who gets the stale answer";
        is number($res), $first{$who}, 'its own';
    }
    ok $gw->wait_for(sub { $up->requests >= 3 }), 'each entry is refreshed';
    my %project = (acme => 'p-1', twin => 'p-1', other => 'p-2');
    is_deeply [ sort map { Gateway::Upstream::header($_, 'x-api-key') . " $_->{target} $_->{host}" } $up->requests ],
        [ sort map { "key-$_ /v1/projects/$project{$_}/topics api.withampersand.com" } keys %project ],
        'with its own key, for its own project';
    for my $who (qw(acme twin other)) {
        my $doc;
        ok $gw->wait_for(sub { $doc = $gw->json(get($who, '/v1/topics')); $doc->{n} != $first{$who} }),
            "then $who gets the new answer";
        is $doc->{key}, "key-$who", 'its own';
    }
};

subtest 'when Ampersand fails, the expired answer is served' => sub {
    my @faults = ({ status => 500 }, { status => 502 }, { status => 503 }, { status => 504 }, { drop => 1 },
                  { status => 429 });
    for my $i (0 .. $#faults) {
        my $what = $faults[$i]{status} || 'dropped';
        $up->answer($faults[$i]);
        my $seen = $up->requests;
        for my $time (1 .. 3) {
            my $res = get('acme', $failing[$i]);
            is $res->{status}, 200, "$what: answered";
            like $res->{headers}{'x-cache-status'}, qr/^(?:STALE|UPDATING)$/, "$what: says so";
            is $res->{headers}{'x-gateway-source'}, 'cache', "$what: source";
            is number($res), $old{ $failing[$i] }, "$what: the old answer";
            ok $gw->wait_for(sub { $up->requests > $seen }), "$what: a refresh was tried";
        }
    }
    $up->answer({ echo => 1 });
};

subtest 'what Ampersand no longer serves leaves the cache' => sub {
    my @answers = ({ status => 404 }, { status => 401 }, { status => 403 }, { status => 410 },
                   { echo => 1, headers => [ 'Cache-Control' => 'no-store' ] });
    for my $i (0 .. $#answers) {
        my $what = $answers[$i]{status} || 'no-store';
        $up->answer($answers[$i]);
        my $res;
        ok $gw->wait_for(sub { $res = get('acme', $gone[$i]); (number($res) // -1) != $old{ $gone[$i] } }),
            "$what: the old answer is no longer served";
        is $res->{status}, $answers[$i]{status} || 200, "$what: but this status";
        is $res->{headers}{'x-gateway-source'}, 'upstream', "$what: source";
        is cached('acme', $gone[$i]), 'MISS', "$what: each time";
        is lifetime($gw, qr/groupRef=g$i(?:\||$)/), undef, "$what: no file is left";
    }
    $up->answer({ echo => 1 });
    get('acme', $gone[0]);
    ok $gw->wait_for(sub { cached('acme', $gone[0]) eq 'HIT' }), 'what comes back is cached again';
};

subtest 'ampersand_cache_ttl' => sub {
    my $lines = <<'E';
    ampersand_cache_ttl listTopics 33s;
    ampersand_cache_ttl getDestination 0;
    ampersand_cache_ttl read 22m;
    ampersand_cache_ttl default 11s;
E
    my $other = another(http => $lines);
    my %want = (
        '/v1/topics' => [ 'listTopics', 33, 'its own line beats its class' ],
        '/v1/destinations/d' => [ 'getDestination', undef, '0 is never' ],
        '/v1/destinations' => [ 'listDestinations', 22 * 60, 'a class beats default' ],
        '/v1/providers' => [ 'listProviders', 11, 'default is for the rest' ],
        '/v1/api-keys' => [ 'listApiKeys', undef, 'default does not apply to what is never cached' ],
        '/v1/generate-upload-url' => [ 'generateUploadUrl', undef, 'nor of a GET that writes' ],
        '/proxy/x/y' => [ 'proxyRequest', undef, 'the proxy API only where it is named' ],
    );
    for my $target (sort keys %want) {
        my ($id, $seconds, $why) = @{ $want{$target} };
        is $other->get($target, token => $token{acme})->{status}, 200, $target;
        is $seconds ? kept_for($other, keyed($id)) : lifetime($other, keyed($id)), $seconds, "$id: $why";
    }
    $other->finish;

    # as with other nginx directives, a level with a line of its own inherits none
    $other = another(http => $lines, location => 'ampersand_cache_ttl proxyRequest 44s;');
    %want = ('/proxy/x/y' => [ 'proxyRequest', 44 ], '/v1/topics' => [ 'listTopics', 60 ]);
    for my $target (sort keys %want) {
        my ($id, $seconds) = @{ $want{$target} };
        for my $status (qw(MISS HIT)) {
            is $other->get($target, token => $token{acme})->{headers}{'x-cache-status'}, $status, "$target: $status";
        }
        is kept_for($other, keyed($id)), $seconds, "$id: $seconds s";
    }
    for my $method (qw(POST PUT DELETE PATCH OPTIONS)) {
        is $other->request($method, '/proxy/x/y', token => $token{acme})->{headers}{'x-cache-status'}, 'BYPASS',
            "the proxy API's $method is not cached";
    }
    $other->finish;
};

# A location that sets proxy_cache itself: what must not be cached is not.

subtest 'a location that names its cache itself' => sub {
    my $tmp = File::Temp->newdir;
    chmod 0755, $tmp;
    my $conf = Gateway::_slurp("$Gateway::ROOT/conf/ampersand/proxy.conf");
    $conf =~ s/^(proxy_cache\s+)\S+;/$1ampersand;/m or die;
    open my $f, '>', "$tmp/own.conf" or die $!;
    print $f $conf;
    close $f;
    my $own = another(gateway => "location /v1 { ampersand platform; include $tmp/own.conf; }");
    my $ask = sub {
        my ($target, @h) = @_;
        my $res = $own->get($target, token => $token{acme}, headers => \@h);
        return "$res->{status} $res->{headers}{'x-cache-status'} " . decode_json($res->{body})->{n};
    };
    for my $secret ('/v1/connections/own?includeCreds=true', '/v1/api-keys', '/v1/destinations/own?includeSecrets=true') {
        my ($first, $second) = map { $ask->($secret) } 1, 2;
        like $first, qr/^200 BYPASS /, "$secret: not looked for";
        like $second, qr/^200 BYPASS /, 'nor the second time';
        isnt $second, $first, 'asked for again';
    }
    is lifetime($own, qr/./), undef, 'none of them is cached';

    my $path = '/v1/destinations/own';
    like my $first = $ask->($path), qr/^200 MISS /, 'other operations are cached';
    is $ask->($path), $first =~ s/MISS/HIT/r, 'the second answer is from the cache';
    like my $fresh = $ask->($path, 'Cache-Control' => 'no-cache'), qr/^200 BYPASS /, 'no-cache passes by';
    is $ask->($path), $fresh =~ s/BYPASS/HIT/r, 'and its answer is cached';
    $own->finish;
};

$gw->finish;
done_testing;
