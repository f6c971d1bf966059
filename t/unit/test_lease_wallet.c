/* Wallets: which requests wait for Redis, and which units may be spent. */

#include "lease_one.h"
#include "amp_lease_wallet.h"


/*
 * Of a tenant below half its rate only the first request waits, and one after
 * more than a minute without any; a wallet spares most of the calls.
 */

static void
rare_requests_neither_wait_nor_call(void **state)
{
    one_t     o;
    size_t    i;
    uint64_t  wait;
    unsigned  n, waited;

    static const struct {
        const char  *rate;
        uint32_t     burst;
        unsigned     gap;           /* ms                                     */
        unsigned     requests;      /* for one call, at the least             */
    } cases[] = {
        { "50/s", 100,   500, 20 }, { "50/s", 100, 1250, 20 },
        { "50/s", 100,    50, 12 }, { "50/s", 100, 59000, 1 },
        { "10/s",  10,   500,  1 }, { "600/m", 600, 4000, 10 },
        { "5/s",   20,   450,  4 }, { "1/s",   60, 2500, 10 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        one_init(&o, cases[i].rate, cases[i].burst);
        waited = 0;

        for (n = 0; n < 1000; n++) {
            o.now += cases[i].gap * MS;

            if (amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait)
                != AMP_LEASE_ADMIT)
            {
                waited++;
                one_call(&o);
                assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 1,
                                                &wait), AMP_LEASE_ADMIT);
                amp_lease_spend(&o.lease, &o.rate, o.now, 1);
            } else {
                amp_lease_spend(&o.lease, &o.rate, o.now, 0);
            }

            if (amp_lease_due(&o.lease, &o.rate, o.now)) {
                one_call(&o);
            }
        }

        if (waited > 1 || o.redis.calls * cases[i].requests > n + 10) {
            fail_msg("%s, burst %u, each %u ms: %u waited, %u calls",
                     cases[i].rate, cases[i].burst, cases[i].gap, waited,
                     o.redis.calls);
        }
    }
}


/* One for two minutes after an answer; a call renews it after one. */

static void
how_long_a_wallet_is_valid(void **state)
{
    one_t     o;
    uint64_t  wait;
    uint32_t  held;

    one_init(&o, "50/s", 100);
    assert_true(one_request(&o) == 0);
    held = o.lease.wallet;
    assert_true(held > 4);

    o.now = o.lease.received + AMP_LEASE_WALLET_LIFE / 2;
    assert_false(amp_lease_due(&o.lease, &o.rate, o.now));
    o.now += MS;
    assert_true(amp_lease_due(&o.lease, &o.rate, o.now));

    o.now = o.lease.received + AMP_LEASE_WALLET_LIFE - MS;
    assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                     AMP_LEASE_ADMIT);
    o.now += 2 * MS;
    assert_int_equal(amp_lease_wallet(&o.lease, o.now), 0);
    assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                     AMP_LEASE_ASK);
}


/*
 * All of the burst is there, as of a bucket that has seen few requests: what
 * left the wallet was put back by time.
 */

static void
a_burst_after_few_requests(void **state)
{
    one_t     o;
    uint64_t  wait;
    unsigned  admitted, few, n, waits;

    for (few = 1; few < 40; few++) {
        one_init(&o, "50/s", 100);

        for (n = 0; n < few; n++) {
            assert_true(one_request(&o) == 0);
            o.now += SECOND;
        }

        assert_int_equal(amp_lease_remaining(&o.lease, &o.rate, o.now, &wait),
                         100);

        for (n = 0, admitted = 0, waits = 0; n < 100; n++) {
            if (amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait)
                == AMP_LEASE_ADMIT)
            {
                amp_lease_spend(&o.lease, &o.rate, o.now, 0);
                admitted++;
            } else {
                waits++;
            }
        }

        one_call(&o);

        while (waits-- > 0 && amp_lease_look(&o.lease, &o.rate, o.now, 1, &wait)
                              == AMP_LEASE_ADMIT)
        {
            amp_lease_spend(&o.lease, &o.rate, o.now, 1);
            admitted++;
        }

        assert_int_equal(admitted, 100);
    }
}


/* Units that were just spent are not there. */

static void
a_burst_after_a_burst(void **state)
{
    one_t               o;
    uint32_t            n, held;
    uint64_t            wait;
    amp_lease_answer_t  answer;

    one_init(&o, "50/s", 100);
    assert_true(one_request(&o) == 0);
    o.now += 10 * SECOND;
    held = o.lease.wallet;

    for (n = 0; n < held; n++) {
        assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                         AMP_LEASE_ADMIT);
        amp_lease_spend(&o.lease, &o.rate, o.now, 0);
    }

    o.now += 105 * MS;
    answer = one_call(&o);

    /* 25 of 100 units are spent, and one is back after each 20 ms */

    assert_int_equal(answer.pool, 0);
    assert_int_equal(75 + answer.lent - answer.ahead / (20 * MS),
                     100 - held + 5);
}


/* Until a call has filled it again. */

static void
another_limit_empties_the_wallet(void **state)
{
    one_t            o;
    uint64_t         wait;
    amp_lease_ask_t  ask;

    one_init(&o, "50/s", 100);
    assert_true(one_request(&o) == 0);
    o.now += 10 * SECOND;
    assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                     AMP_LEASE_ADMIT);

    o.rate.burst = 80;
    assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                     AMP_LEASE_ASK);
    amp_lease_ask(&o.lease, &o.rate, o.now, TIMEOUT, &ask);
    assert_int_equal(ask.wallet, 0);
    assert_int_equal(ask.most, 20);
    amp_lease_failed(&o.lease, o.now, o.now);
    assert_int_equal(amp_lease_held(&o.lease, &o.rate, o.now), 0);
}


/* What is in it needs no Redis. */

static void
a_wallet_is_spent_before_the_share(void **state)
{
    one_t     o;
    uint64_t  wait;
    uint32_t  n, held;

    one_init(&o, "50/s", 100);
    assert_true(one_request(&o) == 0);
    held = o.lease.wallet;
    o.now += 10 * SECOND;
    amp_lease_failed(&o.lease, o.lease.asked, o.now);

    for (n = 0; amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait)
                == AMP_LEASE_ADMIT; n++)
    {
        amp_lease_spend(&o.lease, &o.rate, o.now, 0);
    }

    assert_int_equal(n, held);
    assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                     AMP_LEASE_FALLBACK);
}


/*
 * Where the bucket is not half full: a quarter of a second after the last
 * request.  Not of a gateway alone, nor of a limit without wallets.
 */

static void
units_that_other_gateways_want_are_unused_soon(void **state)
{
    one_t     o;
    unsigned  i;

    static const struct {
        const char  *rate;
        uint32_t     burst;
        uint32_t     spent;
        uint32_t     gateways;
        uint64_t     since;
    } cases[] = {
        { "50/s", 100, 90, 2, SECOND / 4 },
        { "50/s", 100, 30, 2, SECOND },
        { "50/s", 100, 90, 1, SECOND },
        { "1/s",  100, 90, 2, SECOND },
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        one_init(&o, cases[i].rate, cases[i].burst);
        one_lease(&o, 1, 1);
        one_lease(&o, cases[i].spent, 0);
        o.lease.gateways = cases[i].gateways;
        assert_true(o.lease.size > 4);

        o.now += cases[i].since - MS;
        assert_false(amp_lease_unused(&o.lease, o.now));
        o.now += MS;
        assert_true(amp_lease_unused(&o.lease, o.now));
    }
}


/* A gateway that goes on keeps its wallet when it hands back a block. */

static void
a_gateway_that_exits_gives_up_its_wallet(void **state)
{
    one_t            o;
    amp_lease_ask_t  ask;

    one_init(&o, "50/s", 100);
    assert_true(one_request(&o) == 0);
    o.now += 10 * SECOND;

    assert_false(amp_lease_return(&o.lease, &o.rate, o.now, TIMEOUT, 0, &ask));
    assert_true(o.lease.wallet > 0);
    assert_true(amp_lease_return(&o.lease, &o.rate, o.now, TIMEOUT, 1, &ask));
    assert_int_equal(o.lease.wallet, 0);
    assert_int_equal(ask.wallet, 0);
    assert_int_equal(ask.wanted + ask.fill, 0);
}


/* What time has put back stays so, though the calls that would say it fail. */

static void
what_left_a_wallet_before_an_outage(void **state)
{
    one_t            o;
    uint64_t         freed, wait;
    amp_lease_ask_t  ask;

    one_init(&o, "50/s", 100);
    assert_true(one_request(&o) == 0);
    assert_true(o.lease.wallet != 0);
    freed = o.lease.wallet * o.lease.unit;

    while (o.lease.wallet != 0) {
        assert_int_equal(amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait),
                         AMP_LEASE_ADMIT);
        amp_lease_spend(&o.lease, &o.rate, o.now, 0);
    }

    o.now += 5 * SECOND;
    amp_lease_ask(&o.lease, &o.rate, o.now, TIMEOUT, &ask);
    assert_true(ask.freed == freed);
    amp_lease_failed(&o.lease, o.now, o.now);

    o.now += AMP_LEASE_RETRY;
    amp_lease_ask(&o.lease, &o.rate, o.now, TIMEOUT, &ask);
    assert_true(ask.freed == freed);
}


/* A quarter of a burst that refills within a minute, if no tenants share it. */

static void
which_limits_have_wallets(void **state)
{
    amp_lease_t  lease;

    memset(&lease, 0, sizeof(lease));
    assert_int_equal(amp_lease_wallet_most(&lease, 20 * MS, 100), 25);
    assert_int_equal(amp_lease_wallet_most(&lease, 20 * MS, 3), 0);
    assert_int_equal(amp_lease_wallet_most(&lease, SECOND, 60), 15);
    assert_int_equal(amp_lease_wallet_most(&lease, SECOND, 61), 0);
    assert_int_equal(amp_lease_wallet_most(&lease, UINT64_MAX / 2, 4), 0);
    assert_true(amp_lease_window(&lease, 20 * MS, 100) == 74 * 20 * MS);
    assert_true(amp_lease_window(&lease, SECOND, 61) == 60 * SECOND);

    amp_lease_keep(&lease, 0, 0);
    assert_int_equal(amp_lease_wallet_most(&lease, 20 * MS, 100), 0);
    assert_true(amp_lease_window(&lease, 20 * MS, 100) == 99 * 20 * MS);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(which_limits_have_wallets),
        cmocka_unit_test(rare_requests_neither_wait_nor_call),
        cmocka_unit_test(a_burst_after_few_requests),
        cmocka_unit_test(a_burst_after_a_burst),
        cmocka_unit_test(how_long_a_wallet_is_valid),
        cmocka_unit_test(another_limit_empties_the_wallet),
        cmocka_unit_test(a_wallet_is_spent_before_the_share),
        cmocka_unit_test(what_left_a_wallet_before_an_outage),
        cmocka_unit_test(units_that_other_gateways_want_are_unused_soon),
        cmocka_unit_test(a_gateway_that_exits_gives_up_its_wallet)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
