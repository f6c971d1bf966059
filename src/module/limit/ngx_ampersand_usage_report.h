/*
 * Reports usage (zone/ngx_ampersand_usage.h) to Redis: one worker of each
 * gateway, at least each ten seconds, one report after the other.
 *
 *   timer ──▶ collect ──▶ begin ──┬──▶ usage.lua ──▶ a reply ──▶ end ──▶ begin
 *     ▲                           │                 (NOSCRIPT: EVAL)
 *     └───────────────────────────┴── nothing to report; no reply, an error
 *
 * Without a reply it is unknown whether Redis has the report.  So it is sent
 * again as it was, and the script passes over a number that it has seen.
 */

#ifndef NGX_AMPERSAND_USAGE_REPORT_H
#define NGX_AMPERSAND_USAGE_REPORT_H


#include "redis/ngx_ampersand_redis.h"
#include "zone/ngx_ampersand_usage.h"


/* A worker's; the caller fills the first part, and it is zeroed before. */

typedef struct {
    ngx_ampersand_metrics_t       *metrics;
    ngx_ampersand_redis_t         *redis;
    ngx_str_t                     *prefix;

    ngx_event_t                    timer;
    ngx_uint_t                     waiting; /* for a reply                    */
    ngx_uint_t                     refused; /* that was logged                */
    ngx_uint_t                     eval;    /* with the script's text         */
    ngx_ampersand_usage_report_t   report;  /* that was sent last             */
} ngx_ampersand_usage_reporter_t;


/* For init_process.  one: this worker reports. */

void ngx_ampersand_usage_report_init(ngx_ampersand_usage_reporter_t *reporter,
    ngx_log_t *log, ngx_uint_t one);

/*
 * For exit_process of the gateway's last worker, before the link is closed:
 * sends all that is left, and does not wait for replies.
 */

void ngx_ampersand_usage_report_exit(ngx_ampersand_usage_reporter_t *reporter);


#endif /* NGX_AMPERSAND_USAGE_REPORT_H */
