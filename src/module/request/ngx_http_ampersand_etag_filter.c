#include "ngx_http_ampersand_context.h"
#include "cache/ngx_http_ampersand_cache_etag.h"


/*
 * The header filter that sets ETag.  An nginx module of its own, since it has
 * to run before not_modified, which is the last in nginx's order of modules and
 * so the first of its filters (see config).
 */


static ngx_int_t ngx_http_ampersand_etag_filter(ngx_http_request_t *r);
static ngx_int_t ngx_http_ampersand_etag_filter_init(ngx_conf_t *cf);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;


static ngx_http_module_t  ngx_http_ampersand_etag_filter_module_ctx = {
    NULL,                                  /* preconfiguration */
    ngx_http_ampersand_etag_filter_init,   /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    NULL,                                  /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_ampersand_etag_filter_module = {
    NGX_MODULE_V1,
    &ngx_http_ampersand_etag_filter_module_ctx, /* module context */
    NULL,                                  /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_http_ampersand_etag_filter(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_http_ampersand_ctx_t  *ctx;

    if (r->cache == NULL || r->upstream == NULL
        || r->headers_out.status != NGX_HTTP_OK || r->headers_out.etag)
    {
        return ngx_http_next_header_filter(r);
    }

    ctx = ngx_http_ampersand_passed(r);

    if (ctx == NULL) {
        return ngx_http_next_header_filter(r);
    }

    rc = NGX_OK;

    if (r->cached) {
        rc = ngx_http_ampersand_cache_etag_hit(r);

    } else if (r->upstream->cacheable && ctx->ttl) {
        rc = ngx_http_ampersand_cache_etag_store(r);
    }

    return (rc == NGX_OK) ? ngx_http_next_header_filter(r) : NGX_ERROR;
}


static ngx_int_t
ngx_http_ampersand_etag_filter_init(ngx_conf_t *cf)
{
    (void) cf;

    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_ampersand_etag_filter;

    return NGX_OK;
}
