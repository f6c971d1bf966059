#include "ngx_http_ampersand_log.h"


void
ngx_http_ampersand_log_quiet(ngx_http_request_t *r)
{
    ngx_log_t  *log;

    log = r->connection->log;

    if (r->headers_in.chunked && log->log_level > NGX_LOG_CRIT
        && log->log_level < NGX_LOG_DEBUG)
    {
        log->log_level = NGX_LOG_CRIT;
    }
}


u_char *
ngx_http_ampersand_log_handler(ngx_http_request_t *r, ngx_http_request_t *sr,
    u_char *buf, size_t len)
{
    u_char                    *p;
    amp_span_t                 id;
    ngx_http_ampersand_ctx_t  *ctx;
    ngx_http_core_srv_conf_t  *cscf;

    cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);
    ctx = ngx_http_ampersand_known(r);

    p = ngx_snprintf(buf, len, ", server: %V", &cscf->server_name);
    len -= p - buf;
    buf = p;

    if (ctx) {
        p = ngx_snprintf(buf, len, ", request id: \"%V\"", &ctx->request_id);
        len -= p - buf;
        buf = p;
    }

    if (ctx && ctx->record.tenant && ctx->op) {
        id = amp_tenant_field(ctx->record.tenant, ctx->record.tenant->id);

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
