#include "ngx_http_ampersand.h"
#include "amp_keys.h"


/*
 * What keys an entry of proxy_cache, and what makes keys change.
 *
 *   <tenant>|<operation><generations>|<path and query>[|<Accept>]
 *
 * "|" stands in none of the first three; nothing follows Accept.  The operation
 * is the number of its line, which belongs to one API.  Generations are
 * "<family>gen.bump," for each family that the operation reads, zeroes and
 * families without either left out.  nginx hashes keys twice, byte by byte, so
 * what most would share is left out too: "/v1/projects/" in front of the
 * project's id (any other path begins with its slash), and Accept when it is
 * application/json.  The public catalogue is one entry for all tenants: its
 * tenant is "*", which is no tenant's id, and it has no generations.
 */


#define NGX_HTTP_AMPERSAND_PROJECTS    "/v1/projects/"
#define NGX_HTTP_AMPERSAND_GENERATION  (2 * NGX_INT32_LEN + 3)


static u_char *ngx_http_ampersand_number(u_char *p, uint32_t n);


/* One key, one slot; the events of one call leave with the change. */

static const char  ngx_http_ampersand_bump_script[] =
    "for i = 3, #ARGV do "
    "local g = redis.call('HINCRBY', KEYS[1], ARGV[i], 1) "
    "redis.call('PUBLISH', ARGV[1], "
    "'{\"v\":1,\"type\":\"generation\",\"project\":\"' .. ARGV[2] .. "
    "'\",\"family\":\"' .. ARGV[i] .. '\",\"rev\":' .. g .. '}') "
    "end return 1";


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
    p = ngx_http_ampersand_number(p, amp_operation_index(ctx->op) + 1);

    for (i = 0; i < AMP_FAMILY_COUNT; i++) {
        if ((reads & (1u << i)) && (known->gens[i] | known->bumps[i])) {
            *p++ = (u_char) ('a' + i);
            p = ngx_http_ampersand_number(p, known->gens[i]);
            *p++ = '.';
            p = ngx_http_ampersand_number(p, known->bumps[i]);
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


void
ngx_http_ampersand_cache_written(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx)
{
    u_char                           name[AMP_KEYS_MAX], events[AMP_KEYS_MAX];
    amp_buf_t                        key, channel;
    amp_span_t                       argv[6 + AMP_FAMILY_COUNT];
    amp_span_t                       project, prefix;
    ngx_uint_t                       i, n;
    const char                      *family;
    ngx_http_ampersand_main_conf_t  *amcf;

    if (ctx->op->writes == 0) {
        return;
    }

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);
    prefix = ngx_http_ampersand_span(amcf->redis->prefix);
    project = amp_tenant_field(ctx->known.tenant,
                               ctx->known.tenant->project_id);

    ngx_ampersand_zone_bump(amcf->zone, project, ctx->op->writes);

    amp_buf_init(&key, name, sizeof(name));
    amp_keys_gen(prefix, project, &key);
    amp_buf_init(&channel, events, sizeof(events));
    amp_keys_events(prefix, &channel);

    n = 0;
    argv[n++] = amp_span("EVAL");
    argv[n++] = amp_span(ngx_http_ampersand_bump_script);
    argv[n++] = amp_span("1");
    argv[n++] = amp_buf_written(&key);
    argv[n++] = amp_buf_written(&channel);
    argv[n++] = project;

    for (i = 0; i < AMP_FAMILY_COUNT; i++) {
        if (ctx->op->writes & (1u << i)) {
            family = amp_family_name(i);
            argv[n++] = amp_span_make(family, ngx_strlen(family));
        }
    }

    /* without Redis the others see the write when their entries expire */

    (void) ngx_ampersand_redis_command(amcf->link, argv[3], n, argv, NULL,
                                       NULL);
}


/* Decimal digits, none for 0. */

static u_char *
ngx_http_ampersand_number(u_char *p, uint32_t n)
{
    u_char  digits[NGX_INT32_LEN], *d;

    d = digits + sizeof(digits);

    for ( /* void */ ; n; n /= 10) {
        *--d = (u_char) ('0' + n % 10);
    }

    return ngx_cpymem(p, d, digits + sizeof(digits) - d);
}
