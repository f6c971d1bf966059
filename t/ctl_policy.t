#!/usr/bin/perl

# ampctl limit, grant, cache and operations.

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

is $ctl->run(qw(tenant add acme --project p-1))->{code}, 0, 'a tenant';

sub record { decode_json $redis->command('GET', 'amp:tenant:acme') }
sub drain { 1 while defined $events->message(0.1) }

subtest 'the limit of a project' => sub {
    my $raw = sub { $redis->command('HGET', 'amp:gen:p-1', 'limit') };
    my $none = { project => 'p-1', limits => {} };
    is_deeply $ctl->json(qw(limit show --project p-1))->{doc}, $none, 'none at first';
    like $ctl->run(qw(limit show --project p-1))->{out}, qr/^project +none/m, 'as text';
    is $ctl->run(qw(limit set --project p-1 --burst 5))->{code}, 2, 'a burst needs a rate';
    drain();
    my $project = sub { return { project => { rate => $_[0], burst => $_[1] } } };
    is_deeply $ctl->json(qw(limit set --project p-1 --rate 200/s --burst 400 --dry-run))->{doc},
        { project => 'p-1', limits => $project->('200/s', 400), before => { limits => {} }, dry_run => JSON::PP::true }, '--dry-run';
    is $raw->(), undef, 'changes nothing';
    is $ctl->run(qw(limit set --project p-1 --rate 200/s))->{code}, 0, 'set';
    is_deeply decode_json($raw->()), { rate => '200/s', burst => 200 }, 'its number is the burst';
    is_deeply decode_json($events->message(2)), { v => 1, type => 'limit', project => 'p-1', limit => { rate => '200/s', burst => 200 } }, 'event';
    is_deeply $ctl->json(qw(limit set --project p-1 --burst 400))->{doc},
        { project => 'p-1', limits => $project->('200/s', 400), before => { limits => $project->('200/s', 200) } }, 'its burst';
    is_deeply $ctl->json(qw(limit set --project p-1 --rate 100/s))->{doc}{limits}, $project->('100/s', 400), 'a rate alone keeps it';
    like $ctl->run(qw(audit))->{out}, qr{limit set: limit changed .*\n    /projects/p-1/rate: "200/s" -> "100/s"}, 'audited';
    drain();
    is $ctl->run(qw(limit set --project p-1 --rate none))->{code}, 0, 'removed';
    is $raw->(), undef, 'in Redis';
    is_deeply decode_json($events->message(2))->{limit}, {}, 'event';
    $redis->command('HSET', 'amp:gen:p-1', 'limit', '{"rate":1}');
    like $ctl->run(qw(limit show --project p-1))->{err}, qr/limit of project "p-1" cannot be read\n.*limit set --project p-1/, 'a malformed one';
    my %checks = map { $_->{check} => $_ } @{ $ctl->json('doctor')->{doc}{checks} };
    like $checks{limits}{message}, qr/^1 of projects cannot be read.*: p-1$/, 'doctor';
    is $ctl->run(qw(limit set --project p-1 --rate 9/s))->{code}, 0, 'is set again';
    %checks = map { $_->{check} => $_ } @{ $ctl->json('doctor')->{doc}{checks} };
    is $checks{limits}{status}, 'ok', 'doctor';
    is_deeply $ctl->json(qw(tenant show acme))->{doc}{limits} // {}, {}, 'the tenant has none of its own';
    $ctl->run(qw(limit set --project p-1 --rate none));
};

subtest 'limit set and show' => sub {
    is_deeply $ctl->json(qw(limit show acme))->{doc}, { tenant => 'acme', limits => {} }, 'no limit at first';
    like $ctl->run(qw(limit show acme))->{out}, qr/^default +none/m, 'text';
    drain();
    is_deeply $ctl->json(qw(limit set acme --rate 50/s --burst 100))->{doc},
        { tenant => 'acme', limits => { default => { rate => '50/s', burst => 100 } }, before => { limits => {} } }, 'set';
    is decode_json($events->message(2))->{rev}, record()->{rev}, 'event';
    is $ctl->run(qw(limit set acme --class write --rate 600/m))->{code}, 0, 'a class';
    is $ctl->run(qw(limit set acme --class write --burst 7))->{code}, 0, 'its burst';
    is_deeply record()->{limits},
        { default => { rate => '50/s', burst => 100 }, write => { rate => '600/m', burst => 7 } }, 'record';
    is $ctl->run(qw(limit set acme --rate 60/s))->{code}, 0, 'a rate alone';
    is_deeply record()->{limits}{default}, { rate => '60/s', burst => 100 }, 'keeps the burst';
    like $ctl->run(qw(limit show acme))->{out}, qr/^write +600\/m +7$/m, 'text';
    is $ctl->run(qw(limit set acme --rate none))->{code}, 0, 'removed';
    is_deeply [ keys %{ record()->{limits} } ], ['write'], 'record';
    is $ctl->run(qw(limit set acme --class read --burst 5))->{code}, 2, 'a burst without any rate';

    is $ctl->run(qw(limit set acme --rate 10000/d))->{code}, 0, 'a rate a day';
    is_deeply record()->{limits}{default}, { rate => '10000/d', burst => 10000 }, 'its number is the burst';
    my $long = $ctl->run(qw(limit set acme --rate 1/h --burst 10000));
    is $long->{code}, 2, 'a burst that takes more than a year to refill';
    like $long->{err}, qr/burst of 10000 takes longer than 26 days to refill at 1\/h.*give a burst of 1 to 626/s, 'names the longest time';
    is_deeply record()->{limits}{default}, { rate => '10000/d', burst => 10000 }, 'and the limit stays';
    is_deeply $ctl->json(qw(limit set acme --concurrency 20))->{doc}{limits}{concurrency}, 20, 'concurrency';
    is_deeply record()->{limits}{default}, { rate => '10000/d', burst => 10000 }, 'the rate stays';
    like $ctl->run(qw(limit show acme))->{out}, qr/^concurrency +20 at once +-$/m, 'concurrency is shown';
    like $ctl->run(qw(tenant show acme))->{out}, qr/^limit +concurrency 20$/m, 'as text too';
    is $ctl->run(qw(limit set acme --rate 1000000/s))->{code}, 0, 'the highest rate';
    is $ctl->run(qw(limit set acme --burst 10000000))->{code}, 0, 'with the highest burst';
    is $ctl->run(qw(limit set acme --rate 10000/d --burst 10000))->{code}, 0, 'lower again';
    is $ctl->run(qw(limit set acme --rate 5/s --concurrency none))->{code}, 0, 'both at once';
    is_deeply record()->{limits}, { default => { rate => '5/s', burst => 10000 },
        write => { rate => '600/m', burst => 7 } }, 'record';
};

subtest 'a wrong rate, burst or class shows the right form' => sub {
    like $ctl->run(qw(limit set acme --rate fast))->{err}, qr{"fast" is not a rate\n.*50/s, 600/m}, 'rate';
    like $ctl->run(qw(limit set acme --rate 9999999/s))->{err}, qr/is not a rate/, 'rate too high';
    like $ctl->run(qw(limit set acme --rate 5/s --burst -1))->{err}, qr/is not a burst\n.*--burst 100/, 'burst';
    like $ctl->run(qw(limit set acme --class all --rate 5/s))->{err}, qr/catalog, read, write, data/, 'class';
    like $ctl->run(qw(limit set acme --concurrency), $_)->{err}, qr/"\Q$_\E" is not a concurrency\n.*--concurrency 20/,
        "concurrency $_" for qw(0 -1 many 10000001 5x);
    is $ctl->run(qw(limit set acme --class read --concurrency 5))->{code}, 2, 'concurrency is of all classes';
    is $ctl->run(qw(limit set acme))->{code}, 2, 'no limit at all';
};

subtest 'grant set and show' => sub {
    my $all = $ctl->json(qw(grant show acme))->{doc};
    is_deeply $all->{allow}, [qw(catalog read write data)], 'the default';
    drain();
    my $r = $ctl->json(qw(grant set acme --allow catalog --allow listIntegrations --deny tag:provider-app));
    is $r->{code}, 0, 'set';
    is_deeply $r->{doc}{allow}, [qw(catalog listIntegrations)], 'allow';
    is_deeply $r->{doc}{deny}, ['tag:provider-app'], 'deny';
    ok $r->{doc}{operations} > 0 && $r->{doc}{operations} < $all->{operations}, 'fewer operations';
    is decode_json($events->message(2))->{type}, 'tenant', 'event';
    is $ctl->run(qw(grant set acme --deny none))->{code}, 0, 'deny emptied';
    is_deeply record()->{grants}, { allow => [qw(catalog listIntegrations)], deny => [] }, 'allow as before';
    is $ctl->run(qw(grant set acme --allow default --allow secrets))->{code}, 0, 'default and secrets';
    is_deeply record()->{grants}{allow}, [qw(catalog read write data secrets)], 'record';
    ok $ctl->json(qw(grant show acme))->{doc}{operations} > $all->{operations}, 'more operations';
    is $ctl->json(qw(grant set acme --allow none))->{doc}{operations}, 0, 'nothing at all';
    like $ctl->run(qw(grant show acme))->{out}, qr/^allow +-$/m, 'text';
};

subtest 'grant add and remove change what they name, and nothing else' => sub {
    $ctl->run(qw(grant set acme --allow catalog --allow read --deny none));
    is_deeply $ctl->json(qw(grant add acme --allow deleteConnection --allow read --deny listTopics))->{doc}{allow},
        [qw(catalog read deleteConnection)], 'added once';
    is_deeply record()->{grants}{deny}, ['listTopics'], 'deny';
    is_deeply $ctl->json(qw(grant remove acme --allow deleteConnection --deny listTopics))->{doc}{deny}, [], 'removed';
    is_deeply record()->{grants}, { allow => [qw(catalog read)], deny => [] }, 'record';

    my $before = $redis->command('GET', 'amp:tenant:acme');
    my $r = $ctl->run(qw(grant remove acme --allow listIntegrations));
    is $r->{code}, 1, 'what a class in the list allows cannot be taken away alone';
    like $r->{err}, qr/"read", which is, names it too\n.*add --deny listIntegrations/, 'and the remedy says how';
    is $redis->command('GET', 'amp:tenant:acme'), $before, 'nothing changed';
    is $ctl->run(qw(grant remove acme --allow write))->{code}, 0, 'what is not in the list is gone already';

    my $text = $ctl->run(qw(grant add acme --allow write))->{out};
    like $text, qr/^before:\nallow +catalog, read\n.*\nnow:\nallow +catalog, read, write\n/s, 'before and after';
};

subtest '--dry-run shows a change, and makes none' => sub {
    drain();
    my $before = $redis->command('GET', 'amp:tenant:acme');
    for my $args ([qw(grant add acme --allow secrets)], [qw(limit set acme --rate 7/s)], [qw(cache set acme --ttl 7m)]) {
        my $r = $ctl->run(@$args, '--dry-run');
        is $r->{code}, 0, "@$args";
        like $r->{out}, qr/^before:.*^without --dry-run:\n.*(?:secrets|7)/ms, 'before and after';
    }
    is $redis->command('GET', 'amp:tenant:acme'), $before, 'the record';
    is $events->message(0.1), undef, 'no event';
    is $ctl->run(qw(grant add nobody --allow read --dry-run))->{code}, 1, 'no such tenant';
};

subtest 'unknown operations, and those that are never served, cannot be granted' => sub {
    my $before = $redis->command('GET', 'amp:tenant:acme');
    for my $item (qw(listintegration everything tag: createOrg), '', 'Org') {
        my $r = $ctl->json('grant', 'set', 'acme', '--allow', 'read', '--allow', $item);
        is $r->{code}, 2, "'$item'";
        like $r->{doc}{error}{remedy}, qr/ampctl operations/, 'remedy';
    }
    is $redis->command('GET', 'amp:tenant:acme'), $before, 'nothing changed';
};

subtest 'a record without grants shows the grants that the gateway applies' => sub {
    my $record = record();
    delete $record->{grants};
    $redis->command('SET', 'amp:tenant:acme', encode_json $record);
    is_deeply $ctl->json(qw(grant show acme))->{doc}{allow}, [qw(catalog read write data)], 'default';
    is $ctl->run(qw(grant set acme --deny deleteConnection))->{code}, 0, 'a deny';
    is_deeply record()->{grants}, { deny => ['deleteConnection'] }, 'allow stays the default';
};

subtest 'cache lifetimes' => sub {
    is_deeply $ctl->json(qw(cache show acme))->{doc}, { tenant => 'acme', cache => {} }, 'none';
    like $ctl->run(qw(cache show acme))->{out}, qr/^FOR +TTL\ndefault +none$/, 'as text';
    my $rev = record()->{rev};
    is_deeply $ctl->json(qw(cache set acme --ttl 5m))->{doc}, { tenant => 'acme', cache => { default => '5m' }, before => { cache => {} } }, 'default';
    $ctl->run(qw(cache set acme --for listTopics --ttl 0));
    is_deeply record()->{cache}, { default => '5m', listTopics => '0' }, 'in the record';
    is record()->{rev}, $rev + 2, 'each change is a revision';
    like $ctl->run(qw(cache show acme))->{out}, qr/^default +5m\nlistTopics +0$/m, 'both';
    $ctl->run(qw(cache set acme --ttl none));
    is_deeply record()->{cache}, { listTopics => '0' }, 'removed';
    like $ctl->run(qw(cache set acme --ttl 1w))->{err}, qr/"1w" is not a time\n.*30s, 5m/, 'a remedy';
};

subtest 'cache purge increments generations and publishes it' => sub {
    drain();
    my $r = $ctl->json(qw(cache purge acme));
    is_deeply $r->{doc}, { tenant => 'acme', project => 'p-1', family => '*', generation => 1 }, 'all';
    is_deeply decode_json($events->message(2)),
        { v => 1, type => 'purge', project => 'p-1', family => '*', rev => 1 }, 'event';
    is $ctl->json(qw(cache purge acme))->{doc}{generation}, 2, 'again';
    is $ctl->json(qw(cache purge acme --family provider-apps))->{doc}{generation}, 1, 'one family';
    is_deeply { @{ $redis->command('HGETALL', 'amp:gen:p-1') } }, { '*' => 2, 'provider-apps' => 1 }, 'in Redis';
    like $ctl->run(qw(cache purge acme --family connections))->{out}, qr/connections of project p-1/, 'text';
    like $ctl->run(qw(cache purge acme --family x))->{err}, qr/integrations, revisions, .*proxy/, 'families';
};

subtest 'operations as JSON' => sub {
    my $list = $ctl->json(qw(operations))->{doc};
    cmp_ok scalar @$list, '>=', 90, 'all of them';
    my %by = map { $_->{operationId} => $_ } @$list;
    is scalar keys %by, @$list, 'each once';
    is_deeply [ sort keys %{ $list->[0] } ], [ sort qw(api method path operationId tag class project_in group_in
        ttl reads writes query secret_query state_query body) ], 'members';
    my %place = map { $_ => 1 } qw(none path query body header);
    my %class = map { $_ => 1 } qw(catalog read write data secrets none);
    for my $op (@$list) {
        ok $place{ $op->{project_in} } && $place{ $op->{group_in} } && $class{ $op->{class} }, "$op->{operationId}: strings";
        is scalar(grep { /!|,|^$/ } map { @{ $op->{$_} } } qw(reads writes query secret_query state_query body)), 0, 'lists';
        like $op->{ttl}, qr/\A\d+\z/, 'ttl';
    }
    is $by{oauthConnect}{project_in}, 'body', 'project in the body';
    is $by{listInstallations}{group_in}, 'query', 'group in the query';
    is_deeply $by{getObjectMetadataForConnection}{query}, [qw(groupRef excludeReadOnly)], 'required ones without "!"';
    ok scalar(grep { $_ eq 'includeCreds' } @{ $by{getConnection}{secret_query} }), 'secret-bearing';
    ok scalar(grep { $_ eq 'refresh' } @{ $by{getConnection}{state_query} }), 'state-changing';
    is $by{createOrg}{class}, 'none', 'never served';
};

subtest 'operations of one API, as text' => sub {
    my $json = $ctl->json(qw(operations --api read))->{doc};
    is_deeply [ grep { $_->{api} ne 'read' } @$json ], [], 'that API only';
    my @lines = split /\n/, $ctl->run(qw(operations --api read))->{out};
    is scalar @lines, @$json + 1, 'one line for each operation, and the heading';
    like $lines[0], qr/^OPERATION +CLASS +TAG/, 'heads';
    is_deeply [ grep { substr($_, index($lines[0], 'PATH'), 1) ne '/' } @lines[1 .. $#lines] ], [], 'aligned';
    ok $ctl->run({ env => { AMPERSAND_REDIS => 'redis://127.0.0.1:1' } }, 'operations')->{code} == 0, 'needs no Redis';
};

done_testing;
