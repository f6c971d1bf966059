#!/usr/bin/perl

# ampctl config: export and import of all tenants.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use Test::More;

use Gateway::Ctl;
use Gateway::Redis;

my $redis = Gateway::Redis->start;
my $other = Gateway::Redis->start;
my $ctl   = Gateway::Ctl->new($redis);
my $dst   = Gateway::Ctl->new($other);
my $JSON  = JSON::PP->new->utf8->canonical->pretty;

# The same master key on both sides, until a test says otherwise.
my $second = $dst->{env}{AMPERSAND_MASTER_KEY_FILE};
$dst->{env}{AMPERSAND_MASTER_KEY_FILE} = $ctl->{env}{AMPERSAND_MASTER_KEY_FILE};

my $key = $ctl->file('acme.key', "sk_canary_config\n");
sub export { return $_[0]->json('config', 'export')->{doc} }
sub write_doc { my ($ctl, $doc) = @_; return $ctl->file('doc.json', ref $doc ? $JSON->encode($doc) : $doc) }
sub import_doc { my ($ctl, $doc, @args) = @_; return $ctl->json('config', 'import', write_doc($ctl, $doc), @args) }
sub import_text { my ($ctl, $doc, @args) = @_; return $ctl->run('config', 'import', write_doc($ctl, $doc), @args) }

# All that a Redis holds.

sub dump_of {
    my ($redis) = @_;
    my %all;
    for my $name (grep { $_ ne 'amp:audit' } @{ $redis->command('KEYS', 'amp:*') }) {
        my $type = $redis->command('TYPE', $name);
        $all{$name} = $type eq 'string' ? $redis->command('GET', $name)
            : $type eq 'hash' ? { @{ $redis->command('HGETALL', $name) } } : [ sort @{ $redis->command('SMEMBERS', $name) } ];
    }
    return \%all;
}

subtest 'a store without tenants' => sub {
    is_deeply export($ctl), { version => 1, tenants => [] }, 'export';
    my $r = import_doc($ctl, { version => 1, tenants => [] });
    is $r->{code}, 0, 'import';
    is_deeply $r->{doc}{tenants}, { added => 0, changed => 0, removed => 0, unchanged => 0 }, 'nothing to do';
};

$ctl->run(qw(tenant add acme --project p-1 --project-name alpha --rate 50/s --burst 100 --grant catalog --grant read),
    '--deny', 'listTopics', '--group', "gr\xc3\xbc\xc3\x9fe", '--key-file', $key);
$ctl->run(qw(token issue acme --label ci --expires 90d --allow read --rate 5/s --origin https://[::1]:8443));
$ctl->run(qw(cache set acme --for read --ttl 5m));
$ctl->run(qw(limit set acme --concurrency 20));
$ctl->run(qw(tenant add bare --project p-2));
$ctl->run(qw(tenant add off --project p-3));
$ctl->run(qw(tenant disable off));
my $doc = export($ctl);

subtest 'an export has all but secrets' => sub {
    is_deeply [ map { $_->{id} } @{ $doc->{tenants} } ], [qw(acme bare off)], 'each tenant, in order';
    my ($acme) = @{ $doc->{tenants} };
    is_deeply $acme->{project}, { id => 'p-1', name => 'alpha' }, 'project';
    is_deeply $acme->{limits}, { default => { rate => '50/s', burst => 100 }, concurrency => 20 }, 'limits';
    is_deeply $acme->{groups}, [ "gr\x{fc}\x{df}e" ], 'groups';
    is_deeply $acme->{cache}, { read => '5m' }, 'cache';
    is scalar @{ $acme->{tokens} }, 2, 'tokens';
    like $acme->{tokens}[0]{digest}, qr/\A[0-9a-f]{64}\z/, 'by their digest';
    is_deeply [ sort { ($a ? 1 : 0) <=> ($b ? 1 : 0) } map { $_->{scope} } @{ $acme->{tokens} } ],
        [ undef, { grants => { allow => ['read'] }, limit => { rate => '5/s', burst => 5 }, origins => ['https://[::1]:8443'] } ], 'and what they may';
    unlike $JSON->encode($doc), qr/sk_canary|agw_/, 'no key and no token';
    ok $doc->{tenants}[2]{disabled}, 'disabled';

    my $file = $ctl->dir . '/out.json';
    my $r = $ctl->json('config', 'export', $file);
    is_deeply $r->{doc}, { file => $file, tenants => 3, tokens => 4 }, 'to a file';
    is sprintf('%o', (stat $file)[2] & 07777), '600', 'of mode 0600';
    open my $f, '<', $file or die $!; local $/;
    is_deeply $JSON->decode(scalar <$f>), $doc, 'the same';
    is $ctl->run('config', 'export', '/nonexistent/x')->{code}, 1, 'a file that cannot be written';
};

subtest 'into an empty Redis: the same tenants, keys and tokens' => sub {
    my $r = import_doc($dst, $doc);
    is $r->{code}, 0, 'done';
    is_deeply $r->{doc}, { tenants => { added => 3, changed => 0, removed => 0, unchanged => 0 },
        tokens => { added => 4, changed => 0, removed => 0 } }, 'all of it';
    is_deeply export($dst), $doc, 'the export of it is the same document';
    is_deeply $JSON->decode($other->command('GET', "amp:token:$_->{digest}")), $JSON->decode($redis->command('GET', "amp:token:$_->{digest}")), $_->{id}
        for map { @{ $_->{tokens} } } @{ $doc->{tenants} };
    my ($ci) = grep { $_->{expires} } @{ $doc->{tenants}[0]{tokens} };
    ok abs($other->command('TTL', "amp:token:$ci->{digest}") - 90 * 86400) < 60, 'a token expires when it did before';
    my %checks = map { $_->{check} => $_ } @{ $dst->json('doctor')->{doc}{checks} };
    like $checks{tenants}{message}, qr/^3 in Redis, 1 with an active key that opens$/, 'doctor: the key opens';
};

subtest 'again: nothing is changed' => sub {
    my $events = $other->subscribe('amp:events');
    my $before = dump_of($other);
    is_deeply import_doc($dst, $doc)->{doc}{tenants}, { added => 0, changed => 0, removed => 0, unchanged => 3 }, 'unchanged';
    is import_text($dst, $doc, '--dry-run')->{out},
        "without --dry-run: tenants: 0 added, 0 changed, 0 removed, 3 unchanged; tokens: 0 added, 0 changed, 0 removed\n", '--dry-run';
    is_deeply dump_of($other), $before, 'the same in Redis';
    is $events->message(0.2), undef, 'no event';
};

subtest 'limits of projects' => sub {
    my $limits = { 'p-1' => { rate => '200/s', burst => 400 }, 'p-2' => { rate => '10000/d', burst => 10 } };
    $ctl->run('limit', 'set', '--project', $_, '--rate', $limits->{$_}{rate}, '--burst', $limits->{$_}{burst}) for sort keys %$limits;
    my $with = export($ctl);
    is_deeply $with->{projects}, [ map { { id => $_, limit => $limits->{$_} } } sort keys %$limits ], 'are exported';
    my $r = import_text($dst, $with, '--dry-run');
    like $r->{out}, qr{^\+ project p-1\n    /limit: null -> \{"rate":"200/s","burst":400\}$}m, '--dry-run shows them';
    like $r->{out}, qr/; limits of projects: 2 added, 0 changed, 0 removed$/, 'and counts';
    is_deeply export($dst), $doc, 'but makes none';
    is_deeply import_doc($dst, $with)->{doc}{projects}, { added => 2, changed => 0, removed => 0 }, 'imported';
    is_deeply export($dst), $with, 'the same document again';
    my $less = $JSON->decode($JSON->encode($with));
    shift @{ $less->{projects} };
    $less->{projects}[0]{limit}{burst} = 20;
    is_deeply import_doc($dst, $less)->{doc}{projects}, { added => 0, changed => 1, removed => 0 }, 'one is changed; what is left out stays';
    is_deeply import_doc($dst, $less, '--prune')->{doc}{projects}, { added => 0, changed => 0, removed => 1 }, 'and goes with --prune';
    is_deeply export($dst)->{projects}, $less->{projects}, 'as the document says';
    for ([ [ { id => 'p-1' } ], qr{/projects/0: expected an object with id and limit} ],
        [ [ { id => 'p-1', limit => { rate => 'fast' } } ], qr{/projects/0/limit/rate: expected a rate} ],
        [ [ { id => 'p-1', limit => { rate => '1/h', burst => 9000 } } ], qr{/projects/0/limit: expected .*burst that refills in 26 days} ],
        [ [ map { { id => 'p-1', limit => { rate => '1/h' } } } 1, 2 ], qr{/projects: expected each project once} ])
    {
        my ($projects, $says) = @$_;
        like import_text($dst, { version => 1, tenants => [], projects => $projects })->{err}, $says, 'a mistake is named';
    }
    $ctl->run('limit', 'set', '--project', $_, qw(--rate none)) for sort keys %$limits;
    is_deeply import_doc($dst, $doc, '--prune')->{doc}{projects}, { added => 0, changed => 0, removed => 1 }, 'all gone';
    is_deeply export($dst), $doc, 'as before';
};

subtest 'with another master key' => sub {
    my $third = Gateway::Redis->start;
    my $new = Gateway::Ctl->new($third);
    my ($mine, $old) = ($new->{env}{AMPERSAND_MASTER_KEY_FILE}, $ctl->{env}{AMPERSAND_MASTER_KEY_FILE});
    my $r = import_doc($new, $doc);
    is $r->{code}, 1, 'without the old one';
    like $r->{doc}{error}{message}, qr{/tenants/0/keys/0: .*sealed with master key [0-9a-f]{8}, which was not given}, 'the key is named';
    is_deeply dump_of($third), {}, 'nothing was written';
    is import_doc($new, $doc, '--master-key', $mine, '--master-key', $old)->{code}, 0, 'with both';
    my %checks = map { $_->{check} => $_ } @{ $new->json('doctor')->{doc}{checks} };
    like $checks{tenants}{message}, qr/1 with an active key that opens$/, 'the new one alone opens the key';
    is import_doc($new, $doc, '--master-key', $mine, '--master-key', $old)->{doc}{tenants}{unchanged}, 3, 'again: unchanged';
    my $none = $new->json({ env => { AMPERSAND_MASTER_KEY_FILE => undef } }, 'config', 'import', write_doc($new, $doc));
    is $none->{code}, 0, 'without any master key sealed texts are taken as they are' unless -e '/etc/ampersand/master.key';
};

subtest 'what the document leaves out stays; what it says is set' => sub {
    my $r = import_text($dst, { version => 1, tenants => [ { id => 'acme', project => { id => 'p-1' },
        limits => { default => { rate => '60/s' } }, grants => { allow => ['catalog'] } } ] }, '--dry-run');
    is $r->{code}, 0, '--dry-run';
    like $r->{out}, qr{^~ tenant acme$}m, 'the tenant';
    like $r->{out}, qr{^    /limits/default/rate: "50/s" -> "60/s"$}m, 'what changes';
    like $r->{out}, qr{^    /grants/allow: \["catalog","read"\] -> \["catalog"\]$}m, 'a list';
    unlike $r->{out}, qr/groups|deny|cache|tenant bare/, 'nothing else';
    is_deeply export($dst), $doc, 'but nothing is changed';

    my $json = import_doc($dst, { version => 1, tenants => [ { id => 'acme', project => { id => 'p-1' }, disabled => JSON::PP::true } ] }, '--dry-run')->{doc};
    is_deeply $json->{changes}, [ { change => 'changed', tenant => 'acme',
        differences => [ { place => '/disabled', before => JSON::PP::false, after => JSON::PP::true } ] } ], 'as JSON';

    import_doc($dst, { version => 1, tenants => [ { id => 'acme', project => { id => 'p-1' }, grants => { allow => ['catalog'] } } ] });
    my ($acme) = @{ export($dst)->{tenants} };
    is_deeply $acme->{grants}, { allow => ['catalog'], deny => ['listTopics'] }, 'the other list of grants stays';
    is_deeply [ @$acme{qw(groups cache limits keys tokens project)} ],
        [ @{ $doc->{tenants}[0] }{qw(groups cache limits keys tokens project)} ], 'and so does the rest';
    import_doc($dst, $doc);
    is_deeply export($dst), $doc, 'back again';
};

subtest 'what a token may is imported exactly' => sub {
    my $changed = $JSON->decode($JSON->encode($doc));
    my ($wide) = grep { !$_->{scope} } @{ $changed->{tenants}[0]{tokens} };
    my ($narrow) = grep { $_->{scope} } @{ $changed->{tenants}[0]{tokens} };
    $wide->{scope} = { grants => { deny => ['write'] }, groups => ['g1'] };
    $narrow->{scope} = undef;
    is_deeply import_doc($dst, $changed)->{doc}{tokens}, { added => 0, changed => 2, removed => 0 }, 'two tokens change';
    is_deeply export($dst), $changed, 'to what the document says, also to all that the tenant may';
    delete $_->{scope} for $wide, $narrow;
    is_deeply import_doc($dst, $changed)->{doc}{tokens}, { added => 0, changed => 0, removed => 0 }, 'without the member it stays';
    import_doc($dst, $doc);
    is_deeply export($dst), $doc, 'back again';
};

subtest '--prune removes what is not in the document' => sub {
    my $less = $JSON->decode($JSON->encode($doc));
    splice @{ $less->{tenants} }, 1, 1;
    my $gone = shift @{ $less->{tenants}[0]{tokens} };
    is import_doc($dst, $less)->{code}, 0, 'without it';
    is_deeply export($dst), $doc, 'all stays';
    like import_text($dst, $less, '--prune', '--dry-run')->{out}, qr/^- tenant bare\n- token \Q$gone->{id}\E\n/m, '--dry-run';
    is_deeply export($dst), $doc, 'all stays';

    my $events = $other->subscribe('amp:events');
    $less->{tenants}[0]{disabled} = JSON::PP::true;
    push @{ $less->{tenants}[0]{tokens} }, { id => 'acme.0123456789', digest => '0' x 63 . '1' };
    my $r = import_doc($dst, $less, '--prune');
    is_deeply $r->{doc}, { tenants => { added => 0, changed => 1, removed => 1, unchanged => 1 },
        tokens => { added => 1, changed => 0, removed => 1 } }, 'removed';
    is_deeply [ map { $_->{id} } @{ export($dst)->{tenants} } ], [qw(acme off)], 'the tenant';
    ok !$other->command('EXISTS', "amp:token:$gone->{digest}"), 'the token';
    my @seen;
    while (my $text = $events->message(60)) {
        my $event = decode_json $text;
        push @seen, $event->{tenant} . ' ' . ($event->{token} // '');
        last if $seen[-1] =~ /1\z/ && $seen[-1] =~ /0{63}/;
    }
    is_deeply [ grep { /^acme/ } @seen ], [ "acme $gone->{digest}", 'acme ', 'acme ' . '0' x 63 . '1' ],
        'first rights are taken away, then the record is written, then tokens are added';
    like $seen[0], qr/^bare/, 'and removed tenants come before all';
    import_doc($dst, $doc, '--prune');
    is_deeply export($dst), $doc, 'back again';
    my $labelled = $JSON->decode($JSON->encode($doc));
    $labelled->{tenants}[0]{label} = 'a note';
    import_doc($dst, $labelled);
    is_deeply export($dst), $labelled, 'a label';
    import_doc($dst, $doc);
    is_deeply export($dst), $labelled, 'stays without --prune';
    import_doc($dst, $doc, '--prune');
    is_deeply export($dst), $doc, 'and goes with it';
};

subtest 'keys from files' => sub {
    $dst->file('plain.key', "sk_canary_plain\n");
    my $with = { version => 1, tenants => [ { id => 'filed', project => { id => 'p' },
        keys => [ { id => 'main', state => 'active', file => 'plain.key' } ] } ] };
    is import_doc($dst, $with)->{doc}{tenants}{added}, 1, 'a file, from the directory of the document on';
    is import_doc($dst, $with)->{doc}{tenants}{unchanged}, 1, 'again: the same key is not sealed anew';
    unlike $JSON->encode(dump_of($other)), qr/sk_canary/, 'Redis has it sealed';
    $dst->file('plain.key', "sk_canary_next\n");
    like import_text($dst, $with, '--dry-run')->{out}, qr{^    /keys: "a key" -> "another key"$}m, 'another key in the file';
    is import_doc($dst, $with)->{doc}{tenants}{changed}, 1, 'is taken';
    $with->{tenants}[0]{keys} = [ { id => 'second', state => 'active', file => 'plain.key' } ];
    import_doc($dst, $with);
    is_deeply [ map { "$_->{id} $_->{state}" } @{ $dst->json(qw(key list filed))->{doc} } ], [ 'second active', 'main retired' ],
        'a key that is not in the list is retired';
    import_doc($dst, $with, '--prune', '--dry-run');
    $dst->run(qw(tenant remove filed));
};

# A mistake in a document: what the message says.

subtest 'a mistake changes nothing, and its message says where it is and what is expected' => sub {
    my $before = dump_of($other);
    my $tenant = sub { return { version => 1, tenants => [ { id => 'good', project => { id => 'p' } }, { id => 'x', project => { id => 'p' }, @_ } ] } };
    my $token = sub { $tenant->(tokens => [ { id => 'x.0123456789', digest => 'a' x 64, @_ } ]) };
    my @mistakes = (
        [ '', qr/line 1: expected an object with version and tenants/ ],
        [ "\n\n[]", qr/line 3: expected an object/ ],
        [ '{}', qr/expected valid JSON/ ],
        [ '{"tenants":[]}', qr/expected the member "version", which is 1/ ],
        [ '{"version":2,"tenants":[]}', qr/expected "version": 1, "tenants", perhaps "projects", and no other member/ ],
        [ '{"version":1}', qr/expected the member "tenants"/ ],
        [ '{"version":1,"tenants":[],"tenants":[]}', qr/and no other member/ ],
        [ '{"version":1,"tenant":[]}', qr/and no other member/ ],
        [ '{"version":1,"tenants":{}}', qr/expected an array of tenants/ ],
        [ '{"version":1,"tenants":[]', qr/expected the end of the object/ ],
        [ '{"version":1,"tenants":[]}x', qr/expected the end of the file/ ],
        [ '{"version":1,"tenants":[]} {}', qr/expected the end of the file/ ],
        [ "{\"version\":1,\"tenants\":[\n{\"id\":\"a\",\n\"id\":\"a\"}]}", qr/line 3: expected each member of an object once/ ],
        [ "{\"version\":1,\n\"tenants\":[\n{\"id\":\"a\",]}", qr/line 3: expected valid JSON/ ],
        [ '{"version":1,"tenants":[{"id":"a","project":{"id":"p"}} {}]}', qr/expected a comma or \]/ ],
        [ { version => 1, tenants => [7] }, qr{/tenants/0: expected an object with at least id and project} ],
        [ { version => 1, tenants => [ { id => 'a' } ] }, qr{/tenants/0: expected an object with at least id and project} ],
        [ { version => 1, tenants => [ { id => '../a', project => { id => 'p' } } ] }, qr{/tenants/0/id: expected 1 to 64 characters} ],
        [ { version => 1, tenants => [ { id => "a\nb", project => { id => 'p' } } ] }, qr{/tenants/0/id: expected 1 to 64 characters} ],
        [ { version => 1, tenants => [ { id => "a\0b", project => { id => 'p' } } ] }, qr{expected valid JSON} ],
        [ $tenant->(id => 'good'), qr/expected each tenant once, and good is there twice/ ],
        [ $tenant->(rev => 1), qr{/tenants/1/rev: expected no member of this name} ],
        [ $tenant->(project => {}), qr{/tenants/1/project: expected an object with id} ],
        [ $tenant->(project => { id => 'p q' }), qr{/tenants/1/project/id: expected the project's id} ],
        [ $tenant->(project => { id => 'p', name => 'a b' }), qr{/tenants/1/project/name: } ],
        [ $tenant->(disabled => 'no'), qr{/tenants/1/disabled: expected true or false} ],
        [ $tenant->(grants => []), qr{/tenants/1/grants: expected an object with allow} ],
        [ $tenant->(grants => { allow => 'read' }), qr{/tenants/1/grants/allow: expected an array of classes} ],
        [ $tenant->(grants => { allow => [ 'read', 7 ] }), qr{/tenants/1/grants/allow/1: expected a class} ],
        [ $tenant->(grants => { deny => ['nope'] }), qr{/tenants/1/grants/deny/0: .*"nope" names no operation} ],
        [ $tenant->(groups => ["a\tb"]), qr{/tenants/1/groups/0: .*groupRef} ],
        [ $tenant->(groups => [ 1 .. 65 ]), qr{/tenants/1/groups: expected an array of at most 64} ],
        [ $tenant->(limits => { all => { rate => '5/s' } }), qr{/tenants/1/limits/all: expected no member of this name} ],
        [ $tenant->(limits => { default => '5/s' }), qr{/tenants/1/limits/default: expected an object with rate} ],
        [ $tenant->(limits => { default => { rate => 5 } }), qr{/tenants/1/limits/default/rate: expected a rate: 50/s} ],
        [ $tenant->(limits => { default => { rate => '5' } }), qr{/tenants/1/limits/default/rate: expected a rate: 50/s} ],
        [ $tenant->(limits => { read => { rate => '1/h', burst => 10000 } }), qr{/tenants/1/limits/read: .*burst of 10000 takes longer} ],
        [ $tenant->(limits => { default => { rate => '5/s', burst => 0 } }), qr{/tenants/1/limits/default/burst: expected requests at once} ],
        [ $tenant->(limits => { concurrency => 0 }), qr{/tenants/1/limits/concurrency: expected requests in flight} ],
        [ $tenant->(cache => { read => 300 }), qr{/tenants/1/cache/read: expected a lifetime} ],
        [ $tenant->(cache => { 'no/pe~' => '5m' }), qr{/tenants/1/cache/no~1pe~0: .*is not an operation or class} ],
        [ $tenant->(cache => { read => '31d' }), qr{/tenants/1/cache/read: .*is not a time} ],
        [ $tenant->(keys => [ { id => 'k', state => 'active' } ]), qr{/tenants/1/keys/0: .*either sealed or file} ],
        [ $tenant->(keys => [ { id => 'k', state => 'used', file => 'x' } ]), qr{/tenants/1/keys/0/state: expected active or retired} ],
        [ $tenant->(keys => [ { id => 'k', state => 'active', file => '/nonexistent' } ]), qr{/tenants/1/keys/0: .*/nonexistent} ],
        [ $tenant->(keys => [ { id => 'k', state => 'active', sealed => 'sk_canary_plain' } ]), qr{/tenants/1/keys/0/sealed: expected the key as a master key has sealed it} ],
        [ $tenant->(keys => [ { id => 'k', state => 'active', sealed => $doc->{tenants}[0]{keys}[0]{sealed} } ]), qr{/tenants/1/keys/0: .*that of another tenant or key} ],
        [ $tenant->(keys => [ map { { id => $_, state => 'active', file => 'plain.key' } } qw(k l) ]), qr{/tenants/1/keys/1: .*one active key} ],
        [ $tenant->(keys => [ map { { id => 'k', state => $_, file => 'plain.key' } } qw(active retired) ]), qr{/tenants/1/keys/1: .*each key id once} ],
        [ $tenant->(tokens => [ { id => 'x.0123456789' } ]), qr{/tenants/1/tokens/0: expected an object with at least id and digest} ],
        [ $token->(scope => 'read'), qr{/tenants/1/tokens/0/scope: expected what the token may do} ],
        [ $token->(scope => { all => 1 }), qr{/tenants/1/tokens/0/scope/all: expected no member of this name} ],
        [ $token->(scope => { grants => { allow => ['nope'] } }), qr{/tenants/1/tokens/0/scope: .*no class, tag or operationId} ],
        [ $token->(scope => { grants => { deny => ['nope'] } }), qr{/tenants/1/tokens/0/scope: .*"scope.grants.deny"} ],
        [ $token->(scope => { groups => [] }), qr{/tenants/1/tokens/0/scope: .*"scope.groups"} ],
        [ $token->(scope => { limit => { rate => '5' } }), qr{/tenants/1/tokens/0/scope/limit/rate: expected a rate} ],
        [ $token->(scope => { origins => ['*'] }), qr{/tenants/1/tokens/0/scope/origins/0: expected an origin} ],
        [ $token->(scope => { origins => ['https://A'] }), qr{/tenants/1/tokens/0/scope: .*"scope.origins"} ],
        [ $token->(id => 'y.0123456789'), qr{/tenants/1/tokens/0: expected an id that begins with the id of its tenant} ],
        [ $token->(id => 'x.01234'), qr{/tenants/1/tokens/0/id: expected the tenant's id, a dot, and 10} ],
        [ $token->(digest => 'A' x 64), qr{/tenants/1/tokens/0/digest: expected the token's SHA-256} ],
        [ $token->(digest => 'agw_canary'), qr{/tenants/1/tokens/0/digest: expected the token's SHA-256} ],
        [ $token->(expires => 'never'), qr{/tenants/1/tokens/0/expires: expected Unix seconds, or null} ],
        [ $token->(created => -1), qr{/tenants/1/tokens/0/created: expected Unix seconds} ],
        [ $token->(label => 'x' x 129), qr{/tenants/1/tokens/0/label: expected a note} ],
        [ $token->(digest => $doc->{tenants}[0]{tokens}[0]{digest}), qr{/tenants/1/tokens/0: expected a digest that no other token has in Redis} ],
        [ $tenant->(tokens => [ map { { id => "x.012345678$_", digest => 'b' x 64 } } 1, 2 ]), qr/expected each digest once/ ],
        [ $tenant->(tokens => [ map { { id => 'x.0123456789', digest => $_ x 64 } } 1, 2 ]), qr{/tenants/1/tokens/1: expected an id that no other token} ],
        [ $tenant->(groups => [ map { 'g' x 254 . $_ } 10 .. 73 ]), qr{/tenants/1: expected a tenant that the gateway can read} ],
    );
    for my $case (@mistakes) {
        my ($bad, $like) = @$case;
        my $r = import_text($dst, $bad, '--prune');
        is $r->{code}, 1, 'exit 1' or diag $JSON->encode($bad);
        like $r->{err}, $like, substr $like, 0, 100;
        like $r->{err}, qr/\n  nothing was changed/, 'and says so';
        unlike $r->{err}, qr/sk_canary|agw_/, 'no secret';
    }
    is_deeply dump_of($other), $before, 'Redis is as it was';
    is $dst->run('config', 'import', '/nonexistent')->{code}, 1, 'no such file';
    is $dst->run('config', 'import', $dst->dir)->{code}, 1, 'a directory';
    is $dst->run('config', 'import')->{code}, 2, 'no file named';
    is $dst->run({ stdin => $JSON->encode($doc) }, 'config', 'import', '-')->{code}, 0, 'standard input';
};

subtest 'documents with random damage never crash it, and change all or nothing' => sub {
    my $seed = $ENV{SEED} // int rand 1e9;
    srand $seed;
    note "SEED=$seed";
    my $text = JSON::PP->new->utf8->canonical->encode($doc);
    my @parts = ('{', '}', '[', ']', ',', ':', '"', '\\', "\0", "\xff", '0', '-', 'null', '[' x 3000, '{"a":' x 3000, '\u0000', '1e999');
    my $third = Gateway::Redis->start;
    my $new = Gateway::Ctl->new($third);
    $new->{env}{AMPERSAND_MASTER_KEY_FILE} = $ctl->{env}{AMPERSAND_MASTER_KEY_FILE};
    my %seen;
    for my $round (1 .. 80) {
        my $bad = $text;
        for (0 .. rand 3) {
            my $at = int rand length $bad;
            my $kind = int rand 3;
            substr($bad, $at, $kind ? 1 + rand 4 : 0) = $kind == 2 ? '' : $parts[ rand @parts ];
        }
        my $r = $new->run('config', 'import', $new->file('bad.json', $bad));
        $seen{ $r->{code} }++;
        ok $r->{code} == 0 || $r->{code} == 1, 'exit code' or diag "SEED=$seed round $round: $r->{code} $r->{err}";
        is_deeply dump_of($third), {}, 'nothing written' or diag "SEED=$seed round $round: $r->{err}" if $r->{code};
        $third->command('FLUSHALL');
    }
    ok $seen{1}, 'most are refused';
};

subtest 'an import that is killed can be run again' => sub {
    my $many = { version => 1, tenants => [ map { { id => "m$_", project => { id => 'p' },
        limits => { default => { rate => '5/s', burst => 5 } }, tokens => [ { id => "m$_.0123456789", digest => sprintf '%064x', $_ } ] } } 1 .. 400 ] };
    my $third = Gateway::Redis->start;
    my $new = Gateway::Ctl->new($third);
    my $file = $new->file('many.json', $JSON->encode($many));
    my $before = 0;
    for my $round (1 .. 6) {
        my $job = $new->start('config', 'import', $file);
        Gateway::Redis::wait_for(sub { $third->command('SCARD', 'amp:tenants') > $before || waitpid($job->{pid}, 1) != 0 });
        kill 'KILL', $job->{pid};
        waitpid $job->{pid}, 0;
        $before = $third->command('SCARD', 'amp:tenants');
        my @orphans = grep { my $t = decode_json($third->command('GET', $_))->{tenant}; !$third->command('EXISTS', "amp:tenant:$t") }
            @{ $third->command('KEYS', 'amp:token:*') };
        is_deeply \@orphans, [], 'no token is there before its tenant';
    }
    is $new->run('config', 'import', $file)->{code}, 0, 'run to its end';
    my $got = export($new);
    is_deeply [ map { $_->{id} } @{ $got->{tenants} } ], [ sort map { "m$_" } 1 .. 400 ], 'all tenants';
    is scalar(grep { @{ $_->{tokens} } == 1 } @{ $got->{tenants} }), 400, 'each with its token';
    is $new->run(qw(token list m7))->{code}, 0, 'which is listed';
};

done_testing;
