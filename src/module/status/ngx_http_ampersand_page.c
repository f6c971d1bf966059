#include "ngx_http_ampersand_page.h"
#include "ngx_http_ampersand_header_list.h"
#include "ngx_http_ampersand_page_text.h"


static u_char  ngx_http_ampersand_page_text[] = NGX_HTTP_AMPERSAND_PAGE_TEXT;


ngx_int_t
ngx_http_ampersand_page(ngx_http_request_t *r)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_str_t     policy = ngx_string(NGX_HTTP_AMPERSAND_PAGE_POLICY);
    ngx_str_t     no_store = ngx_string("no-store");
    ngx_str_t     nosniff = ngx_string("nosniff");
    ngx_str_t     no_referrer = ngx_string("no-referrer");
    ngx_chain_t   out;

    b = ngx_calloc_buf(r->pool);

    if (b == NULL
        || ngx_http_ampersand_header(r, "Content-Security-Policy", &policy)
           != NGX_OK
        || ngx_http_ampersand_header(r, "Cache-Control", &no_store) != NGX_OK
        || ngx_http_ampersand_header(r, "X-Content-Type-Options", &nosniff)
           != NGX_OK
        || ngx_http_ampersand_header(r, "Referrer-Policy", &no_referrer)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->pos = ngx_http_ampersand_page_text;
    b->last = b->pos + sizeof(ngx_http_ampersand_page_text) - 1;
    b->memory = 1;
    b->last_buf = (r == r->main);
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = b->last - b->pos;
    ngx_str_set(&r->headers_out.content_type, "text/html");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    ngx_str_set(&r->headers_out.charset, "utf-8");

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_output_filter(r, &out);
}
