/*
 * Where a gateway location stands, and the path that it gives to the core.
 *
 *   location /v1, /write/v1, ...         the path is the gateway's own
 *   location /any/prefix/write/v1        what stands before is left out
 *   location / and /any/prefix/ of a     the path is the one at Ampersand's own
 *   server, "ampersand write;"           host: "/write" is put in front of it
 *   location ~ REGEX, location @NAME     either, and nothing is left out
 *   rewrite, error_page, try_files       the new URI counts, as everywhere in
 *                                        nginx; after "rewrite ... break"
 *                                        nothing of it is left out
 */

#ifndef NGX_HTTP_AMPERSAND_LOCATION_H
#define NGX_HTTP_AMPERSAND_LOCATION_H


#include "ngx_http_ampersand_conf.h"


/* Fills alcf->skip from the location's name; the API is known. */

void ngx_http_ampersand_location_conf(ngx_conf_t *cf,
    ngx_http_ampersand_loc_conf_t *alcf);

/*
 * Why no request can be served here whose decoded URI is this (whole), or
 * begins with it; NULL: one can, or it is not known.
 */

const char *ngx_http_ampersand_location_fault(ngx_conf_t *cf,
    ngx_http_ampersand_loc_conf_t *alcf, ngx_str_t *uri, ngx_uint_t whole);

/* What the path of an API begins with at the gateway: "/v1", "/proxy". */

ngx_str_t *ngx_http_ampersand_location_root(ngx_uint_t api);

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
