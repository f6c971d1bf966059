#include "amp_breaker.h"


uint64_t
amp_breaker_left(const amp_breaker_t *breaker, uint64_t now)
{
    return (breaker->pause && breaker->until > now) ? breaker->until - now : 0;
}


amp_breaker_e
amp_breaker_admit(amp_breaker_t *breaker, uint64_t now)
{
    if (breaker->pause == 0) {
        return AMP_BREAKER_PASS;
    }

    if (breaker->until > now) {
        return AMP_BREAKER_REFUSE;
    }

    breaker->until = now + AMP_BREAKER_PROBE;

    return AMP_BREAKER_IS_PROBE;
}


int
amp_breaker_answered(amp_breaker_t *breaker)
{
    int  suspended;

    suspended = (breaker->pause != 0);

    breaker->failures = 0;
    breaker->pause = 0;

    return suspended;
}


uint32_t
amp_breaker_failed(amp_breaker_t *breaker, uint64_t now, int probe)
{
    if (breaker->pause) {
        if (!probe) {
            return 0;
        }

        breaker->pause *= 2;

        if (breaker->pause > AMP_BREAKER_LONGEST) {
            breaker->pause = AMP_BREAKER_LONGEST;
        }

        breaker->until = now + breaker->pause;

        return breaker->pause;
    }

    if (breaker->failures == 0 || now > breaker->since + AMP_BREAKER_WINDOW) {
        breaker->since = now;
        breaker->failures = 0;
    }

    if (++breaker->failures < AMP_BREAKER_FAILURES) {
        return 0;
    }

    breaker->pause = AMP_BREAKER_FIRST;
    breaker->until = now + breaker->pause;

    return breaker->pause;
}


void
amp_breaker_released(amp_breaker_t *breaker, uint64_t now)
{
    if (breaker->pause) {
        breaker->until = now;
    }
}
