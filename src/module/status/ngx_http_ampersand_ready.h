/*
 * ampersand_ready: can the gateway serve anybody?  200, or 503 with the reason:
 *
 *   store-down   Redis is out of reach, and no tenant in the zone may be served
 *   no-key       the master keys open the key of no tenant that was sampled
 *
 * It is not a look at one tenant: while some can be served it answers 200, and
 * also where Redis has no tenant yet.
 */

#ifndef NGX_HTTP_AMPERSAND_READY_H
#define NGX_HTTP_AMPERSAND_READY_H


#include "ngx_ampersand_compat.h"
#include <ngx_http.h>


/* The directive's ngx_command_t.set: the location answers whether. */

char *ngx_http_ampersand_ready(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


#endif /* NGX_HTTP_AMPERSAND_READY_H */
