#!/usr/bin/perl

# README's configuration and commands by the letter, on a fresh Debian: /etc,
# /var/cache, /var/log, /run and the network are this test's own.  And the links
# between the documents.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(basename dirname);
use File::Temp ();
use JSON::PP ();
use Socket qw(AF_INET SOCK_DGRAM);
use Test::More;
use Time::HiRes qw(sleep time);

my $root = dirname(dirname(abs_path(__FILE__)));
chdir $root or die "$root: $!";

my $nginx  = $ENV{NGINX_BINARY} || '/usr/sbin/nginx';
my $module = $ENV{NGINX_MODULE} || "$root/build/ngx_http_ampersand_module.so";
my $ampctl = $ENV{AMPCTL}       || "$root/build/ampctl";

sub slurp { open my $f, '<', $_[0] or die "$_[0]: $!"; local $/; return scalar <$f> }

sub spew {
    my ($file, $text) = @_;
    open my $f, '>', $file or die "$file: $!";
    print $f $text;
    close $f or die "$file: $!";
}

# A command that has to succeed: what it printed.  Not through a pipe, which a
# daemon that it starts would hold open.

sub run {
    my ($command) = @_;
    my $out = File::Temp->new;
    ok system("($command) > $out 2>&1") == 0, $command or diag slurp($out);
    return slurp($out);
}

sub until_true {
    my ($what, $test) = @_;
    for (my $end = time + 20; time < $end; sleep 0.05) {
        return pass $what if $test->();
    }
    return fail $what;
}

inside($ARGV[1]) if @ARGV == 2 && $ARGV[0] eq 'inside';

my @documents = ('README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', glob 'docs/*.md');

# The name that GitHub gives a heading.

sub anchor { return lc($_[0]) =~ s/[^a-z0-9 _-]//gr =~ tr/ /-/r }

subtest 'README has at most 150 lines' => sub {
    cmp_ok scalar(split /\n/, slurp('README.md')), '<=', 150, 'lines';
};

subtest 'links between the documents' => sub {
    for my $document (@documents) {
        my $text = slurp($document) =~ s/`[^`\n]*`//gr;
        while ($text =~ /\]\(([^)\s]*)\)/g) {
            my ($file, $fragment) = split /#/, $1, 2;
            next if $file =~ /^[a-z]+:/;
            my $target = length $file ? dirname($document) . "/$file" : $document;
            ok -e $target, "$document: $file is a file" or next;
            next if !defined $fragment;
            my %anchors = map { anchor($_) => 1 } slurp($target) =~ /^#+ (.*)$/mg;
            ok $anchors{$fragment}, "$document: $target has #$fragment";
        }
    }
};

subtest 'CONTRIBUTING.md has a line for each source file, and no other' => sub {
    my ($map) = slurp('CONTRIBUTING.md') =~ /^## Map$(.*?)^## /ms or return fail 'a map';
    my %line = map { $_ => 1 } map { /`([a-z_.]+)`/g } $map =~ /^\| (`[a-z_.]+`(?:, `[a-z_.]+`)*) \|/mg;
    my %file = map { basename($_) =~ s/\.[ch]$//r => $_ }
        glob 'src/*/*.[ch] src/module/*/*.[ch] src/core/*.lua';
    ok $line{$_}, "$file{$_}: a line" for sort keys %file;
    ok $file{$_}, "$_: a file" for grep { !-e } sort keys %line;
};

SKIP: {
    skip 'a fresh system needs root', 1 if $> != 0;
    my @own = qw(unshare --mount --net --pid --fork --kill-child --mount-proc);
    skip 'a fresh system needs namespaces, which this machine does not allow', 1
        if system("@own true 2> /dev/null") != 0;
    my $tmp = File::Temp->newdir('readme.XXXXXX', TMPDIR => 1);
    ok system("@own $^X $0 inside $tmp > $tmp/tap 2>&1") == 0, 'the configuration works by the letter'
        or diag slurp("$tmp/tap");
}

done_testing;


# In namespaces that end with this process.

sub inside {
    my ($tmp) = @_;
    chmod 0755, $tmp;
    delete @ENV{grep /^AMPERSAND_/, keys %ENV};

    # what a fresh Debian has

    mkdir "$tmp/$_", 0755 for qw(etc cache log log/nginx share share/modules bin);
    system("cp -a /etc/. $tmp/etc/ 2> /dev/null && rm -rf $tmp/etc/ampersand $tmp/etc/nginx/ampersand");
    system("mount --bind $tmp/$_->[0] $_->[1]") == 0 or die "mount $_->[1]\n"
        for [qw(etc /etc)], [qw(cache /var/cache)], [qw(log /var/log)], [qw(share /usr/share/nginx)];
    system('mount -t tmpfs tmpfs /run') == 0 or die "mount /run\n";
    loopback();

    # what "make install" puts in place

    my $enabled = '/etc/nginx/modules-enabled/50-mod-http-ampersand.conf';
    system("cp $module /usr/share/nginx/modules/ngx_http_ampersand_module.so && mkdir /etc/nginx/ampersand"
        . " && cp conf/ampersand/*.conf /etc/nginx/ampersand/ && cp $ampctl $tmp/bin/ampctl && rm -f $enabled"
        . " && echo 'load_module modules/ngx_http_ampersand_module.so;' > $enabled"
        . " && ln -s $nginx $tmp/bin/nginx") == 0 or die "install\n";
    $ENV{PATH} = "$tmp/bin:$ENV{PATH}";

    # what the README asks for: a certificate, a key, the configuration; Ampersand's
    # hosts are this machine, which cannot prove that it is Ampersand

    open my $hosts, '>>', '/etc/hosts' or die $!;
    print $hosts "127.0.0.1 $_.withampersand.com\n" for qw(api read write search proxy);
    close $hosts;
    system('openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=gateway'
        . ' -keyout /etc/ssl/gateway.key -out /etc/ssl/gateway.pem 2> /dev/null') == 0 or die "openssl\n";
    spew("$tmp/key.txt", "amp-readme-canary\n");
    chmod 0600, "$tmp/key.txt";

    my $readme = slurp('README.md');
    my ($conf) = $readme =~ /^(    load_module .*?^    \})$/ms or die "README has no configuration\n";
    spew('/etc/nginx/nginx.conf', $conf =~ s/^    //mgr);

    system('redis-server --daemonize yes --save "" --bind 127.0.0.1 > /dev/null') == 0 or die "redis-server\n";

    # its commands, in its order

    chdir $tmp or die $!;
    my $token;
    for my $command ($readme =~ /^    (ampctl masterkey new .*|ampctl tenant add .*--project .*|nginx -t)/mg) {
        $command =~ s/PROJECT_ID/11111111-1111-4111-8111-111111111111/;
        my $out = run($command);
        $token = $1 if $out =~ /(agw_\w+)/;
    }
    ok $token, 'tenant add prints a token';
    is sprintf('%04o', (stat $_->[0])[2] & 07777), $_->[1], $_->[0]
        for ['/etc/ampersand', '0700'], ['/etc/ampersand/master.key', '0600'];

    run('nginx');
    my $curl = 'curl -sk -m 10 https://127.0.0.1/v1/integrations';
    until_true('the gateway answers', sub { qx{$curl} =~ /problem:no-token"/ });
    like qx{$curl -H 'X-Api-Key: $token'}, qr/problem:upstream-failed"/, 'a tenant is passed on';

    my $log = '/var/log/nginx/ampersand.log';
    until_true('the log has the request', sub { slurp($log) =~ /upstream-failed/ });
    my %line = map { $_->{decision} => $_ } map { JSON::PP::decode_json($_) } split /\n/, slurp($log);
    is $line{'upstream-failed'}{tenant}, 'billing', 'the log names the tenant';
    is $line{'upstream-failed'}{operation}, 'listIntegrations', 'and the operation';

    rename $log, "$log.1" or die "$log: $!";
    run('nginx -s reopen');
    until_true('a rotated log is written anew', sub { qx{$curl}; -s $log });

    my $doctor = qx{ampctl doctor 2>&1};
    like $doctor, qr/^ok +\Q$_\E/m, "doctor: $_" for 'master key', 'redis writes', 'tenants';

    system('nginx -s stop 2> /dev/null');
    done_testing;
    exit(Test::More->builder->is_passing ? 0 : 1);
}


# The network begins with its loopback interface down.

sub loopback {
    socket my $s, AF_INET, SOCK_DGRAM, 0 or die "socket: $!";
    my $request = pack 'Z16 s x22', 'lo', 0;
    ioctl $s, 0x8913, $request or die "SIOCGIFFLAGS: $!";
    my ($name, $flags) = unpack 'Z16 s', $request;
    $request = pack 'Z16 s x22', $name, $flags | 1;      # IFF_UP
    ioctl $s, 0x8914, $request or die "SIOCSIFFLAGS: $!";
}
