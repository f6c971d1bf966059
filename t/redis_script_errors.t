# The error of a command in a script, as Redis 6, 7, 8 and Valkey word it: the
# gateway and ampctl treat it as they treat the error of a plain command.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::Ctl;
use Gateway::FakeRedis;
use Test::More;
use Time::HiRes qw(sleep time);

my $sha = '982e62c2aec45d4c995f977997c49e1cc19af3e4';
my $readonly = "READONLY You can't write against a read only replica.";
my $redis6 = "ERR Error running script (call to f_$sha): \@user_script:70: \@user_script: 70:";
my $redis7 = "script: $sha, on \@user_script:70.";
my $user = 'The user executing the script';

# A tenant with a limit: each request to a fresh lease is an EVALSHA.

sub gateway {
    my $fake = Gateway::FakeRedis->start;
    my $gw = $fake->gateway(workers => 1);
    my $token = $fake->new_tenants(1, args => [ '--rate', '1000/s', '--burst', 10 ]);
    ok $gw->wait_for(sub { my $s = $gw->status; $s->{redis_links_up} == 1 && $s->{redis_events_up} }), 'Redis is there';
    return ($fake, $gw, sub { return $gw->request('POST', '/v1/topics', token => $token, json => {}) });
}

for my $case (
    [ 'of a plain command', $readonly ],
    [ 'as Redis 6 words it', "$redis6 -$readonly" ],
    [ 'as Redis 7, 8 and Valkey word it', "$readonly $redis7" ],
    [ 'of a script with flags', 'READONLY Can not run script with write flag on readonly replica' ],
) {
    my ($name, $error) = @$case;
    subtest "READONLY $name: the gateway looks for the master" => sub {
        my ($fake, $gw, $request) = gateway();
        my $connects = $gw->status->{redis_connects_total};
        $fake->fault({ on => 'EVALSHA', reply => "-$error\r\n" });
        ok $gw->wait_for(sub { $request->(); $gw->status->{redis_connects_total} > $connects }), 'it connects again';
        like $gw->error_log, qr/answers with an error: \Q$error\E[^\n]*connecting again/, 'and logs why';
        ok $gw->wait_for(sub { $request->(); $gw->log_lines(qr/\[error\].*refuses EVALSHA: \Q$error\E/) }),
            'still a replica: an error';
        is $gw->status->{redis_connects_total}, $connects + 1, 'and no further connection';
        $gw->finish;
        $fake->stop;
    };
}

my @denied = (
    [ 'Redis 6', "$redis6 $user can't run this command or subcommand" ],
    [ 'Redis 6, a key', "$redis6 $user can't access at least one of the keys mentioned in the command arguments" ],
    [ 'Redis 7.0', "ERR $user can't run this command or subcommand $redis7" ],
    [ 'Redis 7.2 to 8, Valkey', "ERR ACL failure in script: User ops has no permissions to run the 'hset' command $redis7" ],
    [ 'Redis 7.2 to 8, Valkey, a key', "ERR ACL failure in script: No permissions to access a key $redis7" ],
);

subtest 'a right that is missing in a script is logged, as NOPERM is' => sub {
    for (@denied) {
        my ($version, $error) = @$_;
        my ($fake, $gw, $request) = gateway();
        my $connects = $gw->status->{redis_connects_total};
        $fake->fault({ on => 'EVALSHA', reply => "-$error\r\n" });
        my $line = qr/\[error\].*refuses EVALSHA: \Q$error\E/;
        ok $gw->wait_for(sub { $request->(); $gw->log_lines($line) }), "$version: logged";
        $request->() for 1 .. 3;
        is scalar($gw->log_lines($line)), 1, 'once';
        is $gw->status->{redis_connects_total}, $connects, 'over the same connection';
        $gw->finish;
        $fake->stop;
    }
};

subtest 'ampctl' => sub {
    my $ctl = Gateway::Ctl->new;
    my $fake = Gateway::FakeRedis->start;
    my $add = sub {
        $fake->fault({ on => 'EVALSHA', reply => "-$_[0]\r\n" }, { on => 'TIME', reply => "*2\r\n\$10\r\n1800000000\r\n\$1\r\n0\r\n" });
        my $r = $ctl->json('--redis', $fake->url, qw(tenant add acme --project p));
        is $r->{code}, 3, 'exit 3';
        return $r->{doc}{error};
    };
    for (@denied) {
        my ($version, $error) = @$_;
        my $got = $add->($error);
        is $got->{code}, 'redis_permission', "$version: a right is missing";
        like $got->{message}, qr/does not permit this user to run the command in a script/, 'message';
        like $got->{remedy}, qr/ACL SETUSER default ~amp:\* &amp:events \+\S+ .*\+evalsha .*\+publish /,
            'the remedy names each right';
    }
    is $add->("$redis6 -$readonly")->{code}, 'redis_readonly', 'Redis 6: a replica';
    is $add->("$readonly $redis7")->{code}, 'redis_readonly', 'Redis 7: a replica';
    is $add->("$redis6 -OOM command not allowed when used memory > 'maxmemory'.")->{code}, 'redis_memory', 'Redis 6: memory';
    is $add->("$redis6 -MISCONF Errors writing to the AOF file: No space left on device")->{code}, 'redis_persistence', 'Redis 6: disk';

    # a code counts in its place only
    my $got = $add->("ERR no tenant READONLY OOM $redis7");
    is $got->{code}, 'redis_error', 'a name like a code is none';
    like $got->{message}, qr/answered "ERR no tenant READONLY/, 'the text is shown';
    $got = $add->("ERR unknown subcommand 'X', with args beginning with: 'secretcanary'");
    unlike $got->{message}, qr/secretcanary/, 'but not the arguments that Redis repeats';
    $fake->stop;
};

done_testing;
