package Ampersand::Emulator::Request;
use Mojo::Base 'Mojo::Message::Request', -signatures;

# A request that also keeps the raw bytes: Mojo's parser normalises the target and loses the
# order of the headers, and tests of a gateway compare both.

use Ampersand::Emulator::Headers;

has [qw(api id operation record started)];
has target => '';

sub new ($class, @args) {
  my $self = $class->SUPER::new(@args);
  $self->max_line_size(65536)->max_message_size(64 * 1024 * 1024);
  $self->content->auto_upgrade(0)->headers(Ampersand::Emulator::Headers->new(max_line_size => 65536));
  return $self;
}

sub extract_start_line ($self, $buffer) {
  $self->target($1) if $$buffer =~ /^\s*\S+\s+(\S+)\s+HTTP/;
  return $self->SUPER::extract_start_line($buffer);
}

sub host ($self) { lc(($self->headers->host // '') =~ s/:\d*$//r) }

sub raw_path ($self) { $self->target =~ s!^[a-z]+://[^/?]*!!ir =~ s/\?.*//sr || '/' }

sub raw_query ($self) { $self->target =~ /\?(.*)/s ? $1 : '' }

sub pairs ($self) { $self->headers->pairs }

1;
