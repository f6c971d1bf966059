#!/usr/bin/perl

# ampersand/upstreams.conf: where nginx can, and http{} has a resolver, requests
# follow the addresses of Ampersand's hosts without a reload; elsewhere its names
# are resolved at the start.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Nameserver;
use Gateway::Versions;

my $path = '/v1/integrations';
my $keeps = Gateway::Versions::keeps_addresses();
my @hosts = map { "$_.withampersand.com" } qw(api read write search proxy);

# The shipped file, with another port than 443, and the platform's host in use.

sub shipped {
    my ($port) = @_;
    my $text = do { open my $f, '<', "$Gateway::ROOT/conf/ampersand/upstreams.conf" or die $!; local $/; <$f> };
    is_deeply [ $text =~ /ampersand_server (\S+?):443;/g ], \@hosts, 'the file names the five hosts';
    return $text =~ s/:443;/:$port;/gr;
}

my $use = "ampersand_upstream http://$hosts[0];";

sub upstream {
    my ($says, %o) = @_;
    return Gateway::Upstream->start(sub { +{ body => $says } }, %o);
}

# What upstream answers now; nothing of it comes from the cache.

sub asked {
    my ($gw, $token) = @_;
    my $res = $gw->get($path, token => $token, headers => [ 'Cache-Control' => 'no-cache' ]);
    return $res->{status} == 200 ? $res->{body} : $res->{status};
}

SKIP: {
    skip $keeps, 1 if $keeps;

    subtest 'the address of a host changes' => sub {
        my $first = upstream('first');
        my $second = eval { upstream('second', address => '127.0.0.2', port => $first->port) };
        plan skip_all => "no 127.0.0.2: $@" if !$second;

        my $dns = Gateway::Nameserver->start;
        $dns->names(map { $_ => '127.0.0.1' } @hosts);
        my $gw = Gateway->start(http => $dns->resolver . shipped($first->port), server => $use, workers => 2);
        my $token = $gw->tenant('acme');

        ok $gw->wait_for(sub { asked($gw, $token) eq 'first' }), 'requests go to the first address';
        $dns->names(map { $_ => '127.0.0.2' } @hosts);
        ok $gw->wait_for(sub { asked($gw, $token) eq 'second' }), 'and then to the second';
        $first->stop;
        is asked($gw, $token), 'second', 'and to no other' for 1 .. 8;

        $dns->stop;
        $gw->reload;
        is asked($gw, $token), 'second', 'a reload, without a name server, keeps the addresses' for 1 .. 8;
        $gw->finish;
    };
}

subtest 'without a resolver' => sub {
    my $up = upstream('up');
    my $block = "upstream here { ampersand_server localhost:@{[ $up->port ]} max_fails=3 weight=2; keepalive 4; }";
    my $gw = Gateway->start(http => $block, server => 'ampersand_upstream http://here;');
    my $token = $gw->tenant('acme');
    is asked($gw, $token), 'up', 'the name is resolved at the start';
    is scalar($gw->log_lines(qr/\[warn\]/)), 0, 'no warning' or diag $gw->error_log;
    $gw->finish;
};

subtest 'a resolver after the upstream{}' => sub {
    my $up = upstream('up');
    my $block = "upstream here { ampersand_server localhost:@{[ $up->port ]}; }";
    my $gw = Gateway->start(http => "$block resolver 127.0.0.1:9;", server => 'ampersand_upstream http://here;');
    my $token = $gw->tenant('acme');
    is asked($gw, $token), 'up', 'the name is resolved at the start';
    is scalar($gw->log_lines(qr/\[warn\].*"resolver" has no effect on the hosts of Ampersand/)), $keeps ? 0 : 1,
        $keeps ? 'no warning: nginx could not follow it anyway' : 'a warning says so';
    $gw->finish;
};

subtest 'wrong parameters' => sub {
    for my $resolver ('', 'resolver 127.0.0.1;') {
        my ($ok, $out) = Gateway->configtest("events {}\nhttp { $resolver\nupstream here { ampersand_server localhost:1 wrong; }\n}\n");
        ok !$ok, 'refused';
        like $out, qr/invalid parameter "wrong".* in .*nginx\.conf:4/, 'as nginx refuses those of "server"' or diag $out;
    }
};

done_testing;
