#!/usr/bin/perl

# A module that was built for another nginx, and an nginx whose private parts are not
# those that the module was made for: each is refused, with the reason and a remedy.

use strict;
use warnings;

use File::Temp ();
use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Versions;

my $nginx = $ENV{NGINX_BINARY} || '/usr/sbin/nginx';
my $built = $ENV{NGINX_MODULE} || "$Gateway::ROOT/build/ngx_http_ampersand_module.so";
my $tmp = File::Temp->newdir('nginx.XXXXXX', TMPDIR => 1);
mkdir "$tmp/logs";

sub slurp { my ($file) = @_; open my $f, '<:raw', $file or die "$file: $!"; local $/; return scalar <$f> }

sub spew {
    my ($file, $text) = @_;
    open my $f, '>:raw', $file or die "$file: $!";
    print $f $text;
    close $f or die "$file: $!";
}

# nginx -t with this module: status and output.

sub loaded {
    my ($module, $http) = @_;
    spew("$tmp/nginx.conf", "load_module $module; pid $tmp/pid; error_log stderr;\nevents {}\n" . ($http // ''));
    my $out = qx($nginx -t -p $tmp -c $tmp/nginx.conf 2>&1);
    die "nginx -t crashed: $out" if $? & 127;
    return ($? >> 8, $out);
}

# The module with some bytes changed: the same number of them.

sub changed {
    my ($what, $from, $to) = @_;
    my $text = slurp($built);
    my $n = () = $text =~ /\Q$from\E/g;
    cmp_ok $n, '>', 0, "the module has $what";
    length $from == length $to or die;
    spew("$tmp/changed.so", $text =~ s/\Q$from\E/$to/gr);
    return "$tmp/changed.so";
}

my ($status, $out) = loaded($built);
is $status, 0, 'the module is loaded' or BAIL_OUT($out);
unlike $out, qr/ampersand: /, 'without a message';

my $version = Gateway::Versions::nginx();
my $text = join '.', int $version / 1000000, $version / 1000 % 1000, $version % 1000;
my $remedy = qr/install the package libnginx-mod-http-ampersand .*"make && make install"/;

# A module says its version of nginx as a number, and the options in its signature.

subtest 'built for another version' => sub {
    my $module = changed('its version of nginx', pack('Q<', $version), pack('Q<', 1020002));
    my ($status, $out) = loaded($module);
    is $status, 1, 'not loaded';
    like $out, qr/\[emerg\].* ampersand: the module was built for nginx 1\.20\.2, and this is nginx \Q$text\E: $remedy/,
        'both versions, and what to do' or diag $out;
};

subtest 'built for other options' => sub {
    my ($signature) = slurp($built) =~ /\0(\d,\d,\d,[01]{20,})\0/ or return fail 'a signature';
    my $module = changed('its signature', $signature, '4' . substr $signature, 1);
    my ($status, $out) = loaded($module);
    is $status, 1, 'not loaded';
    like $out, qr/\[emerg\].* ampersand: the module was built for an nginx \Q$text\E with other options .*$remedy/,
        'the version, and what to do' or diag $out;
};

# Names of modules that this nginx does not have: as if it had put ours elsewhere.

my $gateway = "http { ampersand_zone 1m; ampersand_redis redis://127.0.0.1; ampersand_master_key $tmp/key;\n"
    . "upstream up { server 127.0.0.1:1; } ampersand_upstream http://up;\n"
    . "server { listen 127.0.0.1:1; location /v1 { ampersand platform; } } }\n";
system($ENV{AMPCTL} || "$Gateway::ROOT/build/ampctl", 'masterkey', 'new', "$tmp/key") == 0 or die 'no key';

subtest 'another order of modules' => sub {
    my ($status, $out) = loaded($built, $gateway);
    is $status, 0, 'the order of this nginx is right' or diag $out;
    for my $name (qw(copy_filter not_modified_filter headers_filter)) {
        my $other = 'x' . substr $name, 1;
        my $module = changed($name, "ngx_http_${name}_module\0", "ngx_http_${other}_module\0");
        ($status, $out) = loaded($module, $gateway);
        is $status, 1, "$name: refused";
        like $out, qr/\[emerg\].* ampersand: this nginx does not have "\w+" before "\w+" .*--add-dynamic-module.*Private parts of nginx/,
            'with the reason' or diag $out;
    }
};

# The compiler's checks, with headers of nginx in which a part is changed.

my $source = $ENV{NGINX_SRC} || '/usr/share/nginx/src';
my ($auto) = grep { -e "$_/ngx_auto_config.h" } "$Gateway::ROOT/build/nginx", "$Gateway::ROOT/build/asan/nginx";

sub compiled {
    my ($file, @flags) = @_;
    my $dirs = join ' ', map { "-I$_" } (map { "$source/src/$_" } qw(core event event/modules event/quic os/unix http http/modules http/v2 http/v3)),
        $auto, map { "$Gateway::ROOT/src/$_" } qw(core module);
    my $out = qx(gcc -std=gnu99 -fsyntax-only -I$tmp/headers @flags $dirs $Gateway::ROOT/src/module/$file 2>&1);
    return ($? == 0, $out);
}

SKIP: {
    skip 'no headers of nginx', 1 if !-e "$source/src/core/nginx.h" || !$auto;
    skip 'no gcc', 1 if system('gcc --version > /dev/null 2>&1') != 0;

    subtest 'what the compiler refuses' => sub {
        my $private = 'ngx_http_ampersand_private.c';
        my ($ok, $out) = compiled($private);
        ok $ok, 'this nginx is accepted' or return diag $out;

        my ($change, $refused);
        $change = sub {
            my ($header, $from, $to) = @_;
            my $text = slurp("$source/src/$header");
            $text =~ s/$from/$to/ or return fail "$header has $from";
            mkdir "$tmp/headers";
            spew("$tmp/headers/" . ($header =~ s{.*/}{}r), $text);
        };
        $refused = sub {
            my ($what, $file, $say, @flags) = @_;
            my ($ok, $out) = compiled($file, @flags);
            ok !$ok, "$what: refused";
            like $out, $say, 'with the reason' or diag substr $out, 0, 2000;
            unlink glob "$tmp/headers/*";
        };

        $change->('core/nginx.h', qr/nginx_version\s+\K\d+/, '1021006');
        $refused->('nginx 1.21', $private, qr/needs nginx 1\.22\.0 or newer/);
        $refused->('no cache', $private, qr/needs nginx's cache/, '-DNGX_HTTP_CACHE=0');

        $change->('http/ngx_http_cache.h', qr/NGX_HTTP_CACHE_VERSION\s+\K5/, '6');
        $refused->('another format of cache files', $private, qr/nginx has changed NGX_HTTP_CACHE_VERSION == 5, see .*Private parts/);

        $change->('http/ngx_http_cache.h', qr/u_char\s+etag_len;\K/, ' u_char more;');
        $refused->('a member more in the head of a cache file', $private, qr/nginx has changed ngx_http_file_cache_header_t\.etag/);

        $change->('http/ngx_http_cache.h', qr/ngx_event_t\s+\K(?=wait_event;)/, '*');
        $refused->('another type', $private, qr/nginx has changed ngx_http_cache_t\.wait_event/);

        $change->('core/ngx_hash.h', qr/ngx_uint_t\s+hash;\s+ngx_str_t\s+key;\s+ngx_str_t\s+value;\s+u_char\s+\*lowcase_key;[^}]*\K\}/, 'void *more; }');
        $refused->('a member more in a header', $private, qr/nginx has changed offsetof\(ngx_table_elt_t/);

        $change->('core/ngx_module.h', qr/(?=ngx_uint_t\s+version;)/, 'ngx_uint_t spare2; ');
        $refused->('another head of a module', 'ngx_ampersand_load.c', qr/nginx has changed the head of ngx_module_t/);
    };
}

done_testing;
