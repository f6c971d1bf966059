#!/usr/bin/perl

# ampctl doctor: each check, its message and the exit code.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::INET;
use POSIX ();
use Test::More;

use Gateway::Ctl;
use Gateway::Redis;

my $redis = Gateway::Redis->start;
my $ctl   = Gateway::Ctl->new($redis);
my $main  = $$;

my $listen = IO::Socket::INET->new(Listen => 8, LocalAddr => '127.0.0.1', ReuseAddr => 1) or die $!;
my $server = fork // die $!;
if ($server == 0) {
    $SIG{$_} = 'DEFAULT' for qw(INT TERM);
    while (my $c = $listen->accept) {
        sysread $c, my $in, 4096;
        print $c "HTTP/1.1 401 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        close $c;
    }
    POSIX::_exit(0);
}
END { if (defined $main && $$ == $main && $server) { local $?; kill 'KILL', $server; waitpid $server, 0 } }

$ctl->{env}{AMPERSAND_UPSTREAM} = 'http://127.0.0.1:' . $listen->sockport;

sub doctor {
    my $r = $ctl->json('doctor', @_);
    is join(', ', grep { $_ } map { $_->{status} ne 'ok' && $_->{remedy} eq '' ? $_->{check} : '' } @{ $r->{doc}{checks} }), '', 'each finding says what to do';
    $r->{checks} = { map { $_->{check} => $_ } @{ $r->{doc}{checks} } };
    return $r;
}

sub status { my ($r, $check) = @_; return ($r->{checks}{$check} // {})->{status} }

my $key = $ctl->file('key', "sk_canary_doctor\n");
$ctl->run(qw(tenant add acme --project p --key-file), $key);
$redis->command(qw(CONFIG SET appendonly yes));

subtest 'all checks pass' => sub {
    my $r = doctor();
    is $r->{code}, 0, 'exit 0';
    ok $r->{doc}{ok}, 'ok';
    is status($r, $_), 'ok', $_ for 'master key', 'redis', 'redis version', 'redis role', 'redis memory',
        'redis persistence', 'clock', 'tenants', 'ampersand';
    is_deeply [ sort keys %{ $r->{doc}{checks}[0] } ], [qw(check message remedy status)], 'members';
    my $text = $ctl->run('doctor');
    is $text->{code}, 0, 'as text: exit 0';
    like $text->{out}, qr/^ok    redis: reached at 127/m, 'text';
};

subtest 'warnings leave the exit code 0' => sub {
    $redis->command(qw(CONFIG SET maxmemory-policy allkeys-lru));
    $redis->command(qw(CONFIG SET appendonly no));
    $ctl->run(qw(tenant add nokey --project p));
    my $r = $ctl->json(qw(tenant add notoken --project p --key-file), $key);
    $ctl->run('token', 'revoke', $r->{doc}{id});
    $r = doctor();
    is $r->{code}, 0, 'exit 0';
    is status($r, $_), 'warn', $_ for 'redis memory', 'redis persistence', 'keys', 'tokens';
    like $r->{checks}{'redis memory'}{remedy}, qr/noeviction/, 'remedy';
    like $r->{checks}{keys}{message}, qr/nokey/, 'the tenant without a key is named';
    like $r->{checks}{tokens}{message}, qr/notoken/, 'the tenant without a token is named';
    like $r->{checks}{tokens}{message}, qr/^1 have no token: /, 'and says why';

    $ctl->run(qw(token issue notoken --expires 1s));
    Gateway::Redis::wait_for(sub { $r = doctor(); ($r->{checks}{tokens}{message} // '') =~ /expired/ });
    like $r->{checks}{tokens}{message}, qr/^1 have no token that is valid, since all have expired: notoken$/,
        'expired tokens are no tokens';
    is $ctl->json(qw(tenant show notoken))->{doc}{tokens}, 0, 'tenant show does not count them';
    like $ctl->run(qw(tenant show notoken))->{out}, qr/^tokens +0, and 1 expired$/m, 'and says so';
    $ctl->run(qw(token issue notoken --expires 5d));
    like doctor()->{checks}{tokens}{message}, qr/^1 whose last token expires within 14 days: notoken$/, 'the last one expires soon';
    $ctl->run(qw(token issue notoken));
    is status(doctor(), 'tokens'), undef, 'another one does not';

    $redis->command('CONFIG', 'SET', 'save', '3600 1');
    like doctor()->{checks}{'redis persistence'}{message}, qr/snapshots only/, 'snapshots';
    $redis->command(qw(CONFIG SET maxmemory-policy noeviction));
};

subtest 'a key that does not open, a record that cannot be read' => sub {
    $ctl->run('masterkey', 'new', $ctl->dir . '/other.key');
    my $r = doctor('--master-key', $ctl->dir . '/other.key');
    is $r->{code}, 1, 'exit 1';
    ok !$r->{doc}{ok}, 'not ok';
    is status($r, 'sealed keys'), 'fail', 'sealed keys';
    like $r->{checks}{'sealed keys'}{message}, qr/acme/, 'the tenant is named';

    $redis->command('SET', 'amp:tenant:broken', '{');
    $redis->command('SADD', 'amp:tenants', 'broken');
    $r = doctor();
    is $r->{code}, 1, 'exit 1';
    like $r->{checks}{records}{message}, qr/broken/, 'the tenant is named';
    $ctl->run(qw(tenant remove broken));
};

subtest 'a record that no list shows' => sub {
    ok !doctor()->{checks}{unlisted}, 'none';
    $ctl->run(qw(tenant add hidden --project p));
    $redis->command('SREM', 'amp:tenants', 'hidden');
    my $r = doctor();
    is $r->{code}, 0, 'a warning';
    like $r->{checks}{unlisted}{message}, qr/^1 tenant records that .*: hidden$/, 'names the tenant';
    $redis->command('SET', "amp:tenant:left$_", '{}') for 1 .. 2000;
    like doctor()->{checks}{unlisted}{message}, qr/^2001 tenant .*: hidden, left1, left10, left100, left1000, \.\.\.$/, 'many';
    $redis->command('DEL', "amp:tenant:left$_") for 1 .. 2000;
    is $ctl->run(qw(tenant remove hidden))->{code}, 0, 'the remedy';
    ok !doctor()->{checks}{unlisted}, 'helps';
};

subtest 'a master key file that others may read, and no master key file' => sub {
    chmod 0644, $ctl->dir . '/master.key';
    my $r = doctor();
    is $r->{code}, 1, 'exit 1';
    is status($r, 'master key'), 'fail', 'fail';
    like $r->{checks}{'master key'}{remedy}, qr/chmod 600/, 'remedy';
    is status($r, 'redis'), 'ok', 'the other checks are made';
    chmod 0600, $ctl->dir . '/master.key';
    $r = $ctl->json({ env => { AMPERSAND_MASTER_KEY_FILE => undef } }, 'doctor');
    is $r->{code}, 1, 'none: exit 1';
    my ($tenants) = grep { $_->{check} eq 'tenants' } @{ $r->{doc}{checks} };
    is $tenants->{status}, 'warn', 'and the keys of tenants are not called good';
    like $tenants->{message}, qr/^\d+ in Redis, whose keys could not be checked without a master key$/, 'but not checked';
    like $tenants->{remedy}, qr/--master-key/, 'remedy';
};

subtest 'Redis or Ampersand out of reach: exit 3, the other checks are made' => sub {
    my $free = Gateway::Redis::free_port();
    my $r = doctor('--redis', "redis://127.0.0.1:$free");
    is $r->{code}, 3, 'Redis';
    is status($r, 'redis'), 'fail', 'fail';
    is status($r, 'ampersand'), 'ok', 'Ampersand was asked';
    $r = doctor('--upstream', "http://127.0.0.1:$free");
    is $r->{code}, 3, 'Ampersand';
    is status($r, 'ampersand'), 'fail', 'fail';
    is status($r, 'redis'), 'ok', 'Redis was asked';
};

subtest 'a replica fails' => sub {
    $redis->command('REPLICAOF', '127.0.0.1', Gateway::Redis::free_port());
    my $r = doctor();
    is status($r, 'redis role'), 'fail', 'fail';
    is $r->{code}, 1, 'exit 1';
    $redis->command(qw(REPLICAOF NO ONE));
};

subtest 'more tenants than one line can name' => sub {
    $ctl->run('tenant', 'add', ('x' x 60) . $_, '--project', 'p') for 1 .. 9;
    my $r = doctor();
    like $r->{checks}{keys}{message}, qr/^10 without an active key: nokey, x{60}1, .*, \.\.\.$/, 'cut short';
};

unlike $ctl->said, qr/sk_canary/, 'no command has printed a key';

done_testing;
