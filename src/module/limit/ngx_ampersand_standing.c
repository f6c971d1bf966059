#include "ngx_ampersand_standing.h"
#include "ngx_ampersand_budget.h"
#include "ngx_ampersand_lease_call.h"
#include "zone/ngx_ampersand_node.h"


static void ngx_ampersand_standing_record(ngx_ampersand_shared_t *sh,
    const amp_tenant_t *tenant, ngx_ampersand_standing_t *standing);
static void ngx_ampersand_standing_rate(ngx_ampersand_shared_t *sh,
    amp_span_t holder, amp_limit_e limit, ngx_ampersand_standing_t *standing);
static time_t ngx_ampersand_standing_cooldown(ngx_ampersand_shared_t *sh,
    const amp_tenant_t *tenant);
static ngx_uint_t ngx_ampersand_standing_in_flight(ngx_ampersand_shared_t *sh,
    amp_span_t id, uint32_t max);


#define ngx_ampersand_standing_peek(sh, kind, id)                             \
    ngx_ampersand_node_peek(sh, kind,                                         \
                            ngx_ampersand_node_hash((id).data, (id).len),     \
                            (id).data, (id).len)


void
ngx_ampersand_standing(ngx_ampersand_zone_t *zone, amp_span_t id,
    ngx_ampersand_standing_t *standing)
{
    ngx_ampersand_node_t         *node;
    ngx_ampersand_tenant_node_t  *ten;

    ngx_memzero(standing, sizeof(*standing));

    ngx_ampersand_zone_lock(zone);

    node = ngx_ampersand_standing_peek(zone->sh, NGX_AMPERSAND_TENANT, id);

    if (node && !node->negative) {
        ten = ngx_ampersand_node_body(node);
        ngx_ampersand_standing_record(zone->sh, &ten->tenant, standing);
    }

    ngx_ampersand_zone_unlock(zone);
}


static void
ngx_ampersand_standing_record(ngx_ampersand_shared_t *sh,
    const amp_tenant_t *tenant, ngx_ampersand_standing_t *standing)
{
    amp_span_t                     id, project;
    ngx_uint_t                     i;
    ngx_ampersand_node_t          *node;
    ngx_ampersand_project_node_t  *pn;

    id = amp_tenant_field(tenant, tenant->id);

    standing->known = 1;
    standing->opens = (tenant->sealed.len != 0 && tenant->opened);
    standing->cooldown = ngx_ampersand_standing_cooldown(sh, tenant);

    for (i = 0; i < AMP_LIMIT_COUNT; i++) {
        if (amp_tenant_rate(tenant, (amp_limit_e) i, &standing->rates[i])) {
            ngx_ampersand_standing_rate(sh, id, (amp_limit_e) i, standing);
        }
    }

    project = amp_tenant_field(tenant, tenant->project_id);
    node = ngx_ampersand_standing_peek(sh, NGX_AMPERSAND_PROJECT, project);

    if (node) {
        pn = ngx_ampersand_node_body(node);

        if (pn->limit.count) {
            standing->rates[AMP_LIMIT_PROJECT] = pn->limit;
            ngx_ampersand_standing_rate(sh, project, AMP_LIMIT_PROJECT,
                                        standing);
        }
    }

    node = ngx_ampersand_standing_peek(sh, NGX_AMPERSAND_BUDGET, project);

    if (node) {
        standing->budget = amp_budget_unit(ngx_ampersand_node_state(node),
                                           ngx_ampersand_lease_now());
    }

    if (tenant->concurrency) {
        standing->limits |= (ngx_uint_t) 1 << AMP_LIMIT_CONCURRENCY;
        standing->rates[AMP_LIMIT_CONCURRENCY].burst = tenant->concurrency;
        standing->used[AMP_LIMIT_CONCURRENCY] =
                  ngx_ampersand_standing_in_flight(sh, id, tenant->concurrency);
    }
}


/* How much is used of a limit, whose rate is set. */

static void
ngx_ampersand_standing_rate(ngx_ampersand_shared_t *sh, amp_span_t holder,
    amp_limit_e limit, ngx_ampersand_standing_t *standing)
{
    u_char                   name[NGX_AMPERSAND_LEASE_ID];
    amp_span_t               id;
    ngx_ampersand_node_t    *node;
    ngx_ampersand_leased_t  *leased;

    standing->limits |= (ngx_uint_t) 1 << limit;

    id = ngx_ampersand_lease_id(holder, limit, name);
    node = ngx_ampersand_standing_peek(sh, NGX_AMPERSAND_LEASE, id);

    if (node) {
        leased = ngx_ampersand_node_state(node);
        standing->used[limit] = amp_lease_used(&leased->lease,
                                               &standing->rates[limit],
                                               ngx_ampersand_lease_now());
    }
}


static time_t
ngx_ampersand_standing_cooldown(ngx_ampersand_shared_t *sh,
    const amp_tenant_t *tenant)
{
    amp_span_t             owner;
    ngx_msec_t            *end;
    ngx_ampersand_node_t  *node;

    owner = amp_span_make(tenant->owner, AMP_TENANT_OWNER);
    node = ngx_ampersand_standing_peek(sh, NGX_AMPERSAND_COOLDOWN, owner);

    if (node == NULL) {
        return 0;
    }

    end = ngx_ampersand_node_state(node);

    return *end > ngx_current_msec
           ? (time_t) ((*end - ngx_current_msec + 999) / 1000) : 0;
}


static ngx_uint_t
ngx_ampersand_standing_in_flight(ngx_ampersand_shared_t *sh, amp_span_t id,
    uint32_t max)
{
    ngx_ampersand_node_t  *node;

    node = ngx_ampersand_standing_peek(sh, NGX_AMPERSAND_CONCURRENCY, id);

    return node ? (ngx_uint_t) ngx_min((uint64_t) node->ref * 1000 / max, 1000)
                : 0;
}
