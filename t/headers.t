#!/usr/bin/perl

# Which headers are sent upstream: an allow-list for four APIs, a deny-list for the
# proxy API.  And which headers of the upstream's answer reach the client.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Select;
use Test::More;

use Gateway;

my $upstream = Gateway::Upstream->start(sub {
    my ($req) = @_;
    my $what;
    ($what) = $req->{target} =~ m{^/upstream/([a-z-]+)} or return undef;
    my %answer = (
        accel => { headers => [
            'X-Accel-Redirect' => '/inside', 'X-Accel-Expires' => '3600', 'X-Accel-Buffering' => 'no',
            'X-Accel-Limit-Rate' => '1', 'X-Accel-Charset' => 'utf-7' ], body => 'unchanged' },
        named => { headers => [ 'X-Accel-Redirect' => '@inside' ], body => 'unchanged' },
        echo => { headers => [ 'X-Api-Key' => 'key-of-acme-5c1f', 'Set-Cookie' => 'a=b', 'X-Other' => 'x' ] },
        redirect => { status => 302, headers => [ Location => 'http://127.0.0.1:1/v1/projects/proj-B-2?x=y' ], body => '' },
        relative => { status => 307, headers => [ Location => '/v1/elsewhere' ], body => '' },
        tunnel => "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        lines => "HTTP/1.1 200 OK\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        nul => "HTTP/1.1 200 OK\r\nX-Y: a\0b\r\nContent-Length: 2\r\n\r\n{}",
        cr => "HTTP/1.1 200 OK\r\nX-Y: a\rX-Api-Key: key\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
        lengths => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
        both => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        huge => "HTTP/1.1 200 OK\r\nX-Y: " . ('y' x 200_000) . "\r\nContent-Length: 2\r\n\r\n{}",
        garbage => "\0\1\2\3garbage\r\n\r\n",
        more => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond",
    );
    return $answer{$what};
});

my $gw = Gateway->start(
    upstream => $upstream->url,
    server   => 'location = /inside { internal; return 200 "inside"; } location @inside { return 200 "inside"; }',
    location => 'ampersand_cache_ttl default 0s;',
);
my $token = $gw->tenant('acme', project => 'proj-A-1', name => 'alpha', key => 'key-of-acme-5c1f');

my $trace = '4bf92f3577b34da6a3ce929d0e0e4736';

# All headers that a client might send, and a body if the method has one.

my @client = (
    'Accept' => 'application/json', 'Accept-Language' => 'de', 'Accept-Encoding' => 'br', 'Accept-Charset' => 'utf-8',
    'User-Agent' => 'sdk/1', 'traceparent' => "00-$trace-00f067aa0ba902b7-01", 'tracestate' => 'x=y', 'X-Request-Id' => 'mine-1',
    'Content-Language' => 'en', 'Cookie' => 'a=b', 'X-Forwarded-For' => '1.2.3.4', 'X-Forwarded-Proto' => 'https',
    'X-Forwarded-Host' => 'x', 'X-Forwarded' => 'x', 'Forwarded' => 'for=x', 'Via' => '1.1 x', 'X-Real-IP' => '1.2.3.4',
    'TE' => 'trailers', 'Trailer' => 'x', 'Upgrade' => 'h2c', 'Keep-Alive' => '5', 'Proxy-Authorization' => 'Basic x',
    'Proxy-Connection' => 'close', 'Origin' => 'https://x', 'Referer' => 'https://x', 'Notion-Version' => '2022-06-28',
    'X-Custom' => 'custom', 'X-Named' => 'hop-by-hop', 'Prefer' => 'odata', 'X-Amp-Admin' => '1',
    'X-Amp-Request-Type' => 'client', 'X-Amp-Project-Id' => 'alpha', 'X-Amp-Group-Ref' => 'g-1',
    'X-Amp-Installation-Id' => 'i-1', 'X-Amp-Integration-Name' => 'n-1', 'X-Amp-Rate-Limiter-Mode' => 'wait',
    'X-Accel-Redirect' => '/x', 'X-Gateway-Source' => 'x', 'X-HTTP-Method-Override' => 'DELETE',
    'X-Original-URL' => '/x', 'X-Rewrite-URL' => '/x', 'Max-Forwards' => '3',
);

sub send_all {
    my ($method, $target, %r) = @_;
    my $text = "$method $target HTTP/1.1\r\nHost: gateway.test\r\nConnection: close, X-Named\r\n"
        . "Authorization: Bearer $token\r\nX-Api-Key: $token\r\n";
    my @h = (@client, @{ $r{headers} || [] });
    while (my ($name, $value) = splice @h, 0, 2) {
        $text .= "$name: $value\r\n";
    }
    $text .= 'Content-Length: ' . length($r{body}) . "\r\n" if defined $r{body};
    my $res = $gw->raw("$text\r\n" . ($r{body} // ''), method => $method);
    my @seen = $upstream->take;
    is $res->{status}, 200, "$method $target: 200";
    is scalar(@seen), 1, "$method $target: once";
    return map { [ map { [ lc $_->[0], $_->[1] =~ s/^(00-$trace)-(?!00f067aa0ba902b7)[0-9a-f]{16}-/$1-SPAN-/r ] } @{ $_->{headers} } ] } @seen;
}

# The upstream got exactly these headers, in any order.

sub is_set {
    my ($got, $expected, $name) = @_;
    my @expected;
    while (my ($n, $v) = splice @$expected, 0, 2) {
        push @expected, "$n: $v";
    }
    is_deeply [ sort map { "$_->[0]: $_->[1]" } @$got ], [ sort @expected ], $name;
}

my @always = ('x-api-key' => 'key-of-acme-5c1f', 'x-request-id' => 'mine-1');
my @may = (
    'accept' => 'application/json', 'accept-language' => 'de', 'accept-encoding' => 'br', 'accept-charset' => 'utf-8',
    'user-agent' => 'sdk/1', 'traceparent' => "00-$trace-SPAN-01", 'tracestate' => 'x=y', 'content-language' => 'en',
);

subtest 'platform, GET' => sub {
    is_set(send_all('GET', '/v1/integrations'), [ @always, @may, host => 'api.withampersand.com' ], 'exactly');
};

subtest 'platform, GET that is never cached' => sub {
    is_set(send_all('GET', '/v1/generate-upload-url'), [ @always, @may, host => 'api.withampersand.com' ], 'exactly');
};

subtest 'platform, POST' => sub {
    is_set(send_all('POST', '/v1/topics', body => '{}',
            headers => [ 'Content-Type' => 'application/json; charset=utf-8', 'Content-Encoding' => 'identity' ]),
        [ @always, @may, host => 'api.withampersand.com', 'content-length' => 2,
          'content-type' => 'application/json; charset=utf-8', 'content-encoding' => 'identity' ], 'exactly');
};

subtest 'platform, a body that was checked' => sub {
    is_set(send_all('POST', '/v1/oauth-connect', body => '{}', headers => [ 'Content-Type' => 'text/plain' ]),
        [ @always, @may, host => 'api.withampersand.com', 'content-type' => 'application/json',
          'content-length' => length '{"projectIdOrName":"proj-A-1"}' ], 'exactly, and JSON it is');
};

subtest 'platform, the list of projects, which the gateway edits' => sub {
    is_set(send_all('GET', '/v1/projects'),
        [ host => 'api.withampersand.com', @always, grep { !/^(?:accept-encoding|br)$/ } @may ],
        'no Accept-Encoding');
};

subtest 'read' => sub {
    is_set(send_all('POST', '/read/v1/integrations/i/installations/n:pause', body => '{}'),
        [ @always, @may, host => 'read.withampersand.com', 'content-length' => 2 ], 'exactly');
};

subtest 'write' => sub {
    is_set(send_all('POST', '/write/v1/integrations/i/objects/o', body => '{}'),
        [ @always, @may, host => 'write.withampersand.com', 'content-length' => 2 ], 'exactly');
};

subtest 'search' => sub {
    is_set(send_all('POST', '/search/v1/integrations/i?groupRef=g', body => '{}'),
        [ @always, @may, host => 'search.withampersand.com', 'content-length' => 2, 'x-amp-request-type' => 'search' ],
        'exactly, with the request type');
};

my @proxy = (
    @always, @may, host => 'proxy.withampersand.com',
    'origin' => 'https://x', 'referer' => 'https://x', 'notion-version' => '2022-06-28', 'x-custom' => 'custom',
    'prefer' => 'odata', 'max-forwards' => '3', 'x-amp-project-id' => 'proj-A-1', 'x-amp-group-ref' => 'g-1',
    'x-amp-installation-id' => 'i-1', 'x-amp-integration-name' => 'n-1', 'x-amp-rate-limiter-mode' => 'wait',
);

subtest 'proxy' => sub {
    is_set(send_all('GET', '/proxy/x'), [ @proxy, 'x-amp-proxy-version' => '1' ], 'all but what is denied');
};

subtest 'proxy, PATCH with conditions and a version' => sub {
    is_set(send_all('PATCH', '/proxy/x', body => 'abc', headers => [
            'If-Match' => '"e"', 'Content-Type' => 'text/x', 'X-Amp-Proxy-Version' => '2', 'Range' => 'bytes=1-2' ]),
        [ @proxy, 'x-amp-proxy-version' => '2', 'content-length' => 3, 'content-type' => 'text/x', 'if-match' => '"e"',
          'range' => 'bytes=1-2' ], 'all but what is denied');
};

subtest 'request ids' => sub {
    for (['mine.1_2-3:#/+=@', 1], ['x' x 128, 1], ['x' x 129, 0], ['a b', 0], ['a"b', 0], ["\xc3\xa9", 0], [$token, 0]) {
        my ($id, $kept) = @$_;
        my $res = $gw->get('/v1/integrations', token => $token, headers => [ 'X-Request-Id' => $id ]);
        my ($seen) = $upstream->take;
        my $sent = Gateway::Upstream::header($seen, 'x-request-id');
        is $res->{headers}{'x-request-id'}, $sent, 'one id in both directions';
        my $text = $id eq $token ? 'a gateway token' : substr $id, 0, 20;
        ok $kept ? $sent eq $id : $sent =~ /^[0-9a-f]{32}$/, ($kept ? 'kept: ' : 'another: ') . $text;
    }
};

subtest 'more headers than one part of a list holds' => sub {
    for my $n (0, 1, 5, 6, 7, 8, 9, 15, 16, 17, 40, 80) {
        my $res = $gw->get('/proxy/x', token => $token, headers => [ map { ("X-H-$_" => $_) } 1 .. $n ]);
        my ($seen) = $upstream->take;
        is join(' ', map { $_->[1] } grep { $_->[0] =~ /^X-H-/ } @{ $seen->{headers} }), join(' ', 1 .. $n),
            "$n, in order";
    }
};

subtest 'a control byte, wherever it stands' => sub {
    my $ask = sub { $gw->raw("GET /v1/generate-upload-url HTTP/1.1\r\nHost: gateway.test\r\n"
        . "X-Api-Key: $token\r\nUser-Agent: $_[0]\r\n\r\n") };
    for my $length (1, 7, 8, 9, 18) {
        my (@refused, @changed);
        for my $at (0 .. $length - 1) {
            for my $byte ("\x01", "\x1f", "\x7f") {
                my $value = 'a' x $length;
                substr $value, $at, 1, $byte;
                push @refused, $at if $ask->($value)->{status} != 400;
            }
            my $value = "\x80" x $length;
            substr $value, $at, 1, $at && $at < $length - 1 ? "\t" : '~';
            $ask->($value);
            my ($seen) = $upstream->take;
            push @changed, $at unless $seen && grep { lc $_->[0] eq 'user-agent' && $_->[1] eq $value } @{ $seen->{headers} };
        }
        is "@refused", '', "of $length bytes: 400";
        is "@changed", '', "of $length bytes: tabs and what is above ASCII go upstream";
    }
    is scalar($upstream->take), 0, 'nothing else went upstream';
};

subtest 'what the upstream sends never steers this nginx' => sub {
    for my $what (qw(accel named)) {
        my $res = $gw->get("/proxy/upstream/$what", token => $token);
        is $res->{status}, 200, "$what: 200";
        is $res->{body}, 'unchanged', "$what: the upstream's body";
        is_deeply [ grep { /x-accel/i } map { $_->[0] } @{ $res->{all} } ], [], "$what: and no X-Accel-*";
    }
    my $res = $gw->get('/proxy/upstream/echo', token => $token);
    is $res->{status}, 200, 'headers that show secrets: 200';
    unlike $res->{head}, qr/key-of-acme|set-cookie/i, 'are removed';
    is $res->{headers}{'x-other'}, 'x', 'other headers stay';
};

# Connection is a list, which may stand on several lines.

subtest 'Connection on two lines' => sub {
    $upstream->take;
    for my $target ('/v1/topics', '/proxy/x') {
        my $res = $gw->raw("POST $target HTTP/1.1\r\nHost: g\r\nX-Api-Key: $token\r\nContent-Length: 2\r\n"
            . "Connection: TE, close\r\nTE: trailers\r\nConnection: X-Foo\r\nX-Foo: 1\r\nConnection:\r\n"
            . "connection: x-bar,keep-alive\r\nX-Bar: 2\r\nX-Baz: 3\r\n\r\n{}", method => 'POST');
        is $res->{status}, 200, "$target: 200";
        my ($seen) = $upstream->take;
        is scalar(grep { $_->[0] =~ /^(?:te|x-foo|x-bar|connection)$/i } @{ $seen->{headers} }), 0,
            "$target: nothing that a line names goes upstream";
        is scalar(grep { lc $_->[0] eq 'x-baz' } @{ $seen->{headers} }), $target =~ /proxy/ ? 1 : 0, "$target: another header";
    }
};

# What proxies, load balancers and platforms in front of the gateway say of the client.

subtest 'no address of the client goes to a provider' => sub {
    my @names = qw(
        X-Forwarded-For X-Forward-For Forwarded-For Forwarded X-Original-Forwarded-For X-Original-URI X-Original-Method
        X-Scheme X-Real-IP X-Real-Port X-Client-IP Client-IP True-Client-IP X-Cluster-Client-IP X-ProxyUser-IP
        X-Remote-Addr Remote-Addr X-Remote-User X-Originating-IP WL-Proxy-Client-IP CF-Connecting-IP CF-Connecting-IPv6
        CF-IPCountry CF-Ray CF-Visitor CF-Access-Jwt-Assertion Fastly-Client-IP Fly-Client-IP Akamai-Origin-Hop
        X-Envoy-External-Address X-Envoy-Peer-Metadata X-Azure-ClientIP X-Appengine-User-IP X-ARR-ClientCert
        X-MS-Client-Principal-Name X-Vercel-IP-Country X-NF-Client-Connection-IP X-Sucuri-ClientIP Incap-Client-IP
        X-Amzn-Trace-Id X-Amzn-Oidc-Data X-Goog-Authenticated-User-Email X-Goog-IAP-JWT-Assertion
        SSL-Client-Subject-DN X-SSL-Client-Cert Z-Forwarded-For
    );
    $upstream->take;
    my $res = $gw->get('/proxy/x', token => $token, headers => [ map { $_ => '203.0.113.7' } @names, 'X-Goog-User-Project', 'CF-Access-Client-Id' ]);
    is $res->{status}, 200, 'the request';
    my ($seen) = $upstream->take;
    is_deeply [ grep { defined Gateway::Upstream::header($seen, $_) } @names ], [], 'none of ' . @names . ' headers';
    ok defined Gateway::Upstream::header($seen, $_), "but $_, which is a provider's own" for qw(X-Goog-User-Project CF-Access-Client-Id);
};

subtest 'a redirect is passed on, not followed' => sub {
    $upstream->take;
    my $res = $gw->get('/proxy/upstream/redirect', token => $token);
    is $res->{status}, 302, 'absolute: 302';
    is $res->{headers}{location}, 'http://127.0.0.1:1/v1/projects/proj-B-2?x=y', 'unchanged';
    $res = $gw->get('/proxy/upstream/relative', token => $token);
    is $res->{status}, 307, 'relative: 307';
    is $res->{headers}{location}, '/v1/elsewhere', 'unchanged';
    is scalar($upstream->take), 2, 'one upstream request each';
};

subtest 'answers that are not valid HTTP' => sub {
    for my $what (qw(nul huge garbage both lengths)) {
        my $res = $gw->get("/proxy/upstream/$what", token => $token);
        is $res->{status}, 502, "$what: 502";
        is $res->{headers}{'content-type'}, 'application/problem+json', "$what: a problem";
    }
    for my $what (qw(cr lines)) {
        my $res = $gw->get("/proxy/upstream/$what", token => $token);
        like $res->{status}, qr/^(?:200|502)$/, "$what: $res->{status}";
        is scalar(grep { lc $_->[0] eq 'x-api-key' } @{ $res->{all} }), 0, "$what: no header more";
    }
    is $gw->get('/proxy/upstream/more', token => $token)->{body}, '{}', 'bytes after an answer are not taken for the next answer';
    is $gw->get('/proxy/x', token => $token)->{body}, '{"ok":true}', 'nor for a later one';
};

subtest 'an upstream that switches protocols gets no tunnel' => sub {
    $upstream->take;
    my $socket = $gw->connect;
    print $socket "GET /proxy/upstream/tunnel HTTP/1.1\r\nHost: g\r\nX-Api-Key: $token\r\n"
        . "Connection: upgrade\r\nUpgrade: h2c\r\n\r\n";
    $socket->flush;
    IO::Select->new($socket)->can_read(5);
    print $socket "GET /v1/projects/proj-B-2 HTTP/1.1\r\nHost: api.withampersand.com\r\n\r\n";
    $socket->flush;
    IO::Select->new($socket)->can_read(0.3);
    my @seen = $upstream->take;
    is scalar(grep { $_->{target} =~ /proj-B-2/ } @seen), 0, 'the second request is handled by the gateway';
};

$gw->finish;

# Servers behind CGI, WSGI or PHP read X_Amp_Project_Id and X.Amp.Project.Id as X-Amp-Project-Id.

subtest 'ignore_invalid_headers off' => sub {
    my $up = Gateway::Upstream->start;
    my $gw = Gateway->start(upstream => $up->url, http => 'ignore_invalid_headers off;', location => 'ampersand_cache_ttl default 0s;');
    my $token = $gw->tenant('acme', project => 'p-1');
    my @names = qw(
        X_Amp_Project_Id X.Amp.Project.Id X_Amp-Project.Id X_Api_Key X.Api.Key X_Forwarded_For X.Real.IP Transfer_Encoding
        Transfer.Encoding Proxy_Authorization X_Amp_Group_Ref X_Http_Method_Override Keep_Alive X!Amp!Admin
        Accept_Encoding X(y) X@y
    );
    for my $target ('/proxy/x', '/v1/integrations') {
        is $gw->get($target, token => $token, headers => [ (map { $_ => 'other' } @names), 'X_Custom' => 'x' ])->{status}, 200, $target;
        my ($seen) = $up->take;
        my %got = map { lc $_->[0] => 1 } @{ $seen->{headers} };
        my @expected = $target =~ /proxy/ ? 'Accept_Encoding' : ();
        is_deeply [ grep { $got{ lc $_ } } @names ], \@expected, "$target: no spelling of a name that the gateway keeps";
        is !!$got{x_custom}, $target =~ /proxy/, "$target: a custom header of the client";
    }
    $gw->finish;
};

# After an internal redirect the next gateway location decides anew, from what the
# client sent.

subtest 'error_page to another gateway location' => sub {
    my $first = Gateway::Upstream->start(sub { return { status => 503, body => 'first' } });
    my $second = Gateway::Upstream->start;
    my $conf = do { local (@ARGV, $/) = "$Gateway::ROOT/conf/ampersand/proxy.conf"; <> };
    my $gw = Gateway->start(
        upstream => $first->url,
        http     => 'upstream second { server 127.0.0.1:' . $second->port . '; }',
        location => 'proxy_intercept_errors on; error_page 503 = @second;',
        server   => "location \@second { ampersand platform; ampersand_upstream http://second;\n$conf }",
    );
    my $token = $gw->tenant('acme', project => 'proj-A-1', key => 'key-of-acme-5c1f', args => [ '--group', 'g-1' ]);

    for (['GET', '/v1/installations?groupRef=g-1'], ['POST', '/v1/oauth-connect', '{"groupRef":"g-1","projectId":"-"}']) {
        my ($method, $target, $body) = @$_;
        my $res = $gw->request($method, $target, token => $token, body => $body, headers => [ 'User-Agent' => 'ua' ]);
        my ($seen, @more) = $second->take;
        is $res->{status}, 200, "$method: answered by the second";
        ok $seen && !@more, "$method: which saw it once" or next;
        is Gateway::Upstream::header($seen, 'x-api-key'), 'key-of-acme-5c1f', "$method: with the key";
        is Gateway::Upstream::header($seen, 'user-agent'), 'ua', "$method: with the client's headers";
        unlike $seen->{head}, qr/agw_/, "$method: without the token";
        is $seen->{body}, ($first->take)[0]{body}, "$method: with the same body";
    }
    is $gw->get('/v1/installations?groupRef=g-2', token => $token)->{status}, 403, 'a refused request is still refused';
    $gw->finish;
};

done_testing;
