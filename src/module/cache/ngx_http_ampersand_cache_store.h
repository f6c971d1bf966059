/*
 * What is stored, for how long, and how long it may serve when it is stale.
 *
 * Only a 200 of an operation with a lifetime is stored, and a 404 where
 * "ampersand_cache_ttl 404" gives it one.  Where upstream says nothing of
 * lifetimes, the configuration and then the operations table do; a 404 never
 * lives longer than configured.
 *
 * Each entry has in its file how long it may serve stale: while it is
 * refreshed, and while upstream fails (nginx's updating_sec and error_sec).
 * What upstream says (stale-while-revalidate, stale-if-error, must-revalidate)
 * comes before the configuration.
 */

#ifndef NGX_HTTP_AMPERSAND_CACHE_STORE_H
#define NGX_HTTP_AMPERSAND_CACHE_STORE_H


#include "ngx_ampersand_compat.h"
#include <ngx_http.h>
#include "zone/ngx_ampersand_zone.h"
#include "amp_header.h"


/* While an entry is refreshed: its lifetime, but not more than this, s. */

#define NGX_HTTP_AMPERSAND_CACHE_STALE_DEFAULT  (-2)
#define NGX_HTTP_AMPERSAND_CACHE_STALE_MOST     30

/* While upstream fails, s. */

#define NGX_HTTP_AMPERSAND_CACHE_STALE_ERROR    600


/* What the request says of storing. */

typedef struct {
    uint32_t              ttl;          /* of a 200, s; 0: never stored       */
    time_t                ttl_missing;  /* of a 404, s; 0: never stored       */
    time_t                stale;        /* while it is refreshed, s; 0: not   */
    time_t                stale_error;  /* while upstream fails, s; 0: not    */
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
 * After each head that nginx has parsed, of upstream or of an entry: where
 * upstream has answered 304 to the question of nginx (proxy_cache_revalidate)
 * the entry is fresh again, as the 304 says, else as the entry itself does,
 * else as the terms do.
 */

void ngx_http_ampersand_cache_validated(ngx_http_request_t *r,
    const ngx_http_ampersand_cache_terms_t *terms);

/*
 * May an expired entry, for which r goes upstream, be served when upstream
 * fails?  1 where there is none.
 */

ngx_uint_t ngx_http_ampersand_cache_serves_errors(ngx_http_request_t *r);

/*
 * nginx answers 500 to r: if that is since the file of an entry cannot be
 * opened, the entry is removed, so that the next request goes upstream.
 */

void ngx_http_ampersand_cache_unreadable(ngx_http_request_t *r);


#endif /* NGX_HTTP_AMPERSAND_CACHE_STORE_H */
