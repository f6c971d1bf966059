/*
 * Connections of an upstream{} that several of Ampersand's hosts share.
 *
 * nginx keeps connections and TLS sessions for each address, whatever name they
 * were verified for.  Where one upstream{} with TLS stands for several hosts
 * (ampersand_upstream https://NAME), a connection that was verified for one of
 * them would carry requests and keys of another (RFC 9110, 4.3.3), and a
 * session of one would be offered to another.  There a connection is used again
 * for its own host only, and no session is used again.
 *
 * The five upstream{} of ampersand/upstreams.conf share nothing: nginx's own
 * handlers stay in place.
 */

#ifndef NGX_HTTP_AMPERSAND_PEER_H
#define NGX_HTTP_AMPERSAND_PEER_H


#include "ngx_http_ampersand_conf.h"


/*
 * Called when an upstream request has its peer, before it connects: puts the
 * module between nginx and the balancer where the upstream{} is shared.
 * NGX_ERROR: no memory.
 */

ngx_int_t ngx_http_ampersand_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us);


#endif /* NGX_HTTP_AMPERSAND_PEER_H */
