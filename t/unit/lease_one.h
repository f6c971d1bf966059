/* One gateway, one Redis and single requests: for tests of single cases. */

#ifndef LEASE_ONE_H
#define LEASE_ONE_H


#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "lease_server.h"


#define MS      UINT64_C(1000000)


typedef struct {
    amp_lease_t  lease;
    amp_rate_t   rate;
    server_t      redis;
    uint64_t     now;               /* monotonic                              */
    double       zero;              /* Redis time when now is 0, microseconds */
    int          me;
    int          run;               /* of the server                          */
} one_t;


static inline void
one_init(one_t *o, const char *rate, uint32_t burst)
{
    memset(o, 0, sizeof(*o));
    o->now = 77 * SECOND;
    o->zero = 1763000000e6;

    assert_int_equal(amp_rate_parse(amp_span_make(rate, strlen(rate)),
                                    &o->rate), 0);
    o->rate.burst = burst;
}


/* A call that reaches Redis after 200 us, and whose answer takes 200 us. */

static inline amp_lease_answer_t
one_call(one_t *o)
{
    uint64_t            sent = o->now;
    amp_lease_ask_t     ask;
    amp_lease_answer_t  answer;

    amp_lease_ask(&o->lease, &o->rate, o->now, TIMEOUT, &ask);
    assert_false(amp_lease_due(&o->lease, &o->rate, o->now));

    o->now += 200000;
    server_call(&o->redis, &ask, o->me, o->run, 0, 0,
               o->zero + (double) (o->now / 1000), &answer);
    o->now += 200000;

    assert_int_equal(amp_lease_answer(&o->lease, &answer, sent,
                                      o->now), 0);
    return answer;
}


/* A lease of n units, for which "waiting" requests wait. */

static inline void
one_lease(one_t *o, unsigned n, unsigned waiting)
{
    amp_lease_ask_t     ask;
    amp_lease_answer_t  answer;

    amp_lease_ask(&o->lease, &o->rate, o->now, TIMEOUT, &ask);
    o->lease.waiting = waiting;
    ask.wanted = n;
    server_call(&o->redis, &ask, o->me, o->run, 0, 0,
               o->zero + (double) (o->now / 1000), &answer);
    assert_int_equal(amp_lease_answer(&o->lease, &answer, o->now, o->now), 0);
}


/* Swaps two gateways (many == 2): the next request arrives at the other. */

static inline void
one_swap(one_t *o, amp_lease_t *other, unsigned many)
{
    amp_lease_t  lease = o->lease;

    if (many == 2) {
        o->lease = *other;
        *other = lease;
        o->me = !o->me;
    }
}


/*
 * Runs a request to its end: 0 when admitted, else the ns of the refusal.
 * While gateways tell a new server what they know, it is refused after four
 * calls.
 */

static inline uint64_t
one_request(one_t *o)
{
    int          waited;
    uint64_t     wait;
    amp_lease_e  rc;

    for (waited = 0; waited < 4; waited++) {
        rc = amp_lease_look(&o->lease, &o->rate, o->now, waited, &wait);

        if (rc == AMP_LEASE_ADMIT) {
            amp_lease_spend(&o->lease, &o->rate, o->now, waited);

            if (amp_lease_due(&o->lease, &o->rate, o->now)) {
                one_call(o);
            }

            return 0;
        }

        if (rc == AMP_LEASE_REFUSE) {
            assert_true(wait > 0);
            return wait;
        }

        assert_int_equal(rc, AMP_LEASE_ASK);

        o->now += wait;
        assert_true(wait <= AMP_LEASE_PACE);
        assert_true(amp_lease_due(&o->lease, &o->rate, o->now));
        one_call(o);
    }

    assert_non_null(strchr(o->redis.fields[3], ' '));

    return AMP_LEASE_PACE;
}


#endif /* LEASE_ONE_H */
