#include "ngx_http_ampersand_limit.h"
#include "zone/ngx_ampersand_concurrency.h"


#define NGX_HTTP_AMPERSAND_IDLE  1000       /* ms                             */
#define NGX_HTTP_AMPERSAND_TELL  100


/*
 * What a request in flight has to give back.  It outlives the request's
 * context, which an internal redirect drops.
 */

typedef struct {
    ngx_ampersand_zone_t  *zone;
    size_t                 len;
    u_char                 tenant[AMP_TENANT_ID_MAX];
} ngx_http_ampersand_inflight_t;


static void ngx_http_ampersand_limit_idle(ngx_event_t *ev);
static void ngx_http_ampersand_limit_wake(void *data, uint32_t holder);
static amp_reason_e ngx_http_ampersand_limit_concurrency(ngx_http_request_t *r,
    ngx_http_ampersand_limits_t *limits, ngx_http_ampersand_limited_t *limited,
    const amp_tenant_t *tenant);
static void ngx_http_ampersand_limit_server(void *data,
    const ngx_ampersand_server_t *server);
static void ngx_http_ampersand_limit_end(void *data);
static amp_reason_e ngx_http_ampersand_limit_rates(ngx_http_request_t *r,
    ngx_http_ampersand_limits_t *limits, ngx_http_ampersand_limited_t *limited,
    const ngx_ampersand_record_t *record, ngx_ampersand_limit_t *found,
    ngx_uint_t n);
static amp_reason_e ngx_http_ampersand_limit_refuse(
    ngx_http_ampersand_limited_t *limited, uint64_t ns);
static ngx_uint_t ngx_http_ampersand_limit_find(
    ngx_http_ampersand_limits_t *limits, const ngx_ampersand_record_t *record,
    const amp_operation_t *op, ngx_ampersand_limit_t *found);


void
ngx_http_ampersand_limit_init(ngx_http_ampersand_limits_t *limits,
    ngx_msec_t timeout)
{
    ngx_http_ampersand_lease_waits_init(&limits->waits, timeout);

    limits->leasing.timeout = timeout;
    ngx_queue_init(&limits->leasing.calls);
    limits->leasing.log = ngx_cycle->log;
    limits->leasing.fallback = limits->conf->fallback;
    limits->leasing.wake = ngx_http_ampersand_limit_wake;
    limits->leasing.data = limits;

    ngx_ampersand_redis_on_server(limits->leasing.redis,
                                  ngx_http_ampersand_limit_server, limits);

    if (ngx_worker != 0) {
        return;
    }

    limits->idle.handler = ngx_http_ampersand_limit_idle;
    limits->idle.data = limits;
    limits->idle.log = ngx_cycle->log;
    limits->idle.cancelable = 1;

    ngx_add_timer(&limits->idle, NGX_HTTP_AMPERSAND_IDLE);
}


static void
ngx_http_ampersand_limit_idle(ngx_event_t *ev)
{
    ngx_uint_t                    tells;
    ngx_http_ampersand_limits_t  *limits;

    limits = ev->data;

    tells = ngx_ampersand_lease_tell(&limits->leasing);

    if (!tells) {
        ngx_ampersand_lease_idle(&limits->leasing);
    }

    if (!ngx_exiting) {
        ngx_add_timer(ev, tells ? NGX_HTTP_AMPERSAND_TELL
                                : NGX_HTTP_AMPERSAND_IDLE);
    }
}


static void
ngx_http_ampersand_limit_server(void *data,
    const ngx_ampersand_server_t *server)
{
    ngx_http_ampersand_limits_t *limits = data;

    ngx_ampersand_lease_server(limits->leasing.zone, server);

    if (limits->idle.timer_set && !ngx_exiting) {
        ngx_add_timer(&limits->idle, NGX_HTTP_AMPERSAND_TELL);
    }
}


static void
ngx_http_ampersand_limit_wake(void *data, uint32_t holder)
{
    ngx_http_ampersand_limits_t *limits = data;

    ngx_http_ampersand_lease_waits_wake(&limits->waits, holder);
}


amp_reason_e
ngx_http_ampersand_limit(ngx_http_request_t *r,
    ngx_http_ampersand_limits_t *limits, ngx_http_ampersand_limited_t *limited,
    const ngx_ampersand_record_t *record, const amp_operation_t *op)
{
    ngx_uint_t             n;
    amp_reason_e           reason;
    ngx_ampersand_limit_t  found[NGX_HTTP_AMPERSAND_LIMITS];

    reason = ngx_http_ampersand_limit_concurrency(r, limits, limited,
                                                  record->tenant);

    if (reason != AMP_OK) {
        return reason;
    }

    n = ngx_http_ampersand_limit_find(limits, record, op, found);

    reason = ngx_http_ampersand_limit_rates(r, limits, limited, record, found,
                                            n);

    if (reason != AMP_OK || limited->wait.request) {
        ngx_http_ampersand_limit_release(limited);
    }

    return reason;
}


void
ngx_http_ampersand_limit_release(ngx_http_ampersand_limited_t *limited)
{
    if (limited->inflight) {
        limited->inflight->handler(limited->inflight->data);
        limited->inflight->handler = NULL;
        limited->inflight = NULL;
    }
}


/* Sets limited->inflight where there is a limit. */

static amp_reason_e
ngx_http_ampersand_limit_concurrency(ngx_http_request_t *r,
    ngx_http_ampersand_limits_t *limits, ngx_http_ampersand_limited_t *limited,
    const amp_tenant_t *tenant)
{
    uint32_t                        max;
    amp_span_t                      id;
    ngx_http_cleanup_t             *cln;
    ngx_ampersand_zone_t           *zone;
    ngx_http_ampersand_inflight_t  *inflight;

    if (limited->inflight) {
        return AMP_OK;
    }

    id = amp_tenant_field(tenant, tenant->id);
    max = tenant->concurrency;

    if (max == 0) {
        max = (uint32_t) limits->conf->concurrency;
    }

    if (max == 0) {
        return AMP_OK;
    }

    /* it may count already, since before an internal redirect */

    for (cln = r->main->cleanup; cln; cln = cln->next) {
        inflight = cln->data;

        if (cln->handler == ngx_http_ampersand_limit_end
            && amp_span_eq(id, amp_span_make(inflight->tenant, inflight->len)))
        {
            limited->inflight = cln;
            return AMP_OK;
        }
    }

    cln = ngx_http_cleanup_add(r, sizeof(*inflight));
    if (cln == NULL) {
        return AMP_INTERNAL;
    }

    zone = limits->leasing.zone;

    if (!ngx_ampersand_concurrency_acquire(zone, id, max)) {
        limited->refused = AMP_LIMIT_CONCURRENCY;
        return AMP_TOO_MANY;
    }

    inflight = cln->data;
    inflight->zone = zone;
    inflight->len = id.len;
    ngx_memcpy(inflight->tenant, id.data, id.len);

    cln->handler = ngx_http_ampersand_limit_end;
    limited->inflight = cln;

    return AMP_OK;
}


static void
ngx_http_ampersand_limit_end(void *data)
{
    ngx_http_ampersand_inflight_t *inflight = data;

    ngx_ampersand_concurrency_release(inflight->zone,
                                    amp_span_make(inflight->tenant,
                                                  inflight->len));
}


static amp_reason_e
ngx_http_ampersand_limit_rates(ngx_http_request_t *r,
    ngx_http_ampersand_limits_t *limits, ngx_http_ampersand_limited_t *limited,
    const ngx_ampersand_record_t *record, ngx_ampersand_limit_t *found,
    ngx_uint_t n)
{
    uint64_t             wait;
    ngx_int_t            rc;
    ngx_uint_t           i;
    const amp_tenant_t  *tenant;

    if (n == 0) {
        return AMP_OK;
    }

    if (limited->applied == NULL) {
        limited->applied = ngx_pcalloc(r->pool, NGX_HTTP_AMPERSAND_LIMITS
                                                * sizeof(found[0]));
        if (limited->applied == NULL) {
            return AMP_INTERNAL;
        }
    }

    for (i = 0; i < n; i++) {
        found[i].received = limited->applied[i].received;
    }

    rc = ngx_ampersand_lease_take(&limits->leasing, found, n,
                                  limited->wait.asked
                                  ? NGX_AMPERSAND_LEASE_WAITED : 0, &wait);

    if (rc == NGX_AGAIN) {
        tenant = record->tenant;
        limited->wait.project = record->limit.count
                                ? amp_tenant_field(tenant, tenant->project_id)
                                : amp_span_null;

        rc = ngx_http_ampersand_lease_wait(&limits->waits, &limited->wait, r,
                                           amp_tenant_field(tenant, tenant->id),
                                           wait);

        if (rc == NGX_DONE) {
            rc = ngx_ampersand_lease_take(&limits->leasing, found, n,
                                          NGX_AMPERSAND_LEASE_OVERDUE, &wait);
        }
    }

    ngx_memcpy(limited->applied, found, n * sizeof(found[0]));
    limited->n = n;

    switch (rc) {

    case NGX_OK:
        return AMP_OK;

    case NGX_ABORT:
        return AMP_STORE_DOWN;

    case NGX_ERROR:
        return AMP_INTERNAL;

    default: /* NGX_DECLINED, or NGX_AGAIN of one that waits no more */
        return ngx_http_ampersand_limit_refuse(limited, wait);
    }
}


/* The reason is the limit that the request has to wait for longest. */

static amp_reason_e
ngx_http_ampersand_limit_refuse(ngx_http_ampersand_limited_t *limited,
    uint64_t ns)
{
    ngx_uint_t              i;
    ngx_ampersand_limit_t  *longest;

    limited->retry = (time_t) ngx_http_ampersand_seconds(ns);
    longest = &limited->applied[0];

    for (i = 1; i < limited->n; i++) {
        if (limited->applied[i].wait > longest->wait) {
            longest = &limited->applied[i];
        }
    }

    limited->refused = longest->limit;

    switch (longest->limit) {

    case AMP_LIMIT_TOKEN:
        return AMP_TOKEN_RATE_LIMITED;

    case AMP_LIMIT_PROJECT:
        return AMP_PROJECT_RATE_LIMITED;

    default:
        return AMP_RATE_LIMITED;
    }
}


/*
 * The tenant's own limit, or else the default one; that of the class; that of
 * the token; and that of the project.
 */

static ngx_uint_t
ngx_http_ampersand_limit_find(ngx_http_ampersand_limits_t *limits,
    const ngx_ampersand_record_t *record, const amp_operation_t *op,
    ngx_ampersand_limit_t *found)
{
    ngx_uint_t                i, n;
    amp_limit_e               class;
    const amp_tenant_t       *tenant;
    const amp_token_scope_t  *scope;

    n = 0;
    tenant = record->tenant;
    scope = record->scope;

    if (amp_tenant_rate(tenant, AMP_LIMIT_DEFAULT, &found[0].rate)) {
        found[n++].limit = AMP_LIMIT_DEFAULT;

    } else if (limits->conf->rate.count) {
        found[0].rate = limits->conf->rate;
        found[n++].limit = AMP_LIMIT_DEFAULT;
    }

    class = AMP_LIMIT_CATALOG + op->class;

    if (amp_tenant_rate(tenant, class, &found[n].rate)) {
        found[n++].limit = class;
    }

    for (i = 0; i < n; i++) {
        found[i].holder = amp_tenant_field(tenant, tenant->id);
        found[i].tenant = amp_span_null;
    }

    if (scope && scope->rate.count) {
        found[n].limit = AMP_LIMIT_TOKEN;
        found[n].holder = amp_token_scope_field(scope, scope->id);
        found[n].tenant = amp_span_null;
        found[n++].rate = scope->rate;
    }

    if (record->limit.count) {
        found[n].limit = AMP_LIMIT_PROJECT;
        found[n].holder = amp_tenant_field(tenant, tenant->project_id);
        found[n].tenant = amp_tenant_field(tenant, tenant->id);
        found[n++].rate = record->limit;
    }

    return n;
}
