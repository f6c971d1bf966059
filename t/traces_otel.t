#!/usr/bin/perl

# nginx's otel module with the configuration of docs/metrics.md: a collector gets a
# span for each request, with tenant and operation, in the trace that client,
# Ampersand and the access log know; and no secret.
#
# The collector is an nginx that takes gRPC, with a recording upstream behind it.
# No Debian has the module: OTEL_MODULE names it.

use strict;
use warnings;

use FindBin;
use JSON::PP ();
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Redis;
use Gateway::Upstream;
use Gateway::Versions;

my ($module) = grep { length && -e } $ENV{OTEL_MODULE} // '', map { "$_/modules/ngx_otel_module.so" } qw(/usr/lib/nginx /usr/share/nginx /etc/nginx);
plan skip_all => "nginx's otel module is not installed (OTEL_MODULE)" if !$module;

# The members of a message of protocol buffers, by number: integers, or bytes.

sub members {
    my ($bytes) = @_;
    my %found;
    my $integer = sub {
        my ($value, $shift, $byte) = (0, 0);
        do {
            $byte = ord substr $bytes, 0, 1, '';
            $value |= ($byte & 0x7f) << $shift;
            $shift += 7;
        } while $byte & 0x80;
        return $value;
    };
    while (length $bytes) {
        my $key = $integer->();
        my $type = $key & 7;
        my $value = $type == 0 ? $integer->() : substr $bytes, 0, $type == 1 ? 8 : $type == 5 ? 4 : $integer->(), '';
        push @{ $found{ $key >> 3 } }, $value;
    }
    return \%found;
}

# The spans of a request to export: opentelemetry/proto/trace/v1/trace.proto

sub spans {
    my ($body) = @_;
    my $message = substr $body, 5;      # of gRPC: whether it is compressed, its length
    my @spans;
    for my $resource (map { members($_) } @{ members($message)->{1} || [] }) {
        for my $scope (map { members($_) } @{ $resource->{2} || [] }) {
            for my $span (map { members($_) } @{ $scope->{2} || [] }) {
                my %attributes = map { ($_->{1}[0] => members($_->{2}[0])->{1}[0]) } map { members($_) } @{ $span->{9} || [] };
                push @spans, {
                    name   => $span->{5}[0] // '',
                    trace  => unpack('H*', $span->{1}[0]),
                    span   => unpack('H*', $span->{2}[0]),
                    parent => unpack('H*', $span->{4}[0] // ''),
                    attributes => \%attributes,
                };
            }
        }
    }
    return @spans;
}

my $collector = Gateway::Upstream->start(sub {
    return { headers => [ 'Content-Type' => 'application/grpc' ], body => "\0" x 5 };
});
my $port = Gateway::Redis::free_port();

# the configuration, as it stands in the document

my ($conf) = Gateway::_slurp("$Gateway::ROOT/docs/metrics.md") =~ /With this in http\{\}.*?\n\n((?:    [^\n]*\n|\n)+)/s or die 'no configuration';
$conf =~ s/^ *load_module .*\n//m or die 'no load_module';
$conf =~ s/127\.0\.0\.1:4317;/127.0.0.1:$port; interval 100ms;/ or die 'no endpoint';

my $gw = Gateway->start(
    main => "load_module $module;",
    http => "$conf server { " . Gateway::Versions::http2("127.0.0.1:$port") . " otel_trace off; access_log off; location / {
        proxy_pass @{[ $collector->url ]}; proxy_http_version 1.1; add_trailer grpc-status 0; } }",
);
my $token = $gw->tenant('acme', key => 'canary-key-of-acme');
my $n = 0;

# The span, the line in the log and what upstream was told, of one request.

sub asked {
    my ($target, @headers) = @_;
    my $id = 'id-' . ++$n;
    $gw->upstream->clear;
    $gw->get($target, token => $token, headers => [ 'X-Request-Id' => $id, @headers ]);
    my ($line, $span);
    ok $gw->wait_for(sub { ($line) = grep { /"requestId":"$id"/ } split /\n/, $gw->access_log; $line }), "$target: a line in the log";
    ok $gw->wait_for(sub {
        ($span) = grep { ($_->{attributes}{'ampersand.request'} // '') eq $id } map { spans($_->{body}) } $collector->requests;
        return $span;
    }), 'a span' or return {};
    my ($req) = $gw->upstream->requests;
    return { %$span, log => JSON::PP::decode_json($line), sent => $req ? Gateway::Upstream::header($req, 'traceparent') : '' };
}

subtest 'a request that is served' => sub {
    my $got = asked('/v1/integrations');
    is $got->{name}, 'listIntegrations', 'its name is the operation';
    my %attributes = map { $_ => $got->{attributes}{"ampersand.$_"} } qw(tenant api operation decision source);
    is_deeply \%attributes, { tenant => 'acme', api => 'platform', operation => 'listIntegrations', decision => 'pass', source => 'upstream' }, 'attributes';
    is "$got->{log}{traceId} $got->{log}{spanId}", "$got->{trace} $got->{span}", 'the log has its trace and span';
    like $got->{sent}, qr/^00-$got->{trace}-$got->{span}-01$/, 'upstream belongs to it';
};

subtest 'a request in the trace of its client' => sub {
    my ($trace, $parent) = ('4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7');
    my $got = asked('/v1/integrations', traceparent => "00-$trace-$parent-01");
    is "$got->{trace} $got->{parent}", "$trace $parent", "the client's span is its parent";
    is "$got->{log}{traceId} $got->{log}{spanId}", "$trace $got->{span}", 'the log says so';
};

subtest 'a request that is refused' => sub {
    my $got = asked('/v1/no-such-path');
    is $got->{attributes}{'ampersand.decision'}, 'unknown-operation', 'why';
    is $got->{attributes}{'ampersand.tenant'}, 'acme', 'whose it was';
    is $got->{sent}, '', 'upstream was not asked';
};

subtest 'no secret' => sub {
    $gw->get("/v1/integrations?apiKey=canary-in-the-query", token => $token);
    asked('/v1/integrations');
    my $all = join '', map { $_->{body} } $collector->requests;
    cmp_ok length $all, '>', 500, 'what was exported';
    unlike $all, qr/canary|agw_/, 'has neither key nor token, nor a URI with a key';
};

$gw->finish;
done_testing;
