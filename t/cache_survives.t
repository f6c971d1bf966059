#!/usr/bin/perl

# The cache over restarts, reloads and crashes of gateway and Redis; what its
# files hold; and one catalogue for everybody.

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes qw(sleep time);

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Canary;
use Gateway::Redis;

my $c = Gateway::Canary->new;
my $redis = Gateway::Redis->start('--appendonly', 'yes', '--appendfsync', 'always');
my $gw = Gateway->start(
    workers => 2, redis => $redis,
    http => 'ampersand_cache_ttl listProviders 1s; ampersand_cache_ttl 404 1m;',
);
my $up = $gw->upstream;
my %token = map {
    my $token = $gw->tenant($_, project => $_ eq 'other' ? 'p-2' : 'p-1', key => $c->plant("key of $_"));
    $c->plant("token of $_", $token);
    ($_ => $token);
} qw(acme twin other);
# the answer tells no key
my $n = 0;
sub answers { $up->answer({ body => '{"n":' . ++$n . '}' }) }
answers();

sub get { my ($who, $path, @h) = @_; return $gw->get($path, token => $token{$who}, headers => \@h) }
sub number { my $doc = $gw->json(get(@_)); return ref $doc eq 'HASH' ? $doc->{n} : undef }
sub hit { return get(@_)->{headers}{'x-cache-status'} eq 'HIT' }

sub restart {
    my ($signal) = @_;
    kill $signal, $gw->{pid};
    waitpid delete $gw->{pid}, 0;
    $gw->_spawn or die $gw->error_log;
}

my @paths = ('/v1/destinations', '/v1/integrations/i', '/v1/connections');

subtest 'what was stored and what was written survives' => sub {
    my %old;
    for my $how ('a reload', 'a restart', 'a stop at once', 'a crash') {
        answers();
        is $gw->request('PATCH', '/v1/destinations/x', token => $token{acme}, json => {})->{status}, 200, "$how: a write";
        my $wrote = $n;
        sleep 0.2;    # keys change once more when Redis has told
        get('acme', $_) for @paths;
        ok $gw->wait_for(2, sub { hit('acme', $_) }), "$how: $_ is kept" for @paths;
        %old = map { $_ => number('acme', $_) } @paths;
        is $old{'/v1/destinations'}, $wrote, "$how: the new one";
        answers();
        $how eq 'a reload' ? $gw->reload
            : $how eq 'a restart' ? restart('QUIT')
            : $how eq 'a stop at once' ? restart('TERM')
            : do {
                $gw->crash;
                $gw->_spawn or die $gw->error_log;
            };
        is number('acme', $_), $old{$_}, "$how: $_ afterwards" for @paths;
        $gw->ctl('cache', 'purge', 'acme', '--family', 'integrations');
        ok $gw->wait_for(2, sub { number('acme', '/v1/integrations/i') == $n }), "$how: a purge works";
        is number('acme', '/v1/connections'), $old{'/v1/connections'}, "$how: of that only";
    }
};

subtest 'Redis restarts between a write and the next read' => sub {
    get('acme', '/v1/destinations');
    answers();
    is $gw->request('PATCH', '/v1/destinations/x', token => $token{acme}, json => {})->{status}, 200, 'a write';
    sleep 0.2;
    $redis->crash;
    is number('acme', '/v1/destinations'), $n, 'a read while it is away';
    $redis->restart;
    $gw->wait_for(5, sub { $gw->status->{redis_links_up} == 2 });
    is number($_, '/v1/destinations'), $n, "$_ when it is back" for qw(acme twin);
};

subtest 'Redis forgets generations' => sub {
    my $path = '/v1/destinations/forgotten';
    for my $round (1 .. 3) {
        $redis->command('DEL', 'amp:gen:p-1') if $round > 1;
        for my $write (1 .. 4) {
            answers();
            is $gw->request('PATCH', $path, token => $token{acme}, json => {})->{status}, 200, 'a write';
            is number('acme', $path), $n, "$round, $write: read";
            sleep 0.05;
            is number('twin', $path), $n, "$round, $write: and read";
        }
    }
};

subtest 'one catalogue for everybody, refreshed with the key of who asks' => sub {
    get('acme', '/v1/providers');
    ok $gw->wait_for(2, sub { hit('twin', '/v1/providers') }), 'one entry';
    for my $who (qw(other twin acme other)) {
        sleep 2.05;
        answers();
        $up->take;
        my @sockets = map {
            my $s = $gw->connect;
            syswrite $s, "GET /v1/providers HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Api-Key: $token{$who}\r\n\r\n";
            $s;
        } 1 .. 4;
        is scalar(grep { Gateway::read_response($_)->{status} == 200 } @sockets), 4, "$who: all answered";
        ok $gw->wait_for(2, sub { number('acme', '/v1/providers') == $n }), 'refreshed';
        my @asked = $up->take;
        is scalar(@asked), 1, 'once';
        is Gateway::Upstream::header($asked[0], 'x-api-key'), $c->{text}{"key of $who"}[0], 'with its own key';
        is $asked[0]{target}, '/v1/providers', 'for the catalogue';
    }
};

subtest 'files hold no secret and no token' => sub {
    get('acme', '/v1/destinations/e', Authorization => "Bearer $token{acme}");
    get('acme', "/v1/destinations/e?x=1", Cookie => $c->plant('a cookie'), 'Accept-Language' => 'de');
    $up->answer({ status => 404 });
    get('acme', '/v1/destinations/none');
    my $files = Gateway::Canary::files($gw->dir . '/cache');
    cmp_ok scalar(keys %$files), '>', 10, 'files';
    $c->clean('the cache', join "\n", %$files);
    my %keys = map { /\nKEY: (.*)/ ? ($1 => 1) : () } values %$files;
    is scalar(grep { !/^(?:[\w-]{16}|\*)\|\d+[^|]*\|/ } keys %keys), 0, 'each key has an owner' or diag join "\n", keys %keys;
};

$gw->finish;
done_testing;
