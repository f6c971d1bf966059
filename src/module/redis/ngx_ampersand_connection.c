#include "ngx_ampersand_connection.h"


#define NGX_AMPERSAND_CONNECTION_READ      16384
#define NGX_AMPERSAND_CONNECTION_ELEMENTS  (64 * 1024)


static redisReader *ngx_ampersand_connection_reader(void);
static void *ngx_ampersand_connection_array(const redisReadTask *task,
    ngx_ampersand_elements_t n);
static void ngx_ampersand_connection_connect_handler(ngx_event_t *ev);
static void ngx_ampersand_connection_handshake_handler(ngx_connection_t *c);
static void ngx_ampersand_connection_ready(ngx_ampersand_connection_t *conn);
static void ngx_ampersand_connection_write_handler(ngx_event_t *ev);
static void ngx_ampersand_connection_read_handler(ngx_event_t *ev);
static const char *ngx_ampersand_connection_replies(
    ngx_ampersand_connection_t *conn);
static void ngx_ampersand_connection_capture(ngx_log_t *log, ngx_uint_t level,
    u_char *buf, size_t len);


static redisReplyObjectFunctions  ngx_ampersand_connection_objects;
static void                      *(*ngx_ampersand_connection_create_array)(
    const redisReadTask *task, ngx_ampersand_elements_t n);


ngx_int_t
ngx_ampersand_connection_connect(ngx_ampersand_connection_t *conn,
    struct sockaddr *sockaddr, socklen_t socklen, ngx_str_t *name)
{
    ngx_int_t               rc;
    ngx_connection_t       *c;
    ngx_peer_connection_t  *pc;

    conn->capture = *conn->log;
    conn->capture.log_level = NGX_LOG_INFO;
    conn->capture.writer = ngx_ampersand_connection_capture;
    conn->capture.wdata = conn;
    conn->capture.next = NULL;
    conn->unparsed = 0;
    conn->error_len = 0;

    pc = &conn->peer;
    ngx_memzero(pc, sizeof(*pc));

    pc->sockaddr = sockaddr;
    pc->socklen = socklen;
    pc->name = name;
    pc->get = ngx_event_get_peer;
    pc->log = &conn->capture;
    pc->log_error = NGX_ERROR_ERR;

    conn->reader = ngx_ampersand_connection_reader();
    if (conn->reader == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_event_connect_peer(pc);

    conn->error_len = 0;

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        return NGX_ERROR;
    }

    c = pc->connection;
    c->data = conn;
    c->read->handler = ngx_ampersand_connection_connect_handler;
    c->write->handler = ngx_ampersand_connection_connect_handler;

    if (conn->tls) {
        c->pool = ngx_create_pool(256, conn->log);
        if (c->pool == NULL) {
            return NGX_ERROR;
        }
    }

    if (rc == NGX_OK) {
        ngx_post_event(c->write, &ngx_posted_events);
    }

    return NGX_OK;
}


/*
 * hiredis allocates as much memory as an array announces elements: the array of
 * a server that is no Redis must not take it.
 */

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
    ngx_ampersand_connection_objects.createArray =
                                                ngx_ampersand_connection_array;

    reader->fn = &ngx_ampersand_connection_objects;

    return reader;
}


static void *
ngx_ampersand_connection_array(const redisReadTask *task,
    ngx_ampersand_elements_t n)
{
    return n > NGX_AMPERSAND_CONNECTION_ELEMENTS
           ? NULL : ngx_ampersand_connection_create_array(task, n);
}


void
ngx_ampersand_connection_flush(ngx_ampersand_connection_t *conn)
{
    ngx_connection_t  *c;

    c = conn->peer.connection;

    if (c->write->ready) {
        ngx_post_event(c->write, &ngx_posted_events);
    }
}


void
ngx_ampersand_connection_close(ngx_ampersand_connection_t *conn)
{
    ngx_pool_t        *pool;
    ngx_connection_t  *c;

    c = conn->peer.connection;

    if (c) {
        ngx_ampersand_tls_close(c);

        pool = c->pool;
        ngx_close_connection(c);

        if (pool) {
            ngx_destroy_pool(pool);
        }

        conn->peer.connection = NULL;
    }

    if (conn->reader) {
        redisReaderFree(conn->reader);
        conn->reader = NULL;
    }
}


static void
ngx_ampersand_connection_connect_handler(ngx_event_t *ev)
{
    int                          err;
    socklen_t                    len;
    ngx_connection_t            *c;
    ngx_ampersand_connection_t  *conn;

    c = ev->data;
    conn = c->data;
    err = 0;
    len = sizeof(err);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    if (err) {
        conn->failed(conn->data, "cannot be connected to", err, 0);
        return;
    }

    if (conn->peer.sockaddr->sa_family != AF_UNIX) {
        (void) ngx_tcp_nodelay(c);
    }

    if (conn->tls == NULL) {
        ngx_ampersand_connection_ready(conn);
        return;
    }

    if (ngx_ampersand_tls_handshake(conn->tls, c, conn->host,
                                    ngx_ampersand_connection_handshake_handler)
        != NGX_OK)
    {
        conn->failed(conn->data, "fails the TLS handshake", 0, 0);
    }
}


static void
ngx_ampersand_connection_handshake_handler(ngx_connection_t *c)
{
    const char                  *why;
    ngx_ampersand_connection_t  *conn;

    conn = c->data;

    if (!ngx_ampersand_tls_handshaked(c)) {
        conn->failed(conn->data, "fails the TLS handshake", 0, 0);
        return;
    }

    why = ngx_ampersand_tls_verify(conn->tls, c, conn->host);

    if (why) {
        conn->error_len = ngx_cpystrn(conn->error, (u_char *) why,
                                      NGX_AMPERSAND_CONNECTION_ERROR)
                          - conn->error;
        conn->failed(conn->data, "fails certificate verification", 0, 0);
        return;
    }

    ngx_ampersand_connection_ready(conn);
}


static void
ngx_ampersand_connection_ready(ngx_ampersand_connection_t *conn)
{
    ngx_connection_t  *c;

    c = conn->peer.connection;
    c->read->handler = ngx_ampersand_connection_read_handler;
    c->write->handler = ngx_ampersand_connection_write_handler;

    conn->error_len = 0;

    if (conn->connected(conn->data) != NGX_OK) {
        conn->failed(conn->data, "cannot be used, no memory", 0, 0);
        return;
    }

    /* OpenSSL may hold bytes that came with the end of its handshake */

    if (c->read->ready) {
        ngx_post_event(c->read, &ngx_posted_events);
    }

    ngx_ampersand_connection_write_handler(c->write);
}


static void
ngx_ampersand_connection_write_handler(ngx_event_t *ev)
{
    ssize_t                      n;
    ngx_connection_t            *c;
    ngx_ampersand_pipeline_t    *pipeline;
    ngx_ampersand_connection_t  *conn;

    c = ev->data;
    conn = c->data;
    pipeline = conn->pipeline;

    while (pipeline->len) {
        n = c->send(c, pipeline->out, pipeline->len);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == NGX_ERROR || n == 0) {
            conn->failed(conn->data, "closed the connection",
                         conn->error_len ? 0 : ngx_socket_errno, 1);
            return;
        }

        ngx_ampersand_pipeline_sent(pipeline, n);
    }

    if (ngx_handle_write_event(c->write, 0) != NGX_OK
        || ngx_handle_read_event(c->read, 0) != NGX_OK)
    {
        conn->failed(conn->data, "cannot be added to the event loop",
                     ngx_errno, 0);
    }
}


static void
ngx_ampersand_connection_read_handler(ngx_event_t *ev)
{
    u_char                       buf[NGX_AMPERSAND_CONNECTION_READ];
    ssize_t                      n;
    const char                  *why;
    ngx_connection_t            *c;
    ngx_ampersand_connection_t  *conn;

    c = ev->data;
    conn = c->data;

    /* events are edge-triggered: read until there is no more */

    for ( ;; ) {
        n = c->recv(c, buf, sizeof(buf));

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == NGX_ERROR || n == 0) {
            conn->failed(conn->data, "closed the connection",
                         n == 0 || conn->error_len ? 0 : ngx_socket_errno, 1);
            return;
        }

        conn->unparsed += n;

        why = redisReaderFeed(conn->reader, (const char *) buf, n) == REDIS_OK
              ? ngx_ampersand_connection_replies(conn)
              : "cannot be used, no memory";

        if (why) {
            conn->failed(conn->data, why, 0, 0);
            return;
        }
    }

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        conn->failed(conn->data, "cannot be added to the event loop",
                     ngx_errno, 0);
    }
}


/* Handles all complete replies.  NULL, or why the connection has failed. */

static const char *
ngx_ampersand_connection_replies(ngx_ampersand_connection_t *conn)
{
    void       *reply;
    ngx_int_t   rc;

    for ( ;; ) {
        reply = NULL;

        if (redisReaderGetReply(conn->reader, &reply) != REDIS_OK) {
            return "does not speak Redis' protocol";
        }

        if (reply == NULL) {
            break;
        }

        conn->unparsed = 0;
        rc = conn->reply(conn->data, reply);

        freeReplyObject(reply);

        if (rc != NGX_OK) {
            return "sent a reply without a command";
        }
    }

    return conn->unparsed > NGX_AMPERSAND_REPLY_MAX
           ? "sent a reply of more than a megabyte" : NULL;
}


/*
 * The writer of the connection's log.  The caller logs an outage in one line:
 * what nginx says of a failed TLS handshake becomes part of it, and nginx's
 * other messages are dropped.  Alerts are logged, except for an address of a
 * family that the system does not support: other addresses are tried then.
 */

static void
ngx_ampersand_connection_capture(ngx_log_t *log, ngx_uint_t level, u_char *buf,
    size_t len)
{
    u_char                      *p, *end;
    ngx_ampersand_connection_t  *conn;

    conn = log->wdata;
    end = buf + len;

    /* "date time [level] pid#tid: *connection text\n" */

    p = ngx_strlchr(buf, end, '#');
    p = p ? ngx_strlchr(p, end, ' ') : NULL;

    if (p && end - p > 2 && p[1] == '*') {
        p = ngx_strlchr(p + 1, end, ' ');
    }

    p = p ? p + 1 : buf;
    len = end - p - (end > p && end[-1] == LF);

    if (level <= NGX_LOG_ALERT && ngx_errno != EAFNOSUPPORT) {
        ngx_log_error(level, conn->log, 0, "%*s", len, p);
        return;
    }

    if (ngx_strlcasestrn(p, end, (u_char *) "ssl", 3 - 1) == NULL) {
        return;
    }

    conn->error_len = ngx_min(len, NGX_AMPERSAND_CONNECTION_ERROR);
    ngx_memcpy(conn->error, p, conn->error_len);
}
