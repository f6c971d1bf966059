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
        cmocka_unit_test(how_long_a_wallet_is_valid),
        cmocka_unit_test(another_limit_empties_the_wallet),
        cmocka_unit_test(a_wallet_is_spent_before_the_share),
        cmocka_unit_test(a_gateway_that_exits_gives_up_its_wallet)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
