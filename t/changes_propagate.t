# A change in Redis is applied by every worker of every gateway: several gateways of
# several workers, several writers at once, each change made by ampctl and seen by a
# request to each worker.  Prints p50 and p99 of the time from the moment at which
# Redis publishes the change, which t/bench/outages prints on a quiet machine.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Gateway;
use Gateway::Redis;
use Gateway::Upstream;
use Gateway::Workers;
use JSON::PP ();
use List::Util ();
use Test::More;
use Time::HiRes qw(sleep time);

my ($gateways, $workers, $writers, $rounds) = (3, 2, 3, $ENV{ROUNDS} || 8);
my $path = '/v1/integrations';

my $redis = Gateway::Redis->start;
my $n = 0;
my $upstream = Gateway::Upstream->start(sub {
    my ($req) = @_;
    return {
        status => 200, headers => [ 'Content-Type' => 'application/json' ],
        body => JSON::PP::encode_json({ n => ++$n, key => Gateway::Upstream::header($req, 'x-api-key') }),
    };
});

# All read one master key: the first one's.

my @gw;
for my $i (1 .. $gateways) {
    my $key = $i == 1 ? undef : $gw[0]->dir . '/master.key';
    push @gw, Gateway->start(
        redis => $redis, upstream => $upstream->url, workers => $workers, Gateway::Workers::options(),
        $key ? (directives => "ampersand_zone 4m; ampersand_redis @{[ $redis->url ]}; ampersand_master_key $key;") : (),
    );
}
ok $_->wait_for(sub { $_->linked }), 'every link of a gateway is up'
    for @gw;


# In a writer's own process.

package Writer;

use Time::HiRes qw(sleep time);

sub new {
    my ($class, $id) = @_;
    my $self = bless { id => $id, took => {}, wrong => 0, n => 0 }, $class;
    $self->{sub} = $redis->subscribe('amp:events');
    $self->{all} = [ map { Gateway::Workers->new($_) } @gw ];
    return $self;
}

sub each_worker {
    my ($self, $code) = @_;
    for my $all (@{ $self->{all} }) {
        $code->($all, $_) for 0 .. $workers - 1;
    }
}

sub json { my ($res) = @_; return eval { JSON::PP::decode_json($res->{body}) } || {} }

# Runs ampctl and asks every worker until it acts on the change.

sub change {
    my ($self, $kind, $seen, @args) = @_;
    1 while defined $self->{sub}->message(0);
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        eval { $gw[0]->ctl(@args); 1 } or print STDERR $@;
        POSIX::_exit(0);
    }
    my $start;
    until ($start) {
        my $event = $self->{sub}->message(60) // die "no event of @args\n";
        $start = time if $event =~ /"(?:p-)?\Q$self->{id}\E"/;
    }
    my @pending;
    $self->each_worker(sub { push @pending, [@_] });
    while (@pending) {
        @pending = grep {
            my $asked = time;
            my $new = $seen->(@$_);
            push @{ $self->{took}{$kind} }, ($asked - $start) * 1000 if $new;
            !$new;
        } @pending;
        die "$kind: not applied after 60 s\n" if time > $start + 60;
    }
    # and it stays seen
    $self->each_worker(sub { $self->{wrong}++ unless $seen->(@_) });
    waitpid $pid, 0;
}

sub status_is {
    my ($self, $status) = @_;
    return sub { $_[0]->one($_[1], $path, token => $self->{token})->{status} == $status };
}

sub settle {
    my ($self, $status) = @_;
    my $seen = $self->status_is($status);
    my $end = time + 60;
    $self->each_worker(sub { sleep 0.002 until $seen->(@_) || time > $end });
}

sub run {
    my ($self) = @_;
    my $id = $self->{id};
    for my $round (1 .. $rounds) {
        $self->{token} = $gw[0]->tenant($id);
        $self->settle(200);

        $self->change('grants', $self->status_is(403), 'grant', 'set', $id, '--deny', 'read');
        $self->change('grants', $self->status_is(200), 'grant', 'set', $id, '--deny', 'none');
        $self->change('disable', $self->status_is(401), 'tenant', 'disable', $id);
        $self->change('enable', $self->status_is(200), 'tenant', 'enable', $id);

        # an entry for each worker: nginx lets the second who wants one wait for 500 ms
        my $last = 0;
        my $cached = sub { return json($_[0]->one($_[1], "$path?w=$_[1]", token => $self->{token}))->{n} || 0 };
        $self->each_worker(sub { $last = List::Util::max($last, $cached->(@_)) });
        $self->each_worker(sub { $self->{wrong}++ if $cached->(@_) > $last });
        $self->change('purge', sub { $cached->(@_) > $last }, 'cache', 'purge', $id);

        my $key = "key-$id-$round";
        $self->change('key', sub {
            my $res = $_[0]->one($_[1], "$path?fresh=$$." . ++$self->{n}, token => $self->{token});
            return (json($res)->{key} // '') eq $key;
        }, 'key', 'set', $id, '--key-file', '-', \"$key\n");

        # the one unit that the new limit has is taken by whoever asks first
        $self->change('limits', sub {
            for (1, 2) {
                my $res = $_[0]->one($_[1], "$path?fresh=$$." . ++$self->{n}, token => $self->{token});
                return 1 if $res->{status} == 429;
            }
            return 0;
        }, 'limit', 'set', $id, '--rate', '1/h', '--burst', '1');

        my ($tid) = map { $_->{id} } @{ JSON::PP::decode_json($gw[0]->ctl('token', 'list', $id, '--json')) };
        $self->change('revoke', $self->status_is(401), 'token', 'revoke', $tid);

        # a token cannot be asked for before ampctl has shown it
        my $new = JSON::PP::decode_json($gw[0]->ctl('token', 'issue', $id, '--json'))->{token};
        my $start = time;
        $self->{token} = $new;
        $self->each_worker(sub {
            my $res = $_[0]->one($_[1], $path, token => $new);
            $self->{wrong}++ if $res->{status} == 401;
            push @{ $self->{took}{issue} }, (time - $start) * 1000;
        });

        $self->change('remove', $self->status_is(401), 'tenant', 'remove', $id);
    }
    return { took => $self->{took}, wrong => $self->{wrong} };
}


package main;

my @jobs = map {
    pipe my $in, my $out or die $!;
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        close $in;
        my $r = eval { Writer->new("w$_")->run } || { error => "$@" };
        print $out JSON::PP::encode_json($r);
        close $out;
        POSIX::_exit(0);
    }
    close $out;
    { pid => $pid, in => $in };
} 1 .. $writers;

my (%took, $wrong);
for my $job (@jobs) {
    local $/;
    my $text = readline $job->{in};
    my $r = JSON::PP::decode_json($text);
    is $r->{error}, undef, 'a writer comes to its end';
    push @{ $took{$_} }, @{ $r->{took}{$_} } for keys %{ $r->{took} || {} };
    $wrong += $r->{wrong} || 0;
    waitpid $job->{pid}, 0;
}
is $wrong, 0, 'what has been seen stays, in every worker';

for my $kind (sort keys %took) {
    my @ms = sort { $a <=> $b } @{ $took{$kind} };
    my ($p50, $p99) = map { $ms[ $_ * $#ms ] } 0.5, 0.99;
    diag sprintf '%-8s n %4d   p50 %6.1f ms   p99 %6.1f ms   max %6.1f ms', $kind, scalar @ms, $p50, $p99, $ms[-1]
        if $ENV{HARNESS_VERBOSE} || -t STDERR;
    note sprintf '%-8s n %4d   p50 %6.1f ms   p99 %6.1f ms   max %6.1f ms', $kind, scalar @ms, $p50, $p99, $ms[-1];
}
is scalar(keys %took), 9, 'all kinds of change';

$_->finish for @gw;
done_testing;
