/* Which units are left when a limit changes, or after a fail-over. */

#include "lease_one.h"


/* When the rate changes, the number of spent units stays the same. */

static void
spent_units_stay_spent(void **state)
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

    /* a lower rate: not more than the new burst */

    o.rate.count = 1;
    o.rate.burst = 5;

    for (n = 0; one_request(&o) == 0; n++) {
        assert_true(n < 5);
    }
}


/*
 * Exactly the new burst without the units that are spent; with two gateways
 * and a large burst also without the few units that the other one holds.
 */

static void
as_many_units_are_left(void **state)
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


/*
 * While gateways use two rates or bursts, blocks of the same terms never
 * overlap, though TAT in the other terms is before their end.
 */

static void
blocks_of_two_terms(void **state)
{
    one_t            o, other;
    size_t           i;
    amp_lease_ask_t  ask;

    static const struct {
        const char  *rate;
        uint32_t     burst;
    } terms[][2] = {
        { { "1000/s", 20 }, { "600/m", 20 } },
        { { "50/s", 10 }, { "50/s", 100 } },
        { { "50/s", 100 }, { "7/s", 300 } }
    };

    for (i = 0; i < sizeof(terms) / sizeof(terms[0]); i++) {
        amp_lease_answer_t  first, second;

        one_init(&other, terms[i][0].rate, terms[i][0].burst);
        one_init(&o, terms[i][1].rate, terms[i][1].burst);

        one_lease(&o, o.rate.burst / 2, 0);
        assert_true(o.lease.size >= o.rate.burst / 2 - 1);

        other.redis = o.redis;
        other.now = o.now + 100 * MS;
        other.me = 1;
        one_lease(&other, 1, 0);

        amp_lease_ask(&o.lease, &o.rate, o.now, TIMEOUT, &ask);
        first.now = o.lease.redis / 1000;
        first.ahead = o.lease.tail - o.lease.redis;

        server_call(&other.redis, &ask, 2, 0, 0, 0,
                    o.zero + (double) (o.now / 1000 + 101000), &second);
        assert_true(second.now * 1000 + second.lead
                    >= first.now * 1000 + first.ahead);
    }
}


/* Held units of another burst are not spent: they are handed back. */

static void
another_burst(void **state)
{
    one_t            o;
    amp_lease_ask_t  ask;

    one_init(&o, "10/s", 20);
    one_lease(&o, 10, 0);

    o.rate.burst = 40;
    assert_int_equal(amp_lease_held(&o.lease, &o.rate, o.now), 0);

    amp_lease_ask(&o.lease, &o.rate, o.now, TIMEOUT, &ask);
    assert_true(ask.back >= 9 * 100 * MS);
}


/*
 * The only gateway has all answers, and its bucket continues (round 0).  With
 * two gateways (1), or one that lost its state, too (2), the bucket is empty
 * until both have told what they know, or for two seconds.
 */

static void
redis_restarts_without_the_last_writes(void **state)
{
    int                 round;
    one_t               o;
    uint32_t            n;
    amp_lease_t         lease, other;
    amp_lease_ask_t     ask;
    amp_lease_answer_t  answer;

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
        amp_lease_ask(&lease, &o.rate, o.now, TIMEOUT, &ask);
        assert_int_equal(ask.resume > 97 * 8640 * MS, round != 2);

        o.run++;
        o.redis.promoted = 1;
        snprintf(o.redis.fields[1], SERVER_TEXT, "%.0f",
                 server_ahead(&o.redis) / 3);
        o.now += round ? AMP_LEASE_KEEP + MS : AMP_LEASE_LIFE;
        o.zero += 3e6 * (round - 1);

        for ( ; one_request(&o) == 0; n++) {
            assert_true(n < 500 + (o.now - 77 * SECOND) / (8640 * MS));
        }

        assert_true(round == 0 ? n >= 500 : n <= 100);

        if (round == 1) {
            one_swap(&o, &other, 2);
            assert_true(amp_lease_tell(&o.lease, &o.rate, o.now, TIMEOUT,
                                       &ask));
            server_call(&o.redis, &ask, o.me, o.run, 0, 0,
                        o.zero + (double) (o.now / 1000), &answer);
            assert_int_equal(amp_lease_answer(&o.lease, &answer, o.now,
                                              o.now), 0);
        }

        o.now += 3 * SECOND;

        for ( ; one_request(&o) == 0; n++) {
            assert_true(n < (round == 2 ? 570 : 500)
                            + (o.now - 77 * SECOND) / (8640 * MS));
        }

        assert_true(n >= 470);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(spent_units_stay_spent),
        cmocka_unit_test(as_many_units_are_left),
        cmocka_unit_test(blocks_of_two_terms),
        cmocka_unit_test(another_burst),
        cmocka_unit_test(redis_restarts_without_the_last_writes)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
