/*
 * Between nginx and the balancer of an upstream{}: which of the kept
 * connections a request may use, and which addresses have failed.
 *
 * 1. A request that was sent, and is tried once more, gets a new connection.
 *    An upstream that ends each kept connection when a request comes would get
 *    it once for each of them: nginx does not count those as tries.
 *
 * 2. Upstream may have closed a kept connection, or have sent more bytes, and
 *    nginx has not come to that event yet: such a connection is not used.  A
 *    POST would be lost with it, and the bytes be read as its answer.
 *
 * 3. nginx keeps connections and TLS sessions for each address, whatever name
 *    they were verified for.  Where one upstream{} with TLS stands for several
 *    hosts (ampersand_upstream https://NAME), a connection that was verified
 *    for one of them would carry requests and keys of another (RFC 9110,
 *    4.3.3), and a session of one would be offered to another.  There a
 *    connection is used again for its own host only, and no session is used
 *    again.  The five upstream{} of ampersand/upstreams.conf share nothing.
 *
 * 4. An address has failed where no connection is made.  A request that was
 *    sent and got no answer says nothing about the address: nginx would send
 *    nobody's request there for fail_timeout, and answer all with a 502 once
 *    that has happened to each address.  That is for the breaker to decide.
 *
 * And a connection that is given back holds no key: nginx copies what it sends
 * into a buffer of the TLS connection, which lives as long as that.
 */

#ifndef NGX_HTTP_AMPERSAND_PEER_H
#define NGX_HTTP_AMPERSAND_PEER_H


#include "ngx_http_ampersand_conf.h"


/* Of one upstream request.  What the balancer has set, and its data. */

typedef struct {
    ngx_http_upstream_t              *upstream;
    size_t                            head;     /* its length                 */
    ngx_uint_t                        api;
    ngx_uint_t                        shared;   /* by several hosts, with TLS */
    void                             *data;
    ngx_event_get_peer_pt             get;
    ngx_event_free_peer_pt            free;
    ngx_event_notify_peer_pt          notify;
#if (NGX_HTTP_SSL)
    ngx_event_set_peer_session_pt     set_session;
    ngx_event_save_peer_session_pt    save_session;
#endif
} ngx_http_ampersand_peer_t;


/*
 * Called when an upstream request has its peer, before it connects: puts the
 * module between nginx and the balancer.  *peer has to live as long as the
 * upstream request, whose head has this length.
 */

void ngx_http_ampersand_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us, ngx_http_ampersand_peer_t *peer,
    size_t head);


#endif /* NGX_HTTP_AMPERSAND_PEER_H */
