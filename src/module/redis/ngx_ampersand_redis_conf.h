/* What "ampersand_redis" says; lives in the configuration's pool. */

#ifndef NGX_AMPERSAND_REDIS_CONF_H
#define NGX_AMPERSAND_REDIS_CONF_H


#include "ngx_ampersand_tls.h"
#include "amp_redis_url.h"


#define NGX_AMPERSAND_REDIS_TIMEOUT  100        /* ms                         */


/* A host of the URL, as it was resolved when the configuration was read. */

typedef struct {
    amp_redis_host_t       host;        /* "unix:PATH" for a socket           */
    ngx_uint_t             naddrs;
    ngx_addr_t            *addrs;
} ngx_ampersand_redis_host_t;


typedef struct {
    amp_redis_form_e             form;
    ngx_uint_t                   nhosts;
    ngx_ampersand_redis_host_t  *hosts;
    ngx_str_t                    display;   /* for logs, never a password     */
    ngx_str_t                    user;
    ngx_str_t                    password;
    ngx_str_t                    db;        /* digits; empty for database 0   */
    ngx_str_t                    name;      /* of Sentinel's master           */
    ngx_str_t                    prefix;
    ngx_msec_t                   timeout;   /* of connecting and of each
                                               command                        */
    ngx_ampersand_tls_t         *tls;       /* or NULL                        */
    ngx_resolver_t              *resolver;  /* http{}'s, or NULL              */
} ngx_ampersand_redis_conf_t;


/*
 * URL [timeout=TIME] [prefix=TEXT] [password_file=FILE] [ca_file=FILE]
 * [cert_file=FILE] [key_file=FILE] [server_name=NAME].  Fills conf from the
 * configuration's pool and resolves the hosts, as nginx does for servers of an
 * upstream{}.  NGX_CONF_ERROR after having logged what to write instead; a
 * password is never part of that.
 */

char *ngx_ampersand_redis_conf(ngx_conf_t *cf, ngx_ampersand_redis_conf_t *conf);


/*
 * Reads a secret file: regular, at most max bytes, closed to group and others,
 * final newline cut off.  NGX_ERROR after having logged why not.  The text is
 * the configuration pool's; wipe it after use where it is a secret.
 */

ngx_int_t ngx_ampersand_secret_file(ngx_conf_t *cf, ngx_str_t *path,
    size_t max, ngx_str_t *text);


#endif /* NGX_AMPERSAND_REDIS_CONF_H */
