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

/*
 * In postconfiguration: where others find the status, for the registry, as
 * "http://10.0.0.5:8080/-/status"; the machine's name stands for an address
 * that means all of its addresses.  Of several locations that of the last.
 * Empty where there is none.  NGX_ERROR: no memory.
 */

ngx_int_t ngx_http_ampersand_status_address(ngx_conf_t *cf,
    ngx_str_t *address);


#endif /* NGX_HTTP_AMPERSAND_STATUS_H */
