/*
 * What the error log says of a request.
 */

#ifndef NGX_HTTP_AMPERSAND_LOG_H
#define NGX_HTTP_AMPERSAND_LOG_H


#include "ngx_http_ampersand_context.h"


/*
 * r->log_handler: request id, tenant, operation and upstream.  nginx's own
 * names the request line, the URI sent upstream and the referrer, and an API
 * key may stand in the first two.
 */

u_char *ngx_http_ampersand_log_handler(ngx_http_request_t *r,
    ngx_http_request_t *sr, u_char *buf, size_t len);

/*
 * Makes copies of the logs of a server{} or location{} whose lines go through
 * the module.  A token is masked, and what a client sent in place of a PROXY
 * protocol header is left out.  With lower, nginx's lines of level error that
 * a client causes alone (a malformed body, a forbidden address, a file that is
 * not there) are of level info: no client may make the error log grow.
 */

ngx_int_t ngx_http_ampersand_log_conf(ngx_conf_t *cf, ngx_log_t **log,
    ngx_uint_t lower);

/*
 * nginx decides on its default log after it has read the configuration, and
 * copies logs for the listening sockets: brings both up to date.
 */

ngx_int_t ngx_http_ampersand_log_init_module(ngx_cycle_t *cycle);


#endif /* NGX_HTTP_AMPERSAND_LOG_H */
