#include "ngx_http_ampersand_json.h"
#include "ngx_http_ampersand_labels.h"
#include "ngx_http_ampersand_standings.h"
#include "request/ngx_http_ampersand_context.h"
#include "zone/ngx_ampersand_history.h"
#include "zone/ngx_ampersand_link_counts.h"
#include "amp_version.h"


static void ngx_http_ampersand_json_tenants(ngx_http_ampersand_text_t *text,
    ngx_http_ampersand_main_conf_t *amcf);
static void ngx_http_ampersand_json_tenant(ngx_http_ampersand_text_t *text,
    ngx_ampersand_zone_t *zone,
    const ngx_ampersand_metrics_tenant_t *tenant, const char *id, size_t len);
static void ngx_http_ampersand_json_sources(ngx_http_ampersand_text_t *text,
    const ngx_atomic_uint_t *n);
static void ngx_http_ampersand_json_refusals(ngx_http_ampersand_text_t *text,
    const uint32_t *n);
static void ngx_http_ampersand_json_limits(ngx_http_ampersand_text_t *text,
    const ngx_atomic_uint_t *n);
static void ngx_http_ampersand_json_operations(ngx_http_ampersand_text_t *text,
    ngx_ampersand_metrics_shared_t *sh);
static void ngx_http_ampersand_json_durations(ngx_http_ampersand_text_t *text,
    ngx_ampersand_metrics_shared_t *sh);
static void ngx_http_ampersand_json_counts(ngx_http_ampersand_text_t *text,
    const uint32_t *counts);
static void ngx_http_ampersand_json_upstream(ngx_http_ampersand_text_t *text,
    ngx_ampersand_metrics_shared_t *sh);
static void ngx_http_ampersand_json_cache(ngx_http_ampersand_text_t *text,
    ngx_ampersand_metrics_shared_t *sh);
static void ngx_http_ampersand_json_redis(ngx_http_ampersand_text_t *text,
    ngx_ampersand_counters_t *counters);
static void ngx_http_ampersand_json_links(ngx_http_ampersand_text_t *text,
    ngx_ampersand_metrics_t *metrics);
static void ngx_http_ampersand_json_history(ngx_http_ampersand_text_t *text,
    ngx_ampersand_metrics_shared_t *sh, ngx_uint_t seconds);
static void ngx_http_ampersand_json_second(ngx_http_ampersand_text_t *text,
    const ngx_ampersand_moment_t *counted);
static void ngx_http_ampersand_json_servers(ngx_http_ampersand_text_t *text,
    ngx_http_ampersand_main_conf_t *amcf);
static void ngx_http_ampersand_json_server(ngx_http_ampersand_text_t *text,
    ngx_http_upstream_server_t *server);


void
ngx_http_ampersand_json(ngx_http_ampersand_text_t *text,
    ngx_http_ampersand_main_conf_t *amcf,
    const ngx_http_ampersand_figure_t *f, ngx_uint_t n, ngx_uint_t history)
{
    ngx_uint_t                 i;
    ngx_ampersand_counters_t  *counters;

    counters = ngx_ampersand_zone_counters(amcf->zone);

    ngx_http_ampersand_text(text, "{\"requests\":{\"pass\":%uA",
                            counters->reasons[AMP_OK]);

    for (i = 1; i < AMP_REASON_COUNT; i++) {
        ngx_http_ampersand_text(text, ",\"%s\":%uA", amp_problem(i)->name,
                                counters->reasons[i]);
    }

    ngx_http_ampersand_text(text, "}");

    for (i = 0; i < n; i++) {
        ngx_http_ampersand_text(text, ",\"%s\":", f[i].name);
        ngx_http_ampersand_figure_write(text, &f[i]);
    }

    ngx_http_ampersand_text(text, ",\"version\":\"%s\",\"gateway\":\"%*s\"",
                            AMP_VERSION, (size_t) NGX_AMPERSAND_GATEWAY_ID,
                            amcf->zone->sh->leases.gateway);

    ngx_http_ampersand_json_tenants(text, amcf);
    ngx_http_ampersand_json_operations(text, amcf->metrics->sh);
    ngx_http_ampersand_json_durations(text, amcf->metrics->sh);
    ngx_http_ampersand_json_upstream(text, amcf->metrics->sh);
    ngx_http_ampersand_json_cache(text, amcf->metrics->sh);
    ngx_http_ampersand_json_redis(text, counters);
    ngx_http_ampersand_json_links(text, amcf->metrics);
    ngx_http_ampersand_json_servers(text, amcf);

    if (history) {
        ngx_http_ampersand_json_history(text, amcf->metrics->sh, history);
    }

    ngx_http_ampersand_text(text, "}\n");
}


/*
 * "tenants":{"acme":{"gateway":1,"upstream":20,"cache":300,
 *                    "refusals":{"rate-limited":1},
 *                    "limitRefusals":{"write":1}}}
 */

static void
ngx_http_ampersand_json_tenants(ngx_http_ampersand_text_t *text,
    ngx_http_ampersand_main_conf_t *amcf)
{
    ngx_uint_t                       i;
    ngx_ampersand_metrics_t         *metrics;
    ngx_ampersand_metrics_tenant_t  *tenant;

    metrics = amcf->metrics;

    ngx_ampersand_metrics_expire(metrics);

    ngx_http_ampersand_text(text, ",\"tenants\":{");

    for (i = 0; i < metrics->n; i++) {
        tenant = &metrics->sh->tenants[i];

        if (tenant->len) {
            ngx_http_ampersand_json_tenant(text, amcf->zone, tenant,
                                           (char *) tenant->id, tenant->len);
            ngx_http_ampersand_text(text, ",");
        }
    }

    ngx_http_ampersand_json_tenant(text, NULL, &metrics->sh->other, "other",
                                   sizeof("other") - 1);
    ngx_http_ampersand_text(text, ",");
    ngx_http_ampersand_json_tenant(text, NULL, &metrics->sh->unidentified, "",
                                   0);
    ngx_http_ampersand_text(text, "}");
}


/* zone NULL: it is no single tenant. */

static void
ngx_http_ampersand_json_tenant(ngx_http_ampersand_text_t *text,
    ngx_ampersand_zone_t *zone,
    const ngx_ampersand_metrics_tenant_t *tenant, const char *id, size_t len)
{
    uint32_t           refusals[AMP_REASON_COUNT];
    ngx_uint_t         i, api, class, source;
    ngx_atomic_uint_t  n[NGX_AMPERSAND_METRICS_SOURCES];

    ngx_memzero(n, sizeof(n));

    for (api = 0; api < NGX_AMPERSAND_METRICS_APIS; api++) {
        for (class = 0; class < NGX_AMPERSAND_METRICS_CLASSES; class++) {
            for (source = 0; source < NGX_AMPERSAND_METRICS_SOURCES; source++) {
                n[source] += tenant->requests[api][class][source];
            }
        }
    }

    for (i = 0; i < AMP_REASON_COUNT; i++) {
        refusals[i] = (uint32_t) tenant->refusals[i];
    }

    ngx_http_ampersand_text(text, "\"%*s\":{", len, id);
    ngx_http_ampersand_json_sources(text, n);
    ngx_http_ampersand_json_refusals(text, refusals);
    ngx_http_ampersand_json_limits(text, tenant->limits);

    if (zone) {
        ngx_http_ampersand_standing_json(text, zone, tenant);
    }

    ngx_http_ampersand_text(text, "}");
}


static void
ngx_http_ampersand_json_sources(ngx_http_ampersand_text_t *text,
    const ngx_atomic_uint_t *n)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_AMPERSAND_METRICS_SOURCES; i++) {
        ngx_http_ampersand_text(text, "%s\"%V\":%uA", i ? "," : "",
                                &ngx_http_ampersand_sources[i], n[i]);
    }
}


static void
ngx_http_ampersand_json_refusals(ngx_http_ampersand_text_t *text,
    const uint32_t *n)
{
    ngx_uint_t   i;
    const char  *comma;

    ngx_http_ampersand_text(text, ",\"refusals\":{");
    comma = "";

    for (i = 1; i < AMP_REASON_COUNT; i++) {
        if (n[i]) {
            ngx_http_ampersand_text(text, "%s\"%s\":%uD", comma,
                                    amp_problem(i)->name, n[i]);
            comma = ",";
        }
    }

    ngx_http_ampersand_text(text, "}");
}


static void
ngx_http_ampersand_json_limits(ngx_http_ampersand_text_t *text,
    const ngx_atomic_uint_t *n)
{
    ngx_uint_t   i;
    const char  *comma;

    ngx_http_ampersand_text(text, ",\"limitRefusals\":{");
    comma = "";

    for (i = 0; i < AMP_LIMIT_ALL; i++) {
        if (n[i]) {
            ngx_http_ampersand_text(text, "%s\"%s\":%uA", comma,
                                    amp_limit_name((amp_limit_e) i), n[i]);
            comma = ",";
        }
    }

    ngx_http_ampersand_text(text, "}");
}


/*
 * "operations":{"listIntegrations":{"gateway":1,"upstream":20,"cache":300,
 *                                   "statuses":{"2xx":320,"4xx":1}}}
 */

static void
ngx_http_ampersand_json_operations(ngx_http_ampersand_text_t *text,
    ngx_ampersand_metrics_shared_t *sh)
{
    size_t                  n;
    ngx_uint_t              i, j, k;
    const char             *comma;
    ngx_atomic_uint_t       all, sources[NGX_AMPERSAND_METRICS_SOURCES],
                            statuses[NGX_AMPERSAND_METRICS_STATUSES];
    const amp_operation_t  *op;

    op = amp_operations(&n);

    ngx_http_ampersand_text(text, ",\"operations\":{");
    comma = "";

    for (i = 0; i < n; i++) {
        ngx_memzero(sources, sizeof(sources));
        ngx_memzero(statuses, sizeof(statuses));
        all = 0;

        for (j = 0; j < NGX_AMPERSAND_METRICS_STATUSES; j++) {
            for (k = 0; k < NGX_AMPERSAND_METRICS_SOURCES; k++) {
                sources[k] += sh->operations[i][j][k];
                statuses[j] += sh->operations[i][j][k];
            }

            all += statuses[j];
        }

        if (all == 0) {
            continue;
        }

        ngx_http_ampersand_text(text, "%s\"%s\":{", comma, op[i].id);
        ngx_http_ampersand_json_sources(text, sources);
        ngx_http_ampersand_text(text, ",\"statuses\":{");
        comma = "";

        for (j = 0; j < NGX_AMPERSAND_METRICS_STATUSES; j++) {
            if (statuses[j]) {
                ngx_http_ampersand_text(text, "%s\"%uixx\":%uA", comma, j,
                                        statuses[j]);
                comma = ",";
            }
        }

        ngx_http_ampersand_text(text, "}}");
        comma = ",";
    }

    ngx_http_ampersand_text(text, "}");
}


/*
 * "bounds":[1e-05,...,null],"durations":[{"part":"upstream","api":"read",
 * "class":"read","counts":[0,...]}]: how many took at most so many seconds, and
 * longer than the bound before.
 */

static void
ngx_http_ampersand_json_durations(ngx_http_ampersand_text_t *text,
    ngx_ampersand_metrics_shared_t *sh)
{
    uint32_t     any, counts[AMP_HISTOGRAM_BUCKETS];
    ngx_uint_t   part, api, class, i;
    const char  *comma;

    ngx_http_ampersand_text(text, ",\"bounds\":[");

    for (i = 0; i < AMP_HISTOGRAM_BUCKETS - 1; i++) {
        ngx_http_ampersand_text(text, "%s,",
                                amp_histogram_bound((unsigned) i));
    }

    ngx_http_ampersand_text(text, "null],\"durations\":[");
    comma = "";

    for (part = 0; part < NGX_AMPERSAND_IN_PARTS; part++) {
        for (api = 0; api < NGX_AMPERSAND_METRICS_APIS; api++) {
            for (class = 0; class < NGX_AMPERSAND_METRICS_CLASSES; class++) {
                any = 0;

                for (i = 0; i < AMP_HISTOGRAM_BUCKETS; i++) {
                    counts[i] = (uint32_t)
                                sh->durations[part][api][class].buckets[i];
                    any |= counts[i];
                }

                if (any == 0) {
                    continue;
                }

                ngx_http_ampersand_text(text,
                                        "%s{\"part\":\"%s\",\"api\":\"%s\","
                                        "\"class\":\"%s\",\"counts\":",
                                        comma, ngx_http_ampersand_parts[part],
                                        ngx_http_ampersand_label_api(api),
                                        amp_class_name(class));
                ngx_http_ampersand_json_counts(text, counts);
                ngx_http_ampersand_text(text, "}");
                comma = ",";
            }
        }
    }

    ngx_http_ampersand_text(text, "]");
}


static void
ngx_http_ampersand_json_counts(ngx_http_ampersand_text_t *text,
    const uint32_t *counts)
{
    ngx_uint_t  i;

    for (i = 0; i < AMP_HISTOGRAM_BUCKETS; i++) {
        ngx_http_ampersand_text(text, "%s%uD", i ? "," : "[", counts[i]);
    }

    ngx_http_ampersand_text(text, "]");
}


/*
 * "upstream":{"read":{"connections":{"new":1,"reused":20},
 *                     "errors":{"connect":0,...}}}
 */

static void
ngx_http_ampersand_json_upstream(ngx_http_ampersand_text_t *text,
    ngx_ampersand_metrics_shared_t *sh)
{
    ngx_uint_t  api, i;

    ngx_http_ampersand_text(text, ",\"upstream\":{");

    for (api = 0; api < AMP_API_COUNT; api++) {
        ngx_http_ampersand_text(text,
                                "%s\"%s\":{\"connections\":{\"new\":%uA,"
                                "\"reused\":%uA},\"errors\":{",
                                api ? "," : "", amp_api_name(api),
                                sh->connections[api][0],
                                sh->connections[api][1]);

        for (i = 0; i < NGX_AMPERSAND_TRY_FAILURES; i++) {
            ngx_http_ampersand_text(text, "%s\"%s\":%uA", i ? "," : "",
                                    ngx_http_ampersand_tries[i],
                                    sh->failures[api][i]);
        }

        ngx_http_ampersand_text(text, "}}");
    }

    ngx_http_ampersand_text(text, "}");
}


static void
ngx_http_ampersand_json_cache(ngx_http_ampersand_text_t *text,
    ngx_ampersand_metrics_shared_t *sh)
{
    ngx_uint_t  i;

    ngx_http_ampersand_text(text, ",\"cache\":{");

    for (i = 0; i < NGX_AMPERSAND_METRICS_CACHE; i++) {
        ngx_http_ampersand_text(text, "%s\"%s\":%uA", i ? "," : "",
                                ngx_http_ampersand_cached[i], sh->cache[i]);
    }

    ngx_http_ampersand_text(text, "}");
}


/* "redis":{"lookup":[0,...],...}: how long calls took, see "bounds". */

static void
ngx_http_ampersand_json_redis(ngx_http_ampersand_text_t *text,
    ngx_ampersand_counters_t *counters)
{
    uint32_t    counts[AMP_HISTOGRAM_BUCKETS];
    ngx_uint_t  i, j;

    ngx_http_ampersand_text(text, ",\"redis\":{");

    for (i = 0; i < NGX_AMPERSAND_FOR; i++) {

        for (j = 0; j < AMP_HISTOGRAM_BUCKETS; j++) {
            counts[j] = (uint32_t) counters->redis_times[i].buckets[j];
        }

        ngx_http_ampersand_text(text, "%s\"%s\":", i ? "," : "",
                                ngx_http_ampersand_for[i]);
        ngx_http_ampersand_json_counts(text, counts);
    }

    ngx_http_ampersand_text(text, "}");
}


/* "redisNodes":{"10.0.0.1:6379":{"up":3,"connecting":0,"down":0}} */

static void
ngx_http_ampersand_json_links(ngx_http_ampersand_text_t *text,
    ngx_ampersand_metrics_t *metrics)
{
    ngx_uint_t                   i, n, state;
    ngx_ampersand_link_count_t   counts[NGX_AMPERSAND_METRICS_NODES + 1];

    n = ngx_ampersand_link_counts(metrics, counts);

    ngx_http_ampersand_text(text, ",\"redisNodes\":{");

    for (i = 0; i < n; i++) {
        ngx_http_ampersand_text(text, "%s\"%*s\":{", i ? "," : "",
                                counts[i].name.len, counts[i].name.data);

        for (state = 0; state < NGX_AMPERSAND_LINKED; state++) {
            ngx_http_ampersand_text(text, "%s\"%s\":%ui", state ? "," : "",
                                    ngx_http_ampersand_linked[state],
                                    counts[i].links[state]);
        }

        ngx_http_ampersand_text(text, "}");
    }

    ngx_http_ampersand_text(text, "}");
}


/*
 * "second":4711,"history":[{"second":4710,"gateway":1,"upstream":20,
 * "cache":300,"refusals":{"rate":1},"durations":{"gateway":[0,...],...}}]:
 * the seconds before this one in which something was counted.
 */

static void
ngx_http_ampersand_json_history(ngx_http_ampersand_text_t *text,
    ngx_ampersand_metrics_shared_t *sh, ngx_uint_t seconds)
{
    ngx_uint_t               now, second, known;
    const char              *comma;
    ngx_ampersand_moment_t   moment[2], counted;

    now = ngx_current_msec / 1000;
    second = now - ngx_min(seconds, ngx_min(now, NGX_AMPERSAND_HISTORY - 1));

    ngx_http_ampersand_text(text, ",\"second\":%ui,\"history\":[", now);
    comma = "";
    known = 0;

    for ( /* void */ ; second <= now; second++) {

        if (ngx_ampersand_history_read(sh, second, &moment[1]) != NGX_OK) {
            continue;
        }

        if (known
            && ngx_ampersand_history_between(&moment[0], &moment[1], &counted))
        {
            ngx_http_ampersand_text(text, "%s", comma);
            ngx_http_ampersand_json_second(text, &counted);
            comma = ",";
        }

        moment[0] = moment[1];
        known = 1;
    }

    ngx_http_ampersand_text(text, "]");
}


static void
ngx_http_ampersand_json_second(ngx_http_ampersand_text_t *text,
    const ngx_ampersand_moment_t *counted)
{
    ngx_uint_t         i;
    ngx_atomic_uint_t  sources[NGX_AMPERSAND_METRICS_SOURCES];

    for (i = 0; i < NGX_AMPERSAND_METRICS_SOURCES; i++) {
        sources[i] = counted->sources[i];
    }

    ngx_http_ampersand_text(text, "{\"second\":%uA,", counted->second);
    ngx_http_ampersand_json_sources(text, sources);
    ngx_http_ampersand_json_refusals(text, counted->refusals);
    ngx_http_ampersand_text(text, ",\"durations\":{");

    for (i = 0; i < NGX_AMPERSAND_HISTORY_PARTS; i++) {
        ngx_http_ampersand_text(text, "%s\"%s\":", i ? "," : "",
                                ngx_http_ampersand_parts[i]);
        ngx_http_ampersand_json_counts(text, counted->durations[i]);
    }

    ngx_http_ampersand_text(text, "}}");
}


/*
 * The addresses that nginx uses until it reloads, for ampctl doctor: of each
 * upstream{} that a gateway location has, those of "server" lines.  Lines with
 * "resolve" have none here: nginx follows their names.
 */

static void
ngx_http_ampersand_json_servers(ngx_http_ampersand_text_t *text,
    ngx_http_ampersand_main_conf_t *amcf)
{
    ngx_uint_t                       i, j, n, first;
    ngx_http_upstream_server_t      *server;
    ngx_http_ampersand_loc_conf_t  **alcf;

    ngx_http_ampersand_text(text, ",\"servers\":{");
    first = 1;

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

            if (server[j].naddrs) {
                ngx_http_ampersand_text(text, first ? "" : ",");
                ngx_http_ampersand_json_server(text, &server[j]);
                first = 0;
            }
        }
    }

    ngx_http_ampersand_text(text, "}");
}


/* "name:443":["10.0.0.1:443"] */

static void
ngx_http_ampersand_json_server(ngx_http_ampersand_text_t *text,
    ngx_http_upstream_server_t *server)
{
    ngx_uint_t  i;

    ngx_http_ampersand_text(text, "\"%V\":[", &server->name);

    for (i = 0; i < server->naddrs; i++) {
        ngx_http_ampersand_text(text, "%s\"%V\"", i ? "," : "",
                                &server->addrs[i].name);
    }

    ngx_http_ampersand_text(text, "]");
}
