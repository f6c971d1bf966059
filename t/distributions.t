#!/usr/bin/perl

# tools/distributions: what it refuses, and that an interrupted run leaves nothing.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp ();
use IPC::Open3 qw(open3);
use Test::More;
use Time::HiRes qw(sleep time);

my $root = dirname(dirname(abs_path(__FILE__)));
my $tool = "$root/tools/distributions";
my $tmp = File::Temp->newdir('distributions.XXXXXX', TMPDIR => 1);
$ENV{DISTRIBUTIONS_DIR} = "$tmp/dir";

sub slurp { open my $f, '<', $_[0] or return ''; local $/; return <$f> // '' }

sub begin {
    my (@command) = @_;
    my $pid = open3(my $in, my $out, undef, @command);
    close $in;
    return { pid => $pid, out => $out };
}

sub ended {
    my ($run) = @_;
    my $text = do { local $/; readline $run->{out} } // '';
    waitpid $run->{pid}, 0;
    return ($? & 127 || $? >> 8, $text);
}

my ($status, $text) = ended(begin($tool, 'sarge'));
is $status, 2, 'an unknown name: status';
like $text, qr/^distributions: "sarge" is neither a distribution nor an option\nusage: /, 'says so';

($status, $text) = ended(begin($tool, '--help'));
is $status, 0, '--help';
like $text, qr/\bbookworm trixie testing mainline\b/, 'names the distributions';

SKIP: {
    if ($> != 0) {
        ($status, $text) = ended(begin($tool, 'trixie'));
        isnt $status, 0, 'without root: status';
        like $text, qr/needs root; run: sudo tools\/distributions trixie$/, 'names the command';
        skip 'chroot needs root', 1;
    }

    # every program that it needs but debootstrap
    mkdir "$tmp/bin";
    for my $name (qw(unshare setpriv ip git perl env rm sh)) {
        my ($path) = grep { -x } map { "$_/$name" } split /:/, $ENV{PATH};
        skip "$name is missing; run: tools/deps distributions", 1 if !$path;
        symlink $path, "$tmp/bin/$name" or die "$name: $!";
    }
    local $ENV{PATH} = "$tmp/bin";
    ($status, $text) = ended(begin($tool, 'trixie'));
    isnt $status, 0, 'without debootstrap: status';
    like $text, qr/^distributions: debootstrap is missing; to install it, run: tools\/deps distributions$/m,
        'names the command';

    # a debootstrap that has a process of its own, and never ends
    local $ENV{PATH} = "$tmp/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    skip 'this machine allows no namespaces', 1
        if system('unshare --mount --pid --fork --kill-child --mount-proc true 2> /dev/null') != 0;
    open my $f, '>', "$tmp/bin/debootstrap" or die $!;
    my @sleep = ('sleep', 1000 + rand);    # no other process has these arguments
    my $asleep = sub { scalar grep { slurp($_) eq join "\0", @sleep, '' } glob '/proc/[0-9]*/cmdline' };
    print $f <<'E' =~ s/SECONDS/@sleep/r;
#!/bin/bash
root=${@: -2:1}
mkdir -p "$root"
SECONDS &
touch "$root/../started"
wait
E
    close $f;
    chmod 0755, "$tmp/bin/debootstrap";
    for my $signal (qw(INT KILL)) {
        unlink "$tmp/dir/base/started";
        my $run = begin($tool, 'trixie');
        my $end = time + 60;
        sleep 0.05 until -e "$tmp/dir/base/started" && $asleep->() || time > $end;
        is $asleep->(), 1, "$signal: debootstrap has a process" or diag slurp("$tmp/dir/logs/debootstrap-trixie.log");
        kill $signal, $run->{pid};
        ended($run);
        $end = time + 60;
        sleep 0.05 while $asleep->() && time < $end;
        is $asleep->(), 0, 'which ends with the tool';
        ok !-e "$tmp/dir/base/trixie.new", 'and no half root is left' if $signal eq 'INT';
    }
}

done_testing;
