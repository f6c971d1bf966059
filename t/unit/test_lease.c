/* Leases: small cases by hand, the promise by simulation. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>
#include <openssl/sha.h>

#include "lease_world.h"


#define MS  UINT64_C(1000000)


typedef struct {
    amp_lease_t  lease;
    amp_rate_t   rate;
    model_t      redis;
    uint64_t     now;               /* monotonic                              */
    double       zero;              /* Redis time when now is 0, microseconds */
    int          me;
    int          run;               /* of the server                          */
} one_t;


static void
one_init(one_t *o, const char *rate, uint32_t burst)
{
    memset(o, 0, sizeof(*o));
    o->now = 77 * SECOND;
    o->zero = 1763000000e6;

    assert_int_equal(amp_rate_parse(amp_span_make(rate, strlen(rate)),
                                    &o->rate), 0);
    o->rate.burst = burst;
}


/* A call that takes 200 us there and 200 us back. */

static amp_lease_answer_t
one_call(one_t *o)
{
    uint64_t            sent = o->now;
    amp_lease_ask_t     ask;
    amp_lease_answer_t  answer;

    amp_lease_ask(&o->lease, &o->rate, o->now, &ask);
    assert_false(amp_lease_due(&o->lease, &o->rate, o->now));

    o->now += 200000;
    model_call(&o->redis, &ask, o->me, o->run, 0,
               o->zero + (double) (o->now / 1000), &answer);
    o->now += 200000;

    assert_int_equal(amp_lease_answer(&o->lease, &answer, sent,
                                      o->now), 0);
    return answer;
}


/* A lease of n units, for which some waited. */

static void
one_lease(one_t *o, unsigned n, unsigned waiting)
{
    amp_lease_ask_t     ask;
    amp_lease_answer_t  answer;

    amp_lease_ask(&o->lease, &o->rate, o->now, &ask);
    o->lease.waiting = waiting;
    ask.wanted = n;
    model_call(&o->redis, &ask, o->me, o->run, 0,
               o->zero + (double) (o->now / 1000), &answer);
    assert_int_equal(amp_lease_answer(&o->lease, &answer, o->now, o->now), 0);
}


/* The next request comes to the other gateway, if there are two. */

static void
one_swap(one_t *o, amp_lease_t *other, unsigned many)
{
    amp_lease_t  lease = o->lease;

    if (many == 2) {
        o->lease = *other;
        *other = lease;
        o->me = !o->me;
    }
}


/* What becomes of a request, waiting included: 0, or the ns of a refusal. */

static uint64_t
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

    fail_msg("asked again and again");
    return 0;
}


/* As many as the burst, one after another, and then what the refusal says. */

static void
bursts(void **state)
{
    one_t     o;
    size_t    i;
    uint32_t  n, round;
    uint64_t  begin, unit, wait;

    static const struct {
        const char  *rate;
        uint32_t     burst;
    } limits[] = {
        { "1/s", 1 }, { "1/s", 3 }, { "10/m", 5 }, { "1/h", 1 }, { "2/h", 10 },
        { "50/s", 100 }, { "10000/d", 10000 }, { "1/d", 20 }, { "5/s", 2 }
    };

    for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        one_init(&o, limits[i].rate, limits[i].burst);
        begin = o.now;
        unit = amp_rate_interval(&o.rate);

        for (n = 0; (wait = one_request(&o)) == 0; n++) {
            assert_true(n < 3 * limits[i].burst);
        }

        assert_true(n >= limits[i].burst);

        /* whoever comes back when told is admitted, and not much before */

        for (round = 0; round < 5; round++) {
            assert_true(n <= limits[i].burst + (o.now - begin) / unit);
            assert_true(wait <= unit + AMP_LEASE_AHEAD);

            if (wait > 2 * AMP_LEASE_AHEAD) {
                o.now += wait - 2 * AMP_LEASE_AHEAD;
                assert_true(one_request(&o) > 0);
                wait = 2 * AMP_LEASE_AHEAD;
            }

            o.now += wait;

            while ((wait = one_request(&o)) != 0) {

                /* the share of a second for which Redis is not asked */

                assert_true(wait <= AMP_LEASE_AHEAD + MS);
                o.now += wait;
            }

            for (n++; (wait = one_request(&o)) == 0; n++) {
                assert_true(n < 3 * limits[i].burst + 50);
            }
        }
    }
}


/* Below its limit a request seldom waits, and calls are few. */

static void
warm(void **state)
{
    one_t        o;
    uint64_t     wait;
    unsigned     i, waited = 0;

    one_init(&o, "1000/s", 1000);

    for (i = 0; i < 10000; i++) {
        o.now += 5 * MS;

        if (amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait)
            == AMP_LEASE_ASK)
        {
            waited++;
        } else {
            amp_lease_spend(&o.lease, &o.rate, o.now, 0);
        }

        if (amp_lease_due(&o.lease, &o.rate, o.now)) {
            one_call(&o);
        }
    }

    assert_true(waited <= 2);
    assert_true(o.redis.calls <= 50 * 10);
}


/* However many requests come, at most 20 calls begin in a second. */

static void
pace(void **state)
{
    one_t               o;
    size_t              n = 0, i, first = 0;
    uint64_t            wait, times[1000];
    amp_lease_ask_t     ask;
    amp_lease_answer_t  answer;

    one_init(&o, "1000000/s", 10);

    for (i = 0; i < 100000; i++) {
        o.now += 100000;
        (void) amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait);

        if (!amp_lease_due(&o.lease, &o.rate, o.now)) {
            continue;
        }

        amp_lease_ask(&o.lease, &o.rate, o.now, &ask);
        memset(&answer, 0, sizeof(answer));
        answer.now = 1763000000000000 + o.now / 1000;
        answer.gateways = 1;
        assert_int_equal(amp_lease_answer(&o.lease, &answer, o.now,
                                          o.now), 0);
        times[n++] = o.now;

        while (times[n - 1] - times[first] > SECOND) {
            first++;
        }

        assert_true(n - first <= 20);
    }

    assert_true(n >= 100);
}


/* What was spent stays spent when the rate changes, in units. */

static void
new_rate(void **state)
{
    one_t     o;
    uint32_t  n;
    uint64_t  begin;

    one_init(&o, "10/s", 100);

    for (n = 0; n < 60; n++) {
        assert_true(one_request(&o) == 0);
    }

    o.rate.count = 100;
    o.rate.burst = 200;
    begin = o.now;

    for (n = 0; one_request(&o) == 0; n++) {
        assert_true(n <= 140 + (o.now - begin) / (10 * MS) + 2);
    }

    assert_true(n >= 140);

    /* and down: not more than the new burst */

    o.rate.count = 1;
    o.rate.burst = 5;

    for (n = 0; one_request(&o) == 0; n++) {
        assert_true(n < 5);
    }
}


/*
 * Exactly what is left; with two gateways but for the few units that the other
 * one held, of a large burst.
 */

static void
new_limit(void **state)
{
    one_t        o;
    size_t       i;
    uint32_t     n;
    unsigned     many, left;
    uint64_t     begin;
    amp_lease_t  other;

    static const struct {
        const char  *rate;
        uint32_t     burst;
        uint32_t     used;
        const char  *then;
        uint32_t     then_burst;
    } limits[] = {
        { "1/h", 3, 3, "1/h", 5 }, { "1/h", 5, 3, "1/h", 4 },
        { "1/h", 5, 3, "1/h", 2 }, { "1/h", 5, 3, "10/h", 5 },
        { "10/h", 5, 3, "1/d", 4 }, { "1/h", 5, 3, "2/h", 1 },
        { "1/h", 100, 50, "1/h", 200 }, { "1/h", 100, 50, "2/h", 60 },
        { "10000/d", 500, 100, "10000/d", 1000 },
        { "10000/d", 500, 100, "100/h", 150 },
        { "10000/d", 500, 100, "10000/d", 150 }
    };

    for (i = 0; i < 2 * sizeof(limits) / sizeof(limits[0]); i++) {
        many = (unsigned) i % 2 + 1;
        one_init(&o, limits[i / 2].rate, limits[i / 2].burst);
        memset(&other, 0, sizeof(other));
        begin = o.now;

        for (n = 0; n < limits[i / 2].used; n++) {
            assert_true(one_request(&o) == 0);
            one_swap(&o, &other, many);
        }

        left = limits[i / 2].then_burst;
        left -= (left < n) ? left : n;

        assert_int_equal(amp_rate_parse(amp_span_make(limits[i / 2].then,
                                                  strlen(limits[i / 2].then)),
                                        &o.rate), 0);
        o.rate.burst = limits[i / 2].then_burst;

        for (n = 0; one_request(&o) == 0; n++) {
            one_swap(&o, &other, many);
            assert_true(n <= left
                             + (o.now - begin) / amp_rate_interval(&o.rate));
        }

        n += (many == 2) ? limits[i / 2].burst / 16 : 0;
        assert_true(n >= left);
    }
}


/* A larger burst changes nothing of what is held, wherever that is. */

static void
larger_burst(void **state)
{
    one_t        o;
    uint64_t     wait;
    amp_lease_t  other;

    one_init(&o, "10/s", 20);
    memset(&other, 0, sizeof(other));

    one_lease(&o, 10, 0);
    one_swap(&o, &other, 2);
    one_lease(&o, 5, 0);
    one_swap(&o, &other, 2);

    o.rate.burst = 40;
    assert_int_equal(amp_lease_held(&o.lease, &o.rate, o.now), 9);
    assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                     AMP_LEASE_ADMIT);
}


/*
 * Redis is back with its data, but for the last writes: a gateway that is alone
 * knows them.  For all others the bucket is empty.
 */

static void
restart(void **state)
{
    int              round;
    one_t            o;
    uint32_t         n;
    amp_lease_t      lease, other;
    amp_lease_ask_t  ask;

    for (round = 0; round < 3; round++) {
        one_init(&o, "10000/d", 500);
        memset(&other, 0, sizeof(other));

        for (n = 0; n < 100; n++) {
            assert_true(one_request(&o) == 0);
            one_swap(&o, &other, round ? 2 : 1);
        }

        if (round == 2) {
            memset(&o.lease, 0, sizeof(o.lease));
        }

        lease = o.lease;
        amp_lease_ask(&lease, &o.rate, o.now, &ask);
        assert_int_equal(ask.told > 99 * 8640 * MS, round == 0);

        o.run++;
        o.redis.ahead /= 3;
        o.now += AMP_LEASE_LIFE;
        o.zero += 3e6 * (round - 1);

        for ( ; one_request(&o) == 0; n++) {
            assert_true(n < 500 + (o.now - 77 * SECOND) / (8640 * MS));
        }

        assert_true(round == 0 ? n >= 500 : n <= 100);
    }
}


/* Without Redis, from what was left; and charged when it is back. */

static void
away(void **state)
{
    one_t               o;
    uint32_t            n;
    uint64_t            wait;
    amp_lease_ask_t     ask;
    amp_lease_answer_t  a;

    one_init(&o, "10/s", 40);

    /* never heard of Redis: the burst is divided by whom others saw */

    amp_lease_failed(&o.lease, o.now);
    assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                     AMP_LEASE_AWAY);
    assert_false(amp_lease_due(&o.lease, &o.rate, o.now));

    for (n = 0; amp_lease_local(&o.lease, &o.rate, 4, o.now) == 0; n++) {
        amp_lease_local_spend(&o.lease, &o.rate, 4, o.now);
    }

    assert_int_equal(n, 10);
    assert_true(amp_lease_local(&o.lease, &o.rate, 4, o.now) == 400 * MS);
    assert_true(amp_lease_local(&o.lease, &o.rate, 4, o.now + 400 * MS) == 0);

    /* asked again after a while */

    o.now += AMP_LEASE_RETRY;
    assert_true(amp_lease_due(&o.lease, &o.rate, o.now));

    /* ten here, of a gateway that is told to be the only one */

    one_init(&o, "10/s", 40);

    for (n = 0; n < 20; n++) {
        assert_true(one_request(&o) == 0);
    }

    o.now += 20 * SECOND;
    amp_lease_failed(&o.lease, o.now);

    for (n = 0; amp_lease_local(&o.lease, &o.rate, 1, o.now) == 0; n++) {
        amp_lease_local_spend(&o.lease, &o.rate, 1, o.now);
    }

    assert_int_equal(n, 40);

    amp_lease_ask(&o.lease, &o.rate, o.now, &ask);
    assert_true(ask.charge == 4 * SECOND);
    amp_lease_failed(&o.lease, o.now);

    o.now += SECOND;
    a = one_call(&o);
    assert_true(a.lead >= 3 * SECOND - MS && a.lead <= 3 * SECOND);
    assert_true(o.lease.local == 0);
    assert_false(o.lease.away);
}


/* Handed back in time, and when too old to be spent. */

static void
returns(void **state)
{
    int                 i;
    one_t               o;
    double              before;
    uint64_t            wait;
    amp_lease_ask_t     ask;

    one_init(&o, "1/m", 100);
    assert_false(amp_lease_return(&o.lease, &o.rate, o.now, &ask));

    /* twenty wait; two of them go away, and eighteen look */

    for (i = 0; i < 20; i++) {
        assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                         AMP_LEASE_ASK);
    }

    one_call(&o);

    for (i = 0; i < 18; i++) {
        assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 1, &wait),
                         AMP_LEASE_ADMIT);
        amp_lease_spend(&o.lease, &o.rate, o.now, 1);
    }

    /* others have the two, once they may be spent: the call was not in vain */

    assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                     AMP_LEASE_ASK);
    amp_lease_failed(&o.lease, o.now);
    o.now += AMP_LEASE_PACE + MS;

    for (i = 0; i < 2; i++) {
        assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                         AMP_LEASE_ADMIT);
        amp_lease_spend(&o.lease, &o.rate, o.now, 0);
    }

    assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                     AMP_LEASE_AWAY);

    /* also when others took what is behind them; or they are handed back */

    one_init(&o, "10/m", 100);
    one_lease(&o, 5, 2);
    assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 1, &wait),
                     AMP_LEASE_ADMIT);
    amp_lease_spend(&o.lease, &o.rate, o.now, 1);

    for (i = 0; i < 3; i++) {
        assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                         AMP_LEASE_ADMIT);
        amp_lease_spend(&o.lease, &o.rate, o.now, 0);
    }

    o.now += AMP_LEASE_PACE + MS;
    assert_int_equal(amp_lease_held(&o.lease, &o.rate, o.now), 0);
    assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                     AMP_LEASE_ADMIT);
    assert_int_equal(amp_lease_held(&o.lease, &o.rate, o.now), 1);

    one_init(&o, "10/m", 100);
    one_lease(&o, 2, 2);
    o.now += 2 * AMP_LEASE_PACE;
    assert_true(amp_lease_return(&o.lease, &o.rate, o.now, &ask));
    assert_true(ask.back > 11 * SECOND && ask.back <= 12 * SECOND);

    one_init(&o, "1/m", 100);
    one_lease(&o, 10, 0);
    before = o.redis.ahead;

    assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                     AMP_LEASE_ADMIT);
    amp_lease_spend(&o.lease, &o.rate, o.now, 0);

    o.now += AMP_LEASE_LIFE + MS;
    assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                     AMP_LEASE_ASK);
    one_call(&o);

    /* nine of ten came back, and the request that waited has one */

    assert_true(o.redis.ahead <= before - 8 * 60 * (double) SECOND);
    assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 1, &wait),
                     AMP_LEASE_ADMIT);
}


/* What may have lapsed while the answer was on its way is not spent. */

static void
slow_answer(void **state)
{
    int                 n;
    one_t               o;
    uint64_t            wait;
    amp_lease_ask_t     ask;
    amp_lease_answer_t  answer = { 1763000077000000, 0, 10, 1, 200 * MS, 0 };

    one_init(&o, "50/s", 100);

    amp_lease_ask(&o.lease, &o.rate, o.now, &ask);
    assert_int_equal(amp_lease_answer(&o.lease, &answer, o.now,
                                      o.now + 50 * MS), 0);
    o.now += 50 * MS;

    for (n = 0; amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait)
                == AMP_LEASE_ADMIT; n++)
    {
        amp_lease_spend(&o.lease, &o.rate, o.now, 0);
    }

    assert_int_equal(n, 7);
}


/* Answers that no script gives, and clocks that jump. */

static void
strange_answers(void **state)
{
    one_t               o;
    size_t              i;
    uint64_t            wait;
    amp_lease_ask_t     ask;
    amp_lease_answer_t  good = { 1763000077000000, 0, 50, 1, 1000 * MS, 0 },
                        bad;

    one_init(&o, "50/s", 100);

    for (i = 0; i < 6; i++) {
        bad = good;
        *((uint64_t *[]) { &bad.now, &bad.now, &bad.lead, &bad.granted,
                           &bad.ahead, &bad.wait })[i] = i ? UINT64_MAX : 0;

        amp_lease_ask(&o.lease, &o.rate, o.now, &ask);
        assert_int_equal(amp_lease_answer(&o.lease, &bad, o.now,
                                          o.now), -1);
        assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                         AMP_LEASE_AWAY);
    }

    assert_int_equal(amp_lease_answer(&o.lease, &good, o.now, o.now),
                     0);
    assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                     AMP_LEASE_ADMIT);

    /* a server whose clock is another: what is held is not of its time */

    good.now -= 3600 * UINT64_C(1000000);
    good.granted = 0;
    assert_int_equal(amp_lease_answer(&o.lease, &good, o.now, o.now),
                     0);
    assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                     AMP_LEASE_ASK);
}


/* Of two calls under way the older one's answer is of no use any more. */

static void
late_answer(void **state)
{
    one_t               o;
    uint64_t            sent, wait;
    amp_lease_ask_t     ask;
    amp_lease_answer_t  answer = { 1763000077000000, MS, 10, 1, 200 * MS, 0 };

    one_init(&o, "50/s", 100);
    sent = o.now;
    amp_lease_ask(&o.lease, &o.rate, o.now, &ask);
    assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                     AMP_LEASE_ASK);

    o.now += AMP_LEASE_LOST;
    o.rate.count = 1;
    assert_true(amp_lease_due(&o.lease, &o.rate, o.now));
    amp_lease_ask(&o.lease, &o.rate, o.now, &ask);

    assert_int_equal(amp_lease_answer(&o.lease, &answer, sent, o.now), 0);
    assert_int_equal(amp_lease_held(&o.lease, &o.rate, o.now), 0);
    assert_int_equal(amp_lease_answer(&o.lease, &answer, o.now, o.now), 0);
    assert_int_equal(amp_lease_held(&o.lease, &o.rate, o.now), 10);

    /* TAT is behind what is held: somebody else may have got the same */

    answer.granted = 5;
    amp_lease_ask(&o.lease, &o.rate, o.now, &ask);
    assert_int_equal(amp_lease_answer(&o.lease, &answer, o.now, o.now), 0);
    assert_int_equal(amp_lease_held(&o.lease, &o.rate, o.now), 5);
}


static void
headers(void **state)
{
    one_t     o;
    uint32_t  n;
    uint64_t  begin, reset;

    one_init(&o, "10/s", 20);
    begin = o.now;
    assert_int_equal(amp_lease_remaining(&o.lease, &o.rate, o.now, &reset), 20);
    assert_true(reset == 0);

    for (n = 1; n <= 20; n++) {
        assert_true(one_request(&o) == 0);
        assert_in_range(amp_lease_remaining(&o.lease, &o.rate, o.now, &reset),
                        20 - n, 21 - n + (o.now - begin) / (100 * MS));
        assert_true(reset <= 2 * SECOND + AMP_LEASE_AHEAD);
    }
}


static void
script(void **state)
{
    unsigned        i;
    amp_span_t      argv[AMP_LEASE_ARGS];
    unsigned char   sha[SHA_DIGEST_LENGTH];
    unsigned char   text[AMP_LEASE_ARGS][AMP_LEASE_TEXT];
    char            hex[41];

    static const amp_lease_ask_t  ask = {
        20000000, 1980000000, 0, UINT64_C(1763000000123456789), UINT64_MAX, 0,
        7, UINT32_MAX
    };
    static const char *const  expected[AMP_LEASE_ARGS] = {
        "20000000", "1980000000", "0", "4294967295", "gw", "run", "17",
        "1763000000123456", "789", "18446744073709551615", "0", "7"
    };

    SHA1((const unsigned char *) amp_lease_script, strlen(amp_lease_script),
         sha);

    for (i = 0; i < SHA_DIGEST_LENGTH; i++) {
        snprintf(hex + 2 * i, 3, "%02x", sha[i]);
    }

    assert_string_equal(hex, amp_lease_sha);

    amp_lease_argv(&ask, amp_span("gw"), amp_span("run"), 17, text, argv);

    for (i = 0; i < AMP_LEASE_ARGS; i++) {
        assert_true(amp_span_eq(argv[i], amp_span_make(expected[i],
                                                      strlen(expected[i]))));
    }
}


/* t/bench/limits.c has more of these, and says what its columns are. */

static void
promise(void **state)
{
    size_t    i;
    world_t   w;

    static const scenario_t  scenarios[] = {
        { "one",    "50/s",   100, 1, 3, 0, 10,   400,  0,  0, 0, .97, 1 },
        { "small",  "50/s",     2, 1, 3, 0, 10,   400,  0,  0, 0, .97, 1 },
        { "two",    "50/s",   100, 2, 3, 0, 10,   400,  0,  0, 0, .97, .1 },
        { "four",   "600/m",  100, 4, 3, 0, 60,   400,  0,  0, 0, .97, .3 },
        { "eight",  "50/s",   100, 8, 3, 0, 20,   400,  0,  0, 0, .97, .1 },
        { "skewed", "100/s",  100, 8, 3, 1, 20,   400,  0,  0, 0, .97, 9 },
        { "burst 1", "20/s",    1, 4, 3, 0, 10,  9000, 10,  9, 3, .20, 1 },
        { "burst 2", "20/s",    2, 4, 3, 0, 10,  9000, 10,  9, 3, .30, 1 },
        { "slow",   "100/s",   20, 8, 1, 0, 20, 90000,  0, 20, 0, .50, 1 },
        { "chaos",  "200/s",  100, 8, 3, 0, 20, 20000, 20, 20, 5, .50, 1 },
        { "fail",   "10/s",    50, 4, 3, 0, 30,   400,  0,  0, 9, .50, 1 }
    };

    for (i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        world_run(&w, &scenarios[i], 1 + i);

        if (world_excess(&w) != 0 || world_share(&w) < scenarios[i].least
            || world_unfair(&w) > scenarios[i].unfair)
        {
            fail_msg("%s: %g units above, %g of what GCRA admits, %g unfair",
                     scenarios[i].name, (double) world_excess(&w)
                     / (double) amp_rate_interval(&w.rate), world_share(&w),
                     world_unfair(&w));
        }

        world_end(&w);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(bursts),
        cmocka_unit_test(warm),
        cmocka_unit_test(pace),
        cmocka_unit_test(new_rate),
        cmocka_unit_test(new_limit),
        cmocka_unit_test(larger_burst),
        cmocka_unit_test(restart),
        cmocka_unit_test(away),
        cmocka_unit_test(returns),
        cmocka_unit_test(slow_answer),
        cmocka_unit_test(strange_answers),
        cmocka_unit_test(late_answer),
        cmocka_unit_test(headers),
        cmocka_unit_test(script),
        cmocka_unit_test(promise)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
