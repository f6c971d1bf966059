#!/usr/bin/perl

# Tenants call the same URLs: each with its own key and project, and each gets its
# own answers, from Ampersand and from the cache.  Only the catalogue is shared.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;

my $gw = Gateway->start(workers => 2);
my $up = $gw->upstream;
$up->answer({ echo => 1 });

my %token = (
    acme   => $gw->tenant('acme',   project => 'p-1', name => 'alpha', key => 'key-acme'),
    globex => $gw->tenant('globex', project => 'p-2', name => 'beta',  key => 'key-globex'),
    # a second tenant of acme's project
    twin   => $gw->tenant('twin',   project => 'p-1', name => 'alpha', key => 'key-twin'),
    # an id that is a prefix of another id
    acme2  => $gw->tenant('acme2',  project => 'p-1', name => 'alpha', key => 'key-acme2'),
);

sub get {
    my ($who, $target, @headers) = @_;
    my $res = $gw->get($target, token => $token{$who}, headers => \@headers);
    return ($res, $gw->json($res));
}

# The number in the answer, and its cache status.

sub answer {
    my ($res, $doc) = get(@_);
    return ($doc->{n}, $res->{headers}{'x-cache-status'});
}

subtest 'one URL, each its own key, project and answer' => sub {
    my %project = (acme => 'p-1', globex => 'p-2', twin => 'p-1', acme2 => 'p-1');
    for my $target ('/v1/integrations', '/v1/projects/-/connections?groupRef=g', '/v1',
                    '/v1/projects') {
        my %first;
        for my $round (qw(MISS HIT)) {
            for my $who (sort keys %token) {
                my ($res, $doc) = get($who, $target);
                $doc = $doc->[0] if ref $doc eq 'ARRAY';
                is $res->{status}, 200, "$target: $who $round";
                is $res->{headers}{'x-cache-status'}, $round, "$target: $who $round";
                is $doc->{key}, "key-$who", "$target: $who $round: sent with its own key";
                like $doc->{target}, qr{^/v1/projects/$project{$who}\b}, 'its own project';
                is $doc->{n}, $first{$who} //= $doc->{n}, 'its own answer';
            }
        }
        my %distinct = reverse %first;
        is scalar(keys %distinct), 4, "$target: four tenants, four entries";
    }
};

subtest "another tenant's project is refused, even when its answer is cached" => sub {
    $up->clear;
    for my $project ('p-2', 'beta', 'BETA') {
        for my $target ("/v1/projects/$project/integrations", "/v1/projects/$project") {
            my ($res, $doc) = get('acme', $target);
            is $res->{status}, 403, $target;
            is $doc->{type}, 'urn:ampersand-gateway:problem:other-project', 'type';
        }
    }
    is scalar($up->requests), 0, 'no request went upstream';
};

subtest 'a write is sent with the own key to the own project' => sub {
    $up->clear;
    for my $who (sort keys %token) {
        $gw->request('POST', '/v1/topics', token => $token{$who}, json => { name => $who });
    }
    is_deeply [ map { [ $_->{target}, scalar Gateway::Upstream::header($_, 'x-api-key'), $_->{body} ] }
                $up->requests ],
        [ map { [ "/v1/projects/$_->[1]/topics", "key-$_->[0]", qq({"name":"$_->[0]"}) ] }
          [ 'acme', 'p-1' ], [ 'acme2', 'p-1' ], [ 'globex', 'p-2' ], [ 'twin', 'p-1' ] ],
        'each';
};

subtest 'the public catalogue is one entry for all' => sub {
    for my $target ('/v1/providers', '/v1/providers/salesforce') {
        my ($n, $status) = answer('acme', $target);
        is $status, 'MISS', "$target: the first asks Ampersand";
        for my $who (qw(acme globex twin)) {
            is_deeply [ answer($who, $target) ], [ $n, 'HIT' ], "$target: $who has the same answer";
        }
    }
};

subtest 'all spellings of one resource are one entry' => sub {
    my ($n, $status) = answer('acme', '/v1/destinations');
    is $status, 'MISS', 'the short one first';
    for my $project ('p-1', 'alpha', 'ALPHA', '-', 'p%2D1') {
        is_deeply [ answer('acme', "/v1/projects/$project/destinations") ], [ $n, 'HIT' ],
            "/v1/projects/$project/destinations";
    }
    ($n, $status) = answer('acme', '/v1/projects/alpha/destinations/a%20b');
    is $status, 'MISS', 'the long one first';
    for my $target ('/v1/destinations/a%20b', '/v1/projects/-/destinations/%61%20%62') {
        is_deeply [ answer('acme', $target) ], [ $n, 'HIT' ], $target;
    }
};

subtest 'the order and the encoding of parameters do not matter' => sub {
    my ($n, $status) = answer('acme', '/v1/connections?provider=x&groupRef=g%201&consumerRef=c');
    is $status, 'MISS', 'first';
    for my $query ('groupRef=g%201&consumerRef=c&provider=x', 'consumerRef=c&provider=%78&groupRef=g+1',
                   'provider=x&&groupRef=g%201&consumerRef=c&', 'pr%6Fvider=x&groupRef=g%201&consumerRef=c') {
        is_deeply [ answer('acme', "/v1/connections?$query") ], [ $n, 'HIT' ], $query;
    }
    ($n) = answer('acme', '/v1/topics?b=2&a=1');
    is_deeply [ answer('acme', '/v1/topics?a=1&b=2') ], [ $n, 'HIT' ], 'unknown ones are sorted too';
};

subtest 'different queries are different entries' => sub {
    my %seen;
    for my $target ('/v1/topic-destination-routes', '/v1/topic-destination-routes?topicId=1',
                    '/v1/topic-destination-routes?topicId=2', '/v1/topic-destination-routes?destinationId=1',
                    '/v1/topic-destination-routes?topicId=1&destinationId=1',
                    '/v1/topic-destination-routes?topicId=', '/v1/topic-destination-routes?topicId',
                    '/v1/topic-destination-routes?unknown=1', '/v1/topic-destination-routes?unknown=2',
                    '/v1/topic-destination-routes?topicId=1&unknown=1',
                    '/v1/topic-destination-routes?topicId=1%26unknown%3D1',
                    '/v1/topic-destination-routes?topicId=1%7C', '/v1/topic-destination-routes?x=1&x=2',
                    '/v1/topic-destination-routes?x=2&x=1', '/v1/destinations/A%20b',
                    '/v1/destinations/a%2520') {
        my ($n, $status) = answer('acme', $target);
        is $status, 'MISS', $target;
        ok !defined $n || !$seen{$n}++, "$target: an answer of its own";
    }
};

subtest 'each Accept is an entry of its own' => sub {
    my %n;
    for my $accept ('', 'application/json', 'text/csv', 'text/csv, */*') {
        my @headers = $accept ? (Accept => $accept) : ();
        my ($n, $status) = answer('acme', '/v1/installations', @headers);
        is $status, 'MISS', "\"$accept\" is asked for";
        is_deeply [ answer('acme', '/v1/installations', @headers) ], [ $n, 'HIT' ], 'and is stored';
        ok !$n{$n}++, 'as an entry of its own';
    }
    my $several = $gw->get('/v1/installations', token => $token{acme},
                           headers => [ Accept => 'text/csv', Accept => 'text/html' ]);
    is $several->{headers}{'x-cache-status'}, 'BYPASS', 'several Accept headers are not cached';

    # an Accept that looks like the rest of a key
    my ($n) = answer('acme', '/v1/topics', Accept => 'x|acme');
    my ($other) = answer('acme', '/v1/topics?x', Accept => 'acme');
    isnt $n, $other, 'nothing in Accept passes for another part of the key';
};

subtest 'cache files hold no key and no token' => sub {
    my $found = 0;
    my @files = grep { -f } glob $gw->dir . '/cache/*/*/*';
    cmp_ok scalar(@files), '>', 20, 'there are entries';
    for my $file (@files) {
        open my $f, '<', $file or next;
        local $/;
        my $text = <$f>;
        my ($head) = $text =~ /\nKEY: ([^\n]*)\n/;
        $found++ if !defined $head || $head =~ /key-|agw_/ || grep { index($text, $_) >= 0 } values %token;
    }
    is $found, 0, 'no cache key has an Ampersand key or a token';
};

$gw->finish;
done_testing;
