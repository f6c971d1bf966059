#include "ngx_http_ampersand_send.h"
#include "ngx_http_ampersand_charge.h"
#include "ngx_http_ampersand_deny.h"
#include "ngx_http_ampersand_head.h"
#include "ngx_http_ampersand_upstream.h"
#include "ngx_ampersand_log.h"


extern ngx_module_t  ngx_http_proxy_module;


static ngx_int_t ngx_http_ampersand_send_init_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us);
static ngx_int_t ngx_http_ampersand_send_refused(
    ngx_http_ampersand_upstream_t *up);
static ngx_int_t ngx_http_ampersand_send_suspended(
    ngx_http_ampersand_upstream_t *up, time_t seconds);
static ngx_int_t ngx_http_ampersand_send_no_server(ngx_peer_connection_t *pc,
    void *data);
static ngx_http_upstream_init_peer_pt ngx_http_ampersand_send_next(
    ngx_http_request_t *r, ngx_http_upstream_srv_conf_t *us);
static ngx_uint_t ngx_http_ampersand_send_fits(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us);
static off_t ngx_http_ampersand_send_body(ngx_http_request_t *r);
static amp_reason_e ngx_http_ampersand_send_prepare(
    ngx_http_ampersand_upstream_t *up);
static void ngx_http_ampersand_send_replace(ngx_http_ampersand_upstream_t *up);
static void ngx_http_ampersand_send_wait(ngx_http_ampersand_upstream_t *up);
static void ngx_http_ampersand_send_refuse(ngx_http_ampersand_upstream_t *up,
    amp_reason_e reason);
static void ngx_http_ampersand_send_undo(ngx_http_request_t *r);
static void ngx_http_ampersand_send_ignore_abort(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);


ngx_int_t
ngx_http_ampersand_send_init(ngx_conf_t *cf)
{
    ngx_uint_t                       i;
    ngx_http_upstream_srv_conf_t   **us;
    ngx_http_ampersand_implicit_t   *implicit;
    ngx_http_ampersand_srv_conf_t   *ascf;
    ngx_http_upstream_main_conf_t   *umcf;
    ngx_http_ampersand_main_conf_t  *amcf;

    umcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_upstream_module);
    amcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ampersand_module);

    if (ngx_array_init(&amcf->implicit, cf->pool, 4, sizeof(*implicit))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    us = umcf->upstreams.elts;

    for (i = 0; i < umcf->upstreams.nelts; i++) {

        if (us[i]->srv_conf) {
            ascf = ngx_http_conf_upstream_srv_conf(us[i],
                                                   ngx_http_ampersand_module);
            ascf->init_peer = us[i]->peer.init;

        } else {

            /* "proxy_pass http://address" makes an upstream without a block */

            implicit = ngx_array_push(&amcf->implicit);
            if (implicit == NULL) {
                return NGX_ERROR;
            }

            implicit->upstream = us[i];
            implicit->init = us[i]->peer.init;
        }

        us[i]->peer.init = ngx_http_ampersand_send_init_peer;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_ampersand_send_init_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us)
{
    time_t                           wait;
    amp_reason_e                     reason;
    ngx_http_ampersand_ctx_t        *ctx;
    ngx_http_ampersand_loc_conf_t   *alcf;
    ngx_http_ampersand_upstream_t   *up;
    ngx_http_ampersand_main_conf_t  *amcf;
    ngx_http_upstream_init_peer_pt   next;

    next = ngx_http_ampersand_send_next(r, us);
    alcf = ngx_http_get_module_loc_conf(r, ngx_http_ampersand_module);

    if (alcf->api == NGX_HTTP_AMPERSAND_OFF) {
        return next(r, us);
    }

    ctx = ngx_http_ampersand_passed(r);

    if (ctx == NULL || !ngx_http_ampersand_send_fits(r, us)) {
        return NGX_ERROR;
    }

    up = ngx_http_ampersand_upstream_create(r, ctx);
    if (up == NULL) {
        return NGX_ERROR;
    }

    if (r == r->main) {
        ngx_http_ampersand_cache_lock_leave(&ctx->cache_wait);

        if (ctx->times.part != NGX_AMPERSAND_IN_GATEWAY) {
            ngx_ampersand_times_enter(&ctx->times, NGX_AMPERSAND_IN_GATEWAY);
        }
    }

    if (ctx->headers.only_if_cached) {
        ngx_http_ampersand_send_refuse(up, AMP_NOT_CACHED);
        return NGX_ERROR;
    }

    if (ngx_http_ampersand_upstream_conf(up) != NGX_OK) {
        return NGX_ERROR;
    }

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);

    if (r == r->main
        && ngx_http_ampersand_cache_lock_refused(&ctx->cache_wait, r,
                                                 amcf->zone))
    {
        return ngx_http_ampersand_send_refused(up);
    }

    wait = ngx_http_ampersand_breaker_admit(r, &up->breaker);

    if (wait) {
        return ngx_http_ampersand_send_suspended(up, wait);
    }

    reason = ngx_http_ampersand_send_prepare(up);

    if (reason != AMP_OK) {
        ngx_http_ampersand_send_refuse(up, reason);
        return NGX_ERROR;
    }

    if (up->state != NGX_HTTP_AMPERSAND_UPSTREAM_CHARGED) {
        ngx_http_ampersand_send_wait(up);
        return NGX_ERROR;
    }

    ngx_http_ampersand_send_replace(up);

    if (next(r, us) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_ampersand_peer(r, us, &up->peer, up->head.len);

    up->state = NGX_HTTP_AMPERSAND_UPSTREAM_SENT;
    ngx_http_ampersand_send_ignore_abort(r, ctx);

    if (r == r->main) {
        ngx_ampersand_times_enter(&ctx->times, NGX_AMPERSAND_IN_UPSTREAM);
    }

    return NGX_OK;
}


/* The request has waited, and seen enough failures of others. */

static ngx_int_t
ngx_http_ampersand_send_refused(ngx_http_ampersand_upstream_t *up)
{
    time_t  left;

    left = ngx_http_ampersand_breaker_left(up->request);

    if (left) {
        return ngx_http_ampersand_send_suspended(up, left);
    }

    ngx_http_ampersand_send_refuse(up,
                           amp_problem_by_status(up->ctx->cache_wait.refused));

    return NGX_ERROR;
}


/*
 * The host gets no request.  nginx is told that there is no server: it serves a
 * stale entry then, or does what error_page says of a 502; else the header
 * filter makes the problem of the 502.
 */

static ngx_int_t
ngx_http_ampersand_send_suspended(ngx_http_ampersand_upstream_t *up,
    time_t seconds)
{
    ngx_http_upstream_t  *u;

    u = up->upstream;
    up->suspended = seconds;

    u->peer.get = ngx_http_ampersand_send_no_server;
    u->peer.tries = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_ampersand_send_no_server(ngx_peer_connection_t *pc, void *data)
{
    (void) pc;
    (void) data;

    return NGX_DECLINED;
}


static ngx_http_upstream_init_peer_pt
ngx_http_ampersand_send_next(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us)
{
    ngx_http_ampersand_srv_conf_t   *ascf;
    ngx_http_ampersand_implicit_t   *implicit;
    ngx_http_ampersand_main_conf_t  *amcf;

    if (us->srv_conf) {
        ascf = ngx_http_conf_upstream_srv_conf(us, ngx_http_ampersand_module);
        return ascf->init_peer;
    }

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);

    implicit = amcf->implicit.elts;

    while (implicit->upstream != us) {
        implicit++;
    }

    return implicit->init;
}


/*
 * Is this what ampersand/proxy.conf makes?  The key goes to the configured
 * upstream{} only, with or without TLS as configured, by HTTP/1 (HTTP/2 is
 * another module's), with the client's method and body.
 */

static ngx_uint_t
ngx_http_ampersand_send_fits(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us)
{
    size_t                           len;
    ngx_str_t                       *method;
    ngx_uint_t                       level;
    const char                      *fault;
    ngx_http_upstream_t             *u;
    ngx_http_ampersand_loc_conf_t   *alcf;
    ngx_http_ampersand_main_conf_t  *amcf;

    u = r->upstream;
    fault = NULL;
    alcf = ngx_http_get_module_loc_conf(r, ngx_http_ampersand_module);

    if (us != alcf->target || u->schema.len != alcf->schema
        || u->output.tag != (ngx_buf_tag_t) &ngx_http_proxy_module)
    {
        fault = "it needs \"proxy_pass $ampersand_upstream$ampersand_uri;\" "
                "and \"proxy_http_version 1.1;\", include "
                "ampersand/proxy.conf";

    } else {
        method = u->method.len ? &u->method : &r->method_name;
        len = u->uri.data - u->request_bufs->buf->pos;

        if (len != method->len + 1
            || ngx_memcmp(u->request_bufs->buf->pos, method->data, method->len)
               != 0)
        {
            fault = "remove proxy_method from it";

        } else if (!r->request_body_no_buffering
                   && ngx_http_ampersand_send_body(r)
                      != ngx_max(r->headers_in.content_length_n, 0))
        {
            fault = "remove proxy_set_body and proxy_pass_request_body from it";
        }
    }

    if (fault == NULL) {
        return 1;
    }

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);

    level = ngx_ampersand_log_level(&amcf->worker->logged);

    ngx_log_error(level, r->connection->log, 0,
                  "ampersand: not sent: the location is not a gateway's: %s",
                  fault);

    return 0;
}


/* The length of the body that follows the head. */

static off_t
ngx_http_ampersand_send_body(ngx_http_request_t *r)
{
    off_t         size;
    ngx_chain_t  *cl;

    size = 0;

    for (cl = r->upstream->request_bufs->next; cl; cl = cl->next) {
        size += ngx_buf_size(cl->buf);
    }

    return size;
}


/* AMP_OK with the object CHARGED; or still KEYED: the request has to wait. */

static amp_reason_e
ngx_http_ampersand_send_prepare(ngx_http_ampersand_upstream_t *up)
{
    ngx_int_t                  rc;
    amp_reason_e               reason;
    ngx_http_request_t        *r;
    ngx_http_ampersand_ctx_t  *ctx;

    r = up->request;
    ctx = up->ctx;

    rc = ngx_http_ampersand_head(r, ctx, &up->head);

    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? AMP_BAD_HEADER : AMP_INTERNAL;
    }

    up->state = NGX_HTTP_AMPERSAND_UPSTREAM_COMPOSED;

    if (ngx_http_ampersand_head_key(r, ctx, &up->head, &up->key) != NGX_OK) {
        return AMP_NO_KEY;
    }

    up->state = NGX_HTTP_AMPERSAND_UPSTREAM_KEYED;

    reason = ngx_http_ampersand_charge(r, ctx, up->limited, 1);

    if (reason == AMP_OK && up->limited->wait.request == NULL) {
        up->state = NGX_HTTP_AMPERSAND_UPSTREAM_CHARGED;
    }

    return reason;
}


/* The head that nginx built has one buffer, the first of the request. */

static void
ngx_http_ampersand_send_replace(ngx_http_ampersand_upstream_t *up)
{
    ngx_buf_t  *b;

    b = up->upstream->request_bufs->buf;

    b->start = up->head.data;
    b->pos = b->start;
    b->last = b->start + up->head.len;
    b->end = b->last;
}


static void
ngx_http_ampersand_send_wait(ngx_http_ampersand_upstream_t *up)
{
    ngx_http_request_t  *r;

    r = up->request;

    ngx_http_ampersand_send_undo(r);

    up->state = NGX_HTTP_AMPERSAND_UPSTREAM_WAITING;

    if (r == r->main) {
        (void) ngx_http_ampersand_suspend(r);
        ngx_ampersand_times_enter(&up->ctx->times, NGX_AMPERSAND_IN_LEASE);
    }
}


static void
ngx_http_ampersand_send_refuse(ngx_http_ampersand_upstream_t *up,
    amp_reason_e reason)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = up->request;

    if (r != r->main) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "ampersand: no refresh: %s", amp_problem(reason)->name);
        return;
    }

    ngx_http_ampersand_send_undo(r);

    up->ctx->retry = up->limited->retry;

    rc = ngx_http_ampersand_deny(r, up->ctx, reason);

    if (rc != NGX_DONE) {
        ngx_http_finalize_request(r, rc);
    }
}


/*
 * Ends the upstream request as nginx does where another one takes its place
 * (ngx_http_upstream_create()): a peer.init that fails finds it ended, and
 * sends no answer.  u->cleanup() and the finalization after the NGX_ERROR of
 * peer.init each decrement main->count, so 2 is added first.
 */

static void
ngx_http_ampersand_send_undo(ngx_http_request_t *r)
{
    r->main->count += 2;
    (*r->upstream->cleanup)(r);

    r->upstream_states = NULL;
    r->write_event_handler = ngx_http_request_empty_handler;
}


/*
 * A write is not broken off when its client leaves, as with
 * proxy_ignore_client_abort: its answer says when the cached state is outdated.
 */

static void
ngx_http_ampersand_send_ignore_abort(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx)
{
    if (ctx->writes == 0 || r != r->main) {
        return;
    }

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_request_empty_handler;
}


ngx_int_t
ngx_http_ampersand_subrequest_handler(ngx_http_request_t *r)
{
    ngx_http_ampersand_loc_conf_t  *alcf;

    if (r == r->main) {
        return NGX_DECLINED;
    }

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_ampersand_module);

    if (alcf->api == NGX_HTTP_AMPERSAND_OFF) {
        return NGX_DECLINED;
    }

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "ampersand: refused: a subrequest to a gateway location");

    return NGX_HTTP_FORBIDDEN;
}
