#!/usr/bin/perl

# Paths and queries as clients write them: a byte that a URI does not contain is
# escaped for upstream, and an id may look like something escaped.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;

my $gw = Gateway->start;
my $token = $gw->tenant('acme', project => 'p-1', key => 'key-of-acme');

sub sent {
    my ($target) = @_;
    $gw->upstream->clear;
    my $res = $gw->raw("GET $target HTTP/1.1\r\nHost: gateway\r\nX-Api-Key: $token\r\nConnection: close\r\n\r\n");
    my ($request) = $gw->upstream->requests;
    return $request ? $request->{target} : $res->{status};
}

my $ids = '/v1/projects/p-1/integrations';

for (
    [ 'bytes that are no part of a URI', '/v1/integrations/a|b[c]{d}^`"<>', "$ids/a%7Cb%5Bc%5D%7Bd%7D%5E%60%22%3C%3E" ],
    [ 'the same, escaped by the client', '/v1/integrations/e%7cb%5bc%5d', "$ids/e%7Cb%5Bc%5D" ],
    [ 'an id with "%41" in it', '/v1/integrations/x%2541', "$ids/x%2541" ],
    [ 'an id with "%20" in it', '/v1/integrations/x%2520y', "$ids/x%2520y" ],
    [ 'a tab in a value', '/v1/integrations?q=a%09b', "$ids?q=a%09b" ],
    [ 'the proxy API', '/proxy/x|y[0]?z=%09', '/x%7Cy%5B0%5D?z=%09' ],
    [ 'a slash, escaped twice', '/v1/integrations/a%252fb', 400 ],
    [ 'dots, escaped twice', '/v1/integrations/%252e%252e', 400 ],
    [ 'a colon before a verb, escaped twice', '/v1/integrations/x%253abatch', 400 ],
    [ 'a backslash', '/v1/integrations/a\\b', 400 ],
    [ 'a tab in a path', '/v1/integrations/a%09b', 400 ],
    [ 'a tab in a name', '/v1/integrations?a%09b=1', 400 ],
    [ 'a line feed in a value', '/v1/integrations?a=%0a', 400 ],
) {
    my ($name, $target, $want) = @$_;
    is sent($target), $want, $name;
}

$gw->finish;
done_testing;
