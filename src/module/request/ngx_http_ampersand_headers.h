/*
 * The client's headers: what they say to the gateway.
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
    ngx_str_t                       origin;     /* empty, too, where there are
                                                   several                    */
    amp_reason_e                    credential; /* AMP_OK, or why there is no
                                                   token                      */
    const char                     *fault;      /* what is wrong with it, or
                                                   NULL                       */
    ngx_str_t                       project;    /* x-amp-project-id           */
    ngx_str_t                       group;      /* x-amp-group-ref            */
    ngx_str_t                       installation; /* x-amp-installation-id    */
    ngx_str_t                       integration; /* x-amp-integration-name    */
    ngx_str_t                       wrong;      /* the name of a malformed one*/
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


/*
 * Reads the client's headers into h, which is zeroed.  Refuses nothing: a fault
 * stands in h->credential or h->malformed.  What h points to belongs to r.
 * NGX_ERROR: no memory.
 */

ngx_int_t ngx_http_ampersand_headers_read(ngx_http_request_t *r,
    ngx_http_ampersand_headers_t *h);


#endif /* NGX_HTTP_AMPERSAND_HEADERS_H */
