/*
 * What is done before an upstream request is sent.
 *
 * nginx calls peer.init of the upstream{} when it has looked into its cache,
 * has built an upstream request of its own (create_request), and has no
 * connection yet.  The module stands in front of each peer.init.  There it
 * makes the object of ngx_http_ampersand_upstream.h and does all that has to
 * be done before bytes are sent: an answer from the cache needs no object, no
 * key and no unit.
 */

#ifndef NGX_HTTP_AMPERSAND_SEND_H
#define NGX_HTTP_AMPERSAND_SEND_H


#include "ngx_ampersand_compat.h"
#include <ngx_http.h>


/* Puts the module in front of every peer.init.  For postconfiguration. */

ngx_int_t ngx_http_ampersand_send_init(ngx_conf_t *cf);

/*
 * The rewrite phase: a subrequest to a gateway location is refused, 403.  nginx
 * runs this phase for each subrequest but its own clones.
 */

ngx_int_t ngx_http_ampersand_subrequest_handler(ngx_http_request_t *r);


#endif /* NGX_HTTP_AMPERSAND_SEND_H */
