#include "ngx_http_ampersand.h"


/*
 * What of the client's headers goes upstream.  Four APIs have an allow-list;
 * the proxy API passes a provider's own headers and has a deny-list.  Names
 * are in lower case, sorted by nothing: there are few of each length.
 */

static ngx_str_t  ngx_http_ampersand_allowed[] = {
    ngx_string("user-agent"),
    ngx_string("traceparent"),
    ngx_string("tracestate"),
    ngx_null_string
};


static ngx_str_t  ngx_http_ampersand_allowed_prefixes[] = {
    ngx_string("content-"),
    ngx_string("accept"),
    ngx_null_string
};


static ngx_str_t  ngx_http_ampersand_denied[] = {
    ngx_string("x-api-key"),
    ngx_string("authorization"),
    ngx_string("cookie"),
    ngx_string("cookie2"),
    ngx_string("host"),
    ngx_string("connection"),
    ngx_string("keep-alive"),
    ngx_string("te"),
    ngx_string("trailer"),
    ngx_string("transfer-encoding"),
    ngx_string("upgrade"),
    ngx_string("http2-settings"),
    ngx_string("expect"),
    ngx_string("forwarded"),
    ngx_string("via"),
    ngx_string("x-real-ip"),
    ngx_string("x-client-ip"),
    ngx_string("x-cluster-client-ip"),
    ngx_string("x-original-url"),
    ngx_string("x-rewrite-url"),
    ngx_string("x-original-host"),
    ngx_string("x-host"),
    ngx_string("x-http-method-override"),
    ngx_string("x-http-method"),
    ngx_string("x-method-override"),
    ngx_string("true-client-ip"),
    ngx_string("cf-connecting-ip"),
    ngx_string("x-request-id"),
    ngx_null_string
};


static ngx_str_t  ngx_http_ampersand_denied_prefixes[] = {
    ngx_string("x-amp-"),
    ngx_string("x-accel-"),
    ngx_string("x-forwarded"),
    ngx_string("x-gateway-"),
    ngx_string("proxy-"),
    ngx_null_string
};


/* of the x-amp-* headers, those that the proxy API declares */

static ngx_str_t  ngx_http_ampersand_proxy_declared[] = {
    ngx_string("x-amp-proxy-version"),
    ngx_string("x-amp-installation-id"),
    ngx_string("x-amp-integration-name"),
    ngx_string("x-amp-group-ref"),
    ngx_string("x-amp-rate-limiter-mode"),
    ngx_null_string
};


static void ngx_http_ampersand_headers_amp(ngx_table_elt_t *h,
    ngx_http_ampersand_headers_t *found, ngx_uint_t *seen);
static void ngx_http_ampersand_headers_caching(ngx_str_t *value,
    ngx_http_ampersand_headers_t *found);
static void ngx_http_ampersand_headers_credential(ngx_table_elt_t *key,
    ngx_table_elt_t *authorization, ngx_http_ampersand_headers_t *found);
static ngx_uint_t ngx_http_ampersand_headers_in(ngx_str_t *names,
    ngx_table_elt_t *h);
static ngx_uint_t ngx_http_ampersand_headers_prefix(ngx_str_t *prefixes,
    ngx_table_elt_t *h);
static ngx_uint_t ngx_http_ampersand_headers_goes(ngx_table_elt_t *h,
    amp_api_e api, ngx_str_t *connection);
static ngx_uint_t ngx_http_ampersand_headers_named(ngx_str_t *connection,
    ngx_table_elt_t *h);
static ngx_int_t ngx_http_ampersand_headers_push(ngx_list_t *list,
    char *name, char *lowcase, size_t len, ngx_str_t *value);


#define ngx_http_ampersand_push(list, name, lowcase, value)                   \
    ngx_http_ampersand_headers_push(list, name, lowcase, sizeof(name) - 1,    \
                                    value)


void
ngx_http_ampersand_headers_read(ngx_http_request_t *r,
    ngx_http_ampersand_headers_t *found)
{
    ngx_uint_t                  keys, authorizations, connections, seen;
    ngx_table_elt_t            *h, *key, *authorization;
    ngx_http_ampersand_walk_t   walk;

    key = NULL;
    authorization = NULL;
    keys = 0;
    authorizations = 0;
    connections = 0;
    seen = 0;

    walk.part = &r->headers_in.headers.part;
    walk.i = 0;

    while ((h = ngx_http_ampersand_next(&walk)) != NULL) {

        /* what means something begins with one of these */

        if (h->lowcase_key[0] != 'x' && h->lowcase_key[0] != 'a'
            && h->lowcase_key[0] != 'c')
        {
            continue;
        }

        if (ngx_http_ampersand_is(h, "x-api-key")) {
            key = h;
            keys++;

        } else if (ngx_http_ampersand_is(h, "authorization")) {
            authorization = h;
            authorizations++;

        } else if (ngx_http_ampersand_is(h, "accept")) {
            found->uncacheable |= (found->accept.data != NULL);
            found->accept = h->value;

        } else if (ngx_http_ampersand_is(h, "cache-control")) {
            ngx_http_ampersand_headers_caching(&h->value, found);

        } else if (ngx_http_ampersand_is(h, "x-request-id")) {
            found->request_id = h->value;

        } else if (ngx_http_ampersand_is(h, "content-encoding")) {
            found->encoded = 1;

        } else if (ngx_http_ampersand_is(h, "connection")) {

            /* nginx keeps none, and one is enough to name what is hop-by-hop */

            found->malformed |= connections;
            found->connection = h->value;
            connections = 1;

        } else if (h->key.len > 6
                   && ngx_memcmp(h->lowcase_key, "x-amp-", 6) == 0)
        {
            ngx_http_ampersand_headers_amp(h, found, &seen);
        }
    }

    if (keys > 1 || authorizations > 1) {
        found->credential = AMP_TWO_CREDENTIALS;
        return;
    }

    ngx_http_ampersand_headers_credential(key, authorization, found);
}


/*
 * Builds a new list, so what else points at the old elements stays valid.  The
 * gateway's own headers come from here too, but for Host and X-Api-Key, which
 * the location sets.
 */

ngx_int_t
ngx_http_ampersand_headers_compose(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx)
{
    size_t                      i;
    ngx_str_t                   id;
    ngx_uint_t                  checked;
    ngx_list_t                  list;
    amp_span_t                  project;
    ngx_table_elt_t            *h, *copy;
    ngx_http_ampersand_walk_t   walk;

    static ngx_str_t  one = ngx_string("1");
    static ngx_str_t  search = ngx_string("search");
    static ngx_str_t  json = ngx_string("application/json");

    checked = amp_scope_needs_body(ctx->known.tenant, ctx->op);

    if (ngx_list_init(&list, r->pool, 8, sizeof(ngx_table_elt_t)) != NGX_OK) {
        return NGX_ERROR;
    }

    walk.part = &r->headers_in.headers.part;
    walk.i = 0;

    while ((h = ngx_http_ampersand_next(&walk)) != NULL) {
        if (!ngx_http_ampersand_headers_goes(h, ctx->op->api,
                                             &ctx->headers.connection)
            || (ctx->wrap && ngx_http_ampersand_is(h, "accept-encoding"))
            || (checked && ngx_http_ampersand_is(h, "content-type")))
        {
            continue;
        }

        for (i = 0; i < h->value.len; i++) {
            if ((h->value.data[i] < 0x20 && h->value.data[i] != '\t')
                || h->value.data[i] == 0x7f)
            {
                return NGX_DECLINED;
            }
        }

        copy = ngx_list_push(&list);
        if (copy == NULL) {
            return NGX_ERROR;
        }

        *copy = *h;
        ngx_ampersand_header_init(copy);
    }

    if (ngx_http_ampersand_push(&list, "X-Request-Id", "x-request-id",
                                &ctx->request_id)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* what was checked as JSON may not be read as anything else */

    if (checked && ngx_http_ampersand_push(&list, "Content-Type",
                                           "content-type", &json)
                   != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->op->api == AMP_API_SEARCH
        && ngx_http_ampersand_push(&list, "X-Amp-Request-Type",
                                   "x-amp-request-type", &search)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->op->api == AMP_API_PROXY) {
        project = amp_tenant_field(ctx->known.tenant,
                                   ctx->known.tenant->project_id);
        id.data = (u_char *) project.data;
        id.len = project.len;

        if (ngx_http_ampersand_push(&list, "X-Amp-Project-Id",
                                    "x-amp-project-id", &id)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (!ctx->headers.proxy_version
            && ngx_http_ampersand_push(&list, "X-Amp-Proxy-Version",
                                       "x-amp-proxy-version", &one)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    /*
     * list.last of an empty or one-part list points into the local variable:
     * see ngx_list_push()
     */

    r->headers_in.headers = list;

    if (list.last == &list.part) {
        r->headers_in.headers.last = &r->headers_in.headers.part;
    }

    /* $http_authorization and auth_basic have no business with a token */

    r->headers_in.authorization = NULL;

    /* nor does nginx make a tunnel of an answer to what was not asked */

    r->headers_in.upgrade = NULL;

    return NGX_OK;
}


ngx_uint_t
ngx_http_ampersand_headers_sent(ngx_http_ampersand_ctx_t *ctx,
    amp_span_t name)
{
    u_char           lowcase[NGX_HTTP_CACHE_VARY_LEN];
    ngx_table_elt_t  h;

    if (name.len > sizeof(lowcase)) {
        return 1;
    }

    ngx_strlow(lowcase, (u_char *) name.data, name.len);

    h.key.data = lowcase;
    h.key.len = name.len;
    h.lowcase_key = lowcase;

    return ngx_http_ampersand_headers_goes(&h, ctx->op->api,
                                           &ctx->headers.connection)
           && !(ctx->wrap && ngx_http_ampersand_is(&h, "accept-encoding"));
}


static void
ngx_http_ampersand_headers_amp(ngx_table_elt_t *h,
    ngx_http_ampersand_headers_t *found, ngx_uint_t *seen)
{
    ngx_uint_t  bit;

    if (ngx_http_ampersand_is(h, "x-amp-project-id")) {
        found->project = h->value;
        bit = 1;

        /* an empty one names no project, and is not the tenant's */

        found->malformed |= (h->value.len == 0);

    } else if (ngx_http_ampersand_is(h, "x-amp-group-ref")) {
        found->group = h->value;
        found->has_group = 1;
        bit = 2;

    } else if (ngx_http_ampersand_is(h, "x-amp-installation-id")) {
        found->installation = h->value;
        bit = 4;

    } else if (ngx_http_ampersand_is(h, "x-amp-proxy-version")) {
        found->proxy_version = 1;
        bit = 8;

    } else if (ngx_http_ampersand_is(h, "x-amp-integration-name")) {
        found->integration = h->value;
        bit = 16;

    } else if (ngx_http_ampersand_is(h, "x-amp-rate-limiter-mode")) {
        bit = 32;

    } else {
        return;
    }

    found->malformed |= ((*seen & bit) != 0);
    *seen |= bit;
}


/*
 * RFC 9111, 5.2.1.  Of max-age only 0: nginx has no place to refuse an entry by
 * its age.
 */

static void
ngx_http_ampersand_headers_caching(ngx_str_t *value,
    ngx_http_ampersand_headers_t *found)
{
    ngx_str_t   rest;
    amp_span_t  name;

    rest = *value;

    while ((name = ngx_http_ampersand_next_word(&rest)).len) {

        if (amp_span_caseeq(name, amp_span("no-cache"))
            || amp_span_caseeq(name, amp_span("max-age=0"))
            || amp_span_caseeq(name, amp_span("max-age=\"0\"")))
        {
            found->no_cache = 1;

        } else if (amp_span_caseeq(name, amp_span("no-store"))) {
            found->no_store = 1;

        } else if (amp_span_caseeq(name, amp_span("only-if-cached"))) {
            found->only_if_cached = 1;
        }
    }
}


static void
ngx_http_ampersand_headers_credential(ngx_table_elt_t *key,
    ngx_table_elt_t *authorization, ngx_http_ampersand_headers_t *found)
{
    ngx_str_t  bearer;

    found->credential = AMP_OK;

    if (key) {
        found->token = key->value;

    } else if (authorization == NULL) {
        found->credential = AMP_NO_TOKEN;
        return;
    }

    if (authorization) {
        bearer = authorization->value;

        if (bearer.len < 7
            || ngx_strncasecmp(bearer.data, (u_char *) "Bearer ", 7) != 0)
        {
            found->credential = key ? AMP_TWO_CREDENTIALS : AMP_BAD_TOKEN;
            return;
        }

        bearer.data += 7;
        bearer.len -= 7;

        if (key == NULL) {
            found->token = bearer;

        } else if (!amp_span_eq(ngx_http_ampersand_span(bearer),
                                ngx_http_ampersand_span(key->value)))
        {
            found->credential = AMP_TWO_CREDENTIALS;
            return;
        }
    }

    /* the checksum is left to the look-up: a token in the zone has one */

    if (found->token.len != AMP_TOKEN_LEN) {
        found->credential = AMP_BAD_TOKEN;
    }
}


static ngx_uint_t
ngx_http_ampersand_headers_goes(ngx_table_elt_t *h, amp_api_e api,
    ngx_str_t *connection)
{
    if (api != AMP_API_PROXY) {

        /* all that is allowed begins with one of these */

        switch (h->lowcase_key[0]) {

        case 'a':
        case 'c':
            return ngx_http_ampersand_headers_prefix(
                                    ngx_http_ampersand_allowed_prefixes, h);

        case 't':
        case 'u':
            return ngx_http_ampersand_headers_in(ngx_http_ampersand_allowed,
                                                 h);

        default:
            return 0;
        }
    }

    if (ngx_http_ampersand_headers_in(ngx_http_ampersand_proxy_declared, h)) {
        return 1;
    }

    return !ngx_http_ampersand_headers_in(ngx_http_ampersand_denied, h)
           && !ngx_http_ampersand_headers_prefix(
                                       ngx_http_ampersand_denied_prefixes, h)
           && !ngx_http_ampersand_headers_named(connection, h);
}


static ngx_uint_t
ngx_http_ampersand_headers_in(ngx_str_t *names, ngx_table_elt_t *h)
{
    ngx_str_t  *name;

    for (name = names; name->len; name++) {
        if (name->len == h->key.len
            && ngx_memcmp(name->data, h->lowcase_key, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_ampersand_headers_prefix(ngx_str_t *prefixes, ngx_table_elt_t *h)
{
    ngx_str_t  *prefix;

    for (prefix = prefixes; prefix->len; prefix++) {
        if (prefix->len <= h->key.len
            && ngx_memcmp(prefix->data, h->lowcase_key, prefix->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* Does "Connection" name this header as hop-by-hop (RFC 9110, 7.6.1)? */

static ngx_uint_t
ngx_http_ampersand_headers_named(ngx_str_t *connection, ngx_table_elt_t *h)
{
    ngx_str_t   rest;
    amp_span_t  name;

    rest = *connection;

    while ((name = ngx_http_ampersand_next_word(&rest)).len) {
        if (amp_span_caseeq(name, amp_span_make(h->lowcase_key, h->key.len))) {
            return 1;
        }
    }

    return 0;
}


amp_span_t
ngx_http_ampersand_next_word(ngx_str_t *rest)
{
    u_char      *p, *last;
    amp_span_t   word;

    p = rest->data;
    last = p + rest->len;

    while (p < last && (*p == ' ' || *p == '\t' || *p == ',')) {
        p++;
    }

    word.data = p;

    while (p < last && *p != ' ' && *p != '\t' && *p != ',') {
        p++;
    }

    word.len = p - word.data;

    rest->data = p;
    rest->len = last - p;

    return word;
}


static ngx_int_t
ngx_http_ampersand_headers_push(ngx_list_t *list, char *name, char *lowcase,
    size_t len, ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(list);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->key.data = (u_char *) name;
    h->key.len = len;
    h->lowcase_key = (u_char *) lowcase;
    h->hash = ngx_hash_key(h->lowcase_key, len);
    h->value = *value;
    ngx_ampersand_header_init(h);

    return NGX_OK;
}
