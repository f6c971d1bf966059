package Ampersand::Emulator::Provider;
use Mojo::Base -strict, -signatures;

# The catalogue of providers, and the provider apps (OAuth clients) of a project.

use Ampersand::Emulator::Patch qw(apply_mask);
use Exporter   qw(import);
use Mojo::JSON qw(false true);

our @EXPORT_OK = qw(catalogue provider_app_view);

# name, display name, authentication, base URL, and what is supported of: read, write, subscribe, bulk write
my %CATALOGUE = map { my @row = split / *\| */; $row[0] => provider_info(@row) } split /\n/, <<'END';
salesforce     | Salesforce      | oauth2 | https://{{.workspace}}.my.salesforce.com           | rwsb
hubspot        | HubSpot         | oauth2 | https://api.hubapi.com                             | rws
zendeskSupport | Zendesk Support | oauth2 | https://{{.workspace}}.zendesk.com                 | rw
intercom       | Intercom        | oauth2 | https://api.intercom.io                            | rw
gong           | Gong            | oauth2 | https://api.gong.io                                | rw
outreach       | Outreach        | oauth2 | https://api.outreach.io                            | rws
pipedrive      | Pipedrive       | oauth2 | https://api.pipedrive.com                          | rw
slack          | Slack           | oauth2 | https://slack.com/api                              | rw
notion         | Notion          | oauth2 | https://api.notion.com                             | w
attio          | Attio           | oauth2 | https://api.attio.com                              | rw
apollo         | Apollo          | apiKey | https://api.apollo.io                              | rw
stripe         | Stripe          | apiKey | https://api.stripe.com                             | rw
freshdesk      | Freshdesk       | basic  | https://{{.workspace}}.freshdesk.com               | rw
END

sub provider_info ($name, $display_name, $auth, $base_url, $support) {
  my %can  = map { $_ => $support =~ /$_/ ? true : false } qw(r w s b);
  my %info = (
    name          => $name,
    displayName   => $display_name,
    authType      => $auth,
    baseURL       => $base_url,
    defaultModule => '',
    providerOpts  => {},
    support       => {
      proxy     => true,
      read      => $can{r},
      write     => $can{w},
      delete    => $can{w},
      subscribe => $can{s},
      bulkWrite => {map { $_ => $can{b} } qw(insert update upsert delete)},
      search    => {operators => {equals => $can{r}}},
    },
  );
  $info{oauth2Opts} = {
    grantType                 => 'authorizationCode',
    authURL                   => "$base_url/oauth/authorize",
    tokenURL                  => "$base_url/oauth/token",
    explicitScopesRequired    => false,
    explicitWorkspaceRequired => $base_url =~ /workspace/ ? true : false,
    tokenMetadataFields       => {},
  } if $auth eq 'oauth2';
  $info{apiKeyOpts} = {attachmentType => 'header', header => {name => 'Authorization', valuePrefix => 'Bearer '}} if $auth eq 'apiKey';
  $info{basicOpts}  = {docsURL => "$base_url/docs"} if $auth eq 'basic';
  return \%info;
}

sub catalogue ($name) { $CATALOGUE{$name} }

sub listProviders ($call) { \%CATALOGUE }

sub getProvider ($call) { catalogue($call->param('provider')) // $call->fail(404, 'There is no such provider.') }

sub provider_app_view ($app) {
  return {
    map { $_ => $app->{$_} } grep { defined $app->{$_} } qw(id projectId provider clientId externalRef scopes metadata createTime updateTime)
  };
}

sub listProviderApps ($call) { [map { provider_app_view($_) } $call->list('providerApps')] }

sub createProviderApp ($call) {
  return provider_app_view($call->insert(providerApps => {$call->given(qw(provider clientId clientSecret externalRef scopes metadata))}));
}

sub updateProviderApp ($call) {
  my $app = $call->one(providerApps => id => $call->param('providerAppId'));
  return provider_app_view(apply_mask($call, $app, 'providerApp', qw(externalRef clientId clientSecret provider scopes metadata)));
}

sub deleteProviderApp ($call) { $call->remove_one(providerApps => id => $call->param('providerAppId')); return }

1;
