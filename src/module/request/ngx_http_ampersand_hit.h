/*
 * A hit out of the worker's memory: a content handler in front of proxy_pass.
 */

#ifndef NGX_HTTP_AMPERSAND_HIT_H
#define NGX_HTTP_AMPERSAND_HIT_H


#include "ngx_http_ampersand_context.h"


/*
 * The access phase has passed r and its cache key is known: where nginx's cache
 * might answer it, memory is looked into before.
 */

void ngx_http_ampersand_hit(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);

/* In the first header filter, for each 200 of nginx's cache. */

void ngx_http_ampersand_hit_keep(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);


#endif /* NGX_HTTP_AMPERSAND_HIT_H */
