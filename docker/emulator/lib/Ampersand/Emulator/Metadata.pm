package Ampersand::Emulator::Metadata;
use Mojo::Base -strict, -signatures;

# The fields of the provider's objects: a few that every object has, and those that were upserted.

use Ampersand::Emulator::Call     qw(issue);
use Ampersand::Emulator::Provider qw(catalogue);
use Exporter   qw(import);
use Mojo::JSON qw(false true);

our @EXPORT_OK = qw(fields_of);

# name, display name, type, required, read-only
my @COMMON = (
  [id        => 'Id',         'string',   0, 1],
  [name      => 'Name',       'string',   1, 0],
  [email     => 'Email',      'string',   0, 0],
  [industry  => 'Industry',   'string',   0, 0],
  [createdat => 'Created At', 'datetime', 0, 1],
);

sub common_field ($name, $display_name, $type, $required, $read_only) {
  return {
    fieldName    => $name,
    displayName  => $display_name,
    valueType    => $type,
    providerType => $type,
    isCustom     => false,
    isRequired   => $required  ? true : false,
    readOnly     => $read_only ? true : false,
  };
}

sub fields_of ($call, $provider, $group_ref, $object) {
  my %fields = map { $_->[0] => common_field(@$_) } @COMMON;
  $fields{$_->{field}{fieldName}} = $_->{field} for $call->list('objectFields', provider => $provider, groupRef => $group_ref, objectName => $object);
  return \%fields;
}

# The provider and group of a path; an installation or a connection must exist for them.
sub installed ($call, $group_ref) {
  my $integration = $call->one(integrations => id => $call->param('integrationId'));
  $call->find(installations => integrationId => $integration->{id}, groupRef => $group_ref)
    // $call->fail(404, 'This group has no installation of the integration.');
  return $integration->{provider};
}

sub connected ($call, $group_ref) {
  my $provider = $call->param('provider');
  $call->fail(404, 'There is no such provider.') unless catalogue($provider);
  $call->find(connections => provider => $provider, groupRef => $group_ref)
    // $call->fail(404, 'This group has no connection to the provider.');
  return $provider;
}

sub describe ($call, $provider) {
  my $object = $call->param('objectName');
  my $fields = fields_of($call, $provider, $call->query->param('groupRef'), $object);
  if ($call->flag('excludeReadOnly')) { delete @$fields{grep { $fields->{$_}{readOnly} } keys %$fields} }
  return {name => $object, displayName => ucfirst $object, fields => $fields};
}

sub getObjectMetadataForInstallation ($call) { describe($call, installed($call, $call->query->param('groupRef'))) }

sub getObjectMetadataForConnection ($call) { describe($call, connected($call, $call->query->param('groupRef'))) }

sub upsert ($call, $provider) {
  my ($group_ref, $fields) = @{$call->body}{qw(groupRef fields)};
  my @bad = grep {
    my $definitions = $fields->{$_};
    ref $definitions ne 'ARRAY' || grep { ref ne 'HASH' || !length($_->{fieldName} // '') || !length($_->{valueType} // '') } @$definitions;
  } sort keys %$fields;
  $call->invalid(map { issue(body => "fields.$_", 'each field needs a fieldName and a valueType') } @bad) if @bad;

  my %result;
  for my $object (keys %$fields) {
    my $known = fields_of($call, $provider, $group_ref, $object);
    for my $definition (@{$fields->{$object}}) {
      my $name  = $definition->{fieldName};
      my %at    = (provider => $provider, groupRef => $group_ref, objectName => $object, fieldName => $name);
      my %field = (
        %{common_field($name, $definition->{displayName} // $name, $definition->{valueType}, $definition->{required}, 0)},
        isCustom => true,
      );
      $call->remove(objectFields => %at);
      $call->insert(objectFields => {%at, field => \%field});
      $result{$object}{$name} = {fieldName => $name, action => $known->{$name} ? 'update' : 'create'};
    }
  }
  return {success => true, fields => \%result};
}

sub upsertMetadataForInstallation ($call) { upsert($call, installed($call, $call->body->{groupRef})) }

sub upsertMetadataForConnection ($call) { upsert($call, connected($call, $call->body->{groupRef})) }

1;
