#!/usr/bin/perl

# make run with AMPERSAND_REDIS: its settings reach both ampctl and the gateway.

use strict;
use warnings;

use File::Temp ();
use FindBin;
use lib "$FindBin::Bin/lib";
use POSIX ();
use Test::More;

use Gateway::Certificates;
use Gateway::Redis;
use Gateway::Redis::Cluster;
use Gateway::Redis::Sentinel;

my $main  = $$;
my $certs = Gateway::Certificates->new;
my $gateway;

delete @ENV{qw(MAKEFLAGS MFLAGS MAKELEVEL), grep /^(GATEWAY_|AMPERSAND_)/, keys %ENV};

END { if (defined $main && $$ == $main && $gateway) { local $?; kill 'TERM', $gateway; waitpid $gateway, 0 } }

sub slurp { open my $f, '<', $_[0] or return ''; local $/; return scalar(<$f>) // '' }

sub serves {
    my ($name, %env) = @_;
    my $tmp = File::Temp->newdir('run.XXXXXX', TMPDIR => 1);
    chmod 0755, $tmp;
    %env = (%env, GATEWAY_LISTEN => '127.0.0.1:' . Gateway::Redis::free_port(), GATEWAY_DIR => "$tmp/run", GATEWAY_WORKERS => 1);
    $gateway = fork // die "fork: $!";
    if ($gateway == 0) {
        POSIX::setsid();
        $SIG{$_} = 'DEFAULT' for qw(INT TERM);
        @ENV{keys %env} = values %env;
        open STDIN,  '<', '/dev/null';
        open STDOUT, '>', "$tmp/out";
        open STDERR, '>&', \*STDOUT;
        exec 'tools/run-local' or POSIX::_exit(127);
    }
    my ($call) = Gateway::Redis::wait_for(sub { slurp("$tmp/out") =~ /^stop /m })
        ? slurp("$tmp/out") =~ /^try +(curl .*)$/m : ();
    ok $call, "$name: it starts" or diag slurp("$tmp/out");
    ok $call && Gateway::Redis::wait_for(sub { qx($call -s -o /dev/null -w '%{http_code}') == 200 }), "$name: the first tenant is served";
    kill 'TERM', $gateway;
    waitpid $gateway, 0;
    undef $gateway;
    # the time-out of the shipped configuration is 100 ms, which a busy machine may need
    is join('', grep { !/does not answer in time/ } split /^/, slurp("$tmp/run/logs/error.log")), '', "$name: no other line in the error log";
}

for my $redis (
    Gateway::Redis->start(tls => $certs, clients => 1),
    Gateway::Redis::Sentinel->start(tls => $certs, replicas => 1),
    Gateway::Redis::Cluster->start(tls => $certs, replicas => 0),
) {
    serves($redis->url, AMPERSAND_REDIS => $redis->url, $redis->env);
}

# Without AMPERSAND_REDIS the other settings do not apply to the Redis that it starts.

serves('without AMPERSAND_REDIS', AMPERSAND_REDIS_CA => '/nonexistent', AMPERSAND_REDIS_PASSWORD_FILE => '/nonexistent');

done_testing;
