-- Adds what a gateway has counted to the usage of a day, once.
--
-- KEYS[1]  the usage of a day, a hash:
--            t:<tenant>:<n>     what was counted; <n> is r (requests), u (sent to
--            o:<operation>:<n>  Ampersand), b (bytes), f (refused or failed)
--            g:<gateway>        the number of the gateway's last report
-- ARGV     gateway, number of the report, ms that the day is kept,
--          lines "t:<tenant> <r> <u> <b> <f>"
-- Returns  1; 0 when the report had been added before, and its reply was lost
--
-- The numbers of a gateway's reports increase; one that got no reply is sent again
-- as it was, before any other.

local key, gateway = KEYS[1], 'g:' .. ARGV[1]

if tonumber(redis.call('HGET', key, gateway) or 0) >= tonumber(ARGV[2]) then
  return 0
end

for name, r, u, b, f in
  string.gmatch(ARGV[4], '(%S+) (%d+) (%d+) (%d+) (%d+)\n') do
  if r ~= '0' then redis.call('HINCRBY', key, name .. ':r', r) end
  if u ~= '0' then redis.call('HINCRBY', key, name .. ':u', u) end
  if b ~= '0' then redis.call('HINCRBY', key, name .. ':b', b) end
  if f ~= '0' then redis.call('HINCRBY', key, name .. ':f', f) end
end

redis.call('HSET', key, gateway, ARGV[2])
redis.call('PEXPIRE', key, ARGV[3])
return 1
