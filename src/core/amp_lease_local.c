#include "amp_lease_local.h"
#include "amp_lease_wallet.h"


#define AMP_LEASE_GATEWAYS  65535


uint64_t
amp_lease_tail(const amp_lease_t *lease, uint64_t unit)
{
    double  ahead;

    if (lease->tail <= lease->redis) {
        return 0;
    }

    if (unit == lease->unit) {
        return lease->received + (lease->tail - lease->redis);
    }

    ahead = (double) (lease->tail - lease->redis) / (double) lease->unit
            * (double) unit;

    return lease->received + ((ahead < (double) AMP_LEASE_SPAN)
                              ? (uint64_t) ahead : AMP_LEASE_SPAN);
}


uint64_t
amp_lease_tail_failed(const amp_lease_t *lease, uint64_t unit, uint64_t now)
{
    uint64_t  lag, tail;

    tail = amp_lease_tail(lease, unit);

    if (!lease->failed || lease->redis == 0) {
        return tail;
    }

    tail = (tail > lease->received) ? tail : lease->received;
    lag = (unit == lease->unit) ? lease->lag
          : (uint64_t) ((double) lease->lag / (double) lease->unit
                        * (double) unit);

    return tail + lag + (now - lease->received) / AMP_LEASE_DRIFT;
}


uint64_t
amp_lease_others(const amp_lease_t *lease, uint64_t sent)
{
    uint64_t  ahead, moved, past, window;

    past = (sent > lease->received) ? sent - lease->received : 0;
    past = (past < AMP_LEASE_AHEAD) ? past : AMP_LEASE_AHEAD;

    window = amp_lease_window(lease, lease->unit, lease->burst);
    ahead = (lease->tail > lease->redis) ? lease->tail - lease->redis : 0;

    moved = past * lease->others / 1024;
    moved = (moved > past) ? moved : past;

    return (ahead + moved < window) ? moved
           : (ahead + past < window) ? window - ahead : past;
}


/* The number of gateways that a limit is divided by without Redis. */

static unsigned
amp_lease_shares(const amp_lease_t *lease, unsigned gateways)
{
    gateways = (lease->gateways > gateways) ? lease->gateways : gateways;
    gateways = (gateways < AMP_LEASE_GATEWAYS) ? gateways : AMP_LEASE_GATEWAYS;

    return gateways ? gateways : 1;
}


/* Unit and W of one of several gateways, and the TAT to continue from. */

static uint64_t
amp_lease_share(const amp_lease_t *lease, const amp_rate_t *rate,
    unsigned gateways, uint64_t now, uint64_t *unit, uint64_t *window)
{
    uint32_t  burst;
    uint64_t  pool, room, tat, tail;

    gateways = amp_lease_shares(lease, gateways);

    *unit = amp_rate_interval(rate) * gateways;
    burst = rate->burst;

    /* other gateways may have taken what was in the pool */

    burst -= amp_lease_wallet_most(lease, amp_rate_interval(rate), burst);

    if (gateways == 1) {
        pool = amp_lease_pool(lease, rate, lease->failed ? lease->away
                                                         : lease->received,
                              &room);
        burst += (uint32_t) (pool / *unit);
    }

    *window = amp_lease_units_time(*unit, burst / gateways);

    tail = amp_lease_tail_failed(lease, amp_rate_interval(rate), now);
    tat = (lease->local > tail) ? lease->local : tail;

    return (tat > now) ? tat : now;
}


uint64_t
amp_lease_local(const amp_lease_t *lease, const amp_rate_t *rate,
    unsigned gateways, uint64_t now)
{
    uint64_t  tat, unit, window;

    tat = amp_lease_share(lease, rate, gateways, now, &unit, &window);

    return (tat - now > window) ? tat - now - window : 0;
}


void
amp_lease_local_spend(amp_lease_t *lease, const amp_rate_t *rate,
    unsigned gateways, uint64_t now)
{
    uint64_t  tat, unit, window;

    tat = amp_lease_share(lease, rate, gateways, now, &unit, &window);
    lease->local = tat + unit;
    lease->shares = amp_lease_shares(lease, gateways);
    lease->spent++;
}
