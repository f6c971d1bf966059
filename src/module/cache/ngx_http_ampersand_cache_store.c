#include "request/ngx_http_ampersand.h"
#include "amp_escape.h"


/*
 * What is stored, for how long, and what an answer says of it.
 *
 * Only a 200 of what the table calls cacheable is stored, and a 404 where
 * "ampersand_cache_ttl 404" gives it a time.  An upstream that says nothing of
 * lifetimes leaves them to the configuration, then the table; a 404 never lives
 * longer than configured.
 *
 * Cache-Status (RFC 9211) by what nginx found:
 *
 *   HIT                               hit
 *   HIT, after another's upstream     fwd=miss; collapsed
 *   STALE, UPDATING                   hit, with a negative ttl
 *   STALE, after upstream failed      fwd=stale; fwd-status=<its status, if any>
 *   REVALIDATED                       fwd=stale; fwd-status=304
 *   EXPIRED                           fwd=stale
 *   MISS                              fwd=miss, fwd=vary-miss
 *   BYPASS, by Cache-Control          fwd=request
 *   never cached                      fwd=bypass, fwd=method
 *
 * and "stored" where it will be, and "ttl" where anything is.  The gateway's own
 * refusals and nginx's errors are no cache's answers and say nothing (RFC 9211,
 * 2).
 */


static time_t ngx_http_ampersand_lifetime(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);
static ngx_int_t ngx_http_ampersand_vary(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);
static ngx_int_t ngx_http_ampersand_vary_names(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, ngx_str_t *names);
static void ngx_http_ampersand_forget(ngx_http_request_t *r);
static u_char *ngx_http_ampersand_cache_status(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, u_char *p);
static const char *ngx_http_ampersand_forwarded(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);
static time_t ngx_http_ampersand_age(ngx_http_request_t *r);


void
ngx_http_ampersand_cache_store(ngx_http_request_t *r, ngx_http_ampersand_ctx_t *ctx)
{
    time_t                valid;
    ngx_uint_t            status;
    ngx_http_upstream_t  *u;

    u = r->upstream;

    if (r->cached || u == NULL || r->cache == NULL || r->err_status
        || ctx->state != NGX_HTTP_AMPERSAND_PASSED)
    {
        return;
    }

    status = u->headers_in.status_n;

    if (u->cacheable) {
        valid = ngx_http_ampersand_lifetime(r, ctx);

        if (valid && ngx_http_ampersand_vary(r, ctx) == NGX_OK) {
            r->cache->valid_sec = valid;
            return;
        }
    }

    u->cacheable = 0;

    if (status >= NGX_HTTP_OK && status < NGX_HTTP_INTERNAL_SERVER_ERROR
        && status != NGX_HTTP_TOO_MANY_REQUESTS)
    {
        ngx_http_ampersand_cache_lock_unshared(r);
        ngx_http_ampersand_forget(r);
    }
}


/* Until when it is fresh; 0: not to be stored. */

static time_t
ngx_http_ampersand_lifetime(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx)
{
    time_t                          valid, most;
    ngx_http_ampersand_loc_conf_t  *alcf;

    valid = r->cache->valid_sec;

    if (ctx->ttl == 0) {
        return 0;
    }

    switch (r->upstream->headers_in.status_n) {

    case NGX_HTTP_OK:
        return valid ? valid : ngx_time() + (time_t) ctx->ttl;

    case NGX_HTTP_NOT_FOUND:
        alcf = ngx_http_get_module_loc_conf(r, ngx_http_ampersand_module);

        if (alcf->ttl_missing == 0) {
            return 0;
        }

        most = ngx_time() + alcf->ttl_missing;

        return (valid && valid < most) ? valid : most;

    default:

        /* a lifetime that upstream gave its errors would have them stored */

        return 0;
    }
}


/*
 * nginx finds a variant by the client's headers and stores it by those that
 * went upstream.  What upstream did not see (Origin, X-Api-Key) made no
 * difference to its answer, so it is left out; and nginx before 1.23.0 knows
 * the last Vary line only.  NGX_DECLINED: not to be stored.
 */

static ngx_int_t
ngx_http_ampersand_vary(ngx_http_request_t *r, ngx_http_ampersand_ctx_t *ctx)
{
    ngx_table_elt_t            *h;
    ngx_http_ampersand_walk_t   walk;

    if (r->upstream->conf->ignore_headers & NGX_HTTP_UPSTREAM_IGN_VARY) {
        return NGX_OK;
    }

    ngx_str_null(&r->cache->vary);

    walk.part = &r->upstream->headers_in.headers.part;
    walk.i = 0;

    while ((h = ngx_http_ampersand_next(&walk)) != NULL) {
        if (ngx_http_ampersand_is(h, "vary")
            && ngx_http_ampersand_vary_names(r, ctx, &h->value) != NGX_OK)
        {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


/* Adds those of one line. */

static ngx_int_t
ngx_http_ampersand_vary_names(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, ngx_str_t *names)
{
    ngx_str_t   rest, *vary;
    amp_span_t  name;

    vary = &r->cache->vary;
    rest = *names;

    while ((name = ngx_http_ampersand_next_word(&rest)).len) {

        if (amp_span_eq(name, amp_span("*"))) {
            return NGX_DECLINED;
        }

        if (!ngx_http_ampersand_headers_sent(ctx, name)) {
            continue;
        }

        if (vary->len + 1 + name.len > NGX_HTTP_CACHE_VARY_LEN) {
            return NGX_DECLINED;
        }

        if (vary->data == NULL) {
            vary->data = ngx_pnalloc(r->pool, NGX_HTTP_CACHE_VARY_LEN);
            if (vary->data == NULL) {
                return NGX_DECLINED;
            }
        }

        if (vary->len) {
            vary->data[vary->len++] = ',';
        }

        ngx_memcpy(vary->data + vary->len, name.data, name.len);
        vary->len += name.len;
    }

    return NGX_OK;
}


/*
 * The answer is final and is not stored (404, 401, no-store): without this,
 * proxy_cache_use_stale would serve the expired entry for as long as somebody
 * asks for it, each background refresh leaving it where it is.
 */

static void
ngx_http_ampersand_forget(ngx_http_request_t *r)
{
    ngx_uint_t                    known;
    ngx_http_cache_t             *c;
    ngx_http_file_cache_node_t   *node;

    c = r->cache;

    /* of what was not looked up nginx knows it only when it stores, see there */

    if (r->upstream->cache_status == NGX_HTTP_CACHE_BYPASS
        && ngx_http_file_cache_create(r) != NGX_OK)
    {
        return;
    }

    node = c->node;

    /* no lock for what is not there: what comes now may as well come later */

    if (node == NULL || !node->exists || c->file.name.len == 0) {
        return;
    }

    ngx_shmtx_lock(&c->file_cache->shpool->mutex);

    known = node->exists;

    if (known) {
        c->file_cache->sh->size -= node->fs_size;
        node->fs_size = 0;
        node->exists = 0;
    }

    ngx_shmtx_unlock(&c->file_cache->shpool->mutex);

    if (known) {
        (void) ngx_delete_file(c->file.name.data);
    }
}


ngx_int_t
ngx_http_ampersand_cache_store_headers(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx)
{
    ngx_str_t         found, status, age;
    ngx_uint_t        n;
    static ngx_str_t  bypass = ngx_string("BYPASS");

    n = r->upstream->cache_status;
    found = n ? ngx_http_cache_status[n - 1] : bypass;

    status.data = ctx->text;
    age.data = ngx_http_ampersand_cache_status(r, ctx, status.data);
    status.len = age.data - status.data;
    age.len = amp_decimal(age.data, ngx_http_ampersand_age(r)) - age.data;

    if (ngx_http_ampersand_header(r, "X-Cache-Status", &found) != NGX_OK
        || ngx_http_ampersand_header(r, "Cache-Status", &status) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_ampersand_header(r, "Age", &age);
}


/* Writes it at p, answers its end. */

static u_char *
ngx_http_ampersand_cache_status(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, u_char *p)
{
    time_t                ttl;
    const char           *forwarded;
    ngx_http_upstream_t  *u;

    u = r->upstream;
    forwarded = ngx_http_ampersand_forwarded(r, ctx);

    if (forwarded == NULL) {
        p = ngx_cpymem(p, "ampersand; hit", sizeof("ampersand; hit") - 1);

    } else {
        p = ngx_cpymem(p, "ampersand; fwd=", sizeof("ampersand; fwd=") - 1);
        p = ngx_cpymem(p, forwarded, ngx_strlen(forwarded));

        if (!r->cached) {
            if (u->cacheable && r->cache && r->cache->valid_sec) {
                p = ngx_cpymem(p, "; stored", sizeof("; stored") - 1);
            }

        } else if (!ctx->key_used) {
            p = ngx_cpymem(p, "; collapsed", sizeof("; collapsed") - 1);

        } else if (u->state && u->state->status) {
            p = ngx_sprintf(p, "; fwd-status=%ui", u->state->status);
        }
    }

    if (r->cache && r->cache->valid_sec && (r->cached || u->cacheable)) {
        ttl = r->cache->valid_sec - ngx_time();
        p = ngx_cpymem(p, "; ttl=", sizeof("; ttl=") - 1);

        if (ttl < 0) {
            *p++ = '-';
            ttl = -ttl;
        }

        p = amp_decimal(p, ttl);
    }

    return p;
}


/* Why upstream was asked; NULL: it was not. */

static const char *
ngx_http_ampersand_forwarded(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx)
{
    if (r->cached) {
        return ctx->key_used ? "stale" : r->cache->wait_time ? "miss" : NULL;
    }

    switch (r->upstream->cache_status) {

    case NGX_HTTP_CACHE_MISS:
        return r->cache->secondary ? "vary-miss" : "miss";

    case NGX_HTTP_CACHE_EXPIRED:
        return "stale";

    case NGX_HTTP_CACHE_BYPASS:
        return "request";

    default:
        if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
            return "method";
        }

        return ctx->headers.no_store ? "request" : "bypass";
    }
}


/* RFC 9111, 4.2.3, and what it was old when it came. */

static time_t
ngx_http_ampersand_age(ngx_http_request_t *r)
{
    time_t                      age;
    ngx_int_t                   n;
    ngx_table_elt_t            *h;
    ngx_http_ampersand_walk_t   walk;

    age = 0;

    if (r->cached && r->cache) {
        age = ngx_max(ngx_time() - r->cache->date, 0);
    }

    walk.part = &r->upstream->headers_in.headers.part;
    walk.i = 0;

    while ((h = ngx_http_ampersand_next(&walk)) != NULL) {
        if (ngx_http_ampersand_is(h, "age")) {
            n = ngx_atoi(h->value.data, h->value.len);
            age += (n > 0 && n < NGX_MAX_INT32_VALUE) ? n : 0;
            break;
        }
    }

    return age;
}
