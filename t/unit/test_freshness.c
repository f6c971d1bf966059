/*
 * What an answer says of its freshness (core/amp_freshness.h).
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#include "amp_freshness.h"


/* Of exactly these bytes, so that the sanitizer sees a read behind them. */

static amp_freshness_t
control(const char *value)
{
    char             *exact;
    size_t            len;
    amp_freshness_t   f;

    len = strlen(value);
    exact = malloc(len + !len);
    assert_non_null(exact);
    memcpy(exact, value, len);

    amp_freshness_init(&f);
    amp_freshness_control(&f, amp_span_make(exact, len));
    free(exact);

    return f;
}


static void
lifetimes(void **state)
{
    size_t           i;
    amp_freshness_t  f;

    static const struct {
        const char  *value;
        int64_t      left;
    } cases[] = {
        { "", -1 }, { "public", -1 }, { "must-revalidate", -1 },
        { "max-age=60", 60 }, { "MAX-AGE=60", 60 }, { "max-age=\"60\"", 60 },
        { "public, max-age=60", 60 }, { "public,max-age=60,foo", 60 },
        { "s-maxage=9, max-age=2", 9 }, { "max-age=2, s-maxage=9", 9 },
        { "s-maxage=0, max-age=60", 0 }, { "max-age=60, max-age=30", 30 },
        { "max-age=99999999999999999999999", AMP_FRESHNESS_MAX },
        { "max-age=2147483648", AMP_FRESHNESS_MAX }, { "max-age=0060", 60 },
        { "max-age=abc", 0 }, { "max-age=-1", 0 }, { "max-age=1.5", 0 },
        { "max-age=", 0 }, { "max-age", 0 }, { "max-age=60a", 0 },
        { "max-age==60", 0 }, { "xmax-age=60", -1 }, { "max-age60", -1 },
        { "no-store", 0 }, { "no-cache", 0 }, { "private, max-age=60", 0 },
        { "no-cache=\"set-cookie\", max-age=60", 0 },
        { "private=\"a, b\", max-age=60", 0 },
        { "x=\"no-store\", max-age=60", 60 },
        { "x=\"a, no-store, \\\", b\", max-age=60", 60 },
        { "x=\"max-age=1\", max-age=60", 60 }, { "max-age=60, x=\"", 60 },
        { "max-age=60, x=\"\\", 60 }, { "no-storex, max-age=60", 60 },
        { " , ,max-age=60 , ", 60 }, { "=, max-age=60", 60 },
        { "max-age=60; public", 60 }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        f = control(cases[i].value);

        if (amp_freshness_left(&f) != cases[i].left) {
            fail_msg("%s: %lld", cases[i].value,
                     (long long) amp_freshness_left(&f));
        }
    }
}


static void
several_lines(void **state)
{
    amp_freshness_t  f;

    (void) state;

    f = control("max-age=60");
    amp_freshness_control(&f, amp_span("no-store"));
    assert_int_equal(amp_freshness_left(&f), 0);
}


static void
age_and_expires(void **state)
{
    amp_freshness_t  f;

    (void) state;

    f = control("max-age=101");
    f.age = 100;
    assert_int_equal(amp_freshness_left(&f), 1);
    f.age = 500;
    assert_int_equal(amp_freshness_left(&f), 0);
    f.age = 0;
    f.expires = 7;
    assert_int_equal(amp_freshness_left(&f), 101);

    f = control("public");
    f.expires = 7;
    assert_int_equal(amp_freshness_left(&f), 7);
    f.age = 3;
    assert_int_equal(amp_freshness_left(&f), 4);
}


static void
age(void **state)
{
    (void) state;

    assert_int_equal(amp_freshness_age(amp_span("")), 0);
    assert_int_equal(amp_freshness_age(amp_span("0")), 0);
    assert_int_equal(amp_freshness_age(amp_span("7200")), 7200);
    assert_int_equal(amp_freshness_age(amp_span("7200;x")), 7200);
    assert_int_equal(amp_freshness_age(amp_span("-1")), 0);
    assert_int_equal(amp_freshness_age(amp_span("x7")), 0);
    assert_int_equal(amp_freshness_age(amp_span("99999999999999999999")),
                     AMP_FRESHNESS_MAX);
}


static void
what_may_be_served_stale(void **state)
{
    amp_freshness_t  f;

    (void) state;

    f = control("max-age=1");
    assert_false(f.revalidate);
    assert_int_equal(f.updating, -1);
    assert_int_equal(f.error, -1);

    f = control("max-age=1, stale-while-revalidate=7, stale-if-error=9");
    assert_int_equal(f.updating, 7);
    assert_int_equal(f.error, 9);

    assert_true(control("max-age=1, must-revalidate").revalidate);
    assert_true(control("Proxy-Revalidate, max-age=1").revalidate);
    assert_true(control("s-maxage=1").revalidate);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(lifetimes),
        cmocka_unit_test(several_lines),
        cmocka_unit_test(age_and_expires),
        cmocka_unit_test(age),
        cmocka_unit_test(what_may_be_served_stale)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
