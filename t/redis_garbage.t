# Replies as a network or a broken proxy spoils them: in pieces, late, cut at every
# byte, doubled, mangled.  Tenants in the zone are served all the time, no request
# gets the record of another tenant, and all are served when the fault ends.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::FakeRedis;
use Gateway::Load;
use Gateway::Redis;
use Digest::SHA ();
use JSON::PP ();
use Test::More;
use Time::HiRes qw(time);

my $path = '/v1/integrations';
my $seed = $ENV{SEED} || time;
srand $seed;

# Tenants are looked up again each 50 ms: there is always a reply to spoil.

my $fake = Gateway::FakeRedis->start;
my $gw = $fake->gateway(redis_args => 'timeout=300ms', http => 'ampersand_tenant_ttl 50ms; ampersand_tenant_grace 10m;');
$gw->upstream->answer({ echo => 1 });

my $n = 0;
my @known = map {
    my $id = 's' . ++$n;
    { id => $id, token => scalar($fake->new_tenants), project => "p-$id", key => "key-of-$id" };
} 1 .. 5;
my $one = $known[0]{token};
my $digest = Digest::SHA::sha256_hex($one);

# Sets a fault so many times, each for ten requests.

sub load {
    my ($count, $code) = @_;
    my $load = Gateway::Load->start(gateways => [$gw], tenants => \@known, clients => 4, pause => 0.003);
    for (1 .. $count) {
        $code->($load);
        my $before = $load->report->{requests};
        $gw->wait_for(sub { $load->report->{requests} >= $before + 10 });
    }
    my $r = $load->stop;
    is $r->{failed}, 0, "none of $r->{requests} requests failed" or diag join "\n", @{ $r->{failures} };
    is_deeply $r->{wrong}, [], 'no answer was for another tenant';
    return $r;
}

sub served { return $gw->get($path, token => $_[0])->{status} == 200 }

sub up { return $gw->linked }

# An event that names the tenant: its next request waits for a look-up.

sub invalidate {
    my $before = $gw->status->{events_total};
    $fake->publish('amp:events', JSON::PP::encode_json({ v => 1, type => 'tenant', tenant => 's1', rev => 0 }));
    $gw->wait_for(sub { $gw->status->{events_total} > $before });
}

$gw->get($path, token => $_->{token}) for @known;
ok $gw->wait_for(\&up), 'every link is up' or BAIL_OUT($gw->error_log);

my %length = (
    token  => length $fake->real->command('GET', "amp:token:$digest"),
    tenant => length $fake->real->command('GET', 'amp:tenant:s1'),
);

subtest 'in pieces' => sub {
    my $connects = $gw->status->{redis_connects_total};
    load(15, sub { $fake->fault({ bytes => 1 }) });
    for my $kind ('token', 'tenant') {
        my $bad = 0;
        for my $at (1 .. $length{$kind} + 7) {
            $fake->fault({ on => 'GET', key => "amp:$kind:", split => $at });
            invalidate();
            $bad++ unless served($one);
        }
        is $bad, 0, "a $kind in two pieces, at every byte";
    }
    $fake->fault;
    is $gw->status->{redis_connects_total}, $connects, 'the link stays';
};

subtest 'late' => sub {
    my $before = $gw->status;
    load(15, sub { $fake->fault({ jitter => 0.06 }) });
    $fake->fault;
    my $after = $gw->status;
    is $after->{redis_timeouts_total}, $before->{redis_timeouts_total}, 'each reply was in time';
};

subtest 'cut at every byte, then closed' => sub {
    for my $kind ('token', 'tenant') {
        my %seen;
        for my $at (0 .. $length{$kind} + 6) {
            $fake->fault({ on => 'GET', key => "amp:$kind:", cut => $at, close => 1, times => 1 });
            invalidate();
            $seen{ $gw->get($path, token => $one)->{status} }++;
        }
        $fake->fault;
        my @other = grep { !/^(?:200|503)$/ } keys %seen;
        is_deeply \@other, [], "a $kind: served or 503" or diag explain \%seen;
        note "$kind: ", join ', ', map { "$_: $seen{$_}" } sort keys %seen;
        ok $gw->wait_for(sub { served($one) }), 'served when the fault has ended';
    }
};

subtest 'a handshake cut at every byte' => sub {
    for my $reply ([ PING => "+PONG\r\n" ], [ SUBSCRIBE => "*3\r\n\$9\r\nsubscribe\r\n" ]) {
        my ($name, $bytes) = @$reply;
        my $bad = 0;
        for my $at (0 .. length($bytes) - 1) {
            $fake->fault({ on => $name, cut => $at, close => 1, times => 1 });
            $fake->kick;
            $bad++ for grep { !served($_->{token}) } @known;
        }
        is $bad, 0, "$name: tenants in the zone are served";
        $fake->fault;
        ok $gw->wait_for(\&up), 'the links come back';
    }
};

subtest 'one reply more than commands' => sub {
    load(15, sub {
        $fake->fault({ on => rand() < 0.5 ? 'GET' : 'HGETALL', suffix => "+OK\r\n", times => 1 });
    });
    $fake->fault;
    ok $gw->wait_for(\&up), 'the links come back';
};

subtest 'replies after the clients have left' => sub {
    my @new = map { my $id = 's' . ++$n; { id => $id, token => scalar($fake->new_tenants), key => "key-of-$id" } } 1 .. 4;
    $fake->clear;
    $fake->fault({ on => 'GET', key => 'amp:token:', hold => 1 });
    my @sockets = map {
        my $s = $gw->connect;
        syswrite $s, "GET $path HTTP/1.1\r\nHost: a\r\nX-Api-Key: $_->{token}\r\n\r\n";
        $s;
    } (@new) x 5;
    $gw->wait_for(sub { $fake->count('GET', qr/amp:token/) >= @new });
    close $_ for @sockets;
    $fake->fault;
    $fake->release;
    my @answers = map { $gw->get($path, token => $_->{token}) } reverse @new;
    is_deeply [ map { $gw->json($_)->{key} } @answers ], [ map { $_->{key} } reverse @new ],
        'other clients get their own tenants' or diag map { "$_->{status} $_->{body}\n" } @answers;
};

subtest 'wrong messages to the subscription' => sub {
    my @messages = (
        [ 'a status', "+OK\r\n" ], [ 'an error', "-ERR what\r\n" ], [ 'nothing', "*0\r\n" ], [ 'nil', "*-1\r\n" ],
        [ 'a number', ":7\r\n" ], [ 'half a message', "*2\r\n\$7\r\nmessage\r\n\$10\r\namp:events\r\n" ],
        [ 'numbers', "*3\r\n:1\r\n:2\r\n:3\r\n" ], [ 'nested', "*3\r\n\$7\r\nmessage\r\n*1\r\n:1\r\n*1\r\n:1\r\n" ],
        [ 'deeply nested', "*1\r\n" x 50 . ":1\r\n" ], [ 'garbage', "\0\xff\x80garbage\r\n" ],
        [ 'two thousand million elements', "*2147483647\r\n:1\r\n" ],
        [ 'a text of 2 GiB', "*3\r\n\$7\r\nmessage\r\n\$10\r\namp:events\r\n\$2147483647\r\nxx" ],
        [ 'a text of 2 MiB', "*3\r\n\$7\r\nmessage\r\n\$10\r\namp:events\r\n\$2097152\r\n" . 'x' x 2097152 . "\r\n" ],
        [ 'another channel', "*3\r\n\$7\r\nmessage\r\n\$5\r\nother\r\n\$2\r\n{}\r\n" ],
        (map { [ "the event $_", "*3\r\n\$7\r\nmessage\r\n\$10\r\namp:events\r\n\$" . length($_) . "\r\n$_\r\n" ] }
            '', '{', '[]', 'null', '{"v":1}', '{"v":99,"type":"tenant","tenant":"s1"}', '{"v":1,"type":"tenant","tenant":7}',
            '{"v":1,"type":"tenant","tenant":"' . 'x' x 5000 . '"}', '{"v":1,"type":"token","token":"zz"}',
            '{"v":1,"type":"generation","project":"p-s1","families":{"x":-1}}', "\xff\xfe"),
    );
    my @missed;
    for (@messages) {
        my ($name, $bytes) = @$_;
        $gw->wait_for(\&up);
        $fake->to_subscribers($bytes);

        # a change is applied, by its event or by a verification
        my $record = JSON::PP::decode_json($fake->real->command('GET', 'amp:tenant:s1'));
        my %e = (v => 1, type => 'tenant', tenant => 's1', rev => ++$record->{rev});
        $fake->set('amp:tenant:s1' => JSON::PP::encode_json({ %$record, disabled => JSON::PP::true() }));
        $fake->publish('amp:events', JSON::PP::encode_json(\%e));
        push @missed, $name unless $gw->wait_for(sub { $gw->get($path, token => $one)->{status} == 401 });
        $fake->copy($fake->real);
        $fake->publish('amp:events', JSON::PP::encode_json(\%e));
        push @missed, "after $name" unless $gw->wait_for(sub { served($one) });
    }
    is_deeply \@missed, [], scalar(@messages) . ' messages: each change is applied';
};

# Only the RESP frame of a reply is spoiled, not the record in it.

sub mangled {
    my ($value) = @_;
    my $reply = defined $value ? '$' . length($value) . "\r\n$value\r\n" : "*0\r\n";
    my @ways = (
        sub { substr $reply, 0, 1, substr '+-:*$%~_,#(!=>|', rand 15, 1 },
        sub { $reply =~ s/\A([\$*])\d+/$1 . int rand 5000/e },
        sub { $reply =~ s/\A([\$*])\d+/$1 . '9' x (1 + rand 25)/e },
        sub { $reply =~ s/\A([\$*])(\d+)/$1-$2/ },
        sub { $reply =~ s/\A([\$*])(\d+)/$1 $2/ },
        sub { $reply =~ s/\r//g },
        sub { $reply =~ s/\n//g },
        sub { $reply =~ s/\r\n/\n\r/g },
        sub { $reply .= substr $reply, rand length $reply },
        sub { $reply = substr $reply, 1 + rand(length($reply) - 1) },
        sub { $reply = join '', map { chr rand 256 } 1 .. rand 200 },
        sub { $reply = "*1\r\n$reply" },
        sub { $reply = "\r\n$reply" },
        sub { $reply = '-' . join('', map { chr(32 + rand 95) } 1 .. rand 300) . "\r\n" },
    );
    $ways[ rand @ways ]->();
    # a well-formed reply that says "no such key" is not garbage
    return $reply =~ /\A(?:[\$*]-1\r\n|\*\d*[02468]\r\n)/ ? "?$reply" : $reply;
}

subtest "mangled at random, seed $seed" => sub {
    my %value = map { $_ => $fake->real->command('GET', $_) } "amp:token:$digest", 'amp:tenant:s1';
    my $count = 0;
    load($ENV{GARBAGE_REPLIES} || 60, sub {
        my $key = (keys %value)[ rand 2 ];
        # a well-formed record of another tenant would be used
        my ($name, $kind) = rand() < 0.2 ? ('HGETALL', '^amp:gen:') : ('GET', "^\Q$key\E\$");
        my $reply = mangled($name eq 'GET' ? $value{$key} : undef);
        $_[0]->mark("$key $reply" =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ger);
        $fake->fault({ on => $name, key => $kind, reply => $reply, times => 1 });
        $count++;
    });
    $fake->fault;
    note "$count replies";
    ok $gw->wait_for(sub { up() && !grep { !served($_->{token}) } @known }), 'served when the fault has ended';
};

is_deeply [ grep { !/^(?:200|401|499|503)$/ } $gw->access_log =~ /"status":(\d+)/g ], [], 'no other status';
$gw->finish;
done_testing;
