/*
 * The head of an upstream request, as it is sent: the request line and the
 * header lines.  It takes the place of the head that nginx built, so what the
 * location says with proxy_set_header, proxy_pass_request_headers or
 * proxy_method does not reach Ampersand, and r->headers_in stays the client's.
 *
 *   GET /v1/projects/... HTTP/1.1
 *   Host, X-Request-Id          the API's name; the request's id
 *   Content-Length              of the client's body
 *   Content-Type                of a body that was read as JSON
 *   X-Amp-*                     that the API needs, see below
 *   If-Modified-Since, If-None-Match
 *                               to revalidate an entry of the cache
 *   the client's headers        that amp_header_forwarded() allows; without
 *                               conditions and ranges where the answer may be
 *                               stored
 *   X-Api-Key                   last
 *
 * There is no Connection header: HTTP/1.1 keeps connections open (RFC 9112,
 * section 9.3).
 */

#ifndef NGX_HTTP_AMPERSAND_HEAD_H
#define NGX_HTTP_AMPERSAND_HEAD_H


#include "ngx_http_ampersand_context.h"


/*
 * Composes all but the key's line, into memory of r's pool with room for it.
 * NGX_DECLINED: a header's value holds a control byte.  NGX_ERROR: no memory.
 */

ngx_int_t ngx_http_ampersand_head(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, ngx_str_t *head);

/*
 * Appends the line with the tenant's Ampersand key, and the end of the head.
 * *key: where the key stands, for the caller to wipe.  NGX_DECLINED: it does
 * not open, nothing is appended, and a line is logged.
 */

ngx_int_t ngx_http_ampersand_head_key(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, ngx_str_t *head, ngx_str_t *key);


#endif /* NGX_HTTP_AMPERSAND_HEAD_H */
