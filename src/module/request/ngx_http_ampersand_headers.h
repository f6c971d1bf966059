/*
 * The client's headers: what they say to the gateway, and which go upstream.
 */

#ifndef NGX_HTTP_AMPERSAND_HEADERS_H
#define NGX_HTTP_AMPERSAND_HEADERS_H


#include "ngx_ampersand_compat.h"
#include <ngx_http.h>
#include "amp_header.h"
#include "amp_operations.h"
#include "amp_problem.h"
#include "amp_tenant.h"


/* The headers that mean something to the gateway, found in one pass. */

typedef struct {
    ngx_str_t                       token;      /* the credential's text      */
    ngx_str_t                       request_id; /* x-request-id               */
    amp_reason_e                    credential; /* AMP_OK, or why there is no
                                                   token                      */
    ngx_str_t                       project;    /* x-amp-project-id           */
    ngx_str_t                       group;      /* x-amp-group-ref            */
    ngx_str_t                       installation; /* x-amp-installation-id    */
    ngx_str_t                       integration; /* x-amp-integration-name    */
    ngx_str_t                       accept;
    ngx_str_t                       connection; /* of all its lines           */
    unsigned                        has_group:1;
    unsigned                        proxy_version:1;
    unsigned                        encoded:1;  /* content-encoding           */
    unsigned                        malformed:1; /* repeated x-amp-* header   */
    unsigned                        uncacheable:1; /* several Accept headers  */
    unsigned                        no_cache:1;    /* cache-control:          */
    unsigned                        no_store:1;
    unsigned                        only_if_cached:1;
} ngx_http_ampersand_headers_t;


/* What the upstream request's headers are composed of. */

typedef struct {
    const amp_header_policy_t      *policy;
    ngx_str_t                       request_id;
    amp_api_e                       api;
    amp_span_t                      project;    /* its id                     */
    unsigned                        checked:1;  /* the body was read as JSON  */
    unsigned                        proxy_version:1; /* the client sent it    */
} ngx_http_ampersand_headers_out_t;


/*
 * Reads the client's headers into h, which is zeroed.  Refuses nothing: a fault
 * stands in h->credential or h->malformed.  What h points to belongs to r.
 * NGX_ERROR: no memory.
 */

ngx_int_t ngx_http_ampersand_headers_read(ngx_http_request_t *r,
    ngx_http_ampersand_headers_t *h);

/*
 * Replaces r's headers by those that go upstream, but for Host and X-Api-Key,
 * which the location sets.  NGX_DECLINED: a value holds a control byte.
 * NGX_ERROR: no memory.
 */

ngx_int_t ngx_http_ampersand_headers_compose(ngx_http_request_t *r,
    const ngx_http_ampersand_headers_out_t *out);


#endif /* NGX_HTTP_AMPERSAND_HEADERS_H */
