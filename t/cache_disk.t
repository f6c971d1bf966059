#!/usr/bin/perl

# A cache that cannot be written, or whose disk is full, is passed by: each client
# has its whole answer, and the log says it once.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;

my $gw = Gateway->start;
my $up = $gw->upstream;
my $token = $gw->tenant('acme', project => 'p-1', key => 'key-acme');
my $body = '"' . 'x' x 30_000 . '"';
$up->answer({ body => $body });

sub get { my ($g, $i) = @_; return $g->get("/v1/integrations?i=$i", token => $token) }
sub said { my ($g) = @_; return scalar $g->log_lines(qr/ampersand: the cache .* answers are not stored/) }

sub passed_by {
    my ($g, $why) = @_;
    for my $i (1 .. 8) {
        my $res = get($g, $i);
        is $res->{status} . length $res->{body}, 200 . length $body, "$why: the whole answer";
        is $res->{headers}{'cache-status'}, 'ampersand; fwd=miss', 'not said to be stored';
    }
    is said($g), 1, 'said once';
}

subtest 'a directory that cannot be written' => sub {
    is get($gw, 0)->{headers}{'x-cache-status'}, 'MISS', 'stored';
    chmod 0555, $gw->dir . '/cache' or die $!;
    passed_by($gw, 'not writable');
    is get($gw, 0)->{headers}{'x-cache-status'}, 'HIT', 'what is stored is served';
    chmod 0777, $gw->dir . '/cache' or die $!;
    # for 10 seconds nobody waits for an answer that was not stored
    get($gw, 1);
    is get($gw, 1)->{headers}{'x-cache-status'}, 'HIT', 'stored again when it can be';
};

# nginx knows no way around it.

subtest 'an entry that cannot be read' => sub {
    my $g = Gateway->start(like => $gw, proxy_conf => { open_file_cache => 'off' });
    ok $g->wait_for(sub { get($g, 1)->{headers}{'x-cache-status'} eq 'HIT' }), 'stored';
    for my $file (glob $g->dir . '/cache/*/*/*') {
        unlink $file;
        symlink $file, $file or die $!;    # root can read what has no permissions
    }
    my $res = get($g, 1);
    is $res->{status}, 500, 'is an error for one request';
    like $g->json($res)->{type}, qr/internal$/, 'which is a problem';
    is get($g, 1)->{headers}{'x-cache-status'}, 'MISS', 'the next one asks Ampersand';
    is get($g, 1)->{headers}{'x-cache-status'}, 'HIT', 'and its answer is stored';
    $g->finish;
};

# A file system of 300 KB.

subtest 'a full disk' => sub {
    my $full = File::Temp->newdir;
    chmod 0755, $full;
    plan skip_all => 'no tmpfs can be mounted here'
        if $> || system("mount -t tmpfs -o size=300k,mode=777 tmpfs $full >&- 2>&-") != 0;
    my $small = Gateway->start(like => $gw, http => "proxy_cache_path $full keys_zone=full:1m use_temp_path=off;",
        proxy_conf => { proxy_cache => 'full' });
    passed_by($small, 'full');
    $small->finish;
    system("umount -l $full");
};

$gw->finish;
done_testing;
