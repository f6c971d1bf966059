# spin checks the models in t/model exhaustively for two and three gateways, and finds
# what is wrong in each of their broken variants.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Temp;
use FindBin;
use Test::More;

my $dir = File::Temp->newdir;

sub path { return abs_path("$FindBin::Bin/model/$_[0].pml") }

# Number of violations, of those that end the search: 0 or 1
sub errors {
    my ($model, @defines) = @_;
    my $defines = join ' ', map { "-D$_" } @defines;
    my $path = path($model);
    my $out = `cd $dir && { spin -a $defines $path && gcc -w -O2 -DSAFETY -o pan pan.c && ./pan -m100000; } 2>&1`;
    my ($n) = $out =~ /^State-vector .* errors: (\d+)$/m;
    diag $out if !defined $n || $out =~ /max search depth too small|out of memory/;
    return $n;
}

# What stands in the model's comment: each of these breaks it.
sub broken {
    my ($model) = @_;
    open my $f, '<', path($model) or die "$model: $!\n";
    return map { /^ \*   (NO_\w+)  / } <$f>;
}

# The model holds with each of these defines, and with the first ones each of its
# broken variants, which are so many, is found.
sub checked {
    my ($model, $broken, @holds) = @_;
    my $first = $holds[1];
    while (my ($name, $defines) = splice @holds, 0, 2) {
        is errors($model, @$defines), 0, $name;
    }
    my @broken = broken($model);
    is scalar @broken, $broken, "$broken variants are broken";
    is errors($model, @$first, $_), 1, "$_ is found" for @broken;
}

subtest 'another server has the state' => sub {
    checked(
        'lease', 5,
        'two gateways keep the promise'    => [qw(GATEWAYS=2 BURST=2 END=4)],
        'three gateways keep the promise'  => [qw(GATEWAYS=3 BURST=2 END=2)],
        'three gateways with a burst of 1' => [qw(GATEWAYS=3 BURST=1 END=3)],
    );
};

subtest 'Redis was out of reach' => sub {
    checked(
        'outage', 4,
        'two gateways keep the promise'            => [qw(GATEWAYS=2 BURST=2 END=8)],
        'with a burst that does not divide by two' => [qw(GATEWAYS=2 BURST=3 END=8)],
        'three gateways keep the promise'          => [qw(GATEWAYS=3 BURST=3 END=6)],
    );
};

subtest 'wallets' => sub {
    checked(
        'wallet', 6,
        'two gateways keep the promise, also when another server has the state' =>
            [qw(GATEWAYS=2 BURST=2 HELD=1 END=2 CALLS=3 FAIL_OVER)],
        'two gateways with two units that wallets may have' => [qw(GATEWAYS=2 BURST=3 HELD=2 END=2 CALLS=3)],
        'three gateways' => [qw(GATEWAYS=3 BURST=2 HELD=1 END=2 CALLS=2 FAIL_OVER)],
        'units that come back' => [qw(GATEWAYS=2 BURST=2 HELD=1 END=2 CALLS=3 REACH=2)],
        'units that come back at once' => [qw(GATEWAYS=2 BURST=2 HELD=1 END=1 CALLS=4 REACH=2)],
    );
    is errors('wallet', qw(GATEWAYS=2 BURST=2 HELD=1 END=1 CALLS=4 REACH=2 ANY_PLACE)), 1, 'ANY_PLACE is found';
};

done_testing;
