# Redis holds another state than the one that it had, and announced nothing: it was
# restored from a backup or emptied, the URL names another database, a key was renamed
# (keys of another type: redis_wrong_type.t).  What is gone gets 401 and the rest is served; one line in the
# log, a figure in the status, and ampctl say so; each has a remedy.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Copy ();
use Gateway;
use Gateway::Redis;
use JSON::PP ();
use Test::More;
use Time::HiRes qw(sleep);

my $path = '/v1/integrations';
my $redis = Gateway::Redis->start;
my $gw = Gateway->start(
    redis => $redis, redis_args => 'timeout=1s', http => 'ampersand_tenant_ttl 300ms; ampersand_tenant_grace 10m;',
);
my %token = map { $_ => $gw->tenant($_, args => [ '--rate', '1000/s' ]) } qw(kept changed revoked);

sub status_of { my ($id) = @_; return $gw->get("$path?id=$id", token => $token{$id})->{status} }
sub becomes { my ($id, $status) = @_; return $gw->wait_for(sub { status_of($id) == $status }) }
sub lost { return $gw->status->{records_lost_total} }
sub doctor { my (undef, $out) = $gw->try_ctl('doctor', '--json'); return @{ JSON::PP::decode_json($out)->{checks} } }
my $said = qr/\[error\].*has lost a token or tenant that it had, or a change of one, and announced nothing: was it emptied or restored, or is it another database or prefix\?/;

subtest 'restored from a backup' => sub {
    ok becomes($_, 200), "$_ is served" for sort keys %token;
    $redis->command('SAVE');
    File::Copy::copy($redis->dir . '/dump.rdb', $redis->dir . '/backup.rdb') or die $!;

    $gw->ctl('tenant', 'disable', 'changed');
    my ($one) = @{ JSON::PP::decode_json($gw->ctl('token', 'list', 'revoked', '--json')) };
    $gw->ctl('token', 'revoke', $one->{id});
    $token{added} = $gw->tenant('added');
    ok becomes('changed', 401) && becomes('revoked', 401) && becomes('added', 200), 'changes after the backup';

    my $before = lost();
    $redis->stop;
    File::Copy::copy($redis->dir . '/backup.rdb', $redis->dir . '/dump.rdb') or die $!;
    $redis->restart;
    my $failed = 0;
    ok $gw->wait_for(sub { $failed++ if status_of('kept') != 200; status_of('added') == 401 }), 'a tenant that was added later is gone';
    ok becomes('changed', 200), 'a record from before a change counts again';
    ok becomes('revoked', 200), 'and so does a token from before it was revoked';
    is $failed, 0, 'a tenant that was not changed is served all the time';
    cmp_ok lost() - $before, '>=', 2, 'the status counts what is gone, and what is older';
    cmp_ok scalar($gw->log_lines($said)), '>=', 1, 'the log says so';
};

subtest 'another database' => sub {
    my $before = lost();
    local $gw->{o}{redis_url} = $redis->url =~ s{/0$}{/1}r;
    $gw->reload;
    ok becomes('kept', 401), 'a tenant that is not there: 401 when ampersand_tenant_ttl has passed';
    cmp_ok lost(), '>', $before, 'the status counts it';
    ok $gw->wait_for(sub { $gw->log_lines($said) >= 2 }), 'a line in the log of the new worker';
    my ($tenants) = grep { $_->{check} eq 'tenants' } doctor();
    is_deeply [ @$tenants{qw(status message)} ], [ 'warn', '0 in Redis, 0 with an active key that opens' ], 'doctor sees no tenants';
    like $gw->ctl('tenant', 'list'), qr/there are no tenants/, 'and neither does "tenant list"';
};

$gw->reload;
ok becomes('kept', 200), 'the right database again';

subtest 'a record under the name of another tenant' => sub {
    $redis->command('RENAME', 'amp:tenant:kept', 'amp:tenant:changed');
    ok becomes('kept', 401), 'the tenant whose record is gone';
    ok $gw->wait_for(sub { status_of('changed'); $gw->log_lines(qr/\[error\].*the record of tenant "changed" names another tenant; "ampctl tenant show" says what to do/) }), 'the other one is named in the log';
    is status_of('changed'), 200, 'and served with its last good record';
    is status_of('revoked'), 200, 'others are not affected';
    my ($records) = grep { $_->{check} eq 'records' } doctor();
    is_deeply [ @$records{qw(status message)} ], [ 'fail', '1 cannot be read: changed' ], 'doctor names it';
    like +($gw->try_ctl('tenant', 'show', 'changed'))[2], qr/it has the id of another tenant.*ampctl repair.*ampctl tenant remove changed/s, '"tenant show" says what to do';
    $redis->command('RENAME', 'amp:tenant:changed', 'amp:tenant:kept');
    ok becomes('kept', 200), 'renamed back';
    $gw->ctl('tenant', 'remove', 'changed');
    $token{changed} = $gw->tenant('changed');
    ok becomes('changed', 200), 'removed and added again';
};

subtest 'emptied' => sub {
    my $before = lost();
    $redis->command('FLUSHALL');
    ok becomes($_, 401), "$_: 401 when ampersand_tenant_ttl has passed" for 'kept', 'revoked';
    cmp_ok lost(), '>', $before, 'the status counts it';
    $token{kept} = $gw->tenant('kept');
    ok becomes('kept', 200), 'a tenant that is added again is served';
};

$gw->finish;
done_testing;
