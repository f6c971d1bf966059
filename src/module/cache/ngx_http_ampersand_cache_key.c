#include "request/ngx_http_ampersand.h"
#include "amp_escape.h"


/*
 * What keys an entry of proxy_cache, and what makes keys change.
 *
 *   <owner>|<operation><generations>|<the rest of path and query>[|<Accept>]
 *
 * "|" stands in none of the first three; nothing follows Accept.  The owner is
 * the tenant in its project, amp_tenant_t's; the operation is the number of its
 * line, which belongs to one API.  Generations are "<family>gen.bump," for each
 * family that the operation reads, zeroes and families without either left out
 * (see ngx_ampersand_project_node_t).  nginx hashes keys twice, byte by byte, so
 * what owner and operation say already is left out: the path before its first
 * parameter, and Accept when it is application/json.  The public catalogue is
 * one entry for all tenants: its owner is "*", and it has no generations.
 */


#define NGX_HTTP_AMPERSAND_GENERATION  (2 * NGX_INT32_LEN + 3)


ngx_int_t
ngx_http_ampersand_cache_key(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx)
{
    size_t                  len;
    u_char                 *p;
    uint32_t                reads;
    amp_span_t              owner, accept, rest;
    ngx_uint_t              i;
    ngx_ampersand_known_t  *known;

    if (ctx->ttl == 0) {
        return NGX_OK;
    }

    known = &ctx->known;
    owner = amp_span_make(known->tenant->owner, AMP_TENANT_OWNER);
    accept = ngx_http_ampersand_span(ctx->headers.accept);
    reads = ctx->op->reads | AMP_F(ALL);

    len = amp_path_fixed(ctx->op, known->tenant->project_id.len);
    rest = amp_span_make(ctx->uri.data + len, ctx->uri.len - len);

    if (ctx->op->class == AMP_CLASS_CATALOG) {
        owner = amp_span("*");
        reads = 0;
    }

    len = sizeof("|||") + NGX_INT32_LEN + owner.len
          + __builtin_popcount(reads) * NGX_HTTP_AMPERSAND_GENERATION
          + rest.len + accept.len;

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ctx->cache_key.data = p;

    p = ngx_cpymem(p, owner.data, owner.len);
    *p++ = '|';
    p = amp_decimal(p, amp_operation_index(ctx->op) + 1);

    for ( /* void */ ; reads; reads &= reads - 1) {
        i = ffs((int) reads) - 1;

        if (known->gens[i] | known->bumps[i]) {
            *p++ = (u_char) ('a' + i);
            p = known->gens[i] ? amp_decimal(p, known->gens[i]) : p;
            *p++ = '.';
            p = known->bumps[i] ? amp_decimal(p, known->bumps[i]) : p;
            *p++ = ',';
        }
    }

    *p++ = '|';
    p = ngx_cpymem(p, rest.data, rest.len);

    if (!amp_span_eq(accept, amp_span("application/json"))) {
        *p++ = '|';

        if (accept.len) {
            p = ngx_cpymem(p, accept.data, accept.len);
        }
    }

    ctx->cache_key.len = p - ctx->cache_key.data;

    return NGX_OK;
}


/*
 * What "proxy_cache_bypass 1" does, without that predicate's being evaluated
 * for all requests: nginx reads it from here right after the cache key, see
 * ngx_http_upstream_cache().
 */

ngx_int_t
ngx_http_ampersand_cache_bypass(ngx_http_request_t *r)
{
    ngx_http_upstream_t       *u;
    ngx_http_upstream_conf_t  *conf;

    static ngx_http_complex_value_t  yes = { .value = ngx_string("1") };
    static ngx_array_t               always = { .elts = &yes, .nelts = 1 };

    u = r->upstream;

    conf = ngx_palloc(r->pool, sizeof(*conf));
    if (conf == NULL) {
        return NGX_ERROR;
    }

    *conf = *u->conf;
    conf->cache_bypass = &always;

    u->conf = conf;

    return NGX_OK;
}
