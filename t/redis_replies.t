# What ampctl says of each error that a real server answers, in the words of each
# version: t/replies/*.txt.  (Classes and other replies: t/unit/test_replies.c.)

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::Ctl;
use Gateway::FakeRedis;
use Test::More;

# The code of the error, and a word of its remedy.

my %says = (
    'noauth'                      => [ 'redis_auth', qr/--redis-password-file/ ],
    'auth-wrong-password'         => [ 'redis_auth', qr/check the user/ ],
    'auth-unknown-user'           => [ 'redis_auth', qr/check the user/ ],
    'auth-disabled-user'          => [ 'redis_auth', qr/check the user/ ],
    'auth-no-password'            => [ 'redis_auth', qr/leave the password out/ ],
    'noperm-command'              => [ 'redis_permission', qr/\+/ ],
    'noperm-subcommand'           => [ 'redis_permission', qr/\+/ ],
    'noperm-key'                  => [ 'redis_permission', qr/~amp:/ ],
    'noperm-channel'              => [ 'redis_permission', qr/&amp:events/ ],
    'noperm-publish'              => [ 'redis_permission', qr/&amp:events/ ],
    'noperm-command-script'       => [ 'redis_permission', qr/\+/, qr/ in a script/ ],
    'noperm-key-script'           => [ 'redis_permission', qr/~amp:/, qr/ in a script/ ],
    'noperm-channel-script'       => [ 'redis_permission', qr/&amp:events/, qr/ in a script/ ],
    'protected'                   => [ 'redis_protected', qr/requirepass/ ],
    'max-clients'                 => [ 'redis_clients', qr/maxclients/ ],
    'readonly'                    => [ 'redis_readonly', qr/master/ ],
    'readonly-script'             => [ 'redis_readonly', qr/master/ ],
    'readonly-script-flags'       => [ 'redis_readonly', qr/master/ ],
    'masterdown'                  => [ 'redis_readonly', qr/master/ ],
    'masterdown-script'           => [ 'redis_readonly', qr/master/ ],
    'loading'                     => [ 'redis_loading', qr/has started/ ],
    'misconf'                     => [ 'redis_persistence', qr/disk space/ ],
    'misconf-script'              => [ 'redis_persistence', qr/disk space/ ],
    'noreplicas'                  => [ 'redis_replicas', qr/min-replicas-to-write/ ],
    'noreplicas-script'           => [ 'redis_replicas', qr/min-replicas-to-write/ ],
    'oom'                         => [ 'redis_memory', qr/maxmemory/ ],
    'oom-script'                  => [ 'redis_memory', qr/maxmemory/ ],
    'oom-script-flags'            => [ 'redis_memory', qr/maxmemory/ ],
    'busy'                        => [ 'redis_busy', qr/SCRIPT KILL/ ],
    'moved'                       => [ 'redis_cluster', qr/redis\+cluster/ ],
    'ask'                         => [ 'redis_cluster', qr/redis\+cluster/ ],
    'tryagain'                    => [ 'redis_cluster', qr/again/ ],
    'cluster-not-served'          => [ 'redis_cluster', qr/--cluster check/ ],
    'cluster-down'                => [ 'redis_cluster', qr/--cluster check/ ],
    'cluster-down-script'         => [ 'redis_cluster', qr/--cluster check/ ],
    'cluster-down-script-keyless' => [ 'redis_cluster', qr/--cluster check/ ],
    'no-cluster'                  => [ 'redis_cluster', qr/leave "\+cluster" out/ ],
    'wrongtype'                   => [ 'bad_record', qr/tenant remove acme/ ],
    'wrongtype-script'            => [ 'bad_record', qr/tenant remove acme/ ],
    'unknown-command'             => [ 'redis_command', qr/rename-command/ ],
    'unknown-command-script'      => [ 'redis_command', qr/rename-command/ ],
    'db-index'                    => [ 'redis_database', qr/lower number/ ],
    'cluster-select'              => [ 'redis_database', qr/lower number/ ],
    'crossslot'                   => [ 'redis_error', qr/doctor/ ],
    'compile-script'              => [ 'redis_error', qr/doctor/ ],
);

my %versions;
for my $file (glob "$FindBin::Bin/replies/*.txt") {
    my ($version) = $file =~ m{([^/]+)\.txt$};
    open my $f, '<', $file or die "$file: $!";
    while (<$f>) {
        my ($case, $reply) = /^(\S+) (-.*)$/ or next;
        push @{ $versions{$case}{$reply} }, $version if $says{$case};
    }
}
is_deeply [ sort keys %versions ], [ sort keys %says ], 'each case is recorded';

my $fake = Gateway::FakeRedis->start;
my $ctl = Gateway::Ctl->new;
for my $case (sort keys %says) {
    my ($code, $remedy, $message) = @{ $says{$case} };
    for my $reply (sort keys %{ $versions{$case} }) {
        my $name = "$case in " . join ', ', @{ $versions{$case}{$reply} };
        (my $bytes = $reply) =~ s/\\([rn\\])/{ r => "\r", n => "\n", '\\' => '\\' }->{$1}/ge;
        $fake->fault({ on => 'GET', reply => $bytes });
        my $r = $ctl->json('--redis', $fake->url, qw(--timeout 5s tenant show acme));
        my $error = $r->{doc}{error};
        is $error->{code}, $code, $name or diag explain $r;
        like $error->{remedy}, $remedy, "$name: what to do";
        like $error->{message}, $message || qr/\S/, "$name: what is wrong";
        is $r->{code}, $code eq 'bad_record' ? 1 : 3, "$name: exit code";
        unlike "$error->{message} $error->{remedy}", qr/secret|script: |f_000/, "$name: no word of Redis that helps nobody";
    }
}
$fake->stop;
done_testing;
