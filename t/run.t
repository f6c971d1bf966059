#!/usr/bin/perl

# make run, from a checkout without any settings.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp ();
use FindBin;
use IO::Socket::INET ();
use POSIX qw(WNOHANG);
use Test::More;
use Time::HiRes qw(sleep time);

use lib "$FindBin::Bin/lib";
use Gateway::Redis;

my $root = dirname(dirname(abs_path(__FILE__)));
chdir $root or die "$root: $!";

delete @ENV{qw(MAKEFLAGS MFLAGS MAKELEVEL), grep /^(GATEWAY_|AMPERSAND_)/, keys %ENV};

my @started;

# A session of its own, so that an INT to the group is what Ctrl-C does.

sub start {
    my ($env, @command) = @_;
    my $self = { out => File::Temp->new, env => $env };
    $self->{pid} = fork // die "fork: $!";
    if ($self->{pid} == 0) {
        POSIX::setsid();
        $SIG{INT} = 'DEFAULT';
        @ENV{keys %$env} = values %$env;
        open STDIN,  '<', '/dev/null';
        open STDOUT, '>', $self->{out}->filename;
        open STDERR, '>&', \*STDOUT;
        exec @command or POSIX::_exit(127);
    }
    push @started, $self;
    return $self;
}

sub out {
    my ($self) = @_;
    open my $f, '<', $self->{out}->filename or die $!;
    local $/;
    return <$f> // '';
}

sub ready {
    my ($self) = @_;
    my $end = time + 120;
    while (time < $end) {
        return 1 if out($self) =~ /^stop /m;
        last if waitpid($self->{pid}, WNOHANG) == $self->{pid};
        sleep 0.05;
    }
    diag out($self);
    return 0;
}

# The exit status: a number, "signal N", or "still running".

sub ended {
    my ($self) = @_;
    my $end = time + 60;
    while (time < $end) {
        return $? & 127 ? "signal " . ($? & 127) : $? >> 8
            if waitpid($self->{pid}, WNOHANG) == $self->{pid};
        sleep 0.05;
    }
    return 'still running';
}

sub stat_of {
    open my $f, '<', "/proc/$_[0]/stat" or return;
    my ($name, $rest) = (<$f> // '') =~ /\((.*)\) (.*)/s or return;
    my @rest = split / /, $rest;
    return { name => $name, parent => $rest[1], birth => $rest[19], state => $rest[0] };
}

# A process and all its descendants: pid => name, start time.

sub family {
    my ($top) = @_;
    my %all = map { my $s = stat_of($_); $s ? ($_ => $s) : () } map { m{(\d+)} } glob '/proc/[0-9]*';
    my %in = ($top => $all{$top});
    for (my $grown = 1; $grown;) {
        $grown = 0;
        for my $pid (grep { !$in{$_} && $in{$all{$_}{parent}} } keys %all) {
            $in{$pid} = $all{$pid};
            $grown = 1;
        }
    }
    return \%in;
}

sub names { my %n = map { $_->{name} => 1 } values %{ $_[0] }; return join ' ', sort keys %n }

sub left {
    my ($family) = @_;
    my $end = time + 60;
    while (1) {
        my @left = grep {
            my $s = stat_of($_);
            $s && $s->{birth} eq $family->{$_}{birth} && $s->{state} ne 'Z'
        } keys %$family;
        return join ' ', map { $family->{$_}{name} } @left if !@left || time > $end;
        sleep 0.05;
    }
}

# Runs the command that it prints after "try".

sub try_it {
    my ($self, $token) = @_;
    my ($call) = out($self) =~ /^try +(curl .*)$/m or return 'nothing to try';
    my $answer;
    for (1 .. 100) {
        $answer = qx($call -s -w ' %{http_code}');
        last if $answer !~ / 503$/;    # Redis did not answer within 100 ms: to be tried again
        select undef, undef, undef, 0.1;
    }
    return $answer;
}

sub errors {
    my ($dir) = @_;
    open my $f, '<', "$dir/logs/error.log" or return "no error.log: $!";
    # the time-out of the shipped configuration is 100 ms, which a busy machine may need
    return join '', grep { /\[(?:warn|error|crit|alert|emerg)\]|Sanitizer|runtime error/ && !/does not answer in time/ } <$f>;
}

END {
    my $status = $?;
    for my $self (@started) {
        kill 'KILL', $self->{pid} if waitpid($self->{pid}, WNOHANG) == 0;
    }
    $? = $status;
}

my $tmp = File::Temp->newdir('run.XXXXXX', TMPDIR => 1);
chmod 0755, $tmp;

# nginx binds a moment later than this closes
my $port = Gateway::Redis::free_port();
my %env = (GATEWAY_DIR => "$tmp/gw", GATEWAY_LISTEN => "127.0.0.1:$port");
my $token;

subtest 'make run, a call, Ctrl-C' => sub {
    my $run = start(\%env, 'make', 'run');
    ok ready($run), 'starts' or return;

    my $family = family($run->{pid});
    like names($family), qr/\bredis-server\b/, 'with Redis';
    like names($family), qr/\bnginx\b/, 'with nginx';

    ($token) = out($run) =~ /^token +(agw_\w+)/m;
    ok $token, 'prints a token';
    like try_it($run), qr/"name":"crm".* 200$/s, 'the printed call is answered by the emulator';
    is qx(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:$port/v1/integrations), 401,
        'and refused without the token';
    my ($status) = out($run) =~ /^status +(curl .*)$/m;
    like qx($status -s), qr/"pass":[12]/, 'so is the status';

    my ($export) = out($run) =~ /^ampctl +(export .*)$/m;
    like qx($export; build/ampctl tenant list), qr/^demo +enabled/m, 'ampctl works as printed';

    kill 'INT', -$run->{pid};
    isnt ended($run), 'still running', 'Ctrl-C ends it';
    is left($family), '', 'and all that it started';
    is errors("$tmp/gw"), '', 'nothing in error.log';
    ok !-e "$tmp/gw/redis.sock", 'no socket is left';
};

subtest 'nothing there is open to others' => sub {
    for my $file (qw(master.key nginx.conf)) {
        is sprintf('%04o', (stat "$tmp/gw/$file")[2] & 07777), '0600', $file;
    }
    is sprintf('%04o', (stat "$tmp/gw/redis")[2] & 07777), '0700', 'redis';
};

subtest 'again, in the same place' => sub {
    my $run = start(\%env, 'tools/run-local');
    ok ready($run), 'starts' or return;
    my $family = family($run->{pid});

    unlike out($run), qr/agw_/, 'shows no token';
    like out($run), qr/token issue demo/, 'says how to get another';
    like qx(curl -s -w ' %{http_code}' -H 'X-Api-Key: $token' http://127.0.0.1:$port/v1/integrations),
        qr/ 200$/, 'the tenant and its token are still there';

    my $second = start(\%env, 'tools/run-local');
    is ended($second), 1, 'a second one at a time is refused';
    like out($second), qr/GATEWAY_DIR/, 'with the reason';

    # log rotation, while the workers of root are www-data

    rename "$tmp/gw/logs/access.log", "$tmp/gw/logs/access.log.1" or die $!;
    my ($master) = do { open my $f, '<', "$tmp/gw/nginx.pid" or die $!; <$f> =~ /(\d+)/ };
    kill 'USR1', $master;
    Gateway::Redis::wait_for(sub {
        qx(curl -s -o /dev/null http://127.0.0.1:$port/v1/integrations);
        -s "$tmp/gw/logs/access.log";
    });
    ok -s "$tmp/gw/logs/access.log", 'USR1: the new log is written';

    SKIP: {
        skip 'logrotate is not installed', 3 if system('command -v logrotate > /dev/null 2>&1') != 0;
        my $conf = (do { open my $f, "<", "conf/logrotate" or die $!; local $/; <$f> }) =~ s{/srv/gateway}{$tmp/gw}gr;
        open my $f, '>', "$tmp/logrotate" or die $!;
        print $f $conf;
        close $f;
        is qx(logrotate --force --state $tmp/logrotate.state $tmp/logrotate 2>&1), '', 'conf/logrotate rotates';
        ok -s "$tmp/gw/logs/access.log.1", 'the old log is kept';
        Gateway::Redis::wait_for(sub {
            qx(curl -s -o /dev/null http://127.0.0.1:$port/v1/integrations);
            -s "$tmp/gw/logs/access.log";
        });
        ok -s "$tmp/gw/logs/access.log", 'and the new one written';
    }

    is errors("$tmp/gw"), '', 'and opened without an error';

    kill 'INT', $run->{pid};
    is ended($run), 0, 'INT to the script alone: 0';
    is left($family), '', 'nothing is left';
};

subtest 'TERM, and KILL' => sub {
    my $run = start(\%env, 'tools/run-local');
    ok ready($run), 'starts';
    my $family = family($run->{pid});
    kill 'TERM', $run->{pid};
    is ended($run), 0, 'TERM: 0';
    is left($family), '', 'nothing is left';

    $run = start(\%env, 'tools/run-local');
    ok ready($run), 'starts';
    $family = family($run->{pid});
    kill 'KILL', $run->{pid};
    is ended($run), 'signal 9', 'KILL';
    is left($family), '', 'nothing is left';
};

subtest 'an address that is taken' => sub {
    my $taken = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die $!;
    my $address = '127.0.0.1:' . $taken->sockport;
    my $run = start({ GATEWAY_DIR => "$tmp/taken", GATEWAY_LISTEN => $address }, 'tools/run-local');
    is ended($run), 1, 'fails';
    like out($run), qr/cannot listen on \Q$address\E: .*in use.*GATEWAY_LISTEN=/s, 'says what to do';
};

subtest 'half a real account' => sub {
    my $run = start({ %env, AMPERSAND_PROJECT => 'p' }, 'tools/run-local');
    is ended($run), 1, 'fails';
    like out($run), qr/needs both AMPERSAND_API_KEY_FILE and/, 'says what is missing';
};

subtest 'with a Redis and an upstream of its own' => sub {
    my $redis = Gateway::Redis->start;
    my $emulator = start({}, qw(docker/emulator/emulator --listen http://127.0.0.1:0));
    Gateway::Redis::wait_for(sub { out($emulator) =~ /listening/ });
    my ($upstream) = out($emulator) =~ /^listening on (\S+)/m or die out($emulator);

    my $run = start({
        GATEWAY_LISTEN => '127.0.0.1:' . Gateway::Redis::free_port(), GATEWAY_DIR => "$tmp/own",
        AMPERSAND_REDIS => $redis->url, AMPERSAND_UPSTREAM => $upstream,
    }, 'tools/run-local');
    ok ready($run), 'starts' or return;
    my $family = family($run->{pid});

    unlike names($family), qr/redis|perl|emulator/, 'neither of them is started';
    like try_it($run), qr/ 200$/, 'the printed call works';
    is_deeply $redis->command('SMEMBERS', 'amp:tenants'), ['demo'], 'the tenant is in that Redis';

    kill 'INT', $run->{pid};
    is ended($run), 0, 'ends';
    is left($family), '', 'nothing is left';
    ok $redis->command('PING'), 'that Redis still runs';
    is waitpid($emulator->{pid}, WNOHANG), 0, 'that upstream too';

    my $key = "$tmp/key";
    open my $f, '>', $key or die $!;
    print $f "amp-beta-key-22222222\n";
    close $f;
    $redis->command('FLUSHALL');
    $run = start({ %{ $run->{env} }, AMPERSAND_API_KEY_FILE => $key, AMPERSAND_PROJECT_NAME => 'beta',
                   AMPERSAND_PROJECT => '22222222-2222-4222-8222-222222222222' }, 'tools/run-local');
    ok ready($run), 'starts with an account';
    like try_it($run), qr/"projectId":"22222222-.* 200$/s, 'whose project is served';
    kill 'INT', $run->{pid};
    is ended($run), 0, 'ends';

    unlink "$tmp/own/master.key" or die $!;
    $run = start($run->{env}, 'tools/run-local');
    is ended($run), 1, 'Redis has tenants and the master key is gone: it does not start';
    like out($run), qr/there is no master key file .*Redis has tenants/s, 'says why';

    kill 'TERM', $emulator->{pid};
    ended($emulator);
};

subtest 'Redis is away' => sub {
    my $redis = Gateway::Redis->start;
    my %away = (GATEWAY_DIR => "$tmp/away", GATEWAY_LISTEN => '127.0.0.1:' . Gateway::Redis::free_port(),
        AMPERSAND_REDIS => $redis->url, AMPERSAND_UPSTREAM => 'http://127.0.0.1:1');
    $redis->stop;
    my $run = start(\%away, 'tools/run-local');
    ok ready($run), 'it starts' or return;
    my $probe = sub { scalar qx(curl -s -o /dev/null -w '%{http_code}' http://$away{GATEWAY_LISTEN}/-/$_[0]) };
    is $probe->('health'), 200, 'alive';
    is $probe->('ready'), 503, 'and not ready';
    like out($run), qr/unknown: Redis is out of reach/, 'which it says';
    $redis->restart;
    ok Gateway::Redis::wait_for(sub { $probe->('ready') == 200 }), 'ready when Redis comes';
    kill 'INT', $run->{pid};
    is ended($run), 0, 'ends';
};

subtest 'not as root' => sub {
    my $dir = "$tmp/user";
    my @as = ();
    if ($> == 0) {
        mkdir $dir;
        chown((getpwnam 'www-data')[2, 3], $dir) or die $!;
        @as = qw(setpriv --reuid=www-data --regid=www-data --clear-groups);
        plan skip_all => "www-data cannot read $root"
            if system "@as test -r '$root/tools/run-local' -a -r '$root/build/ampctl'";
    }
    my $run = start({ %env, GATEWAY_DIR => $dir }, @as, 'tools/run-local');
    ok ready($run), 'starts' or return;
    my $family = family($run->{pid});
    like try_it($run), qr/ 200$/, 'the printed call works';
    kill 'INT', $run->{pid};
    is ended($run), 0, 'ends';
    is left($family), '', 'nothing is left';
    is errors($dir), '', 'nothing in error.log';
};

done_testing;
