/* Leases: single cases, and the promise of amp_lease.h in simulations. */

#include "lease_one.h"
#include "lease_world.h"


/* Then the wait that a refusal gives is true. */

static void
the_burst_is_admitted_at_once(void **state)
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

        /* after that wait the request is admitted, and not much earlier */

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

                /* no call begins for that part of a second */

                assert_true(wait <= AMP_LEASE_AHEAD + MS);
                o.now += wait;
            }

            for (n++; (wait = one_request(&o)) == 0; n++) {
                assert_true(n < 3 * limits[i].burst + 50);
            }
        }
    }
}


/* And there are few calls. */

static void
few_requests_wait_below_the_limit(void **state)
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


static void
at_most_20_calls_begin_in_a_second(void **state)
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

        amp_lease_ask(&o.lease, &o.rate, o.now, TIMEOUT, &ask);
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


/* Requests are admitted locally, and charged when Redis is back. */

static void
without_redis(void **state)
{
    one_t               o;
    uint32_t            n;
    uint64_t            wait;
    amp_lease_ask_t     ask;
    amp_lease_answer_t  a;

    one_init(&o, "10/s", 40);

    /* no answer so far: the burst is divided by the caller's gateways */

    amp_lease_failed(&o.lease, o.lease.asked, o.now);
    assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                     AMP_LEASE_FALLBACK);
    assert_false(amp_lease_due(&o.lease, &o.rate, o.now));

    for (n = 0; amp_lease_local(&o.lease, &o.rate, 4, o.now) == 0; n++) {
        amp_lease_local_spend(&o.lease, &o.rate, 4, o.now);
    }

    /* without the ten units that wallets may have */

    assert_int_equal(n, 7);
    assert_true(amp_lease_local(&o.lease, &o.rate, 4, o.now) == 400 * MS);
    assert_true(amp_lease_local(&o.lease, &o.rate, 4, o.now + 400 * MS) == 0);

    /* each is charged once, whoever else uses the limit */

    o.lease.gateways = 1;
    amp_lease_ask(&o.lease, &o.rate, o.now, TIMEOUT, &ask);
    assert_true(ask.charge == 700 * MS);
    amp_lease_failed(&o.lease, o.now, o.now);

    /* a call is due after AMP_LEASE_RETRY */

    o.now += AMP_LEASE_RETRY;
    assert_true(amp_lease_due(&o.lease, &o.rate, o.now));

    /* after answers that name only one gateway: the whole burst */

    one_init(&o, "10/s", 40);

    for (n = 0; n < 20; n++) {
        assert_true(one_request(&o) == 0);
    }

    o.now += 20 * SECOND;
    amp_lease_failed(&o.lease, o.lease.asked, o.now);

    for (n = 0; amp_lease_local(&o.lease, &o.rate, 1, o.now) == 0; n++) {
        amp_lease_local_spend(&o.lease, &o.rate, 1, o.now);
    }

    /* with what is in its wallet, which needs no Redis */

    assert_true(o.lease.wallet > 0);
    assert_true(n + o.lease.wallet >= 39 && n + o.lease.wallet <= 40);

    amp_lease_ask(&o.lease, &o.rate, o.now, TIMEOUT, &ask);
    assert_true(ask.charge == n * 100 * MS);
    amp_lease_failed(&o.lease, o.lease.asked, o.now);

    o.now += SECOND;
    a = one_call(&o);
    /* a second has passed; the pool, of at most ten units, is charged first */

    assert_true(a.lead <= (n - 10) * 100 * MS);
    assert_true(a.lead >= (n - 20) * 100 * MS);
    assert_true(o.lease.local == 0);
    assert_false(o.lease.failed);
}


/* As many of the units that the call brings are spent; then the next pays. */

static void
spent_without_redis_while_a_call_is_under_way(void **state)
{
    one_t               o;
    uint32_t            n;
    uint64_t            sent;
    amp_lease_ask_t     ask;
    amp_lease_answer_t  a;

    one_init(&o, "10/s", 40);
    o.lease.demand = 10;

    amp_lease_failed(&o.lease, o.lease.asked, o.now);
    o.now += AMP_LEASE_RETRY;
    sent = o.now;
    amp_lease_ask(&o.lease, &o.rate, o.now, TIMEOUT, &ask);
    assert_true(ask.charge == 0);

    for (n = 0; n < 3; n++) {
        amp_lease_local_spend(&o.lease, &o.rate, 4, o.now);
    }

    memset(&a, 0, sizeof(a));
    a.now = (uint64_t) o.zero + o.now / 1000;
    a.granted = 5;
    a.gateways = 4;
    a.ahead = 500 * MS;

    assert_int_equal(amp_lease_answer(&o.lease, &a, sent, o.now), 0);
    assert_int_equal(o.lease.size, 2);

    amp_lease_ask(&o.lease, &o.rate, o.now, TIMEOUT, &ask);
    assert_true(ask.charge == 0);

    /* one is granted for three that were spent: two are left to be charged */

    for (n = 0; n < 3; n++) {
        amp_lease_local_spend(&o.lease, &o.rate, 4, o.now);
    }

    a.granted = 1;
    a.lead = 500 * MS;
    a.ahead = 600 * MS;

    assert_int_equal(amp_lease_answer(&o.lease, &a, o.now, o.now), 0);

    amp_lease_ask(&o.lease, &o.rate, o.now, TIMEOUT, &ask);
    assert_true(ask.charge == 200 * MS);

    a.granted = 0;
    assert_int_equal(amp_lease_answer(&o.lease, &a, o.now, o.now), 0);

    amp_lease_ask(&o.lease, &o.rate, o.now, TIMEOUT, &ask);
    assert_true(ask.charge == 0);
}


/* Also those that are too old to be spent. */

static void
units_are_handed_back(void **state)
{
    int                 i;
    one_t               o;
    double              before;
    uint64_t            wait;
    amp_lease_ask_t     ask;

    one_init(&o, "1/m", 100);
    assert_false(amp_lease_return(&o.lease, &o.rate, o.now, TIMEOUT, 0, &ask));

    /* twenty requests wait; two clients leave, and eighteen requests look */

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

    /* after AMP_LEASE_PACE other requests may spend the two reserved units */

    assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                     AMP_LEASE_ASK);
    amp_lease_failed(&o.lease, o.lease.asked, o.now);
    o.now += AMP_LEASE_PACE + MS;

    for (i = 0; i < 2; i++) {
        assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                         AMP_LEASE_ADMIT);
        amp_lease_spend(&o.lease, &o.rate, o.now, 0);
    }

    assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                     AMP_LEASE_FALLBACK);

    /* the same when the units behind the reserved ones are spent */

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

    /*
     * a request that waits for another limit, too, finds what it has not taken
     * in time
     */

    o.now += AMP_LEASE_PACE + MS;
    assert_int_equal(amp_lease_held(&o.lease, &o.rate, o.now), 1);
    assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                     AMP_LEASE_ADMIT);
    assert_int_equal(amp_lease_held(&o.lease, &o.rate, o.now), 1);

    /* reserved units are handed back */

    one_init(&o, "10/m", 100);
    one_lease(&o, 2, 2);
    o.now += 2 * AMP_LEASE_PACE;
    assert_true(amp_lease_return(&o.lease, &o.rate, o.now, TIMEOUT, 0, &ask));
    assert_true(ask.back > 11 * SECOND && ask.back <= 12 * SECOND);

    /* units that are too old are handed back by the next call */

    one_init(&o, "1/h", 100);
    one_lease(&o, 10, 0);
    before = server_ahead(&o.redis);

    assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                     AMP_LEASE_ADMIT);
    amp_lease_spend(&o.lease, &o.rate, o.now, 0);

    o.now += AMP_LEASE_KEEP + MS;
    assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                     AMP_LEASE_ASK);
    one_call(&o);

    /* nine of ten came back; the waiting request gets a unit, and two more */

    assert_true(server_ahead(&o.redis) <= before - 6 * 3600 * (double) SECOND);
    assert_true(server_ahead(&o.redis) > before - 7 * 3600 * (double) SECOND);
    assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 1, &wait),
                     AMP_LEASE_ADMIT);
}


/*
 * Two workers: a request of the second one comes before the first one's request
 * has looked.  Another answer would make the reserved unit an ordinary one,
 * which lapses.
 */

static void
no_call_begins_while_units_are_reserved(void **state)
{
    one_t     o;
    uint64_t  wait;

    one_init(&o, "1/h", 1);

    assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                     AMP_LEASE_ASK);
    one_call(&o);

    o.now += MS / 10;
    assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                     AMP_LEASE_ASK);
    assert_false(amp_lease_due(&o.lease, &o.rate, o.now));

    o.now += MS;
    assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 1, &wait),
                     AMP_LEASE_ADMIT);
    amp_lease_spend(&o.lease, &o.rate, o.now, 1);
    assert_true(amp_lease_due(&o.lease, &o.rate, o.now));
    one_call(&o);
    assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 1, &wait),
                     AMP_LEASE_REFUSE);

    /* a client that left keeps nobody waiting for long */

    one_init(&o, "1/h", 1);

    (void) amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait);
    one_call(&o);
    (void) amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait);
    o.now += AMP_LEASE_PACE + MS;
    assert_true(amp_lease_due(&o.lease, &o.rate, o.now));
}


/* They are not spent. */

static void
units_that_lapsed_during_the_call(void **state)
{
    int                 n;
    one_t               o;
    uint64_t            wait;
    amp_lease_ask_t     ask;
    amp_lease_answer_t  answer = { 1763000077000000, 0, 10, 1, 200 * MS, 0 };

    one_init(&o, "50/s", 100);

    amp_lease_ask(&o.lease, &o.rate, o.now, TIMEOUT, &ask);
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


/* Numbers that the script never returns, and a clock that jumps. */

static void
impossible_answers(void **state)
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

        amp_lease_ask(&o.lease, &o.rate, o.now, TIMEOUT, &ask);
        assert_int_equal(amp_lease_answer(&o.lease, &bad, o.now,
                                          o.now), -1);
        assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                         AMP_LEASE_FALLBACK);
    }

    amp_lease_ask(&o.lease, &o.rate, o.now, TIMEOUT, &ask);
    assert_int_equal(amp_lease_answer(&o.lease, &good, o.now, o.now),
                     0);
    assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                     AMP_LEASE_ADMIT);

    /* a server with another clock: the held units are dropped */

    good.now -= 3600 * UINT64_C(1000000);
    good.granted = 0;
    amp_lease_ask(&o.lease, &o.rate, o.now, TIMEOUT, &ask);
    assert_int_equal(amp_lease_answer(&o.lease, &good, o.now, o.now),
                     0);
    assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                     AMP_LEASE_ASK);
}


/* The answer to an older call is ignored. */

static void
answer_to_an_older_call(void **state)
{
    one_t               o;
    uint64_t            sent, wait;
    amp_lease_ask_t     ask;
    amp_lease_answer_t  answer = { 1763000077000000, MS, 10, 1, 200 * MS, 0 };

    one_init(&o, "50/s", 100);
    sent = o.now;
    amp_lease_ask(&o.lease, &o.rate, o.now, TIMEOUT, &ask);
    assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                     AMP_LEASE_ASK);

    o.now += TIMEOUT;
    o.rate.count = 1;
    assert_true(amp_lease_due(&o.lease, &o.rate, o.now));
    amp_lease_ask(&o.lease, &o.rate, o.now, TIMEOUT, &ask);

    assert_int_equal(amp_lease_answer(&o.lease, &answer, sent, o.now), 0);
    assert_int_equal(amp_lease_held(&o.lease, &o.rate, o.now), 0);
    assert_int_equal(amp_lease_answer(&o.lease, &answer, o.now, o.now), 0);
    assert_int_equal(amp_lease_held(&o.lease, &o.rate, o.now), 10);

    /* TAT went back: another gateway may have got the held units, too */

    answer.granted = 5;
    amp_lease_ask(&o.lease, &o.rate, o.now, TIMEOUT, &ask);
    assert_int_equal(amp_lease_answer(&o.lease, &answer, o.now, o.now), 0);
    assert_int_equal(amp_lease_held(&o.lease, &o.rate, o.now), 5);
}


/*
 * The one who made a call gives it up: another begins at once.  What is said
 * later of a call that was given up, or taken for lost, changes nothing.
 */

static void
a_call_that_is_given_up(void **state)
{
    one_t            o;
    uint64_t         first, second, wait;
    amp_lease_ask_t  ask;

    one_init(&o, "50/s", 100);
    assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                     AMP_LEASE_ASK);
    first = o.now;
    amp_lease_ask(&o.lease, &o.rate, o.now, TIMEOUT, &ask);
    o.now += MS;
    assert_false(amp_lease_due(&o.lease, &o.rate, o.now));

    amp_lease_give_up(&o.lease, first);
    assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                     AMP_LEASE_ASK);
    assert_true(amp_lease_due(&o.lease, &o.rate, o.now));

    second = o.now;
    amp_lease_ask(&o.lease, &o.rate, o.now, TIMEOUT, &ask);
    o.now += MS;
    amp_lease_give_up(&o.lease, first);
    amp_lease_failed(&o.lease, first, o.now);
    assert_false(amp_lease_due(&o.lease, &o.rate, o.now));
    assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                     AMP_LEASE_ASK);

    /* not a nanosecond before its time-out */

    o.now = second + TIMEOUT - 1;
    assert_false(amp_lease_due(&o.lease, &o.rate, o.now));
    o.now++;
    assert_true(amp_lease_due(&o.lease, &o.rate, o.now));
    amp_lease_failed(&o.lease, second, o.now);
    assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                     AMP_LEASE_FALLBACK);
}


static void
remaining_and_reset(void **state)
{
    one_t     o;
    uint32_t  n, remaining;
    uint64_t  begin, reset;

    one_init(&o, "10/s", 20);
    begin = o.now;
    assert_int_equal(amp_lease_remaining(&o.lease, &o.rate, o.now, &reset), 20);
    assert_true(reset == 0);

    for (n = 1; n <= 20; n++) {
        assert_true(one_request(&o) == 0);
        remaining = amp_lease_remaining(&o.lease, &o.rate, o.now, &reset);
        assert_true(remaining >= 20 - n);
        assert_true(remaining <= 21 - n + (o.now - begin) / (100 * MS));
        assert_true(reset <= 2 * SECOND + AMP_LEASE_AHEAD);
    }
}


/*
 * Two gateways in turns: each says what is left over both, but for a few units
 * that the other one holds, or has leased since this one's last answer, and
 * what wallets are for.
 */

static void
what_is_left_over_all_gateways(void **state)
{
    one_t        o;
    size_t       i;
    double       left;
    uint32_t     most, n, remaining;
    uint64_t     reset, tat, unit;
    amp_lease_t  other;

    static const struct {
        const char  *rate;
        uint32_t     burst;
        unsigned     pace;      /* ms                                         */
    } cases[] = {
        { "10/s", 40, 1 }, { "10/s", 40, 150 }, { "50/s", 100, 1 },
        { "50/s", 100, 15 }, { "1/h", 100, 1 }, { "600/m", 20, 400 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        one_init(&o, cases[i].rate, cases[i].burst);
        memset(&other, 0, sizeof(other));
        unit = amp_rate_interval(&o.rate);
        most = amp_lease_wallet_most(&o.lease, unit, o.rate.burst);
        tat = 0;

        for (n = 0; n < 60; n++) {
            one_swap(&o, &other, 2);

            if (one_request(&o) == 0) {
                tat = (tat > o.now ? tat : o.now) + unit;
            }

            remaining = amp_lease_remaining(&o.lease, &o.rate, o.now, &reset);
            left = o.rate.burst;

            if (tat > o.now) {
                left -= (double) (tat - o.now) / (double) unit;
            }

            assert_true(remaining <= left + 4 + most / 2);
            assert_true(remaining + 2 + most >= 0.85 * left);

            o.now += cases[i].pace * MS;
        }
    }
}


static void
arguments_of_the_script(void **state)
{
    unsigned       i;
    amp_span_t     argv[AMP_LEASE_ARGS];
    unsigned char  text[AMP_LEASE_ARGS][AMP_LEASE_TEXT];

    static const amp_lease_ask_t  ask = {
        20000000, 1980000000, 0, UINT64_C(1763000000123456789), UINT64_MAX, 0,
        7, 1763000000000001, 2000, 300, 50000, 2, UINT32_MAX, 4, 25, 8, 17,
        480000000, 2500
    };
    static const char *const  expected[AMP_LEASE_ARGS] = {
        "20000000", "1980000000", "0", "4294967295", "gw", "run", "17",
        "1763000000123456", "789", "18446744073709551615", "0", "7",
        "3", "1763000000000001", "2000", "300", "2", "50000", "25", "8", "17",
        "4", "480000000", "2500"
    };

    amp_lease_argv(&ask, amp_span("gw"), amp_span("run"), 17, 3, text,
                   argv);

    for (i = 0; i < AMP_LEASE_ARGS; i++) {
        assert_true(amp_span_eq(argv[i], amp_span_make(expected[i],
                                                      strlen(expected[i]))));
    }
}


/* t/bench/limits.c has more scenarios, and explains the columns. */

static void
the_promise_in_simulations(void **state)
{
    size_t    i;
    world_t   w;

    static const scenario_t  scenarios[] = {
        { "one",    "50/s",   100, 1, 3, 0, 10,   400,  0,  0, 0, .97, 1 },
        { "small",  "50/s",     2, 1, 3, 0, 10,   400,  0,  0, 0, .97, 1 },
        { "one",    "100/s",   50, 1, 9, 0,  2,   400,  0,  0, 0, .97, 1 },
        { "frozen", "200/s",  100, 6, 1.4, 0, 10, 400,  0,  0, 0, .90, 1,
          .freezes = 1 },
        { "one",    "400/s",    8, 1, 5, 0,  1,   400,  0,  0, 0, .97, 1 },
        { "one",    "20/s",    20, 1, 9, 0,  1,   400,  0,  0, 0, .97, 1 },
        { "one",    "100/s",    1, 1, 9, 0,  1,   400,  0,  0, 0, .90, 1 },
        { "one",    "200/s",   20, 1, 9, 0,  2,   400,  0,  0, 0, .97, 1 },
        { "two",    "200/s",   40, 2, 9, 0,  2,   400,  0,  0, 0, .97, .1 },
        { "four",   "400/s",  100, 4, 9, 0,  2,   400,  0,  0, 0, .97, .1 },
        { "eight",  "300/s",   60, 8, 9, 0,  2,   400,  0,  0, 0, .97, .1 },
        { "two",    "50/s",   100, 2, 3, 0, 10,   400,  0,  0, 0, .97, .1 },
        { "four",   "600/m",  100, 4, 3, 0, 60,   400,  0,  0, 0, .97, .3 },
        { "eight",  "50/s",   100, 8, 3, 0, 20,   400,  0,  0, 0, .97, .1 },
        { "skewed", "100/s",  100, 8, 3, 1, 20,   400,  0,  0, 0, .97, 9 },
        { "burst 1", "20/s",    1, 4, 3, 0, 10,  9000, 10,  9, 3, .20, 1 },
        { "burst 2", "20/s",    2, 4, 3, 0, 10,  9000, 10,  9, 3, .30, 1 },
        { "slow",   "100/s",   20, 8, 1, 0, 20, 90000,  0, 20, 0, .50, 1 },
        { "chaos",  "200/s",  100, 8, 3, 0, 20, 20000, 20, 20, 5, .50, 1 },
        { "fail",   "10/s",    50, 4, 3, 0, 30,   400,  0,  0, 9, .50, 1 },
        { "alone",  "10/s",   300, 1, 3, 0, 10,   400,  0,  0, 2, .97, 1 },
        { "at once",  "1/h",   48, 4, 0, 0,  3,   400,  0,  0, 0, 1, 1, 48, 0 },
        { "at once",  "1/h",  100, 1, 0, 0,  3,   400,  0,  0, 0, 1, 1, 100, 0 },
        { "at once",  "1/h",  100, 2, 0, 0,  3,   400,  0,  0, 0, 1, 1, 100, 0 },
        { "at once",  "1/h",  100, 4, 0, 0,  3,   400,  0,  0, 0, 1, 1, 100, 0 },
        { "at once",  "10000/d", 200, 4, 0, 0, 3, 400,  0,  0, 0, 1, 1, 200, 0 },
        { "at once",  "1/m",   48, 4, 0, 0,  3,   400,  0,  0, 0, 1, 1, 48, 0 },
        { "faster", "50/s",   100, 4, 3, 0, 10,   400,  0,  0, 0, .97, 1, 0, 0,
          "100/s", 50, 0 },
        { "slower", "50/s",   100, 4, 3, 0, 10,   400,  0,  0, 0, .95, 1, 0, 0,
          "10/s", 20, 100 }
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
        cmocka_unit_test(the_burst_is_admitted_at_once),
        cmocka_unit_test(few_requests_wait_below_the_limit),
        cmocka_unit_test(at_most_20_calls_begin_in_a_second),
        cmocka_unit_test(without_redis),
        cmocka_unit_test(spent_without_redis_while_a_call_is_under_way),
        cmocka_unit_test(units_are_handed_back),
        cmocka_unit_test(no_call_begins_while_units_are_reserved),
        cmocka_unit_test(units_that_lapsed_during_the_call),
        cmocka_unit_test(impossible_answers),
        cmocka_unit_test(answer_to_an_older_call),
        cmocka_unit_test(a_call_that_is_given_up),
        cmocka_unit_test(remaining_and_reset),
        cmocka_unit_test(what_is_left_over_all_gateways),
        cmocka_unit_test(arguments_of_the_script),
        cmocka_unit_test(the_promise_in_simulations)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
