#include "ngx_http_ampersand_prometheus.h"
#include "ngx_http_ampersand_labels.h"
#include "ngx_http_ampersand_standings.h"
#include "request/ngx_http_ampersand_context.h"
#include "zone/ngx_ampersand_link_counts.h"
#include "amp_version.h"


typedef ngx_ampersand_metrics_tenant_t  ngx_http_ampersand_tenant_t;

/* Writes the lines of one tenant, whose id, or "other", has len bytes. */

typedef void (*ngx_http_ampersand_prometheus_pt)(
    ngx_http_ampersand_text_t *text, const ngx_http_ampersand_tenant_t *tenant,
    const char *id, size_t len);


static void ngx_http_ampersand_prometheus_head(ngx_http_ampersand_text_t *text,
    const char *name, const char *type, const char *help);
static void ngx_http_ampersand_prometheus_decisions(
    ngx_http_ampersand_text_t *text, ngx_ampersand_counters_t *counters);
static void ngx_http_ampersand_prometheus_tenants(
    ngx_http_ampersand_text_t *text, ngx_ampersand_metrics_t *metrics);
static void ngx_http_ampersand_prometheus_each(
    ngx_http_ampersand_text_t *text, ngx_ampersand_metrics_t *metrics,
    ngx_http_ampersand_prometheus_pt write);
static void ngx_http_ampersand_prometheus_requests(
    ngx_http_ampersand_text_t *text, const ngx_http_ampersand_tenant_t *tenant,
    const char *id, size_t len);
static void ngx_http_ampersand_prometheus_refusals(
    ngx_http_ampersand_text_t *text, const ngx_http_ampersand_tenant_t *tenant,
    const char *id, size_t len);
static void ngx_http_ampersand_prometheus_limits(
    ngx_http_ampersand_text_t *text, const ngx_http_ampersand_tenant_t *tenant,
    const char *id, size_t len);
static void ngx_http_ampersand_prometheus_operations(
    ngx_http_ampersand_text_t *text, ngx_ampersand_metrics_shared_t *sh);
static void ngx_http_ampersand_prometheus_durations(
    ngx_http_ampersand_text_t *text, ngx_ampersand_metrics_shared_t *sh);
static void ngx_http_ampersand_prometheus_duration(
    ngx_http_ampersand_text_t *text, ngx_ampersand_metrics_shared_t *sh,
    ngx_uint_t part);
static void ngx_http_ampersand_prometheus_histogram(
    ngx_http_ampersand_text_t *text, ngx_ampersand_histogram_t *histogram,
    const char *metric, const u_char *labels, size_t len);
static void ngx_http_ampersand_prometheus_redis(
    ngx_http_ampersand_text_t *text, ngx_ampersand_counters_t *counters);
static void ngx_http_ampersand_prometheus_links(
    ngx_http_ampersand_text_t *text, ngx_ampersand_metrics_t *metrics);
static void ngx_http_ampersand_prometheus_upstream(
    ngx_http_ampersand_text_t *text, ngx_ampersand_metrics_shared_t *sh);
static void ngx_http_ampersand_prometheus_cache(
    ngx_http_ampersand_text_t *text, ngx_ampersand_metrics_shared_t *sh);


void
ngx_http_ampersand_prometheus(ngx_http_ampersand_text_t *text,
    ngx_http_ampersand_main_conf_t *amcf,
    const ngx_http_ampersand_figure_t *f, ngx_uint_t n)
{
    ngx_uint_t                       i;
    ngx_ampersand_metrics_shared_t  *sh;

    sh = amcf->metrics->sh;

    ngx_http_ampersand_prometheus_head(text, "build_info", "gauge",
                                       "Versions; always 1");
    ngx_http_ampersand_text(text, "ampersand_build_info{version=\"%s\","
                                  "nginx=\"%s\"} 1\n",
                            AMP_VERSION, NGINX_VERSION);

    ngx_http_ampersand_prometheus_decisions(text,
                                    ngx_ampersand_zone_counters(amcf->zone));
    ngx_http_ampersand_prometheus_tenants(text, amcf->metrics);
    ngx_http_ampersand_prometheus_operations(text, sh);
    ngx_http_ampersand_prometheus_durations(text, sh);
    ngx_http_ampersand_prometheus_upstream(text, sh);
    ngx_http_ampersand_prometheus_cache(text, sh);
    ngx_http_ampersand_prometheus_redis(text,
                                    ngx_ampersand_zone_counters(amcf->zone));
    ngx_http_ampersand_prometheus_links(text, amcf->metrics);
    ngx_http_ampersand_standings(text, amcf);

    for (i = 0; i < n; i++) {
        ngx_http_ampersand_prometheus_head(text, f[i].name, f[i].type,
                                           f[i].help);
        ngx_http_ampersand_text(text, "ampersand_%s ", f[i].name);
        ngx_http_ampersand_figure_write(text, &f[i]);
        ngx_http_ampersand_text(text, "\n");
    }
}


static void
ngx_http_ampersand_prometheus_head(ngx_http_ampersand_text_t *text,
    const char *name, const char *type, const char *help)
{
    ngx_http_ampersand_text(text, "# HELP ampersand_%s %s\n"
                                  "# TYPE ampersand_%s %s\n",
                            name, help, name, type);
}


static void
ngx_http_ampersand_prometheus_decisions(ngx_http_ampersand_text_t *text,
    ngx_ampersand_counters_t *counters)
{
    ngx_uint_t  i;

    ngx_http_ampersand_prometheus_head(text, "requests_total", "counter",
                                       "Requests by decision");

    for (i = 0; i < AMP_REASON_COUNT; i++) {
        ngx_http_ampersand_text(text,
                                "ampersand_requests_total{decision=\"%s\"} "
                                "%uA\n",
                                i == AMP_OK ? "pass" : amp_problem(i)->name,
                                counters->reasons[i]);
    }
}


static void
ngx_http_ampersand_prometheus_tenants(ngx_http_ampersand_text_t *text,
    ngx_ampersand_metrics_t *metrics)
{
    ngx_ampersand_metrics_expire(metrics);

    ngx_http_ampersand_prometheus_head(text, "tenant_requests_total",
                                       "counter", "Requests by tenant");
    ngx_http_ampersand_prometheus_each(text, metrics,
                                       ngx_http_ampersand_prometheus_requests);

    ngx_http_ampersand_prometheus_head(text, "tenant_refusals_total",
                                       "counter",
                                       "Requests that the gateway refused or "
                                       "that failed, by tenant and problem");
    ngx_http_ampersand_prometheus_each(text, metrics,
                                       ngx_http_ampersand_prometheus_refusals);

    ngx_http_ampersand_prometheus_head(text, "limit_refusals_total", "counter",
                                       "Requests that a limit refused");
    ngx_http_ampersand_prometheus_each(text, metrics,
                                       ngx_http_ampersand_prometheus_limits);
}


static void
ngx_http_ampersand_prometheus_each(ngx_http_ampersand_text_t *text,
    ngx_ampersand_metrics_t *metrics, ngx_http_ampersand_prometheus_pt write)
{
    ngx_uint_t                    i;
    ngx_http_ampersand_tenant_t  *tenant;

    for (i = 0; i < metrics->n; i++) {
        tenant = &metrics->sh->tenants[i];
        write(text, tenant, (char *) tenant->id, tenant->len);
    }

    write(text, &metrics->sh->other, "other", sizeof("other") - 1);
    write(text, &metrics->sh->unidentified, "", 0);
}


static void
ngx_http_ampersand_prometheus_refusals(ngx_http_ampersand_text_t *text,
    const ngx_http_ampersand_tenant_t *tenant, const char *id, size_t len)
{
    ngx_uint_t  i;

    for (i = 1; i < AMP_REASON_COUNT; i++) {
        if (tenant->refusals[i]) {
            ngx_http_ampersand_text(text,
                                    "ampersand_tenant_refusals_total{"
                                    "tenant=\"%*s\",problem=\"%s\"} %uA\n",
                                    len, id, amp_problem(i)->name,
                                    tenant->refusals[i]);
        }
    }
}


static void
ngx_http_ampersand_prometheus_limits(ngx_http_ampersand_text_t *text,
    const ngx_http_ampersand_tenant_t *tenant, const char *id, size_t len)
{
    ngx_uint_t  i;

    for (i = 0; i < AMP_LIMIT_ALL; i++) {
        if (tenant->limits[i]) {
            ngx_http_ampersand_text(text,
                                    "ampersand_limit_refusals_total{"
                                    "tenant=\"%*s\",limit=\"%s\"} %uA\n",
                                    len, id, amp_limit_name((amp_limit_e) i),
                                    tenant->limits[i]);
        }
    }
}


static void
ngx_http_ampersand_prometheus_requests(ngx_http_ampersand_text_t *text,
    const ngx_http_ampersand_tenant_t *tenant, const char *id, size_t len)
{
    ngx_uint_t  api, class, source;

    for (api = 0; api < NGX_AMPERSAND_METRICS_APIS; api++) {
        for (class = 0; class < NGX_AMPERSAND_METRICS_CLASSES; class++) {
            for (source = 0; source < NGX_AMPERSAND_METRICS_SOURCES; source++) {

                if (tenant->requests[api][class][source] == 0) {
                    continue;
                }

                ngx_http_ampersand_text(text,
                        "ampersand_tenant_requests_total{tenant=\"%*s\","
                        "api=\"%s\",class=\"%s\",source=\"%V\"} %uA\n",
                        len, id, ngx_http_ampersand_label_api(api),
                        amp_class_name(class),
                        &ngx_http_ampersand_sources[source],
                        tenant->requests[api][class][source]);
            }
        }
    }
}


static void
ngx_http_ampersand_prometheus_operations(ngx_http_ampersand_text_t *text,
    ngx_ampersand_metrics_shared_t *sh)
{
    size_t                  n;
    ngx_uint_t              i, status, source;
    ngx_atomic_uint_t       value;
    const amp_operation_t  *op;

    ngx_http_ampersand_prometheus_head(text, "operation_requests_total",
                                       "counter", "Requests by operation");

    op = amp_operations(&n);

    for (i = 0; i < n; i++) {
        for (status = 0; status < NGX_AMPERSAND_METRICS_STATUSES; status++) {
            for (source = 0; source < NGX_AMPERSAND_METRICS_SOURCES; source++) {

                value = sh->operations[i][status][source];

                if (value) {
                    ngx_http_ampersand_text(text,
                            "ampersand_operation_requests_total{"
                            "operation=\"%s\",status=\"%uixx\","
                            "source=\"%V\"} %uA\n",
                            op[i].id, status,
                            &ngx_http_ampersand_sources[source], value);
                }
            }
        }
    }
}


static void
ngx_http_ampersand_prometheus_durations(ngx_http_ampersand_text_t *text,
    ngx_ampersand_metrics_shared_t *sh)
{
    ngx_uint_t  part;

    ngx_http_ampersand_prometheus_head(text, "gateway_duration_seconds",
                                       "histogram",
                                       "The gateway's own time for a request");
    ngx_http_ampersand_prometheus_duration(text, sh, NGX_AMPERSAND_IN_GATEWAY);

    ngx_http_ampersand_prometheus_head(text, "upstream_duration_seconds",
                                       "histogram",
                                       "Until the head of Ampersand's answer");
    ngx_http_ampersand_prometheus_duration(text, sh,
                                           NGX_AMPERSAND_IN_UPSTREAM);

    ngx_http_ampersand_prometheus_head(text, "wait_duration_seconds",
                                       "histogram",
                                       "Waiting, by what for; only requests "
                                       "that waited");

    for (part = NGX_AMPERSAND_IN_LOOKUP; part < NGX_AMPERSAND_IN_PARTS; part++)
    {
        ngx_http_ampersand_prometheus_duration(text, sh, part);
    }
}


static void
ngx_http_ampersand_prometheus_duration(ngx_http_ampersand_text_t *text,
    ngx_ampersand_metrics_shared_t *sh, ngx_uint_t part)
{
    u_char       labels[128], *last;
    ngx_uint_t   api, class;
    const char  *metric;

    metric = part < NGX_AMPERSAND_IN_LOOKUP ? ngx_http_ampersand_parts[part]
                                            : "wait";

    for (api = 0; api < NGX_AMPERSAND_METRICS_APIS; api++) {
        for (class = 0; class < NGX_AMPERSAND_METRICS_CLASSES; class++) {

            last = ngx_sprintf(labels, "api=\"%s\",class=\"%s\"",
                               ngx_http_ampersand_label_api(api),
                               amp_class_name(class));

            if (part >= NGX_AMPERSAND_IN_LOOKUP) {
                last = ngx_sprintf(last, ",for=\"%s\"",
                                   ngx_http_ampersand_parts[part]);
            }

            ngx_http_ampersand_prometheus_histogram(text,
                                              &sh->durations[part][api][class],
                                              metric, labels, last - labels);
        }
    }
}


/* Nothing, where nothing was counted. */

static void
ngx_http_ampersand_prometheus_histogram(ngx_http_ampersand_text_t *text,
    ngx_ampersand_histogram_t *histogram, const char *metric,
    const u_char *labels, size_t len)
{
    unsigned           i;
    ngx_atomic_uint_t  count, buckets[AMP_HISTOGRAM_BUCKETS];

    count = 0;

    for (i = 0; i < AMP_HISTOGRAM_BUCKETS; i++) {
        count += histogram->buckets[i];
        buckets[i] = count;
    }

    if (count == 0) {
        return;
    }

    for (i = 0; i < AMP_HISTOGRAM_BUCKETS; i++) {
        ngx_http_ampersand_text(text, "ampersand_%s_duration_seconds_bucket{"
                                      "%*s,le=\"%s\"} %uA\n",
                                metric, len, labels, amp_histogram_bound(i),
                                buckets[i]);
    }

    ngx_http_ampersand_text(text,
                            "ampersand_%s_duration_seconds_sum{%*s} "
                            "%uA.%06uA\n"
                            "ampersand_%s_duration_seconds_count{%*s} %uA\n",
                            metric, len, labels, histogram->sum / 1000000,
                            histogram->sum % 1000000, metric, len, labels,
                            count);
}


static void
ngx_http_ampersand_prometheus_redis(ngx_http_ampersand_text_t *text,
    ngx_ampersand_counters_t *counters)
{
    u_char      labels[32];
    ngx_uint_t  i;

    ngx_http_ampersand_prometheus_head(text, "redis_duration_seconds",
                                       "histogram",
                                       "Calls to Redis, from the first try to "
                                       "the reply, by what for");

    for (i = 0; i < NGX_AMPERSAND_FOR; i++) {
        ngx_http_ampersand_prometheus_histogram(text, &counters->redis_times[i],
                                   "redis", labels,
                                   ngx_sprintf(labels, "for=\"%s\"",
                                               ngx_http_ampersand_for[i])
                                   - labels);
    }
}


static void
ngx_http_ampersand_prometheus_links(ngx_http_ampersand_text_t *text,
    ngx_ampersand_metrics_t *metrics)
{
    ngx_uint_t                   i, n, state;
    ngx_ampersand_link_count_t   counts[NGX_AMPERSAND_METRICS_NODES + 1];

    n = ngx_ampersand_link_counts(metrics, counts);

    ngx_http_ampersand_prometheus_head(text, "redis_node_links", "gauge",
                                       "Links to a server of Redis, of all "
                                       "workers, by state");

    for (i = 0; i < n; i++) {
        for (state = 0; state < NGX_AMPERSAND_LINKED; state++) {
            ngx_http_ampersand_text(text, "ampersand_redis_node_links{"
                                          "node=\"%*s\",state=\"%s\"} %ui\n",
                                    counts[i].name.len, counts[i].name.data,
                                    ngx_http_ampersand_linked[state],
                                    counts[i].links[state]);
        }
    }
}


static void
ngx_http_ampersand_prometheus_upstream(ngx_http_ampersand_text_t *text,
    ngx_ampersand_metrics_shared_t *sh)
{
    ngx_uint_t  api, i;

    ngx_http_ampersand_prometheus_head(text, "upstream_connections_total",
                                       "counter",
                                       "Requests sent, by whether the "
                                       "connection was used before");

    for (api = 0; api < AMP_API_COUNT; api++) {
        for (i = 0; i < 2; i++) {
            ngx_http_ampersand_text(text,
                                    "ampersand_upstream_connections_total{"
                                    "api=\"%s\",reused=\"%s\"} %uA\n",
                                    amp_api_name(api), i ? "yes" : "no",
                                    sh->connections[api][i]);
        }
    }

    ngx_http_ampersand_prometheus_head(text, "upstream_errors_total",
                                       "counter",
                                       "Tries of upstream requests that "
                                       "failed, by how");

    for (api = 0; api < AMP_API_COUNT; api++) {
        for (i = 0; i < NGX_AMPERSAND_TRY_FAILURES; i++) {
            ngx_http_ampersand_text(text,
                                    "ampersand_upstream_errors_total{"
                                    "api=\"%s\",error=\"%s\"} %uA\n",
                                    amp_api_name(api),
                                    ngx_http_ampersand_tries[i],
                                    sh->failures[api][i]);
        }
    }
}


static void
ngx_http_ampersand_prometheus_cache(ngx_http_ampersand_text_t *text,
    ngx_ampersand_metrics_shared_t *sh)
{
    ngx_uint_t  i;

    ngx_http_ampersand_prometheus_head(text, "cache_requests_total", "counter",
                                       "Requests that looked into the cache, "
                                       "by what they found");

    for (i = 0; i < NGX_AMPERSAND_METRICS_CACHE; i++) {
        ngx_http_ampersand_text(text, "ampersand_cache_requests_total{"
                                      "status=\"%s\"} %uA\n",
                                ngx_http_ampersand_cached[i], sh->cache[i]);
    }
}
