package Ampersand::Emulator::Integration;
use Mojo::Base -strict, -signatures;

# Integrations and their revisions. The last revision is the one in force.

use Ampersand::Emulator::Call     qw(issue);
use Ampersand::Emulator::Metadata qw(fields_of);
use Ampersand::Emulator::Store    qw(new_id now);
use CPAN::Meta::YAML;
use Exporter   qw(import);
use Mojo::JSON qw(false true);

our @EXPORT_OK = qw(remove_installations);

sub view ($integration) {
  my %view = map { $_ => $integration->{$_} } grep { defined $integration->{$_} } qw(id name projectId provider createTime updateTime);
  return {%view, latestRevision => $integration->{revisions}[-1]};
}

sub revision ($content, $spec_version = undef) {
  return {id => new_id(), createTime => now(), specVersion => $spec_version // '1.0.0', content => $content};
}

sub revise ($integration, $revision) {
  push @{$integration->{revisions}}, $revision;
  $integration->{updateTime} = $revision->{createTime};
  return $integration;
}

sub by_id_or_name ($call) {
  my $wanted = $call->param('integrationIdOrName');
  return $call->find(integrations => id => $wanted) // $call->one(integrations => name => $wanted);
}

sub listIntegrations ($call) { [map { view($_) } $call->list('integrations')] }

sub getIntegration ($call) { view(by_id_or_name($call)) }

sub createIntegration ($call) {
  my $latest = $call->body->{latestRevision};
  $call->invalid(issue(body => 'latestRevision.content', 'latestRevision.content must be an object')) unless ref $latest->{content} eq 'HASH';
  $call->unique(integrations => $call->body->{name});
  $call->insert(integrations => {$call->given(qw(name provider)), revisions => [revision(@$latest{qw(content specVersion)})]});
  return;
}

sub deleteIntegration ($call) {
  my $integration = by_id_or_name($call);
  remove_installations($call, integrationId => $integration->{id});
  $call->remove(integrations => id => $integration->{id});
  return;
}

sub remove_installations ($call, %where) { $call->remove(installations => %where); return }

# The request of `amp deploy`. A source zip is not read: each integration gets a new revision.
sub batchUpsertIntegrations ($call) {
  my @contents = source($call) or return [map { view(revise($_, revision($_->{revisions}[-1]{content}))) } $call->list('integrations')];
  my %deployed = map { $_->{name} => $_ } @contents;
  if ($call->flag('destructive')) {
    for my $gone (grep { !$deployed{$_->{name}} } $call->list('integrations')) {
      remove_installations($call, integrationId => $gone->{id});
      $call->remove(integrations => id => $gone->{id});
    }
  }
  my @integrations = map {
    my $content     = $_;
    my $integration = $call->find(integrations => name => $content->{name})
      // $call->insert(integrations => {name => $content->{name}, provider => $content->{provider}});
    revise($integration, revision($content));
  } @contents;
  return [map { view($_) } @integrations];
}

sub createRevision ($call) {
  my $integration = $call->one(integrations => id => $call->param('integrationId'));
  my ($content)   = grep { $_->{name} eq $integration->{name} } source($call);
  $call->invalid(issue(body => 'sourceYaml', "it has no integration '$integration->{name}'")) if $call->body->{sourceYaml} && !$content;
  revise($integration, revision($content // $integration->{revisions}[-1]{content}));
  return;
}

# The integrations of an amp.yaml; none when it came as a zip.
sub source ($call) {
  my ($yaml, $zip) = @{$call->body}{qw(sourceYaml sourceZipUrl)};
  $call->invalid(map { issue(body => $_, 'one of sourceYaml and sourceZipUrl is required') } qw(sourceYaml sourceZipUrl))
    unless length($yaml // '') || length($zip // '');
  return unless length($yaml // '');
  my $document     = eval { CPAN::Meta::YAML->read_string($yaml)->[0] };
  my $integrations = ref $document eq 'HASH' && $document->{integrations};
  $call->invalid(issue(body => 'sourceYaml', 'it is not an amp.yaml with a list of integrations, each with name and provider'))
    if ref $integrations ne 'ARRAY' || !@$integrations || grep { ref ne 'HASH' || !length($_->{name} // '') || !length($_->{provider} // '') } @$integrations;
  return map { typed($_) } @$integrations;
}

# The YAML reader leaves every scalar a string.
sub typed ($value) {
  return {map { $_ => typed($value->{$_}) } keys %$value} if ref $value eq 'HASH';
  return [map { typed($_) } @$value] if ref $value eq 'ARRAY';
  return defined $value && $value =~ /^(?:true|false)$/ ? ($value eq 'true' ? true : false) : $value;
}

sub getHydratedRevision ($call) {
  my $integration = $call->one(integrations => id => $call->param('integrationId'));
  my ($revision)  = grep { $_->{id} eq $call->param('revisionId') } @{$integration->{revisions}};
  $call->fail(404, 'There is no such revision of this integration.') unless $revision;
  my $connection = $call->one(connections => id => $call->query->param('connectionId'));

  my %content = %{$revision->{content}};
  for my $action (grep { ref $content{$_} eq 'HASH' && ref $content{$_}{objects} eq 'ARRAY' } qw(read write)) {
    my $name = $action eq 'read' ? \&hydrate : \&name_object;
    $content{$action} = {%{$content{$action}}, objects => [map { $name->($call, $connection, $_) } @{$content{$action}{objects}}]};
  }
  return {%$revision, content => \%content};
}

sub hydrate ($call, $connection, $object) {
  my $fields = fields_of($call, $connection->{provider}, $connection->{groupRef}, $object->{objectName});
  my @chosen = grep { ref $object->{$_} eq 'ARRAY' } qw(requiredFields optionalFields);
  return {
    %$object,
    (map { $_ => [map { name_field($fields, $_) } @{$object->{$_}}] } @chosen),
    displayName       => ucfirst $object->{objectName},
    allFields         => [map { {fieldName => $_, displayName => $fields->{$_}{displayName}} } sort keys %$fields],
    allFieldsMetadata => $fields,
  };
}

sub name_object ($call, $connection, $object) { return {%$object, displayName => ucfirst $object->{objectName}} }

# A mapping (mapToName) is not named after a field of the provider.
sub name_field ($fields, $field) {
  my $name = ref $field eq 'HASH' ? $field->{fieldName} : undef;
  return defined $name ? {%$field, displayName => ($fields->{$name} // {})->{displayName} // $name} : $field;
}

1;
