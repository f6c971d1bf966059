/*
 * What an answer says of the cache.
 *
 * Cache-Status (RFC 9211), by what nginx found:
 *
 *   HIT                               hit
 *   HIT, after another's upstream     fwd=miss; collapsed
 *   STALE, UPDATING                   hit, with a negative ttl
 *   STALE, after upstream failed      fwd=stale; fwd-status=<status, if any>
 *   REVALIDATED                       fwd=stale; fwd-status=304
 *   EXPIRED                           fwd=stale
 *   MISS                              fwd=miss, fwd=vary-miss
 *   BYPASS, by Cache-Control          fwd=request
 *   never cached                      fwd=bypass, fwd=method
 *
 * and "stored" where the answer will be, and "ttl" where an entry exists.  The
 * gateway's own refusals and nginx's errors did not come through the cache, and
 * say nothing (RFC 9211, section 2).
 */

#ifndef NGX_HTTP_AMPERSAND_CACHE_STATUS_H
#define NGX_HTTP_AMPERSAND_CACHE_STATUS_H


#include "ngx_ampersand_compat.h"
#include <ngx_http.h>


/* bytes of the texts of Cache-Status and Age together */

#define NGX_HTTP_AMPERSAND_CACHE_TEXT                                         \
    (sizeof("ampersand; fwd=vary-miss; fwd-status=; collapsed; stored; ttl=") \
     + NGX_INT_T_LEN + 2 * NGX_TIME_T_LEN)


/*
 * Adds Cache-Status, X-Cache-Status and Age.  text: room for their values,
 * NGX_HTTP_AMPERSAND_CACHE_TEXT bytes that live as long as the request.
 * forwarded: an upstream request was sent.  NGX_ERROR: no memory.
 */

ngx_int_t ngx_http_ampersand_cache_headers(ngx_http_request_t *r,
    u_char *text, ngx_uint_t forwarded, ngx_uint_t no_store);


#endif /* NGX_HTTP_AMPERSAND_CACHE_STATUS_H */
