#include "ngx_http_ampersand_text.h"


#define NGX_HTTP_AMPERSAND_TEXT_BUFFER  32768


static ngx_int_t ngx_http_ampersand_text_buffer(
    ngx_http_ampersand_text_t *text);


void
ngx_http_ampersand_text_init(ngx_http_ampersand_text_t *text,
    ngx_http_request_t *r)
{
    ngx_memzero(text, sizeof(*text));

    text->request = r;
    text->next = &text->first;
}


void ngx_cdecl
ngx_http_ampersand_text(ngx_http_ampersand_text_t *text, const char *fmt, ...)
{
    u_char     *p;
    va_list     args;
    ngx_buf_t  *b;

    if (ngx_http_ampersand_text_buffer(text) != NGX_OK) {
        text->failed = 1;
        return;
    }

    b = text->last;

    va_start(args, fmt);
    p = ngx_vslprintf(b->last, b->last + NGX_HTTP_AMPERSAND_TEXT_MAX, fmt,
                      args);
    va_end(args);

    text->len += p - b->last;
    b->last = p;
}


/* Has a buffer with room for one more call. */

static ngx_int_t
ngx_http_ampersand_text_buffer(ngx_http_ampersand_text_t *text)
{
    ngx_buf_t    *b;
    ngx_pool_t   *pool;
    ngx_chain_t  *cl;

    b = text->last;

    if (b && b->end - b->last >= NGX_HTTP_AMPERSAND_TEXT_MAX) {
        return NGX_OK;
    }

    pool = text->request->pool;
    b = ngx_create_temp_buf(pool, NGX_HTTP_AMPERSAND_TEXT_BUFFER);
    cl = ngx_alloc_chain_link(pool);

    if (b == NULL || cl == NULL) {
        return NGX_ERROR;
    }

    cl->buf = b;
    cl->next = NULL;

    *text->next = cl;
    text->next = &cl->next;
    text->last = b;

    return NGX_OK;
}


ngx_int_t
ngx_http_ampersand_text_send(ngx_http_ampersand_text_t *text,
    ngx_uint_t status, const char *content_type)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = text->request;

    if (text->failed || text->last == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    text->last->last_buf = (r == r->main);
    text->last->last_in_chain = 1;

    r->headers_out.status = status;
    r->headers_out.content_length_n = text->len;
    r->headers_out.content_type.data = (u_char *) content_type;
    r->headers_out.content_type.len = ngx_strlen(content_type);
    r->headers_out.content_type_len = r->headers_out.content_type.len;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_output_filter(r, text->first);
}
