#include "amp_lease_wallet.h"


#define AMP_LEASE_WALLET_SERVES 4


uint32_t
amp_lease_wallet(const amp_lease_t *lease, uint64_t now)
{
    return (now + (uint64_t) lease->delay * 1000
            <= lease->received + AMP_LEASE_WALLET_LIFE) ? lease->wallet : 0;
}


void
amp_lease_wallet_expire(amp_lease_t *lease, const amp_rate_t *rate,
    uint64_t now)
{
    if (amp_lease_wallet(lease, now) == 0
        || !amp_rate_is(rate, lease->unit) || lease->burst != rate->burst)
    {
        lease->lapsed += lease->wallet;
        lease->wallet = 0;
    }
}


uint64_t
amp_lease_pool(const amp_lease_t *lease, const amp_rate_t *rate, uint64_t now,
    uint64_t *room)
{
    uint32_t  lent, most, spent;
    uint64_t  full, idle, tail, unit;

    unit = amp_rate_interval(rate);
    most = amp_lease_wallet_most(lease, unit, rate->burst);
    *room = most * unit;

    if (lease->redis == 0) {
        return *room;
    }

    lent = lease->lent;
    full = (most > lent) ? (most - lent) * unit : 0;

    spent = (lease->filled > lease->wallet) ? lease->filled - lease->wallet : 0;
    lent -= (spent < lent) ? spent : lent;
    *room = (most > lent) ? (most - lent) * unit : 0;

    if (unit != lease->unit) {
        return 0;
    }

    tail = (lease->tail > lease->redis) ? lease->tail - lease->redis : 0;
    idle = now - lease->received;
    idle = (idle > tail) ? idle - tail : 0;
    idle -= idle / AMP_LEASE_DRIFT;

    return (lease->pool + idle < full) ? lease->pool + idle : full;
}


/* Requests expected within AMP_LEASE_AHEAD, and one. */

static uint32_t
amp_lease_wallet_soon(const amp_lease_t *lease)
{
    return 1 + (uint32_t) (lease->demand * AMP_LEASE_AHEAD / AMP_LEASE_SECOND);
}


int
amp_lease_wallet_serves(const amp_lease_t *lease, uint64_t now)
{
    uint64_t  ahead, passed, window;

    passed = now - lease->received;
    ahead = (lease->tail > lease->redis) ? lease->tail - lease->redis : 0;
    window = amp_lease_window(lease, lease->unit, lease->burst);

    return lease->filled >= AMP_LEASE_WALLET_SERVES
                            * amp_lease_wallet_soon(lease)
           && ahead <= passed + window / 2;
}


int
amp_lease_wallet_due(const amp_lease_t *lease, uint64_t now)
{
    uint32_t  low;

    if (lease->redis == 0
        || amp_lease_wallet_most(lease, lease->unit, lease->burst) == 0)
    {
        return 0;
    }

    low = amp_lease_wallet_soon(lease);
    low = (low < lease->filled / 2) ? low : lease->filled / 2;

    return now > lease->received + AMP_LEASE_WALLET_LIFE / 2
           || (lease->wallet <= low && now >= lease->fill_after);
}


void
amp_lease_wallet_ask(const amp_lease_t *lease, uint64_t now,
    amp_lease_ask_t *ask)
{
    uint64_t  quiet;

    ask->most = amp_lease_wallet_most(lease, lease->unit, lease->burst);
    ask->wallet = lease->wallet;

    quiet = now - lease->used;
    ask->quiet = (quiet - quiet / AMP_LEASE_DRIFT) / 1000;
}


uint32_t
amp_lease_wallet_wanted(const amp_lease_t *lease)
{
    uint32_t  most, spent, wanted;

    most = amp_lease_wallet_most(lease, lease->unit, lease->burst);
    wanted = amp_lease_wallet_soon(lease) * AMP_LEASE_WALLET_SERVES;
    wanted = (wanted <= most) ? wanted : AMP_LEASE_WALLET_SERVES;

    if (lease->filled > lease->wallet) {
        spent = 2 * (lease->filled - lease->wallet);
        wanted = (spent > wanted) ? spent : wanted;
    }

    wanted = (wanted < most) ? wanted : most;

    return (wanted > lease->wallet) ? wanted - lease->wallet : 0;
}
