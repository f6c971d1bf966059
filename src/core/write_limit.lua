-- Sets or removes the limit of a project if it is the expected one, and
-- publishes the change.
--
-- KEYS[1]  generations and limit of the project (amp:gen:<project id>)
-- ARGV     field, its expected text ("" if there must be none), new text ("" to
--          remove it), channel of events, event
-- Returns  1, or 0 if the text is another one: nothing was changed.
--
-- A client that lost the reply runs the script a second time: if the field
-- already has the new text, the answer is 1 again.

local text = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if text ~= ARGV[2] and text ~= ARGV[3] then return 0 end

if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end
redis.call('PUBLISH', ARGV[4], ARGV[5])
return 1
