-- Leases units of one limit of one tenant to one gateway.
--
-- KEYS[1]  the limit's state, a hash:
--            at       Redis time of the last call, microseconds
--            ahead    TAT - at, nanoseconds.  Both are whole numbers below
--                     2^53, which Lua's numbers hold exactly.
--            unit     the time of one unit (T) that "ahead" was computed with
--            run      run_id of the server that wrote the state.  While the
--                     gateways tell a new server what they know, four numbers
--                     follow it: since when this is the server, when the first
--                     one called, units granted since then, gateways that have
--                     called.  After Redis was out of reach "away" follows it
--                     and four numbers: since when that was, when the first
--                     gateway called again, what is reserved for each gateway
--                     that has not, and how many these are.  Version 0.1.0
--                     takes both for another server's state and empties the
--                     bucket.
--            swept    when gateways that no longer call were last removed
--            former   for a minute after the limit changed, for each T that calls
--                     came with, "T:TAT:when": the TAT before a call with another
--                     rate or burst moved it back, and when that was.  Version
--                     0.1.0 takes this field for one more gateway.
--            g:<id>   for each gateway: when it last called, what it was charged
--                     then, and the moment up to which it has received its share
-- ARGV     unit, window, reach, wanted, gateway id, run_id, since, tail
--          (microseconds, then the nanoseconds below one), back, charge,
--          resume, gateways, answered, age, away, peers, timeout: see
--          amp_lease_ask_t and amp_lease_argv() in amp_lease.h, where the algorithm and its promise
--          are described.
-- Returns  six integers, see amp_lease_answer_t.
--
-- t/unit/lease_server.h runs this text for simulations.

local key = KEYS[1]
local unit, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local reach, wanted = tonumber(ARGV[3]), tonumber(ARGV[4])
local me, run, since = 'g:' .. ARGV[5], ARGV[6], tonumber(ARGV[7])
local back, charge = tonumber(ARGV[10]), tonumber(ARGV[11])
local resume, peers = tonumber(ARGV[12]), tonumber(ARGV[13])
local answered, age = tonumber(ARGV[14]), tonumber(ARGV[15])
local away, lately = tonumber(ARGV[16]), tonumber(ARGV[17])
local timeout = tonumber(ARGV[18])

-- How long a new server waits for gateways that have not told what they know,
-- microseconds.
local patience = 2000000

-- How long gateways may hold blocks: AMP_LEASE_KEEP and a second, microseconds.
local held = 61000000

-- tostring() would round to 14 digits
local function text(n) return string.format('%.0f', n) end

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local old = redis.call('HMGET', key, 'at', 'ahead', 'unit', 'run', 'swept', me,
  'former')

-- Other gateways: the fields besides those above and this gateway's own.

local others = math.max(0, redis.call('HLEN', key) - (old[7] and 6 or 5))
if old[6] and others > 0 then others = others - 1 end

-- AMP_LEASE_AHEAD: how far beyond the window blocks may reach.  No TAT is
-- further ahead than "depth".
local span = 125000000
local depth = window + unit + span

-- How far TAT is ahead of now.

local swept = tonumber(old[5] or 0)
local writer, from, began, given, told =
  string.match(old[4] or '', '^(%S+) (%d+) (%d+) (%d+) (%d+)$')
if writer == run then
  since, began = tonumber(from), tonumber(began)
  given, told = tonumber(given), tonumber(told)
else
  began = nil
end

local thawed, reserved, missing
writer, from, thawed, reserved, missing =
  string.match(old[4] or '', '^(%S+) away (%d+) (%d+) (%d+) (%d+)$')
if writer == run then
  from, thawed = tonumber(from), tonumber(thawed)
  reserved, missing = tonumber(reserved), tonumber(missing)
else
  missing = 0
end

local foreign = old[1] and old[4] ~= run and not began and writer ~= run

-- This gateway's last call, what it was charged, and whether it is the one that
-- the gateway has an answer to: then both mean the same clock.
local called, charged = 0, 0
if old[6] then
  called = tonumber(string.match(old[6], '^%d+'))
  charged = tonumber(string.match(old[6], '^%d+ (%d+) %d+$') or 0)
end
local same = answered > 0 and answered == called

-- Redis got this call late, and nobody waits for the answer: nothing is granted
-- nor charged, and the gateway has not called.
if same and not foreign and now - answered - age > timeout then
  local left = math.max(0, old[2] - math.max(0, now - old[1]) * 1000)
  return { now, math.ceil(left), 0, others + 1, math.ceil(left), 0 }
end

-- A slot moves without a loss.  A master of a cluster that never was a replica
-- has a state of another server only because its slot moved.
local function moved()
  local info = redis.pcall('INFO')
  if type(info) ~= 'string' then return false end
  local up = tonumber(string.match(info, '\nuptime_in_seconds:(%d+)'))
  return string.find(info, '\ncluster_enabled:1', 1, true)
    and string.find(info, '\nrole:master', 1, true)
    and string.find(info, '\nmaster_replid2:' .. string.rep('0', 40), 1, true)
    and up and old[1] - (now - up * 1000000) > 10000000
end

-- Otherwise the last leases may be lost, and the gateways tell what they know.
local lost, skew = false, 0
if foreign then
  lost, skew = true, 2000000
  if moved() then lost, skew = false, 100000 end
  if peers == 1 and others == 0 and resume > 0 then skew = 0 end
  if same then skew = now - answered - age end
  if since > 0 and now - since > patience then lost = false end
elseif not old[1] then
  lost = since > 0 and now - since <= patience
end

-- While a limit changes, calls come with either rate and burst, and TAT is moved
-- back and forth.  It must not be before blocks of the caller's T that gateways
-- hold; none of them ends later than "depth" after the call that it came with.

local former = {}

local function keep(t, tat, when)
  if now - when > held or tat < now then return end
  if former[t] then tat = math.max(tat, former[t].tat) end
  former[t] = { tat = math.ceil(tat), when = when }
end

for t, tat, when in string.gmatch(old[7] or '', '(%d+):(%d+):(%d+)') do
  keep(t, tat + skew, when + 0)
end

local ahead = 0
if old[1] then
  local past = math.max(0, now - old[1] - skew)
  ahead = math.max(0, old[2] - past * 1000)

  -- Units come back only if no other gateway leased behind them: TAT must
  -- still be the one that the gateway names.
  if back > 0 and old[4] == run
    and ahead == (ARGV[8] - now) * 1000 + ARGV[9] then
    ahead = math.max(0, ahead - back)
  end

  -- After a change of the rate as many units as before are spent, at most all.
  if old[3] ~= ARGV[1] then
    keep(old[3], now + ahead / 1000, now)
    ahead = math.ceil(ahead / tonumber(old[3]) * unit)
  elseif ahead > depth then
    keep(ARGV[1], now + ahead / 1000, now)
  end
  ahead = math.min(depth, ahead)

  local mine = former[ARGV[1]]
  if mine then
    local tat = math.min(mine.tat, mine.when + depth / 1000)
    ahead = math.max(ahead, math.ceil(tat - now) * 1000)
  end
end

if lost then
  if since == 0 or since > now then since = now end
  began, given, told = now, 0, 0
end

-- The gateways' last calls are moments of the other server's clock.
if lost or foreign then
  swept = now
  local all = redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 2) == 'g:' then
      redis.call('HSET', key, all[i], '0 ' .. text(now))
    end
  end
  if old[6] then old[6] = '0 ' .. text(now) end
end

if foreign and not lost then
  ahead = math.max(ahead, resume - 1)
elseif began and (not old[6]
  or tonumber(string.match(old[6], '^%d+')) < began) then
  if resume > 0 then ahead = math.max(ahead, resume - 1 + given * unit) end
  told = told + 1
end

if began and (now - began > patience
  or (peers > 0 and told >= math.max(peers, others + 1))) then
  began = nil
end

-- Redis was out of reach.  Until a gateway calls again, it may spend its share of
-- the rate, and as much of the bucket as was full: that is not granted to others.

local shares = math.max(peers, lately, others + 1)
if missing > 0 and now - thawed > patience then missing = 0 end

local absent = missing
if missing > 0 and called < from then missing = missing - 1 end

if away > 0 and not began and (absent == 0 or now - away > thawed) then
  from, thawed = now - math.min(away, 500000), now
  missing = math.max(lately, others + 1) - 1
  reserved = math.floor(math.max(0, window - ahead) / shares)
  local all = redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 2) == 'g:' and all[i] ~= me
      and tonumber(string.match(all[i + 1], '^%d+')) >= from then
      missing = missing - 1
    end
  end
  missing = math.max(0, missing)
end

if absent > 0 then
  ahead = ahead + math.floor((now - old[1]) * 1000 * absent / shares)
end

-- What a call was charged whose reply is lost, is not charged again.

if called == answered then charged = 0 end
ahead = math.min(depth, ahead + math.max(0, charge - charged))
charged = math.max(charge, charged)

-- Once a second: remove gateways that have not called for two.

if missing == 0 and (now - swept > 1000000 or swept > now) then
  local all = redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 2) == 'g:' then
      local seen = tonumber(string.match(all[i + 1], '^%d+'))
      if all[i] ~= me and (now - seen > 2000000 or seen > now) then
        others = others - redis.call('HDEL', key, all[i])
      end
    end
  end
  swept = now
end

local gateways = others + 1

-- How much this gateway may have: "most" units fit before window + reach.
-- "own" is its share of the rate since the moment "had", and always granted;
-- beyond it "keep" is left to the other gateways.

local room = window + unit + reach - ahead
if missing > 0 then room = room - reach - missing * reserved end
local most = math.floor(room / unit)
local share = gateways * unit
local had = -math.max(share, span)
if old[6] then
  had = math.max(had, (string.match(old[6], '%d+$') - now) * 1000)
end
local keep = math.floor(reach * others / share) * unit
local own = 0
if had <= reach then own = math.floor((reach - had) / share) + 1 end
if others > 0 then
  most = math.min(most, math.max(own, math.floor((room - keep) / unit)))
end

-- How much is useful.  Units near on the time line lapse soon: while the
-- bucket is full, a block reaches as far ("far") as it costs the other
-- gateways little, so that its units still exist when they are needed.  A
-- gateway that seldom calls expects few requests: it gets some units, at most a
-- 32nd of the bucket or a minute of the rate, and most of the bucket for a
-- second where it is alone.

local want = wanted
if wanted > 0 then
  local far = math.min(window / (others > 0 and 8 or 4), span * 8)
  local quiet = reach == 0 and old[1]
    and now - (string.match(old[6] or '', '^%d+') or 0) > 250000
  if quiet and others == 0 then far = math.min(window * 3 / 4, span * 8) end
  if quiet then far = math.max(far, math.min(window / 32, span * 480)) end
  if others == 0 then
    far = old[6] and math.max(span, far) or span
  end
  want = math.max(want, math.ceil((far - ahead) / unit))
  if quiet and ahead < window / 8 then
    want = math.max(want, math.min(8, math.floor(window / unit / 32)))
  end
  if others > 0 then
    want = math.min(want, math.max(own, math.ceil((window + unit) / share)))
  end
end

local n = math.max(0, math.min(want, most))

-- Before all have told what they know, only what an empty bucket has received
-- since this is the server.

local earned = 0
if began then
  earned = (now - since) * 1000 - span - given * unit
  n = math.min(n, math.max(0, math.floor(earned / unit)))
  given = given + n
end

local lead = ahead
ahead = ahead + n * unit
had = math.min(had + n * share, span + 2 * share)

-- If fewer units than wanted were granted: the time before which another call
-- is of no use.  Where other gateways have to call first, that may be soon, and
-- requests wait for it.

local wait = 0
if n < wanted and n >= most and not began and missing == 0 then
  wait = ahead - window - reach
  if others > 0 then
    wait = math.max(wait, math.min(had - reach,
      math.max(wait + keep, math.min(share, (window + unit) / 2))))
  end
end

if began then
  run = run .. ' ' .. text(since) .. ' ' .. text(began) .. ' ' .. text(given)
    .. ' ' .. text(told)
elseif missing > 0 then
  run = run .. ' away ' .. text(from) .. ' ' .. text(thawed) .. ' '
    .. text(reserved) .. ' ' .. text(missing)
end
redis.call('HSET', key, 'at', text(now), 'ahead', text(ahead),
  'unit', ARGV[1], 'run', run, 'swept', text(swept))
if wanted > 0 or began then
  redis.call('HSET', key, me,
    text(now) .. ' ' .. text(charged) .. ' '
    .. text(math.floor(now + had / 1000)))
else
  redis.call('HDEL', key, me)
end

local life, list = math.ceil(ahead / 1000000) + 5000, ''
for t, kept in pairs(former) do
  list = list .. t .. ':' .. text(kept.tat) .. ':' .. text(kept.when) .. ' '
  life = math.max(life, held / 1000)
end
if list ~= '' then
  redis.call('HSET', key, 'former', list)
elseif old[7] then
  redis.call('HDEL', key, 'former')
end
redis.call('PEXPIRE', key, text(life))

return { now, lead, n, gateways, ahead, math.max(0, math.ceil(wait)) }
