/*
 * A look-up: one token, or one tenant id with ampersand_identity, is read from
 * Redis for all requests of this worker that wait for it.
 *
 *   TOKEN ──▶ TENANT ──▶ PROJECT ──▶ DONE ──▶ the waiting requests get copies
 *   └─────── lookup.lua ───────┘
 *    GET       GET        HGETALL
 *
 * One script does all steps in one round trip.  In a cluster, where the keys
 * are in several slots, it does one of the first two steps at a time.  Each
 * step is a command for a while after Redis has answered the script with an
 * error, and where the script did not find its key in the record before.
 * Unlike GET, the script sends no record that is too large.
 *
 * Any step may end the look-up early: no such token or tenant, an unreadable
 * record, no Redis.  A look-up lives in memory of its own: a client that leaves
 * takes its request out of the queue, and the reply is read all the same.
 *
 * A record that an invalidation names while it is being read is read again,
 * from the first step on.  After a few attempts the waiting requests get what
 * was read last, and the zone does not store it.
 */

#ifndef NGX_HTTP_AMPERSAND_LOOKUP_H
#define NGX_HTTP_AMPERSAND_LOOKUP_H


#include "ngx_http_ampersand_lookup_limit.h"
#include "redis/ngx_ampersand_redis.h"
#include "zone/ngx_ampersand_generations.h"
#include "zone/ngx_ampersand_records.h"
#include "amp_seal.h"


#define NGX_HTTP_AMPERSAND_LOOKUP_BUCKETS  256


typedef struct ngx_http_ampersand_lookup_s  ngx_http_ampersand_lookup_t;


typedef enum {
    NGX_HTTP_AMPERSAND_LOOKUP_TOKEN = 0,
    NGX_HTTP_AMPERSAND_LOOKUP_TENANT,
    NGX_HTTP_AMPERSAND_LOOKUP_PROJECT,
    NGX_HTTP_AMPERSAND_LOOKUP_DONE
} ngx_http_ampersand_lookup_step_e;


/*
 * The look-up ended.  AMP_OK: lookup->tenant, scope, gens and limit are filled;
 * else the reason.  The callee takes all requests off
 * lookup->waiters and frees the look-up.
 */

typedef void (*ngx_http_ampersand_lookup_pt)(
    ngx_http_ampersand_lookup_t *lookup, amp_reason_e reason);


/*
 * The look-ups of a worker.  The caller sets the first group before
 * ngx_http_ampersand_lookups_init(); all of it has to outlive the worker.
 */

typedef struct {
    ngx_ampersand_zone_t               *zone;
    ngx_ampersand_redis_t              *redis;
    ngx_ampersand_redis_conf_t         *conf;
    amp_keyring_t                      *keyring;
    time_t                             *logged; /* see ngx_ampersand_log.h    */
    void                              (*tenant)(void *data, amp_span_t id);
                                                /* a tenant was read          */
    void                               *data;   /* of tenant()                */

    ngx_queue_t                        *buckets; /* by digest or tenant id    */
    ngx_http_ampersand_lookup_limit_t   limit;
    time_t                              lost;   /* when that was logged       */
    ngx_uint_t                          refused; /* Redis answers with errors */
    unsigned                            stepwise:1; /* no script ...          */
    ngx_msec_t                          refused_at; /* ... since then         */
} ngx_http_ampersand_lookups_t;


struct ngx_http_ampersand_lookup_s {
    ngx_queue_t                        queue;   /* of its bucket              */
    ngx_queue_t                        waiters; /* ngx_http_ampersand_
                                                   resolve_t.queue            */
    ngx_http_ampersand_lookups_t      *lookups;
    ngx_http_ampersand_lookup_pt       handler;
    ngx_log_t                         *log;
    uint64_t                           started; /* ngx_ampersand_times_now()  */
    ngx_http_ampersand_lookup_step_e   step;
    ngx_uint_t                         retries;
    uint64_t                           begun[NGX_HTTP_AMPERSAND_LOOKUP_DONE];
    ngx_uint_t                         place;   /* of the look-up limit       */
    unsigned                           limited:1; /* the token is unknown     */
    unsigned                           by_token:1;
    unsigned                           resent:1; /* after its link was lost   */
    unsigned                           script:1; /* all steps at once         */
    unsigned                           eval:1;  /* with the script's text     */
    u_char                             digest[AMP_TOKEN_DIGEST];
    time_t                             expires;
    u_char                             token[AMP_TOKEN_ID_RANDOM]; /* the end
                                                   of the token's id          */
    size_t                             id_len;
    u_char                             id[AMP_TENANT_ID_MAX];
    uint32_t                           gens[AMP_FAMILY_COUNT];
    amp_rate_t                         limit;   /* the project's              */
    amp_tenant_t                      *tenant;  /* ngx_alloc()ed              */
    amp_token_scope_t                 *scope;   /* the same; NULL: none       */
};


/* For init_process; pool is the cycle's.  NGX_ERROR: no memory. */

ngx_int_t ngx_http_ampersand_lookups_init(
    ngx_http_ampersand_lookups_t *lookups, ngx_pool_t *pool);

/* Frees all look-ups without calling anybody, for exit_process. */

void ngx_http_ampersand_lookups_close(ngx_http_ampersand_lookups_t *lookups);

/*
 * The bucket for a token's digest, or for a tenant's id where that is not
 * empty; and the look-up under way in a bucket for the same, or NULL.
 */

ngx_queue_t *ngx_http_ampersand_lookup_bucket(
    ngx_http_ampersand_lookups_t *lookups, const u_char *digest,
    amp_span_t id);
ngx_http_ampersand_lookup_t *ngx_http_ampersand_lookup_find(
    ngx_queue_t *bucket, const u_char *digest, amp_span_t id);

/* Starts one.  NULL: Redis is out of reach or its queue full, or no memory. */

ngx_http_ampersand_lookup_t *ngx_http_ampersand_lookup_start(
    ngx_http_ampersand_lookups_t *lookups, ngx_queue_t *bucket,
    const u_char *digest, amp_span_t id, ngx_http_ampersand_lookup_pt handler);

void ngx_http_ampersand_lookup_free(ngx_http_ampersand_lookup_t *lookup);

/* 1 where the reply, or a part of one, is this text. */

ngx_uint_t ngx_http_ampersand_lookup_is(redisReply *reply, amp_span_t text);


/*
 * ngx_http_ampersand_lookup_records.c: what Redis says to the steps, each with
 * the reply to it, or its part of the script's reply; records are checked, and
 * stored in the zone.  AMP_OK: lookup->step is the next one, or the first again
 * where a record has changed while it was read (lookup->retries counts that).
 * Any other reason ends the look-up; a record that cannot be read is a line in
 * the log.
 */

amp_reason_e ngx_http_ampersand_lookup_token(
    ngx_http_ampersand_lookup_t *lookup, redisReply *reply);
amp_reason_e ngx_http_ampersand_lookup_tenant(
    ngx_http_ampersand_lookup_t *lookup, redisReply *reply);
amp_reason_e ngx_http_ampersand_lookup_project(
    ngx_http_ampersand_lookup_t *lookup, redisReply *reply);


#endif /* NGX_HTTP_AMPERSAND_LOOKUP_H */
