#include "ngx_http_ampersand_upstream.h"
#include "ngx_http_ampersand_secret.h"


static amp_reason_e ngx_http_ampersand_check_limits(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);
static ngx_int_t ngx_http_ampersand_init_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us);
static void ngx_http_ampersand_cancel_upstream(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);
static void ngx_http_ampersand_ignore_abort(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);


ngx_int_t
ngx_http_ampersand_upstream_init(ngx_conf_t *cf)
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


amp_reason_e
ngx_http_ampersand_charge(ngx_http_request_t *r, ngx_http_ampersand_ctx_t *ctx)
{
    amp_reason_e                    reason;
    ngx_http_ampersand_loc_conf_t  *alcf;

    if (ctx->charged) {
        return AMP_OK;
    }

    reason = ngx_http_ampersand_check_limits(r, ctx);

    if (ctx->limited.wait.request) {
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
ngx_http_ampersand_check_limits(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx)
{
    ngx_msec_t                            left;
    amp_reason_e                          reason;
    ngx_http_ampersand_main_conf_t       *amcf;
    ngx_http_ampersand_cooldown_scope_t   scope;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);

    ngx_http_ampersand_cooldown_scope(ctx, &scope);

    left = ngx_http_ampersand_cooldown(r, amcf->zone, &scope);

    if (left) {
        ctx->retry = (time_t) ((left + 999) / 1000);
        return AMP_COOLING_DOWN;
    }

    /*
     * A request for which c->lock is 0 goes upstream whatever others do, so it
     * needs its own unit and does not join.
     */

    if (ctx->state == NGX_HTTP_AMPERSAND_PASSED && r == r->main
        && r->cache && r->cache->lock
        && ngx_http_ampersand_cache_lock_shared(r, amcf->zone)
        && ngx_http_ampersand_lease_wait_join(&amcf->limits.waits,
                                              &ctx->limited.wait, r,
                                              scope.tenant)
           == NGX_OK)
    {
        return AMP_OK;
    }

    reason = ngx_http_ampersand_limit(r, &amcf->limits, &ctx->limited,
                                      ctx->record.tenant, ctx->op);

    if (reason == AMP_RATE_LIMITED) {
        ctx->retry = ctx->limited.retry;
    }

    return reason;
}


void
ngx_http_ampersand_cooldown_scope(ngx_http_ampersand_ctx_t *ctx,
    ngx_http_ampersand_cooldown_scope_t *scope)
{
    scope->tenant = amp_tenant_field(ctx->record.tenant,
                                     ctx->record.tenant->id);
    scope->proxy = (ctx->op->api == AMP_API_PROXY);
    scope->installation = ngx_ampersand_span(ctx->headers.installation);
    scope->integration = ngx_ampersand_span(ctx->headers.integration);
    scope->group = ngx_ampersand_span(ctx->headers.group);
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

    ngx_http_ampersand_cache_lock_leave(&ctx->cache_wait, ctx->key_used);

    ngx_http_ampersand_secret_wipe(r);
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
        reason = ngx_http_ampersand_charge(r, ctx);
    }

    if (ctx->limited.wait.request) {
        ngx_http_ampersand_cancel_upstream(r, ctx);
        return NGX_ERROR;
    }

    if (reason != AMP_OK) {

        /* nginx answers 500, which the header filter turns into the problem */

        ctx->late = reason;
        ctx->keepalive = r->main->keepalive;
        return NGX_ERROR;
    }

    ngx_http_ampersand_ignore_abort(r, ctx);

    return ascf->init_peer(r, us);
}


/*
 * Ends the upstream request as nginx does where another one takes its place
 * (ngx_http_upstream_create()): a peer.init that fails finds it ended, and
 * sends no answer.  u->cleanup() and the finalization after the NGX_ERROR of
 * peer.init each decrement main->count, so 2 is added first.
 */

static void
ngx_http_ampersand_cancel_upstream(ngx_http_request_t *r,
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
        (void) ngx_http_ampersand_suspend(r);
    }
}


/*
 * A write is not broken off when its client leaves, as with
 * proxy_ignore_client_abort: its answer says when the cached state is outdated.
 */

static void
ngx_http_ampersand_ignore_abort(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx)
{
    if (ctx->writes == 0 || r != r->main) {
        return;
    }

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_request_empty_handler;
}


void
ngx_http_ampersand_written(ngx_http_request_t *r, ngx_http_ampersand_ctx_t *ctx)
{
    uint32_t                         families;
    ngx_http_ampersand_main_conf_t  *amcf;

    if (ctx->writes == 0) {
        return;
    }

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);

    families = ctx->writes;
    ctx->writes = 0;

    ngx_ampersand_cache_invalidate(&amcf->invalidator,
                                amp_tenant_field(ctx->record.tenant,
                                             ctx->record.tenant->project_id),
                                families);
}


/* As ngx_http_limit_req_handler() does. */

ngx_int_t
ngx_http_ampersand_suspend(ngx_http_request_t *r)
{
    if (r->connection->read->ready) {
        ngx_post_event(r->connection->read, &ngx_posted_events);

    } else if (ngx_handle_read_event(r->connection->read, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    r->read_event_handler = ngx_http_test_reading;

    return NGX_AGAIN;
}
