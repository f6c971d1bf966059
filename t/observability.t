#!/usr/bin/perl

# docker/observability: each alert has a section in docs/operations.md, a test in
# which it fires and one in which it does not; rules and dashboard name metrics that
# the gateway has; promtool finds no fault; the compose file names files that exist.

use strict;
use warnings;

use FindBin;
use JSON::PP ();
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;

my $root = $Gateway::ROOT;
my $dir = "$root/docker/observability";

sub slurp { open my $f, '<', $_[0] or die "$_[0]: $!"; local $/; return scalar <$f> }

my $rules = slurp("$dir/rules.yml");
my %alert = $rules =~ /- alert: (\w+)\n\s+expr: '((?:[^']|'')*)'/g;
my $dashboard = JSON::PP->new->utf8->decode(slurp("$dir/grafana/ampersand.json"));

cmp_ok scalar(keys %alert), '>', 10, 'there are alerts';
is scalar(keys %alert), scalar(() = $rules =~ /- alert:/g), 'each has another name';

subtest 'each alert has a section in docs/operations.md, and no other' => sub {
    my $docs = slurp("$root/docs/operations.md");
    my %section = $docs =~ /^### (Ampersand\w+)\n\n(.+)/mg;
    is_deeply [ sort keys %section ], [ sort keys %alert ], 'sections';
    my %url = $rules =~ /- alert: (\w+)\n(?:(?!- alert).*\n)*?\s+runbook_url: (\S+)/g;
    is $url{$_}, 'docs/operations.md#' . lc, "$_: its address" for sort keys %alert;
};

subtest 'each alert has a test in which it fires, and one in which it does not' => sub {
    my %fires;
    my %quiet;
    for my $case (split /^  - interval/m, slurp("$dir/rules.test.yml")) {
        my ($name) = $case =~ /alertname: (\w+)/ or next;
        $case =~ /exp_alerts: \[\]/ ? $quiet{$name}++ : $fires{$name}++;
    }
    is_deeply [ sort keys %fires ], [ sort keys %alert ], 'fires';
    is_deeply [ sort keys %quiet ], [ sort keys %alert ], 'does not';
};

# What a gateway has before any request, with the parts of histograms.

my $gw = Gateway->start;
my %type = $gw->get('/-/status?format=prometheus')->{body} =~ /^# TYPE (\S+) (\S+)$/mg;
$gw->finish;
my %metric = map { $_ => 1 } map { $type{$_} eq 'histogram' ? map { my $part = $_; $part } "${_}_bucket", "${_}_sum", "${_}_count" : $_ } keys %type;

subtest 'metrics that are named exist' => sub {
    my @panels = grep { $_->{targets} } @{ $dashboard->{panels} };
    cmp_ok scalar(@panels), '>', 10, 'the dashboard has panels';
    my %expr = ((map { ("alert $_" => $alert{$_}) } keys %alert),
        map { my $p = $_; map { ("$p->{title}, $_->{refId}" => $_->{expr}) } @{ $p->{targets} } } @panels);
    for my $what (sort keys %expr) {
        my @families = $expr{$what} =~ /__name__=~"([^"]+)"/g;
        my @names = grep { !/^ampersand_upstream_$/ } ($expr{$what} =~ s/"[^"]*"//gr) =~ /\b(ampersand_\w+)/g;
        cmp_ok @names + @families, '>', 0, "$what: it names some" or next if $expr{$what} !~ /^up\b/;
        is join(' ', grep { !$metric{$_} } @names), '', $what;
        for my $family (@families) {
            is scalar(grep { /^(?:$family)$/ } keys %metric), 5, "$what: the five APIs";
        }
    }
    is_deeply [ grep { $_->{query} && ref $_->{query} && !grep { $metric{$_} } $_->{query}{query} =~ /(ampersand_\w+)/ } @{ $dashboard->{templating}{list} } ], [], 'variables';
};

subtest 'the dashboard' => sub {
    my @id = map { $_->{id} } @{ $dashboard->{panels} };
    my %seen = map { $_ => 1 } @id;
    is scalar(keys %seen), scalar(@id), 'each panel has a number of its own';
    is_deeply [ grep { $_->{gridPos}{x} + $_->{gridPos}{w} > 24 } @{ $dashboard->{panels} } ], [], 'panels fit';
    is_deeply [ grep { $_->{targets} && !length($_->{description} // '') } @{ $dashboard->{panels} } ], [], 'each says what it shows';
};

subtest 'files that are mounted exist' => sub {
    my @files = slurp("$dir/compose.yaml") =~ m{^\s+- (\./\S+?):/}mg;
    cmp_ok scalar(@files), '>', 2, 'there are some';
    ok -e "$root/docker/$_", $_ for @files;
};

SKIP: {
    my ($promtool) = grep { -x } map { "$_/promtool" } split /:/, $ENV{PATH};
    $promtool or skip 'promtool is not installed (tools/deps monitoring)', 1;

    subtest 'promtool' => sub {
        chdir $dir or die "$dir: $!";
        for my $args ([qw(check rules rules.yml)], [qw(check config prometheus.yml)], [qw(test rules rules.test.yml)]) {
            my $said = qx($promtool @$args 2>&1);
            is $?, 0, "@$args" or diag $said;
        }
    };
}

done_testing;
