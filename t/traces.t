#!/usr/bin/perl

# The trace of a request: a valid traceparent is taken on in a new span, any other
# is replaced, and its tracestate dropped; upstream and the log are told the same.
# Where nginx's otel module has a span, that one is told.

use strict;
use warnings;

use FindBin;
use JSON::PP ();
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Upstream;

my $id = '4bf92f3577b34da6a3ce929d0e0e4736';
my $parent = '00f067aa0ba902b7';
my $n = 0;

# What upstream was told, and what the log says of it.

sub asked {
    my ($gw, $target, @headers) = @_;
    my $name = 'id-' . ++$n;
    $gw->upstream->clear if $gw->upstream;
    my $res = $gw->get($target, token => $gw->{test_token}, headers => [ 'X-Request-Id' => $name, @headers ]);
    my $line;
    $gw->wait_for(sub { ($line) = grep { /"requestId":"$name"/ } split /\n/, $gw->access_log; $line });
    my ($req) = $gw->upstream->requests;
    return {
        status => $res->{status},
        log    => JSON::PP::decode_json($line),
        parent => join(',', $req ? Gateway::Upstream::header($req, 'traceparent') : ()),
        state  => join(',', $req ? Gateway::Upstream::header($req, 'tracestate') : ()),
    };
}

# The parts of a traceparent; upstream and the log agree.

sub parts {
    my ($got, $what) = @_;
    my ($trace, $span, $flags) = $got->{parent} =~ /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/ or do {
        fail "$what: upstream gets a valid traceparent";
        diag $got->{parent};
        return ('', '', '');
    };
    is "$got->{log}{traceId} $got->{log}{spanId}", "$trace $span", "$what: the log says the same";
    return ($trace, $span, $flags);
}

sub gateway {
    my (%o) = @_;
    my $gw = Gateway->start(location => 'ampersand_cache_ttl default 0s;', %o);
    $gw->{test_token} = $gw->tenant('acme');
    return $gw;
}

my $gw = gateway();
my @targets = ('/v1/integrations', '/proxy/x');

subtest 'a valid traceparent is taken on' => sub {
    my %spans;
    for my $target (@targets) {
        for my $flags ('00', '01', '02', '03', 'ff') {
            my $got = asked($gw, $target, traceparent => "00-$id-$parent-$flags", tracestate => 'a=1,b=2', tracestate => 'c=3');
            my ($trace, $span, $sent) = parts($got, "$target, flags $flags");
            is $trace, $id, 'the trace';
            isnt $span, $parent, 'another span';
            $spans{$span}++;
            is $sent, $flags eq 'ff' ? '03' : $flags, 'the flags that are known: sampled, random';
            is $got->{state}, 'a=1,b=2,c=3', 'the state';
        }
    }
    is scalar(keys %spans), 10, 'each request has a span of its own';
    my $got = asked($gw, '/v1/integrations', traceparent => "cc-$id-$parent-01-what-comes-later");
    is join(' ', (parts($got, 'a later version'))[0, 2]), "$id 01", 'is read as this one';
};

subtest 'any other is replaced' => sub {
    my %traces;
    my @bad = (
        [ 'none' ],
        [ 'ids of zeros', '00-' . '0' x 32 . "-$parent-01" ], [ 'a span of zeros', "00-$id-" . '0' x 16 . '-01' ],
        [ 'version ff', "ff-$id-$parent-01" ], [ 'upper case', "00-\U$id\E-$parent-01" ], [ 'too short', "00-$id-$parent" ],
        [ 'too long for its version', "00-$id-$parent-01-x" ], [ 'a token', $gw->{test_token} ], [ 'no text', '' ],
        [ 'bytes above ASCII', "00-$id-$parent-\xff\xfe" ], [ 'two of them', "00-$id-$parent-01", "00-$id-$parent-01" ],
    );
    for my $target (@targets) {
        for (@bad) {
            my ($what, @values) = @$_;
            my $got = asked($gw, $target, (map { ('traceparent', $_) } @values), tracestate => 'a=1');
            my ($trace, $span, $flags) = parts($got, "$target, $what");
            isnt $trace, $id, 'a new trace';
            $traces{$trace}++;
            is $flags, '00', 'which nobody has sampled';
            is $got->{state}, '', 'without the state of another one';
        }
    }
    is scalar(keys %traces), 2 * @bad, 'each a new one';
};

subtest 'what never goes upstream has a trace in the log' => sub {
    my $got = asked($gw, '/v1/no-such-path', traceparent => "00-$id-$parent-01");
    is $got->{status}, 404, 'refused';
    is $got->{log}{traceId}, $id, 'the trace of the client';
    like $got->{log}{spanId}, qr/^[0-9a-f]{16}$/, 'a span';
    like asked($gw, '/v1/no-such-path')->{log}{traceId}, qr/^[0-9a-f]{32}$/, 'or a new trace';
};

$gw->finish;

subtest 'workers do not make the same ids' => sub {
    my $gw = gateway(workers => 4);
    my %seen;
    $seen{ $_->{log}{traceId} }++, $seen{ $_->{log}{spanId} }++ for map { asked($gw, '/v1/integrations') } 1 .. 40;
    is scalar(keys %seen), 80, '40 requests of 4 workers: 80 ids';
    $gw->finish;
};

# The otel module is known by its variables; so a map stands for it here.

subtest 'the span of the otel module' => sub {
    my $gw = gateway(http => 'map $http_x_trace $otel_trace_id { default $http_x_trace; } map $http_x_span $otel_span_id { default $http_x_span; }');
    my $own = '0af7651916cd43dd8448eb211c80319c';
    my @otel = ('X-Trace' => $own, 'X-Span' => 'b7ad6b7169203331');

    # otel_trace_context propagate: the module writes its own headers into the request

    my $got = asked($gw, '/v1/integrations', @otel, traceparent => "00-$own-b7ad6b7169203331-01", tracestate => 'a=1');
    is join('-', parts($got, 'with its header')), "$own-b7ad6b7169203331-01", 'its trace, span and flags';
    is $got->{state}, 'a=1', 'and state';

    # extract: the trace of the client, and no header of the module's

    $got = asked($gw, '/v1/integrations', 'X-Trace' => $id, 'X-Span' => 'b7ad6b7169203331', traceparent => "00-$id-$parent-01", tracestate => 'a=1');
    is join('-', parts($got, 'of the same trace')), "$id-b7ad6b7169203331-01", 'its span';
    is $got->{state}, 'a=1', 'and the state';

    # ignore: another trace than the client's

    $got = asked($gw, '/v1/integrations', @otel, traceparent => "00-$id-$parent-01", tracestate => 'a=1');
    is join('-', parts($got, 'of another trace')), "$own-b7ad6b7169203331-00", 'its ids';
    is $got->{state}, '', 'without the state of the client';

    # otel_trace off: it has no ids

    for (['X-Span' => 'b7ad6b7169203331'], ['X-Trace' => $own], ['X-Trace' => '0' x 32, 'X-Span' => '0' x 16], []) {
        $got = asked($gw, '/v1/integrations', @$_, traceparent => "00-$id-$parent-01");
        is +(parts($got, "with @$_"))[0], $id, 'no span: as without the module';
    }
    $gw->finish;
};

done_testing;
