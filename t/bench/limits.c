/*
 * Simulates limits on a virtual clock: how much 1 to 1,000 gateways admit
 * together, compared to one token bucket, and how many calls of the lease
 * script that takes.  Exits with 1 when the promise of amp_lease.h is broken,
 * or a scenario admits less, or shares less evenly, than it has to.
 *
 *   of most    admitted, as a share of rate * time + burst, the most that is
 *              allowed (at once: of what GCRA allows)
 *   of GCRA    admitted, as a share of what one bucket admits of these requests
 *   unfair     largest distance of a gateway from the mean, in the second half
 *   waited     requests that waited for a reply of Redis
 *   calls/s    calls of the script, for each gateway (at once: for each time)
 *   doors      units above the limit when requests are counted as they arrive,
 *              not as they are decided (see "Clocks" in amp_lease.h)
 *
 *   limits           all scenarios
 *   limits NAME      scenarios whose name begins with NAME
 *   limits script    prints the script
 *   limits trace N   N random calls: their arguments, the time, the answer
 *   limits seeds FIRST N   N random scenarios, from this seed on
 */

#include <stdio.h>

#include "../unit/lease_world.h"
#include "amp_script.h"


static const scenario_t  scenarios[] = {
    /* name             rate      burst gw demand skew s delay loss dead fail */
    { "one",            "50/s",      100,   1, 3,  0, 20,  400,  0, 0, 0, .97, 1 },
    { "one, small",     "50/s",        2,   1, 3,  0, 20,  400,  0, 0, 0, .97, 1 },
    { "one, burst 1",   "50/s",        1,   1, 9,  0, 20,  400,  0, 0, 0, .97, 1 },
    { "one, a second", "400/s",        8,   1, 5,  0,  1,  400,  0, 0, 0, .97, 1 },
    { "one, fast",      "1000/s",   1000,   1, 2,  0, 10,  400,  0, 0, 0, .97, 1 },
    { "one, half",      "1000/s",   1000,   1, .5, 0, 10,  400,  0, 0, 0, .97, 1 },
    { "one, quiet",     "1000/s",   1000,   1, .02, 0, 20,  400, 0, 0, 0, .97, 1 },
    { "one, minute",    "600/m",     600,   1, 9,  0, 60,  400,  0, 0, 0, .97, 1 },
    { "two",            "50/s",      100,   2, 3,  0, 20,  400,  0, 0, 0, .97, .1 },
    { "two, small",     "50/s",       10,   2, 3,  0, 20,  400,  0, 0, 0, .97, .1 },
    { "two, burst 1",   "10/s",        1,   2, 3,  0, 20,  400,  0, 0, 0, .90, 1 },
    { "four",           "50/s",      100,   4, 3,  0, 20,  400,  0, 0, 0, .97, .1 },
    { "eight",          "50/s",      100,   8, 3,  0, 20,  400,  0, 0, 0, .97, .1 },
    { "eight, fast",    "5000/s",   5000,   8, 2,  0, 10,  400,  0, 0, 0, .97, .1 },
    { "eight, small",   "1000/s",    200,   8, 2,  0, 10,  400,  0, 0, 0, .97, .1 },
    { "eight, half",    "1000/s",   1000,   8, .5, 0, 10,  400,  0, 0, 0, .97, 1 },
    { "eight, quiet",   "50/s",      100,   8, .4, 0, 20,  400,  0, 0, 0, .97, 1 },
    { "two, quiet",     "50/s",      100,   2, .2, 0, 20,  400,  0, 0, 0, .97, 1 },
    { "eight, skewed",  "100/s",     100,   8, 3,  1, 20,  400,  0, 0, 0, .97, 9 },
    { "eight, burst 1", "50/s",        1,   8, 3,  0, 20,  400,  0, 0, 0, .85, 1 },
    { "eight, burst 2", "50/s",        2,   8, 3,  0, 20,  400,  0, 0, 0, .90, 1 },
    { "eight, lost",    "100/s",     100,   8, 3,  0, 20, 5000, 20, 0, 0, .80, 1 },
    { "eight, slow",    "100/s",     100,   8, 3,  0, 20, 80000, 0, 0, 0, .95, .2 },
    { "eight, slower",  "100/s",      20,   8, 1,  0, 20, 80000, 0, 9, 0, .70, 1 },
    { "eight, deaths",  "100/s",     100,   8, 3,  0, 20,  400,  0, 40, 0, .80, 1 },
    { "eight, fail",    "100/s",     100,   8, 3,  0, 20,  400,  0, 0, 3, .50, 1 },
    { "one, frozen",    "100/s",     100,   1, .9, 0, 20, 400,  0, 0, 0, .90, 1,
      .freezes = 2 },
    { "two, frozen",    "200/s",     100,   2, 1.4, 0, 20, 400, 0, 0, 0, .80, 1,
      .freezes = 2 },
    { "six, frozen",    "200/s",     100,   6, 1.4, 0, 20, 400, 0, 0, 0, .80, 1,
      .freezes = 2 },
    { "six, frozen",    "200/s",     100,   6, .9, 1, 20, 400,  0, 0, 0, .60, 9,
      .freezes = 2 },
    { "eight, frozen", "10000/d",    500,   8, 90, 0, 20, 400,  0, 0, 0, .60, 9,
      .freezes = 2 },
    { "eight, chaos",   "200/s",     100,   8, 3,  0, 30, 20000, 20, 20, 5, .30, 1 },
    { "one, fail",       "10/s",     300,   1, 3,  0, 20,  400,  0, 0, 3, .95, 1 },
    { "64",             "500/s",    1000,  64, 3,  0, 20,  400,  0, 0, 0, .97, .1 },
    { "64, skewed",     "500/s",    1000,  64, 3,  1, 40,  400,  0, 0, 0, .97, 99 },
    { "1000",           "5000/s",  10000, 1000, 3,  0, 30, 400,  0, 0, 0, .97, .2 },
    { "1000, slow",     "500/s",    1000, 1000, 3,  0, 20, 400,  0, 0, 0, .97, 9 },
    { "1000, skewed",   "500/s",    1000, 1000, 3,  1, 10, 400,  0, 0, 0, .97, 999 },

    /*
     * a burst that one bucket admits at once is admitted at once, but for the
     * few units that are in the wallets of gateways with little traffic, and
     * those leased ahead where an answer takes longer than the burst
     */

#define ONCE(name, rate, burst, gateways, delay, once, seen, least)           \
    { name, rate, burst, gateways, 0, 0, 3, delay, 0, 0, 0,                   \
      least, 1, once, seen }

    ONCE("one, at once",    "100/s",    100, 1,  400,  100, 0, 1),
    ONCE("one, at once",    "100/s",    100, 1, 5000,  100, 0, 1),
    ONCE("one, at once",      "1/s",     50, 1,  400,   50, 0, 1),
    ONCE("one, at once",      "1/s",     50, 1, 5000,   50, 0, 1),
    ONCE("one, at once",  "10000/d",    500, 1,  400,  500, 0, 1),
    ONCE("one, at once",  "10000/d",    500, 1, 5000,  500, 0, 1),
    ONCE("one, at once",     "1/h",       3, 1, 5000,    3, 0, 1),
    ONCE("one, too many",   "100/s",    100, 1,  400,  200, 0, 1),
    ONCE("two, at once",    "100/s",    100, 2,  400,  100, 1, .90),
    ONCE("two, at once",      "1/s",     50, 2,  400,   50, 1, .90),
    ONCE("two, at once",  "10000/d",    500, 2, 5000,  500, 1, .97),
    ONCE("four, at once",   "100/s",    100, 4,  400,  100, 0, .95),
    ONCE("four, at once",   "100/s",    100, 4, 5000,  100, 0, .88),
    ONCE("four, at once",     "1/s",     48, 4,  400,   48, 0, 1),
    ONCE("four, at once", "10000/d",    500, 4,  400,  500, 0, 1),
    ONCE("four, at once", "10000/d",    500, 4, 5000,  500, 0, 1),
#undef ONCE

    /*
     * When rate or burst changes, spent units stay spent, and no others but
     * those that wallets may have more: they come as time passes.
     */

#define THEN(name, rate, burst, gateways, least, then, then_burst, spread)    \
    { name, rate, burst, gateways, 3, 0, 20, 400, 0, 0, 0, least, 9, 0, 0,    \
      then, then_burst, spread }

    THEN("one, faster",      "50/s",  100, 1, .97,  "100/s",  100,   0),
    THEN("one, slower",      "50/s",  100, 1, .97,    "5/s",  100,   0),
    THEN("one, wider",       "50/s",  100, 1, .95,   "50/s",  300,   0),
    THEN("one, narrower",    "50/s",  100, 1, .97,   "50/s",   10,   0),
    THEN("four, faster",     "50/s",  100, 4, .97,  "100/s",  100,   0),
    THEN("four, slower",     "50/s",  100, 4, .97,    "5/s",   50,   0),
    THEN("four, wider",      "50/s",  100, 4, .95,   "50/s",  300,   0),
    THEN("four, narrower",   "50/s",  100, 4, .97,   "50/s",   10,   0),
    THEN("four, in 100 ms",  "50/s",  100, 4, .97,   "20/s",   50, 100),
    THEN("four, in 100 ms",  "50/s",  100, 4, .92,   "50/s",  500, 100),
    THEN("four, in 100 ms",  "50/s",  100, 4, .97,   "90/s",   50, 100),
#undef THEN

    /* a tenant whose requests come to another gateway each second */

#define TURNS(name, gateways, demand, seconds, unfair)                        \
    { name, "50/s", 100, gateways, demand, 0, seconds, 400, 0, 0, 0, .97,     \
      unfair, .turns = 1 }

    TURNS("two, in turns",   2, 3,  20, .1),
    TURNS("four, in turns",  4, 3,  24, .1),
    TURNS("eight, in turns", 8, .6, 32,  9)
#undef TURNS
};


#define RANDOM_LEAST  .80       /* of what GCRA admits: bursts of 150 ms and
                                   more, near Redis, without faults           */


static unsigned
draw(unsigned below)
{
    static uint64_t  seed = 7;

    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;

    return (unsigned) (seed % below);
}


static void
trace_one(server_t *m, const amp_rate_t *rate, double now)
{
    int                         gateway, run;
    double                      since;
    unsigned                    i, many;
    amp_span_t                  argv[AMP_LEASE_ARGS];
    unsigned char               text[AMP_LEASE_ARGS][AMP_LEASE_TEXT];
    amp_lease_ask_t             ask;
    static const amp_lease_t    plain;
    static amp_lease_answer_t   answer;
    static const char *const    names = "0123456789";

    memset(&ask, 0, sizeof(ask));

    gateway = (int) draw(draw(3) + 1);
    run = draw(40) == 0;
    since = draw(20) ? 0 : now - draw(3000000);

    ask.unit = amp_rate_interval(rate);
    ask.window = amp_lease_window(&plain, ask.unit, rate->burst);
    ask.reach = draw(2) * AMP_LEASE_AHEAD;
    ask.wanted = draw(8) ? 1 + draw(draw(2) ? 3 : 40) : 0;
    ask.charge = draw(30) ? 0 : draw(1000000000);
    ask.resume = draw(2) ? 0 : 1 + draw(2000000000);
    ask.answered = draw(3) ? answer.now : 0;
    ask.age = (ask.answered && now > (double) ask.answered)
              ? (uint64_t) (now - (double) ask.answered) : 0;
    ask.age -= draw(3) ? 0 : ask.age / 2;
    ask.away = draw(8) ? 0 : 1 + draw(4000000);
    ask.timeout = 200000;
    ask.peers = draw(4);
    ask.most = amp_lease_wallet_most(&plain, ask.unit, rate->burst);
    ask.wallet = draw(3) ? draw(ask.most + 1) : 0;
    ask.fill = draw(3) ? draw(ask.most + 1) : 0;
    ask.waiting = draw(ask.wanted + 1);
    ask.pool = draw(2) ? draw(500000000) : 0;
    ask.freed = draw(2) ? draw(500000000) : 0;
    many = draw(4);

    if (draw(6) == 0) {
        ask.tail = answer.now * 1000 + answer.ahead + (draw(4) == 0);
        ask.back = 1 + draw(1000000000);
    }

    amp_lease_argv(&ask, amp_span_make(names + gateway, 1),
                   amp_span_make(names + run, 1), (uint64_t) since, many, text,
                   argv);

    server_call(m, &ask, gateway, run, since, many, now, &answer);

    for (i = 0; i < AMP_LEASE_ARGS; i++) {
        printf("%.*s ", (int) argv[i].len, (const char *) argv[i].data);
    }

    printf("%.0f %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu\n",
           now,
           (unsigned long long) answer.now, (unsigned long long) answer.lead,
           (unsigned long long) answer.granted,
           (unsigned long long) answer.gateways,
           (unsigned long long) answer.ahead,
           (unsigned long long) answer.wait,
           (unsigned long long) answer.drawn,
           (unsigned long long) answer.filled,
           (unsigned long long) answer.pool,
           (unsigned long long) answer.lent,
           (unsigned long long) answer.part);
}


static void
trace(unsigned n)
{
    double      now = 1763000000123456;
    server_t    m;
    unsigned    kind;
    amp_rate_t  rate;

    static const amp_rate_t  rates[] = {
        { 50, 1, 100 }, { 3, 1, 7 }, { 1, 1, 1 }, { 1000, 1, 50 },
        { 999983, 1, 2000 }, { 10000, 86400, 10000 }, { 600, 60, 1 }
    };

    memset(&m, 0, sizeof(m));
    m.promoted = 1;
    rate = rates[0];

    while (n--) {
        kind = draw(200);

        if (kind < 4) {
            rate = rates[draw(sizeof(rates) / sizeof(rates[0]))];
        }

        now += (kind == 5) ? 4000000
               : (kind == 6) ? -1e6 : draw(kind * 1000 + 1);
        trace_one(&m, &rate, now);
    }
}


/* A random scenario: a seed gives the same one, and the same run, again. */

static void
random_scenario(scenario_t *s, uint64_t seed)
{
    world_t     dice;
    unsigned    faults;
    amp_rate_t  rate;

    static const char *const  rates[] = {
        "50/s", "100/s", "200/s", "7/s", "1/s", "600/m", "5000/h", "10000/d",
        "1000/s", "333/s"
    };
    static const uint32_t  bursts[] = { 1, 2, 7, 20, 50, 100, 300, 1000 };
    static const unsigned  gateways[] = { 1, 1, 2, 2, 2, 3, 4, 4, 8, 16 };

#define DRAW(n)  ((unsigned) world_draw(&dice, n))
#define PICK(a)  a[DRAW(sizeof(a) / sizeof(a[0]))]

    memset(s, 0, sizeof(*s));
    dice.seed = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;

    (void) DRAW(2);
    s->name = "random";
    s->rate = PICK(rates);
    s->burst = PICK(bursts);
    s->gateways = DRAW(200) ? PICK(gateways) : 64;
    s->skew = DRAW(4) == 0;
    s->seconds = 2 + DRAW(s->gateways > 8 ? 2 : 5);
    s->delay = DRAW(4) ? 400 : DRAW(90000);

    /* a slow rate is no less busy: its bucket empties in the run */

    (void) amp_rate_parse(amp_span_make(s->rate, strlen(s->rate)), &rate);
    s->demand = (.1 + DRAW(40) / 10.)
                * (1 + (double) s->burst * rate.period / rate.count
                       / s->seconds);

    if (DRAW(4) == 0) {
        s->pause = DRAW(8000);
        s->seconds += 12;
    }

    faults = DRAW(64);
    s->loss = (faults & 1) ? 1 + DRAW(60) : 0;
    s->deaths = (faults & 2) ? 1 + DRAW(10) : 0;
    s->moves = ((faults & 12) == 4) ? 1 + DRAW(3) : 0;
    s->failovers = ((faults & 12) == 8) ? 1 + DRAW(3) : 0;
    s->lossless = (int) DRAW(2);

    /* gateways may die, or writes get lost, but not both, nor writes twice */

    if (s->failovers && !s->lossless) {
        s->deaths = 0;
        s->failovers = 1;
    }

    if ((faults & 48) == 48 && s->failovers + s->moves == 0) {
        s->then = PICK(rates);
        s->then_burst = PICK(bursts);
        s->spread = DRAW(2) ? 0 : 100;
        s->delay = 400;
        s->loss = 0;
    }

    /*
     * A gateway that alone does not reach Redis spends its share in addition to
     * what the others lease; so no call is lost but while Redis is frozen,
     * which happens once, and not while some have no requests: docs/limits.md
     * says what two such faults can cost.
     */

    if ((faults & 48) == 32 && s->failovers + s->moves == 0
        && s->burst - s->burst / 4 >= s->gateways)
    {
        s->freezes = 1;
        s->pause = 0;
        s->seconds += 4;
        s->deaths = 0;
        s->loss = 0;
        s->delay = 400;
    }

    /* nor does a gateway know what was leased since its last turn */

    s->turns = DRAW(8) == 0 && s->gateways > 1 && s->freezes == 0;
#undef DRAW
#undef PICK
}


/*
 * An outage begins while others empty the bucket: a gateway that has had no
 * answer since then knows only how fast they did before.  And meanwhile rates
 * follow the gateway's clock, which drifts.
 */

static uint64_t
allowed(const scenario_t *s, const world_t *w)
{
    uint64_t  units = (s->gateways > 1) ? s->burst / 8 + 2 : 0;

    return s->freezes ? amp_rate_interval(&w->rate) * units + SECOND / 1000 : 0;
}


static int
random_runs(uint64_t first, unsigned n)
{
    int         little, rc = 0;
    double      share, unit, least = 1;
    size_t      admitted = 0;
    world_t     w;
    uint64_t    excess, seed;
    scenario_t  s;

    for (seed = first; seed < first + n; seed++) {
        random_scenario(&s, seed);
        world_run(&w, &s, seed * 2 + 1);

        excess = world_excess(&w);
        excess -= (excess < allowed(&s, &w)) ? excess : allowed(&s, &w);
        share = w.one ? world_share(&w) : 1;
        admitted += w.n;

        unit = (double) amp_rate_interval(&w.rate);
        little = 0;

        if (s.delay <= 400 && s.burst * unit >= .15 * SECOND && s.burst >= 7
            && s.gateways <= 8 && !s.loss && !s.deaths && !s.moves
            && !s.failovers && !s.then && !s.freezes)
        {
            least = fmin(least, share);
            little = w.n + s.gateways < RANDOM_LEAST * w.one;
        }

        if (excess || little) {
            printf("seed %llu: %s, burst %u, %u gateways, %u s, demand %g,"
                   " delay %u, loss %u, deaths %u, moves %u, failovers %u%s,"
                   " freezes %u, pause %u%s, then %s: %zu of %zu, %g units"
                   "%s%s\n",
                   (unsigned long long) seed, s.rate, s.burst, s.gateways,
                   s.seconds, s.demand, s.delay, s.loss, s.deaths, s.moves,
                   s.failovers, s.lossless ? " without loss" : "",
                   s.freezes, s.pause, s.turns ? ", in turns" : "",
                   s.then ? s.then : "none", w.n, w.one, excess / unit,
                   excess ? " ABOVE THE LIMIT" : "",
                   little ? " too little" : "");
            rc = 1;
        }

        world_end(&w);
    }

    printf("%u random runs, %zu requests admitted; of GCRA at least %.1f%%"
           " where it has to be much\n", n, admitted, 100 * least);

    return rc;
}


int
main(int argc, char **argv)
{
    int                rc = 0;
    size_t             i;
    double             most, share, unfair, unit;
    world_t            w;
    uint64_t           excess;
    const scenario_t  *s;

    if (argc > 1 && strcmp(argv[1], "script") == 0) {
        fputs((const char *) amp_script_lease.text.data, stdout);
        return 0;
    }

    if (argc > 2 && strcmp(argv[1], "trace") == 0) {
        trace((unsigned) atoi(argv[2]));
        return 0;
    }

    if (argc > 3 && strcmp(argv[1], "seeds") == 0) {
        return random_runs(strtoull(argv[2], NULL, 10),
                           (unsigned) atoi(argv[3]));
    }

    printf("%-15s %8s %6s %5s %8s %8s %8s %8s %7s %7s %7s %6s\n", "", "rate",
           "burst", "gates", "requests", "admitted", "of most", "of GCRA",
           "unfair", "waited", "calls/s", "doors");

    for (i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        s = &scenarios[i];

        if (argc > 1 && strncmp(s->name, argv[1], strlen(argv[1])) != 0) {
            continue;
        }

        world_run(&w, s, 20 + i);

        share = world_share(&w);
        unfair = world_unfair(&w);
        excess = world_excess(&w);

        most = s->burst + (double) s->seconds * w.rate.count / w.rate.period;
        most = (s->once || s->then) ? (double) w.one : most;
        unit = (double) amp_rate_interval(&w.rate);

        printf("%-15s %8s %6u %5u %8zu %8zu %7.1f%% %7.1f%% %6.1f%% %6.1f%%"
               " %7.1f %6.2f%s%s%s\n",
               s->name, s->rate, s->burst, s->gateways, w.requests, w.n,
               100 * w.n / most, 100 * share, 100 * unfair,
               100.0 * w.waited / w.requests,
               (double) w.calls / s->seconds / s->gateways,
               world_doors(&w) / unit, excess ? " ABOVE THE LIMIT" : "",
               share < s->least ? " too little" : "",
               unfair > s->unfair ? " unfair" : "");

        if (excess) {
            printf("    by %g units\n", excess / unit);
        }

        rc |= excess || share < s->least || unfair > s->unfair;

        world_end(&w);
    }

    return rc;
}
