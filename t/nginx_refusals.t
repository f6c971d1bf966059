#!/usr/bin/perl

# What the configuration of nginx around the gateway refuses (limit_req, limit_conn,
# auth_request, auth_basic, deny, limit_except, return) is told as nginx's own: with
# nginx's status, a type of its own, a remedy for the operator; it costs the tenant
# nothing, and writes no line at level error.  The same after error_page.

use strict;
use warnings;

use File::Temp ();
use FindBin;
use JSON::PP qw(decode_json);
use POSIX ();
use Test::More;

use lib "$FindBin::Bin/lib";
use Gateway;

my $passwords = File::Temp->new;
print $passwords "joe:{PLAIN}secret\n";
close $passwords;
chmod 0644, "$passwords";

my $asked = Gateway::Redis::free_port();

my %location = (
    'requests'     => 'limit_req zone=slow;',
    'requests-429' => 'limit_req zone=slow429; limit_req_status 429;',
    'requests-420' => 'limit_req zone=slow420; limit_req_status 420;',
    'requests-dry' => 'limit_req zone=slowdry; limit_req_dry_run on;',
    'requests-else' => 'limit_req zone=slowelse; error_page 503 = @else;',
    'requests-page' => 'limit_req zone=slowpage; error_page 503 =429 /page;',
    'connections'  => 'limit_conn one 1;',
    'asked-204'    => 'auth_request /auth/204;',
    'asked-401'    => 'auth_request /auth/401;',
    'asked-403'    => 'auth_request /auth/403;',
    'asked-500'    => 'auth_request /auth/500;',
    'password'     => "auth_basic realm; auth_basic_user_file $passwords;",
    'denied'       => 'deny all;',
    'denied-page'  => 'deny all; error_page 403 /page;',
    'denied-named' => 'deny all; error_page 403 @denied;',
    'denied-else'  => 'deny all; error_page 403 = @else;',
    'denied-200'   => 'deny all; error_page 403 =200 /page;',
    'read-only'    => 'limit_except GET { deny all; }',
    'gone'         => 'return 410;',
    'teapot'       => 'if ($arg_tea) { return 418; }',
    'maintenance'  => 'return 503;',
    'broken'       => 'return 500;',
);

my $gw = Gateway->start(
    http   => join("\n", map({ "limit_req_zone \$server_port zone=$_:64k rate=1r/m;" } qw(slow slow429 slow420 slowdry slowelse slowpage)),
        'limit_conn_zone $server_port zone=one:64k;',
        "server { listen 127.0.0.1:$asked; add_header WWW-Authenticate 'Login realm=x' always; return 401; }"),
    server => join("\n",
        'location /auth/ { internal; }',
        'location = /auth/204 { internal; return 204; }',
        "location = /auth/401 { internal; proxy_pass http://127.0.0.1:$asked; }",
        'location = /auth/403 { internal; return 403; }',
        'location = /auth/500 { internal; return 500; }',
        'location = /page { internal; default_type text/plain; return 200 "own page\n"; }',
        'location @denied { default_type text/plain; return 403 "own text\n"; }',
        'location @else { ampersand platform; include PROXY; }',
        'location = /admin { auth_basic admin; auth_basic_user_file ' . $passwords . '; }',
        map { "location = /v1/integrations/$_ { $location{$_} ampersand platform; include PROXY; }" } sort keys %location),
);

# Each of these requests would reach Ampersand, and cost the tenant its rate.

my $token = $gw->tenant('acme', project => 'p-1', args => [ '--rate', '1/h', '--burst', '100' ]);

sub ask {
    my ($name, %o) = @_;
    return $gw->request($o{method} || 'GET', "/v1/integrations/$name", token => $token, headers => [ 'Cache-Control' => 'no-store' ], %o);
}

sub left { return ($_[0]{headers}{ratelimit} // '') =~ /r=(\d+)/ ? $1 : undef }

my %seen;    # request id => decision

sub told {
    my ($res, $status, $type, $what) = @_;
    my $p = eval { decode_json($res->{body}) } || {};
    is $res->{status}, $status, "$what: nginx's status, $status" or diag $res->{body};
    is $p->{type}, "urn:ampersand-gateway:problem:$type", "$what: $type" or diag $res->{body};
    is $p->{status}, $status, "$what: the same status inside";
    is $res->{headers}{'content-type'}, 'application/problem+json', "$what: a problem";
    is $res->{headers}{'x-gateway-source'}, 'gateway', "$what: of the gateway";
    $seen{ $res->{headers}{'x-request-id'} } = $type;
    return $p;
}

my $before = left(ask('asked-204'));
cmp_ok $before, '>', 90, 'auth_request that allows: served, and charged';
$gw->upstream->clear;

for my $name (qw(requests requests-429 requests-420)) {
    my ($status) = $name =~ /(\d+)/ ? $1 : 503;
    is ask($name)->{status}, 200, "$name: the first one is served";
    my $res = ask($name);
    my $p = told($res, $status, 'nginx-limit', $name);
    like $p->{detail}, qr/nginx.*not the rate of the tenant/, 'it is not the rate of the tenant';
    like $p->{remedy}, qr/Operators: see limit_req and limit_conn/, 'the remedy names the directives';
    ok $p->{retryable}, 'a later try can succeed';
    is !!$res->{headers}{'retry-after'}, $status != 420, 'Retry-After with 503 and 429';
}
is ask('requests-dry')->{status}, 200, 'limit_req_dry_run: the first one is served';
is ask('requests-dry')->{status}, 200, 'and the second one';
is ask('requests-else')->{status}, 200, 'error_page to another gateway location: the first one is served';
is ask('requests-else')->{status}, 200, 'and the second one, there';
is ask('requests-page')->{status}, 200, 'error_page 503 =429: the first one is served';
told(ask('requests-page'), 429, 'nginx-limit', 'error_page 503 =429');

subtest 'limit_conn' => sub {
    $gw->upstream->answer({ delay => 2 });
    $gw->upstream->clear;
    my $pid = fork // die;
    if ($pid == 0) {
        ask('connections');
        POSIX::_exit(0);
    }
    ok $gw->wait_for(sub { $gw->upstream->requests }), 'one request is under way';
    told(ask('connections'), 503, 'nginx-limit', 'limit_conn');
    waitpid $pid, 0;
    $gw->upstream->answer({});
};

$gw->upstream->clear;
$before = left(ask('asked-204'));

my $p = told(my $res = ask('asked-401'), 401, 'nginx-auth', 'auth_request, 401');
is $res->{headers}{'www-authenticate'}, 'Login realm=x', 'with the WWW-Authenticate of its server alone';
like $p->{remedy}, qr/auth_request/, 'the remedy names auth_request';
told(ask('asked-403'), 403, 'forbidden', 'auth_request, 403');
$p = told(ask('asked-500'), 500, 'nginx-failed', 'auth_request, 500');
like $p->{remedy}, qr/auth_request/, 'the remedy names auth_request';
told($res = ask('password'), 401, 'nginx-auth', 'auth_basic');
is $res->{headers}{'www-authenticate'}, 'Basic realm="realm"', 'with its own WWW-Authenticate alone';
told($res = $gw->get('/admin'), 401, 'nginx-auth', 'auth_basic of another location');
is $res->{headers}{'www-authenticate'}, 'Basic realm="admin"', 'no Bearer there';

$p = told(ask('denied'), 403, 'forbidden', 'deny');
like $p->{remedy}, qr/Operators: see allow, deny, limit_except/, 'the remedy names the directives';
told(ask($_), 403, 'forbidden', "error_page of deny: $_") for qw(denied-page denied-named);
is ask('denied-else')->{status}, 200, 'error_page 403 = another gateway location: served there';
$res = ask('denied-200');
is "$res->{status} $res->{body}", "200 own page\n", 'error_page 403 =200: the page of the operator';

is ask('read-only')->{status}, 200, 'limit_except: what is allowed is served';
told(ask('read-only', method => 'PATCH', json => {}), 403, 'forbidden', 'limit_except');
told(ask('gone'), 410, 'nginx-refused', 'return 410');
is ask('teapot')->{status}, 200, 'an if that does not match';
told($gw->get('/v1/integrations/teapot?tea=1', token => $token), 418, 'nginx-refused', 'return 418 in an if');
told(ask('maintenance'), 503, 'unavailable', 'return 503');
told(ask('broken'), 500, 'nginx-failed', 'return 500');

my $served = 4;    # asked-204, denied-else, read-only, teapot
is scalar($gw->upstream->requests), $served, 'what nginx refused was not sent';
is $before - left(ask('asked-204')), $served, 'and cost the tenant nothing';

subtest 'logs' => sub {
    my %access = map { my $e = decode_json($_); ($e->{requestId} => $e->{decision}) } split /\n/, $gw->access_log;
    is $access{$_}, $seen{$_}, "the access log says $seen{$_}" for sort keys %seen;
    is_deeply [ grep { /\[(?:error|crit)\]/ && !/auth request unexpected status/ } split /\n/, $gw->error_log ], [],
        'no line at level error, but for the server that auth_request asks';
    like $gw->error_log, qr/\[info\] .*limiting requests, excess/, 'limit_req at level info';
    like $gw->error_log, qr/\[info\] .*limiting connections by zone/, 'limit_conn at level info';
};

$gw->finish;
done_testing;
