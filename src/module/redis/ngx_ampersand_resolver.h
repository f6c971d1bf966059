/*
 * From a host, as the directive, a Sentinel or a cluster names it, to a socket
 * address:
 *
 *   an address, or a socket's path      itself
 *   a name, with a resolver in http{}   asked for each time
 *   else a name of the directive        what it was when nginx read it, one of
 *                                       its addresses after the other
 */

#ifndef NGX_AMPERSAND_RESOLVER_H
#define NGX_AMPERSAND_RESOLVER_H


#include "ngx_ampersand_redis_conf.h"


/* rc: NGX_OK, sockaddr is set; NGX_ERROR, why is. */

typedef void (*ngx_ampersand_resolver_pt)(void *data, ngx_int_t rc);


typedef struct {
    ngx_sockaddr_t             sockaddr;
    socklen_t                  socklen;
    const char                *why;     /* there is none                      */
    ngx_uint_t                 turn;    /* of several addresses               */

    amp_redis_host_t           host;
    ngx_ampersand_redis_host_t *known;  /* the directive's, or NULL         */
    ngx_resolver_ctx_t        *ctx;     /* while the resolver is asked        */
    ngx_ampersand_resolver_pt   handler;
    void                      *data;
    unsigned                   calling:1;
} ngx_ampersand_resolver_t;


/*
 * NGX_OK, NGX_ERROR: as above, handler is not called.  NGX_AGAIN: it will be,
 * unless ngx_ampersand_resolver_cancel() comes first.
 */

ngx_int_t ngx_ampersand_resolver_find(ngx_ampersand_resolver_t *address,
    ngx_ampersand_redis_conf_t *conf, const amp_redis_host_t *host,
    ngx_ampersand_resolver_pt handler, void *data);

void ngx_ampersand_resolver_cancel(ngx_ampersand_resolver_t *address);


#endif /* NGX_AMPERSAND_RESOLVER_H */
