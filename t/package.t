#!/usr/bin/perl

# The Debian packages as "make deb" builds them: control fields, files, modes,
# maintainer scripts, the man page, and what lintian says.  What needs root and
# another Debian (installing, upgrading, removing, purging) is in
# tools/check-package.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp ();
use Test::More;

my $root = dirname(dirname(abs_path(__FILE__)));
chdir $root or die "$root: $!";

delete @ENV{qw(MAKEFLAGS MFLAGS MAKELEVEL DEB_BUILD_OPTIONS)};

my $ampctl = $ENV{AMPCTL} || 'build/ampctl';
my $module = 'libnginx-mod-http-ampersand';
my $tmp = File::Temp->newdir('package.XXXXXX', TMPDIR => 1);

sub slurp { open my $f, '<', $_[0] or die "$_[0]: $!"; local $/; return scalar <$f> }

sub out {
    my @command = @_;
    open my $out, '-|', @command or die "$command[0]: $!";
    local $/;
    return scalar(<$out>) // '';
}

my ($version) = out($ampctl, '--version') =~ /^ampctl (\S+)$/ or die 'ampctl has no version';

subtest 'the man page has every command and option of --help' => sub {
    my $page = out('tools/man-page', $ampctl);
    like $page, qr/^\.TH AMPCTL 1 "" "ampctl \Q$version\E"/m, 'the version';
    my $help = out($ampctl, '--help');
    my ($commands) = $help =~ /^commands:\n(.*?)\n\n/ms;
    my @commands = $commands =~ /^  ((?:\S+ )+) /mg;
    cmp_ok scalar(@commands), '>', 20, 'commands';
    my @texts = $help;
    for my $command (map { s/ +$//r } @commands) {
        like $page, qr/^\.SS "\Q@{[ $command =~ s{-}{\\-}gr ]}\E/m, $command;
        push @texts, out($ampctl, (grep { /^[a-z]/ } split / /, $command), '--help');
    }
    my %options = map { $_ => 1 } map { /^  --([a-z-]+)/mg } @texts;
    cmp_ok scalar(keys %options), '>', 20, 'options';
    like $page, qr/^\\fB\\-\\-\Q@{[ $_ =~ s{-}{\\-}gr ]}\E\\fR/m, "--$_" for sort keys %options;

  SKIP: {
        skip 'groff and man, which would check its syntax, are not installed', 1
            if system('command -v man groff > /dev/null 2>&1') != 0;
        open my $f, '>', "$tmp/ampctl.1" or die $!;
        print $f $page;
        close $f;
        is qx(LC_ALL=C.UTF-8 MANROFFSEQ= MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z $tmp/ampctl.1 2>&1 >/dev/null),
            '', 'groff finds no fault in it';
    }
};

subtest 'ampersand-gateway(5) has every directive of docs/configuration.md' => sub {
    my $page = out('tools/man-page', $ampctl, 'docs/configuration.md');
    like $page, qr/^\.TH AMPERSAND\\-GATEWAY 5 /m, 'the head';
    my @directives = out('cat', 'docs/configuration.md') =~ /^\| `(ampersand[a-z_]*)` \|/mg;
    cmp_ok scalar(@directives), '>', 15, 'directives';
    for my $directive (@directives) {
        like $page, qr/^\.TP\n\\fB$directive\\fR\n/m, "$directive is in the list";
    }
  SKIP: {
        skip 'groff and man are not installed', 1 if system('command -v man groff > /dev/null 2>&1') != 0;
        open my $f, '>', "$tmp/ampersand-gateway.5" or die $!;
        print $f $page;
        close $f;
        is qx(LC_ALL=C.UTF-8 MANROFFSEQ= MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z $tmp/ampersand-gateway.5 2>&1 >/dev/null),
            '', 'groff finds no fault in it';
    }
};

# The rest needs packages.

sub no_packages {
    my ($why) = @_;
  SKIP: { skip $why, 1 }
    done_testing;
    exit 0;
}

my @missing = grep { system("command -v $_ > /dev/null 2>&1") != 0 } qw(dpkg-buildpackage dh dh_nginx);
no_packages("the packages cannot be built without @missing (tools/deps build)") if @missing;

my $abi_file = '/usr/share/nginx/src/debian/libnginx-mod.abisubstvars';
no_packages("the packages are for Debian's nginx, and this one names no ABI: there is no $abi_file") if !-e $abi_file;

my $made = qx(make -s deb 2>&1);
is $?, 0, 'make deb' or do { diag $made; done_testing; exit 1 };

my @debs = glob 'build/deb/*.deb';
is_deeply [map { /([a-z-]+)_[^\/]*$/ } @debs], ['ampctl', $module], 'two packages';
my ($tool_deb, $module_deb) = @debs;

sub field { return out('dpkg-deb', '-f', @_) =~ s/\s+\z//r }

subtest 'control fields' => sub {
    my $abi = out('sed', '-n', 's/^nginx:abi=//p', $abi_file) =~ s/\s//gr;
    like $abi, qr/^nginx-abi-\d/, 'nginx names its ABI';
    for my $deb (@debs) {
        my ($package) = $deb =~ m{/([a-z-]+)_};
        is field($deb, 'Package'), $package, $package;
        like field($deb, 'Version'), qr/^\Q$version\E-\d+$/, 'the version is that of ampctl';
        like field($deb, $_), qr/\S/, $_ for qw(Maintainer Homepage Section Priority Description);
        unlike field($deb, 'Maintainer'), qr/localhost/, 'a host that can be somewhere';
        like field($deb, 'Depends'), qr/\b\Q$_\E\b/, "depends on $_" for qw(ca-certificates libc6 libjansson4);
    }
    like field($module_deb, 'Depends'), qr/(?:^|, )\Q$abi\E(?:,|$)/, 'the module depends on the ABI of nginx';
    like field($module_deb, 'Recommends'), qr/^ampctl, nginx$/, 'and recommends nginx';
    unlike field($tool_deb, 'Depends'), qr/nginx/, 'ampctl needs no nginx';
    like field($tool_deb, $_), qr/^\Q$module\E \(<< 0\.1\.0-1~\)$/, "$_: it was in that package" for qw(Breaks Replaces);
};

# What is in a package, or below a folder: path => mode.

sub files {
    my (@trees) = @_;
    my %mode;
    for my $tree (@trees) {
        for (split /\n/, out('sh', '-c', 'cd "$0" && find . -mindepth 1 -printf "%m %y %P\n"', $tree)) {
            my ($mode, $type, $path) = split / /, $_, 3;
            $mode{"/$path"} = $type eq 'd' ? "$mode/" : $mode if $path !~ /^DEBIAN/;
        }
    }
    return %mode;
}

for (@debs) {
    my ($package) = m{/([a-z-]+)_};
    system('dpkg-deb', '-R', $_, "$tmp/$package") == 0 or die "dpkg-deb -R $_";
}
my %in = files("$tmp/$module", "$tmp/ampctl");

subtest 'the packages have the files of make install' => sub {
    my $install = qx(make -s install DESTDIR=$tmp/install 2>&1);
    is $?, 0, 'make install' or diag $install;
    my %there = files("$tmp/install");
    my $doc = "/usr/share/doc/$module";

    # what Debian's conventions name or make in another way
    my @instead = ("$doc/LICENSE", "$doc/CHANGELOG.md", '/usr/share/man/man1/ampctl.1',
        '/usr/share/man/man5/ampersand-gateway.5',
        '/etc/nginx/modules-enabled', '/etc/nginx/modules-enabled/50-mod-http-ampersand.conf');
    my %conventions = map { $_ => 1 } "$doc/copyright", "$doc/changelog.gz", "$doc/changelog.Debian.gz",
        '/usr/share/man/man1/ampctl.1.gz', '/usr/share/man/man5/ampersand-gateway.5.gz', '/usr/share/doc/ampctl',
        (map { "/usr/share/doc/ampctl/$_" } qw(copyright changelog.gz changelog.Debian.gz)),
        '/usr/share/lintian', '/usr/share/lintian/overrides', map { "/usr/share/lintian/overrides/$_" } $module, 'ampctl';

    for my $path (@instead) {
        ok defined delete $there{$path}, "make install: $path";
        ok !exists $in{$path}, "the packages have no $path";
    }
    ok exists $in{$_}, "the packages: $_" for sort keys %conventions;
    my %rest = map { $_ => $in{$_} } grep { !$conventions{$_} } keys %in;
    is_deeply \%rest, \%there, 'all others are the same, with the same modes';
    is slurp("$tmp/$module$_"), slurp("$tmp/install$_"), "$_: the same text"
        for '/usr/share/nginx/modules-available/mod-http-ampersand.conf', grep { m{^/etc/nginx/ampersand/.} } sort keys %there;
    is readlink("$tmp/install/etc/nginx/modules-enabled/50-mod-http-ampersand.conf"),
        '/usr/share/nginx/modules-available/mod-http-ampersand.conf', 'make install enables the module';
};

subtest 'modes, configuration, scripts' => sub {
    is $in{$_}, '700/', "$_: for its owner alone" for qw(/etc/ampersand /var/cache/ampersand);
    is slurp("$tmp/$module/DEBIAN/conffiles"), join('', map { "$_\n" } grep { m{^/etc/nginx/ampersand/.} } sort keys %in),
        'each file in /etc is a conffile';
    ok !-e "$tmp/ampctl/DEBIAN/conffiles", 'ampctl has none';
    for my $script (qw(postinst prerm postrm)) {
        my $file = "$tmp/$module/DEBIAN/$script";
        is system('sh', '-n', $file), 0, "$script is a shell script";
        like slurp($file), qr/50-mod-http-ampersand\.conf/, 'with what dh_nginx adds';
        unlike slurp($file), qr{\brm\b[^\n]*/etc/ampersand}, 'that removes no master key';
    }
    like slurp("$tmp/$module/DEBIAN/postinst"), qr/dpkg-trigger --no-await nginx-reload/, 'nginx is reloaded';
    ok !grep({ /LICENSE/ } keys %in), 'the license is in copyright alone';
    like slurp("$tmp/$_/usr/share/doc/$_/copyright"), qr/Copyright: 2026 The Ampersand/, "copyright of $_" for $module, 'ampctl';
};

SKIP: {
    skip 'lintian is not installed (tools/check-package runs it)', 1 if system('command -v lintian > /dev/null 2>&1') != 0;
    my $told = qx(cd build/deb && lintian --allow-root --fail-on error,warning *.changes 2>&1);
    is $?, 0, 'lintian has no errors and no warnings' or diag $told;
}

done_testing;
