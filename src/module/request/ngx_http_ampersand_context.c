#include "ngx_http_ampersand.h"


static void ngx_http_ampersand_context_id(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);
static u_char *ngx_http_ampersand_log_handler(ngx_http_request_t *r,
    ngx_http_request_t *sr, u_char *buf, size_t len);


ngx_int_t
ngx_http_ampersand_post_read_handler(ngx_http_request_t *r)
{
    ngx_http_ampersand_srv_conf_t  *ascf;

    ascf = ngx_http_get_module_srv_conf(r, ngx_http_ampersand_module);

    if (ascf->gateway && ngx_http_ampersand_context(r) == NULL) {
        return NGX_ERROR;
    }

    return NGX_DECLINED;
}


ngx_http_ampersand_ctx_t *
ngx_http_ampersand_context(ngx_http_request_t *r)
{
    ngx_http_ampersand_ctx_t  *ctx;

    r = r->main;
    ctx = ngx_http_ampersand_ctx(r);

    if (ctx) {
        return ctx;
    }

    ctx = ngx_pcalloc(r->pool, sizeof(*ctx));
    if (ctx == NULL) {
        return NULL;
    }

    ngx_http_ampersand_headers_read(r, &ctx->headers);

    if (ctx->headers.credential == AMP_OK) {
        if (amp_token_digest(ngx_http_ampersand_span(ctx->headers.token),
                             ctx->digest)
            != 0)
        {
            return NULL;
        }

        ngx_http_ampersand_ahead(r, ctx, 0);
    }

    ngx_http_ampersand_context_id(r, ctx);

    ngx_http_set_ctx(r, ctx, ngx_http_ampersand_module);

    r->log_handler = ngx_http_ampersand_log_handler;

    return ctx;
}


/* The client's own when it can stand in a log and a header; else a new one. */

static void
ngx_http_ampersand_context_id(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx)
{
    size_t            i;
    u_char            c;
    ngx_str_t        *id;
    static u_char     next[NGX_HTTP_AMPERSAND_ID + 1];

    id = &ctx->headers.request_id;

    for (i = 0; i < id->len; i++) {
        c = id->data[i];

        if ((c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9')
            && ngx_strchr("-_.:#/+=@", c) == NULL)
        {
            break;
        }
    }

    if (i == id->len && i > 0 && i <= NGX_HTTP_AMPERSAND_ID_MAX
        && !amp_token_valid(ngx_http_ampersand_span(*id)))
    {
        ctx->request_id = *id;
        return;
    }

    /* unique, not secret: this worker's start and a count, in hex */

    if (next[0] == 0) {
        (void) ngx_sprintf(next, "%08xD%08xD%016xL", (uint32_t) ngx_random(),
                           (uint32_t) ngx_pid ^ (uint32_t) ngx_random() << 8,
                           (uint64_t) ngx_time() << 24);
    }

    for (i = NGX_HTTP_AMPERSAND_ID - 1; next[i] == 'f'; i--) {
        next[i] = '0';
    }

    next[i] = (u_char) (next[i] == '9' ? 'a' : next[i] + 1);

    ngx_memcpy(ctx->id, next, NGX_HTTP_AMPERSAND_ID);
    ctx->request_id.data = ctx->id;
    ctx->request_id.len = NGX_HTTP_AMPERSAND_ID;
}


ngx_uint_t
ngx_http_ampersand_log_level(ngx_http_ampersand_main_conf_t *amcf)
{
    if (amcf->logged == ngx_time()) {
        return NGX_LOG_INFO;
    }

    amcf->logged = ngx_time();

    return NGX_LOG_ERR;
}


/*
 * nginx reports a client's bad chunk at error level, and a client may not make
 * the error log grow.  The next request's location sets the level anew
 * (ngx_http_update_location_config()).
 */

void
ngx_http_ampersand_quiet(ngx_http_request_t *r)
{
    ngx_log_t  *log;

    log = r->connection->log;

    if (r->headers_in.chunked && log->log_level > NGX_LOG_CRIT
        && log->log_level < NGX_LOG_DEBUG)
    {
        log->log_level = NGX_LOG_CRIT;
    }
}


/*
 * nginx's own names the request line, the URI sent upstream and the referrer:
 * an API key may stand in the first two.
 */

static u_char *
ngx_http_ampersand_log_handler(ngx_http_request_t *r, ngx_http_request_t *sr,
    u_char *buf, size_t len)
{
    u_char                    *p;
    amp_span_t                 id;
    ngx_http_ampersand_ctx_t  *ctx;
    ngx_http_core_srv_conf_t  *cscf;

    cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);
    ctx = ngx_http_ampersand_ctx(r);

    p = ngx_snprintf(buf, len, ", server: %V", &cscf->server_name);
    len -= p - buf;
    buf = p;

    if (ctx) {
        p = ngx_snprintf(buf, len, ", request id: \"%V\"", &ctx->request_id);
        len -= p - buf;
        buf = p;
    }

    if (ctx && ctx->known.tenant && ctx->op) {
        id = amp_tenant_field(ctx->known.tenant, ctx->known.tenant->id);

        p = ngx_snprintf(buf, len, ", tenant: \"%*s\", operation: \"%s\"",
                         id.len, id.data, ctx->op->id);
        len -= p - buf;
        buf = p;
    }

    if (sr->upstream && sr->upstream->peer.name) {
        p = ngx_snprintf(buf, len, ", upstream: \"%V%V\"",
                         &sr->upstream->schema, sr->upstream->peer.name);
        buf = p;
    }

    return buf;
}
