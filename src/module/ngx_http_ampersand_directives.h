/*
 * The directives that do more than fill a slot.  Each is an ngx_command_t.set:
 * NGX_CONF_OK, a text for nginx to report, or NGX_CONF_ERROR after having said
 * what to write instead.
 */

#ifndef NGX_HTTP_AMPERSAND_DIRECTIVES_H
#define NGX_HTTP_AMPERSAND_DIRECTIVES_H


#include "request/ngx_http_ampersand_conf.h"


char *ngx_http_ampersand_set_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_ampersand_set_redis(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_ampersand_set_master_key(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
char *ngx_http_ampersand_set_identity(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_ampersand_set_api(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_ampersand_set_upstream(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);

/*
 * In upstream{}: does what nginx's "server" does with these parameters.  Where
 * nginx can (NGX_AMPERSAND_RESOLVE) and http{} has a resolver before, also what
 * "zone" and the parameter "resolve" do.
 */

char *ngx_http_ampersand_set_server(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);

char *ngx_http_ampersand_set_limit(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * A directive of nginx's own with one parameter, which is also kept in the
 * ngx_str_t at cmd->offset of conf.
 */

char *ngx_http_ampersand_set_word(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

char *ngx_http_ampersand_set_rewrite(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_ampersand_set_cors(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_ampersand_set_ttl(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_ampersand_set_stale(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


#endif /* NGX_HTTP_AMPERSAND_DIRECTIVES_H */
