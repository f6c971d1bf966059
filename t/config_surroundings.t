#!/usr/bin/perl

# Whatever http{} and server{} around the gateway say: each directive of nginx's core,
# proxy and upstream modules changes no answer of a gateway location, or is refused by
# nginx -t, or stands in the list of docs/configuration.md of what is left to the
# operator.  The directives are those of the nginx at hand.

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
    open_file_cache              => 'max=10',
    open_file_cache_errors       => 'on',
    open_file_cache_events       => 'on',
    open_file_cache_min_uses     => '2',
    open_file_cache_valid        => '1s',
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
    sendfile                     => 'on',
    sendfile_max_chunk           => '1k',
    server_name_in_redirect      => 'on',
    subrequest_output_buffer_size => '8k',
    tcp_nodelay                  => 'off',
    tcp_nopush                   => 'on',
    types_hash_bucket_size       => '128',
    types_hash_max_size          => '2048',
);

# What nginx -t refuses.

my %refused = (
    underscores_in_headers => 'on',
    proxy_method           => 'DELETE',
    proxy_set_body         => 'other',
    client_body_early_read => '1',
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

# What proxy.conf says is the location's own.

my %shipped = map { $_ => 1 } slurp("$Gateway::ROOT/conf/ampersand/proxy.conf") =~ /^(\w+)\s/mg;

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
is_deeply \@unknown, [], 'each stands in one list';

# The document has these lists.

my %documented;
my ($section) = slurp("$Gateway::ROOT/docs/configuration.md") =~ /^## Settings of nginx around it\n(.*?)^## /ms;
for my $list (qw(pinned refused left)) {
    my ($text) = ($section // '') =~ /^\*\*\u$list\*\*(.*?)(?=^\*\*|\z)/ms or fail "a list: $list";
    $documented{$list} = { map { $_ => 1 } ($text // '') =~ /`([a-z_]+)`/g };
}
for my $name (sort keys %has) {
    my $list = $refused{$name} ? 'refused' : $left{$name} ? 'left' : 'pinned';
    next if $list eq 'pinned' && $name !~ /^proxy_|^client_max|^ignore_invalid|^satisfy/;
    ok $documented{$list}{$name}, "docs/configuration.md: $name is $list";
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

my @lines = map { "$_ $same{$_};" } grep { $has{$_} } sort keys %same;
for my $where (qw(http server)) {
    my ($gw, @with) = start($where => join("\n", @lines));
    my $got = answers($gw, @with);
    is_deeply $got, $expected, "$where\{}: the same answers with other values of " . @lines . ' directives'
        or diag "one of them: @lines";
    $gw->finish;
}

# What is refused, with the line and the remedy.

my ($place) = (slurp($gw->dir . '/nginx.conf') =~ s/^(?:load_module|error_log|pid|daemon)\s[^;]*;//gmr);
for my $name (grep { exists $has{$_} } sort keys %refused) {
    for my $where ('http', 'server') {
        my $text = $place =~ s/^(\s*$where \{)/$1\n$name $refused{$name};/mr;
        my ($ok, $out) = Gateway->configtest($text);
        ok !$ok, "$where\{}: $name is refused";
        like $out, qr/"ampersand" in \S+:\d+: .*$name.*(?:write|remove)/, 'with the place and the remedy' or diag $out;
    }
}

# What has no list: a cache zone of another name.

my ($ok, $out) = Gateway->configtest($place =~ s/keys_zone=ampersand:/keys_zone=other:/r);
ok !$ok, 'without the cache zone: refused';
like $out, qr/"ampersand" in \S+:\d+: .*"proxy_cache_path .*keys_zone=ampersand:16m/, 'with the line that is missing' or diag $out;

done_testing;
