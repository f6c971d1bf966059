package Ampersand::Emulator::Operation;
use Mojo::Base -strict, -signatures;

# Operations (reads and writes that ran), their logs and their progress.

use Ampersand::Emulator::Call  qw(issue);
use Ampersand::Emulator::Store qw(new_id now);
use Exporter   qw(import);
use Mojo::JSON qw(false true);
use Mojo::Util qw(b64_decode b64_encode);

our @EXPORT_OK = qw(start_operation);

use constant {PAGE_SIZE => 200, PAGE_SIZE_MAX => 1000};

# An operation is complete when it is answered: nothing runs in the background.
sub start_operation ($call, $installation, $action, $object, %more) {
  my $id        = new_id();
  my %metadata  = (objects => [$object], %{$more{metadata} // {}});
  $metadata{progress} = {
    installationId        => $installation->{id},
    objectName            => $object,
    operationId           => $id,
    recordsProcessed      => 100,
    recordsEstimatedTotal => 100,
  } if $action eq 'read';
  my $operation = $call->insert(
    operations => {
      id             => $id,
      installationId => $installation->{id},
      integrationId  => $installation->{integrationId},
      configId       => $installation->{config}{id},
      actionType     => $action,
      status         => 'success',
      result         => $more{result} // "[$object] $action done",
      metadata       => \%metadata,
      updateTime     => now(),
    }
  );
  log_operation($call, $operation, "$action of $object $_") for qw(started done);
  return $operation;
}

sub log_operation ($call, $operation, $text) {
  $call->insert(
    operationLogs => {
      operationId => $operation->{id},
      timestamp   => now(),
      severity    => 'INFO',
      message     => {msg => $text, operation_id => $operation->{id}},
    }
  );
}

sub view ($operation) {
  return {
    map { $_ => $operation->{$_} }
    grep { defined $operation->{$_} } qw(id projectId integrationId installationId configId actionType status result metadata createTime)
  };
}

sub installation ($call) {
  return $call->one(installations => id => $call->param('installationId'), integrationId => $call->param('integrationId'));
}

# Newest first. The page token names the last operation of the page before, so that new
# operations do not shift the next page.
sub listOperations ($call) {
  my $size = $call->query->param('pageSize') // PAGE_SIZE;
  $call->invalid(issue(query => 'pageSize', 'pageSize must be a number from 1 to ' . PAGE_SIZE_MAX, $size))
    unless $size =~ /^\d{1,4}$/ && $size >= 1 && $size <= PAGE_SIZE_MAX;

  my @operations = reverse $call->list('operations', installationId => installation($call)->{id});
  if (defined(my $token = $call->query->param('pageToken'))) {
    my $last = b64_decode $token =~ tr!-_!+/!r;
    my ($index) = grep { $operations[$_]{id} eq $last } 0 .. $#operations;
    $call->invalid(issue(query => 'pageToken', 'there is no such page', $token)) unless defined $index;
    splice @operations, 0, $index + 1;
  }
  my @page = splice @operations, 0, $size;
  my %pagination = (done => @operations ? false : true);
  $pagination{nextPageToken} = b64_encode($page[-1]{id}, '') =~ tr!+/=!-_!dr if @operations;
  return {results => [map { view($_) } @page], pagination => \%pagination};
}

sub getOperation ($call) { view($call->one(operations => id => $call->param('operationId'))) }

sub listOperationLogs ($call) {
  my $operation = $call->one(operations => id => $call->param('operationId'));
  return [
    map { {timestamp => $_->{timestamp}, severity => $_->{severity}, message => $_->{message}} }
      $call->list('operationLogs', operationId => $operation->{id})
  ];
}

sub getBackfillProgress ($call) {
  my $object = $call->param('objectName');
  my ($read) = reverse grep { ($_->{metadata}{progress}{objectName} // '') eq $object }
    $call->list('operations', installationId => installation($call)->{id}, actionType => 'read');
  $call->fail(404, 'This object has not been read for the installation.') unless $read;
  return {%{$read->{metadata}{progress}}, createTime => $read->{createTime}, updateTime => $read->{updateTime} // $read->{createTime}};
}

1;
