/*
 * The status in JSON.
 */

#ifndef NGX_HTTP_AMPERSAND_JSON_H
#define NGX_HTTP_AMPERSAND_JSON_H


#include "ngx_http_ampersand_figures.h"
#include "ngx_http_ampersand_text.h"


/*
 * Writes the n figures, requests by decision, what amcf->metrics has, and so
 * many seconds of its history.
 */

void ngx_http_ampersand_json(ngx_http_ampersand_text_t *text,
    ngx_http_ampersand_main_conf_t *amcf,
    const ngx_http_ampersand_figure_t *f, ngx_uint_t n, ngx_uint_t history);


#endif /* NGX_HTTP_AMPERSAND_JSON_H */
