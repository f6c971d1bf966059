package Ampersand::Emulator::Connection;
use Mojo::Base -strict, -signatures;

# Connections: a group's credentials for a provider.

use Ampersand::Emulator::Call     qw(issue);
use Ampersand::Emulator::Patch    qw(apply_mask);
use Ampersand::Emulator::Project  qw(consumer_view group_view meet_consumer meet_group);
use Ampersand::Emulator::Provider qw(catalogue provider_app_view);
use Ampersand::Emulator::Store    qw(new_id new_secret now);
use Exporter    qw(import);
use Mojo::Date;
use Mojo::URL;

our @EXPORT_OK = qw(connection_view);

# field of the request => authScheme of the connection
my %SCHEME = (
  apiKey                    => 'apiKey',
  basicAuth                 => 'basic',
  customAuth                => 'none',
  oauth2AuthorizationCode   => 'oauth2/authorizationCode',
  oauth2ClientCredentials   => 'oauth2/clientCredentials',
  oauth2PasswordCredentials => 'oauth2/password',
);

sub connection_view ($call, $connection, %with) {
  my %view = map { $_ => $connection->{$_} }
    grep { defined $connection->{$_} } qw(id projectId provider providerWorkspaceRef providerMetadata authScheme status createTime updateTime);
  $view{group}    = group_view(meet_group($call, $connection->{groupRef}));
  $view{consumer} = consumer_view(meet_consumer($call, $connection->{consumerRef}));
  my $app = $connection->{providerAppId} && $call->find(providerApps => id => $connection->{providerAppId});
  $view{providerApp} = provider_app_view($app) if $app;

  my $credentials = $connection->{credentials};
  if ($with{credentials} || $with{refresh_token}) {
    $view{apiKey} = $credentials->{apiKey} if defined $credentials->{apiKey};
    if (my $oauth = $credentials->{oauth2AuthorizationCode}) {
      my @shown = ('accessToken', 'scopes', $with{refresh_token} ? 'refreshToken' : ());
      $view{oauth2AuthorizationCode} = {map { $_ => $oauth->{$_} } grep { defined $oauth->{$_} } @shown};
    }
  }
  return \%view;
}

sub create ($call) {
  my $body = $call->body;
  $call->invalid(issue(body => 'provider', 'there is no such provider', $body->{provider})) unless catalogue($body->{provider});
  my %credentials = $call->given(keys %SCHEME);
  my ($kind) = sort keys %credentials;
  meet_group($call, @$body{qw(groupRef groupName)});
  meet_consumer($call, @$body{qw(consumerRef consumerName)});
  return $call->insert(
    connections => {
      $call->given(qw(provider groupRef consumerRef providerWorkspaceRef providerMetadata providerAppId)),
      authScheme  => $kind ? $SCHEME{$kind} : 'none',
      credentials => \%credentials,
    }
  );
}

sub generateConnection ($call) { connection_view($call, create($call)) }

# Without credentials the browser is redirected to the provider, and returns with the session.
sub customAuthConnect ($call) {
  my $body = $call->body;
  if (!$body->{customAuth} && !$body->{sessionId}) {
    my $session = new_id();
    return {redirect => {sessionId => $session, url => "https://provider.example/consent?state=$session"}};
  }
  my @missing = grep { !length($body->{$_} // '') } qw(provider groupRef consumerRef);
  $call->invalid(map { issue(body => $_, "$_ is required") } @missing) if @missing;
  return {connection => connection_view($call, create($call))};
}

sub authorize_url ($call, $provider, $client_id) {
  my $info = catalogue($provider) // $call->invalid(issue(body => 'provider', 'there is no such provider', $provider));
  my $url  = Mojo::URL->new(($info->{baseURL} =~ s/\{\{\.workspace\}\}/login/r) . '/oauth/authorize');
  return $url->query(
    client_id    => $client_id // 'emulator',
    redirect_uri => 'https://api.withampersand.com/callbacks/v1/oauth',
    state        => new_secret('state')
  )->to_string;
}

sub oauthConnect ($call) {
  my $body = $call->body;
  my $app
    = length($body->{providerAppId} // '')
    ? $call->one(providerApps => id => $body->{providerAppId})
    : $call->find(providerApps => provider => $body->{provider});
  my $url = authorize_url($call, $body->{provider}, $app && $app->{clientId});
  return \$url;
}

sub oauthUpdate ($call) {
  my $connection = by_id($call);
  my $app        = $connection->{providerAppId} && $call->find(providerApps => id => $connection->{providerAppId});
  my $url        = authorize_url($call, $connection->{provider}, $app && $app->{clientId});
  return \$url;
}

sub by_id ($call) { $call->one(connections => id => $call->param('connectionId')) }

sub listConnections ($call) {
  return [map { connection_view($call, $_) } $call->list('connections', $call->filter(qw(provider groupRef consumerRef)))];
}

sub getConnection ($call) {
  my $connection = by_id($call);
  refresh($connection, $call->query->param('refresh')) if $call->query->param('refresh');
  return connection_view($call, $connection,
    credentials => $call->flag('includeCreds'), refresh_token => $call->flag('includeRefreshToken'));
}

sub refresh ($connection, $when) {
  my $oauth   = $connection->{credentials}{oauth2AuthorizationCode} // return;
  my $expires = Mojo::Date->new($oauth->{accessToken}{expiresAt} // '')->epoch;
  return if $when eq 'ifExpired' && (!defined $expires || $expires > time);
  $oauth->{accessToken} = {
    token     => new_secret('access'),
    issuedAt  => now(),
    expiresAt => Mojo::Date->new(time + 3600)->to_datetime,
  };
  $connection->{updateTime} = now();
}

# The credentials are a field of their own, which no view of the record includes.
sub updateConnection ($call) {
  my $connection = by_id($call);
  my @secret     = grep { $_ ne 'customAuth' && $_ ne 'oauth2AuthorizationCode' } keys %SCHEME;
  my @plain      = qw(providerWorkspaceRef providerMetadata);
  my %edited     = (%$connection, %{$connection->{credentials}});
  apply_mask($call, \%edited, 'connection', @plain, @secret);

  for my $field (@{$call->body->{updateMask}}) {
    my $target = $SCHEME{$field} ? $connection->{credentials} : $connection;
    $target->{$field} = $edited{$field};
    $connection->{authScheme} = $SCHEME{$field} if $SCHEME{$field};
  }
  @$connection{qw(status updateTime)} = ('working', $edited{updateTime});
  return connection_view($call, $connection);
}

sub deleteConnection ($call) {
  my $connection = $call->remove_one(connections => id => $call->param('connectionId'));
  $call->remove(installations => connectionId => $connection->{id});
  return;
}

1;
