package Gateway::Changes;

# Every change that ampctl can make, one after another; each has to publish its
# event on every node that has a listener.
#
#   Gateway::Changes::walk($ctl, $redis, $redis->subscribe('amp:events'), ...);
#
# $redis answers command() for any key.  Ends with the tenant "walker" removed.

use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use JSON::PP ();
use Test::More;

sub walk {
    my ($ctl, $redis, @events) = @_;
    my $key = $ctl->file('walker.key', "sk_walker\n");
    my $rev = 0;

    my $record = sub {
        my $text = $redis->command('GET', 'amp:tenant:walker');
        return defined $text ? JSON::PP::decode_json($text) : undef;
    };
    my $did = sub {
        my ($what, @args) = @_;
        my $r = $ctl->json(@args);
        is $r->{code}, 0, "$what: done" or diag $r->{out}, $r->{err};
        return $r->{doc};
    };

    # The events of one command at two nodes of a cluster may come in any order.
    my @early = map { [] } @events;
    my $event = sub {
        my ($what, $want, $next) = @_;
        for my $node (0 .. $#events) {
            my $text = shift @{ $early[$node] } // $events[$node]->message(60);
            if ($next && $text && $text =~ /"type":"$next"/) {
                push @{ $early[$node] }, $text;
                $text = $events[$node]->message(60);
            }
            is_deeply $text && JSON::PP::decode_json($text), { v => 1, %$want }, "$what: event, listener $node";
        }
    };
    my $changed = sub {
        my ($what, $next) = @_;
        my $new = ($record->() // { rev => $rev + 1 })->{rev};
        ok $new > $rev, "$what: the revision went up";
        $rev = $new;
        $event->($what, { type => 'tenant', tenant => 'walker', rev => $rev }, $next);
    };
    my $token = sub {
        my ($what, $digest) = @_;
        $event->($what, { type => 'token', tenant => 'walker', token => $digest });
    };

    my $first = $did->('tenant add', qw(tenant add walker --project p-walker --key-file), $key);
    my @digests = sha256_hex($first->{token});
    $changed->('tenant add', 'token');
    $token->('its token', $digests[0]);

    for my $args (
        [qw(tenant disable walker)], [qw(tenant enable walker)], [ qw(key set walker --key-file), $key ],
        [qw(key retire walker k1)], [qw(limit set walker --rate 50/s --burst 9)], [qw(limit set walker --rate none)],
        [qw(grant set walker --allow read --deny secrets)],
    ) {
        my $what = join ' ', @$args[0, 1];
        $did->($what, @$args);
        $changed->($what);
    }

    my $issued = $did->('token issue', qw(token issue walker));
    push @digests, sha256_hex($issued->{token});
    $token->('token issue', $digests[1]);
    is scalar @{ $did->('token list', qw(token list walker)) }, 2, 'token list: both';
    $did->('token revoke', 'token', 'revoke', $issued->{id});
    $token->('token revoke', $digests[1]);
    is $redis->command('GET', "amp:token:$digests[1]"), undef, 'token revoke: gone';

    for my $family ([], [qw(--family connections)]) {
        my $purged = $did->('cache purge', qw(cache purge walker), @$family);
        $event->('cache purge', {
            type => 'purge', project => 'p-walker', family => $purged->{family} eq 'all' ? '*' : $purged->{family},
            rev => $purged->{generation},
        });
    }

    my ($old, $new) = map { $ctl->dir . "/$_.key" } qw(master new);
    unlink $new;
    $did->('masterkey new', qw(masterkey new), $new);
    $did->('masterkey rewrap', qw(masterkey rewrap --master-key), $new, '--master-key', $old);
    $changed->('masterkey rewrap');

    is $did->('tenant list', qw(tenant list))->[-1]{id}, 'walker', 'tenant list';
    $did->('tenant show', qw(tenant show walker));

    is $did->('tenant remove', qw(tenant remove walker))->{tokens}, 1, 'tenant remove: its token too';
    $changed->('tenant remove', 'token');
    $token->('and its token', $digests[0]);
    is $ctl->run(qw(tenant show walker))->{code}, 1, 'there is no such tenant';
    is $ctl->run(qw(tenant remove walker))->{code}, 1, 'nor anything left of it';
}

1;
