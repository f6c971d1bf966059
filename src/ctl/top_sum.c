/*
 * The figures of all gateways, added up.
 */

#include <stdio.h>
#include <string.h>

#include "record.h"
#include "top_sum.h"


#define TOP_BUCKETS  64
#define TOP_THEN     10             /* seconds of requestsPerSecond           */


typedef struct {
    double    requests;             /* of the last TOP_THEN seconds           */
    double    sources[3];           /* of the last minute: gateway, upstream,
                                       cache                                  */
    double    counts[2][TOP_BUCKETS]; /* latency of gateway, upstream         */
    double    bounds[TOP_BUCKETS];  /* seconds; the last is 0: no bound       */
    size_t    nbounds;
} top_history_t;


static const char *const  top_sources[] = { "gateway", "upstream", "cache" };


static double
top_number(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}


/* Adds n to a member. */

static void
top_add(json_t *object, const char *name, double n)
{
    json_object_set_new(object, name, json_real(top_number(object, name) + n));
}


/* What was counted since; a gateway that was restarted counts from 0. */

static double
top_grown(const json_t *now, const json_t *then, const char *name)
{
    double  n, before;

    n = top_number(now, name);
    before = top_number(then, name);

    return n >= before ? n - before : n;
}


static json_t *
top_share(double part, double whole)
{
    return whole > 0 ? json_real(part / whole) : json_null();
}


/* One answer's minute. */

static void
top_history_add(top_history_t *history, const json_t *doc, json_t *refusals)
{
    size_t       i, j, k;
    double       n;
    json_t      *second, *count, *counts, *cause;
    json_int_t   now, at;
    const char  *name;

    now = json_integer_value(json_object_get(doc, "second"));

    json_array_foreach(json_object_get(doc, "bounds"), i, count) {
        if (i < TOP_BUCKETS) {
            history->bounds[i] = json_number_value(count);
            history->nbounds = i + 1;
        }
    }

    json_array_foreach(json_object_get(doc, "history"), i, second) {
        at = json_integer_value(json_object_get(second, "second"));

        for (j = 0; j < 3; j++) {
            n = top_number(second, top_sources[j]);
            history->sources[j] += n;

            if (at >= now - TOP_THEN) {
                history->requests += n;
            }
        }

        for (j = 0; j < 2; j++) {
            counts = json_object_get(json_object_get(second, "durations"),
                                     top_sources[j]);

            json_array_foreach(counts, k, count) {
                if (k < TOP_BUCKETS) {
                    history->counts[j][k] += json_number_value(count);
                }
            }
        }

        json_object_foreach(json_object_get(second, "refusals"), name, cause) {
            top_add(refusals, name, json_number_value(cause));
        }
    }
}


/* As histogram_quantile() of Prometheus. */

static json_t *
top_quantile(const top_history_t *history, size_t part, double q)
{
    size_t         i;
    double         left, low, total;
    const double  *counts;

    counts = history->counts[part];
    total = 0;
    low = 0;

    for (i = 0; i < history->nbounds; i++) {
        total += counts[i];
    }

    if (total <= 0) {
        return json_null();
    }

    left = q * total;

    for (i = 0; i < history->nbounds; i++) {

        if (counts[i] > 0 && left <= counts[i] && history->bounds[i] > 0) {
            return json_real(low + (history->bounds[i] - low)
                                   * left / counts[i]);
        }

        left -= counts[i];
        low = history->bounds[i] > 0 ? history->bounds[i] : low;
    }

    return json_real(low);
}


static json_t *
top_latency(const top_history_t *history, size_t part)
{
    return json_pack("{s:o, s:o, s:o}",
                     "p50", top_quantile(history, part, 0.5),
                     "p95", top_quantile(history, part, 0.95),
                     "p99", top_quantile(history, part, 0.99));
}


/* The member of a table, which is made where it is new. */

static json_t *
top_row(json_t *table, const char *name)
{
    json_t  *row;

    row = json_object_get(table, name);

    if (row == NULL) {
        row = json_object();
        json_object_set_new(table, name, row);
    }

    return row;
}


/* Of the limits the one of which most is used; the fullest gateway counts. */

static void
top_tenant_limit(json_t *row, const json_t *limits)
{
    json_t      *limit, *most;
    const char  *name;

    json_object_foreach((json_t *) limits, name, limit) {
        most = json_object_get(row, "limit");

        if (most == NULL
            || top_number(limit, "used") > top_number(most, "used"))
        {
            most = json_pack("{s:s}", "name", name);
            json_object_update(most, limit);
            json_object_set_new(row, "limit", most);
        }
    }
}


static void
top_tenants_add(json_t *tenants, const json_t *now, const json_t *then,
    double seconds)
{
    size_t       i;
    double       n;
    json_t      *tenant, *before, *row, *cause, *old;
    const char  *id, *name;

    json_object_foreach(json_object_get(now, "tenants"), id, tenant) {
        before = json_object_get(json_object_get(then, "tenants"), id);
        row = top_row(tenants, id);

        for (i = 0; i < 3; i++) {
            n = top_grown(tenant, before, top_sources[i]);
            top_add(row, "requests", top_number(tenant, top_sources[i]));

            if (seconds > 0) {
                top_add(row, "perSecond", n / seconds);
                top_add(row, top_sources[i], n);
            }
        }

        old = json_object_get(before, "refusals");

        json_object_foreach(json_object_get(tenant, "refusals"), name, cause) {
            top_add(top_row(row, "ever"), name, json_number_value(cause));

            n = top_grown(json_object_get(tenant, "refusals"), old, name);

            if (seconds > 0 && n > 0) {
                top_add(top_row(row, "refusals"), name, n);
                top_add(row, "refused", n);
            }
        }

        top_tenant_limit(row, json_object_get(tenant, "limits"));
        top_add(row, "budget", top_number(tenant, "budget"));
    }
}


static void
top_upstream_add(json_t *upstream, const json_t *now, const json_t *then,
    double seconds)
{
    char         name[64];
    double       n;
    json_t      *api, *before, *row, *errors, *value;
    const char  *id, *kind;

    json_object_foreach(json_object_get(now, "upstream"), id, api) {
        before = json_object_get(json_object_get(then, "upstream"), id);
        row = top_row(upstream, id);

        snprintf(name, sizeof(name), "upstream_%s_suspended", id);
        top_add(row, "suspended", top_number(now, name));

        if (seconds <= 0) {
            continue;
        }

        json_object_foreach(json_object_get(api, "connections"), kind, value) {
            top_add(row, "perSecond",
                    top_grown(json_object_get(api, "connections"),
                              json_object_get(before, "connections"), kind)
                    / seconds);
        }

        errors = top_row(row, "errors");

        json_object_foreach(json_object_get(api, "errors"), kind, value) {
            n = top_grown(json_object_get(api, "errors"),
                          json_object_get(before, "errors"), kind);

            if (n > 0) {
                top_add(errors, kind, n);
            }
        }
    }
}


static json_t *
top_tenant_rows(const json_t *tenants)
{
    double       upstream, cache;
    json_t      *list, *row, *rate, *refusals, *ever;
    const char  *id;

    list = json_array();

    json_object_foreach((json_t *) tenants, id, row) {

        /* nobody, or nobody else, so far */

        if (top_number(row, "requests") <= 0) {
            continue;
        }

        upstream = top_number(row, "upstream");
        cache = top_number(row, "cache");
        rate = json_object_get(row, "perSecond");
        refusals = json_object_get(row, "refusals");
        ever = json_object_get(row, "ever");

        json_array_append_new(list, json_pack(
            "{s:s, s:O?, s:f, s:o, s:f, s:o, s:o, s:O?, s:f}", "id", id,
            "requestsPerSecond", rate,
            "requests", top_number(row, "requests"),
            "fromCache", top_share(cache, cache + upstream),
            "refused", top_number(row, "refused"),
            "refusals", refusals != NULL ? json_incref(refusals)
                                         : json_object(),
            "refusalsEver", ever != NULL ? json_incref(ever) : json_object(),
            "limit", json_object_get(row, "limit"),
            "budget", top_number(row, "budget")));
    }

    return list;
}


static json_t *
top_upstream_rows(const json_t *upstream)
{
    json_t      *list, *row;
    const char  *api;

    list = json_array();

    json_object_foreach((json_t *) upstream, api, row) {
        json_array_append_new(list, json_pack(
            "{s:s, s:b, s:O?, s:O?}", "api", api,
            "suspended", top_number(row, "suspended") > 0,
            "requestsPerSecond", json_object_get(row, "perSecond"),
            "errors", json_object_get(row, "errors")));
    }

    return list;
}


static json_t *
top_gateway_rows(const top_gateways_t *gateways)
{
    size_t          i;
    json_t         *list;
    top_gateway_t  *one;

    list = json_array();

    for (i = 0; i < gateways->n; i++) {
        one = &gateways->list[i];

        json_array_append_new(list, json_pack(
            "{s:s, s:s, s:s, s:b, s:s, s:s}",
            "id", record_text(one->record, "id"),
            "version", record_text(one->record, "version"),
            "status", record_text(one->record, "status"),
            "read", one->why[0] == '\0', "why", one->why,
            "remedy", one->remedy));
    }

    return list;
}


json_t *
top_sum(const top_gateways_t *gateways)
{
    size_t          i, n;
    double          seconds, all, links, up, subscribed, held, read;
    json_t         *tenants, *upstream, *refusals, *now, *then, *doc;
    top_history_t   history;

    memset(&history, 0, sizeof(history));

    tenants = json_object();
    upstream = json_object();
    refusals = json_object();
    links = up = subscribed = held = read = 0;

    for (i = 0; i < gateways->n; i++) {
        n = json_array_size(gateways->list[i].answers);

        if (n == 0 || gateways->list[i].why[0] != '\0') {
            continue;
        }

        now = json_array_get(gateways->list[i].answers, n - 1);
        then = json_array_get(gateways->list[i].answers, 0);
        seconds = top_number(now, "second") - top_number(then, "second");

        if (seconds < 0) {
            seconds = 0;
        }

        top_history_add(&history, now, refusals);
        top_tenants_add(tenants, now, then, seconds);
        top_upstream_add(upstream, now, then, seconds);

        read++;
        links += top_number(now, "redis_links");
        up += top_number(now, "redis_links_up");
        subscribed += top_number(now, "redis_events_up");
        held += top_number(now, "limits_degraded");
    }

    all = history.sources[0] + history.sources[1] + history.sources[2];

    doc = json_pack("{s:o, s:f, s:o, s:o, s:{s:o, s:o}, s:o, s:o, s:o,"
                    " s:{s:f, s:f, s:b, s:b}}",
                    "gateways", top_gateway_rows(gateways),
                    "requestsPerSecond", history.requests / TOP_THEN,
                    "fromCache", top_share(history.sources[2],
                                           history.sources[1]
                                           + history.sources[2]),
                    "refused", top_share(history.sources[0], all),
                    "latency",
                        "gateway", top_latency(&history, 0),
                        "upstream", top_latency(&history, 1),
                    "refusals", refusals,
                    "tenants", top_tenant_rows(tenants),
                    "upstream", top_upstream_rows(upstream),
                    "redis",
                        "links", links, "up", up,
                        "subscribed", subscribed >= read,
                        "limitsHeldWithoutRedis", held > 0);

    json_decref(tenants);
    json_decref(upstream);

    return doc;
}
