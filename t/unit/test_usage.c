/* The days of usage: each date, there and back. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "amp_usage.h"


static void
each_day_of_two_centuries(void **state)
{
    char           text[64];
    time_t         t;
    uint32_t       day;
    struct tm      tm;
    unsigned char  date[AMP_USAGE_DATE];

    (void) state;

    for (day = 0; day < 80000; day++) {
        t = (time_t) day * 86400;
        assert_non_null(gmtime_r(&t, &tm));
        strftime(text, sizeof(text), "%Y-%m-%d", &tm);

        amp_usage_date(day, date);
        assert_memory_equal(date, text, AMP_USAGE_DATE);
        assert_int_equal(amp_usage_day(date), day);
    }
}


static void
what_is_no_date(void **state)
{
    size_t  i;

    static const char *const  texts[] = {
        "2026-02-29", "2026-13-01", "2026-00-10", "2026-01-00", "2026-04-31",
        "1969-12-31", "2026/01/01", "26-01-01xx", "          ", "2026-1-001",
        "2026-01-32", "-026-01-01"
    };

    (void) state;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(amp_usage_day((const unsigned char *) texts[i]), -1);
    }
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_day_of_two_centuries),
        cmocka_unit_test(what_is_no_date)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
