-- What "ampctl doctor" asks a server of Redis 7 or Valkey: which calls may the
-- user not make?  Nothing is called.
--
-- KEYS     none: each server is asked about itself
-- ARGV     calls, see amp_rights_call(): words with one blank between them
-- Returns  the numbers, from 1, of the calls that are not permitted or whose
--          command does not exist; an error before Redis 7, which has no
--          redis.acl_check_cmd.

local missing = {}
for i, call in ipairs(ARGV) do
  local words = {}
  for word in string.gmatch(call, '[^ ]+') do words[#words + 1] = word end
  local known, permitted = pcall(redis.acl_check_cmd, unpack(words))
  if not known and not redis.acl_check_cmd then
    return redis.error_reply('ERR no redis.acl_check_cmd')
  end
  if not (known and permitted) then missing[#missing + 1] = i end
end
return missing
