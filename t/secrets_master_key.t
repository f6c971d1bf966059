#!/usr/bin/perl

# The master key file: refused unless only its owner can read it and it is well
# formed; several directives rotate it; a key sealed by another master key does not
# open.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::Canary;
use JSON::PP ();
use POSIX ();
use Test::More;

my $c = Gateway::Canary->new;
my $tmp = File::Temp->newdir;

sub master { my $hex = Gateway::Canary->random(32); $c->bytes('a master key', $hex); return $hex }

sub file {
    my ($name, $text, $mode) = @_;
    unlink "$tmp/$name";
    open my $f, '>', "$tmp/$name" or die $!;
    print $f $text;
    close $f;
    chmod $mode // 0600, "$tmp/$name";
    return "$tmp/$name";
}

sub configured { return Gateway->configtest("events {}\nhttp {\n" . join('', map { "ampersand_master_key $_;\n" } @_) . "}\n") }


subtest 'files that are refused, with file and reason in the message' => sub {
    my $hex = master();
    mkdir "$tmp/directory", 0700;
    POSIX::mkfifo("$tmp/fifo", 0600);
    my @refused = (
        (map { [ sprintf('mode %04o', $_), file(sprintf('m%o', $_), "$hex\n", $_), qr/chmod 600/ ] } 0644, 0604, 0660, 0620, 0602, 0610, 0601, 0777),
        [ 'missing', "$tmp/missing", qr/No such file/ ],
        [ 'a directory', "$tmp/directory", qr/not a regular file/ ],
        [ 'a FIFO', "$tmp/fifo", qr/not a regular file/ ],
        [ 'a device', '/dev/zero', qr/not a regular file/ ],
        [ 'empty', file('empty', ''), qr/empty/ ],
        [ 'a digit short', file('short', substr($hex, 1) . "\n"), qr/64 hex digits/ ],
        [ 'a digit long', file('long', "${hex}0\n"), qr/64 hex digits|too long/ ],
        [ 'raw bytes', file('raw', pack 'H*', $hex), qr/64 hex digits|control characters|byte order mark/ ],
        [ 'not hex', file('nothex', ('g' x 64) . "\n"), qr/64 hex digits/ ],
        [ 'two lines', file('two', "$hex\n$hex\n"), qr/more than one line/ ],
        [ 'a space in front', file('space', " $hex"), qr/64 hex digits/ ],
        [ 'a NUL', file('nul', substr($hex, 0, 63) . "\0"), qr/control characters/ ],
        [ 'huge', file('huge', $hex x 1000), qr/64 hex digits|too long/ ],
    );
    for (@refused) {
        my ($what, $path, $why) = @$_;
        my ($ok, $out) = configured($path);
        ok(!$ok, "$what: nginx refuses");
        like($out, $why, '... says why');
        like($out, qr/\Q$path\E.* in .*nginx\.conf:\d+/, '... names the file and the line');
        $c->clean('what it says', $out);
    }
    my ($ok, $out) = configured(file('once', "$hex\n"), file('twice', "$hex\n"));
    ok(!$ok, 'one key twice: nginx refuses');
    $c->clean('what it says', $out);
    for (file('good', "$hex\n"), file('bare', $hex), file('capitals', uc $hex), file('readonly', "$hex\n", 0400)) {
        ($ok, $out) = configured($_);
        ok($ok, 'a good one is taken') or diag($out);
        $c->clean('what it says', $out);
    }
};


subtest 'rotation' => sub {
    my $gw = Gateway->start;
    my $old = $gw->dir . '/master.key';
    my $new = file('new', master() . "\n");
    my ($old_key, $new_key) = map { $c->plant($_) } 'the key sealed by the old one', 'the key sealed by the new one';
    $c->bytes('the old master key', do { local (@ARGV, $/) = $old; <> =~ s/\s//gr });

    my $text = "ampersand_zone 4m; ampersand_redis @{[ $gw->redis_url ]};";
    my $try = sub {
        my ($token, $key) = @_;
        my $before = $gw->upstream->requests;
        my $res = $gw->get('/v1/installations?x=' . Gateway::Canary->random(4), token => $token);
        $res = $gw->get('/v1/integrations?x=' . Gateway::Canary->random(4), token => $token) if $res->{status} == 404;
        $c->clean('the answer', "$res->{head}\n$res->{body}");
        my @seen = $gw->upstream->requests;
        is((@seen == $before || Gateway::Upstream::header($seen[-1], 'x-api-key') eq $key) ? 'right' : 'wrong', 'right', 'no other key is sent');
        return $res->{status};
    };
    my $use = sub {
        $gw->{o}{directives} = join "\n", $text, map { "ampersand_master_key $_;" } @_;
        my %old = map { $_ => 1 } $gw->workers_pids;
        $gw->reload;
        $gw->wait_for(sub { !grep { $old{$_} } $gw->workers_pids });
    };
    my $id = sub { my ($t) = $gw->redis->command('GET', "amp:tenant:$_[0]") =~ /"sealed":\s*"v1\.([0-9a-f]{8})\./; return $t };

    my $first = $gw->tenant('first', key => $old_key, project => 'p1');
    is($try->($first, $old_key), 200, 'with the old one');

    my $second = $gw->tenant('second', key => $new_key, project => 'p2', args => [ '--master-key', $new, '--master-key', $old ]);
    isnt($id->('second'), $id->('first'), 'the first line seals');
    is($try->($second, $new_key), 503, 'the gateway that has the old one only refuses what the new one has sealed');
    like($gw->error_log, qr/does not open with any ampersand_master_key/, '... and says so');

    $use->($new, $old);
    is($try->($first, $old_key), 200, 'both: the old one opens');
    is($try->($second, $new_key), 200, 'both: the new one opens');

    $use->($new);
    is($try->($first, $old_key), 503, 'the new one only: what is not sealed anew does not open');
    is($try->($second, $new_key), 200, 'the new one only: what it has sealed does');

    my $said = $gw->ctl('masterkey', 'rewrap', '--master-key', $new, '--master-key', $old);
    is($id->('first'), $id->('second'), 'rewrap');
    ok($gw->wait_for(sub { $gw->get('/v1/integrations', token => $first)->{status} == 200 }), 'then all opens');

    my %broken = (
        'another tenant'    => sub { $_[0]{keys}[0]{sealed} = $_[1]{keys}[0]{sealed} },
        'another key id'    => sub { $_[0]{keys}[0]{id} = 'renamed' },
        'a bit'             => sub { substr($_[0]{keys}[0]{sealed}, 30, 1) =~ tr/A-Za-z0-9_-/B-ZAb-za1-90\-_/ },
        'cut short'         => sub { substr($_[0]{keys}[0]{sealed}, -4) = '' },
        'another master id' => sub { substr($_[0]{keys}[0]{sealed}, 3, 8) = '00000000' },
        'another version'   => sub { substr($_[0]{keys}[0]{sealed}, 0, 2) = 'v2' },
        'plaintext'         => sub { $_[0]{keys}[0]{sealed} = $new_key },
    );
    my ($record, $other) = map { JSON::PP::decode_json($gw->redis->command('GET', "amp:tenant:$_")) } 'second', 'first';
    my $rev = $record->{rev};
    for my $what (sort keys %broken) {
        my $copy = JSON::PP::decode_json(JSON::PP::encode_json($record));
        $copy->{rev} = ++$rev;
        $broken{$what}->($copy, $other);
        $gw->redis->command('SET', 'amp:tenant:second', JSON::PP::encode_json($copy));
        $gw->redis->command('PUBLISH', 'amp:events', qq({"v":1,"type":"tenant","tenant":"second","rev":$rev}));
        ok($gw->wait_for(sub { $gw->get('/v1/integrations?x=' . Gateway::Canary->random(4), token => $second)->{status} == 503 }), "$what: 503");
        my ($exit, $out, $err) = $gw->try_ctl('key', 'verify', 'second', '--master-key', $new);
        isnt($exit, 0, '... and ampctl does not open it');
        $said .= $out . $err;
    }

    $c->clean('what ampctl says', $said);
    $c->clean('the logs', $gw->error_log . $gw->access_log);
    $gw->finish;
};

done_testing();
