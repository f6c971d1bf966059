package Ampersand::Emulator::Headers;
use Mojo::Base 'Mojo::Headers', -signatures;

# Headers in the order and spelling in which they were received.

has pairs => sub { [] };

sub add ($self, $name, @values) {
  push @{$self->pairs}, map { [$name, $_] } @values;
  return $self->SUPER::add($name, @values);
}

1;
