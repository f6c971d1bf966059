#include "ngx_http_ampersand_hit.h"


static ngx_int_t ngx_http_ampersand_hit_handler(ngx_http_request_t *r);


void
ngx_http_ampersand_hit(ngx_http_request_t *r, ngx_http_ampersand_ctx_t *ctx)
{
    ngx_http_core_loc_conf_t       *clcf;
    ngx_http_ampersand_loc_conf_t  *alcf;

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_ampersand_module);
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (alcf->memory && ctx->ttl && !ctx->headers.no_cache && r == r->main
        && r->method == NGX_HTTP_GET && clcf->handler
        && r->content_handler == clcf->handler)
    {
        r->content_handler = ngx_http_ampersand_hit_handler;
    }
}


static ngx_int_t
ngx_http_ampersand_hit_handler(ngx_http_request_t *r)
{
    ngx_http_core_loc_conf_t         *clcf;
    ngx_http_ampersand_ctx_t         *ctx;
    ngx_http_ampersand_main_conf_t   *amcf;
    ngx_http_ampersand_cache_copy_t  *copy;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);
    ctx = ngx_http_ampersand_passed(r);

    copy = ctx ? ngx_http_ampersand_cache_memory_find(
                                         &amcf->worker->cache_memory, r,
                                         &ctx->cache_key)
               : NULL;

    if (copy) {
        return ngx_http_ampersand_cache_copy_send(r, copy);
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    r->content_handler = clcf->handler;

    return r->content_handler(r);
}


void
ngx_http_ampersand_hit_keep(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx)
{
    ngx_http_ampersand_loc_conf_t   *alcf;
    ngx_http_ampersand_main_conf_t  *amcf;

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_ampersand_module);
    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);

    if (alcf->memory && ctx->ttl) {
        ngx_http_ampersand_cache_memory_keep(&amcf->worker->cache_memory, r,
                                             &ctx->cache_key);
    }
}
