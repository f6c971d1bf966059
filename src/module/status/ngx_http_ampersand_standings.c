#include "ngx_http_ampersand_standings.h"
#include "limit/ngx_ampersand_standing.h"


/* Room for a value in text. */

#define NGX_HTTP_AMPERSAND_STANDING_VALUE  32


typedef struct {
    const ngx_ampersand_metrics_tenant_t  *tenant;
    ngx_ampersand_standing_t               standing;
} ngx_http_ampersand_standing_t;


/*
 * Writes the value, of one limit where the gauge has one for each, and returns
 * its end; out itself: there is none.
 */

typedef u_char *(*ngx_http_ampersand_gauge_pt)(u_char *out,
    const ngx_http_ampersand_standing_t *standing, ngx_uint_t limit);


typedef struct {
    const char                   *name;
    const char                   *help;
    ngx_uint_t                    limits;       /* one for each limit         */
    ngx_http_ampersand_gauge_pt   value;
} ngx_http_ampersand_gauge_t;


static void ngx_http_ampersand_standing_json_limits(
    ngx_http_ampersand_text_t *text, const ngx_ampersand_standing_t *standing);
static void ngx_http_ampersand_gauge_samples(ngx_http_ampersand_text_t *text,
    const ngx_http_ampersand_gauge_t *gauge,
    const ngx_http_ampersand_standing_t *standing);
static u_char *ngx_http_ampersand_standing_used(u_char *out,
    const ngx_http_ampersand_standing_t *standing, ngx_uint_t limit);
static u_char *ngx_http_ampersand_standing_rate(u_char *out,
    const ngx_http_ampersand_standing_t *standing, ngx_uint_t limit);
static u_char *ngx_http_ampersand_standing_burst(u_char *out,
    const ngx_http_ampersand_standing_t *standing, ngx_uint_t limit);
static u_char *ngx_http_ampersand_standing_cooldown(u_char *out,
    const ngx_http_ampersand_standing_t *standing, ngx_uint_t limit);
static u_char *ngx_http_ampersand_standing_budget(u_char *out,
    const ngx_http_ampersand_standing_t *standing, ngx_uint_t limit);
static u_char *ngx_http_ampersand_standing_key(u_char *out,
    const ngx_http_ampersand_standing_t *standing, ngx_uint_t limit);
static u_char *ngx_http_ampersand_standing_token(u_char *out,
    const ngx_http_ampersand_standing_t *standing, ngx_uint_t limit);


static const ngx_http_ampersand_gauge_t  ngx_http_ampersand_gauges[] = {
    { "limit_used_ratio", "Used part of a tenant's limit; 1: all of it", 1,
      ngx_http_ampersand_standing_used },
    { "limit_requests_per_second", "Rate of a tenant's limit", 1,
      ngx_http_ampersand_standing_rate },
    { "limit_burst_requests", "Burst of a tenant's limit, or how many "
      "requests may be in flight", 1, ngx_http_ampersand_standing_burst },
    { "tenant_cooldown_seconds", "What is left of a tenant's cool-down", 0,
      ngx_http_ampersand_standing_cooldown },
    { "tenant_budget_requests_per_second", "What Ampersand gives a tenant's "
      "project, as its 429s show it", 0, ngx_http_ampersand_standing_budget },
    { "tenant_key_usable", "1: the tenant has an Ampersand key that opens", 0,
      ngx_http_ampersand_standing_key },
    { "tenant_token_expiry_timestamp_seconds", "When the first token of those "
      "that the tenant used in the last hour expires", 0,
      ngx_http_ampersand_standing_token }
};


/*
 * "limits":{"default":{"rate":"50/s","burst":100,"used":0.420},
 *           "concurrency":{"burst":20,"used":0.050}},
 * "cooldown":12,"budget":36.250,"keyUsable":true,"tokenExpires":1789000000
 */

void
ngx_http_ampersand_standing_json(ngx_http_ampersand_text_t *text,
    ngx_ampersand_zone_t *zone, const ngx_ampersand_metrics_tenant_t *tenant)
{
    ngx_ampersand_standing_t  standing;

    if (tenant->expires) {
        ngx_http_ampersand_text(text, ",\"tokenExpires\":%T", tenant->expires);
    }

    ngx_ampersand_standing(zone, amp_span_make(tenant->id, tenant->len),
                           &standing);

    if (!standing.known) {
        return;
    }

    ngx_http_ampersand_standing_json_limits(text, &standing);
    ngx_http_ampersand_text(text, ",\"cooldown\":%T,\"budget\":%.3f,"
                            "\"keyUsable\":%s", standing.cooldown,
                            standing.budget ? 1e9 / (double) standing.budget
                                            : 0.0,
                            standing.opens ? "true" : "false");
}


static void
ngx_http_ampersand_standing_json_limits(ngx_http_ampersand_text_t *text,
    const ngx_ampersand_standing_t *standing)
{
    u_char       rate[AMP_RATE_TEXT_MAX];
    amp_buf_t    buf;
    amp_span_t   written;
    ngx_uint_t   i;
    const char  *comma;

    ngx_http_ampersand_text(text, ",\"limits\":{");
    comma = "";

    for (i = 0; i < AMP_LIMIT_ALL; i++) {

        if (!(standing->limits & (ngx_uint_t) 1 << i)) {
            continue;
        }

        ngx_http_ampersand_text(text, "%s\"%s\":{", comma,
                                amp_limit_name((amp_limit_e) i));
        comma = ",";

        if (standing->rates[i].count) {
            amp_buf_init(&buf, rate, sizeof(rate));
            amp_rate_write(&standing->rates[i], &buf);
            written = amp_buf_written(&buf);
            ngx_http_ampersand_text(text, "\"rate\":\"%*s\",", written.len,
                                    written.data);
        }

        ngx_http_ampersand_text(text, "\"burst\":%uD,\"used\":%ui.%03ui}",
                                standing->rates[i].burst,
                                standing->used[i] / 1000,
                                standing->used[i] % 1000);
    }

    ngx_http_ampersand_text(text, "}");
}


void
ngx_http_ampersand_standings(ngx_http_ampersand_text_t *text,
    ngx_http_ampersand_main_conf_t *amcf)
{
    ngx_uint_t                         i, j, n;
    ngx_ampersand_metrics_t           *metrics;
    ngx_http_ampersand_standing_t     *standings;
    ngx_ampersand_metrics_tenant_t    *tenant;
    const ngx_http_ampersand_gauge_t  *gauge;

    metrics = amcf->metrics;

    standings = ngx_palloc(text->request->pool,
                           metrics->n * sizeof(*standings));
    if (standings == NULL) {
        text->failed = 1;
        return;
    }

    n = 0;

    for (i = 0; i < metrics->n; i++) {
        tenant = &metrics->sh->tenants[i];

        if (tenant->len) {
            standings[n].tenant = tenant;
            ngx_ampersand_standing(amcf->zone,
                                   amp_span_make(tenant->id, tenant->len),
                                   &standings[n++].standing);
        }
    }

    for (i = 0; i < sizeof(ngx_http_ampersand_gauges)
                    / sizeof(ngx_http_ampersand_gauges[0]);
         i++)
    {
        gauge = &ngx_http_ampersand_gauges[i];

        ngx_http_ampersand_text(text, "# HELP ampersand_%s %s\n"
                                      "# TYPE ampersand_%s gauge\n",
                                gauge->name, gauge->help, gauge->name);

        for (j = 0; j < n; j++) {
            ngx_http_ampersand_gauge_samples(text, gauge, &standings[j]);
        }
    }
}


static void
ngx_http_ampersand_gauge_samples(ngx_http_ampersand_text_t *text,
    const ngx_http_ampersand_gauge_t *gauge,
    const ngx_http_ampersand_standing_t *standing)
{
    u_char      *end, value[NGX_HTTP_AMPERSAND_STANDING_VALUE];
    ngx_uint_t   i;

    for (i = 0; i < (gauge->limits ? AMP_LIMIT_ALL : 1); i++) {

        if (gauge->limits
            && !(standing->standing.limits & (ngx_uint_t) 1 << i))
        {
            continue;
        }

        end = gauge->value(value, standing, i);

        if (end == value) {
            continue;
        }

        ngx_http_ampersand_text(text, "ampersand_%s{tenant=\"%*s\"",
                                gauge->name, (size_t) standing->tenant->len,
                                standing->tenant->id);

        if (gauge->limits) {
            ngx_http_ampersand_text(text, ",limit=\"%s\"",
                                    amp_limit_name((amp_limit_e) i));
        }

        ngx_http_ampersand_text(text, "} %*s\n", (size_t) (end - value),
                                value);
    }
}


static u_char *
ngx_http_ampersand_standing_used(u_char *out,
    const ngx_http_ampersand_standing_t *standing, ngx_uint_t limit)
{
    ngx_uint_t  used;

    used = standing->standing.used[limit];

    return ngx_sprintf(out, "%ui.%03ui", used / 1000, used % 1000);
}


static u_char *
ngx_http_ampersand_standing_rate(u_char *out,
    const ngx_http_ampersand_standing_t *standing, ngx_uint_t limit)
{
    const amp_rate_t  *rate;

    rate = &standing->standing.rates[limit];

    return rate->count ? ngx_sprintf(out, "%.6f",
                                     (double) rate->count / rate->period)
                       : out;
}


static u_char *
ngx_http_ampersand_standing_burst(u_char *out,
    const ngx_http_ampersand_standing_t *standing, ngx_uint_t limit)
{
    return ngx_sprintf(out, "%uD", standing->standing.rates[limit].burst);
}


static u_char *
ngx_http_ampersand_standing_cooldown(u_char *out,
    const ngx_http_ampersand_standing_t *standing, ngx_uint_t limit)
{
    (void) limit;

    return standing->standing.known
           ? ngx_sprintf(out, "%T", standing->standing.cooldown) : out;
}


static u_char *
ngx_http_ampersand_standing_budget(u_char *out,
    const ngx_http_ampersand_standing_t *standing, ngx_uint_t limit)
{
    (void) limit;

    return standing->standing.budget
           ? ngx_sprintf(out, "%.6f", 1e9 / (double) standing->standing.budget)
           : out;
}


static u_char *
ngx_http_ampersand_standing_key(u_char *out,
    const ngx_http_ampersand_standing_t *standing, ngx_uint_t limit)
{
    (void) limit;

    return standing->standing.known
           ? ngx_sprintf(out, "%d", standing->standing.opens) : out;
}


static u_char *
ngx_http_ampersand_standing_token(u_char *out,
    const ngx_http_ampersand_standing_t *standing, ngx_uint_t limit)
{
    (void) limit;

    return standing->tenant->expires
           ? ngx_sprintf(out, "%T", standing->tenant->expires) : out;
}
