#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "amp_histogram.h"


static void
a_bucket_has_what_took_at_most_its_bound(void **state)
{
    unsigned  i;
    uint64_t  us;

    (void) state;

    for (i = 0; i + 1 < AMP_HISTOGRAM_BUCKETS; i++) {
        us = (uint64_t) (strtod(amp_histogram_bound(i), NULL) * 1e6 + 0.5);

        assert_int_equal(amp_histogram_bucket(us), i);
        assert_int_equal(amp_histogram_bucket(us + 1), i + 1);
    }

    assert_int_equal(amp_histogram_bucket(0), 0);
}


static void
the_last_bucket_has_the_rest(void **state)
{
    (void) state;

    assert_int_equal(amp_histogram_bucket(UINT64_MAX),
                     AMP_HISTOGRAM_BUCKETS - 1);
    assert_string_equal(amp_histogram_bound(AMP_HISTOGRAM_BUCKETS - 1), "+Inf");
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(a_bucket_has_what_took_at_most_its_bound),
        cmocka_unit_test(the_last_bucket_has_the_rest)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
