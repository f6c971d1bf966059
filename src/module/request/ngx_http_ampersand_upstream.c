#include "ngx_http_ampersand_upstream.h"
#include "zone/ngx_ampersand_usage.h"


#define NGX_HTTP_AMPERSAND_READ_TIMEOUT  60000  /* of proxy_read_timeout      */


static ngx_int_t ngx_http_ampersand_upstream_limited(
    ngx_http_ampersand_upstream_t *up);
static void ngx_http_ampersand_upstream_hook(ngx_http_ampersand_upstream_t *up);
static ngx_int_t ngx_http_ampersand_upstream_header(ngx_http_request_t *r);
static ngx_int_t ngx_http_ampersand_upstream_reinit(ngx_http_request_t *r);
static void ngx_http_ampersand_upstream_finalize(ngx_http_request_t *r,
    ngx_int_t rc);
static void ngx_http_ampersand_upstream_wipe(void *data);


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


ngx_http_ampersand_upstream_t *
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


/*
 * nginx sets u->process_header anew in u->reinit_request (before the next
 * server is tried, and before an answer from the cache is sent in place of
 * upstream's) and after the status line.
 */

static void
ngx_http_ampersand_upstream_hook(ngx_http_ampersand_upstream_t *up)
{
    ngx_http_upstream_t  *u;

    u = up->upstream;

    up->finalize = u->finalize_request;
    u->finalize_request = ngx_http_ampersand_upstream_finalize;

    up->answer.shared = (up->ctx->ttl
                         && up->ctx->op->class == AMP_CLASS_CATALOG);
    up->answer.process_header = u->process_header;
    u->process_header = ngx_http_ampersand_upstream_header;

    up->answer.reinit_request = u->reinit_request;
    u->reinit_request = ngx_http_ampersand_upstream_reinit;
}


/*
 * nginx has one configuration for all requests of the location, so a worker
 * makes a copy for each class.
 */

ngx_int_t
ngx_http_ampersand_upstream_conf(ngx_http_ampersand_upstream_t *up)
{
    ngx_uint_t                       class, serves;
    ngx_http_upstream_t             *u;
    ngx_http_upstream_conf_t       **conf;
    ngx_http_ampersand_loc_conf_t   *alcf;

    u = up->upstream;
    serves = ngx_http_ampersand_cache_serves_errors(up->request);

    class = (u->conf->read_timeout == NGX_HTTP_AMPERSAND_READ_TIMEOUT)
            ? (ngx_uint_t) up->ctx->op->class : AMP_CLASS_COUNT;

    if (class == AMP_CLASS_COUNT && serves) {
        return NGX_OK;
    }

    alcf = ngx_http_get_module_loc_conf(up->request, ngx_http_ampersand_module);
    conf = &alcf->confs[class][serves];

    if (*conf == NULL) {
        *conf = ngx_palloc(ngx_cycle->pool, sizeof(**conf));
        if (*conf == NULL) {
            return NGX_ERROR;
        }

        **conf = *u->conf;

        if (class != AMP_CLASS_COUNT) {
            (*conf)->read_timeout = amp_class_timeout(class);
        }

        if (!serves) {
            (*conf)->cache_use_stale = NGX_CONF_BITMASK_SET
                                       |NGX_HTTP_UPSTREAM_FT_OFF;
        }
    }

    u->conf = *conf;

    return NGX_OK;
}


static ngx_int_t
ngx_http_ampersand_upstream_header(ngx_http_request_t *r)
{
    ngx_int_t                          rc;
    ngx_http_ampersand_upstream_t     *up;
    ngx_http_ampersand_cache_terms_t   terms;

    up = ngx_http_ampersand_upstream(r);
    rc = ngx_http_ampersand_answer_header(r, &up->answer);

    if (rc == NGX_OK && !r->cached) {
        ngx_http_ampersand_breaker_answered(r, &up->breaker,
                                            r->upstream->headers_in.status_n);
    }

    if (rc == NGX_OK && r->upstream->conf->cache_revalidate) {
        ngx_http_ampersand_terms(r, up->ctx, &terms);
        ngx_http_ampersand_cache_validated(r, &terms);
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


/* nginx's upstream request ends. */

static void
ngx_http_ampersand_upstream_finalize(ngx_http_request_t *r, ngx_int_t rc)
{
    ngx_uint_t                       failed;
    ngx_http_ampersand_upstream_t   *up;
    ngx_http_ampersand_main_conf_t  *amcf;

    up = ngx_http_ampersand_upstream(r);

    up->finalize(r, rc);

    ngx_http_ampersand_cache_memory_stored(r);
    ngx_http_ampersand_upstream_wipe(up);

    /* without an answer: nginx ends with an error, or with a stale answer */

    failed = (rc == NGX_HTTP_BAD_GATEWAY || rc == NGX_HTTP_GATEWAY_TIME_OUT
              || up->lost || r->cached);

    ngx_http_ampersand_breaker_ended(r, &up->breaker, failed);

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);

    /* one that waits for a lease goes on */

    if (r == r->main && up->limited->wait.request == NULL) {
        ngx_http_ampersand_cache_lock_result(&up->ctx->cache_wait, r,
                       amcf->zone,
                       up->state == NGX_HTTP_AMPERSAND_UPSTREAM_ANSWERED
                       && r->upstream->cacheable && rc == NGX_OK,
                       failed ? (ngx_uint_t) rc
                              : r->upstream->headers_in.status_n);
    }

    if (!ngx_http_ampersand_upstream_sent(up)) {
        up->state = NGX_HTTP_AMPERSAND_UPSTREAM_UNSENT;
        return;
    }

    up->reached |= r->upstream->request_sent;

    if (up->reached) {
        ngx_ampersand_usage_upstream(amcf->metrics,
                                     amp_tenant_field(up->ctx->record.tenant,
                                                 up->ctx->record.tenant->id),
                                     amp_operation_index(up->ctx->op));
    }

    /* not answered: it may have been done, whatever error_page makes of it */

    if (up->state == NGX_HTTP_AMPERSAND_UPSTREAM_SENT && up->reached) {

        if (!(r->method & NGX_HTTP_AMPERSAND_IDEMPOTENT)) {
            up->ctx->unknown = 1;
        }

        ngx_http_ampersand_written(r, up->ctx);
    }

    up->state = NGX_HTTP_AMPERSAND_UPSTREAM_ENDED;

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
