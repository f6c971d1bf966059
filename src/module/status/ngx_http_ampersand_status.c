#include "ngx_http_ampersand_status.h"
#include "request/ngx_http_ampersand_context.h"


/*
 * ampersand_status: what the gateway is doing.  One list of figures, three
 * ways to write it: "?format=prometheus" (text format 0.0.4), "?format=html",
 * else JSON; a browser's or a scraper's Accept chooses too.
 */


#define NGX_HTTP_AMPERSAND_STATUS_SIZE  16384


typedef enum {
    NGX_HTTP_AMPERSAND_JSON = 0,
    NGX_HTTP_AMPERSAND_PROMETHEUS,
    NGX_HTTP_AMPERSAND_HTML
} ngx_http_ampersand_format_e;


typedef struct {
    const char         *name;
    const char         *type;
    const char         *help;
    ngx_atomic_uint_t   value;
} ngx_http_ampersand_figure_t;


static ngx_int_t ngx_http_ampersand_status_handler(ngx_http_request_t *r);
static ngx_http_ampersand_format_e ngx_http_ampersand_status_format(
    ngx_http_request_t *r);
static ngx_uint_t ngx_http_ampersand_figures(
    ngx_http_ampersand_main_conf_t *amcf, ngx_http_ampersand_figure_t *f);
static u_char *ngx_http_ampersand_status_json(u_char *p, u_char *last,
    ngx_http_ampersand_figure_t *f, ngx_uint_t n,
    ngx_ampersand_counters_t *counters);
static u_char *ngx_http_ampersand_status_prometheus(u_char *p, u_char *last,
    ngx_http_ampersand_figure_t *f, ngx_uint_t n,
    ngx_ampersand_counters_t *counters);
static u_char *ngx_http_ampersand_status_html(u_char *p, u_char *last,
    ngx_http_ampersand_figure_t *f, ngx_uint_t n,
    ngx_ampersand_counters_t *counters);


#define NGX_HTTP_AMPERSAND_FIGURES  40


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

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_ampersand_status_handler(ngx_http_request_t *r)
{
    u_char                          *p, *last;
    ngx_int_t                        rc;
    ngx_buf_t                       *b;
    ngx_uint_t                       n;
    ngx_chain_t                      out;
    ngx_ampersand_counters_t        *counters;
    ngx_http_ampersand_figure_t      figures[NGX_HTTP_AMPERSAND_FIGURES];
    ngx_http_ampersand_main_conf_t  *amcf;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    b = ngx_create_temp_buf(r->pool, NGX_HTTP_AMPERSAND_STATUS_SIZE);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);
    counters = ngx_ampersand_zone_counters(amcf->zone);
    n = ngx_http_ampersand_figures(amcf, figures);

    p = b->pos;
    last = b->end;

    switch (ngx_http_ampersand_status_format(r)) {

    case NGX_HTTP_AMPERSAND_PROMETHEUS:
        ngx_str_set(&r->headers_out.content_type, "text/plain; version=0.0.4");
        p = ngx_http_ampersand_status_prometheus(p, last, figures, n, counters);
        break;

    case NGX_HTTP_AMPERSAND_HTML:
        ngx_str_set(&r->headers_out.content_type, "text/html");
        p = ngx_http_ampersand_status_html(p, last, figures, n, counters);
        break;

    default:
        ngx_str_set(&r->headers_out.content_type, "application/json");
        p = ngx_http_ampersand_status_json(p, last, figures, n, counters);
    }

    b->last = p;
    b->last_buf = 1;
    b->last_in_chain = 1;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = b->last - b->pos;
    r->headers_out.content_type_len = r->headers_out.content_type.len;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


static ngx_http_ampersand_format_e
ngx_http_ampersand_status_format(ngx_http_request_t *r)
{
    ngx_str_t                 format;
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


static ngx_uint_t
ngx_http_ampersand_figures(ngx_http_ampersand_main_conf_t *amcf,
    ngx_http_ampersand_figure_t *f)
{
    ngx_uint_t                  i, up, degraded, workers, max;
    ngx_core_conf_t            *ccf;
    ngx_ampersand_counters_t   *c;
    ngx_ampersand_zone_stat_t   zone;

    c = ngx_ampersand_zone_counters(amcf->zone);
    ngx_ampersand_zone_stat(amcf->zone, &zone);

    up = 0;
    degraded = 0;
    workers = 0;

    ccf = (ngx_core_conf_t *) ngx_get_conf(ngx_cycle->conf_ctx,
                                           ngx_core_module);
    max = ngx_min((ngx_uint_t) ccf->worker_processes, NGX_AMPERSAND_WORKERS);

    for (i = 0; i < max; i++) {
        workers += (c->up[i] != 0);
        up += (c->up[i] == NGX_AMPERSAND_REDIS_UP);
        degraded += (c->up[i] == NGX_AMPERSAND_REDIS_DEGRADED);
    }

    i = 0;

#define ngx_http_ampersand_figure(n, t, h, v)                                 \
    f[i].name = n; f[i].type = t; f[i].help = h; f[i++].value = v

    ngx_http_ampersand_figure("redis_links_up", "gauge",
                              "Workers whose link to Redis is up", up);
    ngx_http_ampersand_figure("redis_links", "gauge",
                              "Workers that have a link to Redis", workers);
    ngx_http_ampersand_figure("redis_degraded", "gauge",
                              "Workers that Redis, or a part of its cluster, "
                              "has failed", degraded);
    ngx_http_ampersand_figure("redis_events_up", "gauge",
                              "1 while subscribed to events", c->events_up);
    ngx_http_ampersand_figure("redis_connects_total", "counter",
                              "Attempts to connect", c->redis.connects);
    ngx_http_ampersand_figure("redis_failures_total", "counter",
                              "Links lost and attempts failed",
                              c->redis.failures);
    ngx_http_ampersand_figure("redis_timeouts_total", "counter",
                              "Answers that did not come in time",
                              c->redis.timeouts);
    ngx_http_ampersand_figure("redis_commands_total", "counter",
                              "Commands sent", c->redis.commands);
    ngx_http_ampersand_figure("redis_moves_total", "counter",
                              "Links that followed a master elsewhere",
                              c->redis.moves);
    ngx_http_ampersand_figure("redis_redirects_total", "counter",
                              "Redirections of a cluster that were followed",
                              c->redis.redirects);
    ngx_http_ampersand_figure("redis_slot_maps_total", "counter",
                              "Slot maps asked for", c->redis.refreshes);
    ngx_http_ampersand_figure("events_total", "counter",
                              "Changes heard of", c->events);
    ngx_http_ampersand_figure("lookups_total", "counter",
                              "Look-ups of a tenant in Redis", c->lookups);
    ngx_http_ampersand_figure("lookup_failures_total", "counter",
                              "Look-ups that Redis did not answer",
                              c->lookup_failures);
    ngx_http_ampersand_figure("lookups_refused_total", "counter",
                              "Look-ups not made, too many tokens were unknown",
                              c->lookups_refused);
    ngx_http_ampersand_figure("stale_tenants_served_total", "counter",
                              "Requests served by a record from before an "
                              "outage", c->stale_served);
    ngx_http_ampersand_figure("cache_hits_total", "counter",
                              "Requests answered from the cache",
                              c->cache_hits);
    ngx_http_ampersand_figure("upstream_requests_total", "counter",
                              "Requests answered by Ampersand", c->upstream);
    ngx_http_ampersand_figure("observed_total", "counter",
                              "Requests that passed because of "
                              "ampersand_observe", c->observed);
    ngx_http_ampersand_figure("limits_degraded", "gauge",
                              "1 while limits are held without Redis",
                              ngx_ampersand_lease_away(amcf->zone));
    ngx_http_ampersand_figure("lease_calls_total", "counter",
                              "Leases asked for", c->lease_calls);
    ngx_http_ampersand_figure("lease_failures_total", "counter",
                              "Leases that Redis did not give an answer to",
                              c->lease_failures);
    ngx_http_ampersand_figure("limit_fallbacks_total", "counter",
                              "Requests decided on by "
                              "ampersand_limit_fallback", c->limit_fallbacks);
    ngx_http_ampersand_figure("cooldowns_total", "counter",
                              "Cool-downs opened by a 429 of Ampersand",
                              c->cooldowns);
    ngx_http_ampersand_figure("zone_size_bytes", "gauge",
                              "Shared memory", zone.size);
    ngx_http_ampersand_figure("zone_free_bytes", "gauge",
                              "Whole free pages of it", zone.free_pages);
    ngx_http_ampersand_figure("zone_tenants", "gauge",
                              "Tenants in it", zone.tenants);
    ngx_http_ampersand_figure("zone_tokens", "gauge",
                              "Tokens in it", zone.tokens);
    ngx_http_ampersand_figure("zone_unknown_tokens", "gauge",
                              "Tokens and tenants known not to exist",
                              zone.unknown);
    ngx_http_ampersand_figure("zone_evictions_total", "counter",
                              "Entries dropped for want of room",
                              c->evictions);
    ngx_http_ampersand_figure("zone_no_memory_total", "counter",
                              "Entries that found no room", c->no_memory);

    return i;
}


static u_char *
ngx_http_ampersand_status_json(u_char *p, u_char *last,
    ngx_http_ampersand_figure_t *f, ngx_uint_t n,
    ngx_ampersand_counters_t *counters)
{
    ngx_uint_t  i;

    p = ngx_slprintf(p, last, "{\"requests\":{\"pass\":%uA",
                     counters->reasons[AMP_OK]);

    for (i = 1; i < AMP_REASON_COUNT; i++) {
        p = ngx_slprintf(p, last, ",\"%s\":%uA", amp_problem(i)->name,
                         counters->reasons[i]);
    }

    p = ngx_slprintf(p, last, "}");

    for (i = 0; i < n; i++) {
        p = ngx_slprintf(p, last, ",\"%s\":%uA", f[i].name, f[i].value);
    }

    return ngx_slprintf(p, last, "}\n");
}


static u_char *
ngx_http_ampersand_status_prometheus(u_char *p, u_char *last,
    ngx_http_ampersand_figure_t *f, ngx_uint_t n,
    ngx_ampersand_counters_t *counters)
{
    ngx_uint_t  i;

    p = ngx_slprintf(p, last,
                     "# HELP ampersand_requests_total Requests by decision\n"
                     "# TYPE ampersand_requests_total counter\n"
                     "ampersand_requests_total{decision=\"pass\"} %uA\n",
                     counters->reasons[AMP_OK]);

    for (i = 1; i < AMP_REASON_COUNT; i++) {
        p = ngx_slprintf(p, last,
                         "ampersand_requests_total{decision=\"%s\"} %uA\n",
                         amp_problem(i)->name, counters->reasons[i]);
    }

    for (i = 0; i < n; i++) {
        p = ngx_slprintf(p, last,
                         "# HELP ampersand_%s %s\n# TYPE ampersand_%s %s\n"
                         "ampersand_%s %uA\n", f[i].name, f[i].help,
                         f[i].name, f[i].type, f[i].name, f[i].value);
    }

    return p;
}


static u_char *
ngx_http_ampersand_status_html(u_char *p, u_char *last,
    ngx_http_ampersand_figure_t *f, ngx_uint_t n,
    ngx_ampersand_counters_t *counters)
{
    ngx_uint_t  i;

    p = ngx_slprintf(p, last,
                     "<!doctype html><meta charset=utf-8>"
                     "<title>Ampersand gateway</title>"
                     "<style>body{font:14px sans-serif;margin:2em}"
                     "td{padding:.1em 1em}td+td{text-align:right}</style>"
                     "<h1>Ampersand gateway</h1><table>"
                     "<tr><td>requests passed<td>%uA\n",
                     counters->reasons[AMP_OK]);

    for (i = 1; i < AMP_REASON_COUNT; i++) {
        if (counters->reasons[i]) {
            p = ngx_slprintf(p, last, "<tr><td>refused: %s<td>%uA\n",
                             amp_problem(i)->name, counters->reasons[i]);
        }
    }

    for (i = 0; i < n; i++) {
        p = ngx_slprintf(p, last, "<tr><td>%s<td>%uA\n", f[i].help,
                         f[i].value);
    }

    return ngx_slprintf(p, last, "</table>\n");
}
