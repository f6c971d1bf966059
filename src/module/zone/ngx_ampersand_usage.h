/*
 * Usage that Redis does not have yet, beside the counts of
 * ngx_ampersand_metrics.h: what was counted since, by days, and the report that
 * was sent last.  One worker collects and reports
 * (limit/ngx_ampersand_usage_report.h); the mutex of the metrics' zone guards
 * all but the two atomic counts.
 *
 *   counts ── collect ──▶ pending, of a day ── begin ──▶ report ── end ──▶ 0
 *                                               as it was, until Redis has it
 *
 * A report has a number, and a part of the tenants and operations, so that it
 * takes Redis a moment only.  It stands in the zone until Redis has confirmed
 * it: a worker that dies, and a reload, neither lose nor repeat it.
 *
 * Two days at most are pending.  In an outage of more than a day what was
 * counted before counts for a later day.
 */

#ifndef NGX_AMPERSAND_USAGE_H
#define NGX_AMPERSAND_USAGE_H


#include "ngx_ampersand_metrics.h"


#define NGX_AMPERSAND_USAGE_PART  64        /* of a report               */
#define NGX_AMPERSAND_USAGE_LINE  160       /* bytes                     */
#define NGX_AMPERSAND_USAGE_TEXT  (NGX_AMPERSAND_USAGE_PART                   \
                                   * NGX_AMPERSAND_USAGE_LINE)


typedef struct {
    uint64_t    number;
    uint32_t    day;                /* since 1970                             */
    size_t      len;
    u_char      text[NGX_AMPERSAND_USAGE_TEXT]; /* for usage.lua              */
} ngx_ampersand_usage_report_t;


/* Counts an upstream request that was sent; index is the operation's. */

void ngx_ampersand_usage_upstream(ngx_ampersand_metrics_t *metrics,
    amp_span_t tenant, ngx_uint_t index);

/* What was counted since the last call belongs to today. */

void ngx_ampersand_usage_collect(ngx_ampersand_metrics_t *metrics);

/*
 * Fills *report with the one that Redis has not confirmed, or else with the
 * next one.  NGX_DECLINED: there is nothing to report.
 */

ngx_int_t ngx_ampersand_usage_begin(ngx_ampersand_metrics_t *metrics,
    ngx_ampersand_usage_report_t *report);

/* Redis has the report with this number. */

void ngx_ampersand_usage_end(ngx_ampersand_metrics_t *metrics, uint64_t number);


#endif /* NGX_AMPERSAND_USAGE_H */
