#include "ngx_http_ampersand.h"


/*
 * A request's way.  The handler may be called again at any time (any write
 * event does it), so each state answers for itself:
 *
 *   NEW ── identify, parse ──┬─ zone knows ────────▶ RESOLVED
 *                            └─ look-up ──▶ RESOLVING ──▶ RESOLVED ── parse
 *   RESOLVING: not our turn (NGX_AGAIN); the look-up's end posts the event
 *   RESOLVED ── authorize, compose, admit ──┬──▶ PASSED
 *                          body to be read ─┼──▶ READING ──▶ READ
 *                no lease of a limit's units ┴──▶ WAITING ──▶ WOKEN
 *   WAITING: not our turn; the lease's end, or a timer, runs the phase again
 *   WOKEN ── admit ── as RESOLVED
 *   READING: not our turn; nginx calls our body handler
 *   READ ── check and replace the body ───────────────▶ PASSED
 *   PASSED: variables hold; the content handler goes on (NGX_DECLINED), and is
 *   run again after a lease that it lacked (ngx_http_ampersand_limit.c)
 *   any ── a reason ──▶ DENIED: answered here, NGX_DONE, nothing touched after
 *
 * After an internal redirect the context is gone and all of it runs again, on
 * the headers that the client sent.
 */


/* What is asked for, as far as no tenant has to be known for it. */

typedef struct {
    amp_match_t  match;
    amp_query_t  query;
    amp_buf_t    out;           /* room to compose in                         */
} ngx_http_ampersand_target_t;


static ngx_int_t ngx_http_ampersand_identify(ngx_http_request_t *r,
    ngx_http_ampersand_loc_conf_t *alcf, ngx_http_ampersand_ctx_t *ctx);
static amp_reason_e ngx_http_ampersand_parse(ngx_http_request_t *r,
    ngx_http_ampersand_loc_conf_t *alcf, ngx_http_ampersand_ctx_t *ctx,
    ngx_http_ampersand_target_t *target);
static amp_reason_e ngx_http_ampersand_authorize(ngx_http_request_t *r,
    ngx_http_ampersand_loc_conf_t *alcf, ngx_http_ampersand_ctx_t *ctx,
    ngx_http_ampersand_target_t *target, amp_reason_e parsed);
static amp_reason_e ngx_http_ampersand_grant(ngx_http_request_t *r,
    ngx_http_ampersand_loc_conf_t *alcf, ngx_http_ampersand_ctx_t *ctx,
    amp_query_t *query);
static ngx_int_t ngx_http_ampersand_compose(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, amp_match_t *match, amp_query_t *query,
    amp_buf_t *out);
static amp_reason_e ngx_http_ampersand_admit(ngx_http_request_t *r,
    ngx_http_ampersand_loc_conf_t *alcf, ngx_http_ampersand_ctx_t *ctx);
static ngx_int_t ngx_http_ampersand_pass(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);
static void ngx_http_ampersand_again(ngx_http_request_t *r);
static void ngx_http_ampersand_close(void *data);


ngx_int_t
ngx_http_ampersand_access_handler(ngx_http_request_t *r)
{
    ngx_int_t                       rc;
    amp_reason_e                    reason, parsed;
    ngx_http_ampersand_ctx_t       *ctx;
    ngx_http_ampersand_target_t     target;
    ngx_http_ampersand_loc_conf_t  *alcf;

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_ampersand_module);

    if (alcf->api == NGX_HTTP_AMPERSAND_OFF) {
        return NGX_DECLINED;
    }

    if (ngx_http_ampersand_ctx(r) == NULL) {
        ngx_http_ampersand_again(r);
    }

    ctx = ngx_http_ampersand_context(r);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    switch (ctx->state) {

    case NGX_HTTP_AMPERSAND_NEW:
        rc = ngx_http_ampersand_identify(r, alcf, ctx);

        if (rc != NGX_OK) {
            return rc;
        }

        break;

    case NGX_HTTP_AMPERSAND_RESOLVED:
    case NGX_HTTP_AMPERSAND_WOKEN:
        break;

    case NGX_HTTP_AMPERSAND_READ:
        reason = ngx_http_ampersand_body_check(r, ctx);

        if (reason != AMP_OK) {
            return ngx_http_ampersand_deny(r, ctx, reason);
        }

        return ngx_http_ampersand_pass(r, ctx);

    case NGX_HTTP_AMPERSAND_PASSED:
        return NGX_DECLINED;

    default: /* RESOLVING, WAITING, READING, DENIED */
        return NGX_AGAIN;
    }

    reason = AMP_OK;

    if (ctx->state != NGX_HTTP_AMPERSAND_WOKEN) {

        /* first what needs no tenant: its record comes from memory meanwhile */

        parsed = ngx_http_ampersand_parse(r, alcf, ctx, &target);

        if (ctx->state == NGX_HTTP_AMPERSAND_NEW) {
            rc = ngx_http_ampersand_resolve(r, ctx);

            if (rc == NGX_AGAIN) {
                ctx->state = NGX_HTTP_AMPERSAND_RESOLVING;
            }

            if (rc != NGX_OK) {
                return rc;
            }

            ctx->state = NGX_HTTP_AMPERSAND_RESOLVED;
        }

        reason = ctx->resolved;

        if (reason == AMP_OK) {
            ctx->identified = 1;
            reason = ngx_http_ampersand_authorize(r, alcf, ctx, &target,
                                                  parsed);
        }
    }

    if (reason == AMP_OK) {
        reason = ngx_http_ampersand_admit(r, alcf, ctx);
    }

    if (reason != AMP_OK) {
        return ngx_http_ampersand_deny(r, ctx, reason);
    }

    if (ctx->waits) {
        ctx->state = NGX_HTTP_AMPERSAND_WAITING;
        return ngx_http_ampersand_wait(r);
    }

    /* a chunked body may turn out malformed: better before there is upstream */

    if (r->headers_in.chunked
        || amp_scope_needs_body(ctx->known.tenant, ctx->op))
    {
        return ngx_http_ampersand_body_read(r, ctx);
    }

    return ngx_http_ampersand_pass(r, ctx);
}


/* Who asks?  Otherwise than NGX_OK what the handler returns. */

static ngx_int_t
ngx_http_ampersand_identify(ngx_http_request_t *r,
    ngx_http_ampersand_loc_conf_t *alcf, ngx_http_ampersand_ctx_t *ctx)
{
    if (alcf->identity) {
        if (ngx_http_complex_value(r, alcf->identity, &ctx->identity)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (!amp_tenant_id_valid(ngx_http_ampersand_span(ctx->identity))) {
            return ngx_http_ampersand_deny(r, ctx, AMP_NO_IDENTITY);
        }

        return NGX_OK;
    }

    if (ctx->headers.credential != AMP_OK) {
        return ngx_http_ampersand_deny(r, ctx, ctx->headers.credential);
    }

    ngx_http_ampersand_ahead(r, ctx, 1);

    return NGX_OK;
}


static amp_reason_e
ngx_http_ampersand_parse(ngx_http_request_t *r,
    ngx_http_ampersand_loc_conf_t *alcf, ngx_http_ampersand_ctx_t *ctx,
    ngx_http_ampersand_target_t *target)
{
    size_t         size;
    u_char        *scratch, *p;
    amp_span_t     path, raw;
    amp_reason_e   reason;

    path = ngx_http_ampersand_span(r->unparsed_uri);
    raw = amp_span_null;

    p = memchr(r->unparsed_uri.data, '?', r->unparsed_uri.len);
    if (p) {
        path.len = p - path.data;
        raw = amp_span_make(p + 1, r->unparsed_uri.len - path.len - 1);
    }

    /* room for the target, and to decode in */

    size = amp_target_size(r->unparsed_uri.len, 0, AMP_PROJECT_ID_MAX);

    p = ngx_pnalloc(r->pool, size + r->unparsed_uri.len);
    if (p == NULL) {
        target->match.op = NULL;
        return AMP_INTERNAL;
    }

    amp_buf_init(&target->out, p, size);
    scratch = p + size;

    reason = amp_path_match(alcf->api, ngx_http_ampersand_span(r->method_name),
                            path, scratch, &target->match);

    if (ctx->state == NGX_HTTP_AMPERSAND_NEW && alcf->identity == NULL) {
        ngx_http_ampersand_ahead(r, ctx, 2);
    }

    if (reason != AMP_OK) {
        target->match.op = NULL;
        return reason;
    }

    return amp_query_parse(target->match.op, raw, scratch + path.len,
                           &target->query);
}


/*
 * What was parsed counts from here on.  Composes the target, which the variables
 * do not show before the request has passed.
 */

static amp_reason_e
ngx_http_ampersand_authorize(ngx_http_request_t *r,
    ngx_http_ampersand_loc_conf_t *alcf, ngx_http_ampersand_ctx_t *ctx,
    ngx_http_ampersand_target_t *target, amp_reason_e parsed)
{
    amp_match_t   *match;
    amp_tenant_t  *tenant;
    amp_reason_e   reason;

    tenant = ctx->known.tenant;
    match = &target->match;

    if (tenant->disabled) {
        return AMP_TENANT_DISABLED;
    }

    if (parsed == AMP_NO_METHOD) {
        ctx->methods = match->allow;
    }

    ctx->op = match->op;

    if (parsed != AMP_OK) {
        return parsed;
    }

    /*
     * listProjects is answered with the tenant's own project, see
     * amp_path_compose(): an array of one
     */

    ctx->wrap = (match->op->project_in == AMP_IN_NOWHERE
                 && match->op->reads == AMP_F(PROJECTS));

    if (ctx->headers.malformed) {
        return AMP_BAD_HEADER;
    }

    /* an installation may be any group's, so a bound tenant may not name one */

    if (tenant->ngroups && alcf->api == AMP_API_PROXY
        && ctx->headers.installation.data)
    {
        return AMP_NO_GROUP;
    }

    reason = amp_scope_isolate(tenant, match, &target->query,
                               ngx_http_ampersand_span(ctx->headers.project),
                               ctx->headers.has_group,
                               ngx_http_ampersand_span(ctx->headers.group));

    if (reason != AMP_OK) {
        return reason;
    }

    reason = ngx_http_ampersand_grant(r, alcf, ctx, &target->query);

    if (reason != AMP_OK) {
        return reason;
    }

    if (ngx_http_ampersand_compose(r, ctx, match, &target->query, &target->out)
        != NGX_OK)
    {
        return AMP_INTERNAL;
    }

    return AMP_OK;
}


/* Grants, or what ampersand_observe makes of them; and whether to cache. */

static amp_reason_e
ngx_http_ampersand_grant(ngx_http_request_t *r,
    ngx_http_ampersand_loc_conf_t *alcf, ngx_http_ampersand_ctx_t *ctx,
    amp_query_t *query)
{
    unsigned      index;
    amp_reason_e  reason;

    reason = amp_scope_grant(ctx->known.tenant, ctx->op, query);

    if (reason != AMP_OK) {

        /* what is never served has no path to go to */

        if (!alcf->observe || reason == AMP_NOT_SERVED) {
            return reason;
        }

        ctx->reason = reason;
        ctx->observed = 1;
    }

    /* a GET writes by a parameter only */

    if (query->changes || ctx->op->method != AMP_METHOD_GET) {
        ctx->writes = ctx->op->writes;
    }

    ctx->ttl = 0;

    /* a body is in no cache key */

    if ((r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))
        && !query->secret && !query->changes
        && !ctx->headers.uncacheable && !ctx->headers.no_store
        && r->headers_in.content_length_n <= 0 && !r->headers_in.chunked)
    {
        index = amp_operation_index(ctx->op);
        ctx->ttl = alcf->ttl[index];

        (void) amp_tenant_lifetime(ctx->known.tenant, index, &ctx->ttl);
    }

    return AMP_OK;
}


static ngx_int_t
ngx_http_ampersand_compose(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, amp_match_t *match, amp_query_t *query,
    amp_buf_t *out)
{
    amp_tenant_t  *tenant;

    tenant = ctx->known.tenant;

    amp_path_compose(match, amp_tenant_field(tenant, tenant->project_id), out);
    amp_query_compose(query, out);

    if (out->overflow) {
        ngx_log_error(NGX_LOG_ALERT, r->connection->log, 0,
                      "ampersand: composed target does not fit");
        return NGX_ERROR;
    }

    ctx->uri.data = out->start;
    ctx->uri.len = amp_buf_written(out).len;

    return NGX_OK;
}


/*
 * What may be answered from the cache is charged when it goes upstream; see
 * ngx_http_ampersand_limit.c.  The rest is charged before its body is read.
 */

static amp_reason_e
ngx_http_ampersand_admit(ngx_http_request_t *r,
    ngx_http_ampersand_loc_conf_t *alcf, ngx_http_ampersand_ctx_t *ctx)
{
    if (ctx->known.tenant->sealed.len == 0) {
        return AMP_NO_KEY;
    }

    if (r->headers_in.content_length_n > alcf->body_max && alcf->body_max) {
        return AMP_TOO_LARGE;
    }

    if (ctx->ttl && !alcf->limit_hits) {
        return AMP_OK;
    }

    if (ctx->headers.only_if_cached) {
        return AMP_NOT_CACHED;
    }

    return ngx_http_ampersand_limit(r, ctx);
}


static ngx_int_t
ngx_http_ampersand_pass(ngx_http_request_t *r, ngx_http_ampersand_ctx_t *ctx)
{
    ngx_http_cleanup_t  *cln;

    ctx->request = r;
    ctx->client = r->headers_in.headers;

    if (ngx_http_ampersand_cache_key(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    /* runs before the access log is written */

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_ampersand_close;
    cln->data = ctx;

    if (ctx->observed) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "ampersand: would refuse: %s",
                      amp_problem(ctx->reason)->name);
    }

    ctx->state = NGX_HTTP_AMPERSAND_PASSED;

    return NGX_DECLINED;
}


/* A request that has passed before has lost its credential to compose(). */

static void
ngx_http_ampersand_again(ngx_http_request_t *r)
{
    ngx_http_cleanup_t        *cln;
    ngx_http_ampersand_ctx_t  *ctx;

    for (cln = r->main->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_ampersand_close) {
            ctx = cln->data;
            r->headers_in.headers = ctx->client;
            return;
        }
    }
}


static void
ngx_http_ampersand_close(void *data)
{
    ngx_http_ampersand_ctx_t *ctx = data;

    ctx->closed = 1;
    ngx_http_ampersand_cache_lock_leave(ctx);
    ngx_http_ampersand_wipe_key(ctx->request);

    /* nobody knows what became of it */

    if (ctx->key_used && !ctx->answered) {
        ngx_http_ampersand_cache_invalidate(ctx->request, ctx);
    }
}
