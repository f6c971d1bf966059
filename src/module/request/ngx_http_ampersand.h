/*
 * The shell around the core inside nginx: what the files that touch a request
 * share.  The request's way is in ngx_http_ampersand_access.c.
 */

#ifndef NGX_HTTP_AMPERSAND_H
#define NGX_HTTP_AMPERSAND_H


#include "ngx_ampersand_compat.h"
#include <ngx_http.h>
#include "amp_scope.h"
#include "amp_seal.h"
#include "amp_token.h"
#include "limit/ngx_ampersand_lease.h"


#define NGX_HTTP_AMPERSAND_OFF    AMP_API_COUNT    /* ampersand off;           */
#define NGX_HTTP_AMPERSAND_ID     32               /* bytes of a request id    */
#define NGX_HTTP_AMPERSAND_ID_MAX 128              /* of a client's            */


/* bytes of Cache-Status and Age */

#define NGX_HTTP_AMPERSAND_TEXT                                               \
    (sizeof("ampersand; fwd=vary-miss; fwd-status=; collapsed; stored; ttl=") \
     + NGX_INT_T_LEN + 2 * NGX_TIME_T_LEN)

#define NGX_HTTP_AMPERSAND_PLACES 1024


/* ampersand_limit_headers */

#define NGX_HTTP_AMPERSAND_NO_HEADERS    0
#define NGX_HTTP_AMPERSAND_RATELIMIT     1      /* the IETF's draft            */
#define NGX_HTTP_AMPERSAND_X_RATELIMIT   2      /* ... and the older ones      */


/* See ngx_http_ampersand_stranger.c */

typedef struct {
    ngx_uint_t                      n;          /* look-ups under way          */
    time_t                          told;
    uint64_t                        worker;     /* tat, see amp_rate.h         */
    uint64_t                        places[NGX_HTTP_AMPERSAND_PLACES];
} ngx_http_ampersand_lookup_limit_t;


/* http{} */

typedef struct {
    ngx_shm_zone_t                 *shm_zone;
    ngx_ampersand_zone_t           *zone;
    ngx_ampersand_redis_conf_t     *redis;
    amp_keyring_t                  *keyring;
    ngx_msec_t                      tenant_ttl;
    ngx_msec_t                      tenant_grace;
    amp_rate_t                      limit_default; /* count 0: there is none  */
    ngx_uint_t                      concurrency_default;    /* 0: there is none */
    ngx_uint_t                      limit_fallback;
    ngx_uint_t                      used;       /* some location is a gateway  */
    ngx_array_t                    *upstreams;  /* loc_confs, to be checked    */
    ngx_int_t                       key_index;  /* $ampersand_api_key          */

    /* this worker's, made in init_process */
    ngx_ampersand_redis_t          *link;
    ngx_queue_t                    *flights;    /* see .._flight.c             */
    ngx_http_ampersand_lookup_limit_t  strangers;
    time_t                          logged;     /* the last error of a look-up */
    ngx_uint_t                      refusing;   /* Redis answers with errors   */
    ngx_ampersand_lessee_t          lessee;
    ngx_queue_t                     waiting;    /* ctx->waiter: for a lease    */
    ngx_event_t                     idle;       /* of leases, in one worker    */
} ngx_http_ampersand_main_conf_t;


/*
 * server{}: does it hold a gateway location.  upstream{}: nginx gives each
 * its own srv_conf too, see ngx_http_ampersand_limit.c.
 */

typedef struct {
    ngx_uint_t                      gateway;
    ngx_http_upstream_init_peer_pt  init_peer;
} ngx_http_ampersand_srv_conf_t;


typedef struct {
    ngx_str_t                       name;       /* see amp_lifetime.h, or 404  */
    ngx_uint_t                      missing;    /* 404                         */
    time_t                          ttl;
} ngx_http_ampersand_ttl_t;


typedef struct {
    ngx_uint_t                      api;        /* amp_api_e or _OFF           */
    ngx_str_t                       upstream;   /* "https://name"              */
    ngx_http_complex_value_t       *identity;
    ngx_flag_t                      observe;
    ngx_flag_t                      limit_hits;
    ngx_uint_t                      limit_headers;
    off_t                           body_max;
    ngx_array_t                    *ttls;       /* ngx_http_ampersand_ttl_t    */
    uint32_t                       *ttl;        /* by operation, seconds       */
    time_t                          ttl_missing; /* of a 404, 0: not stored    */
    u_char                         *file;       /* where "ampersand" stands    */
    ngx_uint_t                      line;
} ngx_http_ampersand_loc_conf_t;


/* The client's headers that mean something to the gateway, found in one pass. */

typedef struct {
    ngx_str_t                       token;      /* the credential's text       */
    ngx_str_t                       request_id; /* x-request-id                */
    amp_reason_e                    credential; /* why there is none           */
    ngx_str_t                       project;    /* x-amp-project-id            */
    ngx_str_t                       group;      /* x-amp-group-ref             */
    ngx_str_t                       installation; /* x-amp-installation-id     */
    ngx_str_t                       integration; /* x-amp-integration-name     */
    ngx_str_t                       accept;
    ngx_str_t                       connection;
    unsigned                        has_group:1;
    unsigned                        proxy_version:1;
    unsigned                        encoded:1;  /* content-encoding           */
    unsigned                        malformed:1; /* repeated x-amp-* header    */
    unsigned                        uncacheable:1; /* several Accept headers   */
    unsigned                        no_cache:1;    /* cache-control:           */
    unsigned                        no_store:1;
    unsigned                        only_if_cached:1;
} ngx_http_ampersand_headers_t;


/*
 * A request's state.  Transitions are in ngx_http_ampersand_access.c.
 */

typedef enum {
    NGX_HTTP_AMPERSAND_NEW = 0,
    NGX_HTTP_AMPERSAND_RESOLVING,   /* a look-up will wake us                 */
    NGX_HTTP_AMPERSAND_RESOLVED,
    NGX_HTTP_AMPERSAND_WAITING,     /* for a lease, or a timer, that wakes us */
    NGX_HTTP_AMPERSAND_WOKEN,
    NGX_HTTP_AMPERSAND_READING,     /* nginx reads the body and will wake us  */
    NGX_HTTP_AMPERSAND_READ,
    NGX_HTTP_AMPERSAND_PASSED,      /* the variables hold; upstream may be    */
    NGX_HTTP_AMPERSAND_DENIED
} ngx_http_ampersand_state_e;


typedef struct ngx_http_ampersand_lookup_s  ngx_http_ampersand_lookup_t;


typedef struct {
    ngx_http_ampersand_state_e      state;
    amp_reason_e                    reason;     /* why it was, or would have
                                                   been, refused              */
    ngx_str_t                       request_id;
    ngx_http_ampersand_headers_t    headers;
    ngx_list_t                      client;     /* headers_in.headers, before
                                                   they were replaced         */

    u_char                          digest[AMP_TOKEN_DIGEST];
    ngx_str_t                       identity;   /* with ampersand_identity     */

    ngx_http_request_t             *request;
    ngx_http_ampersand_lookup_t    *flight;     /* while RESOLVING             */
    ngx_queue_t                     waiter;     /* in the flight, then of those
                                                   WAITING, then in
                                                   .._collapse.c              */
    ngx_http_request_t             *waits;      /* for a lease, or NULL        */
    ngx_event_t                     timer;      /* ... of that                 */
    ngx_msec_t                      since;
    ngx_msec_int_t                  patience;   /* ms that are left            */
    ngx_msec_t                      pause;
    amp_reason_e                    resolved;   /* what the look-up said       */

    ngx_ampersand_known_t           known;      /* known.tenant: the record    */
    const amp_operation_t          *op;
    unsigned                        methods;    /* Allow of a 405              */
    time_t                          retry;      /* seconds, for Retry-After    */

    ngx_str_t                       uri;        /* composed, escaped           */
    ngx_str_t                       cache_key;
    uint32_t                        ttl;        /* 0: neither read nor stored  */
    uint32_t                        writes;     /* families, AMP_F(...) | ...  */
    ngx_ampersand_limit_t          *limits;     /* that it was held to        */
    ngx_uint_t                      nlimits;
    ngx_http_cleanup_t             *inflight;   /* while it is in flight      */
    off_t                           body_seen;
    ngx_uint_t                      log_level;  /* the connection's, READING  */

    amp_reason_e                    late;       /* refused in front of the
                                                   upstream                   */
    unsigned                        identified:1; /* known.tenant is filled   */
    unsigned                        keepalive:1; /* of the client, at late    */
    unsigned                        checked:1;  /* the body is to be checked  */
    unsigned                        key_ok:1;   /* the upstream request has it */
    unsigned                        stale:1;    /* record is from before an
                                                   outage of Redis            */
    unsigned                        charged:1;  /* the limits know of it       */
    unsigned                        waited:1;   /* for a lease that it asked
                                                   for                         */
    unsigned                        joined:1;   /* another asks for the same   */
    unsigned                        observed:1;
    unsigned                        wrap:1;     /* listProjects                */
    unsigned                        wrapped:1;
    unsigned                        replace:1;  /* the body is a problem       */
    unsigned                        answered:1; /* the header filter saw it    */
    unsigned                        key_used:1; /* the upstream request is made */
    unsigned                        entered:1;  /* in a queue of .._collapse.c */
    unsigned                        failures:4; /* that it has waited for     */
    unsigned                        closed:1;   /* the request is being freed  */
    ngx_chain_t                    *problem;

    /* of request_id, where it is not the client's; of Cache-Status and Age */

    u_char                          id[NGX_HTTP_AMPERSAND_ID];
    u_char                          text[NGX_HTTP_AMPERSAND_TEXT];
} ngx_http_ampersand_ctx_t;


/* The request's context: of the main request, also from a subrequest. */

#define ngx_http_ampersand_ctx(r)                                             \
    ngx_http_get_module_ctx((r)->main, ngx_http_ampersand_module)

/*
 * The request itself or its background refresh, a clone of it.  Any other
 * subrequest (auth_request, mirror, which is "background" too) is not what the
 * access phase decided on.
 */

#define ngx_http_ampersand_own(r)                                             \
    ((r) == (r)->main                                                         \
     || ((r)->background && (r)->loc_conf == (r)->main->loc_conf))

#define ngx_http_ampersand_count_up(amcf, counter)                            \
    (void) ngx_atomic_fetch_add(                                              \
               &ngx_ampersand_zone_counters((amcf)->zone)->counter, 1)

#define ngx_http_ampersand_span(s)  amp_span_make((s).data, (s).len)


/* A walk over nginx's list of headers: begin with { &list->part, 0 }. */

typedef struct {
    ngx_list_part_t                *part;
    ngx_uint_t                      i;
} ngx_http_ampersand_walk_t;


static ngx_inline ngx_table_elt_t *
ngx_http_ampersand_next(ngx_http_ampersand_walk_t *walk)
{
    while (walk->i == walk->part->nelts) {
        if (walk->part->next == NULL) {
            return NULL;
        }

        walk->part = walk->part->next;
        walk->i = 0;
    }

    return (ngx_table_elt_t *) walk->part->elts + walk->i++;
}


/* What ngx_list_push() does, without the call where the part has room. */

static ngx_inline ngx_table_elt_t *
ngx_http_ampersand_push(ngx_list_t *list)
{
    ngx_list_part_t  *last;

    last = list->last;

    if (last->nelts < list->nalloc) {
        return (ngx_table_elt_t *) last->elts + last->nelts++;
    }

    return ngx_list_push(list);
}


/*
 * The next word of a header's list, between commas and white space, which is
 * cut off rest; empty when there is none.
 */

amp_span_t ngx_http_ampersand_next_word(ngx_str_t *rest);

/* Has the header this name, given in lower case? */

#define ngx_http_ampersand_is(h, name)                                        \
    ((h)->key.len == sizeof(name) - 1                                         \
     && ngx_memcmp((h)->lowcase_key, name, sizeof(name) - 1) == 0)


/* access: the phase handler */

ngx_int_t ngx_http_ampersand_access_handler(ngx_http_request_t *r);

/*
 * request: every request to a gateway's server gets a context, an id and log
 * lines that name neither its URI nor its token.
 */

ngx_int_t ngx_http_ampersand_post_read_handler(ngx_http_request_t *r);

/* The context, made anew after an internal redirect.  NULL without memory. */

ngx_http_ampersand_ctx_t *ngx_http_ampersand_context(ngx_http_request_t *r);

/*
 * The level for a line that a client could cause again and again: error once a
 * second, else info.
 */

ngx_uint_t ngx_http_ampersand_log_level(ngx_http_ampersand_main_conf_t *amcf);

/* Before nginx reads or discards a body that may be malformed. */

void ngx_http_ampersand_quiet(ngx_http_request_t *r);

/*
 * headers: reads what the client sent.  Answers nothing; a fault stands in
 * h->credential or h->malformed.
 */

void ngx_http_ampersand_headers_read(ngx_http_request_t *r,
    ngx_http_ampersand_headers_t *h);

/*
 * Replaces the request's headers by those that go upstream.  NGX_DECLINED: one
 * holds a control byte.  NGX_ERROR: no memory.
 */

ngx_int_t ngx_http_ampersand_headers_compose(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);

/* Does the client's header of this name go upstream? */

ngx_uint_t ngx_http_ampersand_headers_sent(ngx_http_ampersand_ctx_t *ctx,
    amp_span_t name);

/*
 * resolve: zone, then Redis.  NGX_OK: ctx->resolved says what came out,
 * known.tenant is filled when it is AMP_OK.  NGX_AGAIN: the request will be
 * woken by its write event.  NGX_ERROR: no memory.
 */

ngx_int_t ngx_http_ampersand_resolve(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);

/* See ngx_ampersand_zone_ahead(): for the request's token. */

void ngx_http_ampersand_ahead(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, ngx_uint_t step);

/* flight: for init_process; and ends all without waking anybody, for exit. */

ngx_int_t ngx_http_ampersand_lookup_init(ngx_http_ampersand_main_conf_t *amcf,
    ngx_pool_t *pool);
void ngx_http_ampersand_lookup_close(ngx_http_ampersand_main_conf_t *amcf);

/*
 * body: reads it, then wakes the request with state READ.  Answers as an
 * access handler does.
 */

ngx_int_t ngx_http_ampersand_body_read(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);

/* Checks the body that was read and replaces it where it names the project. */

amp_reason_e ngx_http_ampersand_body_check(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);

/* Counts a body while it comes in, against ampersand_body_max. */

ngx_int_t ngx_http_ampersand_body_init(ngx_conf_t *cf);

/* resolve: to be called before NGX_AGAIN, so that a client that goes is seen. */

ngx_int_t ngx_http_ampersand_wait(ngx_http_request_t *r);

/*
 * limit: AMP_OK, or AMP_RATE_LIMITED, AMP_TOO_MANY or AMP_COOLING_DOWN with
 * ctx->retry; AMP_STORE_DOWN with "ampersand_limit_fallback deny".  What may
 * come from the cache is asked when it does not, in front of the upstream; all
 * else before.  AMP_OK with ctx->waits: nothing is decided, the phase will be
 * run again.
 */

amp_reason_e ngx_http_ampersand_limit(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);

/*
 * lease_wait: until the tenant's call ends, or that many ns; then the request
 * runs its phase again.  lease_join: the same, until who asks for the same entry
 * of the cache has gone on; NGX_DECLINED when nobody does.  NGX_OK: ctx->waits
 * is set, the caller returns to nginx with the request suspended.  NGX_DONE: it
 * has waited long enough.
 */

ngx_int_t ngx_http_ampersand_lease_wait_begin(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, uint64_t ns);
ngx_int_t ngx_http_ampersand_lease_wait_join(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);

/* For init_process. */

void ngx_http_ampersand_lease_wait_init(ngx_http_ampersand_main_conf_t *amcf);

/* It is no longer in flight: Ampersand has answered all of it. */

void ngx_http_ampersand_limit_done(ngx_http_ampersand_ctx_t *ctx);

/* ratelimit: RateLimit-Policy and so on, where the request was held to limits. */

/* ns in seconds, rounded up: whoever comes back then is admitted */

#define ngx_http_ampersand_seconds(ns)  (((ns) + 999999999) / 1000000000)

ngx_int_t ngx_http_ampersand_limit_headers(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);

/* Puts the limits in front of every upstream{}. */

ngx_int_t ngx_http_ampersand_limit_init(ngx_conf_t *cf);

/* cooldown: the ms for which Ampersand does not want to hear of the tenant. */

ngx_msec_t ngx_http_ampersand_cooldown(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);

/* An answer came: a 429 that says until when opens a cool-down. */

void ngx_http_ampersand_cooldown_seen(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);

/* Asks Redis for one that began before this gateway heard of the tenant. */

void ngx_http_ampersand_cooldown_ask(ngx_http_ampersand_main_conf_t *amcf,
    amp_span_t tenant);

/* deny: the only place that refuses. */

/* Answers the request with the problem; an access handler returns its result. */

ngx_int_t ngx_http_ampersand_deny(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, amp_reason_e reason);

/*
 * Turns the error page that nginx is sending into the problem: status and
 * headers now, ctx->problem for the body filter.
 */

ngx_int_t ngx_http_ampersand_deny_replace(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, amp_reason_e reason);

/* variables */

ngx_int_t ngx_http_ampersand_add_variables(ngx_conf_t *cf);

/*
 * The tenant's key in the clear: out has AMP_SECRET_MAX bytes, which are the
 * caller's to wipe.  Answers its length, or -1, -2, -3 as amp_seal_open() does.
 * It is authenticated unless that was done (tenant->opened).
 */

int ngx_http_ampersand_open_key(ngx_http_ampersand_main_conf_t *amcf,
    const amp_tenant_t *tenant, u_char *out);

/* Forgets the plaintext key that $ampersand_api_key left in r->variables. */

void ngx_http_ampersand_wipe_key(ngx_http_request_t *r);

/* cache: composes ctx->cache_key */

ngx_int_t ngx_http_ampersand_cache_key(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);

/*
 * While nginx evaluates proxy_cache_key: no stored answer for this request; the
 * one that comes may be stored.  NGX_ERROR: no memory.
 */

ngx_int_t ngx_http_ampersand_cache_bypass(ngx_http_request_t *r);

/*
 * written: the write succeeded, or may have, so the families it writes are
 * others now; once a request.  writing: its upstream request is made, a client
 * that leaves does not end it any more.
 */

void ngx_http_ampersand_cache_invalidate(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);
void ngx_http_ampersand_cache_invalidate_begin(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);

/* For init_process, with the link made. */

void ngx_http_ampersand_cache_invalidate_init(ngx_http_ampersand_main_conf_t *amcf,
    ngx_log_t *log);

/*
 * store: what is stored for how long.  Runs for the request and for its
 * background refresh, just before nginx decides.
 */

void ngx_http_ampersand_cache_store(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);

/* Cache-Status, X-Cache-Status and Age of an answer that is not our own. */

ngx_int_t ngx_http_ampersand_cache_store_headers(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);

/*
 * collapse: wakes those who wait for the answer to the same request.  enter:
 * nginx is about to look for its key; leave: it ends; unshared: its final answer
 * will not be stored; abandoned: its client has left, an answer that will be
 * stored goes to nobody else, and the header filters are done; shared: the
 * answer that it wants will be everybody's, as far as is known.
 */

void ngx_http_ampersand_cache_lock_enter(ngx_http_ampersand_ctx_t *ctx);
void ngx_http_ampersand_cache_lock_leave(ngx_http_ampersand_ctx_t *ctx);
void ngx_http_ampersand_cache_lock_unshared(ngx_http_request_t *r);
ngx_uint_t ngx_http_ampersand_cache_lock_shared(ngx_http_request_t *r);
ngx_uint_t ngx_http_ampersand_cache_lock_abandoned(ngx_http_request_t *r);

/* status: the directive */

char *ngx_http_ampersand_status(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* A header of the answer: neither its name nor its value is copied. */

static ngx_inline ngx_int_t
ngx_http_ampersand_add_header(ngx_http_request_t *r, const char *name,
    size_t name_len, ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_http_ampersand_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    h->key.data = (u_char *) name;
    h->key.len = name_len;
    h->value = *value;
    h->lowcase_key = (u_char *) name;
    ngx_ampersand_header_init(h);

    return NGX_OK;
}

#define ngx_http_ampersand_header(r, name, value)                             \
    ngx_http_ampersand_add_header(r, name, sizeof(name) - 1, value)


extern ngx_module_t  ngx_http_ampersand_module;
extern ngx_module_t  ngx_http_ampersand_filter_module;
extern ngx_module_t  ngx_http_ampersand_etag_filter_module;


#endif /* NGX_HTTP_AMPERSAND_H */
