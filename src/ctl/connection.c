/*
 * One connection to Redis.
 *
 * The socket does not block: each call that has to wait does so in poll(), for
 * the time left until the deadline.  After a failure the connection is not used
 * any more, since a late reply would be taken for that of the next command.
 */

#define _GNU_SOURCE                 /* SOCK_NONBLOCK */

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>

#include "connection.h"
#include "fault.h"
#include "secret.h"


#define CONNECTION_READ  16384
#define CONNECTION_MANY  (4 * 1024 * 1024)

#if HIREDIS_MAJOR < 1
typedef int     connection_count_t;
#else
typedef size_t  connection_count_t;
#endif


struct connection_s {
    int           fd;
    BIO          *bio;              /* owns the filter and the socket         */
    BIO          *filter;           /* TLS, or NULL                           */
    redisReader  *reader;
    unsigned      answered:1;
    unsigned      connected:1;      /* the current address accepted it        */
    unsigned      timeout;
    char          who[AMP_REDIS_URL_TEXT + 32];
};


static void connection_reset(connection_t *c);


static redisReplyObjectFunctions  connection_theirs, connection_ours;


int64_t
connection_clock(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


static int
connection_timed_out(const connection_t *c, ctl_error_t *error)
{
    ctl_error(error, CTL_REACH, "redis_unreachable",
              "%s did not answer within %u ms", c->who, c->timeout);

    return ctl_remedy(error, "check that it runs and can be reached; "
                      "--timeout waits longer");
}


static int
connection_lost(const connection_t *c, ctl_error_t *error, const char *why)
{
    ctl_error(error, CTL_REACH, "redis_unreachable",
              "%s is out of reach: %s", c->who, why);

    return ctl_remedy(error, "check that it runs, and --redis or "
                      "AMPERSAND_REDIS");
}


/* hiredis allocates as many elements as the server announces. */

static void *
connection_array(const redisReadTask *task, connection_count_t n)
{
    return n <= CONNECTION_MANY ? connection_theirs.createArray(task, n)
                                : NULL;
}


static redisReader *
connection_reader(void)
{
    redisReader  *reader;

    reader = redisReaderCreate();
    if (reader == NULL) {
        abort();
    }

    connection_theirs = *reader->fn;
    connection_ours = connection_theirs;
    connection_ours.createArray = connection_array;

    reader->fn = &connection_ours;

    return reader;
}


/* Waits for the socket.  0, or -1 with errno set. */

static int
connection_wait(int fd, short events, int64_t deadline)
{
    int            n;
    int64_t        left;
    struct pollfd  pfd;

    do {
        left = deadline - connection_clock();

        pfd.fd = fd;
        pfd.events = events;

        n = poll(&pfd, 1, left > 0 ? (int) left : 0);
    } while (n == -1 && errno == EINTR);

    if (n == 0) {
        errno = ETIMEDOUT;
    }

    return n == 1 ? 0 : -1;
}


/* A connected socket, or -1 with errno set. */

static int
connection_socket(const struct sockaddr *address, socklen_t len,
    int64_t deadline)
{
    int        fd, on, code;
    socklen_t  size;

    fd = socket(address->sa_family, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);
    if (fd == -1) {
        return -1;
    }

    if (address->sa_family != AF_UNIX) {
        on = 1;
        (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }

    if (connect(fd, address, len) == 0) {
        return fd;
    }

    code = errno;

    if (code == EINPROGRESS) {
        code = 0;
        size = sizeof(code);

        if (connection_wait(fd, POLLOUT, deadline) != 0
            || getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size) != 0)
        {
            code = errno;
        }
    }

    if (code != 0) {
        close(fd);
        errno = code;
        return -1;
    }

    return fd;
}


/*
 * After a BIO call without success.  0: the socket is ready, the call is to be
 * made again; or -1 with the error set.
 */

static int
connection_retry(connection_t *c, int64_t deadline, ctl_error_t *error)
{
    int   code;
    BIO  *bio;
    char  buf[1];

    code = errno;
    bio = c->bio;

    if (!BIO_should_retry(bio)) {

        /* TLS 1.3: a client certificate is refused after the handshake */

        if (c->filter != NULL && !c->answered) {
            (void) BIO_read(bio, buf, sizeof(buf));
        }

        if (c->filter != NULL && tls_fault(c->filter, c->who, error)) {
            return -1;
        }

        connection_lost(c, error, code ? strerror(code)
                        : "it closed the connection");

        if (c->filter == NULL && !c->answered) {
            ctl_remedy(error, "does it expect TLS? Then the URL begins with "
                       "rediss; else check its log");
        }

        return -1;
    }

    if (connection_wait(c->fd, BIO_should_write(bio) ? POLLOUT : POLLIN,
                        deadline)
        == 0)
    {
        return 0;
    }

    return errno == ETIMEDOUT ? connection_timed_out(c, error)
                              : connection_lost(c, error, strerror(errno));
}


static int
connection_handshake(connection_t *c, int64_t deadline, ctl_error_t *error)
{
    for ( ;; ) {
        ERR_clear_error();
        errno = 0;

        if (BIO_do_handshake(c->bio) == 1) {
            return 0;
        }

        if (connection_retry(c, deadline, error) == 0) {
            continue;
        }

        if (strcmp(error->code, "redis_unreachable") == 0) {
            ctl_remedy(error, "does it speak TLS on this port? Without TLS "
                       "the URL begins with redis, not rediss");
        }

        return -1;
    }
}


static int
connection_login(connection_t *c, const connection_options_t *options,
    int64_t deadline, ctl_error_t *error)
{
    int          rc;
    redisReply  *reply;

    if (options->password.len != 0
        && connection_auth(c, options, deadline, error) != 0)
    {
        return -1;
    }

    if (options->db == 0) {
        return 0;
    }

    reply = connection_command(c, deadline, error, "SELECT %u", options->db);
    if (reply == NULL) {
        return -1;
    }

    rc = reply->type == REDIS_REPLY_ERROR ? fault_reply(error, c->who, reply)
                                          : 0;
    freeReplyObject(reply);

    return rc;
}


/*
 * Connects to one address, with all that makes the connection usable.  0, or -1
 * with the error set and the connection as it was before.
 */

static int
connection_address(connection_t *c, const connection_options_t *options,
    const char *name, const struct sockaddr *address, socklen_t len,
    int64_t deadline, ctl_error_t *error)
{
    errno = 0;
    c->fd = connection_socket(address, len, deadline);

    if (c->fd == -1) {
        return errno == ETIMEDOUT ? connection_timed_out(c, error)
                                  : connection_lost(c, error, strerror(errno));
    }

    c->connected = 1;
    c->reader = connection_reader();
    c->bio = BIO_new_socket(c->fd, BIO_CLOSE);

    if (c->bio == NULL) {
        abort();
    }

    if (options->tls != NULL) {
        c->filter = tls_filter(options->tls, name);

        if (c->filter == NULL) {
            ctl_error(error, CTL_USAGE, "usage", "the server name for TLS is "
                      "neither a name nor an address");
            ctl_remedy(error, "give the name in its certificate with "
                       "--redis-server-name NAME");
            goto failed;
        }

        c->bio = BIO_push(c->filter, c->bio);

        if (connection_handshake(c, deadline, error) != 0) {
            goto failed;
        }
    }

    if (connection_login(c, options, deadline, error) == 0) {
        return 0;
    }

failed:

    connection_reset(c);

    return -1;
}


static int
connection_local(connection_t *c, const connection_options_t *options,
    const char *path, int64_t deadline, ctl_error_t *error)
{
    struct sockaddr_un  address;

    memset(&address, 0, sizeof(address));
    address.sun_family = AF_UNIX;
    strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);

    return connection_address(c, options, NULL, (struct sockaddr *) &address,
                              sizeof(address), deadline, error);
}


/* A reply to PING, whatever it is.  0, or -1 with the error set. */

static int
connection_ping(connection_t *c, int64_t deadline, ctl_error_t *error)
{
    redisReply  *reply;

    reply = connection_command(c, deadline, error, "PING");

    if (reply == NULL) {
        connection_reset(c);
        return -1;
    }

    freeReplyObject(reply);

    return 0;
}


/*
 * Tries each address of a host: each may use half of the time that is left, the
 * last one all of it, and all but the last one have to answer something.  The
 * error is that of the last address that a connection was made to, else of the
 * last address.
 */

static int
connection_tcp(connection_t *c, const connection_options_t *options,
    const amp_redis_host_t *host, int64_t deadline, ctl_error_t *error)
{
    int               rc;
    char              port[8];
    int64_t           share;
    unsigned          connected;
    ctl_error_t       last;
    struct addrinfo   hints, *list, *ai;

    memset(&hints, 0, sizeof(hints));
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV|AI_ADDRCONFIG;

    snprintf(port, sizeof(port), "%u", host->port & 0xffff);

    rc = getaddrinfo(host->host, port, &hints, &list);

    if (rc != 0) {
        return connection_lost(c, error, rc == EAI_SYSTEM ? strerror(errno)
                                                          : gai_strerror(rc));
    }

    connected = 0;
    rc = -1;

    for (ai = list; ai != NULL; ai = ai->ai_next) {
        share = deadline;

        if (ai->ai_next) {
            share -= (deadline - connection_clock()) / 2;
        }

        c->connected = 0;

        rc = connection_address(c, options, host->host, ai->ai_addr,
                                ai->ai_addrlen, share, &last);

        if (rc == 0 && ai->ai_next && !c->answered) {
            rc = connection_ping(c, share, &last);
        }

        if (rc == 0) {
            break;
        }

        if (c->connected || !connected) {
            *error = last;
            connected = c->connected;
        }

        if (strcmp(last.code, "redis_unreachable") != 0) {
            break;
        }
    }

    freeaddrinfo(list);

    return rc;
}


connection_t *
connection_open(const connection_options_t *options, const char *path,
    const amp_redis_host_t *host, int64_t deadline, ctl_error_t *error)
{
    int            rc;
    connection_t  *c;

    c = calloc(1, sizeof(*c));
    if (c == NULL) {
        abort();
    }

    c->fd = -1;
    c->timeout = options->timeout;

    if (path != NULL) {
        snprintf(c->who, sizeof(c->who), "%s at unix:%s", options->what, path);
        rc = connection_local(c, options, path, deadline, error);

    } else {
        snprintf(c->who, sizeof(c->who), strchr(host->host, ':')
                 ? "%s at [%s]:%u" : "%s at %s:%u", options->what, host->host,
                 host->port);
        rc = connection_tcp(c, options, host, deadline, error);
    }

    if (rc == 0) {
        return c;
    }

    connection_close(c);

    return NULL;
}


/* Closes the socket: the connection is as it was before it was connected. */

static void
connection_reset(connection_t *c)
{
    if (c->bio != NULL) {
        BIO_free_all(c->bio);

    } else if (c->fd != -1) {
        close(c->fd);
    }

    if (c->reader != NULL) {
        redisReaderFree(c->reader);
    }

    c->fd = -1;
    c->bio = NULL;
    c->filter = NULL;
    c->reader = NULL;
    c->answered = 0;
}


void
connection_close(connection_t *c)
{
    if (c != NULL) {
        connection_reset(c);
        free(c);
    }
}


const char *
connection_who(const connection_t *c)
{
    return c->who;
}


int
connection_write(connection_t *c, const char *text, size_t len,
    int64_t deadline, ctl_error_t *error)
{
    int     n;
    size_t  sent;

    for (sent = 0; sent < len; /* void */ ) {
        ERR_clear_error();
        errno = 0;

        n = BIO_write(c->bio, text + sent, (int) (len - sent));

        if (n > 0) {
            sent += n;

        } else if (connection_retry(c, deadline, error) != 0) {
            return -1;
        }
    }

    return 0;
}


int
connection_readable(connection_t *c, int64_t deadline)
{
    /* what TLS or the reader has already, the socket does not show */

    return c->reader->len > c->reader->pos || BIO_pending(c->bio) > 0
           || connection_wait(c->fd, POLLIN, deadline) == 0;
}


redisReply *
connection_read(connection_t *c, int64_t deadline, ctl_error_t *error)
{
    int    n;
    char   buf[CONNECTION_READ];
    void  *reply;

    for ( ;; ) {
        reply = NULL;

        if (redisReaderGetReply(c->reader, &reply) != REDIS_OK) {
            ctl_error(error, CTL_REACH, "redis_protocol",
                      "%s does not speak the Redis protocol: %s", c->who,
                      c->reader->err == REDIS_ERR_OOM
                      ? "the reply is too long" : c->reader->errstr);
            ctl_remedy(error, "is this the port of another program, or of "
                       "Redis with TLS (rediss://)?");
            return NULL;
        }

        if (reply != NULL) {
            c->answered = 1;
            return reply;
        }

        ERR_clear_error();
        errno = 0;

        n = BIO_read(c->bio, buf, sizeof(buf));

        if (n > 0) {
            redisReaderFeed(c->reader, buf, (size_t) n);

        } else if (connection_retry(c, deadline, error) != 0) {
            return NULL;
        }
    }
}


redisReply *
connection_command(connection_t *c, int64_t deadline, ctl_error_t *error,
    const char *fmt, ...)
{
    int          rc, len;
    char        *text;
    va_list      args;

    va_start(args, fmt);
    len = redisvFormatCommand(&text, fmt, args);
    va_end(args);

    if (len < 0) {
        abort();
    }

    rc = connection_write(c, text, (size_t) len, deadline, error);

    /* AUTH contains the password */

    secret_clean(text, (size_t) len);
    redisFreeCommand(text);

    return rc == 0 ? connection_read(c, deadline, error) : NULL;
}


int
connection_auth(connection_t *c, const connection_options_t *options,
    int64_t deadline, ctl_error_t *error)
{
    int          rc;
    redisReply  *reply;

    if (options->user[0] != '\0') {
        reply = connection_command(c, deadline, error, "AUTH %s %b",
                                   options->user, options->password.data,
                                   options->password.len);
    } else {
        reply = connection_command(c, deadline, error, "AUTH %b",
                                   options->password.data,
                                   options->password.len);
    }

    if (reply == NULL) {
        return -1;
    }

    rc = reply->type == REDIS_REPLY_ERROR ? fault_reply(error, c->who, reply)
                                          : 0;
    freeReplyObject(reply);

    return rc;
}


int
connection_tls(const connection_t *c, char *text, size_t size, int *days)
{
    if (c->filter == NULL) {
        return 0;
    }

    tls_describe(c->filter, text, size, days);

    return 1;
}
