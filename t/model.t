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

subtest 'another server has the state' => sub {
    is errors('lease', 'GATEWAYS=2', 'BURST=2', 'END=4'), 0, 'two gateways keep the promise';
    is errors('lease', 'GATEWAYS=3', 'BURST=2', 'END=2'), 0, 'three gateways keep the promise';
    is errors('lease', 'GATEWAYS=3', 'BURST=1', 'END=3'), 0, 'three gateways with a burst of 1';
    my @broken = broken('lease');
    is scalar @broken, 5, 'five variants are broken';
    is errors('lease', 'GATEWAYS=2', 'BURST=2', 'END=4', $_), 1, "$_ is found" for @broken;
};

subtest 'Redis was out of reach' => sub {
    is errors('outage', 'GATEWAYS=2', 'BURST=2', 'END=8'), 0, 'two gateways keep the promise';
    is errors('outage', 'GATEWAYS=2', 'BURST=3', 'END=8'), 0, 'with a burst that does not divide by two';
    is errors('outage', 'GATEWAYS=3', 'BURST=3', 'END=6'), 0, 'three gateways keep the promise';
    my @broken = broken('outage');
    is scalar @broken, 4, 'four variants are broken';
    is errors('outage', 'GATEWAYS=2', 'BURST=2', 'END=8', $_), 1, "$_ is found" for @broken;
};

done_testing;
