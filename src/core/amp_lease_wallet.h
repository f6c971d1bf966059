/*
 * A gateway's wallet of a limit: units that do not lapse as time passes.  A
 * part of amp_lease.h, where the promise is.
 *
 * A unit of a block lapses when the time passes its place, soon where the burst
 * refills within seconds.  So a gateway with few requests would call Redis for
 * each of them.  Of such a limit a part of the burst is no window of the time
 * line, but units that gateways may hold: those in wallets, and the pool, those
 * in none.  Units get into the pool while the time line is full, and into a
 * wallet from the pool or the time line.
 *
 * Functions without a contract of their own take the state and times of
 * amp_lease.h.
 */

#ifndef AMP_LEASE_WALLET_H
#define AMP_LEASE_WALLET_H


#include "amp_lease_blocks.h"


#define AMP_LEASE_WALLET_LIFE  (120 * AMP_LEASE_SECOND)  /* after an answer.
                                   One is renewed when half of it has passed, so
                                   a request within a minute of the last one
                                   finds it valid                             */


/* The units in the wallet that may be spent. */

uint32_t amp_lease_wallet(const amp_lease_t *lease, uint64_t now);

/*
 * Before a call for this rate and burst: removes units that are no longer
 * valid, or came with another rate or burst.
 */

void amp_lease_wallet_expire(amp_lease_t *lease, const amp_rate_t *rate,
    uint64_t now);

/* Units leave the wallet, at most those in it. */

void amp_lease_wallet_take(amp_lease_t *lease, uint32_t units, uint64_t now);

/* All units leave the wallet, and nobody spends them. */

void amp_lease_wallet_give_up(amp_lease_t *lease, uint64_t now);

/*
 * How much is in the pool, ns of the time line, as far as this gateway knows;
 * in *room how much is in a full one, beside the units that are in wallets.
 */

uint64_t amp_lease_pool(const amp_lease_t *lease, const amp_rate_t *rate,
    uint64_t now, uint64_t *room);

/*
 * 1 when the wallet serves the next requests and no units have to be leased
 * ahead: there are few requests, and the bucket is not nearly empty.
 */

int amp_lease_wallet_serves(const amp_lease_t *lease, uint64_t now);

/* 1 when a call should fill or renew the wallet. */

int amp_lease_wallet_due(const amp_lease_t *lease, uint64_t now);

/* Fills most, wallet and freed of a call for the limit of *lease. */

void amp_lease_wallet_ask(const amp_lease_t *lease, uint64_t now,
    amp_lease_ask_t *ask);

/* The units that a call should bring for the wallet. */

uint32_t amp_lease_wallet_wanted(const amp_lease_t *lease);


#endif /* AMP_LEASE_WALLET_H */
