#include "ngx_http_ampersand_head.h"
#include "ngx_http_ampersand_header_list.h"
#include "ngx_http_ampersand_trace.h"
#include "ngx_ampersand_log.h"
#include "amp_escape.h"
#include "amp_tenant_key.h"


/* Lines whose value is constant, and the names of the others. */

#define NGX_HTTP_AMPERSAND_HEAD_FIXED                                         \
    (sizeof("  HTTP/1.1\r\nHost: \r\nX-Request-Id: \r\nContent-Length: \r\n"  \
            "traceparent: \r\n"                                               \
            "If-Modified-Since: Mon, 28 Sep 1970 06:00:00 GMT\r\n"            \
            "If-None-Match: \r\nX-Api-Key: \r\n\r\n")                         \
     + AMP_TRACE_PARENT + NGX_OFF_T_LEN + AMP_HEADER_OWN_MAX)

#define ngx_http_ampersand_head_text(p, text)                                 \
    ngx_cpymem(p, text, sizeof(text) - 1)


static size_t ngx_http_ampersand_head_size(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, const ngx_str_t *method);
static u_char *ngx_http_ampersand_head_revalidate(u_char *p,
    ngx_http_request_t *r);
static u_char *ngx_http_ampersand_head_client(u_char *p, ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);
static ngx_uint_t ngx_http_ampersand_head_conditional(ngx_table_elt_t *h);
static ngx_uint_t ngx_http_ampersand_head_control(ngx_str_t *value);


ngx_int_t
ngx_http_ampersand_head(ngx_http_request_t *r, ngx_http_ampersand_ctx_t *ctx,
    ngx_str_t *head)
{
    u_char        *p;
    ngx_str_t      method;
    const char    *host;
    amp_tenant_t  *tenant;

    /* nginx makes a GET of a HEAD whose answer it stores */

    method = r->upstream->method.len ? r->upstream->method : r->method_name;

    p = ngx_pnalloc(r->pool, ngx_http_ampersand_head_size(r, ctx, &method));
    if (p == NULL) {
        return NGX_ERROR;
    }

    head->data = p;

    p = ngx_cpymem(p, method.data, method.len);
    *p++ = ' ';
    p = ngx_cpymem(p, ctx->uri.data, ctx->uri.len);
    p = ngx_http_ampersand_head_text(p, " HTTP/1.1\r\nHost: ");

    host = amp_api_host(ctx->op->api);
    p = ngx_cpymem(p, host, ngx_strlen(host));

    p = ngx_http_ampersand_head_text(p, "\r\nX-Request-Id: ");
    p = ngx_cpymem(p, ctx->request_id.data, ctx->request_id.len);
    *p++ = CR;
    *p++ = LF;

    if (ngx_http_ampersand_trace(r, ctx) == NGX_OK) {
        p = ngx_http_ampersand_head_text(p, "traceparent: ");
        p = amp_trace_write(&ctx->trace, p);
        *p++ = CR;
        *p++ = LF;
    }

    if (r->headers_in.content_length_n >= 0) {
        p = ngx_http_ampersand_head_text(p, "Content-Length: ");
        p = amp_decimal(p, (uint64_t) r->headers_in.content_length_n);
        *p++ = CR;
        *p++ = LF;
    }

    tenant = ctx->record.tenant;
    p = amp_header_own(ctx->op->api,
                       amp_tenant_field(tenant, tenant->project_id),
                       ctx->checked, ctx->headers.proxy_version, p);

    if (r->upstream->cacheable) {
        p = ngx_http_ampersand_head_revalidate(p, r);
    }

    p = ngx_http_ampersand_head_client(p, r, ctx);
    if (p == NULL) {
        return NGX_DECLINED;
    }

    head->len = p - head->data;

    return NGX_OK;
}


/* At most; all of the client's headers are counted. */

static size_t
ngx_http_ampersand_head_size(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, const ngx_str_t *method)
{
    size_t                      size;
    ngx_table_elt_t            *h;
    ngx_http_ampersand_walk_t   walk;

    size = NGX_HTTP_AMPERSAND_HEAD_FIXED + AMP_SECRET_MAX + AMP_PROJECT_ID_MAX
           + ngx_strlen(amp_api_host(ctx->op->api)) + method->len
           + ctx->uri.len + ctx->request_id.len;

    if (r->cache) {
        size += r->cache->etag.len;
    }

    walk.part = &r->headers_in.headers.part;
    walk.i = 0;

    while ((h = ngx_http_ampersand_next(&walk)) != NULL) {
        size += h->key.len + h->value.len + sizeof(": \r\n") - 1;
    }

    return size;
}


/* As $upstream_cache_last_modified and $upstream_cache_etag of nginx. */

static u_char *
ngx_http_ampersand_head_revalidate(u_char *p, ngx_http_request_t *r)
{
    ngx_http_cache_t     *c;
    ngx_http_upstream_t  *u;

    c = r->cache;
    u = r->upstream;

    if (!u->conf->cache_revalidate || c == NULL
        || u->cache_status != NGX_HTTP_CACHE_EXPIRED)
    {
        return p;
    }

    if (c->last_modified != -1) {
        p = ngx_http_ampersand_head_text(p, "If-Modified-Since: ");
        p = ngx_http_time(p, c->last_modified);
        *p++ = CR;
        *p++ = LF;
    }

    if (c->etag.len) {
        p = ngx_http_ampersand_head_text(p, "If-None-Match: ");
        p = ngx_cpymem(p, c->etag.data, c->etag.len);
        *p++ = CR;
        *p++ = LF;
    }

    return p;
}


/* NULL: a value holds a control byte. */

static u_char *
ngx_http_ampersand_head_client(u_char *p, ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx)
{
    ngx_uint_t                  cacheable;
    ngx_table_elt_t            *h;
    ngx_http_ampersand_walk_t   walk;

    cacheable = r->upstream->cacheable;

    walk.part = &r->headers_in.headers.part;
    walk.i = 0;

    while ((h = ngx_http_ampersand_next(&walk)) != NULL) {

        if (!amp_header_forwarded(&ctx->policy,
                                  amp_span_make(h->lowcase_key, h->key.len))
            || ngx_http_ampersand_is(h, "content-length")
            || (ctx->checked && ngx_http_ampersand_is(h, "content-type"))
            || (cacheable && ngx_http_ampersand_head_conditional(h)))
        {
            continue;
        }

        if (ngx_http_ampersand_head_control(&h->value)) {
            return NULL;
        }

        p = ngx_cpymem(p, h->key.data, h->key.len);
        *p++ = ':';
        *p++ = ' ';
        p = ngx_cpymem(p, h->value.data, h->value.len);
        *p++ = CR;
        *p++ = LF;
    }

    return p;
}


static ngx_uint_t
ngx_http_ampersand_head_conditional(ngx_table_elt_t *h)
{
    return ngx_http_ampersand_begins(h, "if-")
           || ngx_http_ampersand_is(h, "range");
}


/* Does the value hold a control byte other than tab? */

static ngx_uint_t
ngx_http_ampersand_head_control(ngx_str_t *value)
{
    size_t  i;

    for (i = 0; i < value->len; i++) {
        if (amp_char_is(value->data[i], AMP_CONTROL) && value->data[i] != '\t')
        {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_http_ampersand_head_key(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, ngx_str_t *head, ngx_str_t *key)
{
    int                              n;
    u_char                          *p;
    ngx_uint_t                       level;
    ngx_http_ampersand_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);

    p = head->data + head->len;
    p = ngx_http_ampersand_head_text(p, "X-Api-Key: ");

    n = amp_tenant_key(amcf->keyring, ctx->record.tenant, p);

    if (n <= 0) {
        level = ngx_ampersand_log_level(&amcf->worker->logged);

        ngx_log_error(level, r->connection->log, 0,
                      "ampersand: the tenant's key does not open with any "
                      "ampersand_master_key");
        return NGX_DECLINED;
    }

    key->data = p;
    key->len = n;

    p = ngx_http_ampersand_head_text(p + n, "\r\n\r\n");
    head->len = p - head->data;

    return NGX_OK;
}
