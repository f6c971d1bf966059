#include "ngx_http_ampersand_cache_key.h"
#include "ngx_http_ampersand_header_list.h"
#include "amp_cache_key.h"


static ngx_int_t ngx_http_ampersand_cache_key_headers(ngx_http_request_t *r,
    const amp_header_policy_t *policy, amp_span_t *selects);


ngx_int_t
ngx_http_ampersand_cache_key(ngx_http_request_t *r,
    const ngx_ampersand_record_t *record, const amp_operation_t *op,
    const ngx_str_t *uri, const amp_header_policy_t *policy, amp_span_t accept,
    ngx_str_t *key)
{
    u_char  *last;

    if (policy->proxy
        && ngx_http_ampersand_cache_key_headers(r, policy, &accept) != NGX_OK)
    {
        return NGX_ERROR;
    }

    key->data = ngx_pnalloc(r->pool,
                            amp_cache_key_size(op, uri->len, accept.len));
    if (key->data == NULL) {
        return NGX_ERROR;
    }

    last = amp_cache_key(op, record->tenant, ngx_ampersand_span(*uri),
                         record->gens, record->bumps, accept, key->data);
    if (last == NULL) {
        return NGX_ERROR;
    }

    key->len = last - key->data;

    return NGX_OK;
}


/* The headers of a request to the proxy API that select its answer. */

static ngx_int_t
ngx_http_ampersand_cache_key_headers(ngx_http_request_t *r,
    const amp_header_policy_t *policy, amp_span_t *selects)
{
    size_t                      len;
    u_char                     *p, *digest, *text;
    amp_span_t                  name;
    ngx_table_elt_t            *h;
    ngx_http_ampersand_walk_t   walk;

    len = AMP_CACHE_KEY_HEADERS;

    walk.part = &r->headers_in.headers.part;
    walk.i = 0;

    while ((h = ngx_http_ampersand_next(&walk)) != NULL) {
        len += h->key.len + h->value.len + sizeof(":\n") - 1;
    }

    digest = ngx_pnalloc(r->pool, len);
    if (digest == NULL) {
        return NGX_ERROR;
    }

    text = digest + AMP_CACHE_KEY_HEADERS;
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

    if (amp_cache_key_headers(amp_span_make(text, p - text), digest) != 0) {
        return NGX_ERROR;
    }

    *selects = amp_span_make(digest, AMP_CACHE_KEY_HEADERS);

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
