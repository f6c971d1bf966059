package Gateway::Browser;

# A page in Debian's chromium, without a screen, over its DevTools protocol.
#
#   my $why = Gateway::Browser->missing;         why there is none, or nothing
#   my $browser = Gateway::Browser->start;
#   $browser->size(320, 640);
#   $browser->dark(1);                           prefers-color-scheme
#   $browser->visit($url);
#   my $value = $browser->js('document.title');  a promise is awaited
#   $browser->wait_for('expression') or ...;
#   $browser->errors;                            of the console, since the last call
#   $browser->requests;                          URLs of all that was loaded
#   $browser->screenshot($file);

use strict;
use warnings;

use File::Temp ();
use JSON::PP ();
use MIME::Base64 qw(decode_base64);
use Time::HiRes qw(sleep time);

my $program = $ENV{CHROMIUM} || '/usr/bin/chromium';

sub missing {
    return "$program is not installed" if !-x $program;
    return 'Mojolicious is not installed' if !eval { require Mojo::UserAgent; 1 };
    return;
}

sub start {
    my ($class) = @_;
    my $dir = File::Temp->newdir('browser.XXXXXX', TMPDIR => 1);
    my $self = bless { dir => $dir, id => 0, errors => [], requests => [] }, $class;

    $self->{pid} = fork // die "fork: $!";
    if (!$self->{pid}) {
        setpgrp 0, 0;
        open STDIN, '<', File::Spec->devnull;
        open STDOUT, '>', "$dir/out";
        open STDERR, '>&', \*STDOUT;
        $ENV{HOME} = "$dir";
        exec $program, qw(--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --disable-extensions
            --disable-background-networking --disable-component-update --force-color-profile=srgb
            --remote-debugging-port=0), "--user-data-dir=$dir", 'about:blank' or die "$program: $!";
    }

    my $port = $self->_until(sub {
        open my $f, '<', "$dir/DevToolsActivePort" or return;
        my ($n) = map { /^(\d+)$/ } scalar <$f> // '';
        return $n;
    }) or die "chromium did not start\n";

    $self->{ua} = Mojo::UserAgent->new(inactivity_timeout => 0, connect_timeout => 60, request_timeout => 0)->max_response_size(0);
    my $page = $self->_until(sub {
        my $list = eval { $self->{ua}->get("http://127.0.0.1:$port/json/list")->result->json } || [];
        return (grep { $_->{type} eq 'page' } @$list)[0];
    }) or die "chromium has no page\n";

    $self->{ua}->websocket($page->{webSocketDebuggerUrl} => sub {
        my ($ua, $tx) = @_;
        $self->{tx} = $tx;
        $tx->max_websocket_size(64 * 1024 * 1024);
        $tx->on(text => sub { $self->_message(JSON::PP::decode_json($_[1])) });
    });
    $self->_loop(sub { $self->{tx} }) or die "chromium does not answer\n";
    $self->call("$_.enable") for qw(Page Runtime Log Network);
    return $self;
}

sub _until {
    my ($self, $test) = @_;
    for (my $end = time + 60; time < $end; sleep 0.05) {
        my $result = $test->();
        return $result if $result;
    }
    return;
}

# Runs the event loop until the test is true.

sub _loop {
    my ($self, $test) = @_;
    my $end = time + 60;
    while (!$test->()) {
        return if time > $end;
        my $timer = Mojo::IOLoop->timer(0.05 => sub { });
        Mojo::IOLoop->one_tick;
        Mojo::IOLoop->remove($timer);
    }
    return 1;
}

sub _message {
    my ($self, $message) = @_;
    my ($method, $params) = @$message{qw(method params)};

    return $self->{answers}{ $message->{id} } = $message if $message->{id};

    if ($method eq 'Runtime.exceptionThrown') {
        my $details = $params->{exceptionDetails};
        push @{ $self->{errors} }, $details->{exception}{description} // $details->{text};

    } elsif ($method eq 'Log.entryAdded' && $params->{entry}{level} =~ /^(?:error|warning)$/) {
        push @{ $self->{errors} }, join ' ', grep { defined } @{ $params->{entry} }{qw(text url)};

    } elsif ($method eq 'Runtime.consoleAPICalled' && $params->{type} =~ /^(?:error|warning|assert)$/) {
        push @{ $self->{errors} }, join ' ', map { $_->{value} // $_->{description} // '' } @{ $params->{args} };

    } elsif ($method eq 'Network.requestWillBeSent') {
        push @{ $self->{requests} }, $params->{request}{url};

    } elsif ($method eq 'Page.loadEventFired') {
        $self->{loaded} = 1;
    }
    return;
}

sub call {
    my ($self, $method, %params) = @_;
    my $id = ++$self->{id};
    $self->{tx}->send({ text => JSON::PP::encode_json({ id => $id, method => $method, params => \%params }) });
    $self->_loop(sub { $self->{answers}{$id} }) or die "chromium does not answer to $method\n";
    my $answer = delete $self->{answers}{$id};
    die "$method: $answer->{error}{message}\n" if $answer->{error};
    return $answer->{result};
}

sub visit {
    my ($self, $url) = @_;
    $self->{loaded} = 0;
    $self->call('Page.navigate', url => $url);
    return $self->_loop(sub { $self->{loaded} });
}

sub js {
    my ($self, $expression) = @_;
    my $got = $self->call('Runtime.evaluate', expression => $expression, returnByValue => JSON::PP::true, awaitPromise => JSON::PP::true);
    die "$expression: " . ($got->{exceptionDetails}{exception}{description} // $got->{exceptionDetails}{text}) . "\n"
        if $got->{exceptionDetails};
    return $got->{result}{value};
}

sub wait_for {
    my ($self, $expression) = @_;
    return $self->_until(sub { $self->js($expression) });
}

sub type {
    my ($self, $text) = @_;
    return $self->call('Input.insertText', text => $text);
}

sub key {
    my ($self, $key, $code) = @_;
    $self->call('Input.dispatchKeyEvent', type => $_, key => $key, code => $key, windowsVirtualKeyCode => $code,
        $_ eq 'keyDown' && $key eq 'Enter' ? (text => "\r") : ()) for qw(keyDown keyUp);
    return;
}

sub size {
    my ($self, $width, $height) = @_;
    return $self->call('Emulation.setDeviceMetricsOverride', width => $width, height => $height, deviceScaleFactor => 1,
        mobile => JSON::PP::false);
}

sub dark {
    my ($self, $on) = @_;
    return $self->call('Emulation.setEmulatedMedia', features => [ { name => 'prefers-color-scheme', value => $on ? 'dark' : 'light' } ]);
}

sub errors { my ($self) = @_; my @errors = splice @{ $self->{errors} }; return @errors }

sub requests { return @{ $_[0]{requests} } }

sub screenshot {
    my ($self, $file) = @_;
    my $got = $self->call('Page.captureScreenshot', format => 'png');
    open my $f, '>:raw', $file or die "$file: $!";
    print $f decode_base64($got->{data});
    return close $f;
}

sub DESTROY {
    my ($self) = @_;
    local ($?, $@);
    if ($self->{pid}) {
        kill 'KILL', -$self->{pid};
        waitpid $self->{pid}, 0;
    }
    return;
}

1;
