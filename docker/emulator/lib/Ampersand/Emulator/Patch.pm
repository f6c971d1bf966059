package Ampersand::Emulator::Patch;
use Mojo::Base -strict, -signatures;

# The two ways in which Ampersand edits a record: updateMask and JSON Patch.

use Ampersand::Emulator::Call qw(issue);
use Ampersand::Emulator::Store qw(now);
use Exporter qw(import);
use Storable qw(dclone);

our @EXPORT_OK = qw(apply_changes apply_mask);

# Copies the fields that updateMask names, and no others, from the body's object to the record.
# In the list of what may be named, "*" stands for one segment.
sub apply_mask ($call, $record, $object, @allowed) {
  my ($mask, $source) = @{$call->body}{'updateMask', $object};
  my $allowed = join '|', map { quotemeta =~ s/\\\*/[^.]+/gr } @allowed;
  my @issues;
  for my $path (@$mask) {
    if (ref $path || $path !~ /^(?:$allowed)$/) { push @issues, mask_issue("'$path' cannot be updated", $path) }
    elsif (!defined reach($source, split /\./, $path)) { push @issues, mask_issue("$object has no value at '$path'", $path) }
  }
  $call->invalid(@issues) if @issues;

  for my $path (@$mask) {
    my @steps = split /\./, $path;
    my $value = reach($source, @steps);
    my ($last, $target) = (pop @steps, $record);
    $target = $target->{$_} //= {} for @steps;
    $target->{$last} = ref $value ? dclone $value : $value;
  }
  $record->{updateTime} = now();
  return $record;
}

sub mask_issue ($detail, $path) { issue(body => 'updateMask', $detail, $path) }

sub reach ($value, @steps) {
  for my $step (@steps) {
    return undef unless ref $value eq 'HASH';
    $value = $value->{$step};
  }
  return $value;
}

# All changes or none: they are made on a copy, which is returned.
sub apply_changes ($call, $document, $changes) {
  my $copy = dclone $document;
  for my $change (@$changes) {
    my ($op, $path, $value) = ref $change eq 'HASH' ? @$change{qw(op path value)} : ();
    my $bad = sub ($why) { $call->invalid(issue(body => 'changes', $why, $path)) };
    $bad->('a change needs an op (add, remove, replace) and a path that starts with /')
      unless ($op // '') =~ /^(?:add|remove|replace)$/ && ($path // '') =~ m!^/.!;

    my @steps  = map {s/~1/\//gr =~ s/~0/~/gr} split m!/!, substr($path, 1), -1;
    my $last   = pop @steps;
    my $target = $copy;
    for my $step (@steps) {
      $target = ref $target eq 'HASH' ? $target->{$step} : ref $target eq 'ARRAY' && $step =~ /^\d+$/ ? $target->[$step] : undef;
    }
    my $done
      = ref $target eq 'HASH'  ? change_member($target, $op, $last, $value)
      : ref $target eq 'ARRAY' ? change_element($target, $op, $last, $value)
      :                          0;
    $bad->("there is nothing to $op at '$path'") unless $done;
  }
  return $copy;
}

sub change_member ($hash, $op, $name, $value) {
  return 0 if $op ne 'add' && !exists $hash->{$name};
  $op eq 'remove' ? delete $hash->{$name} : ($hash->{$name} = $value);
  return 1;
}

sub change_element ($list, $op, $index, $value) {
  $index = @$list if $op eq 'add' && $index eq '-';
  return 0 unless $index =~ /^\d+$/ && $index < @$list + ($op eq 'add');
  splice @$list, $index, $op ne 'add', $op eq 'remove' ? () : $value;
  return 1;
}

1;
