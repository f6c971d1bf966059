/*
 * Who goes upstream after a failure that many waited for (core/amp_waves.h).
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "amp_waves.h"


/* How many of n go; what the next one is told. */

static unsigned
go(amp_waves_t *w, unsigned n, amp_wave_e *next)
{
    unsigned  i, gone;

    for (i = 0, gone = 0; i < n; i++) {
        *next = amp_waves_next(w);
        gone += (*next == AMP_WAVE_GO);
    }

    return gone;
}


static void
three_waves(void **state)
{
    unsigned     i;
    amp_wave_e   next;
    amp_waves_t  w = { 0, 0, 0 };

    (void) state;

    amp_waves_failed(&w);
    assert_int_equal(go(&w, 1000, &next), AMP_WAVES_SECOND - 1);
    assert_int_equal(next, AMP_WAVE_WAIT);

    for (i = 1; i < AMP_WAVES_SECOND; i++) {
        assert_int_equal(go(&w, 1000, &next), 0);
        assert_int_equal(next, AMP_WAVE_WAIT);
        amp_waves_failed(&w);
    }

    assert_int_equal(go(&w, 20, &next), 20);
    amp_waves_failed(&w);
    assert_int_equal(go(&w, 1000, &next),
                     AMP_WAVES_THIRD - AMP_WAVES_SECOND - 20);
    assert_int_equal(next, AMP_WAVE_WAIT);

    for (i = AMP_WAVES_SECOND + 1; i < AMP_WAVES_THIRD; i++) {
        assert_int_equal(go(&w, 1000, &next), 0);
        assert_int_equal(next, AMP_WAVE_WAIT);
        amp_waves_failed(&w);
    }

    assert_int_equal(go(&w, 1000, &next), 0);
    assert_int_equal(next, AMP_WAVE_REFUSE);
}


/* A client that comes later goes alone, and those behind it wait for it. */

static void
one_more_after_the_third(void **state)
{
    amp_waves_t  w = { AMP_WAVES_THIRD, AMP_WAVES_THIRD, 1 };

    (void) state;

    amp_waves_began(&w);
    assert_int_equal(amp_waves_next(&w), AMP_WAVE_WAIT);
    amp_waves_failed(&w);
    assert_int_equal(amp_waves_next(&w), AMP_WAVE_REFUSE);
}


static void
more_failures_than_were_counted(void **state)
{
    amp_waves_t  w = { 1, 1, 0 };

    (void) state;

    amp_waves_failed(&w);
    assert_int_equal(w.sent, 2);
    assert_int_equal(amp_waves_next(&w), AMP_WAVE_GO);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(three_waves),
        cmocka_unit_test(one_more_after_the_third),
        cmocka_unit_test(more_failures_than_were_counted)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
