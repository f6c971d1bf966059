#!/usr/bin/perl

# The cache over restarts, reloads and crashes of the gateway and of Redis; what
# its files hold; and the provider catalogue, which all tenants share.

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
my $redis = Gateway::Redis->start('--appendonly', 'yes');
my $gw = Gateway->start(
    workers => 2, redis => $redis,
    http => 'ampersand_cache_ttl default 1h; ampersand_cache_ttl listProviders 1s; ampersand_cache_ttl 404 1m;',
);
my $up = $gw->upstream;
my %token = map {
    my $token = $gw->tenant($_, project => $_ eq 'other' ? 'p-2' : 'p-1', key => $c->plant("key of $_"));
    $c->plant("token of $_", $token);
    ($_ => $token);
} qw(acme twin other);
# an answer that does not repeat the key of the request
my $n = 0;
sub answers { $up->answer({ body => '{"n":' . ++$n . '}' }) }
answers();

sub get { my ($who, $path, @h) = @_; return $gw->get($path, token => $token{$who}, headers => \@h) }
sub number { my $doc = $gw->json(get(@_)); return ref $doc eq 'HASH' ? $doc->{n} : undef }
sub hit { return get(@_)->{headers}{'x-cache-status'} eq 'HIT' }

# A write, and code to run before its events are waited for.

sub write_applied {
    my ($path, $code) = @_;
    return $gw->applied('p-1', sub {
        is $gw->request('PATCH', $path, token => $token{acme}, json => {})->{status}, 200, "PATCH $path";
        $code->() if $code;
    });
}

sub restart {
    my ($signal) = @_;
    kill $signal, $gw->{pid};
    waitpid delete $gw->{pid}, 0;
    $gw->_spawn or die $gw->error_log;
}

# The entries of the catalogue live for one second, and nginx counts in whole
# seconds: they have expired when the second but one begins.

sub expire {
    my $now = time;
    sleep int($now) + 2.02 - $now;
}

my @paths = ('/v1/destinations', '/v1/integrations/i', '/v1/connections');

subtest 'cached answers and invalidations survive a restart of the gateway' => sub {
    my %old;
    for my $how ('a reload', 'a restart', 'a stop at once', 'a crash') {
        answers();
        my $wrote = $n;
        ok write_applied('/v1/destinations/x'), "$how: a write";
        get('acme', $_) for @paths;
        ok $gw->wait_for(sub { hit('acme', $_) }), "$how: $_ is stored" for @paths;
        %old = map { $_ => number('acme', $_) } @paths;
        is $old{'/v1/destinations'}, $wrote, "$how: with the state after the write";
        answers();
        $how eq 'a reload' ? $gw->reload
            : $how eq 'a restart' ? restart('QUIT')
            : $how eq 'a stop at once' ? restart('TERM')
            : do {
                $gw->crash;
                $gw->_spawn or die $gw->error_log;
            };
        is number('acme', $_), $old{$_}, "$how: $_ is still answered from the cache" for @paths;
        $gw->ctl('cache', 'purge', 'acme', '--family', 'integrations');
        ok $gw->wait_for(sub { number('acme', '/v1/integrations/i') == $n }), "$how: a purge ends the purged family";
        is number('acme', '/v1/connections'), $old{'/v1/connections'}, "$how: and no other";
    }
};

subtest 'Redis restarts between a write and the next read' => sub {
    get('acme', '/v1/destinations');
    answers();
    ok write_applied('/v1/destinations/x'), 'a write';
    $redis->crash;
    is number('acme', '/v1/destinations'), $n, 'the new state while Redis is down';
    $redis->restart;
    ok $gw->wait_for(sub {
        my $status = $gw->status;
        return $status->{redis_links_up} == 2 && $status->{redis_events_up};
    }), 'Redis is back';
    is number($_, '/v1/destinations'), $n, "$_ gets the new state" for qw(acme twin);
};

subtest 'Redis loses the generations of a project' => sub {
    my $path = '/v1/destinations/forgotten';
    for my $round (1 .. 3) {
        $redis->command('DEL', 'amp:gen:p-1') if $round > 1;
        for my $write (1 .. 4) {
            answers();
            ok write_applied($path, sub {
                is number('acme', $path), $n, "$round, $write: the new state once the write is answered";
            }), 'a write';
            is number('twin', $path), $n, "$round, $write: and once Redis has published it";
        }
    }
};

subtest 'the catalogue is one entry for all tenants, refreshed with the key of the tenant that asks' => sub {
    get('acme', '/v1/providers');
    ok $gw->wait_for(sub { hit('twin', '/v1/providers') }), 'one entry';
    for my $who (qw(other twin acme other)) {
        expire();
        answers();
        $up->take;
        my @sockets = map {
            my $s = $gw->connect;
            syswrite $s, "GET /v1/providers HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Api-Key: $token{$who}\r\n\r\n";
            $s;
        } 1 .. 4;
        is scalar(grep { Gateway::read_response($_)->{status} == 200 } @sockets), 4, "$who: all answered";
        ok $gw->wait_for(sub { number('acme', '/v1/providers') == $n }), 'the entry is refreshed';
        my @asked = $up->take;
        is scalar(@asked), 1, 'by one upstream request';
        is Gateway::Upstream::header($asked[0], 'x-api-key'), $c->{text}{"key of $who"}[0], "with ${who}'s key";
        is $asked[0]{target}, '/v1/providers', 'for the catalogue';
    }
};

subtest 'cache files hold no secret and no token' => sub {
    get('acme', '/v1/destinations/e', Authorization => "Bearer $token{acme}");
    get('acme', "/v1/destinations/e?x=1", Cookie => $c->plant('a cookie'), 'Accept-Language' => 'de');
    $up->answer({ status => 404 });
    get('acme', '/v1/destinations/none');
    my $files = Gateway::Canary::files($gw->dir . '/cache');
    cmp_ok scalar(keys %$files), '>', 10, 'files';
    $c->clean('the cache', join "\n", %$files);
    my %keys = map { /\nKEY: (.*)/ ? ($1 => 1) : () } values %$files;
    is scalar(grep { !/^(?:[\w-]{16}|\*)\|\d+[^|]*\|/ } keys %keys), 0, 'each key names its owner: a tenant, or * for the catalogue' or diag join "\n", keys %keys;
};

$gw->finish;
done_testing;
