-- Reads all that a look-up needs in one round trip: a token, its tenant, the
-- generations of the tenant's project, and the tenant's cool-down.
--
-- KEYS[1]  the token (amp:token:<digest>), or the tenant (amp:tenant:<id>)
-- ARGV     prefix of the keys; "" or the tenant's id, where KEYS[1] is the
--          tenant; the largest record in bytes; "1" in a cluster, else ""
-- Returns  { token, tenant id, tenant, project id, generations, cool-down in
--          milliseconds }
--
-- What is not there is nil, and so is all that would follow from it.  A record
-- that is too large is cut one byte behind its largest size; a value of another
-- type is an error in its place.  The other keys are known only when the first
-- was read, and in a cluster they are in other slots: there the script reads
-- KEYS[1] alone.  It does not parse the records: who reads the reply compares
-- the ids.

local alone = ARGV[4] ~= ''

local function read(key)
  local text = redis.pcall('GET', key)
  return type(text) == 'string' and text:sub(1, ARGV[3] + 1) or text
end

local function find(text, pattern)
  return not alone and type(text) == 'string' and text:match(pattern) or false
end

local key, token, id = KEYS[1], false, ARGV[2]
if id == '' then
  token = read(key)
  id = find(token, '"tenant"%s*:%s*"([^"\\]+)"')
  if not id then return { token, false, false, false, false, false } end
  key = ARGV[1] .. 'tenant:' .. id
end

local tenant = read(key)
local project = find(tenant, '"project"%s*:%s*{[^{}]-"id"%s*:%s*"([^"\\]+)"')
return {
  token, id, tenant, project,
  project and redis.pcall('HGETALL', ARGV[1] .. 'gen:' .. project),
  project and redis.pcall('PTTL', ARGV[1] .. 'cooldown:{' .. id .. '}')
}
