#include "ngx_http_ampersand.h"
#include "amp_escape.h"


/*
 * What of the client's headers goes upstream.  Four APIs have an allow-list, in
 * ngx_http_ampersand_headers_allowed(); the proxy API passes a provider's own
 * headers and has a deny-list.  Names are in lower case, sorted by nothing:
 * there are few of each length.
 */

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


/*
 * The gateway's own, but for Host and X-Api-Key, which the location sets.  A
 * hash is computed when it is first needed.
 */

#define NGX_HTTP_AMPERSAND_OWN_REQUEST_ID     0x01
#define NGX_HTTP_AMPERSAND_OWN_CONTENT_TYPE   0x02
#define NGX_HTTP_AMPERSAND_OWN_REQUEST_TYPE   0x04
#define NGX_HTTP_AMPERSAND_OWN_PROJECT_ID     0x08
#define NGX_HTTP_AMPERSAND_OWN_PROXY_VERSION  0x10

#define ngx_http_ampersand_own_header(name, lowcase, text)                    \
    { .key = ngx_string(name), .value = ngx_string(text),                     \
      .lowcase_key = (u_char *) (lowcase) }

static ngx_table_elt_t  ngx_http_ampersand_own_headers[] = {
    ngx_http_ampersand_own_header("X-Request-Id", "x-request-id", ""),
    ngx_http_ampersand_own_header("Content-Type", "content-type",
                                  "application/json"),
    ngx_http_ampersand_own_header("X-Amp-Request-Type", "x-amp-request-type",
                                  "search"),
    ngx_http_ampersand_own_header("X-Amp-Project-Id", "x-amp-project-id", ""),
    ngx_http_ampersand_own_header("X-Amp-Proxy-Version",
                                  "x-amp-proxy-version", "1")
};


static void ngx_http_ampersand_headers_amp(ngx_table_elt_t *h,
    ngx_http_ampersand_headers_t *found, ngx_uint_t *seen);
static void ngx_http_ampersand_headers_caching(ngx_str_t *value,
    ngx_http_ampersand_headers_t *found);
static void ngx_http_ampersand_headers_credential(ngx_table_elt_t *key,
    ngx_table_elt_t *authorization, ngx_http_ampersand_headers_t *found);
static ngx_int_t ngx_http_ampersand_headers_add(ngx_list_t *list,
    ngx_http_ampersand_ctx_t *ctx, ngx_uint_t checked);
static ngx_uint_t ngx_http_ampersand_headers_control(ngx_str_t *value);
static ngx_inline ngx_uint_t ngx_http_ampersand_headers_goes(
    ngx_table_elt_t *h, ngx_http_ampersand_ctx_t *ctx);
static ngx_uint_t ngx_http_ampersand_headers_allowed(ngx_table_elt_t *h,
    ngx_http_ampersand_ctx_t *ctx);
static ngx_uint_t ngx_http_ampersand_headers_not_denied(ngx_table_elt_t *h,
    ngx_str_t *connection);
static ngx_uint_t ngx_http_ampersand_headers_in(ngx_str_t *names,
    ngx_table_elt_t *h);
static ngx_uint_t ngx_http_ampersand_headers_prefix(ngx_str_t *prefixes,
    ngx_table_elt_t *h);
static ngx_uint_t ngx_http_ampersand_headers_named(ngx_str_t *connection,
    ngx_table_elt_t *h);


#define ngx_http_ampersand_begins(h, prefix)                                  \
    ((h)->key.len >= sizeof(prefix) - 1                                       \
     && ngx_memcmp((h)->lowcase_key, prefix, sizeof(prefix) - 1) == 0)


void
ngx_http_ampersand_headers_read(ngx_http_request_t *r,
    ngx_http_ampersand_headers_t *found)
{
    ngx_uint_t                  repeated, seen;
    ngx_table_elt_t            *h, *key, *authorization;
    ngx_http_ampersand_walk_t   walk;

    key = NULL;
    authorization = NULL;
    repeated = 0;
    seen = 0;

    walk.part = &r->headers_in.headers.part;
    walk.i = 0;

    while ((h = ngx_http_ampersand_next(&walk)) != NULL) {

        switch (h->lowcase_key[0]) {

        case 'a':
            if (ngx_http_ampersand_is(h, "accept")) {
                if (found->accept.data) {
                    found->uncacheable = 1;
                }

                found->accept = h->value;

            } else if (ngx_http_ampersand_is(h, "authorization")) {
                repeated |= (authorization != NULL);
                authorization = h;
            }

            break;

        case 'c':
            if (ngx_http_ampersand_is(h, "cache-control")) {
                ngx_http_ampersand_headers_caching(&h->value, found);

            } else if (ngx_http_ampersand_is(h, "content-encoding")) {
                found->encoded = 1;

            } else if (ngx_http_ampersand_is(h, "connection")) {

                /*
                 * nginx keeps none, and one is enough to name what is
                 * hop-by-hop
                 */

                if (found->connection.data) {
                    found->malformed = 1;
                }

                found->connection = h->value;
            }

            break;

        case 'x':
            if (ngx_http_ampersand_is(h, "x-api-key")) {
                repeated |= (key != NULL);
                key = h;

            } else if (ngx_http_ampersand_is(h, "x-request-id")) {
                found->request_id = h->value;

            } else if (ngx_http_ampersand_begins(h, "x-amp-")) {
                ngx_http_ampersand_headers_amp(h, found, &seen);
            }
        }
    }

    if (repeated) {
        found->credential = AMP_TWO_CREDENTIALS;
        return;
    }

    ngx_http_ampersand_headers_credential(key, authorization, found);
}


/* Builds a new list, so what else points at the old elements stays valid. */

ngx_int_t
ngx_http_ampersand_headers_compose(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx)
{
    ngx_uint_t                  checked;
    ngx_list_t                  list;
    ngx_table_elt_t            *h, *copy;
    ngx_http_ampersand_walk_t   walk;

    checked = amp_scope_needs_body(ctx->known.tenant, ctx->op);

    if (ngx_list_init(&list, r->pool, 8, sizeof(ngx_table_elt_t)) != NGX_OK) {
        return NGX_ERROR;
    }

    walk.part = &r->headers_in.headers.part;
    walk.i = 0;

    while ((h = ngx_http_ampersand_next(&walk)) != NULL) {
        if (!ngx_http_ampersand_headers_goes(h, ctx)
            || (checked && ngx_http_ampersand_is(h, "content-type")))
        {
            continue;
        }

        if (ngx_http_ampersand_headers_control(&h->value)) {
            return NGX_DECLINED;
        }

        copy = ngx_http_ampersand_push(&list);
        if (copy == NULL) {
            return NGX_ERROR;
        }

        *copy = *h;
        ngx_ampersand_header_init(copy);
    }

    if (ngx_http_ampersand_headers_add(&list, ctx, checked) != NGX_OK) {
        return NGX_ERROR;
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


static ngx_int_t
ngx_http_ampersand_headers_add(ngx_list_t *list,
    ngx_http_ampersand_ctx_t *ctx, ngx_uint_t checked)
{
    unsigned          own, bit;
    amp_span_t        project;
    ngx_table_elt_t  *h, *header;

    own = NGX_HTTP_AMPERSAND_OWN_REQUEST_ID;

    /* what was checked as JSON may not be read as anything else */

    if (checked) {
        own |= NGX_HTTP_AMPERSAND_OWN_CONTENT_TYPE;
    }

    if (ctx->op->api == AMP_API_SEARCH) {
        own |= NGX_HTTP_AMPERSAND_OWN_REQUEST_TYPE;

    } else if (ctx->op->api == AMP_API_PROXY) {
        own |= NGX_HTTP_AMPERSAND_OWN_PROJECT_ID;

        if (!ctx->headers.proxy_version) {
            own |= NGX_HTTP_AMPERSAND_OWN_PROXY_VERSION;
        }
    }

    header = ngx_http_ampersand_own_headers;

    for (bit = 1; bit <= own; bit <<= 1, header++) {

        if (!(own & bit)) {
            continue;
        }

        if (header->hash == 0) {
            header->hash = ngx_hash_key(header->lowcase_key, header->key.len);
        }

        h = ngx_http_ampersand_push(list);
        if (h == NULL) {
            return NGX_ERROR;
        }

        *h = *header;

        if (bit == NGX_HTTP_AMPERSAND_OWN_REQUEST_ID) {
            h->value = ctx->request_id;

        } else if (bit == NGX_HTTP_AMPERSAND_OWN_PROJECT_ID) {
            project = amp_tenant_field(ctx->known.tenant,
                                       ctx->known.tenant->project_id);
            h->value.data = (u_char *) project.data;
            h->value.len = project.len;
        }
    }

    return NGX_OK;
}


/*
 * Is there a control byte other than tab?  Eight at a time are asked for one
 * below 0x20 and for 0x7f, which becomes 0: what is less than n has its highest
 * bit set by subtracting n, and had it not before.
 */

static ngx_uint_t
ngx_http_ampersand_headers_control(ngx_str_t *value)
{
    u_char    *p, *last;
    uint64_t   low, del;

    const uint64_t  each = UINT64_C(0x0101010101010101);

    last = value->data + value->len;

    for (p = value->data; last - p >= 8; p += 8) {
        ngx_memcpy(&low, p, 8);
        del = low ^ each * 0x7f;

        if ((((low - each * 0x20) & ~low) | ((del - each) & ~del))
            & each * 0x80)
        {
            break;
        }
    }

    for ( /* void */ ; p < last; p++) {
        if (amp_char_is(*p, AMP_CONTROL) && *p != '\t') {
            return 1;
        }
    }

    return 0;
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

    return ngx_http_ampersand_headers_goes(&h, ctx);
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


static ngx_inline ngx_uint_t
ngx_http_ampersand_headers_goes(ngx_table_elt_t *h,
    ngx_http_ampersand_ctx_t *ctx)
{
    return (ctx->op->api == AMP_API_PROXY)
           ? ngx_http_ampersand_headers_not_denied(h, &ctx->headers.connection)
           : ngx_http_ampersand_headers_allowed(h, ctx);
}


static ngx_uint_t
ngx_http_ampersand_headers_allowed(ngx_table_elt_t *h,
    ngx_http_ampersand_ctx_t *ctx)
{
    switch (h->lowcase_key[0]) {

    case 'a':
        return ngx_http_ampersand_begins(h, "accept")
               && !(ctx->wrap && ngx_http_ampersand_is(h, "accept-encoding"));

    case 'c':
        return ngx_http_ampersand_begins(h, "content-");

    case 't':
        return ngx_http_ampersand_is(h, "traceparent")
               || ngx_http_ampersand_is(h, "tracestate");

    case 'u':
        return ngx_http_ampersand_is(h, "user-agent");

    default:
        return 0;
    }
}


static ngx_uint_t
ngx_http_ampersand_headers_not_denied(ngx_table_elt_t *h,
    ngx_str_t *connection)
{
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
