/*
 * ampersand_status: what the gateway is doing, as JSON, Prometheus text or
 * HTML.
 */

#ifndef NGX_HTTP_AMPERSAND_STATUS_H
#define NGX_HTTP_AMPERSAND_STATUS_H


#include "ngx_ampersand_compat.h"
#include <ngx_http.h>


/* The directive's ngx_command_t.set: the location answers with the status. */

char *ngx_http_ampersand_status(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


#endif /* NGX_HTTP_AMPERSAND_STATUS_H */
