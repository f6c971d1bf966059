/*
 * The status in Prometheus' text format 0.0.4.
 */

#ifndef NGX_HTTP_AMPERSAND_PROMETHEUS_H
#define NGX_HTTP_AMPERSAND_PROMETHEUS_H


#include "ngx_http_ampersand_figures.h"
#include "ngx_http_ampersand_text.h"


/* Writes the n figures, requests by decision, and what amcf->metrics has. */

void ngx_http_ampersand_prometheus(ngx_http_ampersand_text_t *text,
    ngx_http_ampersand_main_conf_t *amcf,
    const ngx_http_ampersand_figure_t *f, ngx_uint_t n);


#endif /* NGX_HTTP_AMPERSAND_PROMETHEUS_H */
