-- Increments the generations of resource families of one project, and
-- publishes each new generation: cache keys contain them, so every gateway
-- stops finding what it has cached of these families.
--
-- KEYS[1]  generations of the project (amp:gen:<project id>)
-- ARGV     channel of events, event type ("generation" or "purge"),
--          project id, family...
-- Returns  the generation of the last family.
--
-- Where the key is of another type, the time is published in place of a
-- generation, so that the gateways find nothing cached all the same; the error
-- is returned.
--
-- A project id needs no escaping in JSON, see amp_project_id_valid().  Running
-- the script twice does no harm: it costs one extra cache miss.

local generation
for i = 4, #ARGV do
  generation = redis.pcall('HINCRBY', KEYS[1], ARGV[i], 1)
  local rev = generation
  if type(generation) == 'table' then
    if not string.find(generation.err, 'WRONGTYPE', 1, true) then
      return generation
    end
    local time = redis.call('TIME')
    rev = string.format('%.0f', time[1] * 1000000 + time[2])
  end
  redis.call('PUBLISH', ARGV[1], '{"v":1,"type":"' .. ARGV[2]
    .. '","project":"' .. ARGV[3] .. '","family":"' .. ARGV[i]
    .. '","rev":' .. rev .. '}')
end
return generation
