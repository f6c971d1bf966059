package Ampersand::Emulator::Routes;
use Mojo::Base -base, -signatures;

# The table of operations and the match against it: exact segments, exact colon verbs.

use Ampersand::Emulator::Problem;
use Mojo::Loader qw(load_class);
use Mojo::Util   qw(decode url_unescape);

# [api module], then: method, path, operationId, authentication, success code, and the fields that are
# checked. ?name is a query parameter, the others are fields of the body; ! means required, =a|b one of these,
# {} an object, [] a list.
my $TABLE = <<'END';
[platform Project]
GET    /projects                                  listProjects   api-key     200
POST   /projects                                  createProject  bearer-only 201  appName! name! orgId!
GET    /projects/{projectIdOrName}                getProject     api-key     200
PATCH  /projects/{projectIdOrName}                updateProject  api-key     200  updateMask![] project!{}
POST   /projects/{projectIdOrName}/groups         createGroup    api-key     201  groupRef! groupName!
POST   /projects/{projectIdOrName}/consumers      createConsumer api-key     201  consumerRef! consumerName!
GET    /generate-upload-url                       generateUploadUrl api-key  200

[platform Key]
GET    /projects/{projectIdOrName}/api-keys            listApiKeys  api-key 200  ?active=true|false
POST   /projects/{projectIdOrName}/api-keys            createApiKey api-key 201  label! scopes=full|frontend
GET    /projects/{projectIdOrName}/api-keys/{apiKey}   getApiKey    api-key 200
PATCH  /projects/{projectIdOrName}/api-keys/{apiKey}   updateApiKey api-key 200  updateMask![] apiKey!{}
DELETE /projects/{projectIdOrName}/api-keys/{apiKey}   deleteApiKey api-key 204
GET    /projects/{projectIdOrName}/jwt-keys            listJWTKeys  api-key 200  ?active=true|false
POST   /projects/{projectIdOrName}/jwt-keys            createJWTKey api-key 201  label! algorithm!=RS256 publicKeyPem!
GET    /projects/{projectIdOrName}/jwt-keys/{keyId}    getJWTKey    api-key 200
PATCH  /projects/{projectIdOrName}/jwt-keys/{keyId}    updateJWTKey api-key 200  updateMask![] jwtKey!{}
DELETE /projects/{projectIdOrName}/jwt-keys/{keyId}    deleteJWTKey api-key 204

[platform Provider]
GET    /providers                                                listProviders     none    200
GET    /providers/{provider}                                     getProvider       none    200
GET    /projects/{projectIdOrName}/provider-apps                 listProviderApps  api-key 200
POST   /projects/{projectIdOrName}/provider-apps                 createProviderApp api-key 200  provider! clientId! clientSecret! scopes[] metadata{}
PATCH  /projects/{projectIdOrName}/provider-apps/{providerAppId} updateProviderApp api-key 200  updateMask![] providerApp!{}
DELETE /projects/{projectIdOrName}/provider-apps/{providerAppId} deleteProviderApp api-key 204

[platform Integration]
GET    /projects/{projectIdOrName}/integrations                          listIntegrations  api-key 200
POST   /projects/{projectIdOrName}/integrations                          createIntegration api-key 201  name! provider! latestRevision!{}
PUT    /projects/{projectIdOrName}/integrations:batch                    batchUpsertIntegrations api-key 200  ?destructive=true|false
GET    /projects/{projectIdOrName}/integrations/{integrationIdOrName}    getIntegration    api-key 200
DELETE /projects/{projectIdOrName}/integrations/{integrationIdOrName}    deleteIntegration api-key 204
POST   /projects/{projectIdOrName}/integrations/{integrationId}/revisions createRevision   api-key 201  ?destructive=true|false
GET    /projects/{projectIdOrName}/integrations/{integrationId}/revisions/{revisionId}:hydrate getHydratedRevision api-key 200  ?connectionId!

[platform Installation]
GET    /projects/{projectIdOrName}/installations                                               listInstallationsForProject api-key 200
GET    /projects/{projectIdOrName}/integrations/{integrationId}/installations                  listInstallations  api-key 200
POST   /projects/{projectIdOrName}/integrations/{integrationId}/installations                  createInstallation api-key 201  groupRef! config!{} ?skipSampling=true|false
GET    /projects/{projectIdOrName}/integrations/{integrationId}/installations/{installationId} getInstallation    api-key 200
PATCH  /projects/{projectIdOrName}/integrations/{integrationId}/installations/{installationId} updateInstallation api-key 200  updateMask![] installation!{} ?skipSampling=true|false
DELETE /projects/{projectIdOrName}/integrations/{integrationId}/installations/{installationId} deleteInstallation api-key 204
PATCH  /projects/{projectIdOrName}/integrations/{integrationId}/objects/{objectName}/config-content patchObjectConfigContent api-key 200  action!=read|subscribe|write changes![]

[read Installation]
POST   /projects/{projectIdOrName}/integrations/{integrationId}/installations/{installationId}:pause   pauseReads   api-key 204  objects[]
POST   /projects/{projectIdOrName}/integrations/{integrationId}/installations/{installationId}:unpause unpauseReads api-key 204  objects[]

[platform Connection]
POST   /oauth-connect                                                     oauthConnect      api-key 200  projectIdOrName! provider! groupRef! consumerRef!
POST   /custom-auth/connect                                               customAuthConnect api-key 200  projectIdOrName! customAuth{}
PATCH  /projects/{projectIdOrName}/connections/{connectionId}:oauth-update oauthUpdate      api-key 200
POST   /projects/{projectIdOrName}/connections:generate                   generateConnection api-key 201  provider! groupRef! consumerRef!
GET    /projects/{projectIdOrName}/connections                            listConnections   api-key 200
GET    /projects/{projectIdOrName}/connections/{connectionId}             getConnection     api-key 200  ?refresh=force|ifExpired
PATCH  /projects/{projectIdOrName}/connections/{connectionId}             updateConnection  api-key 200  updateMask![] connection!{}
DELETE /projects/{projectIdOrName}/connections/{connectionId}             deleteConnection  api-key 204

[platform Destination]
GET    /projects/{projectIdOrName}/destinations                            listDestinations  api-key 200
POST   /projects/{projectIdOrName}/destinations                            createDestination api-key 201  name! metadata!{} secrets{} type!=webhook|kinesis|s3|slack|clickhouse|snowflake|bigquery|redshift|sqs|pubsub|rabbitmq|azureservicebus
GET    /projects/{projectIdOrName}/destinations/{destination}              getDestination    api-key 200
PATCH  /projects/{projectIdOrName}/destinations/{destination}              updateDestination api-key 200  updateMask![] destination!{}
DELETE /projects/{projectIdOrName}/destinations/{destination}              deleteDestination api-key 204
GET    /projects/{projectIdOrName}/topics                                  listTopics        api-key 200
POST   /projects/{projectIdOrName}/topics                                  createTopic       api-key 201  name!
PATCH  /projects/{projectIdOrName}/topics/{topicId}                        updateTopic       api-key 200  name!
DELETE /projects/{projectIdOrName}/topics/{topicId}                        deleteTopic       api-key 204
GET    /projects/{projectIdOrName}/notification-event-topic-routes         listEventTopicRoutes  api-key 200
POST   /projects/{projectIdOrName}/notification-event-topic-routes         createEventTopicRoute api-key 201  topicId! eventType!=connection.created|connection.error|connection.refreshed|connection.updated|connection.deleted|installation.created|installation.updated|installation.deleted|read.schedule.paused|read.backfill.done|read.triggered.done|read.triggered.error|write.async.done|subscribe.create.error|destination.webhook.disabled
DELETE /projects/{projectIdOrName}/notification-event-topic-routes/{routeId} deleteEventTopicRoute api-key 204
GET    /projects/{projectIdOrName}/topic-destination-routes                listTopicDestinationRoutes  api-key 200
POST   /projects/{projectIdOrName}/topic-destination-routes                createTopicDestinationRoute api-key 201  topicId! destinationId!
DELETE /projects/{projectIdOrName}/topic-destination-routes/{routeId}      deleteTopicDestinationRoute api-key 204

[platform Operation]
GET    /projects/{projectIdOrName}/integrations/{integrationId}/installations/{installationId}/operations listOperations api-key 200
GET    /projects/{projectIdOrName}/integrations/{integrationId}/installations/{installationId}/objects/{objectName}/backfill-progress getBackfillProgress api-key 200
GET    /projects/{projectIdOrName}/operations/{operationId}      getOperation      api-key 200
GET    /projects/{projectIdOrName}/operations/{operationId}/logs listOperationLogs api-key 200

[platform Metadata]
GET    /projects/{projectIdOrName}/integrations/{integrationId}/objects/{objectName}/metadata getObjectMetadataForInstallation api-key 200  ?groupRef! ?excludeReadOnly=true|false
GET    /projects/{projectIdOrName}/providers/{provider}/objects/{objectName}/metadata         getObjectMetadataForConnection   api-key 200  ?groupRef! ?excludeReadOnly=true|false
PUT    /projects/{projectIdOrName}/integrations/{integrationId}/object-metadata               upsertMetadataForInstallation    api-key 200  groupRef! fields!{}
PUT    /projects/{projectIdOrName}/providers/{provider}/object-metadata                       upsertMetadataForConnection      api-key 200  groupRef! fields!{}

[read Record]
POST   /projects/{projectIdOrName}/integrations/{integrationId}/objects/{objectName}                triggerRead    api-key 201  groupRef! mode!=async
POST   /projects/{projectIdOrName}/integrations/{integrationId}/objects/{objectName}:deliverResults deliverResults api-key 204  groupRef! pages!

[write Record]
POST   /projects/{projectIdOrName}/integrations/{integrationId}/objects/{objectName} writeRecords api-key 200  groupRef! type!=create|update|delete mode=synchronous|asynchronous record{} batch[]

[search Record]
POST   /projects/{projectIdOrName}/integrations/{integrationId} searchRecords api-key 200  ?groupRef! objectName! fieldFilters![]

[platform Org]
POST   /orgs                                               createOrg            api-key     201  label!
GET    /orgs/{orgId}                                       getOrg               bearer-only 200
PATCH  /orgs/{orgId}                                       updateOrg            bearer-only 200  updateMask![] org!{}
GET    /orgs/{orgId}/builders                              listOrgBuilders      bearer-only 200
POST   /orgs/{orgId}/invites                               createOrgInvite      bearer-only 201  email!
GET    /orgs/{orgId}/invites                               listOrgInvites       bearer-only 200
GET    /orgs/{orgId}/invites/{inviteId}                    getOrgInvite         bearer-only 200
DELETE /orgs/{orgId}/invites/{inviteId}                    deleteOrgInvite      bearer-only 204
POST   /orgs/{orgId}/memberships                           addUserToOrg         bearer-only 201  builderId!
GET    /my-info                                            getMyInfo            bearer-only 200
POST   /invites:accept                                     acceptInvite         bearer-only 200  invitedEmail!
GET    /orgs/{orgId}/billingAccount                        getOrgBillingAccount bearer-only 200
POST   /billingAccounts/{billingAccountId}/portalSession   createBillingAccountSession api-key 200  redirectUrl!
GET    /claimed-domains                                    checkClaimedDomain   bearer-only 200  ?domain!
POST   /claimed-domains                                    claimDomain          bearer-only 201  domain! parentId! parentType!
GET    /orgs/{orgId}/claimed-domains                       listOrgClaimedDomains bearer-only 200
END

my %SHAPE = ('{}' => 'HASH', '[]' => 'ARRAY', '' => '');

# api => "number of segments:verb" => routes of that form
sub new ($class) { $class->SUPER::new(forms => compile()) }

sub compile {
  my ($api, $class, %forms);
  for my $line (grep {length} split /\n/, $TABLE) {
    if ($line =~ /^\[(\w+) (\w+)\]$/) {
      ($api, $class) = ($1, "Ampersand::Emulator::$2");
      my $error = load_class $class;
      die ref $error ? $error : "there is no $class\n" if $error;
      next;
    }
    my ($method, $path, $id, $auth, $status, @fields) = split ' ', $line;
    my ($segments, $verb) = divide($path);
    push @{$forms{$api}{form($segments, $verb)}},
      {
      method      => $method,
      segments    => $segments,
      operationId => $id,
      auth        => $auth,
      status      => $status,
      fields      => [map { field($_) } @fields],
      handler     => $class->can($id) // die("$class does not serve $id\n"),
      };
  }
  return \%forms;
}

sub field ($text) {
  my ($query, $name, $required, $rest) = $text =~ /^(\?)?(\w+)(!)?(.*)$/;
  my %field = (in => $query ? 'query' : 'body', name => $name, required => !!$required);
  if ($rest =~ s/^=//) { $field{one_of} = {map { $_ => 1 } split /\|/, $rest} }
  else                 { $field{shape}  = $SHAPE{$rest} }
  return \%field;
}

# A verb follows the last raw colon: an encoded one belongs to a value.
sub divide ($path) {
  my @segments = split m!/!, substr($path, 1), -1;
  my $verb     = @segments && $segments[-1] =~ s/:([^:]*)$// ? $1 : undef;
  return (\@segments, $verb);
}

sub form ($segments, $verb) { @$segments . (defined $verb ? ":$verb" : '') }

sub match ($self, $api, $method, $path) {
  my $not_found = sub { Ampersand::Emulator::Problem->throw(status => 404, detail => "The $api API has no such path.") };
  $path =~ s!^/v1(?=/)!! or $not_found->();
  my ($segments, $verb) = divide($path);
  $_ = unescape($_) for @$segments;

  my @found = grep { fits($_->{segments}, $segments) } @{$self->{forms}{$api}{form($segments, $verb)} // []};
  $not_found->() unless @found;
  my $wanted = $method eq 'HEAD' ? 'GET' : $method;
  my ($route) = grep { $_->{method} eq $wanted } @found;
  return ($route, params($route->{segments}, $segments)) if $route;

  my @allow = sort map { $_->{method} eq 'GET' ? qw(GET HEAD) : $_->{method} } @found;
  Ampersand::Emulator::Problem->throw(
    status  => 405,
    detail  => "$method is not served here.",
    headers => [[Allow => join ', ', @allow]]
  );
}

sub unescape ($segment) {
  my $bytes = url_unescape $segment;
  return decode('UTF-8', $bytes) // $bytes;
}

sub fits ($template, $segments) {
  for my $i (0 .. $#$template) {
    return 0 unless $template->[$i] =~ /^\{/ ? length $segments->[$i] : $template->[$i] eq $segments->[$i];
  }
  return 1;
}

sub params ($template, $segments) {
  return {map { $template->[$_] =~ /^\{(\w+)\}$/ ? ($1 => $segments->[$_]) : () } 0 .. $#$template};
}

1;
