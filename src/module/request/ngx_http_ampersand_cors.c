#include "ngx_http_ampersand_cors.h"
#include "ngx_http_ampersand_deny.h"
#include "ngx_http_ampersand_header_list.h"
#include "amp_escape.h"


/* What the headers of a preflight ask for. */

typedef struct {
    ngx_str_t  method;
    ngx_str_t  headers;
} ngx_http_ampersand_preflight_t;


static void ngx_http_ampersand_cors_read(ngx_http_request_t *r,
    ngx_http_ampersand_preflight_t *preflight);
static ngx_int_t ngx_http_ampersand_cors_allow(ngx_http_request_t *r,
    ngx_http_ampersand_loc_conf_t *alcf,
    ngx_http_ampersand_preflight_t *preflight);
static ngx_uint_t ngx_http_ampersand_cors_listed(
    ngx_http_ampersand_loc_conf_t *alcf, ngx_http_ampersand_ctx_t *ctx);
static ngx_uint_t ngx_http_ampersand_cors_names(ngx_str_t *list);


static ngx_str_t  ngx_http_ampersand_cors_methods =
    ngx_string("GET, HEAD, POST, PUT, PATCH, DELETE");

/* seconds for which a browser may remember the answer to a preflight */

static ngx_str_t  ngx_http_ampersand_cors_age = ngx_string("600");

/*
 * What the gateway sets and Ampersand may set, but for what every page may read
 * (Cache-Control, Content-Type, Last-Modified, ...)
 */

static ngx_str_t  ngx_http_ampersand_cors_exposed = ngx_string(
    "X-Request-Id, X-Gateway-Source, Retry-After, RateLimit, RateLimit-Policy, "
    "X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, ETag, Age, "
    "Cache-Status, X-Cache-Status, Allow, WWW-Authenticate, Link, Location, "
    "X-Amp-Retry-After");

static ngx_str_t  ngx_http_ampersand_cors_vary = ngx_string("Origin");


ngx_int_t
ngx_http_ampersand_cors_handler(ngx_http_request_t *r)
{
    ngx_int_t                        rc;
    ngx_ampersand_counters_t        *counters;
    ngx_http_ampersand_ctx_t        *ctx;
    ngx_http_ampersand_loc_conf_t   *alcf;
    ngx_http_ampersand_main_conf_t  *amcf;
    ngx_http_ampersand_preflight_t   preflight;

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_ampersand_module);

    if (alcf->cors == NULL || alcf->api == NGX_HTTP_AMPERSAND_OFF
        || r->method != NGX_HTTP_OPTIONS || r != r->main)
    {
        return NGX_DECLINED;
    }

    ctx = ngx_http_ampersand_context(r);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    ngx_http_ampersand_cors_read(r, &preflight);

    if (ctx->headers.credential != AMP_NO_TOKEN || preflight.method.len == 0
        || ctx->headers.origin.len == 0)
    {
        return NGX_DECLINED;
    }

    if (!ngx_http_ampersand_cors_listed(alcf, ctx)) {
        return ngx_http_ampersand_deny(r, ctx, AMP_OTHER_ORIGIN);
    }

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);
    counters = ngx_ampersand_zone_counters(amcf->zone);
    ngx_ampersand_count(counters, preflights);

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    r->headers_out.status = NGX_HTTP_NO_CONTENT;
    r->header_only = 1;

    if (ngx_http_ampersand_cors_allow(r, alcf, &preflight) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_finalize_request(r, ngx_http_send_header(r));

    return NGX_DONE;
}


static void
ngx_http_ampersand_cors_read(ngx_http_request_t *r,
    ngx_http_ampersand_preflight_t *preflight)
{
    ngx_table_elt_t            *h;
    ngx_http_ampersand_walk_t   walk;

    ngx_memzero(preflight, sizeof(*preflight));

    walk.part = &r->headers_in.headers.part;
    walk.i = 0;

    while ((h = ngx_http_ampersand_next(&walk)) != NULL) {

        if (ngx_http_ampersand_is(h, "access-control-request-method")) {
            preflight->method = h->value;

        } else if (ngx_http_ampersand_is(h, "access-control-request-headers")) {
            preflight->headers = h->value;
        }
    }
}


/*
 * Which headers go upstream is decided when the request comes, and what its
 * path or method lacks a problem can tell then; so all is allowed here.
 */

static ngx_int_t
ngx_http_ampersand_cors_allow(ngx_http_request_t *r,
    ngx_http_ampersand_loc_conf_t *alcf,
    ngx_http_ampersand_preflight_t *preflight)
{
    ngx_str_t  *methods;

    methods = &ngx_http_ampersand_cors_methods;

    if (alcf->api == AMP_API_PROXY
        && ngx_http_ampersand_cors_names(&preflight->method))
    {
        methods = &preflight->method;
    }

    if (ngx_http_ampersand_header(r, "Access-Control-Allow-Methods", methods)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_ampersand_cors_names(&preflight->headers)
        && ngx_http_ampersand_header(r, "Access-Control-Allow-Headers",
                                     &preflight->headers)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_ampersand_header(r, "Access-Control-Max-Age",
                                     &ngx_http_ampersand_cors_age);
}


ngx_int_t
ngx_http_ampersand_cors_headers(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx)
{
    ngx_http_ampersand_loc_conf_t  *alcf;

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_ampersand_module);

    /* an error page of another location is the gateway's; the status is not */

    if (alcf->cors == NULL
        || (alcf->api == NGX_HTTP_AMPERSAND_OFF
            && ctx->state != NGX_HTTP_AMPERSAND_DENIED))
    {
        return NGX_OK;
    }

    if (ngx_http_ampersand_header(r, "Vary", &ngx_http_ampersand_cors_vary)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (!ngx_http_ampersand_cors_listed(alcf, ctx)) {
        return NGX_OK;
    }

    if (ngx_http_ampersand_header(r, "Access-Control-Allow-Origin",
                                  &ctx->headers.origin)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_ampersand_header(r, "Access-Control-Expose-Headers",
                                     &ngx_http_ampersand_cors_exposed);
}


static ngx_uint_t
ngx_http_ampersand_cors_listed(ngx_http_ampersand_loc_conf_t *alcf,
    ngx_http_ampersand_ctx_t *ctx)
{
    ngx_str_t   *origin;
    ngx_uint_t   i;

    origin = alcf->cors->elts;

    for (i = 0; i < alcf->cors->nelts; i++) {
        if (amp_span_eq(ngx_ampersand_span(origin[i]),
                        ngx_ampersand_span(ctx->headers.origin)))
        {
            return 1;
        }
    }

    return 0;
}


/* Names of methods or headers, with commas and blanks between them. */

static ngx_uint_t
ngx_http_ampersand_cors_names(ngx_str_t *list)
{
    size_t  i;
    u_char  c;

    for (i = 0; i < list->len; i++) {
        c = list->data[i];

        if (!amp_char_is(c, AMP_TOKEN) && c != ',' && c != ' ') {
            return 0;
        }
    }

    return list->len != 0;
}
