#!/usr/bin/perl

# The budget of a project: what Ampersand's 429s say of it is shared among its
# tenants, so that one cannot starve the others.

use strict;
use warnings;

use File::Temp ();
use FindBin;
use Test::More;
use Time::HiRes qw(sleep time);

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Flood;
use Gateway::Upstream;

# An upstream that serves, refuses all, or has a bucket; its file says which, and
# the other one has a line for each request that the bucket refused.

my ($says, $refused) = map { File::Temp->new } 1 .. 2;
my ($level, $at, $before) = (0, 0, '');
my $up = Gateway::Upstream->start(sub {
    my ($what, @args) = split ' ', Gateway::_slurp($says->filename);
    return { status => 429, headers => [@args], body => '{}' } if $what eq 'refuse';
    return {} if $what eq 'serve';
    my ($rate, $burst) = @args;
    my $now = time;
    ($level, $at, $before) = ($burst, $now, "@args") if $before ne "@args";
    $level += ($now - $at) * $rate;
    $level = $burst if $level > $burst;
    $at = $now;
    return {} if $level-- >= 1;
    $level++;
    open my $f, '>>', $refused->filename or die $!;
    print $f "refused\n";
    return { status => 429, headers => [ 'Retry-After' => 1 ], body => '{}' };
});

sub upstream {
    my (@what) = @_;
    open my $f, '>', "$says.new" or die $!;
    print $f "@what";
    close $f;
    rename "$says.new", $says->filename or die $!;
}

upstream('serve');

my $gw = Gateway->start(upstream => $up->url, workers => 2, http => 'keepalive_requests 1000000;', server => <<'E');
        location = /v1/destinations/hits {
            ampersand platform;
            ampersand_limit_hits on;
            include PROXY;
        }
        location = /v1/destinations/observed {
            ampersand platform;
            ampersand_observe on;
            include PROXY;
        }
E
my $n = 0;

sub tenants {
    my ($count, @args) = @_;
    $n++;
    return map { [ "t$n-$_", $gw->tenant("t$n-$_", project => "p-$n", args => \@args) ] } 1 .. $count;
}

sub post { my ($t) = @_; return $gw->request('POST', '/v1/topics', token => $t->[1], json => {}) }
sub is_served { my ($t) = @_; return post($t)->{status} == 200 }
sub budget { my ($t) = @_; return $gw->status->{tenants}{ $t->[0] }{budget} }

# 429s of the gateway, of this kind: 'cooling' for a 429 of the tenant's own.

sub told {
    my ($res) = @_;
    return '' if $res->{status} != 429 || $res->{headers}{'x-gateway-source'} ne 'gateway';
    my $problem = $gw->json($res);
    return 'other' if $problem->{type} ne 'urn:ampersand-gateway:problem:cooling-down';
    return $problem->{detail} =~ /more than its part/ ? 'part' : 'cooling';
}

# Two 429s that one tenant gets, and what another one is served between them.

sub begin {
    my ($one, $other) = @_;
    upstream('refuse', 'Retry-After' => 1);
    is post($one)->{status}, 429, 'a first 429';
    upstream('serve');
    ok $gw->wait_for(sub { is_served($other) }), 'and requests that are served' for 1 .. 10;
}

sub end {
    my ($one) = @_;
    upstream('refuse', 'Retry-After' => 1);
    ok $gw->wait_for(sub { post($one); budget($one) }), 'another 429: there is a budget';
    upstream('serve');
    ok $gw->wait_for(sub { is_served($one) }), 'the cool-down ends';
    return budget($one);
}

# The tenant asks as fast as it can, and the other one asks, until it is refused.

sub is_held {
    my ($one, $other) = @_;
    my $res;
    my $held = $gw->wait_for(sub {
        post($other);
        for (1 .. 20) {
            $res = post($one);
            return 1 if told($res) eq 'part';
        }
        return 0;
    });
    return $held ? $res : undef;
}

subtest 'which 429s teach' => sub {
    my ($one, $other) = tenants(2);
    begin($one, $other);
    ok $gw->wait_for(sub { is_served($one) }), 'the cool-down ends';
    is budget($one), 0, 'one 429 is not enough';

    upstream('refuse');
    is post($one)->{headers}{'x-gateway-source'}, 'upstream', 'a 429 without a time';
    is budget($one), 0, 'teaches nothing';

    upstream('refuse', 'Retry-After' => 1);
    is $gw->get('/proxy/x', token => $other->[1])->{headers}{'x-gateway-source'}, 'upstream', "a provider's 429";
    is budget($one), 0, 'teaches nothing';

    my $budget = end($one);
    cmp_ok $budget, '>', 0, 'one of Ampersand with a time does';
    cmp_ok $budget, '<', 20, 'not more than what was served';
    cmp_ok abs(budget($other) / $budget - 1), '<', 0.5, 'it is that of the project, and grows';
    my @lines = $gw->log_lines(qr/project "p-$n" has about [\d.]+ requests a second/);
    is scalar @lines, 1, 'the log says so, once';
    like $gw->get('/-/status?format=prometheus')->{body},
        qr/^ampersand_tenant_budget_requests_per_second\{[^}]*tenant="\Q$one->[0]\E"[^}]*\} \d+\.\d+$/m, 'the metrics have it';
    like $gw->ctl('top', '--once'), qr{^\Q$one->[0]\E .*project's budget [\d.]+/s$}m, 'and ampctl top';
};

# The upstream's bucket has three times what was learned, so that a busy machine,
# on which requests come late and together, does not empty it.  A tenant that is
# not held does, at once.

subtest 'one that floods does not starve another' => sub {
    my ($one, $other) = tenants(2);
    begin($one, $other);
    my $rate = end($one);
    my $learned = time;
    upstream('limit', 3 * $rate, 5 * $rate + 5);
    ok is_served($other), 'both ask';
    sleep 3 / $rate;    # its pace, from now on
    my $f = Gateway::Flood->run(
        tokens => [ $one->[1], $other->[1] ], on => [$gw], connections => [ 8, 1 ],
        pause => [ 0.01, 3 / $rate ], seconds => 3 + 15 / $rate
    );
    my ($greedy, $modest) = map { $f->of($_) } 0, 1;
    is scalar(grep { $_->{status} != 200 } @{ $modest->{answers} }), 0, 'who asks for less than its part is never refused';
    is Gateway::_slurp($refused->filename), q(), 'Ampersand refuses nobody';
    cmp_ok scalar @{ $greedy->{answers} }, '>', $greedy->good, 'who asks for more is held';
    cmp_ok $greedy->good, '>', $modest->good, 'and gets the rest';
    my $grown = $rate * (1 + (time - $learned + 3) / 100);
    cmp_ok $f->good, '<=', 1.5 * ($grown * $f->seconds + $grown + 2), 'together not more than the budget';
    note sprintf '%d of %d, and %d of %d, at %.1f/s in %.1f s', $modest->good, scalar @{ $modest->{answers} }, $greedy->good,
        scalar @{ $greedy->{answers} }, $rate, $f->seconds;
    upstream('serve');
};

subtest 'what a tenant is told that asks for more than its part; it costs nothing' => sub {
    my ($one, $other) = tenants(2, qw(--rate 1/h --burst 600));
    begin($one, $other);
    end($one);
    my $left = sub { return $_[0]{headers}{ratelimit} =~ /"default";r=(\d+)/ ? $1 : -1 };
    my $res;
    ok $gw->wait_for(sub { ($res = post($one))->{status} == 200 }), 'a request that is served';
    my $before = $left->($res);
    my ($served, $held) = (0, 0);
    ok $gw->wait_for(sub {
        post($other);
        for (1 .. 20) {
            $res = post($one);
            $served++ if $res->{status} == 200;
            $held++ if told($res) eq 'part';
        }
        return $held >= 10;
    }), 'some that are not';
    $res = is_held($one, $other);
    is $res->{headers}{'x-gateway-source'}, 'gateway', 'by the gateway';
    cmp_ok $res->{headers}{'retry-after'}, '>=', 1, 'Retry-After';
    like $gw->json($res)->{detail}, qr/Ampersand limits this project/, 'the detail';

    ok $gw->wait_for(sub { ($res = post($one))->{status} == 200 }), 'and one that is served';
    my $after = $left->($res);
    my $upstream = grep { Gateway::Upstream::header($_, 'x-api-key') eq "key-of-$one->[0]" } $up->requests;
    note "$served served, $held held, $before - $after";
    is 600 - $after, $upstream, 'only what reaches Ampersand takes a unit of the limit';
};

subtest 'what the cache answers is not held' => sub {
    my ($one, $other) = tenants(2);
    begin($one, $other);
    end($one);
    my $get = sub { return $gw->get("/v1/$_[0]", token => $one->[1]) };
    my @paths = ('integrations', 'destinations/hits');
    is $get->($_)->{status}, 200, "$_: an answer that is stored" for @paths;
    for my $path (@paths) {
        ok is_held($one, $other), 'the tenant is held';
        is scalar(grep { $get->($path)->{status} != 200 } 1 .. 50), 0, "$path: the stored answer is served";
        ok $gw->wait_for(sub { post($other); grep { told($get->("$path?fresh=" . ++$n)) eq 'part' } 1 .. 20 }), "$path: what is not stored is held";
    }
    ok is_held($one, $other), 'the tenant is held';
    is scalar(grep { $get->('destinations/observed?fresh=' . ++$n)->{status} != 200 } 1 .. 50), 0, 'ampersand_observe lets it pass';
};

subtest 'one tenant alone, and tenants of other projects' => sub {
    my ($alone) = tenants(1);
    begin($alone, $alone);
    end($alone);
    is scalar(grep { told(post($alone)) } 1 .. 100), 0, 'one alone is not held';
    my ($one, $other) = tenants(2);
    is scalar(grep { !is_served($one) || !is_served($other) } 1 .. 50), 0, 'those of another project are not held';
};

subtest 'a reload keeps it' => sub {
    my ($one, $other) = tenants(2);
    begin($one, $other);
    end($one);
    $gw->reload;
    ok $gw->wait_for(sub { budget($one) }), 'the budget is there';
    ok is_held($one, $other), 'and holds';
    ok $gw->wait_for(sub { is_served($other) }), 'the other one is served';
};

$gw->finish;
done_testing;
