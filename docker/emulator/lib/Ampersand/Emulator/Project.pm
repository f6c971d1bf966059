package Ampersand::Emulator::Project;
use Mojo::Base -strict, -signatures;

# Projects, and the groups and consumers in them.

use Ampersand::Emulator::Call  qw(issue);
use Ampersand::Emulator::Patch qw(apply_mask);
use Ampersand::Emulator::Store qw(new_id new_secret);
use Exporter   qw(import);
use Mojo::JSON qw(false);

our @EXPORT_OK = qw(consumer_view group_view meet_consumer meet_group);

sub view ($project, $entitlements = 0) {
  my %view = map { $_ => $project->{$_} } grep { defined $project->{$_} } qw(id name appName orgId createTime updateTime);
  $view{entitlements} = {brandingRemoval => {value => false}, logRetentionDays => {value => 30}} if $entitlements;
  return \%view;
}

# All projects of the organisation, not only the key's: a gateway has to filter this list.
sub listProjects ($call) {
  return [map { view($_) } $call->store->list('projects', orgId => $call->project->{orgId} // '')];
}

sub createProject ($call) {
  my $name = lc $call->body->{name};
  $call->fail(404, 'There is no such organisation.') unless $call->store->find(orgs => id => $call->body->{orgId});
  $call->fail(409, "The name '$name' is taken.") if $call->store->find(projects => name => $name);
  return view($call->store->insert(projects => {$call->given(qw(appName name orgId))}));
}

sub getProject ($call) { view($call->project, $call->flag('includeEntitlements')) }

sub updateProject ($call) {
  my $name = $call->body->{project}{name};
  if (defined $name && grep { $_ eq 'name' } @{$call->body->{updateMask}}) {
    $call->invalid(issue(body => 'project.name', 'project.name must be a string')) if ref $name;
    my $other = $call->store->find(projects => name => lc $name);
    $call->fail(409, "The name '$name' is taken.") if $other && $other != $call->project;
    $call->body->{project}{name} = lc $name;
  }
  return view(apply_mask($call, $call->project, 'project', qw(appName name)));
}

sub generateUploadUrl ($call) {
  my $path = 'sources/' . new_id() . '.zip';
  return {
    bucket => 'ampersand-emulator',
    path   => $path,
    url    => "https://storage.googleapis.com/ampersand-emulator/$path?X-Goog-Signature=" . new_secret('sig'),
  };
}

sub party_view ($party, @fields) {
  return {map { $_ => $party->{$_} } grep { defined $party->{$_} } @fields, qw(projectId createTime updateTime)};
}

sub group_view ($group) { party_view($group, qw(groupRef groupName)) }

sub consumer_view ($consumer) { party_view($consumer, qw(consumerRef consumerName)) }

sub createGroup ($call) {
  $call->fail(409, 'The group exists.') if $call->find(groups => groupRef => $call->body->{groupRef});
  return group_view($call->insert(groups => {$call->given(qw(groupRef groupName))}));
}

sub createConsumer ($call) {
  $call->fail(409, 'The consumer exists.') if $call->find(consumers => consumerRef => $call->body->{consumerRef});
  return consumer_view($call->insert(consumers => {$call->given(qw(consumerRef consumerName))}));
}

# Connections and installations may name a group or consumer that nobody created.
sub meet_group ($call, $ref, $name = undef) {
  return $call->find(groups => groupRef => $ref) // $call->insert(groups => {groupRef => $ref, groupName => $name // $ref});
}

sub meet_consumer ($call, $ref, $name = undef) {
  return $call->find(consumers => consumerRef => $ref)
    // $call->insert(consumers => {consumerRef => $ref, consumerName => $name // $ref});
}

1;
