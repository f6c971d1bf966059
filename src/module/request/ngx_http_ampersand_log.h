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
 * To be called before nginx reads or discards a chunked body: nginx reports a
 * malformed chunk at error level, and a client may not fill the error log.  The
 * next request's location sets the level anew
 * (ngx_http_update_location_config()).
 */

void ngx_http_ampersand_log_quiet(ngx_http_request_t *r);


#endif /* NGX_HTTP_AMPERSAND_LOG_H */
