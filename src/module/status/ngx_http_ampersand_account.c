#include "ngx_http_ampersand_account.h"
#include "zone/ngx_ampersand_clock.h"
#include "zone/ngx_ampersand_history.h"
#include "request/ngx_http_ampersand_context.h"


static void ngx_http_ampersand_account_refusal(
    ngx_ampersand_metrics_shared_t *sh, ngx_ampersand_metrics_tenant_t *tenant,
    const ngx_http_ampersand_ctx_t *ctx);
static void ngx_http_ampersand_account_durations(
    ngx_ampersand_metrics_shared_t *sh, ngx_ampersand_times_t *times,
    ngx_uint_t api, ngx_uint_t class);
static void ngx_http_ampersand_account_upstream(ngx_http_request_t *r,
    ngx_ampersand_metrics_shared_t *sh, ngx_uint_t api);


ngx_int_t
ngx_http_ampersand_account_handler(ngx_http_request_t *r)
{
    amp_span_t                       id;
    ngx_uint_t                       api, class, status, index;
    ngx_http_ampersand_ctx_t        *ctx;
    ngx_http_ampersand_srv_conf_t   *ascf;
    ngx_http_ampersand_main_conf_t  *amcf;
    ngx_ampersand_metrics_shared_t  *sh;
    ngx_ampersand_metrics_tenant_t  *tenant;

    ascf = ngx_http_get_module_srv_conf(r, ngx_http_ampersand_module);
    ctx = ascf->gateway ? ngx_http_ampersand_known(r) : NULL;

    /* status, readiness and what else the server has is not counted */

    if (ctx == NULL || ctx->state == NGX_HTTP_AMPERSAND_NEW) {
        return NGX_OK;
    }

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);
    sh = amcf->metrics->sh;

    ngx_ampersand_history(sh);

    /* where there was no answer, the part that it was in ends here */

    ngx_ampersand_times_enter(&ctx->times, NGX_AMPERSAND_IN_ANSWER);

    id = ctx->identified ? amp_tenant_field(ctx->record.tenant,
                                            ctx->record.tenant->id)
                         : amp_span_null;

    api = ctx->op ? (ngx_uint_t) ctx->op->api : AMP_API_COUNT;
    class = ctx->op ? (ngx_uint_t) ctx->op->class : AMP_CLASS_COUNT;

    tenant = ngx_ampersand_metrics_tenant(amcf->metrics, id);
    (void) ngx_atomic_fetch_add(&tenant->requests[api][class][ctx->source], 1);
    (void) ngx_atomic_fetch_add(&tenant->usage.bytes, r->connection->sent);
    (void) ngx_atomic_fetch_add(&sh->sources[ctx->source], 1);

    if (id.len) {
        ngx_ampersand_metrics_token(tenant, ctx->record.expires,
                                    ngx_ampersand_clock_now(amcf->zone));
    }

    /* refused is not used; a redirect may have followed what was served */

    if (ctx->record.token[0] && ctx->passed
        && ctx->state != NGX_HTTP_AMPERSAND_DENIED)
    {
        ngx_ampersand_last_use(&amcf->worker->last_use, ctx->resolve.digest,
                               ctx->record.used);
    }

    if (ctx->source == NGX_HTTP_AMPERSAND_FROM_GATEWAY && !ctx->observed) {
        ngx_http_ampersand_account_refusal(sh, tenant, ctx);
    }

    ngx_http_ampersand_account_durations(sh, &ctx->times, api, class);

    if (ctx->op == NULL) {
        return NGX_OK;
    }

    status = (r->err_status ? r->err_status : r->headers_out.status) / 100;
    status = status < NGX_AMPERSAND_METRICS_STATUSES ? status : 0;
    index = amp_operation_index(ctx->op);

    (void) ngx_atomic_fetch_add(&sh->operations[index][status][ctx->source],
                                1);
    (void) ngx_atomic_fetch_add(&sh->usages[index].bytes, r->connection->sent);

    if (r->upstream) {
        ngx_http_ampersand_account_upstream(r, sh, api);
    }

    return NGX_OK;
}


static void
ngx_http_ampersand_account_refusal(ngx_ampersand_metrics_shared_t *sh,
    ngx_ampersand_metrics_tenant_t *tenant, const ngx_http_ampersand_ctx_t *ctx)
{
    (void) ngx_atomic_fetch_add(&sh->refusals[ctx->reason], 1);
    (void) ngx_atomic_fetch_add(&tenant->refusals[ctx->reason], 1);

    if (ctx->reason == AMP_RATE_LIMITED || ctx->reason == AMP_TOO_MANY
        || ctx->reason == AMP_TOKEN_RATE_LIMITED
        || ctx->reason == AMP_PROJECT_RATE_LIMITED)
    {
        (void) ngx_atomic_fetch_add(&tenant->limits[ctx->limited->refused], 1);
    }
}


static void
ngx_http_ampersand_account_durations(ngx_ampersand_metrics_shared_t *sh,
    ngx_ampersand_times_t *times, ngx_uint_t api, ngx_uint_t class)
{
    ngx_uint_t  part;

    for (part = 0; part < NGX_AMPERSAND_IN_PARTS; part++) {

        if (times->seen & (ngx_uint_t) 1 << part) {
            ngx_ampersand_histogram_add(&sh->durations[part][api][class],
                                        times->spent[part]);
        }
    }
}


/*
 * A try that connected, or was given a connection, has a connect_time; one that
 * had the head of an answer has a header_time.
 */

static void
ngx_http_ampersand_account_upstream(ngx_http_request_t *r,
    ngx_ampersand_metrics_shared_t *sh, ngx_uint_t api)
{
    ngx_uint_t                  i, failure;
    ngx_http_upstream_t        *u;
    ngx_http_upstream_state_t  *state;

    u = r->upstream;

#if (NGX_HTTP_CACHE)
    if (u->cache_status > 0 && u->cache_status <= NGX_AMPERSAND_METRICS_CACHE) {
        (void) ngx_atomic_fetch_add(&sh->cache[u->cache_status - 1], 1);
    }
#endif

    if (r->upstream_states == NULL) {
        return;
    }

    state = r->upstream_states->elts;
    i = r->upstream_states->nelts - 1;

    if (state[i].peer && state[i].connect_time != (ngx_msec_t) -1) {
        (void) ngx_atomic_fetch_add(&sh->connections[api][u->peer.cached != 0],
                                    1);
    }

    for (i = 0; i < r->upstream_states->nelts; i++) {

        if (state[i].peer == NULL) {
            continue;
        }

        if (state[i].header_time != (ngx_msec_t) -1) {

            if (state[i].status < NGX_HTTP_INTERNAL_SERVER_ERROR) {
                continue;
            }

            failure = NGX_AMPERSAND_TRY_STATUS;

        } else if (state[i].status == NGX_HTTP_GATEWAY_TIME_OUT) {
            failure = NGX_AMPERSAND_TRY_TIMEOUT;

        } else if (state[i].connect_time == (ngx_msec_t) -1) {
            failure = NGX_AMPERSAND_TRY_CONNECT;

        } else if (state[i].status == NGX_HTTP_BAD_GATEWAY) {
            failure = NGX_AMPERSAND_TRY_INVALID;

        } else {
            continue;
        }

        (void) ngx_atomic_fetch_add(&sh->failures[api][failure], 1);
    }
}
