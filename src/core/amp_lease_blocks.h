/*
 * What is leased, as blocks of the time line (amp_lease.h says what they prove):
 * for amp_lease.c alone.
 */

#ifndef AMP_LEASE_BLOCKS_H
#define AMP_LEASE_BLOCKS_H


#include "amp_lease.h"


#define AMP_LEASE_DRIFT  4096               /* one in so many: 244 ppm        */
#define AMP_LEASE_EVER   (UINT64_MAX / 4)   /* a window with no end           */


/* W for a unit and a burst. */

uint64_t amp_lease_window(uint64_t unit, uint32_t burst);

/* 1: what is held is to be handed back only, if there is any. */

int amp_lease_stale(const amp_lease_t *lease, uint64_t now);

/* Units that did not lapse, with places up to window from now. */

uint64_t amp_lease_here(const amp_lease_t *lease, uint64_t now,
    uint64_t window);

/*
 * 1: *place is the first place that a request of now may have, in the first
 * block, if it is not beyond W from *s; 0: there is none.
 */

int amp_lease_place(amp_lease_t *lease, uint64_t now, uint64_t *place,
    uint64_t *s);

/* A block that was leased at lease->redis, or an empty one. */

void amp_lease_append(amp_lease_t *lease, uint64_t start, uint64_t end);

/* Sets units aside for those that wait, as of the moment of the answer. */

void amp_lease_owe(amp_lease_t *lease);

/* 1: there is one for a request that waited. */

int amp_lease_owes(const amp_lease_t *lease, uint64_t now, int waited);

/* What was set aside, and nobody came for, is spent like the rest. */

void amp_lease_regain(amp_lease_t *lease);

/*
 * Lets go of the block that ends where the time line did, if there is one: only
 * from there can Redis take something back.  1, with tail and back of the call.
 */

int amp_lease_let_go(amp_lease_t *lease, uint64_t now, amp_lease_ask_t *ask);

/* Nothing is held any more. */

void amp_lease_drop(amp_lease_t *lease);


#endif /* AMP_LEASE_BLOCKS_H */
