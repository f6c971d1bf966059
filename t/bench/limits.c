/*
 * Simulates limits: what 1 to 1,000 gateways admit of what one bucket would,
 * and what it costs in calls of the script.  Exits with 1 when the promise of
 * amp_lease.h is broken, or the least or the fairness of a scenario is not
 * reached.
 *
 *   limits           all scenarios
 *   limits NAME      those whose name begins so
 */

#include <stdio.h>

#include "../unit/lease_world.h"


static const scenario_t  scenarios[] = {
    /* name             rate       burst gw  demand skew s  delay loss dead fail */
    { "one",            "50/s",      100,   1, 3,  0, 20,  400,  0, 0, 0, .97, 1 },
    { "one, small",     "50/s",        2,   1, 3,  0, 20,  400,  0, 0, 0, .97, 1 },
    { "one, burst 1",   "50/s",        1,   1, 9,  0, 20,  400,  0, 0, 0, .80, 1 },
    { "one, fast",      "1000/s",   1000,   1, 2,  0, 10,  400,  0, 0, 0, .97, 1 },
    { "one, half",      "1000/s",   1000,   1, .5, 0, 10,  400,  0, 0, 0, .97, 1 },
    { "one, quiet",     "1000/s",   1000,   1, .02, 0, 20,  400, 0, 0, 0, .97, 1 },
    { "one, minute",    "600/m",     600,   1, 9,  0, 60,  400,  0, 0, 0, .97, 1 },
    { "two",            "50/s",      100,   2, 3,  0, 20,  400,  0, 0, 0, .97, .1 },
    { "two, small",     "50/s",       10,   2, 3,  0, 20,  400,  0, 0, 0, .97, .1 },
    { "four",           "50/s",      100,   4, 3,  0, 20,  400,  0, 0, 0, .97, .1 },
    { "eight",          "50/s",      100,   8, 3,  0, 20,  400,  0, 0, 0, .97, .1 },
    { "eight, fast",    "5000/s",   5000,   8, 2,  0, 10,  400,  0, 0, 0, .97, .1 },
    { "eight, small",   "1000/s",    200,   8, 2,  0, 10,  400,  0, 0, 0, .97, .1 },
    { "eight, half",    "1000/s",   1000,   8, .5, 0, 10,  400,  0, 0, 0, .97, 1 },
    { "eight, skewed",  "100/s",     100,   8, 3,  1, 20,  400,  0, 0, 0, .97, 9 },
    { "eight, lost",    "100/s",     100,   8, 3,  0, 20, 5000, 20, 0, 0, .80, 1 },
    { "eight, slow",    "100/s",     100,   8, 3,  0, 20, 80000, 0, 0, 0, .95, .2 },
    { "eight, deaths",  "100/s",     100,   8, 3,  0, 20,  400,  0, 40, 0, .80, 1 },
    { "eight, fail",    "100/s",     100,   8, 3,  0, 20,  400,  0, 0, 3, .50, 1 },
    { "eight, chaos",   "200/s",     100,   8, 3,  0, 30, 20000, 20, 20, 5, .30, 1 },
    { "64",             "500/s",    1000,  64, 3,  0, 20,  400,  0, 0, 0, .97, .1 },
    { "64, skewed",     "500/s",    1000,  64, 3,  1, 20,  400,  0, 0, 0, .97, 99 },
    { "1000",           "5000/s",  10000, 1000, 3,  0, 10, 400,  0, 0, 0, .97, .1 },
    { "1000, slow",     "500/s",    1000, 1000, 3,  0, 20, 400,  0, 0, 0, .97, 1 },
    { "1000, skewed",   "500/s",    1000, 1000, 3,  1, 10, 400,  0, 0, 0, .97, 999 }
};


int
main(int argc, char **argv)
{
    int                rc = 0;
    size_t             i;
    double             share, unfair;
    world_t            w;
    uint64_t           excess;
    const scenario_t  *s;

    printf("%-14s %8s %6s %5s %9s %9s %8s %8s %7s %7s\n", "", "rate", "burst",
           "gates", "requests", "admitted", "of max", "unfair", "waited", "calls/s");

    for (i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        s = &scenarios[i];

        if (argc > 1 && strncmp(s->name, argv[1], strlen(argv[1])) != 0) {
            continue;
        }

        world_run(&w, s, 20 + i);

        share = world_share(&w);
        unfair = world_unfair(&w);
        excess = world_excess(&w);

        printf("%-14s %8s %6u %5u %9zu %9zu %7.1f%% %7.1f%% %6.1f%% %7.1f%s%s%s\n",
               s->name, s->rate, s->burst, s->gateways, w.requests, w.n,
               100 * share, 100 * unfair,
               100.0 * w.waited / w.requests,
               (double) w.calls / s->seconds / s->gateways,
               excess ? " ABOVE THE LIMIT" : "",
               share < s->least ? " too little" : "",
               unfair > s->unfair ? " unfair" : "");

        if (excess) {
            printf("    by %g units\n", (double) excess
                   / (double) amp_rate_interval(&w.rate));
        }

        rc |= excess || share < s->least || unfair > s->unfair;

        world_end(&w);
    }

    return rc;
}
