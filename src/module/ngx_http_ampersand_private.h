/*
 * Private parts of nginx: what the module takes for granted of structures and
 * of an order that nginx may change in any version.  The compiler checks types
 * and layouts (ngx_http_ampersand_private.c); nginx -t checks the order of
 * modules.  What each part is for, and which test shows that it still works, is
 * a table in docs/development.md.
 */

#ifndef NGX_HTTP_AMPERSAND_PRIVATE_H
#define NGX_HTTP_AMPERSAND_PRIVATE_H


#include "ngx_ampersand_compat.h"
#include <ngx_http.h>


/*
 * In postconfiguration.  NGX_ERROR, and a message in the log: nginx would run
 * the module's handlers and filters at another place than they are made for.
 */

ngx_int_t ngx_http_ampersand_private_check(ngx_conf_t *cf);


#endif /* NGX_HTTP_AMPERSAND_PRIVATE_H */
