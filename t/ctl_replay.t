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
    like $text, qr/^would newly fail:\nTENANT +TOKEN +OPERATION +REQUESTS +REASON\n(?:.+\n)*acme +- +deleteIntegration +1 +operation-not-granted$/m, 'a table';
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

# Tokens that may less than their tenant, and what is frozen.

my $write = $gw->tenant('scoped', project => 'p-scoped', key => 'sk_canary_scoped');
my $issue = sub { return $ctl->json(qw(token issue scoped), @_)->{doc} };
my %scoped = (
    all => { token => $write }, less => $issue->(qw(--label less --allow read --deny listTopics)), page => $issue->(qw(--label page --origin https://a.example)),
    group => $issue->(qw(--label group --group g1)), gone => $issue->(qw(--label gone)), revoked => $issue->(qw(--label revoked)),
);
my $call = sub {
    my ($name, $method, $url, @headers) = @_;
    return $gw->request($method, $url, token => $scoped{$name}{token}, headers => \@headers, $method eq 'POST' ? (json => {}) : ())->{status};
};
my @page = ('Origin', 'https://a.example');
my @calls = (
    [qw(all GET /v1/topics)], [qw(all POST /v1/topics)], [qw(less GET /v1/integrations)], [qw(less GET /v1/topics)],
    [ qw(page GET /v1/topics), @page ], [qw(page GET /v1/topics)], [qw(gone GET /v1/topics)], [qw(revoked GET /v1/topics)],
    [qw(group GET /v1/installations?groupRef=g1)], [qw(group GET /v1/installations?groupRef=g2)], [qw(group GET /v1/topics)],
);

sub scoped_log {
    my ($n) = @_;
    $gw->wait_for(sub { (() = $gw->access_log =~ /"tenant":"scoped"/g) >= $n });
    return $ctl->file('scoped.log', join '', grep { /"tenant":"scoped"/ } $gw->access_log =~ /.*\n/g);
}

# The document with a change of each token; who has no scope has none.

sub scoped_doc {
    my (%scope) = @_;
    my $doc = $ctl->json(qw(config export))->{doc};
    @{ $doc->{tenants} } = grep { $_->{id} eq 'scoped' } @{ $doc->{tenants} };
    my $tokens = $doc->{tenants}[0]{tokens};
    @$tokens = grep { $_->{label} ne 'revoked' } @$tokens;
    for (@$tokens) { $_->{scope} = $scope{ $_->{label} } if $scope{ $_->{label} } }
    return ($ctl->file('scoped.json', encode_json($doc)), $doc->{tenants}[0]);
}

subtest 'tokens that may less than their tenant' => sub {
    my @was = map { $call->(@$_) } @calls;
    is_deeply \@was, [ 200, 200, 200, 403, 200, 403, 200, 200, 200, 403, 403 ], 'what the gateway says';
    $ctl->run(qw(token revoke), $scoped{gone}{id});
    my ($file) = scoped_doc(less => { grants => { allow => ['read'], deny => ['listIntegrations'] } },
        page => { origins => ['https://b.example'] }, group => { groups => ['g2'] });
    my @import = ('config', 'import', $file, '--prune');
    my $r = $ctl->json(@import, '--replay', scoped_log(scalar @calls))->{doc};
    my $named = sub { return [ sort map { join ' ', map { $_ // '-' } @$_{qw(token operation requests why)} } grep { $_->{tenant} eq 'scoped' } @{ $r->{ $_[0] } } ] };
    is_deeply $named->('fail'), [ sort "$scoped{less}{id} listIntegrations 1 token-not-granted", "$scoped{revoked}{id} - 1 unknown-token" ], 'newly fail';
    is_deeply $named->('pass'), ["$scoped{less}{id} listTopics 1 token-not-granted"], 'newly pass';
    my $undecided = join "\n", @{ $named->('undecided') };
    like $undecided, qr/^\Q$scoped{page}{id}\E listTopics 1 the origins of the token change/m, 'an origin that the log does not have';
    like $undecided, qr/^\Q$scoped{page}{id}\E  1 the origins of the token change/m, 'also of a request that was refused for it';
    like $undecided, qr/^\Q$scoped{group}{id}\E listInstallationsForProject 2 the groups change/m, 'groups of a token';
    is $r->{tokens_gone}, 1, 'a token that is gone is counted';
    is $r->{left_out}{refused}, 0, 'no refusal of a token is one in any case';
    like $ctl->run(@import, '--replay', scoped_log(scalar @calls))->{out}, qr/^1 requests are of tokens that are gone: /m, 'and the text says how it was decided';
    $ctl->run(@import);
    $gw->ctl(qw(gateway wait));
    is_deeply [ map { $call->(@$_) } @calls[0 .. 3, 7] ], [ 200, 200, 403, 200, 401 ], 'after the import it is as was said';
};

subtest 'what is frozen fails before and after' => sub {
    $gw->ctl(qw(freeze --class write));
    ok $gw->wait_for(sub { $call->(qw(all POST /v1/topics)) == 503 }), 'frozen';
    my $n = () = $gw->access_log =~ /"tenant":"scoped"/g;
    my ($file, $tenant) = scoped_doc();
    my $replay = sub { return $ctl->json('config', 'import', $file, '--replay', scoped_log($n)) };
    my $r = $replay->();
    ok $r->{doc}{frozen} >= 2, 'counted' or diag $r->{out};
    is $r->{doc}{left_out}{refused}, 0, 'a refusal for it is not one in any case';
    $tenant->{grants} = { allow => ['read'] };
    $file = $ctl->file('scoped.json', encode_json({ version => 1, tenants => [$tenant] }));
    is_deeply [ grep { $_->{operation} eq 'createTopic' } @{ $replay->()->{doc}{fail} } ], [], 'what is frozen does not newly fail';
    $gw->ctl('thaw');
    $gw->ctl(qw(freeze --tenant scoped --class read));
    is $replay->()->{doc}{fail}[0]{operation}, 'createTopic', 'thawed, it does';
    ok $replay->()->{doc}{frozen} >= 2, 'a freeze of one tenant counts, too';
    $gw->ctl(qw(thaw --tenant scoped));
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
