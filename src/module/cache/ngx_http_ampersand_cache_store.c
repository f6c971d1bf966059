#include "ngx_http_ampersand_cache_store.h"
#include "ngx_http_ampersand_cache_lock.h"
#include "ngx_http_ampersand_cache_room.h"
#include "ngx_http_ampersand_header_list.h"
#include "amp_freshness.h"


static void ngx_http_ampersand_cache_decline(ngx_http_request_t *r);
static ngx_uint_t ngx_http_ampersand_cache_writes(ngx_http_request_t *r);
static void ngx_http_ampersand_cache_said(ngx_http_request_t *r,
    amp_freshness_t *said);
static time_t ngx_http_ampersand_cache_time(ngx_str_t *value);
static time_t ngx_http_ampersand_cache_lifetime(ngx_http_request_t *r,
    const ngx_http_ampersand_cache_terms_t *terms,
    const amp_freshness_t *said);
static void ngx_http_ampersand_cache_fresh(ngx_http_request_t *r,
    const ngx_http_ampersand_cache_terms_t *terms,
    const amp_freshness_t *said, time_t lifetime);
static ngx_int_t ngx_http_ampersand_cache_vary(ngx_http_request_t *r,
    const amp_header_policy_t *policy);
static ngx_int_t ngx_http_ampersand_cache_vary_names(ngx_http_request_t *r,
    const amp_header_policy_t *policy, ngx_str_t *names);
static void ngx_http_ampersand_cache_forget(ngx_http_request_t *r);
static void ngx_http_ampersand_cache_remove(ngx_http_cache_t *c);
static void ngx_http_ampersand_cache_outdate(ngx_http_cache_t *c);
static ngx_uint_t ngx_http_ampersand_cache_sent(
    const amp_header_policy_t *policy, amp_span_t name);


void
ngx_http_ampersand_cache_store(ngx_http_request_t *r,
    ngx_ampersand_zone_t *zone,
    const ngx_http_ampersand_cache_terms_t *terms)
{
    time_t                lifetime;
    ngx_uint_t            status;
    amp_freshness_t       said;
    ngx_http_upstream_t  *u;

    u = r->upstream;

    if (r->cached || u == NULL || r->cache == NULL || r->err_status) {
        return;
    }

    status = u->headers_in.status_n;

    if (u->cacheable && !ngx_http_ampersand_cache_writes(r)) {
        ngx_http_ampersand_cache_decline(r);
        ngx_http_ampersand_cache_lock_unshared(r, zone);
        return;
    }

    if (u->cacheable) {
        ngx_http_ampersand_cache_said(r, &said);
        lifetime = ngx_http_ampersand_cache_lifetime(r, terms, &said);

        if (lifetime > 0 && !ngx_http_ampersand_cache_room(r)) {
            ngx_http_ampersand_cache_decline(r);
            ngx_http_ampersand_cache_lock_unshared(r, zone);
            return;
        }

        if (lifetime > 0
            && ngx_http_ampersand_cache_vary(r, terms->headers) == NGX_OK)
        {
            ngx_http_ampersand_cache_fresh(r, terms, &said, lifetime);
            return;
        }
    }

    ngx_http_ampersand_cache_decline(r);

    if (status >= NGX_HTTP_OK && status < NGX_HTTP_INTERNAL_SERVER_ERROR
        && status != NGX_HTTP_TOO_MANY_REQUESTS)
    {
        ngx_http_ampersand_cache_lock_unshared(r, zone);
        ngx_http_ampersand_cache_forget(r);
    }
}


/*
 * As ngx_http_upstream_process_headers() does where it decides itself: an
 * answer that is not stored has no tag of the gateway to compare with.
 */

static void
ngx_http_ampersand_cache_decline(ngx_http_request_t *r)
{
    r->upstream->cacheable = 0;
    r->disable_not_modified = 1;
}


/*
 * Does nginx write this answer?  Not without proxy_buffering, nor where
 * proxy_no_cache says so; and what answers a HEAD is no answer to a GET.
 */

static ngx_uint_t
ngx_http_ampersand_cache_writes(ngx_http_request_t *r)
{
    ngx_http_upstream_t  *u;

    u = r->upstream;

    return u->buffering
           && (r->method != NGX_HTTP_HEAD || u->method.len)
           && ngx_http_test_predicates(r, u->conf->no_cache) == NGX_OK;
}


/* What the answer, or the entry in its place, says of its freshness. */

static void
ngx_http_ampersand_cache_said(ngx_http_request_t *r, amp_freshness_t *said)
{
    time_t                      date, expires;
    ngx_uint_t                  targeted, aged;
    amp_freshness_t             cdn;
    ngx_table_elt_t            *h;
    ngx_http_ampersand_walk_t   walk;

    amp_freshness_init(said);
    amp_freshness_init(&cdn);
    targeted = 0;
    aged = 0;

    date = ngx_time();
    expires = 0;

    walk.part = &r->upstream->headers_in.headers.part;
    walk.i = 0;

    while ((h = ngx_http_ampersand_next(&walk)) != NULL) {

        if (ngx_http_ampersand_is(h, "cache-control")) {
            amp_freshness_control(said, ngx_ampersand_span(h->value));

        } else if (ngx_http_ampersand_is(h, "cdn-cache-control")) {
            amp_freshness_control(&cdn, ngx_ampersand_span(h->value));
            targeted = 1;

        } else if (ngx_http_ampersand_is(h, "age") && !aged) {
            said->age = amp_freshness_age(ngx_ampersand_span(h->value));
            aged = 1;

        } else if (ngx_http_ampersand_is(h, "expires")) {
            expires = ngx_http_ampersand_cache_time(&h->value);

        } else if (ngx_http_ampersand_is(h, "date") && !r->cached) {
            date = ngx_parse_http_time(h->value.data, h->value.len);

            if (date == NGX_ERROR) {
                date = ngx_time();
            }
        }
    }

    if (expires) {
        said->expires = (expires > date) ? expires - date : 0;
    }

    if (r->cached) {
        said->age = 0;
    }

    /* RFC 9213: what is meant for caches of the origin beats the rest */

    if (targeted) {
        cdn.age = said->age;
        *said = cdn;
    }
}


/* NGX_ERROR: no date, or one in another zone, which nginx would not notice. */

static time_t
ngx_http_ampersand_cache_time(ngx_str_t *value)
{
    u_char  *last;

    last = value->data + value->len;

    if (ngx_strlchr(value->data, last, ',')
        && (value->len < 3 || ngx_memcmp(last - 3, "GMT", 3) != 0))
    {
        return NGX_ERROR;
    }

    return ngx_parse_http_time(value->data, value->len);
}


/* How long the answer is fresh from now on, s; 0: it is not stored. */

static time_t
ngx_http_ampersand_cache_lifetime(ngx_http_request_t *r,
    const ngx_http_ampersand_cache_terms_t *terms,
    const amp_freshness_t *said)
{
    time_t  left;

    if (terms->ttl == 0) {
        return 0;
    }

    left = amp_freshness_left(said);

    switch (r->upstream->headers_in.status_n) {

    case NGX_HTTP_OK:
    case NGX_HTTP_NOT_MODIFIED:
        return (left < 0) ? (time_t) terms->ttl : left;

    case NGX_HTTP_NOT_FOUND:
        return (left < 0) ? terms->ttl_missing
                          : ngx_min(left, terms->ttl_missing);

    default:

        /* a lifetime that upstream gave its errors would have them stored */

        return 0;
    }
}


static void
ngx_http_ampersand_cache_fresh(ngx_http_request_t *r,
    const ngx_http_ampersand_cache_terms_t *terms,
    const amp_freshness_t *said, time_t lifetime)
{
    time_t             stale, error;
    ngx_http_cache_t  *c;

    c = r->cache;

    stale = terms->stale;
    error = terms->stale_error;

    if (stale == NGX_HTTP_AMPERSAND_CACHE_STALE_DEFAULT) {
        stale = ngx_min(lifetime, NGX_HTTP_AMPERSAND_CACHE_STALE_MOST);
    }

    if (stale && said->updating >= 0) {
        stale = said->updating;
    }

    if (error && said->error >= 0) {
        error = said->error;
    }

    c->valid_sec = ngx_time() + lifetime;
    c->updating_sec = said->revalidate ? 0 : stale;
    c->error_sec = said->revalidate ? 0 : error;
}


void
ngx_http_ampersand_cache_validated(ngx_http_request_t *r,
    const ngx_http_ampersand_cache_terms_t *terms)
{
    time_t                lifetime;
    ngx_uint_t            again;
    amp_freshness_t       said;
    ngx_http_cache_t     *c;
    ngx_http_upstream_t  *u;

    u = r->upstream;
    c = r->cache;

    if (c == NULL) {
        return;
    }

    again = (r->cached && u->cache_status == NGX_HTTP_CACHE_REVALIDATED
             && c->valid_sec == 0);

    if (!again
        && (r->cached || u->cache_status != NGX_HTTP_CACHE_EXPIRED
            || u->headers_in.status_n != NGX_HTTP_NOT_MODIFIED
            || !u->conf->cache_revalidate))
    {
        return;
    }

    ngx_http_ampersand_cache_said(r, &said);

    /* silent: the head of the entry is read next, and decides */

    if (!again && amp_freshness_left(&said) < 0) {
        c->valid_sec = 0;
        return;
    }

    lifetime = ngx_http_ampersand_cache_lifetime(r, terms, &said);

    if (lifetime > 0) {
        ngx_http_ampersand_cache_fresh(r, terms, &said, lifetime);

    } else {

        /* it answers this request, and is as stale as before */

        c->valid_sec = ngx_time() - 1;
        c->updating_sec = 0;
        c->error_sec = 0;
    }
}


ngx_uint_t
ngx_http_ampersand_cache_serves_errors(ngx_http_request_t *r)
{
    ngx_uint_t         serves;
    ngx_http_cache_t  *c;

    c = r->cache;

    if (c == NULL || r->upstream->cache_status != NGX_HTTP_CACHE_EXPIRED) {
        return 1;
    }

    serves = c->stale_error;

    /* nginx would serve it for a 404, too: proxy_cache_use_stale decides */

    c->stale_error = 0;

    return serves;
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
    ngx_uint_t                  encoded;
    ngx_table_elt_t            *h;
    ngx_http_ampersand_walk_t   walk;

    static ngx_str_t  accept_encoding = ngx_string("Accept-Encoding");

    if (r->upstream->conf->ignore_headers & NGX_HTTP_UPSTREAM_IGN_VARY) {
        return NGX_OK;
    }

    encoded = 0;
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

        /* nginx itself has it in headers_in only with its gzip modules */

        encoded |= ngx_http_ampersand_is(h, "content-encoding");
    }

    /* without Vary it would be sent to who cannot read it */

    if (encoded
        && !amp_header_listed(ngx_ampersand_span(r->cache->vary),
                              amp_span("accept-encoding")))
    {
        return ngx_http_ampersand_cache_vary_names(r, policy,
                                                   &accept_encoding);
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
    ngx_http_cache_t  *c;

    c = r->cache;

    /* nginx sets the node of a bypassed key only when it stores an answer */

    if (r->upstream->cache_status == NGX_HTTP_CACHE_BYPASS
        && ngx_http_file_cache_create(r) != NGX_OK)
    {
        return;
    }

    /* no entry, no lock: one that is stored now might be stored later, too */

    if (c->node && c->node->exists && c->file.name.len) {
        ngx_http_ampersand_cache_remove(c);
    }
}


/*
 * nginx looks for no other answer where it cannot open the file of an entry.
 * Where that is for lack of descriptors or memory, the entry is good.
 */

void
ngx_http_ampersand_cache_unreadable(ngx_http_request_t *r)
{
    ngx_fd_t           fd;
    ngx_http_cache_t  *c;

    c = r->cache;

    if (c == NULL || r->cached || !c->exists || c->node == NULL
        || c->file.name.len == 0 || c->file.fd != NGX_INVALID_FILE)
    {
        return;
    }

    fd = ngx_open_file(c->file.name.data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd != NGX_INVALID_FILE) {
        (void) ngx_close_file(fd);
        return;
    }

    switch (ngx_errno) {

    case NGX_EMFILE:
    case NGX_ENFILE:
    case NGX_ENOMEM:
        return;

    default:
        ngx_http_ampersand_cache_remove(c);
    }
}


static void
ngx_http_ampersand_cache_remove(ngx_http_cache_t *c)
{
    ngx_uint_t                   existed;
    ngx_http_file_cache_node_t  *node;

    node = c->node;

    ngx_shmtx_lock(&c->file_cache->shpool->mutex);

    existed = node->exists;

    if (existed) {
        c->file_cache->sh->size -= node->fs_size;
        node->fs_size = 0;
        node->exists = 0;

        /* the stamp of copies, see ngx_http_ampersand_cache_memory.h */

        node->valid_sec = 0;
    }

    ngx_shmtx_unlock(&c->file_cache->shpool->mutex);

    if (existed) {
        ngx_http_ampersand_cache_outdate(c);
        (void) ngx_delete_file(c->file.name.data);
    }
}


/*
 * Workers may hold the file open, and until nginx's cache loader is done they
 * read what they hold though the node says that nothing exists: for nginx it is
 * a file of another version from now on, which is a miss.
 */

static void
ngx_http_ampersand_cache_outdate(ngx_http_cache_t *c)
{
    ngx_fd_t    fd;
    ngx_file_t  file;
    ngx_uint_t  version;

    fd = ngx_open_file(c->file.name.data, NGX_FILE_RDWR, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        return;
    }

    ngx_memzero(&file, sizeof(file));

    file.fd = fd;
    file.name = c->file.name;
    file.log = ngx_cycle->log;

    version = 0;

    (void) ngx_write_file(&file, (u_char *) &version, sizeof(version),
                          offsetof(ngx_http_file_cache_header_t, version));

    (void) ngx_close_file(fd);
}
