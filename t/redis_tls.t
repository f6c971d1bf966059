# Redis by TLS: only to a server whose certificate is verified, and with one
# clear line in the log where it does not.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::Certificates;
use Gateway::Load;
use Gateway::Redis;
use Gateway::Redis::Cluster;
use Gateway::Redis::Sentinel;
use IO::Socket::INET ();
use Test::More;

my $path = '/v1/integrations';
my $certs = Gateway::Certificates->new;

sub ready { my ($gw) = @_; return $gw->wait_for(sub { $gw->linked }) }

# Waits for so many requests more.

sub answered {
    my ($gw, $load, $more) = @_;
    my $before = $load->report->{requests};
    return $gw->wait_for(sub { $load->report->{requests} >= $before + $more });
}

my $redis = Gateway::Redis->start(
    tls => $certs, users => { gate => 'on >canary-gate ~amp:* &amp:* +@all' }, '--requirepass', 'canary-password',
);
my $port = $redis->port;

subtest 'a certificate that is right' => sub {
    my @ways = (
        [ 'an address', "rediss://:canary-password\@127.0.0.1:$port/0", $redis->args ],
        [ 'a name', "rediss://:canary-password\@localhost:$port", $redis->args ],
        [ 'a user and a database', "rediss://gate:canary-gate\@127.0.0.1:$port/2", $redis->args ],
        [ 'server_name=', "rediss://gate:canary-gate\@127.0.0.1:$port", $redis->args . ' server_name=redis.test' ],
    );
    for (@ways) {
        my ($name, $url, $args) = @$_;
        my $gw = Gateway->start(redis => $redis, redis_url => $url, redis_args => "$args timeout=2s", workers => 2);
        my $token = eval { $gw->tenant('acme') };
        is $gw->get($path, token => $token // '')->{status}, 200, $name or diag $@, $gw->error_log;
        ok ready($gw), 'every link is up';
        is_deeply [ $gw->errors ], [], 'no error in the log';
        unlike $gw->error_log, qr/canary/, 'no password in the log';
        eval { $gw->ctl('tenant', 'remove', 'acme') };
        $gw->finish;
    }
};

subtest 'traffic and reloads by TLS' => sub {
    my $gw = Gateway->start(
        redis => $redis, redis_url => $redis->url(':canary-password@'), redis_args => $redis->args . ' timeout=2s', workers => 2,
        http => 'ampersand_tenant_ttl 50ms;',
    );
    $gw->upstream->answer({ echo => 1 });
    my @tenants = map { { id => "t$_", token => $gw->tenant("t$_"), project => "p-t$_", key => "key-of-t$_" } } 1 .. 4;
    my $load = Gateway::Load->start(gateways => [$gw], tenants => \@tenants);
    answered($gw, $load, 100);
    $gw->reload;
    answered($gw, $load, 100);
    $redis->command('CLIENT', 'KILL', 'TYPE', $_, 'SKIPME', 'yes') for 'normal', 'pubsub';
    answered($gw, $load, 100);
    my $r = $load->stop;
    is $r->{failed}, 0, "none of $r->{requests} requests failed" or diag join "\n", @{ $r->{failures} };
    ok $gw->wait_for(sub { $gw->workers_pids == 2 }), 'the old workers have exited';
    my $s = $gw->status;
    ok ready($gw), 'every link is up';
    my @clients = grep { !/addr=\S*redis\.sock|cmd=(?:client|auth)/ } split /\n/, $redis->command('CLIENT', 'LIST');
    is scalar(@clients), 3, 'a connection for each worker and one for the changes' or diag join "\n", @clients;
    $gw->finish;
    ok $gw->wait_for(sub { !grep { !/redis\.sock/ } split /\n/, $redis->command('CLIENT', 'LIST') }), 'and none at the end';
};

# What Redis shows or wants, what the gateway is given, and what the log says.

subtest 'a certificate that is wrong' => sub {
    my $ca = 'ca_file=' . $certs->ca;
    my $client = ' cert_file=' . $certs->file('client.pem') . ' key_file=' . $certs->file('client.key');
    my $foreign = ' cert_file=' . $certs->file('foreign.pem') . ' key_file=' . $certs->file('foreign.key');
    my @wrong = (
        [ 'another name', { certificate => 'name' }, $ca, qr/certificate.*another address/ ],
        [ 'expired', { certificate => 'expired' }, $ca, qr/certificate.*expired/i ],
        [ 'not valid yet', { certificate => 'early' }, $ca, qr/certificate.*not yet valid/i ],
        [ 'of another authority', { certificate => 'foreign' }, $ca, qr/certificate.*(?:issuer|self.signed|verif)/i ],
        [ 'of an authority that the system does not know', {}, '', qr/certificate.*(?:issuer|self.signed|verif)/i ],
        [ 'another name than server_name=', {}, "$ca server_name=else.test", qr/certificate.*another host/ ],
        [ 'a client certificate is wanted', { clients => 1 }, $ca, qr/certificate required|closed the connection/ ],
        [ 'a client certificate of another authority', { clients => 1 }, $ca . $foreign, qr/unknown ca|closed the connection/ ],
        [ 'no TLS at all', undef, $ca, qr/does not answer in time|TLS|SSL/ ],
        [ 'right, with a client certificate', { clients => 1 }, $ca . $client ],
    );
    for (@wrong) {
        my ($name, $server, $args, $line) = @$_;
        subtest $name => sub {
            my $other = $server ? Gateway::Redis->start(tls => $certs, %$server) : Gateway::Redis->start;
            my $gw = Gateway->start(redis => $other, redis_url => 'rediss://127.0.0.1:' . $other->port, redis_args => "$args timeout=1s");
            my $token = Gateway::Redis::wait_for(0, sub { $gw->tenant('acme') });
            if (!$line) {
                is $gw->get($path, token => $token // '')->{status}, 200, 'served' or diag $gw->error_log;
                is_deeply [ $gw->errors ], [], 'no error in the log';
                return $gw->finish;
            }
            ok !$token, 'ampctl refuses' or diag 'it has added a tenant';
            ok $gw->wait_for(sub { $gw->errors }), 'an error';
            my $connects = $gw->status->{redis_connects_total};
            $gw->wait_for(sub { $gw->status->{redis_connects_total} > $connects + 1 });
            my @errors = $gw->errors;
            is scalar(@errors), 1, 'one line, however often it fails' or diag join "\n", @errors;
            like $errors[0], $line, 'the reason';
            note $errors[0];
            is $gw->status->{redis_links_up}, 0, 'the link is not up';
            my $commands = $other->info('commandstats');
            is_deeply [ grep { !/ping|info|client/ } keys %$commands ], [], 'Redis has not been asked for anything';
            $gw->finish;
        };
    }
};

subtest 'a handshake that never ends' => sub {
    my $silent = IO::Socket::INET->new(Listen => 64, LocalAddr => '127.0.0.1') or die $!;
    my $gw = Gateway->start(
        redis => $redis, redis_url => 'rediss://127.0.0.1:' . $silent->sockport, redis_args => $redis->args,
    );
    my $token = $gw->tenant('hangs', args => [ '--redis', $redis->url(':canary-password@'), '--redis-ca', $certs->ca ]);
    is $gw->get($path, token => $token)->{status}, 503, 'a new tenant gets 503';
    ok $gw->wait_for(sub { $gw->errors == 1 }), 'one line';
    $gw->finish;
};

subtest 'bad files fail nginx -t' => sub {
    my @bad = (
        [ 'ca_file=/nonexistent.pem' ], [ 'ca_file=' . $certs->file('ca.key') ],
        [ 'cert_file=' . $certs->file('client.pem') ], [ 'key_file=' . $certs->file('client.key') ],
        [ 'cert_file=' . $certs->file('client.pem') . ' key_file=' . $certs->file('server.key') ],
    );
    my $key = $certs->dir . '/open.key';
    open my $in, '<', $certs->file('client.key') or die $!;
    open my $out, '>', $key or die $!;
    print $out readline $in;
    close $out;
    chmod 0644, $key;
    push @bad, [ 'cert_file=' . $certs->file('client.pem') . " key_file=$key", qr/chmod 600/ ];
    for (@bad) {
        my ($args, $says) = @$_;
        my ($ok, $text) = Gateway->configtest(
            "events {} http { ampersand_zone 1m; ampersand_redis rediss://127.0.0.1:1 $args; }");
        ok !$ok, $args =~ s{/\S*/}{}gr;
        like $text, $says || qr/\[emerg\].*nginx\.conf:\d+|\[emerg\].*(?:pem|key)/, 'says why';
    }
    my ($ok, $text) = Gateway->configtest(
        'events {} http { ampersand_zone 1m; ampersand_redis redis://127.0.0.1:1 ca_file=' . $certs->ca . '; }');
    ok !$ok, 'ca_file= without TLS' or diag $text;
};

for my $kind ('Sentinel', 'Cluster') {
    subtest "$kind by TLS" => sub {
        my $servers = "Gateway::Redis::$kind"->start(tls => $certs, password => 'canary-all', clients => 1, replicas => 1);
        my $gw = Gateway->start(
            redis => $servers, redis_url => $servers->url(':canary-all@'), redis_args => $servers->args . ' timeout=2s', workers => 2);
        my @tokens = map { $gw->tenant("t$_") } 1 .. 6;
        is_deeply [ map { $gw->get($path, token => $_)->{status} } @tokens ], [ (200) x 6 ], 'tenants are served'
            or diag $gw->error_log;
        ok ready($gw), 'every link is up';
        my $new = $gw->tenant('late');
        if ($kind eq 'Sentinel') {
            $servers->failover('crash');
        } else {
            $servers->crash($servers->master_of($servers->slot('amp:tenant:late')));
        }
        ok $gw->wait_for(sub { $gw->get($path, token => $new)->{status} == 200 }), 'also after a master was lost'
            or diag $gw->error_log;
        unlike $gw->error_log, qr/canary/, 'no password in the log';
        $gw->finish;
    };
}

done_testing;
