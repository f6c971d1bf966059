#include "ngx_http_ampersand_access.h"
#include "ngx_http_ampersand_body.h"
#include "ngx_http_ampersand_breaker.h"
#include "ngx_http_ampersand_charge.h"
#include "ngx_http_ampersand_deny.h"
#include "ngx_http_ampersand_hit.h"
#include "ngx_http_ampersand_location.h"
#include "ngx_http_ampersand_log.h"
#include "ngx_http_ampersand_trace.h"
#include "cache/ngx_http_ampersand_cache_key.h"
#include "amp_decide.h"
#include "amp_fault.h"


/*
 * The states of a request until it is decided.  The handler may be called again
 * at any time (any write event does it), so each state defines what a repeated
 * call returns:
 *
 *   NEW ── identify ──┬─ in the zone ──────────────▶ RESOLVED
 *                     └─ look-up ──▶ RESOLVING ────▶ RESOLVED
 *   RESOLVING: NGX_AGAIN; the end of the look-up posts the write event
 *   RESOLVED ── parse, authorize, compose, admit ──┬──▶ PASSED
 *                                 body to be read ─┼──▶ READING ──▶ READ
 *                    no units leased for a limit ──┴──▶ WAITING
 *   WAITING: NGX_AGAIN; the end of the lease's call, or a timer, runs the phase
 *   again, ctx->limited->wait.request is NULL then ── admit ── as RESOLVED
 *   READING: NGX_DONE from the call that begins it, then NGX_AGAIN; nginx calls
 *   the body handler
 *   READ ── check and replace the body ───────────────▶ PASSED
 *   PASSED: the variables have their values; NGX_OK, which is access for
 *   "satisfy any", too.  The content handler goes on, and is run again after a
 *   lease that the request waited for there.  What follows is in
 *   ngx_http_ampersand_upstream.h
 *   any ── a reason ──▶ DENIED: answered here, nothing touched after; NGX_DONE,
 *   or what nginx returned when it discarded the body: a status or NGX_ERROR
 *   any but DENIED ── an internal redirect ──▶ LEFT, see
 *   ngx_http_ampersand_context.h: in the new location another context is NEW
 */


#define NGX_HTTP_AMPERSAND_FROZEN  30           /* s, Retry-After             */


static void ngx_http_ampersand_resolved(
    ngx_http_ampersand_resolve_t *resolve);
static ngx_int_t ngx_http_ampersand_identify(ngx_http_request_t *r,
    ngx_http_ampersand_loc_conf_t *alcf, ngx_http_ampersand_ctx_t *ctx);
static ngx_int_t ngx_http_ampersand_identity(ngx_http_request_t *r,
    ngx_http_ampersand_identity_t *identity, ngx_http_ampersand_ctx_t *ctx);
static ngx_int_t ngx_http_ampersand_find_tenant(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);
static amp_reason_e ngx_http_ampersand_check(ngx_http_request_t *r,
    ngx_http_ampersand_loc_conf_t *alcf, ngx_http_ampersand_ctx_t *ctx);
static void ngx_http_ampersand_request(ngx_http_request_t *r,
    ngx_http_ampersand_loc_conf_t *alcf, ngx_http_ampersand_ctx_t *ctx,
    amp_request_t *request);
static void ngx_http_ampersand_prepare(ngx_http_request_t *r,
    ngx_http_ampersand_loc_conf_t *alcf, ngx_http_ampersand_ctx_t *ctx,
    const amp_decision_t *decision);
static amp_reason_e ngx_http_ampersand_admit(ngx_http_request_t *r,
    ngx_http_ampersand_loc_conf_t *alcf, ngx_http_ampersand_ctx_t *ctx);
static ngx_int_t ngx_http_ampersand_pass(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);


ngx_int_t
ngx_http_ampersand_post_read_handler(ngx_http_request_t *r)
{
    ngx_http_ampersand_srv_conf_t  *ascf;

    ascf = ngx_http_get_module_srv_conf(r, ngx_http_ampersand_module);

    if (!ascf->gateway) {
        return NGX_DECLINED;
    }

    if (ngx_http_ampersand_context(r) == NULL) {
        return NGX_ERROR;
    }

    r->log_handler = ngx_http_ampersand_log_handler;

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_ampersand_access_handler(ngx_http_request_t *r)
{
    ngx_int_t                       rc;
    amp_reason_e                    reason;
    ngx_http_ampersand_ctx_t       *ctx;
    ngx_http_ampersand_loc_conf_t  *alcf;

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_ampersand_module);

    if (alcf->api == NGX_HTTP_AMPERSAND_OFF) {
        return NGX_DECLINED;
    }

    ctx = ngx_http_ampersand_ctx(r);

    if (ctx == NULL || ctx->state == NGX_HTTP_AMPERSAND_LEFT) {
        ctx = ngx_http_ampersand_context_next(r);
        if (ctx == NULL) {
            return NGX_ERROR;
        }
    }

    switch (ctx->state) {

    case NGX_HTTP_AMPERSAND_NEW:
        rc = ngx_http_ampersand_identify(r, alcf, ctx);

        if (rc == NGX_OK) {
            rc = ngx_http_ampersand_find_tenant(r, ctx);
        }

        if (rc != NGX_OK) {
            return rc;
        }

        /* fall through */

    case NGX_HTTP_AMPERSAND_RESOLVED:
        reason = ngx_http_ampersand_check(r, alcf, ctx);
        break;

    case NGX_HTTP_AMPERSAND_WAITING:
        if (ctx->limited->wait.request) {
            return NGX_AGAIN;
        }

        ngx_ampersand_times_enter(&ctx->times, NGX_AMPERSAND_IN_GATEWAY);
        reason = AMP_OK;
        break;

    case NGX_HTTP_AMPERSAND_READ:
        reason = ngx_http_ampersand_body_check(r, ctx);

        if (reason != AMP_OK) {
            return ngx_http_ampersand_deny(r, ctx, reason);
        }

        return ngx_http_ampersand_pass(r, ctx);

    case NGX_HTTP_AMPERSAND_PASSED:
        return NGX_OK;

    default: /* RESOLVING, READING, DENIED */
        return NGX_AGAIN;
    }

    if (reason == AMP_OK) {
        reason = ngx_http_ampersand_admit(r, alcf, ctx);
    }

    if (reason == AMP_UPSTREAM_SUSPENDED) {

        /* as if it had been tried: error_page may name another upstream */

        ctx->suspended = ctx->retry;
        return NGX_HTTP_BAD_GATEWAY;
    }

    if (reason != AMP_OK) {
        return ngx_http_ampersand_deny(r, ctx, reason);
    }

    if (ctx->limited->wait.request) {
        ctx->state = NGX_HTTP_AMPERSAND_WAITING;
        ngx_ampersand_times_enter(&ctx->times, NGX_AMPERSAND_IN_LEASE);
        return ngx_http_ampersand_suspend(r);
    }

    /* a chunked body may be malformed: nothing goes upstream then */

    if (r->headers_in.chunked
        || amp_scope_needs_body(ctx->record.tenant, ctx->record.scope, ctx->op))
    {
        return ngx_http_ampersand_body_read(r, ctx);
    }

    return ngx_http_ampersand_pass(r, ctx);
}


ngx_int_t
ngx_http_ampersand_precontent_handler(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    if (r != r->main) {
        return NGX_DECLINED;
    }

    rc = ngx_http_ampersand_access_handler(r);

    /* NGX_OK would skip mirror and try_files here */

    return rc == NGX_OK ? NGX_DECLINED : rc;
}


static void
ngx_http_ampersand_resolved(ngx_http_ampersand_resolve_t *resolve)
{
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_ampersand_ctx_t  *ctx;

    r = resolve->request;
    ctx = ngx_http_ampersand_ctx(r);

    /* after an internal redirect the request does not wait for this any more */

    if (ctx == NULL || &ctx->resolve != resolve
        || ctx->state != NGX_HTTP_AMPERSAND_RESOLVING)
    {
        return;
    }

    ctx->state = NGX_HTTP_AMPERSAND_RESOLVED;
    ngx_ampersand_times_enter(&ctx->times, NGX_AMPERSAND_IN_GATEWAY);

    r->read_event_handler = ngx_http_block_reading;

    c = r->connection;
    ngx_post_event(c->write, &ngx_posted_events);
}


/* Who sends the request?  Anything but NGX_OK is for the handler to return. */

static ngx_int_t
ngx_http_ampersand_identify(ngx_http_request_t *r,
    ngx_http_ampersand_loc_conf_t *alcf, ngx_http_ampersand_ctx_t *ctx)
{
    if (alcf->identity) {
        return ngx_http_ampersand_identity(r, alcf->identity, ctx);
    }

    if (ctx->headers.credential != AMP_OK) {
        ctx->fault.text = ctx->headers.fault;
        return ngx_http_ampersand_deny(r, ctx, ctx->headers.credential);
    }

    return NGX_OK;
}


/* The value is a tenant's id, or what a tenant was given as its identity. */

static ngx_int_t
ngx_http_ampersand_identity(ngx_http_request_t *r,
    ngx_http_ampersand_identity_t *identity, ngx_http_ampersand_ctx_t *ctx)
{
    u_char                        *p;
    amp_buf_t                      name;
    ngx_str_t                      value;
    ngx_uint_t                     good;
    ngx_http_ampersand_resolve_t  *resolve;

    resolve = &ctx->resolve;

    if (ngx_http_complex_value(r, &identity->value, &value) != NGX_OK) {
        return NGX_ERROR;
    }

    if (identity->kind == AMP_IDENTITY_TENANT) {
        resolve->identity = value;
        good = amp_tenant_id_valid(ngx_ampersand_span(value));

    } else {
        p = ngx_pnalloc(r->pool, AMP_IDENTITY_MAX);
        if (p == NULL) {
            return NGX_ERROR;
        }

        amp_buf_init(&name, p, AMP_IDENTITY_MAX);

        good = (amp_identity_name(identity->kind,
                                  ngx_ampersand_span(identity->claim),
                                  ngx_ampersand_span(value), &name)
                == NULL);

        resolve->name.data = p;
        resolve->name.len = amp_buf_written(&name).len;

        if (good && amp_identity_digest(amp_buf_written(&name), resolve->digest)
                    != 0)
        {
            return NGX_ERROR;
        }
    }

    if (good) {
        return NGX_OK;
    }

    ctx->fault.name = ngx_ampersand_span(value);
    ctx->fault.text = "The identity is empty.";

    if (value.len) {
        ctx->fault.text = identity->kind == AMP_IDENTITY_TENANT
                          ? "The identity \"%\" cannot be a tenant's id."
                          : "The identity \"%\" is malformed.";
    }

    return ngx_http_ampersand_deny(r, ctx, AMP_NO_IDENTITY);
}


/*
 * The records of token and tenant.  Anything but NGX_OK is for the handler to
 * return.
 */

static ngx_int_t
ngx_http_ampersand_find_tenant(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx)
{
    ngx_int_t                        rc;
    ngx_http_ampersand_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);

    ctx->resolve.handler = ngx_http_ampersand_resolved;

    rc = ngx_http_ampersand_resolve(r, &amcf->worker->lookups, &ctx->resolve);

    if (rc == NGX_AGAIN) {
        ctx->state = NGX_HTTP_AMPERSAND_RESOLVING;
        ngx_ampersand_times_enter(&ctx->times, NGX_AMPERSAND_IN_LOOKUP);

        return ngx_http_ampersand_suspend(r);
    }

    if (rc == NGX_OK) {
        ctx->state = NGX_HTTP_AMPERSAND_RESOLVED;
    }

    return rc;
}


/*
 * May this tenant make this request?  If so, the target is composed: the
 * variables do not show it before the request has passed.
 */

static amp_reason_e
ngx_http_ampersand_check(ngx_http_request_t *r,
    ngx_http_ampersand_loc_conf_t *alcf, ngx_http_ampersand_ctx_t *ctx)
{
    size_t           size;
    u_char          *p;
    ngx_str_t        path, args;
    amp_buf_t        out;
    amp_tenant_t    *tenant;
    amp_reason_e     reason;
    amp_request_t    request;
    amp_decision_t   decision;

    if (ctx->resolve.reason != AMP_OK) {
        if (ctx->resolve.reason == AMP_NO_IDENTITY) {
            ctx->fault.text = "No tenant has the id \"%\".";
            ctx->fault.name = ngx_ampersand_span(ctx->resolve.identity);

            if (ctx->resolve.name.len) {
                ctx->fault.text = "No tenant has the identity \"%\".";
                ctx->fault.name = ngx_ampersand_span(ctx->resolve.name);
            }

        } else if (ctx->resolve.reason == AMP_BAD_TOKEN) {
            ctx->fault.text = "The token's prefix, alphabet or checksum is"
                              " wrong.";
        }

        return ctx->resolve.reason;
    }

    ctx->identified = 1;
    tenant = ctx->record.tenant;

    if (ngx_http_ampersand_location_path(r, alcf, &path, &args) != NGX_OK) {
        return AMP_INTERNAL;
    }

    ngx_http_ampersand_request(r, alcf, ctx, &request);
    request.path = ngx_ampersand_span(path);
    request.query = ngx_ampersand_span(args);

    /* room for the target, and to decode in */

    size = amp_target_size(path.len, args.len, AMP_PROJECT_ID_MAX);

    p = ngx_pnalloc(r->pool, size + amp_decide_scratch(path.len, args.len));
    if (p == NULL) {
        return AMP_INTERNAL;
    }

    amp_buf_init(&out, p, size);

    reason = amp_decide(&request, tenant, p + size, &decision);

    ctx->op = decision.op;
    ctx->methods = decision.methods;
    ctx->wrap = decision.wrap;

    if (reason == AMP_FROZEN) {
        ctx->retry = NGX_HTTP_AMPERSAND_FROZEN;
    }

    if (reason != AMP_OK) {
        amp_fault_find(reason, &request, tenant, &decision, &ctx->fault);

        if (reason == AMP_BAD_HEADER) {
            ctx->fault.text = "The header \"%\" is empty or occurs twice.";
            ctx->fault.name = ngx_ampersand_span(ctx->headers.wrong);
        }

        return reason;
    }

    if (decision.observed != AMP_OK) {
        ctx->reason = decision.observed;
        ctx->observed = 1;
    }

    ngx_http_ampersand_prepare(r, alcf, ctx, &decision);

    amp_decision_compose(&decision, tenant, &out);

    if (out.overflow) {
        ngx_log_error(NGX_LOG_ALERT, r->connection->log, 0,
                      "ampersand: composed target does not fit");
        return AMP_INTERNAL;
    }

    ctx->uri.data = out.start;
    ctx->uri.len = amp_buf_written(&out).len;

    return AMP_OK;
}


/* What the core has to know of the request, but for path and query. */

static void
ngx_http_ampersand_request(ngx_http_request_t *r,
    ngx_http_ampersand_loc_conf_t *alcf, ngx_http_ampersand_ctx_t *ctx,
    amp_request_t *request)
{
    ngx_http_ampersand_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);

    request->api = alcf->api;
    request->method = ngx_ampersand_span(r->method_name);
    request->project = ngx_ampersand_span(ctx->headers.project);
    request->group = ngx_ampersand_span(ctx->headers.group);
    request->origin = ngx_ampersand_span(ctx->headers.origin);
    request->scope = ctx->record.scope;
    request->frozen = (unsigned) ngx_ampersand_zone_frozen(amcf->zone);
    request->has_group = ctx->headers.has_group;
    request->installation = (ctx->headers.installation.data != NULL);
    request->malformed = ctx->headers.malformed;
    request->observe = alcf->observe;
}


/*
 * Which families the request writes, which headers go upstream, and how long
 * its answer may be stored: the tenant's lifetime of the operation, else the
 * directive's, else the table's; 0 where the request cannot be cached.
 */

static void
ngx_http_ampersand_prepare(ngx_http_request_t *r,
    ngx_http_ampersand_loc_conf_t *alcf, ngx_http_ampersand_ctx_t *ctx,
    const amp_decision_t *decision)
{
    unsigned  index;
    uint32_t  ttl;

    index = amp_operation_index(ctx->op);
    ttl = alcf->ttl[index];

    (void) amp_tenant_lifetime(ctx->record.tenant, index, &ttl);

    ctx->writes = amp_decision_writes(decision,
                                  (r->method & NGX_HTTP_AMPERSAND_SAFE) != 0,
                                  ttl);

    ctx->policy.proxy = (ctx->op->api == AMP_API_PROXY);
    ctx->policy.identity = ctx->wrap;
    ctx->policy.connection = ngx_ampersand_span(ctx->headers.connection);

    ctx->ttl = 0;

    /* a cache key does not contain a body */

    if ((r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))
        && amp_decision_storable(decision)
        && !ctx->headers.uncacheable && !ctx->headers.no_store
        && r->headers_in.content_length_n <= 0 && !r->headers_in.chunked)
    {
        ctx->ttl = ttl;
    }
}


/*
 * A request that the cache may answer is charged when it goes upstream, see
 * ngx_http_ampersand_upstream.h; any other before its body is read.
 */

static amp_reason_e
ngx_http_ampersand_admit(ngx_http_request_t *r,
    ngx_http_ampersand_loc_conf_t *alcf, ngx_http_ampersand_ctx_t *ctx)
{
    amp_reason_e  reason;

    if (ctx->record.tenant->sealed.len == 0) {
        return AMP_NO_KEY;
    }

    if (r->headers_in.content_length_n > alcf->body_max && alcf->body_max) {
        ngx_http_ampersand_body_exceeds(ctx, alcf->body_max);
        return AMP_TOO_LARGE;
    }

    if (ctx->ttl && !alcf->limit_hits) {
        return AMP_OK;
    }

    /* where the answer may be stored, nginx looks into its cache first */

    if (ctx->headers.only_if_cached && ctx->ttl == 0) {
        return AMP_NOT_CACHED;
    }

    if (ctx->ttl == 0) {
        ctx->retry = ngx_http_ampersand_breaker_left(r);

        if (ctx->retry) {
            return AMP_UPSTREAM_SUSPENDED;
        }
    }

    reason = ngx_http_ampersand_charge(r, ctx, ctx->limited, ctx->ttl == 0);

    if (reason != AMP_OK) {
        ctx->retry = ctx->limited->retry;
    }

    return reason;
}


static ngx_int_t
ngx_http_ampersand_pass(ngx_http_request_t *r, ngx_http_ampersand_ctx_t *ctx)
{
    if (ctx->ttl
        && ngx_http_ampersand_cache_key(r, &ctx->record, ctx->op, &ctx->uri,
                                     &ctx->policy,
                                     ngx_ampersand_span(ctx->headers.accept),
                                     &ctx->cache_key)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->observed) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "ampersand: would refuse: %s",
                      amp_problem(ctx->reason)->name);
    }

    /* nginx reads it next */

    if (r->headers_in.content_length_n > 0 && r->request_body == NULL) {
        ngx_ampersand_times_enter(&ctx->times, NGX_AMPERSAND_IN_BODY);
    }

    ctx->passed = r->loc_conf;
    ctx->state = NGX_HTTP_AMPERSAND_PASSED;

    ngx_http_ampersand_hit(r, ctx);

    return NGX_OK;
}
