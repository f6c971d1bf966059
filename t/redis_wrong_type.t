# Keys in Redis that hold another type, were deleted or renamed: others are served as
# before, a line names the key and the command that mends it, and that command does.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA ();
use Gateway;
use Gateway::Redis;
use Gateway::Redis::Cluster;
use JSON::PP ();
use POSIX ();
use Test::More;

my $path = '/v1/integrations';
my $http = 'ampersand_tenant_ttl 300ms; ampersand_tenant_grace 10m;';
my $redis = Gateway::Redis->start;
my $gw = Gateway->start(redis => $redis, http => $http);
my $other = Gateway->start(like => $gw, http => $http);
my %token = map { $_ => $gw->tenant($_, args => [ '--rate', '1000/s' ]) } qw(kept hurt);
my %digest = map { $_ => Digest::SHA::sha256_hex($token{$_}) } sort keys %token;
my $n = 0;

sub status_of { my ($id, $at) = @_; return ($at || $gw)->get("$path?id=" . $n++, token => $token{$id})->{status} }
sub all_served { my ($id) = @_; return join ' ', map { status_of($id, $_) } ($gw, $other) x 20 }
sub becomes { my ($id, $status) = @_; return $gw->wait_for(sub { status_of($id) == $status && status_of($id, $other) == $status }) }
sub lines { my $line = qr/\[error\].*$_[0]/; return scalar($gw->log_lines($line)) + scalar($other->log_lines($line)) }
sub type { my ($key) = @_; return $redis->command('TYPE', $key) }
sub json { my (@command) = @_; my ($exit, $out) = $gw->try_ctl(@command, '--json'); return ($exit, JSON::PP::decode_json($out)) }
sub named { my ($key) = @_; my ($exit, $r) = json('doctor'); return grep { $_->{check} eq 'keys in redis' && $_->{message} =~ /"\Q$key\E"/ } @{ $r->{checks} } }
my $served = join ' ', (200) x 40;

# At most one line each second and gateway, whatever the load.

sub no_flood {
    my ($line) = @_;
    my ($before, $start) = (lines($line), time);
    is all_served('hurt'), $served, 'its tenant is served' for 1 .. 3;
    cmp_ok lines($line) - $before, '<=', 2 * (time - $start + 2), 'no flood of lines';
}

ok becomes($_, 200), "$_ is served" for sort keys %token;
my ($today, $soon) = map { POSIX::strftime('%Y-%m-%d', gmtime time + $_) } 0, 300;

# Made anew by gateways and ampctl: moved aside.  The key, what the log says, and the
# commands of ampctl that name it.

for my $case (
    [ 'amp:limit:{hurt}:default', 'hash', qr/a limit has no leases from Redis: "amp:limit:\{hurt\}:default" is not a hash; "ampctl repair" mends it/ ],
    [ 'amp:gen:p-hurt', 'hash', qr/generations of project "p-hurt" cannot be read: "amp:gen:p-hurt" is not a hash; "ampctl repair" mends it/, [qw(cache purge hurt)], [ 'explain', 'GET', $path, '--tenant', 'hurt' ] ],
    [ 'amp:gateways', 'hash', qr/the gateways are not counted: "amp:gateways" in Redis is not a hash; "ampctl repair" mends it/, [qw(gateway list)] ],
    $today ne $soon ? () : [ "amp:usage:$today", 'hash', qr/usage is not counted in Redis: "amp:usage:$today" is not a hash; it is kept until "ampctl repair"/, [qw(usage)] ],
    [ 'amp:tokens:hurt', 'hash', undef, [qw(token list hurt)], [qw(token issue hurt)] ],
    [ 'amp:tenants', 'set', undef, [qw(tenant list)], [qw(tenant add more --project p)] ],
    [ 'amp:cooldown:{hurt}', 'string', undef ],
    [ "amp:used:$digest{hurt}", 'string', undef ],
) {
    my ($key, $wanted, $line, @commands) = @$case;
    subtest "$key holds another type" => sub {
        $redis->command('DEL', $key);
        $redis->command('RPUSH', $key, 'not lost');
        ok !defined $line || $gw->wait_for(sub { status_of('hurt'); status_of('hurt', $other); lines($line) }), 'a line in the log names it, and the command';
        is all_served('kept'), $served, 'other tenants are served';
        no_flood($line) if defined $line;
        is status_of('hurt'), 200, 'its tenant is served';

        for my $command (@commands) {
            my ($exit, undef, $error) = $gw->try_ctl(@$command);
            is $exit, 1, "ampctl @$command refuses";
            like $error, qr/holds a value of another type under a key of the gateway\n +the key is "\Q$key\E": ampctl repair mends it/, 'names it, and the command';
        }

        my ($check) = named($key);
        is_deeply [ @$check{qw(status message)} ], [ 'fail', qq("$key" is of type list, and should be $wanted) ], 'doctor names it';
        like $check->{remedy}, qr/^ampctl repair/, 'and the command';

        my ($exit, $would) = json('repair', '--dry-run');
        is_deeply [ $exit, map { $_->{key} } @{ $would->{moved} } ], [ 0, $key ], 'repair --dry-run';
        is type($key), 'list', 'changes nothing';
        ($exit, my $did) = json('repair');
        is_deeply [ $exit, map { $_->{key} } @{ $did->{moved} } ], [ 0, $key ], 'repair';
        is_deeply $redis->command('LRANGE', $did->{moved}[0]{to}, 0, -1), [ 'not lost' ], 'moves it aside';
        is_deeply [ named($key) ], [], 'doctor finds no such key any more';
        is +($gw->try_ctl(@$_))[0], 0, "ampctl @$_ works" for @commands;
        like $gw->ctl('audit'), qr/key moved aside.*\Q$key\E/s, 'the audit stream has it';
        ok becomes('hurt', 200), 'its tenant is served';
    };
}

subtest 'what was listed in a key of another type is listed again' => sub {
    is_deeply [ map { $_->{id} } @{ (json('tenant', 'list'))[1] } ], [qw(hurt kept more)], 'the tenants';
    is_deeply [ (json('token', 'list', 'hurt'))[1][0]{id} =~ /^hurt\./ ], [1], 'the tokens';
    like $gw->ctl('audit'), qr/tenant listed again kept/, 'tenants in the audit stream';
    like $gw->ctl('audit'), qr/token listed again hurt/, 'tokens in the audit stream';
};

subtest 'the audit stream holds another type' => sub {
    $redis->command('DEL', 'amp:audit');
    $redis->command('RPUSH', 'amp:audit', 'not lost');
    my ($exit, undef, $error) = $gw->try_ctl(qw(tenant disable more));
    is $exit, 0, 'a change is made';
    like $error, qr/warning: the change is made, but is not in the audit stream: .*the key is "amp:audit": ampctl repair mends it/, 'a warning names the key, and the command';
    like +($gw->try_ctl('audit'))[2], qr/the key is "amp:audit": ampctl repair mends it/, 'ampctl audit does, too';
    ok scalar(named('amp:audit')), 'and doctor';
    is +(json('repair'))[0], 0, 'repair';
    like $gw->ctl('audit'), qr/key moved aside.*"key":"amp:audit"/s, 'begins with that';
};

subtest 'a write at one gateway reaches the other, while the generations are of another type' => sub {
    my $read = '/v1/destinations/far';
    my $cached = sub { return $other->get($read, token => $token{hurt})->{headers}{'x-cache-status'} };
    $gw->ctl(qw(limit set --project p-hurt --rate 700/s --burst 700));
    my $policy = sub { return $other->get("$path?id=" . $n++, token => $token{hurt})->{headers}{'ratelimit-policy'} // '' };
    ok $other->wait_for(sub { $policy->() =~ /"project"/ }), 'the project has a limit';
    $redis->command('DEL', 'amp:gen:p-hurt');
    $redis->command('SET', 'amp:gen:p-hurt', 'text');
    ok $other->wait_for(sub { $cached->() eq 'MISS' }), 'nothing that was cached is used';
    like $policy->(), qr/"project";q=700/, 'the limit of the project is kept';
    ok $other->wait_for(sub { $cached->(); $cached->() eq 'HIT' }), 'an answer is cached at the other one';
    my $before = $other->status->{events_total};
    is $gw->request('PATCH', $read, token => $token{hurt}, json => {})->{status}, 200, 'a write';
    ok $other->wait_for(sub { $other->status->{events_total} > $before }), 'the other one is told';
    is $cached->(), 'MISS', 'and has nothing cached';
    $before = $other->status->{events_total};
    sleep 2;
    is $other->status->{events_total}, $before, 'not again and again';
    is_deeply [ map { $_->{remedy} } @{ (json('repair'))[1]{moved} } ],
        [ 'if the project had a limit, set it again: ampctl limit set --project PROJECT_ID' ], 'repair says that the limit has to be set again';
};

# Who has these records decides: they are left, with what to do.

subtest 'the record of a tenant holds another type' => sub {
    my $held = $redis->command('GET', 'amp:tenant:hurt');
    $redis->command('DEL', 'amp:tenant:hurt');
    $redis->command('RPUSH', 'amp:tenant:hurt', 'x');
    my $line = qr/record of tenant "hurt" cannot be read: not a string; "ampctl tenant show" says what to do/;
    ok $gw->wait_for(sub { status_of('hurt'); lines($line) }), 'a line in the log';
    is all_served('kept'), $served, 'other tenants are served';
    no_flood($line);
    is +($gw->try_ctl('tenant', 'list'))[0], 0, 'the tenants can be listed';
    is +($gw->try_ctl('token', 'list', 'kept'))[0], 0, 'and the tokens of another one';
    my @checks = @{ (json('doctor'))[1]{checks} };
    is_deeply [ map { $_->{message} } grep { $_->{check} eq 'records' } @checks ], [ '1 cannot be read: hurt' ], 'doctor names the tenant';
    ok scalar(grep { $_->{check} eq 'tenants' && $_->{message} =~ /^3 in Redis/ } @checks), 'and checks the others';
    my ($exit, $r) = json('repair');
    is_deeply [ $exit, map { @$_{qw(key remedy)} } @{ $r->{left} } ], [ 1, 'amp:tenant:hurt', 'ampctl tenant remove hurt, then add or import it' ], 'repair leaves it';
    is status_of('hurt'), 200, 'it is served as before';
    $redis->command('SET', 'amp:tenant:hurt', $held);
};

subtest 'the record of a token holds another type' => sub {
    my $key = "amp:token:$digest{hurt}";
    my $held = $redis->command('GET', $key);
    $redis->command('DEL', $key);
    $redis->command('RPUSH', $key, 'x');
    my $line = qr/token record cannot be read: not a string; remove "\Q$key\E" and issue another token/;
    ok $gw->wait_for(sub { status_of('hurt'); lines($line) }), 'a line in the log';
    is all_served('kept'), $served, 'other tenants are served';
    no_flood($line);
    is +($gw->try_ctl(@$_))[0], 0, "ampctl @$_" for [qw(token list hurt)], [qw(tenant list)];
    my ($exit, $r) = json('repair');
    is_deeply [ $exit, map { $_->{key} } @{ $r->{left} } ], [ 1, $key ], 'repair leaves it';
    like $r->{left}[0]{remedy}, qr/ampctl token revoke/, 'and says what to do';
    my ($id) = map { $_->{id} } @{ (json('token', 'list', 'hurt'))[1] };
    $redis->command('DEL', $key);
    $redis->command('SET', $key, $held);
};

subtest 'what is frozen holds another type' => sub {
    $gw->ctl('freeze', '--class', 'write');
    $redis->command('DEL', 'amp:frozen');
    $redis->command('RPUSH', 'amp:frozen', 'x');
    my $line = qr/what is frozen cannot be read, and stays as it was: "amp:frozen" in Redis is not a string; "ampctl thaw" writes it again/;
    ok $gw->wait_for(sub { lines($line) == 2 }), 'a line in the log of each gateway';
    is all_served('kept'), $served, 'what is not frozen is served';
    is $gw->status->{frozen_classes}, 1, 'what was frozen stays so';
    my ($exit, $r) = json('repair');
    is_deeply [ $exit, map { $_->{remedy} } @{ $r->{left} } ], [ 1, 'ampctl freeze or ampctl thaw writes it again' ], 'repair leaves it';
    $gw->ctl('thaw');
    is type('amp:frozen'), 'string', 'thaw writes it again';
    ok $gw->wait_for(sub { $gw->status->{frozen_classes} == 0 }), 'and the gateways read it';
    is lines($line), 2, 'one line each';
};

subtest 'the indexes are deleted' => sub {
    my $tokens = @{ (json('token', 'list', 'hurt'))[1] };
    $redis->command('DEL', 'amp:tenants', 'amp:tokens:hurt');
    is all_served($_), $served, "$_ is served" for 'kept', 'hurt';
    my ($check) = grep { $_->{check} eq 'unlisted' } @{ (json('doctor'))[1]{checks} };
    like "$check->{message}. $check->{remedy}", qr/: hurt, kept, more\. ampctl repair lists them again/, 'doctor names the tenants';
    my ($exit, $r) = json('repair');
    is_deeply [ $exit, @{ $r->{tenants} } ], [ 0, qw(hurt kept more) ], 'repair lists the tenants again';
    is scalar(grep { /^hurt\./ } @{ $r->{tokens} }), $tokens, 'and the tokens';
    is $gw->ctl('repair'), "there is nothing to repair\n", 'all is well';
    $gw->ctl('token', 'revoke', $_) for @{ $r->{tokens} };
    ok becomes('hurt', 401), 'they can be revoked';
    $token{hurt} = $gw->ctl('token', 'issue', 'hurt', '--json') =~ /"token": ?"([^"]+)"/ ? $1 : die;
    ok becomes('hurt', 200), 'and another one issued';
};

subtest 'the record of a tenant is renamed' => sub {
    $redis->command('RENAME', 'amp:tenant:hurt', 'amp:tenant:nobody');
    ok becomes('hurt', 401), 'its tenant is unknown';
    my ($exit, $r) = json('repair');
    is_deeply [ $exit, $r->{renamed} ], [ 0, [ { tenant => 'hurt', found_as => 'nobody' } ] ], 'repair renames it back';
    is type('amp:tenant:nobody'), 'none', 'the other name is gone';
    ok becomes('hurt', 200), 'its tenant is served';
    is $gw->ctl('repair'), "there is nothing to repair\n", 'all is well';
};

subtest 'keys that the gateways write again' => sub {
    $redis->command('DEL', 'amp:gateways', 'amp:gen:p-hurt', 'amp:limit:{hurt}:default', "amp:usage:$today", 'amp:audit', 'amp:frozen');
    is all_served($_), $served, "$_ is served" for 'kept', 'hurt';
    ok $gw->wait_for(sub { @{ (json('gateway', 'list'))[1]{gateways} } == 2 }), 'both gateways are registered again';
    is $gw->ctl('repair'), "there is nothing to repair\n", 'all is well';
};

$_->finish for $gw, $other;

subtest 'in a cluster' => sub {
    my $c = Gateway::Redis::Cluster->start(replicas => 0);
    my $g = Gateway->start(redis => $c, http => $http);
    my %t = map { $_ => $g->tenant($_, args => [ '--rate', '1000/s' ]) } qw(kept hurt);
    my @keys = ('amp:limit:{hurt}:default', 'amp:gen:p-hurt', 'amp:tenants', 'amp:tokens:hurt');
    for my $key (@keys) {
        $c->command('DEL', $key);
        $c->command('RPUSH', $key, 'not lost');
    }
    is $g->get("$path?id=$_", token => $t{kept})->{status}, 200, 'another tenant is served' for 1 .. 5;
    is $g->get("$path?id=$_", token => $t{hurt})->{status}, 200, 'and its tenant' for 1 .. 5;
    my $r = JSON::PP::decode_json($g->ctl('repair', '--json'));
    is_deeply [ sort map { $_->{key} } @{ $r->{moved} } ], [ sort @keys ], 'repair moves them';
    is_deeply $c->command('LRANGE', $_->{to}, 0, -1), [ 'not lost' ], $_->{to} for @{ $r->{moved} };
    is_deeply $r->{tenants}, [qw(hurt kept)], 'lists the tenants';
    is scalar(@{ $r->{tokens} }), 1, 'and the token';
    like $g->ctl('repair'), qr/^there is nothing to repair$/, 'all is well';
    $g->finish;
};

done_testing;
