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
    uint64_t  valid;

    if (!amp_rate_is(rate, lease->unit) || lease->burst != rate->burst) {
        amp_lease_wallet_give_up(lease, now);
        lease->filled = 0;

    } else if (amp_lease_wallet(lease, now) == 0) {
        valid = lease->received + AMP_LEASE_WALLET_LIFE;
        amp_lease_wallet_give_up(lease, (now < valid) ? now : valid);
    }
}


/* A clock that is not faster than that of Redis. */

static uint64_t
amp_lease_wallet_clock(const amp_lease_t *lease, uint64_t now)
{
    return now - (now - lease->received) / AMP_LEASE_DRIFT;
}


void
amp_lease_wallet_take(amp_lease_t *lease, uint32_t units, uint64_t now)
{
    now = amp_lease_wallet_clock(lease, now);

    lease->wallet -= units;
    lease->debt = ((lease->debt > now) ? lease->debt : now)
                  + units * lease->unit;
}


void
amp_lease_wallet_give_up(amp_lease_t *lease, uint64_t now)
{
    if (lease->wallet != 0) {
        lease->lapsed += lease->wallet;
        amp_lease_wallet_take(lease, lease->wallet, now);
    }
}


/* Units that left the wallet since the last answer. */

static uint32_t
amp_lease_wallet_taken(const amp_lease_t *lease)
{
    return (lease->filled > lease->wallet) ? lease->filled - lease->wallet : 0;
}


/*
 * How many of these time can have put back into the pool until now, ns: units
 * that left one after another are put back one after another, each not before
 * it left.
 */

static uint64_t
amp_lease_wallet_freed(const amp_lease_t *lease, uint64_t now)
{
    uint64_t  debt, taken;

    taken = amp_lease_wallet_taken(lease) * lease->unit;
    now = amp_lease_wallet_clock(lease, now);
    debt = (lease->debt > now) ? lease->debt - now : 0;

    return (taken > debt) ? taken - debt : 0;
}


uint64_t
amp_lease_pool(const amp_lease_t *lease, const amp_rate_t *rate, uint64_t now,
    uint64_t *room)
{
    uint32_t  lent, most, taken;
    uint64_t  full, idle, missing, tail, unit;

    unit = amp_rate_interval(rate);
    most = amp_lease_wallet_most(lease, unit, rate->burst);
    *room = most * unit;

    if (lease->redis == 0) {
        return *room;
    }

    lent = lease->lent;
    full = (most > lent) ? (most - lent) * unit : 0;

    taken = amp_lease_wallet_taken(lease);
    lent -= (taken < lent) ? taken : lent;
    *room = (most > lent) ? (most - lent) * unit : 0;

    if (unit != lease->unit) {
        return 0;
    }

    tail = (lease->tail > lease->redis) ? lease->tail - lease->redis : 0;
    idle = amp_lease_wallet_clock(lease, now) - lease->received;
    idle = (idle > tail) ? idle - tail : 0;

    missing = (full > lease->pool) ? full - lease->pool : 0;
    missing += amp_lease_wallet_freed(lease, now);
    idle = (idle < missing) ? idle : missing;

    return (lease->pool + idle < *room) ? lease->pool + idle : *room;
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
    return lease->filled >= AMP_LEASE_WALLET_SERVES
                            * amp_lease_wallet_soon(lease)
           && amp_lease_half(lease, now);
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
    ask->most = amp_lease_wallet_most(lease, lease->unit, lease->burst);
    ask->wallet = lease->wallet;
    ask->freed = amp_lease_wallet_freed(lease, lease->failed ? lease->away
                                                             : now);
}


uint32_t
amp_lease_wallet_wanted(const amp_lease_t *lease)
{
    uint32_t  most, taken, wanted;

    most = amp_lease_wallet_most(lease, lease->unit, lease->burst);
    wanted = amp_lease_wallet_soon(lease) * AMP_LEASE_WALLET_SERVES;
    wanted = (wanted <= most) ? wanted : AMP_LEASE_WALLET_SERVES;

    taken = 2 * amp_lease_wallet_taken(lease);
    wanted = (taken > wanted) ? taken : wanted;
    wanted = (wanted < most) ? wanted : most;

    return (wanted > lease->wallet) ? wanted - lease->wallet : 0;
}
