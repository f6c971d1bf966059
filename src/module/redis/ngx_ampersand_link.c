#include "ngx_ampersand_link.h"
#include "ngx_ampersand_link_state.h"


static void ngx_ampersand_link_attempt_done(ngx_ampersand_link_t *link,
    ngx_int_t rc);
static void ngx_ampersand_link_up(ngx_ampersand_link_t *link);
static void ngx_ampersand_link_failed(void *data, const char *why,
    ngx_err_t err, ngx_uint_t closed);
static void ngx_ampersand_link_reconnect(ngx_ampersand_link_t *link,
    const amp_redis_host_t *host);
static void ngx_ampersand_link_down(ngx_ampersand_link_t *link);
static void ngx_ampersand_link_reset(ngx_ampersand_link_t *link,
    ngx_queue_t *failed);
static void ngx_ampersand_link_set_deadline(ngx_ampersand_link_t *link);
static void ngx_ampersand_link_deadline_handler(ngx_event_t *ev);
static void ngx_ampersand_link_reconnect_handler(ngx_event_t *ev);
static void ngx_ampersand_link_keepalive_handler(ngx_event_t *ev);


ngx_int_t
ngx_ampersand_link_create(ngx_ampersand_link_t **out,
    ngx_ampersand_link_opts_t *opts)
{
    ngx_log_t             *log;
    ngx_ampersand_link_t  *link;

    log = opts->links->log;

    link = ngx_calloc(sizeof(*link), log);
    if (link == NULL) {
        return NGX_ERROR;
    }

    *out = link;

    link->opts = *opts;
    link->display = opts->links->conf->display;
    link->attempt_done = ngx_ampersand_link_attempt_done;
    link->counted = NGX_AMPERSAND_LINKED;
    link->readonly_at = ngx_current_msec - NGX_AMPERSAND_LINK_READONLY;

    ngx_ampersand_pipeline_init(&link->pipeline, log);
    ngx_ampersand_pipeline_init(&link->pending, log);

    link->resolver.log = log;

    link->connection.pipeline = &link->pipeline;
    link->connection.log = log;
    link->connection.tls = opts->links->conf->tls;
    link->connection.host = link->host.host;
    link->connection.connected = ngx_ampersand_link_connected;
    link->connection.reply = ngx_ampersand_link_reply;
    link->connection.failed = ngx_ampersand_link_failed;
    link->connection.data = link;

    link->handshake.conf = opts->links->conf;
    link->handshake.pipeline = &link->pipeline;
    link->handshake.error = &link->error;
    link->handshake.done = ngx_ampersand_link_handshake_done;
    link->handshake.data = link;
    link->handshake.master = opts->master;
    link->handshake.sentinel = opts->sentinel;

    link->deadline.handler = ngx_ampersand_link_deadline_handler;
    link->deadline.data = link;
    link->deadline.log = log;

    link->reconnect.handler = ngx_ampersand_link_reconnect_handler;
    link->reconnect.data = link;
    link->reconnect.log = log;
    link->reconnect.cancelable = 1;

    link->keepalive.handler = ngx_ampersand_link_keepalive_handler;
    link->keepalive.data = link;
    link->keepalive.log = log;
    link->keepalive.cancelable = 1;

    ngx_ampersand_link_connect(link, NULL);

    return NGX_OK;
}


ngx_int_t
ngx_ampersand_link_command(ngx_ampersand_link_t *link, ngx_uint_t argc,
    const amp_span_t *argv, ngx_ampersand_reply_pt handler, void *data)
{
    ngx_int_t                  rc;
    ngx_uint_t                 ready, reached;
    ngx_ampersand_pipeline_t  *pipeline;

    reached = (link->opts.links->counters->ready != link->reached);

    if (reached) {
        ngx_ampersand_link_retry(link);
    }

    ready = (link->state == NGX_AMPERSAND_LINK_READY);

    if (link->state == NGX_AMPERSAND_LINK_DOWN
        || (!ready && link->failures && !reached))
    {
        return NGX_DECLINED;
    }

    pipeline = ready ? &link->pipeline : &link->pending;

    if (pipeline->waiting >= NGX_AMPERSAND_LINK_QUEUE) {
        return NGX_BUSY;
    }

    rc = ngx_ampersand_pipeline_add(pipeline, argc, argv,
                                    link->opts.links->conf->timeout, handler,
                                    data);

    if (rc == NGX_OK) {
        ngx_ampersand_count(link->opts.links->counters, commands);

        if (ready) {
            ngx_ampersand_connection_flush(&link->connection);
            ngx_ampersand_link_set_deadline(link);
        }
    }

    return rc;
}


void
ngx_ampersand_link_located(ngx_ampersand_link_t *link,
    const amp_redis_host_t *host, const char *why)
{
    if (link->state != NGX_AMPERSAND_LINK_LOCATING) {
        return;
    }

    if (host) {
        ngx_ampersand_link_resolve(link, host);
        return;
    }

    ngx_ampersand_link_set_reason(link, why, 0);
    ngx_ampersand_link_down(link);
}


void
ngx_ampersand_link_move(ngx_ampersand_link_t *link,
    const amp_redis_host_t *host)
{
    ngx_uint_t  same;

    same = (link->host.port == host->port
            && ngx_strcmp(link->host.host, host->host) == 0);

    if (same && link->state > NGX_AMPERSAND_LINK_LOCATING) {
        return;
    }

    if (!same && link->host.port && !link->opts.sentinel) {
        ngx_ampersand_count(link->opts.links->counters, moves);
        ngx_log_error(NGX_LOG_NOTICE, link->opts.links->log, 0,
                      "ampersand: %s \"%V\" is left, connecting to \"%s:%ui\"",
                      link->opts.kind, &link->display, host->host,
                      (ngx_uint_t) host->port);
    }

    ngx_ampersand_link_reconnect(link, host);
}


void
ngx_ampersand_link_retry(ngx_ampersand_link_t *link)
{
    if (link->state == NGX_AMPERSAND_LINK_DOWN && link->reconnect.timer_set) {
        ngx_del_timer(&link->reconnect);
        ngx_ampersand_link_connect(link, NULL);
    }
}


ngx_uint_t
ngx_ampersand_link_ready(ngx_ampersand_link_t *link)
{
    return link->state == NGX_AMPERSAND_LINK_READY;
}


const ngx_ampersand_server_t *
ngx_ampersand_link_server(ngx_ampersand_link_t *link)
{
    return ngx_ampersand_link_ready(link) ? &link->handshake.server : NULL;
}


ngx_uint_t
ngx_ampersand_link_failures(ngx_ampersand_link_t *link)
{
    return link->failures;
}


void
ngx_ampersand_link_set_level(ngx_ampersand_link_t *link, ngx_uint_t level)
{
    link->opts.level = level;
}


ngx_uint_t
ngx_ampersand_link_idle(ngx_ampersand_link_t *link)
{
    return link->pipeline.waiting == 0 && link->pending.waiting == 0;
}


const amp_redis_host_t *
ngx_ampersand_link_host(ngx_ampersand_link_t *link)
{
    return &link->host;
}


void
ngx_ampersand_link_close(ngx_ampersand_link_t *link)
{
    ngx_queue_t  failed;

    link->opts.state = NULL;

    ngx_ampersand_link_count(link, 0);
    ngx_ampersand_link_reset(link, &failed);
    ngx_ampersand_pipeline_fail(&failed, 0);

    ngx_free(link);
}


void
ngx_ampersand_link_count(ngx_ampersand_link_t *link, ngx_uint_t there)
{
    ngx_ampersand_links_t   *links;
    ngx_ampersand_linked_e   now;

    links = link->opts.links;

    now = !there || link->host.host[0] == '\0' ? NGX_AMPERSAND_LINKED
          : ngx_ampersand_link_ready(link) ? NGX_AMPERSAND_LINKED_UP
          : link->failures ? NGX_AMPERSAND_LINKED_DOWN
          : NGX_AMPERSAND_LINKED_CONNECTING;

    if (now != link->counted) {
        links->count(links->count_data, &link->host, link->counted, now);
        link->counted = now;
    }
}


static void
ngx_ampersand_link_attempt_done(ngx_ampersand_link_t *link, ngx_int_t rc)
{
    if (rc == NGX_OK) {
        ngx_ampersand_link_up(link);

    } else {
        ngx_ampersand_link_down(link);
    }
}


static void
ngx_ampersand_link_up(ngx_ampersand_link_t *link)
{
    ngx_ampersand_links_t  *links;

    links = link->opts.links;

    /* without memory the commands stay pending until the link fails */

    (void) ngx_ampersand_pipeline_move(&link->pipeline, &link->pending);

    link->state = NGX_AMPERSAND_LINK_READY;

    ngx_ampersand_count(links->counters, ready);
    ngx_ampersand_link_count(link, 1);
    ngx_ampersand_resolver_worked(&link->resolver);

    if (links->on_server) {
        links->on_server(links->on_server_data, &link->handshake.server);
    }

    if (link->deadline.timer_set) {
        ngx_del_timer(&link->deadline);
    }

    ngx_add_timer(&link->keepalive,
                  links->conf->timeout * NGX_AMPERSAND_LINK_STABLE);

    ngx_ampersand_connection_flush(&link->connection);
    ngx_ampersand_link_set_deadline(link);

    if (link->opts.state) {
        link->opts.state(link->opts.data, link, 1);
    }
}


/*
 * The connection's callback.  This function, reconnect() and down() close the
 * connection: they are called from event handlers and while connecting, never
 * while a reply of this link is in use.
 */

static void
ngx_ampersand_link_failed(void *data, const char *why, ngx_err_t err,
    ngx_uint_t closed)
{
    ngx_ampersand_link_t *link = data;

    ngx_uint_t  retry;

    if (link->state != NGX_AMPERSAND_LINK_READY) {
        ngx_ampersand_link_address_failed(link, why, err);
        return;
    }

    ngx_ampersand_link_set_reason(link, why, err);

    retry = link->stable
            || (link->failures == 0
                && link->retries++ < NGX_AMPERSAND_LINK_RETRIES);

    if (!retry || !(link->readonly || (closed && link->error.len == 0))) {
        ngx_ampersand_link_down(link);
        return;
    }

    ngx_ampersand_link_log_reason(link, NGX_LOG_NOTICE, "connecting again");

    ngx_ampersand_count(link->opts.links->counters, failures);
    ngx_ampersand_link_reconnect(link, NULL);
}


static void
ngx_ampersand_link_reconnect(ngx_ampersand_link_t *link,
    const amp_redis_host_t *host)
{
    ngx_queue_t  failed;

    ngx_ampersand_link_reset(link, &failed);
    ngx_ampersand_link_connect(link, host);
    ngx_ampersand_pipeline_fail(&failed, 1);
}


/* An attempt or a READY link has failed, for the reason that was set. */

static void
ngx_ampersand_link_down(ngx_ampersand_link_t *link)
{
    ngx_msec_t   delay;
    ngx_uint_t   was_ready;
    ngx_queue_t  failed;

    was_ready = ngx_ampersand_link_ready(link);
    delay = ngx_ampersand_link_outage(link);

    ngx_ampersand_link_reset(link, &failed);
    ngx_ampersand_link_count(link, 1);

    if (!was_ready && link->opts.state) {
        link->opts.state(link->opts.data, link, 0);
    }

    ngx_add_timer(&link->reconnect, delay);

    ngx_ampersand_pipeline_fail(&failed, 1);
}


/* DOWN, without timers and without a connection; failed: all commands. */

static void
ngx_ampersand_link_reset(ngx_ampersand_link_t *link, ngx_queue_t *failed)
{
    ngx_uint_t  was_ready;

    was_ready = ngx_ampersand_link_ready(link);
    link->state = NGX_AMPERSAND_LINK_DOWN;

    if (link->deadline.timer_set) {
        ngx_del_timer(&link->deadline);
    }

    if (link->reconnect.timer_set) {
        ngx_del_timer(&link->reconnect);
    }

    if (link->keepalive.timer_set) {
        ngx_del_timer(&link->keepalive);
    }

    ngx_ampersand_connection_close(&link->connection);
    ngx_ampersand_resolver_clear(&link->resolver);

    ngx_queue_init(failed);
    ngx_ampersand_pipeline_clear(&link->pipeline, failed);
    ngx_ampersand_pipeline_clear(&link->pending, failed);

    if (was_ready && link->opts.state) {
        link->opts.state(link->opts.data, link, 0);
    }
}


/* READY: the timer follows the oldest command. */

static void
ngx_ampersand_link_set_deadline(ngx_ampersand_link_t *link)
{
    ngx_msec_int_t  left;

    if (link->pipeline.waiting) {
        left = ngx_ampersand_pipeline_left(&link->pipeline);
        link->deadline.cancelable = 0;
        ngx_add_timer(&link->deadline, (ngx_msec_t) ngx_max(left, 1));
    }
}


static void
ngx_ampersand_link_deadline_handler(ngx_event_t *ev)
{
    ngx_ampersand_link_t  *link;

    link = ev->data;

    /* ngx_add_timer() does not move a timer by less than 300 ms */

    if (link->state == NGX_AMPERSAND_LINK_READY && !link->pinged
        && (link->pipeline.waiting == 0
            || ngx_ampersand_pipeline_left(&link->pipeline) > 0))
    {
        ngx_ampersand_link_set_deadline(link);
        return;
    }

    ngx_ampersand_count(link->opts.links->counters, timeouts);

    if (link->state == NGX_AMPERSAND_LINK_CONNECTING
        || link->state == NGX_AMPERSAND_LINK_HANDSHAKE)
    {
        ngx_ampersand_link_address_failed(link, NULL, 0);
        return;
    }

    ngx_ampersand_link_set_late(link);
    ngx_ampersand_link_down(link);
}


static void
ngx_ampersand_link_reconnect_handler(ngx_event_t *ev)
{
    ngx_ampersand_link_connect(ev->data, NULL);
}


static void
ngx_ampersand_link_keepalive_handler(ngx_event_t *ev)
{
    amp_span_t             argv[1];
    ngx_msec_t             timeout;
    ngx_ampersand_link_t  *link;

    link = ev->data;
    timeout = link->opts.links->conf->timeout;

    if (!link->stable) {
        ngx_ampersand_link_set_stable(link);
    }

    if (link->opts.channel.len == 0) {
        return;
    }

    argv[0] = amp_span("PING");

    if (ngx_ampersand_pipeline_write(&link->pipeline, 1, argv) != NGX_OK) {
        ngx_ampersand_link_set_reason(link, "cannot be used, no memory", 0);
        ngx_ampersand_link_down(link);
        return;
    }

    link->pinged = 1;

    ngx_ampersand_connection_flush(&link->connection);
    ngx_add_timer(&link->deadline, timeout);
    ngx_add_timer(&link->keepalive, timeout * NGX_AMPERSAND_LINK_STABLE);
}
