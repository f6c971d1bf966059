/*
 * Gateway locations that no request can reach, or in which none can be served:
 * nginx -t warns of them.
 *
 *   location /v1/none      no operation's path is this, or begins so
 *   location /v1           beside "location ~ ^/v1": nginx prefers regular
 *                          expressions
 *   location ~ ^/v1/x      beside "location ^~ /v1", or behind another regular
 *                          expression that matches all the same
 *
 * Only what is certain is said.  A location with "rewrite" is served at any
 * path; of a regular expression nothing is known but that it matches all that
 * begins with something; a named location is reached by its name.
 */

#ifndef NGX_HTTP_AMPERSAND_REACH_H
#define NGX_HTTP_AMPERSAND_REACH_H


#include "request/ngx_http_ampersand_conf.h"


/*
 * Looks through the locations of all servers, whose trees nginx has made.
 * NGX_ERROR: no memory.
 */

ngx_int_t ngx_http_ampersand_reach_check(ngx_conf_t *cf);


#endif /* NGX_HTTP_AMPERSAND_REACH_H */
