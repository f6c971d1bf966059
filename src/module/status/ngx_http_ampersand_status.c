#include "ngx_http_ampersand_status.h"
#include "request/ngx_http_ampersand_context.h"
#include "amp_gateway.h"


/*
 * One list of figures, in three formats: "?format=prometheus" (text format
 * 0.0.4), "?format=html", else JSON; without an argument the Accept header of a
 * browser or a scraper chooses.
 */


#define NGX_HTTP_AMPERSAND_STATUS_SIZE    32768
#define NGX_HTTP_AMPERSAND_STATUS_SERVER  2048  /* bytes of one server        */


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


static ngx_http_conf_addr_t *ngx_http_ampersand_status_listen(ngx_conf_t *cf,
    ngx_http_core_srv_conf_t *server);
static ngx_int_t ngx_http_ampersand_status_handler(ngx_http_request_t *r);
static ngx_http_ampersand_format_e ngx_http_ampersand_status_format(
    ngx_http_request_t *r);
static ngx_uint_t ngx_http_ampersand_figures(
    ngx_http_ampersand_main_conf_t *amcf, ngx_http_ampersand_figure_t *f);
static u_char *ngx_http_ampersand_status_json(u_char *p, u_char *last,
    ngx_http_ampersand_figure_t *f, ngx_uint_t n,
    ngx_http_ampersand_main_conf_t *amcf);
static u_char *ngx_http_ampersand_status_servers(u_char *p, u_char *last,
    ngx_http_ampersand_main_conf_t *amcf);
static u_char *ngx_http_ampersand_status_server(u_char *p, u_char *last,
    ngx_http_upstream_server_t *server);
static u_char *ngx_http_ampersand_status_prometheus(u_char *p, u_char *last,
    ngx_http_ampersand_figure_t *f, ngx_uint_t n,
    ngx_ampersand_counters_t *counters);
static u_char *ngx_http_ampersand_status_html(u_char *p, u_char *last,
    ngx_http_ampersand_figure_t *f, ngx_uint_t n,
    ngx_ampersand_counters_t *counters);


#define NGX_HTTP_AMPERSAND_FIGURES  48


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
    u_char                          *p, *last;
    ngx_int_t                        rc;
    ngx_buf_t                       *b;
    ngx_uint_t                       n;
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
        p = ngx_http_ampersand_status_json(p, last, figures, n, amcf);
    }

    b->last = p;

    return ngx_http_ampersand_status_send(r, b, NGX_HTTP_OK);
}


ngx_int_t
ngx_http_ampersand_status_send(ngx_http_request_t *r, ngx_buf_t *b,
    ngx_uint_t status)
{
    ngx_int_t    rc;
    ngx_chain_t  out;

    b->last_buf = (r == r->main);
    b->last_in_chain = 1;

    r->headers_out.status = status;
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
                              "Workers for which Redis, or a part of its "
                              "cluster, is out of reach", degraded);
    ngx_http_ampersand_figure("redis_events_up", "gauge",
                              "1 while subscribed to invalidations",
                              c->events_up);
    ngx_http_ampersand_figure("redis_connects_total", "counter",
                              "Attempts to connect to Redis",
                              c->redis.connects);
    ngx_http_ampersand_figure("redis_failures_total", "counter",
                              "Links lost and attempts failed",
                              c->redis.failures);
    ngx_http_ampersand_figure("redis_timeouts_total", "counter",
                              "Replies that did not come in time",
                              c->redis.timeouts);
    ngx_http_ampersand_figure("redis_commands_total", "counter",
                              "Commands sent to Redis", c->redis.commands);
    ngx_http_ampersand_figure("redis_moves_total", "counter",
                              "Links that went to another master",
                              c->redis.moves);
    ngx_http_ampersand_figure("redis_redirects_total", "counter",
                              "Redirects of a cluster that were followed",
                              c->redis.redirects);
    ngx_http_ampersand_figure("redis_slot_maps_total", "counter",
                              "Slot maps requested", c->redis.refreshes);
    ngx_http_ampersand_figure("events_total", "counter",
                              "Invalidations received", c->events);
    ngx_http_ampersand_figure("lookups_total", "counter",
                              "Look-ups of a tenant in Redis", c->lookups);
    ngx_http_ampersand_figure("lookup_failures_total", "counter",
                              "Look-ups without an answer from Redis",
                              c->lookup_failures);
    ngx_http_ampersand_figure("records_lost_total", "counter",
                              "Tokens and tenants that Redis has lost without "
                              "an event", c->records_lost);
    ngx_http_ampersand_figure("lookups_refused_total", "counter",
                              "Look-ups not made, above the look-up limit",
                              c->lookups_refused);
    ngx_http_ampersand_figure("stale_tenants_served_total", "counter",
                              "Requests served with a stale record since "
                              "Redis did not answer", c->stale_served);
    ngx_http_ampersand_figure("cache_hits_total", "counter",
                              "Requests answered from the cache",
                              c->cache_hits);
    ngx_http_ampersand_figure("upstream_requests_total", "counter",
                              "Requests answered by Ampersand", c->upstream);
    ngx_http_ampersand_figure("observed_total", "counter",
                              "Requests that passed only because of "
                              "ampersand_observe", c->observed);
    ngx_http_ampersand_figure("limits_degraded", "gauge",
                              "1 while limits are held without Redis",
                              ngx_ampersand_lease_degraded(amcf->zone));
    ngx_http_ampersand_figure("lease_calls_total", "counter",
                              "Calls for leases", c->lease_calls);
    ngx_http_ampersand_figure("lease_failures_total", "counter",
                              "Calls for leases without an answer",
                              c->lease_failures);
    ngx_http_ampersand_figure("limit_fallbacks_total", "counter",
                              "Requests decided on by "
                              "ampersand_limit_fallback", c->limit_fallbacks);
    ngx_http_ampersand_figure("cooldowns_total", "counter",
                              "Cool-downs begun by a 429 of Ampersand",
                              c->cooldowns);
    ngx_http_ampersand_figure("upstream_suspensions_total", "counter",
                              "Times that a host of Ampersand was suspended",
                              c->suspensions);
    ngx_http_ampersand_figure("upstream_platform_suspended", "gauge",
                              "1 while the host of the platform API gets no "
                              "requests",
                              ngx_ampersand_breaker_count(amcf->zone,
                                                           AMP_API_PLATFORM));
    ngx_http_ampersand_figure("upstream_read_suspended", "gauge",
                              "1 while the host of the read API gets no "
                              "requests",
                              ngx_ampersand_breaker_count(amcf->zone,
                                                               AMP_API_READ));
    ngx_http_ampersand_figure("upstream_write_suspended", "gauge",
                              "1 while the host of the write API gets no "
                              "requests",
                              ngx_ampersand_breaker_count(amcf->zone,
                                                               AMP_API_WRITE));
    ngx_http_ampersand_figure("upstream_search_suspended", "gauge",
                              "1 while the host of the search API gets no "
                              "requests",
                              ngx_ampersand_breaker_count(amcf->zone,
                                                             AMP_API_SEARCH));
    ngx_http_ampersand_figure("upstream_proxy_suspended", "gauge",
                              "1 while the host of the proxy API gets no "
                              "requests",
                              ngx_ampersand_breaker_count(amcf->zone,
                                                               AMP_API_PROXY));
    ngx_http_ampersand_figure("zone_size_bytes", "gauge",
                              "Size of the zone", zone.size);
    ngx_http_ampersand_figure("zone_free_bytes", "gauge",
                              "Free pages of the zone", zone.free_bytes);
    ngx_http_ampersand_figure("zone_tenants", "gauge",
                              "Tenants in the zone", zone.tenants);
    ngx_http_ampersand_figure("zone_tokens", "gauge",
                              "Tokens in the zone", zone.tokens);
    ngx_http_ampersand_figure("zone_unknown_tokens", "gauge",
                              "Tokens and tenants that do not exist",
                              zone.negative);
    ngx_http_ampersand_figure("zone_evictions_total", "counter",
                              "Entries evicted from the zone",
                              c->evictions);
    ngx_http_ampersand_figure("zone_no_memory_total", "counter",
                              "Entries not stored, the zone had no room",
                              c->no_memory);

    return i;
}


static u_char *
ngx_http_ampersand_status_json(u_char *p, u_char *last,
    ngx_http_ampersand_figure_t *f, ngx_uint_t n,
    ngx_http_ampersand_main_conf_t *amcf)
{
    ngx_uint_t                 i;
    ngx_ampersand_counters_t  *counters;

    counters = ngx_ampersand_zone_counters(amcf->zone);

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

    p = ngx_http_ampersand_status_servers(p, last, amcf);

    return ngx_slprintf(p, last, "}\n");
}


/*
 * The addresses that nginx uses until it reloads, for ampctl doctor: of each
 * upstream{} that a gateway location has, those of "server" lines.  Lines with
 * "resolve" have none here: nginx follows their names.
 */

static u_char *
ngx_http_ampersand_status_servers(u_char *p, u_char *last,
    ngx_http_ampersand_main_conf_t *amcf)
{
    u_char                          *begin;
    ngx_uint_t                       i, j, n;
    ngx_http_upstream_server_t      *server;
    ngx_http_ampersand_loc_conf_t  **alcf;

    p = ngx_slprintf(p, last, ",\"servers\":{");
    begin = p;

    n = amcf->upstreams ? amcf->upstreams->nelts : 0;
    alcf = n ? amcf->upstreams->elts : NULL;

    for (i = 0; i < n; i++) {

        for (j = 0; j < i && alcf[j]->target != alcf[i]->target; j++) {
            /* void */
        }

        if (j < i || alcf[i]->target->servers == NULL) {
            continue;
        }

        server = alcf[i]->target->servers->elts;

        for (j = 0; j < alcf[i]->target->servers->nelts; j++) {

            if (server[j].naddrs == 0
                || last - p < NGX_HTTP_AMPERSAND_STATUS_SERVER)
            {
                continue;
            }

            if (p != begin) {
                *p++ = ',';
            }

            p = ngx_http_ampersand_status_server(p, last, &server[j]);
        }
    }

    return ngx_slprintf(p, last, "}");
}


/* "name:443":["10.0.0.1:443"], in NGX_HTTP_AMPERSAND_STATUS_SERVER bytes. */

static u_char *
ngx_http_ampersand_status_server(u_char *p, u_char *last,
    ngx_http_upstream_server_t *server)
{
    u_char      *end;
    ngx_uint_t   i;

    end = p + NGX_HTTP_AMPERSAND_STATUS_SERVER - sizeof("]");
    p = ngx_slprintf(p, end, "\"%V\":[", &server->name);

    for (i = 0; i < server->naddrs; i++) {

        if (end - p > (ssize_t) server->addrs[i].name.len + 3) {
            p = ngx_slprintf(p, end, "%s\"%V\"", i ? "," : "",
                             &server->addrs[i].name);
        }
    }

    return ngx_slprintf(p, last, "]");
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
