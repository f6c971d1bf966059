#!/usr/bin/perl

# ampctl: --dry-run changes nothing; ids that people take for one another.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use Test::More;

use Gateway::Ctl;
use Gateway::Redis;

my $redis  = Gateway::Redis->start;
my $ctl    = Gateway::Ctl->new($redis);
my $events = $redis->subscribe('amp:events');
my $key    = $ctl->file('acme.key', "sk_canary_dry\n");

$ctl->run(qw(tenant add acme --project p-1 --project-name alpha --key-file), $key);
$ctl->run(qw(key set acme --key-file), $key);
$redis->command(qw(SET amp:cooldown:{acme} 1 PX 600000));

sub everything {
    my %all;
    for my $name (sort @{ $redis->command('KEYS', '*') }) {
        my $type = $redis->command('TYPE', $name);
        $all{$name} = $type eq 'string' ? $redis->command('GET', $name)
            : $type eq 'hash' ? { @{ $redis->command('HGETALL', $name) } }
            : $type eq 'stream' ? $redis->command('XLEN', $name) : [ sort @{ $redis->command('SMEMBERS', $name) } ];
    }
    return \%all;
}

my ($token) = map { $_->{id} } @{ $ctl->json(qw(token list acme))->{doc} };
$ctl->run('masterkey', 'new', $ctl->dir . '/new.key');
my @new = ('--master-key', $ctl->dir . '/new.key', '--master-key', $ctl->{env}{AMPERSAND_MASTER_KEY_FILE});
$ctl->run(qw(freeze --class data));

my $doc = $ctl->file('doc.json', '{"version":1,"tenants":[{"id":"new","project":{"id":"p-9"}}]}');

my @changes = (
    [ qw(tenant add other --project p-2 --rate 5/s --key-file), $key ],
    [qw(tenant set acme --project-name beta)], [qw(tenant disable acme)], [qw(tenant enable acme)], [qw(tenant remove acme)],
    [ qw(key set acme --key-file), $key ], [qw(key retire acme k1)],
    [qw(limit set acme --rate 5/s)], [qw(limit set --project p-1 --rate 5/s)], [qw(limit set --project p-1 --rate 5/s)], [qw(grant set acme --allow read)], [qw(grant add acme --allow secrets)],
    [qw(grant remove acme --allow write)], [qw(cache set acme --ttl 5m)], [qw(cache purge acme)], [qw(cooldown clear acme)], ['repair'],
    [ qw(config import), $doc ], [ qw(config import), $doc, '--prune' ],
    [qw(token issue acme --label ci --expires 90d --allow read)], [qw(token issue acme)], [ qw(token revoke), $token ],
    [ qw(token rotate), $token ], [ qw(token rotate), $token, '--overlap', '0' ],
    ['freeze'], [qw(freeze --tenant acme --class write)], ['thaw'], [qw(thaw --tenant acme)], [ qw(masterkey rewrap), @new ],
);

subtest 'a change that could be made is said to be possible, and nothing changes' => sub {
    1 while defined $events->message(0.1);
    my $before = everything();
    for my $args (@changes) {
        my $r = $ctl->run(@$args, '--dry-run');
        is $r->{code}, 0, "@$args" or diag $r->{err};
        my $json = $ctl->json(@$args, '--dry-run');
        is $json->{code}, 0, 'as JSON';
        ok $json->{doc}{dry_run}, 'which says so';
    }
    is_deeply everything(), $before, 'Redis';
    is $events->message(0.1), undef, 'no event';
    unlike $ctl->said, qr/agw_\w+\W.*agw_\w/s, 'no token but the first was made';
};

subtest 'each command that changes something in Redis has --dry-run' => sub {
    my %reads = map { ($_ => 1) } 'masterkey new', 'tenant list', 'tenant show', 'token list', 'token show', 'key list', 'key verify',
        'limit show', 'grant show', 'cache show', 'audit', 'config export', 'cooldown list', 'gateway list', 'gateway wait', 'top',
        'events', 'operations', 'usage', 'explain', 'doctor', 'completion', 'version', 'identity list';
    my @commands = $ctl->run('help')->{out} =~ /^  ((?:[a-z]+)(?: [a-z]+)?)(?= |$)/mg;
    cmp_ok scalar @commands, '>', 40, @commands . ' commands';
    for my $command (@commands) {
        my $help = $ctl->run(split(/ /, $command), '--help')->{out};
        is $help =~ /^ +--dry-run /m ? 1 : 0, $reads{$command} ? 0 : 1, $command;
    }
};

subtest 'the difference is shown' => sub {
    my $out = sub { return $ctl->run(@_, '--dry-run')->{out} };
    my $is = sub { my ($name, $pattern, @args) = @_; like $out->(@args), $pattern, $name };
    my $sums = sub { my ($tenants, $tokens) = @_; return qr/^without --dry-run: tenants: $tenants; tokens: $tokens\n\z/m };
    my $one = $sums->('0 added, 1 changed, 0 removed, 0 unchanged', '0 added, 0 changed, 0 removed');
    $is->('tenant add', qr/\A\+ tenant other\n\+ token \(new\)\nwithout --dry-run: .*1 added, .*1 added/, qw(tenant add other --project p-2));
    $is->('tenant set', qr/\A~ tenant acme\n    \/project\/name: "alpha" -> "beta"\n$one/, qw(tenant set acme --project-name beta));
    $is->('tenant disable', qr/\A~ tenant acme\n    \/disabled: false -> true\n$one/, qw(tenant disable acme));
    $is->('what is so already', qr/\Awithout --dry-run: .* 1 unchanged/, qw(tenant enable acme));
    $is->('tenant remove', qr/\A- tenant acme\n- token \Q$token\E\nwithout .*1 removed, .*1 removed\n\z/, qw(tenant remove acme));
    $is->('key set', qr{\A~ tenant acme\n    /keys: .*"k3"}, qw(key set acme --key-file), $key);
    $is->('key retire', qr{\A~ tenant acme\n    /keys: .*"k1".* -> (?!.*"k1")}, qw(key retire acme k1));
    $is->('cache purge', qr/answers with integrations of project p-1 would no longer be used/, qw(cache purge acme --family integrations));
    $is->('cooldown clear', qr/1 cool-down of tenant acme would end/, qw(cooldown clear acme));
    $is->('token issue', qr/\A\+ token \(new\)\n    \/tenant: null -> "acme"\n    \/label: null -> "ci"\n    \/expires: null -> "\d{4}-[^"]+Z"\n.*\/scope: .*"read".*1 added/s,
        qw(token issue acme --label ci --expires 90d --allow read));
    $is->('token revoke', qr/\A- token \Q$token\E\n/, qw(token revoke), $token);
    $is->('token rotate', qr/\A\+ token \(new\)\n.*^~ token \Q$token\E\n    \/expires: null -> "\d{4}-/ms, qw(token rotate), $token);
    $is->('token rotate --overlap 0', qr/^- token \Q$token\E\n.*1 added, 0 changed, 1 removed/ms, qw(token rotate), $token, qw(--overlap 0));
    $is->('freeze', qr/\Afrozen for all tenants: data\nwithout --dry-run: write, data\n\z/, qw(freeze --class write));
    $is->('thaw', qr/\Afrozen for all tenants: data\nwithout --dry-run: nothing\n\z/, qw(thaw));
    $is->('freeze --tenant', qr/\Afrozen for tenant acme: nothing\nwithout --dry-run: read\n\z/, qw(freeze --tenant acme --class read));
    $is->('masterkey rewrap', qr/\Awithout --dry-run: keys sealed again with master key \w+: 2; sealed with it before: 0\n\z/, qw(masterkey rewrap), @new);
    my $rows = $ctl->json(qw(token rotate), $token, '--dry-run')->{doc};
    is $rows->{changes}[0]{token}, undef, 'JSON: a token that is not made has no id';
    is $rows->{changes}[1]{differences}[0]{place}, '/expires', 'and what changes of the old one';
    is_deeply $ctl->json(qw(thaw --dry-run))->{doc}, { dry_run => JSON::PP::true, tenant => undef, before => ['data'], frozen => [] }, 'of a thaw';
};

subtest 'a change that could not be made is refused as without --dry-run' => sub {
    for my $args ([ qw(tenant add acme --project p-2) ], [qw(tenant set nobody --project p)], [qw(tenant disable nobody)],
        [qw(tenant remove nobody)], [ qw(key set nobody --key-file), $key ], [qw(key retire acme k9)], [qw(cache purge nobody)],
        [qw(cooldown clear nobody)], [qw(tenant add ACME --project p-2)], [qw(token issue nobody)],
        [qw(token issue acme --allow secrets)], [qw(token revoke acme.0123456789)], [qw(token rotate acme.0123456789)],
        [qw(freeze --tenant nobody)]) {
        my ($dry, $real) = ($ctl->run(@$args, '--dry-run'), $ctl->run(@$args));
        is $dry->{code}, 1, "@$args";
        is $dry->{err}, $real->{err}, 'the same message';
    }
};

subtest 'ids that differ only in case do not coexist' => sub {
    my $r = $ctl->run(qw(tenant add Acme --project p-2));
    is $r->{code}, 1, 'refused';
    like $r->{err}, qr/there is a tenant "acme", whose id differs from "Acme" only in case\n.*ampctl tenant show acme/, 'message';
    $ctl->run(qw(tenant add a.c-m_e --project p-2));
    is $ctl->run(qw(tenant add axc-m_e --project p-2))->{code}, 0, 'a dot is only itself';
    my $import = sub { my ($text) = @_; return $ctl->run('config', 'import', $ctl->file('twins.json', $text)) };
    like $import->('{"version":1,"tenants":[{"id":"ACME","project":{"id":"p"}}]}')->{err},
        qr/tenants "(?:ACME|acme)" and "(?:ACME|acme)" differ only in case/, 'one of a file and one in Redis';
    like $import->('{"version":1,"tenants":[{"id":"x","project":{"id":"p"}},{"id":"X","project":{"id":"p"}}]}')->{err},
        qr/differ only in case\n.*nothing was changed/, 'two of a file';
    is $redis->command(qw(EXISTS amp:tenant:x)), 0, 'nothing was changed';
};

subtest 'doctor names one project under two names, and ids from before that differ in case' => sub {
    $ctl->run(qw(tenant add second --project p-1 --project-name gamma));
    my $record = decode_json $redis->command(qw(GET amp:tenant:second));
    $record->{id} = 'Second';
    $redis->command('SET', 'amp:tenant:Second', encode_json($record));
    $redis->command(qw(SADD amp:tenants Second));
    my %check = map { ("$_->{check} $_->{status}" => $_) } @{ $ctl->json('doctor')->{doc}{checks} };
    like $check{'projects warn'}{message}, qr/another name for a project.*(?:econd|acme)/, 'projects';
    like $check{'projects warn'}{remedy}, qr/tenant set ID --project-name/, 'remedy';
    like $check{'tenant ids warn'}{message}, qr/differs from another one only in case: [Ss]econd/, 'ids';
};

unlike $ctl->said, qr/sk_canary/, 'no key was printed';

done_testing;
