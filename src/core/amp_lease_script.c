#include "amp_lease.h"
#include "amp_escape.h"


/*
 * One limit of one tenant: a hash with
 *   at       Redis time of the last call, microseconds
 *   ahead    TAT - at, ns: both are whole and below 2^53, so Lua's numbers
 *            hold them exactly
 *   unit     T that ahead is made of
 *   run      the server that wrote this
 *   swept    when gateways that are gone were last looked for
 *   g:<id>   of a gateway: when it last asked, and up to when it has had its
 *            share
 * amp_lease.h says why this keeps the promise, and what is asked and answered.
 * What is near on the time line lapses soon: where the bucket is full, blocks
 * reach as far as costs others little (far), to be there when they are needed.
 * Any change needs the new SHA-1 below; t/unit/test_lease.c knows it.
 */

const char  amp_lease_script[] =
    "local key = KEYS[1]\n"
    "local unit, window, reach, wanted = tonumber(ARGV[1]),"
    " tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])\n"
    "local me, run, since = 'g:' .. ARGV[5], ARGV[6], tonumber(ARGV[7])\n"
    "local back, charge, told = tonumber(ARGV[10]), tonumber(ARGV[11]),"
    " tonumber(ARGV[12])\n"
    "local function text(n) return string.format('%.0f', n) end\n"

    "local time = redis.call('TIME')\n"
    "local now = time[1] * 1000000 + time[2]\n"
    "local old = redis.call('HMGET', key, 'at', 'ahead', 'unit', 'run',"
    " 'swept', me)\n"

    "local others = math.max(0, redis.call('HLEN', key) - 5)\n"
    "if old[6] and others > 0 then others = others - 1 end\n"

    "local span = 125000000\n"
    "local depth = window + unit + span\n"
    "local ahead = 0\n"
    "if old[1] then\n"
    "  ahead = math.max(0, old[2] - (now - old[1]) * 1000)\n"
    "  if back > 0 and old[4] == run\n"
    "    and ahead == (ARGV[8] - now) * 1000 + ARGV[9] then\n"
    "    ahead = math.max(0, ahead - back)\n"
    "  end\n"
    "  if old[3] ~= ARGV[1] then\n"
    "    ahead = math.ceil(ahead / tonumber(old[3]) * unit)\n"
    "  end\n"
    "  if old[4] ~= run and told > 0 and others == 0 then\n"
    "    ahead = math.max(ahead, told - 1)\n"
    "    since = 0\n"
    "  elseif old[4] ~= run and since == 0 then\n"
    "    since = now\n"
    "  end\n"
    "end\n"
    "if since > 0 and old[4] ~= run then\n"
    "  ahead = math.max(ahead, depth - (now - since) * 1000)\n"
    "end\n"
    "ahead = math.min(depth, ahead + charge)\n"

    "local swept = tonumber(old[5] or 0)\n"
    "if now - swept > 1000000 or swept > now then\n"
    "  local all = redis.call('HGETALL', key)\n"
    "  for i = 1, #all, 2 do\n"
    "    if string.sub(all[i], 1, 2) == 'g:' then\n"
    "      local seen = tonumber(string.match(all[i + 1], '^%d+'))\n"
    "      if all[i] ~= me and (now - seen > 2000000 or seen > now) then\n"
    "        others = others - redis.call('HDEL', key, all[i])\n"
    "      end\n"
    "    end\n"
    "  end\n"
    "  swept = now\n"
    "end\n"

    "local gateways = others + 1\n"

    "local room = window + unit + reach - ahead\n"
    "local most = math.floor(room / unit)\n"
    "local share = gateways * unit\n"
    "local had = -math.max(share, span)\n"
    "if old[6] then\n"
    "  had = math.max(had, (string.match(old[6], '%d+$') - now) * 1000)\n"
    "end\n"
    "local keep = math.floor(reach * others / share) * unit\n"
    "local own = 0\n"
    "if had <= reach then own = math.floor((reach - had) / share) + 1 end\n"
    "if others > 0 then\n"
    "  most = math.min(most, math.max(own, math.floor((room - keep) / unit)))\n"
    "end\n"

    "local want = wanted\n"
    "if wanted > 0 then\n"
    "  local far = math.min(window / (others > 0 and 8 or 4), span * 8)\n"
    "  if others == 0 then\n"
    "    far = old[6] and math.max(span, far) or span\n"
    "  end\n"
    "  want = math.max(want, math.ceil((far - ahead) / unit))\n"
    "  if others > 0 then\n"
    "    want = math.min(want,\n"
    "      math.max(own, math.ceil((window + unit) / share)))\n"
    "  end\n"
    "end\n"
    "local n = math.max(0, math.min(want, most))\n"
    "local lead = ahead\n"
    "ahead = ahead + n * unit\n"
    "had = math.min(had + n * share, span + 2 * share)\n"

    "local wait = 0\n"
    "if n < wanted and n >= most then\n"
    "  wait = ahead - window - reach\n"
    "  if others > 0 then\n"
    "    wait = math.max(wait, math.min(had - reach, math.max(wait + keep,\n"
    "      math.min(share, (window + unit) / 2))))\n"
    "  end\n"
    "end\n"

    "redis.call('HSET', key, 'at', text(now), 'ahead', text(ahead), 'unit',"
    " ARGV[1], 'run', run, 'swept', text(swept))\n"
    "if wanted > 0 then\n"
    "  redis.call('HSET', key, me, text(now) .. ' '"
    " .. text(math.floor(now + had / 1000)))\n"
    "else\n"
    "  redis.call('HDEL', key, me)\n"
    "end\n"
    "redis.call('PEXPIRE', key, text(math.ceil(ahead / 1000000) + 5000))\n"

    "return { now, lead, n, gateways, ahead, math.max(0, math.ceil(wait)) }\n";


const char  amp_lease_sha[41] = "982e62c2aec45d4c995f977997c49e1cc19af3e4";


static amp_span_t
amp_lease_number(uint64_t n, unsigned char *text)
{
    return amp_span_make(text, (size_t) (amp_decimal(text, n) - text));
}


void
amp_lease_argv(const amp_lease_ask_t *ask, amp_span_t gateway, amp_span_t run,
    uint64_t since, unsigned char text[AMP_LEASE_ARGS][AMP_LEASE_TEXT],
    amp_span_t argv[AMP_LEASE_ARGS])
{
    argv[0] = amp_lease_number(ask->unit, text[0]);
    argv[1] = amp_lease_number(ask->window, text[1]);
    argv[2] = amp_lease_number(ask->reach, text[2]);
    argv[3] = amp_lease_number(ask->wanted, text[3]);
    argv[4] = gateway;
    argv[5] = run;
    argv[6] = amp_lease_number(since, text[6]);
    argv[7] = amp_lease_number(ask->tail / 1000, text[7]);
    argv[8] = amp_lease_number(ask->tail % 1000, text[8]);
    argv[9] = amp_lease_number(ask->back, text[9]);
    argv[10] = amp_lease_number(ask->charge, text[10]);
    argv[11] = amp_lease_number(ask->told, text[11]);
}
