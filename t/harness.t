# The harness itself: a test file fails when its gateway leaves an alert or a
# crash in the error log, with finish() or without, and whatever ampctl and
# nginx -t write when they crash.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Temp ();
use Gateway;
use Test::More;

# A test file of its own: its exit status and all that it prints.

sub run_test {
    my ($code, %env) = @_;
    my $file = File::Temp->new(SUFFIX => '.t');
    print $file "use lib '$FindBin::Bin/lib'; use Gateway; use Test::More;\n$code\npass 'all well';\ndone_testing;\n";
    close $file;
    local @ENV{ keys %env } = values %env;
    my $text = qx($^X $file 2>&1);
    return ($? >> 8, $text);
}

my $start = 'our $gw = Gateway->start;';
my $plant = 'sub plant { my ($gw, $line) = @_; open my $f, ">>", $gw->dir . "/logs/error.log" or die $!; print $f "$line\n"; close $f }';
my $alert = '2026/01/01 00:00:00 [alert] 1#1: planted';
my $crash = '2026/01/01 00:00:00 [notice] 1#1: worker process 2 exited on signal 11';
my $kill  = '2026/01/01 00:00:00 [alert] 1#1: worker process 2 exited on signal 9';

for my $case (
    [ 'a clean log',                           0, "$start \$gw->finish;" ],
    [ 'a clean log, no finish()',              0, $start ],
    [ 'an alert',                              1, "$start plant(\$gw, '$alert'); \$gw->finish;" ],
    [ 'an alert, no finish()',                 1, "$start plant(\$gw, '$alert');" ],
    [ 'an alert, the gateway leaves its scope', 1, "{ my \$gw = Gateway->start; plant(\$gw, '$alert'); }" ],
    [ 'an alert, stop() only',                 1, "$start plant(\$gw, '$alert'); \$gw->stop;" ],
    [ 'a crash',                               1, "$start plant(\$gw, '$crash'); \$gw->finish;" ],
    [ 'a sanitizer report',                    1, "$start plant(\$gw, '==1==ERROR: AddressSanitizer: x'); \$gw->finish;" ],
    [ 'UBSan',                                 1, "$start plant(\$gw, 'a.c:1:1: runtime error: x'); \$gw->finish;" ],
    [ 'a worker that was killed',              1, "$start plant(\$gw, '$kill'); \$gw->finish;" ],
    [ 'a worker that the test has killed',     0, "$start plant(\$gw, '$kill'); \$gw->finish(killed => 1);" ],
) {
    my ($name, $fails, $code) = @$case;
    my ($status, $text) = run_test("$plant $code");
    is $status ? 1 : 0, $fails, $name . ($fails ? ': the file fails' : ': the file passes') or diag $text;
}

# ampctl and nginx that die by a signal, or that a sanitizer stops.

my $dir = File::Temp->newdir;
my %fake = (
    signal    => "kill -SEGV \$\$",
    sanitizer => "echo 'ERROR: AddressSanitizer: x' >&2; exit 1",
);
for my $how (sort keys %fake) {
    open my $f, '>', "$dir/$how" or die $!;
    print $f "#!/bin/sh\n$fake{$how}\n";
    close $f;
    chmod 0755, "$dir/$how";
    my ($status, $text) = run_test('eval { Gateway->start; 1 } or like $@, qr/ampctl crashed/;', AMPCTL => "$dir/$how");
    is $status, 0, "ampctl, $how: noticed" or diag $text;
    ($status, $text) = run_test('eval { Gateway->configtest("events {}"); fail; 1 } or like $@, qr/nginx -t crashed/;', NGINX_BINARY => "$dir/$how");
    is $status, 0, "nginx -t, $how: noticed" or diag $text;
}

done_testing;
