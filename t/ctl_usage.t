#!/usr/bin/perl

# ampctl: help, options, exit codes and the shape of errors.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Gateway::Ctl;
use Gateway::Redis;

my $redis = Gateway::Redis->start;
my $ctl   = Gateway::Ctl->new($redis);

my @commands = (
    [qw(masterkey new)], [qw(masterkey rewrap)],
    (map { [ 'tenant', $_ ] } qw(add list show set disable enable remove)),
    (map { [ 'token', $_ ] } qw(issue list show rotate revoke)), ['freeze'], ['thaw'],
    (map { [ 'key', $_ ] } qw(set list verify retire)),
    (map { [ $_, 'set' ], [ $_, 'show' ] } qw(limit grant)), [qw(grant add)], [qw(grant remove)],
    (map { [ 'cache', $_ ] } qw(set show purge)), [qw(gateway list)], [qw(gateway wait)], [qw(cooldown list)], [qw(cooldown clear)], [qw(config export)], [qw(config import)], ['audit'], ['operations'], ['explain'], ['doctor'], ['repair'], ['completion'], ['version'],
);

subtest 'every command has its own help, and the overview names it' => sub {
    my $all = $ctl->run;
    is $all->{code}, 0, 'ampctl alone';
    is $ctl->run('--help')->{out}, $all->{out}, '--help';
    is $ctl->run('help')->{out}, $all->{out}, 'help';
    for my $command (@commands) {
        my $r = $ctl->run(@$command, '--help');
        is $r->{code}, 0, "@$command --help";
        like $r->{out}, qr/^usage: ampctl @$command\b/, 'names the command';
        like $all->{out}, qr/^  @$command\b/m, 'the overview has it';
        is $ctl->run('help', @$command)->{out}, $r->{out}, "help @$command";
        unlike $r->{out}, qr/^.{81}/m, 'no line is longer than 80 columns';
    }
    like $ctl->run('help', 'tenant')->{out}, qr/tenant add.*tenant remove/s, 'help of a noun';
    like $ctl->run('tenant', '--help')->{out}, qr/tenant add.*tenant remove/s, 'noun --help';
};

subtest 'the version' => sub {
    like $ctl->run('--version')->{out}, qr/^ampctl \d+\.\d+\.\d+$/, 'as text';
    like $ctl->json('--version')->{doc}{version}, qr/^\d+\.\d+\.\d+$/, 'as JSON';
};

subtest 'version: the build and its libraries' => sub {
    my $doc = $ctl->json('version')->{doc};
    is $doc->{version}, $ctl->json('--version')->{doc}{version}, 'version';
    like $doc->{nginx}, qr/^1\.\d+\.\d+$/, 'nginx';
    like $doc->{compiler}, qr/^(?:gcc|clang) \d/, 'compiler';
    like $doc->{libraries}{$_}, qr/\d+\.\d+/, $_ for qw(hiredis jansson curl openssl);
    like $ctl->run('version')->{out}, qr/^ampctl +\d.*\n.*^nginx +1\..*^openssl +OpenSSL/ms, 'as text';
};

subtest 'a word that is nearly right: did you mean' => sub {
    for my $case (
        [ [qw(tenent list)], 'tenant' ], [ [qw(tenant lsit)], 'list' ], [ [qw(help tokne)], 'token' ],
        [ [qw(help token isue)], 'issue' ], [ [qw(TENANT list)], 'tenant' ], [ [qw(tenant list --jsno)], '--json' ],
        [ [qw(token issue a --expire 90d)], '--expires' ], [ [qw(tenant list --prefx=x)], '--prefix' ],
        [ [qw(grant add a --allow listIntegration)], 'listIntegrations' ], [ [qw(grant add a --allow reed)], 'read' ],
        [ [qw(limit set a --rate 5/s --class writ)], 'write' ], [ [qw(cache set a --ttl 5m --for listintegrations)], 'listIntegrations' ],
        [ [qw(cache purge a --family conections)], 'connections' ], [ [qw(operations --api serach)], 'search' ],
    ) {
        my ($args, $word) = @$case;
        my $r = $ctl->run(@$args);
        is $r->{code}, 2, "@$args";
        like $r->{err}, qr/, did you mean "$word"\?\n/, 'the word';
    }
    for my $args ([qw(xyzzy)], [qw(tenant list --xyzzy)], [qw(grant add a --allow quux)], [qw(tenant list -x)]) {
        unlike $ctl->run(@$args)->{err}, qr/did you mean/, "@$args is near to none";
    }
};

subtest 'colour on a terminal only, and not with NO_COLOR' => sub {
    plan skip_all => 'no script' if system('command -v script > /dev/null 2>&1') != 0;
    my $bin = $FindBin::Bin . '/../' . Gateway::Ctl::binary();
    my $on  = sub { my ($env) = @_; return scalar qx(env $env script -qc '$bin nope' /dev/null < /dev/null 2>&1) };
    like $on->('NO_COLOR= TERM=xterm'), qr/^\e\[31mampctl:\e\[0m unknown/, 'a terminal';
    unlike $on->($_), qr/\e/, $_ for 'NO_COLOR=1 TERM=xterm', 'TERM=dumb', '-u TERM';
    unlike $ctl->run({ env => { TERM => 'xterm' } }, 'nope')->{err}, qr/\e/, 'a file';
};

subtest 'help as JSON is one document' => sub {
    like $ctl->json('key', 'set', '--help')->{doc}{help}, qr/--key-file/, 'help';
};

subtest 'wrong usage: exit 2, message and remedy on stderr' => sub {
    for my $args (
        ['nope'], ['tenant'], [qw(tenant nope)], [qw(tenant add)], [qw(tenant add a b --project p)],
        [qw(tenant list x)], [qw(help nope)], [qw(help tenant nope)],
        [qw(tenant list --nope)], [qw(tenant list -x)], [qw(tenant add a --project)],
        [qw(tenant add a --project p --project q)], [qw(tenant list --json=1)],
        ['tenant', 'show', '../x'], ['tenant', 'show', ''], ['tenant', 'add', 'a'],
        ['tenant', 'add', 'a', '--project', 'p/../q'],
        ['tenant', 'add', 'a', '--project', 'p', '--project-name', 'A B'],
        [qw(tenant add a --project p --rate 5)], [qw(tenant add a --project p --rate 0/s)],
        [qw(tenant add a --project p --burst 5)], [qw(tenant add a --project p --rate 5/s --burst 0)],
        [qw(tenant add a --project p --grant nope)], [qw(tenant add a --project p --deny createOrg)],
        ['tenant', 'add', 'a', '--project', 'p', '--group', "a\nb"],
        [qw(token issue a --expires never)], [qw(token issue a --expires 0d)],
        [qw(token issue a --expires 9y)], [qw(token issue a --expires 90)], ['token', 'issue', 'a', '--label', "a\tb"],
        [qw(token revoke nodot)], [qw(token rotate nodot)], [qw(token rotate a.0123456789 --overlap 5)],
        [qw(tenant set a)], ['tenant', 'set', 'a', '--project', '../p'], [qw(key set a)], ['key', 'retire', 'a', 'k 1'],
        [qw(limit set a)], [qw(limit set a --rate 5/s --class nope)], [qw(limit set a --rate x)],
        [qw(limit set a --rate 5/s --burst x)], [qw(limit set a --rate 5/s --class), "\xff"],
        [qw(grant set a)], [qw(grant add a)], [qw(grant add a --allow nope)], [qw(grant remove a --deny nope)],
        [qw(grant set a --allow nope)], [qw(grant set a --allow read --deny nope)],
        [qw(cache purge a --family nope)], [qw(cache set a)], [qw(cache set a --ttl x)],
        [qw(cache set a --ttl 5m --for nope)], [qw(cache set a --ttl 5m --for createGroup)],
        [qw(cache set a --ttl 5m --for catalog)], [qw(cache set a --ttl 31d)], [qw(cache set a --ttl 5m --for), "\xff"],
        [qw(operations --api nope)], [qw(audit --since yesterday)], [qw(audit --since 5)],
        [qw(tenant list --timeout x)], [qw(tenant list --timeout 0)],
        ['tenant', 'list', '--prefix', 'a b'], ['tenant', 'list', '--upstream', 'ftp://x'],
        ['tenant', 'list', '--upstream', 'http://u:p@x'],
    ) {
        my $r = $ctl->run(@$args);
        is $r->{code}, 2, "'@$args'";
        is $r->{out}, '', 'nothing on stdout';
        like $r->{err}, qr/\Aampctl: .+\n  .+\n\z/, 'message and remedy';
        my $doc = $ctl->json(@$args == 1 || $args->[-1] ne '--project' ? @$args : (@$args, 'p', 'x'));
        is $doc->{code}, 2, 'the same with --json';
        is_deeply [ sort keys %{ $doc->{doc}{error} } ], [qw(code message remedy)], 'one document';
        is $doc->{doc}{error}{code}, 'usage', 'code';
        is $doc->{err}, '', 'nothing on stderr';
    }
};

subtest 'an error in a grant points to the list of operations' => sub {
    my $r = $ctl->run(qw(grant set a --allow nope));
    like $r->{err}, qr/catalog, read, write, data, secrets/, 'classes';
    like $r->{err}, qr/ampctl operations/, 'pointer';
};

subtest 'global options may stand before or after the command' => sub {
    for my $args (
        [qw(--prefix one: tenant list)], [qw(tenant --prefix one: list)],
        [qw(tenant list --prefix one:)], [qw(tenant list --prefix=one:)],
    ) {
        my $r = $ctl->json(@$args);
        is $r->{code}, 0, "@$args";
        is_deeply $r->{doc}, [], 'a list';
    }
    is $ctl->run(qw(tenant add after --project p))->{code}, 0, 'options after arguments';
    is $ctl->run(qw(tenant add --project p before))->{code}, 0, 'options before arguments';
};

subtest 'the message about an unknown option does not show its value' => sub {
    my $r = $ctl->run('key', 'set', 'a', '--key=sk_canary_argv');
    is $r->{code}, 2, 'refused';
    unlike $r->{err}, qr/sk_canary/, 'not shown';
    $r = $ctl->run('key', 'set', 'a', 'sk_canary_argv', '--key-file', '-');
    is $r->{code}, 2, 'an argument too many';
    unlike $r->{err}, qr/sk_canary/, 'not shown';
};

subtest 'the examples of --help can be run as they are printed' => sub {
    my $home = $ctl->dir;
    $ctl->file('acme.key', "sk_canary_example\n");
    $ctl->file('key.txt', "sk_canary_example\n");
    $ctl->file('body.json', '{}');
    $ctl->file('access.log', '{"tenant":"acme","operation":"listIntegrations","decision":"pass"}' . "\n");
    $ctl->file('tenants.json', '{"version":1,"tenants":[]}');
    my $bin = $FindBin::Bin . '/../' . Gateway::Ctl::binary();
    my @lines;
    for my $command (@commands) {
        (my $text = $ctl->run(@$command, '--help')->{out}) =~ s/\\\n//g;
        my @examples = $text =~ /^ +(ampctl .*)$/mg;
        ok scalar(grep({ /^ampctl @$command\b/ } @examples)), "@$command: an example";
        push @lines, grep { !/^ampctl audit .*--follow/ } @examples;
    }
    $ctl->run('masterkey', 'new', "$home/old.key");
    my %env = (%{ $ctl->{env} }, HOME => $home);
    for my $line (@lines) {
        my ($words) = $line =~ /^ampctl (.*)/;
        local @ENV{ keys %env } = values %env;
        my $out = `cd $home && '$bin' $words 2>&1`;
        isnt $? >> 8, 2, $line or diag $out;
    }
};

subtest 'a reader that leaves is no error' => sub {
    pipe my $reader, my $writer or die "pipe: $!";
    close $reader;
    my $r = $ctl->run({ stdout => $writer }, 'operations');
    is $r->{code}, 0, 'exit 0';
    is $r->{err}, '', 'silent';
};

subtest 'control characters that others wrote reach no terminal' => sub {
    is $ctl->run(qw(tenant add shown --project p))->{code}, 0, 'a tenant';
    is $ctl->run('token', 'issue', 'shown', '--label', "r\xe2\x80\xaeecived\xc3\xa9")->{code}, 0, 'a label with U+202E';
    like $ctl->run(qw(token list shown))->{out}, qr/r\?ecived\xc3\xa9$/m, 'text';
    like $ctl->run(qw(token list shown --json))->{out}, qr/"r\\u202eecived\xc3\xa9"/, 'JSON has it escaped';
    my $r = $ctl->run('tenant', 'show', "x\xc2\x9b2J\x1b[31m\xc2\x85");
    like $r->{err}, qr/"x\?2J\?\[31m\?" is not a tenant id/, 'an argument';
    my $json = $ctl->run('tenant', 'show', '--json', "x\xc2\x9b2J");
    unlike $json->{out}, qr/[\x80-\xff]/, 'in JSON';
};

subtest 'output that cannot be written is an error' => sub {
    plan skip_all => 'no /dev/full' unless -c '/dev/full';
    my $r = $ctl->run({ stdout => '/dev/full' }, qw(tenant list --json));
    is $r->{code}, 1, 'exit 1';
    like $r->{err}, qr/standard output/, 'names the error';
};

done_testing;
