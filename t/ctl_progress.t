#!/usr/bin/perl

# What walks all tenants says on a terminal how far it is, once a second, and takes
# that line away before anything else is printed.  Elsewhere nothing of it is written.

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes qw(sleep);

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Pty;
use Gateway::Redis;
use JSON::PP ();

my $many = 2000;
my $gw = Gateway->start(http => '');
my $redis = $gw->redis;
my $file = $gw->dir . '/store.json';
$gw->tenant('first', key => 'key-of-first');
$gw->ctl('config', 'export', $file);
my $doc = JSON::PP::decode_json(Gateway::_slurp($file));
my ($first) = @{ $doc->{tenants} };
push @{ $doc->{tenants} }, map { { id => "t$_", project => $first->{project} } } 1 .. $many;
open my $f, '>', $file or die "$file: $!";
print $f JSON::PP->new->canonical->encode($doc);
close $f;
$gw->ctl('config', 'import', $file);

# Redis stops for more than a second while the command is at its tenants.

my @terminal;
for my $case (
    [ 'doctor', qr/ok|warn|fail/ ], [ 'masterkey rewrap', qr/sealed again/ ], [ "config export $file.2", qr/written|tenants/ ],
    [ 'tenant list', qr/^t$many\s/m ],
) {
    my ($words, $printed) = @$case;
    my $said;
    for (1 .. 20) {    # it may be too fast
        my $before = $redis->info('stats')->{total_commands_processed};
        my $pty = Gateway::Pty->start({ columns => 100, lines => 40, env => { AMPERSAND_MASTER_KEY_FILE => $gw->dir . '/master.key' } }, $ENV{AMPCTL} || "$Gateway::ROOT/build/ampctl",
            '--redis', $gw->redis_url, split / /, $words);
        Gateway::Redis::wait_for(sub { $redis->info('stats')->{total_commands_processed} > $before + 300 });
        $redis->pause;
        sleep 1.1;
        $redis->resume;
        $pty->wait;
        last if ($said = $pty->{out}) =~ /tenants: \d+ of /;
    }
    like $said, qr/\rtenants: \d+ of @{[ $many + 1 ]}\r\e\[K/, "$words: how far it is, and the line is taken away";
    like $said, $printed, "$words: its result";
}
unlike join('', map { (($gw->try_ctl(@$_))[1, 2]) } ['doctor'], [qw(tenant list)]), qr/tenants: \d+ of /, 'elsewhere nothing of it is written';

$gw->finish;
done_testing;
