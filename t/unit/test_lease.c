/* Leases: small cases by hand, the promise by simulation. */

#include "lease_one.h"
#include "lease_world.h"


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
arguments_of_the_script(void **state)
{
    unsigned       i;
    amp_span_t     argv[AMP_LEASE_ARGS];
    unsigned char  text[AMP_LEASE_ARGS][AMP_LEASE_TEXT];

    static const amp_lease_ask_t  ask = {
        20000000, 1980000000, 0, UINT64_C(1763000000123456789), UINT64_MAX, 0,
        7, UINT32_MAX
    };
    static const char *const  expected[AMP_LEASE_ARGS] = {
        "20000000", "1980000000", "0", "4294967295", "gw", "run", "17",
        "1763000000123456", "789", "18446744073709551615", "0", "7"
    };

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
        { "fail",   "10/s",    50, 4, 3, 0, 30,   400,  0,  0, 9, .50, 1 },
        { "alone",  "10/s",   300, 1, 3, 0, 10,   400,  0,  0, 2, .97, 1 },
        { "at once",  "1/h",   48, 4, 0, 0,  3,   400,  0,  0, 0, 1, 1, 48, 0 },
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
        cmocka_unit_test(bursts),
        cmocka_unit_test(warm),
        cmocka_unit_test(pace),
        cmocka_unit_test(away),
        cmocka_unit_test(returns),
        cmocka_unit_test(slow_answer),
        cmocka_unit_test(strange_answers),
        cmocka_unit_test(late_answer),
        cmocka_unit_test(headers),
        cmocka_unit_test(arguments_of_the_script),
        cmocka_unit_test(promise)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
