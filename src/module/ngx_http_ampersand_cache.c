#include "ngx_http_ampersand.h"
#include "amp_escape.h"


/*
 * What keys an entry of proxy_cache, and what makes keys change.
 *
 *   <tenant>|<operation><generations>|<path and query>[|<Accept>]
 *
 * "|" stands in none of the first three; nothing follows Accept.  The operation
 * is the number of its line, which belongs to one API.  Generations are
 * "<family>gen.bump," for each family that the operation reads, zeroes and
 * families without either left out (see ngx_ampersand_project_node_t).  nginx
 * hashes keys twice, byte by byte, so what most would share is left out too:
 * "/v1/projects/" in front of the project's id (any other path begins with its
 * slash), and Accept when it is application/json.  The public catalogue is one
 * entry for all tenants: its tenant is "*", which is no tenant's id, and it has
 * no generations.
 */


#define NGX_HTTP_AMPERSAND_PROJECTS    "/v1/projects/"
#define NGX_HTTP_AMPERSAND_GENERATION  (2 * NGX_INT32_LEN + 3)


ngx_int_t
ngx_http_ampersand_cache_key(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx)
{
    size_t                  len;
    u_char                 *p;
    uint32_t                reads;
    amp_span_t              tenant, accept, uri;
    ngx_uint_t              i;
    ngx_ampersand_known_t  *known;

    if (ctx->ttl == 0) {
        return NGX_OK;
    }

    known = &ctx->known;
    tenant = amp_tenant_field(known->tenant, known->tenant->id);
    accept = ngx_http_ampersand_span(ctx->headers.accept);
    uri = ngx_http_ampersand_span(ctx->uri);
    reads = ctx->op->reads | AMP_F(ALL);

    if (ctx->op->project_in == AMP_IN_PATH) {
        uri.data += sizeof(NGX_HTTP_AMPERSAND_PROJECTS) - 1;
        uri.len -= sizeof(NGX_HTTP_AMPERSAND_PROJECTS) - 1;
    }

    if (ctx->op->class == AMP_CLASS_CATALOG) {
        tenant = amp_span("*");
        reads = 0;
    }

    len = sizeof("|||") + NGX_INT32_LEN + tenant.len
          + AMP_FAMILY_COUNT * NGX_HTTP_AMPERSAND_GENERATION
          + uri.len + accept.len;

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ctx->cache_key.data = p;

    p = ngx_cpymem(p, tenant.data, tenant.len);
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
    p = ngx_cpymem(p, uri.data, uri.len);

    if (!amp_span_eq(accept, amp_span("application/json"))) {
        *p++ = '|';

        if (accept.len) {
            p = ngx_cpymem(p, accept.data, accept.len);
        }
    }

    ctx->cache_key.len = p - ctx->cache_key.data;

    return NGX_OK;
}
