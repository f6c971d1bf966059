/* GCRA, compared with a token bucket that counts its credit in nanoseconds. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "amp_rate.h"


#define SECOND  UINT64_C(1000000000)

typedef unsigned __int128  wide_t;


typedef struct {
    uint64_t  interval;
    uint64_t  capacity;             /* burst * interval                       */
    uint64_t  credit;
    uint64_t  last;
} bucket_t;


static uint64_t  seed = 20;


static uint64_t
draw(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;

    return seed % below;
}


static void
bucket_init(bucket_t *b, const amp_rate_t *rate, uint64_t now)
{
    wide_t  ns = (wide_t) rate->period * SECOND;

    b->interval = (uint64_t) (ns / rate->count);

    if ((wide_t) b->interval * rate->count < ns) {
        b->interval++;
    }

    b->capacity = rate->burst * b->interval;
    b->credit = b->capacity;
    b->last = now;
}


/* Takes a unit: 0, or the ns until there is a whole one. */

static uint64_t
bucket_take(bucket_t *b, uint64_t now)
{
    b->credit += now - b->last;
    b->last = now;

    if (b->credit > b->capacity) {
        b->credit = b->capacity;
    }

    if (b->credit < b->interval) {
        return b->interval - b->credit;
    }

    b->credit -= b->interval;

    return 0;
}


static amp_rate_t
rate_of(const char *text, uint32_t burst)
{
    amp_rate_t  rate;

    assert_int_equal(amp_rate_parse(amp_span_make(text, strlen(text)), &rate),
                     0);
    rate.burst = burst;

    return rate;
}


static void
random_requests(void **state)
{
    size_t      i, n;
    uint64_t    now, start, tat, wait, gap, taken;
    bucket_t    b;
    amp_rate_t  rate;

    static const struct {
        const char  *text;
        uint32_t     burst;
    } rates[] = {
        { "50/s", 100 }, { "1/s", 1 }, { "3/s", 7 }, { "7/m", 2 },
        { "1000000/s", 1000 }, { "999983/s", 5 }, { "5000/h", 10 },
        { "1/d", 3 }, { "4294967295/d", 1 }
    };

    for (n = 0; n < sizeof(rates) / sizeof(rates[0]); n++) {
        rate = rate_of(rates[n].text, rates[n].burst);
        start = 1 + draw(UINT64_C(1) << 61);
        now = start;
        tat = 0;
        taken = 0;
        bucket_init(&b, &rate, now);

        for (i = 0; i < 20000; i++) {
            gap = b.interval * (1 + draw(3) * rate.burst);
            now += draw(8) ? draw(gap) : 0;

            wait = bucket_take(&b, now);
            assert_true(amp_rate_peek(&rate, tat, now) == wait);
            assert_true(amp_rate_take(&rate, &tat, now) == wait);
            assert_true((tat > now ? tat - now : 0) == b.capacity - b.credit);

            /* the wait is exact */

            if (wait != 0) {
                assert_true(amp_rate_peek(&rate, tat, now + wait) == 0);
                assert_true(amp_rate_peek(&rate, tat, now + wait - 1) == 1);

                if (draw(4) == 0) {
                    now += wait;
                }

            } else {
                taken++;
            }

            assert_true((wide_t) (taken - rate.burst) * rate.period * SECOND
                        <= (wide_t) (now - start) * rate.count
                        || taken <= rate.burst);
        }

        assert_true(taken > rate.burst);
    }
}


/* A day of requests as early as possible: exactly rate * time + burst. */

static void
a_day_of_requests(void **state)
{
    size_t      i;
    uint64_t    now, tat, taken, most;
    amp_rate_t  rate;

    static const char *const  rates[] = { "3/s", "7/s", "11/m", "5000/h" };

    for (i = 0; i < 4; i++) {
        rate = rate_of(rates[i], 5);
        now = 1763000000 * SECOND;
        tat = 0;
        taken = 0;

        while (now <= 1763000000 * SECOND + 86400 * SECOND) {
            now += amp_rate_peek(&rate, tat, now);
            assert_true(amp_rate_take(&rate, &tat, now) == 0);
            taken++;
        }

        most = UINT64_C(86400) * rate.count / rate.period + rate.burst + 1;
        assert_true(taken <= most);
        assert_true(taken >= most - 2);
    }
}


/* Bursts that take very long to refill are reduced to AMP_RATE_SPAN. */

static void
the_largest_bursts(void **state)
{
    uint32_t    n;
    uint64_t    tat, now;
    amp_rate_t  rate;

    now = (UINT64_C(1) << 63) - 1;

    rate = rate_of("1/d", AMP_BURST_MAX);
    tat = 0;

    for (n = 0; n < 53376; n++) {
        assert_true(amp_rate_take(&rate, &tat, now) == 0);
    }

    assert_true(amp_rate_take(&rate, &tat, now) > 0);
    assert_true(tat > now);

    rate = rate_of("1/d", 53376);
    tat = 0;

    for (n = 0; n < 53376; n++) {
        assert_true(amp_rate_take(&rate, &tat, now) == 0);
    }

    assert_true(amp_rate_take(&rate, &tat, now) > 0);

    rate = rate_of("1000000/s", AMP_BURST_MAX);
    tat = 0;

    for (n = 0; n < AMP_BURST_MAX; n++) {
        assert_true(amp_rate_take(&rate, &tat, 5) == 0);
    }

    assert_true(amp_rate_take(&rate, &tat, 5) == 1000);
    assert_true(tat - 5 == 10 * SECOND);

    rate = rate_of("4294967295/d", AMP_BURST_MAX);
    tat = UINT64_MAX;
    assert_true(amp_rate_take(&rate, &tat, 1) > 0);
    assert_true(tat == UINT64_MAX);
}


static void
a_clock_that_goes_back(void **state)
{
    uint64_t    tat, before;
    amp_rate_t  rate = rate_of("10/s", 2);

    tat = 0;
    assert_true(amp_rate_take(&rate, &tat, 100 * SECOND) == 0);
    assert_true(amp_rate_take(&rate, &tat, 100 * SECOND) == 0);

    before = tat;
    assert_true(amp_rate_take(&rate, &tat, 90 * SECOND)
                == 10 * SECOND + SECOND / 10);
    assert_true(tat == before);
    assert_true(amp_rate_take(&rate, &tat, 100 * SECOND + SECOND / 10) == 0);
}


static void
rates_are_parsed_and_written(void **state)
{
    size_t         i;
    amp_buf_t      b;
    amp_rate_t     rate;
    unsigned char  out[AMP_RATE_TEXT_MAX];

    static const struct {
        const char  *text;
        uint32_t     count;
        uint32_t     period;
    } good[] = {
        { "50/s", 50, 1 }, { "600/m", 600, 60 }, { "5000/h", 5000, 3600 },
        { "10000/d", 10000, 86400 }, { "1/s", 1, 1 },
        { "1000000/s", 1000000, 1 }, { "60000000/m", 60000000, 60 },
        { "3600000000/h", 3600000000u, 3600 },
        { "4294967295/d", 4294967295u, 86400 }
    };

    static const char *const  bad[] = {
        "", "/", "/s", "s", "50", "50/", "50s", "50/x", "50/S", "50/ss",
        " 50/s", "50/s ", "50 /s", "+5/s", "-5/s", "0/s", "05/s", "5.5/s",
        "1e3/s", "0x5/s", "1000001/s", "60000001/m", "3600000001/h",
        "4294967296/d", "99999999999/d", "18446744073709551617/s",
        "50/s\n", "50//s", "5/0/s"
    };

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        rate.burst = 77;
        assert_int_equal(amp_rate_parse(amp_span_make(good[i].text,
                                        strlen(good[i].text)), &rate), 0);
        assert_int_equal(rate.count, good[i].count);
        assert_int_equal(rate.period, good[i].period);
        assert_int_equal(rate.burst, 77);
        assert_int_equal(amp_rate_default_burst(&rate),
                         good[i].count < AMP_BURST_MAX ? good[i].count
                                                       : AMP_BURST_MAX);

        amp_buf_init(&b, out, sizeof(out));
        amp_rate_write(&rate, &b);
        assert_true(amp_span_eq(amp_buf_written(&b),
                                amp_span_make(good[i].text,
                                              strlen(good[i].text))));
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(amp_rate_parse(amp_span_make(bad[i], strlen(bad[i])),
                                        &rate), -1);
    }

    assert_int_equal(amp_rate_parse(amp_span_null, &rate), -1);
}


static void
interval_of_a_rate(void **state)
{
    unsigned           i, j;
    uint64_t           unit;
    amp_rate_t         rate = { 0 };
    static const int   periods[] = { 1, 60, 3600, 86400 };

    (void) state;

    for (i = 0; i < sizeof(periods) / sizeof(periods[0]); i++) {
        for (j = 0; j < 4000; j++) {
            rate.period = (uint32_t) periods[i];
            rate.count = (j < 2000) ? j + 1 : AMP_RATE_MAX - j;
            unit = amp_rate_interval(&rate);

            assert_true(amp_rate_is(&rate, unit));
            assert_false(amp_rate_is(&rate, unit - 1));
            assert_false(amp_rate_is(&rate, unit + 1));
            assert_false(amp_rate_is(&rate, UINT64_MAX - j));
        }
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(random_requests),
        cmocka_unit_test(a_day_of_requests),
        cmocka_unit_test(the_largest_bursts),
        cmocka_unit_test(a_clock_that_goes_back),
        cmocka_unit_test(rates_are_parsed_and_written),
        cmocka_unit_test(interval_of_a_rate)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
