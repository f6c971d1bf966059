#!/usr/bin/perl

# One client request can have several upstream requests: a refresh, a mirror, one
# more after error_page or after a wait.  Each is composed by the gateway, with the
# tenant's key, and charged; or nothing is sent.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::Made;
use Gateway::Redis;
use Gateway::Upstream;
use Gateway::Versions;
use JSON::PP ();
use Test::More;

my $key = 'amp-key-0123456789';

sub gateway {
    my (%o) = @_;
    my @args = @{ delete $o{args} || [] };
    my $gw = Gateway->start(%o, http => 'ampersand_cache_stale 60s; ' . ($o{http} // ''));
    return ($gw, $gw->tenant('acme', project => 'p1', key => $key, args => \@args));
}

sub own { return map { Gateway::Upstream::header($_, 'x-api-key') // 'no key' } @_ }

# what a client may not send, and what the gateway must not pass on

my @private = (Cookie => 'sid=SECRET', 'X-Forwarded-For' => '192.0.2.1');

sub leaks {
    my ($token, @sent) = @_;
    return grep { $_->{head} =~ /\Q$token\E|SECRET|192\.0\.2\.1/ } @sent;
}

sub logged {
    my ($gw, $status) = @_;
    my $line;
    $gw->wait_for(sub {
        ($line) = grep { $_->{status} == $status } map { JSON::PP::decode_json($_) } split /\n/, $gw->access_log;
        $line;
    });
    return $line || {};
}

subtest 'a subrequest to a gateway location sends nothing' => sub {
    my $up = Gateway::Upstream->start;
    my ($gw, $token) = gateway(upstream => $up->url, args => ['--rate', '1000/s', '--burst', '100'], server => <<'E');
        location /v1/topics {
            ampersand platform;
            mirror /v1/topics/mirrored;
            include PROXY;
        }
        location /v1/destinations {
            ampersand platform;
            auth_request /v1/topics/asked;
            include PROXY;
        }
        location = /-/include {
            ssi on;
            ssi_types *;
            default_type text/html;
            return 200 'a<!--# include virtual="/v1/topics/included" -->b';
        }
E
    my ($worker) = $gw->workers_pids;
    is $gw->get('/v1/topics', token => $token, headers => \@private)->{status}, 200, 'mirror: a GET is served';
    is $gw->get('/v1/topics', token => $token, headers => [ @private, 'Cache-Control' => 'no-cache' ])->{status}, 200,
        'mirror: one that goes upstream again';
    is $gw->request('POST', '/v1/topics', token => $token, headers => \@private, json => {})->{status}, 200,
        'mirror: a POST is served';
    is $gw->get('/v1/destinations', token => $token, headers => \@private)->{status}, 403, 'auth_request: refused';
    $gw->get('/-/include', token => $token, headers => \@private);

    my @sent = $up->requests;
    is_deeply [ map { "$_->{method} $_->{target}" } @sent ],
        [ 'GET /v1/projects/p1/topics', 'GET /v1/projects/p1/topics', 'POST /v1/projects/p1/topics' ],
        'the requests of the client went upstream, and none besides';
    is_deeply [ own(@sent) ], [ ($key) x 3 ], 'each has the key';
    is scalar(leaks($token, @sent)), 0, 'none has what is the client\'s own';
    is(($gw->workers_pids)[0], $worker, 'the worker lives');
    is $gw->get('/v1/topics', token => $token)->{status}, 200, '... and answers';
    $gw->finish;
};

subtest 'a refresh is composed and charged for itself, with a mirror beside it' => sub {
    my $up = Gateway::Upstream->start(sub {
        return { headers => [ 'Cache-Control' => 'max-age=1' ], body => '{}' };
    });
    my ($gw, $token) = gateway(upstream => $up->url, args => ['--rate', '1/h', '--burst', '3'], server => <<'E');
        location /v1/integrations {
            ampersand platform;
            mirror /v1/integrations/mirrored;
            mirror_request_body off;
            include PROXY;
        }
E
    my $status = sub {
        my $res = $gw->get('/v1/integrations', token => $token, headers => \@private);
        return $res->{headers}{'x-cache-status'} // $res->{status};
    };
    is $status->(), 'MISS', 'an answer is stored';
    ok $gw->wait_for(sub { $status->() eq 'STALE' }), 'it becomes stale';
    ok $gw->wait_for(sub { $up->requests == 2 }), 'and is refreshed';
    ok $gw->wait_for(sub { $status->() =~ /STALE|UPDATING/ }), 'it becomes stale again';
    ok $gw->wait_for(sub { $up->requests == 3 }), 'and is refreshed again';
    ok $gw->wait_for(sub { $status->() =~ /STALE|UPDATING/ }), 'and again';
    my $answer = $gw->request('POST', '/v1/topics', token => $token, json => {});
    is $answer->{status}, 429, 'the refreshes have cost a unit each';
    $status->() for 1 .. 3;
    my @sent = $up->requests;
    is scalar @sent, 3, 'a refresh without a unit sends nothing';
    is_deeply [ own(@sent) ], [ ($key) x 3 ], 'each has the key';
    is scalar(leaks($token, @sent)), 0, 'none has what is the client\'s own';
    $gw->finish;
};

# An entry that nginx has marked as being refreshed waits for that refresh for ever.

subtest 'a refresh whose client request becomes another one' => sub {
    my $up = Gateway::Upstream->start(sub {
        return $_[0]{target} =~ /after/ ? undef : { headers => [ 'Cache-Control' => 'max-age=1' ], body => '{}' };
    });
    my ($gw, $token) = gateway(upstream => $up->url, server => <<"E");
        location /v1/integrations {
            ampersand platform;
            include PROXY;
            post_action /-/after;
        }
        location = /-/after { proxy_pass @{[ $up->url ]}/after; }
E
    my $get = sub { $gw->get("/v1/$_[0]", token => $token, headers => $_[1] || []) };
    my $sent = sub { my $path = shift; scalar grep { $_->{target} =~ $path } $up->requests };

    is $get->($_)->{status}, 200, "$_: stored" for qw(topics integrations);
    my $stale = time + 3;
    ok $gw->wait_for(sub { time >= $stale }), 'both entries are stale';
    is $get->('topics', [ 'If-Match' => '"other"' ])->{status}, 412, 'a stale answer becomes a 412';
    is $get->('topics')->{headers}{'x-cache-status'}, 'STALE', 'the next request has it refreshed';
    ok $gw->wait_for(sub { $sent->('topics') == 2 }), '... once';
    is $get->('integrations')->{headers}{'x-cache-status'}, 'STALE', 'post_action follows a stale answer';
    ok $gw->wait_for(sub { $sent->('integrations') == 2 }), 'it is refreshed all the same';
    is scalar(grep { /\[error\]/ } split /\n/, $gw->error_log), 0, 'no line at level error';
    $gw->finish;
};

# A GET that the cache does not answer is refused when nginx has already made an
# upstream request for it.

subtest 'a refusal in front of the upstream' => sub {
    my $up = Gateway::Upstream->start;
    my $h2 = Gateway::Redis::free_port();
    my ($gw, $token) = gateway(upstream => $up->url, args => ['--rate', '1/h', '--burst', '1'],
        http   => 'error_page 500 502 /-/page;',
        server => Gateway::Versions::http2("127.0.0.1:$h2") . 'location = /-/page { internal; return 200 "page\n"; }');
    my $text = sub {
        my ($path, @headers) = @_;
        return join "\r\n", "GET $path HTTP/1.1", 'Host: a', "X-Api-Key: $token", @headers, '', '';
    };
    is $gw->get('/v1/topics', token => $token)->{status}, 200, 'the only unit is spent';
    my ($socket, $rest) = ($gw->connect, '');
    syswrite $socket, $text->('/v1/topics?n=1') . $text->('/v1/topics?n=2', 'Cache-Control: only-if-cached')
        . $text->('/v1/topics?n=4', "Accept-Language: a\x01b") . $text->('/v1/topics');
    my @res = map { Gateway::read_response($socket, rest => \$rest) } 1 .. 4;
    is_deeply [ map { $_->{status} } @res ], [ 429, 504, 400, 200 ], 'four requests of one connection have their answers';
    is_deeply [ map { (($gw->json($_) || {})->{type} // '') =~ /([\w-]+)$/ } @res[ 0 .. 2 ] ],
        [qw(rate-limited not-cached bad-header)], 'by reason, whatever error_page says';
    is_deeply [ map { $_->{headers}{'x-gateway-source'} } @res ], [ ('gateway') x 3, 'cache' ], 'with their source';

    my $in = '';
    my $stream = Gateway::Made::h2($h2, 'GET', '/v1/topics?n=3', [ 'x-api-key' => $token ]);
    $gw->wait_for(sub { sysread $stream, $in, 65536, length $in; $in =~ /rate-limited/ });
    like $in, qr/rate-limited/, 'HTTP/2: refused, too';
    is scalar($up->requests), 1, 'none was sent';
    $gw->finish;
};

subtest 'error_page to another upstream: one client request' => sub {
    my $up     = Gateway::Upstream->start;
    my $absent = Gateway::Redis::free_port();
    my ($name) = $up->url =~ m{//(.*)};
    my ($gw, $token) = gateway(
        upstream => "http://127.0.0.1:$absent", args => ['--rate', '1/h', '--burst', '9'],
        http     => "upstream other { server $name; }", server => <<'E');
        error_page 502 504 = @other;
        location @other {
            ampersand platform;
            ampersand_upstream http://other;
            include PROXY;
        }
E
    my @res = map { $gw->request('POST', '/v1/topics', token => $token, headers => \@private, json => {}) } 1 .. 8;
    push @res, map { $gw->request($_, '/v1/topics', token => $token, headers => \@private) } qw(GET POST);
    is_deeply [ map { $_->{status} } @res ], [ (200) x 9, 429 ], 'each costs one unit, also while the host is suspended';
    my @sent = $up->requests;
    is_deeply [ own(@sent) ], [ ($key) x 9 ], 'the second upstream request has the key';
    is scalar(leaks($token, @sent)), 0, 'and nothing of the client\'s own';
    my @ids = map { $_->{headers}{'x-request-id'} } @res[ 0 .. 8 ];
    is_deeply [ map { Gateway::Upstream::header($_, 'x-request-id') } @sent ], \@ids, 'it keeps the request id';
    like $gw->error_log, qr/connect\(\) failed.*request id: "$ids[0]"/, 'by which the error log names the first one';
    $gw->finish;
};

subtest 'the location says what is not the gateway\'s to send' => sub {
    my $up = Gateway::Upstream->start;
    my ($gw, $token) = gateway(upstream => $up->url, server => <<"E");
        location /v1/topics/headers {
            ampersand platform;
            include PROXY;
            proxy_set_header Authorization \$http_authorization;
            proxy_set_header Cookie \$http_cookie;
        }
        location /v1/topics/older {
            ampersand platform;
            proxy_pass \$ampersand_upstream\$ampersand_uri;
            proxy_http_version 1.1;
            proxy_set_header Host \$ampersand_host;
            proxy_set_header Connection "";
            proxy_set_header X-Api-Key \$ampersand_api_key;
        }
        location /v1/topics/bodiless {
            ampersand platform;
            include PROXY;
            proxy_pass_request_body off;
        }
E
    for my $where (qw(headers older)) {
        my $res = $gw->request('PATCH', "/v1/topics/$where", token => undef, json => { some => 'body' },
            headers => [ @private, Authorization => "Bearer $token" ]);
        is $res->{status}, 200, "$where: served";
        my @sent = $up->take;
        is_deeply [ own(@sent) ], [$key], "$where: with the key";
        is scalar(leaks($token, @sent)), 0, "$where: with nothing of the client's own";
        is $sent[0]{body}, '{"some":"body"}', "$where: with the body";
    }
    for my $where (qw(bodiless)) {
        my $res = $gw->request('PATCH', "/v1/topics/$where", token => $token, json => { some => 'body' });
        is $res->{status}, 500, "$where: not served";
        is + ($gw->json($res) || {})->{type}, 'urn:ampersand-gateway:problem:internal', "$where: type";
    }
    is scalar($up->take), 0, 'nothing was sent';
    my @errors = $gw->errors;
    ok @errors, 'the error log says why' or diag $gw->error_log;
    like $_, qr/not sent: the location is not a gateway's: (?:it needs|remove)/, 'and what to do' for @errors;
    is $gw->request('PATCH', '/v1/topics/x', token => $token, json => {})->{status}, 200, 'other locations work';
    $gw->finish;
};

subtest '$http_NAME has the client\'s value on every answer' => sub {
    my ($gw, $token) = gateway(http => <<'E', server => 'add_header Access-Control-Allow-Origin $cors always;');
        map $http_origin $cors { default ""; "http://app.example" $http_origin; }
        log_format origin '$status <$http_origin>';
        access_log logs/origin.log origin;
E
    my @case = ([ GET => 'no-token' ], [ GET => $token ], [ GET => $token ], [ POST => $token ]);
    my @seen = map {
        my ($method, $by) = @$_;
        my $res = $gw->request($method, '/v1/integrations', token => $by, headers => [ Origin => 'http://app.example' ],
            $method eq 'POST' ? (json => {}) : ());
        [ $res->{status}, $res->{headers}{'x-gateway-source'}, $res->{headers}{'access-control-allow-origin'} ];
    } @case;
    is_deeply \@seen, [ map { [ @$_, 'http://app.example' ] }
        [ 401, 'gateway' ], [ 200, 'upstream' ], [ 200, 'cache' ], [ 200, 'upstream' ] ], 'in a map and a header';
    my $log;
    ok $gw->wait_for(sub {
        $log = Gateway::_slurp($gw->dir . '/logs/origin.log');
        4 == (() = $log =~ /\n/g);
    }), 'four lines are logged';
    is scalar(() = $log =~ m{^\d+ <http://app\.example>$}mg), 4, 'in a log';
    is Gateway::Upstream::header(($gw->upstream->requests)[-1], 'origin'), undef, 'upstream does not get it';
    $gw->finish;
};

subtest 'the log names the tenant where nginx made an error of the answer' => sub {
    my $up = Gateway::Upstream->start(sub { $_[0]{target} =~ /drop/ ? { drop => 1 } : undef });
    my ($gw, $token) = gateway(upstream => $up->url, server => <<'E');
        location /v1/topics/drop {
            ampersand platform;
            error_page 502 /-/page;
            include PROXY;
        }
        location = /-/page { internal; return 200 "page\n"; }
E
    my $res = $gw->get('/v1/integrations/e1', token => $token, headers => [ 'If-Match' => '"zzz"' ]);
    is $res->{status}, 412, 'If-Match';
    my $line = logged($gw, 412);
    is_deeply [ @$line{qw(tenant operation requestId)} ], [ 'acme', 'getIntegration', $res->{headers}{'x-request-id'} ],
        'the line of a 412';
    $res = $gw->request('PATCH', '/v1/topics/drop', token => $token, json => {});
    is $res->{status}, 502, 'an error page';
    $line = logged($gw, 502);
    is_deeply [ @$line{qw(tenant operation requestId)} ], [ 'acme', 'updateTopic', $res->{headers}{'x-request-id'} ],
        'its line';
    $gw->finish;
};

# Redis is silent, so the request waits: a POST in the access phase, a GET in
# front of the upstream.  post_action follows the other request, too.

for my $method (qw(POST GET)) {
    subtest "$method: post_action redirects a request that waits for units" => sub {
        my $up = Gateway::Upstream->start(sub { return $_[0]{target} =~ /after/ ? { hold => 1 } : undef });
        my ($gw, $token) = gateway(
            redis_args => 'timeout=60s', upstream => $up->url, args => ['--rate', '100/s'],
            location => 'post_action /after;', server => 'location = /after { proxy_pass ' . $up->url . '; }',
        );
        $gw->linked;
        is $gw->get('/v1/nothing', token => $token)->{status}, 404, 'the tenant is looked up';
        ok $gw->wait_for(sub { scalar $up->take }), '... and its post_action done';
        $up->release;
        my ($worker) = $gw->workers_pids;
        my $sent = sub {
            my $socket = $gw->connect;
            syswrite $socket, "$method /v1/topics?n=$_[0] HTTP/1.1\r\nHost: a\r\nX-Api-Key: $token\r\n"
                . "Content-Length: 0\r\n\r\n";
            return $socket;
        };

        $gw->redis->pause;
        my $calls = $gw->status->{lease_calls_total};
        my $client = $sent->(1);
        ok $gw->wait_for(sub { $gw->status->{lease_calls_total} > $calls }), 'a call for a lease is under way';
        close $client;
        my @seen;
        ok $gw->wait_for(sub { push @seen, $up->take; scalar @seen }), 'its client leaves, and post_action sends a request';

        my $other = $sent->(2);
        $gw->redis->resume;
        is Gateway::read_response($other)->{status}, 200, 'another request that waits for the call is served';
        ok $gw->wait_for(sub { push @seen, $up->take; @seen >= 3 }), 'and followed by post_action';
        is join(' ', map { $_->{target} } @seen), '/after /v1/projects/p1/topics?n=2 /after',
            'the request whose client left does not go upstream';
        is(($gw->workers_pids)[0], $worker, 'the worker lives');
        $gw->finish;
    };
}

done_testing;
