#include "amp_rate.h"
#include "amp_escape.h"


#define AMP_RATE_SECOND  UINT64_C(1000000000)   /* ns                         */
#define AMP_RATE_DIGITS  10                     /* of a uint32_t              */


int
amp_rate_parse(amp_span_t text, amp_rate_t *rate)
{
    size_t    i;
    uint32_t  period;
    uint64_t  count = 0;

    if (text.len < 3 || text.len > AMP_RATE_DIGITS + 2
        || text.data[0] == '0' || text.data[text.len - 2] != '/')
    {
        return -1;
    }

    for (i = 0; i < text.len - 2; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return -1;
        }

        count = count * 10 + (text.data[i] - '0');
    }

    switch (text.data[text.len - 1]) {

    case 's':
        period = 1;
        break;

    case 'm':
        period = 60;
        break;

    case 'h':
        period = 3600;
        break;

    case 'd':
        period = 86400;
        break;

    default:
        return -1;
    }

    if (count > (uint64_t) AMP_RATE_MAX * period || count > UINT32_MAX) {
        return -1;
    }

    rate->count = (uint32_t) count;
    rate->period = period;

    return 0;
}


void
amp_rate_write(const amp_rate_t *rate, amp_buf_t *out)
{
    unsigned char  *p, text[AMP_RATE_TEXT_MAX];

    p = amp_decimal(text, rate->count);
    *p++ = '/';
    *p++ = (rate->period == 1) ? 's' : (rate->period == 60) ? 'm'
           : (rate->period == 3600) ? 'h' : 'd';

    amp_buf_put(out, text, (size_t) (p - text));
}


uint64_t
amp_rate_interval(const amp_rate_t *rate)
{
    return (rate->period * AMP_RATE_SECOND + rate->count - 1) / rate->count;
}


int
amp_rate_is(const amp_rate_t *rate, uint64_t unit)
{
    uint64_t  units, period = rate->period * AMP_RATE_SECOND;

    return unit != 0 && !__builtin_mul_overflow(unit, rate->count, &units)
           && units >= period && units - period < rate->count;
}


/* How far TAT may be ahead of now without a refusal. */

static uint64_t
amp_rate_tolerance(const amp_rate_t *rate, uint64_t interval)
{
    uint64_t  units = rate->burst - 1;

    if (rate->burst == 0) {
        return 0;
    }

    return (units > AMP_RATE_SPAN / interval) ? AMP_RATE_SPAN
                                              : units * interval;
}


uint64_t
amp_rate_take(const amp_rate_t *rate, uint64_t *tat, uint64_t now)
{
    uint64_t  ahead, interval, tolerance;

    interval = amp_rate_interval(rate);
    tolerance = amp_rate_tolerance(rate, interval);
    ahead = (*tat > now) ? *tat - now : 0;

    if (ahead > tolerance) {
        return ahead - tolerance;
    }

    *tat = now + ahead + interval;

    return 0;
}


uint64_t
amp_rate_peek(const amp_rate_t *rate, uint64_t tat, uint64_t now)
{
    return amp_rate_take(rate, &tat, now);
}
