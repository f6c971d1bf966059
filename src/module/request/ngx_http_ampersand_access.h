/*
 * The phases in which the gateway handles a request.
 */

#ifndef NGX_HTTP_AMPERSAND_ACCESS_H
#define NGX_HTTP_AMPERSAND_ACCESS_H


#include "ngx_http_ampersand_context.h"


/* The post-read phase: each request to a gateway's server has a context. */

ngx_int_t ngx_http_ampersand_post_read_handler(ngx_http_request_t *r);

/* The access phase: decides on the request. */

ngx_int_t ngx_http_ampersand_access_handler(ngx_http_request_t *r);

/*
 * The precontent phase, before mirror and try_files: decides on a request that
 * the access handler has not seen.  With "satisfy any" nginx skips that handler
 * when another module grants access, and the tenant is still to be identified.
 */

ngx_int_t ngx_http_ampersand_precontent_handler(ngx_http_request_t *r);


#endif /* NGX_HTTP_AMPERSAND_ACCESS_H */
