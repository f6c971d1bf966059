#!/usr/bin/perl

# Whether a token has expired is decided by the clock of Redis alone: by gateways
# whose clocks are an hour ahead and an hour behind, too, with a token that they
# know and with one that they look up, and while Redis is out of reach.

use strict;
use warnings;

use FindBin;
use JSON::PP qw(decode_json);
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Clock;

my $right = Gateway->start;
my %clock = map { $_ => Gateway::Clock->new } -3600, 3600;
plan skip_all => 'libfaketime is not installed' if grep { !$_ } values %clock;

my %gw = (0 => $right);
for my $ahead (keys %clock) {
    $clock{$ahead}->set($ahead);
    local $ENV{NGINX_WRAP} = $clock{$ahead}->wrap;
    $gw{$ahead} = Gateway->start(like => $right, main => $clock{$ahead}->main);
}
my @all = sort { $a <=> $b } keys %gw;
my $redis = $right->redis;
$right->tenant('acme', project => 'p-1');

sub now { return $redis->command('TIME')->[0] }
sub issue { return decode_json $right->ctl(qw(token issue acme --json), @_) }
sub status { my ($ahead, $token) = @_; return $gw{$ahead}->get('/v1/topics', token => $token)->{status} }
sub ahead { my ($ahead) = @_; return $gw{$ahead}->status->{redis_clock_ahead_seconds} }

my $hour = sub { my ($gw) = @_; return ($gw->get('/-/status')->{headers}{date} =~ /(\d\d):\d\d:\d\d GMT/)[0] };
if ($hour->($gw{3600}) == $hour->($right)) {
    $_->finish for values %gw;
    plan skip_all => 'nginx keeps the right time under libfaketime';
}

subtest 'the status says how far the clock is from that of Redis' => sub {
    for my $ahead (@all) {
        ok $gw{$ahead}->wait_for(sub { abs(ahead($ahead) - $ahead) < 1 && ($ahead == 0 || ahead($ahead)) }), "$ahead s" or diag ahead($ahead);
        like $gw{$ahead}->get('/-/status?format=prometheus')->{body}, qr/^ampersand_redis_clock_ahead_seconds -?\d+\.\d{3}$/m, 'Prometheus';
    }
};

subtest 'ampctl doctor says so, too' => sub {
    my @lines;
    $right->wait_for(sub {
        my (undef, $out) = $right->try_ctl(qw(doctor --json));
        @lines = grep { $_->{check} eq 'clocks' } @{ decode_json($out)->{checks} };
        return @lines == 2;
    });
    my $texts = join "\n", map { "$_->{status} $_->{message}" } @lines;
    like $texts, qr/^warn the clock of gateway "\w+" is 3(?:600|599)\.\d{3} s ahead of that of Redis$/m, 'ahead';
    like $texts, qr/^warn the clock of gateway "\w+" is 3(?:600|599)\.\d{3} s behind that of Redis$/m, 'behind';
    like $lines[0]{remedy}, qr/NTP/, 'and what to do';
};

subtest 'a token that is valid in Redis is served' => sub {
    my $token = issue(qw(--expires 30m))->{token};
    for my $ahead (@all) { is status($ahead, $token), 200, "$ahead s: $_" for 'looked up', 'known' }
};

subtest 'a token that has expired in Redis is refused' => sub {
    my $known = issue(qw(--expires 4s));
    is status($_, $known->{token}), 200, "$_ s: before" for @all;
    ok $right->wait_for(sub { now() >= $known->{expires} }), 'it expires';
    is status($_, $known->{token}), 401, "$_ s: refused at once" for @all;
};

subtest 'also one that Redis does not delete' => sub {
    my $token = issue(qw(--expires 2s));
    my ($key) = grep { $redis->command('TTL', $_) > 0 && $redis->command('TTL', $_) < 60 } @{ $redis->command('KEYS', 'amp:token:*') };
    is $redis->command('PERSIST', $key), 1, 'it has no end in Redis';
    ok $right->wait_for(sub { now() >= $token->{expires} }), 'it expires';
    is status($_, $token->{token}), 401, "$_ s: refused" for @all;
};

subtest 'and one that expires while Redis is out of reach' => sub {
    my ($long, $short) = (issue(qw(--expires 30m)), issue(qw(--expires 5s)));
    for my $ahead (@all) { is status($ahead, $_->{token}), 200, "$ahead s: before" for $long, $short }
    my $left = $short->{expires} - now();
    my $until = time + $left + 1;
    $redis->stop;
    ok $right->wait_for(sub { time > $until }), 'it expires';
    for my $ahead (@all) {
        is status($ahead, $short->{token}), 401, "$ahead s: refused";
        is status($ahead, $long->{token}), 200, "$ahead s: the other one is served";
    }
};

$_->finish for values %gw;
done_testing;
