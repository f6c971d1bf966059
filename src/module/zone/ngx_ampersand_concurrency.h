/*
 * Concurrency: how many requests of a tenant this gateway has in flight.  Each
 * worker counts its own, in shared memory, so that only its own count is void
 * when a worker dies.
 */

#ifndef NGX_AMPERSAND_CONCURRENCY_H
#define NGX_AMPERSAND_CONCURRENCY_H


#include "ngx_ampersand_zone.h"


/*
 * 1: one more request of the tenant is in flight, to be released by this
 * worker; also where the zone has no room.  0: max are in flight already.
 */

ngx_uint_t ngx_ampersand_concurrency_acquire(ngx_ampersand_zone_t *zone,
    amp_span_t tenant, uint32_t max);

void ngx_ampersand_concurrency_release(ngx_ampersand_zone_t *zone,
    amp_span_t tenant);


#endif /* NGX_AMPERSAND_CONCURRENCY_H */
