package Ampersand::Emulator::Store;
use Mojo::Base -base, -signatures;

# The whole state: kinds of records, each a list of hashes in order of creation.

use Ampersand::Emulator::Seed;
use Exporter   qw(import);
use Mojo::JSON qw(true);
use POSIX      qw(strftime);
use Storable   qw(dclone);
use Time::HiRes ();

our @EXPORT_OK = qw(new_id new_secret now);

# kind => what is filled in for a record that leaves it out; "kept" bounds the kinds that grow with traffic.
my %KIND = (
  orgs                   => {},
  builders               => {},
  builderTokens          => {id => undef},
  invites                => {},
  claimedDomains         => {},
  billingAccounts        => {},
  projects               => {},
  apiKeys                => {id => undef, active => true, scopes => ['full'], label => 'seeded'},
  jwtKeys                => {active => true, algorithm => 'RSA'},
  providerApps           => {},
  integrations           => {revisions => []},
  groups                 => {id => undef},
  consumers              => {id => undef},
  connections            => {status => 'working', authScheme => 'none', credentials => {}},
  installations          => {pausedObjects => []},
  destinations           => {metadata => {}, secrets => {}},
  topics                 => {},
  eventTopicRoutes       => {},
  topicDestinationRoutes => {},
  operations             => {kept => 10_000},
  operationLogs          => {id => undef, kept => 30_000},
  objectFields           => {id => undef},
  records                => {kept => 10_000},
);
my %ABOVE_PROJECTS = map { $_ => 1 } qw(orgs builders builderTokens invites claimedDomains billingAccounts projects);

sub kinds ($class) { sort keys %KIND }

sub new ($class, $seed = Ampersand::Emulator::Seed::default()) {
  my $self = $class->SUPER::new;
  die "a seed is a JSON object: kind => [records]\n" unless ref $seed eq 'HASH';
  my %project = map { ($_->{id} // '') => 1 } @{$seed->{projects} // []};
  for my $kind (sort keys %$seed) {
    die "unknown kind '$kind'\n" unless $KIND{$kind};
    die "'$kind' is not a list of objects\n" if ref $seed->{$kind} ne 'ARRAY' || grep { ref ne 'HASH' } @{$seed->{$kind}};
    next if $ABOVE_PROJECTS{$kind};
    for my $record (@{$seed->{$kind}}) {
      die "a record of '$kind' has no projectId of a seeded project\n" unless $project{$record->{projectId} // ''};
    }
  }
  $self->{seed} = dclone $seed;
  return $self->reset;
}

sub reset ($self) {
  $self->{state} = {map { $_ => [] } keys %KIND};
  for my $kind (keys %{$self->{seed}}) {
    $self->insert($kind, dclone $_) for @{$self->{seed}{$kind}};
  }
  return $self;
}

sub state ($self) { $self->{state} }

sub list ($self, $kind, %where) {
  my @fields = keys %where;
  return grep {
    my $record = $_;
    !grep { ($record->{$_} // '') ne $where{$_} } @fields;
  } @{$self->{state}{$kind}};
}

sub find ($self, $kind, %where) {
  my @fields = keys %where;
RECORD: for my $record (@{$self->{state}{$kind}}) {
    ($record->{$_} // '') eq $where{$_} or next RECORD for @fields;
    return $record;
  }
  return undef;
}

sub insert ($self, $kind, $record) {
  my %default = (id => 1, createTime => now(), %{dclone $KIND{$kind}});
  my $kept    = delete $default{kept};
  delete $default{id} and $record->{id} //= new_id();
  $record->{$_} //= $default{$_} for keys %default;

  $record->{name} = lc $record->{name} if $kind eq 'projects';

  my $list = $self->{state}{$kind};
  push @$list, $record;
  shift @$list if $kept && @$list > $kept;
  return $record;
}

sub remove ($self, $kind, %where) {
  my @gone = $self->list($kind, %where);
  my %gone = map { $_ => 1 } @gone;
  @{$self->{state}{$kind}} = grep { !$gone{$_} } @{$self->{state}{$kind}} if @gone;
  return @gone;
}

sub now {
  my ($seconds, $micros) = Time::HiRes::gettimeofday();
  return strftime('%Y-%m-%dT%H:%M:%S', gmtime $seconds) . sprintf '.%06dZ', $micros;
}

sub random ($bytes) {
  state $source = do { open my $fh, '<:raw', '/dev/urandom' or die "/dev/urandom: $!"; $fh };
  read $source, my ($random), $bytes;
  return $random;
}

sub new_id {
  my @part = unpack 'H8 H4 H4 H4 H12', random(16);
  substr $part[2], 0, 1, '4';
  substr $part[3], 0, 1, '8';
  return join '-', @part;
}

sub new_secret ($prefix) { "$prefix-" . unpack 'H*', random(20) }

1;
