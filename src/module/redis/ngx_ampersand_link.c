#include "ngx_ampersand_link.h"
#include "ngx_ampersand_handshake.h"


typedef enum {
    NGX_AMPERSAND_LINK_DOWN = 0,
    NGX_AMPERSAND_LINK_LOCATING,
    NGX_AMPERSAND_LINK_RESOLVING,
    NGX_AMPERSAND_LINK_CONNECTING,
    NGX_AMPERSAND_LINK_GREETING,
    NGX_AMPERSAND_LINK_READY
} ngx_ampersand_link_state_e;


struct ngx_ampersand_link_s {
    ngx_ampersand_link_opts_t    opts;

    ngx_ampersand_link_state_e   state;
    ngx_uint_t                   failures;      /* since it was proven        */
    amp_redis_host_t             host;
    ngx_ampersand_resolver_t      address;
    ngx_ampersand_connection_t         wire;
    ngx_ampersand_pipeline_t     commands;      /* the wire's                 */
    ngx_ampersand_pipeline_t     early;         /* given before READY         */

    ngx_event_t                  deadline;      /* of becoming READY or of the
                                                   oldest command             */
    ngx_event_t                  later;         /* cancelable: connects again;
                                                   proves, and PINGs, a link
                                                   that is READY              */
    ngx_uint_t                   hasty;         /* times it was lost before it
                                                   was proven                 */
    ngx_uint_t                   silent;        /* a PING has no answer yet   */
    ngx_msec_t                   readonly;      /* when it was, last          */

    ngx_str_t                    shown;         /* of the host, for the log   */
    u_char                       text[AMP_REDIS_URL_TEXT + sizeof(":65535")];
    ngx_ampersand_handshake_t     greeting;
    ngx_ampersand_redis_error_t      refusal;       /* the link has to go         */
    unsigned                     proven:1;
    unsigned                     moved:1;       /* the master is elsewhere    */
    unsigned                     mute:1;        /* the channel was refused    */
};


static void ngx_ampersand_link_connect(ngx_ampersand_link_t *link,
    const amp_redis_host_t *host);
static void ngx_ampersand_link_resolve(ngx_ampersand_link_t *link,
    const amp_redis_host_t *host);
static void ngx_ampersand_link_resolved(void *data, ngx_int_t rc);
static ngx_int_t ngx_ampersand_link_connected(void *data);
static void ngx_ampersand_link_greeted(void *data);
static void ngx_ampersand_link_up(ngx_ampersand_link_t *link);
static void ngx_ampersand_link_prove(ngx_ampersand_link_t *link);
static void ngx_ampersand_link_failed(void *data, const char *why,
    ngx_err_t err, ngx_uint_t closed);
static void ngx_ampersand_link_again(ngx_ampersand_link_t *link,
    const amp_redis_host_t *host);
static void ngx_ampersand_link_down(ngx_ampersand_link_t *link,
    const char *why, ngx_err_t err);
static void ngx_ampersand_link_drop(ngx_ampersand_link_t *link,
    ngx_queue_t *failed);
static ngx_int_t ngx_ampersand_link_reply(void *data, redisReply *reply);
static void ngx_ampersand_link_complain(ngx_ampersand_link_t *link,
    redisReply *reply);
static ngx_int_t ngx_ampersand_link_pushed(ngx_ampersand_link_t *link,
    redisReply *reply);
static void ngx_ampersand_link_deadline_handler(ngx_event_t *ev);
static void ngx_ampersand_link_later_handler(ngx_event_t *ev);
static void ngx_ampersand_link_arm(ngx_ampersand_link_t *link);


ngx_int_t
ngx_ampersand_link_create(ngx_ampersand_link_t **out,
    ngx_ampersand_link_opts_t *opts)
{
    ngx_ampersand_link_t  *link;

    link = ngx_calloc(sizeof(*link), opts->links->log);
    if (link == NULL) {
        return NGX_ERROR;
    }

    *out = link;

    link->opts = *opts;
    link->shown = opts->links->conf->display;
    link->readonly = ngx_current_msec - NGX_AMPERSAND_LINK_READONLY;

    ngx_ampersand_pipeline_init(&link->commands, opts->links->log);
    ngx_ampersand_pipeline_init(&link->early, opts->links->log);

    link->wire.commands = &link->commands;
    link->wire.log = opts->links->log;
    link->wire.tls = opts->links->conf->tls;
    link->wire.host = link->host.host;
    link->wire.connected = ngx_ampersand_link_connected;
    link->wire.reply = ngx_ampersand_link_reply;
    link->wire.failed = ngx_ampersand_link_failed;
    link->wire.data = link;

    link->greeting.conf = opts->links->conf;
    link->greeting.commands = &link->commands;
    link->greeting.refusal = &link->refusal;
    link->greeting.done = ngx_ampersand_link_greeted;
    link->greeting.data = link;
    link->greeting.master = opts->master;
    link->greeting.sentinel = opts->sentinel;

    link->deadline.handler = ngx_ampersand_link_deadline_handler;
    link->deadline.data = link;
    link->deadline.log = opts->links->log;

    link->later.handler = ngx_ampersand_link_later_handler;
    link->later.data = link;
    link->later.log = opts->links->log;
    link->later.cancelable = 1;

    ngx_ampersand_link_connect(link, NULL);

    return NGX_OK;
}


ngx_int_t
ngx_ampersand_link_command(ngx_ampersand_link_t *link, ngx_uint_t argc,
    const amp_span_t *argv, ngx_ampersand_reply_pt handler, void *data)
{
    ngx_int_t                  rc;
    ngx_uint_t                 ready;
    ngx_ampersand_pipeline_t  *commands;

    ready = (link->state == NGX_AMPERSAND_LINK_READY);

    if (link->state == NGX_AMPERSAND_LINK_DOWN || (!ready && link->failures)) {
        return NGX_DECLINED;
    }

    commands = ready ? &link->commands : &link->early;

    if (commands->waiting >= NGX_AMPERSAND_LINK_QUEUE) {
        return NGX_BUSY;
    }

    rc = ngx_ampersand_pipeline_add(commands, argc, argv,
                                    link->opts.links->conf->timeout, handler,
                                    data);

    if (rc == NGX_OK) {
        ngx_ampersand_count(link->opts.links->counters, commands);

        if (ready) {
            ngx_ampersand_connection_flush(&link->wire);
            ngx_ampersand_link_arm(link);
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

    } else {
        ngx_ampersand_link_down(link, why, 0);
    }
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
                      "ampersand: %s \"%V\" is left for the one at %s:%ui",
                      link->opts.kind, &link->shown, host->host,
                      (ngx_uint_t) host->port);
    }

    ngx_ampersand_link_again(link, host);
}


void
ngx_ampersand_link_wake(ngx_ampersand_link_t *link)
{
    if (link->state == NGX_AMPERSAND_LINK_DOWN && link->later.timer_set) {
        ngx_del_timer(&link->later);
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
    return ngx_ampersand_link_ready(link) ? &link->greeting.server : NULL;
}


ngx_uint_t
ngx_ampersand_link_failures(ngx_ampersand_link_t *link)
{
    return link->failures;
}


void
ngx_ampersand_link_level(ngx_ampersand_link_t *link, ngx_uint_t level)
{
    link->opts.level = level;
}


ngx_uint_t
ngx_ampersand_link_idle(ngx_ampersand_link_t *link)
{
    return link->commands.waiting == 0 && link->early.waiting == 0;
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

    ngx_ampersand_link_drop(link, &failed);
    ngx_ampersand_pipeline_fail(&failed, 0);

    ngx_free(link);
}


/* host NULL: where the options say. */

static void
ngx_ampersand_link_connect(ngx_ampersand_link_t *link,
    const amp_redis_host_t *host)
{
    ngx_int_t          rc;
    const char        *why;
    amp_redis_host_t   where;

    link->state = NGX_AMPERSAND_LINK_LOCATING;
    link->silent = 0;
    link->refusal.len = 0;
    link->wire.said = 0;
    link->proven = 0;
    link->moved = 0;
    link->mute = 0;

    ngx_add_timer(&link->deadline, link->opts.links->conf->timeout);

    if (host == NULL) {
        host = link->opts.host;
    }

    if (host == NULL) {
        why = NULL;
        rc = link->opts.locate(link->opts.locate_data, link, &where, &why);

        if (rc == NGX_AGAIN) {
            return;
        }

        if (rc != NGX_OK) {
            ngx_ampersand_link_down(link, why, 0);
            return;
        }

        host = &where;
    }

    ngx_ampersand_link_resolve(link, host);
}


static void
ngx_ampersand_link_resolve(ngx_ampersand_link_t *link,
    const amp_redis_host_t *host)
{
    u_char     *p;
    ngx_int_t   rc;

    link->host = *host;

    /* "redis://host:port/db" says more than the host */

    if (link->opts.links->conf->form != AMP_REDIS_SINGLE) {
        p = ngx_snprintf(link->text, sizeof(link->text),
                         ngx_strchr(host->host, ':') ? "[%s]:%ui" : "%s:%ui",
                         host->host, (ngx_uint_t) host->port);

        link->shown.data = link->text;
        link->shown.len = p - link->text;
    }

    ngx_ampersand_count(link->opts.links->counters, connects);

    link->state = NGX_AMPERSAND_LINK_RESOLVING;

    rc = ngx_ampersand_resolver_find(&link->address, link->opts.links->conf,
                                    host, ngx_ampersand_link_resolved, link);

    if (rc != NGX_AGAIN) {
        ngx_ampersand_link_resolved(link, rc);
    }
}


static void
ngx_ampersand_link_resolved(void *data, ngx_int_t rc)
{
    ngx_ampersand_link_t *link = data;

    if (rc != NGX_OK) {
        ngx_ampersand_link_down(link, link->address.why, 0);
        return;
    }

    link->state = NGX_AMPERSAND_LINK_CONNECTING;

    if (ngx_ampersand_connection_connect(&link->wire,
                                   &link->address.sockaddr.sockaddr,
                                   link->address.socklen, &link->shown)
        != NGX_OK)
    {
        ngx_ampersand_link_down(link, "cannot be connected to",
                                ngx_socket_errno);
    }
}


static ngx_int_t
ngx_ampersand_link_connected(void *data)
{
    ngx_ampersand_link_t *link = data;

    link->state = NGX_AMPERSAND_LINK_GREETING;

    return ngx_ampersand_handshake_start(&link->greeting);
}


static void
ngx_ampersand_link_greeted(void *data)
{
    ngx_ampersand_link_t *link = data;

    ngx_uint_t  n;
    amp_span_t  argv[3];

    if (link->opts.channel.len == 0) {
        ngx_ampersand_link_up(link);
        return;
    }

    n = 0;
    argv[n++] = amp_span("SUBSCRIBE");
    argv[n++] = ngx_ampersand_span(link->opts.channel);

    if (link->opts.also.len) {
        argv[n++] = ngx_ampersand_span(link->opts.also);
    }

    (void) ngx_ampersand_pipeline_write(&link->commands, n, argv);
}


static void
ngx_ampersand_link_up(ngx_ampersand_link_t *link)
{
    /* without memory for them they fail with the link, in time */

    (void) ngx_ampersand_pipeline_join(&link->commands, &link->early);

    link->state = NGX_AMPERSAND_LINK_READY;

    if (link->opts.links->met) {
        link->opts.links->met(link->opts.links->met_data,
                              &link->greeting.server);
    }

    if (link->deadline.timer_set) {
        ngx_del_timer(&link->deadline);
    }

    ngx_add_timer(&link->later, link->opts.links->conf->timeout * 10);

    ngx_ampersand_connection_flush(&link->wire);
    ngx_ampersand_link_arm(link);

    if (link->opts.state) {
        link->opts.state(link->opts.data, link, 1);
    }
}


static void
ngx_ampersand_link_prove(ngx_ampersand_link_t *link)
{
    if (link->failures) {
        ngx_log_error(NGX_LOG_NOTICE, link->opts.links->log, 0,
                      "ampersand: %s \"%V\" is back after %ui attempts",
                      link->opts.kind, &link->shown, link->failures);
    }

    link->failures = 0;
    link->hasty = 0;
    link->proven = 1;
}


/*
 * The wire's.  This, again() and down() are only for event handlers and for
 * connecting: never while a reply of this link is in use.
 */

static void
ngx_ampersand_link_failed(void *data, const char *why, ngx_err_t err,
    ngx_uint_t closed)
{
    ngx_ampersand_link_t *link = data;

    ngx_uint_t  hope;

    /* a refusal is no hanging up, unless it says that the master moved */

    hope = link->proven
           || (link->state == NGX_AMPERSAND_LINK_READY && link->failures == 0
               && link->hasty++ < NGX_AMPERSAND_LINK_HASTY);

    if (!hope || !(closed || link->moved)
        || (link->refusal.len && !link->moved))
    {
        ngx_ampersand_link_down(link, why, err);
        return;
    }

    if (link->moved) {
        why = "refuses: ";
        err = 0;
    }

    ngx_log_error(NGX_LOG_NOTICE, link->opts.links->log, err,
                  "ampersand: %s \"%V\" %s%*s, connecting again",
                  link->opts.kind, &link->shown, why,
                  link->refusal.len, link->refusal.text);

    ngx_ampersand_count(link->opts.links->counters, failures);
    ngx_ampersand_link_again(link, NULL);
}


/* Without a pause. */

static void
ngx_ampersand_link_again(ngx_ampersand_link_t *link,
    const amp_redis_host_t *host)
{
    ngx_queue_t  failed;

    ngx_ampersand_link_drop(link, &failed);
    ngx_ampersand_link_connect(link, host);
    ngx_ampersand_pipeline_fail(&failed, 1);
}


/* Comes back later. */

static void
ngx_ampersand_link_down(ngx_ampersand_link_t *link, const char *why,
    ngx_err_t err)
{
    size_t       len;
    u_char      *text;
    ngx_msec_t   delay;
    ngx_uint_t   level, round, was_ready;
    ngx_queue_t  failed;

    text = link->refusal.text;
    len = link->refusal.len;

    if (len) {
        why = "refuses";
        err = 0;

    } else {
        text = link->wire.text;
        len = link->wire.said;
    }

    /* nobody else will say that the channel is refused */

    level = link->mute ? NGX_LOG_ERR : link->opts.level;

    if (link->failures == 0) {
        ngx_log_error(level, link->opts.links->log, err,
                      "ampersand: %s \"%V\" %s%s%*s, %s",
                      link->opts.kind, &link->shown, why, len ? ": " : "",
                      len, text, link->opts.effect);
    }

    ngx_ampersand_count(link->opts.links->counters, failures);

    was_ready = (link->state == NGX_AMPERSAND_LINK_READY);

    if (!was_ready) {
        link->address.turn++;
    }

    link->failures++;
    round = link->failures / ngx_max(link->opts.turns, 1);
    delay = NGX_AMPERSAND_LINK_BACKOFF / 10;

    if (link->failures % ngx_max(link->opts.turns, 1) == 0) {
        delay = ngx_min(NGX_AMPERSAND_LINK_BACKOFF_MAX,
                        NGX_AMPERSAND_LINK_BACKOFF
                        << ngx_min(round - 1, 8));
    }

    ngx_ampersand_link_drop(link, &failed);

    if (!was_ready && link->opts.state) {
        link->opts.state(link->opts.data, link, 0);
    }

    /* workers must not come back all at once */

    ngx_add_timer(&link->later, delay / 2 + ngx_random() % delay);

    ngx_ampersand_pipeline_fail(&failed, 1);
}


static void
ngx_ampersand_link_drop(ngx_ampersand_link_t *link, ngx_queue_t *failed)
{
    ngx_uint_t  was_ready;

    was_ready = (link->state == NGX_AMPERSAND_LINK_READY);
    link->state = NGX_AMPERSAND_LINK_DOWN;

    if (link->deadline.timer_set) {
        ngx_del_timer(&link->deadline);
    }

    if (link->later.timer_set) {
        ngx_del_timer(&link->later);
    }

    ngx_ampersand_resolver_cancel(&link->address);
    ngx_ampersand_connection_close(&link->wire);

    ngx_queue_init(failed);
    ngx_ampersand_pipeline_take(&link->commands, failed);
    ngx_ampersand_pipeline_take(&link->early, failed);

    if (was_ready && link->opts.state) {
        link->opts.state(link->opts.data, link, 0);
    }
}


static ngx_int_t
ngx_ampersand_link_reply(void *data, redisReply *reply)
{
    ngx_ampersand_link_t *link = data;

    ngx_uint_t               ready;
    ngx_ampersand_redis_error_e  kind;

    ready = (link->state == NGX_AMPERSAND_LINK_READY);
    kind = ready ? ngx_ampersand_redis_error_kind(reply)
                 : NGX_AMPERSAND_REDIS_ERROR_CALLER;

    if (kind == NGX_AMPERSAND_REDIS_ERROR_MOVED) {
        if (ngx_current_msec - link->readonly < NGX_AMPERSAND_LINK_READONLY) {
            kind = NGX_AMPERSAND_REDIS_ERROR_SAID;

        } else {
            link->readonly = ngx_current_msec;
            link->moved = 1;
        }
    }

    if (kind >= NGX_AMPERSAND_REDIS_ERROR_MOVED) {
        ngx_ampersand_redis_error_set(&link->refusal, reply);
        return NGX_ERROR;
    }

    if (link->commands.waiting
        && (kind == NGX_AMPERSAND_REDIS_ERROR_SAID || link->opts.links->refused[0]))
    {
        ngx_ampersand_link_complain(link, reply);
    }

    if (ngx_ampersand_pipeline_answer(&link->commands, reply) != NGX_OK) {
        return ngx_ampersand_link_pushed(link, reply);
    }

    if (ready && !link->proven && reply->type != REDIS_REPLY_ERROR) {
        ngx_ampersand_link_prove(link);
    }

    /* greeting goes on */

    if (!ready && link->commands.len) {
        ngx_ampersand_connection_flush(&link->wire);
    }

    return link->refusal.len ? NGX_ERROR : NGX_OK;
}


/*
 * A command that Redis refuses is one line, and one when it is done again for
 * good: not when it is refused now and then.
 */

static void
ngx_ampersand_link_complain(ngx_ampersand_link_t *link, redisReply *reply)
{
    const char               *name;
    ngx_ampersand_links_t    *links;
    ngx_ampersand_redis_error_t   refusal;

    links = link->opts.links;
    name = ngx_ampersand_pipeline_name(&link->commands);

    if (reply->type == REDIS_REPLY_ERROR) {
        links->refused_at = ngx_current_msec;

        if (links->refused[0]) {
            return;
        }

        refusal.len = 0;
        ngx_ampersand_redis_error_set(&refusal, reply);

        ngx_log_error(NGX_LOG_ERR, links->log, 0,
                      "ampersand: %s \"%V\" refuses %s: %*s",
                      link->opts.kind, &link->shown, name, refusal.len,
                      refusal.text);

        (void) ngx_cpystrn((u_char *) links->refused, (u_char *) name,
                           sizeof(links->refused));
        return;
    }

    if (ngx_strcmp(links->refused, name) == 0
        && ngx_current_msec - links->refused_at > NGX_AMPERSAND_LINK_REFUSED)
    {
        ngx_log_error(NGX_LOG_NOTICE, links->log, 0,
                      "ampersand: %s \"%V\" accepts %s again",
                      link->opts.kind, &link->shown, name);

        links->refused[0] = '\0';
    }
}


/* RESP2: [subscribe, channel, n], [message, channel, text], [pong, ""] */

static ngx_int_t
ngx_ampersand_link_pushed(ngx_ampersand_link_t *link, redisReply *reply)
{
    redisReply  *kind;

    if (reply->type == REDIS_REPLY_ERROR) {
        link->mute = (link->opts.channel.len && link->commands.waiting == 0);
        ngx_ampersand_redis_error_set(&link->refusal, reply);
        return NGX_ERROR;
    }

    if (link->opts.channel.len == 0
        || reply->type != REDIS_REPLY_ARRAY || reply->elements < 2
        || reply->element[0]->type != REDIS_REPLY_STRING)
    {
        return NGX_ERROR;
    }

    kind = reply->element[0];

    if (ngx_strcmp(kind->str, "message") == 0
        && reply->elements == 3
        && reply->element[2]->type == REDIS_REPLY_STRING)
    {
        link->opts.message(link->opts.data, NGX_OK, reply->element[2]);

    } else if (ngx_strcmp(kind->str, "pong") == 0) {
        link->silent = 0;

        if (link->deadline.timer_set) {
            ngx_del_timer(&link->deadline);
        }

    } else if (ngx_strcmp(kind->str, "subscribe") == 0
               && link->state == NGX_AMPERSAND_LINK_GREETING)
    {
        ngx_ampersand_link_up(link);
    }

    return NGX_OK;
}


static void
ngx_ampersand_link_deadline_handler(ngx_event_t *ev)
{
    ngx_ampersand_link_t  *link;

    link = ev->data;

    /* ngx_add_timer() does not move a timer by less than 300 ms */

    if (link->state == NGX_AMPERSAND_LINK_READY && !link->silent
        && (link->commands.waiting == 0
            || ngx_ampersand_pipeline_left(&link->commands) > 0))
    {
        ngx_ampersand_link_arm(link);
        return;
    }

    ngx_ampersand_count(link->opts.links->counters, timeouts);
    ngx_ampersand_link_down(link, "does not answer in time", 0);
}


static void
ngx_ampersand_link_later_handler(ngx_event_t *ev)
{
    amp_span_t             argv[1];
    ngx_ampersand_link_t  *link;

    link = ev->data;

    if (link->state == NGX_AMPERSAND_LINK_DOWN) {
        ngx_ampersand_link_connect(link, NULL);
        return;
    }

    if (!link->proven) {
        ngx_ampersand_link_prove(link);
    }

    if (link->opts.channel.len == 0) {
        return;
    }

    /* a subscription is silent by nature */

    argv[0] = amp_span("PING");

    if (ngx_ampersand_pipeline_write(&link->commands, 1, argv) != NGX_OK) {
        ngx_ampersand_link_down(link, "no memory", 0);
        return;
    }

    link->silent = 1;

    ngx_ampersand_connection_flush(&link->wire);
    ngx_add_timer(&link->deadline, link->opts.links->conf->timeout);
    ngx_add_timer(&link->later, link->opts.links->conf->timeout * 10);
}


/* Sets the timer to the oldest command's deadline. */

static void
ngx_ampersand_link_arm(ngx_ampersand_link_t *link)
{
    ngx_msec_int_t  left;

    if (link->commands.waiting) {
        left = ngx_ampersand_pipeline_left(&link->commands);
        ngx_add_timer(&link->deadline, (ngx_msec_t) ngx_max(left, 1));
    }
}
