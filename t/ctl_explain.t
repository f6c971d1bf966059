#!/usr/bin/perl

# ampctl explain: what it says is what the gateway does.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use Test::More;

use Gateway;
use Gateway::Ctl;

my $gw    = Gateway->start(location => 'add_header X-Test-Key $ampersand_cache_key always;');
my $token = $gw->tenant('acme', project => 'p-1', name => 'alpha', key => 'sk_canary_acme',
    args => [qw(--rate 50/s --burst 100 --deny deleteConnection)]);
my $bound = $gw->tenant('bound', project => 'p-2', key => 'sk_canary_bound', args => [qw(--group g1 --grant read --grant data)]);

# ampctl with the gateway's master key, and as JSON

my $ctl = Gateway::Ctl->new($gw->redis);
$ctl->{env}{AMPERSAND_MASTER_KEY_FILE} = $gw->dir . '/master.key';

my %tokens = (acme => $token, bound => $bound);

sub explained {
    my ($tenant, $method, $url, %o) = @_;
    my @headers = map { ('--header', $_) } @{ $o{headers} || [] };
    my @body = defined $o{body} ? ('--body', $ctl->file('body', $o{body})) : ();
    return $ctl->json('explain', $method, $url, '--tenant', $tenant, @headers, @body);
}

# The same request, sent.

sub sent {
    my ($tenant, $method, $url, %o) = @_;
    my @headers = map { split /: /, $_, 2 } @{ $o{headers} || [] };
    return $gw->request($method, $url, token => $tokens{$tenant}, headers => \@headers,
        defined $o{body} ? (body => $o{body}) : ());
}

my $group = 'X-Amp-Group-Ref: g1';

my @requests = (
    [ acme => GET => '/v1/integrations' ],
    [ acme => GET => '/v1/projects/alpha/integrations' ],
    [ acme => GET => '/v1/projects/-/integrations/a%20b?x=%7e1&groupRef=2' ],
    [ acme => GET => '/v1/projects' ],
    [ acme => GET => '/v1' ],
    [ acme => HEAD => '/v1/destinations' ],
    [ acme => GET => '/v1/providers' ],
    [ acme => GET => '/v1/installations?groupRef=g9', headers => ['Accept: text/csv'] ],
    [ acme => GET => '/v1/installations', headers => ['Cache-Control: no-store'] ],
    [ acme => GET => '/v1/installations?groupRef=' . 'x' x 1200 ],
    [ acme => DELETE => '/v1/projects/p-1/integrations/i-1' ],
    [ acme => POST => '/v1/oauth-connect', body => '{"provider":"x"}' ],
    [ acme => POST => '/v1/oauth-connect', body => '{"projectIdOrName":"alpha"}', headers => ['Content-Type: text/plain'] ],
    [ acme => POST => '/v1/oauth-connect', body => '{"projectIdOrName":"other"}' ],
    [ acme => POST => '/v1/oauth-connect', body => 'no' ],
    [ acme => POST => '/v1/oauth-connect', body => '{}', headers => ['Content-Encoding: gzip'] ],
    [ acme => GET => '/proxy/x/../y' ],
    [ acme => GET => '/proxy/some/path?a=b', headers => ['X-Own: 1', 'Cookie: c=1', 'X-Amp-Proxy-Version: 2'] ],
    [ acme => POST => '/proxy/some/path', body => 'x' ],
    [ acme => POST => '/search/v1/projects/p-1/integrations/i/objects/o', body => '{}' ],
    [ acme => GET => '/v1/projects/other/integrations' ],
    [ acme => GET => '/v1/integrations', headers => ['X-Amp-Project-Id: other'] ],
    [ acme => GET => '/v1/integrations', headers => ['X-Amp-Project-Id: p-1', 'X-Amp-Project-Id: p-1'] ],
    [ acme => GET => '/v1/integrations?apiKey=1' ],
    [ acme => GET => '/v1/integrations?a=%zz' ],
    [ acme => GET => '/v1/integrations/' ],
    [ acme => GET => '/v1/nothing' ],
    [ acme => GET => '/nowhere' ],
    [ acme => DELETE => '/v1/integrations' ],
    [ acme => POST => '/v1/projects', body => '{}' ],
    [ acme => GET => '/v1/projects/p-1/api-keys' ],
    [ acme => DELETE => '/v1/projects/p-1/connections/c-1' ],
    [ bound => GET => '/v1/installations' ],
    [ bound => GET => '/v1/installations?groupRef=g1' ],
    [ bound => GET => '/v1/installations?groupRef=g2' ],
    [ bound => GET => '/v1/integrations' ],
    [ bound => GET => '/proxy/x', headers => [$group] ],
    [ bound => GET => '/proxy/x', headers => [ $group, 'X-Amp-Installation-Id: i' ] ],
    [ bound => DELETE => '/v1/projects/p-2/integrations/i-1' ],
);

subtest 'the decision, what is sent and the cache key are those of the gateway' => sub {
    my %seen;
    for my $request (@requests) {
        my ($tenant, $method, $url, %o) = @$request;
        my $name = substr "$tenant $method $url @{ $o{headers} || [] } " . ($o{body} // ''), 0, 100;
        my $real = sent(@$request);
        my $said = explained(@$request);
        my $doc  = $said->{doc};
        my @upstream = $gw->upstream->requests;
        $seen{ $doc->{decision} }++;

        if ($doc->{decision} ne 'passed') {
            is $real->{status}, $doc->{problem}{status}, "$name: $doc->{decision}";
            is $said->{code}, 1, 'exit 1';
            next if $method eq 'HEAD' || !length $real->{body} || $url eq '/nowhere';
            my $problem = decode_json $real->{body};
            is $doc->{problem}{$_}, $problem->{$_}, $_ for qw(type title detail remedy);
            is $real->{headers}{allow} // '', join(', ', @{ $doc->{allow} || [] }) || '', 'Allow' if $real->{status} == 405;
            next;
        }
        is $real->{status}, 200, "$name: passed";
        is $said->{code}, 0, 'exit 0';
        my $got = $upstream[-1];
        my ($host, $target) = $doc->{upstream}{url} =~ m{^https://([^/]+)(.*)$};
        is $got->{target}, $target, 'target';
        my %real = map { /^([^:]+): (.*)$/ ? (lc $1 => $2) : () } split /\r\n/, $got->{head};
        my %said = map { lc $_->{name} => $_->{value} } @{ $doc->{upstream}{headers} };
        is $real{host}, $host, 'host';
        delete $real{$_} for qw(connection user-agent);
        ok exists $said{$_} && !defined delete $said{$_}, "$_ is not shown" for grep { delete $real{$_} } qw(x-request-id traceparent x-api-key);
        delete @said{qw(x-request-id traceparent)};
        delete $real{$_} for grep { !exists $said{$_} && /^accept/ } keys %real;
        is_deeply \%said, \%real, 'headers' or diag $got->{head};
        is $doc->{cache} ? $doc->{cache}{key} : '', $real->{headers}{'x-test-key'} // '', 'cache key';
        is $doc->{cache}{ttl}, $real->{headers}{'cache-control'} =~ /max-age=(\d+)/ ? $1 : -1, 'lifetime'
            if $doc->{cache} && ($real->{headers}{'cache-control'} // '') =~ /max-age/;
    }
    cmp_ok scalar keys %seen, '>=', 14, 'many kinds of decisions: ' . join ' ', sort keys %seen;
};

subtest 'a generation is part of the key' => sub {
    my $before = explained(acme => GET => '/v1/integrations')->{doc}{cache}{key};
    $gw->applied('p-1', sub { $gw->ctl(qw(cache purge acme)) });
    my $now = explained(acme => GET => '/v1/integrations')->{doc}{cache}{key};
    isnt $now, $before, 'another key';
    is $now, sent(acme => GET => '/v1/integrations')->{headers}{'x-test-key'}, 'the gateway has it, too';
};

subtest 'URLs at Ampersand, with an address, and under a prefix' => sub {
    for my $case (
        [ 'https://api.withampersand.com/v1/integrations', 'listIntegrations' ],
        [ 'https://READ.withampersand.com:443/v1/projects/p-1/integrations/i/objects/o', undef, 'read' ],
        [ 'http://127.0.0.1:8080/v1/integrations?x=1#top', 'listIntegrations' ],
        [ '/some/prefix/v1/integrations', 'listIntegrations' ],
        [ 'https://proxy.withampersand.com/v1/x', undef, 'proxy' ],
        [ 'https://proxy.withampersand.com/proxy/x', undef, 'proxy' ],
    ) {
        my ($url, $operation, $api) = @$case;
        my $doc = explained(acme => ($api // '') eq 'read' ? 'POST' : 'GET', $url)->{doc};
        is $doc->{operation}{operationId}, $operation, $url if $operation;
        is $doc->{operation}{api}, $api, $url if $api;
    }
};

subtest 'a refusal names the command that changes it, and that command does' => sub {
    my $allow = explained(acme => DELETE => '/v1/projects/p-1/connections/c-1')->{doc}{command};
    is $allow, 'ampctl grant remove acme --deny deleteConnection', 'a denied operation';
    my $add = explained(bound => DELETE => '/v1/projects/p-2/integrations/i-1')->{doc};
    is $add->{decision}, 'no-group', 'a group comes first';
    my $keys = explained(acme => GET => '/v1/projects/p-1/api-keys')->{doc};
    is $keys->{command}, 'ampctl grant add acme --allow ' . $keys->{operation}{operationId}, 'an operation that no item allows';
    $gw->ctl(split / /, $keys->{command} =~ s/^ampctl //r);
    is explained(acme => GET => '/v1/projects/p-1/api-keys')->{doc}{decision}, 'passed', 'now it passes';
    $gw->ctl(qw(tenant disable acme));
    my $disabled = explained(acme => GET => '/v1/integrations')->{doc};
    is "$disabled->{decision}: $disabled->{command}", 'tenant-disabled: ampctl tenant enable acme', 'disabled';
    $gw->ctl(qw(tenant enable acme));
    my $text = $ctl->run(qw(explain DELETE /v1/projects/p-1/connections/c-1 --tenant acme))->{out};
    like $text, qr/^DELETE \S+ by tenant acme: refused, 403 operation-not-granted\n\noperation  deleteConnection .*\ngrants     denied by "deleteConnection"\nreason .*\nremedy .*\nto allow   ampctl grant remove/, 'as text';
};

subtest 'what is frozen, for all tenants, for one, or for both' => sub {
    my $is = sub {
        my ($command) = @_;
        my $r = explained('acme', POST => '/v1/topics', body => '{}');
        is $r->{code}, 1, 'refused';
        is $r->{doc}{decision}, 'frozen', 'as frozen';
        is $r->{doc}{command}, $command, 'the command that ends it';
        my $sent;
        ok $gw->wait_for(sub { ($sent = sent('acme', POST => '/v1/topics', body => '{}'))->{status} == 503 }), 'and so does the gateway' or diag $sent->{status};
        return $r->{doc};
    };
    $gw->ctl(qw(freeze --class write));
    my $doc = $is->('ampctl thaw --class write');
    like $doc->{problem}{remedy}, qr/ampctl freeze list/, 'the remedy of the problem';
    is explained('acme', GET => '/v1/topics')->{code}, 0, 'another class passes';
    $gw->ctl(qw(freeze --tenant acme));
    like $is->('ampctl thaw --tenant acme --class write')->{notes}[0], qr/for all tenants, too: ampctl thaw --class write/, 'the other one is in the notes';
    $gw->ctl('thaw');
    $is->('ampctl thaw --tenant acme --class write');
    $gw->ctl(qw(thaw --tenant acme));
    is explained('acme', POST => '/v1/topics', body => '{}')->{code}, 0, 'thawed';
};

subtest 'whose token it is' => sub {
    my $r = $ctl->json({ stdin => "$token\n" }, qw(explain GET /v1/integrations --token -));
    is $r->{doc}{tenant}, 'acme', 'tenant';
    like $r->{doc}{token}, qr/^acme\.\w{10}$/, 'the id of the token';
    unlike $r->{out}, qr/\Q$token\E/, 'the token itself is not shown';
    is $ctl->json({ stdin => "agw_nope\n" }, qw(explain GET /v1/integrations --token -))->{doc}{decision}, 'bad-token', 'no token';
    (my $other = $token) =~ s/^agw_//;
    $gw->ctl(qw(token revoke), $r->{doc}{token});
    my $revoked = $ctl->json({ stdin => "$token\n" }, qw(explain GET /v1/integrations --token -));
    is $revoked->{doc}{decision}, 'unknown-token', 'revoked';
    is $revoked->{doc}{problem}{status}, 401, 'status';
};

subtest 'key and cool-down' => sub {
    my $none = $ctl->json({ env => { AMPERSAND_MASTER_KEY_FILE => undef } }, qw(explain GET /v1/integrations --tenant acme));
    like join("\n", @{ $none->{doc}{notes} }), qr/key opens was not checked: no master key/, 'no master key'
        or diag $none->{out} if !-e '/etc/ampersand/master.key';
    my $other = $ctl->file('other.key', '0' x 64 . "\n");
    is $ctl->json(qw(explain GET /v1/integrations --tenant acme --master-key), $other)->{doc}{decision}, 'no-key', 'another master key';
    $gw->redis->command('SET', 'amp:cooldown:{acme}', '1', 'PX', 60000);
    my $write = explained(acme => DELETE => '/v1/projects/p-1/integrations/i-1')->{doc};
    is "$write->{decision}: $write->{command}", 'cooling-down: ampctl cooldown clear acme', 'a write is refused';
    my $read = explained(acme => GET => '/v1/integrations')->{doc};
    is $read->{decision}, 'passed', 'a stored answer may serve';
    like "@{ $read->{notes} }", qr/pause, which ends in \d+ s: until then only stored answers/, 'which is said';
    $gw->ctl(qw(cooldown clear acme));
    $gw->ctl(qw(tenant add keyless --project p-3));
    is explained(keyless => GET => '/v1/integrations')->{doc}{command}, 'ampctl key set keyless --key-file FILE', 'no key';
};

subtest 'wrong words' => sub {
    for my $case (
        [ [qw(get /v1 --tenant acme)], 2, qr/"get" is not a method\n.*GET, POST/ ],
        [ [qw(GET v1 --tenant acme)], 2, qr/"v1" is not a URL with a path\n/ ],
        [ [qw(GET /v1)], 2, qr/neither --tenant nor --token/ ],
        [ [qw(GET /v1 --tenant acme --token -)], 2, qr/both --tenant and --token/ ],
        [ [qw(GET /v1 --tenant a/b)], 2, qr/is not a tenant id/ ],
        [ [qw(GET /v1 --tenant nobody)], 1, qr/there is no tenant "nobody"/ ],
        [ [qw(GET /v1 --tenant acme --body /nonexistent)], 1, qr/body cannot be read from "\/nonexistent"/ ],
        [ [ qw(GET /v1 --tenant acme --header), 'x' ], 2, qr/"x" is not a header/ ],
        [ [ qw(GET /v1 --tenant acme --header), 'X-Api-Key: sk_canary_header' ], 2, qr/takes no credential\n.*--token/ ],
    ) {
        my ($args, $code, $text) = @$case;
        my $r = $ctl->run('explain', @$args);
        is $r->{code}, $code, "@$args";
        like $r->{err}, $text, 'message';
    }
};

unlike $ctl->said, qr/sk_canary/, 'no key was printed';

$gw->finish;

done_testing;
