# spin checks t/model/lease.pml exhaustively for two and three gateways, and finds what is
# wrong in each of its broken variants.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Temp;
use FindBin;
use Test::More;

my $model = abs_path("$FindBin::Bin/model/lease.pml");
my $dir   = File::Temp->newdir;

# Number of violations, of those that end the search: 0 or 1
sub errors {
    my $defines = join ' ', map { "-D$_" } @_;
    my $out = `cd $dir && { spin -a $defines $model && gcc -w -O2 -DSAFETY -o pan pan.c && ./pan -m100000; } 2>&1`;
    my ($n) = $out =~ /^State-vector .* errors: (\d+)$/m;
    diag $out if !defined $n || $out =~ /max search depth too small|out of memory/;
    return $n;
}

is errors('GATEWAYS=2', 'BURST=2', 'END=4'), 0, 'two gateways keep the promise';
is errors('GATEWAYS=3', 'BURST=2', 'END=2'), 0, 'three gateways keep the promise';
is errors('GATEWAYS=3', 'BURST=1', 'END=3'), 0, 'three gateways with a burst of 1';

open my $f, '<', $model or die "$model: $!\n";
my @broken = map { /^ \*   (NO_\w+)  / } <$f>;
is scalar @broken, 5, 'five variants are broken';
is errors('GATEWAYS=2', 'BURST=2', 'END=4', $_), 1, "$_ is found" for @broken;

done_testing;
