#include "ngx_http_ampersand_charge.h"


static ngx_uint_t ngx_http_ampersand_charged(ngx_http_ampersand_ctx_t *ctx,
    ngx_http_ampersand_limited_t *limited);
static void ngx_http_ampersand_resume(ngx_http_request_t *r,
    ngx_http_ampersand_lease_wait_t *wait);
static amp_reason_e ngx_http_ampersand_check_limits(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, ngx_http_ampersand_limited_t *limited,
    ngx_uint_t charged, ngx_uint_t sends);


amp_reason_e
ngx_http_ampersand_charge(ngx_http_request_t *r, ngx_http_ampersand_ctx_t *ctx,
    ngx_http_ampersand_limited_t *limited, ngx_uint_t sends)
{
    ngx_uint_t                      charged;
    amp_reason_e                    reason;
    ngx_http_ampersand_loc_conf_t  *alcf;

    charged = ngx_http_ampersand_charged(ctx, limited);

    if (charged && (limited->budgeted || !sends)) {
        return AMP_OK;
    }

    reason = ngx_http_ampersand_check_limits(r, ctx, limited, charged, sends);

    if (limited->wait.request) {
        return AMP_OK;
    }

    limited->charged = 1;

    if (sends) {
        limited->budgeted = 1;
    }

    if (reason == AMP_OK || reason == AMP_INTERNAL) {
        return reason;
    }

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_ampersand_module);

    if (!alcf->observe) {
        return reason;
    }

    if (r == r->main) {
        ctx->reason = reason;
        ctx->observed = 1;
    }

    limited->retry = 0;

    return AMP_OK;
}


/*
 * Has the request been charged already, to this tenant and for this class?  If
 * not, what an earlier charge has left is removed.
 */

static ngx_uint_t
ngx_http_ampersand_charged(ngx_http_ampersand_ctx_t *ctx,
    ngx_http_ampersand_limited_t *limited)
{
    amp_span_t  tenant;

    tenant = amp_tenant_field(ctx->record.tenant, ctx->record.tenant->id);

    if (limited->charged && limited->class == ctx->op->class
        && amp_span_eq(limited->tenant, tenant))
    {
        return 1;
    }

    limited->charged = 0;
    limited->budgeted = 0;
    limited->beyond = 0;
    limited->n = 0;
    limited->class = ctx->op->class;
    limited->tenant = tenant;
    limited->wait.resume = ngx_http_ampersand_resume;

    return 0;
}


static void
ngx_http_ampersand_resume(ngx_http_request_t *r,
    ngx_http_ampersand_lease_wait_t *wait)
{
    ngx_http_ampersand_ctx_t  *ctx;

    if (r == r->main) {

        /* after an internal redirect the request does not wait for this */

        ctx = ngx_http_ampersand_ctx(r);

        if (ctx == NULL || &ctx->limited->wait != wait) {
            return;
        }

        r->read_event_handler = ngx_http_block_reading;
    }

    r->write_event_handler = ngx_http_core_run_phases;

    ngx_http_core_run_phases(r);
}


static amp_reason_e
ngx_http_ampersand_check_limits(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, ngx_http_ampersand_limited_t *limited,
    ngx_uint_t charged, ngx_uint_t sends)
{
    uint64_t                              wait;
    ngx_msec_t                            left;
    amp_reason_e                          reason;
    amp_share_look_t                      look;
    ngx_http_ampersand_main_conf_t       *amcf;
    ngx_http_ampersand_cooldown_scope_t   scope;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);

    ngx_http_ampersand_cooldown_scope(ctx, &scope);

    wait = 0;
    look.unit = 0;

    /* a tenant that cools down counts as one that asks */

    if (sends && !scope.proxy) {
        wait = ngx_ampersand_budget_look(amcf->zone, scope.project,
                                         scope.tenant, &look);
    }

    left = ngx_http_ampersand_cooldown(r, amcf->zone, &scope);

    if (left) {
        limited->retry = (time_t) ((left + 999) / 1000);
        return AMP_COOLING_DOWN;
    }

    /*
     * A request for which c->lock is 0 goes upstream whatever others do, so it
     * needs its own unit and does not join.
     */

    if (!charged && ctx->state == NGX_HTTP_AMPERSAND_PASSED && r == r->main
        && r->cache && r->cache->lock
        && ngx_http_ampersand_cache_lock_shared(r, amcf->zone)
        && ngx_http_ampersand_lease_wait_join(&amcf->worker->limits.waits,
                                              &limited->wait, r, scope.tenant)
           == NGX_OK)
    {
        return AMP_OK;
    }

    if (wait) {
        limited->beyond = 1;
        limited->retry = (time_t) ngx_http_ampersand_seconds(wait);
        return AMP_COOLING_DOWN;
    }

    reason = charged ? AMP_OK
                     : ngx_http_ampersand_limit(r, &amcf->worker->limits,
                                                limited, &ctx->record, ctx->op);

    if (reason == AMP_OK && limited->wait.request == NULL) {
        ngx_ampersand_budget_spend(amcf->zone, scope.project, scope.tenant,
                                   &look);
    }

    return reason;
}


void
ngx_http_ampersand_cooldown_scope(ngx_http_ampersand_ctx_t *ctx,
    ngx_http_ampersand_cooldown_scope_t *scope)
{
    scope->tenant = amp_tenant_field(ctx->record.tenant,
                                     ctx->record.tenant->id);
    scope->owner = amp_span_make(ctx->record.tenant->owner, AMP_TENANT_OWNER);
    scope->project = amp_tenant_field(ctx->record.tenant,
                                      ctx->record.tenant->project_id);
    scope->proxy = (ctx->op->api == AMP_API_PROXY);
    scope->installation = ngx_ampersand_span(ctx->headers.installation);
    scope->integration = ngx_ampersand_span(ctx->headers.integration);
    scope->group = ngx_ampersand_span(ctx->headers.group);
}


/* As ngx_http_limit_req_handler() does. */

ngx_int_t
ngx_http_ampersand_suspend(ngx_http_request_t *r)
{
    if (r->connection->read->ready) {
        ngx_post_event(r->connection->read, &ngx_posted_events);

    } else if (ngx_handle_read_event(r->connection->read, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    r->read_event_handler = ngx_http_test_reading;

    return NGX_AGAIN;
}
