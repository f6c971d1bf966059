package Gateway::Canary;

# Secrets of a test's own, and the hunt for them.  A canary is random, so what
# holds one came from where it was planted.  Never prints one.
#
#   my $c = Gateway::Canary->new;
#   my $key = $c->plant('key of acme');        # or plant('token', $text)
#   $c->bytes('master key', $hex);             # hunted in hex, in capitals and raw
#   $c->clean('error log', $text);             # ok() unless a canary is in it
#   $c->clean('answers', $text, except => [...names]);
#   $c->found($text);                          # names
#   Gateway::Canary::files($dir, skip => qr/...$/);   # { path => text }, all below
#   Gateway::Canary::redis($redis);            # all keys and values, of all types
#   Gateway::Canary::shared($pid); heap($pid)  # memory, by /proc/PID/mem; undef: not permitted

use strict;
use warnings;

use File::Find ();
use MIME::Base64 ();
use Test::More ();

sub new { return bless { text => {} }, shift }

sub random {
    my ($class, $n) = @_;
    open my $f, '<:raw', '/dev/urandom' or die $!;
    read $f, my $bytes, $n // 12;
    return unpack 'H*', $bytes;
}

sub plant {
    my ($self, $name, $text) = @_;
    $text //= 'cnry' . $self->random;
    push @{ $self->{text}{$name} }, $text, _rim(MIME::Base64::encode_base64($text, ''));
    return $text;
}

# The last digits of base64 depend on what follows.

sub _rim { return substr $_[0], 0, length($_[0]) - 4 }

sub bytes {
    my ($self, $name, $hex) = @_;
    push @{ $self->{text}{$name} }, lc $hex, uc $hex, pack('H*', $hex),
        _rim(MIME::Base64::encode_base64(pack('H*', $hex), ''));
}

sub names { return sort keys %{ $_[0]{text} } }

sub found {
    my ($self, $text) = @_;
    return grep {
        my $name = $_;
        grep { index($text, $_) >= 0 } @{ $self->{text}{$name} }
    } $self->names;
}

sub clean {
    my ($self, $where, $text, %o) = @_;
    my %except = map { $_ => 1 } @{ $o{except} || [] };
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return Test::More::is_deeply([ grep { !$except{$_} } $self->found($text) ], [],
                                 "no secret is in $where");
}

sub files {
    my ($dir, %o) = @_;
    my %text;
    File::Find::find({ no_chdir => 1, wanted => sub {
        my $path = $File::Find::name;
        return if !-f $path || ($o{skip} && $path =~ $o{skip});
        open my $f, '<:raw', $path or return;
        local $/;
        $text{$path} = <$f> // '';
    } }, $dir);
    return \%text;
}

my %READ = (
    string => sub { ('GET', $_[0]) },
    hash   => sub { ('HGETALL', $_[0]) },
    set    => sub { ('SMEMBERS', $_[0]) },
    zset   => sub { ('ZRANGE', $_[0], 0, -1, 'WITHSCORES') },
    list   => sub { ('LRANGE', $_[0], 0, -1) },
    stream => sub { ('XRANGE', $_[0], '-', '+') },
);

sub _flat { return join "\n", map { ref ? _flat(@$_) : $_ // '' } @_ }

sub redis {
    my ($redis) = @_;
    my $text = '';
    for my $key (@{ $redis->command('KEYS', '*') }) {
        my $type = $redis->command('TYPE', $key);
        my $read = $READ{$type} or die "a key of type $type\n";
        $text .= "$key\n" . _flat($redis->command($read->($key))) . "\n";
    }
    return $text;
}

sub shared { return _memory($_[0], sub { $_[0] =~ /^\S+ rw-s \S+ \S+ \S+ +\/dev\/zero/ }) }
sub heap   { return _memory($_[0], sub { $_[0] =~ /^\S+ rw-p \S+ \S+ 0 (?:.*\[heap\])?\s*$/ }) }

sub _memory {
    my ($pid, $wanted) = @_;
    open my $maps, '<', "/proc/$pid/maps" or return;
    open my $mem, '<:raw', "/proc/$pid/mem" or return;
    my $text = '';
    while (my $line = <$maps>) {
        next unless $wanted->($line) && $line =~ /^([0-9a-f]+)-([0-9a-f]+) /;
        my ($at, $end) = do { no warnings 'portable'; (hex $1, hex $2) };
        sysseek $mem, $at, 0 or return;
        while ($at < $end) {
            my $n = sysread $mem, $text, $end - $at, length $text;
            last unless $n;
            $at += $n;
        }
    }
    return $text;
}

1;
