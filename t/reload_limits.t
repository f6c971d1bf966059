# Reloads, killed workers and a binary upgrade under load: two gateways, tenants at
# 90 % of their rate, writes and cold keys.  Nobody notices: no 429, no 5xx and no lost
# connection, but for the requests in a worker that is killed.
#
#   RELOAD_SECONDS=60     of reloads, and of killed workers (default 4)

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::FakeRedis;
use Gateway::Load;
use List::Util qw(max);
use Test::More;
use Time::HiRes qw(sleep time);

my $seconds = $ENV{RELOAD_SECONDS} || 4;

my @like = (daemon => 1, workers => 2, http => 'keepalive_requests 1000000;');
my $gw = Gateway->start(@like);
my @on = ($gw, Gateway->start(like => $gw, @like));
$gw->upstream->answer({ echo => 1 });

# Limits of all sizes; a class of its own, too.

my %limits = (
    fast => [ 40,  '--rate', '40/s',   '--burst', 40 ],
    slow => [ 2,   '--rate', '120/m',  '--burst', 10 ],
    day  => [ 1,   '--rate', '3600/h', '--burst', 100 ],
    free => [ 20 ],
);

my @tenants = map {
    my ($rate, @args) = @{ $limits{$_} };
    { id => $_, token => $gw->tenant($_, args => \@args), project => "p-$_", key => "key-of-$_", pace => 0.9 * $rate }
} sort keys %limits;

$gw->ctl('limit', 'set', 'free', '--class', 'write', '--rate', '20/s', '--burst', 20);

my $load = Gateway::Load->start(gateways => \@on, tenants => \@tenants, paced => 1, writes => 0.3);
my $failed = 0;

# The failures since the last call.

sub failures {
    my ($what) = @_;
    my $r = $load->report;
    my $n = $r->{failed} - $failed;
    $failed = $r->{failed};
    note sprintf '%s: %d requests so far, %d failed, the slowest %.0f ms', $what, $r->{requests}, $failed,
        1000 * ($r->{slowest}{$what} // 0);
    return ($n, @{ $r->{failures} });
}

sub answered {
    my ($more) = @_;
    my $before = $load->report->{status}{200} // 0;
    return $gw->wait_for(sub { ($load->report->{status}{200} // 0) >= $before + $more });
}

ok answered(100), 'there is load';

subtest 'a reload each second' => sub {
    $load->mark('reload');
    my $end = time + $seconds;
    my $reloads = 0;
    while (time < $end) {
        my $next = time + 1;
        $_->reload for @on;
        $reloads++;
        sleep max(0.01, $next - time);
    }
    answered(20);
    my ($n, @failures) = failures('reload');
    is $n, 0, "no request failed in $reloads reloads of each gateway" or diag join "\n", @failures;
};

subtest 'a worker is killed twice a second' => sub {
    $load->mark('kill');
    my $end = time + $seconds;
    my $kills = 0;
    while (time < $end) {
        my $next = time + 0.5;
        my $one = $on[ $kills++ % 2 ];
        my ($pid) = $one->workers_pids;
        kill 'KILL', $pid if $pid;
        $one->wait_for(sub { my @now = $one->workers_pids; @now >= 2 && !grep { $_ == $pid } @now });
        sleep max(0.01, $next - time);
    }
    answered(20);
    my $r = $load->report;
    my ($n, @failures) = failures('kill');
    is_deeply [ grep { !/: (?:closed after|cannot be sent)/ } @failures ], [], 'no request was refused';
    cmp_ok $n, '<=', $kills * @tenants, "none failed but those in the $kills killed workers";
    is_deeply [ grep { $_ ne '200' } keys %{ $r->{status} } ], [], 'each answer is 200';
};

subtest 'a binary upgrade' => sub {
    $load->mark('upgrade');
    ok $_->upgrade, 'the old workers exit' for @on;
    answered(50);
    my ($n, @failures) = failures('upgrade');
    is $n, 0, 'no request failed' or diag join "\n", @failures;
};

my $r = $load->stop;
is_deeply $r->{wrong}, [], 'no answer is for another tenant';
note "answers: @{[ %{ $r->{status} } ]}; sent again: $r->{repeated}";
$_->finish(killed => 1) for @on;

done_testing;
