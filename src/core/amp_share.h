/*
 * How those that share a limit, the tenants of a project, share what one
 * gateway has of it.
 *
 * Each tenant that asks has a part: of the gateway's part of the rate as much
 * as the others have.  It is a GCRA, whose unit is that of the limit times
 * gateways times tenants.  A request within its tenant's part may take any
 * unit; another one has to leave a few (keep) for those.  The parts together
 * are no more than what Redis always grants this gateway, and the units that
 * are kept cover the time until a call brings more.  So a tenant that asks for
 * less than its part gets all that it asks for, whatever the others do.
 *
 * What some leave of their parts, the others share max-min: up to a level, the
 * rate at which those that ask for more than it and all that the others ask for
 * are together the gateway's part, a request has to leave half of keep; beyond
 * it all of keep.  The level follows what the last period has shown, and is
 * never below a part.  With a keep below 4 it changes nothing.
 *
 * Nobody else is needed for that, and the limit is exact without it.  Where one
 * tenant asks alone nothing is kept.  keep is at most a quarter of this
 * gateway's part of the burst, and no more than its part of the rate gives in a
 * second, or one for each tenant; 0 where its part of the burst is less than
 * two: then whoever comes first gets the unit.
 *
 * A tenant asks as long as it has asked in this period or the one before, see
 * amp_share_period().  The caller locks; zeroed states are new ones.
 */

#ifndef AMP_SHARE_H
#define AMP_SHARE_H


#include "amp_rate.h"


/* Of the limit, on this gateway. */

typedef struct {
    uint64_t  since;            /* of this period, monotonic, ns; 0: none yet */
    uint64_t  level;            /* ns of a unit at the level; 0: a part       */
    uint32_t  spent;            /* units in this period ...                   */
    uint32_t  below;            /* ... of those that did not ask for more than
                                   the level                                  */
    uint32_t  tenants;          /* that asked in it                           */
    uint32_t  before;           /* ... and in the one before                  */
    uint32_t  over;             /* those of tenants that asked for more than
                                   the level                                  */
} amp_shares_t;


/* Of one tenant. */

typedef struct {
    uint64_t  tat;              /* of its part                                */
    uint64_t  level;            /* TAT at the level                           */
    uint64_t  since;            /* of the last period that it asked in        */
    uint32_t  spent;            /* units in that period                       */
    uint32_t  over;             /* 1: it asked for more than the level in it  */
} amp_share_t;


/* What a request may do; for one limit at one moment. */

typedef struct {
    uint64_t  unit;             /* of the tenant's part                       */
    uint64_t  level;            /* ns of a unit at the level                  */
    uint32_t  keep;             /* units that are kept for tenants within
                                   their parts                                */
    uint32_t  leave;            /* those that this request has to leave: 0
                                   within its tenant's part, half of keep
                                   within the level, else keep                */
} amp_share_look_t;


/*
 * Counts a request of a tenant, at now, and fills *look.  gateways: that use
 * the limit.
 */

void amp_share_look(amp_shares_t *shares, amp_share_t *share,
    const amp_rate_t *rate, uint32_t gateways, uint64_t now,
    amp_share_look_t *look);

/* The request that was looked at took a unit. */

void amp_share_spend(amp_shares_t *shares, amp_share_t *share,
    const amp_share_look_t *look, uint64_t now);

/* The length of a period, ns: eight units of a gateway, 4 to 60 seconds. */

uint64_t amp_share_period(const amp_rate_t *rate, uint32_t gateways);


#endif /* AMP_SHARE_H */
