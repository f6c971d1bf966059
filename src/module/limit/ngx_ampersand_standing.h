/*
 * How a tenant stands at a moment, for the status: what the zone knows of its
 * limits, its cool-down, its project's budget and its key.  Looking does not
 * count as use.
 */

#ifndef NGX_AMPERSAND_STANDING_H
#define NGX_AMPERSAND_STANDING_H


#include "zone/ngx_ampersand_zone.h"


typedef struct {
    unsigned    known:1;            /* the zone has the tenant's record; else
                                       nothing below is filled                */
    unsigned    opens:1;            /* it has a key, and a master key opens
                                       that                                   */
    time_t      cooldown;           /* seconds that are left, 0: none         */
    uint64_t    budget;             /* ns of a request of its project's budget,
                                       0: none                                */
    ngx_uint_t  limits;             /* bit set: 1 << amp_limit_e, none of
                                       tokens                                 */
    amp_rate_t  rates[AMP_LIMIT_ALL]; /* AMP_LIMIT_CONCURRENCY: burst only    */
    ngx_uint_t  used[AMP_LIMIT_ALL]; /* 0 .. 1000, see amp_lease_used()       */
} ngx_ampersand_standing_t;


/* Takes the zone's mutex. */

void ngx_ampersand_standing(ngx_ampersand_zone_t *zone, amp_span_t tenant,
    ngx_ampersand_standing_t *standing);

#endif /* NGX_AMPERSAND_STANDING_H */
