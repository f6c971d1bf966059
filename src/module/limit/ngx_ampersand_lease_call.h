/*
 * One call to Redis for one limit of one tenant, one token or one project.
 * amp_lease_ask() or amp_lease_return() fills it with the zone's lock held; it
 * is sent without.
 *
 *   create ──▶ send ──▶ EVALSHA ──┬── a reply ──▶ the lease has it ──▶ wake
 *               │ ▲    (NOSCRIPT: │
 *               ▼ │     EVAL)     └── none ─────▶ the lease failed ──▶ wake
 *              PING, where there is no link yet
 *
 * A reply that leaves units here which other gateways want plans a call that
 * hands them back; it is sent when no requests have come for a while.
 *
 * The arguments name the server, so a call without a link waits for the reply
 * to PING: as a look-up does, it waits while the link is made, and fails in an
 * outage.
 *
 * Each call ends once, which frees its memory.  A worker that exits gives up
 * the calls that it has made: another worker may call at once.  Those of a
 * worker that died are found by their age, ngx_ampersand_lease_timeout().
 */

#ifndef NGX_AMPERSAND_LEASE_CALL_H
#define NGX_AMPERSAND_LEASE_CALL_H


#include "redis/ngx_ampersand_redis.h"
#include "redis/ngx_ampersand_redis_error.h"
#include "zone/ngx_ampersand_zone.h"
#include "amp_lease.h"
#include "amp_share.h"


/* ampersand_limit_fallback */

#define NGX_AMPERSAND_LEASE_LOCAL  0
#define NGX_AMPERSAND_LEASE_ALLOW  1
#define NGX_AMPERSAND_LEASE_DENY   2


/*
 * What a worker needs to lease; the caller fills it, and it outlives all
 * calls.
 */

typedef struct {
    ngx_ampersand_zone_t   *zone;
    ngx_ampersand_redis_t  *redis;
    ngx_str_t              *prefix;
    ngx_log_t              *log;
    ngx_uint_t              fallback;
    void                  (*wake)(void *data, uint32_t holder);
                                    /* a call ended for the tenant or project
                                       with this ngx_ampersand_lease_hash()   */
    void                   *data;   /* of wake()                              */
    ngx_msec_t              timeout; /* of a command to Redis                 */
    ngx_queue_t             calls;  /* ngx_ampersand_lease_call_t, of this
                                       worker, that have not ended            */
    ngx_uint_t              closing; /* the worker exits                      */
    time_t                  logged; /* see ngx_ampersand_log.h                */
    time_t                  named;  /* the same, of a key of another type     */
} ngx_ampersand_leasing_t;


#define ngx_ampersand_lease_hash(id)  ngx_murmur_hash2((u_char *) (id).data,  \
                                                       (id).len)


/*
 * ns until a call is taken for lost: a worker that lives has heard of its end
 * before, though its timers may be late.
 */

#define ngx_ampersand_lease_timeout(leasing)                                  \
    ((uint64_t) (leasing)->timeout * 1000000 + AMP_LEASE_PACE)


/*
 * The id of a node of kind LEASE, in name: the id of who holds the limit, a
 * tenant, (AMP_LIMIT_TOKEN) a token or (AMP_LIMIT_PROJECT) a project, a NUL and
 * the number of the limit.
 */

#define NGX_AMPERSAND_LEASE_HOLDER  AMP_PROJECT_ID_MAX  /* the longest        */
#define NGX_AMPERSAND_LEASE_ID      (NGX_AMPERSAND_LEASE_HOLDER + 2)

amp_span_t ngx_ampersand_lease_id(amp_span_t holder, amp_limit_e limit,
    u_char *name);


/*
 * What it holds.  A node of kind SHARE, whose id is a tenant's: amp_share_t.  A
 * reload finds the nodes of the former build: see NGX_AMPERSAND_LAYOUT.
 */

typedef struct {
    amp_lease_t   lease;
    amp_rate_t    rate;             /* of the last call                       */
    uint32_t      planned;          /* when a worker last looked whether to
                                       make the planned call, ms; 0: none is
                                       planned                                */
    amp_shares_t  shares;           /* of AMP_LIMIT_PROJECT                   */
} ngx_ampersand_leased_t;


typedef struct {
    ngx_queue_t              queue;
    ngx_event_t              timer;     /* of a planned call                  */
    uint32_t                 planned;   /* ... the lease has the same number
                                           while no other call is planned     */
    ngx_ampersand_leasing_t  *leasing;
    amp_limit_e              limit;
    amp_lease_ask_t          ask;
    uint64_t                 sent;      /* ngx_ampersand_lease_now()          */
    uint32_t                 server;    /* hash of its run_id                 */
    ngx_uint_t               eval;      /* with the script's text             */
    ngx_uint_t               pinged;    /* the link has answered              */
    ngx_uint_t               unsent;    /* no link to Redis                   */
    ngx_uint_t               foreign;   /* the key is of another type         */
    ngx_ampersand_redis_error_t  error; /* why there is no reply, or empty    */
    size_t                   len;
    u_char                   holder[NGX_AMPERSAND_LEASE_HOLDER];
} ngx_ampersand_lease_call_t;


/*
 * Makes a call.  The caller fills call->ask and sends the call, or frees it.
 * now: as given to amp_lease_ask().  NULL: no memory.
 */

ngx_ampersand_lease_call_t *ngx_ampersand_lease_call(
    ngx_ampersand_leasing_t *leasing, amp_span_t holder, amp_limit_e limit,
    uint64_t now);

/*
 * Sends the call; the zone's lock must not be held.  The call may end, and wake
 * requests, before this returns.
 */

void ngx_ampersand_lease_send(ngx_ampersand_lease_call_t *call);

/* Frees a call that was not sent. */

void ngx_ampersand_lease_call_free(ngx_ampersand_lease_call_t *call);

/*
 * Gives up and frees the calls of this worker that have not ended: after the
 * link was closed, which calls no handler.
 */

void ngx_ampersand_lease_give_up(ngx_ampersand_leasing_t *leasing);


/*
 * For ngx_ampersand_redis_on_server(), data is the zone: notes when a server
 * was first seen, since a new server may lack the last leases of the one
 * before.
 */

void ngx_ampersand_lease_server(void *data,
    const ngx_ampersand_server_t *server);

/*
 * The lease of a limit, with the zone's lock held.  make: it is made where it
 * does not exist.  NULL: it does not exist, or the zone has no room.
 */

ngx_ampersand_leased_t *ngx_ampersand_lease_state(ngx_ampersand_zone_t *zone,
    amp_span_t holder, amp_limit_e limit, ngx_uint_t make);

/* CLOCK_MONOTONIC, ns. */

uint64_t ngx_ampersand_lease_now(void);


#endif /* NGX_AMPERSAND_LEASE_CALL_H */
