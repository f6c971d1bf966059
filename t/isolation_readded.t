#!/usr/bin/perl

# A tenant is removed, and another one gets its id: nothing of the first is the
# second's, on any gateway.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;

my $gw = Gateway->start(workers => 2);
my $second = Gateway->start(like => $gw, workers => 2);
my $up = $gw->upstream;

sub ask { my ($g, $t) = @_; return $g->get('/v1/integrations', token => $t) }
sub proxy { my ($g, $t) = @_; return $g->get('/proxy/x' . rand, token => $t, headers => [ 'X-Amp-Installation-Id' => 'i-1' ]) }
sub post { my ($g, $t) = @_; return $g->request('POST', '/v1/topics', token => $t, json => {}) }
sub key { return $gw->json($_[0])->{key} // '' }

sub serve { $up->answer({ echo => 1 }) }
sub refuse { $up->answer({ status => 429, headers => [ 'Retry-After' => 3600 ], body => '{}' }) }

serve();
my $old = $gw->tenant('acme', project => 'p-1', key => 'key-old', args => [qw(--rate 1/d --burst 20)]);
for my $g ($gw, $second) {
    is key(ask($g, $old)), 'key-old', 'the former tenant is served';
    is key(ask($g, $old)), 'key-old', 'from the cache, too';
}
refuse();
post($gw, $old);
proxy($gw, $old);
serve();
for my $g ($gw, $second) {
    ok $g->wait_for(sub { post($g, $old)->{status} == 429 && proxy($g, $old)->{status} == 429 }), 'its requests are refused for an hour';
}

$gw->ctl(qw(tenant remove acme));
is_deeply [ grep { /acme/ } @{ $gw->redis->command('KEYS', '*') } ],
    [ grep { /cooldown:\{acme\}:/ } @{ $gw->redis->command('KEYS', '*') } ],
    'Redis has no key of it left but the cool-down of an installation, which names a tenant that was';

my $new = $gw->tenant('acme', project => 'p-1', key => 'key-new', args => [qw(--rate 1/d --burst 20)]);
for my $g ($gw, $second) {
    ok $g->wait_for(sub { ask($g, $old)->{status} == 401 }), 'the former token is unknown';
    my $res = ask($g, $new);
    is $res->{status}, 200, 'the new tenant is served';
    is key($res), 'key-new', 'with its own key, not from what the former one had stored';
    is post($g, $new)->{status}, 200, 'it does not cool down';
    is proxy($g, $new)->{status}, 200, 'nor does its installation of the same id';
}

$_->finish for $gw, $second;
done_testing;
