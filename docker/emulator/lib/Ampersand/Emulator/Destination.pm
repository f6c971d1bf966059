package Ampersand::Emulator::Destination;
use Mojo::Base -strict, -signatures;

# Destinations, topics, and the routes from events to topics and from topics to destinations.

use Ampersand::Emulator::Call  qw(issue);
use Ampersand::Emulator::Patch qw(apply_mask);
use Ampersand::Emulator::Store qw(new_secret now);

sub view ($record, @fields) {
  return {map { $_ => $record->{$_} } grep { defined $record->{$_} } 'id', @fields, qw(createTime updateTime)};
}

sub destination_view ($destination, $secrets = 0) {
  my $view = view($destination, qw(name type metadata));
  $view->{secrets} = {webhookSigningKey => $destination->{webhookSigningKey}} if $secrets;
  return $view;
}

sub topic_view ($topic) { view($topic, qw(name projectId)) }

sub event_route_view ($route) { view($route, qw(eventType topicId projectId)) }

sub destination_route_view ($route) { view($route, qw(topicId destinationId projectId)) }

# By id or by name: the documents say either, depending on the operation.
sub by_id_or_name ($call) {
  my $wanted = $call->param('destination');
  return $call->find(destinations => id => $wanted) // $call->one(destinations => name => $wanted);
}

sub listDestinations ($call) { [map { destination_view($_) } $call->list('destinations')] }

sub createDestination ($call) {
  $call->unique(destinations => $call->body->{name});
  return destination_view(
    $call->insert(destinations => {$call->given(qw(name type metadata secrets)), webhookSigningKey => new_secret('whsec')}));
}

sub getDestination ($call) {
  my $destination = by_id_or_name($call);
  @$destination{qw(webhookSigningKey updateTime)} = (new_secret('whsec'), now()) if $call->flag('rotate');
  return destination_view($destination, $call->flag('includeSecrets'));
}

sub updateDestination ($call) {
  return destination_view(apply_mask($call, by_id_or_name($call), 'destination', qw(name metadata.* secrets secrets.*)));
}

sub deleteDestination ($call) {
  my $destination = by_id_or_name($call);
  $call->remove(topicDestinationRoutes => destinationId => $destination->{id});
  $call->remove(destinations           => id            => $destination->{id});
  return;
}

sub listTopics ($call) { [map { topic_view($_) } $call->list('topics')] }

sub createTopic ($call) {
  $call->unique(topics => $call->body->{name});
  return topic_view($call->insert(topics => {$call->given('name')}));
}

sub updateTopic ($call) {
  my $topic = $call->one(topics => id => $call->param('topicId'));
  @$topic{qw(name updateTime)} = ($call->body->{name}, now());
  return topic_view($topic);
}

sub deleteTopic ($call) {
  my $topic = $call->remove_one(topics => id => $call->param('topicId'));
  $call->remove($_ => topicId => $topic->{id}) for qw(eventTopicRoutes topicDestinationRoutes);
  return;
}

sub check_exists ($call, $kind, $field) {
  my $id = $call->body->{$field};
  $call->invalid(issue(body => $field, "there is no such record of $kind", $id)) unless $call->find($kind, id => $id);
}

sub listEventTopicRoutes ($call) {
  return [map { event_route_view($_) } $call->list('eventTopicRoutes', $call->filter(qw(topicId eventType)))];
}

sub createEventTopicRoute ($call) {
  check_exists($call, topics => 'topicId');
  return event_route_view($call->insert(eventTopicRoutes => {$call->given(qw(eventType topicId))}));
}

sub deleteEventTopicRoute ($call) { $call->remove_one(eventTopicRoutes => id => $call->param('routeId')); return }

sub listTopicDestinationRoutes ($call) {
  return [map { destination_route_view($_) } $call->list('topicDestinationRoutes', $call->filter(qw(topicId destinationId)))];
}

sub createTopicDestinationRoute ($call) {
  check_exists($call, topics       => 'topicId');
  check_exists($call, destinations => 'destinationId');
  return destination_route_view($call->insert(topicDestinationRoutes => {$call->given(qw(topicId destinationId))}));
}

sub deleteTopicDestinationRoute ($call) { $call->remove_one(topicDestinationRoutes => id => $call->param('routeId')); return }

1;
