/* Why a link failed, the lines about it in the log, and the back-off. */

#include "ngx_ampersand_link_state.h"


static ngx_uint_t ngx_ampersand_link_new_cause(ngx_ampersand_link_t *link);


void
ngx_ampersand_link_set_reason(ngx_ampersand_link_t *link, const char *why,
    ngx_err_t err)
{
    size_t                        len;
    u_char                       *text;
    ngx_uint_t                    connected;
    ngx_ampersand_link_reason_t  *reason;

    reason = &link->reason;
    text = link->connection.error;
    len = link->connection.error_len;
    connected = (len || link->state >= NGX_AMPERSAND_LINK_HANDSHAKE);

    if (link->error.len) {
        why = "answers with an error";
        err = 0;
        text = link->error.text;
        len = link->error.len;

    } else if (link->handshake.why) {
        why = link->handshake.why;
        err = 0;
    }

    if (reason->why && reason->connected && !connected) {
        return;
    }

    reason->why = why;
    reason->err = err;
    reason->len = ngx_min(len, sizeof(reason->text));
    reason->connected = connected;
    ngx_memcpy(reason->text, text, reason->len);
}


void
ngx_ampersand_link_set_late(ngx_ampersand_link_t *link)
{
    u_char                       *p;
    const char                   *why;
    ngx_ampersand_link_reason_t  *reason;

    why = "does not answer in time";
    reason = &link->reason;

    ngx_ampersand_link_set_reason(link, why, 0);

    if (reason->why == why && reason->len == 0) {
        p = ngx_snprintf(reason->text, sizeof(reason->text),
                         "timeout=%Mms of ampersand_redis has to be at least "
                         "five round trips",
                         link->opts.links->conf->timeout);
        reason->len = p - reason->text;
    }
}


void
ngx_ampersand_link_log_reason(ngx_ampersand_link_t *link, ngx_uint_t level,
    const char *effect)
{
    ngx_ampersand_link_reason_t  *reason;

    reason = &link->reason;

    ngx_log_error(level, link->opts.links->log, reason->err,
                  "ampersand: %s \"%V\" %s%s%*s, %s",
                  link->opts.kind, &link->display, reason->why,
                  reason->len ? ": " : "", reason->len, reason->text, effect);
}


ngx_msec_t
ngx_ampersand_link_outage(ngx_ampersand_link_t *link)
{
    ngx_msec_t  delay;
    ngx_uint_t  nhosts;

    if (ngx_ampersand_link_new_cause(link)) {

        /* no other link logs an error of SUBSCRIBE */

        ngx_ampersand_link_log_reason(link, link->no_subscribe
                                            ? NGX_LOG_ERR : link->opts.level,
                                      link->failures ? "still out of reach"
                                                     : link->opts.effect);
    }

    ngx_ampersand_count(link->opts.links->counters, failures);

    link->failures++;
    link->reached = link->opts.links->counters->ready;

    nhosts = ngx_max(link->opts.nhosts, 1);
    delay = NGX_AMPERSAND_LINK_BACKOFF / 10;

    if (link->failures % nhosts == 0) {
        delay = ngx_min(NGX_AMPERSAND_LINK_BACKOFF_MAX,
                        NGX_AMPERSAND_LINK_BACKOFF
                        << ngx_min(link->failures / nhosts - 1, 8));
    }

    return delay / 2 + ngx_random() % delay;
}


/*
 * 1 where the reason has to be logged: the first one of an outage, and each
 * other that lasts.  While a server starts, or goes, its links see several
 * causes that pass.
 */

static ngx_uint_t
ngx_ampersand_link_new_cause(ngx_ampersand_link_t *link)
{
    uint32_t                      hash;
    ngx_uint_t                    i;
    ngx_ampersand_link_cause_t   *cause;
    ngx_ampersand_link_reason_t  *reason;

    cause = &link->cause;
    reason = &link->reason;

    ngx_crc32_init(hash);
    ngx_crc32_update(&hash, (u_char *) reason->why, ngx_strlen(reason->why));
    ngx_crc32_update(&hash, (u_char *) &reason->err, sizeof(reason->err));
    ngx_crc32_update(&hash, reason->text, reason->len);
    ngx_crc32_final(hash);

    if (link->failures == 0) {
        cause->logged = 0;
    }

    if (link->failures == 0 || cause->last != hash) {
        cause->last = hash;
        cause->since = ngx_current_msec;
    }

    for (i = 0; i < cause->logged; i++) {
        if (cause->hashes[i] == hash) {
            return 0;
        }
    }

    if (cause->logged == NGX_AMPERSAND_LINK_CAUSES
        || (cause->logged
            && ngx_current_msec - cause->since < NGX_AMPERSAND_LINK_LASTS))
    {
        return 0;
    }

    cause->hashes[cause->logged++] = hash;

    return 1;
}


void
ngx_ampersand_link_set_stable(ngx_ampersand_link_t *link)
{
    if (link->failures) {
        ngx_log_error(NGX_LOG_NOTICE, link->opts.links->log, 0,
                      "ampersand: %s \"%V\" is back after %ui attempts",
                      link->opts.kind, &link->display, link->failures);
    }

    link->failures = 0;
    link->retries = 0;
    link->stable = 1;
}


/*
 * A command can be refused now and then, in one worker or in all: it counts as
 * accepted after some time without an error.  One that is seldom sent may never
 * be seen to be accepted, and does not hide the refusal of another one then.
 */

void
ngx_ampersand_link_log_refused(ngx_ampersand_link_t *link, redisReply *reply)
{
    const char                   *name;
    ngx_msec_t                    past;
    ngx_ampersand_links_t        *links;
    ngx_ampersand_redis_error_t   error;

    links = link->opts.links;
    name = ngx_ampersand_pipeline_name(&link->pipeline);

    past = ngx_current_msec - links->refused_at;

    if (reply->type == REDIS_REPLY_ERROR) {
        links->refused_at = ngx_current_msec;

        if (links->refused[0]
            && (past <= NGX_AMPERSAND_LINK_REFUSED
                || ngx_strcmp(links->refused, name) == 0))
        {
            return;
        }

        error.len = 0;
        ngx_ampersand_redis_error_set(&error, reply);

        ngx_log_error(NGX_LOG_ERR, links->log, 0,
                      "ampersand: %s \"%V\" refuses %s: %*s",
                      link->opts.kind, &link->display, name, error.len,
                      error.text);

        (void) ngx_cpystrn((u_char *) links->refused, (u_char *) name,
                           sizeof(links->refused));
        return;
    }

    if (ngx_strcmp(links->refused, name) == 0
        && past > NGX_AMPERSAND_LINK_REFUSED)
    {
        ngx_log_error(NGX_LOG_NOTICE, links->log, 0,
                      "ampersand: %s \"%V\" accepts %s again",
                      link->opts.kind, &link->display, name);

        links->refused[0] = '\0';
    }
}
