package Gateway::Ctl;

# Runs ampctl against one Redis and one master key, away from the caller's
# environment.
#
#   my $ctl = Gateway::Ctl->new($redis);        # with a fresh master key file
#   my $r = $ctl->run('tenant', 'list');        # $r->{code}, {out}, {err}
#   my $r = $ctl->json('tenant', 'list');       # the same and {doc}; dies unless
#                                               # stdout is one JSON document
#   $ctl->run({ stdin => "sk\n", env => { ... } }, 'key', 'set', ...);
#   $ctl->file('name', "text", 0600);           # a file in its directory; its path

use strict;
use warnings;

use File::Temp ();
use JSON::PP ();
use POSIX ();

sub binary { $ENV{AMPCTL} || 'build/ampctl' }

sub new {
    my ($class, $redis) = @_;
    my $self = bless {
        tmp => File::Temp->newdir('ampctl.XXXXXX', TMPDIR => 1),
        n   => 0,
    }, $class;
    $self->{env} = { AMPERSAND_UPSTREAM => 'http://127.0.0.1:9' };
    if ($redis) {
        $self->{env} = { %{ $self->{env} }, $redis->env, AMPERSAND_REDIS => $redis->url };
        $self->{env}{AMPERSAND_MASTER_KEY_FILE} = $self->dir . '/master.key';
        my $r = $self->run('masterkey', 'new', $self->dir . '/master.key');
        die "no master key: $r->{err}" if $r->{code} != 0;
    }
    return $self;
}

sub dir { $_[0]{tmp}->dirname }

sub file {
    my ($self, $name, $text, $mode) = @_;
    my $path = $self->dir . "/$name";
    unlink $path;
    open my $f, '>', $path or die "$path: $!";
    print $f $text;
    close $f or die "$path: $!";
    chmod $mode // 0600, $path;
    return $path;
}

# Starts a command; the answer is for wait().

sub start {
    my ($self, @args) = @_;
    my $how = ref $args[0] ? shift @args : {};
    my $base = $self->dir . '/run' . $$ . '.' . ++$self->{n};
    my $stdin = '/dev/null';
    if (defined $how->{stdin}) {
        $stdin = "$base.in";
        open my $f, '>', $stdin or die "$stdin: $!";
        print $f $how->{stdin};
        close $f;
    }
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        delete $ENV{$_} for grep { /^AMPERSAND_|_proxy$|_PROXY$/ } keys %ENV;
        my %env = (%{ $self->{env} }, %{ $how->{env} // {} });
        $ENV{$_} = $env{$_} for grep { defined $env{$_} } keys %env;
        delete $ENV{POSIXLY_CORRECT};
        open STDIN,  '<', $stdin          or POSIX::_exit(126);
        open STDOUT, ref $how->{stdout} ? '>&' : '>', $how->{stdout} // "$base.out" or POSIX::_exit(126);
        open STDERR, '>', "$base.err"     or POSIX::_exit(126);
        $SIG{INT} = 'DEFAULT';     # a job in the background ignores it
        exec { binary() } 'ampctl', @args or POSIX::_exit(127);
    }
    return { pid => $pid, base => $base };
}

sub wait {
    my ($self, $job) = @_;
    waitpid $job->{pid}, 0;
    my %r = (code => $? & 127 ? -($? & 127) : $? >> 8);
    for my $kind ('out', 'err') {
        open my $f, '<', "$job->{base}.$kind" or next;
        local $/;
        $r{$kind} = <$f> // '';
    }
    die "ampctl crashed: $r{err}" if ($r{err} // '') =~ /Sanitizer|runtime error:/ || ($? & 127) =~ /^(?:4|6|7|8|11)$/;
    $self->{said} .= ($r{out} // '') . ($r{err} // '');
    return \%r;
}

sub run {
    my ($self, @args) = @_;
    return $self->wait($self->start(@args));
}

sub json {
    my ($self, @args) = @_;
    my @how = ref $args[0] ? shift @args : ();
    my $r = $self->run(@how, @args, '--json');
    $r->{doc} = eval { JSON::PP->new->utf8->allow_nonref->decode($r->{out}) };
    die "no one JSON document on stdout of @args: $r->{out}$r->{err}" if $@;
    return $r;
}

# Everything that any command has printed so far.

sub said { $_[0]{said} // '' }

1;
