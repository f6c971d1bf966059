#include "ngx_ampersand_budget.h"
#include "ngx_ampersand_lease_call.h"
#include "zone/ngx_ampersand_node.h"


#define ngx_ampersand_budget_any(zone)                                        \
    ((zone)->sh->budget_end > ngx_current_msec)


static amp_budget_t *ngx_ampersand_budget_find(ngx_ampersand_zone_t *zone,
    amp_span_t project, uint64_t now);
static amp_share_t *ngx_ampersand_budget_part(ngx_ampersand_zone_t *zone,
    amp_span_t tenant, ngx_uint_t make);


uint64_t
ngx_ampersand_budget_look(ngx_ampersand_zone_t *zone, amp_span_t project,
    amp_span_t tenant, amp_share_look_t *look)
{
    uint64_t       now, wait;
    amp_share_t   *part;
    amp_budget_t  *budget;

    ngx_memzero(look, sizeof(*look));

    if (!ngx_ampersand_budget_any(zone)) {
        return 0;
    }

    wait = 0;
    part = NULL;

    ngx_ampersand_zone_lock(zone);

    /* with the lock held, so that time never decreases between workers */

    now = ngx_ampersand_lease_now();
    budget = ngx_ampersand_budget_find(zone, project, now);

    if (budget && amp_budget_unit(budget, now)) {
        part = ngx_ampersand_budget_part(zone, tenant, 0);

        if (part == NULL) {
            part = ngx_ampersand_budget_part(zone, tenant, 1);

            /* it may have been evicted for that */

            budget = ngx_ampersand_budget_find(zone, project, now);
        }
    }

    if (budget && part) {
        wait = amp_budget_look(budget, part, now, look);
    }

    ngx_ampersand_zone_unlock(zone);

    return wait;
}


void
ngx_ampersand_budget_spend(ngx_ampersand_zone_t *zone, amp_span_t project,
    amp_span_t tenant, const amp_share_look_t *look)
{
    uint64_t       now;
    amp_share_t   *part;
    amp_budget_t  *budget;

    if (look->unit == 0) {
        return;
    }

    ngx_ampersand_zone_lock(zone);

    now = ngx_ampersand_lease_now();
    budget = ngx_ampersand_budget_find(zone, project, now);
    part = ngx_ampersand_budget_part(zone, tenant, 0);

    if (budget && part) {
        amp_budget_spend(budget, part, look, now);
    }

    ngx_ampersand_zone_unlock(zone);
}


void
ngx_ampersand_budget_answered(ngx_ampersand_zone_t *zone, amp_span_t project)
{
    amp_budget_t  *budget;

    if (!ngx_ampersand_budget_any(zone)) {
        return;
    }

    ngx_ampersand_zone_lock(zone);

    budget = ngx_ampersand_budget_find(zone, project,
                                       ngx_ampersand_lease_now());
    if (budget) {
        amp_budget_answered(budget);
    }

    ngx_ampersand_zone_unlock(zone);
}


void
ngx_ampersand_budget_refused(ngx_ampersand_zone_t *zone, amp_span_t project,
    ngx_msec_t ms, ngx_log_t *log)
{
    uint64_t               unit;
    ngx_msec_t             end;
    amp_budget_t          *budget;
    ngx_ampersand_node_t  *node;

    unit = 0;

    ngx_ampersand_zone_lock(zone);

    node = ngx_ampersand_node_obtain(zone, NGX_AMPERSAND_BUDGET, project,
                                     sizeof(*budget));
    if (node) {
        budget = ngx_ampersand_node_state(node);

        if (amp_budget_refused(budget, (uint64_t) ms * 1000000,
                               ngx_ampersand_lease_now()))
        {
            unit = budget->unit;
        }

        end = ngx_current_msec + ngx_max(ms, 1000)
              + (ngx_msec_t) (AMP_BUDGET_LIFE / 1000000);
        zone->sh->budget_end = ngx_max(zone->sh->budget_end, end);
    }

    ngx_ampersand_zone_unlock(zone);

    if (unit) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "ampersand: by upstream's 429s project \"%*s\" has about "
                      "%.2f requests a second, tenants that ask for more than "
                      "their part of that are held", project.len, project.data,
                      1e9 / (double) unit);
    }
}


/* NULL: there is none, or it is over. */

static amp_budget_t *
ngx_ampersand_budget_find(ngx_ampersand_zone_t *zone, amp_span_t project,
    uint64_t now)
{
    amp_budget_t          *budget;
    ngx_ampersand_node_t  *node;

    node = ngx_ampersand_node_find(zone->sh, NGX_AMPERSAND_BUDGET, project);

    if (node == NULL) {
        return NULL;
    }

    budget = ngx_ampersand_node_state(node);

    if (amp_budget_over(budget, now)) {
        ngx_ampersand_node_free(zone, node);
        return NULL;
    }

    return budget;
}


/* A tenant's part of its project's budget; NULL: none, or no room. */

static amp_share_t *
ngx_ampersand_budget_part(ngx_ampersand_zone_t *zone, amp_span_t tenant,
    ngx_uint_t make)
{
    ngx_ampersand_node_t  *node;

    node = make ? ngx_ampersand_node_obtain(zone, NGX_AMPERSAND_BUDGET_PART,
                                            tenant, sizeof(amp_share_t))
                : ngx_ampersand_node_find(zone->sh, NGX_AMPERSAND_BUDGET_PART,
                                          tenant);

    return node ? ngx_ampersand_node_state(node) : NULL;
}
