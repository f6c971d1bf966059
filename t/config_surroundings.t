#!/usr/bin/perl

# Whatever http{} and server{} around the gateway say: each directive of nginx's core,
# proxy and upstream modules changes no answer of a gateway location, or is refused by
# nginx -t, or stands in the list of docs/configuration.md of what is left to the
# operator.  The directives are those of the nginx at hand; one that this test does not
# know is a failure.
#
# The test also holds the lists in docs/configuration.md, and writes them:
#
#   WRITE_LISTS=1 prove t/config_surroundings.t

use strict;
use warnings;

use File::Temp ();
use FindBin;
use JSON::PP ();
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;

my $nginx = $ENV{NGINX_BINARY} || '/usr/sbin/nginx';
my $tmp = File::Temp->newdir('config.XXXXXX', TMPDIR => 1);

sub slurp { my ($file) = @_; open my $f, '<', $file or die "$file: $!"; local $/; return scalar <$f> }

# What changes no answer, with a value that is not nginx's default.

my %same = (
    absolute_redirect            => 'off',
    aio                          => 'threads',
    aio_write                    => 'on',
    auth_delay                   => '1s',
    client_body_in_file_only     => 'clean',
    client_body_in_single_buffer => 'on',
    client_header_buffer_size    => '2k',
    connection_pool_size         => '1k',
    default_type                 => 'text/x-other',
    directio                     => '1',
    directio_alignment           => '4k',
    disable_symlinks             => 'off',
    etag                         => 'off',
    gzip_disable                 => 'msie6',
    gzip_http_version            => '1.0',
    gzip_proxied                 => 'any',
    gzip_vary                    => 'on',
    ignore_invalid_headers       => 'off',
    lingering_close              => 'always',
    log_not_found                => 'off',
    log_subrequest               => 'on',
    merge_slashes                => 'off',
    msie_padding                 => 'off',
    msie_refresh                 => 'on',
    open_file_cache_errors       => 'on',
    open_file_cache_events       => 'on',
    port_in_redirect             => 'off',
    postpone_output              => '0',
    proxy_cache_bypass           => '1',
    proxy_cache_convert_head     => 'off',
    proxy_cache_methods          => 'POST',
    proxy_cache_min_uses         => '2',
    proxy_cache_valid            => 'any 1h',
    proxy_cookie_domain          => 'a.test b.test',
    proxy_cookie_flags           => '~ secure',
    proxy_cookie_path            => '/ /other',
    proxy_force_ranges           => 'on',
    proxy_intercept_errors       => 'on',
    proxy_no_cache               => '1',
    proxy_buffering              => 'off',
    proxy_pass_header            => 'Set-Cookie',
    proxy_pass_request_body      => 'off',
    proxy_set_header             => 'X-Api-Key other',
    proxy_store                  => 'on',
    proxy_store_access           => 'user:rw',
    read_ahead                   => '1k',
    recursive_error_pages        => 'on',
    reset_timedout_connection    => 'on',
    root                         => $tmp,
    satisfy                      => 'any',
    send_lowat                   => '0',
    sendfile_max_chunk           => '1k',
    server_name_in_redirect      => 'on',
    subrequest_output_buffer_size => '8k',
    tcp_nodelay                  => 'off',
    tcp_nopush                   => 'on',
    types_hash_bucket_size       => '128',
    types_hash_max_size          => '2048',
);

# What proxy.conf says itself, with other values that http{} and server{} may have.

my %shipped = (
    client_body_buffer_size       => '1k',
    client_max_body_size          => '10',
    if_modified_since             => 'off',
    open_file_cache               => 'max=10',
    open_file_cache_min_uses      => '2',
    open_file_cache_valid         => '1s',
    proxy_buffer_size             => '4k',
    proxy_buffering               => 'off',
    proxy_buffers                 => '4 4k',
    proxy_busy_buffers_size       => '8k',
    proxy_cache                   => 'others',
    proxy_cache_background_update => 'off',
    proxy_cache_convert_head      => 'off',
    proxy_cache_key               => 'one',
    proxy_cache_lock              => 'off',
    proxy_cache_lock_timeout      => '1ms',
    proxy_cache_use_stale         => 'updating',
    proxy_connect_timeout         => '1ms',
    proxy_hide_header             => 'Content-Type',
    proxy_http_version            => '1.0',
    proxy_ignore_headers          => 'Set-Cookie',
    proxy_next_upstream           => 'off',
    proxy_next_upstream_timeout   => '1ms',
    proxy_next_upstream_tries     => '1',
    proxy_pass                    => undef,
    proxy_pass_header             => 'Set-Cookie',
    proxy_pass_request_headers    => 'on',
    proxy_redirect                => 'http://a.test/ http://b.test/',
    proxy_ssl_name                => 'other.test',
    proxy_ssl_protocols           => 'TLSv1.1',
    proxy_ssl_server_name         => 'off',
    proxy_ssl_trusted_certificate => '/nonexistent',
    proxy_ssl_verify              => 'off',
    proxy_ssl_verify_depth        => '1',
    sendfile                      => 'on',
);

# What nginx -t refuses, and why.

my %refused = (
    underscores_in_headers => [ 'on', '`X_Amp_Project_Id` would pass for another header.' ],
    proxy_method           => [ 'DELETE', "the client's own method is sent." ],
    proxy_set_body         => [ 'other', "the client's own body is sent." ],
    client_body_early_read => [ '1', '(nginx 1.31.5) anybody could send a body.' ],
);

# What is left to whoever runs nginx: addresses, files, times, sizes, speed, logs; and
# what nginx has for one location or one upstream{} only.

my %left = map { $_ => 1 } qw(
    alias chunked_transfer_encoding client_body_temp_path client_body_timeout client_header_timeout early_hints
    error_log error_page internal keepalive_disable keepalive_min_timeout keepalive_requests keepalive_time
    keepalive_timeout large_client_header_buffers limit_except limit_rate limit_rate_after lingering_time
    lingering_timeout listen location max_headers max_ranges post_action request_pool_size resolver
    resolver_timeout send_timeout server server_name server_names_hash_bucket_size server_names_hash_max_size
    server_tokens types upstream variables_hash_bucket_size variables_hash_max_size
    proxy_bind proxy_cache_lock_age proxy_cache_max_range_offset
    proxy_cache_path proxy_cache_revalidate proxy_headers_hash_bucket_size proxy_headers_hash_max_size
    proxy_ignore_client_abort proxy_limit_rate proxy_max_temp_file_size proxy_pass_trailers proxy_read_timeout
    proxy_request_buffering proxy_send_lowat proxy_send_timeout proxy_socket_keepalive proxy_socket_rcvbuf
    proxy_socket_sndbuf proxy_ssl_certificate
    proxy_ssl_certificate_cache proxy_ssl_certificate_key proxy_ssl_ciphers proxy_ssl_conf_command proxy_ssl_crl
    proxy_ssl_key_log proxy_ssl_password_file proxy_ssl_session_reuse proxy_temp_file_write_size proxy_temp_path
);

# What the module pins.

my %pinned = map { $_ => 1 }
    slurp("$Gateway::ROOT/src/module/ngx_http_ampersand_settings.c") =~ /^    \{ "(\w+)", /mg;

my %of_proxy_conf = map { $_ => 1 } slurp("$Gateway::ROOT/conf/ampersand/proxy.conf") =~ /^(\w+)\s/mg;
is_deeply [ sort keys %shipped ], [ sort keys %of_proxy_conf ], 'what proxy.conf says has another value here';
is_deeply [ grep { !exists $same{$_} && !exists $shipped{$_} } sort keys %pinned ], [], 'and what the module pins';

# The tables of commands, from nginx itself: a module that prints them.

my $module = <<'END';
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

static ngx_int_t print(ngx_cycle_t *cycle)
{
    ngx_uint_t i;
    for (i = 0; cycle->modules[i]; i++) {
        ngx_command_t *cmd = cycle->modules[i]->commands;
        for ( ; cmd && cmd->name.len; cmd++) {
            printf("directive %s %s %d\n", cycle->modules[i]->name, cmd->name.data,
                   (cmd->type & (NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF)) != 0);
        }
    }
    fflush(stdout);
    return NGX_OK;
}

static ngx_core_module_t ctx = { ngx_string("print"), NULL, NULL };
ngx_module_t ngx_print_module = { NGX_MODULE_V1, &ctx, NULL, NGX_CORE_MODULE, NULL, print,
    NULL, NULL, NULL, NULL, NULL, NGX_MODULE_V1_PADDING };
ngx_module_t *ngx_modules[] = { &ngx_print_module, NULL };
char *ngx_module_names[] = { "ngx_print_module", NULL };
char *ngx_module_order[] = { NULL };
END

my $source = $ENV{NGINX_SRC} || '/usr/share/nginx/src';
my ($auto) = grep { -e "$_/ngx_auto_config.h" } "$Gateway::ROOT/build/nginx", "$Gateway::ROOT/build/asan/nginx";
plan skip_all => 'no headers of nginx' if !-e "$source/src/core/nginx.h" || !$auto;
plan skip_all => 'no gcc' if system('gcc --version > /dev/null 2>&1') != 0;

open my $f, '>', "$tmp/print.c" or die $!;
print $f $module;
close $f;
my $dirs = join ' ', map { "-I$_" } $auto,
    map { "$source/src/$_" } qw(core event event/modules event/quic os/unix http http/modules http/v2 http/v3);
my $made = qx(gcc -shared -fPIC -o $tmp/print.so $dirs $tmp/print.c 2>&1);
is $?, 0, 'the module that prints directives is built' or BAIL_OUT($made);
open $f, '>', "$tmp/nginx.conf" or die $!;
print $f "load_module $tmp/print.so; pid $tmp/pid; error_log stderr; events {}\n";
close $f;
my @printed = qx($nginx -t -p $tmp -c $tmp/nginx.conf 2>/dev/null) =~ /^directive (.*)$/mg;
my (%has, @unknown);
for (@printed) {
    my ($of, $name, $around) = split;
    next unless $of =~ /^ngx_http_(?:core|proxy|upstream)_module$/;
    $has{$name} = $around;
    my $lists = grep { exists $_->{$name} } { %same, %shipped }, \%refused, \%left;
    push @unknown, $name if !$lists || $lists > 1;
}
cmp_ok scalar(keys %has), '>', 150, 'nginx has directives';
is_deeply \@unknown, [], 'each stands in one list' or diag <<"END";
This nginx has directives that t/config_surroundings.t does not know (or has in two lists).  For each of them: find
out what it does to a gateway location when http{} or server{} has it, and write it into %same (with a value that is
not the default), %shipped (and proxy.conf), %refused (and src/module/ngx_http_ampersand_settings.c) or %left.  Then:

    WRITE_LISTS=1 prove t/config_surroundings.t

@unknown
END

# The lists of the document.

sub names {
    my ($text, $line) = ('', '');
    for my $name (map { "`$_`" } sort @_) {
        if (length("$line, $name,") > 132) {
            $text .= "$line,\n";
            $line = '';
        }
        $line .= length $line ? ", $name" : $name;
    }
    return "$text$line\n";
}

my %list = (
    'in proxy.conf'      => names(keys %shipped),
    'pinned by the module' => names(keys %pinned),
    'without effect'     => names(grep { !$pinned{$_} } keys %same),
    'refused'            => join('', map { "- `$_`: $refused{$_}[1]\n" } sort keys %refused),
    'left'               => names(keys %left),
);
my $page = "$Gateway::ROOT/docs/configuration.md";
my $text = slurp($page);
for my $name (sort keys %list) {
    my $found = $text =~ s/(?<=<!-- list: \Q$name\E -->\n)(.*?)(?=<!-- end -->)/\n$list{$name}\n/s ? $1 : '';
    ok $ENV{WRITE_LISTS} || $found eq "\n$list{$name}\n", "docs/configuration.md has this list: $name"
        or diag 'WRITE_LISTS=1 prove t/config_surroundings.t writes it';
}
if ($ENV{WRITE_LISTS}) {
    open my $f, '>', $page or die "$page: $!";
    print $f $text;
    close $f or die $!;
}

# The answers, and what upstream gets, without what differs each time.

my $key_of_test = 'key-of-acme';

sub start {
    my (%o) = @_;
    my $up = Gateway::Upstream->start(sub {
        my ($req) = @_;
        my $t = $req->{target};
        my @headers = ('Set-Cookie' => 'a=b; Path=/', 'X-Request-Id' => 'theirs', Server => 'theirs', 'Last-Modified' => 'Mon, 01 Jan 2024 00:00:00 GMT');
        return { status => 404, headers => [ @headers, 'Content-Type' => 'application/problem+json' ], body => '{"title":"from ampersand"}' } if $t =~ /missing/;
        return { status => 503, headers => [ @headers, 'Content-Type' => 'application/problem+json' ], body => '{"title":"from ampersand"}' } if $t =~ /down/;
        return { status => 200, headers => [ @headers, 'Content-Type' => 'application/json' ], body => '{"n":"' . ('x' x 3000) . qq(","m":"$req->{method}"}) };
    });
    my $gw = Gateway->start(upstream => $up->url, %o);
    return ($gw, $up, $gw->tenant('acme', project => 'p-1', key => $key_of_test));
}

sub answers {
    my ($gw, $up, $token) = @_;
    my @all;
    for my $ask (
        [ GET => '/v1/integrations/a' ], [ GET => '/v1/integrations/a' ],
        [ HEAD => '/v1/integrations/b' ], [ GET => '/v1/integrations/b' ],
        [ GET => '/v1/integrations/a', headers => [ Range => 'bytes=0-3' ] ],
        [ GET => '/v1/integrations/c', headers => [ 'If-Modified-Since' => 'Mon, 01 Jan 2024 00:00:00 GMT' ] ],
        [ GET => '/v1/integrations/d', headers => [ 'X_Amp_Project_Id' => 'p-2', 'X.Api.Key' => 'other' ] ],
        [ GET => '/v1/integrations/missing' ], [ GET => '/v1/integrations/missing' ], [ GET => '/v1/integrations/down' ],
        [ POST => '/v1/integrations', json => { some => 'body' } ], [ POST => '/v1/integrations', json => { some => 'body' } ],
        [ POST => '/v1/integrations', json => { some => 'x' x 20000 } ],
        [ GET => '/v1/none' ], [ GET => '/v1//integrations' ], [ DELETE => '/v1/integrations' ],
        [ GET => '/v1/integrations/a', token => undef ],
        [ GET => '/proxy/some/path', headers => [ 'x-amp-installation-id' => 'i-1', X => 1 ] ],
    ) {
        my ($method, $target, @with) = @$ask;
        my $res = $gw->request($method, $target, token => $token, @with);
        my @headers = map { "$_->[0]: $_->[1]" } grep { $_->[0] !~ /^(?:Date|Age|X-Request-Id|Connection|RateLimit.*|Server)$/i } @{ $res->{all} };
        my $body = $res->{body} =~ s/"(time|requestId)":"[^"]*"/"$1":""/gr;
        push @all, join "\n", "$method $target: $res->{status}", (sort @headers), $body;
    }
    for my $req ($up->take) {
        push @all, join "\n", map { s/^(X-Request-Id|Host|traceparent): .*$/$1:/gimr } $req->{head}, $req->{body} // '';
    }
    return \@all;
}

my ($gw, @with) = start();
my $expected = answers($gw, @with);
$gw->finish;

# All at once; where the answers differ, each alone, to name those that change them:
# that takes minutes.

my %value = (%same, %shipped);
my @around = grep { $has{$_} } sort keys %value;
my $others = 'proxy_cache_path logs/others keys_zone=others:64k;';

sub differs {
    my ($where, @names) = @_;
    my $lines = join "\n", map { "$_ $value{$_};" } @names;
    my $got = eval {
        my ($gw, @with) = start(http => $others . ($where eq 'http' ? $lines : ''), server => $where eq 'server' ? $lines : '');
        my $answers = answers($gw, @with);
        $gw->finish;
        $answers;
    } or return "does not start: $@";
    for my $i (0 .. $#$expected) {
        return "expected:\n$expected->[$i]\n\ngot:\n" . ($got->[$i] // '') if ($got->[$i] // '') ne $expected->[$i];
    }
    return @$got == @$expected ? '' : 'another number of upstream requests';
}

for my $where (qw(http server)) {

    # nginx has no proxy_store and proxy_cache in one place

    for my $names ([ grep { $_ ne 'proxy_cache' } @around ], ['proxy_cache']) {
        my $differs = differs($where, @$names);
        is $differs, '', "$where\{}: the same answers with other values of " . (@$names > 1 ? @$names . ' directives' : $names->[0]) or do {
            diag "$where\{}: $_ changes answers" for grep { differs($where, $_) } @$names;
        };
    }
}

# What is refused, with the line and the remedy.

my ($place) = (slurp($gw->dir . '/nginx.conf') =~ s/^(?:load_module|error_log|pid|daemon)\s[^;]*;//gmr);
for my $name (grep { exists $has{$_} } sort keys %refused) {
    for my $where ('http', 'server') {
        my $text = $place =~ s/^(\s*$where \{)/$1\n$name $refused{$name}[0];/mr;
        my ($ok, $out) = Gateway->configtest($text);
        ok !$ok, "$where\{}: $name is refused";
        like $out, qr/"ampersand" in \S+:\d+: .*$name.*(?:write|remove)/, 'with the place and the remedy' or diag $out;
    }
}

# What has no list: an address of proxy_pass's own, and a cache zone of another name.

for my $address ('http://ampersand', 'http://127.0.0.1:1', 'http://ampersand$ampersand_uri', 'http://127.0.0.1:1$uri', '$ampersand_upstream') {
    for my $location ("ampersand platform; proxy_pass $address;", "proxy_pass $address; ampersand platform;",
                      "ampersand platform; if (\$arg_x) { proxy_pass $address; }") {
        my ($ok, $out) = Gateway->configtest($place =~ s/^(\s*server \{)/$1\nlocation \/v1\/topics { $location }/mr);
        ok !$ok, "$location: refused";
        like $out, qr/"ampersand" in \S+:\d+: "proxy_pass \Q$address\E" .* write "proxy_pass \$ampersand_upstream\$ampersand_uri;"/, 'with the remedy' or diag $out;
    }
    my ($ok, $out) = Gateway->configtest($place =~ s/^(\s*server \{)/$1\nlocation \/other { proxy_pass $address; }/mr);
    ok $ok, "$address in another location: as ever" or diag $out;
}

my ($ok, $out) = Gateway->configtest($place =~ s/keys_zone=ampersand:/keys_zone=other:/r);
ok !$ok, 'without the cache zone: refused';
like $out, qr/"ampersand" in \S+:\d+: .*"proxy_cache_path .*keys_zone=ampersand:16m/, 'with the line that is missing' or diag $out;

done_testing;
