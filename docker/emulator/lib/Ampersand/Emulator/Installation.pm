package Ampersand::Emulator::Installation;
use Mojo::Base -strict, -signatures;

# Installations: an integration set up for a group, with its config.

use Ampersand::Emulator::Call       qw(issue);
use Ampersand::Emulator::Connection qw(connection_view);
use Ampersand::Emulator::Operation  qw(start_operation);
use Ampersand::Emulator::Patch      qw(apply_changes apply_mask);
use Ampersand::Emulator::Project    qw(group_view meet_group);
use Ampersand::Emulator::Store      qw(new_id now);

sub view ($call, $installation) {
  my %view = map { $_ => $installation->{$_} }
    grep { defined $installation->{$_} } qw(id projectId integrationId config createdBy createTime updateTime);
  $view{group}        = group_view(meet_group($call, $installation->{groupRef}));
  $view{connection}   = connection_view($call, $call->one(connections => id => $installation->{connectionId}));
  $view{healthStatus} = $view{connection}{status} eq 'working' ? 'healthy' : 'unhealthy';
  my @operations = $call->list('operations', installationId => $installation->{id});
  $view{lastOperationStatus} = $operations[-1]{status} if @operations;
  return \%view;
}

sub integration ($call) { $call->one(integrations => id => $call->param('integrationId')) }

sub by_id ($call) {
  return $call->one(installations => id => $call->param('installationId'), integrationId => integration($call)->{id});
}

sub listInstallationsForProject ($call) {
  return [map { view($call, $_) } $call->list('installations', $call->filter('groupRef'))];
}

sub listInstallations ($call) {
  return [map { view($call, $_) } $call->list('installations', integrationId => integration($call)->{id}, $call->filter('groupRef'))];
}

sub getInstallation ($call) { view($call, by_id($call)) }

# Without a connectionId the group's connection to the provider is meant.
sub createInstallation ($call) {
  my $integration = integration($call);
  my ($group_ref, $connection_id, $config) = @{$call->body}{qw(groupRef connectionId config)};
  my $connection
    = defined $connection_id
    ? $call->find(connections => id => $connection_id)
    : $call->find(connections => groupRef => $group_ref, provider => $integration->{provider});
  $call->invalid(issue(body => 'connectionId', 'the group has no such connection', $connection_id))
    unless $connection && $connection->{groupRef} eq $group_ref;
  $call->invalid(issue(body => 'config.content', 'config.content must be an object')) unless ref $config->{content} eq 'HASH';

  my $created_by   = $config->{createdBy} // "consumer:$connection->{consumerRef}";
  my $installation = $call->insert(
    installations => {
      integrationId => $integration->{id},
      groupRef      => $group_ref,
      connectionId  => $connection->{id},
      createdBy     => $created_by,
      config        => {
        id         => new_id(),
        revisionId => $config->{revisionId} // $integration->{revisions}[-1]{id},
        createTime => now(),
        createdBy  => $created_by,
        content    => {provider => $integration->{provider}, %{$config->{content}}},
      },
    }
  );
  start_operation($call, $installation, read => $_) for sort keys %{read_objects($installation)};
  return view($call, $installation);
}

sub read_objects ($installation) {
  my $objects = $installation->{config}{content}{read}{objects};
  return ref $objects eq 'HASH' ? $objects : {};
}

sub updateInstallation ($call) {
  my $installation = by_id($call);
  my $id           = $call->body->{installation}{connectionId};
  $call->invalid(issue(body => 'installation.connectionId', 'there is no such connection', $id))
    if defined $id && !$call->find(connections => id => $id);
  apply_mask($call, $installation, 'installation', 'connectionId', 'config.createdBy', 'config.content.proxy.enabled',
    map { ("config.content.$_.objects", "config.content.$_.objects.*") } qw(read write subscribe));
  $installation->{config}{id} = new_id();
  return view($call, $installation);
}

sub deleteInstallation ($call) { $call->remove(installations => id => by_id($call)->{id}); return }

sub patchObjectConfigContent ($call) {
  my ($action, $changes, $id, $group_ref) = @{$call->body}{qw(action changes installationId groupRef)};
  my %where = (integrationId => integration($call)->{id});
  $where{id}       = $id        if defined $id;
  $where{groupRef} = $group_ref if defined $group_ref;
  $call->invalid(issue(body => 'groupRef', 'one of groupRef and installationId is required')) if keys %where == 1;
  my $installation = $call->one(installations => %where);

  my $objects = $installation->{config}{content}{$action}{objects} //= {};
  my $name    = $call->param('objectName');
  $objects->{$name} = apply_changes($call, $objects->{$name} // {objectName => $name}, $changes);
  $installation->{config}{id} = new_id();
  $installation->{updateTime} = now();
  return view($call, $installation);
}

sub named_objects ($call, $installation) {
  my $objects = $call->body->{objects} // [];
  return @$objects ? @$objects : sort keys %{read_objects($installation)};
}

sub pauseReads ($call) {
  my $installation = by_id($call);
  my %paused       = map { $_ => 1 } @{$installation->{pausedObjects}}, named_objects($call, $installation);
  $installation->{pausedObjects} = [sort keys %paused];
  return;
}

sub unpauseReads ($call) {
  my $installation = by_id($call);
  my %resumed      = map { $_ => 1 } named_objects($call, $installation);
  $installation->{pausedObjects} = [grep { !$resumed{$_} } @{$installation->{pausedObjects}}];
  return;
}

1;
