# Redis fails in every way while a tenant is looked up that is not in the zone: 503,
# one line in the log, served when the fault ends; tenants in the zone are served
# all the time.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::FakeRedis;
use Test::More;

my $path = '/v1/integrations';
my $fake = Gateway::FakeRedis->start;
my $gw = $fake->gateway(redis_args => 'timeout=200ms', http => 'ampersand_tenant_ttl 300ms; ampersand_tenant_grace 60s;');

sub all_lines { return $gw->log_lines(qr/ampersand: .*(?:Redis|cannot be read)/) }

my $known = $fake->new_tenants;
is $gw->get($path, token => $known)->{status}, 200, 'a tenant is served';

my $hash = "*2\r\n\$1\r\na\r\n\$1\r\nb\r\n";
my @faults = (
    [ 'an error',               { reply => "-ERR broken\r\n" } ],
    [ 'loading',                { reply => "-LOADING Redis is loading the dataset in memory\r\n" } ],
    [ 'read-only',              { reply => "-READONLY You can't write against a read only replica.\r\n" } ],
    [ 'no authentication',      { reply => "-NOAUTH Authentication required.\r\n" } ],
    [ 'a cluster',              { reply => "-MOVED 866 127.0.0.1:1\r\n" } ],
    [ 'a replica on its own',   { reply => "-MASTERDOWN Link with MASTER is down\r\n" } ],
    [ 'an integer',             { on => 'GET', reply => ":1\r\n" } ],
    [ 'an array for a text',    { on => 'GET', reply => $hash } ],
    [ 'a text for a hash',      { on => 'HGETALL', reply => "\$2\r\nhi\r\n" } ],
    [ 'no JSON',                { on => 'GET', reply => "\$2\r\nhi\r\n" } ],
    [ 'an empty text',          { on => 'GET', reply => "\$0\r\n\r\n" } ],
    [ 'a record cut short',     { on => 'GET', cut => 12 } ],
    [ 'a text of 2 MiB',        { on => 'GET', reply => "\$2097152\r\n" . 'x' x 2097152 . "\r\n" } ],
    [ 'a text of 2 GiB',        { on => 'GET', reply => "\$2147483648\r\nxx" } ],
    [ 'a negative length',      { reply => "\$-7\r\n" } ],
    [ 'nested arrays',          { reply => "*1\r\n" x 40 . ":1\r\n" } ],
    [ 'garbage',                { reply => "HTTP/1.1 400 Bad Request\r\n\r\n" } ],
    [ 'zero bytes',             { reply => "\0\0\0\0\r\n" } ],
    [ 'closed without answer',  { reply => '', close => 1 } ],
    [ 'closed in mid-reply',    { cut => 5, close => 1 } ],
    [ 'a hash cut and closed',  { on => 'HGETALL', cut => 3, close => 1 } ],
    [ 'never an answer',        { silent => 1 } ],
    [ 'an answer after 300 ms', { delay => 0.3 } ],
);

for (@faults) {
    my ($name, $fault) = @$_;
    subtest $name => sub {
        my ($first, $second, $third) = $fake->new_tenants(3);
        my ($before, $all) = (scalar $fake->errors, scalar all_lines());
        $fake->fault($fault);

        $fake->is_503($gw->get($path, token => $first), 'a new tenant gets 503 with Retry-After');
        $fake->is_503($gw->get($path, token => $second), 'the next one too') for 1 .. 4;

        is scalar(grep { $gw->get($path, token => $known)->{status} == 200 } 1 .. 5), 5,
            'a tenant in the zone is served';
        # a record that cannot be read is a line once a second, for all tenants together
        my $lines = $fake->errors - $before;
        my $said = all_lines() - $all;
        ok $said >= 1 && $lines <= ($said > $lines ? 2 : 1), 'one line in the error log'
            or diag "$lines: ", join "\n", ($fake->errors)[$before .. $before + $lines - 1];

        $fake->fault;
        ok $gw->wait_for(sub { $gw->get($path, token => $third)->{status} == 200 }),
            'served when the fault has ended';
        ok $gw->wait_for(sub { $gw->get($path, token => $first)->{status} == 200 }),
            'the first tenant too';
    };
}

is scalar(grep { /\b40[13]\b/ } $gw->access_log =~ /"status":(\d+)/g), 0, 'no request got 401 or 403';
$gw->finish;
done_testing;
