#include <string.h>

#include "amp_budget.h"


#define AMP_BUDGET_HOUR     3600                /* a period of amp_rate_t, s  */
#define AMP_BUDGET_SHORT    1000                /* ns: AMP_RATE_MAX a second  */
#define AMP_BUDGET_LONG     (AMP_BUDGET_HOUR * AMP_BUDGET_SECOND)
#define AMP_BUDGET_DOUBLE   100000              /* ms in which it grows to
                                                   twice what was learned     */


static uint64_t amp_budget_learn(const amp_budget_t *b, uint64_t until);
static uint64_t amp_budget_span(uint64_t unit);


int
amp_budget_refused(amp_budget_t *b, uint64_t hold, uint64_t now)
{
    int       first;
    uint64_t  unit, until;

    if (amp_budget_over(b, now)) {
        memset(b, 0, sizeof(*b));
    }

    if (b->since != 0 && now < b->hold_end) {
        return 0;
    }

    /* it has grown until now */

    first = (b->unit == 0);
    unit = amp_budget_unit(b, now);
    until = now + (hold > AMP_BUDGET_SECOND ? hold : AMP_BUDGET_SECOND);

    if (b->since == 0 || now - b->hold_end > AMP_BUDGET_LATE) {
        b->since = until;
        b->count = 0;

    } else if (b->count >= AMP_BUDGET_REQUESTS) {
        unit = amp_budget_learn(b, until);
        b->since = until;
        b->count = 0;
    }

    b->hold_end = until;
    b->learned = until;
    b->unit = unit;
    b->tat = until + amp_budget_span(unit) / 2;

    return first && unit != 0;
}


/* Nine tenths of what Ampersand has taken. */

static uint64_t
amp_budget_learn(const amp_budget_t *b, uint64_t until)
{
    uint64_t  unit;

    unit = (until - b->since) / b->count;

    if (unit < AMP_BUDGET_SHORT) {
        return AMP_BUDGET_SHORT;
    }

    return unit < AMP_BUDGET_LONG ? unit / 9 * 10 : AMP_BUDGET_LONG;
}


int
amp_budget_over(const amp_budget_t *b, uint64_t now)
{
    return b->since != 0 && now > b->hold_end
           && now - b->hold_end > AMP_BUDGET_LIFE;
}


uint64_t
amp_budget_unit(const amp_budget_t *b, uint64_t now)
{
    uint64_t  ms, unit;

    if (b->unit == 0 || now <= b->learned) {
        return b->unit;
    }

    if (amp_budget_over(b, now)) {
        return 0;
    }

    ms = (now - b->learned) / 1000000;

    unit = b->unit * AMP_BUDGET_DOUBLE / (AMP_BUDGET_DOUBLE + ms);

    return unit > AMP_BUDGET_SHORT ? unit : AMP_BUDGET_SHORT;
}


/* In what time the bucket fills: so far ahead of now units may be taken. */

static uint64_t
amp_budget_span(uint64_t unit)
{
    return 2 * unit > AMP_BUDGET_SECOND ? 2 * unit : AMP_BUDGET_SECOND;
}


uint64_t
amp_budget_look(amp_budget_t *b, amp_share_t *share, uint64_t now,
    amp_share_look_t *look)
{
    uint64_t    unit, until, full;
    amp_rate_t  rate;

    unit = amp_budget_unit(b, now);

    if (unit == 0) {
        memset(look, 0, sizeof(*look));
        return 0;
    }

    full = now + amp_budget_span(unit);

    rate.count = (uint32_t) (AMP_BUDGET_LONG / unit);
    rate.count = rate.count ? rate.count : 1;
    rate.period = AMP_BUDGET_HOUR;
    rate.burst = (uint32_t) (2 * amp_budget_span(unit) / unit);

    amp_share_look(&b->shares, share, &rate, 1, now, look);

    if (look->leave == 0) {
        return 0;
    }

    until = (b->tat > now ? b->tat : now) + (look->leave + 1) * unit;

    return until > full ? until - full : 0;
}


void
amp_budget_spend(amp_budget_t *b, amp_share_t *share,
    const amp_share_look_t *look, uint64_t now)
{
    uint64_t  unit, empty, tat;

    unit = amp_budget_unit(b, now);

    if (unit == 0 || look->unit == 0) {
        return;
    }

    amp_share_spend(&b->shares, share, look, now);

    /* what goes beyond it, as a tenant that asks alone may, is nobody's debt */

    empty = now + amp_budget_span(unit);

    if (b->tat < empty) {
        tat = (b->tat > now ? b->tat : now) + unit;
        b->tat = tat < empty ? tat : empty;
    }
}
