#!/usr/bin/perl

# "satisfy any" in a gateway location: a token is enough, as a listed address or a
# password is for nginx; and whatever else lets a request in, only a token makes it a
# tenant's.

use strict;
use warnings;

use File::Temp ();
use FindBin;
use MIME::Base64 qw(encode_base64);
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Made;

my $passwords = File::Temp->new;
print $passwords "joe:{PLAIN}secret\n";
close $passwords;
chmod 0644, "$passwords";

my %access = (
    foreign  => 'satisfy any; allow 192.0.2.1; deny all;',
    listed   => 'satisfy any; allow 127.0.0.0/8; deny all;',
    password => "satisfy any; auth_basic on; auth_basic_user_file $passwords;",
    asked    => 'satisfy any; auth_request /yes; deny all;',
    all      => 'satisfy all; allow 127.0.0.0/8; deny all;',
    neither  => 'allow 192.0.2.1; deny all;',
);

my $gw = Gateway->start(workers => 2, server => join "\n",
    'location = /yes { return 204; }',
    'location = /copy { internal; log_subrequest on; access_log logs/copies.log; return 204; }',
    map { "location = /v1/integrations/$_ { $access{$_} mirror /copy; ampersand platform; include PROXY; }" }
        sort keys %access);
my $token = $gw->tenant('acme', project => 'p-1');

sub status {
    my ($name, @with) = @_;
    return $gw->request('GET', "/v1/integrations/$name", @with)->{status};
}

sub copies {
    open my $f, '<', $gw->dir . '/logs/copies.log' or return 0;
    return scalar(() = <$f>);
}

my @basic = (headers => [ Authorization => 'Basic ' . encode_base64('joe:secret', '') ]);

for my $name (qw(foreign listed password asked all)) {
    my $before = copies();
    is status($name), 401, "$name: no token is 401";
    is status($name, token => Gateway::Made::token()), 401, "$name: an unknown token is 401";
    is copies(), $before, "$name: neither is mirrored";
    is status($name, token => $token), 200, "$name: a token is enough";
    ok $gw->wait_for(sub { copies() == $before + 1 }), "$name: and that request is mirrored";
}

is status('neither', token => $token), 403, 'without "satisfy any" a denied address is denied with a token, too';
is status('password', @basic), 401, 'a password without a token is 401';
is status('password', token => $token, @basic), 401, 'Basic and a token are two credentials';

# A token that is looked up: the request waits in the phase behind access.

my $other = $gw->tenant('beta', project => 'p-2');
is status('listed', token => $other), 200, 'a listed address and a token that has to be looked up';
is $gw->request('POST', '/v1/integrations/listed', token => $token, json => {})->{status}, 405, 'the method counts';
is scalar(grep { /\[error\]/ && !/access forbidden/ } split /\n/, $gw->error_log), 0, 'no line at level error';

$gw->finish;
done_testing;
