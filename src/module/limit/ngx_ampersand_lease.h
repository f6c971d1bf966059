/*
 * Rates that are exact for all gateways: units are leased from Redis
 * (core/amp_lease.h says how and why) and spent from the zone, by all workers
 * of the machine.
 *
 *   take ──▶ OK        a unit of each limit is spent
 *     ├────▶ DECLINED  until limits[i].wait; also where the zone has no room
 *     ├────▶ AGAIN     a call is under way, here or in another worker: come
 *     │                again when woken, or after *wait
 *     └────▶ ABORT     Redis is away, and that is to be an error
 *
 * A call belongs to the worker that makes it; the zone remembers that there is
 * one.  Whoever waits in that worker is woken by its end, whoever waits in
 * another one looks again after a few milliseconds.  A worker that dies with a
 * call costs its lease, and the others ask again after AMP_LEASE_LOST.
 */

#ifndef NGX_AMPERSAND_LEASE_H
#define NGX_AMPERSAND_LEASE_H


#include "ngx_ampersand_lease_call.h"


/* A limit that applies to a request, and what it said. */

typedef struct {
    amp_limit_e  limit;
    amp_rate_t   rate;
    uint64_t     wait;              /* ns until it may admit, 0: it does      */
    uint64_t     reset;             /* ns until the burst is full again       */
    uint64_t     heard;             /* of Redis last, when it was told to ask */
    uint32_t     remaining;         /* units that could be taken at once      */
} ngx_ampersand_limit_t;


/* For a new zone: the gateway gets its name. */

ngx_int_t ngx_ampersand_lease_init(ngx_ampersand_zone_t *zone);

/* See above.  waited: it was told AGAIN before.  *wait: ns. */

ngx_int_t ngx_ampersand_lease_take(ngx_ampersand_lessee_t *lessee,
    amp_span_t tenant, ngx_ampersand_limit_t *limits, ngx_uint_t n,
    ngx_uint_t waited, uint64_t *wait);

/*
 * Hands back what tenants that went idle have not spent; to be called about
 * once a second, by one worker.
 */

void ngx_ampersand_lease_idle(ngx_ampersand_lessee_t *lessee);

/*
 * The worker exits: calls that end from now on say nothing of Redis, and wake
 * nobody.  all: hands back what is leased, as far as Redis takes it at once;
 * after a reload that is leased again.
 */

void ngx_ampersand_lease_exit(ngx_ampersand_lessee_t *lessee, ngx_uint_t all);

/* 1: the fallback decides. */

ngx_uint_t ngx_ampersand_lease_away(ngx_ampersand_zone_t *zone);


#endif /* NGX_AMPERSAND_LEASE_H */
