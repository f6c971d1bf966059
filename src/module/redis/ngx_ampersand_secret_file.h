/* Opens files that hold a secret, by the rules of amp_secret_file.h. */

#ifndef NGX_AMPERSAND_SECRET_FILE_H
#define NGX_AMPERSAND_SECRET_FILE_H


#include "ngx_ampersand_compat.h"


/*
 * Reads a regular file of 1 to max bytes that others have no access to.  A
 * relative path becomes an absolute one, from nginx's configuration directory.
 * NGX_ERROR after an emerg line that says why.  The text, not NUL-terminated,
 * is cf->pool's: the caller wipes it after use.
 */

ngx_int_t ngx_ampersand_secret_file(ngx_conf_t *cf, ngx_str_t *path,
    size_t max, ngx_str_t *text);

/* The same for a secret on one line, which is the text. */

ngx_int_t ngx_ampersand_secret_line(ngx_conf_t *cf, ngx_str_t *path,
    ngx_str_t *text);


#endif /* NGX_AMPERSAND_SECRET_FILE_H */
