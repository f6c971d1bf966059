/*
 * Budgets of projects in the zone, learned from Ampersand's 429s: see
 * core/amp_budget.h.  Each gateway learns its own, of what it sends.
 *
 * A project that got no 429 has no state.  While no project of the gateway has
 * one, none of these functions takes the lock.  Only what goes to Ampersand's
 * own APIs counts: a 429 of the proxy API is a provider's.
 */

#ifndef NGX_AMPERSAND_BUDGET_H
#define NGX_AMPERSAND_BUDGET_H


#include "zone/ngx_ampersand_zone.h"
#include "amp_budget.h"


/*
 * May a request of the tenant go upstream?  0, or the ns until it may; fills
 * *look.  The tenant counts as one that asks.  Where the zone has no room there
 * is no budget.
 */

uint64_t ngx_ampersand_budget_look(ngx_ampersand_zone_t *zone,
    amp_span_t project, amp_span_t tenant, amp_share_look_t *look);

/* The request that was looked at goes upstream. */

void ngx_ampersand_budget_spend(ngx_ampersand_zone_t *zone, amp_span_t project,
    amp_span_t tenant, const amp_share_look_t *look);

/* Ampersand has answered a request of the project, and not with 429. */

void ngx_ampersand_budget_answered(ngx_ampersand_zone_t *zone,
    amp_span_t project);

/*
 * Ampersand has answered 429, and named so many ms.  Logs it where there is a
 * budget now, and there was none.
 */

void ngx_ampersand_budget_refused(ngx_ampersand_zone_t *zone,
    amp_span_t project, ngx_msec_t ms, ngx_log_t *log);


#endif /* NGX_AMPERSAND_BUDGET_H */
