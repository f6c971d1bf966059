#!/usr/bin/perl

# Long requests and answers with large heads: below the limits of docs/configuration.md
# none of them fails, and none writes a line at level error.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Gateway;

my $up = Gateway::Upstream->start(sub {
    my ($req) = @_;
    my ($size) = $req->{target} =~ /head=(\d+)/;
    return { headers => $size ? [ 'X-Large' => 'x' x $size ] : [], body => $req->{target} };
});
my $gw = Gateway->start(upstream => $up->url, http => 'ampersand_cache_ttl default 1h;');
my $token = $gw->tenant('acme', project => 'p-1');

sub ok_twice {
    my ($name, $target, %r) = @_;
    for my $time (1, 2) {
        my $res = $gw->get($target, token => $token, %r);
        is $res->{status}, 200, "$name: 200";
        my $end = substr $target, -8;
        $end =~ s/"/%22/g;
        ok $res->{body} =~ /\Q$end\E$/, 'its own answer';
        is $res->{headers}{'x-cache-status'}, $target =~ /^.proxy/ ? 'BYPASS' : $time == 1 ? 'MISS' : 'HIT',
            "the $time. time: $res->{headers}{'x-cache-status'}";
    }
}

for my $api ('/v1/integrations', '/proxy/x') {
    ok_twice("$api, a query of $_ bytes and a head of 27 KB", "$api?head=27000&q=" . 'z' x $_) for 10, 900, 2500, 8000;
    ok_twice("$api, a query whose bytes are escaped", "$api?head=27000&q=" . '"' x 7900);
    ok_twice("$api, an Accept of 7,900 bytes", "$api?head=27000&x=1", headers => [ Accept => 'a/' . 'b' x 7900 ]);
    ok_twice("$api, both", "$api?head=27000&q=" . 'y' x 7900, headers => [ Accept => 'a/' . 'c' x 7900 ]);
}

# long ones have different entries, too

my $long = '/v1/integrations?q=' . 'l' x 3000;
$gw->get($_, token => $token) for "${long}a";
is $gw->get("${long}b", token => $token)->{headers}{'x-cache-status'}, 'MISS', 'another end of a long query: another entry';
is $gw->get("${long}a", token => $token, headers => [ Accept => 'text/x' ])->{headers}{'x-cache-status'}, 'MISS', 'another Accept, too';
is $gw->get("${long}a", token => $token)->{headers}{'x-cache-status'}, 'HIT', 'and the first is still there';

is_deeply [ grep { /\[(?:error|crit)\]/ } split /\n/, $gw->error_log ], [], 'no line at level error';

# beyond the limits: problems

is $gw->get('/v1/integrations?q=' . 'z' x 9000, token => $token)->{status}, 414, 'a query of 9,000 bytes: 414';
is $gw->get('/v1/integrations', token => $token, headers => [ Accept => 'a' x 9000 ])->{status}, 431, 'a header of 9,000 bytes: 431';
my $res = $gw->get('/proxy/x?head=40000', token => $token);
is $res->{status}, 502, 'an answer with a head of 40,000 bytes: 502';
is $res->{headers}{'content-type'}, 'application/problem+json', 'as a problem';

$gw->finish;

done_testing;
