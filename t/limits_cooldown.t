#!/usr/bin/perl

# A cool-down: after an upstream 429 with Retry-After no gateway sends a request of
# that tenant before that time.

use strict;
use warnings;

use FindBin;
use POSIX qw(strftime);
use Test::More;
use Time::HiRes qw(sleep time);

use lib "$FindBin::Bin/lib";
use Gateway;

my $gw = Gateway->start(workers => 2, server => <<'E');
        location = /v1/destinations/observed {
            ampersand platform;
            ampersand_observe on;
            include PROXY;
        }
E
my $second = Gateway->start(like => $gw, workers => 2);
my $up = $gw->upstream;
my $URN = 'urn:ampersand-gateway:problem:';
my $n = 0;

sub tenant { return $gw->tenant('t' . ++$n, project => "p-$n") }
sub post { my ($g, $t) = @_; return $g->request('POST', '/v1/topics', token => $t, json => {}) }

sub refuse { $up->answer({ status => 429, headers => [@_], body => '{}' }) }
sub serve  { $up->answer({}) }

sub cooling {
    my ($g, $t) = @_;
    my $res = post($g, $t);
    return $res->{status} == 429 && ($g->json($res)->{type} // '') eq "${URN}cooling-down" ? $res->{headers}{'retry-after'} : 0;
}

# Seconds left of so many, of which some have passed since $begun.

sub left { my ($seconds, $of, $begun) = @_; return $seconds <= $of && $seconds >= $of - 1 - (time - $begun) }

subtest 'Retry-After in seconds, on every gateway' => sub {
    my $t = tenant();
    my $same = $gw->tenant("same$n", project => "p-$n");
    my $other = tenant();
    is post($_, $t)->{status}, 200, 'the tenant is served' for $gw, $second;
    my $begun = time;
    refuse('Retry-After' => 300);
    my $res = post($gw, $t);
    is $res->{status}, 429, "Ampersand's answer";
    is $res->{headers}{'x-gateway-source'}, 'upstream', "Ampersand's answer: its source";
    is $res->{headers}{'retry-after'}, 300, "Ampersand's answer: Retry-After";
    serve();
    $up->take;
    $res = post($gw, $t);
    is $res->{status}, 429, "the gateway's answer";
    is $res->{headers}{'x-gateway-source'}, 'gateway', "the gateway's answer: its source";
    is $gw->json($res)->{type}, "${URN}cooling-down", 'type';
    ok left($res->{headers}{'retry-after'}, 300, $begun), "the gateway's answer: Retry-After";
    my $seen = 0;
    ok $gw->wait_for(sub { cooling($second, $t) }), 'the other gateway refuses too';
    $seen += $up->take;
    is $gw->get('/v1/destinations/x', token => $t)->{status}, 429, 'a cacheable GET is refused too';
    my $third = Gateway->start(like => $gw);
    ok cooling($third, $t), 'a gateway that starts now refuses too';
    is scalar($up->take), 0, 'Ampersand has received none of these requests';
    note "$seen before the other gateway knew";
    is post($_, $other)->{status}, 200, 'another tenant is served' for $gw, $second;
    is post($_, $same)->{status}, 200, 'and so is one of the same project, until it gets a 429 itself' for $gw, $second;
    is $gw->get('/v1/destinations/observed', token => $t)->{status}, 200, 'ampersand_observe lets it pass';
    is $gw->status->{cooldowns_total}, 1, 'counted once';
    $third->finish;
};

subtest 'a cool-down ends' => sub {
    my $t = tenant();
    is post($_, $t)->{status}, 200, 'the tenant is served' for $gw, $second;
    refuse('Retry-After' => 1);
    my $begun = time;
    post($gw, $t);
    serve();
    ok $gw->wait_for(sub { post($gw, $t)->{status} == 200 }), 'it ends';
    cmp_ok time - $begun, '>=', 0.99, 'not before its time';
    ok $gw->wait_for(sub { post($second, $t)->{status} == 200 }), 'on the other gateway too';
};

subtest 'a date' => sub {
    my %at = (
        'Retry-After'       => sub { strftime '%a, %d %b %Y %T GMT', gmtime $_[0] },
        'X-Amp-Retry-After' => sub { strftime '%a, %d %b %Y %T UTC', gmtime $_[0] },
    );
    for my $name (sort keys %at) {
        my ($t, $begun) = (tenant(), time);
        refuse($name => $at{$name}->(time + 300));
        post($gw, $t);
        my $seconds = cooling($gw, $t);
        ok left($seconds, 300, $begun), "$name: $seconds s";

        # the other's clock is an hour ahead
        ($t, $begun) = (tenant(), time);
        refuse(Date => $at{'Retry-After'}->(time + 3600), $name => $at{$name}->(time + 3620));
        post($gw, $t);
        $seconds = cooling($gw, $t);
        ok left($seconds, 20, $begun), "$name by the clock of Date: $seconds s";
    }
    my ($t, $begun) = (tenant(), time);
    refuse('Retry-After' => 30, 'X-Amp-Retry-After' => $at{'X-Amp-Retry-After'}->(time + 500));
    post($gw, $t);
    ok left(cooling($gw, $t), 500, $begun), 'of two times the later one';
    ($t, $begun) = (tenant(), time);
    refuse('Retry-After' => '29.5');
    post($gw, $t);
    ok left(cooling($gw, $t), 30, $begun), 'a fraction of a second is rounded up';
};

subtest 'answers that open no cool-down' => sub {
    for my $headers ([], [ 'Retry-After' => 'soon' ], [ 'Retry-After' => '5.x' ], [ 'Retry-After' => 0 ], [ 'Retry-After' => -5 ],
        [ 'Retry-After' => 'Thu, 06 Mar 2025 22:09:49 GMT' ], [ 'Retry-After' => '' ])
    {
        my $t = tenant();
        refuse(@$headers);
        post($gw, $t);
        serve();
        is post($gw, $t)->{status}, 200, "@$headers: served";
    }
    my $t = tenant();
    $up->answer({ status => 503, headers => [ 'Retry-After' => 30 ], body => '' });
    post($gw, $t);
    serve();
    is post($gw, $t)->{status}, 200, 'a 503: served';
    for my $long ('99999999999', '9' x 40) {
        $t = tenant();
        refuse('Retry-After' => $long);
        post($gw, $t);
        is cooling($gw, $t), 86400, 'a day at most';
    }
};

subtest 'a longer cool-down that comes later counts on every gateway' => sub {
    my $t = tenant();
    serve();
    is post($_, $t)->{status}, 200, 'the tenant is served' for $gw, $second;
    $up->take;
    $up->answer({ status => 429, headers => [ 'Retry-After' => 3000 ], body => '{}', hold => 1 });
    my $slow = $gw->connect;
    syswrite $slow, "POST /v1/topics HTTP/1.1\r\nHost: a\r\nX-Api-Key: $t\r\nContent-Length: 2\r\n\r\n{}";
    ok $gw->wait_for(sub { $up->take }), 'a request that Ampersand answers late';
    refuse('Retry-After' => 300);
    post($gw, $t);
    ok $gw->wait_for(sub { my $s = cooling($second, $t); $s && $s <= 300 }), 'a cool-down of five minutes';
    serve();
    $up->release;
    ok $gw->wait_for(sub { cooling($second, $t) > 300 }), 'then one of fifty minutes';
};

subtest 'HEAD' => sub {
    my $t = tenant();
    refuse('Retry-After' => 30);
    is $gw->request('HEAD', '/v1/destinations/x', token => $t)->{status}, 429, "Ampersand's answer";
    serve();
    my $res = $gw->request('HEAD', '/v1/destinations/x', token => $t);
    is "$res->{status} $res->{headers}{'x-gateway-source'} $res->{body}", '429 gateway ', "the gateway's";
};

subtest 'the proxy API: a cool-down for each installation' => sub {
    my $t = tenant();
    my $ask = sub { my ($g, @h) = @_; return $g->get('/proxy/x' . rand, token => $t, headers => \@h) };
    my @i1 = ('X-Amp-Installation-Id' => 'i-1');
    my @i2 = ('X-Amp-Installation-Id' => 'i-2');
    my @g1 = ('X-Amp-Integration-Name' => 'n', 'X-Amp-Group-Ref' => 'g1');
    my @g2 = ('X-Amp-Integration-Name' => 'n', 'X-Amp-Group-Ref' => 'g2');
    serve();
    $ask->($second, @i1);
    refuse('Retry-After' => 30);
    $ask->($gw, @i1);
    $ask->($gw, @g1);
    serve();
    for my $case ([ @i1 ], [ @g1 ]) {
        my $res = $ask->($gw, @$case);
        is $res->{status}, 429, "@$case: refused";
        is $res->{headers}{'x-gateway-source'}, 'gateway', 'by the gateway';
        ok $gw->wait_for(sub { $ask->($second, @$case)->{headers}{'x-gateway-source'} eq 'gateway' }), 'by the other gateway too';
    }
    is $ask->($gw, @$_)->{status}, 200, "@$_: served" for \@i2, \@g2;
    is post($gw, $t)->{status}, 200, 'the other APIs: served';
};

subtest 'ampctl cooldown: they are listed, and ended on every gateway' => sub {
    my ($t, $other) = (tenant(), tenant());
    my $id = "t" . ($n - 1);
    my @i1 = ('X-Amp-Installation-Id' => 'i-1');
    my $ask = sub { return $_[0]->get('/proxy/x' . rand, token => $t, headers => \@i1)->{status} };
    serve();
    for my $g ($gw, $second) { post($g, $_) for $t, $other; $ask->($g) }
    refuse('Retry-After' => 300);
    $ask->($gw);
    post($gw, $_) for $t, $other;
    serve();
    ok $gw->wait_for(sub { cooling($second, $t) && cooling($second, $other) && $ask->($second) == 429 }), 'both gateways cool down';

    my @list = grep { $_->{tenant} eq $id } @{ JSON::PP::decode_json($gw->ctl(qw(cooldown list --json))) };
    is_deeply [ map { defined $_->{scope} ? 1 : 0 } @list ], [ 0, 1 ], 'the list has that of the tenant and that of the installation';
    is scalar(grep { $_->{ms} > 0 && $_->{ms} <= 300_000 } @list), 2, 'and how long they last';
    like $gw->ctl(qw(cooldown list)), qr/^\Q$id\E +\d+ +all$/m, 'as text';

    like $gw->ctl('cooldown', 'clear', $id), qr/has no cool-down any more; there were 2$/m, 'cleared';
    for my $g ($gw, $second) {
        ok $gw->wait_for(sub { post($g, $t)->{status} == 200 && $ask->($g) == 200 }), 'the gateway serves the tenant again';
    }
    ok cooling($_, $other), 'another tenant cools down as before' for $gw, $second;
    unlike $gw->ctl(qw(cooldown list)), qr/^\Q$id\E /m, 'the list does not have it any more';
    is scalar(($gw->try_ctl(qw(cooldown clear nobody)))[0]), 1, 'no such tenant';
};

subtest 'without Redis: a cool-down of one gateway' => sub {
    my $t = $gw->tenant('without-redis', project => 'p-without', settled => 1);
    is post($gw, $t)->{status}, 200, 'the tenant is served';
    $gw->redis->stop;
    refuse('Retry-After' => 30);
    post($gw, $t);
    serve();
    ok cooling($gw, $t), 'cooling down';
};

$_->finish for $gw, $second;
done_testing;
