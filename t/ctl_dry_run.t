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

my $doc = $ctl->file('doc.json', '{"version":1,"tenants":[{"id":"new","project":{"id":"p-9"}}]}');

my @changes = (
    [ qw(tenant add other --project p-2 --rate 5/s --key-file), $key ],
    [qw(tenant set acme --project-name beta)], [qw(tenant disable acme)], [qw(tenant enable acme)], [qw(tenant remove acme)],
    [ qw(key set acme --key-file), $key ], [qw(key retire acme k1)],
    [qw(limit set acme --rate 5/s)], [qw(grant set acme --allow read)], [qw(grant add acme --allow secrets)],
    [qw(grant remove acme --allow write)], [qw(cache set acme --ttl 5m)], [qw(cache purge acme)], [qw(cooldown clear acme)],
    [ qw(config import), $doc ], [ qw(config import), $doc, '--prune' ],
);

subtest 'a change that could be made is said to be possible, and nothing changes' => sub {
    1 while defined $events->message(0.1);
    my $before = everything();
    for my $args (@changes) {
        my $r = $ctl->run(@$args, '--dry-run');
        is $r->{code}, 0, "@$args" or diag $r->{err};
        is $ctl->json(@$args, '--dry-run')->{code}, 0, 'as JSON';
    }
    is_deeply everything(), $before, 'Redis';
    is $events->message(0.1), undef, 'no event';
};

subtest 'a change that could not be made is refused as without --dry-run' => sub {
    for my $args ([ qw(tenant add acme --project p-2) ], [qw(tenant set nobody --project p)], [qw(tenant disable nobody)],
        [qw(tenant remove nobody)], [ qw(key set nobody --key-file), $key ], [qw(key retire acme k9)], [qw(cache purge nobody)],
        [qw(cooldown clear nobody)], [qw(tenant add ACME --project p-2)]) {
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
