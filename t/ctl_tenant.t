#!/usr/bin/perl

# ampctl tenant: add, list, show, disable, enable, remove.

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

sub record { my $text = $redis->command('GET', "amp:tenant:$_[0]"); $text && decode_json $text }
sub event { my $text = $events->message(2); $text && decode_json $text }
sub drain { 1 while defined $events->message(0.1) }

subtest 'an empty store lists nothing and says how to begin' => sub {
    is_deeply $ctl->json(qw(tenant list))->{doc}, [], 'JSON';
    like $ctl->run(qw(tenant list))->{out}, qr/tenant add/, 'text';
};

subtest 'add: the defaults' => sub {
    my $r = $ctl->json(qw(tenant add acme --project p-1));
    is $r->{code}, 0, 'done';
    is $r->{doc}{tenant}, 'acme', 'tenant';
    like $r->{doc}{id}, qr/\Aacme\.[0-9A-Za-z]{10}\z/, 'token id';
    like $r->{doc}{token}, qr/\Aagw_[0-9A-Za-z]{36}\z/, 'token';

    my $record = record('acme');
    ok delete $record->{rev} > 0, 'a revision';
    ok delete $record->{incarnation} > 0, 'an incarnation';
    is_deeply $record, {
        v => 1, id => 'acme', project => { id => 'p-1', name => '' }, keys => [],
        grants => { allow => [qw(catalog read write data)], deny => [] },
        groups => [], limits => {}, cache => {}, disabled => JSON::PP::false,
    }, 'record';
    is_deeply $redis->command('SMEMBERS', 'amp:tenants'), ['acme'], 'is in the set of tenants';

    my $first = event();
    is $first->{type}, 'tenant', 'event of the record';
    is $first->{tenant}, 'acme', 'tenant';
    is $first->{rev}, record('acme')->{rev}, 'rev';
    is event()->{type}, 'token', 'event of the token';
};

subtest 'add: all options' => sub {
    my $file = $ctl->file('key', "sk_canary_add\n");
    my $r = $ctl->json(qw(tenant add full --project P.2 --project-name My-Project --key-file), $file,
        qw(--rate 50/s --burst 100 --grant default --grant secrets --grant secrets
           --deny deleteConnection --deny tag:notification), '--group', 'g 1', '--group', "gr\xc3\xbc\xc3\x9fe");
    is $r->{code}, 0, 'done';
    is $r->{doc}{key}, 'k1', 'key';
    my $record = record('full');
    is_deeply $record->{project}, { id => 'P.2', name => 'My-Project' }, 'project';
    is_deeply $record->{grants}{allow}, [qw(catalog read write data secrets)], 'allow';
    is_deeply $record->{grants}{deny}, [qw(deleteConnection tag:notification)], 'deny';
    is_deeply $record->{groups}, [ 'g 1', "gr\x{fc}\x{df}e" ], 'groups';
    is_deeply $record->{limits}, { default => { rate => '50/s', burst => 100 } }, 'limits';
    is $record->{keys}[0]{state}, 'active', 'key state';
    like $record->{keys}[0]{sealed}, qr/\Av1\.[0-9a-f]{8}\.[\w-]+\z/, 'sealed';
    is_deeply $ctl->json(qw(tenant add burst --project p --rate 600/m))->{doc}{key}, undef, 'no key';
    is record('burst')->{limits}{default}{burst}, 600, 'a rate alone has its number as burst';
};

subtest 'add: --grant with one class grants that class only' => sub {
    is $ctl->run(qw(tenant add narrow --project p --grant catalog))->{code}, 0, 'done';
    is_deeply record('narrow')->{grants}{allow}, ['catalog'], 'allow';
};

subtest 'add: as text, the token is shown once, on its own line' => sub {
    my $r = $ctl->run(qw(tenant add human --project p));
    is scalar(() = $r->{out} =~ /^agw_[0-9A-Za-z]{36}$/mg), 1, 'token';
    like $r->{out}, qr/shown this once/, 'note';
    like $r->{out}, qr/next: .*ampctl key set human/, 'next step';
};

subtest 'add twice is refused and changes nothing' => sub {
    my $before = $redis->command('GET', 'amp:tenant:acme');
    my $r = $ctl->json(qw(tenant add acme --project other));
    is $r->{code}, 1, 'exit 1';
    is $r->{doc}{error}{code}, 'exists', 'code';
    is $redis->command('GET', 'amp:tenant:acme'), $before, 'record';
    is $redis->command('HLEN', 'amp:tokens:acme'), 1, 'no second token';
};

subtest 'add with a bad key file writes nothing' => sub {
    for my $text ('', "\n", "two words", "caf\xc3\xa9", "a\nb", "x\0y", 'x' x 513) {
        my $r = $ctl->json(qw(tenant add bad --project p --key-file), $ctl->file('bad', $text));
        is $r->{code}, 1, 'refused';
        is $r->{doc}{error}{code}, 'bad_secret', 'code';
    }
    is $ctl->run(qw(tenant add bad --project p --key-file /nonexistent))->{code}, 1, 'no file';
    ok !$redis->command('EXISTS', 'amp:tenant:bad'), 'no record';
    ok !$redis->command('SISMEMBER', 'amp:tenants', 'bad'), 'not in the set';
};

subtest 'add with a record that the gateway could not read writes nothing' => sub {
    my $r = $ctl->json(qw(tenant add large --project p), map { ('--group', 'g' x 254 . $_) } 10 .. 73);
    is $r->{code}, 1, 'exit 1';
    is $r->{doc}{error}{code}, 'bad_record', 'code';
    like $r->{doc}{error}{message}, qr/nothing was written.*too large/, 'message';
    ok !$redis->command('EXISTS', 'amp:tenant:large'), 'no record';
    ok !$redis->command('SISMEMBER', 'amp:tenants', 'large'), 'not in the set';
};

subtest 'list and show' => sub {
    my $list = $ctl->json(qw(tenant list))->{doc};
    is_deeply [ map { $_->{id} } @$list ], [qw(acme burst full human narrow)], 'in order';
    my ($full) = grep { $_->{id} eq 'full' } @$list;
    is_deeply [ sort keys %{ $full->{keys}[0] } ], [qw(id master state)], 'no sealed text';
    my $show = $ctl->json(qw(tenant show full))->{doc};
    is delete $show->{tokens}, 1, 'tokens';
    is_deeply $show, $full, 'the same in show';

    my @lines = split /\n/, $ctl->run(qw(tenant list))->{out};
    like $lines[0], qr/^TENANT +STATE +PROJECT/, 'heads';
    is index($lines[1], 'enabled'), index($lines[0], 'STATE'), 'aligned';
    like $ctl->run(qw(tenant show full))->{out}, qr/^limit +default 50\/s, burst 100$/m, 'text';
    unlike $ctl->said, qr/v1\.[0-9a-f]{8}\./, 'sealed texts are not shown';
};

subtest 'an unknown tenant is exit 1 with each command' => sub {
    my $key = $ctl->file('key', 'sk');
    for my $args (
        [qw(tenant show)], [qw(tenant disable)], [qw(tenant enable)], [qw(tenant remove)],
        [qw(token issue)], [qw(token list)], [qw(key list)], [qw(key verify)],
        [qw(limit show)], [qw(grant show)], [qw(cache purge)], [qw(cache show)],
        [qw(limit set --rate 5/s)], [qw(cache set --ttl 5m)], [qw(grant set --allow read)],
        [qw(key set --key-file), $key],
    ) {
        my $r = $ctl->json(@$args, 'nobody');
        is $r->{code}, 1, "@$args";
        is $r->{doc}{error}{code}, 'not_found', 'code';
    }
    is $ctl->json(qw(key retire nobody k1))->{doc}{error}{code}, 'not_found', 'key retire';
    ok !$redis->command('EXISTS', 'amp:tokens:nobody'), 'no token index for an unknown tenant';
};

subtest 'disable and enable' => sub {
    drain();
    my $rev = record('acme')->{rev};
    is_deeply $ctl->json(qw(tenant disable acme))->{doc},
        { tenant => 'acme', disabled => JSON::PP::true }, 'disabled';
    is record('acme')->{disabled}, JSON::PP::true, 'record';
    is record('acme')->{rev}, $rev + 1, 'revision';
    is_deeply event(), { v => 1, type => 'tenant', tenant => 'acme', rev => $rev + 1 }, 'event';
    is $ctl->run(qw(tenant disable acme))->{code}, 0, 'again';
    is record('acme')->{rev}, $rev + 1, 'changes nothing';
    is $ctl->json(qw(tenant enable acme))->{doc}{disabled}, JSON::PP::false, 'enabled';
    is record('acme')->{disabled}, JSON::PP::false, 'record';
};

subtest 'members that this version does not know survive a change' => sub {
    my $text = $redis->command('GET', 'amp:tenant:acme');
    $text =~ s/\{/{"zulu":[1.5,"x",9007199254740993],/;
    $text =~ s/"cache":\{\}/"cache":{"x":1},"alpha":{"b":1,"a":2}/;
    $redis->command('SET', 'amp:tenant:acme', $text);
    is $ctl->run(qw(tenant disable acme))->{code}, 0, 'a change';
    my $after = $redis->command('GET', 'amp:tenant:acme');
    like $after, qr/\A\{"zulu":\[1\.5,"x",9007199254740993\],"v":1,/, 'first, in place';
    like $after, qr/"cache":\{"x":1\},"alpha":\{"b":1,"a":2\}/, 'order kept';
    is $ctl->run(qw(tenant enable acme))->{code}, 0, 'another';
};

subtest 'a record that cannot be read is reported, not overwritten' => sub {
    for my $text ('nonsense', '{"v":2}', '{"v":1,"rev":1,"id":"other","project":{"id":"p"}}') {
        $redis->command('SET', 'amp:tenant:broken', $text);
        $redis->command('SADD', 'amp:tenants', 'broken');
        for my $args ([qw(tenant show)], [qw(tenant disable)], [qw(limit set --rate 5/s)]) {
            my $r = $ctl->json(@$args, 'broken');
            is $r->{code}, 1, "@$args";
            is $r->{doc}{error}{code}, 'bad_record', 'code';
        }
        is $redis->command('GET', 'amp:tenant:broken'), $text, 'untouched';
    }
    like $ctl->run(qw(tenant list))->{out}, qr/^broken +unreadable/m, 'tenant list shows the others';
    is $ctl->run(qw(tenant remove broken))->{code}, 0, 'can be removed';
    ok !$redis->command('EXISTS', 'amp:tenant:broken'), 'gone';
};

subtest 'remove deletes record, tokens, index and rate state' => sub {
    is $ctl->run(qw(token issue full))->{code}, 0, 'a second token';
    $redis->command('SET', 'amp:limit:{full}:default', 1);
    my @digests = values %{ { @{ $redis->command('HGETALL', 'amp:tokens:full') } } };
    is scalar @digests, 2, 'two tokens';
    drain();
    my $rev = record('full')->{rev};
    is_deeply $ctl->json(qw(tenant remove full))->{doc},
        { tenant => 'full', removed => JSON::PP::true, tokens => 2 }, 'answer';
    is_deeply event(), { v => 1, type => 'tenant', tenant => 'full', rev => $rev + 1 }, 'record first';
    is_deeply [ sort map { event()->{token} } 1 .. 2 ], [ sort @digests ], 'then each token';
    is_deeply $redis->command('KEYS', '*full*'), [], 'no key is left';
    ok !$redis->command('EXISTS', "amp:token:$_"), 'token gone' for @digests;
    ok !$redis->command('SISMEMBER', 'amp:tenants', 'full'), 'not in the set';
    is $ctl->run(qw(tenant remove full))->{code}, 1, 'again: not found';
};

subtest 'tokens of a removed tenant are invalid for a new tenant of its name' => sub {
    $ctl->run(qw(tenant add phoenix --project p));
    my $rev = record('phoenix')->{rev};
    my %old = @{ $redis->command('HGETALL', 'amp:tokens:phoenix') };
    $redis->command('DEL', 'amp:tenant:phoenix');    # a removal killed after its first step
    is $ctl->run(qw(tenant add phoenix --project p))->{code}, 0, 'added again';
    ok !$redis->command('EXISTS', "amp:token:$_"), 'old token gone' for values %old;
    is $redis->command('HLEN', 'amp:tokens:phoenix'), 1, 'one token';
    ok record('phoenix')->{rev} > $rev, 'its revision is higher than all revisions of the first';

    $redis->command('DEL', 'amp:tenant:phoenix');
    is $ctl->run(qw(tenant remove phoenix))->{code}, 0, 'remove finishes a removal';
    is_deeply $redis->command('KEYS', '*phoenix*'), [], 'no key is left';
};

subtest 'two writers at once: both changes are made' => sub {
    my $rev = record('acme')->{rev};
    my @jobs;
    for my $i (1 .. 6) {
        push @jobs, $ctl->start(qw(limit set acme --class), (qw(catalog read write data secrets default))[$i - 1],
            '--rate', "$i/s");
        push @jobs, $ctl->start(qw(key set acme --key-file), $ctl->file("key$i", "sk_$i"));
    }
    is $ctl->wait($_)->{code}, 0, 'done' for @jobs;
    my $record = record('acme');
    is scalar keys %{ $record->{limits} }, 6, 'every limit';
    is_deeply [ sort map { $_->{id} } @{ $record->{keys} } ], [ map { "k$_" } 1 .. 6 ], 'every key';
    is scalar(grep { $_->{state} eq 'active' } @{ $record->{keys} }), 1, 'one is active';
    is $record->{rev}, $rev + 12, 'one revision for each';
};

subtest 'three adds at once: one succeeds, and its token is valid' => sub {
    for my $round (1 .. 5) {
        my @jobs = map { $ctl->start(qw(tenant add twin --project p --json)) } 1 .. 3;
        my @r = map { $ctl->wait($_) } @jobs;
        is join(' ', sort map { $_->{code} } @r), '0 1 1', 'one of three';
        my ($won) = map { decode_json $_->{out} } grep { $_->{code} == 0 } @r;
        my $digest = $redis->command('HGET', 'amp:tokens:twin', $won->{id});
        ok $redis->command('EXISTS', "amp:token:$digest"), 'its token exists';
        $ctl->run(qw(tenant remove twin));
    }
};

unlike $ctl->said, qr/sk_canary/, 'no command has printed a key';

subtest 'set: another project, with the same tokens' => sub {
    $ctl->run(qw(tenant add moves --project p-1 --project-name alpha));
    my $tokens = $redis->command('HGETALL', 'amp:tokens:moves');
    is $ctl->run(qw(tenant set moves --project p-2 --dry-run))->{code}, 0, '--dry-run';
    is record('moves')->{project}{id}, 'p-1', 'changes nothing';
    is_deeply $ctl->json(qw(tenant set moves --project p-2))->{doc}, { tenant => 'moves', project => { id => 'p-2', name => '' } }, 'project';
    $ctl->run(qw(tenant set moves --project-name beta));
    is_deeply record('moves')->{project}, { id => 'p-2', name => 'beta' }, 'its name';
    is_deeply $redis->command('HGETALL', 'amp:tokens:moves'), $tokens, 'tokens';
    is $ctl->run(qw(tenant set nobody --project p))->{code}, 1, 'no such tenant';

    is $ctl->json(qw(tenant set moves --label), 'billing, team 7')->{doc}{label}, 'billing, team 7', 'a label';
    is_deeply record('moves')->{project}, { id => 'p-2', name => 'beta' }, 'and the project stays';
    like $ctl->run(qw(tenant show moves))->{out}, qr/^label     billing, team 7$/m, 'tenant show';
    is $ctl->json(qw(tenant show moves))->{doc}{label}, 'billing, team 7', 'as JSON';
    is_deeply $redis->command('HGETALL', 'amp:tokens:moves'), $tokens, 'the same tokens';
    my ($doc) = grep { $_->{id} eq 'moves' } @{ $ctl->json(qw(config export))->{doc}{tenants} };
    my $import = sub { return $ctl->run('config', 'import', $ctl->file('label.json', encode_json({ version => 1, tenants => [ {@_} ] }))) };
    $ctl->run(qw(tenant set moves --label), '');
    ok !exists record('moves')->{label}, 'none';
    is $import->(%$doc)->{err}, '', 'imported';
    is record('moves')->{label}, 'billing, team 7', 'export and import keep it';
    $import->(%$doc, label => '');
    ok !exists record('moves')->{label}, 'an empty one removes it';
    is $ctl->run(qw(tenant set moves --label), $_)->{code}, 2, 'no label' for 'x' x 129, "a\x07b";
    is $ctl->run(qw(tenant add labelled --project p --label), 'from the start')->{code}, 0, 'tenant add --label';
    is record('labelled')->{label}, 'from the start', 'has it';
    $ctl->run(qw(tenant remove), $_) for qw(moves labelled);
};

subtest 'many tenants: all are listed, in order, and Redis is never asked for all at once' => sub {
    my $text = $redis->command('GET', 'amp:tenant:human');
    for my $n (1 .. 2500) {
        (my $record = $text) =~ s/"human"/"n$n"/;
        $redis->command('SET', "amp:tenant:n$n", $record);
    }
    $redis->command('SADD', 'amp:tenants', 'n-without-a-record', map { "n$_" } 1 .. 2500);
    $redis->command(qw(CONFIG RESETSTAT));
    my @ids = map { $_->{id} } @{ $ctl->json(qw(tenant list))->{doc} };
    is_deeply [ grep { /^n\d/ } @ids ], [ sort map { "n$_" } 1 .. 2500 ], 'JSON has each of them, once';
    is_deeply \@ids, [ sort @ids ], 'in order';
    my @rows = split /\n/, $ctl->run(qw(tenant list))->{out};
    is scalar @rows, 1 + @ids, 'as text: a head, and a row for each';
    is_deeply [ map { (split)[0] } @rows[1 .. $#rows] ], \@ids, 'in order';
    $ctl->run(@$_) for ['doctor'], [qw(masterkey rewrap)], [qw(config export)], [qw(freeze list)], [qw(cooldown list)];
    my $stats = $redis->info('commandstats');
    ok $stats->{cmdstat_sscan}, 'a part at a time';
    ok !$stats->{cmdstat_smembers}, 'no SMEMBERS';
    ok !$stats->{cmdstat_keys}, 'no KEYS';
};

done_testing;
