/*
 * The tenant's Ampersand key in the clear: it exists in $ampersand_api_key,
 * from the moment at which nginx builds an upstream request until that has its
 * copy.
 */

#ifndef NGX_HTTP_AMPERSAND_SECRET_H
#define NGX_HTTP_AMPERSAND_SECRET_H


#include "ngx_http_ampersand_context.h"


/*
 * Opens the key into memory of r's pool.  NGX_DECLINED: it does not open, and a
 * line is logged.  NGX_ERROR: no memory.
 */

ngx_int_t ngx_http_ampersand_secret_open(ngx_http_request_t *r,
    const amp_tenant_t *tenant, ngx_str_t *key);

/* Wipes what $ampersand_api_key left in r->variables. */

void ngx_http_ampersand_secret_wipe(ngx_http_request_t *r);


#endif /* NGX_HTTP_AMPERSAND_SECRET_H */
