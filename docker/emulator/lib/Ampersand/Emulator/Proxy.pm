package Ampersand::Emulator::Proxy;
use Mojo::Base -strict, -signatures;

# The proxy API. No provider is called: the answer is the request that the provider would get.

use Ampersand::Emulator::Call     qw(issue);
use Ampersand::Emulator::Provider qw(catalogue);
use Mojo::JSON qw(decode_json encode_json);
use Mojo::Util qw(decode);

# Headers that are not sent to the provider: Ampersand's own, credentials, and hop-by-hop ones.
my $WITHHELD = qr/^(?:x-amp-.*|x-api-key|authorization|proxy-.*|cookie|host|connection|keep-alive|te|trailer|transfer-encoding|upgrade)$/i;

sub forward ($call) {
  my $request = $call->request;
  my $headers = $request->headers;
  my $version = $headers->header('x-amp-proxy-version');
  $call->invalid(issue(header => 'x-amp-proxy-version', 'x-amp-proxy-version must be 1', $version // '')) unless ($version // '') eq '1';

  my $installation = installation($call, $headers);
  my $connection   = $call->one(connections => id => $installation->{connectionId});
  my $base         = (catalogue($connection->{provider}) // {baseURL => 'https://provider.example'})->{baseURL};
  my $workspace    = $connection->{providerWorkspaceRef} // 'workspace';
  return {
    status => 200,
    type   => 'application/json',
    body   => encode_json {
      provider       => $connection->{provider},
      baseURL        => $base =~ s/\{\{\.workspace\}\}/$workspace/r,
      projectId      => $call->project->{id},
      installationId => $installation->{id},
      groupRef       => $installation->{groupRef},
      method         => $request->method,
      path           => $request->raw_path,
      query          => $request->raw_query,
      headers        => {map { lc $_->[0] => $headers->header($_->[0]) } grep { $_->[0] !~ $WITHHELD } @{$request->pairs}},
      body           => body($request),
    }
  };
}

sub installation ($call, $headers) {
  my $id = $headers->header('x-amp-installation-id');
  return $call->one(installations => id => $id) if defined $id;

  my ($name, $group_ref) = map { $headers->header($_) } qw(x-amp-integration-name x-amp-group-ref);
  $call->invalid(issue(header => 'x-amp-installation-id', 'x-amp-installation-id, or x-amp-integration-name with x-amp-group-ref, is required'))
    unless defined $name && defined $group_ref;
  my $integration = $call->one(integrations => name => $name);
  return $call->one(installations => integrationId => $integration->{id}, groupRef => $group_ref);
}

# JSON as JSON, anything else as text.
sub body ($request) {
  my $bytes = $request->body;
  return undef unless length $bytes;
  my $json = ($request->headers->content_type // '') =~ /json/i ? eval { decode_json $bytes } : undef;
  return $json // decode('UTF-8', $bytes) // $bytes;
}

1;
