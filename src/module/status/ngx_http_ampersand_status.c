#include "ngx_http_ampersand_status.h"
#include "ngx_http_ampersand_figures.h"
#include "ngx_http_ampersand_json.h"
#include "ngx_http_ampersand_page.h"
#include "ngx_http_ampersand_prometheus.h"
#include "ngx_http_ampersand_text.h"
#include "request/ngx_http_ampersand_context.h"
#include "zone/ngx_ampersand_history.h"
#include "amp_gateway.h"


/*
 * Three formats: "?format=prometheus" (text format 0.0.4), "?format=html", else
 * JSON; without an argument the Accept header of a browser or a scraper
 * chooses.
 */

typedef enum {
    NGX_HTTP_AMPERSAND_JSON = 0,
    NGX_HTTP_AMPERSAND_PROMETHEUS,
    NGX_HTTP_AMPERSAND_HTML
} ngx_http_ampersand_format_e;


static ngx_http_conf_addr_t *ngx_http_ampersand_status_listen(ngx_conf_t *cf,
    ngx_http_core_srv_conf_t *server);
static ngx_int_t ngx_http_ampersand_status_handler(ngx_http_request_t *r);
static ngx_http_ampersand_format_e ngx_http_ampersand_status_format(
    ngx_http_request_t *r);
static ngx_uint_t ngx_http_ampersand_status_history(ngx_http_request_t *r);


char *
ngx_http_ampersand_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t        *clcf;
    ngx_http_ampersand_main_conf_t  *amcf;

    (void) cmd;
    (void) conf;

    amcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ampersand_module);

    if (amcf->zone == NULL) {
        return "needs \"ampersand_zone 16m;\" before it, in http{}";
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_ampersand_status_handler;

    amcf->status_server = ngx_http_conf_get_module_srv_conf(cf,
                                                        ngx_http_core_module);
    amcf->status_path = clcf->name;

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_ampersand_status_address(ngx_conf_t *cf, ngx_str_t *address)
{
    u_char                          *p, *colon;
    ngx_str_t                        host;
    ngx_http_conf_addr_t            *addr;
    ngx_http_ampersand_main_conf_t  *amcf;

    amcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ampersand_module);

    addr = amcf->status_server
           ? ngx_http_ampersand_status_listen(cf, amcf->status_server) : NULL;

    if (addr == NULL) {
        return NGX_OK;
    }

    host = addr->opt.addr_text;
    colon = addr->opt.wildcard ? ngx_strlchr(host.data, host.data + host.len,
                                             ':')
                               : NULL;

    /* of "[::]:8080" the last colon */

    for (p = colon; p; p = ngx_strlchr(p + 1, host.data + host.len, ':')) {
        colon = p;
    }

    address->data = ngx_pnalloc(cf->pool, sizeof("https://:") + host.len
                                          + cf->cycle->hostname.len
                                          + amcf->status_path.len);
    if (address->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(address->data, "http%s://", addr->opt.ssl ? "s" : "");

    if (colon) {
        p = ngx_sprintf(p, "%V%*s", &cf->cycle->hostname,
                        (size_t) (host.data + host.len - colon), colon);

    } else {
        p = ngx_sprintf(p, "%V%s", &host,
                        ngx_strncmp(host.data, "unix:", 5) == 0 ? ":" : "");
    }

    p = ngx_sprintf(p, "%V", &amcf->status_path);

    address->len = ngx_min((size_t) (p - address->data), AMP_GATEWAY_STATUS);

    return NGX_OK;
}


/* The first address on which the server listens. */

static ngx_http_conf_addr_t *
ngx_http_ampersand_status_listen(ngx_conf_t *cf,
    ngx_http_core_srv_conf_t *server)
{
    ngx_uint_t                   i, j, k;
    ngx_http_conf_port_t        *port;
    ngx_http_conf_addr_t        *addr;
    ngx_http_core_srv_conf_t   **servers;
    ngx_http_core_main_conf_t   *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    if (cmcf->ports == NULL) {
        return NULL;
    }

    port = cmcf->ports->elts;

    for (i = 0; i < cmcf->ports->nelts; i++) {
        addr = port[i].addrs.elts;

        for (j = 0; j < port[i].addrs.nelts; j++) {
            servers = addr[j].servers.elts;

            for (k = 0; k < addr[j].servers.nelts; k++) {
                if (servers[k] == server) {
                    return &addr[j];
                }
            }
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_ampersand_status_handler(ngx_http_request_t *r)
{
    ngx_int_t                        rc;
    ngx_uint_t                       n;
    const char                      *type;
    ngx_http_ampersand_text_t        text;
    ngx_http_ampersand_format_e      format;
    ngx_http_ampersand_figure_t      figures[NGX_HTTP_AMPERSAND_FIGURES];
    ngx_http_ampersand_main_conf_t  *amcf;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    format = ngx_http_ampersand_status_format(r);

    if (format == NGX_HTTP_AMPERSAND_HTML) {
        return ngx_http_ampersand_page(r);
    }

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);
    ngx_ampersand_history(amcf->metrics->sh);
    n = ngx_http_ampersand_figures(amcf, figures);

    ngx_http_ampersand_text_init(&text, r);

    if (format == NGX_HTTP_AMPERSAND_PROMETHEUS) {
        type = "text/plain; version=0.0.4";
        ngx_http_ampersand_prometheus(&text, amcf, figures, n);

    } else {
        type = "application/json";
        ngx_http_ampersand_json(&text, amcf, figures, n,
                                ngx_http_ampersand_status_history(r));
    }

    return ngx_http_ampersand_text_send(&text, NGX_HTTP_OK, type);
}


static ngx_http_ampersand_format_e
ngx_http_ampersand_status_format(ngx_http_request_t *r)
{
    ngx_str_t                  format;
    ngx_http_ampersand_ctx_t  *ctx;

    if (ngx_http_arg(r, (u_char *) "format", 6, &format) == NGX_OK) {
        return (format.len == 10
                && ngx_strncmp(format.data, "prometheus", 10) == 0)
               ? NGX_HTTP_AMPERSAND_PROMETHEUS
               : (format.len == 4 && ngx_strncmp(format.data, "html", 4) == 0)
               ? NGX_HTTP_AMPERSAND_HTML : NGX_HTTP_AMPERSAND_JSON;
    }

    ctx = ngx_http_ampersand_context(r);

    if (ctx == NULL || ctx->headers.accept.len == 0) {
        return NGX_HTTP_AMPERSAND_JSON;
    }

    if (ngx_strnstr(ctx->headers.accept.data, "text/html",
                    ctx->headers.accept.len))
    {
        return NGX_HTTP_AMPERSAND_HTML;
    }

    if (ngx_strnstr(ctx->headers.accept.data, "text/plain",
                    ctx->headers.accept.len)
        || ngx_strnstr(ctx->headers.accept.data, "openmetrics",
                       ctx->headers.accept.len))
    {
        return NGX_HTTP_AMPERSAND_PROMETHEUS;
    }

    return NGX_HTTP_AMPERSAND_JSON;
}


/* "?history=60": the seconds of the past that JSON has, at most all. */

static ngx_uint_t
ngx_http_ampersand_status_history(ngx_http_request_t *r)
{
    ngx_int_t  n;
    ngx_str_t  value;

    if (ngx_http_arg(r, (u_char *) "history", 7, &value) != NGX_OK) {
        return 0;
    }

    n = ngx_atoi(value.data, value.len);

    return n < 0 ? 0 : ngx_min((ngx_uint_t) n, NGX_AMPERSAND_HISTORY);
}
