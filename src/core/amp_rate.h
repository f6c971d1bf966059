/*
 * Rates in configuration and records, and GCRA (ITU-T I.371, the virtual
 * scheduling algorithm) with a theoretical arrival time (TAT) that the caller
 * keeps.
 */

#ifndef AMP_RATE_H
#define AMP_RATE_H


#include "amp_span.h"


#define AMP_RATE_TEXT_MAX  24
#define AMP_RATE_MAX       1000000      /* units a second                     */
#define AMP_BURST_MAX      10000000
#define AMP_RATE_SPAN      (UINT64_C(1) << 62)  /* ns, 146 years              */


typedef struct {
    uint32_t  count;            /* units ...                                  */
    uint32_t  period;           /* ... in so many seconds: 1, 60, 3600, 86400 */
    uint32_t  burst;            /* units at once, 1 .. AMP_BURST_MAX          */
} amp_rate_t;


/*
 * Parses "50/s", "600/m", "5000/h", "10000/d": count >= 1, at most AMP_RATE_MAX
 * a second.  0 with count and period filled and burst unchanged, or -1.
 */

int amp_rate_parse(amp_span_t text, amp_rate_t *rate);


/* The burst of a limit that has a rate and no burst of its own. */

static inline uint32_t
amp_rate_default_burst(const amp_rate_t *rate)
{
    return (rate->count < AMP_BURST_MAX) ? rate->count : AMP_BURST_MAX;
}


/* Appends a rate as amp_rate_parse() reads it: < AMP_RATE_TEXT_MAX bytes. */

void amp_rate_write(const amp_rate_t *rate, amp_buf_t *out);

/* The nanoseconds of one unit, rounded up. */

uint64_t amp_rate_interval(const amp_rate_t *rate);

/* 1 when unit == amp_rate_interval(rate); needs no division. */

int amp_rate_is(const amp_rate_t *rate, uint64_t unit);

/*
 * Takes one unit at the time now: nanoseconds, below 2^63, of a clock that does
 * not go back (if it does, nothing more is admitted).  *tat is the caller's
 * state, 0 at first.
 *
 * Returns 0 and advances *tat when the unit was taken; otherwise the
 * nanoseconds (> 0) until it could be, and *tat is unchanged: a refused request
 * costs nothing.
 *
 * The interval is rounded up, so that a long run stays below the rate by less
 * than 1 ns a unit.  A burst that takes longer than AMP_RATE_SPAN to refill
 * (1/d with more than 53376) is reduced to that.
 */

uint64_t amp_rate_take(const amp_rate_t *rate, uint64_t *tat, uint64_t now);

/* What amp_rate_take() would return; nothing is taken. */

uint64_t amp_rate_peek(const amp_rate_t *rate, uint64_t tat, uint64_t now);


#endif /* AMP_RATE_H */
