/*
 * The moment at which a request goes upstream.
 *
 * Limits are charged for what reaches Ampersand.  Whether a cacheable GET does
 * is known only after proxy_cache has looked: nginx then makes the upstream
 * request and calls the upstream{}'s peer.init.  The module stands in front of
 * each of them, so answers from the cache cost nothing, a background refresh is
 * charged, and no directive has to be remembered in an upstream{}.  peer.init
 * cannot wait: a request that has to, ends its upstream request as if it had
 * never been made, gives the cache's lock back, and runs the content handler
 * again later.
 *
 * The same moment ends the life of the plaintext key in r->variables: the
 * upstream request has its copy by then.
 */

#ifndef NGX_HTTP_AMPERSAND_UPSTREAM_H
#define NGX_HTTP_AMPERSAND_UPSTREAM_H


#include "ngx_http_ampersand_context.h"
#include "limit/ngx_http_ampersand_cooldown.h"


/*
 * Puts the module in front of every upstream{}.  A location whose
 * ampersand_upstream names none fails in nginx -t, see
 * ngx_http_ampersand_check_upstream().
 */

ngx_int_t ngx_http_ampersand_upstream_init(ngx_conf_t *cf);

/*
 * Checks the cool-down, then takes a concurrency slot and rate units; once: a
 * later call returns AMP_OK, also after a refusal.
 *   AMP_OK with ctx->limited.wait.request set
 *                      nothing is decided: the caller has to suspend the
 *                      request, a timer will run its phase again
 *   AMP_OK             the request may go upstream
 *   AMP_COOLING_DOWN, AMP_RATE_LIMITED
 *                      ctx->retry is set
 *   AMP_TOO_MANY, AMP_STORE_DOWN, AMP_INTERNAL
 * "ampersand_observe on" makes AMP_OK of all reasons but AMP_INTERNAL;
 * ctx->reason has the reason then.
 */

amp_reason_e ngx_http_ampersand_charge(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);

/* What a cool-down of this request's tenant or installation is about. */

void ngx_http_ampersand_cooldown_scope(ngx_http_ampersand_ctx_t *ctx,
    ngx_http_ampersand_cooldown_scope_t *scope);

/*
 * The write succeeded, or may have: invalidates the families that it writes,
 * once a request.
 */

void ngx_http_ampersand_written(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);

/* The request is suspended: notices a client that leaves.  NGX_AGAIN, or
   NGX_ERROR. */

ngx_int_t ngx_http_ampersand_suspend(ngx_http_request_t *r);


#endif /* NGX_HTTP_AMPERSAND_UPSTREAM_H */
