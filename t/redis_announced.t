# What Sentinels and cluster nodes announce as the host of a master: an address, a host
# name, an IPv6 address, "?", an empty text.  The gateway and ampctl use the same
# server, or say the same.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::FakeRedis;
use Gateway::Nameserver;
use Gateway::Redis;
use Test::More;

my $dns = Gateway::Nameserver->start;
$dns->names(localhost => '127.0.0.1');
my $path = '/v1/integrations';
plan skip_all => 'this machine has no ::1' if !grep { /^0{31}1 / } split /\n/, Gateway::_slurp('/proc/net/if_inet6');
my $real = Gateway::Redis->start('--bind', '127.0.0.1', '::1');

sub bulk { return '$' . length($_[0]) . "\r\n$_[0]\r\n" }

my %asked = (
    Sentinel => { on => 'SENTINEL', url => sub { "redis+sentinel://127.0.0.1:$_[0]/main" }, says => qr/names no host and port/,
        reply => sub { "*2\r\n" . bulk($_[0]) . bulk($real->port) } },
    Cluster => { on => 'CLUSTER', url => sub { "redis+cluster://127.0.0.1:$_[0]" }, says => qr/names no address/,
        reply => sub { "*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n" . bulk($_[0]) . ':' . $real->port . "\r\n" . bulk('a' x 40) } },
);

for my $form (sort keys %asked) {
    my $o = $asked{$form};
    for my $case (
        [ '127.0.0.1', 1 ], [ 'localhost', 1 ], [ '::1', 1 ], [ '?', 0 ],
        # of a cluster: the node that was asked, which here is no master
        ($form eq 'Sentinel' ? [ '', 0 ] : ()),
    ) {
        my ($host, $used) = @$case;
        subtest "$form names \"$host\"" => sub {
            my $fake = Gateway::FakeRedis->start;
            my $url = $o->{url}->($fake->port);
            $fake->fault({ on => $o->{on}, reply => $o->{reply}->($host) });
            my $gw = Gateway->start(redis => $real, redis_url => $url, http => $dns->resolver);
            my ($exit, $out, $err) = $gw->try_ctl(qw(tenant add acme --project p-1 --json), '--timeout', '1s');
            is $exit, $used ? 0 : 3, $used ? 'ampctl uses it' : 'ampctl does not use it' or diag $err;
            if ($used) {
                my ($token) = $out =~ /"token": ?"([^"]+)"/;
                $gw->wait_for(sub { $gw->linked });
                like $gw->get($path, token => $token)->{body}, qr/no-key/, 'the gateway finds the tenant there, which has no key yet';
                is_deeply [ grep { /Redis/ } $gw->errors ], [], 'no error of Redis';
            }
            else {
                like $out, $o->{says}, 'and says why';
                ok $gw->wait_for(sub { grep { /gives no address|names no host and port/ } $gw->errors }), 'the gateway logs that, too' or diag $gw->error_log;
            }
            $real->command('FLUSHALL');
            $gw->stop;
            $fake->stop;
        };
    }
}

done_testing;
