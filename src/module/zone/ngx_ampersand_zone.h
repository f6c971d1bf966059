/*
 * What all workers of one machine know: tokens, tenants and projects, in one
 * shared memory zone.
 *
 * One hash table and one LRU queue hold, among others, three kinds of nodes:
 *   token    SHA-256 of a token -> tenant id, or "there is no such token"
 *   tenant   tenant id -> the flat record (sealed keys only)
 *   project  project id -> generations of its resource families
 *
 * shpool->mutex guards everything but the counters; it is held for look-up,
 * copy and link only, never across I/O, logging or a pool allocation, and is
 * released by nginx itself when a worker dies.
 *
 * Freshness.  A node is fresh for ttl after it was fetched, unless an event
 * named it or the subscription to events was cut since (epoch).  A node that
 * is not fresh may serve for grace longer while Redis is out of reach, but
 * never one that an event named: that one is known to be wrong.
 *
 * A record that was asked for before an event that names it is not stored:
 * ngx_ampersand_records_begin() before the look-up, its answer given to store.
 *
 * Revisions.  A tenant's only goes up, unless Redis lost writes (a fail-over)
 * or was restored from a backup.  So a record older than the revision last
 * heard of, by record or event, is taken for that of a replica behind: for ttl
 * it is not stored, and what is known stays, or nobody is served where an event
 * named that.  After ttl, or once an event says a lower revision, it is simply
 * what Redis holds.  Tokens have no revision: there the last answer counts.
 *
 * What is known not to exist, a token or a tenant, is kept for a short time
 * too, in a share of the zone of its own: it never pushes out anything real.
 */

#ifndef NGX_AMPERSAND_ZONE_H
#define NGX_AMPERSAND_ZONE_H


#include "ngx_ampersand_layout.h"


#define NGX_AMPERSAND_ZONE_MIN       (256 * 1024)
#define NGX_AMPERSAND_NEGATIVE_TTL   10000      /* ms that "unknown" is kept,
                                                   or ttl if that is shorter  */


typedef struct ngx_ampersand_zone_s  ngx_ampersand_zone_t;


/* A tenant as a request needs it: its record and its project's generations. */

typedef struct {
    amp_tenant_t  *tenant;          /* room of cap bytes, the caller's        */
    size_t         cap;
    size_t         size;
    uint32_t       gens[AMP_FAMILY_COUNT];
    uint32_t       bumps[AMP_FAMILY_COUNT];
} ngx_ampersand_record_t;


typedef struct {
    ngx_uint_t  tokens;
    ngx_uint_t  tenants;
    ngx_uint_t  projects;
    ngx_uint_t  unknown;            /* tokens and tenants                     */
    size_t      size;
    size_t      free_pages;         /* bytes                                  */
} ngx_ampersand_zone_stat_t;


/* What "ampersand_zone" made; data of the shared zone. */

struct ngx_ampersand_zone_s {
    ngx_ampersand_shared_t         *sh;
    ngx_slab_pool_t                *shpool;
    ngx_shm_zone_t                 *shm_zone;
    ngx_int_t                     (*created)(ngx_ampersand_zone_t *zone);
                                                /* called for a new zone      */
    ngx_msec_t                      ttl;
    ngx_msec_t                      grace;
    ngx_uint_t                      worker;     /* its place among those that
                                                   count requests, see
                                                   ngx_ampersand_concurrency.c */
};


/* shm_zone->init */

ngx_int_t ngx_ampersand_zone_init(ngx_shm_zone_t *shm_zone, void *data);

ngx_ampersand_counters_t *ngx_ampersand_zone_counters(
    ngx_ampersand_zone_t *zone);

/* NGX_AMPERSAND_UNSHARED words, see cache/ngx_http_ampersand_cache_lock.h */

volatile uint64_t *ngx_ampersand_zone_unshared(ngx_ampersand_zone_t *zone);

/* Events may have been lost: everything has to be asked for again. */

void ngx_ampersand_zone_mark_stale(ngx_ampersand_zone_t *zone);

/*
 * 1, once, when something real that was still fresh had to make room: the zone
 * is too small, and somebody should say so.
 */

ngx_uint_t ngx_ampersand_zone_too_small(ngx_ampersand_zone_t *zone);

void ngx_ampersand_zone_stat(ngx_ampersand_zone_t *zone,
    ngx_ampersand_zone_stat_t *stat);


#endif /* NGX_AMPERSAND_ZONE_H */
