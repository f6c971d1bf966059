#include "ngx_http_ampersand_cache_etag.h"
#include "ngx_http_ampersand_header_list.h"
#include "amp_etag.h"


typedef struct {
    amp_etag_t                       etag;
    ngx_int_t                      (*init)(void *data);
    ngx_event_pipe_input_filter_pt   filter;
    unsigned                         done:1;
} ngx_http_ampersand_cache_etag_t;


static ngx_int_t ngx_http_ampersand_cache_etag_init(void *data);
static ngx_int_t ngx_http_ampersand_cache_etag_input(ngx_event_pipe_t *p,
    ngx_buf_t *buf);
static void ngx_http_ampersand_cache_etag_write(ngx_event_pipe_t *p,
    amp_etag_t *etag);
static ngx_int_t ngx_http_ampersand_cache_etag_set(ngx_http_request_t *r,
    u_char *data, size_t len);


ngx_int_t
ngx_http_ampersand_cache_etag_hit(ngx_http_request_t *r)
{
    ngx_str_t  *etag;

    etag = &r->cache->etag;

    if (etag->len == 0) {
        return NGX_OK;
    }

    return ngx_http_ampersand_cache_etag_set(r, etag->data, etag->len);
}


ngx_int_t
ngx_http_ampersand_cache_etag_store(ngx_http_request_t *r)
{
    off_t                             len;
    u_char                           *text;
    ngx_http_upstream_t              *u;
    ngx_http_ampersand_cache_etag_t  *ctx;

    u = r->upstream;

    if (!u->buffering || u->headers_in.etag) {
        return NGX_OK;
    }

    ctx = ngx_palloc(r->pool, sizeof(*ctx));
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    amp_etag_init(&ctx->etag);
    len = u->headers_in.content_length_n;

    if (len >= 0 && u->buffer.last - u->buffer.pos >= len
        && !u->headers_in.chunked)
    {
        text = ngx_pnalloc(r->pool, AMP_ETAG_LEN);
        if (text == NULL) {
            return NGX_ERROR;
        }

        amp_etag_add(&ctx->etag, amp_span_make(u->buffer.pos, (size_t) len));
        amp_etag_write(&ctx->etag, text);

        if (ngx_http_ampersand_cache_etag_set(r, text, AMP_ETAG_LEN)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        u->headers_in.etag = r->headers_out.etag;

        return NGX_OK;
    }

    /* nginx sets the input filter after the headers have been sent */

    ctx->done = 0;
    ctx->init = u->input_filter_init;
    u->input_filter_init = ngx_http_ampersand_cache_etag_init;

    ngx_http_set_ctx(r, ctx, ngx_http_ampersand_etag_filter_module);

    return NGX_OK;
}


static ngx_int_t
ngx_http_ampersand_cache_etag_init(void *data)
{
    ngx_http_request_t *r = data;

    ngx_event_pipe_t           *p;
    ngx_http_ampersand_cache_etag_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_ampersand_etag_filter_module);
    p = r->upstream->pipe;

    if (ctx->init && ctx->init(data) != NGX_OK) {
        return NGX_ERROR;
    }

    if (p->cacheable) {
        ctx->filter = p->input_filter;
        p->input_filter = ngx_http_ampersand_cache_etag_input;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_ampersand_cache_etag_input(ngx_event_pipe_t *p, ngx_buf_t *buf)
{
    ngx_chain_t                      *cl, **last;
    ngx_http_request_t               *r;
    ngx_http_ampersand_cache_etag_t  *ctx;

    r = p->input_ctx;
    ctx = ngx_http_get_module_ctx(r, ngx_http_ampersand_etag_filter_module);
    last = p->in ? p->last_in : &p->in;

    if (ctx->filter(p, buf) == NGX_ERROR) {
        return NGX_ERROR;
    }

    for (cl = *last; cl; cl = cl->next) {
        amp_etag_add(&ctx->etag, amp_span_make(cl->buf->pos,
                                            cl->buf->last - cl->buf->pos));
    }

    if (!ctx->done && (p->length == 0 || p->upstream_done)) {
        ctx->done = 1;
        ngx_http_ampersand_cache_etag_write(p, &ctx->etag);
    }

    return NGX_OK;
}


static void
ngx_http_ampersand_cache_etag_write(ngx_event_pipe_t *p, amp_etag_t *etag)
{
    u_char                         field[1 + AMP_ETAG_LEN];
    ngx_file_t                     file;
    ngx_http_file_cache_header_t  *h;

    field[0] = AMP_ETAG_LEN;
    amp_etag_write(etag, &field[1]);

    if (p->buf_to_file) {
        h = (ngx_http_file_cache_header_t *) p->buf_to_file->start;
        h->etag_len = field[0];
        ngx_memcpy(h->etag, &field[1], AMP_ETAG_LEN);

        return;
    }

    /* a thread may be writing the head just now: no tag then */

    if (p->aio || p->writing || p->temp_file->file.fd == NGX_INVALID_FILE) {
        return;
    }

    file = p->temp_file->file;

    (void) ngx_write_file(&file, field, sizeof(field),
                          offsetof(ngx_http_file_cache_header_t, etag_len));
}


static ngx_int_t
ngx_http_ampersand_cache_etag_set(ngx_http_request_t *r, u_char *data,
    size_t len)
{
    ngx_table_elt_t  *h;

    h = ngx_http_ampersand_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    ngx_str_set(&h->key, "ETag");
    h->lowcase_key = (u_char *) "etag";
    h->value.data = data;
    h->value.len = len;
    ngx_ampersand_header_init(h);

    r->headers_out.etag = h;

    return NGX_OK;
}
