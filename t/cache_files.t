#!/usr/bin/perl

# The files of the cache that workers hold open: what is read of them, which are
# closed, and that nothing is served that was replaced or removed.

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes qw(sleep);

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Upstream;

# "size" in the target is the length of the answer's text, which begins with the
# number of the upstream request; Baggage, which selects no answer, is its Cache-Control.

my $up = Gateway::Upstream->start(sub {
    my ($req) = @_;
    my ($size) = $req->{target} =~ /size=(\d+)/;
    my $text = sprintf '%08d', $req->{n};
    $text .= chr(97 + length($text) % 26) while length $text < ($size // 8);
    my @control = map { ('Cache-Control' => $_) } Gateway::Upstream::header($req, 'baggage');
    return { headers => [ 'Content-Type' => 'application/json', 'Accept-Ranges' => 'bytes', @control ], body => qq("$text") };
});

my $lives = 'ampersand_cache_ttl default 60s; ampersand_cache_ttl listTopics 1s; ampersand_cache_ttl proxyRequest 60s;'
    . ' ampersand_cache_stale off error=off;';
my $gw = Gateway->start(workers => 2, upstream => $up->url, http => $lives);
my $token = $gw->tenant('acme', project => 'p-1', key => 'key-acme');

sub get { my ($g, $target, @h) = @_; return $g->get($target, token => $token, headers => \@h) }
sub said { my ($res) = @_; return "$res->{status} " . ($res->{headers}{'x-cache-status'} // 'none') }

# The files of the cache that the workers have open; the removed ones of them.

sub held {
    my ($g) = @_;
    my $cache = $g->dir . '/cache/';
    return map { [ grep { defined && /^\Q$cache\E/ } map { readlink } glob "/proc/$_/fd/*" ] } $g->workers_pids;
}

sub removed { my ($g) = @_; return grep { / \(deleted\)$/ } map { @$_ } held($g) }

sub reads { my ($pid) = @_; return (Gateway::_slurp("/proc/$pid/io") =~ /^syscr: (\d+)/m)[0] }

my $one = Gateway->start(like => $gw, http => $lives);
my $worker;
$one->wait_for(sub { ($worker) = $one->workers_pids });

subtest 'a small answer is read once, and its file stays open' => sub {
    my $socket = $one->connect;
    my $rest = '';
    my $hit = sub {
        print $socket "GET /v1/integrations?size=900 HTTP/1.1\r\nHost: a\r\nX-Api-Key: $token\r\n\r\n";
        return Gateway::read_response($socket, rest => \$rest);
    };
    my $first = $hit->();
    is length $first->{body}, 902, 'the answer of upstream';
    $hit->() for 1 .. 3;
    my $before = reads($worker);
    my @hits = map { $hit->() } 1 .. 50;
    my $reads = reads($worker) - $before;
    is_deeply [ grep { $_->{body} ne $first->{body} || said($_) ne '200 HIT' } @hits ], [], 'hits have its bytes';
    cmp_ok $reads, '<', 25, 'none reads the file';
    is scalar(map { @$_ } held($one)), 1, 'one file is open';
};

subtest 'any part of an answer, of any size' => sub {
    for my $size (8, 900, 20_000, 32_000, 32_700, 33_000, 200_000) {
        my $target = "/v1/integrations?size=$size";
        my $body = get($one, $target)->{body};
        is length $body, $size + 2, "$size: from upstream";
        for my $n (1 .. 5) {
            is get($one, $target)->{body}, $body, "hit $n";
            my $part = get($one, $target, Range => 'bytes=2-6');
            is "$part->{status} $part->{body}", '206 ' . substr($body, 2, 5), 'a range';
            my $last = get($one, $target, Range => 'bytes=-3');
            is "$last->{status} $last->{body}", '206 ' . substr($body, -3), 'the end';
            my $two = get($one, $target, Range => 'bytes=0-1,4-5');
            like $two->{body}, qr/\r\n\r\n\Q@{[ substr $body, 0, 2 ]}\E\r\n.*\r\n\r\n\Q@{[ substr $body, 4, 2 ]}\E\r\n/s,
                'two ranges';
            my $head = $one->request('HEAD', $target, token => $token);
            is "$head->{status} $head->{headers}{'content-length'}", '200 ' . ($size + 2), 'HEAD';
            my $tag = $head->{headers}{etag};
            is get($one, $target, 'If-None-Match' => $tag)->{status}, 304, 'not modified';
        }
    }
};

subtest 'gateway locations share the open files' => sub {
    get($one, '/proxy/contacts') for 1 .. 3;
    get($one, '/v1/integrations') for 1 .. 3;
    my $small = Gateway->start(like => $gw, http => $lives, proxy_conf => { open_file_cache => 'max=4 inactive=60s' });
    for my $i (1 .. 6) {
        get($small, "/$_?i=$i") for qw(v1/integrations proxy/contacts v1/integrations proxy/contacts);
    }
    cmp_ok scalar(map { @$_ } held($small)), '<=', 4, 'max is for all of them together';
    $small->finish;
};

subtest 'a refreshed entry is served by all workers at once' => sub {
    for my $round (1 .. 3) {
        get($gw, '/v1/topics') for 1 .. 10;
        my $old = get($gw, '/v1/topics')->{body};
        sleep 2.1;
        my $new = get($gw, '/v1/topics')->{body};
        isnt $new, $old, "round $round: asked again";
        is_deeply [ grep { $_ le $old } map { get($gw, '/v1/topics')->{body} } 1 .. 10 ], [], 'nobody has the old one';
    }
};

subtest 'a purged or invalidated entry is not served' => sub {
    my $old = get($gw, '/v1/integrations')->{body};
    get($gw, '/v1/integrations') for 1 .. 10;
    $gw->applied('p-1', sub { $gw->ctl('cache', 'purge', 'acme') });
    my $new = get($gw, '/v1/integrations')->{body};
    isnt $new, $old, 'purged';
    is_deeply [ grep { $_ ne $new } map { get($gw, '/v1/integrations')->{body} } 1 .. 10 ], [], 'by all workers';
};

# nginx's cache loader has not run yet: for a minute nginx opens files that no
# node has.

subtest 'an entry that was removed is not served by a worker that holds it' => sub {
    my $target = '/proxy/gone';
    get($one, $target) for 1 .. 3;
    is said(get($one, $target)), '200 HIT', 'it is held';
    my $last = get($one, $target, 'Cache-Control' => 'no-cache', Baggage => 'no-store')->{body};
    is_deeply [ grep { $_ le $last } map { get($one, $target)->{body} } 1 .. 3 ], [], 'each answer is newer';
};

subtest 'a file that was removed by hand is missed after open_file_cache_valid' => sub {
    my $g = Gateway->start(like => $gw, http => $lives, proxy_conf => { open_file_cache_valid => '1s' });
    get($g, '/v1/integrations') for 1 .. 3;
    unlink grep { -f } glob $g->dir . '/cache/*/*/*';
    sleep 2.1;
    is said(get($g, '/v1/integrations')), '200 MISS', 'asked again';
    is said(get($g, '/v1/integrations')), '200 HIT', 'and stored again';
    $g->finish;
};

subtest 'a worker without requests closes its files' => sub {
    my $g = Gateway->start(like => $gw, http => $lives, proxy_conf => { open_file_cache => 'max=100 inactive=1s', open_file_cache_valid => '1s' });
    get($g, "/v1/integrations?i=$_") for map { ($_) x 3 } 1 .. 5;
    is scalar(map { @$_ } held($g)), 5, 'open';
    unlink grep { -f } glob $g->dir . '/cache/*/*/*';
    is scalar(removed($g)), 5, 'which keeps their blocks on the disk';
    ok $g->wait_for(sub { !map { @$_ } held($g) }), 'closed';
    is said(get($g, '/v1/integrations?i=1')), '200 MISS', 'and the gateway answers';
    $g->finish;
};

subtest 'a worker leaves descriptors for other things' => sub {
    my $g = Gateway->start(like => $gw, http => $lives, main => 'worker_rlimit_nofile 3156;');
    like $g->error_log, qr/\[warn\].*a worker may open 3156 files.*worker_rlimit_nofile 15136;/, 'nginx says it';
    my @wrong = grep { said($_) !~ /^200 (?:HIT|MISS)$/ } map { get($g, "/v1/integrations?i=$_") } map { ($_) x 2 } 1 .. 60;
    is_deeply \@wrong, [], 'all are answered';
    my ($files) = map { scalar @$_ } held($g);
    cmp_ok $files, '<=', 20, 'what connections leave';
    cmp_ok $files, '>=', 15, 'is used';
    $g->finish;

    my $none = Gateway->start(like => $gw, http => $lives, main => 'worker_rlimit_nofile 1024;');
    is said(get($none, '/v1/integrations')), $_, 'nothing is left: nothing is held' for '200 MISS', '200 HIT';
    $none->finish;
};

$_->finish for $gw, $one;
done_testing;
