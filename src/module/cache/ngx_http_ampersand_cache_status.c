#include "ngx_http_ampersand_cache_status.h"
#include "ngx_http_ampersand_header_list.h"
#include "amp_escape.h"
#include "amp_freshness.h"


static u_char *ngx_http_ampersand_cache_status(ngx_http_request_t *r,
    u_char *p, ngx_uint_t forwarded, ngx_uint_t no_store);
static const char *ngx_http_ampersand_cache_forwarded(ngx_http_request_t *r,
    ngx_uint_t forwarded, ngx_uint_t no_store);
static time_t ngx_http_ampersand_cache_valid(ngx_http_request_t *r);
static time_t ngx_http_ampersand_cache_age(ngx_http_request_t *r);


ngx_int_t
ngx_http_ampersand_cache_headers(ngx_http_request_t *r, u_char *text,
    ngx_uint_t forwarded, ngx_uint_t no_store)
{
    time_t            age;
    ngx_str_t         found, status, seconds;
    ngx_uint_t        n;
    static ngx_str_t  bypass = ngx_string("BYPASS");

    n = r->upstream->cache_status;
    found = n ? ngx_http_cache_status[n - 1] : bypass;

    status.data = text;
    text = ngx_http_ampersand_cache_status(r, text, forwarded, no_store);
    status.len = text - status.data;

    if (ngx_http_ampersand_header(r, "X-Cache-Status", &found) != NGX_OK
        || ngx_http_ampersand_header(r, "Cache-Status", &status) != NGX_OK)
    {
        return NGX_ERROR;
    }

    age = ngx_http_ampersand_cache_age(r);

    if (age < 0) {
        return NGX_OK;
    }

    seconds.data = text;
    seconds.len = amp_decimal(text, age) - text;

    return ngx_http_ampersand_header(r, "Age", &seconds);
}


/* Writes the value of Cache-Status at p and returns its end. */

static u_char *
ngx_http_ampersand_cache_status(ngx_http_request_t *r, u_char *p,
    ngx_uint_t forwarded, ngx_uint_t no_store)
{
    time_t                ttl, valid;
    const char           *reason;
    ngx_http_upstream_t  *u;

    u = r->upstream;
    valid = ngx_http_ampersand_cache_valid(r);
    reason = ngx_http_ampersand_cache_forwarded(r, forwarded, no_store);

    if (reason == NULL) {
        p = ngx_cpymem(p, "ampersand; hit", sizeof("ampersand; hit") - 1);

    } else {
        p = ngx_cpymem(p, "ampersand; fwd=", sizeof("ampersand; fwd=") - 1);
        p = ngx_cpymem(p, reason, ngx_strlen(reason));

        if (!r->cached) {
            if (valid) {
                p = ngx_cpymem(p, "; stored", sizeof("; stored") - 1);
            }

        } else if (!forwarded) {
            p = ngx_cpymem(p, "; collapsed", sizeof("; collapsed") - 1);

        } else if (u->state && u->state->status) {
            p = ngx_sprintf(p, "; fwd-status=%ui", u->state->status);
        }
    }

    if (valid) {
        ttl = valid - ngx_time();
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


/*
 * Until when the entry is fresh, Unix time; 0: there is none.  nginx clears the
 * value of an expired entry, and has another one after it has read the stored
 * Cache-Control: of what was stored, the file tells.
 */

static time_t
ngx_http_ampersand_cache_valid(ngx_http_request_t *r)
{
    ngx_http_cache_t              *c;
    ngx_http_file_cache_header_t  *h;

    c = r->cache;

    if (c == NULL) {
        return 0;
    }

    if (r->cached && r->upstream->cache_status != NGX_HTTP_CACHE_REVALIDATED) {
        h = (ngx_http_file_cache_header_t *) c->buf->start;
        return h->valid_sec;
    }

    return (r->cached || r->upstream->cacheable) ? c->valid_sec : 0;
}


/*
 * RFC 9111, 4.2.3: the time in this cache, and the age that upstream gave.  -1:
 * upstream gave none, and the cache was not asked; an Age would say that it was
 * (5.1).
 */

static time_t
ngx_http_ampersand_cache_age(ngx_http_request_t *r)
{
    time_t                      age;
    ngx_table_elt_t            *h;
    ngx_http_ampersand_walk_t   walk;

    /* upstream has just said that the answer is right */

    if (r->upstream->cache_status == NGX_HTTP_CACHE_REVALIDATED) {
        return 0;
    }

    age = (r->upstream->cache_status == 0) ? -1 : 0;

    if (r->cached && r->cache) {
        age = ngx_max(ngx_time() - r->cache->date, 0);
    }

    walk.part = &r->upstream->headers_in.headers.part;
    walk.i = 0;

    while ((h = ngx_http_ampersand_next(&walk)) != NULL) {
        if (ngx_http_ampersand_is(h, "age")) {
            age = ngx_max(age, 0)
                  + amp_freshness_age(ngx_ampersand_span(h->value));
            break;
        }
    }

    return age;
}
