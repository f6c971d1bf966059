#include "ngx_ampersand_redis.h"
#include <ngx_event.h>
#include <ngx_event_connect.h>


#define NGX_AMPERSAND_REDIS_ARGS  32
#define NGX_AMPERSAND_REDIS_READ  16384


typedef enum {
    NGX_AMPERSAND_REDIS_DOWN = 0,
    NGX_AMPERSAND_REDIS_CONNECTING,
    NGX_AMPERSAND_REDIS_GREETING,
    NGX_AMPERSAND_REDIS_READY
} ngx_ampersand_redis_state_e;


typedef struct {
    ngx_queue_t                    queue;
    ngx_msec_t                     deadline;
    ngx_ampersand_redis_reply_pt   handler;
    void                          *data;
} ngx_ampersand_redis_command_t;


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
    ngx_uint_t                       address;    /* next of the host's        */
    ngx_uint_t                       failures;   /* since it was last READY   */

    redisReader                     *reader;
    size_t                           fed;        /* bytes of an open reply    */

    u_char                          *out;        /* bytes not yet sent        */
    size_t                           out_len;
    size_t                           out_size;

    ngx_queue_t                      commands;   /* waiting, oldest first     */
    ngx_uint_t                       waiting;

    ngx_event_t                      deadline;   /* of connecting, greeting
                                                    or the oldest command     */
    ngx_event_t                      reconnect;  /* cancelable; also PINGs of
                                                    a subscription            */
    ngx_uint_t                       silent;     /* PINGs without an answer   */
    unsigned                         closed:1;
};


static void ngx_ampersand_redis_connect(ngx_ampersand_redis_t *link);
static ngx_int_t ngx_ampersand_redis_connected(ngx_ampersand_redis_t *link);
static ngx_int_t ngx_ampersand_redis_greet(ngx_ampersand_redis_t *link);
static void ngx_ampersand_redis_greeted(void *data, ngx_int_t rc,
    redisReply *reply);
static void ngx_ampersand_redis_ponged(void *data, ngx_int_t rc,
    redisReply *reply);
static void ngx_ampersand_redis_up(ngx_ampersand_redis_t *link);
static void ngx_ampersand_redis_down(ngx_ampersand_redis_t *link,
    const char *why);
static void ngx_ampersand_redis_write_handler(ngx_event_t *ev);
static void ngx_ampersand_redis_read_handler(ngx_event_t *ev);
static ngx_int_t ngx_ampersand_redis_replies(ngx_ampersand_redis_t *link);
static ngx_int_t ngx_ampersand_redis_reply(ngx_ampersand_redis_t *link,
    redisReply *reply);
static ngx_int_t ngx_ampersand_redis_pushed(ngx_ampersand_redis_t *link,
    redisReply *reply);
static void ngx_ampersand_redis_deadline_handler(ngx_event_t *ev);
static void ngx_ampersand_redis_reconnect_handler(ngx_event_t *ev);
static ngx_int_t ngx_ampersand_redis_append(ngx_ampersand_redis_t *link,
    ngx_uint_t argc, const amp_span_t *argv);
static ngx_int_t ngx_ampersand_redis_enqueue(ngx_ampersand_redis_t *link,
    ngx_uint_t argc, const amp_span_t *argv,
    ngx_ampersand_redis_reply_pt handler, void *data);
static ngx_uint_t ngx_ampersand_redis_overdue(ngx_ampersand_redis_t *link);
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

    ngx_queue_init(&link->commands);

    link->deadline.handler = ngx_ampersand_redis_deadline_handler;
    link->deadline.data = link;
    link->deadline.log = log;

    link->reconnect.handler = ngx_ampersand_redis_reconnect_handler;
    link->reconnect.data = link;
    link->reconnect.log = log;
    link->reconnect.cancelable = 1;

    ngx_ampersand_redis_connect(link);

    return link;
}


ngx_uint_t
ngx_ampersand_redis_ready(ngx_ampersand_redis_t *link)
{
    return link->state == NGX_AMPERSAND_REDIS_READY;
}


ngx_int_t
ngx_ampersand_redis_command(ngx_ampersand_redis_t *link, ngx_uint_t argc,
    const amp_span_t *argv, ngx_ampersand_redis_reply_pt handler, void *data)
{
    ngx_int_t  rc;

    if (link->closed || link->state == NGX_AMPERSAND_REDIS_DOWN
        || (link->state != NGX_AMPERSAND_REDIS_READY && link->failures > 0))
    {
        return NGX_DECLINED;
    }

    if (link->waiting >= NGX_AMPERSAND_REDIS_QUEUE) {
        return NGX_BUSY;
    }

    rc = ngx_ampersand_redis_enqueue(link, argc, argv, handler, data);

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
    ngx_queue_t  *q;

    link->closed = 1;

    if (link->deadline.timer_set) {
        ngx_del_timer(&link->deadline);
    }

    if (link->reconnect.timer_set) {
        ngx_del_timer(&link->reconnect);
    }

    if (link->peer.connection) {
        ngx_close_connection(link->peer.connection);
        link->peer.connection = NULL;
    }

    while (!ngx_queue_empty(&link->commands)) {
        q = ngx_queue_head(&link->commands);
        ngx_queue_remove(q);
        ngx_free(ngx_queue_data(q, ngx_ampersand_redis_command_t, queue));
    }

    if (link->reader) {
        redisReaderFree(link->reader);
        link->reader = NULL;
    }

    if (link->out) {
        ngx_explicit_memzero(link->out, link->out_size);
        ngx_free(link->out);
        link->out = NULL;
    }
}


static void
ngx_ampersand_redis_connect(ngx_ampersand_redis_t *link)
{
    ngx_int_t               rc;
    ngx_addr_t             *addr;
    ngx_connection_t       *c;
    ngx_peer_connection_t  *pc;

    addr = &link->conf->url.addrs[link->address++ % link->conf->url.naddrs];

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

    /* first in the queue, ahead of what callers append while connecting */

    link->reader = redisReaderCreate();
    if (link->reader == NULL || ngx_ampersand_redis_greet(link) != NGX_OK) {
        ngx_ampersand_redis_down(link, "no memory");
        return;
    }

    ngx_ampersand_redis_count(link, connects);

    rc = ngx_event_connect_peer(pc);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        ngx_ampersand_redis_down(link, "cannot connect");
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
    ngx_uint_t                   n;
    amp_span_t                   argv[3];
    ngx_ampersand_redis_conf_t  *conf;

    conf = link->conf;

    if (conf->password.len) {
        n = 0;
        argv[n++] = amp_span("AUTH");

        if (conf->user.len) {
            argv[n++] = ngx_ampersand_redis_span(conf->user);
        }

        argv[n++] = ngx_ampersand_redis_span(conf->password);

        if (ngx_ampersand_redis_enqueue(link, n, argv,
                                        ngx_ampersand_redis_greeted, link)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (conf->db.len) {
        argv[0] = amp_span("SELECT");
        argv[1] = ngx_ampersand_redis_span(conf->db);

        if (ngx_ampersand_redis_enqueue(link, 2, argv,
                                        ngx_ampersand_redis_greeted, link)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    argv[0] = amp_span("PING");

    return ngx_ampersand_redis_enqueue(link, 1, argv,
                                       ngx_ampersand_redis_ponged, link);
}


static ngx_int_t
ngx_ampersand_redis_connected(ngx_ampersand_redis_t *link)
{
    int        err, tcp_nodelay;
    socklen_t  len;
    ngx_fd_t   fd;

    fd = link->peer.connection->fd;
    err = 0;
    len = sizeof(err);

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    if (err) {
        ngx_set_errno(err);
        return NGX_ERROR;
    }

    if (link->peer.sockaddr->sa_family != AF_UNIX) {
        tcp_nodelay = 1;

        (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY,
                          (const void *) &tcp_nodelay, sizeof(int));
    }

    link->state = NGX_AMPERSAND_REDIS_GREETING;

    return NGX_OK;
}


/*
 * A reply to AUTH, SELECT, PING or SUBSCRIBE.  A refusal only marks the link:
 * the reader that holds the reply must outlive this call.
 */

static void
ngx_ampersand_redis_greeted(void *data, ngx_int_t rc, redisReply *reply)
{
    ngx_ampersand_redis_t  *link = data;

    if (rc != NGX_OK || reply->type != REDIS_REPLY_ERROR) {
        return;
    }

    if (link->failures == 0) {
        ngx_log_error(NGX_LOG_ERR, link->log, 0,
                      "ampersand: Redis \"%V\" refused the connection: \"%*s\"",
                      &link->conf->display, ngx_ampersand_reply_len(reply),
                      reply->str);
    }

    link->state = NGX_AMPERSAND_REDIS_DOWN;
}


static void
ngx_ampersand_redis_ponged(void *data, ngx_int_t rc, redisReply *reply)
{
    amp_span_t              argv[2];
    ngx_ampersand_redis_t  *link = data;

    if (rc != NGX_OK) {
        return;
    }

    ngx_ampersand_redis_greeted(data, rc, reply);

    if (link->state == NGX_AMPERSAND_REDIS_DOWN) {
        return;
    }

    if (link->channel.len == 0) {
        ngx_ampersand_redis_up(link);
        return;
    }

    argv[0] = amp_span("SUBSCRIBE");
    argv[1] = ngx_ampersand_redis_span(link->channel);

    if (ngx_ampersand_redis_append(link, 2, argv) != NGX_OK) {
        link->state = NGX_AMPERSAND_REDIS_DOWN;
        return;
    }

    ngx_ampersand_redis_flush_later(link);
}


static void
ngx_ampersand_redis_up(ngx_ampersand_redis_t *link)
{
    link->state = NGX_AMPERSAND_REDIS_READY;

    if (link->failures) {
        ngx_log_error(NGX_LOG_NOTICE, link->log, 0,
                      "ampersand: Redis \"%V\" is back after %ui attempts",
                      &link->conf->display, link->failures);
    }

    link->failures = 0;

    if (link->deadline.timer_set) {
        ngx_del_timer(&link->deadline);
    }

    if (link->channel.len) {
        ngx_add_timer(&link->reconnect, link->conf->timeout * 10);

    } else {
        ngx_ampersand_redis_arm(link);
    }

    if (link->on_state) {
        link->on_state(link->data, 1);
    }
}


/*
 * Fails what is waiting and comes back later.  Only from the event handlers
 * below and from connecting: never while a reply of this link is in use.
 */

static void
ngx_ampersand_redis_down(ngx_ampersand_redis_t *link, const char *why)
{
    ngx_err_t                       err;
    ngx_msec_t                      delay;
    ngx_uint_t                      was_ready;
    ngx_queue_t                    *q, failed;
    ngx_ampersand_redis_command_t  *cmd;

    err = ngx_errno;
    was_ready = (link->state == NGX_AMPERSAND_REDIS_READY);
    link->state = NGX_AMPERSAND_REDIS_DOWN;

    ngx_ampersand_redis_count(link, failures);

    /* one line an outage, however many attempts it takes */

    if (link->failures == 0) {
        ngx_log_error(NGX_LOG_ERR, link->log, err,
                      "ampersand: Redis \"%V\": %s, known tenants are served "
                      "from memory, unknown ones get 503",
                      &link->conf->display, why);
    }

    if (link->peer.connection) {
        ngx_close_connection(link->peer.connection);
        link->peer.connection = NULL;
    }

    if (link->reader) {
        redisReaderFree(link->reader);
        link->reader = NULL;
    }

    if (link->out) {
        ngx_explicit_memzero(link->out, link->out_size);
        link->out_len = 0;
    }

    if (link->deadline.timer_set) {
        ngx_del_timer(&link->deadline);
    }

    delay = ngx_min(NGX_AMPERSAND_REDIS_BACKOFF_MAX,
                    NGX_AMPERSAND_REDIS_BACKOFF
                    << ngx_min(link->failures, 8));
    link->failures++;

    /* workers must not come back all at once */

    ngx_add_timer(&link->reconnect, delay / 2 + ngx_random() % delay);

    if (was_ready && link->on_state) {
        link->on_state(link->data, 0);
    }

    /* handlers see a link that is down already, and may append nothing */

    ngx_queue_init(&failed);

    if (!ngx_queue_empty(&link->commands)) {
        ngx_queue_add(&failed, &link->commands);
        ngx_queue_init(&link->commands);
    }

    link->waiting = 0;

    while (!ngx_queue_empty(&failed)) {
        q = ngx_queue_head(&failed);
        ngx_queue_remove(q);

        cmd = ngx_queue_data(q, ngx_ampersand_redis_command_t, queue);

        if (cmd->handler) {
            cmd->handler(cmd->data, NGX_ERROR, NULL);
        }

        ngx_free(cmd);
    }
}


static void
ngx_ampersand_redis_write_handler(ngx_event_t *ev)
{
    size_t                  sent;
    ssize_t                 n;
    ngx_connection_t       *c;
    ngx_ampersand_redis_t  *link;

    c = ev->data;
    link = c->data;

    if (link->state == NGX_AMPERSAND_REDIS_CONNECTING
        && ngx_ampersand_redis_connected(link) != NGX_OK)
    {
        ngx_ampersand_redis_down(link, "cannot connect");
        return;
    }

    sent = 0;

    while (sent < link->out_len) {
        n = c->send(c, link->out + sent, link->out_len - sent);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == NGX_ERROR || n == 0) {
            ngx_ampersand_redis_down(link, "cannot send");
            return;
        }

        sent += n;
    }

    ngx_memmove(link->out, link->out + sent, link->out_len - sent);
    link->out_len -= sent;

    /* a password may have gone out */

    if (sent && link->state == NGX_AMPERSAND_REDIS_GREETING) {
        ngx_explicit_memzero(link->out + link->out_len, sent);
    }

    if (ngx_handle_write_event(c->write, 0) != NGX_OK
        || ngx_handle_read_event(c->read, 0) != NGX_OK)
    {
        ngx_ampersand_redis_down(link, "cannot watch the connection");
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

        if (link->peer.connection == NULL) {
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
            ngx_set_errno(n == 0 ? 0 : ngx_errno);
            ngx_ampersand_redis_down(link, "closed the connection");
            return;
        }

        link->fed += n;

        if (redisReaderFeed(link->reader, (const char *) buf, n) != REDIS_OK
            || ngx_ampersand_redis_replies(link) != NGX_OK)
        {
            ngx_set_errno(0);
            ngx_ampersand_redis_down(link, "unusable reply");
            return;
        }
    }

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_ampersand_redis_down(link, "cannot watch the connection");
        return;
    }

    if (link->state == NGX_AMPERSAND_REDIS_READY && link->channel.len == 0) {
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

        if (rc != NGX_OK || link->state == NGX_AMPERSAND_REDIS_DOWN) {
            return NGX_ERROR;
        }
    }

    return link->fed > NGX_AMPERSAND_REDIS_REPLY_MAX ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_ampersand_redis_reply(ngx_ampersand_redis_t *link, redisReply *reply)
{
    ngx_queue_t                    *q;
    ngx_ampersand_redis_command_t  *cmd;

    if (ngx_queue_empty(&link->commands)) {
        return ngx_ampersand_redis_pushed(link, reply);
    }

    q = ngx_queue_head(&link->commands);
    ngx_queue_remove(q);
    link->waiting--;

    cmd = ngx_queue_data(q, ngx_ampersand_redis_command_t, queue);

    if (cmd->handler) {
        cmd->handler(cmd->data, NGX_OK, reply);
    }

    ngx_free(cmd);

    return NGX_OK;
}


/* RESP2 pushes: [subscribe, channel, n], [message, channel, text], [pong, ""] */

static ngx_int_t
ngx_ampersand_redis_pushed(ngx_ampersand_redis_t *link, redisReply *reply)
{
    redisReply  *kind;

    if (link->channel.len == 0
        || reply->type != REDIS_REPLY_ARRAY || reply->elements < 2
        || reply->element[0]->type != REDIS_REPLY_STRING)
    {
        ngx_ampersand_redis_greeted(link, NGX_OK, reply);
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
        && !ngx_ampersand_redis_overdue(link))
    {
        ngx_ampersand_redis_arm(link);
        return;
    }

    ngx_ampersand_redis_count(link, timeouts);
    ngx_set_errno(0);
    ngx_ampersand_redis_down(link, "no answer in time");
}


/* While DOWN it connects again; a subscription that is up proves it is alive. */

static void
ngx_ampersand_redis_reconnect_handler(ngx_event_t *ev)
{
    amp_span_t              argv[1];
    ngx_ampersand_redis_t  *link;

    link = ev->data;

    if (link->state == NGX_AMPERSAND_REDIS_DOWN) {
        ngx_ampersand_redis_connect(link);
        return;
    }

    argv[0] = amp_span("PING");

    if (link->silent++
        || ngx_ampersand_redis_append(link, 1, argv) != NGX_OK)
    {
        ngx_set_errno(0);
        ngx_ampersand_redis_down(link, "no answer in time");
        return;
    }

    ngx_ampersand_redis_flush_later(link);
    ngx_add_timer(&link->reconnect, link->conf->timeout * 10);
}


static ngx_int_t
ngx_ampersand_redis_append(ngx_ampersand_redis_t *link, ngx_uint_t argc,
    const amp_span_t *argv)
{
    char        *text;
    int          len;
    size_t       size, argvlen[NGX_AMPERSAND_REDIS_ARGS];
    u_char      *out;
    ngx_uint_t   i;
    const char  *args[NGX_AMPERSAND_REDIS_ARGS];

    for (i = 0; i < argc && i < NGX_AMPERSAND_REDIS_ARGS; i++) {
        args[i] = (const char *) argv[i].data;
        argvlen[i] = argv[i].len;
    }

    len = redisFormatCommandArgv(&text, (int) i, args, argvlen);

    if (len < 0) {
        return NGX_ERROR;
    }

    if (link->out_size - link->out_len < (size_t) len) {
        size = ngx_max(link->out_size * 2, link->out_len + len);

        out = ngx_alloc(size, link->log);
        if (out == NULL) {
            redisFreeCommand(text);
            return NGX_ERROR;
        }

        if (link->out) {
            ngx_memcpy(out, link->out, link->out_len);
            ngx_explicit_memzero(link->out, link->out_size);
            ngx_free(link->out);
        }

        link->out = out;
        link->out_size = size;
    }

    ngx_memcpy(link->out + link->out_len, text, len);
    link->out_len += len;

    ngx_explicit_memzero(text, len);
    redisFreeCommand(text);

    return NGX_OK;
}


static ngx_int_t
ngx_ampersand_redis_enqueue(ngx_ampersand_redis_t *link, ngx_uint_t argc,
    const amp_span_t *argv, ngx_ampersand_redis_reply_pt handler, void *data)
{
    ngx_ampersand_redis_command_t  *cmd;

    cmd = ngx_alloc(sizeof(*cmd), link->log);
    if (cmd == NULL) {
        return NGX_ERROR;
    }

    if (ngx_ampersand_redis_append(link, argc, argv) != NGX_OK) {
        ngx_free(cmd);
        return NGX_ERROR;
    }

    cmd->deadline = ngx_current_msec + link->conf->timeout;
    cmd->handler = handler;
    cmd->data = data;

    ngx_queue_insert_tail(&link->commands, &cmd->queue);
    link->waiting++;

    return NGX_OK;
}


static ngx_uint_t
ngx_ampersand_redis_overdue(ngx_ampersand_redis_t *link)
{
    ngx_ampersand_redis_command_t  *cmd;

    if (ngx_queue_empty(&link->commands)) {
        return 0;
    }

    cmd = ngx_queue_data(ngx_queue_head(&link->commands),
                         ngx_ampersand_redis_command_t, queue);

    return (ngx_msec_int_t) (cmd->deadline - ngx_current_msec) <= 0;
}


/* Sets the timer to the oldest command's deadline. */

static void
ngx_ampersand_redis_arm(ngx_ampersand_redis_t *link)
{
    ngx_msec_int_t                  left;
    ngx_ampersand_redis_command_t  *cmd;

    if (ngx_queue_empty(&link->commands)) {
        if (link->deadline.timer_set) {
            ngx_del_timer(&link->deadline);
        }

        return;
    }

    cmd = ngx_queue_data(ngx_queue_head(&link->commands),
                         ngx_ampersand_redis_command_t, queue);

    left = (ngx_msec_int_t) (cmd->deadline - ngx_current_msec);

    ngx_add_timer(&link->deadline, (ngx_msec_t) ngx_max(left, 1));
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
