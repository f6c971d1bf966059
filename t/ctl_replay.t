#!/usr/bin/perl

# ampctl config import --replay: what it says of the requests of an access log
# is what happens after the import.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use Test::More;

use Gateway;
use Gateway::Ctl;

my $gw = Gateway->start;
my %token = map { $_ => $gw->tenant($_, project => "p-$_", key => "sk_canary_$_") } qw(acme bound off gone same);
$gw->ctl(qw(tenant disable off));
$gw->ctl(qw(grant set same --deny deleteIntegration));

my $ctl = Gateway::Ctl->new($gw->redis);
$ctl->{env}{AMPERSAND_MASTER_KEY_FILE} = $gw->dir . '/master.key';

my @requests = (
    (map { [ $_, GET => '/v1/integrations', 'listIntegrations' ] } qw(acme bound off gone same)),
    (map { [ $_, DELETE => '/v1/integrations/i-1', 'deleteIntegration' ] } qw(acme off gone same)),
    [ acme => GET => '/v1/api-keys', 'listApiKeys' ],
    [ acme => GET => '/v1/connections/c-1?includeCreds=true', 'getConnection' ],
    [ bound => GET => '/v1/installations?groupRef=g1', 'listInstallationsForProject' ],
    [ bound => GET => '/v1/projects/p-other/integrations', 'listIntegrations' ],
    [ acme => GET => '/v1/nothing', '' ],
    [ acme => GET => '/v1/integrations?apiKey=x', 'listIntegrations' ],
);

sub sent { my ($tenant, $method, $url) = @_; return $gw->request($method, $url, token => $token{$tenant})->{status} }

my @before = map { sent(@$_) } @requests;
sent('acme', GET => '/v1/integrations') for 1 .. 2;
is $gw->get('/v1/integrations')->{status}, 401, 'somebody without a token';
ok $gw->wait_for(sub { () = $gw->access_log =~ /\n/g; (() = $gw->access_log =~ /"tenant"/g) >= @requests + 3 }), 'the log';

# The policy to be tried.

my $doc = $ctl->json(qw(config export))->{doc};
my %tenant = map { $_->{id} => $_ } @{ $doc->{tenants} };
$tenant{acme}{grants} = { allow => [qw(catalog read secrets)], deny => ['listTopics'] };
$tenant{bound}{groups} = ['g1'];
$tenant{off}{disabled} = JSON::PP::false;
@{ $doc->{tenants} } = grep { $_->{id} ne 'gone' } @{ $doc->{tenants} };
my $file = $ctl->file('doc.json', encode_json($doc));
my $log  = $ctl->file('access.log', $gw->access_log . "no JSON\n");

sub rows { my ($list) = @_; return [ sort map { join ' ', $_->{tenant}, $_->{operation} // $_->{token}, $_->{requests} } @$list ] }

my $before = $ctl->json(qw(config export))->{doc};
my $r = $ctl->json('config', 'import', $file, '--prune', '--replay', $log);

subtest 'requests that would newly fail or pass are listed, and the others are counted' => sub {
    is $r->{code}, 1, 'exit 1: some would newly fail' or diag $r->{err};
    is_deeply rows($r->{doc}{fail}), [ sort 'acme deleteIntegration 1', 'bound listIntegrations 1', 'gone deleteIntegration 1',
        'gone listIntegrations 1' ], 'newly fail';
    is_deeply rows($r->{doc}{pass}), [ 'acme getConnection 1', 'acme listApiKeys 1' ], 'newly pass';
    is_deeply rows($r->{doc}{undecided}), [ 'bound listInstallationsForProject 1', 'off  2' ], 'not decided';
    is_deeply $r->{doc}{left_out}, { tenant => 1, operation => 1, refused => 1, format => 1 }, 'left out';
    my %why = map { ("$_->{tenant} $_->{operation}" => $_->{why}) } @{ $r->{doc}{fail} };
    is $why{'gone listIntegrations'}, 'unknown-token', 'a removed tenant';
    is $why{'bound listIntegrations'}, 'no-group', 'an operation that names no group';
    is_deeply $ctl->json(qw(config export))->{doc}, $before, 'nothing was changed';
};

subtest 'as text' => sub {
    my $text = $ctl->run('config', 'import', $file, '--prune', '--replay', $log)->{out};
    like $text, qr/^would newly fail:\nTENANT +OPERATION +REQUESTS +REASON\n(?:.+\n)*acme +deleteIntegration +1 +operation-not-granted$/m, 'a table';
    like $text, qr/^not decided:\n.*groups change/ms, 'with the reason';
    like $text, qr/^\d+ requests of 5 tenants: 4 would newly fail, 2 would newly pass, 3 are not decided$/m, 'sums';
    like $text, qr/^not tried: limits/m, 'what it does not say';
};

subtest 'without --prune nobody is removed' => sub {
    my $kept = $ctl->json('config', 'import', $file, '--replay', $log)->{doc};
    ok !grep({ /^gone/ } @{ rows($kept->{fail}) }), 'gone stays';
};

subtest 'after the import it is as was said' => sub {
    $ctl->run('config', 'import', $file, '--prune');
    $gw->ctl(qw(gateway wait));
    my %fail = map { ("$_->{tenant} $_->{operation}" => 1) } @{ $r->{doc}{fail} };
    my %pass = map { ("$_->{tenant} $_->{operation}" => 1) } @{ $r->{doc}{pass} };
    for my $i (0 .. $#requests) {
        my ($tenant, $method, $url, $operation) = @{ $requests[$i] };
        next if $tenant eq 'off' || $url =~ /p-other|apiKey/;
        my ($was, $is) = ($before[$i], sent(@{ $requests[$i] }));
        my $name = "$tenant $method $url: $was, then $is";
        if ($fail{"$tenant $operation"}) { ok $was < 400 && $is >= 400, "$name, newly fails" }
        elsif ($pass{"$tenant $operation"}) { ok $was >= 400 && $is < 400, "$name, newly passes" }
        else { is $is >= 400, $was >= 400, "$name, as before" }
    }
};

subtest 'a log that is none' => sub {
    my $none = $ctl->run('config', 'import', $file, '--replay', '/nonexistent');
    is $none->{code}, 1, 'no such file';
    like $none->{err}, qr{log "/nonexistent" cannot be read: No such file}, 'message';
    my $other = $ctl->run('config', 'import', $file, '--replay', $ctl->file('combined.log', qq{127.0.0.1 - - "GET / HTTP/1.1"\n}));
    is $other->{code}, 1, 'another format';
    like $other->{err}, qr/no line of .* is one of the log format "ampersand"\n.*log\.conf/, 'message';
};

unlike $ctl->said, qr/sk_canary/, 'no key was printed';

$gw->finish;

done_testing;
