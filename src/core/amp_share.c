#include "amp_share.h"


#define AMP_SHARE_SECOND  UINT64_C(1000000000)
#define AMP_SHARE_SPAN    (UINT64_C(1) << 51)       /* no unit is longer      */


uint64_t
amp_share_period(const amp_rate_t *rate, uint32_t gateways)
{
    uint64_t  ns;

    ns = amp_rate_interval(rate);

    if (__builtin_mul_overflow(ns, (uint64_t) gateways * 8, &ns)
        || ns > 60 * AMP_SHARE_SECOND)
    {
        return 60 * AMP_SHARE_SECOND;
    }

    return ns > 4 * AMP_SHARE_SECOND ? ns : 4 * AMP_SHARE_SECOND;
}


/*
 * The level after a period: those that asked for more than it have what the
 * others left of all that there was.  Where nobody asked for more, and all was
 * spent, it was too high to order anything.
 */

static uint64_t
amp_share_level(const amp_shares_t *shares, uint64_t unit, uint64_t past)
{
    uint64_t  each;

    if (shares->over == 0) {
        return (shares->spent < past / unit / 8 * 7) ? shares->level
               : (shares->level < AMP_SHARE_SPAN / 2) ? 2 * shares->level
               : AMP_SHARE_SPAN;
    }

    /* a little less: those below it ask more seldom, and come too late */

    each = (shares->spent - shares->below) / shares->over * 15 / 16;

    return each ? past / each : AMP_SHARE_SPAN;
}


/*
 * Counts the tenant, and returns how many ask.  unit: of this gateway's part of
 * the limit.
 */

static uint32_t
amp_share_count(amp_shares_t *shares, amp_share_t *share, uint64_t unit,
    uint64_t length, uint64_t now)
{
    uint32_t  tenants;
    uint64_t  past;

    past = now - shares->since;

    if (shares->since == 0 || past >= length) {
        shares->level = (shares->since && past < 2 * length)
                        ? amp_share_level(shares, unit, past) : 0;
        shares->before = (past < 2 * length) ? shares->tenants : 0;
        shares->tenants = 0;
        shares->over = 0;
        shares->spent = 0;
        shares->below = 0;
        shares->since = now;
    }

    if (share->since != shares->since) {
        share->since = shares->since;
        share->spent = 0;
        share->over = 0;
        shares->tenants++;
    }

    tenants = shares->tenants > shares->before ? shares->tenants
                                               : shares->before;

    return tenants ? tenants : 1;
}


/* How many units are kept, see above. */

static uint32_t
amp_share_keep(const amp_rate_t *rate, uint32_t gateways, uint32_t tenants,
    uint64_t unit)
{
    uint64_t  burst, keep, second;

    burst = rate->burst / gateways;

    if (tenants < 2 || burst < 2) {
        return 0;
    }

    second = AMP_SHARE_SECOND / unit;
    keep = second > tenants ? second : tenants;
    burst = burst < 4 ? 1 : burst / 4;

    return (uint32_t) (keep < burst ? keep : burst);
}


void
amp_share_look(amp_shares_t *shares, amp_share_t *share,
    const amp_rate_t *rate, uint32_t gateways, uint64_t now,
    amp_share_look_t *look)
{
    uint32_t  tenants, units;
    uint64_t  unit;

    gateways = gateways ? gateways : 1;

    if (__builtin_mul_overflow(amp_rate_interval(rate), (uint64_t) gateways,
                               &unit)
        || unit > AMP_SHARE_SPAN)
    {
        unit = AMP_SHARE_SPAN;
    }

    tenants = amp_share_count(shares, share, unit,
                              amp_share_period(rate, gateways), now);

    look->keep = amp_share_keep(rate, gateways, tenants, unit);

    if (__builtin_mul_overflow(unit, (uint64_t) tenants, &look->unit)
        || look->unit > AMP_SHARE_SPAN)
    {
        look->unit = AMP_SHARE_SPAN;
    }

    look->level = (shares->level == 0 || shares->level > look->unit)
                  ? look->unit
                  : (shares->level < unit) ? unit : shares->level;

    /* so many of its units may be taken at once */

    units = look->keep / tenants;
    units = units ? units - 1 : 0;

    if (share->tat <= now || (share->tat - now) / look->unit < units) {
        look->leave = 0;
        return;
    }

    if (share->level <= now + AMP_SHARE_SECOND) {
        look->leave = (look->keep < 4) ? look->keep : (look->keep + 1) / 2;
        return;
    }

    look->leave = look->keep;

    if (!share->over) {
        share->over = 1;
        shares->over++;
        shares->below -= share->spent;
    }
}


void
amp_share_spend(amp_shares_t *shares, amp_share_t *share,
    const amp_share_look_t *look, uint64_t now)
{
    shares->spent++;

    if (!share->over) {
        share->spent++;
        shares->below++;
    }

    /* what was taken beyond a part, or alone, does not count for it */

    if (look->keep == 0) {
        return;
    }

    if (look->leave == 0) {
        share->tat = (share->tat > now ? share->tat : now) + look->unit;
    }

    if (look->leave < look->keep) {
        share->level = (share->level > now ? share->level : now) + look->level;
    }
}
