/*
 * What is stored, for how long, and what an answer says of it.
 *
 * Only a 200 of an operation with a lifetime is stored, and a 404 where
 * "ampersand_cache_ttl 404" gives it one.  Where upstream says nothing of
 * lifetimes, the configuration and then the operations table do; a 404 never
 * lives longer than configured.
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

#ifndef NGX_HTTP_AMPERSAND_CACHE_STORE_H
#define NGX_HTTP_AMPERSAND_CACHE_STORE_H


#include "ngx_ampersand_compat.h"
#include <ngx_http.h>
#include "zone/ngx_ampersand_zone.h"
#include "amp_header.h"


/* bytes of the texts of Cache-Status and Age together */

#define NGX_HTTP_AMPERSAND_CACHE_TEXT                                         \
    (sizeof("ampersand; fwd=vary-miss; fwd-status=; collapsed; stored; ttl=") \
     + NGX_INT_T_LEN + 2 * NGX_TIME_T_LEN)


/* What the request says of storing. */

typedef struct {
    uint32_t              ttl;          /* of a 200, s; 0: never stored       */
    time_t                ttl_missing;  /* of a 404, s; 0: never stored       */
    amp_header_policy_t  *headers;      /* which headers went upstream        */
} ngx_http_ampersand_cache_terms_t;


/*
 * Decides whether the answer of r->upstream is stored, and for how long: just
 * before nginx does, for the request and for its background refresh.
 */

void ngx_http_ampersand_cache_store(ngx_http_request_t *r,
    ngx_ampersand_zone_t *zone,
    const ngx_http_ampersand_cache_terms_t *terms);

/*
 * Adds Cache-Status, X-Cache-Status and Age.  text: room for their values,
 * NGX_HTTP_AMPERSAND_CACHE_TEXT bytes that live as long as the request.
 * forwarded: an upstream request was sent.  NGX_ERROR: no memory.
 */

ngx_int_t ngx_http_ampersand_cache_headers(ngx_http_request_t *r,
    u_char *text, ngx_uint_t forwarded, ngx_uint_t no_store);


#endif /* NGX_HTTP_AMPERSAND_CACHE_STORE_H */
