/*
 * Rates as people write them, and GCRA (ITU-T I.371, the virtual scheduling
 * algorithm) over a theoretical arrival time that the caller keeps.
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
 * "50/s", "600/m", "5000/h", "10000/d": count >= 1, at most AMP_RATE_MAX a
 * second.  Fills count and period, leaves burst.  0, or -1 when it is none.
 */

int amp_rate_parse(amp_span_t text, amp_rate_t *rate);

/* The burst of a limit that has a rate and no burst of its own. */

static inline uint32_t
amp_rate_default_burst(const amp_rate_t *rate)
{
    return (rate->count < AMP_BURST_MAX) ? rate->count : AMP_BURST_MAX;
}

/* The same text again, at most AMP_RATE_TEXT_MAX bytes. */

void amp_rate_write(const amp_rate_t *rate, amp_buf_t *out);

/* Nanoseconds of one unit, rounded up. */

uint64_t amp_rate_interval(const amp_rate_t *rate);

/* unit == amp_rate_interval(rate), without a division. */

int amp_rate_is(const amp_rate_t *rate, uint64_t unit);

/*
 * One request of cost 1 at time now (nanoseconds of any clock that does not
 * go back; a now behind the state is taken as it is and never admits more).
 * now is below 2^63, which a Unix clock reaches in 2262.  *tat is the caller's
 * state, 0 at first.
 *
 * Whole nanoseconds: the interval of one unit is rounded up, so a long run
 * stays below the rate by less than 1 ns a unit.  A burst that takes longer
 * than AMP_RATE_SPAN to refill (1/d with more than 53376) is cut to that.
 *
 * Admitted: answers 0 and moves *tat.  Refused: answers the nanoseconds until
 * the same call would be admitted (> 0) and leaves *tat, so a refused call
 * costs nothing.
 */

uint64_t amp_rate_take(const amp_rate_t *rate, uint64_t *tat, uint64_t now);

/* The same question without taking anything. */

uint64_t amp_rate_peek(const amp_rate_t *rate, uint64_t tat, uint64_t now);


#endif /* AMP_RATE_H */
