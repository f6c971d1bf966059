/*
 * Look-ups in Redis that are under way in this worker, and who waits for them.
 * For ngx_http_ampersand_resolve.c, _flight.c and _stranger.c only.
 */

#ifndef NGX_HTTP_AMPERSAND_LOOKUP_H
#define NGX_HTTP_AMPERSAND_LOOKUP_H


#include "request/ngx_http_ampersand.h"


#define NGX_HTTP_AMPERSAND_BUCKETS  256     /* of flights, by digest or id */


typedef enum {
    NGX_HTTP_AMPERSAND_TOKEN = 0,
    NGX_HTTP_AMPERSAND_TENANT,
    NGX_HTTP_AMPERSAND_PROJECT,
    NGX_HTTP_AMPERSAND_LANDED
} ngx_http_ampersand_step_e;


/*
 * The flight is over.  AMP_OK: with flight->tenant and gens; or why not.  Wakes
 * everybody who waits and frees the flight.
 */

typedef void (*ngx_http_ampersand_landed_pt)(
    ngx_http_ampersand_lookup_t *flight, amp_reason_e reason);


struct ngx_http_ampersand_lookup_s {
    ngx_queue_t                      queue;     /* its bucket                 */
    ngx_queue_t                      waiters;   /* ctx->waiter                */
    ngx_http_ampersand_main_conf_t  *amcf;
    ngx_http_ampersand_landed_pt     landed;
    ngx_log_t                       *log;
    ngx_http_ampersand_step_e        step;
    ngx_uint_t                       retries;
    uint64_t                         begun[NGX_HTTP_AMPERSAND_LANDED];
    ngx_uint_t                       place;     /* of a stranger              */
    unsigned                         stranger:1;
    unsigned                         by_token:1;
    unsigned                         again:1;   /* after its link was lost    */
    u_char                           digest[AMP_TOKEN_DIGEST];
    time_t                           expires;
    size_t                           id_len;
    u_char                           id[AMP_TENANT_ID_MAX];
    uint32_t                         gens[AMP_FAMILY_COUNT];
    amp_tenant_t                    *tenant;    /* ngx_alloc()ed              */
};


/*
 * Asks Redis for the token of ctx, or for its tenant (ampersand_identity).
 * NULL: the link is down or full, or there is no memory.
 */

ngx_http_ampersand_lookup_t *ngx_http_ampersand_lookup_start(
    ngx_http_ampersand_main_conf_t *amcf, ngx_queue_t *bucket,
    ngx_http_ampersand_ctx_t *ctx, ngx_http_ampersand_landed_pt landed);

void ngx_http_ampersand_lookup_free(ngx_http_ampersand_lookup_t *flight);


/*
 * strangers: how many look-ups may be made for tokens that turn out not to
 * exist.  place is the request's address, see the .c file.
 */

ngx_uint_t ngx_http_ampersand_lookup_limit_place(ngx_http_request_t *r);

/* 1: another one may be asked for. */

ngx_uint_t ngx_http_ampersand_lookup_limit_admit(
    ngx_http_ampersand_main_conf_t *amcf, ngx_uint_t place);

/* One that was asked for does not exist. */

void ngx_http_ampersand_lookup_limit_charge(ngx_http_ampersand_main_conf_t *amcf,
    ngx_uint_t place);


#endif /* NGX_HTTP_AMPERSAND_LOOKUP_H */
