/*
 * Simulates gateways, one limit and one Redis in steps of STEP ns: which
 * requests are admitted, when, and with how many calls.  Each gateway has its
 * own clock, which drifts; answers take time and get lost; gateways die with
 * the units that they hold; Redis is replaced by a server that lacks the last
 * writes and has another clock.
 *
 * Each admission counts at the moment that amp_lease.h defines: world_excess()
 * checks all admissions with one GCRA, in the order of these moments.
 */

#ifndef LEASE_WORLD_H
#define LEASE_WORLD_H


#include <stdlib.h>

#include "lease_server.h"
#include "amp_lease_wallet.h"


/* scenarios name only the members that they need */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"


#define STEP     UINT64_C(250000)


typedef struct {
    const char  *name;
    const char  *rate;
    uint32_t     burst;
    unsigned     gateways;
    double       demand;        /* of all gateways, in multiples of the rate  */
    int          skew;          /* 0: the same demand everywhere, else half of
                                   it at the first gateway, a quarter at the
                                   second, ...                                */
    unsigned     seconds;
    unsigned     delay;         /* microseconds to Redis and back, at most    */
    unsigned     loss;          /* calls or answers that are lost, in 1000    */
    unsigned     deaths;        /* of gateways; not 0: gateways sometimes hand
                                   back their units, too                      */
    unsigned     failovers;
    double       least;         /* admitted, as a part of what GCRA admits    */
    double       unfair;        /* how far a gateway may be from the mean     */
    unsigned     once;          /* instead of a demand: so many requests within
                                   3 ms, three times, on a full bucket        */
    unsigned     seen;          /* gateways with only one request before that */
    const char  *then;          /* rate of the second half                    */
    uint32_t     then_burst;    /* and its burst                              */
    unsigned     spread;        /* ms until all gateways use them             */
    unsigned     moves;         /* to another server, as a slot of a cluster:
                                   nothing is lost, calls go on               */
    int          lossless;      /* fail-overs lose no write                   */
    unsigned     freezes;       /* Redis does nothing for one to three seconds;
                                   the gateways admit their shares            */
    unsigned     pause;         /* ms without requests after each second      */
    int          turns;         /* all requests of a second come to one gateway,
                                   those of the next one to the next          */
} scenario_t;


typedef struct {
    amp_lease_t     lease;
    amp_rate_t      rate;       /* of its last call                           */
    uint64_t        zero;       /* its clock at 0                             */
    int             drift;      /* ppm, at most 200                           */
    double          demand;     /* requests a step                            */
    unsigned        admitted;
    unsigned        late;       /* of these, in the second half               */
    unsigned        waiting;
    int             looked;     /* requests came, which may begin a call      */
    uint64_t        changes;    /* world's clock: when it gets the new rate   */
    int             run;        /* of the server to which it is connected     */
    double          since;
    uint64_t        notices;    /* world's clock: that there is another one   */
    int             tells;      /* it has to tell that one what it knows      */
    double          asked;      /* zero of the server that was called last    */
    double          server;     /* zero of the server that answered last      */
    int             calling;
    int             lost;
    uint64_t        sent;       /* its clock                                  */
    uint64_t        arrives;    /* world's clock: when Redis gets the call    */
    uint64_t        returns;    /* world's clock: the answer or the timeout   */
    int             answered;
    int             ghost;      /* its call lies in the frozen server         */
    amp_lease_ask_t     stuck;
    uint64_t        links;      /* world's clock: when it has a link again    */
    amp_lease_ask_t     ask;
    amp_lease_answer_t  answer;
} gateway_t;


typedef struct {
    const scenario_t  *s;
    amp_rate_t         rate;
    amp_rate_t         then;
    uint64_t           change;      /* when the rate changes                  */
    uint64_t           changed;     /* since when the new rate is checked     */
    uint64_t           now;
    uint64_t           seed;
    server_t          *redis;
    server_t          *replica;     /* some calls behind                      */
    int                run;
    double             zero;        /* the server's clock at 0, microseconds  */
    gateway_t         *gateways;
    uint64_t          *moments;
    uint64_t          *doors;       /* when the requests arrived              */
    size_t             n;
    size_t             cap;
    size_t             requests;
    size_t             one;         /* admitted by one GCRA for all gateways  */
    uint64_t           tat;         /* of that                                */
    size_t             waited;
    size_t             local;       /* admitted without Redis                 */
    unsigned           calls;
    uint64_t           frozen;      /* until then the server is frozen        */
} world_t;


static uint64_t
world_draw(world_t *w, uint64_t below)
{
    w->seed ^= w->seed << 13;
    w->seed ^= w->seed >> 7;
    w->seed ^= w->seed << 17;

    return w->seed % below;
}


static uint64_t
gateway_clock(const world_t *w, const gateway_t *g)
{
    return g->zero + w->now
           + (uint64_t) ((int64_t) w->now / 1000000 * g->drift);
}


static double
world_clock(const world_t *w)
{
    return w->zero + (double) (w->now / 1000);
}


static const amp_rate_t *
gateway_rate(const world_t *w, const gateway_t *g)
{
    return (w->now < g->changes) ? &w->rate : &w->then;
}


static void
world_moment(world_t *w, gateway_t *g, uint64_t moment)
{
    if (w->n == w->cap) {
        w->cap = w->cap ? 2 * w->cap : 4096;
        w->moments = realloc(w->moments, w->cap * sizeof(*w->moments));
        w->doors = realloc(w->doors, w->cap * sizeof(*w->doors));
    }

    w->doors[w->n] = w->now;
    w->moments[w->n++] = moment;
    g->admitted++;
    g->late += w->now > w->s->seconds * SECOND / 2;
}


static void
world_admit(world_t *w, gateway_t *g, uint64_t now, int waited)
{
    uint64_t  moment = w->now, zero = (uint64_t) g->server * 1000;
    uint64_t  delay = (uint64_t) g->lease.delay * 1000;
    uint32_t  reserved = g->lease.reserved + g->lease.drawn;
    uint32_t  wallet = g->lease.wallet;

    amp_lease_spend(&g->lease, gateway_rate(w, g), now, waited);

    if (g->lease.reserved + g->lease.drawn != reserved) {
        moment = g->lease.redis - zero;

    } else if (g->lease.wallet == wallet
               && amp_lease_window(&g->lease, g->lease.unit, g->lease.burst)
               < delay + 2 * ((now - g->lease.received + delay) / 4096))
    {
        moment = g->lease.redis + (now - g->lease.received) - zero;
    }

    world_moment(w, g, moment);
}


/* 1 when the request has to wait for a call. */

static int
world_request(world_t *w, gateway_t *g, int waited)
{
    uint64_t     now = gateway_clock(w, g), wait;
    amp_lease_e  rc;

    rc = amp_lease_look(&g->lease, gateway_rate(w, g), now, waited, &wait);

    if (rc == AMP_LEASE_ADMIT) {
        world_admit(w, g, now, waited);

    } else if (rc == AMP_LEASE_FALLBACK && w->s->freezes
               && amp_lease_local(&g->lease, gateway_rate(w, g), w->s->gateways,
                                  now) == 0)
    {
        amp_lease_local_spend(&g->lease, gateway_rate(w, g), w->s->gateways,
                              now);
        world_moment(w, g, w->now);
        w->local++;
    }

    return rc == AMP_LEASE_ASK;
}


static void
gateway_start(world_t *w, gateway_t *g)
{
    memset(&g->lease, 0, sizeof(g->lease));
    g->rate = w->rate;
    g->zero = SECOND * (100 + world_draw(w, 1000000));
    g->drift = (int) world_draw(w, 401) - 200;
    g->waiting = 0;
    g->calling = 0;
    g->changes = w->change;
    g->changes += w->s->spread ? world_draw(w, w->s->spread * 1000000) : 0;
    g->run = w->run;
    g->tells = 0;
    g->server = w->zero;
    g->since = 0;
}


/* 1 when a call hands back units, at random or since no requests come. */

static int
gateway_hands_back(world_t *w, gateway_t *g, uint64_t now)
{
    int  exits = 0;

    if (w->s->deaths != 0 && world_draw(w, 20000) == 0) {
        exits = (int) world_draw(w, 2);

    } else if (!amp_lease_unused(&g->lease, now)) {
        return 0;
    }

    return amp_lease_return(&g->lease, &g->rate, now, TIMEOUT, exits, &g->ask);
}


static void
gateway_call(world_t *w, gateway_t *g)
{
    uint64_t  now = gateway_clock(w, g);

    if (g->calling) {
        return;
    }

    if ((g->looked || g->waiting)
        && amp_lease_due(&g->lease, gateway_rate(w, g), now))
    {
        g->rate = *gateway_rate(w, g);
        amp_lease_ask(&g->lease, &g->rate, now, TIMEOUT, &g->ask);

    } else if (g->tells) {
        g->tells = 0;

        if (!amp_lease_tell(&g->lease, &g->rate, now, TIMEOUT, &g->ask)) {
            return;
        }

    } else if (!gateway_hands_back(w, g, now)) {
        return;
    }

    g->calling = 1;
    g->answered = 0;
    g->sent = now;
    g->lost = world_draw(w, 1000) < w->s->loss;
    g->arrives = w->now + 50000 + world_draw(w, w->s->delay * 500 + 1);
    g->returns = g->arrives + 50000 + world_draw(w, w->s->delay * 500 + 1);

    if (g->lost) {
        g->returns = w->now + TIMEOUT;

        if (world_draw(w, 2)) {
            g->arrives = UINT64_MAX;
        }
    }

    /* without a link a call fails at once */

    if (w->now < g->links) {
        g->lost = 1;
        g->arrives = UINT64_MAX;
        g->returns = w->now;
    }
}


/*
 * A call to a frozen server fails with the time-out; the server executes it
 * later.  Then the gateway gives up the link, and connects again within a
 * second after the server goes on.
 */

static void
gateway_frozen(world_t *w, gateway_t *g)
{
    if (w->now >= g->links) {
        if (w->now < g->arrives || gateway_clock(w, g) < g->sent + TIMEOUT) {
            return;
        }

        g->stuck = g->ask;
        g->ghost = 1;
        g->links = w->frozen + world_draw(w, SECOND);
    }

    g->calling = 0;
    g->waiting = 0;
    amp_lease_failed(&g->lease, g->sent, gateway_clock(w, g));
}


static void
gateway_receive(world_t *w, gateway_t *g)
{
    unsigned            n;
    uint64_t            now = gateway_clock(w, g);
    amp_lease_answer_t  ignored;

    if (g->ghost && w->now >= w->frozen) {
        g->ghost = 0;
        server_call(w->redis, &g->stuck, (int) (g - w->gateways), g->run,
                    g->since, w->s->gateways, world_clock(w), &ignored);
    }

    if (!g->calling) {
        return;
    }

    if (!g->answered && w->now < w->frozen) {
        gateway_frozen(w, g);
        return;
    }

    if (!g->answered && w->now >= g->arrives) {
        g->answered = 1;
        w->calls++;

        if (w->replica != NULL && world_draw(w, 8) == 0) {
            *w->replica = *w->redis;
        }

        if (g->run == w->run) {
            if (w->changed == 0 && w->now >= w->change) {
                w->changed = w->now;
            }

            g->asked = w->zero;
            server_call(w->redis, &g->ask, (int) (g - w->gateways), g->run,
                        g->since, w->s->gateways, world_clock(w), &g->answer);
        } else {
            g->lost = 1;
        }
    }

    if (w->now < g->returns) {
        return;
    }

    g->calling = 0;

    if (g->lost || !g->answered) {
        amp_lease_failed(&g->lease, g->sent, now);

        g->waiting = 0;
        return;
    }

    g->server = g->asked;
    amp_lease_answer(&g->lease, &g->answer, g->sent, now);

    n = g->waiting;
    g->waiting = 0;

    while (n--) {

        /* some clients leave while their request waits */

        if (w->s->deaths == 0 || world_draw(w, 16) != 0) {
            g->waiting += (unsigned) world_request(w, g, 1);
        }
    }
}


static void
world_fail_over(world_t *w)
{
    unsigned   i;
    server_t  *lost;

    if (w->s->lossless) {
        *w->replica = *w->redis;
    }

    lost = w->redis;
    w->redis = w->replica;
    w->replica = lost;
    *w->replica = *w->redis;
    w->redis->promoted = 1;
    w->run++;
    w->zero += (double) world_draw(w, 4000000) - 2000000;

    for (i = 0; i < w->s->gateways; i++) {
        w->gateways[i].notices = w->now + world_draw(w, SECOND / 4);
    }
}


/* The gateway connects to the new server.  Its call to the old one fails. */

static void
gateway_notice(world_t *w, gateway_t *g)
{
    if (g->run == w->run || w->now < g->notices) {
        return;
    }

    g->run = w->run;
    g->since = world_clock(w);
    g->tells = 1;

    if (g->calling && !g->answered) {
        g->lost = 1;
        g->arrives = UINT64_MAX;
        g->returns = w->now;
    }
}


static void
world_move(world_t *w)
{
    unsigned  i;

    w->run++;
    w->zero += (double) world_draw(w, 100000) - 50000;

    for (i = 0; i < w->s->gateways; i++) {
        w->gateways[i].run = w->run;
        w->gateways[i].since = 0;
    }
}


static void
world_requests(world_t *w, gateway_t *g, unsigned n)
{
    while (n--) {
        w->requests++;
        g->looked = 1;
        w->one += amp_rate_take(w->now < w->change ? &w->rate : &w->then,
                                &w->tat, w->now) == 0;

        if (world_request(w, g, 0)) {
            g->waiting++;
            w->waited++;
        }
    }
}


/* Converts TAT to the new rate: as many units, at most the whole burst. */

static uint64_t
world_carry(const world_t *w, uint64_t tat, uint64_t now)
{
    double  ahead, unit, most;

    unit = (double) amp_rate_interval(&w->then);
    most = unit * w->then.burst;
    ahead = (tat > now) ? (double) (tat - now) : 0;
    ahead = ahead / (double) amp_rate_interval(&w->rate) * unit;

    return now + (uint64_t) fmin(ahead, most);
}


/* Without a spread no call with the old rate reaches Redis later. */

static void
world_change(world_t *w)
{
    unsigned    i;
    gateway_t  *g;

    w->tat = world_carry(w, w->tat, w->now);

    if (w->s->spread) {
        w->changed = w->change + w->s->spread * 1000000;
        return;
    }

    for (i = 0; i < w->s->gateways; i++) {
        g = &w->gateways[i];

        if (g->calling && !g->answered) {
            g->lost = 1;
            g->arrives = UINT64_MAX;
        }
    }

    if (amp_rate_interval(&w->rate) == amp_rate_interval(&w->then)) {
        w->changed = w->now;
    }
}


static void
world_step(world_t *w, gateway_t *g)
{
    unsigned  n;

    n = (unsigned) g->demand;
    n += world_draw(w, 1000000) < (uint64_t) ((g->demand - n) * 1000000);

    if (w->now % (SECOND + w->s->pause * UINT64_C(1000000)) > SECOND) {
        n = 0;
    }

    if (w->s->turns
        && (int) (w->now / SECOND % w->s->gateways) != g - w->gateways)
    {
        n = 0;
    }

    world_requests(w, g, n);
    gateway_notice(w, g);

    if (g->demand != 0 || g->looked || g->waiting != 0 || g->calling) {
        gateway_call(w, g);
        gateway_receive(w, g);
        g->looked = 0;
    }
}


static void
world_steps(world_t *w, uint64_t ns)
{
    unsigned  i;
    uint64_t  end = w->now + ns;

    for ( ; w->now < end; w->now += STEP) {
        for (i = 0; i < w->s->gateways; i++) {
            world_step(w, &w->gateways[i]);
        }
    }
}


/* Three times: s->seen gateways get a request; a second later, s->once come. */

static void
world_once(world_t *w)
{
    unsigned  i, n, round;

    for (round = 0; round < 3; round++) {

        for (i = w->s->gateways - w->s->seen; i < w->s->gateways; i++) {
            world_requests(w, &w->gateways[i], 1);
        }

        world_steps(w, SECOND);

        for (n = 0; n < w->s->once; n++) {
            if (n % (w->s->once / 12 + 1) == 0) {
                world_steps(w, STEP);
            }

            world_requests(w, &w->gateways[n % (w->s->gateways - w->s->seen)],
                           1);
        }

        world_steps(w, SECOND);

        w->now += (amp_rate_interval(&w->rate) * w->rate.burst / STEP + 1)
                  * STEP;
    }
}


static inline void
world_run(world_t *w, const scenario_t *s, uint64_t seed)
{
    double    part, sum;
    unsigned  i;
    uint64_t  end, next_death, next_fail, next_freeze, next_move;

    memset(w, 0, sizeof(*w));

    w->s = s;
    w->seed = seed;
    w->zero = 1763000000e6 + (double) world_draw(w, 1000000);
    w->redis = calloc(1, sizeof(server_t));
    w->replica = s->failovers ? calloc(1, sizeof(server_t)) : NULL;
    w->gateways = calloc(s->gateways, sizeof(gateway_t));

    (void) amp_rate_parse(amp_span_make(s->rate, strlen(s->rate)), &w->rate);
    w->rate.burst = s->burst;
    w->change = UINT64_MAX;

    if (s->then) {
        (void) amp_rate_parse(amp_span_make(s->then, strlen(s->then)),
                              &w->then);
        w->then.burst = s->then_burst;
        w->change = s->seconds * SECOND / 2;
    }

    for (i = 0, sum = 0, part = 1; i < s->gateways; i++, part /= 2) {
        gateway_start(w, &w->gateways[i]);
        w->gateways[i].demand = s->skew ? part + 0.0001 : 1;
        sum += w->gateways[i].demand;
    }

    for (i = 0; i < s->gateways; i++) {
        w->gateways[i].demand *= s->demand * w->rate.count / w->rate.period
                                 * ((double) STEP / SECOND) / sum
                                 * (s->turns ? s->gateways : 1);
    }

    w->now = STEP;

    if (s->once) {
        world_once(w);
        return;
    }

    end = s->seconds * SECOND;
    next_death = s->deaths ? end / (s->deaths + 1) : UINT64_MAX;
    next_fail = s->failovers ? end / (s->failovers + 1) : UINT64_MAX;
    next_freeze = s->freezes ? end / (s->freezes + 1) : UINT64_MAX;
    next_move = s->moves ? end / (s->moves + 2) : UINT64_MAX;

    while (w->now <= end) {
        world_steps(w, STEP);

        if (w->now == w->change) {
            world_change(w);
        }

        if (w->now >= next_death) {
            gateway_start(w, &w->gateways[world_draw(w, s->gateways)]);
            next_death += end / (s->deaths + 1);
        }

        if (w->now >= next_fail) {
            world_fail_over(w);
            next_fail += end / (s->failovers + 1);
        }

        if (w->now >= next_freeze) {
            w->frozen = w->now + SECOND + world_draw(w, 2 * SECOND);
            next_freeze += end / (s->freezes + 1);
        }

        if (w->now >= next_move) {
            world_move(w);
            next_move += end / (s->moves + 2);
        }
    }
}


static int
world_compare(const void *a, const void *b)
{
    const uint64_t  *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}


/* The ns by which the worst admission was too early for one GCRA. */

static uint64_t
world_above(const world_t *w, uint64_t *moments)
{
    size_t    i;
    uint64_t  excess = 0, tat = 0, unit, window, changed;

    changed = w->changed ? w->changed : UINT64_MAX;
    unit = amp_rate_interval(&w->rate);
    window = (w->rate.burst - 1) * unit;

    qsort(moments, w->n, sizeof(uint64_t), world_compare);

    for (i = 0; i < w->n; i++) {

        if (moments[i] >= changed) {
            tat = w->s->spread ? 0 : world_carry(w, tat, changed);
            unit = amp_rate_interval(&w->then);
            window = (w->then.burst - 1) * unit;
            changed = UINT64_MAX;

        } else if (moments[i] >= w->change && w->s->spread
                   && changed != UINT64_MAX)
        {
            continue;
        }

        tat = (tat > moments[i]) ? tat : moments[i];

        if (tat - moments[i] > window + excess) {
            excess = tat - moments[i] - window;
        }

        tat += unit;
    }

    return excess;
}


/* The ns by which the promise is broken; 0: it is kept. */

static inline uint64_t
world_excess(const world_t *w)
{
    return world_above(w, w->moments);
}


/* The same with the moments when the requests arrived. */

static inline uint64_t
world_doors(const world_t *w)
{
    return world_above(w, w->doors);
}


/* The admitted requests, as a part of those that one GCRA admits. */

static inline double
world_share(const world_t *w)
{
    return (double) w->n / (double) w->one;
}


/* How far the worst gateway is from the mean, in the second half. */

static inline double
world_unfair(const world_t *w)
{
    double    mean = 0, worst = 0;
    unsigned  i;

    for (i = 0; i < w->s->gateways; i++) {
        mean += (double) w->gateways[i].late / w->s->gateways;
    }

    for (i = 0; i < w->s->gateways; i++) {
        worst = fmax(worst, fabs(w->gateways[i].late - mean) / mean);
    }

    return worst;
}


static inline void
world_end(world_t *w)
{
    free(w->redis);
    free(w->replica);
    free(w->gateways);
    free(w->moments);
    free(w->doors);
}


#endif /* LEASE_WORLD_H */
