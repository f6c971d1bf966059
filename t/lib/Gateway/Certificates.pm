package Gateway::Certificates;

# An authority of the test's own and what it signed, made by openssl; gone with
# the object.
#
#   my $certs = Gateway::Certificates->new;
#   $certs->ca;                         # what to trust
#   $certs->file('server.pem'); $certs->file('server.key');
#
#   server    127.0.0.1, ::1, localhost and redis.test
#   client    for a client that must prove itself
#   name      signed, but for other.test alone
#   expired   ended yesterday
#   early     begins tomorrow
#   foreign   names like server's, signed by another authority (foreign_ca.pem)
#
#   $certs->sign(name, 'DNS:a.test,DNS:b.test', -1, 30);   # one more, valid from and to: days from now
#
# The keys are 0600 and belong to whoever runs the test.

use strict;
use warnings;

use File::Temp ();
use POSIX ();

my $OURS = 'IP:127.0.0.1,IP:::1,DNS:localhost,DNS:redis.test';

sub new {
    my ($class) = @_;
    my $self = bless { tmp => File::Temp->newdir('certs.XXXXXX', TMPDIR => 1) }, $class;
    chmod 0755, $self->dir;    # nginx's workers may run as another user

    $self->_authority($_) for qw(ca foreign_ca);
    $self->_sign(server  => 'ca', $OURS, -1, 2);
    $self->_sign(client  => 'ca', 'DNS:gateway.test', -1, 2);
    $self->_sign(name    => 'ca', 'DNS:other.test', -1, 2);
    $self->_sign(expired => 'ca', $OURS, -2, -1);
    $self->_sign(early   => 'ca', $OURS, 1, 2);
    $self->_sign(foreign => 'foreign_ca', $OURS, -1, 2);
    return $self;
}

sub dir  { $_[0]{tmp}->dirname }
sub file { my ($self, $name) = @_; return $self->dir . "/$name" }
sub ca   { $_[0]->file('ca.pem') }

sub _openssl {
    my ($self, @args) = @_;
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        umask 077;
        chdir $self->dir or POSIX::_exit(126);
        open STDIN,  '<', '/dev/null';
        open STDOUT, '>', 'openssl.out';
        open STDERR, '>&', \*STDOUT;
        exec 'openssl', @args or POSIX::_exit(127);
    }
    waitpid $pid, 0;
    return if $? == 0;
    open my $f, '<', $self->file('openssl.out');
    die join '', "openssl @args\n", <$f>;
}

sub _write {
    my ($self, $name, $text) = @_;
    open my $f, '>', $self->file($name) or die "$name: $!";
    print $f $text;
    close $f or die "$name: $!";
}

sub _request {
    my ($self, $name, @how) = @_;
    $self->_openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
        '-keyout', "$name.key", '-subj', "/CN=$name", @how);
}

sub _authority {
    my ($self, $name) = @_;
    $self->_request($name, '-x509', '-days', 3, '-out', "$name.pem");
    chmod 0644, $self->file("$name.pem");
    $self->_write("$name.db", '');
}

sub sign { my ($self, $name, @how) = @_; return $self->_sign($name, 'ca', @how) }

# Valid from and to: days from now.

sub _sign {
    my ($self, $name, $ca, $names, $from, $to) = @_;
    my ($start, $end) = map { POSIX::strftime('%Y%m%d%H%M%SZ', gmtime(time + $_ * 86400)) } $from, $to;
    $self->_request($name, '-out', "$name.csr");
    $self->_write("$name.cnf", <<"CNF");
[ca]
default_ca = us
[us]
database = $ca.db
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
x509_extensions = names
unique_subject = no
[any]
commonName = supplied
[names]
subjectAltName = $names
CNF
    $self->_openssl('ca', '-batch', '-notext', '-config', "$name.cnf", '-cert', "$ca.pem",
        '-keyfile', "$ca.key", '-in', "$name.csr", '-out', "$name.pem",
        '-startdate', $start, '-enddate', $end);
    chmod 0644, $self->file("$name.pem");
}

1;
