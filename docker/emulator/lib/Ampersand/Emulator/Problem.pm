package Ampersand::Emulator::Problem;
use Mojo::Base -base, -signatures;

# Ampersand's ApiProblem (RFC 9457 and more), thrown and turned into an answer.

use Ampersand::Emulator::Store qw(now);
use Mojo::JSON qw(encode_json false true);
use Mojo::Message::Response;

has [qw(status detail remedy issues)];
has causes  => sub { [] };
has headers => sub { [] };

my %REMEDY = (
  400 => 'Correct the request as the detail and the issues say.',
  401 => 'Send an active API key of the project in the header X-Api-Key.',
  403 => 'Use a key of this project that has the scope the operation needs.',
  404 => 'Check the host, the path and the ids in it.',
  405 => 'Use one of the methods in the Allow header.',
  409 => 'Choose another name, or update what exists.',
  429 => 'Slow down and retry later.',
);

my %SUBSYSTEM = (platform => 'api');

sub throw ($class, %args) { die $class->new(%args) }

sub answer ($self, $request) {
  my $status = $self->status;
  my $title  = Mojo::Message::Response->new->default_message($status) || 'Error';
  my $api    = $request->api // 'platform';
  my %problem = (
    type      => 'urn:problem-type:ampersand:' . lc($title =~ s/\W+/-/gr),
    title     => $title,
    status    => $status,
    detail    => $self->detail,
    instance  => 'urn:request:' . $request->id,
    subsystem => $SUBSYSTEM{$api} // $api,
    time      => now(),
    requestId => $request->id,
    causes    => $self->causes,
    remedy    => $self->remedy // $REMEDY{$status} // 'Retry later.',
    retryable => $status == 429 || $status >= 500 ? true : false,
  );
  $problem{issues} = $self->issues if $self->issues;
  return {status => $status, type => 'application/problem+json', headers => $self->headers, body => encode_json \%problem};
}

1;
