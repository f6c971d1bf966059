/*
 * The client's body: its size, and for operations that name a project or a
 * group in it, its contents.
 */

#ifndef NGX_HTTP_AMPERSAND_BODY_H
#define NGX_HTTP_AMPERSAND_BODY_H


#include "ngx_http_ampersand_context.h"


/* Counts bodies while they come in, against ampersand_body_max. */

ngx_int_t ngx_http_ampersand_body_init(ngx_conf_t *cf);

/*
 * Reads the body, then runs the phase again with state READ.  Returns what an
 * access handler does.
 */

ngx_int_t ngx_http_ampersand_body_read(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);

/* Puts into ctx->fault that the body has more bytes than this. */

void ngx_http_ampersand_body_exceeds(ngx_http_ampersand_ctx_t *ctx,
    off_t most);

/*
 * Checks the body that was read, and puts the tenant's project in where
 * absent.
 */

amp_reason_e ngx_http_ampersand_body_check(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);


#endif /* NGX_HTTP_AMPERSAND_BODY_H */
