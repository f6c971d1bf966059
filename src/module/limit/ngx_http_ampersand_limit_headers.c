#include "request/ngx_http_ampersand.h"
#include "amp_escape.h"


/*
 * What an answer says of the limits that its request was held to.
 *
 * draft-ietf-httpapi-ratelimit-headers: a quota q for a window of w seconds, of
 * which r are available now.  Of a bucket that refills steadily, q is the burst
 * and w the time it takes to refill, so that q/w is the rate.  t is when the
 * next one will be admitted where there is none (Retry-After says the same),
 * else when all of q are there again.
 */


#define NGX_HTTP_AMPERSAND_RATELIMIT_TEXT      64   /* of each limit          */
#define NGX_HTTP_AMPERSAND_RATELIMIT_POLICIES  64   /* remembered             */


/* A limit's part of RateLimit-Policy, which begins with its name. */

typedef struct {
    amp_limit_e  limit;
    amp_rate_t   rate;
    size_t       name;
    size_t       len;               /* 0: none is here                        */
    u_char       text[NGX_HTTP_AMPERSAND_RATELIMIT_TEXT];
} ngx_http_ampersand_policy_t;


static ngx_http_ampersand_policy_t *ngx_http_ampersand_limit_headers_policy(
    ngx_ampersand_limit_t *limit);
static u_char *ngx_http_ampersand_limit_headers_number(u_char *p, const char *key,
    uint64_t n);
static uint64_t ngx_http_ampersand_limit_headers_window(
    ngx_ampersand_limit_t *limit);
static uint64_t ngx_http_ampersand_limit_headers_reset(
    ngx_ampersand_limit_t *limit);
static ngx_int_t ngx_http_ampersand_limit_headers_older(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);


ngx_int_t
ngx_http_ampersand_limit_headers(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx)
{
    u_char                         *p, *q;
    size_t                          size;
    uint64_t                        reset;
    ngx_str_t                       policy, state;
    ngx_uint_t                      i;
    ngx_ampersand_limit_t          *limit;
    ngx_http_ampersand_policy_t    *of;
    ngx_http_ampersand_loc_conf_t  *alcf;

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_ampersand_module);

    if (ctx->nlimits == 0
        || alcf->limit_headers == NGX_HTTP_AMPERSAND_NO_HEADERS)
    {
        return NGX_OK;
    }

    size = ctx->nlimits * NGX_HTTP_AMPERSAND_RATELIMIT_TEXT;

    policy.data = ngx_pnalloc(r->pool, 2 * size);
    if (policy.data == NULL) {
        return NGX_ERROR;
    }

    state.data = policy.data + size;
    p = policy.data;
    q = state.data;

    for (i = 0; i < ctx->nlimits; i++) {
        limit = &ctx->limits[i];
        of = ngx_http_ampersand_limit_headers_policy(limit);
        reset = ngx_http_ampersand_limit_headers_reset(limit);

        if (i) {
            p = ngx_cpymem(p, ", ", 2);
            q = ngx_cpymem(q, ", ", 2);
        }

        p = ngx_cpymem(p, of->text, of->len);

        q = ngx_cpymem(q, of->text, of->name);
        q = ngx_http_ampersand_limit_headers_number(q, ";r=", limit->remaining);
        q = ngx_http_ampersand_limit_headers_number(q, ";t=", reset);
    }

    policy.len = p - policy.data;
    state.len = q - state.data;

    if (ngx_http_ampersand_header(r, "RateLimit-Policy", &policy) != NGX_OK
        || ngx_http_ampersand_header(r, "RateLimit", &state) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (alcf->limit_headers == NGX_HTTP_AMPERSAND_RATELIMIT) {
        return NGX_OK;
    }

    return ngx_http_ampersand_limit_headers_older(r, ctx);
}


/* There are few of them, and they do not change: this worker's. */

static ngx_http_ampersand_policy_t *
ngx_http_ampersand_limit_headers_policy(ngx_ampersand_limit_t *limit)
{
    u_char                       *p;
    amp_rate_t                   *rate;
    const char                   *name;
    ngx_http_ampersand_policy_t  *of;

    static ngx_http_ampersand_policy_t
        policies[NGX_HTTP_AMPERSAND_RATELIMIT_POLICIES];

    rate = &limit->rate;

    of = &policies[(rate->count + rate->burst + limit->limit)
                   % NGX_HTTP_AMPERSAND_RATELIMIT_POLICIES];

    if (of->len && of->limit == limit->limit && of->rate.count == rate->count
        && of->rate.period == rate->period && of->rate.burst == rate->burst)
    {
        return of;
    }

    of->limit = limit->limit;
    of->rate = *rate;

    name = amp_limit_name(limit->limit);

    p = of->text;
    *p++ = '"';
    p = ngx_cpymem(p, name, ngx_strlen(name));
    *p++ = '"';
    of->name = p - of->text;

    p = ngx_http_ampersand_limit_headers_number(p, ";q=", rate->burst);
    p = ngx_http_ampersand_limit_headers_number(p, ";w=",
                                   ngx_http_ampersand_limit_headers_window(limit));
    of->len = p - of->text;

    return of;
}


static u_char *
ngx_http_ampersand_limit_headers_number(u_char *p, const char *key, uint64_t n)
{
    return amp_decimal(ngx_cpymem(p, key, 3), n);
}


static uint64_t
ngx_http_ampersand_limit_headers_window(ngx_ampersand_limit_t *limit)
{
    return ((uint64_t) limit->rate.burst * limit->rate.period
            + limit->rate.count - 1) / limit->rate.count;
}


static uint64_t
ngx_http_ampersand_limit_headers_reset(ngx_ampersand_limit_t *limit)
{
    uint64_t  ns, unit, full;

    ns = limit->wait ? limit->wait : limit->reset;

    /* none is left, and the next comes after one interval at most */

    if (limit->wait == 0 && limit->remaining == 0) {
        unit = limit->rate.period * UINT64_C(1000000000) / limit->rate.count;
        full = (limit->rate.burst - 1) * unit;
        ns = (ns > full) ? ns - full : unit;
    }

    return ngx_http_ampersand_seconds(ns);
}


/* X-RateLimit-*, of the limit that is nearest to its end. */

static ngx_int_t
ngx_http_ampersand_limit_headers_older(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx)
{
    u_char                 *p;
    ngx_str_t               value;
    ngx_uint_t              i;
    ngx_ampersand_limit_t  *limit;

    limit = &ctx->limits[0];

    for (i = 1; i < ctx->nlimits; i++) {
        if (ctx->limits[i].remaining < limit->remaining
            || ctx->limits[i].wait > limit->wait)
        {
            limit = &ctx->limits[i];
        }
    }

    p = ngx_pnalloc(r->pool, 3 * NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;
    p = ngx_sprintf(p, "%uD", limit->rate.burst);
    value.len = p - value.data;

    if (ngx_http_ampersand_header(r, "X-RateLimit-Limit", &value) != NGX_OK) {
        return NGX_ERROR;
    }

    value.data = p;
    p = ngx_sprintf(p, "%uD", limit->remaining);
    value.len = p - value.data;

    if (ngx_http_ampersand_header(r, "X-RateLimit-Remaining", &value)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    value.data = p;
    p = ngx_sprintf(p, "%uL", ngx_http_ampersand_limit_headers_reset(limit));
    value.len = p - value.data;

    return ngx_http_ampersand_header(r, "X-RateLimit-Reset", &value);
}
