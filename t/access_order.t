#!/usr/bin/perl

# nginx asks allow, deny and auth_basic before the gateway: who is refused there
# costs no look-up.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::FakeRedis;
use Gateway::Made;

my $fake = Gateway::FakeRedis->start;
my $gw = $fake->gateway(server => <<"E");
    location = /v1/topics/denied {
        deny all;
        ampersand platform;
        include PROXY;
    }
    location = /v1/topics/password {
        auth_basic on;
        auth_basic_user_file /dev/null;
        ampersand platform;
        include PROXY;
    }
E

$gw->wait_for(sub { $gw->linked });

sub asked {
    my ($path) = @_;
    $fake->clear;
    my $res = $gw->get($path, token => Gateway::Made::token());
    return ($res->{status}, $fake->count('GET', qr/token/));
}

is_deeply [ asked('/v1/topics/any') ], [ 401, 1 ], 'an unknown token is looked up';
is_deeply [ asked('/v1/topics/denied') ], [ 403, 0 ], 'but not for a denied address';
is_deeply [ asked('/v1/topics/password') ], [ 401, 0 ], 'nor without the password of auth_basic';

$gw->finish;
done_testing;
