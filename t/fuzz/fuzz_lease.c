/*
 * Three gateways and one limit.  The input says which gateway does what and
 * when: requests, clients that leave, calls that arrive, return, fail or get
 * lost, units that are handed back, gateways that restart.  They never admit
 * more than one GCRA would.  With an odd first byte a gateway gets impossible
 * rates and answers, and must not crash.
 */

#include "../unit/lease_world.h"


#define GATEWAYS  3


static void
check(int ok)
{
    if (!ok) {
        abort();
    }
}


/* A pause of 0 .. 6.5 s, or 90 s; short ones are more likely. */

static uint64_t
pause_of(uint8_t n)
{
    return (n == 255) ? 90 * SECOND : (uint64_t) n * n * 100000;
}


static void
call(world_t *w, gateway_t *g, int back, int exits)
{
    int       rc = 1;
    uint64_t  now = gateway_clock(w, g);

    if (g->calling || (!back && !amp_lease_due(&g->lease, &w->rate, now))) {
        return;
    }

    if (back) {
        rc = amp_lease_return(&g->lease, &w->rate, now, TIMEOUT, exits,
                              &g->ask);
    } else {
        amp_lease_ask(&g->lease, &w->rate, now, TIMEOUT, &g->ask);
    }

    g->calling = rc;
    g->answered = 0;
    g->sent = now;
}


static void
step(world_t *w, uint8_t what, uint8_t n)
{
    uint64_t    now;
    gateway_t  *g = &w->gateways[n % GATEWAYS];

    now = gateway_clock(w, g);

    switch (what % 8) {

    case 0:
        w->now += pause_of(n);
        break;

    case 1:
        for (n = n / GATEWAYS % 8 + 1; n; n--) {
            g->waiting += (unsigned) world_request(w, g, 0);
        }
        break;

    case 2:
        call(w, g, 0, 0);
        break;

    case 3:
        if (g->calling && !g->answered) {
            g->answered = 1;
            server_call(w->redis, &g->ask, (int) (g - w->gateways), 0, 0, 0,
                       world_clock(w), &g->answer);
        }
        break;

    case 4:
        if (g->calling && g->answered) {
            g->calling = 0;
            check(amp_lease_answer(&g->lease, &g->answer, g->sent, now) == 0);

            for (n = (uint8_t) g->waiting, g->waiting = 0; n; n--) {
                g->waiting += (unsigned) world_request(w, g, 1);
            }
        }
        break;

    case 5:
        if (g->calling) {
            g->calling = 0;
            amp_lease_failed(&g->lease, g->sent, now);
        }
        break;

    case 6:
        call(w, g, 1, n / GATEWAYS & 1);
        break;

    default:
        if (n > 250) {
            gateway_start(w, g);

        } else if (n > 200) {
            g->waiting = 0;
        }
    }
}


static void
promise(const uint8_t *data, size_t size)
{
    size_t      i;
    world_t     w;
    server_t    redis;
    gateway_t   gateways[GATEWAYS];
    scenario_t  s;

    static const amp_rate_t  rates[] = {
        { 50, 1, 100 }, { 50, 1, 2 }, { 10, 1, 1 }, { 3, 1, 7 }, { 5, 60, 3 },
        { 1000, 1, 1000 }, { 999983, 1, 2000 }, { 10000, 86400, 10000 }
    };

    memset(&w, 0, sizeof(w));
    memset(&s, 0, sizeof(s));
    memset(&redis, 0, sizeof(redis));
    memset(gateways, 0, sizeof(gateways));

    s.gateways = GATEWAYS;
    w.s = &s;
    w.seed = 5;
    w.zero = 1763000000e6;
    w.redis = &redis;
    w.gateways = gateways;
    w.rate = rates[data[0] / 2 % 8];
    w.change = UINT64_MAX;

    for (i = 0; i < GATEWAYS; i++) {
        gateway_start(&w, &gateways[i]);
    }

    for (i = 1; i + 1 < size; i += 2) {
        step(&w, data[i], data[i + 1]);
    }

    check(w.n == 0 || world_excess(&w) == 0);
    free(w.moments);
    free(w.doors);
}


static void
nonsense(const uint8_t *data, size_t size)
{
    size_t              i, n;
    uint64_t            now = 1, wait, reset, sent;
    amp_rate_t          rate = { 1, 1, 1 };
    amp_lease_e         rc;
    amp_lease_t         lease;
    amp_lease_ask_t     ask;
    amp_lease_answer_t  answer;

    memset(&lease, 0, sizeof(lease));
    memset(&answer, 0, sizeof(answer));

    for (i = 1; i + 1 < size; i += 2) {
        now += pause_of(data[i + 1]);

        switch (data[i] % 6) {

        case 0:
            n = (size - i < sizeof(rate)) ? size - i : sizeof(rate);
            memcpy(&rate, data + i, n);
            rate.count += !rate.count;
            rate.period = (rate.period & 1) ? 1 : 86400;
            rate.burst = 1 + rate.burst % AMP_BURST_MAX;
            break;

        case 1:
            rc = amp_lease_look(&lease, &rate, now, data[i] & 1, &wait);
            check((rc == AMP_LEASE_REFUSE) <= (wait > 0));

            if (rc == AMP_LEASE_ADMIT) {
                amp_lease_spend(&lease, &rate, now, data[i] & 1);

            } else if (rc == AMP_LEASE_FALLBACK
                       && amp_lease_local(&lease, &rate, data[i + 1], now) == 0)
            {
                amp_lease_local_spend(&lease, &rate, data[i + 1], now);
            }
            break;

        case 2:
            if (amp_lease_due(&lease, &rate, now)) {
                amp_lease_ask(&lease, &rate, now, TIMEOUT, &ask);
                check(ask.wanted + ask.fill > 0);
            }
            break;

        case 3:
            n = (size - i < sizeof(answer)) ? size - i : sizeof(answer);
            memcpy(&answer, data + i, n);
            sent = lease.asked ? lease.asked : now;
            sent = (data[i] & 8) ? now - pause_of(data[i]) % now : sent;
            (void) amp_lease_answer(&lease, &answer, sent, now);
            break;

        case 4:
            amp_lease_failed(&lease, lease.asked, now);
            break;

        default:
            (void) amp_lease_return(&lease, &rate, now, TIMEOUT, data[i] & 8,
                                    &ask);
        }

        check(amp_lease_remaining(&lease, &rate, now, &reset) <= rate.burst);
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size != 0) {
        ((data[0] & 1) ? nonsense : promise)(data, size);
    }

    return 0;
}
