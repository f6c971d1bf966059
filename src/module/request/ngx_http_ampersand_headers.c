#include "ngx_http_ampersand_headers.h"
#include "ngx_http_ampersand_header_list.h"
#include "amp_token.h"


static ngx_int_t ngx_http_ampersand_headers_join(ngx_http_request_t *r,
    ngx_str_t *list, ngx_str_t *line);
static void ngx_http_ampersand_headers_amp(ngx_table_elt_t *h,
    ngx_http_ampersand_headers_t *found, ngx_uint_t *seen);
static void ngx_http_ampersand_headers_caching(ngx_str_t *value,
    ngx_http_ampersand_headers_t *found);
static void ngx_http_ampersand_headers_credential(ngx_table_elt_t *key,
    ngx_table_elt_t *authorization, ngx_http_ampersand_headers_t *found);


ngx_int_t
ngx_http_ampersand_headers_read(ngx_http_request_t *r,
    ngx_http_ampersand_headers_t *found)
{
    ngx_uint_t                  repeated, seen, origins;
    ngx_table_elt_t            *h, *key, *authorization;
    ngx_http_ampersand_walk_t   walk;

    key = NULL;
    authorization = NULL;
    repeated = 0;
    seen = 0;
    origins = 0;

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

        case 'o':
            if (ngx_http_ampersand_is(h, "origin")) {
                origins++;
                found->origin = h->value;
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

    if (origins > 1) {
        ngx_str_null(&found->origin);
    }

    if (repeated) {
        found->credential = AMP_TWO_CREDENTIALS;
        found->fault = "X-Api-Key or Authorization occurs twice.";

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

    if (found->malformed && found->wrong.len == 0) {
        found->wrong = h->key;
    }
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
            found->fault = "Authorization is not \"Bearer\" and a token.";
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
            found->fault = "X-Api-Key and Authorization have different tokens.";
            return;
        }
    }

    /* the checksum is tested before a look-up: a token in the zone has it */

    if (found->token.len != AMP_TOKEN_LEN) {
        found->credential = AMP_BAD_TOKEN;
        found->fault = "The credential does not have the length of a token.";
    }
}
