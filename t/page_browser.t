#!/usr/bin/perl

# The live page in a browser: it shows the past and goes on, tells who is refused
# and why, filters, fits a phone, works by keyboard, and has no fault that
# axe-core finds.

use strict;
use warnings;

use File::Temp ();
use FindBin;
use JSON::PP ();
use Test::More;
use Time::HiRes qw(sleep time);

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Browser;
use Gateway::Upstream;

if (my $why = Gateway::Browser->missing) {
    plan skip_all => $why;
}

my $up = Gateway::Upstream->start(sub {
    my ($req) = @_;
    return {
        headers => [ 'Cache-Control' => $req->{target} =~ /once/ ? 'no-store' : 'max-age=600' ],
        body    => '{}',
    };
});
my $gw = Gateway->start(workers => 2, upstream => $up->url);
my %token = map { $_ => $gw->tenant($_, key => "canary-key-of-$_") } qw(acme other-tenant third);
$gw->ctl(qw(limit set other-tenant --rate 1/h --burst 1));
$token{'other-tenant'} = JSON::PP::decode_json($gw->ctl(qw(token issue other-tenant --expires 50h --json)))->{token};

sub requests {
    my ($n, $tenant, $path) = @_;
    $gw->get($path, token => $token{$tenant}) for 1 .. $n;
    return;
}

# What stands in a table, row by row, cells by a bar.

sub table {
    my ($id) = @_;
    return qq{[...document.querySelectorAll('#$id tbody tr')].map(r => [...r.cells].map(c => c.textContent).join('|')).join('\\n')};
}

# The lines at the top, each after its kind.

sub attention {
    return q{[...document.querySelectorAll('#attention li')].map(li => [...li.childNodes].map(n => n.textContent).join(': ')).join('\\n')};
}

requests(3, 'acme', '/v1/integrations');
requests(2, 'acme', '/v1/no-such-path');
requests(1, 'other-tenant', '/v1/integrations/once');

my $browser = Gateway::Browser->start;
$browser->size(1200, 900);
ok $browser->visit($gw->url . '/-/status?format=html'), 'the page loads';

# a test that needs a value which is not there yet says what there is instead

sub shows {
    my ($what, $expression, $pattern) = @_;
    my $found = $browser->wait_for('new RegExp(' . JSON::PP->new->allow_nonref->encode($pattern) . ", 'm').test($expression)");
    ok $found, $what or diag $browser->js($expression);
    return;
}

subtest 'what was before the page was opened' => sub {
    shows('tenants, the busiest first', table('tenant-table'), '^acme\|.*\|5\|2$');
    shows('the other one', table('tenant-table'), '^other-tenant\|');
    shows('the limit that is nearest', table('tenant-table'), '^other-tenant\|.*\|100 % of 1/h, burst 1\|');
    is $browser->js(q{document.querySelectorAll('#tenant-table meter').length}), 1, 'as a bar, for the tenant that has one';
    shows('a limit that is near, at the top', attention(), '^Soon: Tenant other-tenant has used 100 % of its limit of 1/h, burst 1: it will be refused$');
    shows('and what expires', attention(), '^Soon: Tenant other-tenant: a token expires in 2 days$');
    shows('a token that expires soon', table('care'), '^other-tenant\|a token expires in 2 days\|ampctl token list other-tenant$');
    shows('why it was refused', table('tenant-table'), '^acme\|.*\|unknown-operation 2\|');
    shows('refusals by cause', table('refusals'), '^unknown-operation\|\d+\|2$');
    shows('operations', table('operation-table'), '^listIntegrations\|.*\|3\|0\|0$');
    shows('upstream', table('upstream'), '^platform\|working\|');
    shows('how long Redis takes', q{document.querySelector('#redis').textContent}, 'Look-ups, last minute: p50 / p95 / p99');
    shows('Redis', q{document.querySelector('#redis').textContent}, 'Links up2 of 2');
    shows('each of its servers', q{document.querySelector('#redis').textContent}, 'Links by server127.0.0.1:' . $gw->redis->port . ': 3 up');
    shows('how many are from the cache', q{document.querySelector('#now').textContent}, 'From cache, last minute50 %');
    shows('how long they took', q{document.querySelector('#now').textContent}, 'Upstream, last minute: p50 / p95 / p99[\d.]+ \S*s / ');
    shows('and nothing that waits', q{document.querySelector('#attention').textContent}, '^(?!Waiting)');
    like $browser->js(q{document.querySelectorAll('canvas').length}), qr/^4$/, 'charts';
    is $browser->js(q{[...document.querySelectorAll('canvas')].filter(c =>
        !c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(v => v)).length}), 0, 'with something in them';
    shows('and for those who do not see them', q{document.querySelector('.u-wrap').getAttribute('aria-label')}, 'last values: upstream [\d.]+');
};

subtest 'it goes on by itself' => sub {
    requests(4, 'acme', '/v1/no-such-path');
    requests(5, 'third', '/v1/integrations');
    shows('a tenant', table('tenant-table'), '^acme\|.*\|9\|6$');
    shows('a tenant that is new', table('tenant-table'), '^third\|.*\|5\|0$');
    shows('a cause', table('refusals'), '^unknown-operation\|\d+\|6$');
    shows('who is refused and why, at the top', attention(), '^Refused: Tenant acme: [\d.]+ % of its requests, \d+ of \d+ in the last minute, mostly unknown-operation: Ampersand.s API has no operation with that path$');
    requests(2, 'other-tenant', '/v1/integrations/once');
    shows('and by which limit', attention(), '^Refused: Tenant other-tenant: 100 % of its requests, 2 of 2 in the last minute, mostly rate-limited by its limit of 1/h, burst 1$');
    shows('in the table, too', table('tenant-table'), '^other-tenant\|.*\|rate-limited 2 .default.\|');
    $browser->js(q{document.querySelector('#pause').click()});
    is $browser->js(q{document.querySelector('#pause').getAttribute('aria-pressed')}), 'true', 'it can be paused';
    requests(1, 'third', '/v1/integrations');
    $browser->js(q{document.querySelector('#pause').click()});
    shows('and goes on', table('tenant-table'), '^third\|.*\|6\|0$');
};

# What this JavaScript makes of a gateway's answer, in place of the answer.

sub changed {
    my ($script) = @_;
    return $browser->js(<<"END");
window.realFetch ||= window.fetch;
window.fetch = async (...args) => {
    const status = await (await window.realFetch(...args)).json();
    $script
    return new Response(JSON.stringify(status));
};
END
}

# The answers of the gateway, with another past: how many of ten upstream requests a second took a second.

sub latency {
    my (%slow) = @_;
    my $took = sub { my ($part) = @_; return "counts(s >= status.second - 60 ? @{[ $slow{$part} || 0 ]} : 0, @{[ $part eq 'gateway' ? '[0.0001, 0.025]' : '[0.025, 2.5]' ]})" };
    return changed(<<"END");
    const counts = (slow, [fast, long]) => status.bounds.map(b => b === fast ? 10 - slow : b === long ? slow : 0);
    status.history = [];
    for (let s = status.second - 600; s < status.second; s++) {
        status.history.push({ second: s, gateway: 0, upstream: 10, cache: 0, refusals: {},
                              durations: { gateway: @{[ $took->('gateway') ]}, upstream: @{[ $took->('upstream') ]} } });
    }
END
}

subtest 'whether upstream or the gateway is slow' => sub {
    my $note = sub { my ($n) = @_; return "document.querySelector('#now div:nth-child($n) dd.beside').textContent" };
    latency();
    shows('neither is', $note->($_), '^as usual$') for 4, 5;
    latency(upstream => 3);
    shows('upstream is', attention(), '^Slow: Upstream, above all the platform API: p95 2[.\d]* s, usually [\d.]+ ms; the gateway itself is not slow$');
    shows('beside its latency', $note->(5), '^slow: p95 usually [\d.]+ ms$');
    shows('and not beside the other one', $note->(4), '^as usual$');
    latency(gateway => 3);
    shows('the gateway is', attention(), '^Slow: The gateway itself: p95 [\d.]+ ms, usually [\d.]+ \S+s; upstream is not slow$');
    latency(gateway => 3, upstream => 3);
    shows('both are', attention(), '^Slow: The gateway itself: p95 [\d.]+ ms, usually [\d.]+ \S+s$');
    latency();
    shows('neither is any more', $note->(5), '^as usual$');
    $browser->js('window.fetch = window.realFetch; undefined');
};

subtest 'what is broken' => sub {
    changed(<<'END');
status.upstream_read_suspended = 1;
status.upstream.write.connections.new += 60;
status.upstream.write.errors.timeout += 50;
status.redis_degraded = 1;
status.redis_links_up = 0;
status.redisNodes = { '10.0.0.1:6379': { up: 0, connecting: 0, down: 3 }, '10.0.0.2:6379': { up: 3, connecting: 0, down: 0 } };
status.redis.lease = status.redis.lease.map((n, i) => n + (status.bounds[i] === 0.25 ? 1000 : 0));
status.tenants.acme.keyUsable = false;
END
    shows('a suspended host', attention(), '^Broken: Upstream: the host of the read API failed and is suspended$');
    shows('an API that fails', attention(), '^Broken: Upstream: requests to the write API fail, in the last minute timeout 50$');
    shows('the server of Redis that is away', attention(), '^Broken: Redis, or a part of it, is out of reach: 10.0.0.1:6379$');
    shows('a key', attention(), '^Broken: Tenant acme has no Ampersand key that opens$');
    shows('and that Redis is slow', attention(), '^Slow: Redis: p95 of leases of limits [\d.]+ ms$');
    changed(q{status.redisNodes = { '10.0.0.3:26379': { up: 0, connecting: 0, down: 2 } };});
    shows('a Sentinel that is away', attention(), '^Broken: A server of Redis or a Sentinel is out of reach: 10.0.0.3:26379$');
    $browser->js('window.fetch = window.realFetch; undefined');
    shows('nothing any more', attention(), '^(?!.*Broken)[^]*$');
};

subtest 'filters' => sub {
    my $shown = sub { $browser->js(table($_[0]) . q{.replace(/\|.*/g, '')}) };
    my $filter = sub {
        my ($id, $text) = @_;
        $browser->js(qq{document.querySelector('#$id').focus(); document.querySelector('#$id').select()});
        length $text ? $browser->type($text) : $browser->js(qq{document.querySelector('#$id').value = '';
            document.querySelector('#$id').dispatchEvent(new Event('input'))});
    };
    $filter->('tenant-filter', 'ACM');
    is $shown->('tenant-table'), 'acme', 'by tenant';
    $filter->('tenant-filter', 'unknown-op');
    is $shown->('tenant-table'), 'acme', 'by problem';
    $filter->('tenant-filter', 'nobody-has-this');
    is $shown->('tenant-table'), '', 'nothing fits';
    $filter->('tenant-filter', '');
    is scalar(split /\n/, $shown->('tenant-table')), 3, 'all again';
    $filter->('operation-filter', 'getint');
    is $shown->('operation-table'), 'getIntegration', 'by operation';
    $filter->('operation-filter', '');
};

subtest 'the gateway is out of reach' => sub {
    $browser->errors;
    $browser->call('Network.emulateNetworkConditions', offline => JSON::PP::true, latency => 0, downloadThroughput => -1, uploadThroughput => -1);
    shows('it says so', q{document.querySelector('#attention').textContent}, 'does not answer');
    $browser->call('Network.emulateNetworkConditions', offline => JSON::PP::false, latency => 0, downloadThroughput => -1, uploadThroughput => -1);
    shows('until it is back', attention(), 'a token expires in 2 days$');
    is scalar(grep { !/INTERNET_DISCONNECTED|Failed to fetch/ } $browser->errors), 0, 'with no other error';
};

subtest 'names are text' => sub {
    my $name = '<img src=x onerror="document.title=1">';
    is $browser->js(<<"END"), JSON::PP->new->allow_nonref->decode('"' . ($name =~ s/"/\\"/gr) . '"'), 'a name that is markup is shown as it is';
(async () => {
    const real = window.fetch;
    window.fetch = async (...args) => {
        const status = await (await real(...args)).json();
        status.tenants['@{[ $name =~ s/'/\\'/gr ]}'] = { gateway: 1e6, upstream: 0, cache: 0, refusals: {}, limitRefusals: {} };
        return new Response(JSON.stringify(status));
    };
    for (let i = 0; i < 600 && document.querySelectorAll('#tenant-table tbody tr').length < 4; i++) {
        await new Promise(done => setTimeout(done, 50));
    }
    window.fetch = real;
    return document.querySelector('#tenant-table tbody th').textContent;
})()
END
    is $browser->js(q{document.querySelectorAll('#tenant-table img').length}), 0, 'and makes no element';
};

subtest 'on a phone' => sub {
    $browser->size(320, 640);
    ok $browser->wait_for(q{document.documentElement.scrollWidth <= 320}), 'nothing is wider than the screen'
        or diag $browser->js(q{[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > 320).map(e => e.tagName + '.' + e.className).slice(0, 9).join(' ')});
    ok $browser->wait_for(q{[...document.querySelectorAll('canvas')].every(c => c.getBoundingClientRect().right <= 320)}), 'the charts fit';
    $browser->size(1200, 900);
};

subtest 'by keyboard' => sub {
    $browser->visit($gw->url . '/-/status?format=html');
    $browser->key('Tab', 9);
    is $browser->js(q{document.activeElement.className}), 'skip', 'first a way to the tenants';
    cmp_ok $browser->js(q{document.activeElement.getBoundingClientRect().left}), '>=', 0, 'which is seen then';
    $browser->key('Enter', 13);
    is $browser->js(q{document.activeElement.id}), 'tenants', 'it leads there';
    $browser->key('Tab', 9);
    is $browser->js(q{document.activeElement.id}), 'tenant-filter', 'then to the filter';
    unlike $browser->js(q{getComputedStyle(document.activeElement).outlineStyle}), qr/none/, 'the focus is seen';
};

subtest 'dark and light' => sub {
    my %back;
    for my $dark (0, 1) {
        $browser->dark($dark);
        $back{$dark} = $browser->js(q{getComputedStyle(document.body).backgroundColor});
    }
    isnt $back{0}, $back{1}, 'as the system says';
};

SKIP: {
    my $axe = axe() or skip 'axe-core cannot be had from npm', 1;
    subtest 'axe-core finds nothing' => sub {
        $browser->js($axe);
        for my $case ([ 'light', 0, 1200 ], [ 'dark', 1, 1200 ], [ 'phone', 0, 320 ]) {
            my ($name, $dark, $width) = @$case;
            $browser->dark($dark);
            $browser->size($width, 900);
            is $browser->js(q{axe.run().then(r => r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.target).join(' ')).join('\n'))}), '', $name;
        }
    };
}

subtest 'nothing else was loaded' => sub {
    my @other = grep { index($_, $gw->url . '/-/status?') != 0 && $_ ne 'data:,' } $browser->requests;
    is join(' ', @other), '', 'only the status';
    is join("\n", $browser->errors), '', 'no error in the console';
    unlike $browser->js('document.documentElement.outerHTML'), qr/canary-key|agw_/, 'no secret on the page';
};

screenshots($ENV{PAGE_SCREENSHOTS}) if $ENV{PAGE_SCREENSHOTS};

undef $browser;
$gw->finish;
done_testing;


# The pictures of docs/, of a gateway with some minutes of traffic; into a directory.

sub screenshots {
    my ($dir) = @_;
    my $up = Gateway::Upstream->start(sub {
        my ($req) = @_;
        return {
            delay   => $req->{target} =~ /large/ ? 0.05 + rand 0.2 : 0.01 + rand 0.03,
            headers => [ 'Cache-Control' => $req->{target} =~ /large/ ? 'no-store' : 'max-age=5' ],
            body    => '{}',
        };
    });
    my $gw = Gateway->start(workers => 2, upstream => $up->url);
    my %token = map { $_ => $gw->tenant($_, args => [ '--rate', $_ eq 'sync-jobs' ? '2/s' : '50/s' ]) } qw(billing crm sync-jobs reports);
    $token{reports} = JSON::PP::decode_json($gw->ctl(qw(token issue reports --expires 50h --json)))->{token};
    my $traffic = sub {
        for my $half (1 .. 2 * $_[0]) {
            my $end = time + 0.5;
            $gw->get('/v1/integrations', token => $token{billing}) for 1 .. 3 + rand 4;
            $gw->get('/v1/integrations/i-' . int(rand 9), token => $token{crm}) for 1 .. 1 + rand 3;
            $gw->get('/v1/integrations/large', token => $token{'sync-jobs'}) for 1 .. 2;
            $gw->get('/read/v1/nothing', token => $token{reports}) if rand() < 0.2;
            sleep $end - time if $end > time;
        }
    };
    $traffic->($ENV{PAGE_SCREENSHOTS_SECONDS} || 240);
    $browser->dark(0);
    $browser->size(1100, 880);
    $browser->visit($gw->url . '/-/status?format=html');
    $traffic->(12);
    $browser->screenshot("$dir/page-light.png");
    $browser->dark(1);
    $traffic->(2);
    $browser->screenshot("$dir/page-dark.png");
    $browser->size(390, 844);
    $traffic->(3);
    $browser->screenshot("$dir/page-phone.png");
    cmp_ok -s "$dir/page-$_.png", '<', 200_000, "the picture $_ is small" for qw(light dark phone);
    $gw->finish;
    return;
}


# The script of axe-core; nothing where npm or its registry is out of reach.

sub axe {
    my $dir = File::Temp->newdir;
    my $version = '4.14.1';
    system("cd $dir && timeout 60 npm pack --silent axe-core\@$version > /dev/null 2>&1 && tar -xzf axe-core-$version.tgz package/axe.min.js") == 0 or return;
    return Gateway::_slurp("$dir/package/axe.min.js") . ';undefined';
}
