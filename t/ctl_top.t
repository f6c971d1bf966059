#!/usr/bin/perl

# ampctl top: finds the gateways, adds their figures up, says which it cannot
# reach and why; a terminal is as before when it ends, and gets no control
# characters of others.

use strict;
use warnings;

use FindBin;
use JSON::PP ();
use Test::More;
use Time::HiRes qw(sleep);

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Pty;

my $gw = Gateway->start;
my $second = Gateway->start(like => $gw);
my %token = (acme => $gw->tenant('acme', args => [ '--rate', '5/s', '--burst', 10 ]), quiet => $gw->tenant('quiet'));

sub requests {
    my ($n, $tenant, $path, $at) = @_;
    ($at || $gw)->get($path, token => $token{$tenant}) for 1 .. $n;
    return;
}

sub json { return JSON::PP::decode_json($gw->ctl('top', '--json', @_)) }

sub tenants { return map { $_->{id} => $_ } @{ $_[0]{tenants} } }

ok $gw->wait_for(sub { 2 == @{ JSON::PP::decode_json($gw->ctl('gateway', 'list', '--json'))->{gateways} } }), 'two gateways';
requests(3, 'acme', '/v1/integrations');
requests(2, 'acme', '/v1/integrations', $second);
requests(4, 'quiet', '/v1/no-such-path', $second);

subtest 'JSON: the sum of both' => sub {
    my $doc = json();
    is scalar(grep { $_->{read} } @{ $doc->{gateways} }), 2, 'both were read';
    my %t = tenants($doc);
    is $t{acme}{requests}, 5, 'requests of a tenant';
    is_deeply $t{quiet}{refusalsEver}, { 'unknown-operation' => 4 }, 'refusals of another';
    is "$t{acme}{limit}{name} $t{acme}{limit}{rate}", 'default 5/s', 'its limit';
    is $doc->{refusals}{'unknown-operation'}, 4, 'refusals of all';
    cmp_ok $doc->{latency}{upstream}{p50}, '>', 0, 'the time of upstream';
    cmp_ok $doc->{latency}{gateway}{p99}, '>=', $doc->{latency}{gateway}{p50}, 'the own time';
    is "$doc->{redis}{up} of $doc->{redis}{links}", '2 of 2', 'links to Redis';
};

subtest 'once, as text' => sub {
    my $text = $gw->ctl('top', '--once');
    like $text, qr{^[\d.]+ requests/s +\d+% from cache +\d+% refused or failed$}m, 'traffic';
    like $text, qr/^upstream +p50 \S+ \S+ +p95 \S+ \S+ +p99 \S+ \S+$/m, 'latency';
    like $text, qr/^refusals +unknown-operation 4$/m, 'refusals by cause';
    like $text, qr/^acme .* default 5\/s$/m, 'a tenant with its limit';
    like $text, qr/^quiet .*unknown-operation 4/m, 'why one is refused';
    like $text, qr/^gateways +2 of 2 read$/m, 'how it reached the gateways';
    like $text, qr/^ +[0-9a-f]{16} +http:\/\/127\.0\.0\.1:\d+\/-\/status$/m, 'and where';
    unlike $text, qr/[^\n\x20-\x7e]/, 'plain text, since it is no terminal';
    unlike $gw->ctl('top', '--once', '--filter', 'UNKNOWN-op'), qr/^acme/m, 'a filter by problem';
    unlike $gw->ctl('top', '--once', '--filter', 'acm'), qr/^quiet/m, 'and by tenant';
    like $gw->ctl('top', '--once', '--sort', 'name'), qr/^acme.*^quiet/ms, 'by name';
    my ($exit, undef, $err) = $gw->try_ctl('top', '--sort', 'size');
    is $exit, 2, 'another order: wrong usage';
    like $err, qr/traffic, refusals, limit or name/, 'the error says which there are';
};

# A person's terminal.

sub top {
    my ($how, @args) = @_;
    return Gateway::Pty->start($how, $ENV{AMPCTL} || "$Gateway::ROOT/build/ampctl", '--redis', $gw->redis_url, 'top', @args);
}

subtest 'in a terminal' => sub {
    my $pty = top({ columns => 120, lines => 40 });
    ok $pty->shows(qr/^quiet/m), 'tenants' or diag $pty->screen;
    ok $pty->shows(qr/^q quit +s sort/m), 'the keys';
    like $pty->out, qr/\e\[\?1049h/, 'on a screen of its own';
    like $pty->out, qr/\e\[1m/, 'with colour';
    requests(3, 'quiet', '/v1/also-none');
    ok $pty->shows(qr/unknown-operation 7/), 'it goes on by itself' or diag $pty->screen;
    $pty->type('s');
    ok $pty->shows(qr/^tenants by refusals$/m), 's sorts';
    $pty->type('/acm');
    ok $pty->shows(qr/^filter: acm_/m), '/ asks for a filter';
    ok $pty->shows(qr/\A(?!.*^quiet).*^acme/ms), 'which holds at once' or diag $pty->screen;
    $pty->type("q\x7f\r");
    ok $pty->shows(qr/filter: acm\n.*^q quit/ms), 'Enter keeps it; letters are text until then' or diag $pty->screen;
    $pty->type("\e");
    ok $pty->shows(qr/^quiet/m), 'Esc shows all';
    $pty->type('q');
    is $pty->wait, 0, 'q ends it';
    like $pty->out, qr/\e\[\?25h\e\[\?1049l\z/, 'cursor and screen are back';
    is $pty->settings, $pty->{before}, 'and the settings of the terminal';
};

subtest 'signals' => sub {
    for my $signal (qw(INT TERM HUP QUIT)) {
        my $pty = top({});
        ok $pty->shows(qr/^TENANT/m), "$signal: it runs";
        isnt $pty->settings, $pty->{before}, 'with settings of its own';
        kill $signal, $pty->pid;
        my $status = $pty->wait;
        is $status & 127, { INT => 2, TERM => 15, HUP => 1, QUIT => 3 }->{$signal}, 'it ends by the signal';
        like $pty->out, qr/\e\[\?25h\e\[\?1049l/, 'cursor and screen are back';
        is $pty->settings, $pty->{before}, 'and the settings';
    }
    my $pty = top({});
    ok $pty->shows(qr/^TENANT/m), 'Ctrl-C: it runs';
    $pty->type("\x03");
    is $pty->wait & 127, 2, 'ends it';
    is $pty->settings, $pty->{before}, 'with the settings of before';
};

subtest 'a narrow terminal, and one that gets wider' => sub {
    my $pty = top({ columns => 34, lines => 12, env => { NO_COLOR => 1 } });
    ok $pty->shows(qr/^q quit/m), 'it runs';
    my @lines = split /\n/, $pty->screen, -1;
    cmp_ok scalar(@lines), '<=', 12, 'no more lines than the terminal has';
    is scalar(grep { length > 34 } @lines), 0, 'none is wider';
    unlike $pty->out, qr/\e\[[\d;]+m/, 'NO_COLOR: none';
    $pty->size(130, 40);
    kill 'WINCH', $pty->pid;
    ok $pty->shows(qr/^TENANT .*WHY$/m), 'it uses the new size at once' or diag $pty->screen;
    $pty->type('q');
    is $pty->wait, 0, 'ends';
};

subtest 'a dumb terminal gets text' => sub {
    my $pty = top({ env => { TERM => 'dumb' } });
    is $pty->wait, 0, 'it ends by itself';
    unlike $pty->out, qr/\e/, 'no control sequences';
    like $pty->out, qr/^TENANT/m, 'the figures';
};

# The registry says what gateways, or whoever can write it, have put there.

my $redis = $gw->redis;

sub register {
    my ($id, %record) = @_;
    $redis->command('HSET', 'amp:gateways', $id, int(1000 * Time::HiRes::time()));
    $redis->command('SET', "amp:gateway:$id", JSON::PP->new->canonical->latin1->encode({ v => 1, id => $id, version => '0', start => time, %record }));
    return;
}

subtest 'what cannot be reached' => sub {
    my $free = Gateway::Redis::free_port();
    my $register = sub {
        register('e' x 16, status => "http://127.0.0.1:$free/-/status");
        register('c' x 16);
        register('d' x 16, status => 'http://127.0.0.1:' . $gw->port . '/-/status');
        register('b' x 16, status => 'http://127.0.0.1:' . $gw->port . '/-/health');
        register('a' x 16, status => "http://\e]0;evil\a\x{9b}31m/\n", version => "\e[2J");
    };
    $register->();    # a gateway that does not call leaves the registry after 10 s
    my %by = map { $_->{id} => $_ } @{ json()->{gateways} };
    is scalar(grep { $_->{read} } values %by), 2, 'two are still read';
    like $by{ 'e' x 16 }{remedy}, qr/GATEWAY_STATUS_LISTEN/, 'nobody listens: what to set';
    like $by{ 'c' x 16 }{why}, qr/no status/, 'one without a status';
    like $by{ 'd' x 16 }{why}, qr/another gateway/, 'one whose 127.0.0.1 is another machine: it is not counted twice';
    like $by{ 'b' x 16 }{why}, qr/its status answers with 404/, 'something else at the address';
    $register->();
    my %t = tenants(json());
    is $t{acme}{requests}, 5, 'nothing is counted twice';

    $register->();
    my $text = $gw->ctl('top', '--once');
    unlike $text, qr/[^\n\x20-\x7e]/, 'no control character of the registry in the text';
    like $text, qr/^gateways +2 of 7 read$/m, 'how many were read';
    like $text, qr/^    set GATEWAY_STATUS_LISTEN/m, 'the remedy';
    $register->();
    my $pty = top({ columns => 100, lines => 50 });
    ok $pty->shows(qr/2 of 7 read/), 'in the terminal';
    unlike $pty->out =~ s/\e\[(?:[\d;]*m|[HKJ]|\?\d+[hl])//gr, qr/[^\r\n\x20-\x7e]/, 'no control character of others';
    $pty->type('q');
    $pty->wait;
};

subtest 'Redis goes away meanwhile' => sub {
    my $pty = top({ columns => 140, lines => 50 }, '--timeout', '300ms');
    ok $pty->shows(qr/^TENANT/m), 'it runs';
    $redis->stop;
    ok $pty->shows(qr/registry: /), 'it says so, and goes on' or diag $pty->screen;
    $pty->type('q');
    is $pty->wait, 0, 'until it is told to end';
    my ($exit) = $gw->try_ctl('top', '--once');
    is $exit, 3, 'without Redis it does not begin';
};

$_->finish for $second, $gw;
done_testing;
