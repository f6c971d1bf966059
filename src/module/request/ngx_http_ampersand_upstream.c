#include "ngx_http_ampersand_upstream.h"
#include "ngx_http_ampersand_charge.h"
#include "ngx_http_ampersand_deny.h"
#include "ngx_http_ampersand_head.h"
#include "ngx_ampersand_log.h"


#define NGX_HTTP_AMPERSAND_READ_TIMEOUT  60000  /* of proxy_read_timeout      */


extern ngx_module_t  ngx_http_proxy_module;


static ngx_int_t ngx_http_ampersand_init_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us);
static ngx_int_t ngx_http_ampersand_upstream_suspended(
    ngx_http_ampersand_upstream_t *up, time_t seconds);
static ngx_int_t ngx_http_ampersand_upstream_no_server(
    ngx_peer_connection_t *pc, void *data);
static ngx_http_upstream_init_peer_pt ngx_http_ampersand_next_init_peer(
    ngx_http_request_t *r, ngx_http_upstream_srv_conf_t *us);
static ngx_http_ampersand_upstream_t *ngx_http_ampersand_upstream_create(
    ngx_http_request_t *r, ngx_http_ampersand_ctx_t *ctx);
static ngx_int_t ngx_http_ampersand_upstream_limited(
    ngx_http_ampersand_upstream_t *up);
static void ngx_http_ampersand_upstream_hook(ngx_http_ampersand_upstream_t *up);
static ngx_int_t ngx_http_ampersand_upstream_time(
    ngx_http_ampersand_upstream_t *up);
static ngx_int_t ngx_http_ampersand_upstream_header(ngx_http_request_t *r);
static ngx_int_t ngx_http_ampersand_upstream_reinit(ngx_http_request_t *r);
static ngx_uint_t ngx_http_ampersand_upstream_fits(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us);
static off_t ngx_http_ampersand_upstream_body(ngx_http_request_t *r);
static amp_reason_e ngx_http_ampersand_upstream_prepare(
    ngx_http_ampersand_upstream_t *up);
static void ngx_http_ampersand_upstream_replace(
    ngx_http_ampersand_upstream_t *up);
static void ngx_http_ampersand_upstream_wait(ngx_http_ampersand_upstream_t *up);
static void ngx_http_ampersand_upstream_refuse(
    ngx_http_ampersand_upstream_t *up, amp_reason_e reason);
static void ngx_http_ampersand_upstream_undo(ngx_http_request_t *r);
static void ngx_http_ampersand_upstream_finalize(ngx_http_request_t *r,
    ngx_int_t rc);
static void ngx_http_ampersand_upstream_wipe(void *data);
static void ngx_http_ampersand_ignore_abort(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);


ngx_int_t
ngx_http_ampersand_upstream_init(ngx_conf_t *cf)
{
    ngx_uint_t                       i;
    ngx_http_ampersand_peer_t       *peer;
    ngx_http_upstream_srv_conf_t   **us;
    ngx_http_ampersand_srv_conf_t   *ascf;
    ngx_http_upstream_main_conf_t   *umcf;
    ngx_http_ampersand_main_conf_t  *amcf;

    umcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_upstream_module);
    amcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ampersand_module);

    if (ngx_array_init(&amcf->peers, cf->pool, 4, sizeof(*peer)) != NGX_OK) {
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

            peer = ngx_array_push(&amcf->peers);
            if (peer == NULL) {
                return NGX_ERROR;
            }

            peer->upstream = us[i];
            peer->init = us[i]->peer.init;
        }

        us[i]->peer.init = ngx_http_ampersand_init_peer;
    }

    return NGX_OK;
}


ngx_http_ampersand_upstream_t *
ngx_http_ampersand_upstream(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t             *cln;
    ngx_http_ampersand_upstream_t  *up;

    if (r->upstream == NULL) {
        return NULL;
    }

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        up = cln->data;

        if (cln->handler == ngx_http_ampersand_upstream_wipe
            && up->upstream == r->upstream)
        {
            return up;
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_ampersand_init_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us)
{
    time_t                           wait;
    amp_reason_e                     reason;
    ngx_http_ampersand_ctx_t        *ctx;
    ngx_http_ampersand_loc_conf_t   *alcf;
    ngx_http_ampersand_upstream_t   *up;
    ngx_http_upstream_init_peer_pt   next;

    next = ngx_http_ampersand_next_init_peer(r, us);
    alcf = ngx_http_get_module_loc_conf(r, ngx_http_ampersand_module);

    if (alcf->api == NGX_HTTP_AMPERSAND_OFF) {
        return next(r, us);
    }

    ctx = ngx_http_ampersand_passed(r);

    if (ctx == NULL || !ngx_http_ampersand_upstream_fits(r, us)) {
        return NGX_ERROR;
    }

    up = ngx_http_ampersand_upstream_create(r, ctx);
    if (up == NULL) {
        return NGX_ERROR;
    }

    if (r == r->main) {
        ngx_http_ampersand_cache_lock_leave(&ctx->cache_wait);
    }

    if (ctx->headers.only_if_cached) {
        ngx_http_ampersand_upstream_refuse(up, AMP_NOT_CACHED);
        return NGX_ERROR;
    }

    wait = ngx_http_ampersand_breaker_admit(r, &up->breaker);

    if (wait) {
        return ngx_http_ampersand_upstream_suspended(up, wait);
    }

    reason = ngx_http_ampersand_upstream_prepare(up);

    if (reason != AMP_OK) {
        ngx_http_ampersand_upstream_refuse(up, reason);
        return NGX_ERROR;
    }

    if (up->state != NGX_HTTP_AMPERSAND_UPSTREAM_CHARGED) {
        ngx_http_ampersand_upstream_wait(up);
        return NGX_ERROR;
    }

    ngx_http_ampersand_upstream_replace(up);

    if (ngx_http_ampersand_upstream_time(up) != NGX_OK
        || next(r, us) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_ampersand_peer(r, us, &up->peer);

    up->state = NGX_HTTP_AMPERSAND_UPSTREAM_SENT;
    ngx_http_ampersand_ignore_abort(r, ctx);

    return NGX_OK;
}


/*
 * The host gets no request.  nginx is told that there is no server: it serves a
 * stale entry then, or does what error_page says of a 502; else the header
 * filter makes the problem of the 502.
 */

static ngx_int_t
ngx_http_ampersand_upstream_suspended(ngx_http_ampersand_upstream_t *up,
    time_t seconds)
{
    ngx_http_upstream_t  *u;

    u = up->upstream;
    up->suspended = seconds;

    u->peer.get = ngx_http_ampersand_upstream_no_server;
    u->peer.tries = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_ampersand_upstream_no_server(ngx_peer_connection_t *pc, void *data)
{
    (void) pc;
    (void) data;

    return NGX_DECLINED;
}


static ngx_http_upstream_init_peer_pt
ngx_http_ampersand_next_init_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us)
{
    ngx_http_ampersand_peer_t       *peer;
    ngx_http_ampersand_srv_conf_t   *ascf;
    ngx_http_ampersand_main_conf_t  *amcf;

    if (us->srv_conf) {
        ascf = ngx_http_conf_upstream_srv_conf(us, ngx_http_ampersand_module);
        return ascf->init_peer;
    }

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);

    for (peer = amcf->peers.elts; peer->upstream != us; peer++) { /* void */ }

    return peer->init;
}


/* A new object, or the one that has waited. */

static ngx_http_ampersand_upstream_t *
ngx_http_ampersand_upstream_create(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx)
{
    ngx_pool_cleanup_t             *cln;
    ngx_http_ampersand_upstream_t  *up;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        up = cln->data;

        if (cln->handler == ngx_http_ampersand_upstream_wipe
            && up->request == r && up->ctx == ctx
            && up->state == NGX_HTTP_AMPERSAND_UPSTREAM_WAITING)
        {
            up->state = NGX_HTTP_AMPERSAND_UPSTREAM_NEW;
            up->upstream = r->upstream;
            ngx_http_ampersand_upstream_hook(up);

            return up;
        }
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(*up));
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_ampersand_upstream_wipe;

    up = cln->data;
    ngx_memzero(up, sizeof(*up));

    up->request = r;
    up->upstream = r->upstream;
    up->ctx = ctx;

    if (ngx_http_ampersand_upstream_limited(up) != NGX_OK) {
        return NULL;
    }

    ngx_http_ampersand_upstream_hook(up);

    return up;
}


/*
 * A refresh is charged for itself, unless its client request was: with
 * ampersand_limit_hits.
 */

static ngx_int_t
ngx_http_ampersand_upstream_limited(ngx_http_ampersand_upstream_t *up)
{
    up->limited = up->ctx->limited;

    if (up->request != up->request->main && !up->limited->charged) {
        up->limited = ngx_pcalloc(up->request->pool, sizeof(*up->limited));
    }

    return up->limited ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_ampersand_upstream_hook(ngx_http_ampersand_upstream_t *up)
{
    ngx_http_upstream_t  *u;

    u = up->upstream;

    up->finalize = u->finalize_request;
    u->finalize_request = ngx_http_ampersand_upstream_finalize;

    up->answer.process_header = u->process_header;
    u->process_header = ngx_http_ampersand_upstream_header;

    up->answer.reinit_request = u->reinit_request;
    u->reinit_request = ngx_http_ampersand_upstream_reinit;
}


/*
 * The time-out of the operation's class, unless proxy_read_timeout is another
 * than nginx's default.  nginx has one configuration for all requests of the
 * location, so a worker makes a copy for each class.
 */

static ngx_int_t
ngx_http_ampersand_upstream_time(ngx_http_ampersand_upstream_t *up)
{
    ngx_http_upstream_t             *u;
    ngx_http_upstream_conf_t       **timed;
    ngx_http_ampersand_loc_conf_t   *alcf;

    u = up->upstream;

    if (u->conf->read_timeout != NGX_HTTP_AMPERSAND_READ_TIMEOUT) {
        return NGX_OK;
    }

    alcf = ngx_http_get_module_loc_conf(up->request, ngx_http_ampersand_module);
    timed = &alcf->timed[up->ctx->op->class];

    if (*timed == NULL) {
        *timed = ngx_palloc(ngx_cycle->pool, sizeof(**timed));
        if (*timed == NULL) {
            return NGX_ERROR;
        }

        **timed = *u->conf;
        (*timed)->read_timeout = amp_class_timeout(up->ctx->op->class);
    }

    u->conf = *timed;

    return NGX_OK;
}


static ngx_int_t
ngx_http_ampersand_upstream_header(ngx_http_request_t *r)
{
    ngx_int_t                       rc;
    ngx_http_ampersand_upstream_t  *up;

    up = ngx_http_ampersand_upstream(r);
    rc = ngx_http_ampersand_answer_header(r, &up->answer);

    if (rc == NGX_OK && !r->cached) {
        ngx_http_ampersand_breaker_answered(r, &up->breaker,
                                            r->upstream->headers_in.status_n);
    }

    return rc;
}


/*
 * Before a request that was sent is tried once more, and before a stale answer
 * is sent.  One such try is allowed, of an idempotent request, or of any with
 * "proxy_next_upstream non_idempotent".  nginx does not know that other methods
 * than POST and PATCH are not idempotent either.
 */

static ngx_int_t
ngx_http_ampersand_upstream_reinit(ngx_http_request_t *r)
{
    ngx_int_t                       rc;
    ngx_http_upstream_state_t      *state;
    ngx_http_ampersand_upstream_t  *up;

    up = ngx_http_ampersand_upstream(r);

    up->reached |= r->upstream->request_sent;

    if (!(r->method & NGX_HTTP_AMPERSAND_IDEMPOTENT)
        && !(r->upstream->conf->next_upstream
             & NGX_HTTP_UPSTREAM_FT_NON_IDEMPOTENT))
    {
        /* the last but one: nginx has made one for the next try */

        state = r->upstream_states->elts;
        up->lost = state[r->upstream_states->nelts - 2].status;

        return NGX_ERROR;
    }

    r->upstream->peer.tries = ngx_min(r->upstream->peer.tries, 1);

    rc = up->answer.reinit_request(r);

    up->answer.process_header = r->upstream->process_header;
    r->upstream->process_header = ngx_http_ampersand_upstream_header;

    return rc;
}


/*
 * Is this what ampersand/proxy.conf makes?  The key goes to the configured
 * upstream{} only, with or without TLS as configured, by HTTP/1 (HTTP/2 is
 * another module's), with the client's method and body.
 */

static ngx_uint_t
ngx_http_ampersand_upstream_fits(ngx_http_request_t *r,
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
                   && ngx_http_ampersand_upstream_body(r)
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
ngx_http_ampersand_upstream_body(ngx_http_request_t *r)
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
ngx_http_ampersand_upstream_prepare(ngx_http_ampersand_upstream_t *up)
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

    reason = ngx_http_ampersand_charge(r, ctx, up->limited);

    if (reason == AMP_OK && up->limited->wait.request == NULL) {
        up->state = NGX_HTTP_AMPERSAND_UPSTREAM_CHARGED;
    }

    return reason;
}


/* The head that nginx built has one buffer, the first of the request. */

static void
ngx_http_ampersand_upstream_replace(ngx_http_ampersand_upstream_t *up)
{
    ngx_buf_t  *b;

    b = up->upstream->request_bufs->buf;

    b->start = up->head.data;
    b->pos = b->start;
    b->last = b->start + up->head.len;
    b->end = b->last;
}


static void
ngx_http_ampersand_upstream_wait(ngx_http_ampersand_upstream_t *up)
{
    ngx_http_request_t  *r;

    r = up->request;

    ngx_http_ampersand_upstream_undo(r);

    up->state = NGX_HTTP_AMPERSAND_UPSTREAM_WAITING;

    if (r == r->main) {
        (void) ngx_http_ampersand_suspend(r);
    }
}


static void
ngx_http_ampersand_upstream_refuse(ngx_http_ampersand_upstream_t *up,
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

    ngx_http_ampersand_upstream_undo(r);

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
ngx_http_ampersand_upstream_undo(ngx_http_request_t *r)
{
    r->main->count += 2;
    (*r->upstream->cleanup)(r);

    r->upstream_states = NULL;
    r->write_event_handler = ngx_http_request_empty_handler;
}


/* nginx's upstream request ends. */

static void
ngx_http_ampersand_upstream_finalize(ngx_http_request_t *r, ngx_int_t rc)
{
    ngx_uint_t                       failed;
    ngx_http_ampersand_upstream_t   *up;
    ngx_http_ampersand_main_conf_t  *amcf;

    up = ngx_http_ampersand_upstream(r);

    up->finalize(r, rc);

    ngx_http_ampersand_upstream_wipe(up);

    /* without an answer: nginx ends with an error, or with a stale answer */

    failed = (rc == NGX_HTTP_BAD_GATEWAY || rc == NGX_HTTP_GATEWAY_TIME_OUT
              || up->lost || r->cached);

    ngx_http_ampersand_breaker_ended(r, &up->breaker, failed);

    if (!ngx_http_ampersand_upstream_sent(up)) {
        up->state = NGX_HTTP_AMPERSAND_UPSTREAM_UNSENT;
        return;
    }

    up->reached |= r->upstream->request_sent;

    /* not answered: it may have been done, whatever error_page makes of it */

    if (up->state == NGX_HTTP_AMPERSAND_UPSTREAM_SENT && up->reached) {

        if (!(r->method & NGX_HTTP_AMPERSAND_IDEMPOTENT)) {
            up->ctx->unknown = 1;
        }

        ngx_http_ampersand_written(r, up->ctx);
    }

    up->state = NGX_HTTP_AMPERSAND_UPSTREAM_ENDED;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);
    ngx_http_ampersand_cache_lock_ended(&amcf->worker->cache_lock);
}


/* Also the pool's cleanup, by which an object is found. */

static void
ngx_http_ampersand_upstream_wipe(void *data)
{
    ngx_http_ampersand_upstream_t *up = data;

    if (up->key.len) {
        ngx_explicit_memzero(up->key.data, up->key.len);
        up->key.len = 0;
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

    ngx_ampersand_cache_invalidate(&amcf->worker->invalidator,
                                amp_tenant_field(ctx->record.tenant,
                                             ctx->record.tenant->project_id),
                                families);
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
