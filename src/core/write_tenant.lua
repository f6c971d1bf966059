-- Writes or deletes a tenant record if its revision is the expected one, and
-- publishes the change.
--
-- KEYS[1]  the record (amp:tenant:<id>)
-- ARGV     expected revision ("" if there must be no record, "*" for any),
--          new record ("" to delete it), channel of events, event
-- Returns  1, or 0 if the revision is another one: nothing was changed.
--
-- Redis of Debian 11 has no cjson: the first "rev" of the text counts there.
-- A record that cannot be read, or a value of another type, has the revision 0.
--
-- A client that lost the reply runs the script a second time.  If the record
-- already is what the change makes of it, the answer is 1 again.  This does
-- not hold for a new record: of two writers the second one must get 0.

local text = redis.pcall('GET', KEYS[1])
if type(text) == 'table' then text = 'of another type' end
local rev = ''
if text then
  local has, json = pcall(function() return cjson end)
  local ok, record
  if has then
    ok, record = pcall(json.decode, text)
  else
    ok, record = true, { rev = tonumber(text:match('"rev"%s*:%s*(%d+)')) }
  end
  rev = '0'
  if ok and type(record) == 'table' and type(record.rev) == 'number' then
    rev = string.format('%.0f', record.rev)
  end
end

local done = ARGV[1] ~= '' and (text or '') == ARGV[2]
if ARGV[1] ~= '*' and ARGV[1] ~= rev and not done then return 0 end

if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[2])
end
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 1
