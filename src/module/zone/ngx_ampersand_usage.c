#include "ngx_ampersand_usage.h"


/* Tenants, others, unidentified, and operations, in this order. */

typedef struct {
    ngx_ampersand_usage_t           *usage;
    ngx_ampersand_metrics_tenant_t  *tenant;    /* or NULL                    */
    ngx_uint_t                       operation;
} ngx_ampersand_usage_place_t;


static ngx_uint_t ngx_ampersand_usage_place(ngx_ampersand_metrics_t *metrics,
    ngx_uint_t i, ngx_ampersand_usage_place_t *place);
static void ngx_ampersand_usage_totals(ngx_ampersand_metrics_t *metrics,
    ngx_ampersand_usage_place_t *place, uint64_t *totals);
static ngx_int_t ngx_ampersand_usage_next(ngx_ampersand_metrics_t *metrics);
static ngx_uint_t ngx_ampersand_usage_move(ngx_ampersand_metrics_t *metrics,
    ngx_uint_t first, ngx_uint_t parity);
static u_char *ngx_ampersand_usage_line(ngx_ampersand_metrics_t *metrics,
    ngx_ampersand_usage_place_t *place, u_char *p);


#define ngx_ampersand_usage_today()  ((uint32_t) (ngx_time() / 86400))


void
ngx_ampersand_usage_upstream(ngx_ampersand_metrics_t *metrics, amp_span_t id,
    ngx_uint_t index)
{
    ngx_ampersand_metrics_tenant_t  *tenant;

    tenant = ngx_ampersand_metrics_tenant(metrics, id);

    (void) ngx_atomic_fetch_add(&tenant->usage.upstream, 1);
    (void) ngx_atomic_fetch_add(&metrics->sh->usages[index].upstream, 1);
}


void
ngx_ampersand_usage_collect(ngx_ampersand_metrics_t *metrics)
{
    uint64_t                     totals[AMP_USAGE_COUNTS];
    ngx_uint_t                   i, j, parity;
    ngx_ampersand_usage_t       *usage;
    ngx_ampersand_usage_place_t  place;

    parity = ngx_ampersand_usage_today() & 1;

    ngx_shmtx_lock(&metrics->shpool->mutex);

    metrics->sh->collected = ngx_current_msec;

    for (i = 0; ngx_ampersand_usage_place(metrics, i, &place); i++) {
        usage = place.usage;
        ngx_ampersand_usage_totals(metrics, &place, totals);

        for (j = 0; j < AMP_USAGE_COUNTS; j++) {
            usage->pending[parity][j] += totals[j] - usage->seen[j];
            usage->seen[j] = totals[j];
        }
    }

    ngx_shmtx_unlock(&metrics->shpool->mutex);
}


ngx_int_t
ngx_ampersand_usage_begin(ngx_ampersand_metrics_t *metrics,
    ngx_ampersand_usage_report_t *report)
{
    u_char                          *p;
    ngx_int_t                        rc;
    ngx_uint_t                       i;
    ngx_ampersand_usage_place_t      place;
    ngx_ampersand_metrics_shared_t  *sh;

    sh = metrics->sh;
    rc = NGX_OK;

    ngx_shmtx_lock(&metrics->shpool->mutex);

    if (!sh->reporting) {
        rc = ngx_ampersand_usage_next(metrics);
    }

    if (rc == NGX_OK) {
        p = report->text;

        for (i = sh->report_first;
             i < sh->report_first + NGX_AMPERSAND_USAGE_PART
             && ngx_ampersand_usage_place(metrics, i, &place);
             i++)
        {
            p = ngx_ampersand_usage_line(metrics, &place, p);
        }

        report->number = sh->report;
        report->day = sh->report_day;
        report->len = p - report->text;
    }

    ngx_shmtx_unlock(&metrics->shpool->mutex);

    return rc;
}


/* Makes the next report: of yesterday before those of today. */

static ngx_int_t
ngx_ampersand_usage_next(ngx_ampersand_metrics_t *metrics)
{
    uint32_t                         day;
    ngx_uint_t                       first, ago;
    ngx_ampersand_usage_place_t      place;
    ngx_ampersand_metrics_shared_t  *sh;

    sh = metrics->sh;

    for (ago = 2; ago-- != 0; /* void */ ) {
        day = ngx_ampersand_usage_today() - (uint32_t) ago;

        for (first = 0;
             ngx_ampersand_usage_place(metrics, first, &place);
             first += NGX_AMPERSAND_USAGE_PART)
        {
            if (ngx_ampersand_usage_move(metrics, first, day & 1)) {
                sh->report++;
                sh->report_day = day;
                sh->report_first = first;
                ngx_memory_barrier();
                sh->reporting = 1;

                return NGX_OK;
            }
        }
    }

    return NGX_DECLINED;
}


static ngx_uint_t
ngx_ampersand_usage_move(ngx_ampersand_metrics_t *metrics, ngx_uint_t first,
    ngx_uint_t parity)
{
    ngx_uint_t                   i, j, any;
    ngx_ampersand_usage_t       *usage;
    ngx_ampersand_usage_place_t  place;

    any = 0;

    for (i = first;
         i < first + NGX_AMPERSAND_USAGE_PART
         && ngx_ampersand_usage_place(metrics, i, &place);
         i++)
    {
        usage = place.usage;

        for (j = 0; j < AMP_USAGE_COUNTS; j++) {
            usage->report[j] += usage->pending[parity][j];
            usage->pending[parity][j] = 0;
            any |= (usage->report[j] != 0);
        }
    }

    return any;
}


void
ngx_ampersand_usage_end(ngx_ampersand_metrics_t *metrics, uint64_t number)
{
    ngx_uint_t                       i;
    ngx_ampersand_usage_place_t      place;
    ngx_ampersand_metrics_shared_t  *sh;

    sh = metrics->sh;

    ngx_shmtx_lock(&metrics->shpool->mutex);

    /* during a reload two workers may have sent it */

    if (sh->reporting && sh->report == number) {

        sh->reporting = 0;

        for (i = sh->report_first;
             i < sh->report_first + NGX_AMPERSAND_USAGE_PART
             && ngx_ampersand_usage_place(metrics, i, &place);
             i++)
        {
            ngx_memzero(place.usage->report, sizeof(place.usage->report));
        }
    }

    ngx_shmtx_unlock(&metrics->shpool->mutex);
}


/* 0: there is no such place. */

static ngx_uint_t
ngx_ampersand_usage_place(ngx_ampersand_metrics_t *metrics, ngx_uint_t i,
    ngx_ampersand_usage_place_t *place)
{
    size_t                           operations;
    ngx_ampersand_metrics_shared_t  *sh;

    sh = metrics->sh;

    if (i < metrics->n + 2) {
        place->tenant = i < metrics->n ? &sh->tenants[i]
                        : i == metrics->n ? &sh->other : &sh->unidentified;
        place->usage = &place->tenant->usage;

        return 1;
    }

    i -= metrics->n + 2;
    (void) amp_operations(&operations);

    if (i >= operations) {
        return 0;
    }

    place->tenant = NULL;
    place->operation = i;
    place->usage = &sh->usages[i];

    return 1;
}


/* What is counted for the status already is not counted a second time. */

static void
ngx_ampersand_usage_totals(ngx_ampersand_metrics_t *metrics,
    ngx_ampersand_usage_place_t *place, uint64_t *totals)
{
    ngx_uint_t                i, source, n;
    const ngx_atomic_uint_t  *counts;

    if (place->tenant) {
        counts = &place->tenant->requests[0][0][0];
        n = NGX_AMPERSAND_METRICS_APIS * NGX_AMPERSAND_METRICS_CLASSES;

    } else {
        counts = &metrics->sh->operations[place->operation][0][0];
        n = NGX_AMPERSAND_METRICS_STATUSES;
    }

    ngx_memzero(totals, AMP_USAGE_COUNTS * sizeof(*totals));

    for (i = 0; i < n; i++) {
        for (source = 0; source < NGX_AMPERSAND_METRICS_SOURCES; source++) {
            totals[AMP_USAGE_REQUESTS] += *counts;

            if (source == NGX_AMPERSAND_METRICS_GATEWAY) {
                totals[AMP_USAGE_REFUSALS] += *counts;
            }

            counts++;
        }
    }

    totals[AMP_USAGE_UPSTREAM] = place->usage->upstream;
    totals[AMP_USAGE_BYTES] = place->usage->bytes;
}


static u_char *
ngx_ampersand_usage_line(ngx_ampersand_metrics_t *metrics,
    ngx_ampersand_usage_place_t *place, u_char *p)
{
    size_t                           n;
    uint64_t                         any;
    ngx_uint_t                       j;
    ngx_ampersand_metrics_tenant_t  *tenant;

    any = 0;

    for (j = 0; j < AMP_USAGE_COUNTS; j++) {
        any |= place->usage->report[j];
    }

    if (any == 0) {
        return p;
    }

    tenant = place->tenant;

    if (tenant == NULL) {
        p = ngx_sprintf(p, "o:%s", amp_operations(&n)[place->operation].id);

    } else if (tenant == &metrics->sh->other) {
        p = ngx_sprintf(p, "t:other");

    } else {
        p = ngx_sprintf(p, "t:%*s", (size_t) tenant->len, tenant->id);
    }

    for (j = 0; j < AMP_USAGE_COUNTS; j++) {
        p = ngx_sprintf(p, " %uL", place->usage->report[j]);
    }

    *p++ = '\n';

    return p;
}
