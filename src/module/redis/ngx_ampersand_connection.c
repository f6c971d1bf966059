#include "ngx_ampersand_connection.h"


#define NGX_AMPERSAND_CONNECTION_READ      16384
#define NGX_AMPERSAND_CONNECTION_ELEMENTS  (64 * 1024)


static redisReader *ngx_ampersand_connection_reader(void);
static void *ngx_ampersand_connection_array(const redisReadTask *task,
    ngx_ampersand_elements_t n);
static void ngx_ampersand_connection_connect_handler(ngx_event_t *ev);
static void ngx_ampersand_connection_handshake_handler(ngx_connection_t *c);
static void ngx_ampersand_connection_ready(ngx_ampersand_connection_t *wire);
static void ngx_ampersand_connection_write_handler(ngx_event_t *ev);
static void ngx_ampersand_connection_read_handler(ngx_event_t *ev);
static const char *ngx_ampersand_connection_replies(ngx_ampersand_connection_t *wire);
static void ngx_ampersand_connection_hush(ngx_log_t *log, ngx_uint_t level,
    u_char *buf, size_t len);


static redisReplyObjectFunctions  ngx_ampersand_connection_objects;
static void                      *(*ngx_ampersand_connection_create_array)(
    const redisReadTask *task, ngx_ampersand_elements_t n);


ngx_int_t
ngx_ampersand_connection_connect(ngx_ampersand_connection_t *wire,
    struct sockaddr *sockaddr, socklen_t socklen, ngx_str_t *name)
{
    ngx_int_t               rc;
    ngx_connection_t       *c;
    ngx_peer_connection_t  *pc;

    wire->quiet = *wire->log;
    wire->quiet.log_level = NGX_LOG_INFO;
    wire->quiet.writer = ngx_ampersand_connection_hush;
    wire->quiet.wdata = wire;
    wire->quiet.next = NULL;
    wire->fed = 0;
    wire->said = 0;

    pc = &wire->peer;
    ngx_memzero(pc, sizeof(*pc));

    pc->sockaddr = sockaddr;
    pc->socklen = socklen;
    pc->name = name;
    pc->get = ngx_event_get_peer;
    pc->log = &wire->quiet;
    pc->log_error = NGX_ERROR_ERR;

    wire->reader = ngx_ampersand_connection_reader();
    if (wire->reader == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_event_connect_peer(pc);

    wire->said = 0;

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        return NGX_ERROR;
    }

    c = pc->connection;
    c->data = wire;
    c->read->handler = ngx_ampersand_connection_connect_handler;
    c->write->handler = ngx_ampersand_connection_connect_handler;

    if (wire->tls) {
        c->pool = ngx_create_pool(256, wire->log);
        if (c->pool == NULL) {
            return NGX_ERROR;
        }
    }

    if (rc == NGX_OK) {
        ngx_post_event(c->write, &ngx_posted_events);
    }

    return NGX_OK;
}


/* hiredis takes an array's announced length at its word, and memory for it. */

static redisReader *
ngx_ampersand_connection_reader(void)
{
    redisReader  *reader;

    reader = redisReaderCreate();
    if (reader == NULL) {
        return NULL;
    }

    ngx_ampersand_connection_create_array = reader->fn->createArray;
    ngx_ampersand_connection_objects = *reader->fn;
    ngx_ampersand_connection_objects.createArray = ngx_ampersand_connection_array;

    reader->fn = &ngx_ampersand_connection_objects;

    return reader;
}


static void *
ngx_ampersand_connection_array(const redisReadTask *task, ngx_ampersand_elements_t n)
{
    return n > NGX_AMPERSAND_CONNECTION_ELEMENTS
           ? NULL : ngx_ampersand_connection_create_array(task, n);
}


void
ngx_ampersand_connection_flush(ngx_ampersand_connection_t *wire)
{
    ngx_connection_t  *c;

    c = wire->peer.connection;

    if (c->write->ready) {
        ngx_post_event(c->write, &ngx_posted_events);
    }
}


void
ngx_ampersand_connection_close(ngx_ampersand_connection_t *wire)
{
    ngx_pool_t        *pool;
    ngx_connection_t  *c;

    c = wire->peer.connection;

    if (c) {
        ngx_ampersand_tls_close(c);

        pool = c->pool;
        ngx_close_connection(c);

        if (pool) {
            ngx_destroy_pool(pool);
        }

        wire->peer.connection = NULL;
    }

    if (wire->reader) {
        redisReaderFree(wire->reader);
        wire->reader = NULL;
    }
}


static void
ngx_ampersand_connection_connect_handler(ngx_event_t *ev)
{
    int                    err;
    socklen_t              len;
    ngx_int_t              rc;
    ngx_connection_t      *c;
    ngx_ampersand_connection_t  *wire;

    c = ev->data;
    wire = c->data;
    err = 0;
    len = sizeof(err);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    if (err) {
        wire->failed(wire->data, "cannot be connected to", err, 0);
        return;
    }

    if (wire->peer.sockaddr->sa_family != AF_UNIX) {
        (void) ngx_tcp_nodelay(c);
    }

    if (wire->tls == NULL) {
        ngx_ampersand_connection_ready(wire);
        return;
    }

#if (NGX_SSL)

    rc = ngx_ampersand_tls_handshake(wire->tls, c, wire->host);

    if (rc == NGX_AGAIN) {
        c->ssl->handler = ngx_ampersand_connection_handshake_handler;
        return;
    }

    if (rc == NGX_OK) {
        ngx_ampersand_connection_handshake_handler(c);
        return;
    }

#else
    (void) rc;
#endif

    wire->failed(wire->data, "fails the TLS handshake", 0, 0);
}


static void
ngx_ampersand_connection_handshake_handler(ngx_connection_t *c)
{
#if (NGX_SSL)

    const char            *why;
    ngx_ampersand_connection_t  *wire;

    wire = c->data;

    if (!c->ssl->handshaked) {
        wire->failed(wire->data, "fails the TLS handshake", 0, 0);
        return;
    }

    why = ngx_ampersand_tls_verify(wire->tls, c, wire->host);

    if (why) {
        wire->said = ngx_cpystrn(wire->text, (u_char *) why,
                                 NGX_AMPERSAND_SAID)
                     - wire->text;
        wire->failed(wire->data, "has a certificate that does not hold", 0, 0);
        return;
    }

    ngx_ampersand_connection_ready(wire);

#endif
}


static void
ngx_ampersand_connection_ready(ngx_ampersand_connection_t *wire)
{
    ngx_connection_t  *c;

    c = wire->peer.connection;
    c->read->handler = ngx_ampersand_connection_read_handler;
    c->write->handler = ngx_ampersand_connection_write_handler;

    wire->said = 0;

    if (wire->connected(wire->data) != NGX_OK) {
        wire->failed(wire->data, "no memory for its greeting", 0, 0);
        return;
    }

    /* TLS may have read further than its handshake */

    if (c->read->ready) {
        ngx_post_event(c->read, &ngx_posted_events);
    }

    ngx_ampersand_connection_write_handler(c->write);
}


static void
ngx_ampersand_connection_write_handler(ngx_event_t *ev)
{
    ssize_t                    n;
    ngx_connection_t          *c;
    ngx_ampersand_connection_t      *wire;
    ngx_ampersand_pipeline_t  *commands;

    c = ev->data;
    wire = c->data;
    commands = wire->commands;

    while (commands->len) {
        n = c->send(c, commands->out, commands->len);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == NGX_ERROR || n == 0) {
            wire->failed(wire->data, "closed the connection",
                         wire->said ? 0 : ngx_socket_errno, 1);
            return;
        }

        ngx_ampersand_pipeline_sent(commands, n);
    }

    if (ngx_handle_write_event(c->write, 0) != NGX_OK
        || ngx_handle_read_event(c->read, 0) != NGX_OK)
    {
        wire->failed(wire->data, "cannot be watched", ngx_errno, 0);
    }
}


static void
ngx_ampersand_connection_read_handler(ngx_event_t *ev)
{
    u_char                 buf[NGX_AMPERSAND_CONNECTION_READ];
    ssize_t                n;
    const char            *why;
    ngx_connection_t      *c;
    ngx_ampersand_connection_t  *wire;

    c = ev->data;
    wire = c->data;

    /* edge-triggered: to the last byte */

    for ( ;; ) {
        n = c->recv(c, buf, sizeof(buf));

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == NGX_ERROR || n == 0) {
            wire->failed(wire->data, "closed the connection",
                         n == 0 || wire->said ? 0 : ngx_socket_errno, 1);
            return;
        }

        wire->fed += n;

        why = redisReaderFeed(wire->reader, (const char *) buf, n) == REDIS_OK
              ? ngx_ampersand_connection_replies(wire) : "no memory for its reply";

        if (why) {
            wire->failed(wire->data, why, 0, 0);
            return;
        }
    }

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        wire->failed(wire->data, "cannot be watched", ngx_errno, 0);
    }
}


/* All replies that are complete; NULL, or why the connection has to go. */

static const char *
ngx_ampersand_connection_replies(ngx_ampersand_connection_t *wire)
{
    void       *reply;
    ngx_int_t   rc;

    for ( ;; ) {
        reply = NULL;

        if (redisReaderGetReply(wire->reader, &reply) != REDIS_OK) {
            return "does not speak Redis' protocol";
        }

        if (reply == NULL) {
            break;
        }

        wire->fed = 0;
        rc = wire->reply(wire->data, reply);

        freeReplyObject(reply);

        if (rc != NGX_OK) {
            return "sent a reply that nobody asked for";
        }
    }

    return wire->fed > NGX_AMPERSAND_REPLY_MAX
           ? "sent a reply of more than a megabyte" : NULL;
}


/*
 * What nginx says of a failed handshake is the reason of the one line that the
 * caller writes.  Alerts stay alerts.
 */

static void
ngx_ampersand_connection_hush(ngx_log_t *log, ngx_uint_t level, u_char *buf,
    size_t len)
{
    u_char                *p, *end;
    ngx_ampersand_connection_t  *wire;

    wire = log->wdata;
    end = buf + len;

    /* "date time [level] pid#tid: *connection text\n" */

    p = ngx_strlchr(buf, end, '#');
    p = p ? ngx_strlchr(p, end, ' ') : NULL;

    if (p && end - p > 2 && p[1] == '*') {
        p = ngx_strlchr(p + 1, end, ' ');
    }

    p = p ? p + 1 : buf;
    len = end - p - (end > p && end[-1] == LF);

    if (level <= NGX_LOG_ALERT) {
        ngx_log_error(level, wire->log, 0, "%*s", len, p);
        return;
    }

    if (ngx_strlcasestrn(p, end, (u_char *) "ssl", 3 - 1) == NULL) {
        return;
    }

    wire->said = ngx_min(len, NGX_AMPERSAND_SAID);
    ngx_memcpy(wire->text, p, wire->said);
}
