package Ampersand::Emulator::Org;
use Mojo::Base -strict, -signatures;

# Organisations, builders, invites, billing and claimed domains: the operations that need a builder's bearer token.

use Ampersand::Emulator::Patch qw(apply_mask);
use Ampersand::Emulator::Store qw(new_id new_secret);

sub view ($record, @fields) { return {map { $_ => $record->{$_} } grep { defined $record->{$_} } @fields} }

sub org_view     ($org)     { view($org,     qw(id label defaultTeamId createTime updateTime)) }
sub builder_view ($builder) { view($builder, qw(id idpProvider idpRef firstName lastName fullName primaryEmail createTime)) }
sub invite_view  ($invite)  { view($invite,  qw(id invitedEmail parentId parentType status createTime updateTime)) }
sub domain_view  ($domain)  { view($domain,  qw(id domain parentId parentType)) }

sub one ($call, $kind, %where) { $call->store->find($kind, %where) // $call->fail(404, 'There is no such record.') }

sub org ($call) { one($call, orgs => id => $call->param('orgId')) }

sub createOrg ($call) { org_view($call->store->insert(orgs => {$call->given('label'), defaultTeamId => new_id()})) }

sub getOrg ($call) { org_view(org($call)) }

sub updateOrg ($call) { org_view(apply_mask($call, org($call), 'org', 'label')) }

sub listOrgBuilders ($call) { [map { builder_view($_) } $call->store->list('builders', orgId => org($call)->{id})] }

sub createOrgInvite ($call) {
  my %invite = (invitedEmail => $call->body->{email}, parentId => org($call)->{id}, parentType => 'org', status => 'pending');
  return invite_view($call->store->insert(invites => \%invite));
}

sub invite ($call) { one($call, invites => id => $call->param('inviteId'), parentId => org($call)->{id}) }

sub listOrgInvites ($call) { [map { invite_view($_) } $call->store->list('invites', parentId => org($call)->{id})] }

sub getOrgInvite ($call) { invite_view(invite($call)) }

sub deleteOrgInvite ($call) { $call->store->remove(invites => id => invite($call)->{id}); return }

sub addUserToOrg ($call) {
  one($call, builders => id => $call->body->{builderId})->{orgId} = org($call)->{id};
  return;
}

sub getMyInfo ($call) {
  my ($store, $builder) = ($call->store, $call->builder);
  my %principal = (principalId => $builder->{id}, principalType => 'builder', role => 'admin');
  my @projects  = $store->list('projects', orgId => $builder->{orgId});
  return {
    builder      => builder_view($builder),
    orgRole      => {%principal, org => org_view($store->find(orgs => id => $builder->{orgId}))},
    projectRoles => {
      map { $_->{id} => {%principal, project => view($_, qw(id name appName orgId createTime updateTime))} } @projects
    },
  };
}

sub acceptInvite ($call) {
  my $invite = one($call, invites => invitedEmail => $call->body->{invitedEmail}, status => 'pending');
  $invite->{status} = 'accepted';
  $call->builder->{orgId} = $invite->{parentId};
  return getMyInfo($call);
}

sub getOrgBillingAccount ($call) {
  my $account = one($call, billingAccounts => orgId => org($call)->{id});
  return view($account, qw(id displayName billingProvider billingProviderRef createTime updateTime));
}

sub createBillingAccountSession ($call) {
  my $account = one($call, billingAccounts => id => $call->param('billingAccountId'));
  return {url => "https://billing.example/$account->{id}/" . new_secret('session')};
}

sub checkClaimedDomain ($call) { domain_view(one($call, claimedDomains => domain => $call->query->param('domain'))) }

sub claimDomain ($call) {
  $call->fail(409, 'The domain is claimed.') if $call->store->find(claimedDomains => domain => $call->body->{domain});
  $call->store->insert(claimedDomains => {$call->given(qw(domain parentId parentType))});
  return;
}

sub listOrgClaimedDomains ($call) {
  return [map { domain_view($_) } $call->store->list('claimedDomains', parentId => org($call)->{id})];
}

1;
