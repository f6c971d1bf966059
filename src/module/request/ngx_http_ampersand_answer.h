/*
 * The head of an upstream's answer, in front of nginx's parser: skips interim
 * answers, refuses what is no answer, and removes the fields that concern only
 * the connection or the origin of the upstream (core/amp_answer.h).
 *
 * nginx 1.22 takes a 1xx for the final answer, and what has no status line for
 * HTTP/0.9 (ngx_http_proxy_process_status_line()); 1.30 skips 103.  So the
 * module takes the place of u->process_header (in
 * ngx_http_ampersand_upstream.c), and calls nginx's when a whole final head is
 * in u->buffer:
 *
 *   WAITING ── part of a head ───────▶ WAITING   (NGX_AGAIN: nginx reads more)
 *           ── a whole interim head ─▶ WAITING   (its bytes are removed)
 *           ── a whole final head ───▶ nginx's process_header, once
 *           ── anything else ────────▶ NGX_HTTP_UPSTREAM_INVALID_HEADER: nginx
 *                                      ends with a 502, or a stale answer
 *   any     ── u->reinit_request ────▶ WAITING   (the next try; or a stale
 *                                      answer, whose head nginx parses alone)
 *
 * The bytes are removed from the buffer, so the head that nginx stores in the
 * cache is the one that the client gets.
 */

#ifndef NGX_HTTP_AMPERSAND_ANSWER_H
#define NGX_HTTP_AMPERSAND_ANSWER_H


#include "ngx_ampersand_compat.h"
#include <ngx_http.h>
#include "amp_answer.h"


/* Of one upstream request; zeroed when that is made. */

typedef struct {
    ngx_int_t  (*process_header)(ngx_http_request_t *r);    /* nginx's own    */
    ngx_int_t  (*reinit_request)(ngx_http_request_t *r);
    size_t       interim;       /* bytes of interim answers, in all tries     */
    unsigned     shared:1;      /* the entry belongs to all tenants           */
} ngx_http_ampersand_answer_t;


/*
 * In place of nginx's u->process_header, see there: NGX_OK, NGX_AGAIN,
 * NGX_ERROR or NGX_HTTP_UPSTREAM_INVALID_HEADER.
 */

ngx_int_t ngx_http_ampersand_answer_header(ngx_http_request_t *r,
    ngx_http_ampersand_answer_t *answer);


#endif /* NGX_HTTP_AMPERSAND_ANSWER_H */
