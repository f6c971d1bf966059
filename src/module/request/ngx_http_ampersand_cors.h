/*
 * Pages of other origins (ampersand_cors): the Fetch standard's CORS protocol.
 */

#ifndef NGX_HTTP_AMPERSAND_CORS_H
#define NGX_HTTP_AMPERSAND_CORS_H


#include "ngx_http_ampersand_context.h"


/*
 * The preaccess phase: answers a preflight, which has no credential, before
 * allow, auth_basic and the like are asked; limit_req and limit_conn were.
 */

ngx_int_t ngx_http_ampersand_cors_handler(ngx_http_request_t *r);

/*
 * Adds what lets a page of a listed origin read the answer, and Vary.  Nothing
 * where the location has no ampersand_cors, or the answer is not the gateway's.
 * NGX_ERROR: no memory.
 */

ngx_int_t ngx_http_ampersand_cors_headers(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);


#endif /* NGX_HTTP_AMPERSAND_CORS_H */
