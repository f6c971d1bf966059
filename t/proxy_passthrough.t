#!/usr/bin/perl

# Requests that are not cached are sent to a provider unchanged: HEAD as HEAD, with
# Range and conditions; partial answers are passed back.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Gateway;

my $up = Gateway::Upstream->start(sub {
    my ($req) = @_;
    my ($range) = Gateway::Upstream::header($req, 'range');
    return { status => 206, headers => [ 'Content-Range' => 'bytes 2-3/10' ], body => 'cd' } if $range;
    my ($match) = Gateway::Upstream::header($req, 'if-none-match');
    return { status => 304, headers => [ ETag => '"e"' ] } if $match;
    return undef;
});
my $gw = Gateway->start(upstream => $up->url);
my $token = $gw->tenant('acme', project => 'p-1');
my @proxy = ('x-amp-installation-id' => 'i-1');

my $res = $gw->get('/proxy/files/1', token => $token, headers => [ @proxy, Range => 'bytes=2-3' ]);
is $res->{status}, 206, 'Range on the proxy API: the part';
is $res->{body}, 'cd', 'unchanged';
is $res->{headers}{'x-cache-status'}, 'BYPASS', 'not through the cache';

$res = $gw->get('/proxy/files/1', token => $token, headers => [ @proxy, 'If-None-Match' => '"e"' ]);
is $res->{status}, 304, "If-None-Match: the provider's 304";

$res = $gw->request('HEAD', '/proxy/files/1', token => $token, headers => \@proxy);
is $res->{status}, 200, 'HEAD';
my @seen = $up->requests;
is $seen[-1]{method}, 'HEAD', 'is sent as HEAD';
is $seen[-1]{target}, '/files/1', 'of the same path';

$res = $gw->request('HEAD', '/v1/integrations', token => $token);
is $res->{status}, 200, 'HEAD of a cached operation';
@seen = $up->requests;
is $seen[-1]{method}, 'GET', 'is sent as GET and fills the cache';
$res = $gw->get('/v1/integrations', token => $token);
is $res->{headers}{'x-cache-status'}, 'HIT', 'which answers the next GET';

$gw->finish;

done_testing;
