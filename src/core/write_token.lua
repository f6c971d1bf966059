-- Writes or deletes a token, and publishes the change.
--
-- KEYS[1]  the token (amp:token:<digest>)
-- ARGV     record ("" to delete the token), when it expires in Unix seconds
--          ("0" for never), channel of events, event, the id of the token
-- Returns  1, or 0 if there was no token to delete; -1 if the digest is that of
--          another token: nothing is changed then.
--
-- Running the script twice has the same result as running it once.

local text = redis.pcall('GET', KEYS[1])
if type(text) == 'string' then
  local read, record = pcall(cjson.decode, text)
  if read and type(record) == 'table' and type(record.id) == 'string'
     and record.id ~= ARGV[5] then
    return -1
  end
end

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
