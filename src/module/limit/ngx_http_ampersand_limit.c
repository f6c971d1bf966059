#include "request/ngx_http_ampersand.h"
#include "zone/ngx_ampersand_concurrency.h"


/*
 * Limits are charged for what reaches Ampersand.  Whether a cacheable GET does
 * is known only after proxy_cache has looked: nginx then makes the upstream
 * request and calls the upstream{}'s peer.init.  The module stands in front of
 * each of them, so answers from the cache cost nothing, a background refresh
 * is charged, and no directive has to be remembered in an upstream{}.  There
 * nobody can wait: who must ends the upstream request as if it had never been,
 * gives the cache's lock back, and runs the content handler again later.
 *
 * A request is held to three things: the cool-down after a 429 of Ampersand,
 * the number of the tenant's requests in flight, and its rates.  What one of
 * them refuses costs the others nothing.
 *
 * The same moment ends the life of the plaintext key in r->variables: the
 * upstream request holds its copy by now.
 */


#define NGX_HTTP_AMPERSAND_LIMITS  2        /* the tenant's and its class's   */


/* What is to be given back; outlives the context, see internal redirects. */

typedef struct {
    ngx_ampersand_zone_t  *zone;
    size_t                 len;
    u_char                 tenant[AMP_TENANT_ID_MAX];
} ngx_http_ampersand_entered_t;


static amp_reason_e ngx_http_ampersand_hold(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);
static amp_reason_e ngx_http_ampersand_enter(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);
static void ngx_http_ampersand_left(void *data);
static amp_reason_e ngx_http_ampersand_rates(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);
static amp_reason_e ngx_http_ampersand_rates_refuse(
    ngx_http_ampersand_ctx_t *ctx, uint64_t ns);
static ngx_uint_t ngx_http_ampersand_rates_of(
    ngx_http_ampersand_main_conf_t *amcf, ngx_http_ampersand_ctx_t *ctx,
    ngx_ampersand_limit_t *limits);
static ngx_int_t ngx_http_ampersand_init_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us);
static void ngx_http_ampersand_step_back(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);


amp_reason_e
ngx_http_ampersand_limit(ngx_http_request_t *r, ngx_http_ampersand_ctx_t *ctx)
{
    amp_reason_e                    reason;
    ngx_http_ampersand_loc_conf_t  *alcf;

    if (ctx->charged) {
        return AMP_OK;
    }

    reason = ngx_http_ampersand_hold(r, ctx);

    if (ctx->waits) {
        ngx_http_ampersand_limit_done(ctx);
        return AMP_OK;
    }

    ctx->charged = 1;

    if (reason == AMP_OK || reason == AMP_INTERNAL) {
        return reason;
    }

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_ampersand_module);

    if (alcf->observe) {
        ctx->reason = reason;
        ctx->observed = 1;
        ctx->retry = 0;
        return AMP_OK;
    }

    return reason;
}


static amp_reason_e
ngx_http_ampersand_hold(ngx_http_request_t *r, ngx_http_ampersand_ctx_t *ctx)
{
    ngx_msec_t    left;
    amp_reason_e  reason;

    left = ngx_http_ampersand_cooldown(r, ctx);

    if (left) {
        ctx->retry = (time_t) ((left + 999) / 1000);
        return AMP_COOLING_DOWN;
    }

    if (ngx_http_ampersand_lease_wait_join(r, ctx) == NGX_OK) {
        return AMP_OK;
    }

    reason = ngx_http_ampersand_enter(r, ctx);

    if (reason != AMP_OK) {
        return reason;
    }

    reason = ngx_http_ampersand_rates(r, ctx);

    if (reason != AMP_OK) {
        ngx_http_ampersand_limit_done(ctx);
    }

    return reason;
}


void
ngx_http_ampersand_limit_done(ngx_http_ampersand_ctx_t *ctx)
{
    if (ctx->inflight) {
        ctx->inflight->handler(ctx->inflight->data);
        ctx->inflight->handler = NULL;
        ctx->inflight = NULL;
    }
}


/* Sets ctx->inflight where there is a limit. */

static amp_reason_e
ngx_http_ampersand_enter(ngx_http_request_t *r, ngx_http_ampersand_ctx_t *ctx)
{
    uint32_t                         max;
    amp_span_t                       id;
    ngx_http_cleanup_t              *cln;
    ngx_http_ampersand_entered_t    *in;
    ngx_http_ampersand_main_conf_t  *amcf;

    if (ctx->inflight) {
        return AMP_OK;
    }

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);
    id = amp_tenant_field(ctx->known.tenant, ctx->known.tenant->id);

    max = ctx->known.tenant->concurrency;

    if (max == 0) {
        max = (uint32_t) amcf->concurrency_default;
    }

    if (max == 0) {
        return AMP_OK;
    }

    /* it was counted before an internal redirect */

    for (cln = r->main->cleanup; cln; cln = cln->next) {
        in = cln->data;

        if (cln->handler == ngx_http_ampersand_left
            && amp_span_eq(id, amp_span_make(in->tenant, in->len)))
        {
            ctx->inflight = cln;
            return AMP_OK;
        }
    }

    cln = ngx_http_cleanup_add(r, sizeof(*in));
    if (cln == NULL) {
        return AMP_INTERNAL;
    }

    if (!ngx_ampersand_concurrency_enter(amcf->zone, id, max)) {
        return AMP_TOO_MANY;
    }

    in = cln->data;
    in->zone = amcf->zone;
    in->len = id.len;
    ngx_memcpy(in->tenant, id.data, id.len);

    cln->handler = ngx_http_ampersand_left;
    ctx->inflight = cln;

    return AMP_OK;
}


static void
ngx_http_ampersand_left(void *data)
{
    ngx_http_ampersand_entered_t *in = data;

    ngx_ampersand_concurrency_leave(in->zone, amp_span_make(in->tenant, in->len));
}


static amp_reason_e
ngx_http_ampersand_rates(ngx_http_request_t *r, ngx_http_ampersand_ctx_t *ctx)
{
    uint64_t                         wait;
    ngx_int_t                        rc;
    ngx_uint_t                       i, n;
    ngx_ampersand_limit_t            limits[NGX_HTTP_AMPERSAND_LIMITS];
    ngx_http_ampersand_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);

    n = ngx_http_ampersand_rates_of(amcf, ctx, limits);

    if (n == 0) {
        return AMP_OK;
    }

    if (ctx->limits == NULL) {
        ctx->limits = ngx_pcalloc(r->pool, sizeof(limits));
        if (ctx->limits == NULL) {
            return AMP_INTERNAL;
        }
    }

    for (i = 0; i < n; i++) {
        limits[i].heard = ctx->limits[i].heard;
    }

    rc = ngx_ampersand_lease_take(&amcf->lessee,
                                  amp_tenant_field(ctx->known.tenant,
                                                   ctx->known.tenant->id),
                                  limits, n, ctx->waited, &wait);

    ngx_memcpy(ctx->limits, limits, n * sizeof(limits[0]));
    ctx->nlimits = n;

    switch (rc) {

    case NGX_OK:
        return AMP_OK;

    case NGX_ABORT:
        return AMP_STORE_DOWN;

    case NGX_AGAIN:
        rc = ngx_http_ampersand_lease_wait_begin(r, ctx, wait);

        if (rc == NGX_OK) {
            return AMP_OK;
        }

        return rc == NGX_DONE ? ngx_http_ampersand_rates_refuse(ctx, wait)
                              : AMP_INTERNAL;

    default: /* NGX_DECLINED */
        return ngx_http_ampersand_rates_refuse(ctx, wait);
    }
}


static amp_reason_e
ngx_http_ampersand_rates_refuse(ngx_http_ampersand_ctx_t *ctx, uint64_t ns)
{
    ctx->retry = (time_t) ngx_http_ampersand_seconds(ns);

    return AMP_RATE_LIMITED;
}


/* The limits that apply: the tenant's own, or else everybody's; the class's. */

static ngx_uint_t
ngx_http_ampersand_rates_of(ngx_http_ampersand_main_conf_t *amcf,
    ngx_http_ampersand_ctx_t *ctx, ngx_ampersand_limit_t *limits)
{
    ngx_uint_t     n;
    amp_limit_e    class;
    amp_tenant_t  *tenant;

    n = 0;
    tenant = ctx->known.tenant;

    if (amp_tenant_rate(tenant, AMP_LIMIT_DEFAULT, &limits[0].rate)) {
        limits[n++].limit = AMP_LIMIT_DEFAULT;

    } else if (amcf->limit_default.count) {
        limits[0].rate = amcf->limit_default;
        limits[n++].limit = AMP_LIMIT_DEFAULT;
    }

    class = AMP_LIMIT_CATALOG + ctx->op->class;

    if (amp_tenant_rate(tenant, class, &limits[n].rate)) {
        limits[n++].limit = class;
    }

    return n;
}


ngx_int_t
ngx_http_ampersand_limit_init(ngx_conf_t *cf)
{
    ngx_uint_t                       i;
    ngx_http_upstream_srv_conf_t   **us;
    ngx_http_ampersand_srv_conf_t   *ascf;
    ngx_http_upstream_main_conf_t   *umcf;

    umcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_upstream_module);
    us = umcf->upstreams.elts;

    for (i = 0; i < umcf->upstreams.nelts; i++) {

        /* "proxy_pass http://address" makes upstreams without a block */

        if (us[i]->srv_conf == NULL) {
            continue;
        }

        ascf = ngx_http_conf_upstream_srv_conf(us[i],
                                               ngx_http_ampersand_module);
        ascf->init_peer = us[i]->peer.init;
        us[i]->peer.init = ngx_http_ampersand_init_peer;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_ampersand_init_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us)
{
    amp_reason_e                    reason;
    ngx_http_ampersand_ctx_t       *ctx;
    ngx_http_ampersand_srv_conf_t  *ascf;

    ascf = ngx_http_conf_upstream_srv_conf(us, ngx_http_ampersand_module);
    ctx = ngx_http_ampersand_ctx(r);

    if (ctx == NULL || ctx->state != NGX_HTTP_AMPERSAND_PASSED
        || !ngx_http_ampersand_own(r))
    {
        return ascf->init_peer(r, us);
    }

    /* it does not wait for the cache: ctx->waiter is free */

    ngx_http_ampersand_cache_lock_leave(ctx);

    ngx_http_ampersand_wipe_key(r);
    ctx->key_used = 1;

    reason = ctx->late;

    /* a key that does not open, or a location that does not set X-Api-Key */

    if (reason == AMP_OK && !ctx->key_ok) {
        reason = AMP_NO_KEY;
    }

    if (reason == AMP_OK && ctx->headers.only_if_cached) {
        reason = AMP_NOT_CACHED;
    }

    if (reason == AMP_OK) {
        reason = ngx_http_ampersand_limit(r, ctx);
    }

    if (ctx->waits) {
        ngx_http_ampersand_step_back(r, ctx);
        return NGX_ERROR;
    }

    if (reason != AMP_OK) {

        /* nginx answers 500, which the response filter turns into the problem */

        ctx->late = reason;
        ctx->keepalive = r->main->keepalive;
        return NGX_ERROR;
    }

    ngx_http_ampersand_cache_invalidate_begin(r, ctx);

    return ascf->init_peer(r, us);
}


/*
 * The upstream request ends as when another takes its place
 * (ngx_http_upstream_create()): a peer.init that fails finds it ended, and
 * answers nothing.  Each of the two gives back a count.
 */

static void
ngx_http_ampersand_step_back(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx)
{
    ngx_buf_t            *b;
    ngx_http_upstream_t  *u;

    u = r->upstream;

    /* it holds the tenant's key */

    b = u->request_bufs->buf;
    ngx_explicit_memzero(b->pos, b->last - b->pos);

    ctx->key_used = 0;
    ctx->key_ok = 0;

    r->main->count += 2;
    (*u->cleanup)(r);

    r->upstream_states = NULL;
    r->headers_in.headers = ctx->client;
    r->write_event_handler = ngx_http_request_empty_handler;

    if (r == r->main) {
        (void) ngx_http_ampersand_wait(r);
    }
}
