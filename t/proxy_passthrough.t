#!/usr/bin/perl

# What is not cached goes to a provider as the client meant it: HEAD as HEAD,
# with Range and conditions, and its partial answers come back.

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
is $res->{body}, 'cd', 'as the provider gave it';
is $res->{headers}{'x-cache-status'}, 'BYPASS', 'past the cache';

$res = $gw->get('/proxy/files/1', token => $token, headers => [ @proxy, 'If-None-Match' => '"e"' ]);
is $res->{status}, 304, "If-None-Match: the provider's 304";

$res = $gw->request('HEAD', '/proxy/files/1', token => $token, headers => \@proxy);
is $res->{status}, 200, 'HEAD';
my @seen = $up->requests;
is $seen[-1]{method}, 'HEAD', 'stays HEAD';
is $seen[-1]{target}, '/files/1', 'of the same path';

$res = $gw->request('HEAD', '/v1/integrations', token => $token);
is $res->{status}, 200, 'HEAD of what is cached';
@seen = $up->requests;
is $seen[-1]{method}, 'GET', 'fills the cache with the GET';
$res = $gw->get('/v1/integrations', token => $token);
is $res->{headers}{'x-cache-status'}, 'HIT', 'which is answered from it';

$gw->finish;

done_testing;
