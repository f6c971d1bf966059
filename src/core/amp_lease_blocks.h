/*
 * Leased units as blocks of the time line, see amp_lease.h: for amp_lease.c
 * alone.
 */

#ifndef AMP_LEASE_BLOCKS_H
#define AMP_LEASE_BLOCKS_H


#include "amp_lease_state.h"


#define AMP_LEASE_DRIFT    4096             /* clocks drift by at most 1 in
                                               4096: 244 ppm                  */
#define AMP_LEASE_FOREVER  (UINT64_MAX / 4) /* a window without an end        */


/*
 * The units of all wallets and the pool, of a limit with this unit and burst: a
 * quarter of the burst; 0 where blocks live long enough, since the burst takes
 * more than a minute to refill, and of a limit that tenants share: there are
 * more requests, and units are kept for them.
 */

uint32_t amp_lease_wallet_most(const amp_lease_t *lease, uint64_t unit,
    uint32_t burst);

/* W of a limit; and of one with this unit and burst that has no wallets. */

uint64_t amp_lease_window(const amp_lease_t *lease, uint64_t unit,
    uint32_t burst);
uint64_t amp_lease_units_time(uint64_t unit, uint32_t burst);

/* 1 when the time line is half full at least, as far as this gateway knows. */

int amp_lease_half(const amp_lease_t *lease, uint64_t now);

/* 1 when blocks may not be spent any more, only handed back. */

int amp_lease_stale(const amp_lease_t *lease, uint64_t now);

/* Units that have not lapsed and have a place at most window after now. */

uint64_t amp_lease_left(const amp_lease_t *lease, uint64_t now,
    uint64_t window);

/*
 * Finds the first place for a request of now: 1 with *place and, as the lower
 * bound of the Redis time, *s; or 0 when nothing is left.  The caller checks
 * that the place is not beyond *s + W.  Removes blocks that have lapsed.
 */

int amp_lease_place(amp_lease_t *lease, uint64_t now, uint64_t *place,
    uint64_t *s);

/* Adds a block that was leased at lease->redis; start == end: none. */

void amp_lease_append(amp_lease_t *lease, uint64_t start, uint64_t end);

/* Reserves units for the waiting requests, as of the moment of the answer. */

void amp_lease_reserve(amp_lease_t *lease);

/* 1 when the request waited and a unit is reserved for it, or drawn. */

int amp_lease_reserved(const amp_lease_t *lease, uint64_t now, int waited);

/* Makes the reserved units ordinary ones; those drawn lapse. */

void amp_lease_unreserve(amp_lease_t *lease);

/*
 * Removes the block that ends at the last TAT, if there is one: Redis can take
 * back units only from the end of the time line.  1 with tail and back of the
 * call filled, or 0.
 */

int amp_lease_hand_back(amp_lease_t *lease, uint64_t now,
    amp_lease_ask_t *ask);

/* Takes the unit at the place that amp_lease_place() found. */

void amp_lease_spend_place(amp_lease_t *lease, uint64_t place);

/* Removes all units. */

void amp_lease_drop(amp_lease_t *lease);


#endif /* AMP_LEASE_BLOCKS_H */
