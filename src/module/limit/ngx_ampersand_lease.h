/*
 * Leases: units of the tenants' limits are taken from Redis ahead of need, so
 * that rates are exact over all gateways (core/amp_lease.h says how and why),
 * and spent from the zone by all workers.
 *
 * A call belongs to the worker that makes it; the zone says that one is under
 * way.  Requests that wait in that worker are woken when the call ends; those
 * in other workers look again after a few milliseconds.  When a worker dies in
 * a call, its lease is lost, and the others call again once the call is older
 * than any that lives, see ngx_ampersand_lease_timeout().
 */

#ifndef NGX_AMPERSAND_LEASE_H
#define NGX_AMPERSAND_LEASE_H


#include "ngx_ampersand_lease_call.h"


/*
 * A limit that applies to a request, and its state after it was tested.  The
 * caller sets limit, holder, tenant, rate and received: as the previous call
 * for the same request left it, or 0.
 */

typedef struct {
    amp_span_t   holder;            /* the id of the tenant; of AMP_LIMIT_TOKEN
                                       that of the token, of AMP_LIMIT_PROJECT
                                       that of the project                    */
    amp_span_t   tenant;            /* of AMP_LIMIT_PROJECT: one of those that
                                       share it; else empty                   */
    amp_limit_e  limit;
    amp_rate_t   rate;
    uint64_t     wait;              /* ns until it may admit; 0: it admits, or
                                       a call to Redis will show              */
    uint64_t     reset;             /* ns until the burst is full again; 0
                                       where the zone has no room             */
    uint64_t     received;          /* lease->received when this request last
                                       looked                                 */
    uint32_t     remaining;         /* units that could be taken at once      */
} ngx_ampersand_limit_t;


/*
 * ngx_ampersand_zone_t.created: gives the gateway a random id.  NGX_ERROR:
 * OpenSSL has no random bytes.
 */

ngx_int_t ngx_ampersand_lease_init(ngx_ampersand_zone_t *zone);

#define NGX_AMPERSAND_LEASE_WAITED   1
#define NGX_AMPERSAND_LEASE_OVERDUE  2


/*
 * Takes a unit of each of n limits (1 to 4), or none.  waited: 0; WAITED, where
 * the same request got NGX_AGAIN before; OVERDUE, where it will wait no more.
 * Then, if no call has ended since it began to wait, the fallback decides.
 *   NGX_OK        taken; a limit without leases, with the fallback "allow", has
 *                 nothing to take
 *   NGX_DECLINED  refused for *wait ns; also where the zone has no room
 *   NGX_AGAIN     a call is under way, here or in another worker, or may not
 *                 begin yet: call again when woken, or after *wait ns
 *   NGX_ABORT     Redis gives no leases, and the fallback is "deny"
 * *wait has no meaning after NGX_OK and NGX_ABORT.
 */

ngx_int_t ngx_ampersand_lease_take(ngx_ampersand_leasing_t *leasing,
    ngx_ampersand_limit_t *limits, ngx_uint_t n, ngx_uint_t waited,
    uint64_t *wait);

/*
 * Returns the units that idle tenants have not spent, with at most 8 calls, of
 * leases among the 256 nodes used last; to be called about once a second, by
 * one worker.
 */

void ngx_ampersand_lease_idle(ngx_ampersand_leasing_t *leasing);

/*
 * Tells a Redis server that followed another one what this gateway knows of
 * the limits: see amp_lease.h.  1: call again after 100 ms; 0: all is told, or
 * there is no such server.  To be called by one worker.
 */

ngx_uint_t ngx_ampersand_lease_tell(ngx_ampersand_leasing_t *leasing);

/*
 * The worker exits: calls that end from now on do not change the degraded flag,
 * and wake no request.  last: it is the gateway's last worker, so it returns
 * the units of all leases among the 256 nodes used last, as far as Redis takes
 * the commands at once.  Other units lapse.  ngx_ampersand_lease_give_up()
 * follows.
 */

void ngx_ampersand_lease_exit(ngx_ampersand_leasing_t *leasing,
    ngx_uint_t last);

/*
 * The registry has counted so many gateways: 1 to NGX_AMPERSAND_GATEWAYS.  The
 * fallback divides limits by the largest number of the last AMP_LEASE_LIFE,
 * from the registry or from answers of lease.lua (a gateway of a version
 * without a registry is only in these).  Returns the registry's number where it
 * changed, else 0.
 */

ngx_uint_t ngx_ampersand_lease_registered(ngx_ampersand_zone_t *zone,
    ngx_uint_t gateways);

/*
 * The degraded flag, one for all limits.  1: the last call of some limit
 * failed, and none has succeeded since.  Whether the fallback decides is a
 * matter of each limit, see lease->failed in amp_lease.h.
 */

ngx_uint_t ngx_ampersand_lease_degraded(ngx_ampersand_zone_t *zone);


#endif /* NGX_AMPERSAND_LEASE_H */
