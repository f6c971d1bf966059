/*
 * Where a gateway location stands, and the path that it gives to the core.
 *
 *   location /v1, /write/v1, ...         the path is the gateway's own
 *   location /any/prefix/write/v1        what stands before is left out
 *   location / and /any/prefix/ of a     the path is the one at Ampersand's own
 *   server, "ampersand write;"           host: "/write" is put in front of it
 *   rewrite, error_page, try_files       the new URI counts, as everywhere in
 *                                        nginx
 */

#ifndef NGX_HTTP_AMPERSAND_LOCATION_H
#define NGX_HTTP_AMPERSAND_LOCATION_H


#include "ngx_http_ampersand_conf.h"


/* Fills alcf->skip from the location's name; the API is known. */

void ngx_http_ampersand_location_conf(ngx_conf_t *cf,
    ngx_http_ampersand_loc_conf_t *alcf);

/*
 * Whether requests can match: a location for one path only ("location = PATH")
 * needs a path of the table.  NGX_ERROR after an error in the log.
 */

ngx_int_t ngx_http_ampersand_location_check(ngx_conf_t *cf,
    ngx_http_ampersand_loc_conf_t *alcf);

/*
 * The path as the core reads it, percent-encoded, and the query; args->data is
 * NULL where there is none.  Where the URI was rewritten to the end of what the
 * client sent, its own encoding is kept.
 */

ngx_int_t ngx_http_ampersand_location_path(ngx_http_request_t *r,
    ngx_http_ampersand_loc_conf_t *alcf, ngx_str_t *path, ngx_str_t *args);

/*
 * The rewrite phase: in a gateway's server that has no "root", a request that
 * no location is for is 404, and not looked for in nginx's folder html.
 */

ngx_int_t ngx_http_ampersand_location_handler(ngx_http_request_t *r);


#endif /* NGX_HTTP_AMPERSAND_LOCATION_H */
