#!/usr/bin/perl

# Random reads and writes by the tenants of two projects through two gateways,
# for CACHE_PROPERTY seconds and until enough of each kind were made.  The
# upstream counts the changes of each family and puts all counts in each answer,
# so an answer shows how old it is; some answers are late.  Then each answer is
# judged:
#
#   A read that begins after a write was answered, with whatever status, sees the
#   write when it uses the same gateway.  Within a second a read at the other
#   gateway does too, and all reads after "ampctl cache purge", or after the answer
#   to a write whose client has left; not in the second after a reload has begun.
#   No answer is of another project, or was made with another tenant's key.

use strict;
use warnings;

use FindBin;
use IO::Select ();
use JSON::PP ();
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

use lib "$FindBin::Bin/lib";
use Gateway;
use Gateway::Upstream;

my $seconds = $ENV{CACHE_PROPERTY} || 8;
my $seed = $ENV{CACHE_SEED} || time ^ $$;
my $promise = 1;
my ($least_reads, $least_changes) = (400, 100);
srand $seed;
note "CACHE_SEED=$seed CACHE_PROPERTY=$seconds";

my $timeout = 0.7;    # proxy_read_timeout, in seconds
my $JSON = JSON::PP->new->canonical;

my @reads = (
    [ '/v1/topics', 'topics' ],
    [ '/v1/destinations', 'destinations' ],
    [ '/v1/destinations/d', 'destinations' ],
    [ '/v1/topic-destination-routes', 'routes' ],
    [ '/v1/integrations', 'integrations', 'revisions' ],
    [ '/v1/integrations/i', 'integrations', 'revisions' ],
    [ '/v1/connections', 'connections', 'provider-apps', 'groups' ],
    [ '/v1/installations', 'installations', 'connections', 'groups' ],
    [ '/v1/provider-apps', 'provider-apps' ],
);
my @writes = (
    [ 'POST', '/v1/topics', 'topics' ],
    [ 'PATCH', '/v1/topics/t', 'topics', 'routes' ],
    [ 'POST', '/v1/destinations', 'destinations' ],
    [ 'DELETE', '/v1/destinations/d', 'destinations', 'routes' ],
    [ 'POST', '/v1/integrations', 'integrations', 'revisions' ],
    [ 'PATCH', '/v1/connections/c', 'installations', 'connections' ],
    [ 'POST', '/v1/provider-apps', 'connections', 'provider-apps' ],
    [ 'POST', '/v1/groups', 'groups' ],
);
my %families = map { $_ => 1 } map { @$_[ 1 .. $#$_ ] } @reads;
my %written = map { my ($method, $path, @of) = @$_; ("$method $path" => \@of) } @writes;

# Upstream.  A change is made when its request comes; what is answered later is
# what was true then.  /purge/<project> changes everything, without a write.

my $log = File::Temp->new;
my %version;
my ($started, %seen);
my $up = Gateway::Upstream->start(sub {
    my ($req) = @_;
    srand $seed + 1 unless $started++;
    my ($project, $path) = $req->{target} =~ m{^/v1/projects/([^/]+)(/[^?]*)} or return { status => 404 };
    my $dice = rand;
    my $silent = $dice >= 0.2 && $dice < 0.225;
    my $change = sub {
        my ($id) = @_;
        my %new = map { $_ => ++$version{$project}{$_} } @_[ 1 .. $#_ ];
        open my $f, '>>', $log->filename;
        syswrite $f, $JSON->encode({ id => $id, project => $project, new => \%new, n => $req->{n}, at => time, silent => $silent }) . "\n";
    };
    if ($path =~ m{^/purge/(\w+)}) {
        $change->($1, keys %families);
        return {};
    }
    if ($req->{method} ne 'GET') {
        my $id = eval { $JSON->decode($req->{body})->{id} };
        return { status => 404 } if $seen{ $id // '' }++;    # the second try, of a DELETE
        return { status => 409 } if $dice < 0.1;
        $change->($id, @{ $written{"$req->{method} /v1$path"} || die $req->{target} });
        return { status => 500 } if $dice < 0.15;
        return { delay => 1 } if $silent;
        return { drop => 1 } if $dice < 0.2 || $req->{method} eq 'DELETE' && $dice < 0.4;
        return { delay => $dice < 0.3 ? rand 0.15 : $dice < 0.6 ? rand 0.03 : 0 };
    }
    return { status => 503 } if $dice < 0.02;
    my $body = $JSON->encode({
        project => $project, key => scalar Gateway::Upstream::header($req, 'x-api-key'), all => $version{$project} || {},
    });
    return { body => $body, delay => $dice < 0.6 ? 0 : $dice < 0.95 ? rand 0.05 : rand 0.4 };
});

# Lifetimes so short that entries are refreshed in the background as well; on
# one gateway, records that are asked for again and again.

my %common = (
    workers => 2, upstream => $up->url, proxy_conf => { proxy_read_timeout => $timeout * 1000 . 'ms' },
    http => 'ampersand_cache_ttl listTopics 1s; ampersand_cache_ttl listConnections 1s; ampersand_cache_ttl listIntegrations 2s;',
);
my @gateways = (Gateway->start(%common));
push @gateways, Gateway->start(%common, like => $gateways[0], http => "$common{http} ampersand_tenant_ttl 1s;");

my @tenants = (
    { id => 'acme', project => 'p-1' }, { id => 'twin', project => 'p-1' }, { id => 'other', project => 'p-2' },
);
for my $t (@tenants) {
    $t->{key} = "key-$t->{id}";
    $t->{token} = $gateways[0]->tenant($t->{id}, project => $t->{project}, key => $t->{key});
}

# The clients: keep-alive connections, each to one gateway, in one loop.

my (@events, %count);
my $ids = 0;
my @clients = map { { gateway => $_ % @gateways, at => time + rand 0.05 } } 1 .. 24;

sub ask {
    my ($c) = @_;
    my $t = $c->{tenant} = $tenants[ rand @tenants ];
    my ($method, $target, $body) = ('GET', '', '');
    delete @$c{qw(families id leaves)};
    if (rand() < 0.12) {
        my $w = $writes[ rand @writes ];
        ($method, $target) = @$w;
        $c->{id} = ++$ids;
        $body = $JSON->encode({ id => $c->{id} });
        $c->{leaves} = time + 0.02 + rand 0.02 if rand() < 0.3;
    } else {
        my $r = $reads[ rand @reads ];
        ($target, @{ $c->{families} }) = @$r;
    }
    $c->{text} = "$method $target HTTP/1.1\r\nHost: a\r\nX-Api-Key: $t->{token}\r\n"
        . (length $body ? 'Content-Length: ' . length($body) . "\r\nContent-Type: application/json\r\n" : '') . "\r\n$body";
    $c->{target} = "$method $target";
    send_it($c);
}

sub send_it {
    my ($c) = @_;
    $c->{socket} ||= $gateways[ $c->{gateway} ]->connect || die "connect: $!";
    $c->{in} = '';
    $c->{begun} = time;
    syswrite $c->{socket}, $c->{text} or $c->{lost} = 1;
}

sub receive {
    my ($c) = @_;
    if (!sysread $c->{socket}, $c->{in}, 65536, length $c->{in}) {
        delete $c->{socket};
        return $c->{text} && send_it($c);    # a worker that ended: a reload
    }
    my ($head, $body) = split /\r\n\r\n/, $c->{in}, 2;
    return unless defined $body;
    if ($head =~ /^content-length: *(\d+)/mi) {
        return if length $body < $1;
    } elsif ($head =~ /^transfer-encoding: *chunked/mi) {
        return unless $body =~ s/0\r\n\r\n\z//;
        $body =~ s/^[0-9a-f]+\r\n(.*?)\r\n/$1/gms;
    }
    my ($status) = $head =~ m{^HTTP/1.1 (\d+)};
    my ($cache) = $head =~ /^x-cache-status: (\w+)/mi;
    my %e = (map { $_ => $c->{$_} } qw(gateway tenant target begun id families));
    my $said = $c->{id} ? undef : $status == 200 ? $JSON->decode($body) : undef;
    push @events, { %e, ended => time, status => $status, cache => $cache // '', said => $said };
    $count{ $c->{id} ? "write $status" : $status == 200 ? "read $cache" : "read $status" }++;
    delete $c->{text};
    delete $c->{socket} if $head =~ /^connection: *close/mi;
    $c->{at} = time + rand 0.01;
}

# The write of a client that leaves may have been made; it counts for no gateway.

sub leave {
    my ($c) = @_;
    close delete $c->{socket};
    push @events, { id => $c->{id}, target => "$c->{target}, client left", gateway => -1, ended => time };
    $count{'write left'}++;
    delete $c->{text};
    $c->{at} = time + rand 0.01;
}

# Runs the code in a process of its own: the clients go on meanwhile.

sub aside {
    my ($code) = @_;
    my $pid = fork // die "fork: $!";
    return $pid if $pid;
    $_->{owner} = 0 for @gateways, $up, $gateways[0]->redis;
    $code->();
    POSIX::_exit(0);
}

my $begun = time;
my @asides;
my ($purges, $purge_at) = (0, $begun + 1);
my @reload_at = map { $begun + $seconds * $_ } split ' ', $ENV{CACHE_RELOADS} // '0.4 0.7';
my $purged = File::Temp->new;
my @reloads;
my ($over, $ended);

# Whatever the speed of the machine: the load goes on until it has these.

my @kinds = ('read HIT', 'read MISS', map { "write $_" } qw(200 404 409 500 502 504 left));

sub enough {
    my $reads = grep { $_->{said} } @events;
    my $changes = grep { $_->{id} } @events;
    return $reads >= $least_reads && $changes >= 2 * $least_changes && !grep { !$count{$_} } @kinds;
}

while (1) {
    my $now = time;
    $over ||= $now > $begun + $seconds && enough() || $now > $begun + $seconds + 60;
    $ended ||= $now if $over;
    last if $over && !grep { $_->{text} } @clients;
    last if $over && $now > $ended + 10;
    my $select = IO::Select->new;
    my %of;
    for my $c (@clients) {
        ask($c) if !$c->{text} && !$over && $c->{at} <= $now;
        leave($c) if $c->{text} && $c->{leaves} && $c->{leaves} < $now;
        next unless $c->{socket};
        $select->add($c->{socket});
        $of{ $c->{socket} } = $c;
    }
    receive($of{$_}) for $select->can_read(0.003);

    if (!$over && $now > $purge_at) {
        my $t = $tenants[ rand @tenants ];
        my $id = 'purge' . ++$purges;
        $purge_at = $now + 0.7;
        push @asides, aside(sub {
            my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $up->port);
            syswrite $socket, "GET /v1/projects/$t->{project}/purge/$id HTTP/1.1\r\nHost: a\r\n\r\n";
            Gateway::read_response($socket);
            $gateways[0]->ctl('cache', 'purge', $t->{id});
            open my $f, '>>', $purged->filename;
            syswrite $f, $JSON->encode({ id => $id, ended => time, gateway => -1, target => 'purge' }) . "\n";
        });
    }
    if (@reload_at && $now > $reload_at[0]) {
        shift @reload_at;
        kill 'HUP', $gateways[ @reload_at % 2 ]->pid;
        push @reloads, { gateway => @reload_at % 2, at => $now };
    }
}
waitpid $_, 0 for @asides;

# The judgement of the answers

sub lines {
    my ($file) = @_;
    open my $f, '<', $file->filename or return;
    return map { $JSON->decode($_) } <$f>;
}

my %change;
for my $change (lines($log)) {
    my $new = $change{ $change->{id} } ||= { project => $change->{project}, new => {}, %$change{qw(n at silent)} };
    $new->{new}{$_} = $change->{new}{$_} for keys %{ $change->{new} };
}

# The gateway waits for the answer to a write whose client has left.

my %answered = map { @$_ } $up->answered;
for my $left (grep { $_->{id} && $_->{gateway} < 0 } @events) {
    my $change = $change{ $left->{id} } or next;
    my $until = $answered{ $change->{n} } // $change->{at} + ($change->{silent} ? $timeout + 0.05 : 0);
    $left->{ended} = $until if $left->{ended} < $until;
}

my @ends = sort { $a->{ended} <=> $b->{ended} } grep { $_->{id} && $change{ $_->{id} } && $change{ $_->{id} }{at} < $_->{ended} }
    @events, lines($purged);
my @judged = sort { $a->{begun} <=> $b->{begun} } grep { $_->{said} } @events;

# $must{gateway}{project}{family}: [version, when, what]

sub must {
    my ($must, $gateway, $end) = @_;
    my $change = $change{ $end->{id} };
    for my $family (keys %{ $change->{new} }) {
        my $v = $change->{new}{$family};
        my $now = $must->{$gateway}{ $change->{project} }{$family};
        $must->{$gateway}{ $change->{project} }{$family} = [ $v, $end ] if !$now || $now->[0] < $v;
    }
}

# Between the last event of the old worker and the subscription of the new one no
# event is received; then the generations are read again.

sub reloading {
    my ($read) = @_;
    return grep {
        $_->{gateway} == $read->{gateway} && $read->{begun} > $_->{at} && $read->{begun} < $_->{at} + 1
    } @reloads;
}

my (@foreign, @old, %must, %known);
my $lag = 0;
my ($here, $there) = (0, 0);
for my $read (@judged) {
    my ($t, $said) = @$read{qw(tenant said)};
    push @foreign, "$t->{id} at $read->{gateway}: $said->{project}, $said->{key}"
        if $said->{project} ne $t->{project} || $said->{key} ne $t->{key};

    while ($here < @ends && $ends[$here]{ended} <= $read->{begun}) {
        my $end = $ends[ $here++ ];
        must(\%must, $end->{gateway}, $end) if $end->{gateway} >= 0;
        must(\%known, $_, $end) for 0 .. $#gateways;
    }
    while ($there < @ends && $ends[$there]{ended} + $promise <= $read->{begun}) {
        my $end = $ends[ $there++ ];
        must(\%must, $_, $end) for 0 .. $#gateways;
    }
    for my $family (@{ $read->{families} }) {
        my $has = $said->{all}{$family} // 0;
        my $must = $must{ $read->{gateway} }{ $t->{project} }{$family};
        my $known = $known{ $read->{gateway} }{ $t->{project} }{$family};
        if ($known && $has < $known->[0]) {
            my $late = $read->{begun} - $known->[1]{ended};
            $lag = $late if $late > $lag;
        }
        next if !$must || $has >= $must->[0];
        next if $must->[1]{gateway} != $read->{gateway} && reloading($read);
        my $late = $read->{begun} - $must->[1]{ended};
        push @old, sprintf '%.3f s: %s %s at gateway %d (%s): %s %d, but %d since %.1f ms (%s at gateway %d, %s)',
            $read->{begun} - $begun, $t->{id}, $read->{target}, $read->{gateway}, $read->{cache}, $family, $has, $must->[0],
            $late * 1000, $must->[1]{target}, $must->[1]{gateway}, $must->[1]{status} // '';
    }
}

is scalar @foreign, 0, 'no answer is of another project or was made with another key' or diag join "\n", @foreign[ 0 .. 5 ];
is scalar @old, 0, 'no answer is older than it may be' or diag join "\n", grep { defined } @old[ 0 .. 9 ];
cmp_ok scalar @judged, '>=', $least_reads, scalar(@judged) . ' answers were judged';
cmp_ok scalar @ends, '>=', $least_changes, scalar(@ends) . ' changes were made';
is join(' ', grep { !$count{$_} } @kinds), '', 'all kinds of reads and writes were made';
is scalar(grep { $_->{text} } @clients), 0, 'every request was answered';
note "$_: $count{$_}" for sort keys %count;
note sprintf 'the oldest answer at the other gateway: %.1f ms after the change; %d purges', $lag * 1000, $purges;

$_->finish for @gateways;
done_testing;
diag "CACHE_SEED=$seed" unless Test::More->builder->is_passing;
