#include "ngx_http_ampersand_context.h"


static void ngx_http_ampersand_context_id(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);


ngx_http_ampersand_ctx_t *
ngx_http_ampersand_context(ngx_http_request_t *r)
{
    ngx_http_ampersand_ctx_t        *ctx;
    ngx_http_ampersand_main_conf_t  *amcf;

    r = r->main;
    ctx = ngx_http_ampersand_ctx(r);

    if (ctx) {
        return ctx;
    }

    ctx = ngx_pcalloc(r->pool, sizeof(*ctx));
    if (ctx == NULL) {
        return NULL;
    }

    if (ngx_http_ampersand_headers_read(r, &ctx->headers) != NGX_OK) {
        return NULL;
    }

    ctx->resolve.record = &ctx->record;

    if (ctx->headers.credential == AMP_OK) {
        ctx->resolve.token = ctx->headers.token;

        if (amp_token_digest(ngx_ampersand_span(ctx->resolve.token),
                             ctx->resolve.digest)
            != 0)
        {
            return NULL;
        }

        amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);
        ngx_ampersand_records_prefetch(amcf->zone, ctx->resolve.digest, 0);
    }

    ngx_http_ampersand_context_id(r, ctx);

    ngx_http_set_ctx(r, ctx, ngx_http_ampersand_module);

    return ctx;
}


/* The client's own where it can stand in a log and a header; else a new one. */

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
        && !amp_token_valid(ngx_ampersand_span(*id)))
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
