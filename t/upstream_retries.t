#!/usr/bin/perl

# Every address of a host is tried until one accepts the connection.  A request that
# was sent is repeated once at most, if it is idempotent; where a write's outcome is
# unknown, the problem says that a program must not repeat it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Select;
use IO::Socket::INET;
use Test::More;

use Gateway;

my @up = map { Gateway::Upstream->start } 1 .. 3;
my @closed = map { Gateway::Redis::closed_port() } 1 .. 3;

sub block { my ($name, @ports) = @_; return "upstream $name { @{[ map { qq(server 127.0.0.1:$_ max_fails=0;) } @ports ]} }" }

my %ports = (far => [ @closed, $up[0]->port ], down => \@closed, three => [ map { $_->port } @up ]);
my $first;
my %gw = map {
    my $gw = Gateway->start(
        ($first ? (like => $first) : (upstream => $up[0]->url)),
        proxy_conf => { proxy_read_timeout => '500ms' },
        http       => block($_, @{ $ports{$_} }),
        location   => "ampersand_upstream http://$_;",
    );
    $first ||= $gw;
    ($_ => $gw);
} sort keys %ports;
my $token = $first->tenant('acme', project => 'p-1');
my @methods = qw(GET HEAD PUT DELETE POST PATCH MERGE);

sub ask {
    my ($method, $which) = @_;
    $_->take for @up;
    my $res = $gw{$which}->request($method, '/proxy/x', token => $token, body => $method =~ /^(?:GET|HEAD|DELETE)$/ ? undef : 'x');
    $res->{sent} = map { $_->take } @up;
    $res->{json} = Gateway->json($res) if $method ne 'HEAD';
    return $res;
}

subtest 'three of four addresses are closed' => sub {
    for my $method (@methods, @methods) {
        my $res = ask($method, 'far');
        is $res->{status}, 200, "$method: 200";
        is $res->{sent}, 1, 'sent once';
    }
};

subtest 'all addresses are closed' => sub {
    for my $method (@methods) {
        my $res = ask($method, 'down');
        is $res->{status}, 502, "$method: 502";
        next if $method eq 'HEAD';
        ok $res->{json}{retryable}, 'retryable: nothing was sent';
    }
};

subtest 'a request that was sent' => sub {
    my %failures = (
        'the connection ends' => [ { drop => 1 }, 502 ], 'garbage' => [ { bytes => 'garbage', close => 1 }, 502 ],
        'no answer in time' => [ { hold => 1 }, 504 ],
    );
    for my $how (sort keys %failures) {
        my ($answer, $status) = @{ $failures{$how} };
        $_->answer($answer) for @up;
        for my $method (@methods) {
            my $res = ask($method, 'three');
            my $idempotent = $method =~ /GET|HEAD|PUT|DELETE/;
            is $res->{status}, $status, "$how, $method: $status";
            is $res->{sent}, $idempotent && $how ne 'garbage' ? 2 : 1, "sent $res->{sent} times";
            next if $method eq 'HEAD';
            is !!$res->{json}{retryable}, !!$idempotent, 'retryable ' . ($idempotent ? 'true' : 'false');
            like $res->{json}{type}, $status == 502 ? qr/:upstream-failed$/ : qr/:upstream-timeout$/, 'the problem';
        }
    }
    $_->answer(undef) for @up;
};

# A write of each of the five APIs.

subtest 'a write whose outcome is unknown' => sub {
    my @writes = ([ POST => '/v1/topics' ], [ PATCH => '/v1/topics/x' ], [ POST => '/read/v1/integrations/i/objects/o' ],
        [ POST => '/write/v1/integrations/i/objects/o' ], [ POST => '/search/v1/integrations/i' ],
        [ POST => '/proxy/x' ], [ PATCH => '/proxy/x' ]);
    for my $case ([ { drop => 1 }, 502 ], [ { hold => 1 }, 504 ]) {
        my ($answer, $status) = @$case;
        $_->answer($answer) for @up;
        for my $write (@writes) {
            $_->take for @up;
            my $res = $gw{three}->request(@$write, token => $token, json => { groupRef => 'g' });
            is $res->{status}, $status, "@$write: $status";
            is scalar(map { $_->take } @up), 1, 'sent once';
            ok !Gateway->json($res)->{retryable}, 'not retryable';
        }
    }
    for my $write (@writes) {
        ok + Gateway->json($gw{down}->request(@$write, token => $token, json => { groupRef => 'g' }))->{retryable},
            "@$write: retryable where it was not sent";
    }
    $_->answer(undef) for @up;
};

# An idle connection that the upstream ends as the next request comes.

subtest 'a kept connection ends' => sub {
    my $up = Gateway::Upstream->start(sub {
        my ($req) = @_;
        return $req->{target} =~ /first/ || $req->{n} > 20 ? undef : { drop => 1 };
    });
    my $gw = Gateway->start(upstream => $up->url);
    my $token = $gw->tenant('acme', project => 'p-1');
    for my $method (qw(POST PATCH MERGE GET)) {
        $gw->get('/proxy/first', token => $token);
        $up->take;
        my $res = $gw->request($method, '/proxy/x', token => $token, body => $method eq 'GET' ? undef : 'x');
        my $sent = $up->take;
        is $res->{status}, 502, "$method: 502";
        is $sent, $method eq 'GET' ? 2 : 1, "sent $sent times";
        is !!Gateway->json($res)->{retryable}, $method eq 'GET', 'retryable';
    }
    $gw->finish;
};

# The worker is stopped, so that it finds the request and what upstream did at the
# same time, in this order.

subtest 'a kept connection ends, or has bytes, as a request comes' => sub {
    my $listen = IO::Socket::INET->new(Listen => 8, LocalAddr => '127.0.0.1') or die "listen: $!";
    my $gw = Gateway->start(upstream => 'http://127.0.0.1:' . $listen->sockport);
    my $token = $gw->tenant('acme', project => 'p-1');
    my $worker;
    $gw->wait_for(sub { ($worker) = $gw->workers_pids }) or die "no worker\n";
    my $client = $gw->connect;
    my $send = sub { syswrite $client, "POST /proxy/$_[0] HTTP/1.1\r\nHost: g\r\nX-Api-Key: $token\r\nContent-Length: 1\r\n\r\nx" };
    my $answer = sub {
        my ($c, $body) = @_;
        my $in = '';
        while ($in !~ /\r\n\r\nx/) { sysread $c, $in, 65536, length $in or return }
        syswrite $c, "HTTP/1.1 200 OK\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
    };
    my $rest = '';
    for my $how ('ends', 'has bytes') {
        $send->('first');
        my $kept = $listen->accept;
        $answer->($kept, 'first');
        is Gateway::read_response($client, rest => \$rest)->{body}, 'first', 'a connection is kept';

        kill 'STOP', $worker;
        ok $gw->wait_for(sub { Gateway::_slurp("/proc/$worker/stat") =~ /\) T / }), 'the worker is stopped';
        $send->('second');
        $how eq 'ends' ? close $kept : syswrite $kept, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";
        kill 'CONT', $worker;

        my $came = IO::Select->new($listen, $client);
        my ($ready) = $came->can_read($Gateway::PATIENCE);
        is $ready, $listen, "$how: the request goes over a new connection";
        my $new = $ready && $ready == $listen ? $listen->accept : undef;
        $answer->($new, 'second') if $new;
        my $res = Gateway::read_response($client, rest => \$rest);
        is "$res->{status} $res->{body}", '200 second', 'and has its own answer';
        close $_ for grep { $_ } $new, $kept;
        $client = $gw->connect;
    }
    $gw->finish;
};

# nginx itself would try each of the kept connections, whatever the budget.

subtest 'many kept connections end, each with a request' => sub {
    my $up = Gateway::Upstream->start(sub { return $_[0]{target} =~ /first/ ? { hold => 1 } : { drop => 1 } });
    my $gw = Gateway->start(upstream => $up->url);
    my $token = $gw->tenant('acme', project => 'p-1');
    for my $method (qw(GET PUT DELETE POST)) {
        my @clients = map { $gw->connect } 1 .. 8;
        syswrite $_, "GET /proxy/first HTTP/1.1\r\nHost: g\r\nX-Api-Key: $token\r\n\r\n" for @clients;
        my $held = 0;
        ok $gw->wait_for(sub { ($held += $up->take) == 8 }), 'eight connections';
        $up->release;
        is scalar(grep { Gateway::read_response($_)->{status} == 200 } @clients), 8, 'are kept';
        my $res = $gw->request($method, '/proxy/x', token => $token, body => $method =~ /^P/ ? 'x' : undef);
        my $sent = $up->take;
        is $res->{status}, 502, "$method: 502";
        is $sent, $method eq 'POST' ? 1 : 2, "sent $sent times";
    }
    $gw->finish;
};

# By nginx's own count an address has failed then, and gets nothing for ten seconds.

subtest 'requests that get no answer, at each address' => sub {
    my $gw = Gateway->start(like => $first, location => 'ampersand_upstream http://two;',
        http => 'upstream two { server 127.0.0.1:' . join('; server 127.0.0.1:', map { $_->port } @up[ 0, 1 ]) . '; keepalive 4; }');
    for my $answer ({ drop => 1 }, { bytes => 'garbage', close => 1 }) {
        $_->answer($answer) for @up;
        is $gw->request('POST', '/proxy/x', token => $token, body => 'x')->{status}, 502, 'a POST without an answer' for 1 .. 4;
        $_->answer(undef) for @up;
        $_->take for @up;
        is $gw->get('/proxy/x', token => $token)->{status}, 200, 'the next request is served' for 1 .. 4;
        is_deeply [ map { scalar $_->take } @up[ 0, 1 ] ], [ 2, 2 ], 'by both addresses';
    }
    is scalar($gw->log_lines(qr/temporarily disabled|no live upstreams/)), 0, 'neither is given up';
    $gw->finish;
};

subtest 'ampersand_server: addresses that refuse connections' => sub {
    my @ports = map { Gateway::Redis::free_port() } 1 .. 2;
    my $gw = Gateway->start(like => $first, location => 'ampersand_upstream http://two;',
        http => "upstream two { ampersand_server 127.0.0.1:$ports[0]; ampersand_server 127.0.0.1:$ports[1]; }");
    my $get = sub { $gw->get('/proxy/x', token => $token)->{status} };
    is $get->(), 502, 'both are closed';
    my $failed = time;
    my $up = Gateway::Upstream->start(undef, port => $ports[1]);
    ok $gw->wait_for(sub { $get->() == 200 }), 'one is tried again';
    cmp_ok time - $failed, '<', 8, 'sooner than after ten seconds';
    $gw->finish;
};

# error_page leads to another upstream, which does not answer either.

subtest 'what error_page makes of a request that was sent' => sub {
    my $up = Gateway::Upstream->start(sub { return { drop => 1 } });
    my $gw = Gateway->start(upstream => $up->url, http => block('down', @closed), server => <<'E');
        error_page 502 504 = @other;
        location @other {
            ampersand platform;
            ampersand_upstream http://down;
            include PROXY;
        }
E
    my $token = $gw->tenant('acme', project => 'p-1');
    for my $method (qw(POST PUT PATCH DELETE)) {
        my $path = $method eq 'POST' ? '/v1/topics' : $method eq 'PUT' ? '/v1/integrations:batch' : '/v1/topics/x';
        my $res = $gw->request($method, $path, token => $token, json => {});
        is $res->{status}, 502, "$method: 502";
        is !!Gateway->json($res)->{retryable}, scalar($method =~ /PUT|DELETE/), 'retryable, only if it is idempotent';
    }
    $gw->finish;
};

subtest 'the cache after a write that failed' => sub {
    my $gw = Gateway->start(upstream => $up[0]->url, http => 'ampersand_cache_ttl default 1h;' . block('down', @closed), server => <<'E');
        location = /v1/topics/not-sent {
            ampersand platform;
            ampersand_upstream http://down;
            include PROXY;
        }
E
    my $token = $gw->tenant('acme', project => 'p-1');
    my $get = sub { $gw->get('/v1/topics', token => $token)->{headers}{'x-cache-status'} };
    is $get->(), 'MISS', 'stored';
    is $gw->request('PATCH', '/v1/topics/not-sent', token => $token, json => {})->{status}, 502, 'a write that was not sent';
    is $get->(), 'HIT', 'does not invalidate';
    $up[0]->answer({ drop => 1 });
    is $gw->request('PATCH', '/v1/topics/x', token => $token, json => {})->{status}, 502, 'one that was sent';
    $up[0]->answer(undef);
    is $get->(), 'MISS', 'does';
    $gw->finish;
};

# nginx's own default is 60 seconds, for all.

subtest 'how long an answer may take depends on the class' => sub {
    my $up = Gateway::Upstream->start(sub { return { hold => 1 } });
    my $gw = Gateway->start(upstream => $up->url);
    my $token = $gw->tenant('acme', project => 'p-1');
    my $began = time;
    my $res = $gw->get('/v1/providers', token => $token);
    my $took = time - $began;
    is $res->{status}, 504, 'catalog: 504';
    ok $took >= 9 && $took < 50, "after 10 seconds ($took)";
    $gw->finish;
};

$gw{$_}->finish for sort keys %gw;

done_testing;
