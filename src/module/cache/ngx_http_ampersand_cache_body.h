/*
 * A small answer comes out of the cache with one read.  nginx reads of a file
 * as many bytes as the node of the entry says that its head has, and later, for
 * the client, the body:
 *
 *   the first hit ──▶ the node says that the head has all of the file
 *   later hits ──▶ nginx reads the whole file as its head, checks it, and finds
 *                  in the file itself where the body begins; the body filter
 *                  sends these bytes in place of a part of the file
 *   the entry is replaced ──▶ nginx sets the node anew
 *
 * So the bytes are those of the file that nginx has just checked: nothing has
 * to be remembered, compared or invalidated.
 */

#ifndef NGX_HTTP_AMPERSAND_CACHE_BODY_H
#define NGX_HTTP_AMPERSAND_CACHE_BODY_H


#include "ngx_ampersand_compat.h"
#include <ngx_http.h>


/* The largest file that is read at once: the size of nginx's output_buffers. */

#define NGX_HTTP_AMPERSAND_CACHE_BODY_MAX  32768


/* r is answered from the cache. */

void ngx_http_ampersand_cache_body_hit(ngx_http_request_t *r);

/* In the first body filter: in has the bytes, where they have been read. */

void ngx_http_ampersand_cache_body(ngx_http_request_t *r, ngx_chain_t *in);


#endif /* NGX_HTTP_AMPERSAND_CACHE_BODY_H */
