#include "ngx_http_ampersand_headers.h"
#include "ngx_http_ampersand_header_list.h"
#include "amp_escape.h"
#include "amp_token.h"


/*
 * The headers that the gateway itself sends upstream, but for Host and
 * X-Api-Key.  A hash is computed when it is first needed.
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


static ngx_int_t ngx_http_ampersand_headers_join(ngx_http_request_t *r,
    ngx_str_t *list, ngx_str_t *line);
static void ngx_http_ampersand_headers_amp(ngx_table_elt_t *h,
    ngx_http_ampersand_headers_t *found, ngx_uint_t *seen);
static void ngx_http_ampersand_headers_caching(ngx_str_t *value,
    ngx_http_ampersand_headers_t *found);
static void ngx_http_ampersand_headers_credential(ngx_table_elt_t *key,
    ngx_table_elt_t *authorization, ngx_http_ampersand_headers_t *found);
static ngx_int_t ngx_http_ampersand_headers_add(ngx_list_t *list,
    const ngx_http_ampersand_headers_out_t *out);
static ngx_uint_t ngx_http_ampersand_headers_control(ngx_str_t *value);


ngx_int_t
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

                if (ngx_http_ampersand_headers_join(r, &found->connection,
                                                    &h->value)
                    != NGX_OK)
                {
                    return NGX_ERROR;
                }
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

    } else {
        ngx_http_ampersand_headers_credential(key, authorization, found);
    }

    return NGX_OK;
}


/*
 * Adds a line to a list that may stand on several (RFC 9110, section 5.3); the
 * first one is not copied.
 */

static ngx_int_t
ngx_http_ampersand_headers_join(ngx_http_request_t *r, ngx_str_t *list,
    ngx_str_t *line)
{
    u_char  *p;

    if (list->data == NULL) {
        *list = *line;
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, list->len + 1 + line->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    list->len = ngx_sprintf(p, "%V,%V", list, line) - p;
    list->data = p;

    return NGX_OK;
}


/* A new list: what else points at the old elements stays valid. */

ngx_int_t
ngx_http_ampersand_headers_compose(ngx_http_request_t *r,
    const ngx_http_ampersand_headers_out_t *out)
{
    ngx_list_t                  list;
    ngx_table_elt_t            *h, *copy;
    ngx_http_ampersand_walk_t   walk;

    if (ngx_list_init(&list, r->pool, 8, sizeof(ngx_table_elt_t)) != NGX_OK) {
        return NGX_ERROR;
    }

    walk.part = &r->headers_in.headers.part;
    walk.i = 0;

    while ((h = ngx_http_ampersand_next(&walk)) != NULL) {
        if (!amp_header_forwarded(out->policy,
                                  amp_span_make(h->lowcase_key, h->key.len))
            || (out->checked && ngx_http_ampersand_is(h, "content-type")))
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

    if (ngx_http_ampersand_headers_add(&list, out) != NGX_OK) {
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

    /* $http_authorization and auth_basic do not see the token */

    r->headers_in.authorization = NULL;

    /* the upgrade was not sent upstream: nginx makes no tunnel of the answer */

    r->headers_in.upgrade = NULL;

    return NGX_OK;
}


static ngx_int_t
ngx_http_ampersand_headers_add(ngx_list_t *list,
    const ngx_http_ampersand_headers_out_t *out)
{
    unsigned          own, bit;
    ngx_table_elt_t  *h, *header;

    own = NGX_HTTP_AMPERSAND_OWN_REQUEST_ID;

    /* a body that was checked as JSON may not be read as anything else */

    if (out->checked) {
        own |= NGX_HTTP_AMPERSAND_OWN_CONTENT_TYPE;
    }

    if (out->api == AMP_API_SEARCH) {
        own |= NGX_HTTP_AMPERSAND_OWN_REQUEST_TYPE;

    } else if (out->api == AMP_API_PROXY) {
        own |= NGX_HTTP_AMPERSAND_OWN_PROJECT_ID;

        if (!out->proxy_version) {
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
            h->value = out->request_id;

        } else if (bit == NGX_HTTP_AMPERSAND_OWN_PROJECT_ID) {
            h->value.data = (u_char *) out->project.data;
            h->value.len = out->project.len;
        }
    }

    return NGX_OK;
}


/*
 * Does the value hold a control byte other than tab?  Eight bytes at a time are
 * tested: a byte below n gets its highest bit set by subtracting n, and did not
 * have it set before.  n is 0x20, and 1 for the bytes XOR 0x7f, where DEL is 0.
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


static void
ngx_http_ampersand_headers_amp(ngx_table_elt_t *h,
    ngx_http_ampersand_headers_t *found, ngx_uint_t *seen)
{
    ngx_uint_t  bit;

    if (ngx_http_ampersand_is(h, "x-amp-project-id")) {
        found->project = h->value;
        bit = 1;

        /* an empty value names no project, so not the tenant's either */

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
 * RFC 9111, section 5.2.1.  Of max-age only 0 is known: nginx cannot refuse an
 * entry by its age.
 */

static void
ngx_http_ampersand_headers_caching(ngx_str_t *value,
    ngx_http_ampersand_headers_t *found)
{
    amp_span_t  rest, name;

    rest = ngx_ampersand_span(*value);

    while ((name = amp_header_word(&rest)).len) {

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

        } else if (!amp_span_eq(ngx_ampersand_span(bearer),
                                ngx_ampersand_span(key->value)))
        {
            found->credential = AMP_TWO_CREDENTIALS;
            return;
        }
    }

    /* the checksum is tested before a look-up: a token in the zone has it */

    if (found->token.len != AMP_TOKEN_LEN) {
        found->credential = AMP_BAD_TOKEN;
    }
}
