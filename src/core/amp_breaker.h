/*
 * Whether a host of Ampersand that failed gets requests.
 *
 * A host is suspended after AMP_BREAKER_FAILURES failures with no answer in
 * between, within AMP_BREAKER_WINDOW: so one tenant's slow requests cannot
 * suspend a host that answers others.  Then it gets one request at a time, the
 * probe:
 *
 *   WORKING ── the last of so many failures ──▶ SUSPENDED for 1 s
 *   SUSPENDED ── time over, a request comes ──▶ SUSPENDED, that is the probe
 *             ── the probe fails ─────────────▶ SUSPENDED for twice the time
 *             ── the probe says nothing ──────▶ SUSPENDED, the next one probes
 *             ── any answer ──────────────────▶ WORKING
 *
 * A probe that never ends (its worker died) holds up the next one for
 * AMP_BREAKER_PROBE.  Times are milliseconds of one monotonic clock.  Each
 * worker reads it once for several events, so now may be less than in the call
 * before.
 */

#ifndef AMP_BREAKER_H
#define AMP_BREAKER_H


#include <stdint.h>


#define AMP_BREAKER_FAILURES  5
#define AMP_BREAKER_WINDOW    60000
#define AMP_BREAKER_FIRST     1000
#define AMP_BREAKER_LONGEST   30000
#define AMP_BREAKER_PROBE     10000


/* Zeroed: WORKING, without a failure. */

typedef struct {
    uint64_t  since;            /* when the first of the failures was         */
    uint64_t  until;            /* SUSPENDED: no request before               */
    uint32_t  failures;         /* WORKING: without an answer in between      */
    uint32_t  pause;            /* ms, the last one; 0: WORKING               */
} amp_breaker_t;


typedef enum {
    AMP_BREAKER_PASS = 0,
    AMP_BREAKER_IS_PROBE,       /* pass, and tell how it ended                */
    AMP_BREAKER_REFUSE
} amp_breaker_e;


/* The milliseconds until a request can pass, or 0.  Changes nothing. */

uint64_t amp_breaker_left(const amp_breaker_t *breaker, uint64_t now);

/* May this request go to the host? */

amp_breaker_e amp_breaker_admit(amp_breaker_t *breaker, uint64_t now);

/* The host has answered.  1: it was suspended, and is working again. */

int amp_breaker_answered(amp_breaker_t *breaker);

/*
 * The host has failed.  Returns the milliseconds for which that suspends it, or
 * 0.  A request that was sent before the suspension changes nothing.
 */

uint32_t amp_breaker_failed(amp_breaker_t *breaker, uint64_t now, int probe);

/* The probe ended without saying anything about the host: its client left. */

void amp_breaker_released(amp_breaker_t *breaker, uint64_t now);


#endif /* AMP_BREAKER_H */
