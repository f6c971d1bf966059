package Ampersand::Emulator::Control;
use Mojo::Base -base, -signatures;

# /_emulator/: faults, recorded requests, state and reset, for tests. It shows keys.

use Ampersand::Emulator::Call qw(issue);
use Ampersand::Emulator::Problem;
use Ampersand::Emulator::Store qw(new_id now);
use Mojo::JSON qw(decode_json encode_json);
use Mojo::Util qw(decode);

use constant {REQUESTS_KEPT => 10_000, BODY_KEPT => 64 * 1024};

has 'store';
has faults   => sub { [] };
has requests => sub { [] };

my %ROUTE = (
  'POST faults'     => sub ($self, $request) { (201, {id => $self->add_fault($request)}) },
  'GET faults'      => sub ($self, $request) { (200, [map { $_->{stated} } @{$self->faults}]) },
  'DELETE faults'   => sub ($self, $request) { $self->faults([]);   (204) },
  'GET requests'    => sub ($self, $request) { (200, $self->requests) },
  'DELETE requests' => sub ($self, $request) { $self->requests([]); (204) },
  'GET state'       => sub ($self, $request) { (200, $self->store->state) },
  'POST reset'      => sub ($self, $request) { $self->faults([])->requests([])->store->reset; (204) },
);

sub answer ($self, $request) {
  my $what = $request->raw_path =~ s!^/_emulator/?!!r;
  my $serve = $ROUTE{$request->method . " $what"};
  if (!$serve) {
    my @allow = sort map { / \Q$what\E$/ ? s/ .*//r : () } keys %ROUTE;
    Ampersand::Emulator::Problem->throw(status => 405, detail => 'Not this method.', headers => [[Allow => join ', ', @allow]]) if @allow;
    Ampersand::Emulator::Problem->throw(status => 404, detail => 'There are: ' . join(', ', sort keys %ROUTE) . '.');
  }
  my ($status, $data) = $serve->($self, $request);
  return {status => $status} unless defined $data;
  return {status => $status, type => 'application/json', body => encode_json $data};
}

# Called before the request is served; the status is added when the request is answered.
sub record ($self, $request) {
  my $bytes  = $request->body;
  my $record = {
    time       => now(),
    requestId  => $request->id,
    method     => $request->method,
    host       => $request->host,
    path       => $request->raw_path,
    target     => $request->target,
    headers    => [map { [@$_] } @{$request->pairs}],
    body       => do { my $kept = substr $bytes, 0, BODY_KEPT; decode('UTF-8', $kept) // $kept },
    bodyLength => length $bytes,
    status     => undef,
  };
  my $requests = $self->requests;
  push @$requests, $record;
  shift @$requests if @$requests > REQUESTS_KEPT;
  return $record;
}

sub add_fault ($self, $request) {
  my $stated = eval { decode_json $request->body };
  my @issues = ref $stated eq 'HASH' ? check_fault($stated) : issue(body => '', 'the body is not a JSON object');
  Ampersand::Emulator::Problem->throw(status => 400, detail => 'The fault is not valid.', issues => \@issues) if @issues;

  my $match   = $stated->{match}   // {};
  my $headers = $stated->{headers} // [];
  my $path    = $match->{path}     // '';
  push @{$self->faults},
    {
    %$stated,
    stated  => $stated,
    left    => $stated->{times},
    method  => $match->{method} && uc $match->{method},
    host    => $match->{host}   && lc $match->{host},
    path    => $path =~ /^\^/ ? qr/$path/ : qr/^\Q$path\E/,
    headers => ref $headers eq 'HASH' ? [map { [$_ => $headers->{$_}] } sort keys %$headers] : $headers,
    };
  return $stated->{id} = new_id();
}

sub check_fault ($fault) {
  my %known = map { $_ => 1 } qw(match delay_ms status headers body close times);
  my $match = $fault->{match} // {};
  my $path  = ref $match eq 'HASH' ? $match->{path} // '' : '';
  my @wrong = (
    (map { [$_ => 'there is no such field'] } grep { !$known{$_} } sort keys %$fault),
    ref $match ne 'HASH' || grep({ !/^(?:method|path|host)$/ } keys %$match) ? [match => 'it is an object of method, path and host'] : (),
    ref $path || $path =~ /^\^/ && !eval {qr/$path/} ? ['match.path' => 'it is neither a prefix nor a regular expression'] : (),
    (map { defined $fault->{$_} && $fault->{$_} !~ /^\d+$/ ? [$_ => 'it is not a number'] : () } qw(delay_ms times)),
    defined $fault->{status} && $fault->{status} !~ /^[2-5]\d\d$/ ? [status => 'it is not a status code'] : (),
    $fault->{headers} && !ref $fault->{headers} ? [headers => 'it is neither an object nor a list of pairs'] : (),
  );
  return map { issue(body => @$_) } @wrong;
}

# The first fault that matches; counts one use of it.
sub fault ($self, $request) {
  my $faults = $self->faults;
  for my $fault (@$faults) {
    next if $fault->{method} && $fault->{method} ne $request->method;
    next if $fault->{host}   && $fault->{host} ne $request->host;
    next if $request->raw_path !~ $fault->{path};
    $self->faults([grep { $_ != $fault } @$faults]) if defined $fault->{left} && --$fault->{left} <= 0;
    return $fault;
  }
  return undef;
}

1;
