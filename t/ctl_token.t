#!/usr/bin/perl

# ampctl token: issue, list, revoke.

use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use Test::More;

use Gateway::Ctl;
use Gateway::Redis;

my $redis  = Gateway::Redis->start;
my $ctl    = Gateway::Ctl->new($redis);
my $events = $redis->subscribe('amp:events');

my $first = $ctl->json(qw(tenant add acme --project p))->{doc};
1 while defined $events->message(0.1);

subtest 'issue: record, index and event under the digest' => sub {
    my $r = $ctl->json('token', 'issue', 'acme', '--label', "b\xc3\xbcro \"1\"");
    is $r->{code}, 0, 'done';
    like $r->{doc}{token}, qr/\Aagw_[0-9A-Za-z]{36}\z/, 'token';
    is $r->{doc}{tenant}, 'acme', 'tenant';
    my $digest = sha256_hex $r->{doc}{token};
    my $record = decode_json $redis->command('GET', "amp:token:$digest");
    is $record->{tenant}, 'acme', 'tenant';
    is $record->{id}, $r->{doc}{id}, 'id';
    is $record->{label}, "b\x{fc}ro \"1\"", 'label';
    ok abs($record->{created} - time) < 5, 'created';
    ok !$record->{expires}, 'never expires';
    is $redis->command('TTL', "amp:token:$digest"), -1, 'nor does its Redis key';
    is $redis->command('HGET', 'amp:tokens:acme', $r->{doc}{id}), $digest, 'index';
    my $event = decode_json $events->message(2);
    is_deeply $event, { v => 1, type => 'token', tenant => 'acme', token => $digest }, 'event';
};

subtest 'issue with a lifetime: the record and its Redis key expire together' => sub {
    my $r = $ctl->json(qw(token issue acme --expires 90d));
    my $digest = sha256_hex $r->{doc}{token};
    my $record = decode_json $redis->command('GET', "amp:token:$digest");
    is $record->{expires}, $record->{created} + 90 * 86400, 'record';
    is $r->{doc}{expires}, $record->{expires}, 'answer';
    ok abs($redis->command('TTL', "amp:token:$digest") - 90 * 86400) <= 2, 'key';
    like $ctl->run(qw(token issue acme --expires 12h))->{out}, qr/expires: \d{4}-\d\d-\d\dT[\d:]{8}Z/, 'text';
};

subtest 'list shows ids, labels and times, never a token' => sub {
    my $list = $ctl->json(qw(token list acme))->{doc};
    is scalar @$list, 4, 'all';
    is_deeply [ sort keys %{ $list->[0] } ], [qw(created expires id identity label last_use scope state unused_since)], 'members';
    ok !grep({ $_->{state} ne 'active' } @$list), 'active';
    my $text = $ctl->run(qw(token list acme))->{out};
    like $text, qr/^TOKEN +STATE +MAY +CREATED +EXPIRES +LAST USE +LABEL$/m, 'heads';
    like $text, qr/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/, 'UTC';
    unlike $text, qr/agw_/, 'no token';
};

subtest 'an expired token is listed as gone and can be revoked' => sub {
    my $r = $ctl->json(qw(token issue acme --expires 1s));
    my $row;
    Gateway::Redis::wait_for(sub {
        ($row) = grep { $_->{id} eq $r->{doc}{id} } @{ $ctl->json(qw(token list acme))->{doc} };
        return $row->{state} eq 'gone';
    });
    is $row->{state}, 'gone', 'its state is "gone"';
    is $ctl->run(qw(token revoke), $r->{doc}{id})->{code}, 0, 'revoked';
    ok !$redis->command('HEXISTS', 'amp:tokens:acme', $r->{doc}{id}), 'its index entry is removed';
};

subtest 'tokens that have expired leave the index' => sub {
    my @short = map { $ctl->json(qw(token issue acme --expires 1s))->{doc} } 1 .. 3;
    my $left = sub { scalar grep { $redis->command('EXISTS', 'amp:token:' . sha256_hex $_->{token}) } @short };
    Gateway::Redis::wait_for(sub { !$left->() });
    my $kept = $ctl->json(qw(token issue acme))->{doc};
    my %index = @{ $redis->command('HGETALL', 'amp:tokens:acme') };
    is scalar(grep { exists $index{ $_->{id} } } @short), 0, 'with the next one that is issued';
    ok $index{ $kept->{id} }, 'which is listed';
    ok $index{ $first->{id} }, 'and so are those that are valid';
};

subtest 'issue for less than the tenant may' => sub {
    $ctl->run(qw(tenant add narrow --project p --grant read --grant write --group g1 --group g2));
    my $r = $ctl->json('token', 'issue', 'narrow', qw(--allow read --deny listTopics --group g2 --rate 5/s --burst 10),
                       '--origin', 'https://app.example.com', '--origin', 'http://localhost:3000');
    is $r->{code}, 0, 'done' or diag $r->{out};
    my $scope = { grants => { allow => ['read'], deny => ['listTopics'] }, groups => ['g2'], limit => { rate => '5/s', burst => 10 },
                  origins => [ 'https://app.example.com', 'http://localhost:3000' ] };
    is_deeply $r->{doc}{scope}, $scope, 'the answer says what it may';
    my $record = decode_json $redis->command('GET', 'amp:token:' . sha256_hex $r->{doc}{token});
    is_deeply $record->{scope}, $scope, 'so does its record';
    is $record->{v}, 2, 'of version 2';
    is_deeply $ctl->json('token', 'show', $r->{doc}{id})->{doc}{scope}, $scope, 'and token show';
    my $text = $ctl->run('token', 'show', $r->{doc}{id})->{out};
    like $text, qr/^allow +read\ndeny +listTopics\ngroups +g2\nlimit +5\/s, burst 10\norigins +https:\S+, http:\S+$/m, 'in text';
    like $ctl->run(qw(token list narrow))->{out}, qr/^\Q$r->{doc}{id}\E +active +less /m, 'the list marks it';
    my $next = $ctl->json('token', 'rotate', $r->{doc}{id}, '--overlap', '1h')->{doc};
    for my $id ($next->{id}, $r->{doc}{id}) {
        is_deeply $ctl->json('token', 'show', $id)->{doc}{scope}, $scope, 'rotate keeps it, for the new token and the old one';
    }
    my $plain = $ctl->json(qw(token issue narrow))->{doc};
    is $plain->{scope}, undef, 'without options a token may all';
    is decode_json($redis->command('GET', 'amp:token:' . sha256_hex $plain->{token}))->{v}, 1, 'and has version 1, for older gateways';
    like $ctl->run('token', 'show', $plain->{id})->{out}, qr/^may +all that its tenant may$/m, 'which show says';
};

subtest 'explain says what a token may' => sub {
    $ctl->run(qw(tenant add keyed --project p --key-file), $ctl->file('key', "sk_canary\n"));
    my $web = $ctl->json(qw(token issue keyed --allow read --rate 5/s --origin https://app.example.com))->{doc};
    my $file = $ctl->file('web.token', "$web->{token}\n");
    my $explain = sub { $ctl->json('explain', @_, '--token', $file)->{doc} };
    my @origin = ('--header', 'Origin: https://app.example.com');
    is $explain->('GET', '/v1/topics')->{decision}, 'token-origin', 'not without its origin';
    is $explain->('GET', '/v1/topics', @origin, @origin)->{decision}, 'token-origin', 'nor with two';
    my $read = $explain->('GET', '/v1/topics', @origin);
    is $read->{problem}, undef, 'with it, it passes';
    is_deeply [ grep { $_->{name} eq 'token' } @{ $read->{limits} } ], [ { name => 'token', rate => '5/s', burst => 5 } ], 'under its own limit';
    my $write = $explain->('POST', '/v1/topics', @origin);
    is $write->{decision}, 'token-not-granted', 'what the tenant may, and the token may not';
    is $write->{command}, 'ampctl token issue keyed --allow createTopic', 'and the command that would help';
};

subtest 'issue refuses what the tenant lacks, and what is malformed' => sub {
    for my $case ([ 1, qr/tenant "narrow" is not granted "secrets".*grant add narrow --allow secrets/s, '--allow', 'secrets' ],
                  [ 1, qr/not bound to the group "g3".*tenant show narrow/s, '--group', 'g3' ],
                  [ 2, qr/names no operation/, '--allow', 'nothing' ], [ 2, qr/names no operation/, '--deny', 'nothing' ],
                  [ 2, qr/not a rate/, '--rate', '50' ], [ 2, qr/--burst needs a rate/, '--burst', '5' ],
                  [ 2, qr/"90" is not a lifetime.*90d/s, '--expires', '90' ],
                  [ 2, qr/not an origin.*no path/s, '--origin', 'https://app.example.com/' ],
                  [ 2, qr/not an origin/, '--origin', '*' ], [ 2, qr/not an origin/, '--origin', 'https://a:443' ]) {
        my ($code, $says, @options) = @$case;
        my $before = $redis->command('HLEN', 'amp:tokens:narrow');
        my $r = $ctl->run(qw(token issue narrow), @options);
        is $r->{code}, $code, "@options: exit $code";
        like $r->{err}, $says, 'and why';
        is $redis->command('HLEN', 'amp:tokens:narrow'), $before, 'no token is issued';
    }
};

subtest 'tokens that are issued at once are all listed' => sub {
    $ctl->run(qw(tenant add many --project p));
    my @jobs = map { $ctl->start(qw(token issue many --json)) } 1 .. 12;
    my @ids = map { decode_json($ctl->wait($_)->{out})->{id} } @jobs;
    is_deeply [ grep { !$redis->command('HEXISTS', 'amp:tokens:many', $_) } @ids ], [], 'each';
};

subtest 'revoke deletes record and entry, with an event' => sub {
    1 while defined $events->message(0.1);
    my $digest = sha256_hex $first->{token};
    is_deeply $ctl->json('token', 'revoke', $first->{id})->{doc},
        { tenant => 'acme', id => $first->{id}, revoked => JSON::PP::true }, 'answer';
    ok !$redis->command('EXISTS', "amp:token:$digest"), 'record';
    ok !$redis->command('HEXISTS', 'amp:tokens:acme', $first->{id}), 'entry';
    is decode_json($events->message(2))->{token}, $digest, 'event';
    my $r = $ctl->json('token', 'revoke', $first->{id});
    is $r->{code}, 1, 'a revoked token: exit 1';
    is $r->{doc}{error}{code}, 'not_found', 'not found';
};

subtest 'rotate: a new token, and the old one through the overlap' => sub {
    my $old = $ctl->json(qw(token issue acme --label worker --expires 90d))->{doc};
    my $r = $ctl->json('token', 'rotate', $old->{id}, '--overlap', '2h');
    is $r->{code}, 0, 'done';
    my ($new, $then) = map { decode_json $redis->command('GET', 'amp:token:' . sha256_hex $_) } $r->{doc}{token}, $old->{token};
    is $new->{label}, 'worker', 'the label of the old one';
    is $new->{expires} - $new->{created}, 90 * 86400, 'and its lifetime';
    is $then->{expires}, $new->{created} + 7200, 'the old one ends with the overlap';
    is $r->{doc}{old_expires}, $then->{expires}, 'which is said';
    ok abs($redis->command('TTL', 'amp:token:' . sha256_hex $old->{token}) - 7200) < 60, 'for Redis too';
    my $next = $ctl->json('token', 'rotate', $r->{doc}{id}, '--overlap', '0')->{doc};
    ok !$redis->command('EXISTS', 'amp:token:' . sha256_hex $r->{doc}{token}), 'no overlap: revoked';
    ok $redis->command('EXISTS', 'amp:token:' . sha256_hex $next->{token}), 'the new one is there';
    like $ctl->run('token', 'rotate', $next->{id})->{out}, qr/^agw_\w+$/m, 'as text';
    is $ctl->run('token', 'rotate', $r->{doc}{id})->{code}, 1, 'a token that is gone';
};

subtest 'a token in place of its id is refused and not shown' => sub {
    my $r = $ctl->run('token', 'revoke', 'agw_canary0000000000000000000000000000000');
    is $r->{code}, 2, 'exit 2';
    like $r->{err}, qr/token list/, 'the remedy says where the id is listed';
    unlike $r->{err}, qr/canary/, 'not shown';
};

subtest 'a tenant without tokens' => sub {
    $ctl->run('token', 'revoke', $_->{id}) for @{ $ctl->json(qw(token list acme))->{doc} };
    is_deeply $ctl->json(qw(token list acme))->{doc}, [], 'JSON';
    like $ctl->run(qw(token list acme))->{out}, qr/ampctl token issue acme/, 'text';
};

subtest 'no token is issued twice' => sub {
    my %seen;
    $seen{ $ctl->json(qw(token issue acme))->{doc}{token} }++ for 1 .. 20;
    is scalar keys %seen, 20, '20 of 20';
};

subtest 'a tenant that is removed while a token is issued leaves no token' => sub {
    for my $round (1 .. 10) {
        $ctl->run(qw(tenant add race --project p));
        my @jobs = ($ctl->start(qw(token issue race)), $ctl->start(qw(tenant remove race)));
        $ctl->wait($_) for @jobs;
    }
    $ctl->run(qw(tenant remove race));
    is_deeply $redis->command('KEYS', '*race*'), [], 'no key';
    my @stray = grep { decode_json($redis->command('GET', $_))->{tenant} eq 'race' }
        @{ $redis->command('KEYS', 'amp:token:*') };
    is_deeply \@stray, [], 'no token';
};

done_testing;
