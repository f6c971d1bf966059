/*
 * The gateway's figures that have no labels: one list for all formats of the
 * status.
 */

#ifndef NGX_HTTP_AMPERSAND_FIGURES_H
#define NGX_HTTP_AMPERSAND_FIGURES_H


#include "ngx_http_ampersand_text.h"
#include "request/ngx_http_ampersand_conf.h"


#define NGX_HTTP_AMPERSAND_FIGURES  48


typedef struct {
    const char         *name;       /* without "ampersand_"                   */
    const char         *type;       /* "counter" or "gauge"                   */
    const char         *help;
    ngx_atomic_uint_t   value;
    unsigned            milli:1;    /* value is signed, in thousandths        */
} ngx_http_ampersand_figure_t;


/*
 * Fills f, which has room for NGX_HTTP_AMPERSAND_FIGURES, and returns how many
 * there are.  Takes the zone's mutex.
 */

ngx_uint_t ngx_http_ampersand_figures(ngx_http_ampersand_main_conf_t *amcf,
    ngx_http_ampersand_figure_t *f);

/* Appends the value. */

void ngx_http_ampersand_figure_write(ngx_http_ampersand_text_t *text,
    const ngx_http_ampersand_figure_t *f);


#endif /* NGX_HTTP_AMPERSAND_FIGURES_H */
