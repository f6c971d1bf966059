/*
 * nginx's own settings in a gateway location.  Published configurations have
 * many of them in http{} or server{}, for other locations.  There are three
 * kinds, listed in docs/configuration.md (t/config_surroundings.t sets each
 * directive that nginx has):
 *
 *   pinned    what http{} and server{} say does not reach the gateway: those
 *             in ampersand/proxy.conf, and those of the table in this file's
 *             source, which a location may still change for itself
 *   refused   "nginx -t" fails, with the line and what to write instead
 *   left      to whoever runs nginx
 */

#ifndef NGX_HTTP_AMPERSAND_SETTINGS_H
#define NGX_HTTP_AMPERSAND_SETTINGS_H


#include "request/ngx_http_ampersand_conf.h"


/*
 * Pins.  To be called when our part of a gateway location is merged: nginx's
 * proxy module merges later (ngx_http_ampersand_private_check() sees to it),
 * so what is unset then is what the location does not say itself.
 */

ngx_int_t ngx_http_ampersand_settings_pin(ngx_conf_t *cf,
    ngx_http_ampersand_loc_conf_t *alcf);

/* Refuses; to be called when all is merged. */

ngx_int_t ngx_http_ampersand_settings_check(ngx_conf_t *cf,
    ngx_http_ampersand_loc_conf_t *alcf);


#endif /* NGX_HTTP_AMPERSAND_SETTINGS_H */
