/*
 * What holds where nothing is written: the configuration before its directives
 * are read, and after http{}, server{} and location{} are merged.
 */

#ifndef NGX_HTTP_AMPERSAND_DEFAULTS_H
#define NGX_HTTP_AMPERSAND_DEFAULTS_H


#include "request/ngx_http_ampersand_conf.h"


/*
 * ngx_http_module_t's.  The last one also checks what a gateway location needs
 * from http{} and server{}, and says what to write there.
 */

void *ngx_http_ampersand_create_main_conf(ngx_conf_t *cf);
char *ngx_http_ampersand_init_main_conf(ngx_conf_t *cf, void *conf);
void *ngx_http_ampersand_create_srv_conf(ngx_conf_t *cf);
void *ngx_http_ampersand_create_loc_conf(ngx_conf_t *cf);
char *ngx_http_ampersand_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);


#endif /* NGX_HTTP_AMPERSAND_DEFAULTS_H */
