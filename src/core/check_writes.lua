-- What "ampctl doctor" does to learn whether Redis permits the commands of
-- ampctl and the gateways: writes and deletes a key that nobody uses, and
-- publishes an event that gateways ignore.
--
-- KEYS[1]  a key of the node's own (amp:doctor:<n>)
-- ARGV     channel of events, event
-- Returns  1; a command that is not permitted ends the script with an error.

redis.call('SET', KEYS[1], '1', 'PX', 1000)
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[1], ARGV[2])
return 1
