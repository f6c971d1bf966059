#!/usr/bin/perl

# The day on which each token was used last: one write a day, a token and a
# gateway, whatever the number of requests; what is refused is no use; and what
# ampctl token list and show say of it.

use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use FindBin;
use IO::Select ();
use IO::Socket::INET ();
use JSON::PP qw(decode_json encode_json);
use POSIX qw(strftime);
use Test::More;
use Time::HiRes qw(sleep time);

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Clock;
use Gateway::Redis;
use Gateway::Redis::Cluster;

my $DAY = 86400;
my $redis = Gateway::Redis->start('--appendonly', 'yes');
my $gw = Gateway->start(workers => 2, redis => $redis, http => 'ampersand_tenant_ttl 300ms; ampersand_cache_ttl default 0;');
my $one = Gateway->start(like => $gw, http => 'ampersand_cache_ttl default 0;');

sub date { return strftime '%Y-%m-%d', gmtime(time + ($_[0] // 0) * $DAY) }
sub key  { return 'amp:used:' . sha256_hex $_[0] }

# The two dates of a test that midnight may fall into.

my $began = date();
sub today_like { my ($got, $name) = @_; return like $got // '', qr/\A(?:\Q$began\E|\Q@{[date()]}\E)\z/, $name }

sub issue { return decode_json($gw->ctl('token', 'issue', @_, '--json')) }

# All commands that Redis runs from now on, as text: read() has those so far.

{
    package Monitor;

    sub new {
        my ($class, $server) = @_;
        my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $server->port) or die "monitor: $!";
        print $s "MONITOR\r\n";
        $s->flush;
        my $text = '';
        while ($text !~ /^\+OK\r\n/) { sysread($s, $text, 65536, length $text) or die 'no MONITOR' }
        return bless { server => $server, socket => $s, text => $text, n => 0 }, $class;
    }

    sub read {
        my ($self) = @_;
        my $mark = 'mark' . ++$self->{n};
        my $select = IO::Select->new($self->{socket});
        $self->{server}->command('ECHO', $mark);
        until ($self->{text} =~ /"$mark"/) {
            $select->can_read(60) && sysread($self->{socket}, $self->{text}, 65536, length $self->{text})
                or die 'nothing of MONITOR';
        }
        return $self->{text};
    }

    sub sets {
        my ($self, $key) = @_;
        my $sets = () = $self->read =~ /"SET" "\Q$key\E"/g;
        return $sets;
    }
}

my $monitor = Monitor->new($redis);

sub used { my ($token) = @_; return $redis->command('GET', key($token)) }

# A use that is written; what was sent before it, by the same worker, is too.

sub barrier {
    my ($on, $tenant) = @_;
    my $token = issue($tenant)->{token};
    is $on->get('/v1/topics', token => $token)->{status}, 200, 'another token is served';
    ok $on->wait_for(sub { used($token) }), 'and its use is in Redis';
    return;
}

my $acme = $gw->tenant('acme', project => 'p-1', args => [qw(--rate 5000/s --burst 5000)]);

subtest 'a thousand requests are one write' => sub {
    is used($acme), undef, 'no use at first';
    is scalar(grep { $gw->get('/v1/topics', token => $acme)->{status} == 200 } 1 .. 1000), 1000, 'served, by two workers';
    ok $gw->wait_for(sub { used($acme) }), 'the use is in Redis';
    today_like used($acme), 'the day in UTC';
    is $monitor->sets(key($acme)), 1, 'written once' unless date() ne $began;
    my $ttl = $redis->command('TTL', key($acme));
    ok abs($ttl - 400 * $DAY) < 600, 'forgotten after 400 days' or diag $ttl;
    today_like $redis->command('GET', 'amp:used:since'), 'since when gateways write uses';
    my ($row) = grep { $_->{last_use} } @{ decode_json($gw->ctl(qw(token list acme --json))) };
    today_like $row->{last_use}, 'token list has it';
};

subtest 'a token that is looked up anew, and a reload, write nothing' => sub {
    my $read = sub { scalar(() = $monitor->read =~ /"EVALSHA" .*"amp:token:@{[sha256_hex $acme]}"/g) };
    my $before = $read->();
    ok $gw->wait_for(sub { $gw->get('/v1/topics', token => $acme); $read->() >= $before + 2 }), 'read from Redis again';
    $gw->reload;
    is $gw->get('/v1/topics', token => $acme)->{status}, 200, 'served' for 1 .. 20;
    is $monitor->sets(key($acme)), 1, 'still one' unless date() ne $began;
};

subtest 'another gateway writes once, too' => sub {
    is $one->get('/v1/topics', token => $acme)->{status}, 200, 'served' for 1 .. 20;
    barrier($one, 'acme');
    is $monitor->sets(key($acme)), 2, 'two writes of two gateways' unless date() ne $began;
};

subtest 'what is refused is no use' => sub {
    my %token = (
        granted => issue('acme', '--allow', 'none')->{token},
        origin  => issue('acme', '--origin', 'https://app.example.com')->{token},
        expired => issue('acme', '--expires', '1s')->{token},
        revoked => issue('acme')->{token},
        path    => issue('acme')->{token},
        off     => $gw->tenant('off', project => 'p-2'),
        unknown => 'agw_' . '0' x 36,
    );
    $gw->ctl(qw(tenant disable off));
    $gw->ctl('token', 'revoke', (grep { sha256_hex($token{revoked}) eq $redis->command('HGET', 'amp:tokens:acme', $_) }
                                 @{ $redis->command('HKEYS', 'amp:tokens:acme') })[0]);
    $one->wait_for(sub { !$redis->command('EXISTS', 'amp:token:' . sha256_hex $token{expired}) });
    for my $why (sort keys %token) {
        my $path = $why eq 'path' ? '/v1/no-such-path' : '/v1/topics';
        cmp_ok $one->get($path, token => $token{$why})->{status}, '>=', 401, $why;
    }
    barrier($one, 'acme');
    is $monitor->sets(key($token{$_})), 0, "$_: not written" for sort keys %token;
    is $one->get('/v1/topics', token => $token{path})->{status}, 200, 'a token of a refused request is served later';
    ok $one->wait_for(sub { used($token{path}) }), 'which is a use';
};

subtest 'each token counts for itself' => sub {
    my ($wide, $narrow) = (issue('acme'), issue('acme', '--allow', 'read'));
    $one->get('/v1/topics', token => $narrow->{token});
    ok $one->wait_for(sub { used($narrow->{token}) }), 'a narrow one';
    is used($wide->{token}), undef, 'and no other one';
    my $next = decode_json($gw->ctl('token', 'rotate', $narrow->{id}, '--overlap', '1h', '--json'));
    today_like used($narrow->{token}), 'one that was rotated keeps its last use';
    is used($next->{token}), undef, 'which is not that of its successor';
    is decode_json($gw->ctl('token', 'show', $next->{id}, '--json'))->{last_use}, undef, 'token show says so';
    like $gw->ctl('token', 'show', $narrow->{id}), qr/^last use  \d{4}-\d\d-\d\d$/m, 'and says the day of the old one';
};

subtest 'Redis is away, and comes back' => sub {
    my @tokens = map { issue('acme', '--allow', 'read')->{token} } 1 .. 10;
    is $one->request('POST', '/v1/topics', token => $_, json => {})->{status}, 403, 'in the zone, and not used' for @tokens;
    $redis->stop;
    my $t = time;
    is $one->get('/v1/topics', token => $_)->{status}, 200, 'served' for (@tokens) x 10;
    cmp_ok time - $t, '<', 30, 'none waits';
    $redis->restart;
    $monitor = Monitor->new($redis);
    ok $one->wait_for(sub {
        $one->get('/v1/topics', token => $_) for @tokens;
        return 10 == grep { used($_) } @tokens;
    }), 'a later use of each is written';
    is $monitor->sets(key($_)), 1, 'once' for @tokens;
};

subtest 'with the token, its last use goes' => sub {
    my $gone = issue('acme');
    my $other = $gw->tenant('gone', project => 'p-3');
    for my $token ($gone->{token}, $other) {
        $one->get('/v1/topics', token => $token);
        ok $one->wait_for(sub { used($token) }), 'used';
    }
    $gw->ctl('token', 'revoke', $gone->{id});
    is used($gone->{token}), undef, 'revoked';
    $gw->ctl(qw(tenant remove gone));
    is used($other), undef, 'its tenant was removed';
};

subtest 'what ampctl says' => sub {
    $gw->tenant('old', project => 'p-4');
    $redis->command('HDEL', 'amp:tokens:old', @{ $redis->command('HKEYS', 'amp:tokens:old') });
    my %case = (     # days ago: created, last use; what is said
        used    => [ 200, 5,     date(-5),   date(-5) ],
        idle    => [ 200, 120,   date(-120), date(-120) ],
        never   => [ 95,  undef, 'never',    date(-95) ],
        before  => [ 300, undef, undef,      date(-150) ],
        new     => [ 2,   undef, 'never',    date(-2) ],
        border  => [ 200, 89,    date(-89),  date(-89) ],
    );
    my (%id, %name);
    for my $name (sort keys %case) {
        my ($created, $used) = @{ $case{$name} };
        my $t = issue('old', '--label', $name);
        $id{$name} = $t->{id};
        my $key = 'amp:token:' . sha256_hex $t->{token};
        my $record = decode_json $redis->command('GET', $key);
        $record->{created} = int(time - $created * $DAY);
        $redis->command('SET', $key, encode_json $record);
        $redis->command('SET', key($t->{token}), date(-$used)) if defined $used;
    }
    $redis->command('SET', 'amp:used:since', date(-150));
    my %row = map { $_->{label} => $_ } @{ decode_json($gw->ctl(qw(token list old --json))) };
    is_deeply [ @{ $row{$_} }{qw(last_use unused_since)} ], [ @{ $case{$_} }[ 2, 3 ] ], $_ for sort keys %case;
    like $gw->ctl(qw(token list old)), qr/not since \Q@{[date(-150)]}\E +before$/m, 'text';
    like $gw->ctl('token', 'show', $id{never}), qr/^last use  never$/m, 'token show';

    my $unused = decode_json $gw->ctl(qw(token list --unused 90d --json));
    is_deeply [ sort map { $_->{label} } @{ $unused->{tokens} } ], [qw(before idle never)], 'unused for 90 days, of all tenants';
    is $unused->{undecided}, 0, 'all is known';
    is $unused->{recorded_since}, date(-150), 'since then';
    is_deeply decode_json($gw->ctl(qw(token list old --unused 90d --json))), $unused, 'of one tenant';
    is_deeply decode_json($gw->ctl(qw(token list acme --unused 90d --json)))->{tokens}, [], 'of another one';
    like $gw->ctl(qw(token list --unused 90d)), qr/^TOKEN +LAST USE +CREATED +EXPIRES +LABEL\n.*^\Q$id{idle}\E +\Q@{[date(-120)]}\E /ms, 'text';
    $unused = decode_json $gw->ctl(qw(token list old --unused 180d --json));
    is_deeply $unused->{tokens}, [], 'for 180 days none is known';
    is $unused->{undecided}, 1, 'and one may be';
    like $gw->ctl(qw(token list old --unused 180d)), qr/^no token is known .*^1 more may be: gateways record uses since \Q@{[date(-150)]}\E$/ms, 'text';
    $redis->command('DEL', 'amp:used:since');
    like $gw->ctl(qw(token list old)), qr/unknown +before$/m, 'nothing was ever recorded: unknown';
    like $gw->ctl(qw(token list old --unused 90d)), qr/^2 more may be: gateways record uses not yet$/m, 'and undecided';

    for my $case ([ [qw(token list --unused 90)], qr/"90" is not a time.*--unused 90d/s ],
                  [ [qw(token list --unused soon)], qr/"soon" is not a time/ ],
                  [ [qw(token list)], qr/no tenant is named.*token list --unused 90d/s ]) {
        my ($exit, undef, $err) = $gw->try_ctl(@{ $case->[0] });
        is $exit, 2, "@{ $case->[0] }";
        like $err, $case->[1], 'is refused with a remedy';
    }
    unlike $gw->ctl(qw(config export)), qr/last_use|amp:used/, 'a last use is no configuration';
};

subtest 'Redis refuses: a line in the log, and no flood' => sub {
    my $strict = Gateway::Redis->start(users => { gate => 'on >pw ~amp:[^u]* ~amp:usage:* &amp:* +@all' });
    my $w = Gateway->start(redis_url => $strict->url('gate:pw@'), redis => $strict, http => 'ampersand_cache_ttl default 0;');
    my @tokens = map { $w->tenant("t$_") } 1 .. 10;
    is $w->get('/v1/topics', token => $_)->{status}, 200, 'served' for (@tokens) x 10;
    my $warned = sub { scalar(() = $w->error_log =~ /the last use of tokens is not recorded in Redis: "NOPERM/g) };
    ok $w->wait_for($warned), 'the log says it';
    is $warned->(), 1, 'once';
    my ($rejected) = $strict->command('INFO', 'commandstats') =~ /cmdstat_set:.*rejected_calls=(\d+)/;
    cmp_ok $rejected, '<=', 4, 'a hundred requests have tried a few times';
    $w->finish;
};

# Where Redis does not tell the time the gateway's clock counts, which a test can set.

subtest 'midnight' => sub {
    my $clock = Gateway::Clock->new(monotonic => 1) or plan skip_all => 'libfaketime is not installed';
    my $mute = Gateway::Redis->start(users => { gate => 'on >pw ~amp:* &amp:* +@all -time' });
    local $ENV{NGINX_WRAP} = $clock->wrap;
    my @late = (main => $clock->main, http => 'ampersand_cache_ttl default 0;');
    my %gw = (told => Gateway->start(@late, like => $gw), mute => Gateway->start(@late, redis => $mute, redis_url => $mute->url('gate:pw@')));
    my %redis = (told => $redis, mute => $mute);
    my %issued = (told => issue('acme'), mute => do {
        JSON::PP::decode_json($gw{mute}->ctl('--redis', $mute->url, qw(tenant add acme --project p-1 --key-file - --json), \"k\n"));
    });
    my %watch = map { $_ => Monitor->new($redis{$_}) } keys %redis;
    my %days;
    for my $day (0 .. 2) {
        $clock->set($day * $DAY);
        for my $which (qw(mute told)) {
            my $token = $issued{$which}{token};
            my $is = $which eq 'mute' ? date($day) : $began;
            ok $gw{$which}->wait_for(sub {
                $gw{$which}->get('/v1/topics', token => $token);
                return ($redis{$which}->command('GET', key($token)) // '') ge $is;
            }), "$which, day $day";
            $gw{$which}->get('/v1/topics', token => $token) for 1 .. 5;
            $days{$which}{ $redis{$which}->command('GET', key($token)) } = 1;
        }
    }
    is scalar(keys %{ $days{mute} }), 3, 'each day is written';
    is $watch{mute}->sets(key($issued{mute}{token})), 3, 'once' unless date() ne $began;
    is_deeply [ keys %{ $days{told} } ], [$began], 'by the clock of Redis, where it tells the time' unless date() ne $began;
    $_->finish for values %gw;
};

subtest 'a cluster' => sub {
    my $c = Gateway::Redis::Cluster->start;
    my $w = Gateway->start(redis => $c, redis_args => 'timeout=500ms', workers => 2, http => 'ampersand_cache_ttl default 0;');
    my %token = map { $_ => $w->tenant("t$_") } 1 .. 12;
    my %masters = map { $c->master_of($c->slot(key($_)))->port => 1 } values %token;
    cmp_ok scalar(keys %masters), '>', 1, 'last uses are on several masters';
    ok $w->wait_for(sub {
        $w->get('/v1/topics', token => $_) for values %token;
        return !grep { !$c->command('GET', key($_)) } values %token;
    }), 'all are written';
    my $unused = decode_json $w->ctl(qw(token list --unused 1d --json));
    is_deeply $unused->{tokens}, [], 'and read';
    today_like decode_json($w->ctl(qw(token list t1 --json)))->[0]{last_use}, 'by token list';
    $w->ctl(qw(tenant remove t1));
    is $c->command('GET', key($token{1})), undef, 'and go with the tenant';
    $w->finish;
};

$_->finish for $one, $gw;
done_testing;
