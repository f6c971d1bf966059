#!/usr/bin/perl

# ampersand_identity by=fingerprint, by=subject and by=claim: what ampctl identity
# has given to a tenant names it, with real client certificates; no credential of
# a client can pass for an identity.

use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use FindBin;
use JSON::PP qw(decode_json encode_json);
use Test::More;
use Time::HiRes qw(time);

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Certificates;
use Gateway::Redis;
use Gateway::Redis::Cluster;

plan skip_all => 'no curl' if system('curl --version > /dev/null 2>&1') != 0;

my $certs = Gateway::Certificates->new;
my $pem = $certs->file('client.pem');
my ($print) = qx(openssl x509 -in $pem -noout -fingerprint -sha1) =~ /=(\S+)/;
my ($subject) = qx(openssl x509 -in $pem -noout -subject -nameopt RFC2253) =~ /^subject=\s*(.*)$/m;
my $hex = lc $print =~ s/://gr;

my $second = Gateway::Upstream->start;

sub start {
    my (@like) = @_;
    my ($by_print, $by_name) = map { Gateway::Redis::free_port() } 1 .. 2;
    my $server = sub {
        return "server { listen 127.0.0.1:$_[0] ssl; ssl_verify_client on; ampersand_identity $_[1];\n"
            . "location /v1 { ampersand platform; include PROXY; } }\n";
    };
    my $gw = Gateway->start(
        @like,
        http => "ssl_certificate @{[ $certs->file('server.pem') ]}; ssl_certificate_key @{[ $certs->file('server.key') ]};\n"
            . "ssl_client_certificate @{[ $certs->ca ]}; ampersand_cache_ttl default 0;\n"
            . 'upstream second { server 127.0.0.1:' . $second->port . "; }\n",
        server => "location = /x { return 204; }\n"
            . "location /claims { rewrite ^/claims(.*) \$1 break; ampersand platform; include PROXY; ampersand_identity \$http_x_sub by=claim:sub; }\n"
            . "location /moved { rewrite ^/moved(.*) \$1 break; ampersand platform; include PROXY; ampersand_identity \$http_x_sub by=claim:sub;\n"
            . "proxy_intercept_errors on; error_page 503 = \@tokens; }\n"
            . "location \@tokens { ampersand platform; ampersand_upstream http://second; include PROXY; }\n"
            . "location /byid { rewrite ^/byid(.*) \$1 break; ampersand platform; include PROXY; ampersand_identity \$http_x_sub by=id; }\n"
            . "}\n" . $server->($by_print, '$ssl_client_fingerprint by=fingerprint')
            . $server->($by_name, '$ssl_client_s_dn by=subject') . 'server { listen unix:' . $certs->file("$by_print.sock") . ';',
    );
    return ($gw, $by_print, $by_name);
}

my ($gw, $by_print, $by_name) = start();
my ($two, $print_two) = start(like => $gw);
$gw->tenant($_, project => "p-$_") for qw(acme beta);

sub curl {
    my ($port) = @_;
    my @with = ('--cert', $pem, '--key', $certs->file('client.key'));
    my $out = qx(curl -sk --max-time 60 @with -w '\n%{http_code}' https://127.0.0.1:$port/v1/integrations);
    my ($body, $status) = $out =~ /^(.*)\n(\d+)\z/s;
    return ($status, eval { decode_json($body) } || {});
}

sub upstream_key { return Gateway::Upstream::header(($gw->upstream->requests)[-1], 'x-api-key') }
sub claim { my ($value, $path) = @_; return $gw->get('/claims' . ($path // '/v1/topics'), headers => [ 'X-Sub' => $value ]) }

# Milliseconds until the code is true.

sub until_ms {
    my ($code) = @_;
    my $t = time;
    return $gw->wait_for($code) ? 1000 * (time - $t) : undef;
}

subtest 'a fingerprint' => sub {
    my ($status, $problem) = curl($by_print);
    is $status, 401, 'nobody has it';
    is $problem->{type}, 'urn:ampersand-gateway:problem:no-identity', 'the type';
    like $problem->{causes}[0], qr/No tenant has the identity "fingerprint:$hex"/, 'which one';
    like $problem->{remedy}, qr/ampctl identity add/, 'what to do';
    is +(curl($print_two))[0], 401, 'neither on the other gateway';

    my $added = decode_json $gw->ctl('identity', 'add', 'acme', "fingerprint:$print", '--json');
    is $added->{identity}, "fingerprint:$hex", 'added as openssl prints it, kept as nginx has it';
    for my $port ($by_print, $print_two) {
        my $ms = until_ms(sub { (curl($port))[0] == 200 });
        ok defined $ms, 'serves, though it was known to be none: each gateway hears of it';
        note "$ms ms, one curl is included";
    }
    is upstream_key(), 'key-of-acme', 'with the key of that tenant';
    ok $gw->wait_for(sub { $gw->access_log =~ /"tokenId":"\Q$added->{id}\E"/ }), 'the access log has its id';

    $gw->ctl('identity', 'remove', "fingerprint:$hex");
    ok defined until_ms(sub { (curl($_))[0] == 401 }), 'removed: refused' for $by_print, $print_two;
};

subtest 'a subject' => sub {
    is +(curl($by_name))[0], 401, 'nobody has it';
    $gw->ctl('identity', 'add', 'beta', "subject:$subject", '--allow', 'catalog');
    ok defined until_ms(sub { (curl($by_name))[0] == 403 }), 'less than the tenant may: refused' ;
    is +(curl($by_name))[1]{type}, 'urn:ampersand-gateway:problem:token-not-granted', 'since this identity may not';
    $gw->ctl('identity', 'remove', "subject:$subject");
    $gw->ctl('identity', 'add', 'beta', "subject:$subject");
    ok defined until_ms(sub { (curl($by_name))[0] == 200 }), 'all that the tenant may: served';
    is upstream_key(), 'key-of-beta', 'with the key of that tenant';
    $gw->ctl(qw(tenant disable beta));
    ok defined until_ms(sub { (curl($by_name))[0] == 401 }), 'a disabled tenant';
    is +(curl($by_name))[1]{type}, 'urn:ampersand-gateway:problem:tenant-disabled', 'says so';
    $gw->ctl(qw(tenant enable beta));
    ok defined until_ms(sub { (curl($by_name))[0] == 200 }), 'enabled';
};

subtest 'a claim' => sub {
    $gw->ctl(qw(identity add acme claim:sub=billing@example.com));
    ok defined until_ms(sub { claim('billing@example.com')->{status} == 200 }), 'served';
    is upstream_key(), 'key-of-acme', 'with the key of that tenant';
    is claim($_)->{status}, 401, "not \"$_\"" for 'billing@example.org', 'Billing@example.com', 'acme', '', 'x' x 513, "a\tb", "b\xc3";
    like $gw->json(claim('x' x 513))->{causes}[0], qr/^The identity "x+.*" is malformed/, 'a malformed one is told from an unknown one';
    is claim("fingerprint:$hex")->{status}, 401, 'nor the name of another kind';
    is $gw->get('/byid/v1/topics', headers => [ 'X-Sub' => 'acme' ])->{status}, 200, 'by=id: the value is the id';
    is $gw->get('/byid/v1/topics', headers => [ 'X-Sub' => 'claim:sub=billing@example.com' ])->{status}, 401, 'and no identity';
    ok $gw->wait_for(sub { ($gw->ctl(qw(identity list acme)) // '') =~ /^claim:sub=billing\@example.com +acme +all +\S+ +\d{4}-\d\d-\d\d +acme\./m }),
        'identity list has its last use';
};

subtest 'no credential passes for an identity' => sub {
    my $name = 'claim:sub=billing@example.com';
    for my $text ($name, "\0$name", "%00$name") {
        for my $header ([ 'X-Api-Key' => $text ], [ Authorization => "Bearer $text" ]) {
            cmp_ok $gw->get('/v1/topics', headers => $header)->{status}, '>=', 400, $header->[0] . ' ' . $text =~ s/\0/NUL/r;
        }
    }
    is claim('billing@example.com')->{status}, 200, 'which is in the zone';
};

subtest 'after an error_page a location with tokens looks at the token, and not at the identity of before' => sub {
    my $token = decode_json($gw->ctl(qw(token issue beta --json)))->{token};
    my $moved = sub { $gw->get('/moved/v1/topics', headers => [ 'X-Sub' => 'billing@example.com' ], @_)->{status} };
    $gw->upstream->answer({ status => 503 });
    is $moved->(token => $token), 200, 'a token';
    is Gateway::Upstream::header(($second->take)[-1], 'x-api-key'), 'key-of-beta', 'names its tenant';
    is $moved->(token => 'agw_' . 'x' x 36), 401, 'an invalid one';
    is $moved->(), 401, 'none';
    $gw->upstream->answer(undef);
};

subtest 'unknown identities are held down' => sub {
    my $commands = sub { scalar $gw->redis->command('INFO', 'commandstats') =~ /cmdstat_evalsha:calls=(\d+)/ ? $1 : 0 };
    claim('nobody');
    my $before = $commands->();
    is claim('nobody')->{status}, 401, 'refused' for 1 .. 200;
    cmp_ok $commands->() - $before, '<', 100, 'without a look-up for each';
};

subtest 'the tenant goes' => sub {
    $gw->tenant('gone', project => 'p-gone');
    $gw->ctl(qw(identity add gone claim:sub=gone));
    ok defined until_ms(sub { claim('gone')->{status} == 200 }), 'served';
    $gw->ctl(qw(tenant remove gone));
    ok defined until_ms(sub { claim('gone')->{status} == 401 }), 'refused';
    $gw->tenant('gone', project => 'p-gone');
    is decode_json($gw->ctl(qw(identity list --json gone)))->[0], undef, 'a new tenant with the id does not have it';
    is claim('gone')->{status}, 401, 'and is not named by it';
};

subtest 'what ampctl refuses' => sub {
    for my $case ([ 1, qr/is an identity of tenant "acme" already.*ampctl identity remove/s, qw(add beta claim:sub=billing@example.com) ],
                  [ 1, qr/is an identity of tenant "acme" already/, qw(add acme claim:sub=billing@example.com) ],
                  [ 1, qr/there is no tenant "nobody"/, qw(add nobody claim:sub=x) ],
                  [ 1, qr/no tenant has the identity.*identity list/s, qw(remove claim:sub=x) ],
                  [ 1, qr/there is no tenant "nobody"/, qw(list nobody) ],
                  [ 2, qr/40 or 64 hex digits/, qw(add acme fingerprint:5e2c) ],
                  [ 2, qr/40 or 64 hex digits/, 'add', 'acme', 'fingerprint:' . '0' x 41 ],
                  [ 2, qr/40 or 64 hex digits/, 'add', 'acme', 'fingerprint:' . 'g' x 40 ],
                  [ 2, qr/as nginx has it in \$ssl_client_s_dn.*openssl x509/s, 'add', 'acme', 'subject:/C=US/CN=billing' ],
                  [ 2, qr/as nginx has it/, qw(add acme subject:billing) ],
                  [ 2, qr/printable/, 'add', 'acme', "subject:CN=a\nb" ],
                  [ 2, qr/NAME=VALUE/, qw(add acme claim:sub) ],
                  [ 2, qr/printable text of 1 to 512/, qw(add acme claim:sub=) ],
                  [ 2, qr/begins with fingerprint:, subject: or claim:/, 'add', 'acme', $hex ]) {
        my ($code, $say, @words) = @$case;
        my ($exit, $out, $err) = $gw->try_ctl('identity', @words);
        is $exit, $code, "@words";
        like "$out$err", $say, 'says why, and what to do';
    }
    my $id = decode_json($gw->ctl(qw(identity list acme --json)))->[0]{id};
    my ($exit, undef, $err) = $gw->try_ctl('token', 'rotate', $id);
    is $exit, 1, 'an identity is not rotated';
    like $err, qr/is an identity.*ampctl identity add acme/s, 'but another one added';
};

subtest 'dry runs, audit, token list, explain' => sub {
    my $try = decode_json $gw->ctl(qw(identity add acme claim:sub=later --dry-run --json));
    is $try->{result}{tokens}{added}, 1, 'add --dry-run';
    is $gw->redis->command('EXISTS', 'amp:token:' . sha256_hex("\0claim:sub=later")), 0, 'adds nothing';
    $gw->ctl(qw(identity add acme claim:sub=later));
    is $gw->redis->command('EXISTS', 'amp:token:' . sha256_hex("\0claim:sub=later")), 1, 'add does';
    like $gw->ctl(qw(audit --tenant acme)), qr/identity add/, 'and stands in the audit stream';
    like $gw->ctl(qw(identity remove claim:sub=later --dry-run)), qr/^- token acme\./m, 'remove --dry-run';
    like $gw->ctl(qw(token list acme)), qr/claim:sub=later$/m, 'removes nothing; token list has it';
    my ($id) = map { $_->{id} } grep { $_->{identity} eq 'claim:sub=later' } @{ decode_json $gw->ctl(qw(identity list --json)) };
    like $gw->ctl('token', 'show', $id), qr/^identity  claim:sub=later$/m, 'token show, too';
    is decode_json($gw->ctl(qw(explain GET /v1/topics --identity claim:sub=later --json)))->{tenant}, 'acme', 'explain';
    my ($exit, $out) = $gw->try_ctl(qw(explain GET /v1/topics --identity claim:sub=nobody --json));
    is $exit, 1, 'explain of an unknown one';
    is decode_json($out)->{decision}, 'no-identity', 'says so';
    $gw->ctl('token', 'revoke', $id);
    is $gw->redis->command('EXISTS', 'amp:token:' . sha256_hex("\0claim:sub=later")), 0, 'revoked by its id';
};

subtest 'config export and import' => sub {
    my $file = $gw->dir . '/config.json';
    $gw->ctl('config', 'export', $file);
    my $text = do { local (@ARGV, $/) = $file; <> };
    my $doc = decode_json $text;
    my ($acme) = grep { $_->{id} eq 'acme' } @{ $doc->{tenants} };
    my ($token) = grep { $_->{identity} } @{ $acme->{tokens} };
    is $token->{identity}, 'claim:sub=billing@example.com', 'is in the file';
    $gw->ctl(qw(identity remove claim:sub=billing@example.com));
    ok defined until_ms(sub { claim('billing@example.com')->{status} == 401 }), 'removed';
    $gw->ctl('config', 'import', $file);
    ok defined until_ms(sub { claim('billing@example.com')->{status} == 200 }), 'imported again';
    like $gw->ctl('config', 'import', $file), qr/tokens: 0 added, 0 changed/, 'which is repeatable';
    $token->{identity} = 'claim:sub=admin@example.com';
    open my $f, '>', $file or die $!;
    print $f encode_json $doc;
    close $f;
    my ($exit, undef, $err) = $gw->try_ctl('config', 'import', $file);
    is $exit, 1, 'with the digest of another identity';
    like $err, qr/the digest of its identity/, 'the file is refused';
};

subtest 'two administrators add one identity at once: one has it' => sub {
    my @ids = map { "race$_" } 1 .. 6;
    $gw->tenant($_, project => 'p') for @ids;
    for my $round (1 .. 5) {
        my @pids = map {
            my $id = $_;
            my $pid = fork // die "fork: $!";
            if ($pid == 0) { my ($exit) = $gw->try_ctl('identity', 'add', $id, "claim:sub=race$round"); POSIX::_exit($exit) }
            $pid;
        } @ids;
        my @done = grep { waitpid($_, 0); $? == 0 } @pids;
        is scalar @done, 1, 'one command has succeeded';
        my @rows = grep { $_->{identity} eq "claim:sub=race$round" } @{ decode_json $gw->ctl(qw(identity list --json)) };
        is scalar @rows, 1, 'one tenant has it';
    }
    my @owners = map { $_->{tenant} } grep { $_->{identity} =~ /race/ } @{ decode_json $gw->ctl(qw(identity list --json)) };
    $gw->ctl('tenant', 'remove', $_) for grep { my $id = $_; !grep { $_ eq $id } @owners } @ids;
    my @left = map { $_->{tenant} } grep { $_->{identity} =~ /race/ } @{ decode_json $gw->ctl(qw(identity list --json)) };
    is_deeply \@left, \@owners, 'the removal of the others takes none of it away';
};

subtest 'a cluster' => sub {
    my $c = Gateway::Redis::Cluster->start;
    my $w = Gateway->start(redis => $c, redis_args => 'timeout=500ms', http => 'ampersand_identity $http_x_sub by=claim:sub; ampersand_cache_ttl default 0;');
    my $get = sub { $w->get('/v1/topics', headers => [ 'X-Sub' => $_[0] ])->{status} };
    $w->tenant("t$_") for 1 .. 6;
    is $get->("s$_"), 401, 'unknown' for 1 .. 6;
    $w->ctl('identity', 'add', "t$_", "claim:sub=s$_") for 1 .. 6;
    ok $w->wait_for(sub { 6 == grep { $get->("s$_") == 200 } 1 .. 6 }), 'served';
    is scalar @{ decode_json $w->ctl(qw(identity list --json)) }, 6, 'listed';
    $w->ctl('identity', 'remove', "claim:sub=s$_") for 1 .. 6;
    ok $w->wait_for(sub { 6 == grep { $get->("s$_") == 401 } 1 .. 6 }), 'removed';
    $w->finish;
};

$_->finish for $two, $gw;
done_testing;
