#include "ngx_http_ampersand_body.h"
#include "ngx_http_ampersand_deny.h"
#include "amp_fault.h"


static void ngx_http_ampersand_body_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_ampersand_body_gather(ngx_http_request_t *r,
    amp_span_t *body);
static ngx_int_t ngx_http_ampersand_body_replace(ngx_http_request_t *r,
    amp_span_t body);
static ngx_int_t ngx_http_ampersand_body_count(ngx_http_request_t *r,
    ngx_chain_t *in);


static ngx_http_request_body_filter_pt  ngx_http_next_request_body_filter;


ngx_int_t
ngx_http_ampersand_body_init(ngx_conf_t *cf)
{
    (void) cf;

    ngx_http_next_request_body_filter = ngx_http_top_request_body_filter;
    ngx_http_top_request_body_filter = ngx_http_ampersand_body_count;

    return NGX_OK;
}


ngx_int_t
ngx_http_ampersand_body_read(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (amp_scope_needs_body(ctx->record.tenant, ctx->record.scope, ctx->op)) {

        if (r->headers_in.content_length_n > AMP_BODY_CHECK_MAX) {
            ngx_http_ampersand_body_exceeds(ctx, AMP_BODY_CHECK_MAX);
            return ngx_http_ampersand_deny(r, ctx, AMP_TOO_LARGE);
        }

        /* the gateway cannot check a compressed body */

        if (ctx->headers.encoded) {
            return ngx_http_ampersand_deny(r, ctx, AMP_BAD_ENCODING);
        }

        ctx->checked = 1;
    }

    /* the handler may be called before the call below returns */

    ctx->state = NGX_HTTP_AMPERSAND_READING;
    ngx_ampersand_times_enter(&ctx->times, NGX_AMPERSAND_IN_BODY);

    rc = ngx_http_read_client_request_body(r,
                                           ngx_http_ampersand_body_handler);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    ngx_http_finalize_request(r, NGX_DONE);

    return NGX_DONE;
}


amp_reason_e
ngx_http_ampersand_body_check(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx)
{
    ngx_int_t     rc;
    amp_span_t    body, replacement;
    amp_reason_e  reason;

    if (!ctx->checked) {
        return AMP_OK;
    }

    rc = ngx_http_ampersand_body_gather(r, &body);

    if (rc == NGX_DECLINED) {
        ngx_http_ampersand_body_exceeds(ctx, AMP_BODY_CHECK_MAX);
        return AMP_TOO_LARGE;
    }

    if (rc != NGX_OK) {
        return AMP_INTERNAL;
    }

    reason = amp_scope_body(ctx->record.tenant, ctx->record.scope, ctx->op,
                            body, &replacement);

    if (reason != AMP_OK) {
        amp_fault_body(reason, ctx->record.tenant, ctx->record.scope, ctx->op,
                       body, &ctx->fault);
    }

    if (reason != AMP_OK || replacement.data == NULL) {
        return reason;
    }

    rc = ngx_http_ampersand_body_replace(r, replacement);

    free((void *) replacement.data);

    return rc == NGX_OK ? AMP_OK : AMP_INTERNAL;
}


void
ngx_http_ampersand_body_exceeds(ngx_http_ampersand_ctx_t *ctx, off_t most)
{
    u_char  *last;

    last = ngx_sprintf(ctx->number, "%O", most);

    ctx->fault.text = "The body has more than % bytes.";
    ctx->fault.name = amp_span_make(ctx->number, last - ctx->number);
}


static void
ngx_http_ampersand_body_handler(ngx_http_request_t *r)
{
    ngx_http_ampersand_ctx_t  *ctx;

    ctx = ngx_http_ampersand_ctx(r);
    ctx->state = NGX_HTTP_AMPERSAND_READ;
    ngx_ampersand_times_enter(&ctx->times, NGX_AMPERSAND_IN_GATEWAY);

    r->preserve_body = 1;
    r->write_event_handler = ngx_http_core_run_phases;

    ngx_http_core_run_phases(r);
}


/* The body in one piece.  NGX_DECLINED: larger than what is checked. */

static ngx_int_t
ngx_http_ampersand_body_gather(ngx_http_request_t *r, amp_span_t *body)
{
    off_t         size;
    u_char       *p, *start;
    size_t        len;
    ssize_t       n;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    *body = amp_span_null;

    if (r->request_body == NULL || r->request_body->bufs == NULL) {
        return NGX_OK;
    }

    size = 0;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        size += ngx_buf_size(cl->buf);
    }

    if (size > AMP_BODY_CHECK_MAX) {
        return NGX_DECLINED;
    }

    start = ngx_palloc(r->pool, (size_t) size + 1);
    if (start == NULL) {
        return NGX_ERROR;
    }

    p = start;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        b = cl->buf;
        len = (size_t) ngx_buf_size(b);

        /* the end of a body alone is neither in memory nor in a file */

        if (len == 0) {
            continue;
        }

        if (ngx_buf_in_memory(b)) {
            p = ngx_cpymem(p, b->pos, len);
            continue;
        }

        n = ngx_read_file(b->file, p, len, b->file_pos);

        if (n != (ssize_t) len) {
            return NGX_ERROR;
        }

        p += len;
    }

    *body = amp_span_make(start, p - start);

    return NGX_OK;
}


/*
 * New buffers, never the old ones edited: pipelined requests follow in those.
 * start == pos, so that a retry sends the same bytes again.
 */

static ngx_int_t
ngx_http_ampersand_body_replace(ngx_http_request_t *r, amp_span_t body)
{
    ngx_buf_t                *b;
    ngx_str_t                 length;
    ngx_chain_t              *cl;
    ngx_http_request_body_t  *rb;

    rb = r->request_body;

    b = ngx_create_temp_buf(r->pool, body.len);
    cl = ngx_alloc_chain_link(r->pool);
    length.data = ngx_pnalloc(r->pool, NGX_OFF_T_LEN);

    if (b == NULL || cl == NULL || length.data == NULL) {
        return NGX_ERROR;
    }

    b->last = ngx_cpymem(b->pos, body.data, body.len);
    b->last_buf = 1;

    cl->buf = b;
    cl->next = NULL;

    rb->bufs = cl;
    rb->buf = b;
    rb->temp_file = NULL;

    length.len = ngx_sprintf(length.data, "%uz", body.len) - length.data;

    r->headers_in.content_length_n = body.len;

    if (r->headers_in.content_length) {
        r->headers_in.content_length->value = length;
    }

    return NGX_OK;
}


/*
 * The filter of the request's body.  client_max_body_size could count it, too,
 * but writes a line at level error for each body that is too large.
 */

static ngx_int_t
ngx_http_ampersand_body_count(ngx_http_request_t *r, ngx_chain_t *in)
{
    off_t                           most;
    ngx_chain_t                    *cl;
    ngx_http_ampersand_ctx_t       *ctx;
    ngx_http_ampersand_loc_conf_t  *alcf;

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_ampersand_module);
    ctx = ngx_http_ampersand_ctx(r);

    if (ctx && alcf->api != NGX_HTTP_AMPERSAND_OFF && alcf->body_max
        && !r->discard_body)
    {
        for (cl = in; cl; cl = cl->next) {
            ctx->body_seen += ngx_buf_size(cl->buf);
        }

        most = alcf->body_max;

        if (ctx->checked && most > AMP_BODY_CHECK_MAX) {
            most = AMP_BODY_CHECK_MAX;
        }

        if (ctx->body_seen > most) {
            ngx_http_ampersand_body_exceeds(ctx, most);
            ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                          "ampersand: refused: %s",
                          amp_problem(AMP_TOO_LARGE)->name);
            return NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
        }
    }

    return ngx_http_next_request_body_filter(r, in);
}
