#include "ngx_http_ampersand_deny.h"
#include "ngx_http_ampersand_header_list.h"


#define NGX_HTTP_AMPERSAND_RETRY  1             /* seconds after a 503        */


static ngx_int_t ngx_http_ampersand_deny_problem(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, amp_reason_e reason);
static ngx_int_t ngx_http_ampersand_deny_headers(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, amp_reason_e reason);
static ngx_int_t ngx_http_ampersand_deny_allow(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);
static size_t ngx_http_ampersand_deny_time(time_t t, u_char *buf);


ngx_int_t
ngx_http_ampersand_deny(ngx_http_request_t *r, ngx_http_ampersand_ctx_t *ctx,
    amp_reason_e reason)
{
    ngx_int_t  rc;

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "ampersand: refused: %s", amp_problem(reason)->name);

    /* a client that waits for 100 Continue need not send what is not read */

    r->expect_tested = 1;

    rc = ngx_http_discard_request_body(r);

    /* a malformed body: its own 400, by way of deny_replace() */

    if (rc != NGX_OK) {
        return rc;
    }

    ctx->state = NGX_HTTP_AMPERSAND_DENIED;

    if (ngx_http_ampersand_deny_problem(r, ctx, reason) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_OK && !r->header_only) {
        rc = ngx_http_output_filter(r, ctx->problem);
    }

    ngx_http_finalize_request(r, rc);

    return NGX_DONE;
}


ngx_int_t
ngx_http_ampersand_deny_replace(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, amp_reason_e reason)
{
    ctx->state = NGX_HTTP_AMPERSAND_DENIED;
    ctx->replace = 1;

    ngx_http_clear_accept_ranges(r);
    ngx_http_clear_last_modified(r);
    ngx_http_clear_etag(r);

    if (ngx_http_ampersand_deny_problem(r, ctx, reason) != NGX_OK) {
        return NGX_ERROR;
    }

    /* what the access log shows */

    r->err_status = r->headers_out.status;

    return NGX_OK;
}


static ngx_int_t
ngx_http_ampersand_deny_problem(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, amp_reason_e reason)
{
    u_char                          *text;
    u_char                           now[sizeof("1970-01-01T00:00:00Z")];
    u_char                           later[sizeof("1970-01-01T00:00:00Z")];
    ngx_buf_t                       *b;
    amp_buf_t                        out;
    ngx_chain_t                     *cl;
    amp_problem_facts_t              facts;
    const amp_problem_t             *problem;
    ngx_ampersand_counters_t        *counters;
    ngx_http_ampersand_main_conf_t  *amcf;

    problem = amp_problem(reason);
    ctx->reason = reason;

    ngx_memzero(&facts, sizeof(facts));

    facts.status = problem->status ? problem->status : r->err_status;

    if (ctx->retry == 0 && (facts.status == NGX_HTTP_SERVICE_UNAVAILABLE
                            || facts.status == NGX_HTTP_TOO_MANY_REQUESTS))
    {
        ctx->retry = NGX_HTTP_AMPERSAND_RETRY;
    }

    facts.request_id = ngx_ampersand_span(ctx->request_id);
    facts.time = amp_span_make(now, ngx_http_ampersand_deny_time(ngx_time(),
                                                                 now));

    if (ctx->retry) {
        facts.retry_after = amp_span_make(later,
               ngx_http_ampersand_deny_time(ngx_time() + ctx->retry, later));
    }

    facts.unknown = ctx->unknown;
    facts.fault = ctx->fault;

    if (ctx->op) {
        facts.operation = amp_span_make(ctx->op->id, ngx_strlen(ctx->op->id));
    }

    if (ctx->identified) {
        facts.tenant = amp_tenant_field(ctx->record.tenant,
                                        ctx->record.tenant->id);
    }

    if (reason == AMP_COOLING_DOWN && ctx->limited->beyond) {
        facts.detail = amp_span(AMP_PROBLEM_BUDGET);
    }

    text = ngx_pnalloc(r->pool, AMP_PROBLEM_MAX);
    b = ngx_calloc_buf(r->pool);
    cl = ngx_alloc_chain_link(r->pool);

    if (text == NULL || b == NULL || cl == NULL) {
        return NGX_ERROR;
    }

    amp_buf_init(&out, text, AMP_PROBLEM_MAX);
    amp_problem_write(reason, &facts, &out);

    b->pos = out.start;
    b->last = out.pos;
    b->memory = 1;
    b->last_buf = 1;
    b->last_in_chain = 1;

    cl->buf = b;
    cl->next = NULL;
    ctx->problem = cl;

    r->headers_out.status = facts.status;
    r->headers_out.status_line.len = 0;
    r->headers_out.content_length_n = b->last - b->pos;

    if (r->headers_out.content_length) {
        r->headers_out.content_length->hash = 0;
        r->headers_out.content_length = NULL;
    }

    ngx_str_set(&r->headers_out.content_type, "application/problem+json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;
    ngx_str_null(&r->headers_out.charset);

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);
    counters = ngx_ampersand_zone_counters(amcf->zone);
    ngx_ampersand_count(counters, reasons[reason]);

    return ngx_http_ampersand_deny_headers(r, ctx, reason);
}


static ngx_int_t
ngx_http_ampersand_deny_headers(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, amp_reason_e reason)
{
    ngx_str_t  value;

    ngx_str_set(&value, "no-store");

    if (ngx_http_ampersand_header(r, "Cache-Control", &value) != NGX_OK) {
        return NGX_ERROR;
    }

    /* nginx itself has said what it asks for */

    if (r->headers_out.status == NGX_HTTP_UNAUTHORIZED
        && reason != AMP_NGINX_AUTH)
    {

        /* RFC 6750, 3.1: no error code for a request without a credential */

        if (reason == AMP_NO_TOKEN || reason == AMP_NO_IDENTITY) {
            ngx_str_set(&value, "Bearer realm=\"ampersand-gateway\"");

        } else {
            ngx_str_set(&value, "Bearer realm=\"ampersand-gateway\", "
                                "error=\"invalid_token\"");
        }

        if (ngx_http_ampersand_header(r, "WWW-Authenticate", &value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (reason == AMP_NO_METHOD
        && ngx_http_ampersand_deny_allow(r, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->retry == 0) {
        return NGX_OK;
    }

    value.data = ngx_pnalloc(r->pool, NGX_TIME_T_LEN);
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    value.len = ngx_sprintf(value.data, "%T", ctx->retry) - value.data;

    return ngx_http_ampersand_header(r, "Retry-After", &value);
}


static ngx_int_t
ngx_http_ampersand_deny_allow(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx)
{
    u_char      *p;
    ngx_str_t    value;
    ngx_uint_t   i;

    value.data = ngx_pnalloc(r->pool, sizeof("GET, HEAD, POST, PUT, PATCH, "
                                             "DELETE, "));
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    p = value.data;

    for (i = 0; i < AMP_METHOD_ANY; i++) {
        if (ctx->methods & (1u << i)) {
            p = ngx_sprintf(p, "%s%s", p == value.data ? "" : ", ",
                            amp_method_name(i));

            if (i == AMP_METHOD_GET) {
                p = ngx_cpymem(p, ", HEAD", 6);
            }
        }
    }

    value.len = p - value.data;

    return ngx_http_ampersand_header(r, "Allow", &value);
}


/* RFC 3339 */

static size_t
ngx_http_ampersand_deny_time(time_t t, u_char *buf)
{
    ngx_tm_t  tm;

    ngx_gmtime(t, &tm);

    return ngx_sprintf(buf, "%4d-%02d-%02dT%02d:%02d:%02dZ",
                       tm.ngx_tm_year, tm.ngx_tm_mon, tm.ngx_tm_mday,
                       tm.ngx_tm_hour, tm.ngx_tm_min, tm.ngx_tm_sec)
           - buf;
}
