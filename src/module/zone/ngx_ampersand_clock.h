/*
 * The clock of Redis, by which tokens expire: Redis deletes a token when it has
 * expired, and what the zone knows of it expires at the same moment, whatever
 * this machine's clock says.
 *
 * The registry asks Redis for the time (limit/ngx_ampersand_registry.h).  It is
 * kept as a distance from the monotonic clock, so that it is right during an
 * outage of Redis, and when somebody sets this machine's clock.  Half of the
 * time that the command took is how far it may be wrong.
 */

#ifndef NGX_AMPERSAND_CLOCK_H
#define NGX_AMPERSAND_CLOCK_H


#include "ngx_ampersand_zone.h"


/*
 * Redis had this time, in ms, between sent (ngx_current_msec) and now.  0: it
 * does not tell it, and this machine's clock counts.
 */

void ngx_ampersand_clock_set(ngx_ampersand_zone_t *zone, ngx_msec_t sent,
    uint64_t redis);

/* Redis' time in Unix seconds; this machine's, until that of Redis is known. */

time_t ngx_ampersand_clock_now(ngx_ampersand_zone_t *zone);

/*
 * 1 when a token with this expiry (Unix seconds, 0: never) has expired.  Until
 * Redis' time is known it is 0: Redis has the token, and has not deleted it.
 */

ngx_uint_t ngx_ampersand_clock_expired(ngx_ampersand_zone_t *zone,
    time_t expires);

/*
 * How many ms this machine's clock is ahead of that of Redis, or less than 0
 * where it is behind.  NGX_OK, or NGX_DECLINED with 0 as long as it is not
 * known.
 */

ngx_int_t ngx_ampersand_clock_ahead(ngx_ampersand_zone_t *zone, int64_t *ms);


#endif /* NGX_AMPERSAND_CLOCK_H */
