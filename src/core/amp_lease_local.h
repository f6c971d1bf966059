/*
 * What a gateway knows and admits without Redis: a part of amp_lease.h.  Others
 * than amp_lease.c call amp_lease_local() and amp_lease_local_spend() alone.
 */

#ifndef AMP_LEASE_LOCAL_H
#define AMP_LEASE_LOCAL_H


#include "amp_lease_state.h"


/*
 * The TAT of the last answer in monotonic time, or 0 when it is in the past.
 * For another rate it is the same number of units ahead.
 */

uint64_t amp_lease_tail(const amp_lease_t *lease, uint64_t unit);

/*
 * The same while calls fail: since the last answer other gateways have leased,
 * as fast as before, and this machine's clock may be ahead.
 */

uint64_t amp_lease_tail_failed(const amp_lease_t *lease, uint64_t unit,
    uint64_t now);

/*
 * How far the other gateways may have moved TAT between the last answer and the
 * call that began at sent: at least as time passed, at most until the bucket
 * was empty.
 */

uint64_t amp_lease_others(const amp_lease_t *lease, uint64_t sent);

/*
 * Without Redis: rate and burst divided by the number of gateways (the number
 * in this limit's last answer, or the caller's if that is larger), continuing
 * from the TAT of that answer.  0 when a request may be admitted, else the ns
 * until then; nothing is taken.  amp_lease_local_spend() takes the unit: the
 * next call charges it; while a call is under way, it is one of the units that
 * the call brings, if there are any.
 */

uint64_t amp_lease_local(const amp_lease_t *lease, const amp_rate_t *rate,
    unsigned gateways, uint64_t now);
void amp_lease_local_spend(amp_lease_t *lease, const amp_rate_t *rate,
    unsigned gateways, uint64_t now);


#endif /* AMP_LEASE_LOCAL_H */
