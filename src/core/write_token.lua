-- Writes or deletes a token, and publishes the change.
--
-- KEYS[1]  the token (amp:token:<digest>)
-- ARGV     record ("" to delete the token), when it expires in Unix seconds
--          ("0" for never), channel of events, event
-- Returns  1, or 0 if there was no token to delete.
--
-- Running the script twice has the same result as running it once.

local count = 1
if ARGV[1] == '' then
  count = redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[1])
  if ARGV[2] ~= '0' then
    redis.call('EXPIREAT', KEYS[1], ARGV[2])
  end
end
redis.call('PUBLISH', ARGV[3], ARGV[4])
return count
