package Ampersand::Emulator::Record;
use Mojo::Base -strict, -signatures;

# Records at the provider, for the read, write and search APIs: a record that was written can be found by a search.

use Ampersand::Emulator::Call      qw(issue);
use Ampersand::Emulator::Operation qw(start_operation);
use Ampersand::Emulator::Store     qw(new_id now);
use Mojo::JSON qw(false true);

sub installation ($call, $group_ref) {
  my $integration = $call->one(integrations => id => $call->param('integrationId'));
  return $call->find(installations => integrationId => $integration->{id}, groupRef => $group_ref)
    // $call->fail(404, 'This group has no installation of the integration.');
}

sub place ($installation, $object) { (map { $_ => $installation->{$_} } qw(integrationId groupRef)), objectName => $object }

sub triggerRead ($call) {
  my $installation = installation($call, $call->body->{groupRef});
  return {operationId => start_operation($call, $installation, read => $call->param('objectName'))->{id}};
}

sub deliverResults ($call) {
  installation($call, $call->body->{groupRef});
  my $pages = $call->body->{pages};
  $call->invalid(issue(body => 'pages', 'pages must be a positive number', $pages)) unless $pages =~ /^[1-9]\d*$/;
  return;
}

sub writeRecords ($call) {
  my $body         = $call->body;
  my $installation = installation($call, $body->{groupRef});
  my $object       = $call->param('objectName');
  my @records      = $body->{batch} ? map { ref eq 'HASH' ? $_->{record} : undef } @{$body->{batch}} : $body->{record};
  $call->invalid(issue(body => $body->{batch} ? 'batch' : 'record', 'a record to write is required'))
    if !@records || grep { ref ne 'HASH' } @records;

  my @results   = map { write_one($call, $body->{type}, $_, place($installation, $object)) } @records;
  my @written   = grep { $_->{success} } @results;
  my $operation = start_operation(
    $call, $installation,
    write    => $object,
    result   => sprintf('Write completed (%d succeeded, %d failed)', scalar @written, @results - @written),
    metadata => {successfulRecordIds => [map { $_->{recordId} } @written]},
  );
  my %answer = (operationId => $operation->{id});
  return \%answer if ($body->{mode} // '') eq 'asynchronous';
  return {%answer, result => $results[0]} unless $body->{batch};
  return {%answer, successCount => scalar @written, failureCount => @results - @written, results => \@results};
}

sub write_one ($call, $type, $fields, %place) {
  my $id = $type eq 'create' ? new_id() : $fields->{id} // '';
  my $record = $call->find(records => %place, id => $id);
  if    ($type eq 'create') { $record = $call->insert(records => {%place, id => $id, fields => {%$fields, id => $id}}) }
  elsif (!$record)          { return {success => false} }
  elsif ($type eq 'delete') { $call->remove(records => %place, id => $id); return {success => true, recordId => $id} }
  else { $record->{fields} = {%{$record->{fields}}, %$fields}; $record->{updateTime} = now() }
  return {success => true, recordId => $id, data => $record->{fields}};
}

sub searchRecords ($call) {
  my $installation = installation($call, $call->query->param('groupRef'));
  my @filters      = @{$call->body->{fieldFilters}};
  $call->invalid(issue(body => 'fieldFilters', 'a filter needs a fieldName, the operator eq and a value'))
    if grep { ref ne 'HASH' || !length($_->{fieldName} // '') || ($_->{operator} // '') ne 'eq' || !exists $_->{value} } @filters;

  my @found = grep {
    my $fields = $_->{fields};
    !grep { !defined $fields->{$_->{fieldName}} || $fields->{$_->{fieldName}} ne ($_->{value} // '') } @filters
  } $call->list('records', place($installation, $call->body->{objectName}));
  return {result => [map { {fields => $_->{fields}, mappedFields => {}, raw => $_->{fields}} } @found]};
}

1;
