/*
 * The variables, $ampersand_*.
 */

#ifndef NGX_HTTP_AMPERSAND_VARIABLES_H
#define NGX_HTTP_AMPERSAND_VARIABLES_H


#include "ngx_http_ampersand_context.h"


/* For preconfiguration. */

ngx_int_t ngx_http_ampersand_add_variables(ngx_conf_t *cf);


#endif /* NGX_HTTP_AMPERSAND_VARIABLES_H */
