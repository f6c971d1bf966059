/*
 * Many clients want one answer, and upstream fails.  The first request goes
 * alone.  When it has failed the others follow in two waves, which are bounded;
 * when those have failed, too, nobody else is sent: a client waits for three
 * failures at most.
 */

#ifndef AMP_WAVES_H
#define AMP_WAVES_H


#include <stdint.h>


/* Upstream requests in all, at the end of the second and the third wave. */

#define AMP_WAVES_SECOND  8
#define AMP_WAVES_THIRD   60


typedef enum {
    AMP_WAVE_WAIT = 0,          /* for those that are under way               */
    AMP_WAVE_GO,                /* and is counted                             */
    AMP_WAVE_REFUSE
} amp_wave_e;


/* Of one answer, from its first failure on. */

typedef struct {
    uint32_t  sent;
    uint32_t  failed;
    uint32_t  third;            /* 1: the third wave has begun                */
} amp_waves_t;


/* A request goes upstream without having waited. */

static inline void
amp_waves_began(amp_waves_t *w)
{
    w->sent++;
}


/* One that went upstream has failed. */

static inline void
amp_waves_failed(amp_waves_t *w)
{
    w->failed++;

    if (w->sent < w->failed) {
        w->sent = w->failed;
    }
}


/* May one that waits go upstream? */

static inline amp_wave_e
amp_waves_next(amp_waves_t *w)
{
    if (w->sent >= AMP_WAVES_SECOND && w->failed >= w->sent) {
        w->third = 1;
    }

    if (w->sent < AMP_WAVES_SECOND || (w->third && w->sent < AMP_WAVES_THIRD)) {
        w->sent++;
        return AMP_WAVE_GO;
    }

    return w->failed < w->sent ? AMP_WAVE_WAIT : AMP_WAVE_REFUSE;
}


#endif /* AMP_WAVES_H */
