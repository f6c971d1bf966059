#!/usr/bin/perl

# ampctl masterkey: the file, files that are refused, and rewrap.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use POSIX ();
use Test::More;

use Gateway::Ctl;
use Gateway::Redis;

my $redis = Gateway::Redis->start;
my $ctl   = Gateway::Ctl->new($redis);
my $dir   = $ctl->dir;

sub slurp { open my $f, '<', $_[0] or return; local $/; return scalar <$f> }

subtest 'new writes 64 hex digits, mode 0600 under any umask' => sub {
    my $old = umask 0;
    my $r = $ctl->json('masterkey', 'new', "$dir/a.key");
    umask 0777;
    is $ctl->run('masterkey', 'new', "$dir/b.key")->{code}, 0, 'umask 0777';
    umask $old;
    is $r->{code}, 0, 'done';
    is sprintf('%04o', (stat "$dir/$_.key")[2] & 07777), '0600', "$_.key" for qw(a b);
    like slurp("$dir/a.key"), qr/\A[0-9a-f]{64}\n\z/, 'text';
    isnt slurp("$dir/a.key"), slurp("$dir/b.key"), 'each file has another key';
    like $r->{doc}{id}, qr/\A[0-9a-f]{8}\z/, 'id';
    is $r->{doc}{file}, "$dir/a.key", 'file';
    my $hex = substr slurp("$dir/a.key"), 0, 64;
    unlike $ctl->said, qr/$hex/, 'the key is not shown';
};

subtest 'new does not overwrite a file, nor write through a dangling link' => sub {
    my $before = slurp("$dir/a.key");
    my $r = $ctl->json('masterkey', 'new', "$dir/a.key");
    is $r->{code}, 1, 'exit 1';
    is $r->{doc}{error}{code}, 'exists', 'code';
    is slurp("$dir/a.key"), $before, 'untouched';
    symlink "$dir/nowhere", "$dir/link";
    is $ctl->run('masterkey', 'new', "$dir/link")->{code}, 1, 'link';
    ok !-e "$dir/nowhere", 'nothing written through it';
    is $ctl->run('masterkey', 'new', "$dir/none/x")->{code}, 1, 'no such directory';
};

my $secret = $ctl->file('secret', "sk_canary_rewrap\n");
is $ctl->run('tenant', 'add', 'acme', '--project', 'p1', '--key-file', $secret)->{code}, 0, 'a tenant';

subtest 'a master key file with wrong mode, or that is no regular file, is refused' => sub {
    my $text = slurp("$dir/master.key");
    my %bad = (
        'group may read'   => sub { $ctl->file('bad', $text, $> ? 0640 : 0660) },
        'others may read'  => sub { $ctl->file('bad', $text, 0604) },
        'group may write'  => sub { $ctl->file('bad', $text, 0620) },
        'a directory'      => sub { $dir },
        'a device'         => sub { '/dev/null' },
        'missing'          => sub { "$dir/missing" },
        'too short'        => sub { $ctl->file('bad', substr($text, 2)) },
        'too long'         => sub { $ctl->file('bad', "${text}00") },
        'no hex'           => sub { $ctl->file('bad', 'x' x 64) },
        'empty'            => sub { $ctl->file('bad', '') },
        'two lines'        => sub { $ctl->file('bad', "$text$text") },
        'a pipe'           => sub { POSIX::mkfifo("$dir/fifo", 0600); "$dir/fifo" },
    );
    for my $what (sort keys %bad) {
        my $file = $bad{$what}->();
        my $r = $ctl->json('key', 'verify', 'acme', '--master-key', $file);
        is $r->{code}, 1, $what;
        is $r->{doc}{error}{code}, 'master_key', 'code';
        like $r->{doc}{error}{message}, qr/\Q$file\E/, 'names the file';
        ok length $r->{doc}{error}{remedy}, 'says what to do';
    }
};

subtest 'a master key file of another user is refused' => sub {
    plan skip_all => 'needs root' if $> != 0;
    my $file = $ctl->file('other', slurp("$dir/master.key"));
    chown 65534, 65534, $file;
    my $r = $ctl->run('key', 'verify', 'acme', '--master-key', $file);
    is $r->{code}, 1, 'exit 1';
    like $r->{err}, qr/another user/, 'says why';
};

subtest 'no master key is wrong usage' => sub {
    plan skip_all => '/etc/ampersand exists' if -e '/etc/ampersand';
    my $r = $ctl->json({ env => { AMPERSAND_MASTER_KEY_FILE => undef } },
        'key', 'set', 'acme', '--key-file', $secret);
    is $r->{code}, 2, 'exit 2';
    like $r->{doc}{error}{remedy}, qr/masterkey new/, 'says how to make one';
};

subtest 'a sealed key opens with its own master key only' => sub {
    my $r = $ctl->json('key', 'verify', 'acme', '--master-key', "$dir/a.key");
    is $r->{code}, 1, 'another key';
    is $r->{doc}{error}{code}, 'master_key', 'code';
    is $ctl->run('key', 'verify', 'acme')->{code}, 3, 'the right one: the upstream is asked';

    my $record = decode_json $redis->command('GET', 'amp:tenant:acme');
    (my $moved = encode_json $record) =~ s/"acme"/"evil"/g;
    $redis->command('SET', 'amp:tenant:evil', $moved);
    $r = $ctl->json('key', 'verify', 'evil');
    is $r->{code}, 1, 'a sealed key moved to another tenant';
    is $r->{doc}{error}{code}, 'bad_seal', 'code';
    $redis->command('DEL', 'amp:tenant:evil');
};

subtest 'rewrap seals everything with the first master key' => sub {
    is $ctl->run('tenant', 'add', 'beta', '--project', 'p2', '--key-file', $secret,
        '--master-key', "$dir/a.key")->{code}, 0, 'a tenant under another key';

    my @both = ('--master-key', "$dir/a.key", '--master-key', "$dir/master.key");
    my $r = $ctl->json('masterkey', 'rewrap', @both);
    is $r->{code}, 0, 'done';
    is $r->{doc}{resealed}, 1, 'one key is sealed again';
    is $r->{doc}{already}, 1, 'one key is sealed with it already';
    is_deeply $r->{doc}{failed}, [], 'none failed';
    for my $tenant (qw(acme beta)) {
        my $keys = $ctl->json('key', 'list', $tenant)->{doc};
        is $keys->[0]{master}, $r->{doc}{master}, "$tenant: new master key";
        is $ctl->run('key', 'verify', $tenant, '--master-key', "$dir/a.key")->{code}, 3, 'opens';
    }
    is $ctl->json('masterkey', 'rewrap', @both)->{doc}{resealed}, 0, 'again: nothing to do';

    $r = $ctl->json('masterkey', 'rewrap', '--master-key', "$dir/b.key");
    is $r->{code}, 1, 'without the old master key';
    is scalar @{ $r->{doc}{failed} }, 2, 'both tenants are named';
    is $r->{doc}{resealed}, 0, 'nothing changed';
    is $ctl->run('key', 'verify', 'acme', '--master-key', "$dir/a.key")->{code}, 3, 'still opens';
};

unlike $ctl->said, qr/sk_canary/, 'no command has printed the key';

done_testing;
