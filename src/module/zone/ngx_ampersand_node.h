/*
 * Inside the zone: its nodes, in one hash table and two LRU queues.  Only
 * ngx_ampersand_zone.c, _project.c, _inflight.c, _cooldown.c and _lease.c use
 * them, with shpool->mutex held.
 */

#ifndef NGX_AMPERSAND_NODE_H
#define NGX_AMPERSAND_NODE_H


#include "ngx_ampersand_zone.h"


#define NGX_AMPERSAND_ZONE_NAMED   1024     /* when events named what, by hash */
#define NGX_AMPERSAND_ZONE_MAGIC   0x616d7036


typedef enum {
    NGX_AMPERSAND_TOKEN = 1,
    NGX_AMPERSAND_TENANT,
    NGX_AMPERSAND_PROJECT,
    NGX_AMPERSAND_CONCURRENCY,             /* this and the next hold what the    */
    NGX_AMPERSAND_COOLDOWN,             /* gateway itself has found out       */
    NGX_AMPERSAND_LEASE,
    NGX_AMPERSAND_KINDS
} ngx_ampersand_kind_e;


typedef struct ngx_ampersand_node_s  ngx_ampersand_node_t;

/*
 * One cache line, then the body.  A token leads to its tenant and a tenant to
 * its project: by hash (ref), and by place once that was looked up.  The place
 * holds as long as the serial there is the one noted; what was freed may be
 * anything, but stays mapped.
 */

struct ngx_ampersand_node_s {
    ngx_ampersand_node_t  *next;        /* in its bucket                      */
    ngx_queue_t            queue;       /* LRU, or what is known not to exist */
    ngx_msec_t             fetched;
    uint32_t               hash;
    uint32_t               serial;      /* another for each node              */
    uint32_t               epoch;
    uint32_t               used;        /* ms, when it last moved in its queue*/
    u_char                 kind;
    u_char                 invalid;     /* an event named it                  */
    u_char                 unknown;     /* there is no such token or tenant   */
    u_char                 len;         /* of the id in data                  */
    uint32_t               ref;         /* of an INFLIGHT: requests, so it
                                           cannot go                          */
    uint32_t               ref_serial;
    uint32_t               ref_place;   /* in units of 8 bytes; 0: not known  */
    u_char                 data[1];     /* one of the three below, or an id of
                                           len bytes and a state              */
};


typedef struct {
    u_char                 digest[AMP_TOKEN_DIGEST];
    time_t                 expires;
    u_char                 tenant[1];   /* node->len bytes                    */
} ngx_ampersand_token_node_t;


typedef struct {
    uint64_t               rev;         /* the last heard of, by record or
                                           event, ...                         */
    ngx_msec_t             heard;       /* ... and when                       */
    amp_tenant_t           tenant;      /* tenant.size bytes; an unknown one's
                                           has an id only                     */
} ngx_ampersand_tenant_node_t;


/*
 * A key is made of gens and bumps.  A bump is a number of its own, not used
 * before nor in a zone before this one; a generation never seen here does
 * without, so that keys, and what is stored, outlive the zone.
 */

typedef struct {
    uint32_t               gens[AMP_FAMILY_COUNT];
    uint32_t               bumps[AMP_FAMILY_COUNT];
    uint32_t               owed;        /* families, see ngx_ampersand_owed_t */
    u_char                 known;       /* gens were asked for once           */
    u_char                 reused;      /* a generation went back: they come
                                           by numbers that were used          */
    u_char                 id[1];       /* node->len bytes                    */
} ngx_ampersand_project_node_t;


/*
 * Who counts requests in flight: a living worker.  Its successor, or whoever
 * finds it dead, starts another generation, and what the dead one counted with
 * the old one is void.
 */

typedef struct {
    ngx_pid_t                  pid;
    uint32_t                   generation;
} ngx_ampersand_worker_t;


/* See ngx_ampersand_lease_call.c. */

#define NGX_AMPERSAND_SERVERS      64
#define NGX_AMPERSAND_GATEWAY_ID   16


typedef struct {
    u_char                     run[NGX_AMPERSAND_RUN_ID];
    uint64_t                   since;   /* its time, microseconds; 0: the
                                           first one, or at the start         */
} ngx_ampersand_seen_t;


typedef struct {
    u_char                     gateway[NGX_AMPERSAND_GATEWAY_ID];
    uint64_t                   began;
    ngx_ampersand_seen_t       servers[NGX_AMPERSAND_SERVERS];
    ngx_uint_t                 nservers;
    unsigned                   gateways;    /* last seen alive, ...           */
    uint64_t                   counted;     /* ... and when                   */
    ngx_atomic_t               away;        /* 1: Redis does not answer       */
} ngx_ampersand_leases_t;


typedef struct ngx_ampersand_shared_s {
    ngx_uint_t                 magic;
    size_t                     layout;      /* sizeof() of this               */
    ngx_ampersand_counters_t   counters;

    ngx_ampersand_node_t     **buckets;
    ngx_uint_t                 mask;
    ngx_queue_t                lru;         /* most recent first              */
    ngx_queue_t                unknown;
    ngx_uint_t                 nunknown;
    ngx_uint_t                 unknown_max;
    ngx_uint_t                 n[NGX_AMPERSAND_KINDS];    /* real ones        */

    uint32_t                   epoch;
    uint32_t                   serial;      /* of the last node made          */
    uint32_t                   evicted;     /* ms, when the last one made room */
    ngx_atomic_t               crowded;     /* 1: to be said; 2: it was said  */
    uint64_t                   seq;         /* events so far                  */
    uint64_t                   distrusted;  /* seq at the last distrust       */
    uint64_t                   named[NGX_AMPERSAND_ZONE_NAMED];
    uint32_t                   bump;        /* the last one                   */
    ngx_atomic_t               owing;       /* some project may owe something */
    volatile uint64_t          unshared[NGX_AMPERSAND_UNSHARED];

    ngx_atomic_t               cooling;     /* ngx_current_msec after which no
                                               cool-down is left              */
    ngx_ampersand_worker_t     workers[NGX_AMPERSAND_WORKERS];
    ngx_ampersand_leases_t     leases;
} ngx_ampersand_shared_t;


/* bodies hold uint64_t: data[] starts where one may stand */

#define ngx_ampersand_node_head                                               \
    ngx_align(offsetof(ngx_ampersand_node_t, data), sizeof(uint64_t))

#define ngx_ampersand_node_body(node)                                         \
    ((void *) ((u_char *) (node) + ngx_ampersand_node_head))


/* what follows the id of an INFLIGHT or a COOLDOWN */

#define ngx_ampersand_node_state(node)                                        \
    ((void *) ((u_char *) ngx_ampersand_node_body(node)                       \
               + ngx_align((node)->len, sizeof(uint64_t))))


/* by ref_place, which may be out of date: then it is anything */

#define ngx_ampersand_node_at(zone, place)                                    \
    ((ngx_ampersand_node_t *) ((u_char *) (zone)->shpool                      \
                               + (size_t) (place) * 8))


#define ngx_ampersand_zone_hash(data, len)                                    \
    ngx_murmur_hash2((u_char *) (data), len)


static ngx_inline uint32_t
ngx_ampersand_zone_digest_hash(const u_char *digest)
{
    uint32_t  hash;

    ngx_memcpy(&hash, digest, sizeof(hash));

    return hash;
}


/*
 * Of many tenants none is in the CPU's cache: it is asked for all lines of a
 * node at once.  The sizes are those of most; of a tenant without many grants.
 */

static ngx_inline void
ngx_ampersand_node_fetch(ngx_ampersand_node_t *node, ngx_ampersand_kind_e kind)
{
    size_t  i, size;

    size = (kind == NGX_AMPERSAND_TOKEN) ? 2 * 64
           : (kind == NGX_AMPERSAND_TENANT) ? 6 * 64 : 4 * 64;

    for (i = 0; i < size; i += 64) {
        __builtin_prefetch((u_char *) node + i);
    }
}


/* Did an event name the node, or one that shares its place, since begun? */

static ngx_inline ngx_uint_t
ngx_ampersand_zone_overtaken(ngx_ampersand_shared_t *sh, uint64_t begun,
    uint32_t hash)
{
    return sh->named[hash % NGX_AMPERSAND_ZONE_NAMED] > begun
           || sh->distrusted > begun;
}


/* It may come from a worker whose clock is a few milliseconds ahead. */

static ngx_inline ngx_msec_t
ngx_ampersand_zone_age(ngx_ampersand_node_t *node)
{
    ngx_msec_int_t  age;

    age = (ngx_msec_int_t) (ngx_current_msec - node->fetched);

    return ngx_max(age, 0);
}


/* By its id (a token's: the digest); moves it to the head of its LRU queue. */

ngx_ampersand_node_t *ngx_ampersand_node_get(ngx_ampersand_shared_t *sh,
    ngx_ampersand_kind_e kind, uint32_t hash, const u_char *id, size_t len);

/* By an id that is hashed as ngx_ampersand_zone_hash() does: all but tokens. */

#define ngx_ampersand_node_find(sh, kind, id)                                 \
    ngx_ampersand_node_get(sh, kind,                                          \
                           ngx_ampersand_zone_hash((id).data, (id).len),      \
                           (id).data, (id).len)

/* The tenant of a token, the project of a tenant: the same, mostly quicker. */

ngx_ampersand_node_t *ngx_ampersand_node_follow(ngx_ampersand_zone_t *zone,
    ngx_ampersand_node_t *from, ngx_ampersand_kind_e kind, const u_char *id,
    size_t len);

/*
 * A new one at the head of the LRU queue, fetched now, its body not yet filled.
 * Where memory is short others go: unknown ones first, and real ones only for
 * a real one.  An unknown one goes to its own queue, which has a cap.  NULL
 * when there is no room.  May drop any other node.
 */

ngx_ampersand_node_t *ngx_ampersand_node_put(ngx_ampersand_zone_t *zone,
    ngx_ampersand_kind_e kind, uint32_t hash, size_t body, ngx_uint_t unknown);

/*
 * Of those that begin with an id: the one there is, or a new one with a state
 * of so many zero bytes.  NULL when there is no room.
 */

ngx_ampersand_node_t *ngx_ampersand_node_make(ngx_ampersand_zone_t *zone,
    ngx_ampersand_kind_e kind, amp_span_t id, size_t state);

void ngx_ampersand_node_drop(ngx_ampersand_zone_t *zone,
    ngx_ampersand_node_t *node);

/* Redis has this generation of a family, see ngx_ampersand_project_node_t. */

void ngx_ampersand_zone_generation(ngx_ampersand_shared_t *sh,
    ngx_ampersand_project_node_t *pn, ngx_uint_t family, uint32_t gen);


#endif /* NGX_AMPERSAND_NODE_H */
