#!/usr/bin/perl

# The proxy API with a lifetime: what selects an answer stands in its key, and a
# write is seen.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Upstream;

# The answer says which account was asked for, and in which request.

my @selects = qw(x-amp-installation-id x-amp-integration-name x-amp-group-ref xero-tenant-id stripe-account
    accept accept-language user-agent);
my $up = Gateway::Upstream->start(sub {
    my ($req) = @_;
    my $said = join ',', map { Gateway::Upstream::header($req, $_) // '' } @selects;
    my $status = $req->{target} =~ /refused/ && $req->{method} ne 'GET' ? 422 : 200;
    return { status => $status, headers => [ 'Content-Type' => 'application/json' ], body => qq(["$said",$req->{n}]) };
});
my $gw = Gateway->start(workers => 2, upstream => $up->url, http => 'ampersand_cache_ttl proxyRequest 60s;');
my $far = Gateway->start(like => $gw, http => 'ampersand_cache_ttl proxyRequest 60s;');
my $token = $gw->tenant('acme', project => 'p-1', key => 'key-acme');

sub ask {
    my ($method, $path, @h) = @_;
    return $gw->request($method, $path, token => $token, headers => [@h], $method eq 'GET' ? () : (body => '{}'));
}
sub cached { return ask('GET', @_)->{headers}{'x-cache-status'} }

subtest 'whoever is asked for gets its own answer' => sub {
    my %inst = ('X-Amp-Installation-Id' => 'inst-a');
    my @accounts = (
        {%inst}, { 'X-Amp-Installation-Id' => 'inst-b' },
        { 'X-Amp-Integration-Name' => 'crm', 'X-Amp-Group-Ref' => 'g1' },
        { 'X-Amp-Integration-Name' => 'crm', 'X-Amp-Group-Ref' => 'g2' },
        { 'X-Amp-Integration-Name' => 'erp', 'X-Amp-Group-Ref' => 'g2' },
        { %inst, 'Xero-Tenant-Id' => 'org-1' }, { %inst, 'Xero-Tenant-Id' => 'org-2' },
        { %inst, 'Stripe-Account' => 'org-1' }, { %inst, Accept => 'text/csv' },
        { %inst, 'Accept-Language' => 'de' }, { %inst, 'User-Agent' => 'mobile' },
    );
    for my $time (qw(MISS HIT)) {
        for my $h (@accounts) {
            my $res = ask('GET', '/proxy/crm/contacts', map { $_ => $h->{$_} } sort keys %$h);
            my %lower = map { lc($_) => $h->{$_} } keys %$h;
            is $gw->json($res)->[0], join(',', map { $lower{$_} // '' } @selects), join ' ', %$h;
            is $res->{headers}{'x-cache-status'}, $time, $time;
        }
    }
};

subtest 'the same account is one entry' => sub {
    my @h = ('X-Amp-Installation-Id' => 'one');
    is cached('/proxy/crm/one', @h), 'MISS', 'asked for';
    is cached('/proxy/crm/one', @h, Traceparent => '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'), 'HIT',
        'tracing makes no difference';
    is cached('/proxy/crm/one', @h, 'X-Correlation-Id' => 'c-1', 'X-B3-TraceId' => '1'), 'HIT', 'whoever does it';
    is cached('/proxy/crm/one', @h, 'X-Request-Id' => 'r-1'), 'HIT', 'nor does what is not sent';
    is cached('/proxy/crm/one', @h, Range => 'bytes=0-1'), 'HIT', 'nor Range';
    is cached('/proxy/crm/one', @h, 'Cache-Control' => 'no-cache'), 'BYPASS', 'no-cache asks the provider';
    is cached('/proxy/crm/one', @h), 'HIT', 'and fills the same entry';
};

subtest 'a secret of the provider is in no cache key' => sub {
    my $secret = 'pk_9f8e7d6c5b4a';
    is cached('/proxy/crm/secret', 'X-Provider-Secret' => $secret), 'MISS', 'asked for';
    is cached('/proxy/crm/secret', 'X-Provider-Secret' => $secret), 'HIT', 'stored';
    my $files = join '', map { open my $f, '<', $_ or die; local $/; <$f> } glob $gw->dir . '/cache/*/*/*';
    like $files, qr/KEY: .*crm\/secret/, 'the keys are in the files';
    unlike $files, qr/KEY: .*\Q$secret/, 'the secret is not';
};

subtest 'a write is seen' => sub {
    my @h = ('X-Amp-Installation-Id' => 'inst-a');
    my $there = sub { $far->get($_[0], token => $token, headers => \@h)->{headers}{'x-cache-status'} };
    for my $method (qw(PUT PATCH POST DELETE REPORT)) {
        my $path = "/proxy/crm/contacts/$method";
        cached($path, @h);
        is cached($path, @h), 'HIT', 'cached';
        $there->($path);
        is $there->($path), 'HIT', 'on another gateway, too';
        ok $gw->applied('p-1', sub { is ask($method, $path, @h)->{status}, 200, $method }, $far), 'applied';
        is cached($path, @h), 'MISS', "$method: the next GET asks the provider";
        is $there->($path), 'MISS', 'on the other gateway, too';
    }
    for my $other ([ '/proxy/crm/contacts?limit=1', @h ], [ '/proxy/crm/contacts', 'X-Amp-Installation-Id' => 'inst-b' ]) {
        cached(@$other);
        is cached(@$other), 'HIT', 'another URL, or another installation';
        is ask('POST', '/proxy/crm/contacts', @h)->{status}, 200, 'a write';
        is cached(@$other), 'MISS', 'which may show the same';
    }
    for my $method (qw(OPTIONS HEAD)) {
        cached('/proxy/crm/contacts/PUT', @h);
        is ask($method, '/proxy/crm/contacts/PUT', @h)->{status}, 200, $method;
        is cached('/proxy/crm/contacts/PUT', @h), 'HIT', "$method changes nothing";
    }
    cached('/proxy/crm/refused', @h);
    is ask('PUT', '/proxy/crm/refused', @h)->{status}, 422, 'a write that the provider refuses';
    is cached('/proxy/crm/refused', @h), 'HIT', 'changes nothing';
};

subtest 'a tenant that is bound to another group reads nothing of the former' => sub {
    my $bound = sub { $gw->tenant('bound', project => 'p-1', key => 'key-bound', args => [ '--group', $_[0], '--group', 'all' ]) };
    my $read = sub {
        my ($t) = @_;
        return map { $gw->get($_, token => $t, headers => [ 'X-Amp-Group-Ref' => 'all' ])->{headers}{'x-cache-status'} }
            '/proxy/crm/bound', '/v1/installations?groupRef=all';
    };
    my $first = $bound->('g1');
    is_deeply [ $read->($first) ], [ 'MISS', 'MISS' ], 'asked for';
    is_deeply [ $read->($first) ], [ 'HIT', 'HIT' ], 'stored';
    $gw->ctl(qw(tenant remove bound));
    my $second = $bound->('g2');
    is_deeply [ $read->($second) ], [ 'MISS', 'MISS' ], 'asked for again';
};

subtest 'without a lifetime no write is published' => sub {
    my $off = Gateway->start(like => $gw);
    my $before = "@{ $gw->redis->command('HGETALL', 'amp:gen:p-1') }";
    is $off->request('PUT', '/proxy/crm/x', token => $token, body => '{}')->{status}, 200, 'a write';
    ok $off->applied('p-1', sub { $off->request('POST', '/v1/topics', token => $token, json => {}) }),
        'another write, which is published after it';
    my %was = split ' ', $before;
    my %is = @{ $gw->redis->command('HGETALL', 'amp:gen:p-1') };
    is $is{proxy}, $was{proxy}, 'the generation of the proxy API is the same';
    $off->finish;
};

$far->finish;
$gw->finish;
done_testing;
