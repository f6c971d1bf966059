/*
 * An ETag for what is stored without one: of the bytes of the body, so that the
 * same body has the same tag on all gateways and after each refresh.  nginx's
 * entries have a place for it in their header, at the start of the file:
 *
 *   the body came with its head ──▶ hashed now; nginx stores the tag, and this
 *                                   answer has it too
 *   else ──▶ the pipe's input filter is wrapped and hashes what comes in
 *        ── last byte ──┬── head not yet written ──▶ into the buffer
 *                       └── written ──▶ into the temporary file, which nginx
 *                                       renames after that
 *   an answer from the cache ──▶ has the entry's tag
 *
 * nginx answers If-None-Match and If-Match itself, in its not_modified filter,
 * which runs later.  The module's context ngx_http_ampersand_etag_filter_module
 * is the request's own: a background refresh is a subrequest.
 */

#ifndef NGX_HTTP_AMPERSAND_CACHE_ETAG_H
#define NGX_HTTP_AMPERSAND_CACHE_ETAG_H


#include "ngx_ampersand_compat.h"
#include <ngx_http.h>


extern ngx_module_t  ngx_http_ampersand_etag_filter_module;


/* r is answered from the cache: sets the entry's tag.  NGX_ERROR: no memory. */

ngx_int_t ngx_http_ampersand_cache_etag_hit(ngx_http_request_t *r);

/*
 * The answer of r->upstream will be stored: makes a tag, now or when the body
 * is complete.  NGX_ERROR: no memory.
 */

ngx_int_t ngx_http_ampersand_cache_etag_store(ngx_http_request_t *r);


#endif /* NGX_HTTP_AMPERSAND_CACHE_ETAG_H */
