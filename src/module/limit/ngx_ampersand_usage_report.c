#include "ngx_ampersand_usage_report.h"
#include "redis/ngx_ampersand_redis_error.h"
#include "amp_keys.h"
#include "amp_script.h"


#define NGX_AMPERSAND_USAGE_PAUSE  8000     /* ms: ten seconds with all that
                                               follows                        */


static void ngx_ampersand_usage_report_beat(ngx_event_t *ev);
static void ngx_ampersand_usage_report_next(
    ngx_ampersand_usage_reporter_t *reporter);
static void ngx_ampersand_usage_report_send(
    ngx_ampersand_usage_reporter_t *reporter);
static ngx_int_t ngx_ampersand_usage_report_command(
    ngx_ampersand_usage_reporter_t *reporter, ngx_ampersand_reply_pt handler);
static void ngx_ampersand_usage_report_reply(void *data, ngx_int_t rc,
    redisReply *reply);
static void ngx_ampersand_usage_report_refused(
    ngx_ampersand_usage_reporter_t *reporter, redisReply *reply);


void
ngx_ampersand_usage_report_init(ngx_ampersand_usage_reporter_t *reporter,
    ngx_log_t *log, ngx_uint_t one)
{
    ngx_msec_int_t  left;

    reporter->timer.handler = ngx_ampersand_usage_report_beat;
    reporter->timer.data = reporter;
    reporter->timer.log = log;
    reporter->timer.cancelable = 1;

    if (!one) {
        return;
    }

    /* reloads do not put it off */

    left = (ngx_msec_int_t) (reporter->metrics->sh->collected
                             + NGX_AMPERSAND_USAGE_PAUSE - ngx_current_msec);
    left = ngx_min(ngx_max(left, 1), NGX_AMPERSAND_USAGE_PAUSE);

    ngx_add_timer(&reporter->timer, (ngx_msec_t) left);
}


/* Not all gateways at the same time: the pause is a little random. */

static void
ngx_ampersand_usage_report_beat(ngx_event_t *ev)
{
    ngx_ampersand_usage_reporter_t  *reporter;

    reporter = ev->data;

    ngx_ampersand_usage_collect(reporter->metrics);
    ngx_ampersand_usage_report_next(reporter);

    if (!ngx_exiting) {
        ngx_add_timer(ev, NGX_AMPERSAND_USAGE_PAUSE
                          - ngx_random() % (NGX_AMPERSAND_USAGE_PAUSE / 8));
    }
}


static void
ngx_ampersand_usage_report_next(ngx_ampersand_usage_reporter_t *reporter)
{
    if (!reporter->waiting
        && ngx_ampersand_usage_begin(reporter->metrics, &reporter->report)
           == NGX_OK)
    {
        reporter->eval = 0;
        ngx_ampersand_usage_report_send(reporter);
    }
}


static void
ngx_ampersand_usage_report_send(ngx_ampersand_usage_reporter_t *reporter)
{
    reporter->waiting = (ngx_ampersand_usage_report_command(reporter,
                                              ngx_ampersand_usage_report_reply)
                         == NGX_OK);
}


static ngx_int_t
ngx_ampersand_usage_report_command(ngx_ampersand_usage_reporter_t *reporter,
    ngx_ampersand_reply_pt handler)
{
    u_char                         name[AMP_KEYS_MAX], date[AMP_USAGE_DATE];
    u_char                         number[NGX_INT64_LEN], kept[NGX_INT64_LEN];
    amp_buf_t                      key;
    amp_span_t                     argv[8];
    ngx_ampersand_usage_report_t  *report;

    report = &reporter->report;

    amp_usage_date(report->day, date);
    amp_buf_init(&key, name, sizeof(name));
    amp_keys_usage(ngx_ampersand_span(*reporter->prefix),
                   amp_span_make(date, sizeof(date)), &key);

    argv[0] = reporter->eval ? amp_span("EVAL") : amp_span("EVALSHA");
    argv[1] = reporter->eval ? amp_script_usage.text : amp_script_usage.sha;
    argv[2] = amp_span("1");
    argv[3] = amp_buf_written(&key);
    argv[4] = amp_span_make(reporter->metrics->sh->run,
                            NGX_AMPERSAND_METRICS_RUN);
    argv[5] = amp_span_make(number, ngx_sprintf(number, "%uL", report->number)
                                    - number);
    argv[6] = amp_span_make(kept, ngx_sprintf(kept, "%L", AMP_USAGE_KEPT)
                                  - kept);
    argv[7] = amp_span_make(report->text, report->len);

    return ngx_ampersand_redis_command(reporter->redis, argv[3], 8, argv,
                                       handler, reporter);
}


/* Redis answers in order, and there is one report at a time. */

static void
ngx_ampersand_usage_report_reply(void *data, ngx_int_t rc, redisReply *reply)
{
    ngx_ampersand_usage_reporter_t *reporter = data;

    reporter->waiting = 0;

    if (rc != NGX_OK) {
        return;
    }

    if (!reporter->eval
        && ngx_ampersand_redis_error_is(reply, AMP_REDIS_ERROR_NOSCRIPT))
    {
        reporter->eval = 1;
        ngx_ampersand_usage_report_send(reporter);
        return;
    }

    if (reply->type != REDIS_REPLY_INTEGER) {
        ngx_ampersand_usage_report_refused(reporter, reply);
        return;
    }

    reporter->refused = 0;

    ngx_ampersand_usage_end(reporter->metrics, reporter->report.number);
    ngx_ampersand_usage_report_next(reporter);
}


static void
ngx_ampersand_usage_report_refused(ngx_ampersand_usage_reporter_t *reporter,
    redisReply *reply)
{
    u_char  date[AMP_USAGE_DATE];

    if (reporter->refused) {
        return;
    }

    reporter->refused = 1;

    if (ngx_ampersand_redis_error_is(reply, AMP_REDIS_ERROR_WRONGTYPE)) {
        amp_usage_date(reporter->report.day, date);
        ngx_log_error(NGX_LOG_ERR, reporter->timer.log, 0,
                      "ampersand: usage is not counted in Redis: "
                      "\"%Vusage:%*s\" is not a hash; it is kept until "
                      "\"ampctl repair\" has mended that", reporter->prefix,
                      sizeof(date), date);
        return;
    }

    ngx_log_error(NGX_LOG_WARN, reporter->timer.log, 0,
                  "ampersand: usage is not counted in Redis: \"%*s\"; it is "
                  "kept until Redis takes it, \"ampctl doctor\" names missing "
                  "rights", ngx_ampersand_reply_len(reply),
                  reply->str ? reply->str : "");
}


void
ngx_ampersand_usage_report_exit(ngx_ampersand_usage_reporter_t *reporter)
{
    ngx_ampersand_usage_collect(reporter->metrics);
    reporter->eval = 0;

    /* in one pipeline: they arrive in this order, or not at all */

    while (ngx_ampersand_usage_begin(reporter->metrics, &reporter->report)
           == NGX_OK
           && ngx_ampersand_usage_report_command(reporter, NULL) == NGX_OK)
    {
        ngx_ampersand_usage_end(reporter->metrics, reporter->report.number);
    }
}
