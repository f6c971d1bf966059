#!/usr/bin/perl

# VARIANTS valid requests of each operation, made from Ampersand's own documents, through
# the gateway and directly to the same upstream: what upstream gets and what the client
# gets is equal, but for the differences that docs/clients.md lists.  Each of these is
# seen, too.

use strict;
use warnings;

use FindBin;
use JSON::PP ();
use POSIX ();
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Variants;

my $api = $ENV{AMPERSAND_API_DIR} // "$Gateway::ROOT/../shared/ampersand-api";

plan skip_all => "$api is missing; set AMPERSAND_API_DIR to the folder of Ampersand's documents"
    unless -r "$api/platform.json";

my $seed = $ENV{VARIANTS_SEED} || time ^ $$;
my $each = $ENV{VARIANTS} || 20;
my $only = $ENV{VARIANTS_ONLY} || '';    # operationId, or operationId/number
my $key = 'key-of-acme';
my $project = '66438162-5299-4669-a41d-85c5a3b1a83e';
my $variants = Gateway::Variants->new($api, seed => $seed, id => $project, name => 'alpha');
my @operations = grep { !$only || $only =~ /^\Q$_->{operationId}\E(?:\/|$)/ } $variants->operations;
my ($one) = $only =~ m{/(\d+)$};
my $again = "repeat with VARIANTS_SEED=$seed";
note $again;

my %class = map { $_->{operationId} => $_->{class} }
    @{ JSON::PP->new->utf8->decode(scalar qx("$Gateway::ROOT/build/ampctl" operations --json)) };

# The upstream answers a request as its number says, whoever sends it.

my $upstream = Gateway::Upstream->start(sub {
    my ($req) = @_;
    my ($status, $n) = scalar(Gateway::Upstream::header($req, 'user-agent')) =~ m{^variant/(\d+)/(\S+)} or return { status => 418 };
    return $variants->answer_text($variants->answer($status, $n));
});
my $gw = Gateway->start(workers => 2, upstream => $upstream->url);
my $token = $gw->tenant('acme', project => $project, name => 'alpha', key => $key, args => [ map { ('--grant', $_) } qw(default secrets) ]);

# Two processes, each with every other operation.  They write a line for each request:
# its operation and number, the differences that have a name, and one that has none.

my @children = map {
    my $half = $_;
    pipe my $read, my $write or die "pipe: $!";
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        $SIG{$_} = 'DEFAULT' for qw(INT TERM);
        my $ok = eval { run($operations[$_], $write) for grep { $_ % 2 == $half } 0 .. $#operations; 1 };
        print $write JSON::PP::encode_json({ operation => '?', n => 0, named => [], fault => "died: $@" }), "\n" unless $ok;
        close $write;
        POSIX::_exit(0);
    }
    [ $pid, $read ];
} 0, 1;

my (%faults, %count, %named);
for (@children) {
    my ($pid, $read) = @$_;
    while (my $line = <$read>) {
        my $result = JSON::PP::decode_json($line);
        $count{ $result->{operation} }++;
        $named{$_}++ for @{ $result->{named} };
        push @{ $faults{ $result->{operation} } }, "$result->{operation}/$result->{n}: $result->{fault}" if defined $result->{fault};
    }
    waitpid $pid, 0;
}

for my $id (map { $_->{operationId} } @operations) {
    is $count{$id}, defined $one ? 1 : $each, "$id: all variants were sent";
    is scalar @{ $faults{$id} || [] }, 0, "$id: no difference but those that docs/clients.md lists"
        or diag join "\n", @{ $faults{$id} }, $again;
}
is join("\n", @{ $faults{'?'} || [] }), '', 'no process died';

# What is valid for HTTP, and refused.

for (
    [ once => '/v1/connections?groupRef=a&groupRef=b', 'bad-query' ],
    [ once => '/v1/connections?groupRef=a&GroupRef=a', 'bad-query' ],
    [ segments => '/v1/integrations/a%2Fb', 'bad-path' ],
    [ segments => '/v1/integrations/a%252Fb', 'bad-path' ],
    [ segments => '/v1/integrations/a%5Cb', 'bad-path' ],
    [ segments => '/v1/integrations/%2E%2E', 'bad-path' ],
    [ segments => '/read/v1/integrations/i/installations/x%3Apause', 'bad-path' ],
) {
    my ($name, $target, $problem) = @$_;
    next if $only;
    $upstream->take;
    like $gw->get($target, token => $token)->{body}, qr/:problem:$problem"/, "$target: $problem";
    is scalar($upstream->take), 0, 'not sent upstream';
    $named{$name}++;
}

my @listed = do {
    open my $f, '<', "$Gateway::ROOT/docs/clients.md" or die "docs/clients.md: $!";
    my $text = do { local $/; <$f> };
    my ($section) = $text =~ /^## What differs from a direct call\n(.*?)(?=^## |\z)/ms;
    ($section // '') =~ /^\| `([\w-]+)` \|/mg;
};
my %listed = map { $_ => 1 } @listed;
is join(' ', grep { !$listed{$_} } sort keys %named), '', 'docs/clients.md lists each difference';
is join(' ', grep { !$named{$_} } sort @listed), '', 'and nothing that was not seen' unless $only;
note map { "$_: $named{$_}\n" } sort keys %named;

$gw->finish;
done_testing;


# All variants of an operation: through the gateway, then directly, each on one connection.

sub run {
    my ($operation, $out) = @_;
    my @numbers = defined $one ? $one : 0 .. $each - 1;
    my %request = map { $_ => $variants->request($operation, $_) } @numbers;
    my (%got, %seen);
    for my $where (qw(target direct)) {
        my $port = $where eq 'direct' ? $upstream->port : $gw->port;
        my @headers = ('X-Api-Key' => $where eq 'direct' ? $key : $token);
        push @headers, 'X-Amp-Project-Id' => $project, 'X-Amp-Proxy-Version' => 1
            if $where eq 'direct' && $operation->{api} eq 'proxy';
        $got{$where} = answers($port, map {
            [ $_, $variants->text($request{$_}, $where, @headers,
                'User-Agent' => "variant/$operation->{status}/$operation->{operationId}/$_") ]
        } @numbers);
        for my $req ($upstream->take) {
            my ($id, $n) = scalar(Gateway::Upstream::header($req, 'user-agent')) =~ m{/(\w+)/(\d+)$} or next;
            push @{ $seen{$where}{$n} }, $req if $id eq $operation->{operationId};
        }
    }
    for my $n (@numbers) {
        my %named;
        my $fault = eval {
            compare($operation, \%named, (map { $seen{$_}{$n} || [] } qw(target direct)), (map { $got{$_}{$n} } qw(target direct)));
        } // "died: $@";
        $fault .= "\n  sent: " . $variants->text($request{$n}, 'target') if $fault;
        print $out JSON::PP->new->utf8->encode({
            operation => $operation->{operationId}, n => $n, named => [ keys %named ], fault => $fault || undef,
        }), "\n";
    }
}

# Pipelined requests, { number => answer }; a connection that ends early is opened again.

sub answers {
    my ($port, @todo) = @_;
    my %answer;
    while (@todo) {
        my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die "connect: $!";
        my $bytes = join '', map { $_->[1] } @todo;
        syswrite $socket, $bytes or die "write: $!";
        my ($rest, $before) = ('', scalar @todo);
        while (@todo) {
            my $res = Gateway::read_response($socket, rest => \$rest);
            last if $res->{cut};
            $answer{ $todo[0][0] } = $res;
            shift @todo;
        }
        die "no answer to $todo[0][1]" if @todo == $before;
    }
    return \%answer;
}

# The first difference that has no name, or ''; names go into %$named.

sub compare {
    my ($operation, $named, $seen, $direct, $got, $expected) = @_;
    my $id = $operation->{operationId};

    if ($class{$id} eq 'none') {
        $named->{'not-served'} = 1;
        return 'it reached upstream' if @$seen;
        return $got->{status} == 403 && $got->{body} =~ /:problem:operation-not-served"/ ? '' : "$got->{status} $got->{body}";
    }
    return "$got->{status} $got->{body}" if !@$seen;
    return 'two upstream requests' if @$seen > 1;
    ($seen, $direct) = ($seen->[0], $direct->[0]);
    return "method $seen->{method}" if $seen->{method} ne $direct->{method};
    return target($operation, $named, $seen->{target}, $direct->{target}) || request_headers($named, $seen, $direct)
        || body($operation, $named, $seen->{body}, $direct->{body}) || answer($operation, $named, $got, $expected);
}

sub decoded { return map { s/%([0-9a-fA-F]{2})/chr hex $1/ger } @_ }

sub target {
    my ($operation, $named, $got, $want) = @_;
    return '' if $got eq $want;
    my ($path, $query) = split /\?/, $got, 2;
    my ($want_path, $want_query) = split /\?/, $want, 2;

    if ($operation->{operationId} eq 'listProjects') {
        $named->{'own-project'} = 1;
        $want_path = "/v1/projects/$project";
    }
    $named->{spelling} = 1 if $path ne $want_path;
    return "path $path, not $want_path" if join('/', decoded(split m{/}, $path, -1)) ne join('/', decoded(split m{/}, $want_path, -1))
        || ($path =~ tr{/}{}) != ($want_path =~ tr{/}{});
    return '' if ($query // '') eq ($want_query // '');

    my @args = map { s/\+/ /gr } split /&/, $query // '';
    my @want = map { s/\+/ /gr } split /&/, $want_query // '';
    $named->{spelling} = 1 if join('&', sort @args) ne join '&', sort split /&/, $want_query // '';
    @args = map { join '=', decoded(split /=/, $_, 2) } @args;
    @want = map { join '=', decoded(split /=/, $_, 2) } @want;
    return '' if "@args" eq "@want";
    $named->{order} = 1;
    return join("\0", sort @args) eq join("\0", sort @want) && values_in_order(@args) eq values_in_order(@want) ? '' : "query $query, not $want_query";
}

# The values of each name, in their order.

sub values_in_order {
    my %of;
    push @{ $of{ /^([^=]*)/ ? $1 : '' } }, $_ for @_;
    return join "\0", map { @{ $of{$_} } } sort keys %of;
}

sub request_headers {
    my ($named, $got, $want) = @_;
    my %got = map { lc $_->[0] => $_->[1] } @{ $got->{headers} };
    my %want = map { lc $_->[0] => $_->[1] } @{ $want->{headers} };
    for my $name (sort keys %{ { %got, %want } }) {
        my ($is, $was) = map { $_->{$name} } \%got, \%want;
        next if defined $is && defined $was && $is eq $was;
        if ($name =~ /^(?:transfer-encoding|content-length|connection)$/) {
            $named->{framing} = 1;
        } elsif ($name eq 'traceparent' && defined $is) {
            my ($trace) = ($was // $is) =~ /^(00-[0-9a-f]{32})-[0-9a-f]{16}-0[01]$/;
            return "traceparent: $is, not of the trace " . ($was // '')
                unless defined $trace && $is =~ /^\Q$trace\E-[0-9a-f]{16}-0[01]$/ && substr($is, -2) eq substr($was // $is, -2);
            $named->{trace} = 1;
        } elsif ($name eq 'x-request-id' || $name eq 'x-amp-request-type') {
            return "$name: $is, not $was" if defined $was;
            $named->{'added-headers'} = 1;
        } elsif ($name eq 'content-type' && ($is // '') eq 'application/json') {
            $named->{'checked-body'} = 1;
        } elsif (!defined $is && $name =~ /^(?:x-amp-client|x-amp-client-version|origin|referer|idempotency-key)$/) {
            $named->{'request-headers'} = 1;
        } elsif ($name eq 'accept-encoding' && !defined $is) {
            $named->{'own-project'} = 1;
        } else {
            return "request header $name: " . ($is // 'none') . ', not ' . ($was // 'none');
        }
    }
    return '';
}

sub body {
    my ($operation, $named, $got, $want) = @_;
    return '' if $got eq $want;
    if ($operation->{path} =~ m{^/(?:oauth-connect|custom-auth/connect)$}) {
        $named->{'checked-body'} = 1;
        my $json = JSON::PP->new->utf8->canonical->allow_bignum;
        my $composed = $json->decode($want);
        $composed->{projectIdOrName} = $project;
        return '' if $json->encode($json->decode($got)) eq $json->encode($composed);
    }
    return "body $got, not $want";
}

sub answer {
    my ($operation, $named, $got, $want) = @_;
    return "status $got->{status}, not $want->{status}" if $got->{status} != $want->{status};
    my (%got, %want);
    push @{ $got{ lc $_->[0] } }, $_->[1] for @{ $got->{all} };
    push @{ $want{ lc $_->[0] } }, $_->[1] for @{ $want->{all} };
    for my $name (sort keys %{ { %got, %want } }) {
        my ($is, $was) = map { join "\n", @{ $_->{$name} || [] } } \%got, \%want;
        next if $is eq $was;
        if ($name =~ /^(?:transfer-encoding|content-length|connection|keep-alive)$/) {
            $named->{framing} = 1;
        } elsif ($name =~ /^(?:x-gateway-source|x-cache-status|cache-status|x-request-id|server)$/
            || $name eq 'age' && $is eq '0' && $got->{headers}{'x-cache-status'} eq 'MISS')
        {
            $named->{'answer-headers'} = 1;
        } elsif (!length $is && $class{ $operation->{operationId} } eq 'catalog' && $name eq 'x-amp-any') {
            $named->{catalog} = 1;
        } elsif (!length $is && $name =~ /^(?:set-cookie|strict-transport-security)$/) {
            $named->{'answer-headers'} = 1;
        } else {
            return "answer header $name: $is, not $was";
        }
    }
    return '' if $got->{body} eq $want->{body};
    if ($operation->{operationId} eq 'listProjects') {
        $named->{'own-project'} = 1;
        return '' if $got->{body} eq "[$want->{body}]";
    }
    return 'body ' . substr($got->{body}, 0, 200) . ', not ' . substr $want->{body}, 0, 200;
}
