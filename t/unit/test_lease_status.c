/* What the status says of a lease: how near the limit is, and lapsed units. */

#include "lease_one.h"


static int
within(uint64_t n, uint64_t least, uint64_t most)
{
    return n >= least && n <= most;
}


static void
an_unused_limit_is_far(void **state)
{
    one_t  o;

    (void) state;

    one_init(&o, "10/s", 20);

    assert_int_equal(amp_lease_used(&o.lease, &o.rate, o.now), 0);
}


static void
a_spent_burst_is_the_limit(void **state)
{
    one_t     o;
    unsigned  i, used, before = 0;

    (void) state;

    one_init(&o, "6/m", 20);

    for (i = 0; i < 10; i++) {
        assert_int_equal(one_request(&o), 0);
        used = amp_lease_used(&o.lease, &o.rate, o.now);
        assert_true(used >= before);
        before = used;
    }

    assert_true(within(before, 400, 600));

    while (one_request(&o) == 0) { /* void */ }

    assert_true(within(amp_lease_used(&o.lease, &o.rate, o.now), 900, 1000));

    /* 20 units come back in 200 s */

    o.now += 100 * SECOND;
    assert_true(within(amp_lease_used(&o.lease, &o.rate, o.now), 400, 600));

    o.now += 110 * SECOND;
    assert_int_equal(amp_lease_used(&o.lease, &o.rate, o.now), 0);
}


/* The burst is hardly touched then: the rate tells. */

static void
a_steady_rate_counts(void **state)
{
    one_t     o;
    unsigned  i;

    (void) state;

    one_init(&o, "100/s", 10000);

    for (i = 0; i < 320; i++) {
        assert_int_equal(one_request(&o), 0);
        o.now += SECOND / 80;
    }

    assert_true(within(amp_lease_used(&o.lease, &o.rate, o.now), 700, 900));

    o.now += 2 * SECOND;
    assert_int_equal(amp_lease_used(&o.lease, &o.rate, o.now), 0);
}


static uint64_t
one_granted(one_t *o)
{
    amp_lease_answer_t  answer = one_call(o);

    return answer.granted + answer.drawn + answer.filled;
}


/* Whatever the gaps between requests: no unit gets lost in the account. */

static void
each_unit_is_spent_or_lapses(void **state)
{
    one_t            o;
    unsigned         i, j;
    uint64_t         back, granted, lapsed, spent, wait;
    amp_lease_ask_t  ask;

    (void) state;

    static const uint64_t  gaps[] = {
        1 * MS, 20 * MS, 150 * MS, 700 * MS, 3000 * MS, 70000 * MS
    };

    for (i = 0; i < sizeof(gaps) / sizeof(gaps[0]); i++) {
        one_init(&o, "50/s", 100);
        back = 0;
        granted = 0;
        lapsed = 0;
        spent = 0;

        for (j = 0; j < 200; j++) {
            if (amp_lease_due(&o.lease, &o.rate, o.now)) {
                granted += one_granted(&o);
            }

            switch (amp_lease_look(&o.lease, &o.rate, o.now, 0, &wait)) {

            case AMP_LEASE_ADMIT:
                amp_lease_spend(&o.lease, &o.rate, o.now, 0);
                spent++;
                break;

            case AMP_LEASE_ASK:
                granted += one_granted(&o);

                if (amp_lease_look(&o.lease, &o.rate, o.now, 1, &wait)
                    == AMP_LEASE_ADMIT)
                {
                    amp_lease_spend(&o.lease, &o.rate, o.now, 1);
                    spent++;
                }

                break;

            default:
                break;
            }

            lapsed += amp_lease_lapsed(&o.lease);
            o.now += gaps[i];
        }

        /* what is left is handed back, or lapses */

        o.now += 200 * MS;

        if (amp_lease_return(&o.lease, &o.rate, o.now, TIMEOUT, 0, &ask)) {
            back = ask.back;
        }

        o.now += 100 * SECOND;
        granted += one_call(&o).filled;
        lapsed += amp_lease_lapsed(&o.lease) + o.lease.wallet;

        assert_true(spent > 0);
        assert_int_equal(granted * o.lease.unit,
                         (spent + lapsed) * o.lease.unit + o.lease.lapse
                         + back);
    }
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unused_limit_is_far),
        cmocka_unit_test(a_spent_burst_is_the_limit),
        cmocka_unit_test(a_steady_rate_counts),
        cmocka_unit_test(each_unit_is_spent_or_lapses)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
