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
--            wallets  where gateways may have wallets: the pool, nanoseconds;
--                     the units in all wallets; the number of wallets; when a
--                     gateway of version 0.1.0 was last seen, or 0; and the units
--                     that wallets and pool may have together.  "run" has "held"
--                     behind it then, unless one was seen: to version 0.1.0 that
--                     is another server's state.
--            w:<id>   for each gateway with a wallet: the units that may be in
--                     it, and when that gateway last called
-- ARGV     unit, window, reach, wanted, gateway id, run_id, since, tail
--          (microseconds, then the nanoseconds below one), back, charge,
--          resume, gateways, answered, age, away, peers, timeout, most, wallet,
--          fill, waiting, pool, freed: see amp_lease_ask_t and amp_lease_argv()
--          in amp_lease.h, where the algorithm and its promise are described.
-- Returns  eleven integers, see amp_lease_answer_t.
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
local cap, wallet = tonumber(ARGV[19]), tonumber(ARGV[20])
local fill, waiting = tonumber(ARGV[21]), tonumber(ARGV[22])
local freed, my_wallet = tonumber(ARGV[24]), 'w:' .. ARGV[5]

-- How long a new server waits for gateways that have not told what they know,
-- microseconds.
local patience = 2000000

-- How long gateways may hold blocks: AMP_LEASE_KEEP and a second, microseconds.
local held = 61000000

-- The same of wallets: AMP_LEASE_WALLET_LIFE and a second.
local valid = 121000000

-- tostring() would round to 14 digits
local function text(n) return string.format('%.0f', n) end

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local old = redis.call('HMGET', key, 'at', 'ahead', 'unit', 'run', 'swept', me,
  'former', 'wallets', my_wallet)

local pool, lent, wallets, older, most =
  string.match(old[8] or '0 0 0 0 0', '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
pool, lent, wallets = tonumber(pool), tonumber(lent), tonumber(wallets)
older, most = tonumber(older), tonumber(most)

-- Other gateways: the fields besides those above, wallets, and this gateway's
-- own.

local others = redis.call('HLEN', key) - 5 - wallets
if old[7] then others = others - 1 end
if old[8] then others = others - 1 end
if old[6] then others = others - 1 end
others = math.max(0, others)

-- The fields of gateways: their names and texts.
local function each(prefix)
  local all, i = redis.call('HGETALL', key), -1
  return function()
    repeat i = i + 2 until not all[i] or string.sub(all[i], 1, 2) == prefix
    return all[i], all[i + 1]
  end
end

-- A gateway of version 0.1.0 wrote "run" since, or maybe the whole state.  While
-- there is one, the time line has the whole burst, for all.

local known = old[8] ~= false
if known and older == 0 and string.find(old[4], '^%S+$') then
  pool, older = 0, now
elseif not old[1] then
  pool, most = cap * unit, cap
end
local mixed = older > 0 or (old[1] and not known)
if mixed then window = window + cap * unit end

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

local foreign = old[1] and old[4] ~= run and old[4] ~= run .. ' held'
  and not began and writer ~= run

-- This gateway's last call, what it was charged, and whether it is the one that
-- the gateway has an answer to: then both mean the same clock.
local called, charged = 0, 0
if old[6] then
  called = tonumber(string.match(old[6], '^%d+'))
  charged = tonumber(string.match(old[6], '^%d+ (%d+) %d+$') or 0)
end
local same = answered > 0 and answered == called

-- Of another unit or burst than the state's: see "After a change" below.
local changed = old[1] and (old[3] ~= ARGV[1] or most ~= cap)
local hands_back = wanted == 0 and fill == 0

-- Redis got this call late, and nobody waits for the answer: nothing is granted
-- nor charged, and the gateway has not called.  Or a gateway without requests,
-- which does not know that the limit has changed, hands back units of the former
-- one: they have lapsed.
local late = now - answered - age > timeout
local outdated = hands_back and changed and charge == 0 and not began
if same and not foreign and (late or outdated) then
  local left = math.max(0, old[2] - math.max(0, now - old[1]) * 1000)
  if old[9] then
    redis.call('HSET', key, my_wallet,
      string.match(old[9], '^%d+') .. ' ' .. text(now))
    redis.call('PEXPIRE', key, text(math.ceil(left / 1000000) + valid / 1000))
  end
  if not late then
    redis.call('HSET', key, me, text(now) .. ' 0 '
      .. string.match(old[6], '%d+$'))
  end
  return { now, math.ceil(left), 0, others + 1, math.ceil(left), 0, 0, 0, pool,
    lent, cap }
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

local shares = math.max(peers, lately, others + 1)
if missing > 0 and now - thawed > patience then missing = 0 end

-- Time puts into the pool what is missing in a full one: returns how much.
local function refill(time, full)
  local gain = math.max(0, math.min(time, full - pool))
  pool = math.max(0, math.min(pool + gain, full))
  return gain
end

local ahead, idle, past = 0, 0, 0
if old[1] then
  past = math.max(0, now - old[1] - skew)
  ahead = math.max(0, old[2] - past * 1000)

  -- Time in which the line was full refills the pool, unless a gateway spent it
  -- without Redis.
  if not (mixed or foreign or began or missing > 0 or (away > 0 and shares > 1))
  then
    idle = math.max(0, (past - away) * 1000 - old[2])
    idle = idle - refill(idle, (most - lent) * old[3])
  end

  -- Units come back to the time line only if no other gateway leased behind
  -- them: TAT must still be the one that the gateway names.  Else those that may
  -- be spent by now get into the pool, if they are units of the caller's rate: a
  -- call that wants some may hand back those of the former one, and those of
  -- another server have places of its clock.
  if back > 0 and not foreign and not began and missing == 0 then
    local tail = (ARGV[8] - now) * 1000 + ARGV[9]
    if ahead == tail then
      ahead = math.max(0, ahead - back)
    elseif hands_back and same and not changed and not mixed then
      local last = math.min(tail, ahead, window + unit)
      local units = math.floor((last - math.max(0, tail - back)) / unit)
      refill(math.max(0, units) * unit, (cap - lent) * unit)
    end
  end

  if old[3] ~= ARGV[1] or ahead > depth then
    keep(old[3], now + ahead / 1000, now)
  end

  -- After a change as many units as before are spent, at most all: of the line
  -- and of the pool, and what is too much for one, of the other.  The pool gets
  -- no unit: a call with the former burst would return what is spent.  What is
  -- in wallets may be spent, too.
  if changed then
    local line, full = ahead / old[3], window / unit + 1
    local spent = most - pool / old[3]
    line = line + math.max(0, spent - cap)
    spent = math.min(cap, spent + math.max(0, line - full))
    ahead = math.ceil(line * unit)
    pool = math.floor(math.min(pool / old[3], cap - spent) * unit)
    idle = 0
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
  for name in each('g:') do
    redis.call('HSET', key, name, '0 ' .. text(now))
  end
  for name, units in each('w:') do
    redis.call('HSET', key, name,
      string.match(units, '^%d+') .. ' ' .. text(now))
  end
  if old[6] then old[6] = '0 ' .. text(now) end
end

-- What a gateway tells of TAT and, by TAT and the pool, of all units granted.
local function learn(tat)
  local all = math.max(ahead - pool, tat - tonumber(ARGV[23]))
  ahead = math.max(ahead, tat)
  pool = math.max(0, ahead - all)
end

if foreign and not lost then
  if resume > 0 then learn(resume - 1) end
elseif began and (not old[6]
  or tonumber(string.match(old[6], '^%d+')) < began) then
  if resume > 0 then learn(resume - 1 + given * unit) end
  told = told + 1
end

if began and (now - began > patience
  or (peers > 0 and told >= math.max(peers, others + 1))) then
  began = nil
end

-- Redis was out of reach.  Until a gateway calls again, it may spend its share of
-- the rate, and as much of the bucket as was full: that is not granted to others.

local absent = missing
if missing > 0 and called < from then missing = missing - 1 end

if away > 0 and not began and (absent == 0 or now - away > thawed) then
  from, thawed = now - math.min(away, 500000), now
  missing = math.max(lately, others + 1) - 1
  reserved = math.floor(math.max(0, window + pool - ahead) / shares)
  for name, last in each('g:') do
    if name ~= me and tonumber(string.match(last, '^%d+')) >= from then
      missing = missing - 1
    end
  end
  missing = math.max(0, missing)
end

if absent > 0 then
  ahead = ahead + math.floor(past * 1000 * absent / shares)
end

-- What left the caller's wallet is put back with the rest of the time.  A call that
-- does not know the last answer to this gateway may be late, or that answer is
-- lost: then more may be in the wallet.

local before, seen = string.match(old[9] or '', '^(%d+) (%d+)$')
before = tonumber(before or 0)
if before > 0 and tonumber(seen) ~= answered then
  wallet = math.max(wallet, before)
end
lent = math.max(0, lent - before) + wallet
refill(math.min(freed, idle), (cap - lent) * unit)

-- What a call was charged whose reply is lost, is not charged again.

if called == answered then charged = 0 end
local due = math.max(0, charge - charged)
ahead = math.min(depth, ahead + math.max(0, due - pool))
pool = math.max(0, pool - due)
charged = math.max(charge, charged)

-- Once a second: remove gateways that have not called for two, and wallets that
-- are no longer valid.  Is one of version 0.1.0 among the gateways?

local sweep = now - swept > 1000000 or swept > now
if cap > 0 and not known and old[1] then sweep = true end

if missing == 0 and sweep then
  for name, last in each('g:') do
    local called = tonumber(string.match(last, '^%d+'))
    if string.find(last, '^[1-9]%d* %d+$') then older = now end
    if name ~= me and (now - called > 2000000 or called > now) then
      others = others - redis.call('HDEL', key, name)
    end
  end
  lent, wallets = wallet, old[9] and 1 or 0
  for name, last in each('w:') do
    local units, called = string.match(last, '^(%d+) (%d+)$')
    if name ~= my_wallet then
      if now - called > valid then
        redis.call('HDEL', key, name)
      else
        lent, wallets = lent + units, wallets + 1
        if called + 0 > now then
          redis.call('HSET', key, name, units .. ' ' .. text(now))
        end
      end
    end
  end
  swept = now
end

if older > 0 and now - older > held then older = 0 end
if older > 0 then pool = 0 end

local gateways = others + 1
local part = math.floor(cap / math.max(shares, gateways))
if older > 0 then part = 0 end

-- How much this gateway may have: "most" units fit before window + reach.
-- "own" is its share of the rate since the moment "had", and always granted;
-- beyond it "keep" is left to the other gateways.

local room = window + unit + reach - ahead
if missing > 0 then
  room = room - reach - math.max(0, missing * reserved - pool)
end
most = math.floor(room / unit)
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
  local quiet = math.min(part, wallet + cap - lent) <= 0 and reach == 0 and old[1]
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
    want = math.min(want, math.max(own,
      math.ceil((window + unit + cap * unit) / share)))
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

-- From the pool: units for requests that wait, which are spent with this call;
-- then units for the wallet, up to the gateway's part of all wallets.  They may
-- come from the line, too, while more than half of it is left; with less, other
-- gateways need what is in the pool.  A gateway that is alone gets all at once.

local drawn, filled = 0, 0
if older == 0 and not began and missing == 0 then
  local at_once = math.max(0, math.floor((window + unit - lead) / unit))
  drawn = waiting - math.min(n, at_once)
  drawn = math.max(0, math.min(drawn, math.floor(pool / unit)))
  pool = pool - drawn * unit
  local spare = math.floor(((window + unit) / 2 - ahead) / unit)
  spare = math.max(0, spare)
  if spare > 0 or others == 0 then
    if fill > 0 and shares == 1 then fill = part - wallet end
    filled = math.max(0, math.min(fill, part - wallet, cap - lent))
    local pooled = math.min(filled, math.floor(pool / unit))
    local line = math.min(filled - pooled, spare)
    filled = pooled + line
    pool = pool - pooled * unit
    ahead = ahead + line * unit
  end
end
wallet, lent = wallet + filled, lent + filled
refill(0, (cap - lent) * unit)

-- If fewer units than wanted were granted: the time before which another call
-- is of no use.  Where other gateways have to call first, that may be soon, and
-- requests wait for it.

local wait = 0
if n + drawn < wanted and pool < unit and n >= most and not began and missing == 0 then
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
elseif older == 0 and (cap > 0 or lent > 0) then
  run = run .. ' held'
end
redis.call('HSET', key, 'at', text(now), 'ahead', text(ahead),
  'unit', ARGV[1], 'run', run, 'swept', text(swept))
redis.call('HSET', key, me, text(now) .. ' ' .. text(charged) .. ' '
  .. text(math.floor(now + had / 1000)))

local life, list = math.ceil((ahead + cap * unit) / 1000000) + 5000, ''

if wallet > 0 then
  if not old[9] then wallets = wallets + 1 end
  redis.call('HSET', key, my_wallet, text(wallet) .. ' ' .. text(now))
elseif old[9] then
  wallets = wallets - redis.call('HDEL', key, my_wallet)
end
if cap > 0 or lent > 0 then
  redis.call('HSET', key, 'wallets', text(pool) .. ' ' .. text(lent) .. ' '
    .. text(wallets) .. ' ' .. text(older) .. ' ' .. text(cap))
elseif old[8] then
  redis.call('HDEL', key, 'wallets')
end
if lent > 0 then life = math.max(life, valid / 1000) end

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

return { now, lead, n, gateways, ahead, math.max(0, math.ceil(wait)), drawn,
  filled, math.floor(pool), lent, part }
