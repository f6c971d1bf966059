/*
 * The layout of the zone's shared memory: nodes in one hash table and two LRU
 * queues, and what else the workers share.  Only the files of zone/, the leases
 * (limit/ngx_ampersand_lease*.c) and the budgets (ngx_ampersand_budget.c) use
 * it, between ngx_ampersand_zone_lock() and ngx_ampersand_zone_unlock().
 */

#ifndef NGX_AMPERSAND_LAYOUT_H
#define NGX_AMPERSAND_LAYOUT_H


#include "ngx_ampersand_counters.h"
#include "amp_breaker.h"
#include "amp_gateway.h"
#include "amp_lease_state.h"
#include "amp_share.h"
#include "amp_token.h"
#include "amp_token_scope.h"
#include "amp_waves.h"


#define NGX_AMPERSAND_WAVES        128
#define NGX_AMPERSAND_UNSHARED     512      /* see cache/ngx_http_ampersand_
                                               cache_lock.h                   */
#define NGX_AMPERSAND_INVALIDATED  1024
#define NGX_AMPERSAND_ZONE_MAGIC   0x616d703b
#define NGX_AMPERSAND_SERVERS      64
#define NGX_AMPERSAND_GATEWAYS     65535    /* more are not counted          */
#define NGX_AMPERSAND_BREAKERS     32
#define NGX_AMPERSAND_GATEWAY_ID   16
#define NGX_AMPERSAND_SERVER_RUN   40       /* run_id of INFO server          */


/* From CONCURRENCY on: what the gateway itself has counted or found out. */

typedef enum {
    NGX_AMPERSAND_TOKEN = 1,
    NGX_AMPERSAND_TENANT,
    NGX_AMPERSAND_PROJECT,
    NGX_AMPERSAND_CONCURRENCY,
    NGX_AMPERSAND_COOLDOWN,
    NGX_AMPERSAND_LEASE,
    NGX_AMPERSAND_SHARE,
    NGX_AMPERSAND_BUDGET,
    NGX_AMPERSAND_BUDGET_PART,
    NGX_AMPERSAND_KINDS
} ngx_ampersand_kind_e;


/*
 * A node: one cache line, then its body.  A token refers to its tenant, and a
 * tenant to its project: by hash (ref), and by place once it was found there.
 * The place holds while the node there has the serial noted here; memory that
 * was freed may hold anything, but stays mapped.
 */

typedef struct ngx_ampersand_node_s  ngx_ampersand_node_t;

struct ngx_ampersand_node_s {
    ngx_ampersand_node_t  *next;        /* in its hash bucket                 */
    ngx_queue_t            queue;       /* the LRU queue of real or of
                                           negative entries                   */
    ngx_msec_t             fetched;     /* when it was read from Redis        */
    uint32_t               hash;
    uint32_t               serial;      /* another for each node              */
    uint32_t               epoch;       /* the zone's, when it was read       */
    uint32_t               moved;       /* ms, when it last moved in queue    */
    u_char                 kind;
    u_char                 invalidated; /* since it was read                  */
    u_char                 negative;    /* no such token or tenant exists     */
    u_char                 len;         /* of the id in data                  */
    uint32_t               ref;         /* of CONCURRENCY: requests in flight,
                                           so it is not evicted               */
    uint32_t               ref_serial;
    uint32_t               ref_place;   /* in units of 8 bytes, 0: none; of
                                           CONCURRENCY: workers with a count  */
    u_char                 data[1];     /* one of the three below, or an id of
                                           len bytes and a state              */
};


typedef struct {
    u_char                 digest[AMP_TOKEN_DIGEST];
    time_t                 expires;     /* Unix seconds, 0: never; see
                                           ngx_ampersand_clock.h              */
    uint32_t               scope;       /* bytes of an amp_token_scope_t,
                                           aligned, after the tenant; 0: none */
    uint32_t               used;        /* day since 1970 of its last use, see
                                           ngx_ampersand_last_use.h; 0: none  */
    u_char                 id[AMP_TOKEN_ID_RANDOM]; /* the end of it          */
    u_char                 tenant[1];   /* node->len bytes                    */
} ngx_ampersand_token_node_t;


typedef struct {
    uint64_t               rev;         /* the last one seen, in a record or in
                                           an invalidation, ...               */
    ngx_msec_t             rev_at;      /* ... and when                       */
    amp_tenant_t           tenant;      /* tenant.size bytes; a negative
                                           entry's has an id only             */
} ngx_ampersand_tenant_node_t;


/*
 * Cache keys are made of gens and bumps.  A bump is a unique number: it was not
 * used before, neither in this zone nor in one before it.  A generation that
 * this zone has not seen change has no bump, so that keys, and the entries
 * stored under them, outlive the zone.
 */

typedef struct {
    uint32_t               gens[AMP_FAMILY_COUNT];
    uint32_t               bumps[AMP_FAMILY_COUNT];
    uint32_t               pending;     /* families whose invalidation Redis
                                           has not confirmed                  */
    uint32_t               sent;        /* those of invalidations that wait for
                                           a reply, ...                       */
    uint32_t               nsent;       /* how many, ...                      */
    ngx_msec_t             sent_at;     /* ... and since when                 */
    amp_rate_t             limit;       /* of the project; count 0: none      */
    u_char                 loaded;      /* gens, limit were read from Redis   */
    u_char                 reused;      /* a generation decreased: Redis lost
                                           some, and numbers come again       */
    u_char                 id[1];       /* node->len bytes                    */
} ngx_ampersand_project_node_t;


/*
 * A worker that counts requests in flight.  Its successor, or a worker that
 * finds it dead, starts another generation: counts of the old one are void.
 */

typedef struct {
    ngx_pid_t                  pid;
    uint32_t                   generation;
} ngx_ampersand_worker_t;


/* A Redis server that this gateway has seen, see ngx_ampersand_lease_call.c. */

typedef struct {
    u_char                     run[NGX_AMPERSAND_SERVER_RUN];
    uint64_t                   since;   /* its time when it was first seen, us;
                                           0: it is nobody's successor        */
} ngx_ampersand_seen_t;


typedef struct {
    u_char                     gateway[NGX_AMPERSAND_GATEWAY_ID];
    uint64_t                   began;   /* when the zone was made             */
    ngx_ampersand_seen_t       servers[NGX_AMPERSAND_SERVERS];
    ngx_uint_t                 nservers;
    uint64_t                   successor; /* monotonic: when the last one was
                                           first seen that followed another;
                                           0: all leases are told to it       */
    unsigned                   gateways; /* that leased, as an answer says,   */
    uint64_t                   counted; /* ... and when                       */
    ngx_atomic_t               registered; /* gateways that live, as Redis or
                                           the file said; 0: unknown, ...     */
    uint64_t                   registered_at; /* ... and when                 */
    ngx_atomic_t               degraded; /* 1: Redis gives no leases          */
} ngx_ampersand_leases_t;


/* See ngx_ampersand_breaker.h. */

typedef struct {
    uint32_t                   used;
    uint32_t                   api;     /* amp_api_e                          */
    uint32_t                   upstream; /* hash of the name of an upstream{} */
    amp_breaker_t              state;
} ngx_ampersand_breaker_t;


/* Failures for a cache key, see ngx_ampersand_waves.h. */

typedef struct {
    uint64_t                   key;
    amp_waves_t                count;
    uint32_t                   status;  /* of the last one                    */
    ngx_msec_t                 changed; /* ngx_current_msec                   */
} ngx_ampersand_wave_t;


typedef struct {
    ngx_uint_t                 magic;
    size_t                     layout;  /* NGX_AMPERSAND_LAYOUT               */
    ngx_atomic_t               changing; /* 1: the mutex is held, see
                                           ngx_ampersand_zone_lock()          */
    ngx_ampersand_counters_t   counters;

    ngx_ampersand_node_t     **buckets;
    ngx_uint_t                 mask;
    ngx_queue_t                lru;     /* most recently used first           */
    ngx_queue_t                negative;
    ngx_uint_t                 nnegative;
    ngx_uint_t                 negative_max;
    ngx_uint_t                 n[NGX_AMPERSAND_KINDS]; /* without negatives   */

    uint32_t                   epoch;   /* changes when all becomes stale     */
    uint32_t                   serial;  /* of the last node that was made     */
    uint32_t                   evicted; /* ms, when a node was evicted last   */
    ngx_atomic_t               too_small; /* 1: to be logged; 2: was logged   */
    uint64_t                   seq;     /* invalidations so far               */
    uint64_t                   stale_seq; /* seq when all became stale last   */
    uint64_t                   invalidated[NGX_AMPERSAND_INVALIDATED];
                                        /* by hash: seq of the last one       */
    uint32_t                   bump;    /* the last one that was given        */
    ngx_uint_t                 emptied; /* the projects of before are lost:
                                           those that are made have bumps     */
    ngx_atomic_t               pending; /* 1: some project may have pending
                                           invalidations                      */
    volatile uint64_t          unshared[NGX_AMPERSAND_UNSHARED];

    volatile uint64_t          redis_time; /* in ms, less ngx_current_msec; 0:
                                           not known yet                      */
    ngx_atomic_t               frozen;  /* classes, for all tenants           */
    ngx_atomic_t               frozen_events; /* that said so                 */
    ngx_atomic_t               cooldown_end; /* ngx_current_msec at the end of
                                           the last cool-down                 */
    ngx_atomic_t               budget_end; /* the same, of the last budget    */
    ngx_ampersand_worker_t     workers[NGX_AMPERSAND_WORKERS];
    ngx_ampersand_leases_t     leases;

    time_t                     started; /* when the zone was made             */
    time_t                     applied; /* when this event was, 0: none       */
    amp_event_t                event;   /* the last one that was applied      */
    uint64_t                   marks[AMP_GATEWAY_MARKS];
    ngx_uint_t                 nmarks;  /* so far, of which the last are kept */
    ngx_ampersand_breaker_t    breakers[NGX_AMPERSAND_BREAKERS];
    ngx_ampersand_wave_t       waves[NGX_AMPERSAND_WAVES];
} ngx_ampersand_shared_t;


/*
 * Another number for a build whose nodes or states have other sizes.  Where
 * only the meaning of a member changes, NGX_AMPERSAND_LAYOUT_CHANGES counts it.
 */

#define NGX_AMPERSAND_LAYOUT_CHANGES  1

#define NGX_AMPERSAND_LAYOUT                                                  \
    (((sizeof(ngx_ampersand_shared_t) * 31 + sizeof(ngx_ampersand_node_t))    \
      * 31 + sizeof(amp_lease_t)) * 31 + sizeof(amp_shares_t)                 \
     + sizeof(amp_share_t) + NGX_AMPERSAND_LAYOUT_CHANGES)


#endif /* NGX_AMPERSAND_LAYOUT_H */
