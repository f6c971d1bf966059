package Ampersand::Emulator;
use Mojo::Base -base, -signatures;

# The application: a request is checked for record, fault, host, route, key, project, scope and
# fields, in this order, and then goes to the module that serves its operation.

use Ampersand::Emulator::Call;
use Ampersand::Emulator::Control;
use Ampersand::Emulator::Problem;
use Ampersand::Emulator::Proxy;
use Ampersand::Emulator::Request;
use Ampersand::Emulator::Routes;
use Ampersand::Emulator::Store qw(new_id);
use Mojo::IOLoop;
use Mojo::JSON qw(encode_json);
use Mojo::Log;
use Mojo::Transaction::HTTP;
use Mojo::Util   qw(encode);
use Scalar::Util qw(blessed);
use Time::HiRes  qw(time);

has [qw(server control verbose)];
has log        => sub { Mojo::Log->new(level => 'fatal') };
has store      => sub { Ampersand::Emulator::Store->new };
has routes     => sub { Ampersand::Emulator::Routes->new };
has controller => sub ($self) { Ampersand::Emulator::Control->new(store => $self->store) };

my %API = (
  'api.withampersand.com'    => 'platform',
  'read.withampersand.com'   => 'read',
  'write.withampersand.com'  => 'write',
  'search.withampersand.com' => 'search',
  'proxy.withampersand.com'  => 'proxy',
);

# What a key without the scope "full" may do.
my %FRONTEND = map { $_ => 1 } qw(
  listIntegrations getIntegration listInstallations listInstallationsForProject getInstallation
  oauthConnect generateConnection
);

# The table is parsed at start, so that the first request is not slower than the next.
sub new ($class, @args) {
  my $self = $class->SUPER::new(@args);
  $self->routes;
  return $self;
}

sub build_tx ($self) { Mojo::Transaction::HTTP->new(req => Ampersand::Emulator::Request->new) }

sub handler ($self, $tx) {
  $tx = $tx->handshake if $tx->is_websocket;
  my $request = $tx->req;
  $request->started(time)->id($request->headers->header('X-Request-Id') || new_id());

  if ($self->control && $request->raw_path =~ m!^/_emulator(?:/|$)!) {
    return $self->reply($tx, $self->guard($request, sub { $self->controller->answer($request) }));
  }

  my $controller = $self->control && $self->controller;
  $request->record($controller->record($request)) if $controller;
  my $fault = $controller && $controller->fault($request);
  return $self->reply($tx, $self->answer($request)) unless $fault;

  my $act = sub {
    return Mojo::IOLoop->remove($tx->connection) if $fault->{close};
    $self->reply($tx, $self->faulty($request, $fault));
  };
  $fault->{delay_ms} ? Mojo::IOLoop->timer($fault->{delay_ms} / 1000 => $act) : $act->();
}

sub answer ($self, $request) {
  return $self->guard($request, sub { $self->serve($request) });
}

# A fault without status and body changes only the headers of the answer.
sub faulty ($self, $request, $fault) {
  my ($status, $body) = @$fault{qw(status body)};
  my $answer
    = !defined $status && !defined $body ? $self->answer($request)
    : defined $body ? {status => $status // 200, type => 'application/json', body => ref $body ? encode_json $body : encode 'UTF-8', $body}
    : $status < 400 ? {status => $status}
    :   Ampersand::Emulator::Problem->new(status => $status, detail => 'A fault set through /_emulator/faults.')->answer($request);
  push @{$answer->{headers}}, @{$fault->{headers}};
  return $answer;
}

sub guard ($self, $request, $serve) {
  my $answer = eval { $serve->() };
  return $answer if $answer;
  my $problem = $@;
  if (!blessed $problem || !$problem->isa('Ampersand::Emulator::Problem')) {
    print STDERR "emulator: $problem";
    $problem = Ampersand::Emulator::Problem->new(status => 500, detail => 'The emulator failed; see its standard error.');
  }
  return $problem->answer($request);
}

sub serve ($self, $request) {
  fail(413, 'The request is too large.')                   if $request->is_limit_exceeded;
  fail(400, $request->error->{message} || 'Bad request.') if $request->error;

  my $host = $request->host;
  my $api  = $API{$host}
    or fail(404, "There is no host '$host'; there are " . join(', ', sort keys %API) . '.', remedy => 'Send one of these in the Host header.');
  $request->api($api);
  my $call = Ampersand::Emulator::Call->new(request => $request, store => $self->store);

  if ($api eq 'proxy') {
    $request->operation('proxy');
    $call->route({operationId => 'proxy', auth => 'api-key', fields => []});
    $self->authenticate($call);
    $self->enter_project($call, $request->headers->header('x-amp-project-id') // fail(400, 'The header x-amp-project-id is missing.'), 'id');
    return Ampersand::Emulator::Proxy::forward($call);
  }

  my ($route, $params) = $self->routes->match($api, $request->method, $request->raw_path);
  $call->route($route)->params($params);
  $request->operation($route->{operationId});
  $self->authenticate($call);
  $call->read_body;
  $self->enter_project($call, $_) for grep {defined} $params->{projectIdOrName} // $call->project_in_body;
  $call->validate;

  my $data   = $route->{handler}->($call);
  my %answer = (status => $route->{status});
  return \%answer unless defined $data;
  return {%answer, type => 'text/plain; charset=utf-8', body => $$data} if ref $data eq 'SCALAR';
  return {%answer, type => 'application/json', body => encode_json $data};
}

sub authenticate ($self, $call) {
  my ($auth, $request) = ($call->route->{auth}, $call->request);
  return if $auth eq 'none';

  if ($auth eq 'bearer-only') {
    my ($token) = ($request->headers->authorization // '') =~ /^Bearer (.+)/i;
    my $known = $token && $self->store->find(builderTokens => token => $token)
      or fail(401, 'This operation needs the bearer token of a builder; an API key does not do.');
    return $call->builder($self->store->find(builders => id => $known->{builderId}));
  }

  my $key = $request->headers->header('X-Api-Key');
  if (!defined $key && $request->api =~ /^(?:read|write)$/) {
    $key = $call->query->param('apiKey') // ($request->headers->authorization // '') =~ s/^Bearer //ir;
  }
  fail(401, 'The request carries no API key.', remedy => 'Send the API key in the header X-Api-Key.') unless length($key // '');
  my $record = $self->store->find(apiKeys => key => $key);
  fail(401, 'The API key is unknown or inactive.') unless $record && $record->{active};
  $call->key($record);
  $call->project($self->store->find(projects => id => $record->{projectId}));
  $self->check_scope($call);
}

sub check_scope ($self, $call) {
  return if $FRONTEND{$call->route->{operationId}} || grep { $_ eq 'full' } @{$call->key->{scopes}};
  fail(403, "A key without the scope 'full' may not call " . $call->route->{operationId} . '.');
}

sub enter_project ($self, $call, $id_or_name, $only_id = undef) {
  my $project = $self->store->find(projects => id => $id_or_name);
  $project //= $self->store->find(projects => name => lc $id_or_name) unless $only_id;
  fail(404, 'There is no such project.') unless $project;
  fail(403, 'The API key belongs to another project.') if $call->key && $call->key->{projectId} ne $project->{id};
  $call->project($project);
}

sub reply ($self, $tx, $answer) {
  my ($request, $response) = ($tx->req, $tx->res);
  my $headers = $response->code($answer->{status})->headers;
  $headers->server('ampersand-emulator')->header('X-Request-Id' => $request->id);
  $headers->content_type($answer->{type}) if $answer->{type};
  my %seen;
  for my $pair (@{$answer->{headers} // []}) {
    $headers->remove($pair->[0]) unless $seen{lc $pair->[0]}++;
    $headers->add(@$pair);
  }
  $response->body($answer->{body} // '');
  $request->record->{status} = $answer->{status} if $request->record;
  $self->trace($request, $answer->{status})      if $self->verbose;
  $tx->resume;
}

# Logs the operation, never the path: a path may contain an API key.
sub trace ($self, $request, $status) {
  printf STDERR "%s %s %s %d %.1fms\n", $request->method, $request->host || '-', $request->operation // '-', $status,
    1000 * (time - $request->started);
}

sub fail ($status, $detail, %more) { Ampersand::Emulator::Problem->throw(status => $status, detail => $detail, %more) }

1;
