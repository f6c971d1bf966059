package Ampersand::Emulator::Seed;
use Mojo::Base -strict, -signatures;

# The initial state when no --seed is given: one organisation, two projects whose objects have
# the same names, so that a leak from one project to the other shows.

use Mojo::JSON qw(true);

use constant {SEEDED => '2026-01-15T10:30:00.000000Z', OPERATIONS => 5};

my %NUMBER = (integration => 1, revision => 2, connection => 3, destination => 5, topic => 6, providerApp => 7,
  eventTopicRoute => 8, topicDestinationRoute => 9, jwtKey => 10, installation => 11, config => 13, operation => 100, record => 200);

my $ORG = '99999999-9999-4999-8999-999999999999';

sub default {
  my %seed = (
    orgs          => [{id => $ORG, label => 'Emulator', defaultTeamId => '99999999-0000-4000-8000-000000000001'}],
    builders      => [{id => '99999999-0000-4000-8000-000000000002', orgId => $ORG, idpProvider => 'firebase', idpRef => 'builder',
        firstName => 'Ada', lastName => 'Builder', fullName => 'Ada Builder', primaryEmail => 'ada@emulator.example'}],
    builderTokens   => [{token => 'amp-builder-token', builderId => '99999999-0000-4000-8000-000000000002'}],
    invites         => [{id => '99999999-0000-4000-8000-000000000003', invitedEmail => 'new@emulator.example', parentId => $ORG,
        parentType => 'org', status => 'pending'}],
    billingAccounts => [{id => '99999999-0000-4000-8000-000000000004', orgId => $ORG, displayName => 'Emulator',
        billingProvider => 'stripe', billingProviderRef => 'cus_emulator'}],
    claimedDomains  => [{domain => 'emulator.example', parentId => $ORG, parentType => 'org'}],
  );
  add_project(\%seed, 1, 'alpha');
  add_project(\%seed, 2, 'beta');
  for my $record (map {@$_} values %seed) { $record->{createTime} = SEEDED }
  return \%seed;
}

# 11111111-0000-4000-8000-000000000003 is connection (3) of project 1.
sub id ($project, $kind, $offset = 0) { sprintf '%s-0000-4000-8000-%012d', $project x 8, $NUMBER{$kind} + $offset }

sub project_id ($project) { sprintf '%s-%s-4%s-8%s-%s', map { $project x $_ } 8, 4, 3, 3, 12 }

sub add_project ($seed, $number, $name) {
  my $id  = sub ($kind, $offset = 0) { id($number, $kind, $offset) };
  my $add = sub ($kind, %record) { push @{$seed->{$kind}}, {projectId => project_id($number), %record} };

  push @{$seed->{projects}}, {id => project_id($number), name => $name, appName => ucfirst $name, orgId => $ORG};
  $add->(apiKeys => key => "amp-$name-key-" . $number x 8, label => 'default');
  $add->(apiKeys => key => "amp-$name-frontend-key-" . $number x 8, label => 'frontend', scopes => ['frontend']);
  $add->(jwtKeys => id => $id->('jwtKey'), label => 'default', publicKeyPem => "-----BEGIN PUBLIC KEY-----\nZW11bGF0b3I=\n-----END PUBLIC KEY-----\n");
  $add->(providerApps => id => $id->('providerApp'), provider => 'salesforce', clientId => "$name-client",
    clientSecret => "$name-client-secret", scopes => ['api', 'refresh_token']);
  $add->(integrations => id => $id->('integration'), name => 'crm', provider => 'salesforce', revisions => [revision($id->('revision'))]);
  $add->(destinations => id => $id->('destination'), name => 'webhook', type => 'webhook',
    metadata => {url => "https://$name.example/webhook"}, webhookSigningKey => "whsec-$name");
  $add->(topics => id => $id->('topic'), name => 'events');
  $add->(eventTopicRoutes => id => $id->('eventTopicRoute'), eventType => 'installation.created', topicId => $id->('topic'));
  $add->(topicDestinationRoutes => id => $id->('topicDestinationRoute'), topicId => $id->('topic'), destinationId => $id->('destination'));
  add_group($add, $id, $name, @$_) for [0, 'acme'], [1, 'globex'];
}

sub add_group ($add, $id, $project, $offset, $group) {
  my $consumer = "$group-admin";
  my $installation = $id->('installation', $offset);
  $add->(groups    => groupRef    => $group,    groupName    => ucfirst $group);
  $add->(consumers => consumerRef => $consumer, consumerName => ucfirst($group) . ' Admin');
  $add->(
    connections =>
      id => $id->('connection', $offset), provider => 'salesforce', groupRef => $group, consumerRef => $consumer,
    providerWorkspaceRef => "$project-$group", providerAppId => $id->('providerApp'), authScheme => 'oauth2/authorizationCode',
    credentials => {oauth2AuthorizationCode => {
      scopes       => ['api', 'refresh_token'],
      accessToken  => {token => "access-$project-$group", issuedAt => SEEDED, expiresAt => '2026-01-15T11:30:00Z'},
      refreshToken => {token => "refresh-$project-$group", issuedAt => SEEDED},
    }}
  );
  $add->(
    installations =>
      id => $installation, integrationId => $id->('integration'), groupRef => $group,
    connectionId => $id->('connection', $offset), createdBy => "consumer:$consumer",
    config => {
      id => $id->('config', $offset), revisionId => $id->('revision'), createTime => SEEDED, createdBy => "consumer:$consumer",
      content => content($id->('integration')),
    }
  );
  for my $n (0 .. OPERATIONS - 1) {
    my $operation = $id->('operation', 10 * $offset + $n);
    $add->(
      operations =>
        id => $operation, integrationId => $id->('integration'), installationId => $installation, configId => $id->('config', $offset),
      actionType => 'read', status => 'success', result => '[contact] No new data found',
      metadata => {objects => ['contact'], progress => {installationId => $installation, objectName => 'contact',
        operationId => $operation, recordsProcessed => 1250, recordsEstimatedTotal => 5000}},
    );
    $add->(operationLogs => operationId => $operation, timestamp => SEEDED, severity => 'INFO', message => {msg => $_, operation_id => $operation})
      for 'read of contact started', 'read of contact done';
  }
  my %record = (integrationId => $id->('integration'), groupRef => $group, objectName => 'contact');
  $add->(records => %record, id => $id->('record', $offset), fields => {id => $id->('record', $offset), name => 'Jane Smith', email => "jane\@$group.example"});
}

sub revision ($id) {
  return {
    id => $id, createTime => SEEDED, specVersion => '1.0.0',
    content => {
      name => 'crm', displayName => 'CRM', provider => 'salesforce', proxy => {enabled => true},
      read  => {objects => [{objectName => 'contact', destination => 'webhook', schedule => '*/15 * * * *', requiredFields => [{fieldName => 'name'}]}]},
      write => {objects => [{objectName => 'contact'}]},
    },
  };
}

sub content ($integration) {
  return {
    provider => 'salesforce', proxy => {enabled => true},
    read  => {objects => {contact => {objectName => 'contact', destination => 'webhook', schedule => '*/15 * * * *', selectedFields => {name => true, email => true}, selectedFieldMappings => {}}}},
    write => {objects => {contact => {objectName => 'contact', selectedValueMappings => {}}}},
  };
}

1;
