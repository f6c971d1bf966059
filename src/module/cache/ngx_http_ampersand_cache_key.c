#include "ngx_http_ampersand_cache_key.h"
#include "ngx_http_ampersand_header_list.h"
#include "amp_escape.h"
#include "amp_path.h"


#define NGX_HTTP_AMPERSAND_GENERATION      (2 * NGX_INT32_LEN + 3)

/* bytes of path, query and Accept that stand in a cache key as they are */

#define NGX_HTTP_AMPERSAND_CACHE_KEY_LONG  1024


static ngx_int_t ngx_http_ampersand_cache_key_headers(ngx_http_request_t *r,
    const amp_header_policy_t *policy, amp_span_t *selects);
static ngx_int_t ngx_http_ampersand_cache_key_digest(ngx_pool_t *pool,
    amp_span_t *rest, amp_span_t *accept);


ngx_int_t
ngx_http_ampersand_cache_key(ngx_http_request_t *r,
    const ngx_ampersand_record_t *record, const amp_operation_t *op,
    const ngx_str_t *uri, const amp_header_policy_t *policy, amp_span_t accept,
    ngx_str_t *key)
{
    size_t       len;
    u_char      *p;
    uint32_t     reads;
    amp_span_t   owner, rest;
    ngx_uint_t   i;

    owner = amp_span_make(record->tenant->owner, AMP_TENANT_OWNER);
    reads = op->reads | AMP_F(ALL);

    len = amp_path_fixed(op, record->tenant->project_id.len);
    rest = amp_span_make(uri->data + len, uri->len - len);

    if (op->class == AMP_CLASS_CATALOG) {
        owner = amp_span("*");
        reads = 0;
    }

    if (policy->proxy
        && ngx_http_ampersand_cache_key_headers(r, policy, &accept) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (rest.len + accept.len > NGX_HTTP_AMPERSAND_CACHE_KEY_LONG) {
        if (ngx_http_ampersand_cache_key_digest(r->pool, &rest, &accept)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    len = sizeof("|||") + NGX_INT32_LEN + owner.len
          + __builtin_popcount(reads) * NGX_HTTP_AMPERSAND_GENERATION
          + rest.len + accept.len;

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    key->data = p;

    p = ngx_cpymem(p, owner.data, owner.len);
    *p++ = '|';
    p = amp_decimal(p, amp_operation_index(op) + 1);

    for ( /* void */ ; reads; reads &= reads - 1) {
        i = ffs((int) reads) - 1;

        if (record->gens[i] | record->bumps[i]) {
            *p++ = (u_char) ('a' + i);
            p = record->gens[i] ? amp_decimal(p, record->gens[i]) : p;
            *p++ = '.';
            p = record->bumps[i] ? amp_decimal(p, record->bumps[i]) : p;
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

    key->len = p - key->data;

    return NGX_OK;
}


/* The headers of a request to the proxy API that select its answer. */

static ngx_int_t
ngx_http_ampersand_cache_key_headers(ngx_http_request_t *r,
    const amp_header_policy_t *policy, amp_span_t *selects)
{
    size_t                      len;
    u_char                     *p, *text, digest[AMP_TOKEN_DIGEST];
    amp_span_t                  name;
    ngx_table_elt_t            *h;
    ngx_http_ampersand_walk_t   walk;

    len = 1 + AMP_TOKEN_DIGEST_HEX;

    walk.part = &r->headers_in.headers.part;
    walk.i = 0;

    while ((h = ngx_http_ampersand_next(&walk)) != NULL) {
        len += h->key.len + h->value.len + sizeof(":\n") - 1;
    }

    text = ngx_pnalloc(r->pool, len);
    if (text == NULL) {
        return NGX_ERROR;
    }

    p = text;

    walk.part = &r->headers_in.headers.part;
    walk.i = 0;

    while ((h = ngx_http_ampersand_next(&walk)) != NULL) {
        name = amp_span_make(h->lowcase_key, h->key.len);

        if (amp_header_selects(name) && amp_header_forwarded(policy, name)) {
            p = ngx_cpymem(p, name.data, name.len);
            *p++ = ':';
            p = ngx_cpymem(p, h->value.data, h->value.len);
            *p++ = LF;
        }
    }

    if (amp_token_digest(amp_span_make(text, p - text), digest) != 0) {
        return NGX_ERROR;
    }

    *text = '#';
    amp_hex(digest, sizeof(digest), text + 1);

    *selects = amp_span_make(text, 1 + AMP_TOKEN_DIGEST_HEX);

    return NGX_OK;
}


/*
 * The key shares proxy_buffer_size with the head of the answer: a long one has
 * "#" and the digest of both instead.  No path has a "#".
 */

static ngx_int_t
ngx_http_ampersand_cache_key_digest(ngx_pool_t *pool, amp_span_t *rest,
    amp_span_t *accept)
{
    u_char  *p, *text, digest[AMP_TOKEN_DIGEST];

    text = ngx_pnalloc(pool, rest->len + 1 + accept->len
                             + 1 + AMP_TOKEN_DIGEST_HEX);
    if (text == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(text, rest->data, rest->len);
    *p++ = '\0';

    if (accept->len) {
        p = ngx_cpymem(p, accept->data, accept->len);
    }

    if (amp_token_digest(amp_span_make(text, p - text), digest) != 0) {
        return NGX_ERROR;
    }

    *p = '#';
    amp_hex(digest, sizeof(digest), p + 1);

    *rest = amp_span_make(p, 1 + AMP_TOKEN_DIGEST_HEX);
    *accept = amp_span("application/json");

    return NGX_OK;
}


/*
 * Does what "proxy_cache_bypass 1" does, without that predicate being evaluated
 * for all requests: nginx reads it right after the cache key, see
 * ngx_http_upstream_cache().
 */

ngx_int_t
ngx_http_ampersand_cache_conf(ngx_http_request_t *r, ngx_uint_t bypass)
{
    ngx_http_upstream_t       *u;
    ngx_http_upstream_conf_t  *conf;

    static ngx_http_complex_value_t  yes = { .value = ngx_string("1") };
    static ngx_array_t               always = { .elts = &yes, .nelts = 1 };

    u = r->upstream;

    if (!bypass && !(u->conf->cache_use_stale & NGX_HTTP_UPSTREAM_FT_UPDATING))
    {
        return NGX_OK;
    }

    conf = ngx_palloc(r->pool, sizeof(*conf));
    if (conf == NULL) {
        return NGX_ERROR;
    }

    *conf = *u->conf;
    conf->cache_use_stale &= ~(ngx_uint_t) NGX_HTTP_UPSTREAM_FT_UPDATING;

    if (bypass) {
        conf->cache_bypass = &always;
    }

    u->conf = conf;

    return NGX_OK;
}
