/*
 * The socket addresses of a host, which the directive, a Sentinel or a cluster
 * names:
 *
 *   an IP address or a socket's path   itself
 *   a name, with a resolver in http{}  asked for each time
 *   a name of the directive            the addresses from when nginx read the
 *                                      directive; also where the resolver fails
 *
 * A name can have several addresses.  They are tried one after the other: first
 * the one that worked last, or, after an attempt in which all of them failed,
 * the one after that attempt's first.
 */

#ifndef NGX_AMPERSAND_RESOLVER_H
#define NGX_AMPERSAND_RESOLVER_H


#include "ngx_ampersand_redis_conf.h"


typedef struct {
    ngx_sockaddr_t               sockaddr;
    socklen_t                    socklen;       /* 0: no address              */
} ngx_ampersand_address_t;


/* rc: NGX_OK, there is an address; NGX_ERROR, why is set. */

typedef void (*ngx_ampersand_resolver_pt)(void *data, ngx_int_t rc);


typedef struct {
    ngx_log_t                   *log;           /* set by the caller          */
    const char                  *why;           /* there is no address, for
                                                   the log; static            */

    /* the resolver's own */
    ngx_ampersand_address_t     *addrs;         /* allocated, or NULL         */
    ngx_uint_t                   naddrs;
    ngx_uint_t                   first;         /* index tried first          */
    ngx_uint_t                   tried;         /* before the current one     */
    ngx_uint_t                   begin;         /* 0: with the address that
                                                   worked; else index + 1     */
    ngx_ampersand_address_t      worked;        /* last, or socklen 0         */

    amp_redis_host_t             host;
    ngx_ampersand_redis_host_t  *directive;     /* its entry, or NULL         */
    ngx_resolver_ctx_t          *ctx;           /* a query of nginx's resolver,
                                                   or NULL                    */
    ngx_ampersand_resolver_pt    handler;
    void                        *data;
    unsigned                     finding:1;     /* within .._find()           */
} ngx_ampersand_resolver_t;


/*
 * Finds the addresses of host within timeout (milliseconds); half of it is for
 * nginx's resolver where the directive's addresses can replace its answer.
 * NGX_OK: the first address is the current one.  NGX_ERROR: why is set.
 * NGX_AGAIN: handler is called with one of these, unless
 * ngx_ampersand_resolver_clear() comes first.
 */

ngx_int_t ngx_ampersand_resolver_find(ngx_ampersand_resolver_t *resolver,
    ngx_ampersand_redis_conf_t *conf, const amp_redis_host_t *host,
    ngx_msec_t timeout, ngx_ampersand_resolver_pt handler, void *data);

/* The current address; only after NGX_OK and until .._clear(). */

ngx_ampersand_address_t *ngx_ampersand_resolver_address(
    ngx_ampersand_resolver_t *resolver);

/* Is there an address after the current one? */

ngx_uint_t ngx_ampersand_resolver_more(ngx_ampersand_resolver_t *resolver);

/* Goes to the next address.  NGX_DECLINED: all were tried. */

ngx_int_t ngx_ampersand_resolver_next(ngx_ampersand_resolver_t *resolver);

/* The current address works: it will be tried first. */

void ngx_ampersand_resolver_worked(ngx_ampersand_resolver_t *resolver);

/* All addresses failed: the next attempt begins with another one. */

void ngx_ampersand_resolver_failed(ngx_ampersand_resolver_t *resolver);

/* Cancels the query, frees the addresses; remembers which one worked. */

void ngx_ampersand_resolver_clear(ngx_ampersand_resolver_t *resolver);


#endif /* NGX_AMPERSAND_RESOLVER_H */
