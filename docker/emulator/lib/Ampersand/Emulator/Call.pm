package Ampersand::Emulator::Call;
use Mojo::Base -base, -signatures;

# One call of an operation: who calls, in which project, with which parameters and body.

use Ampersand::Emulator::Problem;
use Exporter   qw(import);
use Mojo::JSON qw(decode_json);
use Mojo::Parameters;

our @EXPORT_OK = qw(issue);

my %SHAPE = (HASH => 'an object', ARRAY => 'a list', '' => 'a string or a number');

has [qw(builder key project request route store)];
has body   => sub { {} };
has params => sub { {} };
has query  => sub ($self) { Mojo::Parameters->new($self->request->raw_query) };

sub param ($self, $name) { $self->params->{$name} }

sub flag ($self, $name) { ($self->query->param($name) // '') =~ /^(?:true|1)$/ ? 1 : 0 }

# Filters a list by the query parameters that were given.
sub filter ($self, @names) {
  return map { my $value = $self->query->param($_); defined $value ? ($_ => $value) : () } @names;
}

sub list ($self, $kind, %where) { $self->store->list($kind, projectId => $self->project->{id}, %where) }

sub find ($self, $kind, %where) { $self->store->find($kind, projectId => $self->project->{id}, %where) }

sub one ($self, $kind, %where) {
  my $what = lc($kind =~ s/s$//r =~ s/([A-Z])/ $1/gr);
  return $self->find($kind, %where) // $self->fail(404, "There is no such $what in this project.");
}

sub insert ($self, $kind, $record) { $self->store->insert($kind, {%$record, projectId => $self->project->{id}}) }

sub remove ($self, $kind, %where) { $self->store->remove($kind, projectId => $self->project->{id}, %where) }

# For DELETE: removes the record and answers without a body, or 404.
sub remove_one ($self, $kind, %where) {
  my $record = $self->one($kind, %where);
  $self->remove($kind, %where);
  return $record;
}

# Those of the named fields that the body has.
sub given ($self, @names) {
  my $body = $self->body;
  return map { $_ => $body->{$_} } grep { defined $body->{$_} } @names;
}

sub unique ($self, $kind, $name) {
  $self->fail(409, "The name '$name' is taken.") if $self->find($kind, name => $name);
}

sub fail ($self, $status, $detail, %more) {
  Ampersand::Emulator::Problem->throw(status => $status, detail => $detail, %more);
}

sub invalid ($self, @issues) {
  $self->fail(400, 'The input is not valid.', issues => \@issues, causes => [map { $_->{detail} } @issues]);
}

sub issue ($in, $name, $detail, @value) {
  return {type => 'about:blank', in => $in, name => $name, detail => $detail, @value ? (value => $value[0]) : ()};
}

sub read_body ($self) {
  my $bytes = $self->request->body;
  return unless length $bytes && $self->request->method =~ /^(?:POST|PUT|PATCH)$/;
  my $body = eval { decode_json $bytes };
  $self->invalid(issue(body => '', 'the body is not a JSON object')) unless ref $body eq 'HASH';
  $self->body($body);
}

# Older documents and SDKs name the field projectId.
sub project_in_body ($self) {
  return undef unless grep { $_->{name} eq 'projectIdOrName' } @{$self->route->{fields}};
  my $body = $self->body;
  $body->{projectIdOrName} //= $body->{projectId};
  my $project = $body->{projectIdOrName};
  return ref $project ? '' : $project;
}

sub validate ($self) {
  my ($body, $query) = ($self->body, $self->query);
  my @issues;
  for my $field (@{$self->route->{fields}}) {
    my ($in, $name) = @$field{qw(in name)};
    my $value = $in eq 'query' ? $query->param($name) : $body->{$name};
    if (!defined $value || !ref $value && $value eq '') {
      push @issues, issue($in, $name, "$name is required") if $field->{required};
    }
    elsif (my $one_of = $field->{one_of}) {
      my @bad = grep { ref || !$one_of->{$_} } ref $value eq 'ARRAY' ? @$value : $value;
      push @issues, issue($in, $name, "$name must be one of " . join(', ', sort keys %$one_of), $bad[0]) if @bad;
    }
    elsif (ref $value ne $field->{shape}) {
      push @issues, issue($in, $name, "$name must be $SHAPE{$field->{shape}}");
    }
  }
  $self->invalid(@issues) if @issues;
}

1;
