#!/usr/bin/perl

# The limit of a project: its tenants share it, over all gateways.  Never more than
# its rate and burst; a change and a removal hold at once, and without Redis each
# gateway holds its share.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Flood;
use Gateway::Redis;

my @like = (redis_args => 'timeout=3s', http => 'keepalive_requests 1000000;', workers => 2);
my $first = Gateway->start(@like);
my $second = Gateway->start(like => $first, @like);
my @both = ($first, $second);

sub post { my ($gw, $token) = @_; return $gw->request('POST', '/v1/topics', token => $token, json => {}) }
sub statuses { my ($token, @on) = @_; return join ' ', map { post($_, $token)->{status} } @on }
sub limit { my ($project, @args) = @_; return $first->ctl(qw(limit set --project), $project, @args) }

# ... and each gateway has applied the event.

sub everywhere {
    my (@args) = @_;
    limit(@args);
    return $first->ctl(qw(gateway wait));
}

sub type { my ($res) = @_; return $first->json($res)->{type} =~ /([^:]+)$/ ? $1 : '' }

my $n = 0;
sub tenants { my ($project, @args) = @_; return map { $first->tenant('t' . ++$n, project => $project, args => \@args) } 1 .. 2 }

subtest 'two tenants, two gateways: never more than rate and burst' => sub {
    my @t = tenants('p-flood');
    my ($other) = tenants('p-other');
    limit('p-flood', qw(--rate 200/s --burst 40));
    my $f = Gateway::Flood->run(tokens => [ @t, $other ], on => \@both, seconds => 2, connections => 2);
    my @of = map { $f->of($_) } 0 .. 2;
    my $good = $of[0]->good + $of[1]->good;
    is $f->others, 0, 'each request is admitted, or refused with 429';
    cmp_ok $good, '<=', 200 * $f->seconds + 40, 'both together: never more than rate and burst';
    cmp_ok $good, '>', 40, 'more than the burst: requests are admitted';
    is scalar(grep { $_->{status} != 200 } @{ $of[2]{answers} }), 0, 'a tenant of another project is not held';
    note sprintf '%d and %d of %d', $of[0]->good, $of[1]->good, 200 * $f->seconds + 40;
};

subtest 'what a refused client is told' => sub {
    my @t = tenants('p-told', '--rate', '100/s', '--burst', 50);
    limit('p-told', qw(--rate 1/h --burst 3));
    my $res = post($first, $t[0]);
    is $res->{headers}{'ratelimit-policy'}, '"default";q=50;w=1, "project";q=3;w=10800', 'the policy names the project';
    like $res->{headers}{ratelimit}, qr/"project";r=\d;t=\d+$/, 'and so does the state';
    is statuses($t[1], $second, $first), '200 200', 'the other tenant, at another gateway';
    for ([ $first, $t[0] ], [ $second, $t[1] ]) {
        $res = post(@$_);
        is $res->{status}, 429, 'then both are refused';
        is type($res), 'project-rate-limited', 'with the reason';
        cmp_ok $res->{headers}{'retry-after'}, '>', 3000, 'and when the next request passes';
    }
    my $stands = $second->status->{tenants}{"t$n"}{limits};
    is $stands->{project}{burst}, 3, 'the status has it among the limits of the tenant';
    is $stands->{project}{used}, 1, 'used up, by both';
    ok exists $stands->{default}, 'beside its own';
    like $first->ctl('explain', 'GET', '/v1/destinations', '--tenant', "t$n"), qr{^limit +project: 1/h, burst 3$}m, 'ampctl explain names it';
    like $first->get('/-/status?format=prometheus')->{body}, qr/^ampersand_limit_refusals_total\{[^}]*limit="project"[^}]*\} 1$/m,
        'it is counted by that name';
};

subtest 'a request that one limit refuses costs the others nothing' => sub {
    my @t = (tenants('p-none', '--rate', '1/h', '--burst', 1))[0, 1];
    limit('p-none', qw(--rate 1/h --burst 2));
    is statuses($t[0], $first, $first, $first, $first), '200 429 429 429', "above the tenant's own";
    is type(post($first, $t[0])), 'rate-limited', 'which is the reason';
    is statuses($t[1], $first), '200', 'the unit of the project is left for the other tenant';
};

subtest 'a change and a removal hold at once, at each gateway' => sub {
    my @t = tenants('p-change');
    is statuses($_, @both), '200 200', 'no limit' for @t;
    everywhere('p-change', qw(--rate 1/h --burst 2));
    is statuses($t[0], $first, $second, $first), '200 200 429', 'a limit that was set';
    is statuses($t[1], $second), '429', 'for the other tenant too';
    everywhere('p-change', qw(--burst 4));
    ok $first->wait_for(sub { statuses($t[1], $first) eq '200' }), 'a larger burst';
    my $more = grep { $_ == 200 } split / /, statuses($t[0], $second, $first, $second, $first);
    cmp_ok $more, '<=', 1, 'spent units stay spent';
    everywhere('p-change', qw(--rate none));
    is statuses($t[0], @both, @both, @both), '200 200 200 200 200 200', 'a limit that was removed';
};

# t/unit/test_share.c has on a virtual clock that it gets all.

subtest 'one tenant does not stop another' => sub {
    my @t = tenants('p-fair');
    limit('p-fair', qw(--rate 50/s --burst 40));
    my $f = Gateway::Flood->run(tokens => \@t, on => \@both, seconds => 5, connections => [ 8, 1 ], every => [ 0, 0.2 ]);
    my ($greedy, $modest) = map { $f->of($_) } 0, 1;
    my @asked = grep { $_->{at} >= 1 } @{ $modest->{answers} };
    cmp_ok $modest->good(1), '>', @asked / 2, 'who asks for less than its part gets most of it, after the first second';
    cmp_ok $greedy->good(1), '>', $modest->good(1), 'the other one gets the rest';
    cmp_ok $f->good, '<=', 50 * $f->seconds + 40, 'never more than rate and burst';
    note sprintf '%d of %d, and %d of %d', $modest->good(1), scalar @asked, $greedy->good, scalar @{ $greedy->{answers} };
};

subtest 'a limit that a gateway did not hear of is read with the next look-up' => sub {
    my ($t) = tenants('p-read');
    limit('p-read', qw(--rate 1/h --burst 1));
    my $third = Gateway->start(like => $first, @like);
    is statuses($t, $third, $third), '200 429', 'a gateway that starts';
    $third->finish;
};

subtest 'a limit that cannot be read' => sub {
    my ($t) = tenants('p-bad');
    $first->redis->command('HSET', 'amp:gen:p-bad', 'limit', '{"rate":"fast"}');
    my $res = post($first, $t);
    is $res->{status}, 503, 'is not passed over';
    is type($res), 'bad-record', 'the reason';
    like $first->error_log, qr/limit of project "p-bad" cannot be read; "ampctl limit set --project"/, 'the log says what to do';
    limit('p-bad', qw(--rate 5/s));
    is statuses($t, $first), '200', 'set again';
};

subtest 'without Redis each gateway holds its share, for all tenants together' => sub {
    my @t = tenants('p-down');
    limit('p-down', qw(--rate 40/s --burst 8));
    is statuses($_, @both), '200 200', 'before' for @t;
    for my $gw (@both) {    # the number that a gateway has, which it also saves
        my ($file) = glob $gw->dir . '/tmp/body/ampersand-gateways-*[0-9a-f]';
        ok $gw->wait_for(sub { Gateway::_slurp($file) =~ /^2$/m }), 'both gateways are known';
    }
    $first->redis->stop;
    my $f = Gateway::Flood->run(tokens => \@t, on => \@both, seconds => 3, connections => 2);
    is $f->others, 0, 'no answer but 200 and 429';
    cmp_ok $f->good, '<=', 40 * $f->seconds + 8, 'together never more than rate and burst';
    cmp_ok $f->good, '>', 8, 'and requests are admitted';
    note $f->good, ' of ', 40 * $f->seconds + 8;
};

$_->finish for @both;
done_testing;
