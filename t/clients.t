#!/usr/bin/perl

# The examples of docs/clients.md, run as they stand there against an emulated
# Ampersand: each succeeds, prints what it prints directly, and Ampersand gets the
# tenant's key in place of the token.  A client that is not at hand is skipped.

use strict;
use warnings;

use File::Temp ();
use FindBin;
use JSON::PP ();
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Browser;

my $project = '11111111-1111-4111-8111-111111111111';
my $key = 'amp-alpha-key-11111111';
my $modules = $ENV{AMPERSAND_NODE_MODULES} // (-d "$Gateway::ROOT/build/clients/node_modules" ? "$Gateway::ROOT/build/clients/node_modules" : '');

my $pid = open my $emulator, '-|', $^X, "$Gateway::ROOT/docker/emulator/emulator", '--listen', 'http://127.0.0.1:0', '--control'
    or die "emulator: $!";
my ($url) = (<$emulator> // '') =~ m{^listening on (http://\S+)} or die "the emulator does not start\n";
my $owner = $$;
END {
    if ($pid && $$ == $owner) {
        my $status = $?;
        kill 'KILL', $pid;
        close $emulator;
        $? = $status;
    }
}

# a page of another origin, for the clients of browsers

my $dir = File::Temp->newdir;
chmod 0755, "$dir";
my $site = Gateway::Redis::free_port();
my $origin = "http://localhost:$site";
my $gw = Gateway->start(upstream => $url, server => "ampersand_cors $origin;",
    http => "server { listen 127.0.0.1:$site; root $dir; types { text/html html; } }");
my $token = $gw->tenant('billing', project => $project, name => 'alpha', key => $key);
symlink $modules, "$dir/node_modules" if length $modules;

my %examples = examples();

# [section, program, package, lines that it prints]

my @clients = (
    [ 'curl', 'curl', undef, qr/"name":"crm".*"groupRef":"acme".*"operationId"/s ],
    [ '@amp-labs/sdk-node-platform', 'node', '@amp-labs/sdk-node-platform', qr/^\[ 'crm' \]$/ ],
    [ '@amp-labs/sdk-node-write', 'node', '@amp-labs/sdk-node-write', qr/^\{/ ],
    [ '@amp-labs/sdk-node', 'node', '@amp-labs/sdk-node', qr/^1\nstring$/ ],
    [ 'Ampersand\'s React components', 'browser', '@amp-labs/react', qr/Reading from Contact is enabled/ ],
    [ 'The amp command line', $ENV{AMP_CLI} || 'amp', undef, qr/Integration Name: crm/ ],
    [ 'The proxy API and the SDKs of providers', 'curl', undef, qr{services\\?/data\\?/v59.0} ],
    [ 'The proxy API and the SDKs of providers', 'node', '@notionhq/client', qr/^true$/ ],
);

for my $client (@clients) {
    my ($section, $program, $package, $prints) = @$client;
    my ($code) = grep { $package ? /^import .* from '\Q$package\E'/m : !/^import /m } @{ $examples{$section} || [] };
    my $name = $package // $section;
    subtest "$section: $name" => sub {
        ok defined $code, 'docs/clients.md has an example' or return;
        my $why = missing($program, $package);
        plan skip_all => $why if $why;
        requests();    # forget those before
        my ($exit, $out, $err) = run($code, $program);
        is $exit, 0, 'it succeeds' or diag $err;
        like $out, $prints, 'it prints what it should' or diag $err;
        my @seen = requests();
        cmp_ok scalar @seen, '>', 0, 'Ampersand got requests';
        is join(' ', grep { $_ ne $key } map { value($_, 'X-Api-Key') } @seen), '', "with the tenant's key";
        unlike JSON::PP::encode_json(\@seen), qr/agw_/, 'and nowhere a token';
        is_deeply [ grep { ($_->{host} // '') !~ /\.withampersand\.com$/ } @seen ], [], 'at its own hosts';
    };
}

is_deeply [ grep { !defined_client($_) } keys %examples ], [], 'each section with an example is run';

$gw->finish;
done_testing;


# The indented blocks of docs/clients.md, by the heading above them.

sub examples {
    open my $f, '<', "$Gateway::ROOT/docs/clients.md" or die "docs/clients.md: $!";
    my ($section, %found, $block) = ('');
    while (my $line = <$f>) {
        if ($line =~ /^#+ (.*)/) {
            $section = $1;
        } elsif ($line =~ s/^ {4}//) {
            push @{ $found{$section} }, '' unless $block++;
            $found{$section}[-1] .= $line;
            next;
        } elsif ($line eq "\n" && $block) {
            $found{$section}[-1] .= $line;    # a gap within a block, or behind it
            next;
        }
        $block = 0;
    }
    delete $found{Clients};    # the environment of all the others
    return %found;
}

sub defined_client { my ($section) = @_; return grep { $_->[0] eq $section } @clients }

sub missing {
    my ($program, $package) = @_;
    if ($program eq 'browser') {
        my ($lacks) = grep { !length $modules || !-e "$modules/$_" } $package, qw(react react-dom esbuild);
        return defined $lacks ? "AMPERSAND_NODE_MODULES names no node_modules directory with $lacks" : Gateway::Browser->missing;
    }
    my ($found) = grep { -x } $program =~ m{/} ? $program : map { "$_/$program" } split /:/, $ENV{PATH};
    return "$program is not installed" unless $found;
    return if $program eq 'curl';
    return "$program is not Ampersand's; AMP_CLI names it"
        if $program =~ /amp$/ && qx("$found" --help 2>&1 </dev/null) !~ /Ampersand CLI/;
    return unless $package;
    return 'AMPERSAND_NODE_MODULES names no node_modules directory with ' . $package unless length $modules && -e "$modules/$package";
    return;
}

# The example as the script of a page, with a token as docs/clients.md says: exit code,
# text of the page, errors.

sub browse {
    my ($code) = @_;
    my ($issue) = grep { /^ampctl token issue/ } @{ $examples{"Ampersand's React components"} };
    $issue =~ s/\\\n//g;
    $issue =~ s{https://app\.example\.com}{$origin};
    my $issued = JSON::PP::decode_json($gw->ctl(grep { defined } (split ' ', $issue)[1 .. 40], '--json') || '{}');
    open my $f, '>', "$dir/app.mjs" or die $!;
    print $f "const TOKEN = '$issued->{token}';\n$code";
    close $f or die $!;
    my %define = ('process.env.NODE_ENV' => 'production', 'process.env.REACT_APP_AMP_SERVER' => $gw->url);
    system('timeout', 60, "$modules/.bin/esbuild", "$dir/app.mjs", '--bundle', "--outfile=$dir/app.js", '--log-level=warning',
        map { qq(--define:$_="$define{$_}") } sort keys %define) == 0 or return (1, '', 'esbuild fails');
    open $f, '>', "$dir/page.html" or die $!;
    print $f '<!doctype html><body></body><script src="app.js"></script>';
    close $f or die $!;
    chmod 0644, "$dir/app.js", "$dir/page.html";
    my $browser = Gateway::Browser->start;
    $browser->visit("$origin/page.html");
    my $shown = $browser->wait_for('/is enabled|Error/.test(document.body.innerText)');
    return ($shown ? 0 : 1, $browser->js('document.body.innerText'), join "\n", $browser->errors);
}

sub run {
    my ($code, $program) = @_;
    return browse($code) if $program eq 'browser';
    my $file = $program eq 'node' ? "$dir/example.mjs" : "$dir/example.sh";
    # another place of the same program
    $code =~ s/\bamp (?=list:)/"$program" /g if $program =~ m{/};
    open my $f, '>', $file or die $!;
    print $f $program eq 'node' ? $code : "set -e\n" . $code =~ s/^curl /curl -sS --fail-with-body -m 30 /gmr;
    close $f;
    local %ENV = (%ENV, GATEWAY => $gw->url, TOKEN => $token, HOME => "$dir", no_proxy => '127.0.0.1',
        INTEGRATION => '11111111-0000-4000-8000-000000000001', INSTALLATION => '11111111-0000-4000-8000-000000000011');
    system(($program eq 'node' ? 'timeout 60 node' : 'timeout 60 bash') . " $file >$dir/out 2>$dir/err </dev/null");
    return ($? >> 8, map { open my $in, '<', "$dir/$_"; local $/; my $text = <$in> // ''; $text =~ s/\n+\z//r } qw(out err));
}

# What the emulator got since the last call.

sub requests {
    my $text = qx(curl -s -m 10 $url/_emulator/requests; curl -s -m 10 -X DELETE $url/_emulator/requests);
    my $list = eval { JSON::PP->new->utf8->incr_parse($text) } || [];
    return @$list;
}

sub value { my ($request, $name) = @_; return map { $_->[1] } grep { lc $_->[0] eq lc $name } @{ $request->{headers} } }
