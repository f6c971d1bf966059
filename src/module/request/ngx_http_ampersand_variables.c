#include "ngx_http_ampersand_variables.h"
#include "ngx_http_ampersand_trace.h"
#include "ngx_http_ampersand_header_list.h"
#include "cache/ngx_http_ampersand_cache_key.h"


/*
 * Each variable is "not found" and not cacheable until the request has passed,
 * so an early reader (set, map, limit_req) cannot fix an empty value, and a
 * location that lacks a line fails closed.  From then on the value is in the
 * context and does not change.
 */


typedef struct {
    ngx_str_t                    name;
    ngx_http_get_variable_pt     handler;
    uintptr_t                    data;
} ngx_http_ampersand_variable_t;


/* What a variable for the log tells, as the handler's data. */

typedef enum {
    NGX_HTTP_AMPERSAND_LOG_API = 0,
    NGX_HTTP_AMPERSAND_LOG_PATH,
    NGX_HTTP_AMPERSAND_LOG_SOURCE,
    NGX_HTTP_AMPERSAND_LOG_TRACE,
    NGX_HTTP_AMPERSAND_LOG_SPAN
} ngx_http_ampersand_log_word_e;


static ngx_http_ampersand_ctx_t *ngx_http_ampersand_variable_passed(
    ngx_http_request_t *r, ngx_http_variable_value_t *v);
static void ngx_http_ampersand_variable_set(ngx_http_variable_value_t *v,
    const void *data, size_t len);
static ngx_int_t ngx_http_ampersand_variable_tenant(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_ampersand_variable_project(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_ampersand_variable_operation(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_ampersand_variable_word(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_ampersand_variable_trace(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_ampersand_variable_token_id(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static void ngx_http_ampersand_variable_plain(ngx_http_variable_value_t *v,
    const ngx_str_t *text);
static ngx_int_t ngx_http_ampersand_variable_limit(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_ampersand_variable_user_agent(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_ampersand_variable_decision(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_ampersand_variable_upstream(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_ampersand_variable_host(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_ampersand_variable_uri(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_ampersand_variable_cache_key(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_ampersand_variable_cache(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_ampersand_variable_no_cache(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_ampersand_variable_api_key(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_ampersand_variable_request_id(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);


static ngx_http_ampersand_variable_t  ngx_http_ampersand_variables[] = {
    { ngx_string("ampersand_tenant"), ngx_http_ampersand_variable_tenant, 0 },
    { ngx_string("ampersand_project"), ngx_http_ampersand_variable_project, 0 },
    { ngx_string("ampersand_operation"),
      ngx_http_ampersand_variable_operation, 0 },
    { ngx_string("ampersand_decision"), ngx_http_ampersand_variable_decision,
      0 },
    { ngx_string("ampersand_upstream"), ngx_http_ampersand_variable_upstream,
      0 },
    { ngx_string("ampersand_host"), ngx_http_ampersand_variable_host, 0 },
    { ngx_string("ampersand_uri"), ngx_http_ampersand_variable_uri, 0 },
    { ngx_string("ampersand_cache_key"),
      ngx_http_ampersand_variable_cache_key, 0 },
    { ngx_string("ampersand_cache"), ngx_http_ampersand_variable_cache, 0 },
    { ngx_string("ampersand_no_cache"), ngx_http_ampersand_variable_no_cache,
      0 },
    { ngx_string("ampersand_api_key"), ngx_http_ampersand_variable_api_key, 0 },
    { ngx_string("ampersand_request_id"),
      ngx_http_ampersand_variable_request_id, 0 },
    { ngx_string("ampersand_api"), ngx_http_ampersand_variable_word,
      NGX_HTTP_AMPERSAND_LOG_API },
    { ngx_string("ampersand_path"), ngx_http_ampersand_variable_word,
      NGX_HTTP_AMPERSAND_LOG_PATH },
    { ngx_string("ampersand_source"), ngx_http_ampersand_variable_word,
      NGX_HTTP_AMPERSAND_LOG_SOURCE },
    { ngx_string("ampersand_trace_id"), ngx_http_ampersand_variable_trace,
      NGX_HTTP_AMPERSAND_LOG_TRACE },
    { ngx_string("ampersand_span_id"), ngx_http_ampersand_variable_trace,
      NGX_HTTP_AMPERSAND_LOG_SPAN },
    { ngx_string("ampersand_token_id"), ngx_http_ampersand_variable_token_id,
      0 },
    { ngx_string("ampersand_limit"), ngx_http_ampersand_variable_limit, 0 },
    { ngx_string("ampersand_user_agent"),
      ngx_http_ampersand_variable_user_agent, 0 },
    { ngx_null_string, NULL, 0 }
};


ngx_int_t
ngx_http_ampersand_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t            *var;
    ngx_http_ampersand_variable_t  *v;

    for (v = ngx_http_ampersand_variables; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, NGX_HTTP_VAR_NOCACHEABLE);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->handler;
        var->data = v->data;
    }

    return NGX_OK;
}


/*
 * The context when the request may go upstream, asked by the request itself or
 * by its background refresh; any other subrequest did not come through the
 * access phase.
 */

static ngx_http_ampersand_ctx_t *
ngx_http_ampersand_variable_passed(ngx_http_request_t *r,
    ngx_http_variable_value_t *v)
{
    ngx_http_ampersand_ctx_t  *ctx;

    ctx = ngx_http_ampersand_passed(r);

    if (ctx) {
        return ctx;
    }

    v->valid = 0;
    v->no_cacheable = 1;
    v->not_found = 1;

    return NULL;
}


static void
ngx_http_ampersand_variable_set(ngx_http_variable_value_t *v,
    const void *data, size_t len)
{
    v->data = (u_char *) data;
    v->len = len;
    v->valid = 1;
    v->no_cacheable = 1;
    v->not_found = 0;
}


/* Set from RESOLVED on, also where the request was refused. */

static ngx_int_t
ngx_http_ampersand_variable_tenant(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    amp_span_t                 id;
    ngx_http_ampersand_ctx_t  *ctx;

    ctx = ngx_http_ampersand_known(r);

    if (ctx == NULL || !ctx->identified) {
        v->not_found = 1;
        return NGX_OK;
    }

    id = amp_tenant_field(ctx->record.tenant, ctx->record.tenant->id);
    ngx_http_ampersand_variable_set(v, id.data, id.len);

    return NGX_OK;
}


static ngx_int_t
ngx_http_ampersand_variable_project(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    amp_span_t                 id;
    ngx_http_ampersand_ctx_t  *ctx;

    ctx = ngx_http_ampersand_known(r);

    if (ctx == NULL || !ctx->identified) {
        v->not_found = 1;
        return NGX_OK;
    }

    id = amp_tenant_field(ctx->record.tenant, ctx->record.tenant->project_id);
    ngx_http_ampersand_variable_set(v, id.data, id.len);

    return NGX_OK;
}


static ngx_int_t
ngx_http_ampersand_variable_operation(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_ampersand_ctx_t  *ctx;

    ctx = ngx_http_ampersand_known(r);

    if (ctx == NULL || ctx->op == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    ngx_http_ampersand_variable_set(v, ctx->op->id, ngx_strlen(ctx->op->id));

    return NGX_OK;
}


/* What else the log tells of a request. */

static ngx_int_t
ngx_http_ampersand_variable_word(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                 *source;
    const char                *word;
    ngx_http_ampersand_ctx_t  *ctx;

    ctx = ngx_http_ampersand_known(r);

    if (ctx && data == NGX_HTTP_AMPERSAND_LOG_SOURCE
        && ctx->state >= NGX_HTTP_AMPERSAND_PASSED)
    {
        source = &ngx_http_ampersand_sources[ctx->source];
        ngx_http_ampersand_variable_set(v, source->data, source->len);
        return NGX_OK;
    }

    if (ctx == NULL || ctx->op == NULL || data == NGX_HTTP_AMPERSAND_LOG_SOURCE)
    {
        v->not_found = 1;
        v->no_cacheable = 1;
        return NGX_OK;
    }

    word = data == NGX_HTTP_AMPERSAND_LOG_API ? amp_api_name(ctx->op->api)
                                              : ctx->op->path;
    ngx_http_ampersand_variable_set(v, word, ngx_strlen(word));

    return NGX_OK;
}


/*
 * The ids that upstream is told; asked before the request is decided, too, in
 * the log of a refused one.
 */

static ngx_int_t
ngx_http_ampersand_variable_trace(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_ampersand_ctx_t  *ctx;

    ctx = ngx_http_ampersand_known(r);

    if (ctx == NULL || ngx_http_ampersand_trace(r, ctx) != NGX_OK) {
        v->not_found = 1;
        return NGX_OK;
    }

    if (data == NGX_HTTP_AMPERSAND_LOG_SPAN) {
        ngx_http_ampersand_variable_set(v, ctx->trace.span, AMP_TRACE_SPAN);

    } else {
        ngx_http_ampersand_variable_set(v, ctx->trace.id, AMP_TRACE_ID);
    }

    return NGX_OK;
}


/* "acme.x3Kf0a9QzT", as "ampctl token list" shows it; never the token. */

static ngx_int_t
ngx_http_ampersand_variable_token_id(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char                    *p, *id;
    amp_span_t                 tenant;
    ngx_http_ampersand_ctx_t  *ctx;

    (void) data;

    ctx = ngx_http_ampersand_known(r);

    if (ctx == NULL || !ctx->identified || ctx->record.token[0] == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    tenant = amp_tenant_field(ctx->record.tenant, ctx->record.tenant->id);

    id = ngx_pnalloc(r->pool, tenant.len + 1 + AMP_TOKEN_ID_RANDOM);
    if (id == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(id, tenant.data, tenant.len);
    *p++ = '.';
    p = ngx_cpymem(p, ctx->record.token, AMP_TOKEN_ID_RANDOM);

    ngx_http_ampersand_variable_set(v, id, p - id);

    return NGX_OK;
}


/*
 * A client may send its token anywhere, and both sides bytes that are no UTF-8:
 * no log has them.
 */

static void
ngx_http_ampersand_variable_plain(ngx_http_variable_value_t *v,
    const ngx_str_t *text)
{
    u_char  *p, *last;

    p = text->data;
    last = p + text->len;

    while (p < last && *p < 0x80) {
        p++;
    }

    if (p != last
        || ngx_strlcasestrn(text->data, last, (u_char *) "agw_", 4 - 1))
    {
        v->not_found = 1;
        return;
    }

    ngx_http_ampersand_variable_set(v, text->data, text->len);
}


static ngx_int_t
ngx_http_ampersand_variable_user_agent(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    (void) data;

    if (r->headers_in.user_agent == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    ngx_http_ampersand_variable_plain(v, &r->headers_in.user_agent->value);

    return NGX_OK;
}


/* RateLimit of the answer, the gateway's own or upstream's. */

static ngx_int_t
ngx_http_ampersand_variable_limit(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_table_elt_t            *h;
    ngx_http_ampersand_walk_t   walk;

    (void) data;

    walk.part = &r->headers_out.headers.part;
    walk.i = 0;

    while ((h = ngx_http_ampersand_next(&walk)) != NULL) {

        if (h->hash
            && amp_span_caseeq(ngx_ampersand_span(h->key),
                               amp_span("ratelimit")))
        {
            ngx_http_ampersand_variable_plain(v, &h->value);
            return NGX_OK;
        }
    }

    v->not_found = 1;

    return NGX_OK;
}


/* "pass", "observe:<reason>" or "<reason>" */

static ngx_int_t
ngx_http_ampersand_variable_decision(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char                    *p;
    const char                *name;
    ngx_http_ampersand_ctx_t  *ctx;

    ctx = ngx_http_ampersand_known(r);

    if (ctx == NULL || ctx->state < NGX_HTTP_AMPERSAND_PASSED) {
        v->not_found = 1;
        v->no_cacheable = 1;
        return NGX_OK;
    }

    if (ctx->reason == AMP_OK) {
        ngx_http_ampersand_variable_set(v, "pass", 4);
        return NGX_OK;
    }

    name = amp_problem(ctx->reason)->name;

    if (ctx->state == NGX_HTTP_AMPERSAND_DENIED) {
        ngx_http_ampersand_variable_set(v, name, ngx_strlen(name));
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, sizeof("observe:") + ngx_strlen(name));
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_http_ampersand_variable_set(v, p,
                                    ngx_sprintf(p, "observe:%s", name) - p);

    return NGX_OK;
}


static ngx_int_t
ngx_http_ampersand_variable_upstream(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_ampersand_loc_conf_t  *alcf;

    if (ngx_http_ampersand_variable_passed(r, v)) {
        alcf = ngx_http_get_module_loc_conf(r, ngx_http_ampersand_module);
        ngx_http_ampersand_variable_set(v, alcf->upstream.data,
                                        alcf->upstream.len);
    }

    return NGX_OK;
}


/*
 * The Host header and the name in TLS: the API's own, also where
 * ampersand_upstream names another server.
 */

static ngx_int_t
ngx_http_ampersand_variable_host(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    const char                *host;
    ngx_http_ampersand_ctx_t  *ctx;

    ctx = ngx_http_ampersand_variable_passed(r, v);

    if (ctx) {
        host = amp_api_host(ctx->op->api);
        ngx_http_ampersand_variable_set(v, host, ngx_strlen(host));
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_ampersand_variable_uri(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_ampersand_ctx_t  *ctx;

    ctx = ngx_http_ampersand_variable_passed(r, v);

    if (ctx) {
        ngx_http_ampersand_variable_set(v, ctx->uri.data, ctx->uri.len);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_ampersand_variable_cache_key(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_uint_t                       bypass;
    ngx_http_ampersand_ctx_t        *ctx;
    ngx_http_ampersand_main_conf_t  *amcf;

    ctx = ngx_http_ampersand_variable_passed(r, v);

    if (ctx == NULL) {
        return NGX_OK;
    }

    /* read by nginx, before it looks into the cache? */

    if (r == r->main && r->cache && r->cache->header_start == 0) {

        bypass = (ctx->ttl == 0 || ctx->headers.no_cache);

        if (ngx_http_ampersand_cache_conf(r, bypass) != NGX_OK) {
            return NGX_ERROR;
        }

        if (!bypass) {
            amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);
            ngx_http_ampersand_cache_lock_enter(&amcf->worker->cache_lock,
                                                &ctx->cache_wait, r,
                                                amcf->zone);
        }
    }

    ngx_http_ampersand_variable_set(v, ctx->cache_key.data,
                                    ctx->cache_key.len);

    return NGX_OK;
}


/*
 * For proxy_cache.  "off" is more than a bypass: nginx then sends HEAD as HEAD,
 * and the Range and If-* headers, which a provider behind the proxy API may
 * use.
 */

static ngx_int_t
ngx_http_ampersand_variable_cache(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_ampersand_ctx_t  *ctx;

    ctx = ngx_http_ampersand_variable_passed(r, v);

    if (ctx && ctx->ttl) {
        ngx_http_ampersand_variable_set(v, "ampersand", 9);

    } else {
        ngx_http_ampersand_variable_set(v, "off", 3);
    }

    return NGX_OK;
}


/*
 * For proxy_cache_bypass and proxy_no_cache of locations that name a cache
 * themselves: "1" where no stored answer may be used, and in doubt.
 */

static ngx_int_t
ngx_http_ampersand_variable_no_cache(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_ampersand_ctx_t  *ctx;

    ctx = ngx_http_ampersand_variable_passed(r, v);

    if (ctx && ctx->ttl && !ctx->headers.no_cache) {
        ngx_http_ampersand_variable_set(v, "0", 1);

    } else {
        ngx_http_ampersand_variable_set(v, "1", 1);
    }

    return NGX_OK;
}


/*
 * Always empty: the key stands in the upstream request only, see
 * ngx_http_ampersand_head.h.  The name is kept for configurations that have it.
 */

static ngx_int_t
ngx_http_ampersand_variable_api_key(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    v->not_found = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_ampersand_variable_request_id(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_ampersand_ctx_t  *ctx;

    ctx = ngx_http_ampersand_known(r);

    if (ctx == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    ngx_http_ampersand_variable_set(v, ctx->request_id.data,
                                    ctx->request_id.len);

    return NGX_OK;
}
