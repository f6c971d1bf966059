/*
 * What a request costs its tenant: a concurrency slot, a unit of each limit
 * that applies, and one of its project's budget.
 *
 * Limits are charged for what reaches Ampersand, once for a client request: an
 * upstream request that takes the place of a failed one (error_page) costs
 * nothing more, unless another tenant or class of operations pays for it.  A
 * background refresh is charged for itself, since the answer that its client
 * got cost nothing.
 */

#ifndef NGX_HTTP_AMPERSAND_CHARGE_H
#define NGX_HTTP_AMPERSAND_CHARGE_H


#include "ngx_http_ampersand_context.h"
#include "limit/ngx_ampersand_budget.h"
#include "limit/ngx_http_ampersand_cooldown.h"


/*
 * Checks the cool-down and the budget, then takes a concurrency slot and rate
 * units, once for limited: a later call returns AMP_OK, also after a refusal.
 * sends: 0 before the cache is asked (ampersand_limit_hits).  Then the budget
 * is left to the call with 1, if the request goes upstream.
 *   AMP_OK with limited->wait.request set
 *                      nothing is decided: the caller has to suspend the
 *                      request, a timer will run its phase again
 *   AMP_OK             the request may go upstream
 *   AMP_COOLING_DOWN, AMP_RATE_LIMITED, AMP_TOKEN_RATE_LIMITED,
 *   AMP_PROJECT_RATE_LIMITED
 *                      limited->retry is set; COOLING_DOWN with
 *                      limited->beyond: it is the budget that refuses
 *   AMP_TOO_MANY, AMP_STORE_DOWN, AMP_INTERNAL
 * "ampersand_observe on" makes AMP_OK of all reasons but AMP_INTERNAL;
 * ctx->reason has the reason of a main request then.
 */

amp_reason_e ngx_http_ampersand_charge(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, ngx_http_ampersand_limited_t *limited,
    ngx_uint_t sends);

/* What a cool-down of this request's tenant or installation is about. */

void ngx_http_ampersand_cooldown_scope(ngx_http_ampersand_ctx_t *ctx,
    ngx_http_ampersand_cooldown_scope_t *scope);

/* The request is suspended: notices a client that leaves.  NGX_AGAIN, or
   NGX_ERROR. */

ngx_int_t ngx_http_ampersand_suspend(ngx_http_request_t *r);


#endif /* NGX_HTTP_AMPERSAND_CHARGE_H */
