# A worker that dies while it holds the zone's mutex, at each step of a change: the
# other workers go on, and nothing that it left half changed is read.  The module is
# built with those steps: make steps.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::FakeRedis;
use Gateway::Made;
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'the module with steps is built for the nginx of nginx-dev' if $ENV{NGINX_MODULE};

my $module = "$FindBin::Bin/../build/steps/ngx_http_ampersand_module.so";
system('make', '-s', '-C', "$FindBin::Bin/..", 'steps') == 0 or die 'make steps' if !-e $module;

my $gw = Gateway->start(module => $module, workers => 2, http => 'keepalive_requests 1000000;');
my $path = '/v1/integrations';
$gw->upstream->answer({ echo => 1 });

my @tenants = map {
    { id => "t$_", token => $gw->tenant("t$_", args => [ '--rate', '1000/s', '--burst', 1000 ]) }
} 1 .. 6;
$gw->ctl('limit', 'set', 't1', '--concurrency', 50);

# One request of each kind: known and unknown tokens, a write, a cold key.  The worker
# that dies takes its requests along.

my $n = 0;

sub requests {
    my @statuses;
    for my $t (@tenants) {
        $n++;
        my $res = eval { $gw->get("$path?n=$n", token => $t->{token}) } || { status => 0 };
        my $said = $gw->json($res);
        return "$t->{id} got the answer of $said->{key}" if $res->{status} == 200 && $said->{key} ne "key-of-$t->{id}";
        push @statuses, $res->{status};
    }
    my $unknown = eval { $gw->get($path, token => Gateway::Made::token())->{status} } // 0;
    push @statuses, $unknown == 401 ? 200 : $unknown;
    push @statuses, (eval { $gw->request('POST', $path, token => $tenants[0]{token}, json => {}) } || { status => 0 })->{status};
    my @bad = grep { $_ != 200 && $_ != 0 } @statuses;
    return @bad ? "statuses @statuses" : '';
}

sub deaths { my @lines = $gw->log_lines(qr/exited on signal 9/); return scalar @lines }
sub emptied { my @lines = $gw->log_lines(qr/a worker died while it changed ampersand_zone/); return scalar @lines }

is requests(), '', 'all is well before';

my ($died, @wrong) = (0);

for my $step (1 .. $ENV{ZONE_STEPS} || 40) {
    $gw->ctl('tenant', 'disable', 't6');    # an event changes the zone, too
    $gw->ctl('tenant', 'enable', 't6');
    my $before = deaths();
    open my $f, '>', $gw->dir . '/tmp/die-at-step.new' or die $!;
    print $f $step;
    close $f;
    rename $gw->dir . '/tmp/die-at-step.new', $gw->dir . '/tmp/die-at-step' or die $!;
    my $went = $gw->wait_for(sub {
        my $bad = requests();
        push @wrong, "step $step: $bad" if $bad;
        return deaths() > $before;
    });
    last if !$went;
    $died++;
    $gw->wait_for(sub { $gw->workers_pids == 2 });
    my $bad = requests();
    push @wrong, "after step $step: $bad" if $bad;
}

is $died, $ENV{ZONE_STEPS} || 40, 'a worker died at each step';
is_deeply \@wrong, [], 'no request of the others failed, or got what was another tenant\'s';
ok $gw->wait_for(sub { requests(); emptied() >= $died }), 'each time the zone was emptied, once';
is emptied(), $died, 'and not more often';
my $status = $gw->status;
is $status->{zone_tenants}, 6, 'it has all tenants again';

subtest 'a write that Redis has not confirmed' => sub {
    my $cached = sub { $gw->get("$path?cached=1", token => $tenants[0]{token})->{headers}{'x-cache-status'} // '' };
    $cached->();
    is $cached->(), 'HIT', 'an answer is in the cache';
    open my $f, '>', $gw->dir . '/tmp/die-at-step.new' or die $!;
    print $f 3;
    close $f;
    rename $gw->dir . '/tmp/die-at-step.new', $gw->dir . '/tmp/die-at-step' or die $!;
    my $before = deaths();
    ok $gw->wait_for(sub { eval { $gw->get($path, token => $tenants[1]{token}) }; deaths() > $before }), 'a worker dies';
    is $cached->(), 'MISS', 'no answer from before is served: which of them are old is not known any more';
};

$gw->finish(killed => 1);
done_testing;
