package Gateway::Invariants;

# What holds for every request that a gateway sends upstream, whatever its
# client wrote.
#
#   my $rules = Gateway::Invariants->new(
#       tokens => [ every gateway token ], keys => [ every Ampersand key ]);
#   my @faults = $rules->faults($req, { key => ..., project => ... });   # texts
#
# $req is one of Gateway::Upstream's, the other the tenant that asked.

use strict;
use warnings;

use JSON::PP ();

my %HOST = map { ("$_.withampersand.com" => $_) } qw(api read write search proxy);

# Paths of the four APIs that stand under no project.

my $ELSEWHERE = qr{^/v1/(?:providers(?:/[^/]+)?|oauth-connect|custom-auth/connect
                           |generate-upload-url)$}x;

my %DECLARED = map { $_ => 1 } qw(
    x-amp-project-id x-amp-proxy-version x-amp-installation-id
    x-amp-integration-name x-amp-group-ref x-amp-rate-limiter-mode);

my $NEVER = qr{^(?: authorization | cookie2? | proxy-.* | x-forwarded.* | forwarded | via
                  | x-real-ip | x-client-ip | x-cluster-client-ip | true-client-ip
                  | cf-connecting-ip | x-original-.* | x-rewrite-url | x-host | x-accel-.*
                  | x-gateway-.* | x-http-method.* | x-method-override | connection
                  | keep-alive | te | trailer | transfer-encoding | upgrade
                  | http2-settings | expect )$}x;

sub new {
    my ($class, %o) = @_;
    return bless { tokens => $o{tokens}, keys => $o{keys} }, $class;
}

sub unescape {
    my ($text) = @_;
    for (1 .. 6) {
        last unless $text =~ s/%([0-9a-fA-F]{2})/chr hex $1/ge;
    }
    return $text;
}

sub faults {
    my ($self, $req, $tenant) = @_;
    my @faults;
    my $fault = sub { push @faults, $_[0] };

    my ($line, @lines) = split /\r\n/, $req->{head}, -1;
    my ($method, $target) = $line =~ m{\A([A-Z_-]+) (/[\x21-\x7e]*) HTTP/1\.1\z}
        or return "request line: $line";
    my ($path, $query) = split /\?/, $target, 2;

    # headers

    my (%n, %value);
    for (@lines) {
        if (!/\A([A-Za-z0-9!#\$%&'*+.^_`|~-]+): ?([\t\x20-\x7e\x80-\xff]*)\z/) {
            $fault->("header line: $_");
            next;
        }
        $n{ lc $1 }++;
        $value{ lc $1 } = $2;
    }

    for (qw(host x-api-key x-request-id)) {
        $fault->("$_ stands " . ($n{$_} || 0) . ' times') if ($n{$_} || 0) != 1;
    }
    $fault->('content-length stands twice') if ($n{'content-length'} || 0) > 1;
    $fault->('the key is not the tenant\'s') if ($value{'x-api-key'} // '') ne $tenant->{key};

    my $api = $HOST{ $value{host} // '' } or return @faults, 'host: ' . ($value{host} // '');

    $fault->("header $_") for grep { /$NEVER/ } keys %n;
    $fault->("header $_ stands twice") for grep { /^x-amp-/ && $n{$_} > 1 } keys %n;

    for (grep { /^x-amp-/ } keys %n) {
        $fault->("header $_") unless $api eq 'proxy' ? $DECLARED{$_}
            : $_ eq 'x-amp-request-type' && $api eq 'search';
    }

    if ($api eq 'proxy') {
        $fault->('x-amp-project-id: ' . ($value{'x-amp-project-id'} // 'none'))
            if ($value{'x-amp-project-id'} // '') ne $tenant->{project};
    } elsif (my @odd = grep {
        !/^(?:host|x-api-key|x-request-id|x-amp-request-type|user-agent|trace(?:parent|state)
             |content-.*|accept.*)$/x
    } keys %n) {
        $fault->("headers @odd");
    }

    # target

    my $plain = unescape($path);
    $fault->("dot segment: $path") if $plain =~ m{(?:^|/)\.{1,2}(?:[/;]|$)};
    $fault->("control byte or backslash: $path") if $plain =~ m{[\x00-\x1f\x7f\\]};
    $fault->("control byte: $query")
        if defined $query && $query =~ /%(?:0[0-8a-f]|1[0-9a-f]|7f)/i;

    if ($api ne 'proxy') {
        $fault->("path: $path") unless $path =~ m{^/v1/projects/\Q$tenant->{project}\E(?:/|$)}
            || ($api eq 'api' && $path =~ $ELSEWHERE);
        $fault->("slash in a segment: $path") if $path =~ /%2f|%25(?:[01][0-9a-f]|2[35ef]|3[abf]|5c|7f|[89a-f][0-9a-f])/i || $path =~ m{//};
        $fault->("not escaped: $target") if $target !~ m{^[A-Za-z0-9._~/:?&=%-]+$};
    }

    for (split /[&;]/, $query // '') {
        my ($name) = split /=/, $_, 2;
        $fault->("query: $query") if lc unescape($name // '') eq 'apikey';
    }

    # body

    $fault->('method') if $api ne 'proxy' && $method !~ /^(?:GET|HEAD|POST|PUT|PATCH|DELETE)$/;

    if ($api eq 'api' && $path =~ m{^/v1/(?:oauth-connect|custom-auth/connect)$}) {
        my $body = eval { JSON::PP->new->utf8->decode($req->{body}) };
        my @named = ref $body eq 'HASH'
            ? map { $body->{$_} } grep { /^project(?:IdOrName|Id)$/i } keys %$body : ();
        $fault->("body: $req->{body}")
            if !@named || grep { ref || $_ ne $tenant->{project} } @named;
        $fault->('content-type') if ($value{'content-type'} // '') ne 'application/json'
            || $n{'content-type'} != 1;
        $fault->('content-encoding') if $n{'content-encoding'};
    }

    # secrets

    my $rest = join "\r\n", $line, grep { !/^x-api-key:/i } @lines;
    $rest .= $req->{body};
    for my $text ($rest, unescape($rest)) {
        for (@{ $self->{tokens} }) {
            $fault->('a gateway token') if index($text, $_) >= 0;
        }
        for (@{ $self->{keys} }) {
            $fault->('a key beside X-Api-Key') if index($text, $_) >= 0;
        }
    }

    return @faults;
}

1;
