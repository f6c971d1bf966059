/*
 * The directive ampersand_redis: URL [timeout=TIME] [prefix=TEXT]
 * [password_file=FILE] [ca_file=FILE] [cert_file=FILE] [key_file=FILE]
 * [server_name=NAME]
 */

#ifndef NGX_AMPERSAND_REDIS_CONF_H
#define NGX_AMPERSAND_REDIS_CONF_H


#include "ngx_ampersand_tls.h"
#include "amp_redis_url.h"


#define NGX_AMPERSAND_REDIS_TIMEOUT  100        /* ms                         */


/* A host of the URL, with its addresses when nginx read the directive. */

typedef struct {
    amp_redis_host_t             host;      /* "unix:PATH" for a socket       */
    ngx_uint_t                   naddrs;    /* 1 or more                      */
    ngx_addr_t                  *addrs;     /* with the URL's port            */
} ngx_ampersand_redis_host_t;


/* Everything here is in the configuration's pool. */

typedef struct {
    amp_redis_form_e             form;
    ngx_uint_t                   nhosts;    /* 1 or more                      */
    ngx_ampersand_redis_host_t  *hosts;
    ngx_str_t                    display;   /* the URL for logs, without the
                                               password                       */
    ngx_str_t                    user;      /* or empty                       */
    ngx_str_t                    password;  /* or empty                       */
    ngx_str_t                    db;        /* digits; empty: database 0      */
    ngx_str_t                    name;      /* of the master that the Sentinels
                                               watch, or empty                */
    ngx_str_t                    prefix;    /* of all keys and channels       */
    ngx_msec_t                   timeout;   /* ms, of an attempt to connect and
                                               of each command                */
    ngx_ampersand_tls_t         *tls;       /* or NULL                        */
    ngx_resolver_t              *resolver;  /* set by the caller: of http{}, or
                                               NULL                           */
} ngx_ampersand_redis_conf_t;


/*
 * Fills conf, which is zeroed, from the directive's arguments in cf->args, and
 * resolves the hosts, as nginx does for servers of an upstream{}.
 * NGX_CONF_ERROR after an emerg line that says what to write instead, and never
 * a password.
 */

char *ngx_ampersand_redis_conf(ngx_conf_t *cf,
    ngx_ampersand_redis_conf_t *conf);


#endif /* NGX_AMPERSAND_REDIS_CONF_H */
