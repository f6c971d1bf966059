/*
 * The layout of the zone's shared memory: nodes in one hash table and two LRU
 * queues, and what else the workers share.  Only the files of zone/ and the
 * leases (limit/ngx_ampersand_lease*.c) use it, with shpool->mutex held.
 */

#ifndef NGX_AMPERSAND_LAYOUT_H
#define NGX_AMPERSAND_LAYOUT_H


#include "ngx_ampersand_counters.h"
#include "amp_tenant.h"
#include "amp_token.h"


#define NGX_AMPERSAND_UNSHARED     512
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
    uint32_t               pending;        /* families, see ngx_ampersand_pending_t */
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
#define NGX_AMPERSAND_SERVER_RUN   40      /* a run id, see INFO server          */


typedef struct {
    u_char                     run[NGX_AMPERSAND_SERVER_RUN];
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


typedef struct ngx_ampersand_shared_s  ngx_ampersand_shared_t;

struct ngx_ampersand_shared_s {
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
    ngx_atomic_t               pending;       /* some project may owe something */
    volatile uint64_t          unshared[NGX_AMPERSAND_UNSHARED];

    ngx_atomic_t               cooling;     /* ngx_current_msec after which no
                                               cool-down is left              */
    ngx_ampersand_worker_t     workers[NGX_AMPERSAND_WORKERS];
    ngx_ampersand_leases_t     leases;
};


#endif /* NGX_AMPERSAND_LAYOUT_H */
