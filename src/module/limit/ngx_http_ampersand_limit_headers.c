#include "ngx_http_ampersand_limit_headers.h"
#include "ngx_http_ampersand_header_list.h"
#include "amp_escape.h"


static ngx_http_ampersand_policy_t *ngx_http_ampersand_limit_headers_policy(
    ngx_http_ampersand_policies_t *policies, ngx_ampersand_limit_t *limit);
static u_char *ngx_http_ampersand_limit_headers_number(u_char *p,
    const char *key, uint64_t n);
static uint64_t ngx_http_ampersand_limit_headers_window(
    ngx_ampersand_limit_t *limit);
static uint64_t ngx_http_ampersand_limit_headers_reset(
    ngx_ampersand_limit_t *limit);
static ngx_int_t ngx_http_ampersand_limit_headers_older(ngx_http_request_t *r,
    const ngx_http_ampersand_limited_t *limited);


ngx_int_t
ngx_http_ampersand_limit_headers(ngx_http_request_t *r,
    ngx_http_ampersand_policies_t *policies,
    const ngx_http_ampersand_limited_t *limited, ngx_uint_t headers)
{
    u_char                       *p, *q;
    size_t                        size;
    uint64_t                      reset;
    ngx_str_t                     policy, state;
    ngx_uint_t                    i;
    ngx_ampersand_limit_t        *limit;
    ngx_http_ampersand_policy_t  *text;

    if (limited->n == 0 || headers == NGX_HTTP_AMPERSAND_LIMIT_HEADERS_OFF) {
        return NGX_OK;
    }

    size = limited->n * NGX_HTTP_AMPERSAND_POLICY_TEXT;

    policy.data = ngx_pnalloc(r->pool, 2 * size);
    if (policy.data == NULL) {
        return NGX_ERROR;
    }

    state.data = policy.data + size;
    p = policy.data;
    q = state.data;

    for (i = 0; i < limited->n; i++) {
        limit = &limited->applied[i];
        text = ngx_http_ampersand_limit_headers_policy(policies, limit);
        reset = ngx_http_ampersand_limit_headers_reset(limit);

        if (i) {
            p = ngx_cpymem(p, ", ", 2);
            q = ngx_cpymem(q, ", ", 2);
        }

        p = ngx_cpymem(p, text->text, text->len);

        q = ngx_cpymem(q, text->text, text->name);
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

    if (headers == NGX_HTTP_AMPERSAND_LIMIT_HEADERS_ON) {
        return NGX_OK;
    }

    return ngx_http_ampersand_limit_headers_older(r, limited);
}


static ngx_http_ampersand_policy_t *
ngx_http_ampersand_limit_headers_policy(ngx_http_ampersand_policies_t *policies,
    ngx_ampersand_limit_t *limit)
{
    u_char                       *p;
    amp_rate_t                   *rate;
    const char                   *name;
    ngx_http_ampersand_policy_t  *text;

    rate = &limit->rate;

    text = &policies->texts[(rate->count + rate->burst + limit->limit)
                   % NGX_HTTP_AMPERSAND_POLICIES];

    if (text->len && text->limit == limit->limit
        && text->rate.count == rate->count
        && text->rate.period == rate->period && text->rate.burst == rate->burst)
    {
        return text;
    }

    text->limit = limit->limit;
    text->rate = *rate;

    name = amp_limit_name(limit->limit);

    p = text->text;
    *p++ = '"';
    p = ngx_cpymem(p, name, ngx_strlen(name));
    *p++ = '"';
    text->name = p - text->text;

    p = ngx_http_ampersand_limit_headers_number(p, ";q=", rate->burst);
    p = ngx_http_ampersand_limit_headers_number(p, ";w=",
                               ngx_http_ampersand_limit_headers_window(limit));
    text->len = p - text->text;

    return text;
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

    /* no unit is left: the next one comes after one interval at most */

    if (limit->wait == 0 && limit->remaining == 0) {
        unit = limit->rate.period * UINT64_C(1000000000) / limit->rate.count;
        full = (limit->rate.burst - 1) * unit;
        ns = (ns > full) ? ns - full : unit;
    }

    return ngx_http_ampersand_seconds(ns);
}


/* X-RateLimit-*, of the limit with the fewest units left. */

static ngx_int_t
ngx_http_ampersand_limit_headers_older(ngx_http_request_t *r,
    const ngx_http_ampersand_limited_t *limited)
{
    u_char                 *p;
    ngx_str_t               value;
    ngx_uint_t              i;
    ngx_ampersand_limit_t  *limit;

    limit = &limited->applied[0];

    for (i = 1; i < limited->n; i++) {
        if (limited->applied[i].remaining < limit->remaining
            || limited->applied[i].wait > limit->wait)
        {
            limit = &limited->applied[i];
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
