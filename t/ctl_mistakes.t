#!/usr/bin/perl

# Mistakes that operators make: each has its exit code and its message, with a
# line that says what to do, and none changes anything.  The table is in
# t/mistakes.txt: the words of the command, then "> code message".

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Text::ParseWords ();

use Gateway::Ctl;
use Gateway::Redis;

my $redis = Gateway::Redis->start;
my $ctl   = Gateway::Ctl->new($redis);
my $tenant = '{"id":"x","project":{"id":"p"}';

# In the table: a word in capitals is the name of such a file.

my %file = (
    KEY      => $ctl->file('KEY', "sk_canary_key\n"),
    EMPTY    => $ctl->file('EMPTY', ''),
    TWOLINES => $ctl->file('TWOLINES', "sk_canary_one\nsk_canary_two\n"),
    OPEN     => $ctl->file('OPEN', '0' x 64 . "\n", 0666),
    TEXT     => $ctl->file('TEXT', "not a document\n"),
    LIST     => $ctl->file('LIST', '[]'),
    DOC      => $ctl->file('DOC', qq({"version":1,"tenants":[$tenant}]})),
    VERSION  => $ctl->file('VERSION', '{"version":9,"tenants":[]}'),
    NOID     => $ctl->file('NOID', '{"version":1,"tenants":[{"project":{"id":"p"}}]}'),
    BADRATE  => $ctl->file('BADRATE', qq({"version":1,"tenants":[$tenant,"limits":{"default":{"rate":"5"}}}]})),
    TWICE    => $ctl->file('TWICE', qq({"version":1,"tenants":[$tenant},$tenant}]})),
    UNKNOWN  => $ctl->file('UNKNOWN', qq({"version":1,"tenants":[$tenant,"grant":{}}]})),
    DIR      => $ctl->dir,
);

$ctl->run(qw(tenant add acme --project p-1 --key-file), $file{KEY});
$ctl->run(qw(tenant add bare --project p-2));
my $before = $redis->command('GET', 'amp:tenant:acme') . join ' ', sort @{ $redis->command('KEYS', '*') };

open my $table, '<:encoding(UTF-8)', "$FindBin::Bin/mistakes.txt" or die "mistakes.txt: $!";
my (@rows, $words);
while (<$table>) {
    chomp;
    next if /^(?:#|$)/;
    if (/^> (\d) (.*)/) { push @rows, [ $words, $1, $2 ] }
    else { $words = $_ }
}
cmp_ok scalar @rows, '>=', 145, scalar(@rows) . ' mistakes';

for my $row (@rows) {
    my ($words, $code, $message) = @$row;
    my @args = map { exists $file{$_} ? $file{$_} : $_ } Text::ParseWords::shellwords($words);
    my $r = $ctl->run(@args);
    my ($said, $remedy) = split /\n/, $r->{err}, 2;
    my $dir = $ctl->dir;
    s/\Q$dir\E\/?/DIR\//g, s/^ampctl: //, s/\.json\.\d+:/.json.N:/ for $said //= '';
    if ($ENV{MISTAKES_RECORD}) {
        print STDERR "$words\n> $r->{code} $said\n";
        next;
    }
    subtest $words => sub {
        is $r->{code}, $code, 'exit code';
        is $said, $message, 'message';
        like $remedy // '', qr/\A  \S.*\n\z/, 'one line that says what to do' or diag $r->{err};
        is $r->{out}, '', 'nothing on standard output';
    };
}

is $redis->command('GET', 'amp:tenant:acme') . join(' ', sort @{ $redis->command('KEYS', '*') }), $before, 'nothing has changed';
unlike $ctl->said, qr/sk_canary/, 'no secret was printed';

done_testing;
