package Gateway::Clock;

# A clock for a gateway that a test sets, by libfaketime.
#
#   my $clock = Gateway::Clock->new or skip 'libfaketime is not installed', 1;
#   Gateway::Clock->new(monotonic => 1);    # the monotonic clock stays right
#   local $ENV{NGINX_WRAP} = $clock->wrap;
#   my $gw = Gateway->start(main => $clock->main);
#   $clock->set(3600);                      # so many seconds later than it is; less than 0: earlier

use strict;
use warnings;

use File::Temp ();

sub new {
    my ($class, %o) = @_;
    my ($library) = glob '/usr/lib/*/faketime/libfaketime.so.1';
    return undef unless $library;
    my $dir = File::Temp->newdir;
    chmod 0755, $dir->dirname;    # nginx's workers may run as another user
    my %env = (FAKETIME_TIMESTAMP_FILE => $dir->dirname . '/time', FAKETIME_NO_CACHE => 1);
    @env{qw(FAKETIME_DONT_FAKE_MONOTONIC DONT_FAKE_MONOTONIC)} = (1, 1) if $o{monotonic};
    my $self = bless { dir => $dir, library => $library, env => \%env }, $class;
    $self->set(0);
    return $self;
}

sub wrap {
    my ($self) = @_;
    my %env = (LD_PRELOAD => $self->{library}, %{ $self->{env} });
    return join ' ', 'env', map { "$_=$env{$_}" } sort keys %env;
}

# nginx gives its workers no other variables.

sub main { return join ' ', map { "env $_;" } sort keys %{ $_[0]{env} } }

sub set {
    my ($self, $seconds) = @_;
    my $file = $self->{env}{FAKETIME_TIMESTAMP_FILE};
    open my $f, '>', "$file.new" or die "$file.new: $!";
    printf $f '%+d', $seconds;
    close $f;
    rename "$file.new", $file or die "$file: $!";
}

1;
