#include "ngx_http_ampersand_charge.h"
#include "ngx_http_ampersand_cors.h"
#include "ngx_http_ampersand_deny.h"
#include "ngx_http_ampersand_header_list.h"
#include "ngx_http_ampersand_log.h"
#include "ngx_http_ampersand_upstream.h"
#include "limit/ngx_http_ampersand_limit_headers.h"
#include "amp_answer.h"


/*
 * The filters of the answer: the gateway's own headers, problems in place of
 * nginx's error pages, and the array around listProjects.
 *
 * An nginx module of its own, since filters and access handlers need different
 * places in nginx's order of modules (see config).
 */


static ngx_int_t ngx_http_ampersand_header_filter(ngx_http_request_t *r);
static ngx_int_t ngx_http_ampersand_error_page(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);
static amp_reason_e ngx_http_ampersand_tls_refusal(ngx_http_request_t *r);
static ngx_uint_t ngx_http_ampersand_limited(ngx_http_request_t *r);
static ngx_uint_t ngx_http_ampersand_rejected(ngx_http_request_t *r,
    ngx_str_t *name);
static ngx_int_t ngx_http_ampersand_own_headers(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, ngx_uint_t sent);
static void ngx_http_ampersand_finished(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, ngx_http_ampersand_upstream_t *up);
static ngx_int_t ngx_http_ampersand_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static void ngx_http_ampersand_release(ngx_http_ampersand_ctx_t *ctx,
    ngx_chain_t *in);
static void ngx_http_ampersand_clean_trailers(ngx_http_request_t *r);
static ngx_int_t ngx_http_ampersand_send_problem(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, ngx_chain_t *in);
static ngx_int_t ngx_http_ampersand_send_wrapped(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, ngx_chain_t *in);
static ngx_chain_t *ngx_http_ampersand_chunk(ngx_http_request_t *r,
    char *text);
static ngx_int_t ngx_http_ampersand_filter_init(ngx_conf_t *cf);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


static ngx_http_module_t  ngx_http_ampersand_filter_module_ctx = {
    NULL,                                  /* preconfiguration */
    ngx_http_ampersand_filter_init,        /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    NULL,                                  /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_ampersand_filter_module = {
    NGX_MODULE_V1,
    &ngx_http_ampersand_filter_module_ctx, /* module context */
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
ngx_http_ampersand_header_filter(ngx_http_request_t *r)
{
    ngx_uint_t                      sent;
    ngx_http_ampersand_ctx_t       *ctx;
    ngx_http_ampersand_upstream_t  *up;
    ngx_http_ampersand_srv_conf_t  *ascf;

    ascf = ngx_http_get_module_srv_conf(r, ngx_http_ampersand_module);

    if (!ascf->gateway) {
        return ngx_http_next_header_filter(r);
    }

    ctx = ngx_http_ampersand_context(r);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    r->log_handler = ngx_http_ampersand_log_handler;

    up = ngx_http_ampersand_upstream(r);
    sent = ngx_http_ampersand_upstream_sent(up);

    if (r != r->main) {
        return ngx_http_next_header_filter(r);
    }

    ngx_ampersand_times_enter(&ctx->times, NGX_AMPERSAND_IN_ANSWER);

    /*
     * After a 412 of a filter nginx drops the refresh that it has posted, and
     * would leave the entry marked as being refreshed for ever
     */

    if (r->filter_finalize && r->cache && r->cache->background) {
        r->cache->background = 0;
        ngx_http_file_cache_free(r->cache, NULL);
    }

    if (r->err_status == NGX_HTTP_INTERNAL_SERVER_ERROR) {
        ngx_http_ampersand_cache_unreadable(r);
    }

    if (r->err_status >= NGX_HTTP_BAD_REQUEST
        && ctx->state != NGX_HTTP_AMPERSAND_DENIED
        && ngx_http_ampersand_error_page(r, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_ampersand_finished(r, ctx, up);

    if (sent && ngx_http_ampersand_cache_lock_abandon(r)) {
        return NGX_OK;
    }

    if (ctx->wrap && (r->headers_out.status != NGX_HTTP_OK
                      || ctx->state != NGX_HTTP_AMPERSAND_PASSED))
    {
        ctx->wrap = 0;
    }

    if (ctx->wrap) {
        ngx_http_clear_accept_ranges(r);

        if (r->headers_out.content_length_n >= 0) {
            r->headers_out.content_length_n += 2;
        }

        if (r->headers_out.content_length) {
            r->headers_out.content_length->hash = 0;
            r->headers_out.content_length = NULL;
        }
    }

    if (ngx_http_ampersand_own_headers(r, ctx, sent) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_next_header_filter(r);
}


/* nginx is about to send an error page of its own: makes it a problem. */

static ngx_int_t
ngx_http_ampersand_error_page(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx)
{
    amp_reason_e                    reason;
    ngx_http_ampersand_upstream_t  *up;

    switch (r->err_status) {

    case NGX_HTTP_NOT_IMPLEMENTED:
    case NGX_HTTP_VERSION_NOT_SUPPORTED:

        /*
         * the client's transfer encoding or version: not a fault of the
         * gateway
         */

        reason = AMP_BAD_REQUEST;
        break;

    case NGX_HTTP_BAD_REQUEST:

        /* nginx made a 400 of its 494: the buffer is full then */

        if (r->http_state == NGX_HTTP_READING_REQUEST_STATE
            && r->header_in->pos == r->header_in->end)
        {
            reason = AMP_HEADERS_TOO_LARGE;
            break;
        }

        /* nginx itself refuses a second Authorization */

        if (ctx->headers.credential == AMP_TWO_CREDENTIALS) {
            reason = AMP_TWO_CREDENTIALS;
            ctx->fault.text = ctx->headers.fault;
            break;
        }

        reason = ngx_http_ampersand_tls_refusal(r);
        break;

    default:

        /*
         * The gateway refuses by itself; so before there is an upstream request
         * this is what nginx's configuration says, also after an error_page.
         */

        reason = r->upstream ? amp_problem_by_status(r->err_status)
                             : amp_problem_by_nginx(r->err_status,
                                              ngx_http_ampersand_limited(r));
    }

    if (reason == AMP_TOO_LARGE && ctx->fault.text == NULL) {
        ctx->fault.text = "The body has more bytes than client_max_body_size of"
                          " nginx allows.";
    }

    /* nginx answers 500 where the next try is refused */

    up = ngx_http_ampersand_upstream(r);

    if (up && up->lost) {
        reason = amp_problem_by_status(up->lost);
    }

    /* there was no stale answer to serve */

    if (up && up->suspended) {
        ctx->suspended = up->suspended;
    }

    if (ctx->suspended) {
        reason = AMP_UPSTREAM_SUSPENDED;
        ctx->retry = ctx->suspended;
    }

    return ngx_http_ampersand_deny_replace(r, ctx, reason);
}


/* Is a 400 nginx's 495, 496 or 497?  As ngx_http_process_request() asks. */

static amp_reason_e
ngx_http_ampersand_tls_refusal(ngx_http_request_t *r)
{
#if (NGX_HTTP_SSL)
    X509                     *cert;
    ngx_http_ssl_srv_conf_t  *sscf;

    if (!r->http_connection->ssl) {
        return AMP_BAD_REQUEST;
    }

    if (r->connection->ssl == NULL) {
        return AMP_PLAIN_HTTP;
    }

    sscf = ngx_http_get_module_srv_conf(r, ngx_http_ssl_module);

    if (!sscf->verify) {
        return AMP_BAD_REQUEST;
    }

    if (SSL_get_verify_result(r->connection->ssl->connection) != X509_V_OK) {
        return AMP_BAD_CERTIFICATE;
    }

    cert = SSL_get_peer_certificate(r->connection->ssl->connection);

    if (cert == NULL && sscf->verify == 1) {
        return AMP_NO_CERTIFICATE;
    }

    X509_free(cert);
#endif

    (void) r;

    return AMP_BAD_REQUEST;
}


static ngx_uint_t
ngx_http_ampersand_limited(ngx_http_request_t *r)
{
    static ngx_str_t  requests = ngx_string("limit_req_status");
    static ngx_str_t  connections = ngx_string("limit_conn_status");

    return ngx_http_ampersand_rejected(r, &requests)
           || ngx_http_ampersand_rejected(r, &connections);
}


/* Does nginx's variable say so?  In an nginx without its module it is empty. */

static ngx_uint_t
ngx_http_ampersand_rejected(ngx_http_request_t *r, ngx_str_t *name)
{
    ngx_str_t                   rejected = ngx_string("REJECTED");
    ngx_http_variable_value_t  *v;

    v = ngx_http_get_variable(r, name, ngx_hash_key(name->data, name->len));

    return v && !v->not_found && v->len == rejected.len
           && ngx_memcmp(v->data, rejected.data, rejected.len) == 0;
}


static ngx_int_t
ngx_http_ampersand_own_headers(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, ngx_uint_t sent)
{
    ngx_http_ampersand_loc_conf_t   *alcf;
    ngx_http_ampersand_main_conf_t  *amcf;

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_ampersand_module);
    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);

    if (ngx_http_ampersand_header(r, "X-Request-Id", &ctx->request_id)
        != NGX_OK
        || ngx_http_ampersand_limit_headers(r, &amcf->worker->policies,
                                            ctx->limited, alcf->limit_headers)
           != NGX_OK
        || ngx_http_ampersand_cors_headers(r, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ctx->source = ctx->state != NGX_HTTP_AMPERSAND_PASSED
                  ? NGX_HTTP_AMPERSAND_FROM_GATEWAY
                  : r->cached ? NGX_HTTP_AMPERSAND_FROM_CACHE
                  : sent ? NGX_HTTP_AMPERSAND_FROM_UPSTREAM
                  : NGX_HTTP_AMPERSAND_FROM_GATEWAY;

    if (ngx_http_ampersand_header(r, "X-Gateway-Source",
                                  &ngx_http_ampersand_sources[ctx->source])
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->source == NGX_HTTP_AMPERSAND_FROM_GATEWAY) {
        return NGX_OK;
    }

    return ngx_http_ampersand_cache_headers(r, ctx->cache_text, sent,
                                            ctx->headers.no_store);
}


/* Counts the answer, and invalidates what a write changed. */

static void
ngx_http_ampersand_finished(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, ngx_http_ampersand_upstream_t *up)
{
    ngx_uint_t                       status;
    ngx_ampersand_counters_t        *counters;
    ngx_http_ampersand_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);
    counters = ngx_ampersand_zone_counters(amcf->zone);

    if (!ngx_http_ampersand_upstream_sent(up)) {
        if (r->cached && ctx->state == NGX_HTTP_AMPERSAND_PASSED) {
            ngx_ampersand_count(counters, reasons[AMP_OK]);
            ngx_ampersand_count(counters, cache_hits);
        }

        return;
    }

    if (ctx->observed) {
        ngx_ampersand_count(counters, observed);
    }

    if (ctx->state == NGX_HTTP_AMPERSAND_PASSED) {
        ngx_ampersand_count(counters, reasons[AMP_OK]);
        ngx_ampersand_count(counters, upstream);
    }

    if (up->state != NGX_HTTP_AMPERSAND_UPSTREAM_ANSWERED) {
        return;
    }

    /*
     * A 5xx may come after the change; and a 404, too, where nginx sent a
     * DELETE or PUT twice because the first answer was lost.
     */

    status = r->headers_out.status;

    if (status < NGX_HTTP_BAD_REQUEST
        || status >= NGX_HTTP_INTERNAL_SERVER_ERROR
        || (r->upstream_states && r->upstream_states->nelts > 1))
    {
        ngx_http_ampersand_written(r, ctx);
    }
}


static ngx_int_t
ngx_http_ampersand_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_http_ampersand_ctx_t  *ctx;

    ctx = ngx_http_ampersand_ctx(r);

    if (ctx == NULL || r != r->main || in == NULL) {
        return ngx_http_next_body_filter(r, in);
    }

    ngx_http_ampersand_release(ctx, in);
    ngx_http_ampersand_clean_trailers(r);

    if (ctx->replace) {
        return ngx_http_ampersand_send_problem(r, ctx, in);
    }

    if (ctx->wrap) {
        return ngx_http_ampersand_send_wrapped(r, ctx, in);
    }

    return ngx_http_next_body_filter(r, in);
}


/*
 * With the last buffer the request is no longer in flight; the request itself
 * may live for seconds more, until a slow client has read its answer.
 */

static void
ngx_http_ampersand_release(ngx_http_ampersand_ctx_t *ctx, ngx_chain_t *in)
{
    for ( /* void */ ; ctx->limited->inflight && in; in = in->next) {
        if (in->buf->last_buf) {
            ngx_http_ampersand_limit_release(ctx->limited);
        }
    }
}


/*
 * With proxy_pass_trailers nginx has those of upstream in its list before it
 * sends the last buffer; add_trailer adds its own behind this filter.
 */

static void
ngx_http_ampersand_clean_trailers(ngx_http_request_t *r)
{
    ngx_table_elt_t            *h;
    ngx_http_ampersand_walk_t   walk;

    walk.part = &r->headers_out.trailers.part;
    walk.i = 0;

    while ((h = ngx_http_ampersand_next(&walk)) != NULL) {
        if (!amp_answer_passes(ngx_ampersand_span(h->key))) {
            h->hash = 0;
        }
    }
}


static ngx_int_t
ngx_http_ampersand_send_problem(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, ngx_chain_t *in)
{
    ngx_chain_t  *problem;

    for ( /* void */ ; in; in = in->next) {
        in->buf->pos = in->buf->last;
        in->buf->file_pos = in->buf->file_last;
    }

    problem = ctx->problem;
    ctx->problem = NULL;

    return problem ? ngx_http_next_body_filter(r, problem) : NGX_OK;
}


/* "[" before the first buffer, "]" in place of the last one's end. */

static ngx_int_t
ngx_http_ampersand_send_wrapped(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, ngx_chain_t *in)
{
    ngx_int_t     rc;
    ngx_uint_t    last;
    ngx_chain_t  *cl, *open, *close;

    last = 0;

    for (cl = in; cl; cl = cl->next) {
        if (cl->buf->last_buf) {
            cl->buf->last_buf = 0;
            cl->buf->last_in_chain = 1;
            cl->buf->sync = 1;
            last = 1;
        }
    }

    if (!ctx->wrapped) {
        ctx->wrapped = 1;

        open = ngx_http_ampersand_chunk(r, "[");
        if (open == NULL) {
            return NGX_ERROR;
        }

        open->next = in;
        in = open;
    }

    rc = ngx_http_next_body_filter(r, in);

    if (rc == NGX_ERROR || !last) {
        return rc;
    }

    close = ngx_http_ampersand_chunk(r, "]");
    if (close == NULL) {
        return NGX_ERROR;
    }

    close->buf->last_buf = 1;
    close->buf->last_in_chain = 1;

    return ngx_http_next_body_filter(r, close);
}


static ngx_chain_t *
ngx_http_ampersand_chunk(ngx_http_request_t *r, char *text)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    b = ngx_calloc_buf(r->pool);
    cl = ngx_alloc_chain_link(r->pool);

    if (b == NULL || cl == NULL) {
        return NULL;
    }

    b->pos = (u_char *) text;
    b->last = b->pos + ngx_strlen(text);
    b->memory = 1;

    cl->buf = b;
    cl->next = NULL;

    return cl;
}


static ngx_int_t
ngx_http_ampersand_filter_init(ngx_conf_t *cf)
{
    (void) cf;

    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_ampersand_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_ampersand_body_filter;

    return NGX_OK;
}
