#!/usr/bin/perl

# The live page as it is sent: one document that loads nothing from elsewhere, and
# a policy by which a browser runs what stands in it and nothing else.  What it
# does is in page_browser.t.

use strict;
use warnings;

use Digest::SHA qw(sha256_base64);
use File::Temp ();
use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;

my $root = $Gateway::ROOT;
my $gw = Gateway->start;
my $page = $gw->get('/-/status?format=html');

sub header { return $_[0]{headers}{ lc $_[1] } // '' }

subtest 'who gets it' => sub {
    is $page->{status}, 200, '?format=html';
    ok $gw->get('/-/status', headers => [ Accept => 'text/html,application/xhtml+xml,*/*;q=0.8' ])->{body} eq $page->{body}, 'a browser';
    like header($gw->get('/-/status'), 'Content-Type'), qr{^application/json}, 'not who says nothing';
    my $head = $gw->request('HEAD', '/-/status?format=html');
    is $head->{status}, 200, 'HEAD';
    is length $head->{body}, 0, 'has no body';
    is header($head, $_), header($page, $_), "but $_" for qw(Content-Length Content-Type Content-Security-Policy);
};

subtest 'causes that it explains' => sub {
    my ($means) = Gateway::_slurp("$root/src/page/page.js") =~ /^const MEANS = \{(.*?)^\};/ms;
    my @named = $means =~ /^    '([\w-]+)':/gm;
    cmp_ok scalar @named, '>', 2, 'some';
    my $problems = Gateway::_slurp("$root/docs/problems.md");
    like $problems, qr/^\| `$_` \|/m, "$_ is one" for @named;
};

subtest 'headers' => sub {
    is header($page, 'Content-Type'), 'text/html; charset=utf-8', 'Content-Type';
    is header($page, 'Content-Length'), length $page->{body}, 'Content-Length';
    is header($page, 'Cache-Control'), 'no-store', 'after an upgrade there is no old page';
    is header($page, 'X-Content-Type-Options'), 'nosniff', 'X-Content-Type-Options';
    is header($page, 'Referrer-Policy'), 'no-referrer', 'Referrer-Policy';
};

subtest 'the policy' => sub {
    my %policy = map { /^(\S+) (.*)$/ ? ($1 => $2) : () } split /; /, header($page, 'Content-Security-Policy');
    my $hash = sub {
        my ($element) = @_;
        my @found = $page->{body} =~ m{<$element>(.*?)</$element>}gs;
        is scalar @found, 1, "one $element";
        my $digest = sha256_base64($found[0]);
        return "'sha256-$digest" . '=' x (-length($digest) % 4) . "'";
    };
    is_deeply \%policy, {
        'default-src'     => "'none'",
        'script-src'      => $hash->('script'),
        'style-src'       => $hash->('style'),
        'connect-src'     => "'self'",
        'img-src'         => 'data:',
        'base-uri'        => "'none'",
        'form-action'     => "'none'",
        'frame-ancestors' => "'none'",
    }, 'these scripts and styles, JSON from here, nothing else';
};

subtest 'nothing that the policy would refuse, nothing from elsewhere' => sub {
    my $html = $page->{body} =~ s{<(script|style)>.*?</\1>}{}gsr;
    unlike $html, qr/\son\w+\s*=/i, 'no inline handler';
    unlike $html, qr/\sstyle\s*=/i, 'no inline style';
    unlike $html, qr/javascript:/i, 'no address that is a script';
    unlike $html, qr{(?:src|href|action)\s*=\s*"?(?:\w+:)?//}i, 'no address of another host';
    my ($style) = $page->{body} =~ m{<style>(.*?)</style>}s;
    unlike $style, qr/\@import|url\s*\(/i, 'no address in the style';
    my $own = Gateway::_slurp("$root/src/page/page.js");
    unlike $own, qr/innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function/, 'names become text, never markup';
    cmp_ok length $page->{body}, '<', 250_000, 'not large';
    like $page->{body}, qr/Permission is hereby granted, free of charge/, "with the library's licence";
};

$gw->finish;

SKIP: {
    skip 'npm is not installed', 1 if system('command -v npm > /dev/null 2>&1') != 0;
    skip "npm's registry is out of reach", 1 if system('timeout 30 npm ping > /dev/null 2>&1') != 0;

    subtest 'the library is what its authors published' => sub {
        my $dir = File::Temp->newdir;
        is system("$root/tools/page-library $dir"), 0, 'tools/page-library';
        for my $file (glob "$root/src/page/uplot/*") {
            my ($name) = $file =~ m{([^/]+)$};
            is system('cmp', '-s', $file, "$dir/$name"), 0, $name;
        }
        is scalar(() = glob "$dir/*"), 3, 'all of it';
    };
}

done_testing;
