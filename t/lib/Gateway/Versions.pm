package Gateway::Versions;

# What differs between the versions of nginx, Redis and the tools that tests use:
# the one place that knows it.  Each difference stands here with its reason, and is
# asked from the program at hand; a test asks for the difference, never for a
# version.
#
#   Gateway::Versions::http2("127.0.0.1:$port")   lines for server{}: HTTP/2 at this address
#   Gateway::Versions::http3("127.0.0.1:$port")   a line more: HTTP/3
#   Gateway::Versions::without_http3()            why HTTP/3 cannot be tested; else ''
#   Gateway::Versions::keeps_addresses()          why nginx does not follow the addresses of a name; else ''
#   Gateway::Versions::no_early_bodies()          why nginx has no client_body_early_read; else ''
#   Gateway::Versions::no_trailers()              why nginx has no proxy_pass_trailers; else ''
#   Gateway::Versions::refused_connect()          status and problem type of a CONNECT
#   Gateway::Versions::refuses_tab()              whether an upstream's "Transfer-Encoding:<tab>chunked" is a 502
#   Gateway::Versions::channel_right($redis)      the rule of an ACL for the gateway's channel
#   Gateway::Versions::without_hosts($redis)      why this Redis announces no host names; else ''

use strict;
use warnings;

my %version;

# The version of the nginx that the tests start, as a number: 1.22.1 is 1022001.

sub nginx {
    return $version{nginx} //= do {
        my $nginx = $ENV{NGINX_BINARY} || '/usr/sbin/nginx';
        my $text = qx($nginx -v 2>&1);
        my @n = $text =~ m{nginx/(\d+)\.(\d+)\.(\d+)} or die "$nginx -v: $text\n";
        ($n[0] * 1000 + $n[1]) * 1000 + $n[2];
    };
}

# nginx 1.25.1 has the directive "http2", for all addresses of a server, and writes
# a warning into its log for the parameter of "listen" of that name.

sub http2 {
    my ($address) = @_;
    return nginx() >= 1025001 ? "listen $address; http2 on;" : "listen $address http2;";
}

# HTTP/3 at the same address, after http2("... ssl").

sub http3 { my ($address) = @_; return "listen $address quic;" }

# HTTP/3 is an option of nginx from 1.25.0 on, and of curl: why it cannot be tested;
# else ''.

sub without_http3 {
    my $nginx = $ENV{NGINX_BINARY} || '/usr/sbin/nginx';
    return 'nginx before 1.25.0 has no HTTP/3' if nginx() < 1025000;
    return 'this nginx is built without --with-http_v3_module' if qx($nginx -V 2>&1) !~ /--with-http_v3_module/;
    return 'this curl has no HTTP/3' if qx(curl --version) !~ /^Features:.*\bHTTP3\b/m;
    return '';
}

# nginx 1.27.3 has "server NAME resolve": why this one does not; else ''.

sub keeps_addresses {
    return nginx() >= 1027003 ? '' : 'nginx before 1.27.3 resolves the names of upstream{} only when it starts';
}

# nginx 1.31.5 has "client_body_early_read": why this one cannot; else ''.

sub no_early_bodies { return nginx() >= 1031005 ? '' : 'nginx before 1.31.5 reads no body before it chooses a location' }

# nginx 1.27.2 has "proxy_pass_trailers": why this one cannot; else ''.

sub no_trailers { return nginx() >= 1027002 ? '' : 'nginx before 1.27.2 passes no trailers on' }

# nginx without a proxy for CONNECT: the target of such a request has no path, which
# older versions call a bad request; newer ones say that the method is not allowed.

sub refused_connect {
    return nginx() >= 1030000 ? (405, 'method-not-allowed') : (400, 'bad-request');
}

# nginx takes a tab after the colon for a part of the value, though RFC 9110, 5.6.3,
# allows it.  Of Transfer-Encoding it knows one value, since 1.23.0 exactly that one.

sub refuses_tab { return nginx() >= 1023000 }

# A running Redis, or Valkey, which says the version of Redis that it is like.

sub _redis {
    my ($redis) = @_;
    my @n = $redis->info('server')->{redis_version} =~ /^(\d+)\.(\d+)\.(\d+)/;
    return ($n[0] * 1000 + $n[1]) * 1000 + $n[2];
}

# Redis 6.2 has rights for channels; 6.0 knows no rule for them.

sub channel_right { return _redis($_[0]) >= 6002000 ? '&amp:*' : '' }

# cluster-announce-hostname and cluster-preferred-endpoint-type are new in Redis 7.

sub without_hosts { return _redis($_[0]) >= 7000000 ? '' : 'Redis before 7 announces addresses only' }

1;
