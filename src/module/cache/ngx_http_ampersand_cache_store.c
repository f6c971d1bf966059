#include "ngx_http_ampersand_cache_store.h"
#include "ngx_http_ampersand_cache_lock.h"
#include "ngx_http_ampersand_header_list.h"
#include "amp_escape.h"


static time_t ngx_http_ampersand_cache_lifetime(ngx_http_request_t *r,
    const ngx_http_ampersand_cache_terms_t *terms);
static ngx_int_t ngx_http_ampersand_cache_vary(ngx_http_request_t *r,
    const amp_header_policy_t *policy);
static ngx_int_t ngx_http_ampersand_cache_vary_names(ngx_http_request_t *r,
    const amp_header_policy_t *policy, ngx_str_t *names);
static void ngx_http_ampersand_cache_forget(ngx_http_request_t *r);
static ngx_uint_t ngx_http_ampersand_cache_sent(
    const amp_header_policy_t *policy, amp_span_t name);
static u_char *ngx_http_ampersand_cache_status(ngx_http_request_t *r,
    u_char *p, ngx_uint_t forwarded, ngx_uint_t no_store);
static const char *ngx_http_ampersand_cache_forwarded(ngx_http_request_t *r,
    ngx_uint_t forwarded, ngx_uint_t no_store);
static time_t ngx_http_ampersand_cache_age(ngx_http_request_t *r);


void
ngx_http_ampersand_cache_store(ngx_http_request_t *r,
    ngx_ampersand_zone_t *zone,
    const ngx_http_ampersand_cache_terms_t *terms)
{
    time_t                valid;
    ngx_uint_t            status;
    ngx_http_upstream_t  *u;

    u = r->upstream;

    if (r->cached || u == NULL || r->cache == NULL || r->err_status) {
        return;
    }

    status = u->headers_in.status_n;

    if (u->cacheable) {
        valid = ngx_http_ampersand_cache_lifetime(r, terms);

        if (valid
            && ngx_http_ampersand_cache_vary(r, terms->headers) == NGX_OK)
        {
            r->cache->valid_sec = valid;
            return;
        }
    }

    u->cacheable = 0;

    if (status >= NGX_HTTP_OK && status < NGX_HTTP_INTERNAL_SERVER_ERROR
        && status != NGX_HTTP_TOO_MANY_REQUESTS)
    {
        ngx_http_ampersand_cache_lock_unshared(r, zone);
        ngx_http_ampersand_cache_forget(r);
    }
}


/* Until when the answer is fresh, Unix time; 0: it is not stored. */

static time_t
ngx_http_ampersand_cache_lifetime(ngx_http_request_t *r,
    const ngx_http_ampersand_cache_terms_t *terms)
{
    time_t  valid, most;

    valid = r->cache->valid_sec;

    if (terms->ttl == 0) {
        return 0;
    }

    switch (r->upstream->headers_in.status_n) {

    case NGX_HTTP_OK:
        return valid ? valid : ngx_time() + (time_t) terms->ttl;

    case NGX_HTTP_NOT_FOUND:
        if (terms->ttl_missing == 0) {
            return 0;
        }

        most = ngx_time() + terms->ttl_missing;

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
ngx_http_ampersand_cache_vary(ngx_http_request_t *r,
    const amp_header_policy_t *policy)
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
            && ngx_http_ampersand_cache_vary_names(r, policy, &h->value)
               != NGX_OK)
        {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


/* Adds the names of one Vary line. */

static ngx_int_t
ngx_http_ampersand_cache_vary_names(ngx_http_request_t *r,
    const amp_header_policy_t *policy, ngx_str_t *names)
{
    ngx_str_t   *vary;
    amp_span_t   rest, name;

    vary = &r->cache->vary;
    rest = ngx_ampersand_span(*names);

    while ((name = amp_header_word(&rest)).len) {

        if (amp_span_eq(name, amp_span("*"))) {
            return NGX_DECLINED;
        }

        if (!ngx_http_ampersand_cache_sent(policy, name)) {
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


static ngx_uint_t
ngx_http_ampersand_cache_sent(const amp_header_policy_t *policy,
    amp_span_t name)
{
    u_char  lowcase[NGX_HTTP_CACHE_VARY_LEN];

    if (name.len > sizeof(lowcase)) {
        return 1;
    }

    ngx_strlow(lowcase, (u_char *) name.data, name.len);

    return amp_header_forwarded(policy, amp_span_make(lowcase, name.len));
}


/*
 * The answer is final and is not stored (404, 401, no-store): without this,
 * proxy_cache_use_stale would serve the expired entry for as long as somebody
 * asks for it, each background refresh leaving it where it is.
 */

static void
ngx_http_ampersand_cache_forget(ngx_http_request_t *r)
{
    ngx_uint_t                    existed;
    ngx_http_cache_t             *c;
    ngx_http_file_cache_node_t   *node;

    c = r->cache;

    /* nginx sets the node of a bypassed key only when it stores an answer */

    if (r->upstream->cache_status == NGX_HTTP_CACHE_BYPASS
        && ngx_http_file_cache_create(r) != NGX_OK)
    {
        return;
    }

    node = c->node;

    /* no entry, no lock: one that is stored now might be stored later, too */

    if (node == NULL || !node->exists || c->file.name.len == 0) {
        return;
    }

    ngx_shmtx_lock(&c->file_cache->shpool->mutex);

    existed = node->exists;

    if (existed) {
        c->file_cache->sh->size -= node->fs_size;
        node->fs_size = 0;
        node->exists = 0;
    }

    ngx_shmtx_unlock(&c->file_cache->shpool->mutex);

    if (existed) {
        (void) ngx_delete_file(c->file.name.data);
    }
}


ngx_int_t
ngx_http_ampersand_cache_headers(ngx_http_request_t *r, u_char *text,
    ngx_uint_t forwarded, ngx_uint_t no_store)
{
    ngx_str_t         found, status, age;
    ngx_uint_t        n;
    static ngx_str_t  bypass = ngx_string("BYPASS");

    n = r->upstream->cache_status;
    found = n ? ngx_http_cache_status[n - 1] : bypass;

    status.data = text;
    age.data = ngx_http_ampersand_cache_status(r, text, forwarded, no_store);
    status.len = age.data - status.data;
    age.len = amp_decimal(age.data, ngx_http_ampersand_cache_age(r)) - age.data;

    if (ngx_http_ampersand_header(r, "X-Cache-Status", &found) != NGX_OK
        || ngx_http_ampersand_header(r, "Cache-Status", &status) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_ampersand_header(r, "Age", &age);
}


/* Writes the value of Cache-Status at p and returns its end. */

static u_char *
ngx_http_ampersand_cache_status(ngx_http_request_t *r, u_char *p,
    ngx_uint_t forwarded, ngx_uint_t no_store)
{
    time_t                ttl;
    const char           *reason;
    ngx_http_upstream_t  *u;

    u = r->upstream;
    reason = ngx_http_ampersand_cache_forwarded(r, forwarded, no_store);

    if (reason == NULL) {
        p = ngx_cpymem(p, "ampersand; hit", sizeof("ampersand; hit") - 1);

    } else {
        p = ngx_cpymem(p, "ampersand; fwd=", sizeof("ampersand; fwd=") - 1);
        p = ngx_cpymem(p, reason, ngx_strlen(reason));

        if (!r->cached) {
            if (u->cacheable && r->cache && r->cache->valid_sec) {
                p = ngx_cpymem(p, "; stored", sizeof("; stored") - 1);
            }

        } else if (!forwarded) {
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


/* Why the request went upstream (RFC 9211, 2.2); NULL: it did not. */

static const char *
ngx_http_ampersand_cache_forwarded(ngx_http_request_t *r,
    ngx_uint_t forwarded, ngx_uint_t no_store)
{
    if (r->cached) {
        return forwarded ? "stale" : r->cache->wait_time ? "miss" : NULL;
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

        return no_store ? "request" : "bypass";
    }
}


/* RFC 9111, 4.2.3: the time in this cache, and the age that upstream gave. */

static time_t
ngx_http_ampersand_cache_age(ngx_http_request_t *r)
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
