/*
 * Counts a request when it ends, in ngx_ampersand_metrics.h.
 */

#ifndef NGX_HTTP_AMPERSAND_ACCOUNT_H
#define NGX_HTTP_AMPERSAND_ACCOUNT_H


#include "ngx_ampersand_compat.h"
#include <ngx_http.h>


/* The log phase. */

ngx_int_t ngx_http_ampersand_account_handler(ngx_http_request_t *r);


#endif /* NGX_HTTP_AMPERSAND_ACCOUNT_H */
