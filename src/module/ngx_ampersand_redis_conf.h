/* The arguments of "ampersand_redis". */

#ifndef NGX_AMPERSAND_REDIS_CONF_H
#define NGX_AMPERSAND_REDIS_CONF_H


#include "ngx_ampersand_redis.h"


#define NGX_AMPERSAND_REDIS_TIMEOUT  100        /* ms                         */


/*
 * URL [timeout=TIME] [prefix=TEXT] [password_file=FILE].  Fills conf from the
 * configuration's pool and resolves the host, as nginx does for servers of an
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
