package Ampersand::Emulator::Key;
use Mojo::Base -strict, -signatures;

# API keys, and the public keys that verify JWTs.

use Ampersand::Emulator::Patch qw(apply_mask);
use Ampersand::Emulator::Store qw(new_secret);
use Mojo::JSON qw(false true);

sub api_key_view ($key) {
  return {
    (map { $_ => $key->{$_} } qw(key label projectId scopes)),
    active => $key->{active} ? true : false,
  };
}

sub jwt_key_view ($key) {
  return {
    (map { $_ => $key->{$_} } qw(id label algorithm projectId publicKeyPem createTime)),
    updateTime => $key->{updateTime} // $key->{createTime},
    active     => $key->{active} ? true : false,
  };
}

sub by_activity ($call, @keys) {
  my $active = $call->query->param('active') // return @keys;
  return grep { !!$_->{active} == ($active eq 'true') } @keys;
}

sub listApiKeys ($call) { [map { api_key_view($_) } by_activity($call, $call->list('apiKeys'))] }

sub createApiKey ($call) {
  my $key = new_secret('amp-' . $call->project->{name} . '-key');
  return api_key_view($call->insert(apiKeys => {$call->given(qw(label scopes)), key => $key}));
}

sub getApiKey ($call) { api_key_view($call->one(apiKeys => key => $call->param('apiKey'))) }

sub updateApiKey ($call) {
  return api_key_view(apply_mask($call, $call->one(apiKeys => key => $call->param('apiKey')), 'apiKey', qw(active label scopes)));
}

sub deleteApiKey ($call) { $call->remove_one(apiKeys => key => $call->param('apiKey')); return }

sub listJWTKeys ($call) { [map { jwt_key_view($_) } by_activity($call, $call->list('jwtKeys'))] }

sub createJWTKey ($call) { return {kid => $call->insert(jwtKeys => {$call->given(qw(label publicKeyPem))})->{id}} }

sub getJWTKey ($call) { jwt_key_view($call->one(jwtKeys => id => $call->param('keyId'))) }

sub updateJWTKey ($call) {
  return jwt_key_view(apply_mask($call, $call->one(jwtKeys => id => $call->param('keyId')), 'jwtKey', qw(active label)));
}

sub deleteJWTKey ($call) { $call->remove_one(jwtKeys => id => $call->param('keyId')); return }

1;
