package Gateway::Variants;

# Valid requests for each operation of Ampersand's documents, made from their
# parameters and schemas.  The same seed, operation and number make the same request.
#
#   my $v = Gateway::Variants->new($dir, seed => 7, id => 'p-1', name => 'alpha');
#   $v->operations;                  # { api, method, path, operationId, status, ... }, in the documents' order
#   my $request = $v->request($operation, $n);
#   # { method, target (at the gateway), direct (at Ampersand's host), host, headers => [[name, value]], body, chunked }
#   $v->answer($status, $number);    # { status, headers => [name, value, ...], body, chunked }: the success, or an error
#   $v->answer_text($answer);        # the bytes of it
#   $v->text($request, 'direct', 'X-Api-Key' => ...);    # the bytes of it, for one connection
#
# A direct request names the project by its id; at the gateway the same one is
# named in each of the ways that the gateway knows.

use strict;
use warnings;

use Digest::SHA ();
use JSON::PP ();
use List::Util qw(shuffle);

my %HOST = map { $_ => ($_ eq 'platform' ? 'api' : $_) . '.withampersand.com' } qw(platform read write search proxy);

# Values of a path parameter as clients send them: each is one segment.

my @SEGMENTS = (
    '2f1c9a52-7c55-4d4e-9f0a-1d7f6b6f1a11', 'crm-sync_2.v1~x', 'a|b[0]{c}^d`', 'a%7cb%5B0%5d%7Bc%7d%5E', 'two%20words',
    'x%2541y', 'x%2520y', '50%25', 'caf%C3%A9', '%E6%97%A5%E6%9C%AC%E8%AA%9E', '%f0%9f%98%80', 'a@b.example,c;d=e',
    q(it's(ok)!*$&+), 'crm%3Anew', '..a', 'a..', '...', 'n%41med', '%3Fx%23y', '%22quoted%22<x>', '%7Euser', '1', 'v1',
    'projects', '-', 'x' x 180,
);

# Values of a query parameter.

my @VALUES = (
    'plain', '', 'two+words', 'two%20words', 'tab%09tab', 'caf%C3%A9', '%F0%9F%98%80', 'a%26b%3Dc', 'a=b', 'x%2541y', '50%25',
    'a,b;c', '[0]{1}|^', 'a/b?c:d@e', '1%2B1', '%2e%2E', q(it's(ok)!*$), '%22"<>', 'n%41me', '0', 'x' x 300,
);

my @WORDS = (
    'contact', 'group-1', 'caf' . chr 0xe9, chr(0x65e5) . chr(0x672c), chr(0x1f600), 'a "quoted" \\ word', "line\nline\ttab", '', ' ',
    '</script>', 'null', '%41', "x\x{2028}y", 'y' x 400,
);

sub new {
    my ($class, $dir, %o) = @_;
    my $self = bless { %o }, $class;
    for my $api (qw(platform read write search)) {
        my $document = JSON::PP->new->utf8->decode(_slurp("$dir/$api.json"));
        for my $path (sort keys %{ $document->{paths} }) {
            for my $method (sort keys %{ $document->{paths}{$path} }) {
                my $operation = $document->{paths}{$path}{$method};
                my ($status) = sort grep { /^2/ } keys %{ $operation->{responses} };
                my $body = $self->_resolve($document, $operation->{requestBody} || {});
                push @{ $self->{operations} }, {
                    api => $api, method => uc $method, path => $path, operationId => $operation->{operationId},
                    status => $status, document => $document,
                    parameters => [ map { $self->_resolve($document, $_) } @{ $operation->{parameters} || [] } ],
                    schema => $body->{content} && $body->{content}{'application/json'}{schema}, required => $body->{required},
                };
            }
        }
    }
    $self->_undocumented("$dir/operations.tsv");
    push @{ $self->{operations} }, { api => 'proxy', operationId => 'proxyRequest', path => '', status => 200 };
    return $self;
}

# Operations that are in the table, and in the documents no longer.

sub _undocumented {
    my ($self, $table) = @_;
    my %documented = map { $_->{operationId} => 1 } @{ $self->{operations} };
    for my $line (grep { !/^#/ } split /\n/, _slurp($table)) {
        my ($api, $method, $path, $id, undef, undef, undef, undef, undef, $fields, $status) = split /\t/, $line;
        next if $documented{$id};
        my @names = map { s/!//r } split /,/, $fields;
        push @{ $self->{operations} }, {
            api => $api, method => $method, path => $path, operationId => $id, status => $status, document => {}, required => 1,
            parameters => [], schema => { type => 'object', required => \@names, properties => { map { $_ => { type => 'string' } } @names } },
        };
    }
}

sub operations { return @{ $_[0]{operations} } }

sub _slurp { open my $f, '<', $_[0] or die "$_[0]: $!\n"; local $/; return <$f> }

sub _resolve {
    my ($self, $document, $node) = @_;
    while ($node->{'$ref'}) {
        my $at = $document;
        $at = $at->{$_} for split m{/}, $node->{'$ref'} =~ s{^#/}{}r;
        $node = $at;
    }
    return $node;
}

sub _seed { my ($self, @of) = @_; srand unpack 'L', Digest::SHA::sha1(join ' ', $self->{seed}, @of) }

sub _one { return $_[ rand @_ ] }

sub request {
    my ($self, $operation, $n) = @_;
    $self->_seed($operation->{operationId}, 'values');
    my @segments = shuffle @SEGMENTS;    # the variants of an operation have different ones
    my @values = shuffle @VALUES;
    $self->_seed($operation->{operationId}, $n);
    return $self->_proxied($n, \@segments, \@values) if $operation->{api} eq 'proxy';

    my ($direct, $target, $i, $named) = ('', '', 0);
    for my $segment (split m{/}, $operation->{path} =~ s{^/}{}r) {
        my $value = $segment;
        if ($segment eq '{projectIdOrName}') {
            $direct .= "/$self->{id}";
            $named = _one($self->{id}, $self->{name}, '-');
            $target .= "/$named";
            next;
        }
        $value =~ s/\{\w+\}/$segments[($n + 7 * $i++) % @segments]/e;
        $_ .= "/$value" for $direct, $target;
    }
    $target =~ s{^/projects/[^/]+(?=[/])}{} if defined $named && rand() < 0.3;

    my $query = $self->_query($operation, $n, \@values);
    my $prefix = $operation->{api} eq 'platform' ? '/v1' : "/$operation->{api}/v1";
    my %request = (
        method => $operation->{method}, host => $HOST{ $operation->{api} },
        direct => "/v1$direct$query", target => "$prefix$target$query", headers => [ $self->_headers ],
    );
    if ($operation->{schema} && ($operation->{required} || rand() < 0.7)) {
        $request{body} = $self->_body($operation);
        $request{chunked} = rand() < 0.2;
        push @{ $request{headers} }, [ _one('Content-Type', 'content-type'), _one('application/json', 'application/json; charset=utf-8') ];
    }
    return \%request;
}

# A call of a provider: any path and method, with the provider's own headers.

sub _proxied {
    my ($self, $n, $segments, $values) = @_;
    my $path = '/services/' . join('/', map { $segments->[ ($n + $_) % @$segments ] } 0 .. rand 4) . (rand() < 0.2 ? '/' : '');
    my @args = map { _one('q', 'fields[]', '$filter', 'q') . '=' . $_ } map { $values->[ ($n + $_) % @$values ] } 0 .. rand 4;
    push @args, 'flag' if rand() < 0.2;
    my $query = rand() < 0.8 ? '?' . join '&', @args : '';
    my %request = (
        method => _one(qw(GET GET POST PUT PATCH DELETE OPTIONS)), host => $HOST{proxy},
        direct => "$path$query", target => "/proxy$path$query",
        headers => [
            $self->_headers,
            rand() < 0.5 ? [ 'x-amp-installation-id' => 'i-1' ] : ([ 'x-amp-integration-name' => 'crm' ], [ 'x-amp-group-ref' => 'g-1' ]),
            [ 'Notion-Version' => '2022-06-28' ], [ 'Sforce-Call-Options' => 'client=x' ],
        ],
    );
    if ($request{method} =~ /^P/) {
        $request{body} = _one('{"a":1, "a":2}', "<x>\xe9</x>", '', "a=1&b=%2B", "\0\r\n\xff" x 50);
        $request{chunked} = rand() < 0.3;
        push @{ $request{headers} }, [ 'Content-Type' => _one('application/json', 'text/xml', 'application/x-www-form-urlencoded') ];
    }
    return \%request;
}

# Declared parameters in any order, at most once each; others as often as one likes.

sub _query {
    my ($self, $operation, $n, $values) = @_;
    my ($i, @args) = (0);
    for my $parameter (grep { $_->{in} eq 'query' } @{ $operation->{parameters} }) {
        $i++;
        next if !$parameter->{required} && rand() < 0.3;
        my $schema = $self->_resolve($operation->{document}, $parameter->{schema});
        my $value = $schema->{enum} ? _one(@{ $schema->{enum} })
            : $schema->{type} eq 'boolean' ? _one('true', 'false')
            : $schema->{type} eq 'integer' ? 1 + int rand 1000
            : $values->[ ($n + 5 * $i) % @$values ];
        push @args, "$parameter->{name}=$value";
    }
    push @args, 'extra=' . _one(@$values) if rand() < 0.4;
    push @args, 'tag=1', 'tag=2', 'tag=1' if rand() < 0.2;
    push @args, _one('flag', 'flag=', 'x%5B%5D=1', 'caf%C3%A9=1') if rand() < 0.2;
    return @args ? '?' . join '&', shuffle @args : '';
}

# Headers as browsers, SDKs and command-line tools send them.

sub _headers {
    my ($self) = @_;
    my @headers = [ Accept => _one('*/*', 'application/json', 'application/json;q=1, application/problem+json;q=0.5') ];
    push @headers, [ 'Accept-Encoding' => 'gzip, deflate, br' ] if rand() < 0.5;
    push @headers, [ 'Accept-Language' => 'de-CH, de;q=0.9' ] if rand() < 0.3;
    push @headers, [ 'X-Amp-Client' => 'react' ], [ 'X-Amp-Client-Version' => '2.16.1' ], [ Origin => 'https://app.example' ],
        [ Referer => 'https://app.example/x' ] if rand() < 0.3;
    push @headers, [ 'X-Request-Id' => 'id-' . int rand 1e9 ] if rand() < 0.3;
    push @headers, [ traceparent => sprintf '00-%032x-%016x-01', 1 + rand 1e9, 1 + rand 1e9 ] if rand() < 0.3;
    push @headers, [ 'Idempotency-Key' => 'once' ] if rand() < 0.1;
    return shuffle @headers;
}

# A body as a JSON text: members in any order, with white space and escapes.

sub _body {
    my ($self, $operation) = @_;
    my $value = $self->_value($operation->{document}, $operation->{schema}, 0);
    if (ref $value eq 'HASH') {
        $value->{projectIdOrName} = _one($self->{id}, $self->{name}) if $operation->{path} =~ m{/(?:oauth-connect|custom-auth/connect)$};
        $value->{unknownField} = _one(@WORDS) if rand() < 0.3;
    }
    my $text = $self->_json($value);
    utf8::encode($text);
    return $text;
}

sub _value {
    my ($self, $document, $schema, $depth) = @_;
    $schema = $self->_resolve($document, $schema);
    return undef if $schema->{nullable} && rand() < 0.2;
    return _one(@{ $schema->{enum} }) if $schema->{enum};
    for my $choice (grep { $_ } $schema->{oneOf}, $schema->{anyOf}) {
        return $self->_value($document, _one(@$choice), $depth);
    }

    my $type = $schema->{type} || 'object';
    return _one(JSON::PP::true, JSON::PP::false) if $type eq 'boolean';
    return \_one('0', '-1', '42', '9007199254740993', '1e3', '-0.5E-2') if $type eq 'number';
    return \(($schema->{minimum} || 0) + int rand 100) if $type eq 'integer';
    return [ map { $self->_value($document, $schema->{items} || { type => 'string' }, $depth + 1) } 1 .. 1 + rand 2 ]
        if $type eq 'array';
    return _one(@WORDS) if $type eq 'string';

    my %value;
    for my $part (@{ $schema->{allOf} || [] }) {
        my $more = $self->_value($document, $part, $depth);
        return $more unless ref $more eq 'HASH';
        %value = (%value, %$more);
    }
    my %required = map { $_ => 1 } @{ $schema->{required} || [] };
    for my $name (sort keys %{ $schema->{properties} || {} }) {
        next if !$required{$name} && ($depth > 3 || rand() < 0.5);
        $value{$name} = $self->_value($document, $schema->{properties}{$name}, $depth + 1);
    }
    my $more = $schema->{additionalProperties};
    $value{ _one('key', 'k.e-y', 'caf' . chr 0xe9) } = ref $more eq 'HASH' && %$more ? $self->_value($document, $more, $depth + 1) : _one(@WORDS)
        if $more && $depth < 4;
    return \%value;
}

sub _json {
    my ($self, $value) = @_;
    my $gap = rand() < 0.3 ? _one(' ', "\n  ", "\t") : '';
    return 'null' unless defined $value;
    return $$value if ref $value eq 'SCALAR';    # a number, as it is written
    return '[' . join(",$gap", map { $self->_json($_) } @$value) . ']' if ref $value eq 'ARRAY';
    return "{$gap" . join(",$gap", map { _string($_) . ":$gap" . $self->_json($value->{$_}) } shuffle sort keys %$value) . '}'
        if ref $value eq 'HASH';
    return $value ? 'true' : 'false' if ref $value;
    return _string($value);
}

sub _string {
    my ($text) = @_;
    my $json = JSON::PP->new->allow_nonref;
    return (rand() < 0.3 ? $json->ascii : $json)->encode("$text");
}

# What an upstream answers: the success of the operation, or one of its errors.

sub answer {
    my ($self, $status, $n) = @_;
    $self->_seed('answer', $n);
    my %answer = (status => $status, headers => [ 'X-Amp-Any' => $n ]);
    my $body = _one('{"id":"' . $n . '","name":"caf' . "\xc3\xa9" . '"}', '[]', '', "[\n1, 2]\n", '{"x":"' . 'y' x 40_000 . '"}', "\0\xff\r\n");
    my $type = _one('application/json', 'application/json; charset=utf-8', 'text/plain');
    if (rand() < 0.3) {
        @answer{qw(status)} = _one(400, 401, 403, 404, 409, 422, 500, 503);
        $body = '{"type":"about:blank","title":"Not so","status":' . $answer{status} . ',"causes":["It is so."]}';
        $type = 'application/problem+json';
        push @{ $answer{headers} }, 'WWW-Authenticate' => 'ApiKey' if $answer{status} == 401;
        push @{ $answer{headers} }, 'Retry-After' => 7 if $answer{status} == 503;
    }
    push @{ $answer{headers} }, 'Content-Type' => $type, 'Cache-Control' => 'no-store', Date => 'Sun, 29 Nov 2026 10:00:00 GMT';
    push @{ $answer{headers} }, ETag => _one('"v1"', 'W/"v2"') if rand() < 0.3;
    push @{ $answer{headers} }, 'Last-Modified' => 'Sat, 28 Nov 2026 10:00:00 GMT' if rand() < 0.2;
    push @{ $answer{headers} }, Link => '<https://x.example/?a=1>; rel="next"', Link => '</y>; rel="prev"' if rand() < 0.2;
    push @{ $answer{headers} }, Location => 'https://api.withampersand.com/v1/projects/p/x' if rand() < 0.2;
    push @{ $answer{headers} }, 'Set-Cookie' => 'session=1', 'Strict-Transport-Security' => 'max-age=1' if rand() < 0.2;
    push @{ $answer{headers} }, 'X-Request-Id' => "upstream-$n", Server => 'ampersand' if rand() < 0.5;
    push @{ $answer{headers} }, 'Content-Language' => 'de', Vary => 'Accept-Language' if rand() < 0.2;
    $answer{body} = $answer{status} == 204 ? '' : $body;
    $answer{chunked} = $answer{status} != 204 && rand() < 0.3;
    return \%answer;
}

# The bytes of an answer.

sub answer_text {
    my ($self, $answer) = @_;
    my $text = "HTTP/1.1 $answer->{status} Status\r\n";
    my @headers = @{ $answer->{headers} };
    while (my ($name, $value) = splice @headers, 0, 2) {
        $text .= "$name: $value\r\n";
    }
    return "$text\r\n" if $answer->{status} == 204;
    return "${text}Content-Length: " . length($answer->{body}) . "\r\n\r\n$answer->{body}" unless $answer->{chunked};
    return "${text}Transfer-Encoding: chunked\r\n\r\n" . _chunks($answer->{body}, 5000);
}

sub _chunks {
    my ($body, $size) = @_;
    return join('', map { sprintf "%x\r\n%s\r\n", length, $_ } unpack "(a$size)*", $body) . "0\r\n\r\n";
}

sub text {
    my ($self, $request, $where, @headers) = @_;
    my $text = "$request->{method} $request->{$where} HTTP/1.1\r\nHost: $request->{host}\r\n";
    while (my ($name, $value) = splice @headers, 0, 2) {
        $text .= "$name: $value\r\n";
    }
    $text .= "$_->[0]: $_->[1]\r\n" for @{ $request->{headers} };
    my $body = $request->{body};
    return "$text\r\n" unless defined $body;
    return "${text}Content-Length: " . length($body) . "\r\n\r\n$body" unless $request->{chunked};
    return "${text}Transfer-Encoding: chunked\r\n\r\n" . _chunks($body, 100);
}

1;
