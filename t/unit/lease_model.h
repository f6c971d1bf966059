/*
 * lease.lua in C, with a clock that the caller gives: for simulations.
 * t/lease_script.t checks that both return the same.
 */

#ifndef LEASE_MODEL_H
#define LEASE_MODEL_H


#include <math.h>

#include "amp_lease.h"


#define SECOND          AMP_LEASE_SECOND
#define MODEL_GATEWAYS  1024
#define TIMEOUT         (SECOND / 2)    /* of a call                          */


typedef struct {
    int       there;
    double    at;
    double    ahead;
    double    unit;
    int       run;
    double    swept;
    int       known[MODEL_GATEWAYS];
    double    seen[MODEL_GATEWAYS];
    double    had[MODEL_GATEWAYS];
    unsigned  n;                    /* number of known gateways               */
    unsigned  calls;
} model_t;


static void
model_remove(model_t *m, int gateway)
{
    m->n -= (unsigned) m->known[gateway];
    m->known[gateway] = 0;
}


static void
model_sweep(model_t *m, int me, double now)
{
    int  i;

    if (now - m->swept > 1000000 || m->swept > now) {
        for (i = 0; i < MODEL_GATEWAYS; i++) {
            if (i != me && (now - m->seen[i] > 2000000 || m->seen[i] > now)) {
                model_remove(m, i);
            }
        }

        m->swept = now;
    }
}


/* now: microseconds of the server's clock. */

static void
model_call(model_t *m, const amp_lease_ask_t *ask, int me, int run,
    double since, double now, amp_lease_answer_t *answer)
{
    double    ahead, depth, far, had, keep, most, n, own, reach, room, share,
              span, unit, wait, want, wanted, window;
    unsigned  others;

    m->calls++;

    if (!m->there) {
        memset(m->known, 0, sizeof(m->known));
        m->n = 0;
        m->swept = 0;
    }

    unit = (double) ask->unit;
    window = (double) ask->window;
    wanted = ask->wanted;
    reach = (double) ask->reach;
    span = (double) AMP_LEASE_AHEAD;
    depth = window + unit + span;
    ahead = 0;

    if (m->there) {
        ahead = fmax(0, m->ahead - (now - m->at) * 1000);

        if (ask->back > 0 && m->run == run
            && ahead == ((double) (ask->tail / 1000) - now) * 1000
                        + (double) (ask->tail % 1000))
        {
            ahead = fmax(0, ahead - (double) ask->back);
        }

        if (m->unit != unit) {
            ahead = ceil(ahead / m->unit * unit);
        }

        if (m->run != run && ask->resume > 0
            && m->n == (unsigned) m->known[me])
        {
            ahead = fmax(ahead, (double) (ask->resume - 1));
            since = 0;

        } else if (m->run != run && since == 0) {
            since = now;
        }
    }

    if (since > 0 && (!m->there || m->run != run)) {
        ahead = fmax(ahead, depth - (now - since) * 1000);
    }

    ahead = fmin(depth, ahead + (double) ask->charge);

    model_sweep(m, me, now);
    others = m->n - (unsigned) m->known[me];

    room = window + unit + reach - ahead;
    most = floor(room / unit);
    share = (others + 1) * unit;
    had = -fmax(share, span);

    if (m->known[me]) {
        had = fmax(had, (m->had[me] - now) * 1000);
    }

    keep = floor(reach * others / share) * unit;
    own = (had <= reach) ? floor((reach - had) / share) + 1 : 0;

    if (others > 0) {
        most = fmin(most, fmax(own, floor((room - keep) / unit)));
    }

    want = wanted;

    if (wanted > 0) {
        far = fmin(window / (others ? 8 : 4), span * 8);

        if (others == 0) {
            far = m->known[me] ? fmax(span, far) : span;
        }

        want = fmax(want, ceil((far - ahead) / unit));

        if (others > 0) {
            want = fmin(want, fmax(own, ceil((window + unit) / share)));
        }
    }

    n = fmax(0, fmin(want, most));
    answer->lead = (uint64_t) ahead;
    ahead += n * unit;
    had = fmin(had + n * share, span + 2 * share);
    wait = 0;

    if (n < wanted && n >= most) {
        wait = ahead - window - reach;

        if (others > 0) {
            wait = fmax(wait, fmin(had - reach, fmax(wait + keep,
                       fmin(share, (window + unit) / 2))));
        }
    }

    if (!m->known[me] && wanted > 0) {
        m->known[me] = 1;
        m->n++;
    }

    m->seen[me] = now;
    m->had[me] = floor(now + had / 1000);

    if (wanted == 0) {
        model_remove(m, me);
    }

    m->there = 1;
    m->at = now;
    m->ahead = ahead;
    m->unit = unit;
    m->run = run;

    answer->now = (uint64_t) now;
    answer->granted = (uint64_t) n;
    answer->gateways = others + 1;
    answer->ahead = (uint64_t) ahead;
    answer->wait = (uint64_t) fmax(0, ceil(wait));
}


#endif /* LEASE_MODEL_H */
