use Mojo::Base -strict, -signatures;

# The emulator compared with Ampersand's own documents: each operation with a valid request,
# without its required fields, without a key, with another project's key, and with a wrong method.

use Test::More;
use Cwd       qw(abs_path);
use File::Temp;
use FindBin;
use Mojo::File qw(path);
use Mojo::JSON qw(decode_json encode_json false true);
use Mojo::UserAgent;
use Time::HiRes qw(sleep time);

my $ROOT     = abs_path("$FindBin::Bin/..");
my $API_DIR  = $ENV{AMPERSAND_API_DIR} || "$ROOT/../shared/ampersand-api";
my $EMULATOR = "$ROOT/docker/emulator/emulator";

my ($ALPHA, $BETA)         = ('11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222');
my ($ALPHA_KEY, $BETA_KEY) = ('amp-alpha-key-11111111', 'amp-beta-key-22222222');
my ($FRONTEND_KEY, $TOKEN) = ('amp-alpha-frontend-key-11111111', 'amp-builder-token');
my $ORG = '99999999-9999-4999-8999-999999999999';

sub alpha ($number) { sprintf '11111111-0000-4000-8000-%012d', $number }
my ($INTEGRATION, $REVISION, $CONNECTION, $INSTALLATION) = map { alpha($_) } 1, 2, 3, 11;

# --- the emulator, started as a user starts it

# pid => its standard output: a handle that is dropped would wait for its process.
my %started;

sub start (@args) {
  my $pid = open my $out, '-|', $^X, $EMULATOR, '--listen', 'http://127.0.0.1:0', @args or die "cannot start $EMULATOR: $!";
  $started{$pid} = $out;
  my $line = readline($out) // '';
  my ($url) = $line =~ m!^listening on (http://127\.0\.0\.1:\d+)$! or BAIL_OUT("the emulator said '$line'");
  return ($url, $pid);
}

END { my $status = $?; kill TERM => keys %started if %started; %started = (); $? = $status }

my $ua = Mojo::UserAgent->new(max_redirects => 0, inactivity_timeout => 5);
my ($url) = start('--control');

# call(METHOD => '/path', api => ..., key => ..., json => ..., headers => {...})
sub call ($method, $target, %with) {
  my %headers = (Host => ($with{api} // 'platform') =~ s/^platform$/api/r . '.withampersand.com', %{$with{headers} // {}});
  $headers{'X-Api-Key'} = $with{key} if defined $with{key};
  my $tx = $ua->build_tx($method => ($with{url} // $url) . $target => \%headers => exists $with{json} ? (json => $with{json}) : ());
  return $ua->start($tx)->res;
}

sub alpha_call ($method, $path, %with) { call($method, "/v1/projects/alpha$path", key => $ALPHA_KEY, %with) }

sub control ($method, $what, @json) { call($method, "/_emulator/$what", @json ? (json => $json[0]) : ()) }

sub is_problem ($res, $status, $what) {
  my $problem = $res->json // {};
  my @missing = grep { !exists $problem->{$_} } qw(type title status detail subsystem time requestId causes remedy retryable);
  ok $res->code && $res->code == $status && ($res->headers->content_type // '') eq 'application/problem+json' && !@missing
    && $problem->{status} == $status && $problem->{requestId} eq $res->headers->header('X-Request-Id'), "$what: $status as ApiProblem"
    or diag $res->to_string;
  return $problem;
}

# --- a fitting request for each operation, from its line and the seeded ids

my %PARAM = (
  projectIdOrName => 'alpha', integrationId => $INTEGRATION, integrationIdOrName => 'crm', revisionId => $REVISION, connectionId => $CONNECTION,
  installationId => $INSTALLATION, providerAppId => alpha(7), destination => alpha(5), topicId => alpha(6), keyId => alpha(10),
  operationId => alpha(100), apiKey => $FRONTEND_KEY, provider => 'salesforce', objectName => 'contact', orgId => $ORG,
  inviteId => '99999999-0000-4000-8000-000000000003', billingAccountId => '99999999-0000-4000-8000-000000000004',
  'deleteEventTopicRoute.routeId' => alpha(8), 'deleteTopicDestinationRoute.routeId' => alpha(9),
);

my $YAML = <<'END';
specVersion: 1.0.0
integrations:
  - name: crm
    provider: salesforce
    proxy:
      enabled: true
  - name: fresh
    provider: hubspot
END

my %FIELD = (
  projectIdOrName => 'alpha', provider => 'salesforce', groupRef => 'acme', consumerRef => 'acme-admin', orgId => $ORG, appName => 'App', name => 'fresh',
  label => 'fresh', groupName => 'Fresh', consumerName => 'Fresh', clientId => 'id', clientSecret => 'secret', type => 'webhook', metadata => {url => 'https://h.example/'},
  config => {content => {read => {objects => {contact => {objectName => 'contact', destination => 'webhook', schedule => '0 * * * *', selectedFields => {}, selectedFieldMappings => {}}}}}}, connectionId => $CONNECTION, installationId => $INSTALLATION,
  action => 'read', changes => [{op => 'replace', path => '/schedule', value => '0 * * * *'}], eventType => 'read.backfill.done', topicId => alpha(6),
  destinationId => alpha(5), algorithm => 'RS256', publicKeyPem => 'PEM', domain => 'fresh.example', parentId => $ORG, parentType => 'org', email => 'a@b.example',
  builderId => '99999999-0000-4000-8000-000000000002', invitedEmail => 'new@emulator.example', redirectUrl => 'https://app.example', mode => 'async', pages => 2,
  objectName => 'contact', fieldFilters => [{fieldName => 'name', operator => 'eq', value => 'Jane Smith'}],
  fields => {contact => [{fieldName => 'tier', displayName => 'Tier', valueType => 'string'}]},
  latestRevision => {specVersion => '1.0.0', content => {name => 'fresh', provider => 'salesforce'}},
  'createGroup.groupRef' => 'fresh', 'createConsumer.consumerRef' => 'fresh', 'writeRecords.type' => 'create', 'checkClaimedDomain.domain' => 'emulator.example',
);

# What the line does not mark as required and the operation yet needs.
my %EXTRA = (
  generateConnection      => {provider => 'salesforce', groupRef => 'acme', consumerRef => 'acme-admin', apiKey => 'k'},
  customAuthConnect       => {provider => 'apollo', groupRef => 'acme', consumerRef => 'acme-admin', customAuth => {token => 't'}},
  batchUpsertIntegrations => {sourceYaml => $YAML},
  createRevision          => {sourceYaml => $YAML},
  writeRecords            => {record => {name => 'New'}},
);

my %UPDATE = (
  updateProject      => [project      => 'appName'      => 'Renamed'],
  updateProviderApp  => [providerApp  => 'clientId'     => 'other'],
  updateInstallation => [installation => 'connectionId' => $CONNECTION],
  updateApiKey       => [apiKey       => 'label'        => 'renamed'],
  updateConnection   => [connection   => 'apiKey'       => 'other'],
  updateDestination  => [destination  => 'name'         => 'renamed'],
  updateOrg          => [org          => 'label'        => 'renamed'],
  updateJWTKey       => [jwtKey       => 'active'       => false],
);

sub operations {
  my @lines = map { [split /\t/] } split /\n/, path("$API_DIR/operations.tsv")->slurp;
  my @names = @{shift @lines};
  $names[0] =~ s/^#//;
  return map { my %operation; @operation{@names} = @$_; \%operation } @lines;
}

sub required ($list) { map {/^(\w+)!$/} split /,/, $list }

sub target ($operation, $query = 1) {
  my $id     = $operation->{operationId};
  my $target = '/v1' . $operation->{path} =~ s!\{(\w+)\}!$PARAM{"$id.$1"} // $PARAM{$1} // die "$id: $1"!ger;
  return $target unless $query;
  my @pairs = map { "$_=" . ($FIELD{"$id.$_"} // $FIELD{$_}) } required($operation->{query});
  return @pairs ? "$target?" . join('&', @pairs) : $target;
}

sub body ($operation) {
  my $id = $operation->{operationId};
  if (my $update = $UPDATE{$id}) {
    my ($object, $field, $value) = @$update;
    return {updateMask => [$field], $object => {$field => $value}};
  }
  return {(map { $_ => $FIELD{"$id.$_"} // $FIELD{$_} // die "$id: $_" } required($operation->{body_fields})), %{$EXTRA{$id} // {}}};
}

sub answered ($operation, %with) {
  my $bearer = $operation->{auth} eq 'bearer-only';
  my %header = %{$with{headers} // {}};
  my $body   = $with{body} // body($operation);
  $header{Authorization} = "Bearer $TOKEN" if $bearer && !exists $with{key};
  return call($with{method} // $operation->{method}, $with{target} // target($operation),
    api => $operation->{api}, key => exists $with{key} ? $with{key} : $bearer ? undef : $ALPHA_KEY,
    headers => \%header, keys %$body ? (json => $body) : ());
}

# --- answers held against the OpenAPI documents: types and required properties

my %DOCUMENT;

sub schema_of ($operation) {
  my $document = $DOCUMENT{$operation->{api}} //= decode_json path("$API_DIR/$operation->{api}.json")->slurp;
  for my $item (values %{$document->{paths}}) {
    for my $candidate (grep { ref eq 'HASH' && ($_->{operationId} // '') eq $operation->{operationId} } values %$item) {
      my $response = resolve($document, $candidate->{responses}{$operation->{success}} // {});
      return ($document, ($response->{content} // {})->{'application/json'}{schema});
    }
  }
  return ($document, undef);
}

sub resolve ($document, $schema) {
  while (ref $schema eq 'HASH' && $schema->{'$ref'}) {
    my ($pointer, $value) = ($schema->{'$ref'}, $document);
    $value = $value->{$_} for grep {length} split m!/!, $pointer =~ s/^#//r;
    $schema = $value;
  }
  return $schema;
}

my %IS = (
  object  => sub ($value) { ref $value eq 'HASH' },
  array   => sub ($value) { ref $value eq 'ARRAY' },
  string  => sub ($value) { defined $value && !ref $value },
  boolean => sub ($value) { ref $value eq 'JSON::PP::Boolean' },
  integer => sub ($value) { defined $value && $value =~ /^-?\d+$/ },
  number  => sub ($value) { defined $value && $value =~ /^-?[\d.]+$/ },
);

sub misfits ($document, $schema, $value, $at = '') {
  $schema = resolve($document, $schema);
  return () unless ref $schema eq 'HASH';
  my @misfits = map { misfits($document, $_, $value, $at) } @{$schema->{allOf} // []};
  if (my $choices = $schema->{oneOf} // $schema->{anyOf}) {
    my @tries = map { [misfits($document, $_, $value, $at)] } @$choices;
    push @misfits, @{$tries[0]} unless grep { !@$_ } @tries;
  }
  my $type = $schema->{type};
  return (@misfits, "$at is not of type $type") if $type && $IS{$type} && !$IS{$type}->($value);
  if (ref $value eq 'HASH') {
    push @misfits, map {"$at/$_ is missing"} grep { !exists $value->{$_} } @{$schema->{required} // []};
    my $properties = $schema->{properties} // {};
    for my $name (sort keys %$value) {
      my $member = $properties->{$name} // (ref $schema->{additionalProperties} ? $schema->{additionalProperties} : next);
      push @misfits, misfits($document, $member, $value->{$name}, "$at/$name");
    }
  }
  if (ref $value eq 'ARRAY' && $schema->{items}) {
    push @misfits, map { misfits($document, $schema->{items}, $value->[$_], "$at/$_") } 0 .. $#$value;
  }
  return @misfits;
}

subtest 'every operation of Ampersand' => sub {
  plan skip_all => "no operations.tsv in $API_DIR (set AMPERSAND_API_DIR)" unless -e "$API_DIR/operations.tsv";
  my @operations = operations();
  is @operations, 90, 'the table has 90 operations';

  for my $operation (@operations) {
    my $id = $operation->{operationId};
    control(POST => 'reset');

    my $res  = answered($operation);
    my $type = $res->headers->content_type // '';
    is $res->code, $operation->{success}, "$id succeeds" or diag $res->to_string;
    my ($document, $schema) = schema_of($operation);
    if ($schema) {
      is_deeply [misfits($document, $schema, $res->json)], [], "$id answers what its document says";
    }
    is $type =~ /^(?:application\/json|text\/plain)/ ? 1 : 0, length $res->body ? 1 : 0, "$id has a type if it has a body";

    my @query  = required($operation->{query});
    my @wanted = (@query, grep { $id ne 'patchObjectConfigContent' || !/^(?:groupRef|installationId)$/ } required($operation->{body_fields}));
    if (@wanted) {
      # A project in the body stays: without it the request has no project.
      my %kept = $operation->{project_in} eq 'body' ? (projectIdOrName => 'alpha') : ();
      @wanted = grep { !$kept{$_} } @wanted;
      my $problem = @wanted && is_problem(answered($operation, target => target($operation, 0), body => \%kept), 400, "$id without required fields");
      is_deeply [sort map { $_->{name} } @{$problem->{issues}}], [sort @wanted], "$id names what is missing" if @wanted;
    }

    my %strange = $operation->{method} eq 'PUT' ? (method => 'POST') : (method => 'PUT');
    my $refused = answered($operation, %strange);
    is_problem($refused, 405, "$strange{method} in place of $operation->{method} for $id");
    like $refused->headers->header('Allow'), qr/\b$operation->{method}\b/, "$id stands in Allow";

    next if $operation->{auth} eq 'none';
    is_problem(answered($operation, key => undef), 401, "$id without a key");
    is_problem(answered($operation, key => 'unknown'), 401, "$id with an unknown key");
    is_problem(answered($operation, key => $ALPHA_KEY), 401, "$id with an API key") if $operation->{auth} eq 'bearer-only';
    is_problem(answered($operation, key => $BETA_KEY), 403, "$id with another project's key") if $operation->{project_in} ne 'none';
  }
  control(POST => 'reset');
};

subtest 'hosts and paths' => sub {
  my $problem = is_problem(call(GET => '/v1/providers', headers => {Host => 'other.example'}), 404, 'an unknown host');
  like $problem->{detail}, qr/\b$_\.withampersand\.com\b/, "it names $_" for qw(api read write search proxy);
  is call(GET => '/v1/providers', headers => {Host => 'API.WithAmpersand.com:443'})->code, 200, 'case and port of the host do not matter';

  is_problem(alpha_call(GET => $_), 404, "GET $_") for '/nothing', '/integrations/', '//integrations', '/integrations:batches', '/connections/x:generate';
  is_problem(call(GET => $_), 404, "GET $_") for '/', '/v1', '/v2/providers', '/providers', '/v1/providers/none';
  is_problem(alpha_call(PUT => '/integrations%3Abatch', json => {sourceYaml => $YAML}), 404, 'an encoded colon makes no verb');
  is_problem(alpha_call(POST => "/integrations/$INTEGRATION/installations/$INSTALLATION:pause"), 404, 'pause on the platform host');
  is alpha_call(POST => "/integrations/$INTEGRATION/installations/$INSTALLATION:pause", api => 'read')->code, 204, 'pause on the read host';
  is call(GET => "/v1/projects/$_", key => $ALPHA_KEY)->json('/id'), $ALPHA, "a project is addressed as $_" for $ALPHA, 'alpha', 'ALPHA', '%61lpha';
  is_problem(call(GET => '/v1/projects/none', key => $ALPHA_KEY), 404, 'an unknown project');

  my ($read, $write) = map {
    alpha_call(POST => "/integrations/$INTEGRATION/objects/contact", api => $_, json => {groupRef => 'acme', mode => 'async'})
  } qw(read write);
  is $read->code, 201, 'the read host triggers a read';
  is_deeply [map { $_->{name} } @{is_problem($write, 400, 'the write host misses a type')->{issues}}], ['type', 'mode'], 'and its own modes';

  is_problem(alpha_call(POST => '/topics', $_->[1]->@*), 400, "a topic of $_->[0]") for ['a list', [json => {name => ['x']}]], ['nothing', []];

  my $echo = call(GET => '/v1/providers', headers => {'X-Request-Id' => 'abc-1'});
  is $echo->headers->header('X-Request-Id'), 'abc-1', 'X-Request-Id is echoed';
  like call(GET => '/v1/providers')->headers->header('X-Request-Id'), qr/^[0-9a-f-]{36}$/, 'or made';
};

subtest 'keys' => sub {
  my %path = (read => "/integrations/$INTEGRATION/installations/$INSTALLATION:unpause", platform => '/integrations');
  is call(POST => "/v1/projects/alpha$path{read}?apiKey=$ALPHA_KEY", api => 'read')->code, 204, 'the read API takes apiKey in the query';
  is alpha_call(POST => $path{read}, api => 'read', key => undef, headers => {Authorization => $_})->code, 204, 'and in Authorization' for $ALPHA_KEY, "Bearer $ALPHA_KEY";
  is_problem(call(GET => "/v1/projects/alpha$path{platform}?apiKey=$ALPHA_KEY"), 401, 'the platform API does not take it in the query');
  is_problem(alpha_call(GET => $path{platform}, key => undef, headers => {Authorization => "Bearer $ALPHA_KEY"}), 401, 'nor in Authorization');

  is alpha_call(GET => '/integrations', key => $FRONTEND_KEY)->code, 200, 'a frontend key lists integrations';
  is alpha_call(POST => '/connections:generate', key => $FRONTEND_KEY, json => {provider => 'attio', groupRef => 'g', consumerRef => 'c'})->code, 201, 'and connects';
  is_problem(alpha_call(GET => $_, key => $FRONTEND_KEY), 403, "a frontend key at $_") for '/api-keys', '/connections', '/destinations';

  is_problem(call(POST => '/v1/oauth-connect', key => $BETA_KEY, json => {projectId => 'alpha', provider => 'hubspot', groupRef => 'g', consumerRef => 'c'}),
    403, "another project under the body's old name");
  like call(POST => '/v1/oauth-connect', key => $ALPHA_KEY, json => {projectId => $ALPHA, provider => 'hubspot', groupRef => 'g', consumerRef => 'c'})->text,
    qr!^https://!, 'the own project under the old name';

  my $created = alpha_call(POST => '/api-keys', json => {label => 'rotated'})->json;
  is_deeply [@$created{qw(label projectId scopes)}, !!$created->{active}], ['rotated', $ALPHA, ['full'], 1], 'a key is created live';
  my $key = $created->{key};
  is alpha_call(GET => '/integrations', key => $key)->code, 200, 'it works';
  is alpha_call(PATCH => "/api-keys/$key", json => {updateMask => ['active'], apiKey => {active => false, label => 'ignored'}})->json('/label'), 'rotated',
    'what updateMask does not name is left alone';
  is_problem(alpha_call(GET => '/integrations', key => $key), 401, 'a deactivated key');
  is_deeply [map { $_->{key} } @{alpha_call(GET => '/api-keys?active=false')->json}], [$key], 'it is listed as inactive';
  alpha_call(PATCH => "/api-keys/$key", json => {updateMask => ['active'], apiKey => {active => true}});
  is alpha_call(GET => '/integrations', key => $key)->code, 200, 'active again, it works again';
  is alpha_call(DELETE => "/api-keys/$key")->code, 204, 'it is deleted';
  is_problem(alpha_call(GET => '/integrations', key => $key), 401, 'a deleted key');
  is_problem(alpha_call(GET => "/api-keys/$BETA_KEY"), 404, "another project's key as a parameter");
};

subtest 'projects and what is in them' => sub {
  control(POST => 'reset');
  my $projects = call(GET => '/v1/projects', key => $ALPHA_KEY)->json;
  is_deeply [map { [@$_{qw(id name appName)}] } @$projects], [[$ALPHA, 'alpha', 'Alpha'], [$BETA, 'beta', 'Beta']], 'listProjects answers all of the organisation';

  is alpha_call(PATCH => '', json => {updateMask => ['name'], project => {name => 'Gamma'}})->json('/name'), 'gamma', 'a name is lower-cased';
  is call(GET => '/v1/projects/gamma', key => $ALPHA_KEY)->json('/id'), $ALPHA, 'and serves at once';
  control(POST => 'reset');

  is alpha_call(POST => '/integrations', json => body({operationId => 'createIntegration', body_fields => 'name!,provider!,latestRevision!'}))->code, 201, 'an integration is created';
  is_problem(alpha_call(POST => '/integrations', json => body({operationId => 'createIntegration', body_fields => 'name!,provider!,latestRevision!'})), 409, 'its name is taken');
  is alpha_call(PUT => '/integrations:batch?destructive=true', json => {sourceYaml => $YAML =~ s/crm/third/r})->code, 200, 'a batch replaces';
  is_deeply [map { $_->{name} } @{alpha_call(GET => '/integrations')->json}], ['fresh', 'third'], 'destructively';
  is_deeply alpha_call(GET => '/installations')->json, [], 'with the installations of what is gone';
  is scalar @{call(GET => '/v1/projects/beta/installations', key => $BETA_KEY)->json}, 2, "and no other project's";
  control(POST => 'reset');

  my $base = "/integrations/$INTEGRATION/installations";
  is scalar @{alpha_call(GET => "$_?groupRef=globex")->json}, 1, "$_ narrows by group" for $base, '/installations';
  my $patched = alpha_call(PATCH => "$base/$INSTALLATION",
    json => {updateMask => ['config.content.read.objects.lead'], installation => {config => {content => {read => {objects => {lead => {schedule => 'x'}}}}}}})->json;
  is_deeply [sort keys %{$patched->{config}{content}{read}{objects}}], ['contact', 'lead'], 'a dotted mask sets one object';
  for my $mask ('id', 'config.content', 'config.content.read.objects.none') {
    is_problem(alpha_call(PATCH => "$base/$INSTALLATION", json => {updateMask => [$mask], installation => {id => 'x', config => {content => {}}}}), 400, "the mask $mask");
  }
  my $changed = alpha_call(PATCH => "/integrations/$INTEGRATION/objects/contact/config-content",
    json => {groupRef => 'acme', action => 'read', changes => [{op => 'add', path => '/selectedFields/phone', value => true}, {op => 'remove', path => '/selectedFields/name'}]});
  is_deeply [sort keys %{$changed->json('/config/content/read/objects/contact/selectedFields')}], ['email', 'phone'], 'JSON Patch edits one object';
  is_problem(alpha_call(PATCH => "/integrations/$INTEGRATION/objects/contact/config-content", json => {action => 'read', changes => []}), 400, 'JSON Patch for nobody');

  my $plain = alpha_call(GET => "/connections/$CONNECTION");
  unlike $plain->body, qr/access-|refresh-alpha/, 'a connection keeps its credentials';
  is alpha_call(GET => "/connections/$CONNECTION?includeCreds=true")->json('/oauth2AuthorizationCode/accessToken/token'), 'access-alpha-acme', 'unless they are asked for';
  my $with = alpha_call(GET => "/connections/$CONNECTION?includeRefreshToken=true&refresh=force")->json('/oauth2AuthorizationCode');
  isnt $with->{accessToken}{token}, 'access-alpha-acme', 'refresh=force makes a new access token';
  is $with->{refreshToken}{token}, 'refresh-alpha-acme', 'includeRefreshToken shows the refresh token';
  is_problem(alpha_call(GET => "/connections/$CONNECTION?refresh=maybe"), 400, 'refresh=maybe');
  is alpha_call(DELETE => "/connections/$CONNECTION")->code, 204, 'a connection is deleted';
  is_problem(alpha_call(GET => "$base/$INSTALLATION"), 404, 'its installation');

  ok !alpha_call(GET => '/destinations/webhook')->json->{secrets}, 'a destination keeps its secrets';
  my $secret = sub ($query) { alpha_call(GET => "/destinations/webhook?$query")->json('/secrets/webhookSigningKey') };
  my $before = $secret->('includeSecrets=true');
  isnt $secret->('includeSecrets=true&rotate=true'), $before, 'rotate makes a new one';

  my $record = alpha_call(POST => "/integrations/$INTEGRATION/objects/contact", api => 'write',
    json => {groupRef => 'globex', type => 'create', batch => [map { {record => {name => "N$_"}} } 1, 2]})->json;
  is_deeply [@$record{qw(successCount failureCount)}], [2, 0], 'a batch is written';
  my $found = alpha_call(POST => "/integrations/$INTEGRATION?groupRef=globex", api => 'search',
    json => {objectName => 'contact', fieldFilters => [{fieldName => 'name', operator => 'eq', value => 'N2'}]})->json('/result');
  is_deeply [map { $_->{fields}{name} } @$found], ['N2'], 'and found';
};

subtest 'pages of operations' => sub {
  control(POST => 'reset');
  my $base = "/integrations/$INTEGRATION/installations/$INSTALLATION/operations";
  my (@ids, $token);
  for my $expected (2, 2, 1) {
    my $page = alpha_call(GET => "$base?pageSize=2" . ($token ? "&pageToken=$token" : ''))->json;
    is @{$page->{results}}, $expected, "a page of $expected";
    push @ids, map { $_->{id} } @{$page->{results}};
    $token = $page->{pagination}{nextPageToken};
    is !!$page->{pagination}{done}, !$token, 'done means no further token';
  }
  is_deeply \@ids, [map { alpha($_) } reverse 100 .. 104], 'each operation once, newest first';
  is_problem(alpha_call(GET => "$base?$_"), 400, "pages with $_") for 'pageSize=0', 'pageSize=1001', 'pageSize=x', 'pageToken=x';
};

subtest 'proxy' => sub {
  my %amp = ('x-amp-project-id' => $ALPHA, 'x-amp-proxy-version' => 1, 'x-amp-installation-id' => $INSTALLATION);
  my $proxy = sub ($headers, %with) { call($with{method} // 'POST', '/crm/v3/a%2Fb?x=1&y=%20', api => 'proxy', key => $with{key} // $ALPHA_KEY, headers => $headers, json => {a => 1}) };

  my $echo = $proxy->({%amp, 'X-Provider' => 'yes', Cookie => 'c=1', Authorization => 'Bearer x'})->json;
  is_deeply [@$echo{qw(method path query body groupRef)}], ['POST', '/crm/v3/a%2Fb', 'x=1&y=%20', {a => 1}, 'acme'], 'the request comes back as it was sent';
  is $echo->{headers}{'x-provider'}, 'yes', "with the provider's headers";
  is_deeply [grep {/^(?:x-amp|x-api|auth|cookie)/} keys %{$echo->{headers}}], [], 'and no credentials';
  my %by_name = (%amp, 'x-amp-integration-name' => 'crm', 'x-amp-group-ref' => 'globex');
  delete $by_name{'x-amp-installation-id'};
  is $proxy->(\%by_name, method => 'REPORT')->json('/groupRef'), 'globex', 'any method, integration and group by name';

  for my $case ([400, 'x-amp-project-id', undef], [404, 'x-amp-project-id', 'alpha'], [403, 'x-amp-project-id', $BETA], [400, 'x-amp-proxy-version', undef],
    [400, 'x-amp-proxy-version', 2], [400, 'x-amp-installation-id', undef], [404, 'x-amp-installation-id', 'none'])
  {
    my ($status, $name, $value) = @$case;
    my %headers = (%amp, $name => $value);
    delete $headers{$name} unless defined $value;
    is_problem($proxy->(\%headers), $status, "$name: " . ($value // 'absent'));
  }
  is_problem($proxy->(\%amp, key => $FRONTEND_KEY), 403, 'a frontend key');
};

subtest 'faults, records, state' => sub {
  control(POST => 'reset');
  my $fault = sub (%fault) { control(POST => 'faults', \%fault) };

  my $id = $fault->(match => {method => 'GET', path => '/v1/providers'}, status => 429, headers => {'Retry-After' => 7, 'X-Amp-Retry-After' => 'Thu, 06 Mar 2025 22:09:49 UTC'}, times => 1);
  is $id->code, 201, 'a fault is set';
  like $id->json('/id'), qr/^[0-9a-f-]{36}$/, 'it has an id';
  my $res = call(GET => '/v1/providers/hubspot');
  ok is_problem($res, 429, 'the fault')->{retryable}, 'it is retryable';
  is_deeply [map { $res->headers->header($_) } 'Retry-After', 'X-Amp-Retry-After'], [7, 'Thu, 06 Mar 2025 22:09:49 UTC'], 'with its headers';
  is call(GET => '/v1/providers/hubspot')->code, 200, 'once';

  $fault->(match => {path => '^/v1/providers/h.*t$', host => 'api.withampersand.com'}, headers => [['Set-Cookie', 'a=1'], ['Set-Cookie', 'b=2'], ['Cache-Control', 'no-store']]);
  $res = call(GET => '/v1/providers/hubspot');
  is_deeply [$res->code, $res->json('/name'), @{$res->headers->every_header('Set-Cookie')}], [200, 'hubspot', 'a=1', 'b=2'], 'headers alone are added to the answer';
  is call(GET => '/v1/providers/gong')->headers->cache_control, undef, 'only where the path matches';
  is control(DELETE => 'faults')->code, 204, 'faults are cleared';

  $fault->(match => {}, delay_ms => 150, status => 503, body => "plain \x{263a}");
  my $begin = time;
  $res = call(GET => '/v1/providers');
  is_deeply [$res->code, $res->body, time - $begin >= 0.15], [503, "plain \xe2\x98\xba", 1], 'a delayed answer with its own body';
  control(DELETE => 'faults');

  $fault->(close => true, times => 1);
  my $tx = $ua->get("$url/v1/providers");
  like $tx->error->{message}, qr/close|reset/i, 'a dropped connection';
  is_problem(control(POST => 'faults', $_), 400, 'the fault ' . encode_json $_) for {stats => 1}, {match => {path => '^('}}, {status => 'x'}, {match => {path => ['/']}};

  control(DELETE => 'requests');
  call(POST => '/v1/a%20b//c?x=%41', key => 'k', headers => {'X-B' => 1, 'X-A' => 2}, json => {n => 1});
  my ($record, @more) = @{control(GET => 'requests')->json};
  is @more, 0, 'one request is recorded, and no call of the control API';
  is_deeply [@$record{qw(method host path target body status)}],
    ['POST', 'api.withampersand.com', '/v1/a%20b//c', '/v1/a%20b//c?x=%41', '{"n":1}', 404], 'with target and body untouched';
  ok +(grep { $_->[0] eq 'X-Api-Key' && $_->[1] eq 'k' } @{$record->{headers}}), 'and its headers';
  is control(DELETE => 'requests')->code, 204, 'records are cleared';
  is_deeply control(GET => 'requests')->json, [], 'and no longer listed';
  is_problem(control(PUT => 'state'), 405, 'PUT of the state');
  is_problem(control(GET => 'nothing'), 404, 'nothing under control');

  alpha_call(DELETE => '/topics/' . alpha(6));
  my $state = control(GET => 'state')->json;
  is_deeply [map { $_->{projectId} } @{$state->{topics}}], [$BETA], 'the state is the current one';
  my $file = File::Temp->new;
  print {$file} encode_json $state;
  close $file;
  my ($seeded) = start('--seed', "$file");
  is_deeply alpha_call(GET => '/topics', url => $seeded)->json, [], 'a state is a seed';
  is_problem(call(GET => '/_emulator/state', url => $seeded), 404, 'no control unless it is asked for');
  control(POST => 'reset');
  is scalar @{alpha_call(GET => '/topics')->json}, 1, 'reset brings the seed back';
};

subtest 'command line' => sub {
  like qx{$^X $EMULATOR --help}, qr/^usage: emulator/, '--help';
  my $bad = File::Temp->new;
  print {$bad} '{"topics": [{"name": "lost"}]}';
  close $bad;
  like qx{$^X $EMULATOR --seed $bad 2>&1}, qr/cannot start from .*projectId/, 'a seed with a missing project is refused';

  my ($other, $pid) = start;
  is call(GET => '/v1/providers', url => $other)->code, 200, 'a second emulator runs';
  kill TERM => $pid;
  ok waitpid($pid, 0) == $pid && $? == 0, 'TERM ends it';
  delete $started{$pid};
};

done_testing;
