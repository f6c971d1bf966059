/*
 * The subscription to amp:events: one a machine, in worker 0.  Messages are
 * applied to the zone, which every worker shares.  Each time the subscription
 * is made, anything may have been missed before it: the zone then distrusts
 * what it holds.
 */

#ifndef NGX_AMPERSAND_INVALIDATION_H
#define NGX_AMPERSAND_INVALIDATION_H


#include "ngx_ampersand_zone.h"


/* pool is the cycle's.  NGX_ERROR: no memory. */

ngx_int_t ngx_ampersand_invalidation_subscribe(ngx_pool_t *pool,
    ngx_ampersand_redis_t *redis, ngx_str_t *prefix,
    ngx_ampersand_zone_t *zone);


#endif /* NGX_AMPERSAND_INVALIDATION_H */
