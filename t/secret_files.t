#!/usr/bin/perl

# Files that hold a secret: nginx and ampctl accept the same ones, and both say why
# they refuse the others.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Temp ();
use Gateway;
use Gateway::Certificates;
use Gateway::Redis;
use Test::More;

my $tmp = File::Temp->newdir('secret.XXXXXX', TMPDIR => 1);
my $certs = Gateway::Certificates->new;
my $redis = Gateway::Redis->start('--requirepass', 'canary-pass');
my $tls = Gateway::Redis->start(tls => $certs, clients => 1);
my %tls = $tls->env;
my $hex = '0123456789abcdef' x 4;
our ($mode, $owner, $group) = (0600, $>, (split ' ', $))[0]);

sub file {
    my ($name, $text) = @_;
    unlink "$tmp/$name";
    open my $f, '>', "$tmp/$name" or die $!;
    print $f $text;
    close $f;
    chown $owner, $group, "$tmp/$name" or die $!;
    chmod $mode, "$tmp/$name";
    return "$tmp/$name";
}

sub slurp { open my $f, '<', $_[0] or die "$_[0]: $!"; local $/; return scalar <$f> }

sub ctl {
    my (@args) = @_;
    delete local @ENV{grep /^AMPERSAND_/, keys %ENV};
    my $pid = open my $out, '-|';
    if (!$pid) {
        open STDERR, '>&', \*STDOUT;
        open STDIN, '<', '/dev/null';
        exec $ENV{AMPCTL} || 'build/ampctl', @args or exit 127;
    }
    my $text = do { local $/; <$out> } // '';
    close $out;
    return ($? >> 8, $text);
}

# The kinds of files: a text, and how nginx and ampctl are told to read a file.

my %kinds = (
    'master key' => {
        text => $hex,
        nginx => sub { "ampersand_master_key $_[0];" },
        ctl => sub { ('doctor', '--redis', 'redis://127.0.0.1:1', '--upstream', 'http://127.0.0.1:1', '--master-key', $_[0]) },
        ok => qr/^ok +master key:/m,
    },
    'password' => {
        text => 'canary-pass',
        nginx => sub { 'ampersand_redis ' . $redis->url . " password_file=$_[0];" },
        ctl => sub { ('tenant', 'list', '--redis', $redis->url, '--redis-password-file', $_[0]) },
    },
    'key of a client certificate' => {
        text => slurp($tls{AMPERSAND_REDIS_KEY}),
        nginx => sub { 'ampersand_redis ' . $tls->url . " ca_file=$tls{AMPERSAND_REDIS_CA} cert_file=$tls{AMPERSAND_REDIS_CERT} key_file=$_[0];" },
        ctl => sub { ('tenant', 'list', '--redis', $tls->url, '--redis-ca', $tls{AMPERSAND_REDIS_CA}, '--redis-cert', $tls{AMPERSAND_REDIS_CERT},
            '--redis-key', $_[0]) },
    },
);

# Both accept the file (say undef), or both refuse it and give the reason.

sub both {
    my ($what, $kind, $file, $say) = @_;
    my ($nginx, $said) = Gateway->configtest("events {}\nhttp {\n" . $kinds{$kind}{nginx}->($file) . "\n}\n");
    my ($code, $out) = ctl($kinds{$kind}{ctl}->($file));
    my $ctl = $kinds{$kind}{ok} ? $out =~ $kinds{$kind}{ok} : $code == 0;
    is $nginx ? 1 : 0, defined $say ? 0 : 1, "$kind, $what: nginx" or diag $said;
    is $ctl ? 1 : 0, defined $say ? 0 : 1, "$kind, $what: ampctl" or diag $out;
    return if !defined $say;
    like $said, $say, '... says why';
    like $out, $say, '... as ampctl does';
    unlike "$said$out", qr/canary-pass|$hex/, '... without the secret';
}

for my $kind (sort keys %kinds) {
    my $text = $kinds{$kind}{text};
    my $short = $kind =~ s/\W//gr;

    subtest "$kind: what the file contains" => sub {
        both('as it is', $kind, file($short, $text));
        both('a line end', $kind, file($short, "$text\n"));
        both('CR LF', $kind, file($short, $text =~ s/\n/\r\n/gr . "\r\n"));
        both('empty lines behind it', $kind, file($short, "$text\n\r\n\n"));
        both('nothing', $kind, file($short, ''), qr/is empty|contains no key|no start line/);
        if ($kind !~ /certificate/) {
            both('a line end alone', $kind, file($short, "\n"), qr/is empty/);
            both('a byte order mark', $kind, file($short, "\xef\xbb\xbf$text\n"), qr/begins with a byte order mark/);
            both('UTF-16', $kind, file($short, "\xff\xfe" . join('', map { "$_\0" } split //, $text)), qr/begins with a byte order mark/);
            both('two lines', $kind, file($short, "$text\nx\n"), qr/more than one line/);
            both('a NUL', $kind, file($short, "$text\0"), qr/control characters/);
        }
    };

    subtest "$kind: a mount of Kubernetes" => sub {
        mkdir "$tmp/$short.v1";
        rename file($short, "$text\n"), "$tmp/$short.v1/secret";
        symlink "$short.v1", "$tmp/$short.data";
        symlink "$short.data/secret", "$tmp/$short.link";
        both('a symlink', $kind, "$tmp/$short.link");
        chmod 0644, "$tmp/$short.v1/secret";
        both('a symlink to an open file', $kind, "$tmp/$short.link", qr/may be read or written by other users/);
    };

    # the user's own file, and root's

    subtest "$kind: who has access to the file" => sub {
        for my $case (0600, 0400, 0640, 0440, 0644, 0444, 0660, 0604, 0620) {
            local $mode = $case;
            my $good = $case == 0600 || $case == 0400 || $> == 0 && ($case == 0640 || $case == 0440);
            both(sprintf('mode %04o', $mode), $kind, file($short, "$text\n"), $good ? undef : qr/may be read or written by other users/);
        }
        mkdir "$tmp/dir.$short";
        both('a directory', $kind, "$tmp/dir.$short", qr/is not a regular file/);
        both('nothing', $kind, "$tmp/none", qr/No such file/);
    };

    subtest "$kind: the file of another user" => sub {
        plan skip_all => 'needs root' if $> != 0;
        local $owner = 65534;
        both('nobody', $kind, file($short, "$text\n"), qr/belongs to another user/);
    };

    subtest "$kind: read by a user of the group to which root lets the file be read" => sub {
        plan skip_all => 'needs root' if $> != 0;
        chmod 0755, $tmp;
        for my $case ([ 0440, 1 ], [ 0640, 1 ], [ 0660, 0 ]) {
            local ($mode, $group) = ($case->[0], 65534);
            my $file = file($short, "$text\n");
            my $out = qx(setpriv --reuid 65534 --regid 65534 --clear-groups @{[ join ' ', $ENV{AMPCTL} || 'build/ampctl', map { "'$_'" } $kinds{$kind}{ctl}->($file) ]} 2>&1);
            my $ok = $kinds{$kind}{ok} ? $out =~ $kinds{$kind}{ok} : $? == 0;
            is $ok ? 1 : 0, $case->[1], sprintf 'mode %04o', $mode or diag $out;
        }
    } if $kind eq 'master key';
}

done_testing;
