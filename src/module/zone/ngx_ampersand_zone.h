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
 * ngx_ampersand_zone_begin() before the look-up, its answer given to store.
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


#include "redis/ngx_ampersand_redis.h"
#include "amp_event.h"
#include "amp_problem.h"


#define NGX_AMPERSAND_ZONE_MIN       (256 * 1024)
#define NGX_AMPERSAND_NEGATIVE_TTL   10000      /* ms that "unknown" is kept,
                                                   or ttl if that is shorter  */
#define NGX_AMPERSAND_WORKERS        256
#define NGX_AMPERSAND_UNSHARED       512


typedef struct ngx_ampersand_zone_s  ngx_ampersand_zone_t;


typedef struct {
    ngx_atomic_uint_t               reasons[AMP_REASON_COUNT];  /* 0: passed  */
    ngx_atomic_uint_t               observed;   /* would have been refused    */
    ngx_atomic_uint_t               lookups;
    ngx_atomic_uint_t               lookup_failures;
    ngx_atomic_uint_t               lookups_refused;
    ngx_atomic_uint_t               stale_served;
    ngx_atomic_uint_t               cache_hits;
    ngx_atomic_uint_t               upstream;
    ngx_atomic_uint_t               events;
    ngx_atomic_uint_t               evictions;
    ngx_atomic_uint_t               no_memory;
    ngx_ampersand_redis_counters_t  redis;
    ngx_atomic_uint_t               up[NGX_AMPERSAND_WORKERS];  /* state of
                                                   a worker's Redis         */
    ngx_atomic_uint_t               events_up;
    ngx_atomic_uint_t               cooldowns;
    ngx_atomic_uint_t               lease_calls;
    ngx_atomic_uint_t               lease_failures;
    ngx_atomic_uint_t               limit_fallbacks;
} ngx_ampersand_counters_t;


typedef enum {
    NGX_AMPERSAND_ZONE_MISS = 0,    /* never heard of it                      */
    NGX_AMPERSAND_ZONE_UNKNOWN,     /* it is known not to exist               */
    NGX_AMPERSAND_ZONE_CHANGED,     /* it exists, or did, but what was known
                                       is of no use any more                  */
    NGX_AMPERSAND_ZONE_STALE,       /* found, to be asked for again           */
    NGX_AMPERSAND_ZONE_FRESH,
    NGX_AMPERSAND_ZONE_LARGE        /* the record needs more than cap: size   */
} ngx_ampersand_zone_e;


typedef struct {
    amp_tenant_t  *tenant;          /* room of cap bytes, the caller's        */
    size_t         cap;
    size_t         size;
    uint32_t       gens[AMP_FAMILY_COUNT];
    uint32_t       bumps[AMP_FAMILY_COUNT];
} ngx_ampersand_known_t;


/* Families of a project that were written, and Redis does not know it. */

typedef struct {
    uint32_t       families;
    size_t         len;
    u_char         project[AMP_PROJECT_ID_MAX];
} ngx_ampersand_owed_t;


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
    struct ngx_ampersand_shared_s  *sh;
    ngx_slab_pool_t                *shpool;
    ngx_shm_zone_t                 *shm_zone;
    ngx_msec_t                      ttl;
    ngx_msec_t                      grace;
    ngx_uint_t                      worker;     /* see .._inflight.h          */
};


/* shm_zone->init */

ngx_int_t ngx_ampersand_zone_init(ngx_shm_zone_t *shm_zone, void *data);

ngx_ampersand_counters_t *ngx_ampersand_zone_counters(
    ngx_ampersand_zone_t *zone);

/* NGX_AMPERSAND_UNSHARED words, see ngx_http_ampersand_collapse.c */

volatile uint64_t *ngx_ampersand_zone_unshared(ngx_ampersand_zone_t *zone);

/*
 * By token digest (AMP_TOKEN_DIGEST bytes), or by tenant id when digest is
 * NULL.  now is ngx_current_msec; a token past its expiry (Unix seconds) is
 * UNKNOWN.  STALE and FRESH fill known.
 */

ngx_ampersand_zone_e ngx_ampersand_zone_find(ngx_ampersand_zone_t *zone,
    const u_char *digest, amp_span_t tenant, ngx_ampersand_known_t *known);

/*
 * Asks the CPU for what the find by this digest will read, as far as steps 0, 1
 * and 2 lead: the place in the table, the token, the tenant.  Each step waits
 * for the one before, so there should be other work in between.  Takes no lock:
 * what it finds is not believed, only fetched.
 */

void ngx_ampersand_zone_ahead(ngx_ampersand_zone_t *zone,
    const u_char *digest, ngx_uint_t step);

/* The moment a look-up begins, for the three store functions. */

uint64_t ngx_ampersand_zone_begin(ngx_ampersand_zone_t *zone);

/*
 * NGX_DECLINED: an event overtook the record, ask again.  tenant empty: the
 * token does not exist.  expires 0: never.
 */

ngx_int_t ngx_ampersand_zone_store_token(ngx_ampersand_zone_t *zone,
    uint64_t begun, const u_char *digest, amp_span_t tenant, time_t expires);

/*
 * As above; and of an older record than the one known NGX_DONE: it stays, and
 * serves; or NGX_ABORT: an event named what is known, neither may serve.
 */

ngx_int_t ngx_ampersand_zone_store_tenant(ngx_ampersand_zone_t *zone,
    uint64_t begun, const amp_tenant_t *tenant);

/* There is no such tenant. */

ngx_int_t ngx_ampersand_zone_store_no_tenant(ngx_ampersand_zone_t *zone,
    uint64_t begun, amp_span_t tenant);

/* Overtaken ones are better than none: they are asked for again next time. */

void ngx_ampersand_zone_store_project(ngx_ampersand_zone_t *zone,
    uint64_t begun, amp_span_t project, const uint32_t gens[AMP_FAMILY_COUNT]);

/* Generations and bumps of a project, where it is known; else as they were. */

void ngx_ampersand_zone_generations(ngx_ampersand_zone_t *zone,
    amp_span_t project, ngx_ampersand_known_t *known);

/* Applies an event of amp:events. */

void ngx_ampersand_zone_event(ngx_ampersand_zone_t *zone,
    const amp_event_t *event);

/* Events may have been lost: everything has to be asked for again. */

void ngx_ampersand_zone_distrust(ngx_ampersand_zone_t *zone);

/* This gateway saw a write of these families: their cache keys change now. */

void ngx_ampersand_zone_bump(ngx_ampersand_zone_t *zone, amp_span_t project,
    uint32_t families);

/* Redis could not be told: remembers it, as long as the zone and its room last. */

void ngx_ampersand_zone_owe(ngx_ampersand_zone_t *zone,
    const ngx_ampersand_owed_t *owed);

/* Takes off up to max of them: their number. */

ngx_uint_t ngx_ampersand_zone_owed(ngx_ampersand_zone_t *zone,
    ngx_ampersand_owed_t *owed, ngx_uint_t max);

/*
 * 1, once, when something real that was still fresh had to make room: the zone
 * is too small, and somebody should say so.
 */

ngx_uint_t ngx_ampersand_zone_crowded(ngx_ampersand_zone_t *zone);

void ngx_ampersand_zone_stat(ngx_ampersand_zone_t *zone,
    ngx_ampersand_zone_stat_t *stat);


#endif /* NGX_AMPERSAND_ZONE_H */
