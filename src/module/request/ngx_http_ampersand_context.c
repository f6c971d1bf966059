#include "ngx_http_ampersand_context.h"
#include "amp_lifetime.h"


ngx_str_t  ngx_http_ampersand_sources[NGX_HTTP_AMPERSAND_SOURCES] = {
    ngx_string("gateway"),
    ngx_string("upstream"),
    ngx_string("cache")
};


static ngx_http_ampersand_ctx_t *ngx_http_ampersand_context_refreshed(
    ngx_http_request_t *r);
static ngx_http_ampersand_ctx_t *ngx_http_ampersand_context_dropped(
    ngx_http_request_t *r);
static ngx_http_ampersand_ctx_t *ngx_http_ampersand_context_create(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_ampersand_context_read(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);
static ngx_int_t ngx_http_ampersand_context_token(
    ngx_http_ampersand_ctx_t *ctx);
static void ngx_http_ampersand_context_id(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);
static void ngx_http_ampersand_context_leave(void *data);


ngx_http_ampersand_ctx_t *
ngx_http_ampersand_known(ngx_http_request_t *r)
{
    ngx_http_ampersand_ctx_t  *ctx;

    ctx = ngx_http_ampersand_ctx(r);

    return ctx ? ctx : ngx_http_ampersand_context_dropped(r);
}


ngx_http_ampersand_ctx_t *
ngx_http_ampersand_context(ngx_http_request_t *r)
{
    ngx_http_ampersand_ctx_t  *ctx;

    ctx = ngx_http_ampersand_ctx(r);

    if (ctx) {
        return ctx;
    }

    r = r->main;
    ctx = ngx_http_ampersand_context_dropped(r);

    if (ctx) {
        ngx_http_ampersand_context_leave(ctx);

        if (ctx->state != NGX_HTTP_AMPERSAND_DENIED) {
            ctx->state = NGX_HTTP_AMPERSAND_LEFT;
        }

        ngx_http_set_ctx(r, ctx, ngx_http_ampersand_module);

        return ctx;
    }

    ctx = ngx_http_ampersand_context_create(r);

    if (ctx == NULL || ngx_http_ampersand_context_read(r, ctx) != NGX_OK) {
        return NULL;
    }

    return ctx;
}


ngx_http_ampersand_ctx_t *
ngx_http_ampersand_context_next(ngx_http_request_t *r)
{
    ngx_http_ampersand_ctx_t  *ctx, *dropped;

    dropped = ngx_http_ampersand_context_dropped(r);

    if (dropped == NULL) {
        return ngx_http_ampersand_context(r);
    }

    ngx_http_ampersand_context_leave(dropped);

    ctx = ngx_http_ampersand_context_create(r);
    if (ctx == NULL) {
        return NULL;
    }

    ctx->headers = dropped->headers;
    ctx->times = dropped->times;
    ctx->request_id = dropped->request_id;
    ctx->trace = dropped->trace;
    ctx->traced = dropped->traced;
    ctx->policy.tracestate = dropped->policy.tracestate;
    ctx->limited = dropped->limited;
    ctx->unknown = dropped->unknown;

    /* what was looked up there may have been an identity */

    return ngx_http_ampersand_context_token(ctx) == NGX_OK ? ctx : NULL;
}


ngx_http_ampersand_ctx_t *
ngx_http_ampersand_passed(ngx_http_request_t *r)
{
    ngx_http_ampersand_ctx_t  *ctx;

    if (r != r->main) {
        return ngx_http_ampersand_context_refreshed(r);
    }

    ctx = ngx_http_ampersand_ctx(r);

    return ctx && ctx->state == NGX_HTTP_AMPERSAND_PASSED ? ctx : NULL;
}


/*
 * A refresh is a clone in the background of a main request that passed in the
 * same location and found a stale answer; after an internal redirect the main
 * request has no cache entry any more.
 */

static ngx_http_ampersand_ctx_t *
ngx_http_ampersand_context_refreshed(ngx_http_request_t *r)
{
    ngx_http_cache_t          *c;
    ngx_http_cleanup_t        *cln;
    ngx_http_ampersand_ctx_t  *ctx;

    if (!r->background || r->parent != r->main) {
        return NULL;
    }

    c = r->main->cache;

    for (cln = r->main->cleanup; cln; cln = cln->next) {
        ctx = cln->data;

        if (cln->handler == ngx_http_ampersand_context_leave
            && ctx->passed == r->loc_conf)
        {
            return (c ? c->background : ctx != ngx_http_ampersand_ctx(r))
                   ? ctx : NULL;
        }
    }

    return NULL;
}


/* The newest one that nginx has dropped: the cleanup is still the request's. */

static ngx_http_ampersand_ctx_t *
ngx_http_ampersand_context_dropped(ngx_http_request_t *r)
{
    ngx_http_cleanup_t  *cln;

    for (cln = r->main->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_ampersand_context_leave) {
            return cln->data;
        }
    }

    return NULL;
}


static ngx_http_ampersand_ctx_t *
ngx_http_ampersand_context_create(ngx_http_request_t *r)
{
    ngx_http_cleanup_t        *cln;
    ngx_http_ampersand_ctx_t  *ctx;

    cln = ngx_http_cleanup_add(r, 0);
    ctx = ngx_pcalloc(r->pool, sizeof(*ctx));

    if (cln == NULL || ctx == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_ampersand_context_leave;
    cln->data = ctx;

    ctx->limited = &ctx->charge;
    ctx->resolve.record = &ctx->record;
    ctx->cache_wait.times = &ctx->times;

    ngx_http_set_ctx(r, ctx, ngx_http_ampersand_module);

    return ctx;
}


static ngx_int_t
ngx_http_ampersand_context_read(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx)
{
    ngx_ampersand_times_begin(&ctx->times);

    if (ngx_http_ampersand_headers_read(r, &ctx->headers) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_ampersand_context_token(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_ampersand_context_id(r, ctx);

    return NGX_OK;
}


static ngx_int_t
ngx_http_ampersand_context_token(ngx_http_ampersand_ctx_t *ctx)
{
    if (ctx->headers.credential != AMP_OK) {
        return NGX_OK;
    }

    ctx->resolve.token = ctx->headers.token;

    return amp_token_digest(ngx_ampersand_span(ctx->resolve.token),
                            ctx->resolve.digest)
           == 0 ? NGX_OK : NGX_ERROR;
}


/* The client's own where it can stand in a log and a header; else a new one. */

static void
ngx_http_ampersand_context_id(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx)
{
    size_t                           i;
    u_char                           c, *next;
    ngx_str_t                       *id;
    ngx_http_ampersand_main_conf_t  *amcf;

    id = &ctx->headers.request_id;

    for (i = 0; i < id->len; i++) {
        c = id->data[i];

        if ((c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9')
            && ngx_strchr("-_.:#/+=@", c) == NULL)
        {
            break;
        }
    }

    if (i == id->len && i > 0 && i <= NGX_HTTP_AMPERSAND_ID_MAX
        && !amp_token_valid(ngx_ampersand_span(*id)))
    {
        ctx->request_id = *id;
        return;
    }

    /* unique, not secret: this worker's start and a count, in hex */

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);
    next = amcf->worker->id;

    if (next[0] == 0) {
        (void) ngx_sprintf(next, "%08xD%08xD%016xL", (uint32_t) ngx_random(),
                           (uint32_t) ngx_pid ^ (uint32_t) ngx_random() << 8,
                           (uint64_t) ngx_time() << 24);
    }

    for (i = NGX_HTTP_AMPERSAND_ID - 1; next[i] == 'f'; i--) {
        next[i] = '0';
    }

    next[i] = (u_char) (next[i] == '9' ? 'a' : next[i] + 1);

    ngx_memcpy(ctx->id, next, NGX_HTTP_AMPERSAND_ID);
    ctx->request_id.data = ctx->id;
    ctx->request_id.len = NGX_HTTP_AMPERSAND_ID;
}


/* Ends what the request waits for: at a redirect, and at its end. */

static void
ngx_http_ampersand_context_leave(void *data)
{
    ngx_http_ampersand_ctx_t *ctx = data;

    ngx_http_ampersand_cache_lock_leave(&ctx->cache_wait);
    ngx_http_ampersand_lease_wait_leave(&ctx->limited->wait);
}


void
ngx_http_ampersand_terms(ngx_http_request_t *r, ngx_http_ampersand_ctx_t *ctx,
    ngx_http_ampersand_cache_terms_t *terms)
{
    ngx_http_ampersand_loc_conf_t  *alcf;

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_ampersand_module);

    terms->ttl = ctx->ttl;
    terms->ttl_missing = alcf->ttl_missing;
    terms->stale = amp_lifetime_polled(ctx->op) ? 0 : alcf->stale;
    terms->stale_error = alcf->stale_error;
    terms->headers = &ctx->policy;
}
