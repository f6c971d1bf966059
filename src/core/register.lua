-- Registers a gateway and counts those that live.
--
-- KEYS[1]  the registry, a hash:
--            <id>     for each gateway: Redis time of its last call, ms
--            swept    when those that no longer call were last removed
-- ARGV     gateway id; ms that a call is good for, or 0: the gateway ends
-- Returns  the number of gateways that live

local key, id, life = KEYS[1], ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- tostring() would round to 14 digits
local function text(n) return string.format('%.0f', n) end

if life == 0 then
  redis.call('HDEL', key, id)
  return math.max(0, redis.call('HLEN', key) - 1)
end

local swept = tonumber(redis.call('HMGET', key, 'swept')[1] or 0)
if now - swept >= 1000 or swept > now then
  local all = redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    local seen = tonumber(all[i + 1])
    if all[i] ~= 'swept' and (now - seen >= life or seen > now) then
      redis.call('HDEL', key, all[i])
    end
  end
  swept = now
end

redis.call('HSET', key, id, text(now), 'swept', text(swept))
redis.call('PEXPIRE', key, life)
return redis.call('HLEN', key) - 1
