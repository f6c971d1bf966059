/*
 * When a host that failed gets requests (core/amp_breaker.h).
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "amp_breaker.h"


static amp_breaker_t  b;


/* A breaker that was suspended at this time. */

static void
suspend(uint64_t now)
{
    int  i;

    memset(&b, 0, sizeof(b));

    for (i = 1; i < AMP_BREAKER_FAILURES; i++) {
        assert_int_equal(amp_breaker_failed(&b, now, 0), 0);
        assert_int_equal(amp_breaker_admit(&b, now), AMP_BREAKER_PASS);
    }

    assert_int_equal(amp_breaker_failed(&b, now, 0), AMP_BREAKER_FIRST);
}


static void
failures_that_follow_each_other_suspend(void **state)
{
    (void) state;

    suspend(100);

    assert_int_equal(amp_breaker_left(&b, 100), AMP_BREAKER_FIRST);
    assert_int_equal(amp_breaker_left(&b, 1099), 1);
    assert_int_equal(amp_breaker_left(&b, 1100), 0);
    assert_int_equal(amp_breaker_admit(&b, 1099), AMP_BREAKER_REFUSE);
}


static void
an_answer_in_between_starts_the_count_again(void **state)
{
    int  i, j;

    (void) state;

    memset(&b, 0, sizeof(b));

    for (j = 0; j < 10; j++) {
        for (i = 1; i < AMP_BREAKER_FAILURES; i++) {
            assert_int_equal(amp_breaker_failed(&b, 100, 0), 0);
        }

        assert_int_equal(amp_breaker_answered(&b), 0);
    }

    assert_int_equal(amp_breaker_admit(&b, 100), AMP_BREAKER_PASS);
}


static void
failures_far_apart_do_not_count_together(void **state)
{
    uint64_t  now;

    (void) state;

    memset(&b, 0, sizeof(b));

    for (now = 1; now < 100 * AMP_BREAKER_WINDOW; now += AMP_BREAKER_WINDOW) {
        assert_int_equal(amp_breaker_failed(&b, now, 0), 0);
        now++;
    }
}


/* Workers read the clock at different moments. */

static void
failures_count_together_when_the_clock_goes_back(void **state)
{
    unsigned  i;

    (void) state;

    memset(&b, 0, sizeof(b));

    for (i = 1; i < AMP_BREAKER_FAILURES; i++) {
        assert_int_equal(amp_breaker_failed(&b, 1000 - i, 0), 0);
    }

    assert_int_equal(amp_breaker_failed(&b, 990, 0), AMP_BREAKER_FIRST);
    assert_int_equal(amp_breaker_left(&b, 985), AMP_BREAKER_FIRST + 5);
}


static void
one_request_probes(void **state)
{
    (void) state;

    suspend(0);

    assert_int_equal(amp_breaker_admit(&b, 1000), AMP_BREAKER_IS_PROBE);
    assert_int_equal(amp_breaker_admit(&b, 1000), AMP_BREAKER_REFUSE);
    assert_int_equal(amp_breaker_left(&b, 1000), AMP_BREAKER_PROBE);

    /* requests of before the suspension */

    assert_int_equal(amp_breaker_failed(&b, 1000, 0), 0);

    assert_int_equal(amp_breaker_answered(&b), 1);
    assert_int_equal(amp_breaker_admit(&b, 1000), AMP_BREAKER_PASS);
    assert_int_equal(amp_breaker_answered(&b), 0);
}


static void
a_probe_that_fails_doubles_the_pause(void **state)
{
    uint64_t  now;
    uint32_t  pause;

    (void) state;

    suspend(0);

    pause = AMP_BREAKER_FIRST;
    now = pause;

    while (pause < AMP_BREAKER_LONGEST) {
        assert_int_equal(amp_breaker_admit(&b, now), AMP_BREAKER_IS_PROBE);

        pause = 2 * pause < AMP_BREAKER_LONGEST ? 2 * pause
                                                : AMP_BREAKER_LONGEST;
        assert_int_equal(amp_breaker_failed(&b, now, 1), pause);
        assert_int_equal(amp_breaker_left(&b, now), pause);

        now += pause;
    }

    assert_int_equal(amp_breaker_admit(&b, now), AMP_BREAKER_IS_PROBE);
    assert_int_equal(amp_breaker_failed(&b, now, 1), AMP_BREAKER_LONGEST);

    /* after an answer the first pause is the short one again */

    assert_int_equal(amp_breaker_answered(&b), 1);
    suspend(now);
}


static void
a_probe_without_an_outcome_makes_room(void **state)
{
    (void) state;

    suspend(0);

    assert_int_equal(amp_breaker_admit(&b, 1000), AMP_BREAKER_IS_PROBE);
    amp_breaker_released(&b, 1500);
    assert_int_equal(amp_breaker_admit(&b, 1500), AMP_BREAKER_IS_PROBE);

    /* nothing is heard of this one */

    assert_int_equal(amp_breaker_admit(&b, 1500 + AMP_BREAKER_PROBE - 1),
                     AMP_BREAKER_REFUSE);
    assert_int_equal(amp_breaker_admit(&b, 1500 + AMP_BREAKER_PROBE),
                     AMP_BREAKER_IS_PROBE);

    /* one that another probe overtook */

    assert_int_equal(amp_breaker_answered(&b), 1);
    amp_breaker_released(&b, 1500);
    assert_int_equal(amp_breaker_admit(&b, 1500), AMP_BREAKER_PASS);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(failures_that_follow_each_other_suspend),
        cmocka_unit_test(an_answer_in_between_starts_the_count_again),
        cmocka_unit_test(failures_far_apart_do_not_count_together),
        cmocka_unit_test(failures_count_together_when_the_clock_goes_back),
        cmocka_unit_test(one_request_probes),
        cmocka_unit_test(a_probe_that_fails_doubles_the_pause),
        cmocka_unit_test(a_probe_without_an_outcome_makes_room)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
