#!/usr/bin/perl

# Requests of an attacker, byte by byte, with an upstream that records each byte.  A
# table says what is sent and which status is expected; each upstream request keeps
# the rules of Gateway::Invariants, and there is one for each answer from there.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw(time);

use Gateway;
use Gateway::Invariants;

my $upstream = Gateway::Upstream->start;
my $other = Gateway::Upstream->start;      # where nothing may ever arrive
my $gw = Gateway->start(
    upstream => $upstream->url,
    location => 'ampersand_cache_ttl default 0s;',
);

my %tenant = (
    A => { project => 'proj-A-1', name => 'alpha', key => 'key-of-acme-5c1f' },
    B => { project => 'proj-B-2', name => 'bravo', key => 'key-of-beta-9e7d' },
    G => { project => 'proj-A-1', name => 'alpha', key => 'key-of-bound-33aa',
           args => ['--group', 'g-1', '--group', 'g-2'] },
);
my %id = (A => 'acme', B => 'beta', G => 'bound');
$tenant{$_}{token} = $gw->tenant($id{$_}, %{ $tenant{$_} }) for sort keys %tenant;
my ($A, $B, $G) = map { $tenant{$_}{token} } qw(A B G);

my $rules = Gateway::Invariants->new(
    tokens => [ map { $_->{token} } values %tenant ],
    keys   => [ map { $_->{key} } values %tenant ],
);

my $other_port = $other->port;


# Requests are written with these.  A line of headers each; the credential and
# the end of the connection are there unless the name says otherwise.

sub bare { my ($line, @h) = @_; return join "\r\n", $line, @h, '', '' }

sub req {
    my ($line, @h) = @_;
    return bare("$line HTTP/1.1", 'Host: gateway.test', 'Connection: close', "X-Api-Key: $A", @h);
}

sub get { my ($target, @h) = @_; return req("GET $target", @h) }

sub anon { my ($target, @h) = @_; return bare("GET $target HTTP/1.1", 'Host: gateway.test', 'Connection: close', @h) }

sub post {
    my ($target, $body, @h) = @_;
    return req("POST $target", 'Content-Length: ' . length $body,
        (grep { /^content-type/i } @h) ? () : 'Content-Type: application/json', @h) . $body;
}

sub connect_ { my ($body, @h) = @_; return post('/v1/oauth-connect', $body, @h) }

sub chunked {
    my ($target, $body, @h) = @_;
    return req("POST $target", 'Transfer-Encoding: chunked', 'Content-Type: application/json', @h) . $body;
}

sub chunk { return sprintf "%x\r\n%s\r\n", length $_[0], $_[0] }

sub bound { my ($bytes) = @_; $bytes =~ s/\Q$A\E/$G/; return $bytes }

my $ok = '{"projectIdOrName":"-","provider":"x"}';
my $up = "\xef\xbb\xbf";


my @table = (

    [ 'Paths: dot segments, slashes, bytes' ],

    [ 'dot segment to another project', 400, get('/v1/projects/proj-A-1/../proj-B-2/integrations') ],
    [ 'dot segment at the end', 400, get('/v1/integrations/..') ],
    [ 'single dot', 400, get('/v1/./integrations') ],
    [ 'single dot at the end', 400, get('/v1/integrations/.') ],
    [ 'dot segments out of the root', 400, get('/v1/../../etc/passwd') ],
    [ 'dot segments out of the API', 404, get('/v1/../etc/passwd') ],
    [ 'dot segments into the API', 400, get('/x/../v1/integrations') ],
    [ '%2e%2e', 400, get('/v1/projects/proj-A-1/%2e%2e/proj-B-2/integrations') ],
    [ '%2E%2e', 400, get('/v1/projects/proj-A-1/%2E%2e/proj-B-2') ],
    [ '.%2e', 400, get('/v1/projects/proj-A-1/.%2e/proj-B-2') ],
    [ '%2e.', 400, get('/v1/projects/proj-A-1/%2e./proj-B-2') ],
    [ '%2e alone', 400, get('/v1/%2e/integrations') ],
    [ '..;', 400, get('/v1/projects/proj-A-1/..;/proj-B-2/integrations') ],
    [ '..;x=y', 400, get('/v1/integrations/..;x=y/installations') ],
    [ '%2e%2e;', 400, get('/v1/integrations/%2e%2e;/installations') ],
    [ '..%3b', 400, get('/v1/integrations/..%3b/installations') ],
    [ '.;', 400, get('/v1/integrations/.;/installations') ],
    [ '..%2f', 400, get('/v1/projects/proj-A-1/..%2fproj-B-2/integrations') ],
    [ '..%2F in a value', 400, get('/v1/integrations/i/..%2F..%2Fproj-B-2%2Fintegrations') ],
    [ 'encoded slash', 400, get('/v1/integrations/a%2fb') ],
    [ 'encoded slash in the prefix', 400, get('/v1%2fintegrations') ],
    [ 'encoded slash, both', '400|404', get('%2fv1%2fintegrations') ],
    [ 'double encoded dots', 400, get('/v1/projects/proj-A-1/%252e%252e/proj-B-2') ],
    [ 'double encoded slash', 400, get('/v1/integrations/a%252fb') ],
    [ 'double encoded in pieces', 400, get('/v1/integrations/%25%32%65') ],
    [ 'triple encoded dots', 400, get('/v1/integrations/%25252e%25252e') ],
    [ 'triple encoded slash', 400, get('/v1/integrations/a%25252fb') ],
    [ 'backslash', 400, get('/v1/integrations/..\\..\\proj-B-2') ],
    [ 'encoded backslash', 400, get('/v1/integrations/..%5c..%5cproj-B-2') ],
    [ 'encoded backslash, upper', 400, get('/v1/integrations/a%5Cb') ],
    [ 'backslash for slash', 400, get('/v1\\integrations') ],
    [ 'encoded NUL', 400, get('/v1/integrations/a%00') ],
    [ 'encoded NUL inside', 400, get('/v1/integrations%00/x') ],
    [ 'raw NUL', 400, get("/v1/integrations/a\0b") ],
    [ 'encoded CR LF', 400, get('/v1/integrations/a%0d%0aX-Api-Key:%20x') ],
    [ 'encoded LF', 400, get('/v1/integrations/a%0ab') ],
    [ 'encoded TAB', 400, get('/v1/integrations/a%09b') ],
    [ 'encoded DEL', 400, get('/v1/integrations/a%7fb') ],
    [ 'encoded ESC', 400, get('/v1/integrations/%1b%5b31m') ],
    [ 'raw TAB', 400, get("/v1/integrations/a\tb") ],
    [ 'raw ESC', 400, get("/v1/integrations/\x1b") ],
    [ 'raw DEL', 400, get("/v1/integrations/\x7f") ],
    [ 'raw UTF-8', 400, get("/v1/integrations/\xc3\xa9") ],
    [ 'raw high byte', 400, get("/v1/integrations/\xff") ],
    [ 'raw space', 400, get('/v1/integrations/a b') ],
    [ 'overlong slash, two bytes', 400, get('/v1/integrations/..%c0%af..%c0%afproj-B-2') ],
    [ 'overlong slash, three bytes', 400, get('/v1/integrations/..%e0%80%afx') ],
    [ 'overlong slash, four bytes', 400, get('/v1/integrations/..%f0%80%80%afx') ],
    [ 'overlong dots', 400, get('/v1/integrations/%c0%ae%c0%ae') ],
    [ 'overlong NUL', 400, get('/v1/integrations/%c0%80') ],
    [ 'full-width slash stays one value', 200, get('/v1/integrations/..%ef%bc%8fx') ],
    [ 'bad escape', 400, get('/v1/integrations/%zz') ],
    [ 'cut escape', 400, get('/v1/integrations/%4') ],
    [ 'lone percent', 400, get('/v1/integrations/%') ],
    [ 'IIS escape', 400, get('/v1/integrations/%u002e%u002e') ],
    [ 'empty segment at the front', 400, get('//v1/integrations') ],
    [ 'empty segment inside', 400, get('/v1//integrations') ],
    [ 'empty project', 400, get('/v1/projects//integrations') ],
    [ 'host in an empty segment', 404, get("//127.0.0.1:$other_port/v1/integrations") ],
    [ 'trailing slash', 404, get('/v1/integrations/') ],
    [ 'fragment', 400, get('/v1/integrations#/../x') ],
    [ 'fragment, encoded, is part of the value', 200, get('/v1/integrations/a%23b') ],
    [ 'question mark, encoded, is part of the value', 200, get('/v1/integrations/a%3fapiKey=x') ],
    [ 'quote and angle brackets', 200, get('/v1/integrations/"><x') ],
    [ 'brace', 200, get('/v1/integrations/{x}') ],
    [ 'location prefix glued on', 404, get('/v1evil/integrations') ],
    [ 'upper-case prefix', 404, get('/V1/integrations') ],
    [ 'upper-case literal', 404, get('/v1/Integrations') ],
    [ 'encoded prefix is the prefix', 200, get('/%76%31/%69ntegrations') ],
    [ 'another API in front', 404, get('/read/v1/integrations') ],
    [ 'no API', 404, get('/v2/integrations') ],
    [ 'a path of 5000 bytes', 400, get('/v1/integrations/' . 'a' x 5000) ],
    [ 'a path of 20000 bytes', 414, get('/v1/integrations/' . 'a' x 20000) ],
    [ 'two hundred segments', 404, get('/v1' . '/a' x 200) ],

    [ 'Paths: colon verbs' ],

    [ 'verb, encoded', 400, req('POST /read/v1/integrations/i/installations/n%3Apause', 'Content-Length: 0') ],
    [ 'verb, encoded in lower case', 400, req('POST /read/v1/integrations/i/installations/n%3apause', 'Content-Length: 0') ],
    [ 'verb, partly encoded', 200, req('POST /read/v1/integrations/i/installations/n:%70ause', 'Content-Length: 0') ],
    [ 'verb twice', 404, req('POST /read/v1/integrations/i/installations/n:pause:pause', 'Content-Length: 0') ],
    [ 'two verbs', 404, req('POST /read/v1/integrations/i/installations/n:pause:unpause', 'Content-Length: 0') ],
    [ 'verb behind an encoded one', 400, req('POST /read/v1/integrations/i/installations/n%3Apause:pause', 'Content-Length: 0') ],
    [ 'verb without a value', 404, req('POST /read/v1/integrations/i/installations/:pause', 'Content-Length: 0') ],
    [ 'dots before a verb', 400, req('POST /read/v1/integrations/i/installations/..:pause', 'Content-Length: 0') ],
    [ 'unknown verb', 404, req('POST /read/v1/integrations/i/installations/n:delete', 'Content-Length: 0') ],
    [ 'verb in another case', 404, req('POST /read/v1/integrations/i/installations/n:Pause', 'Content-Length: 0') ],
    [ 'verb and a slash', 404, req('POST /read/v1/integrations/i/installations/n:pause/', 'Content-Length: 0') ],
    [ 'verb of another API', 404, req('POST /v1/integrations/i/installations/n:pause', 'Content-Length: 0') ],

    [ 'Another project in the path' ],

    [ 'by id', 403, get('/v1/projects/proj-B-2/integrations') ],
    [ 'by name', 403, get('/v1/projects/bravo/integrations') ],
    [ 'the project itself', 403, get('/v1/projects/proj-B-2') ],
    [ 'own id in lower case', 403, get('/v1/projects/proj-a-1/integrations') ],
    [ 'own name in another case', 200, get('/v1/projects/ALPHA/integrations') ],
    [ 'own id, encoded', 200, get('/v1/projects/%70roj-A-1/integrations') ],
    [ 'another id, encoded', 403, get('/v1/projects/%70roj-B-2/integrations') ],
    [ 'own id and a space', 403, get('/v1/projects/proj-A-1%20/integrations') ],
    [ 'own id and a comma', 403, get('/v1/projects/proj-A-1,proj-B-2/integrations') ],
    [ 'own id and a semicolon', 403, get('/v1/projects/proj-A-1;proj-B-2/integrations') ],
    [ 'own id and a colon', 404, get('/v1/projects/proj-A-1:x/integrations') ],
    [ 'two dashes', 403, get('/v1/projects/--/integrations') ],
    [ 'star', 403, get('/v1/projects/*/integrations') ],
    [ 'both, one after the other', 404, get('/v1/projects/proj-A-1/projects/proj-B-2/integrations') ],
    [ 'in the API read', 403, post('/read/v1/projects/proj-B-2/integrations/i/objects/o', '{"groupRef":"g","mode":"async"}') ],
    [ 'in the API write', 403, post('/write/v1/projects/proj-B-2/integrations/i/objects/o', '{"groupRef":"g","type":"create"}') ],
    [ 'in the API search', 403, post('/search/v1/projects/proj-B-2/integrations/i?groupRef=g', '{"objectName":"o"}') ],
    [ 'delete', 403, req('DELETE /v1/projects/proj-B-2/integrations/i') ],
    [ 'a list of all projects is the own one', 200, get('/v1/projects') ],
    [ 'a list of all projects, with a filter', 200, get('/v1/projects?orgId=o&projectId=proj-B-2') ],
    [ 'a new project', 403, post('/v1/projects', '{"appName":"a","name":"n","orgId":"o"}') ],
    [ 'an organisation', 403, get('/v1/orgs/o') ],
    [ 'the key\'s owner', 403, get('/v1/my-info') ],
    [ 'billing', 403, get('/v1/orgs/o/billingAccount') ],
    [ 'secrets', 403, get('/v1/api-keys') ],
    [ 'secrets, one', 403, get('/v1/api-keys/k') ],

    [ 'Request targets and Host' ],

    [ 'absolute form, another host', 200, get("http://127.0.0.1:$other_port/v1/integrations") ],
    [ 'absolute form, https', 200, get("https://127.0.0.1:$other_port/v1/integrations") ],
    [ 'absolute form, another project', 403, get("http://127.0.0.1:$other_port/v1/projects/proj-B-2/integrations") ],
    [ 'absolute form, dot segments', 400, get("http://127.0.0.1:$other_port/v1/integrations/%2e%2e") ],
    [ 'absolute form, userinfo', 400, get("http://x:y\@127.0.0.1:$other_port/v1/integrations") ],
    [ 'absolute form, backslash', 400, get("http:\\\\127.0.0.1:$other_port/v1/integrations") ],
    [ 'absolute form, no path', 404, get("http://127.0.0.1:$other_port") ],
    [ 'absolute form, query only', 404, get("http://127.0.0.1:$other_port?/v1/integrations") ],
    [ 'absolute form, unknown scheme', '200', get("gopher://127.0.0.1:$other_port/v1/integrations") ],
    [ 'authority form', 400, get("127.0.0.1:$other_port") ],
    [ 'asterisk form', 400, req('OPTIONS *') ],
    [ 'no slash', 400, get('v1/integrations') ],
    [ 'an @ in the path', 404, get("/\@127.0.0.1:$other_port/v1/integrations") ],
    [ 'two Hosts', 400, get('/v1/integrations', 'Host: evil.test') ],
    [ 'two equal Hosts', 400, get('/v1/integrations', 'Host: gateway.test') ],
    [ 'no Host', 400, bare('GET /v1/integrations HTTP/1.1', "X-Api-Key: $A", 'Connection: close') ],
    [ 'empty Host', 400, bare('GET /v1/integrations HTTP/1.1', 'Host:', "X-Api-Key: $A", 'Connection: close') ],
    [ 'Host with a path', 400, bare('GET /v1/integrations HTTP/1.1', 'Host: evil.test/x', "X-Api-Key: $A", 'Connection: close') ],
    [ 'Host with userinfo', '200|400', bare('GET /v1/integrations HTTP/1.1', 'Host: x@evil.test', "X-Api-Key: $A", 'Connection: close') ],
    [ 'Host with a port', 200, bare('GET /v1/integrations HTTP/1.1', "Host: 127.0.0.1:$other_port", "X-Api-Key: $A", 'Connection: close') ],
    [ 'Host of the upstream block', 200, bare('GET /v1/integrations HTTP/1.1', 'Host: ampersand', "X-Api-Key: $A", 'Connection: close') ],
    [ 'Host of another API', 200, bare('GET /v1/integrations HTTP/1.1', 'Host: proxy.withampersand.com', "X-Api-Key: $A", 'Connection: close') ],
    [ 'Host with a NUL', 400, bare('GET /v1/integrations HTTP/1.1', "Host: gate\0way", "X-Api-Key: $A", 'Connection: close') ],
    [ 'Host and the upstream\'s in X-Forwarded-Host', 200, get('/v1/integrations', 'X-Forwarded-Host: evil.test', 'X-Host: evil.test', 'X-Original-URL: /v1/projects/proj-B-2') ],
    [ 'HTTP/0.9', '', "GET /v1/integrations\r\n" ],
    [ 'HTTP/1.0', 200, bare('GET /v1/integrations HTTP/1.0', "X-Api-Key: $A") ],
    [ 'HTTP/1.0 without a token', 401, bare('GET /v1/integrations HTTP/1.0') ],
    [ 'HTTP/2.0 in the line', 400, bare('GET /v1/integrations HTTP/2.0', "X-Api-Key: $A", 'Host: gateway.test') ],
    [ 'HTTP/9.9', 400, bare('GET /v1/integrations HTTP/9.9', "X-Api-Key: $A", 'Host: gateway.test') ],
    [ 'HTTP/1.1 twice', 400, bare('GET /v1/integrations HTTP/1.1 HTTP/1.1', "X-Api-Key: $A", 'Host: gateway.test') ],
    [ 'lower-case protocol', 400, bare('GET /v1/integrations http/1.1', "X-Api-Key: $A", 'Host: gateway.test') ],

    [ 'Methods' ],

    [ 'TRACE', 405, req('TRACE /v1/integrations') ],
    [ 'TRACE through the proxy API', 405, req('TRACE /proxy/x') ],
    [ 'CONNECT', '400|405', req("CONNECT 127.0.0.1:$other_port") ],
    [ 'CONNECT to a path', '400|405', req('CONNECT /v1/integrations') ],
    [ 'lower-case method', 400, req('get /v1/integrations') ],
    [ 'unknown method', 405, req('PROPFIND /v1/integrations') ],
    [ 'made-up method', 405, req('GETS /v1/integrations') ],
    [ 'OPTIONS', 405, req('OPTIONS /v1/integrations') ],
    [ 'a method with a slash', 400, req('GE/T /v1/integrations') ],
    [ 'X-HTTP-Method-Override', 200, get('/v1/integrations/i', 'X-HTTP-Method-Override: DELETE', 'X-HTTP-Method: DELETE', 'X-Method-Override: DELETE') ],
    [ 'X-HTTP-Method-Override, proxy API', 200, get('/proxy/x', 'X-HTTP-Method-Override: DELETE', 'X-HTTP-Method: DELETE', 'X-Method-Override: DELETE') ],
    [ '_method', 200, get('/v1/integrations/i?_method=DELETE') ],

    [ 'Credentials' ],

    [ 'none', 401, anon('/v1/integrations') ],
    [ 'empty', 401, anon('/v1/integrations', 'X-Api-Key:') ],
    [ 'X-Api-Key twice', 401, get('/v1/integrations', "X-Api-Key: $B") ],
    [ 'X-Api-Key twice, equal', 401, get('/v1/integrations', "X-Api-Key: $A") ],
    [ 'X-Api-Key twice, one empty', 401, get('/v1/integrations', 'X-Api-Key:') ],
    [ 'X-Api-Key twice in other cases', 401, get('/v1/integrations', "x-API-key: $B") ],
    [ 'Authorization', 200, anon('/v1/integrations', "Authorization: Bearer $A") ],
    [ 'Authorization twice', 401, anon('/v1/integrations', "Authorization: Bearer $A", "Authorization: Bearer $B") ],
    [ 'Authorization twice, equal', 401, anon('/v1/integrations', ("Authorization: Bearer $A") x 2) ],
    [ 'both, different', 401, get('/v1/integrations', "Authorization: Bearer $B") ],
    [ 'both, equal', 200, get('/v1/integrations', "Authorization: Bearer $A") ],
    [ 'both, one Basic', 401, get('/v1/integrations', 'Authorization: Basic eDp5') ],
    [ 'both, one malformed', 401, get('/v1/integrations', 'Authorization: Bearer x') ],
    [ 'Basic', 401, anon('/v1/integrations', 'Authorization: Basic eDp5') ],
    [ 'Bearer without a token', 401, anon('/v1/integrations', 'Authorization: Bearer') ],
    [ 'Bearer, two spaces', 401, anon('/v1/integrations', "Authorization: Bearer  $A") ],
    [ 'bearer in lower case', 200, anon('/v1/integrations', "authorization: bearer $A") ],
    [ 'two tokens in one header', 401, anon('/v1/integrations', "X-Api-Key: $A, $B") ],
    [ 'two tokens, Bearer', 401, anon('/v1/integrations', "Authorization: Bearer $A $B") ],
    [ 'wrong checksum', 401, anon('/v1/integrations', 'X-Api-Key: ' . substr($A, 0, -1) . (substr($A, -1) eq 'a' ? 'b' : 'a')) ],
    [ 'wrong prefix', 401, anon('/v1/integrations', 'X-Api-Key: AGW_' . substr($A, 4)) ],
    [ 'too short', 401, anon('/v1/integrations', 'X-Api-Key: ' . substr($A, 0, -1)) ],
    [ 'too long', 401, anon('/v1/integrations', "X-Api-Key: ${A}a") ],
    [ 'upper case', 401, anon('/v1/integrations', 'X-Api-Key: ' . uc $A) ],
    [ 'lower case', 401, anon('/v1/integrations', 'X-Api-Key: ' . (lc $A eq $A ? uc $A : lc $A)) ],
    [ 'a letter of another alphabet', 401, anon('/v1/integrations', 'X-Api-Key: ' . substr($A, 0, 20) . "\xd0\xb0" . substr($A, 22)) ],
    [ 'a control byte', '400|401', anon('/v1/integrations', "X-Api-Key: $A\x01") ],
    [ 'a tab', 401, anon('/v1/integrations', "X-Api-Key:\t$A") ],
    [ 'in quotes', 401, anon('/v1/integrations', "X-Api-Key: \"$A\"") ],
    [ 'an Ampersand key', 401, anon('/v1/integrations', "X-Api-Key: $tenant{A}{key}") ],
    [ 'eight thousand bytes', 401, anon('/v1/integrations', 'X-Api-Key: agw_' . 'a' x 7000) ],
    [ 'underscores', 401, anon('/v1/integrations', "X_Api_Key: $A") ],
    [ 'underscores beside the real one', 200, get('/v1/integrations', "X_Api_Key: $B", 'X_Amp_Project_Id: proj-B-2') ],
    [ 'in the query', 401, anon("/v1/integrations?x-api-key=$A") ],
    [ 'in the query, as access_token', 401, anon("/v1/integrations?access_token=$A") ],
    [ 'in a cookie', 401, anon('/v1/integrations', "Cookie: X-Api-Key=$A") ],
    [ 'in Proxy-Authorization', 401, anon('/v1/integrations', "Proxy-Authorization: Bearer $A") ],
    [ 'in the userinfo', 400, anon("http://$A\@gateway.test/v1/integrations") ],
    [ 'in X-Request-Id too', 200, get('/v1/integrations', "X-Request-Id: $A") ],
    [ 'cookies and forwarding headers beside', 200, get('/v1/integrations', 'Cookie: a=b', 'X-Forwarded-For: 1.2.3.4', 'X-Forwarded: 1', 'Forwarded: for=1.2.3.4', 'Via: 1.1 x', 'X-Real-IP: 1.2.3.4', 'X-Client-Ip: 1', 'True-Client-Ip: 1') ],
    [ 'the same, proxy API', 200, get('/proxy/x', 'Cookie: a=b', 'X-Forwarded-For: 1.2.3.4', 'X-Forwarded: 1', 'Forwarded: for=1.2.3.4', 'Via: 1.1 x', 'X-Real-IP: 1.2.3.4', 'X-Client-Ip: 1', 'True-Client-Ip: 1', 'X-Accel-Redirect: /x', 'X-Gateway-Source: x') ],

    [ 'Queries' ],

    [ 'apiKey', 400, get('/v1/integrations?apiKey=x') ],
    [ 'apikey', 400, get('/v1/integrations?apikey=x') ],
    [ 'APIKEY', 400, get('/v1/integrations?APIKEY=x') ],
    [ 'apiKey, encoded', 400, get('/v1/integrations?%61%70%69%4b%65%79=x') ],
    [ 'apiKey, encoded twice', 400, get('/v1/integrations?%2561piKey=x') ],
    [ 'apiKey, encoded three times', 400, get('/v1/integrations?a%252570iKey=x') ],
    [ 'apiKey without a value', 400, get('/v1/integrations?apiKey') ],
    [ 'apiKey with an empty value', 400, get('/v1/integrations?apiKey=') ],
    [ 'apiKey last', 400, get('/v1/integrations?a=b&c=d&apiKey=x') ],
    [ 'apiKey among empty pieces', 400, get('/v1/integrations?&&&apiKey=x&&') ],
    [ 'apiKey, proxy API', 400, get('/proxy/x?apiKey=x') ],
    [ 'apiKey, proxy API, encoded', 400, get('/proxy/x?api%4Bey=x') ],
    [ 'apiKey, proxy API, encoded twice', 400, get('/proxy/x?api%254Bey=x') ],
    [ 'apiKey, proxy API, behind a semicolon', 400, get('/proxy/x?a=b;apiKey=x') ],
    [ 'apiKey, proxy API, before a semicolon', 400, get('/proxy/x?apiKey=x;a=b') ],
    [ 'apiKey, proxy API, semicolon and no value', 400, get('/proxy/x?a;apiKey') ],
    [ 'apiKey behind a semicolon is a value', 200, get('/v1/integrations?a=b;apiKey=x') ],
    [ 'apiKey in a value', 200, get('/v1/integrations?a=apiKey%3Dx') ],
    [ 'apiKey behind an encoded ampersand', 200, get('/v1/integrations?a=b%26apiKey=x') ],
    [ 'includeCreds', 403, get('/v1/connections/c?includeCreds=true') ],
    [ 'includeCreds, encoded', 403, get('/v1/connections/c?include%43reds=true') ],
    [ 'includeCreds in another case', 400, get('/v1/connections/c?includecreds=true') ],
    [ 'INCLUDECREDS', 400, get('/v1/connections/c?INCLUDECREDS=1') ],
    [ 'includeCreds without a value', 403, get('/v1/connections/c?includeCreds') ],
    [ 'includeCreds=False', 403, get('/v1/connections/c?includeCreds=False') ],
    [ 'includeCreds=false', 200, get('/v1/connections/c?includeCreds=false') ],
    [ 'includeCreds twice', 400, get('/v1/connections/c?includeCreds=false&includeCreds=true') ],
    [ 'includeRefreshToken', 403, get('/v1/connections/c?includeRefreshToken=1') ],
    [ 'includeSecrets', 403, get('/v1/destinations/d?includeSecrets=true') ],
    [ 'groupRef twice', 400, get('/v1/installations?groupRef=a&groupRef=b') ],
    [ 'groupRef twice, one encoded', 400, get('/v1/installations?groupRef=a&group%52ef=b') ],
    [ 'groupRef in two cases', 400, get('/v1/installations?groupRef=a&groupref=b') ],
    [ 'semicolons', 200, get('/v1/installations?groupRef=a;groupRef=b') ],
    [ 'NUL', 400, get('/v1/integrations?a=%00') ],
    [ 'CR LF', 400, get('/v1/integrations?a=%0d%0aX:y') ],
    [ 'raw control byte', 400, get("/v1/integrations?a=\x01") ],
    [ 'CR LF, proxy API', 400, get('/proxy/x?a=%0d%0aX:y') ],
    [ 'bad escape', 400, get('/v1/integrations?a=%g1') ],
    [ 'cut escape', 400, get('/v1/integrations?a=%4') ],
    [ 'raw high bytes', 200, get("/v1/integrations?a=\xff\xfe") ],
    [ 'a second question mark', 200, get('/v1/integrations?a=b?c=d') ],
    [ 'projectIdOrName in the query', 200, get('/v1/integrations?projectIdOrName=proj-B-2') ],
    [ 'sixty-five parameters', 400, get('/v1/integrations?' . join '&', map { "p$_=1" } 1 .. 65) ],
    [ 'brackets', 200, get('/v1/connections/c?includeCreds[]=true') ],

    [ 'x-amp-* headers' ],

    [ 'another project', 403, get('/v1/integrations', 'x-amp-project-id: proj-B-2') ],
    [ 'another project by name', 403, get('/v1/integrations', 'X-Amp-Project-Id: bravo') ],
    [ 'another project, proxy API', 403, get('/proxy/x', 'x-amp-project-id: proj-B-2') ],
    [ 'the own one', 200, get('/proxy/x', 'x-amp-project-id: proj-A-1') ],
    [ 'the own one by name', 200, get('/proxy/x', 'x-amp-project-id: Alpha') ],
    [ 'the own one by -', 200, get('/proxy/x', 'x-amp-project-id: -') ],
    [ 'twice', 400, get('/proxy/x', 'x-amp-project-id: proj-A-1', 'X-AMP-PROJECT-ID: proj-B-2') ],
    [ 'twice, equal', 400, get('/proxy/x', 'x-amp-project-id: proj-A-1', 'x-amp-project-id: proj-A-1') ],
    [ 'empty', 400, get('/proxy/x', 'x-amp-project-id:') ],
    [ 'spaces around', 200, get('/proxy/x', 'x-amp-project-id:   proj-A-1   ') ],
    [ 'spaces inside', 403, get('/proxy/x', 'x-amp-project-id: proj-A-1 proj-B-2') ],
    [ 'a list', 403, get('/proxy/x', 'x-amp-project-id: proj-A-1, proj-B-2') ],
    [ 'a tab', 403, get('/proxy/x', "x-amp-project-id:\tproj-A-1") ],
    [ 'encoded', 403, get('/proxy/x', 'x-amp-project-id: %70roj-A-1') ],
    [ 'underscores, proxy API', 200, get('/proxy/x', 'x_amp_project_id: proj-B-2') ],
    [ 'undeclared ones', 200, get('/proxy/x', 'x-amp-admin: 1', 'x-amp-org-id: o', 'x-amp-: x') ],
    [ 'undeclared ones, platform', 200, get('/v1/integrations', 'x-amp-admin: 1', 'x-amp-group-ref: g', 'x-amp-request-type: x') ],
    [ 'a declared one twice', 400, get('/proxy/x', 'x-amp-group-ref: a', 'x-amp-group-ref: b') ],
    [ 'another version twice', 400, get('/proxy/x', 'x-amp-proxy-version: 1', 'x-amp-proxy-version: 2') ],
    [ 'a control byte in a value', 400, get('/proxy/x', "x-amp-group-ref: a\x01b") ],

    [ 'Header lines' ],

    [ 'CR in a value', 400, get('/proxy/x', "X-Y: a\rX-Api-Key: b") ],
    [ 'NUL in a value', 400, get('/proxy/x', "X-Y: a\0b") ],
    [ 'LF alone ends a line: a second key', 401, get('/proxy/x', "X-Y: a\nX-Api-Key: b") ],
    [ 'obs-fold', '200|400', get('/proxy/x', "X-Y: a\r\n X-Api-Key: b") ],
    [ 'obs-fold of the key', '400|401', anon('/proxy/x', "X-Api-Key: $A\r\n b") ],
    [ 'a space before the colon', 400, get('/proxy/x', "X-Amp-Project-Id : proj-B-2") ],
    [ 'a tab before the colon', 400, get('/proxy/x', "X-Amp-Project-Id\t: proj-B-2") ],
    [ 'a space before the name', '200|400', get('/proxy/x', ' X-Amp-Project-Id: proj-B-2') ],
    [ 'no colon', '200|400', get('/proxy/x', 'X-Amp-Project-Id') ],
    [ 'no name', '200|400', get('/proxy/x', ': x') ],
    [ 'a high byte in a name', '200|400', get('/proxy/x', "X-\xffY: z") ],
    [ 'BEL in a value', 400, get('/proxy/x', "X-Y: a\x07b") ],
    [ 'DEL in a value', 400, get('/v1/integrations', "User-Agent: a\x7fb") ],
    [ 'a header of 9000 bytes', 431, get('/proxy/x', 'X-Y: ' . 'a' x 9000) ],
    [ 'two hundred headers', 200, get('/proxy/x', map { "X-Y-$_: z" } 1 .. 200) ],

    [ 'Connection and friends' ],

    [ 'Connection: x-api-key', 200, bare('GET /proxy/x HTTP/1.1', 'Host: gateway.test', "X-Api-Key: $A", 'Connection: close, X-Api-Key, x-amp-project-id, Host') ],
    [ 'Connection: x-api-key, platform', 200, bare('GET /v1/integrations HTTP/1.1', 'Host: gateway.test', "X-Api-Key: $A", 'Connection: close, X-Api-Key, Host, Content-Length') ],
    [ 'Connection twice', 200, get('/proxy/x', 'Connection: X-Api-Key') ],
    [ 'Upgrade: websocket', 200, bare('GET /proxy/x HTTP/1.1', 'Host: gateway.test', "X-Api-Key: $A", 'Connection: upgrade, close', 'Upgrade: websocket', 'Sec-WebSocket-Key: eA==') ],
    [ 'Upgrade: h2c', 200, bare('GET /proxy/x HTTP/1.1', 'Host: gateway.test', "X-Api-Key: $A", 'Connection: Upgrade, HTTP2-Settings, close', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk') ],
    [ 'TE and Trailer', 200, get('/proxy/x', 'TE: trailers', 'Trailer: X-Api-Key', 'Keep-Alive: 5') ],
    [ 'Expect: 100-continue', 200, connect_($ok, 'Expect: 100-continue') ],
    [ 'Expect: something else', '200|417', get('/proxy/x', 'Expect: 200-ok') ],
    [ 'Proxy-Connection', 200, get('/proxy/x', 'Proxy-Connection: keep-alive', 'Proxy-Authorization: Basic x') ],
    [ 'Max-Forwards', 200, get('/v1/integrations', 'Max-Forwards: 0') ],
    [ 'Range and conditions', 200, get('/v1/integrations', 'Range: bytes=0-1', 'If-Range: x') ],
    [ 'If-Match, which no cached answer is held against', 200, get('/v1/integrations', 'If-Match: "x"', 'If-None-Match: *', 'If-Modified-Since: x') ],

    [ 'Message length' ],

    [ 'Content-Length and Transfer-Encoding', 400, post('/proxy/x', "0\r\n\r\n", 'Transfer-Encoding: chunked') ],
    [ 'Transfer-Encoding and Content-Length', 400, req('POST /proxy/x', 'Transfer-Encoding: chunked', 'Content-Length: 5') . "0\r\n\r\n" ],
    [ 'Content-Length twice', 400, post('/proxy/x', 'abc', 'Content-Length: 4') ],
    [ 'Content-Length twice, equal', 400, post('/proxy/x', 'abc', 'Content-Length: 3') ],
    [ 'Content-Length list', 400, req('POST /proxy/x', 'Content-Length: 3, 3') . 'abc' ],
    [ 'Content-Length with a sign', 400, req('POST /proxy/x', 'Content-Length: +3') . 'abc' ],
    [ 'Content-Length negative', 400, req('POST /proxy/x', 'Content-Length: -1') . 'abc' ],
    [ 'Content-Length hexadecimal', 400, req('POST /proxy/x', 'Content-Length: 0x3') . 'abc' ],
    [ 'Content-Length overflowing', 400, req('POST /proxy/x', 'Content-Length: 18446744073709551619') . 'abc' ],
    [ 'Content-Length empty', 400, req('POST /proxy/x', 'Content-Length:') . 'abc' ],
    [ 'Content-Length enormous', 413, req('POST /proxy/x', 'Content-Length: 9000000000000000000') . 'abc' ],
    [ 'Transfer-Encoding: identity', 400, req('POST /proxy/x', 'Transfer-Encoding: identity') . 'abc' ],
    [ 'Transfer-Encoding: gzip, chunked', 400, req('POST /proxy/x', 'Transfer-Encoding: gzip, chunked') . "0\r\n\r\n" ],
    [ 'Transfer-Encoding: xchunked', 400, req('POST /proxy/x', 'Transfer-Encoding: xchunked') . "0\r\n\r\n" ],
    [ 'Transfer-Encoding twice', 400, req('POST /proxy/x', 'Transfer-Encoding: chunked', 'Transfer-Encoding: chunked') . "0\r\n\r\n" ],
    [ 'Transfer-Encoding twice, different', 400, req('POST /proxy/x', 'Transfer-Encoding: chunked', 'Transfer-Encoding: identity') . "0\r\n\r\n" ],
    [ 'Transfer-Encoding with a vertical tab', 400, req('POST /proxy/x', "Transfer-Encoding: \x0bchunked") . "0\r\n\r\n" ],
    [ 'Transfer-Encoding in HTTP/1.0', 400, bare('POST /proxy/x HTTP/1.0', "X-Api-Key: $A", 'Transfer-Encoding: chunked') . "0\r\n\r\n" ],
    [ 'Transfer_Encoding', '200', req('POST /proxy/x', 'Content-Length: 5', 'Transfer_Encoding: chunked') . "0\r\n\r\n" ],
    [ 'chunk extensions', 200, chunked('/proxy/x', "3;a=b;c=\"d\"\r\nabc\r\n0;x\r\n\r\n") ],
    [ 'chunk size, bad', 400, chunked('/proxy/x', "zz\r\nabc\r\n0\r\n\r\n") ],
    [ 'chunk size, 0x', 400, chunked('/proxy/x', "0x3\r\nabc\r\n0\r\n\r\n") ],
    [ 'chunk size, negative', 400, chunked('/proxy/x', "-3\r\nabc\r\n0\r\n\r\n") ],
    [ 'chunk size, overflowing', 400, chunked('/proxy/x', "ffffffffffffffff1\r\nabc\r\n0\r\n\r\n") ],
    [ 'chunk shorter than its data', 400, chunked('/proxy/x', "2\r\nabc\r\n0\r\n\r\n") ],
    [ 'chunk bad in a request that is refused', 400, chunked('/v1/nothing', "zz\r\nabc\r\n0\r\n\r\n") ],
    [ 'trailer fields', 200, chunked('/proxy/x', chunk('abc') . "0\r\nX-Api-Key: $B\r\nX-Amp-Project-Id: proj-B-2\r\n\r\n") ],
    [ 'trailer fields, checked body', 200, chunked('/v1/oauth-connect', chunk($ok) . "0\r\nX-Api-Key: $B\r\n\r\n") ],
    [ 'a body on a GET', 200, get('/v1/integrations', 'Content-Length: 3') . 'abc' ],
    [ 'a request as a body', 200, post('/proxy/x', bare('GET /v1/projects/proj-B-2 HTTP/1.1', 'Host: x', '')) ],
    [ 'a request as a body of GET', 200, get('/v1/integrations', 'Content-Length: 20') . "GET /x HTTP/1.1\r\n\r\nX" ],

    [ 'Pipelines' ],

    [ 'another project second', '200,403',
      bare('GET /v1/integrations HTTP/1.1', 'Host: g', "X-Api-Key: $A") . get('/v1/projects/proj-B-2/integrations') ],
    [ 'another token second, first project', '200,403',
      bare('GET /v1/projects/proj-A-1 HTTP/1.1', 'Host: g', "X-Api-Key: $A")
      . bare('GET /v1/projects/proj-A-1 HTTP/1.1', 'Host: g', "X-Api-Key: $B", 'Connection: close') ],
    [ 'no token second', '200,401', bare('GET /v1/integrations HTTP/1.1', 'Host: g', "X-Api-Key: $A") . anon('/v1/integrations') ],
    [ 'refused first', '403,200', bare('GET /v1/projects/bravo HTTP/1.1', 'Host: g', "X-Api-Key: $A") . get('/v1/integrations') ],
    [ 'behind a checked body', '200,403',
      bare('POST /v1/oauth-connect HTTP/1.1', 'Host: g', "X-Api-Key: $A", 'Content-Length: ' . length $ok) . $ok
      . get('/v1/projects/proj-B-2/integrations') ],
    [ 'behind a refused body', '403,403',
      bare('POST /v1/projects/bravo/integrations HTTP/1.1', 'Host: g', "X-Api-Key: $A", 'Content-Length: 5') . 'abcde'
      . get('/v1/projects/proj-B-2/integrations') ],
    [ 'behind chunks', '200,403',
      bare('POST /proxy/x HTTP/1.1', 'Host: g', "X-Api-Key: $A", 'Transfer-Encoding: chunked') . chunk('abc') . "0\r\n\r\n"
      . get('/v1/projects/proj-B-2/integrations') ],
    [ 'behind a body that is too long by its head', '200,400',
      bare('POST /proxy/x HTTP/1.1', 'Host: g', "X-Api-Key: $A", 'Content-Length: 3') . "abcdef GET /x HTTP/1.1\r\n\r\n" ],

    [ 'Bodies: the project' ],

    [ 'the own one', 200, connect_('{"projectIdOrName":"proj-A-1"}') ],
    [ 'the own name', 200, connect_('{"projectIdOrName":"Alpha"}') ],
    [ 'none', 200, connect_('{}') ],
    [ 'another', 403, connect_('{"projectIdOrName":"proj-B-2"}') ],
    [ 'another by name', 403, connect_('{"projectIdOrName":"bravo"}') ],
    [ 'another as projectId', 403, connect_('{"projectId":"proj-B-2"}') ],
    [ 'another, custom auth', 403, post('/v1/custom-auth/connect', '{"projectIdOrName":"proj-B-2"}') ],
    [ 'twice', 400, connect_('{"projectIdOrName":"proj-A-1","projectIdOrName":"proj-B-2"}') ],
    [ 'twice, equal', 400, connect_('{"projectIdOrName":"-","projectIdOrName":"-"}') ],
    [ 'twice, one escaped', 400, connect_('{"projectIdOrName":"proj-A-1","\u0070rojectIdOrName":"proj-B-2"}') ],
    [ 'escaped name', 403, connect_('{"\u0070rojectIdOrName":"proj-B-2"}') ],
    [ 'escaped name, own project', 200, connect_('{"\u0070rojectI\u0064OrName":"proj-A-1"}') ],
    [ 'escaped value', 403, connect_('{"projectIdOrName":"\u0070roj-B-2"}') ],
    [ 'both spellings, disagreeing', 400, connect_('{"projectIdOrName":"proj-A-1","projectId":"proj-B-2"}') ],
    [ 'both spellings, agreeing', 200, connect_('{"projectIdOrName":"alpha","projectId":"proj-A-1"}') ],
    [ 'both spellings, another', 403, connect_('{"projectIdOrName":"proj-B-2","projectId":"proj-B-2"}') ],
    [ 'another case', 400, connect_('{"ProjectIdOrName":"proj-B-2"}') ],
    [ 'another case beside', 400, connect_('{"projectIdOrName":"-","PROJECTIDORNAME":"proj-B-2"}') ],
    [ 'another case of projectId', 400, connect_('{"projectID":"proj-B-2"}') ],
    [ 'nested ones do not count', 200, connect_('{"providerMetadata":{"projectIdOrName":"x"}}') ],
    [ 'an array', 400, connect_('{"projectIdOrName":["proj-A-1"]}') ],
    [ 'an object', 400, connect_('{"projectIdOrName":{"a":"proj-A-1"}}') ],
    [ 'a number', 400, connect_('{"projectIdOrName":1}') ],
    [ 'null', 400, connect_('{"projectIdOrName":null}') ],
    [ 'true', 400, connect_('{"projectIdOrName":true}') ],
    [ 'empty', 403, connect_('{"projectIdOrName":""}') ],
    [ 'NUL in the value', 403, connect_('{"projectIdOrName":"proj-A-1\u0000"}') ],
    [ 'NUL in the name', 400, connect_('{"projectIdOrName\u0000":"proj-B-2"}') ],
    [ 'a space in the value', 403, connect_('{"projectIdOrName":" proj-A-1"}') ],
    [ 'long s and Kelvin sign', 200, connect_("{\"project\xc5\xbfd\":\"proj-B-2\"}") ],
    [ 'array at the top', 400, connect_('[{"projectIdOrName":"proj-A-1"}]') ],
    [ 'a string at the top', 400, connect_('"proj-A-1"') ],
    [ 'null at the top', 400, connect_('null') ],
    [ 'two documents', 400, connect_('{"projectIdOrName":"-"}{"projectIdOrName":"proj-B-2"}') ],
    [ 'trailing garbage', 400, connect_('{"projectIdOrName":"-"}x') ],
    [ 'trailing NUL', 400, connect_("{\"projectIdOrName\":\"-\"}\0") ],
    [ 'leading garbage', 400, connect_('x{"projectIdOrName":"-"}') ],
    [ 'BOM', 400, connect_("$up\{\"projectIdOrName\":\"-\"}") ],
    [ 'UTF-16', 400, connect_("\xff\xfe" . join '', map { "$_\0" } split //, '{"projectIdOrName":"-"}') ],
    [ 'UTF-16 without BOM', 400, connect_(join '', map { "\0$_" } split //, '{"projectIdOrName":"-"}') ],
    [ 'bad UTF-8', 400, connect_("{\"a\":\"\xff\"}") ],
    [ 'overlong UTF-8', 400, connect_("{\"a\":\"\xc0\xaf\"}") ],
    [ 'lone surrogate', 400, connect_('{"a":"\ud800"}') ],
    [ 'comment', 400, connect_('{/*"projectIdOrName":"proj-A-1"*/"projectIdOrName":"proj-B-2"}') ],
    [ 'line comment', 400, connect_("{}//\n") ],
    [ 'NaN', 400, connect_('{"a":NaN}') ],
    [ 'Infinity', 400, connect_('{"a":-Infinity}') ],
    [ 'single quotes', 400, connect_("{'projectIdOrName':'-'}") ],
    [ 'trailing comma', 400, connect_('{"projectIdOrName":"-",}') ],
    [ 'leading zero', 400, connect_('{"a":01}') ],
    [ 'raw newline in a string', 400, connect_("{\"a\":\"\n\"}") ],
    [ 'cut', 400, connect_('{"projectIdOrName":"-"') ],
    [ 'empty', 400, connect_('') ],
    [ 'spaces only', 400, connect_('   ') ],
    [ 'no body at all', 400, req('POST /v1/oauth-connect') ],
    [ 'arrays a hundred thousand deep', 400, connect_('{"a":' . '[' x 100_000 . ']' x 100_000 . '}') ],
    [ 'objects a hundred thousand deep', 400, connect_('{"a":' x 100_000 . '1' . '}' x 100_000) ],
    [ 'duplicate deep inside', 400, connect_('{"a":{"b":1,"b":2}}') ],
    [ 'one byte above 1 MiB', 413, connect_('{"a":"' . 'x' x (1024 * 1024 - 7) . '"}') ],
    [ 'above 1 MiB, chunked', 413, chunked('/v1/oauth-connect', chunk('{"a":"' . 'x' x (1024 * 1024) . '"}') . "0\r\n\r\n") ],
    [ 'a million members', 413, connect_('{' . join(',', map { "\"k$_\":1" } 1 .. 120_000) . '}') ],
    [ 'gzip', 415, connect_("\x1f\x8b\x08\0", 'Content-Encoding: gzip') ],
    [ 'gzip of plain text', 415, connect_($ok, 'Content-Encoding: gzip') ],
    [ 'deflate in another case', 415, connect_($ok, 'content-ENCODING: DEFLATE') ],
    [ 'form', 400, connect_('projectIdOrName=proj-B-2', 'Content-Type: application/x-www-form-urlencoded') ],
    [ 'JSON with the type of a form', 200, connect_($ok, 'Content-Type: application/x-www-form-urlencoded') ],
    [ 'JSON with the charset UTF-7', 200, connect_($ok, 'Content-Type: application/json; charset=utf-7') ],
    [ 'two content types', 200, connect_($ok, 'Content-Type: text/plain', 'Content-Type: multipart/form-data; boundary=x') ],
    [ 'multipart', 400, connect_("--x\r\nContent-Disposition: form-data; name=\"projectIdOrName\"\r\n\r\nproj-B-2\r\n--x--\r\n", 'Content-Type: multipart/form-data; boundary=x') ],
    [ 'another in the query', 200, post('/v1/oauth-connect?projectIdOrName=proj-B-2', $ok) ],
    [ 'another in the header', 403, connect_($ok, 'X-Amp-Project-Id: proj-B-2') ],

    [ 'The proxy API' ],

    [ 'dot segments', 400, get('/proxy/a/../b') ],
    [ 'dot segments out', 400, get('/proxy/../v1/projects/proj-B-2') ],
    [ 'dot segments out, encoded', '400|404', get('/proxy/%2e%2e/v1/projects/proj-B-2') ],
    [ 'dot segments, half encoded', 400, get('/proxy/a/.%2E/b') ],
    [ 'dot segments behind an encoded slash', 400, get('/proxy/a%2f..%2fb') ],
    [ 'dot segments, double encoded', 400, get('/proxy/a/%252e%252e/b') ],
    [ 'dot segments, four times encoded', 400, get('/proxy/a/%2525252e%2525252e/b') ],
    [ 'six times encoded', 400, get('/proxy/a/%2525252525252e') ],
    [ '..;', 400, get('/proxy/a/..;/b') ],
    [ 'backslash', 400, get('/proxy/a\\b') ],
    [ 'backslash, encoded twice', 400, get('/proxy/a%255cb') ],
    [ 'NUL, encoded twice', 400, get('/proxy/a%2500') ],
    [ 'CR LF', 400, get('/proxy/a%0d%0aHost:%20x') ],
    [ 'CR LF, encoded twice', 400, get('/proxy/a%250d%250aHost:x') ],
    [ 'overlong', 400, get('/proxy/%c0%ae%c0%ae/b') ],
    [ 'an address as path', 200, get("/proxy/http://127.0.0.1:$other_port/x") ],
    [ 'an address behind an empty segment', 200, get("/proxy//127.0.0.1:$other_port/x") ],
    [ 'an @', 200, get("/proxy/\@127.0.0.1:$other_port/x") ],
    [ 'a colon and a port', 200, get("/proxy/:$other_port/x") ],
    [ 'a fragment', 400, get('/proxy/x#y') ],
    [ 'the prefix, encoded', 404, get('/proxy%2fx') ],
    [ 'without the slash', '301|404', get('/proxy') ],
    [ 'nothing behind the slash', 200, get('/proxy/') ],
    [ 'no project in a path', 200, get('/proxy/v1/projects/proj-B-2') ],

    [ 'A tenant that is bound to groups' ],

    [ 'its group', 200, bound(get('/v1/installations?groupRef=g-1')) ],
    [ 'another group', 403, bound(get('/v1/installations?groupRef=g-9')) ],
    [ 'no group', 403, bound(get('/v1/installations')) ],
    [ 'two groups', 400, bound(get('/v1/installations?groupRef=g-1&groupRef=g-9')) ],
    [ 'another case', 400, bound(get('/v1/installations?GroupRef=g-1')) ],
    [ 'a list', 403, bound(get('/v1/installations?groupRef=g-1,g-9')) ],
    [ 'an operation without a group', 403, bound(get('/v1/integrations')) ],
    [ 'proxy API, its group', 200, bound(get('/proxy/x', 'x-amp-group-ref: g-2')) ],
    [ 'proxy API, another', 403, bound(get('/proxy/x', 'x-amp-group-ref: g-9')) ],
    [ 'proxy API, none', 403, bound(get('/proxy/x')) ],
    [ 'proxy API, empty', 403, bound(get('/proxy/x', 'x-amp-group-ref:')) ],
    [ 'proxy API, by installation', 403, bound(get('/proxy/x', 'x-amp-group-ref: g-1', 'x-amp-installation-id: i')) ],
    [ 'proxy API, group named as hop-by-hop', 200, bound(bare('GET /proxy/x HTTP/1.1', 'Host: g', "X-Api-Key: $A", 'Connection: close, x-amp-group-ref', 'x-amp-group-ref: g-1')) ],
    [ 'a body with its group', 200, bound(post('/v1/groups', '{"groupRef":"g-1","groupName":"n"}')) ],
    [ 'a body with another', 403, bound(post('/v1/groups', '{"groupRef":"g-9","groupName":"n"}')) ],
    [ 'a body with none', 403, bound(post('/v1/groups', '{"groupName":"n"}')) ],
    [ 'a body with two', 400, bound(post('/v1/groups', '{"groupRef":"g-1","groupRef":"g-9"}')) ],
    [ 'a body with two, one escaped', 400, bound(post('/v1/groups', '{"groupRef":"g-1","group\u0052ef":"g-9"}')) ],
    [ 'a body with two cases', 400, bound(post('/v1/groups', '{"groupRef":"g-1","groupref":"g-9"}')) ],
    [ 'a body with an array', 400, bound(post('/v1/groups', '{"groupRef":["g-1"]}')) ],
    [ 'a body and a lying content type', 200, bound(post('/v1/groups', '{"groupRef":"g-1"}', 'Content-Type: text/plain')) ],
    [ 'a body, compressed', 415, bound(post('/v1/groups', '{"groupRef":"g-1"}', 'Content-Encoding: br')) ],
    [ 'the group in the query instead', 403, bound(post('/v1/groups?groupRef=g-1', '{"groupRef":"g-9"}')) ],
);


# Sends the bytes, reads as many answers as are expected, and any bytes after them.

sub answers {
    my ($bytes, $n) = @_;
    my $socket = $gw->connect or die "connect: $!";
    local $SIG{PIPE} = 'IGNORE';

    # an answer may come, and the connection end, before all of it is sent
    $socket->blocking(0);
    my ($done, $in) = (0, '');
    my $end = time + 10;
    while ($done < length $bytes && time < $end) {
        my $wrote = syswrite $socket, $bytes, length($bytes) - $done, $done;
        if (defined $wrote) {
            $done += $wrote;
            next;
        }
        last unless $!{EAGAIN};
        my ($r, $w) = IO::Select->select(IO::Select->new($socket), IO::Select->new($socket), undef, 5);
        last if $r && @$r && !sysread $socket, $in, 65536, length $in;
    }
    $socket->blocking(1);

    my @res = map { Gateway::read_response($socket, rest => \$in, timeout => 5) } 1 .. $n;
    while (IO::Select->new($socket)->can_read(0.03)) {
        last unless sysread $socket, $in, 65536, length $in;
    }
    return (\@res, $in);
}

sub tenant_of {
    my ($bytes) = @_;
    return map { my $t = $_; map { $t } grep { index($bytes, $_->{token}) >= 0 } $t }
        map { $tenant{$_} } qw(A B G);
}

# What a problem document must have besides its status.

sub problem_faults {
    my ($res) = @_;
    return () if ($res->{headers}{'x-gateway-source'} // '') eq 'upstream';
    return () if $res->{status} < 400;
    my @faults;
    push @faults, "a $res->{status} that is no problem document"
        if ($res->{headers}{'content-type'} // '') ne 'application/problem+json';
    push @faults, 'a 401 without WWW-Authenticate'
        if $res->{status} == 401 && !$res->{headers}{'www-authenticate'};
    push @faults, 'a token in the answer' if index($res->{head} . $res->{body}, 'agw_') >= 0
        && $res->{body} !~ /agw_\.\.\.|agw_ and/;
    return @faults;
}

my $n = grep { @$_ > 1 } @table;
cmp_ok $n, '>=', 150, "$n hostile requests";

my (@section, $name);
my $passed = 0;

sub section {
    my ($title, @rows) = @_;
    return unless @rows;
    subtest $title => sub {
        for my $row (@rows) {
            my ($what, $expected, $bytes) = @$row;
            my @expected = $expected eq '' ? ('0') : split /,/, $expected;
            my ($res, $rest) = answers($bytes, scalar @expected);
            my @status = map { $_->{status} // '-' } @$res;
            my @faults;

            for my $i (0 .. $#expected) {
                push @faults, "answer $i: $status[$i], not $expected[$i]"
                    unless $status[$i] =~ /^(?:$expected[$i])$/;
            }
            push @faults, "more: $rest" if $rest =~ /HTTP/;
            push @faults, map { problem_faults($_) } grep { $_->{status} } @$res;

            my @seen = $upstream->take;
            my $sent = grep { ($_->{headers}{'x-gateway-source'} // '') eq 'upstream' } @$res;
            push @faults, scalar(@seen) . " requests upstream for $sent answers from there"
                if @seen != $sent;

            # the tenant that asked: the first whose token is in the bytes
            my ($tenant) = sort { index($bytes, $a->{token}) <=> index($bytes, $b->{token}) }
                tenant_of($bytes);
            push @faults, map { $rules->faults($_, $tenant) } @seen;
            $passed += @seen;

            ok !@faults, "$what: $expected"
                or diag join "\n", "$title: $what", @faults, substr($bytes, 0, 400),
                    map { substr $_->{head}, 0, 600 } @seen;
        }
    };
}

for my $row (@table, [ '' ]) {
    if (@$row > 1) {
        push @section, $row;
        next;
    }
    section($name, splice @section) if defined $name;
    $name = $row->[0];
}

cmp_ok $passed, '>', 60, 'more than 60 of them went upstream and kept the rules';
is scalar($upstream->take), 0, 'nothing came upstream afterwards';
is $other->connections, 0, 'nothing went to another host';

like $gw->get('/v1/integrations', token => $A)->{body}, qr/ok/, 'the gateway still serves';

# nginx itself says at error level that a chunked body is malformed

is_deeply [ grep { /\[(?:error|crit)\]/ && !/client sent invalid chunked body/ } split /\n/, $gw->error_log ], [],
    'no client wrote to the error log at error level';
unlike $gw->error_log, qr/\Q$_->{key}\E/, 'no key in the error log' for values %tenant;
unlike $gw->access_log, qr/agw_/, 'no token in the access log';

$gw->finish;
$upstream->stop;
is_deeply [ $upstream->strays ], [], 'the upstream got no byte outside a request';

done_testing;
