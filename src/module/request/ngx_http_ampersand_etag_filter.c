#include "ngx_http_ampersand_charge.h"
#include "ngx_http_ampersand_hit.h"
#include "ngx_http_ampersand_upstream.h"
#include "cache/ngx_http_ampersand_cache_body.h"
#include "cache/ngx_http_ampersand_cache_etag.h"


/*
 * The header filter that decides whether an answer is stored, and then sets its
 * ETag; and the body filter of a stored one.  An nginx module of its own, since
 * they have to run before not_modified and copy, the last in nginx's order of
 * modules and so the first of its filters (see config).
 */


static ngx_int_t ngx_http_ampersand_etag_filter(ngx_http_request_t *r);
static ngx_int_t ngx_http_ampersand_etag_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static void ngx_http_ampersand_answered(ngx_http_ampersand_upstream_t *up);
static ngx_int_t ngx_http_ampersand_etag_filter_init(ngx_conf_t *cf);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


static ngx_http_module_t  ngx_http_ampersand_etag_filter_module_ctx = {
    NULL,                                  /* preconfiguration */
    ngx_http_ampersand_etag_filter_init,   /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    NULL,                                  /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_ampersand_etag_filter_module = {
    NGX_MODULE_V1,
    &ngx_http_ampersand_etag_filter_module_ctx, /* module context */
    NULL,                                  /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_http_ampersand_etag_filter(ngx_http_request_t *r)
{
    ngx_int_t                       rc;
    ngx_http_ampersand_ctx_t       *ctx;
    ngx_http_ampersand_upstream_t  *up;
    ngx_http_ampersand_srv_conf_t  *ascf;

    ascf = ngx_http_get_module_srv_conf(r, ngx_http_ampersand_module);

    if (!ascf->gateway || r->upstream == NULL) {
        return ngx_http_next_header_filter(r);
    }

    if (!r->cached) {
        up = ngx_http_ampersand_upstream(r);

        if (up && up->state == NGX_HTTP_AMPERSAND_UPSTREAM_SENT) {
            up->state = NGX_HTTP_AMPERSAND_UPSTREAM_ANSWERED;
            ngx_http_ampersand_answered(up);
        }
    }

    if (r->cache == NULL || r->headers_out.status != NGX_HTTP_OK) {
        return ngx_http_next_header_filter(r);
    }

    ctx = ngx_http_ampersand_passed(r);

    if (ctx == NULL) {
        return ngx_http_next_header_filter(r);
    }

    if (r->cached) {
        ngx_http_ampersand_cache_body_hit(r);
        ngx_http_ampersand_hit_keep(r, ctx);
    }

    /* RFC 9110, section 13.1: nginx's filter would test both */

    if (r->headers_in.if_none_match) {
        r->headers_in.if_modified_since = NULL;
    }

    if (r->headers_in.if_match) {
        r->headers_in.if_unmodified_since = NULL;
    }

    rc = NGX_OK;

    if (r->headers_out.etag == NULL) {

        if (r->cached) {
            rc = ngx_http_ampersand_cache_etag_hit(r);

        } else if (r->upstream->cacheable && ctx->ttl) {
            rc = ngx_http_ampersand_cache_etag_store(r);
        }
    }

    return (rc == NGX_OK) ? ngx_http_next_header_filter(r) : NGX_ERROR;
}


static ngx_int_t
ngx_http_ampersand_etag_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_http_ampersand_srv_conf_t  *ascf;

    ascf = ngx_http_get_module_srv_conf(r, ngx_http_ampersand_module);

    if (ascf->gateway && r->cached && r->cache && in) {
        ngx_http_ampersand_cache_body(r, in);
    }

    return ngx_http_next_body_filter(r, in);
}


/*
 * What an answer of upstream means for later requests: it may be stored, a 429
 * begins a cool-down, and the budget of the project is learned.  Also for a
 * background refresh.
 */

static void
ngx_http_ampersand_answered(ngx_http_ampersand_upstream_t *up)
{
    ngx_msec_t                            ms;
    ngx_http_request_t                   *r;
    ngx_http_ampersand_ctx_t             *ctx;
    ngx_http_ampersand_main_conf_t       *amcf;
    ngx_http_ampersand_cache_terms_t      terms;
    ngx_http_ampersand_cooldown_scope_t   scope;

    r = up->request;
    ctx = up->ctx;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);
    ngx_http_ampersand_terms(r, ctx, &terms);
    ngx_http_ampersand_cache_store(r, amcf->zone, &terms);

    ngx_http_ampersand_cooldown_scope(ctx, &scope);

    if (r->upstream->headers_in.status_n != NGX_HTTP_TOO_MANY_REQUESTS) {

        if (!scope.proxy) {
            ngx_ampersand_budget_answered(amcf->zone, scope.project);
        }

        return;
    }

    ms = ngx_http_ampersand_cooldown_start(r, &amcf->worker->limits.leasing,
                                           &scope);

    if (ms && !scope.proxy) {
        ngx_ampersand_budget_refused(amcf->zone, scope.project, ms,
                                     r->connection->log);
    }
}


static ngx_int_t
ngx_http_ampersand_etag_filter_init(ngx_conf_t *cf)
{
    (void) cf;

    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_ampersand_etag_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_ampersand_etag_body_filter;

    return NGX_OK;
}
