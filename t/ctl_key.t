#!/usr/bin/perl

# ampctl key: set, list, retire, and verify with a small upstream of the test.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::INET;
use JSON::PP;
use POSIX ();
use Test::More;

use Gateway::Ctl;
use Gateway::Redis;

my $redis = Gateway::Redis->start;
my $ctl   = Gateway::Ctl->new($redis);
my $log   = $ctl->dir . '/requests';

# Answers by the key of the request; each request is written to the log.

my %answers = (
    sk_canary_good   => [ 200, '{"id":"p1","name":"my-project"}' ],
    sk_canary_other  => [ 200, '{"id":"p2","name":"other"}' ],
    sk_canary_page   => [ 200, '<html>hello</html>' ],
    sk_canary_bare   => [ 200, '{}' ],
    sk_canary_bad    => [ 401, '{"title":"Unauthorized","detail":"key sk_canary_bad is unknown"}' ],
    sk_canary_denied => [ 403, '{"title":"Forbidden","detail":"scope frontend"}' ],
    sk_canary_none   => [ 404, '{"title":"Not Found"}' ],
    sk_canary_busy   => [ 429, '' ],
    sk_canary_broken => [ 500, "\x1b[31m" ],
    sk_canary_echo   => [ 200, '{"id":"p1","name":"sk_canary_echo"}' ],
    sk_canary_moved  => [ 302, '' ],
    sk_canary_huge   => [ 200, '{"id":"p1","pad":"' . 'x' x (2 << 20) . '"}' ],
);

my $listen = IO::Socket::INET->new(Listen => 8, LocalAddr => '127.0.0.1', ReuseAddr => 1) or die $!;
my $port   = $listen->sockport;
my $main   = $$;
my $server = fork // die $!;

if ($server == 0) {
    $SIG{$_} = 'DEFAULT' for qw(INT TERM);
    $SIG{PIPE} = 'IGNORE';
    while (my $c = $listen->accept) {
        my $request = '';
        while ($request !~ /\r\n\r\n/) { sysread $c, $request, 4096, length $request or last }
        open my $f, '>>', $log; print $f $request; close $f;
        my ($key) = $request =~ /^X-Api-Key: (\S+)/mi;
        if (($key // '') eq 'sk_canary_slow') { sysread $c, $request, 1; close $c; next }    # until ampctl gives up
        my ($status, $body) = @{ $answers{ $key // '' } // [ 418, '' ] };
        my $location = $status == 302 ? "Location: http://127.0.0.1:$port/elsewhere\r\n" : '';
        print $c "HTTP/1.1 $status X\r\n${location}Content-Length: " . length($body)
            . "\r\nConnection: close\r\n\r\n$body";
        close $c;
    }
    POSIX::_exit(0);
}

END { if (defined $main && $$ == $main && $server) { local $?; kill 'KILL', $server; waitpid $server, 0 } }

$ctl->{env}{AMPERSAND_UPSTREAM} = "http://127.0.0.1:$port";
is $ctl->run(qw(tenant add acme --project p1 --project-name my-project))->{code}, 0, 'a tenant';

sub record { decode_json $redis->command('GET', 'amp:tenant:acme') }
sub set { $ctl->json({ stdin => "$_[0]\n" }, qw(key set acme --key-file -)) }
sub requests { open my $f, '<', $log or return ''; local $/; my $text = <$f>; unlink $log; return $text }

subtest 'without a key' => sub {
    is_deeply $ctl->json(qw(key list acme))->{doc}, [], 'list';
    like $ctl->run(qw(key list acme))->{out}, qr/ampctl key set acme/, 'next step';
    my $r = $ctl->json(qw(key verify acme));
    is $r->{code}, 1, 'verify';
    is $r->{doc}{error}{code}, 'no_key', 'code';
};

subtest 'set: the new key is active, the one before retired' => sub {
    my $events = $redis->subscribe('amp:events');
    my $r = set('sk_canary_one');
    is $r->{code}, 0, 'done';
    is $r->{doc}{id}, 'k1', 'id';
    is decode_json($events->message(2))->{rev}, record()->{rev}, 'event';
    is set('sk_canary_two')->{doc}{id}, 'k2', 'next id';
    is_deeply [ map { "$_->{id} $_->{state}" } @{ $ctl->json(qw(key list acme))->{doc} } ],
        [ 'k2 active', 'k1 retired' ], 'list';
    like $ctl->run(qw(key list acme))->{out}, qr/^k1 +retired +[0-9a-f]{8}$/m, 'text';
};

subtest 'set: from a file; a file that others may read is taken with a warning' => sub {
    my $r = $ctl->run(qw(key set acme --key-file), $ctl->file('open', "sk_canary_three\r\n", 0644));
    is $r->{code}, 0, 'done';
    like $r->{err}, qr/warning: .*0644.*chmod 600/, 'warning';
    $r = $ctl->run(qw(key set acme --key-file), $ctl->file('closed', 'sk_canary_four', 0600));
    is $r->{err}, '', 'no warning for 0600';
};

subtest 'retire removes a key, never the active one' => sub {
    is_deeply $ctl->json(qw(key retire acme k1))->{doc},
        { tenant => 'acme', id => 'k1', retired => JSON::PP::true }, 'removed';
    is_deeply [ map { $_->{id} } @{ record()->{keys} } ], [qw(k4 k3 k2)], 'record';
    my $r = $ctl->json(qw(key retire acme k4));
    is $r->{code}, 1, 'active';
    is $r->{doc}{error}{code}, 'key_active', 'code';
    $r = $ctl->json(qw(key retire acme k1));
    is $r->{code}, 1, 'a removed key: exit 1';
    is $r->{doc}{error}{code}, 'not_found', 'code';
    is set('sk_canary_five')->{doc}{id}, 'k5', 'the id of a removed key is not used again';
};

subtest 'verify: an accepted key, with the same request as the gateway' => sub {
    set('sk_canary_good');
    my $r = $ctl->json(qw(key verify acme));
    is $r->{code}, 0, 'exit 0';
    is_deeply $r->{doc}, { tenant => 'acme', key => 'k6', accepted => JSON::PP::true, status => 200,
        project => { id => 'p1', name => 'my-project' } }, 'answer';
    my $request = requests();
    like $request, qr{\AGET /v1/projects/p1 HTTP/1}, 'request line';
    like $request, qr/^Host: api\.withampersand\.com\r$/m, 'Host';
    like $request, qr/^X-Api-Key: sk_canary_good\r$/m, 'key';
    like $request, qr{^User-Agent: ampctl/}m, 'User-Agent';
    like $ctl->run(qw(key verify acme))->{out}, qr/accepts key k6 of tenant acme for project p1, my-project/, 'text';
    is $ctl->run('key', 'verify', 'acme', '--upstream', "http://127.0.0.1:$port/")->{code}, 0, '--upstream with a slash';
};

subtest 'verify: an answer that does not repeat the project' => sub {
    set('sk_canary_bare');
    my $r = $ctl->json(qw(key verify acme));
    is $r->{code}, 0, 'exit 0';
    is $r->{doc}{project}, undef, 'no project';
    like $ctl->run(qw(key verify acme))->{out}, qr/accepts key k\d+ of tenant acme for project p1$/m, 'text';
};

subtest 'verify: every other answer' => sub {
    for my $case (
        [ sk_canary_other  => 1, 'other_project', qr/project p2, not p1/ ],
        [ sk_canary_page   => 3, 'ampersand_answer', qr/not Ampersand's/ ],
        [ sk_canary_bad    => 1, 'key_refused', qr/401/ ],
        [ sk_canary_denied => 1, 'key_refused', qr/403: scope frontend/ ],
        [ sk_canary_none   => 1, 'other_project', qr/404: Not Found/ ],
        [ sk_canary_busy   => 3, 'ampersand_unreachable', qr/429/ ],
        [ sk_canary_broken => 3, 'ampersand_unreachable', qr/500/ ],
        [ sk_canary_echo   => 3, 'ampersand_answer', qr/./ ],
        [ sk_canary_moved  => 3, 'ampersand_unreachable', qr/302/ ],
    ) {
        my ($key, $code, $word, $text) = @$case;
        set($key);
        my $r = $ctl->json(qw(key verify acme));
        is $r->{code}, $code, $key;
        is $r->{doc}{accepted}, JSON::PP::false, 'not accepted';
        is $r->{doc}{error}{code}, $word, 'code';
        like $r->{doc}{error}{message}, $text, 'message';
        ok length $r->{doc}{error}{remedy}, 'remedy';
        $r = $ctl->run(qw(key verify acme));
        is $r->{code}, $code, 'the same exit code as text';
        is $r->{out}, '', 'on stderr';
    }
    unlike requests(), qr/elsewhere/, 'a redirect is not followed';
};

subtest 'verify: an upstream that is down, too slow, or answers too much' => sub {
    set('sk_canary_slow');
    my $r = $ctl->json(qw(key verify acme --timeout 300ms));
    is $r->{code}, 3, 'slow';
    like $r->{doc}{error}{message}, qr/within 300 ms/, 'message';
    set('sk_canary_huge');
    is $ctl->json(qw(key verify acme))->{code}, 3, 'an endless answer';
    my $free = Gateway::Redis::free_port();
    $r = $ctl->json('key', 'verify', 'acme', '--upstream', "http://127.0.0.1:$free");
    is $r->{code}, 3, 'no server listens';
    is $r->{doc}{error}{code}, 'ampersand_unreachable', 'code';
};

subtest 'verify: a self-signed certificate is refused' => sub {
    my $dir = $ctl->dir;
    plan skip_all => 'no openssl command' if system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 "
        . "-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -keyout $dir/tls.key -out $dir/tls.crt 2>/dev/null") != 0;
    set('sk_canary_tls');
    my $tls = Gateway::Redis::free_port();
    my $pid = fork // die $!;
    if ($pid == 0) {
        $SIG{$_} = 'DEFAULT' for qw(INT TERM);
        open STDIN, '<', '/dev/null'; open STDOUT, '>', "$dir/tls.log"; open STDERR, '>&', \*STDOUT;
        exec 'openssl', 's_server', '-quiet', '-accept', "127.0.0.1:$tls", '-key', "$dir/tls.key", '-cert', "$dir/tls.crt"
            or POSIX::_exit(127);
    }
    for (1 .. 100) {
        last if IO::Socket::INET->new(PeerAddr => "127.0.0.1:$tls");
        select undef, undef, undef, 0.05;
    }
    my $r = $ctl->json('key', 'verify', 'acme', '--upstream', "https://127.0.0.1:$tls", '--timeout', '3s');
    kill 'KILL', $pid; waitpid $pid, 0;
    is $r->{code}, 3, 'exit 3';
    is $r->{doc}{error}{code}, 'ampersand_tls', 'code';
    open my $f, '<', "$dir/tls.log"; local $/;
    unlike <$f>, qr/sk_canary/, 'the key was not sent';
};

unlike $ctl->said, qr/sk_canary/, 'no command has printed a key';

done_testing;
