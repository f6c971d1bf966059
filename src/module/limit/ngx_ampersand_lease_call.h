/*
 * One call to Redis for one limit of one tenant: amp_lease_ask() or
 * amp_lease_return() has said what, under the lock; it is sent without it.
 *
 *   call ──▶ send ──▶ EVALSHA ──┬── an answer ──▶ the state has it ──▶ wake
 *               (NOSCRIPT: EVAL)└── none ───────▶ the state is AWAY ─▶ wake
 *
 * Its memory is freed by its end, of which there is exactly one.  When the
 * worker exits a call ends without an answer, and another may be made at once.
 */

#ifndef NGX_AMPERSAND_LEASE_CALL_H
#define NGX_AMPERSAND_LEASE_CALL_H


#include "redis/ngx_ampersand_redis.h"
#include "redis/ngx_ampersand_redis_error.h"
#include "zone/ngx_ampersand_zone.h"
#include "amp_lease.h"


/* ampersand_limit_fallback */

#define NGX_AMPERSAND_LEASE_LOCAL  0
#define NGX_AMPERSAND_LEASE_ALLOW  1
#define NGX_AMPERSAND_LEASE_DENY   2


/* A worker's; the caller's memory, and filled by it. */

typedef struct {
    ngx_ampersand_zone_t   *zone;
    ngx_ampersand_redis_t  *redis;
    ngx_str_t              *prefix;
    ngx_log_t              *log;
    ngx_uint_t              fallback;
    void                  (*wake)(void *data, uint32_t tenant);
    void                   *data;   /* of wake(): the hash of a tenant whose
                                       call has ended                         */
    ngx_uint_t              closing;
} ngx_ampersand_lessee_t;


#define ngx_ampersand_lease_tenant(id)  ngx_murmur_hash2((u_char *) (id).data, \
                                                         (id).len)


/* What a node of kind LEASE holds. */

typedef struct {
    amp_lease_t   lease;
    amp_rate_t    rate;             /* of the last call                       */
} ngx_ampersand_leased_t;


typedef struct {
    ngx_ampersand_lessee_t  *lessee;
    amp_limit_e              limit;
    amp_lease_ask_t          ask;
    uint64_t                 sent;
    ngx_uint_t               eval;      /* with the whole script              */
    ngx_uint_t               unsent;    /* there is no link                   */
    ngx_ampersand_redis_error_t  refusal;   /* why there is no answer             */
    size_t                   len;
    u_char                   tenant[AMP_TENANT_ID_MAX];
} ngx_ampersand_lease_call_t;


/*
 * The caller fills call->ask and sends it, or frees it with ngx_free().  now:
 * the one of amp_lease_ask().  NULL without memory.
 */

ngx_ampersand_lease_call_t *ngx_ampersand_lease_call(
    ngx_ampersand_lessee_t *lessee, amp_span_t tenant, amp_limit_e limit,
    uint64_t now);

/* The lock not held; may end, and wake, before it returns. */

void ngx_ampersand_lease_send(ngx_ampersand_lease_call_t *call);


/* Of ngx_ampersand_redis_on_server(), data is the zone: a server that is met
   late may be another one's successor. */

void ngx_ampersand_lease_met(void *data, const ngx_ampersand_server_t *server);

/* With the lock held.  NULL: not there, or with make no room. */

ngx_ampersand_leased_t *ngx_ampersand_lease_state(ngx_ampersand_zone_t *zone,
    amp_span_t tenant, amp_limit_e limit, ngx_uint_t make);

/* CLOCK_MONOTONIC, ns. */

uint64_t ngx_ampersand_lease_now(void);


#endif /* NGX_AMPERSAND_LEASE_CALL_H */
