#!/usr/bin/perl

# Small hits out of a worker's memory: the same answer that nginx's own hit gives, and never
# one that was replaced, removed, invalidated or is another client's.  In the access log,
# "-" in place of upstream's name tells that nginx's proxy module was not asked.

use strict;
use warnings;

use FindBin;
use IO::Compress::Gzip qw(gzip);
use Test::More;
use Time::HiRes qw(sleep);

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Upstream;
use Gateway::Workers;

# "size" in the target is the length of the answer's text, which begins with the number of the
# upstream request; "kind" says which headers it has; Baggage is its Cache-Control.

my %kinds = (
    plain => [],
    all => [ 'Cache-Control' => 'max-age=60', 'Last-Modified' => 'Mon, 02 Nov 2026 10:00:00 GMT', ETag => '"upstream"',
        'Content-Language' => 'en', 'X-Any' => 'one', 'X-Any' => 'two', 'X-Empty' => '', Expires => 'Mon, 02 Nov 2099 10:00:00 GMT',
        Age => '7', 'Content-Type' => 'application/json; charset=iso-8859-1', 'Accept-Ranges' => 'bytes', 'Content-Location' => '/v1/other' ],
    link => [ Link => '</v1/a>; rel=next', 'Cache-Control' => 'max-age=60' ],
    twice => [ 'Cache-Control' => 'max-age=60', 'Cache-Control' => 'no-transform' ],
    many => [ map { ("X-Number-$_" => $_) } 1 .. 80 ],
    vary => [ Vary => 'Accept-Encoding' ],
    silent => [],
    origin => [ Vary => 'Origin' ],
    language => [ Vary => 'Accept-Language' ],
    ranges => [ 'Accept-Ranges' => 'bytes' ],
);

my $up = Gateway::Upstream->start(sub {
    my ($req) = @_;
    my ($size) = $req->{target} =~ /size=(\d+)/;
    my ($kind) = $req->{target} =~ /kind=(\w+)/;
    my $body = sprintf '%08d', $req->{n};
    $body .= chr(97 + length($body) % 26) while length $body < ($size // 8);
    $body = qq("$body");
    my @headers = (@{ $kinds{ $kind // 'plain' } }, map { ('Cache-Control' => $_) } Gateway::Upstream::header($req, 'baggage'));
    push @headers, 'Content-Type' => 'application/json' unless grep { $_ eq 'Content-Type' } @headers;
    my ($encoding) = Gateway::Upstream::header($req, 'accept-encoding');
    if (($kind // '') =~ /^(?:vary|silent)$/ && ($encoding // '') =~ /gzip/) {
        gzip(\(my $text = $body), \$body);
        push @headers, 'Content-Encoding' => 'gzip';
    }
    return { headers => \@headers, body => $body };
});

my $lives = 'ampersand_cache_ttl default 60s; ampersand_cache_ttl listTopics 1s; ampersand_cache_ttl proxyRequest 60s;'
    . ' ampersand_cache_stale off error=off;'
    . q( log_format by '$ampersand_request_id|$proxy_host|$upstream_cache_status|$upstream_http_content_language|$upstream_cache_etag');
my $logs = 'access_log logs/by.log by;';
my $gw = Gateway->start(upstream => $up->url, http => "$lives;", server => $logs);
my $token = $gw->tenant('acme', project => 'p-1', key => 'key-acme');
my %common = (like => $gw, http => "$lives;", server => $logs);

# An answer, and what the access log says of it.

sub get { my ($g, $target, @h) = @_; return logged($g, $g->get($target, token => $token, headers => \@h)) }

sub logged {
    my ($g, $res) = @_;
    my $line;
    $g->wait_for(sub { ($line) = grep { /^$res->{headers}{'x-request-id'}\|/ } split /\n/, Gateway::_slurp($g->dir . '/logs/by.log') });
    $res->{log} = [ split /\|/, $line, -1 ];
    return $res;
}

sub memory { my ($res) = @_; return $res->{log}[1] eq '-' }
sub said { my ($res) = @_; return "$res->{status} " . ($res->{headers}{'x-cache-status'} // 'none') }

# Everything of an answer but what differs from request to request.

sub all_of {
    my ($res) = @_;
    return [ $res->{status}, $res->{body},
        sort grep { !/^(?:x-request-id|age|cache-status): /i } map { "$_->[0]: $_->[1]" } @{ $res->{all} } ];
}

# nginx has read the whole file as its head at the second hit, and the third is from memory.

sub hits { my ($g, $target, @h) = @_; return map { get($g, $target, @h) } 1 .. 4 }

subtest 'a hit from memory is the answer of nginx, to the byte' => sub {
    for my $what ([ 'plain', 1 ], [ 'all', 1 ], [ 'link', undef ], [ 'twice', 0 ], [ 'many', 0 ], [ 'language', 0 ],
        [ 'origin', 1 ], [ 'ranges', 1 ]) {
        my ($kind, $memory) = @$what;
        my $target = "/v1/integrations?kind=$kind&size=900";
        my ($miss, $first, @more) = hits($gw, $target, 'Accept-Language' => 'en');
        is said($first), '200 HIT', "$kind: stored";
        ok !memory($first), 'nginx serves the first hit';
        my $last = get($gw, $target, 'Accept-Language' => 'en');
        is memory($last) ? 1 : 0, $memory, $memory ? 'memory serves the next ones' : 'nginx serves all of them' if defined $memory;
        for my $hit (@more, $last) {
            is_deeply all_of($hit), all_of($first), 'the same answer';
            cmp_ok $hit->{headers}{age}, '>=', $first->{headers}{age}, 'its age';
            like $hit->{headers}{'cache-status'}, qr/^ampersand; hit; ttl=\d+$/, 'its Cache-Status';
            is "@{$hit->{log}}[2..4]", "@{$first->{log}}[2..4]", 'the variables of nginx';
        }
    }
};

subtest 'conditions, ranges and HEAD' => sub {
    my $target = '/v1/integrations?kind=ranges&size=500';
    my ($hit) = reverse hits($gw, $target);
    ok memory($hit), 'it is in memory';
    my $tag = $hit->{headers}{etag};
    my $same = get($gw, $target, 'If-None-Match' => $tag);
    is "$same->{status} $same->{headers}{etag}", "304 $tag", 'If-None-Match';
    is length $same->{body}, 0, 'without a body';
    ok memory($same), 'from memory';
    is get($gw, $target, 'If-None-Match' => '"other"')->{body}, $hit->{body}, 'another tag';
    is get($gw, $target, 'If-Match' => '"other"')->{status}, 412, 'If-Match';
    my $part = get($gw, $target, Range => 'bytes=2-6');
    is "$part->{status} $part->{body} $part->{headers}{'content-range'}",
        '206 ' . substr($hit->{body}, 2, 5) . ' bytes 2-6/' . length $hit->{body}, 'a range';
    ok memory($part), 'from memory';
    is get($gw, $target, Range => 'bytes=9999-')->{status}, 416, 'a range outside';
    my $head = $gw->request('HEAD', $target, token => $token);
    is "$head->{status} $head->{headers}{'content-length'} " . length $head->{body}, '200 ' . length($hit->{body}) . ' 0', 'HEAD';
    my ($modified) = reverse hits($gw, '/v1/integrations?kind=all&size=50');
    is get($gw, '/v1/integrations?kind=all&size=50', 'If-Modified-Since' => $modified->{headers}{'last-modified'})->{status}, 304,
        'If-Modified-Since';
};

subtest 'the size' => sub {
    for my $size (8, 31_000, 40_000) {
        my ($first, @more) = hits($gw, "/v1/integrations?size=$size");
        is_deeply [ grep { $_->{body} ne $first->{body} } @more ], [], "$size: the same body";
        is memory($more[-1]) ? 1 : 0, $size < 32_000 ? 1 : 0, $size < 32_000 ? 'from memory' : 'from the file';
    }
};

subtest 'clients that read different encodings' => sub {
    for my $kind (qw(vary silent)) {
        my $target = "/v1/integrations?kind=$kind&size=300";
        my ($gzip) = reverse hits($gw, $target, 'Accept-Encoding' => 'gzip');
        ok memory($gzip), "$kind: the first one stored is in memory";
        is $gzip->{headers}{'content-encoding'}, 'gzip', 'it is compressed';
        my ($plain) = reverse hits($gw, $target);
        is $plain->{headers}{'content-encoding'}, undef, 'a client that does not read that gets another one';
        next if $kind eq 'silent';    # which is stored in place of the first, for all clients
        ok !memory($plain), 'from nginx';
        for (1 .. 2) {
            is get($gw, $target)->{body}, $plain->{body}, 'each client gets its own';
            is get($gw, $target, 'Accept-Encoding' => 'gzip')->{body}, $gzip->{body}, 'in turns';
        }
        my $two = get($gw, $target, 'Accept-Encoding' => 'gzip', 'Accept-Encoding' => 'identity');
        ok !memory($two), 'a client that says both is left to nginx';
    }
};

subtest 'another tenant, another Accept, another query' => sub {
    my $other = $gw->tenant('other', project => 'p-2', key => 'key-other');
    my $target = '/v1/integrations?own=1';
    my ($mine) = reverse hits($gw, $target);
    ok memory($mine), 'it is in memory';
    my $res = $gw->get($target, token => $other);
    is said($res), '200 MISS', 'another tenant asks upstream';
    isnt $res->{body}, $mine->{body}, 'and gets its own answer';
    isnt get($gw, $target, Accept => 'text/plain')->{body}, $mine->{body}, 'another Accept';
    isnt get($gw, "$target&a=1")->{body}, $mine->{body}, 'another query';
    isnt get($gw, $target, 'Cache-Control' => 'no-store')->{body}, $mine->{body}, 'no-store goes upstream';
    is get($gw, $target)->{body}, $mine->{body}, 'and changes nothing';
    is get($gw, $target, 'Cache-Control' => 'only-if-cached')->{body}, $mine->{body}, 'only-if-cached';
};

# A worker believes its open file for an hour here, so that only what this module itself
# compares keeps it from an outdated copy; and holds one file only.

my $long = Gateway->start(%common, workers => 2, proxy_conf => { open_file_cache => 'max=1', open_file_cache_valid => '1h' },
    map { my %o = Gateway::Workers::options(); $_ => $_ eq 'server' ? "$o{server} $logs" : $o{$_} } qw(listen server));
my $workers = Gateway::Workers->new($long);

sub one {
    my ($i, $target, @h) = @_;
    return logged($long, $workers->one($i, $target, token => $token, headers => \@h));
}

subtest 'an answer that another worker has replaced' => sub {
    my $target = '/v1/integrations?replaced=1';
    my ($old) = reverse map { one(0, $target) } 1 .. 4;
    ok memory($old), 'a worker has it in memory';
    my $new = one(1, $target, 'Cache-Control' => 'no-cache');
    cmp_ok $new->{body}, 'gt', $old->{body}, 'another one has stored a new answer';
    is $_->{body}, $new->{body}, 'all serve that' for map { one(0, $target), one(1, $target) } 1 .. 3;
};

# The file system gives the inode of a removed file to a later one, sooner or later.

subtest 'a later file with the inode of the copied one' => sub {
    my $target = '/v1/integrations?inode=1';
    my $file = sub { my @files = grep { -f && Gateway::_slurp($_) =~ /inode=1/ } glob $long->dir . '/cache/*/*/*'; return $files[0] };
    my ($old) = reverse map { one(0, $target) } 1 .. 4;
    ok memory($old), 'a worker has it in memory';
    my $inode = (stat $file->())[1];

    # with another file in its place nobody holds the file open, so its inode will be free

    my ($name, @pids) = ($file->(), $workers->pids);
    for my $i (0 .. $#pids) {
        one($i, '/v1/integrations?other=1') for 1 .. 2;
        is scalar(grep { ((readlink) // '') eq $name } glob "/proc/$pids[$i]/fd/*"), 0, 'no worker holds the file';
    }

    my $new;
    for (1 .. 2000) {
        $new = one(1, $target, 'Cache-Control' => 'no-cache');
        last if (stat $file->())[1] == $inode;
    }
    plan skip_all => 'this file system does not use an inode again' if (stat $file->())[1] != $inode;
    is one(0, $target)->{body}, $new->{body}, 'the new answer is served';
};

subtest 'an invalidated, purged or unshareable answer' => sub {
    my $target = '/proxy/purged';
    my ($old) = reverse map { one(0, $target) } 1 .. 4;
    ok memory($old), 'it is in memory';
    $long->applied('p-1', sub { $long->ctl('cache', 'purge', 'acme') });
    my $new = one(0, $target);
    is said($new), '200 MISS', 'purged: asked again';
    my ($hit) = reverse map { one(0, $target) } 1 .. 4;
    ok memory($hit), 'in memory again';
    is $hit->{body}, $new->{body}, 'the new one';
    my $last = one(1, $target, 'Cache-Control' => 'no-cache', Baggage => 'no-store');
    is_deeply [ map { said($_) . ($_->{body} gt $last->{body} ? ' newer' : " $_->{body}, not newer than $last->{body}") }
        map { one(0, $target) } 1 .. 3 ], [ '200 MISS newer', '200 HIT newer', '200 HIT newer' ], 'no-store of upstream: what was stored is gone';
};

subtest 'an answer at the end of its life' => sub {
    my $target = '/v1/topics';
    my ($old) = reverse map { get($gw, $target) } 1 .. 4;
    ok memory($old), 'it is in memory';
    sleep 2.1;
    my $new = get($gw, $target);
    is said($new), '200 EXPIRED', 'asked again';
    is $_->{body}, $new->{body}, 'and that is served' for map { get($gw, $target) } 1 .. 3;
};

subtest 'a slow client gets the whole answer that it began to read' => sub {
    my $g = Gateway->start(%common, server => "$logs limit_rate 20k;");
    my $target = '/v1/integrations?size=30000';
    my $old = $g->get($target, token => $token)->{body};
    $g->get($target, token => $token) for 1 .. 2;
    my $socket = $g->connect;
    print $socket "GET $target HTTP/1.1\r\nHost: a\r\nX-Api-Key: $token\r\nConnection: close\r\n\r\n";
    my $rest = '';
    $g->wait_for(sub { sysread($socket, $rest, 65536, length $rest); $rest =~ /\r\n\r\n./ });
    isnt $g->get($target, token => $token, headers => [ 'Cache-Control' => 'no-cache' ])->{body}, $old, 'it is replaced meanwhile';
    $g->get($target, token => $token) for 1 .. 3;
    1 while sysread $socket, $rest, 65536, length $rest;
    is substr($rest, index($rest, "\r\n\r\n") + 4), $old, 'to its end';
    my ($id) = $rest =~ /^X-Request-Id: (\S+)/mi;
    ok memory(logged($g, { headers => { 'x-request-id' => $id } })), 'from memory';
    $g->finish;
};

subtest 'a limit on hits, and after a reload' => sub {
    my $g = Gateway->start(%common, http => "$lives; ampersand_limit_hits on;");
    $g->ctl('limit', 'set', 'acme', '--rate', '1/h', '--burst', 6);
    $g->applied('p-1', sub { $g->ctl('cache', 'purge', 'acme') });
    my @res = map { get($g, '/v1/integrations?limited=1') } 1 .. 8;
    is scalar(grep { $_->{status} == 200 } @res), 6, 'hits from memory are counted';
    is scalar(grep { $_->{status} == 429 } @res), 2, 'and refused';
    $g->ctl('limit', 'set', 'acme', '--rate', 'none');
    $g->applied('p-1', sub { $g->ctl('cache', 'purge', 'acme') });
    $g->reload;
    my ($hit) = reverse hits($g, '/v1/integrations?limited=1');
    is said($hit), '200 HIT', 'after a reload';
    ok memory($hit), 'from memory';
    $g->finish;
};

subtest 'configurations in which nginx has to decide' => sub {
    for my $what ([ 'proxy_cache_key', '$ampersand_cache_key$http_x_extra', 'MISS' ], [ 'open_file_cache', 'off', 'HIT' ],
        [ 'proxy_cache_bypass', '$http_x_extra', 'BYPASS' ]) {
        my ($directive, $value, $found) = @$what;
        my $g = Gateway->start(%common, proxy_conf => { $directive => $value });
        my ($hit) = reverse hits($g, '/v1/integrations');
        is said($hit), '200 HIT', "$directive $value: stored";
        ok !memory($hit), 'not from memory';
        is said(get($g, '/v1/integrations', 'X-Extra' => 1)), "200 $found", 'it is heeded';
        $g->finish;
    }
};

$_->finish for $long, $gw;
done_testing;
