/*
 * The only place that refuses a request, with a problem (RFC 9457).
 */

#ifndef NGX_HTTP_AMPERSAND_DENY_H
#define NGX_HTTP_AMPERSAND_DENY_H


#include "ngx_http_ampersand_context.h"


/*
 * Before the request goes upstream: answers it.  An access handler returns the
 * result, and touches neither r nor ctx after it.
 */

ngx_int_t ngx_http_ampersand_deny(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, amp_reason_e reason);

/*
 * In the header filter, where nginx is about to send an error page of its own:
 * turns it into the problem; status and headers now, ctx->problem for the body
 * filter.  NGX_ERROR: no memory.
 */

ngx_int_t ngx_http_ampersand_deny_replace(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, amp_reason_e reason);


#endif /* NGX_HTTP_AMPERSAND_DENY_H */
