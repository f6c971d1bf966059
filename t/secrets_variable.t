#!/usr/bin/perl

# $ampersand_api_key holds the key while the upstream request is built, and is
# empty for logs, answers, conditions, cache keys and other requests.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::Canary;
use Gateway::Upstream;
use Test::More;

my $c = Gateway::Canary->new;

sub answer {
    my ($req) = @_;
    my ($do) = $req->{target} =~ /\bdo=(\w+)/;
    return undef unless $do;
    return { status => 500 } if $do eq 'fail';
    return { drop => 1 } if $do eq 'drop';
    return { hold => 1 } if $do eq 'held';
    return { headers => [ 'Cache-Control' => 'max-age=1' ] } if $do eq 'stale';
    return undef;
}

my $upstream = Gateway::Upstream->start(\&answer);
my $other    = Gateway::Upstream->start;
my ($name)   = $other->url =~ m{//(.*)};
my $root     = $Gateway::ROOT;
my $tmp      = File::Temp->newdir;

open my $in, '<', "$root/conf/ampersand/proxy.conf" or die $!;
my $proxy = do { local $/; <$in> };
open my $f, '>', "$tmp/proxy.conf" or die $!;
print $f $proxy;
close $f;
$proxy =~ s/(proxy_cache_key\s+)\S+;/$1\$ampersand_cache_key|\$ampersand_api_key;/ or die;
open $f, '>', "$tmp/keyed.conf" or die $!;
print $f $proxy;
close $f;

my $absent = Gateway::Redis::free_port();
my $gw = Gateway->start(upstream => $upstream->url, count => 1, http => <<"E", gateway => <<"G");
    ampersand_cache_stale 60s;
    log_format spy '\$status \$ampersand_operation <\$ampersand_api_key>';
    access_log logs/spy.log spy;
    log_subrequest on;
    map \$request_method \$mapped { default \$ampersand_api_key; }
    upstream absent { server 127.0.0.1:$absent; }
    upstream other { server $name; }
    add_header X-Spy "<\$ampersand_api_key>" always;
    add_header X-Map "<\$mapped>" always;
    add_header X-Copy \$copy always;
E
    set \$copy "<>";
    error_page 404 /-/page;
    location = /-/page { internal; return 200 "<\$ampersand_api_key>"; }
    location = /-/mirror {
        internal;
        proxy_pass http://other/mirror;
        proxy_set_header X-Spy "<\$ampersand_api_key>";
        proxy_pass_request_body off;
        proxy_set_header Content-Length "";
    }
    location = /-/auth {
        internal;
        proxy_pass http://other/auth;
        proxy_set_header X-Spy "<\$ampersand_api_key>";
        proxy_pass_request_body off;
        proxy_set_header Content-Length "";
    }
    location /v1 {
        ampersand platform;
        include $tmp/proxy.conf;
    }
    location /v1/connections {
        ampersand platform;
        include $tmp/proxy.conf;
        if (\$ampersand_api_key) { return 418; }
        if (\$ampersand_api_key ~ "(.+)") { return 418; }
        set \$copy "<\$ampersand_api_key>";
    }
    location /v1/providers {
        ampersand platform;
        return 200 "<\$ampersand_api_key>";
    }
    location /v1/provider-apps {
        ampersand platform;
        include $tmp/proxy.conf;
        mirror /-/mirror;
        mirror_request_body off;
    }
    location /v1/integrations {
        ampersand platform;
        include $tmp/proxy.conf;
        mirror /-/mirror;
        mirror_request_body off;
    }
    location /v1/destinations {
        ampersand platform;
        include $tmp/proxy.conf;
        auth_request /-/auth;
        auth_request_set \$copy "<\$ampersand_api_key>";
    }
    location /v1/projects {
        ampersand platform;
        include $tmp/keyed.conf;
    }
    location /write/v1 {
        ampersand write;
        ampersand_upstream http://absent;
        include $tmp/proxy.conf;
    }
    location /read/v1 {
        ampersand read;
        include $tmp/proxy.conf;
    }
G

my $key = $c->plant('the Ampersand key');
my $token = $gw->tenant('acme', key => $key, project => 'p1');
my $poor = $gw->tenant('poor', key => '', project => 'p2');

sub spy {
    open my $f, '<', $gw->dir . '/logs/spy.log' or return '';
    local $/;
    return <$f> // '';
}

sub lines { return scalar(() = spy() =~ /\n/g) }

sub silent { is(scalar(grep { !/<->$/ } split /\n/, spy()), 0, '... with "-"') }

# the keys of the requests whose target holds the path

sub keys_seen {
    my ($up, $path) = @_;
    return [ map { join ',', Gateway::Upstream::header($_, 'x-api-key') }
             grep { index($_->{target}, $path) >= 0 } $up->requests ];
}

sub ours { return [ map { $_ eq $key ? 'the key' : $_ eq '' ? 'none' : 'another' } @{ keys_seen($upstream, $_[0]) } ] }

sub spied {
    my ($path) = @_;
    my @seen = map { scalar Gateway::Upstream::header($_, 'x-spy') } grep { index($_->{target}, $path) == 0 } $other->requests;
    return [ map { $_ eq '<>' ? 'nothing' : 'something' } @seen ];
}

# One request: the key is not in the answer, and "-" in its log lines.

sub ask {
    my ($what, $status, $method, $target, %r) = @_;
    my $before = lines();
    my $res = $gw->request($method, $target, %r, token => $r{none} ? undef : $r{token} // $token);
    is($res->{status}, $status, "$what: $status");
    $c->clean("the answer: $what", "$res->{head}\n$res->{body}");
    is($res->{headers}{'x-spy'}, '<>', '... add_header has nothing');
    ok($gw->wait_for(sub { lines() > $before }), '... it is logged');
    silent();
    return $res;
}

sub head {
    my ($method, $target, @more) = @_;
    return join "\r\n", "$method $target HTTP/1.1", 'Host: g', "X-Api-Key: $token", @more, '', '';
}

sub leave {
    my ($what, $bytes, $reached, $then) = @_;
    my $before = lines();
    my $s = $gw->connect;
    syswrite $s, $bytes;
    $gw->wait_for($reached);
    close $s;
    $then->() if $then;
    ok($gw->wait_for(sub { lines() > $before }), "$what: logged");
    silent();
}


subtest 'an answer, from the upstream and from the cache' => sub {
    for my $from ('upstream', 'cache') {
        my $res = ask("from the $from", 200, GET => '/v1/projects/p1/connections');
        is($res->{headers}{'x-gateway-source'}, $from, "... it is from the $from");
        $res = ask("past set and if, from the $from", 200, GET => '/v1/connections?x=1');
        is($res->{headers}{'x-copy'}, '<>', '... set has nothing');
    }
    is_deeply(ours('/connections'), [ 'the key', 'the key' ], 'the upstream gets the key');
    ask('return', 200, GET => '/v1/providers');
};


subtest 'a refusal' => sub {
    ask('no token', 401, GET => '/v1/connections', none => 1);
    ask('no key', 503, GET => '/v1/connections', token => $poor);
    ask('not in the table', 404, GET => '/v1/nothing');
    ask('outside of all APIs', 404, GET => '/nothing');
    ask('another project', 403, GET => '/v1/projects/other/connections');
};


subtest 'an upstream that fails' => sub {
    ask('absent', 502, POST => '/write/v1/projects/p1/integrations/i/objects/o', json => {});
    ask('closes', 502, GET => '/v1/connections?do=drop');
    ask('500', 500, GET => '/v1/connections?do=fail');
};


subtest 'a client that leaves' => sub {
    my $n = $upstream->requests;
    leave('before the upstream answers', head(GET => '/v1/installations?do=held'), sub { $upstream->requests > $n },
          sub { $upstream->release });
    ok($gw->wait_for(sub { $gw->under_way == 0 }), 'its request has ended');
    leave('in the middle of its body', head(POST => '/v1/oauth-connect', 'Content-Length: 9') . '{', sub { $gw->under_way == 1 });
    leave('in the middle of a body for the upstream',
          head(POST => '/write/v1/projects/p1/integrations/i/objects/o', 'Content-Length: 9') . '{', sub { $gw->under_way == 1 });

    $n = $upstream->requests;
    my $first = $gw->connect;
    syswrite $first, head(GET => '/v1/connections?do=held', 'Connection: close');
    $gw->wait_for(sub { $upstream->requests > $n });
    leave('while it waits for the cache lock', head(GET => '/v1/connections?do=held'), sub { $gw->under_way == 2 },
          sub { $upstream->release });
    is(Gateway::read_response($first)->{status}, 200, 'the request that it waited for is answered');
};


subtest 'a refresh in the background' => sub {
    ask('stored', 200, GET => '/v1/connections?do=stale');
    my ($stale, $before);
    ok($gw->wait_for(sub {
        $before = lines();
        my $res = $gw->get('/v1/connections?do=stale', token => $token);
        $stale = $res->{head};
        return $res->{headers}{'x-cache-status'} eq 'STALE';
    }), 'given stale');
    $c->clean('the stale answer', $stale);
    ok($gw->wait_for(sub { lines() >= $before + 2 }), 'it and its refresh are logged');
    silent();
    is_deeply(ours('do=stale'), [ 'the key', 'the key' ], 'the refresh has the key');
};


subtest 'auth_request' => sub {
    my $res = ask('with auth_request', 200, GET => '/v1/destinations/d');
    is($res->{headers}{'x-copy'}, '<>', '... auth_request_set has nothing');
    is_deeply(spied('/auth'), ['nothing'], 'the subrequest has no key');
    is_deeply(ours('/destinations/d'), ['the key'], 'the upstream has it');
};


subtest 'mirror' => sub {
    ask('mirrored', 200, POST => '/v1/provider-apps', json => { provider => 'x', clientId => 'x', clientSecret => 'x' });
    is_deeply(ours('/provider-apps'), ['the key'], 'the upstream has the key');

    ask('mirrored, stored', 200, GET => '/v1/integrations') for 1, 2;
    is_deeply(ours('/integrations'), ['the key'], 'one has the key, the other is from the cache');

    # the second request is mirrored while it waits for the first
    my @s = map { $gw->connect } 1, 2;
    my $n = $upstream->requests;
    syswrite $s[0], head(GET => '/v1/integrations?do=held', 'Connection: close');
    $gw->wait_for(sub { $upstream->requests > $n });
    syswrite $s[1], head(GET => '/v1/integrations?do=held', 'Connection: close');
    $gw->wait_for(sub { @{ spied('/mirror') } == 5 });
    $upstream->release;
    my @res = map { Gateway::read_response($_) } @s;
    is_deeply([ map { $_->{status} } @res ], [ 200, 200 ], 'both are answered');
    $c->clean('the answers', join "\n", map { "$_->{head}\n$_->{body}" } @res);

    ok($gw->wait_for(sub { @{ spied('/mirror') } == 5 }), 'all five requests were mirrored');
    is(scalar(grep { $_ ne 'nothing' } @{ spied('/mirror') }), 0, 'the mirror never has the key');
};


subtest 'a proxy_cache_key with the variable' => sub {
    ask('stored', 200, GET => '/v1/projects/p1/integrations?keyed=1');
    is_deeply(ours('keyed=1'), ['the key'], 'the upstream has the key');
    my $files = Gateway::Canary::files($gw->dir . '/cache');
    ok(scalar(keys %$files), 'the cache holds something');
    $c->clean('the cache', join "\n", map { "$_\n$files->{$_}" } sort keys %$files);
};


$gw->finish;
my $files = Gateway::Canary::files($gw->dir, skip => qr{/(?:master\.key|cache/.*)$});
$c->clean('the files of the gateway', join "\n", values %$files);
done_testing();
