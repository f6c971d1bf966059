#include "ngx_http_ampersand_standings.h"
#include "limit/ngx_ampersand_standing.h"


/* A tenant, and how it stands. */

typedef struct {
    const ngx_ampersand_metrics_tenant_t  *tenant;
    ngx_ampersand_standing_t               standing;
} ngx_http_ampersand_stands_t;


typedef void (*ngx_http_ampersand_stands_pt)(ngx_http_ampersand_text_t *text,
    const ngx_http_ampersand_stands_t *stands);


typedef struct {
    const char                    *name;
    const char                    *help;
    ngx_http_ampersand_stands_pt   write;
} ngx_http_ampersand_stands_metric_t;


static void ngx_http_ampersand_standing_json_limits(
    ngx_http_ampersand_text_t *text, const ngx_ampersand_standing_t *standing);
static void ngx_http_ampersand_stands_used(ngx_http_ampersand_text_t *text,
    const ngx_http_ampersand_stands_t *stands);
static void ngx_http_ampersand_stands_rate(ngx_http_ampersand_text_t *text,
    const ngx_http_ampersand_stands_t *stands);
static void ngx_http_ampersand_stands_burst(ngx_http_ampersand_text_t *text,
    const ngx_http_ampersand_stands_t *stands);
static void ngx_http_ampersand_stands_cooldown(ngx_http_ampersand_text_t *text,
    const ngx_http_ampersand_stands_t *stands);
static void ngx_http_ampersand_stands_key(ngx_http_ampersand_text_t *text,
    const ngx_http_ampersand_stands_t *stands);
static void ngx_http_ampersand_stands_token(ngx_http_ampersand_text_t *text,
    const ngx_http_ampersand_stands_t *stands);


static const ngx_http_ampersand_stands_metric_t  ngx_http_ampersand_stands[] = {
    { "limit_used_ratio", "Used part of a tenant's limit; 1: all of it",
      ngx_http_ampersand_stands_used },
    { "limit_requests_per_second", "Rate of a tenant's limit",
      ngx_http_ampersand_stands_rate },
    { "limit_burst_requests", "Burst of a tenant's limit, or how many "
      "requests may be in flight", ngx_http_ampersand_stands_burst },
    { "tenant_cooldown_seconds", "What is left of a tenant's cool-down",
      ngx_http_ampersand_stands_cooldown },
    { "tenant_key_usable", "1: the tenant has an Ampersand key that opens",
      ngx_http_ampersand_stands_key },
    { "tenant_token_expiry_timestamp_seconds", "When the first token of those "
      "that the tenant used in the last hour expires",
      ngx_http_ampersand_stands_token }
};


/*
 * "limits":{"default":{"rate":"50/s","burst":100,"used":0.420},
 *           "concurrency":{"burst":20,"used":0.050}},
 * "cooldown":12,"keyUsable":true,"tokenExpires":1789000000
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
    ngx_http_ampersand_text(text, ",\"cooldown\":%T,\"keyUsable\":%s",
                            standing.cooldown,
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

    for (i = 0; i < NGX_AMPERSAND_STANDING_LIMITS; i++) {

        if (!(standing->limits & (ngx_uint_t) 1 << i)) {
            continue;
        }

        ngx_http_ampersand_text(text, "%s\"%s\":{", comma,
                                ngx_ampersand_standing_limit(i));
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
    ngx_uint_t                                 i, j, n;
    ngx_ampersand_metrics_t                   *metrics;
    ngx_http_ampersand_stands_t               *stands;
    ngx_ampersand_metrics_tenant_t            *tenant;
    const ngx_http_ampersand_stands_metric_t  *metric;

    metrics = amcf->metrics;

    stands = ngx_palloc(text->request->pool, metrics->n * sizeof(*stands));
    if (stands == NULL) {
        text->failed = 1;
        return;
    }

    n = 0;

    for (i = 0; i < metrics->n; i++) {
        tenant = &metrics->sh->tenants[i];

        if (tenant->len) {
            stands[n].tenant = tenant;
            ngx_ampersand_standing(amcf->zone,
                                   amp_span_make(tenant->id, tenant->len),
                                   &stands[n++].standing);
        }
    }

    for (i = 0; i < sizeof(ngx_http_ampersand_stands)
                    / sizeof(ngx_http_ampersand_stands[0]);
         i++)
    {
        metric = &ngx_http_ampersand_stands[i];

        ngx_http_ampersand_text(text, "# HELP ampersand_%s %s\n"
                                      "# TYPE ampersand_%s gauge\n",
                                metric->name, metric->help, metric->name);

        for (j = 0; j < n; j++) {
            metric->write(text, &stands[j]);
        }
    }
}


static void
ngx_http_ampersand_stands_used(ngx_http_ampersand_text_t *text,
    const ngx_http_ampersand_stands_t *stands)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_AMPERSAND_STANDING_LIMITS; i++) {

        if (!(stands->standing.limits & (ngx_uint_t) 1 << i)) {
            continue;
        }

        ngx_http_ampersand_text(text,
                                "ampersand_limit_used_ratio{tenant=\"%*s\","
                                "limit=\"%s\"} %ui.%03ui\n",
                                (size_t) stands->tenant->len,
                                stands->tenant->id,
                                ngx_ampersand_standing_limit(i),
                                stands->standing.used[i] / 1000,
                                stands->standing.used[i] % 1000);
    }
}


static void
ngx_http_ampersand_stands_rate(ngx_http_ampersand_text_t *text,
    const ngx_http_ampersand_stands_t *stands)
{
    ngx_uint_t         i;
    const amp_rate_t  *rate;

    for (i = 0; i < NGX_AMPERSAND_STANDING_LIMITS; i++) {
        rate = &stands->standing.rates[i];

        if ((stands->standing.limits & (ngx_uint_t) 1 << i) && rate->count) {
            ngx_http_ampersand_text(text,
                                    "ampersand_limit_requests_per_second{"
                                    "tenant=\"%*s\",limit=\"%s\"} %.6f\n",
                                    (size_t) stands->tenant->len,
                                    stands->tenant->id,
                                    ngx_ampersand_standing_limit(i),
                                    (double) rate->count / rate->period);
        }
    }
}


static void
ngx_http_ampersand_stands_burst(ngx_http_ampersand_text_t *text,
    const ngx_http_ampersand_stands_t *stands)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_AMPERSAND_STANDING_LIMITS; i++) {

        if (!(stands->standing.limits & (ngx_uint_t) 1 << i)) {
            continue;
        }

        ngx_http_ampersand_text(text,
                                "ampersand_limit_burst_requests{"
                                "tenant=\"%*s\",limit=\"%s\"} %uD\n",
                                (size_t) stands->tenant->len,
                                stands->tenant->id,
                                ngx_ampersand_standing_limit(i),
                                stands->standing.rates[i].burst);
    }
}


static void
ngx_http_ampersand_stands_cooldown(ngx_http_ampersand_text_t *text,
    const ngx_http_ampersand_stands_t *stands)
{
    if (stands->standing.known) {
        ngx_http_ampersand_text(text,
                                "ampersand_tenant_cooldown_seconds{"
                                "tenant=\"%*s\"} %T\n",
                                (size_t) stands->tenant->len,
                                stands->tenant->id, stands->standing.cooldown);
    }
}


static void
ngx_http_ampersand_stands_key(ngx_http_ampersand_text_t *text,
    const ngx_http_ampersand_stands_t *stands)
{
    if (stands->standing.known) {
        ngx_http_ampersand_text(text,
                                "ampersand_tenant_key_usable{tenant=\"%*s\"} "
                                "%d\n",
                                (size_t) stands->tenant->len,
                                stands->tenant->id, stands->standing.opens);
    }
}


static void
ngx_http_ampersand_stands_token(ngx_http_ampersand_text_t *text,
    const ngx_http_ampersand_stands_t *stands)
{
    if (stands->tenant->expires) {
        ngx_http_ampersand_text(text,
                                "ampersand_tenant_token_expiry_timestamp_"
                                "seconds{tenant=\"%*s\"} %T\n",
                                (size_t) stands->tenant->len,
                                stands->tenant->id, stands->tenant->expires);
    }
}
