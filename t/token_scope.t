#!/usr/bin/perl

# A token that may less than its tenant: grants, groups, a rate and origins of
# its own; never more than the tenant; and what gateways that know no scopes make
# of it.

use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use FindBin;
use JSON::PP qw(decode_json encode_json);
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;

my $gw = Gateway->start(workers => 2, http => 'ampersand_cache_ttl default 0;');
my $URN = 'urn:ampersand-gateway:problem:';
my $n = 0;

sub tenant { my (@args) = @_; return $gw->tenant('t' . ++$n, project => 'p-1', name => 'alpha', args => \@args) }
sub issue { return decode_json($gw->ctl('token', 'issue', "t$n", '--json', @_)) }

# Status, and the kind of problem.

sub answer {
    my ($token, $method, $target, %r) = @_;
    my $res = $gw->request($method, $target, token => $token, $method eq 'POST' ? (json => {}) : (), %r);
    return $res->{status} if $res->{status} == 200;
    my $p = $gw->json($res);
    isnt $p->{causes}[0], $p->{detail}, "the cause says more than the kind: $p->{causes}[0]" if $p->{type} =~ /:token-(?!rate)/;
    return "$res->{status} " . ($p->{type} // '') =~ s/^\Q$URN\E//r;
}

subtest 'grants: of what the tenant may, and no more' => sub {
    my $all = tenant(qw(--grant default --deny deleteTopic));
    my $read = issue(qw(--allow read))->{token};
    my $but = issue(qw(--deny read --deny createTopic))->{token};
    my $none = issue(qw(--allow none))->{token};
    for my $case ([ 'GET', '/v1/topics', '200', '200', '403 token-not-granted' ],
                  [ 'POST', '/v1/topics', '200', '403 token-not-granted', '403 token-not-granted' ],
                  [ 'GET', '/v1/providers', '200', '403 token-not-granted', '200' ],
                  [ 'GET', '/v1/api-keys', ('403 secrets-not-granted') x 3 ],
                  [ 'GET', '/v1/connections/c?includeCreds=true', ('403 secrets-not-granted') x 3 ],
                  [ 'GET', '/v1/destinations/d?rotate=true', '200', '403 token-not-granted', '403 token-not-granted' ],
                  [ 'DELETE', '/v1/topics/t', ('403 operation-not-granted') x 3 ],
                  [ 'GET', '/v1/projects/p-2/topics', ('403 other-project') x 3 ]) {
        my ($method, $target, @expected) = @$case;
        is_deeply [ map { answer($_, $method, $target) } $all, $read, $but ], \@expected, "$method $target";
    }
    is answer($none, 'GET', '/v1/topics'), '403 token-not-granted', 'an empty list allows nothing';
    my $p = $gw->json($gw->request('POST', '/v1/topics', token => $read, json => {}));
    like $p->{detail}, qr/the tenant may do this, but this token/i, 'the token is to blame, not the tenant';
    like $p->{remedy}, qr/ampctl token issue t1 --allow createTopic/, 'and the remedy is another token';

    $gw->ctl('grant', 'set', "t$n", '--allow', 'catalog');
    ok $gw->wait_for(sub { answer($read, 'GET', '/v1/topics') eq '403 operation-not-granted' }),
        'what the tenant loses, its tokens lose';
};

subtest 'groups: of the tenant and of the token' => sub {
    my $all = tenant();
    my $one = issue(qw(--group g1))->{token};
    is answer($all, 'GET', '/v1/connections'), 200, 'the tenant is bound to none';
    my @cases = ([ 'GET', '/v1/connections?groupRef=g1', 200 ], [ 'GET', '/v1/connections?groupRef=g2', '403 token-group' ],
                 [ 'GET', '/v1/connections', '403 token-group' ], [ 'GET', '/v1/topics', '403 token-group' ],
                 [ 'GET', '/proxy/x', 200, headers => [ 'X-Amp-Group-Ref' => 'g1' ] ],
                 [ 'GET', '/proxy/x', '403 token-group', headers => [ 'X-Amp-Group-Ref' => 'g2' ] ],
                 [ 'GET', '/proxy/x', '403 token-group', headers => [ 'X-Amp-Group-Ref' => 'g1', 'X-Amp-Installation-Id' => 'i' ] ],
                 [ 'POST', '/write/v1/integrations/i/objects/o', 200, json => { groupRef => 'g1' } ],
                 [ 'POST', '/write/v1/integrations/i/objects/o', '403 token-group', json => { groupRef => 'g2' } ],
                 [ 'POST', '/write/v1/integrations/i/objects/o', '403 token-group', json => {} ]);
    for my $case (@cases) {
        my ($method, $target, $expected, @with) = @$case;
        is answer($one, $method, $target, @with), $expected, "$method $target @{[ map { ref $_ ? encode_json $_ : $_ } @with ]}";
    }
    tenant(qw(--group g1 --group g2));
    my $second = issue(qw(--group g2))->{token};
    is answer($second, 'GET', '/v1/connections?groupRef=g2'), 200, 'a group of both';
    is answer($second, 'GET', '/v1/connections?groupRef=g1'), '403 token-group', 'a group of the tenant';
    is answer($second, 'GET', '/v1/connections?groupRef=g3'), '403 other-group', 'a group of neither';
    is $gw->json($gw->get('/v1/connections?groupRef=g1', token => $second))->{causes}[0],
        'The group "g1" is not one of this token\'s groups.', 'the cause names the group';
};

subtest 'origins: only for browsers there' => sub {
    tenant();
    my $web = issue('--origin', 'https://app.example.com', '--origin', 'http://localhost:3000')->{token};
    for my $case ([ 200, Origin => 'https://app.example.com' ], [ 200, Origin => 'http://localhost:3000' ],
                  ['403 token-origin'], [ '403 token-origin', Origin => 'null' ],
                  [ '403 token-origin', Origin => 'https://app.example.com.evil.example' ],
                  [ '403 token-origin', Origin => 'http://app.example.com' ],
                  [ '403 token-origin', Origin => 'https://app.example.com', Origin => 'https://evil.example' ],
                  [ '403 token-origin', Referer => 'https://app.example.com/' ]) {
        my ($expected, @headers) = @$case;
        is answer($web, 'GET', '/v1/topics', headers => \@headers), $expected, "@headers";
    }
};

subtest "a rate of the token's own, beside the tenant's" => sub {
    my $all = tenant();
    my $slow = issue(qw(--rate 1/d --burst 2))->{token};
    my $other = issue(qw(--rate 1/d --burst 2))->{token};
    my @got = map { answer($slow, 'POST', '/v1/topics') } 1 .. 3;
    is_deeply \@got, [ 200, 200, '429 token-rate-limited' ], 'its burst, then no more';
    my $res = $gw->request('POST', '/v1/topics', token => $slow, json => {});
    like $res->{headers}{'ratelimit-policy'}, qr/"token";q=2;/, 'its limit is told';
    like $res->{headers}{'ratelimit'}, qr/"token";r=0;/, 'and that it is used up';
    ok $res->{headers}{'retry-after'} > 80000, 'Retry-After';
    is answer($other, 'POST', '/v1/topics'), 200, 'another token has a bucket of its own';
    is answer($all, 'POST', '/v1/topics'), 200, 'and one without a rate has none';
    my ($key) = @{ $gw->redis->command('KEYS', "amp:limit:{t$n}:token:*") };
    like $key, qr/:token:\w{10}$/, "the state is under the token's id, in the slot of its tenant";

    $gw->ctl(qw(limit set), "t$n", qw(--rate 1/d --burst 1));
    my $both = issue(qw(--rate 1/d --burst 3))->{token};
    ok $gw->wait_for(sub { answer($all, 'POST', '/v1/topics') eq '429 rate-limited' }), "the tenant's limit is reached";
    $res = $gw->request('POST', '/v1/topics', token => $both, json => {});
    is $gw->json($res)->{type}, "${URN}rate-limited", "it is for all its tokens, and the tenant is to blame";
    like $res->{headers}{'ratelimit-policy'}, qr/"default";q=1;.*"token";q=3;/, 'both limits are told';
};

subtest 'a warm request knows the scope without Redis' => sub {
    tenant();
    my $read = issue(qw(--allow read --group g1))->{token};
    is answer($read, 'GET', '/v1/connections?groupRef=g1'), 200, 'looked up';
    my $lookups = sub { $gw->status->{lookups} };
    my $before = $lookups->();
    is answer($read, 'GET', '/v1/connections?groupRef=g1'), 200, 'from the zone';
    is answer($read, 'GET', '/v1/connections?groupRef=g2'), '403 token-group', 'with its scope';
    is $lookups->(), $before, 'no look-up';
    $gw->reload;
    is answer($read, 'GET', '/v1/connections?groupRef=g2'), '403 token-group', 'after a reload, too';
};

subtest 'a scope that the gateway cannot hold is no token' => sub {
    tenant();
    my $t = issue(qw(--allow read));
    my $key = 'amp:token:' . sha256_hex $t->{token};
    my $record = decode_json $gw->redis->command('GET', $key);
    is $record->{v}, 2, 'version 2: a gateway that knows no scopes refuses the token';
    $record->{scope}{hours} = '9-17';
    $gw->redis->command('SET', $key, encode_json $record);
    is answer($t->{token}, 'GET', '/v1/topics'), '503 bad-record', 'a member that it does not know';
    is scalar(() = $gw->log_lines(qr/token record cannot be read: "scope" has a member/)), 1, 'the log says so' if $gw->wait_for(sub { $gw->log_lines(qr/cannot be read/) });
};

$gw->finish;
done_testing;
