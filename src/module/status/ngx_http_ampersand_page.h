/*
 * The live page for browsers: one document, made from src/page when the module
 * is built, which asks the status for JSON each second.
 */

#ifndef NGX_HTTP_AMPERSAND_PAGE_H
#define NGX_HTTP_AMPERSAND_PAGE_H


#include "ngx_ampersand_compat.h"
#include <ngx_http.h>


/* Answers with the page.  Returns what a content handler returns. */

ngx_int_t ngx_http_ampersand_page(ngx_http_request_t *r);


#endif /* NGX_HTTP_AMPERSAND_PAGE_H */
