/*
 * Whose request is it: the tenant's record, from the zone or else from Redis.
 *
 *   in the zone    what happens
 *   FRESH          the record serves
 *   NEGATIVE       the token or tenant does not exist: refused
 *   STALE          looked up; where Redis does not answer the record serves all
 *                  the same, unless an invalidation names it meanwhile
 *   CHANGED        looked up; without an answer from Redis: 503
 *   MISS           looked up, within the look-up limit
 */

#ifndef NGX_HTTP_AMPERSAND_RESOLVE_H
#define NGX_HTTP_AMPERSAND_RESOLVE_H


#include "ngx_http_ampersand_lookup.h"


typedef struct ngx_http_ampersand_resolve_s  ngx_http_ampersand_resolve_t;


/*
 * The look-up ended, resolve->reason is set; called from the event loop.  An
 * internal redirect may have given the request another context meanwhile.
 */

typedef void (*ngx_http_ampersand_resolve_pt)(
    ngx_http_ampersand_resolve_t *resolve);


/*
 * A request's, zeroed, in memory that lives as long as the request.  The caller
 * sets record and handler, and token and digest, or identity, or name and
 * digest.
 */

struct ngx_http_ampersand_resolve_s {
    ngx_str_t                     token;        /* as the client sent it      */
    u_char                        digest[AMP_TOKEN_DIGEST];
    ngx_str_t                     identity;     /* a tenant's id; data NULL:
                                                   by the token               */
    ngx_str_t                     name;         /* of an identity, see
                                                   amp_identity.h, which the
                                                   digest is of; else empty   */
    ngx_ampersand_record_t       *record;       /* the caller's, zeroed       */
    amp_reason_e                  reason;       /* AMP_OK: record is filled   */
    ngx_http_ampersand_resolve_pt handler;

    ngx_http_request_t           *request;
    ngx_http_ampersand_lookups_t *lookups;
    ngx_http_ampersand_lookup_t  *lookup;       /* that it waits for, or NULL */
    ngx_queue_t                   queue;
    unsigned                      stale:1;      /* record is stale            */
};


/*
 * NGX_OK: resolve->reason is set.  NGX_AGAIN: it will be when resolve->handler
 * is called; a request that ends before leaves the look-up by itself.
 * NGX_ERROR: no memory.
 */

ngx_int_t ngx_http_ampersand_resolve(ngx_http_request_t *r,
    ngx_http_ampersand_lookups_t *lookups,
    ngx_http_ampersand_resolve_t *resolve);


#endif /* NGX_HTTP_AMPERSAND_RESOLVE_H */
