/*
 * The zone: tokens, tenants, projects and what else all workers of a machine
 * share, in the shared memory of "ampersand_zone".
 *
 * Three kinds of nodes mirror what Redis holds:
 *   token    SHA-256 of a token -> tenant id, or: no such token exists
 *   tenant   tenant id -> the flat record (sealed keys only)
 *   project  project id -> generations of its resource families, its limit
 *
 * shpool->mutex guards everything but the counters, unshared[], and the atomic
 * words: too_small, pending, cooldown_end, budget_end and leases.degraded.  It
 * is held to look up, copy and link, never across I/O; a call for a lease is
 * allocated with it held.  When a worker dies, nginx releases it; who takes it
 * next finds the zone half changed, and empties it, see
 * ngx_ampersand_zone_lock().
 *
 * Freshness.  A node is fresh for ttl after it was read from Redis, unless an
 * invalidation names it, or invalidations may have been missed since (epoch).
 * An invalidation of a project updates its generations or limit, and the node
 * stays fresh; one of a tenant with the revision that the zone has is ignored.
 * A node that is not fresh may serve for grace longer while Redis is out of
 * reach, but never one that an invalidation named: its record is known to be
 * outdated.
 *
 * Races.  A record that was asked for before an invalidation that names it is
 * not stored: ngx_ampersand_records_begin() is called before the look-up, and
 * its result is given to the functions that store.
 *
 * Revisions.  A tenant's revision only grows, unless Redis lost writes in a
 * fail-over or was restored from a backup.  A record that is older than the
 * last revision seen is taken for that of a replica that is behind: for ttl it
 * is not stored, and the record in the zone stays, or is not used where an
 * invalidation named it.  After ttl, or after an invalidation with a lower
 * revision, the record in Redis is stored.  Tokens have no revision: there the
 * last reply is stored.
 *
 * Negative entries, tokens and tenants that do not exist, are kept for a short
 * time, in a limited share of the zone: they never evict a real entry.
 */

#ifndef NGX_AMPERSAND_ZONE_H
#define NGX_AMPERSAND_ZONE_H


#include "ngx_ampersand_layout.h"


#define NGX_AMPERSAND_ZONE_MIN       (256 * 1024)
#define NGX_AMPERSAND_NEGATIVE_TTL   10000      /* ms of a negative entry, or
                                                   ttl if that is shorter     */


typedef struct ngx_ampersand_zone_s  ngx_ampersand_zone_t;


/*
 * A tenant as a request needs it: its record, what the request's token may do
 * of that, and the generations and the limit of its project; gens and bumps:
 * see ngx_ampersand_layout.h.
 */

typedef struct {
    amp_tenant_t  *tenant;          /* the caller's memory, cap bytes         */
    size_t         cap;
    size_t         size;            /* bytes needed, where cap is too small   */
    time_t         expires;         /* of the token, 0: never, or no token    */
    amp_token_scope_t  *scope;      /* the token's, behind the tenant; NULL:
                                       all that the tenant may                */
    uint32_t       gens[AMP_FAMILY_COUNT];
    uint32_t       bumps[AMP_FAMILY_COUNT];
    amp_rate_t     limit;           /* of its project; count 0: none          */
    u_char         token[AMP_TOKEN_ID_RANDOM];
                                    /* the end of the token's id; token[0] is
                                       0: found without a token               */
    uint32_t       used;            /* day of the token's last use that the
                                       zone knows, 0: none                    */
} ngx_ampersand_record_t;

/* Where in a record's memory the scope follows a tenant of this size. */

#define ngx_ampersand_record_scope(size)  ngx_align(size, sizeof(uint64_t))


typedef struct {
    ngx_uint_t  tokens;
    ngx_uint_t  tenants;
    ngx_uint_t  projects;
    ngx_uint_t  negative;           /* negative entries                       */
    size_t      size;               /* bytes                                  */
    size_t      free_bytes;         /* in pages that are free                 */
} ngx_ampersand_zone_stat_t;


/* Made by "ampersand_zone", one for each configuration; shm_zone->data. */

struct ngx_ampersand_zone_s {
    ngx_ampersand_shared_t         *sh;
    ngx_slab_pool_t                *shpool;
    ngx_shm_zone_t                 *shm_zone;
    ngx_int_t                     (*created)(ngx_ampersand_zone_t *zone);
                                                /* called for a new zone      */
    ngx_msec_t                      ttl;        /* ampersand_tenant_ttl       */
    ngx_msec_t                      grace;      /* ampersand_tenant_grace     */
    ngx_uint_t                      worker;     /* this worker's index in
                                                   sh->workers[]              */
};


/*
 * shm_zone->init: makes the zone, or takes over that of the configuration
 * before.  NGX_ERROR: no room, created() failed, or the zone before was made by
 * another build of the module.
 */

ngx_int_t ngx_ampersand_zone_init(ngx_shm_zone_t *shm_zone, void *data);

/*
 * Takes and releases shpool->mutex.  Everything may be torn where a worker died
 * between the two: the lists of nodes, a node's content, the memory allocator.
 * So the next lock() empties the zone before it returns, as if nginx had been
 * started again: records are read from Redis again, leases lapse, cool-downs
 * come back with the tenant's look-up, budgets are learned again, requests in
 * flight do not count any more, and every cache key changes, since a write that
 * Redis has not confirmed may be among what is lost.
 */

void ngx_ampersand_zone_lock(ngx_ampersand_zone_t *zone);
void ngx_ampersand_zone_unlock(ngx_ampersand_zone_t *zone);

/*
 * In a module that is built with NGX_AMPERSAND_TEST, for t/zone_torn.t: counts
 * the steps of a change, and the worker dies at the one that a file
 * tmp/die-at-step in nginx's prefix names.
 */

#if (NGX_AMPERSAND_TEST)
void ngx_ampersand_zone_step(void);
#else
#define ngx_ampersand_zone_step()
#endif

ngx_ampersand_counters_t *ngx_ampersand_zone_counters(
    ngx_ampersand_zone_t *zone);

/*
 * ms since a time in the zone, which a worker took from its ngx_current_msec.
 * Each worker reads the clock once for several events, so the time can be ahead
 * of this worker's clock: none have passed then.
 */

static ngx_inline ngx_msec_t
ngx_ampersand_zone_passed(ngx_msec_t time)
{
    ngx_msec_int_t  passed;

    passed = (ngx_msec_int_t) (ngx_current_msec - time);

    return ngx_max(passed, 0);
}


/* NGX_AMPERSAND_UNSHARED words, see cache/ngx_http_ampersand_cache_lock.h */

volatile uint64_t *ngx_ampersand_zone_unshared(ngx_ampersand_zone_t *zone);

/* The classes of operations that are frozen for all tenants, a bit set. */

ngx_uint_t ngx_ampersand_zone_frozen(ngx_ampersand_zone_t *zone);

/*
 * Invalidations may have been missed: all entries are stale from now on.  Takes
 * the mutex.
 */

void ngx_ampersand_zone_mark_stale(ngx_ampersand_zone_t *zone);

/*
 * 1, once, after a fresh entry was evicted or there was no room for an entry:
 * the zone is too small.
 */

ngx_uint_t ngx_ampersand_zone_too_small(ngx_ampersand_zone_t *zone);

/* Fills *stat.  Takes the mutex. */

void ngx_ampersand_zone_stat(ngx_ampersand_zone_t *zone,
    ngx_ampersand_zone_stat_t *stat);


#endif /* NGX_AMPERSAND_ZONE_H */
