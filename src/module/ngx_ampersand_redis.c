#include "ngx_ampersand_redis.h"
#include "ngx_ampersand_commands.h"
#include <ngx_event.h>
#include <ngx_event_connect.h>


#define NGX_AMPERSAND_REDIS_READ     16384
#define NGX_AMPERSAND_REDIS_REFUSAL  160


typedef enum {
    NGX_AMPERSAND_REDIS_DOWN = 0,
    NGX_AMPERSAND_REDIS_CONNECTING,
    NGX_AMPERSAND_REDIS_GREETING,
    NGX_AMPERSAND_REDIS_READY
} ngx_ampersand_redis_state_e;


struct ngx_ampersand_redis_s {
    ngx_ampersand_redis_conf_t      *conf;
    ngx_ampersand_redis_counters_t  *counters;
    ngx_str_t                        channel;
    ngx_ampersand_redis_reply_pt     message;
    ngx_ampersand_redis_state_pt     on_state;
    void                            *data;

    ngx_log_t                       *log;
    ngx_log_t                        quiet;      /* an outage is one line, and
                                                    that line is down()'s     */
    ngx_peer_connection_t            peer;
    ngx_ampersand_redis_state_e      state;
    ngx_uint_t                       address;    /* of the host's             */
    ngx_uint_t                       failures;   /* since it was proven       */

    redisReader                     *reader;
    size_t                           fed;        /* bytes of an open reply    */
    ngx_ampersand_commands_t         commands;

    ngx_event_t                      deadline;   /* of connecting, greeting
                                                    or the oldest command     */
    ngx_event_t                      later;      /* cancelable: connects again;
                                                    proves, and PINGs, a link
                                                    that is READY             */
    ngx_uint_t                       silent;     /* PINGs without an answer   */
    size_t                           refused;    /* bytes of refusal: the link
                                                    has to go                 */
    u_char                           refusal[NGX_AMPERSAND_REDIS_REFUSAL];
    unsigned                         proven:1;
    unsigned                         mute:1;     /* the channel was refused   */
};


static void ngx_ampersand_redis_connect(ngx_ampersand_redis_t *link);
static ngx_int_t ngx_ampersand_redis_connected(ngx_ampersand_redis_t *link);
static ngx_int_t ngx_ampersand_redis_greet(ngx_ampersand_redis_t *link);
static ngx_int_t ngx_ampersand_redis_ask(ngx_ampersand_redis_t *link,
    ngx_uint_t argc, const amp_span_t *argv,
    ngx_ampersand_redis_reply_pt handler);
static void ngx_ampersand_redis_greeted(void *data, ngx_int_t rc,
    redisReply *reply);
static void ngx_ampersand_redis_ponged(void *data, ngx_int_t rc,
    redisReply *reply);
static void ngx_ampersand_redis_up(ngx_ampersand_redis_t *link);
static void ngx_ampersand_redis_prove(ngx_ampersand_redis_t *link);
static void ngx_ampersand_redis_lost(ngx_ampersand_redis_t *link,
    const char *why, ngx_err_t err);
static void ngx_ampersand_redis_down(ngx_ampersand_redis_t *link,
    const char *why, ngx_err_t err);
static void ngx_ampersand_redis_drop(ngx_ampersand_redis_t *link,
    ngx_queue_t *failed);
static void ngx_ampersand_redis_write_handler(ngx_event_t *ev);
static void ngx_ampersand_redis_read_handler(ngx_event_t *ev);
static ngx_int_t ngx_ampersand_redis_replies(ngx_ampersand_redis_t *link);
static ngx_int_t ngx_ampersand_redis_reply(ngx_ampersand_redis_t *link,
    redisReply *reply);
static ngx_int_t ngx_ampersand_redis_pushed(ngx_ampersand_redis_t *link,
    redisReply *reply);
static void ngx_ampersand_redis_deadline_handler(ngx_event_t *ev);
static void ngx_ampersand_redis_later_handler(ngx_event_t *ev);
static void ngx_ampersand_redis_arm(ngx_ampersand_redis_t *link);
static void ngx_ampersand_redis_flush_later(ngx_ampersand_redis_t *link);


#define ngx_ampersand_redis_span(s)  amp_span_make((s).data, (s).len)

#define ngx_ampersand_redis_count(link, counter)                              \
    if ((link)->counters) {                                                   \
        (void) ngx_atomic_fetch_add(&(link)->counters->counter, 1);           \
    }


ngx_ampersand_redis_t *
ngx_ampersand_redis_create(ngx_pool_t *pool, ngx_log_t *log,
    ngx_ampersand_redis_opts_t *opts)
{
    ngx_ampersand_redis_t  *link;

    link = ngx_pcalloc(pool, sizeof(*link));
    if (link == NULL) {
        return NULL;
    }

    link->conf = opts->conf;
    link->counters = opts->counters;
    link->channel = opts->channel;
    link->message = opts->message;
    link->on_state = opts->state;
    link->data = opts->data;
    link->log = log;
    link->quiet = *log;
    link->quiet.log_level = NGX_LOG_ALERT;

    ngx_ampersand_commands_init(&link->commands, log);

    link->deadline.handler = ngx_ampersand_redis_deadline_handler;
    link->deadline.data = link;
    link->deadline.log = log;

    link->later.handler = ngx_ampersand_redis_later_handler;
    link->later.data = link;
    link->later.log = log;
    link->later.cancelable = 1;

    ngx_ampersand_redis_connect(link);

    return link;
}


ngx_int_t
ngx_ampersand_redis_command(ngx_ampersand_redis_t *link, ngx_uint_t argc,
    const amp_span_t *argv, ngx_ampersand_redis_reply_pt handler, void *data)
{
    ngx_int_t  rc;

    if (link->state == NGX_AMPERSAND_REDIS_DOWN
        || (link->state != NGX_AMPERSAND_REDIS_READY && link->failures > 0))
    {
        return NGX_DECLINED;
    }

    if (link->commands.waiting >= NGX_AMPERSAND_REDIS_QUEUE) {
        return NGX_BUSY;
    }

    rc = ngx_ampersand_commands_add(&link->commands, argc, argv,
                                    link->conf->timeout, handler, data);

    if (rc == NGX_OK) {
        ngx_ampersand_redis_count(link, commands);

        if (link->state == NGX_AMPERSAND_REDIS_READY) {
            ngx_ampersand_redis_flush_later(link);
            ngx_ampersand_redis_arm(link);
        }
    }

    return rc;
}


void
ngx_ampersand_redis_close(ngx_ampersand_redis_t *link)
{
    ngx_queue_t  failed;

    link->on_state = NULL;

    ngx_ampersand_redis_drop(link, &failed);
    ngx_ampersand_commands_fail(&failed, 0);
}


static void
ngx_ampersand_redis_connect(ngx_ampersand_redis_t *link)
{
    ngx_int_t               rc;
    ngx_addr_t             *addr;
    ngx_connection_t       *c;
    ngx_peer_connection_t  *pc;

    addr = &link->conf->url.addrs[link->address % link->conf->url.naddrs];

    pc = &link->peer;
    ngx_memzero(pc, sizeof(*pc));

    pc->sockaddr = addr->sockaddr;
    pc->socklen = addr->socklen;
    pc->name = &addr->name;
    pc->get = ngx_event_get_peer;
    pc->log = &link->quiet;
    pc->log_error = NGX_ERROR_ERR;

    link->state = NGX_AMPERSAND_REDIS_CONNECTING;
    link->fed = 0;
    link->silent = 0;
    link->refused = 0;
    link->proven = 0;
    link->mute = 0;

    /* first in the queue, ahead of what callers append while connecting */

    link->reader = redisReaderCreate();
    if (link->reader == NULL || ngx_ampersand_redis_greet(link) != NGX_OK) {
        ngx_ampersand_redis_down(link, "no memory", 0);
        return;
    }

    ngx_ampersand_redis_count(link, connects);

    rc = ngx_event_connect_peer(pc);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        ngx_ampersand_redis_down(link, "cannot connect", ngx_socket_errno);
        return;
    }

    c = pc->connection;
    c->data = link;
    c->read->handler = ngx_ampersand_redis_read_handler;
    c->write->handler = ngx_ampersand_redis_write_handler;

    ngx_add_timer(&link->deadline, link->conf->timeout);

    if (rc == NGX_OK) {
        ngx_ampersand_redis_flush_later(link);
    }
}


static ngx_int_t
ngx_ampersand_redis_greet(ngx_ampersand_redis_t *link)
{
    ngx_int_t                    rc;
    ngx_uint_t                   n;
    amp_span_t                   argv[3];
    ngx_ampersand_redis_conf_t  *conf;

    conf = link->conf;
    rc = NGX_OK;

    if (conf->password.len) {
        n = 0;
        argv[n++] = amp_span("AUTH");

        if (conf->user.len) {
            argv[n++] = ngx_ampersand_redis_span(conf->user);
        }

        argv[n++] = ngx_ampersand_redis_span(conf->password);
        rc = ngx_ampersand_redis_ask(link, n, argv,
                                     ngx_ampersand_redis_greeted);
    }

    if (rc == NGX_OK && conf->db.len) {
        argv[0] = amp_span("SELECT");
        argv[1] = ngx_ampersand_redis_span(conf->db);
        rc = ngx_ampersand_redis_ask(link, 2, argv,
                                     ngx_ampersand_redis_greeted);
    }

    if (rc == NGX_OK) {
        argv[0] = amp_span("PING");
        rc = ngx_ampersand_redis_ask(link, 1, argv, ngx_ampersand_redis_ponged);
    }

    return rc;
}


static ngx_int_t
ngx_ampersand_redis_ask(ngx_ampersand_redis_t *link, ngx_uint_t argc,
    const amp_span_t *argv, ngx_ampersand_redis_reply_pt handler)
{
    return ngx_ampersand_commands_add(&link->commands, argc, argv,
                                      link->conf->timeout, handler, link);
}


static ngx_int_t
ngx_ampersand_redis_connected(ngx_ampersand_redis_t *link)
{
    int                err;
    socklen_t          len;
    ngx_connection_t  *c;

    c = link->peer.connection;
    err = 0;
    len = sizeof(err);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    if (err) {
        ngx_set_socket_errno(err);
        return NGX_ERROR;
    }

    if (link->peer.sockaddr->sa_family != AF_UNIX) {
        (void) ngx_tcp_nodelay(c);
    }

    link->state = NGX_AMPERSAND_REDIS_GREETING;

    return NGX_OK;
}


/*
 * A reply to AUTH, SELECT or PING.  A refusal only marks the link, and the
 * first reason counts: the reader that holds the reply must outlive this call.
 */

static void
ngx_ampersand_redis_greeted(void *data, ngx_int_t rc, redisReply *reply)
{
    ngx_ampersand_redis_t *link = data;

    u_char  *args, *last;

    if (rc != NGX_OK || reply->type != REDIS_REPLY_ERROR || link->refused) {
        return;
    }

    last = ngx_cpystrn(link->refusal, (u_char *) reply->str,
                       NGX_AMPERSAND_REDIS_REFUSAL);

    /* "unknown command 'AUTH', with args beginning with: " and the password */

    args = (u_char *) ngx_strstr(link->refusal, ", with args");
    link->refused = ngx_max((args ? args : last) - link->refusal, 1);
}


static void
ngx_ampersand_redis_ponged(void *data, ngx_int_t rc, redisReply *reply)
{
    ngx_ampersand_redis_t *link = data;

    amp_span_t  argv[2];

    ngx_ampersand_redis_greeted(data, rc, reply);

    if (rc != NGX_OK || link->refused) {
        return;
    }

    if (link->channel.len == 0) {
        ngx_ampersand_redis_up(link);
        return;
    }

    argv[0] = amp_span("SUBSCRIBE");
    argv[1] = ngx_ampersand_redis_span(link->channel);

    (void) ngx_ampersand_commands_write(&link->commands, 2, argv);
    ngx_ampersand_redis_flush_later(link);
}


static void
ngx_ampersand_redis_up(ngx_ampersand_redis_t *link)
{
    link->state = NGX_AMPERSAND_REDIS_READY;

    if (link->deadline.timer_set) {
        ngx_del_timer(&link->deadline);
    }

    ngx_add_timer(&link->later, link->conf->timeout * 10);

    /* what was taken since the greeting left is still here */

    ngx_ampersand_redis_flush_later(link);
    ngx_ampersand_redis_arm(link);

    if (link->on_state) {
        link->on_state(link->data, 1);
    }
}


static void
ngx_ampersand_redis_prove(ngx_ampersand_redis_t *link)
{
    if (link->failures) {
        ngx_log_error(NGX_LOG_NOTICE, link->log, 0,
                      "ampersand: Redis \"%V\" is back after %ui attempts",
                      &link->conf->display, link->failures);
    }

    link->failures = 0;
    link->proven = 1;
}


/*
 * Redis hung up.  This and down() are only for the event handlers below and
 * for connecting: never while a reply of this link is in use.
 */

static void
ngx_ampersand_redis_lost(ngx_ampersand_redis_t *link, const char *why,
    ngx_err_t err)
{
    ngx_queue_t  failed;

    if (!link->proven || link->refused) {
        ngx_ampersand_redis_down(link, why, err);
        return;
    }

    ngx_log_error(NGX_LOG_NOTICE, link->log, err,
                  "ampersand: Redis \"%V\" %s, connecting again",
                  &link->conf->display, why);

    ngx_ampersand_redis_count(link, failures);

    ngx_ampersand_redis_drop(link, &failed);
    ngx_ampersand_redis_connect(link);
    ngx_ampersand_commands_fail(&failed, 1);
}


/* Comes back later. */

static void
ngx_ampersand_redis_down(ngx_ampersand_redis_t *link, const char *why,
    ngx_err_t err)
{
    ngx_msec_t   delay;
    ngx_uint_t   level;
    ngx_queue_t  failed;

    if (link->refused) {
        why = "refuses: ";
        err = 0;
    }

    /* what both links suffer from is an error of the one that serves */

    level = (link->channel.len == 0 || link->mute) ? NGX_LOG_ERR : NGX_LOG_WARN;

    if (link->failures == 0) {
        ngx_log_error(level, link->log, err,
                      "ampersand: Redis \"%V\" %s%*s, %s",
                      &link->conf->display, why, link->refused, link->refusal,
                      link->channel.len
                      ? "changes take effect after ampersand_tenant_ttl only"
                      : "known tenants are served from memory, unknown ones "
                        "get 503");
    }

    ngx_ampersand_redis_count(link, failures);

    if (link->state != NGX_AMPERSAND_REDIS_READY) {
        link->address++;
    }

    delay = ngx_min(NGX_AMPERSAND_REDIS_BACKOFF_MAX,
                    NGX_AMPERSAND_REDIS_BACKOFF
                    << ngx_min(link->failures, 8));
    link->failures++;

    ngx_ampersand_redis_drop(link, &failed);

    /* workers must not come back all at once */

    ngx_add_timer(&link->later, delay / 2 + ngx_random() % delay);

    ngx_ampersand_commands_fail(&failed, 1);
}


static void
ngx_ampersand_redis_drop(ngx_ampersand_redis_t *link, ngx_queue_t *failed)
{
    ngx_uint_t  was_ready;

    was_ready = (link->state == NGX_AMPERSAND_REDIS_READY);
    link->state = NGX_AMPERSAND_REDIS_DOWN;

    if (link->deadline.timer_set) {
        ngx_del_timer(&link->deadline);
    }

    if (link->later.timer_set) {
        ngx_del_timer(&link->later);
    }

    if (link->peer.connection) {
        ngx_close_connection(link->peer.connection);
        link->peer.connection = NULL;
    }

    if (link->reader) {
        redisReaderFree(link->reader);
        link->reader = NULL;
    }

    ngx_ampersand_commands_take(&link->commands, failed);

    if (was_ready && link->on_state) {
        link->on_state(link->data, 0);
    }
}


static void
ngx_ampersand_redis_write_handler(ngx_event_t *ev)
{
    ssize_t                    n;
    ngx_connection_t          *c;
    ngx_ampersand_redis_t     *link;
    ngx_ampersand_commands_t  *commands;

    c = ev->data;
    link = c->data;
    commands = &link->commands;

    if (link->state == NGX_AMPERSAND_REDIS_CONNECTING
        && ngx_ampersand_redis_connected(link) != NGX_OK)
    {
        ngx_ampersand_redis_down(link, "cannot connect", ngx_socket_errno);
        return;
    }

    while (commands->len) {
        n = c->send(c, commands->out, commands->len);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == NGX_ERROR || n == 0) {
            ngx_ampersand_redis_lost(link, "closed the connection",
                                     ngx_socket_errno);
            return;
        }

        ngx_ampersand_commands_sent(commands, n);
    }

    if (ngx_handle_write_event(c->write, 0) != NGX_OK
        || ngx_handle_read_event(c->read, 0) != NGX_OK)
    {
        ngx_ampersand_redis_down(link, "cannot watch the connection",
                                 ngx_errno);
    }
}


static void
ngx_ampersand_redis_read_handler(ngx_event_t *ev)
{
    u_char                  buf[NGX_AMPERSAND_REDIS_READ];
    ssize_t                 n;
    ngx_connection_t       *c;
    ngx_ampersand_redis_t  *link;

    c = ev->data;
    link = c->data;

    if (link->state == NGX_AMPERSAND_REDIS_CONNECTING) {
        ngx_ampersand_redis_write_handler(c->write);

        if (link->peer.connection != c) {
            return;
        }
    }

    /* edge-triggered: to the last byte */

    for ( ;; ) {
        n = c->recv(c, buf, sizeof(buf));

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == NGX_ERROR || n == 0) {
            ngx_ampersand_redis_lost(link, "closed the connection",
                                     n == 0 ? 0 : ngx_socket_errno);
            return;
        }

        link->fed += n;

        if (redisReaderFeed(link->reader, (const char *) buf, n) != REDIS_OK
            || ngx_ampersand_redis_replies(link) != NGX_OK)
        {
            ngx_ampersand_redis_down(link, "sent an unusable reply", 0);
            return;
        }
    }

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_ampersand_redis_down(link, "cannot watch the connection",
                                 ngx_errno);
        return;
    }

    if (link->state == NGX_AMPERSAND_REDIS_READY) {
        ngx_ampersand_redis_arm(link);
    }
}


/* All replies that are complete.  NGX_ERROR: the link has to go. */

static ngx_int_t
ngx_ampersand_redis_replies(ngx_ampersand_redis_t *link)
{
    void       *reply;
    ngx_int_t   rc;

    for ( ;; ) {
        reply = NULL;

        if (redisReaderGetReply(link->reader, &reply) != REDIS_OK) {
            return NGX_ERROR;
        }

        if (reply == NULL) {
            break;
        }

        link->fed = 0;
        rc = ngx_ampersand_redis_reply(link, reply);

        freeReplyObject(reply);

        if (rc != NGX_OK || link->refused) {
            return NGX_ERROR;
        }
    }

    return link->fed > NGX_AMPERSAND_REDIS_REPLY_MAX ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_ampersand_redis_reply(ngx_ampersand_redis_t *link, redisReply *reply)
{
    ngx_uint_t  ready;

    ready = (link->state == NGX_AMPERSAND_REDIS_READY);

    /* errors that any command would get */

    if (ready && reply->type == REDIS_REPLY_ERROR
        && (ngx_strncmp(reply->str, "LOADING ", 8) == 0
            || ngx_strncmp(reply->str, "NOAUTH ", 7) == 0
            || ngx_strncmp(reply->str, "MASTERDOWN ", 11) == 0))
    {
        ngx_ampersand_redis_greeted(link, NGX_OK, reply);
        return NGX_ERROR;
    }

    if (ngx_ampersand_commands_answer(&link->commands, reply) != NGX_OK) {
        return ngx_ampersand_redis_pushed(link, reply);
    }

    if (ready && !link->proven && reply->type != REDIS_REPLY_ERROR) {
        ngx_ampersand_redis_prove(link);
    }

    return NGX_OK;
}


/* RESP2 pushes: [subscribe, channel, n], [message, channel, text], [pong, ""] */

static ngx_int_t
ngx_ampersand_redis_pushed(ngx_ampersand_redis_t *link, redisReply *reply)
{
    redisReply  *kind;

    if (reply->type == REDIS_REPLY_ERROR) {
        link->mute = (link->channel.len != 0 && link->commands.waiting == 0);
        ngx_ampersand_redis_greeted(link, NGX_OK, reply);
        return NGX_ERROR;
    }

    if (link->channel.len == 0
        || reply->type != REDIS_REPLY_ARRAY || reply->elements < 2
        || reply->element[0]->type != REDIS_REPLY_STRING)
    {
        return NGX_ERROR;
    }

    kind = reply->element[0];

    if (kind->len == 7 && ngx_memcmp(kind->str, "message", 7) == 0
        && reply->elements == 3
        && reply->element[2]->type == REDIS_REPLY_STRING)
    {
        link->message(link->data, NGX_OK, reply->element[2]);

    } else if (kind->len == 4 && ngx_memcmp(kind->str, "pong", 4) == 0) {
        link->silent = 0;

    } else if (kind->len == 9 && ngx_memcmp(kind->str, "subscribe", 9) == 0) {
        ngx_ampersand_redis_up(link);
    }

    return NGX_OK;
}


static void
ngx_ampersand_redis_deadline_handler(ngx_event_t *ev)
{
    ngx_ampersand_redis_t  *link;

    link = ev->data;

    /* ngx_add_timer() does not move a timer by less than 300 ms */

    if (link->state == NGX_AMPERSAND_REDIS_READY
        && (link->commands.waiting == 0
            || ngx_ampersand_commands_left(&link->commands) > 0))
    {
        ngx_ampersand_redis_arm(link);
        return;
    }

    ngx_ampersand_redis_count(link, timeouts);
    ngx_ampersand_redis_down(link, "does not answer in time", 0);
}


static void
ngx_ampersand_redis_later_handler(ngx_event_t *ev)
{
    amp_span_t              argv[1];
    ngx_ampersand_redis_t  *link;

    link = ev->data;

    if (link->state == NGX_AMPERSAND_REDIS_DOWN) {
        ngx_ampersand_redis_connect(link);
        return;
    }

    if (!link->proven) {
        ngx_ampersand_redis_prove(link);
    }

    if (link->channel.len == 0) {
        return;
    }

    /* a subscription is silent by nature */

    argv[0] = amp_span("PING");

    if (link->silent++
        || ngx_ampersand_commands_write(&link->commands, 1, argv) != NGX_OK)
    {
        ngx_ampersand_redis_down(link, "does not answer in time", 0);
        return;
    }

    ngx_ampersand_redis_flush_later(link);
    ngx_add_timer(&link->later, link->conf->timeout * 10);
}


/* Sets the timer to the oldest command's deadline. */

static void
ngx_ampersand_redis_arm(ngx_ampersand_redis_t *link)
{
    ngx_msec_int_t  left;

    if (link->commands.waiting) {
        left = ngx_ampersand_commands_left(&link->commands);
        ngx_add_timer(&link->deadline, (ngx_msec_t) ngx_max(left, 1));

    } else if (link->deadline.timer_set) {
        ngx_del_timer(&link->deadline);
    }
}


/* Commands of one turn of the event loop leave in one packet. */

static void
ngx_ampersand_redis_flush_later(ngx_ampersand_redis_t *link)
{
    ngx_connection_t  *c;

    c = link->peer.connection;

    if (c->write->ready) {
        ngx_post_event(c->write, &ngx_posted_events);
    }
}
