#include "ngx_http_ampersand_cache_copy.h"
#include "ngx_http_ampersand_header_list.h"


extern ngx_module_t  ngx_http_proxy_module;


/* What is copied of a request, and how much memory it takes. */

typedef struct {
    ngx_table_elt_t  *upstream[NGX_HTTP_AMPERSAND_CACHE_COPY_HEADERS];
    ngx_uint_t        n;
    ngx_table_elt_t  *passed[NGX_HTTP_AMPERSAND_CACHE_COPY_HEADERS];
    u_char            place[NGX_HTTP_AMPERSAND_CACHE_COPY_HEADERS];
    ngx_uint_t        npassed;
    size_t            size;
} ngx_http_ampersand_cache_copied_t;


static ngx_int_t ngx_http_ampersand_cache_copy_measure(ngx_http_request_t *r,
    ngx_http_ampersand_cache_copied_t *copied);
static ngx_int_t ngx_http_ampersand_cache_copy_passed(ngx_http_request_t *r,
    ngx_http_ampersand_cache_copied_t *copied);
static ngx_int_t ngx_http_ampersand_cache_copy_place(
    ngx_http_ampersand_cache_copied_t *copied, ngx_table_elt_t *h,
    u_char *place);
static void ngx_http_ampersand_cache_copy_head(
    ngx_http_ampersand_cache_copy_t *copy, ngx_http_request_t *r);
static u_char *ngx_http_ampersand_cache_copy_headers(
    ngx_http_ampersand_cache_copy_t *copy,
    ngx_http_ampersand_cache_copied_t *copied, u_char *p);
static u_char *ngx_http_ampersand_cache_copy_text(u_char *p, ngx_str_t *to,
    ngx_str_t *from);
static void ngx_http_ampersand_cache_copy_cleanup(void *data);
static ngx_int_t ngx_http_ampersand_cache_copy_restore(ngx_http_request_t *r,
    ngx_http_ampersand_cache_copy_t *copy);
static ngx_int_t ngx_http_ampersand_cache_copy_pass(ngx_http_request_t *r,
    ngx_http_ampersand_cache_copy_t *copy);


/* The pointers of r->headers_out to headers. */

#define ngx_http_ampersand_cache_copy_known(r)  (&(r)->headers_out.server)


ngx_http_ampersand_cache_copy_t *
ngx_http_ampersand_cache_copy(ngx_http_request_t *r, ngx_str_t *key,
    ngx_str_t *encoding)
{
    u_char                             *p;
    ngx_uint_t                          i;
    ngx_table_elt_t                   **known;
    ngx_http_cache_t                   *c;
    ngx_http_ampersand_cache_copy_t    *copy;
    ngx_http_ampersand_cache_copied_t   copied;

    if (ngx_http_ampersand_cache_copy_measure(r, &copied) != NGX_OK) {
        return NULL;
    }

    c = r->cache;
    copied.size += key->len + 1 + encoding->len + 1;

    copy = ngx_alloc(copied.size, r->connection->log);
    if (copy == NULL) {
        return NULL;
    }

    ngx_memzero(copy, sizeof(*copy));

    copy->count = 1;
    copy->size = copied.size;

    known = ngx_http_ampersand_cache_copy_known(r);

    if (ngx_http_ampersand_cache_copy_place(&copied,
                                            ngx_ampersand_cache_control(r),
                                            &copy->cache_control)
        != NGX_OK)
    {
        goto failed;
    }

    for (i = 0; i < NGX_HTTP_AMPERSAND_CACHE_COPY_KNOWN; i++) {

        if (ngx_http_ampersand_cache_copy_place(&copied, known[i],
                                                &copy->known[i])
            != NGX_OK)
        {
            goto failed;
        }
    }

    ngx_http_ampersand_cache_copy_head(copy, r);

    /* what has to be aligned comes first */

    copy->file.start = (u_char *) (copy + 1);

    p = ngx_cpymem(copy->file.start, c->buf->start,
                   sizeof(ngx_http_file_cache_header_t));

    p = ngx_http_ampersand_cache_copy_headers(copy, &copied, p);
    p = ngx_http_ampersand_cache_copy_text(p, &copy->key, key);
    p = ngx_http_ampersand_cache_copy_text(p, &copy->encoding, encoding);
    p = ngx_http_ampersand_cache_copy_text(p, &copy->cache.etag, &c->etag);
    p = ngx_http_ampersand_cache_copy_text(p, &copy->status_line,
                                           &r->headers_out.status_line);
    p = ngx_http_ampersand_cache_copy_text(p, &copy->content_type,
                                           &r->headers_out.content_type);
    p = ngx_http_ampersand_cache_copy_text(p, &copy->charset,
                                           &r->headers_out.charset);

    copy->body.data = p;
    copy->body.len = (size_t) c->length - c->body_start;
    ngx_memcpy(p, c->buf->start + c->body_start, copy->body.len);

    return copy;

failed:

    ngx_free(copy);

    return NULL;
}


static ngx_int_t
ngx_http_ampersand_cache_copy_measure(ngx_http_request_t *r,
    ngx_http_ampersand_cache_copied_t *copied)
{
    ngx_table_elt_t            *h;
    ngx_http_ampersand_walk_t   walk;

    copied->n = 0;
    copied->npassed = 0;
    copied->size = sizeof(ngx_http_ampersand_cache_copy_t)
                   + sizeof(ngx_http_file_cache_header_t)
                   + r->cache->etag.len + 1
                   + r->headers_out.status_line.len + 1
                   + r->headers_out.content_type.len + 1
                   + r->headers_out.charset.len + 1
                   + (size_t) r->cache->length - r->cache->body_start;

    walk.part = &r->upstream->headers_in.headers.part;
    walk.i = 0;

    while ((h = ngx_http_ampersand_next(&walk)) != NULL) {

        if (copied->n == NGX_HTTP_AMPERSAND_CACHE_COPY_HEADERS) {
            return NGX_DECLINED;
        }

        copied->upstream[copied->n++] = h;
        copied->size += sizeof(*h) + 2 * (h->key.len + 1) + h->value.len + 1;
    }

    if (r->headers_out.override_charset || r->headers_out.trailers.part.nelts
        || ngx_ampersand_headers_out_arrays(r))
    {
        return NGX_DECLINED;
    }

    return ngx_http_ampersand_cache_copy_passed(r, copied);
}


/*
 * nginx passes a header on as it is.  What is not found in the file is of this
 * request (another module's, a rewritten value), and nobody else's.
 */

static ngx_int_t
ngx_http_ampersand_cache_copy_passed(ngx_http_request_t *r,
    ngx_http_ampersand_cache_copied_t *copied)
{
    ngx_uint_t                  i;
    ngx_table_elt_t            *h;
    ngx_http_ampersand_walk_t   walk;

    walk.part = &r->headers_out.headers.part;
    walk.i = 0;

    while ((h = ngx_http_ampersand_next(&walk)) != NULL) {

        for (i = 0; i < copied->n; i++) {
            if (copied->upstream[i]->key.data == h->key.data
                && copied->upstream[i]->value.data == h->value.data
                && copied->upstream[i]->value.len == h->value.len)
            {
                break;
            }
        }

        if (i == copied->n
            || copied->npassed == NGX_HTTP_AMPERSAND_CACHE_COPY_HEADERS)
        {
            return NGX_DECLINED;
        }

        copied->place[copied->npassed] = (u_char) i;
        copied->passed[copied->npassed++] = h;
    }

    return NGX_OK;
}


/* The place of h in passed, from 1; 0 where h is NULL. */

static ngx_int_t
ngx_http_ampersand_cache_copy_place(ngx_http_ampersand_cache_copied_t *copied,
    ngx_table_elt_t *h, u_char *place)
{
    ngx_uint_t  i;

    if (h == NULL) {
        *place = 0;
        return NGX_OK;
    }

    if (ngx_ampersand_header_chained(h)) {
        return NGX_DECLINED;
    }

    for (i = 0; i < copied->npassed; i++) {
        if (copied->passed[i] == h) {
            *place = (u_char) (i + 1);
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


static void
ngx_http_ampersand_cache_copy_head(ngx_http_ampersand_cache_copy_t *copy,
    ngx_http_request_t *r)
{
    ngx_http_cache_t  *cache;

    cache = &copy->cache;

    /* the rest is zero: a cache without keys, node and file, and no length */

    cache->valid_sec = r->cache->valid_sec;
    cache->last_modified = r->cache->last_modified;
    cache->date = r->cache->date;
    cache->header_start = r->cache->header_start;
    cache->body_start = r->cache->body_start;
    cache->exists = 1;
    cache->file.fd = NGX_INVALID_FILE;
    cache->buf = &copy->file;

    copy->content_type_len = r->headers_out.content_type_len;
    copy->content_length = r->headers_out.content_length_n;
    copy->last_modified = r->headers_out.last_modified_time;

    copy->allow_ranges = r->allow_ranges;
    copy->single_range = r->single_range;
    copy->disable_not_modified = r->disable_not_modified;
}


static u_char *
ngx_http_ampersand_cache_copy_headers(ngx_http_ampersand_cache_copy_t *copy,
    ngx_http_ampersand_cache_copied_t *copied, u_char *p)
{
    ngx_str_t         lowcase;
    ngx_uint_t        i;
    ngx_table_elt_t  *h, *from;

    h = (ngx_table_elt_t *) p;
    p += copied->n * sizeof(*h);

    copy->upstream.part.elts = h;
    copy->upstream.part.nelts = copied->n;
    copy->upstream.last = &copy->upstream.part;
    copy->upstream.size = sizeof(*h);
    copy->upstream.nalloc = copied->n;

    for (i = 0; i < copied->n; i++) {
        from = copied->upstream[i];

        h[i].hash = from->hash;
        ngx_ampersand_header_init(&h[i]);

        lowcase.data = from->lowcase_key;
        lowcase.len = from->key.len;

        p = ngx_http_ampersand_cache_copy_text(p, &h[i].key, &from->key);
        p = ngx_http_ampersand_cache_copy_text(p, &h[i].value, &from->value);
        p = ngx_http_ampersand_cache_copy_text(p, &lowcase, &lowcase);

        h[i].lowcase_key = lowcase.data;
    }

    copy->npassed = copied->npassed;
    ngx_memcpy(copy->passed, copied->place, copied->npassed);

    for (i = 0; i < copied->npassed; i++) {
        copy->unsent |= (uint64_t) (copied->passed[i]->hash == 0) << i;
    }

    return p;
}


/* With a NUL, which nginx expects after headers. */

static u_char *
ngx_http_ampersand_cache_copy_text(u_char *p, ngx_str_t *to, ngx_str_t *from)
{
    size_t  len;

    len = from->len;

    if (len) {
        ngx_memcpy(p, from->data, len);
    }

    p[len] = '\0';

    to->data = p;
    to->len = len;

    return p + len + 1;
}


void
ngx_http_ampersand_cache_copy_release(ngx_http_ampersand_cache_copy_t *copy)
{
    if (--copy->count == 0) {
        ngx_free(copy);
    }
}


static void
ngx_http_ampersand_cache_copy_cleanup(void *data)
{
    ngx_http_ampersand_cache_copy_release(data);
}


/* As ngx_http_cache_send() does. */

ngx_int_t
ngx_http_ampersand_cache_copy_send(ngx_http_request_t *r,
    ngx_http_ampersand_cache_copy_t *copy)
{
    ngx_int_t            rc;
    ngx_buf_t           *b;
    ngx_chain_t          out;
    ngx_pool_cleanup_t  *cln;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    copy->count++;
    cln->handler = ngx_http_ampersand_cache_copy_cleanup;
    cln->data = copy;

    b = ngx_calloc_buf(r->pool);

    if (b == NULL || ngx_http_ampersand_cache_copy_restore(r, copy) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b->start = copy->body.data;
    b->pos = b->start;
    b->last = b->start + copy->body.len;
    b->end = b->last;
    b->memory = (copy->body.len != 0);
    b->last_buf = 1;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


/* As ngx_http_upstream_cache_send() and ..._process_headers() leave it. */

static ngx_int_t
ngx_http_ampersand_cache_copy_restore(ngx_http_request_t *r,
    ngx_http_ampersand_cache_copy_t *copy)
{
    ngx_http_upstream_t  *u;

    if (ngx_http_upstream_create(r) != NGX_OK
        || ngx_http_ampersand_cache_copy_pass(r, copy) != NGX_OK)
    {
        return NGX_ERROR;
    }

    u = r->upstream;

    /* the first member of the proxy module's configuration */

    u->conf = r->loc_conf[ngx_http_proxy_module.ctx_index];

    u->cacheable = 1;
    u->cache_status = NGX_HTTP_CACHE_HIT;
    u->headers_in.status_n = NGX_HTTP_OK;
    u->headers_in.content_length_n = copy->content_length;
    u->headers_in.last_modified_time = copy->last_modified;
    u->headers_in.headers = copy->upstream;

    r->cached = 1;
    r->cache = &copy->cache;
    r->allow_ranges = copy->allow_ranges;
    r->single_range = copy->single_range;
    r->disable_not_modified = copy->disable_not_modified;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.status_line = copy->status_line;
    r->headers_out.content_type = copy->content_type;
    r->headers_out.content_type_len = copy->content_type_len;
    r->headers_out.charset = copy->charset;
    r->headers_out.content_length_n = copy->content_length;
    r->headers_out.last_modified_time = copy->last_modified;

    return NGX_OK;
}


static ngx_int_t
ngx_http_ampersand_cache_copy_pass(ngx_http_request_t *r,
    ngx_http_ampersand_cache_copy_t *copy)
{
    ngx_uint_t        i;
    ngx_table_elt_t  *h, *upstream, **known;
    ngx_table_elt_t  *passed[NGX_HTTP_AMPERSAND_CACHE_COPY_HEADERS + 1];

    upstream = copy->upstream.part.elts;
    passed[0] = NULL;

    for (i = 0; i < copy->npassed; i++) {

        h = ngx_http_ampersand_push(&r->headers_out.headers);
        if (h == NULL) {
            return NGX_ERROR;
        }

        *h = upstream[copy->passed[i]];
        passed[i + 1] = h;

        if (copy->unsent >> i & 1) {
            h->hash = 0;
        }
    }

    known = ngx_http_ampersand_cache_copy_known(r);

    for (i = 0; i < NGX_HTTP_AMPERSAND_CACHE_COPY_KNOWN; i++) {
        if (copy->known[i]) {
            known[i] = passed[copy->known[i]];
        }
    }

    return ngx_ampersand_cache_control_set(r, passed[copy->cache_control]);
}
