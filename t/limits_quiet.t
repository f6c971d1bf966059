# A tenant with little traffic: its gateways have units at hand, so that requests do not wait
# for Redis, though seconds lie between them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Test::More;
use Time::HiRes qw(sleep);

my $first = Gateway->start;
my @on = ($first, Gateway->start(like => $first));
my $n = 0;

sub calls { my $c = 0; $c += $_->status->{lease_calls_total} for @on; return $c }

# One request of each gateway; the pause is longer than some units take to lapse.
sub round {
    my ($token) = @_;
    sleep 0.5;
    return scalar grep { $_->get('/v1/integrations?n=' . ++$n, token => $token)->{status} == 200 } @on;
}

my $token = $first->tenant('acme', project => 'p-1', args => [ '--rate', '5000/h', '--burst', 5000 ]);
is round($token), 2, 'each gateway admits' for 1 .. 3;
my $before = calls();
is scalar(grep { round($token) == 2 } 1 .. 8), 8, '16 more requests are admitted';
cmp_ok calls() - $before, '<=', 2, 'with two calls at most';

# what they hold is little: a burst at one of them has the rest
my $rest = () = grep { $on[0]->get('/v1/integrations?n=' . ++$n, token => $token)->{status} == 200 } 1 .. 50;
is $rest, 50, 'a burst is admitted';

$_->finish for @on;
done_testing;
