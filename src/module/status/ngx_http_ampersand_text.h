/*
 * A text of any length, in a request's pool, as the body of an answer.
 */

#ifndef NGX_HTTP_AMPERSAND_TEXT_H
#define NGX_HTTP_AMPERSAND_TEXT_H


#include "ngx_ampersand_compat.h"
#include <ngx_http.h>


/* Of one call: what is longer is cut. */

#define NGX_HTTP_AMPERSAND_TEXT_MAX  4096


typedef struct {
    ngx_http_request_t   *request;
    ngx_chain_t          *first;
    ngx_chain_t         **next;     /* where another buffer is linked         */
    ngx_buf_t            *last;     /* the buffer that is filled              */
    off_t                 len;
    unsigned              failed:1; /* no memory: it is not sent              */
} ngx_http_ampersand_text_t;


void ngx_http_ampersand_text_init(ngx_http_ampersand_text_t *text,
    ngx_http_request_t *r);

/* Appends; the format is that of ngx_sprintf(). */

void ngx_cdecl ngx_http_ampersand_text(ngx_http_ampersand_text_t *text,
    const char *fmt, ...);

/*
 * Answers with the text.  Returns what a content handler returns: 500 where
 * there was no memory.
 */

ngx_int_t ngx_http_ampersand_text_send(ngx_http_ampersand_text_t *text,
    ngx_uint_t status, const char *content_type);


#endif /* NGX_HTTP_AMPERSAND_TEXT_H */
