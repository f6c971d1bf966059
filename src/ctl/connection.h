/*
 * One connection to a Redis server or a Sentinel: a TCP or local socket, with
 * or without TLS; hiredis formats commands and parses replies.  Each call
 * blocks until it is done or its deadline (connection_clock()) has passed.
 */

#ifndef CTL_CONNECTION_H
#define CTL_CONNECTION_H


#include <hiredis/hiredis.h>

#include "../core/amp_redis_url.h"
#include "tls.h"


typedef struct connection_s  connection_t;


typedef struct {
    const char  *what;              /* "Redis", for messages                  */
    tls_t       *tls;               /* or NULL                                */
    const char  *user;              /* may be empty                           */
    amp_span_t   password;          /* empty: no AUTH                         */
    unsigned     db;                /* 0: no SELECT                           */
    unsigned     timeout;           /* ms, for messages                       */
} connection_options_t;


/* Milliseconds of the monotonic clock. */

int64_t connection_clock(void);

/*
 * Connects to the socket at path, or with path NULL to a host; does the TLS
 * handshake, AUTH and SELECT as the options say.  Of a host's addresses, each
 * can use half of the time that is left, the last one all of it; the next one
 * is tried after "redis_unreachable".  NULL with the error set: its code is
 * "redis_unreachable" where another attempt may succeed.
 */

connection_t *connection_open(const connection_options_t *options,
    const char *path, const amp_redis_host_t *host, int64_t deadline,
    ctl_error_t *error);

void connection_close(connection_t *c);

/* "Redis at 127.0.0.1:6379" */

const char *connection_who(const connection_t *c);

/*
 * Sends a command, formatted by redisvFormatCommand().  0, or -1 with the error
 * set: the connection has to be closed then.
 */

int connection_write(connection_t *c, const char *text, size_t len,
    int64_t deadline, ctl_error_t *error);

/*
 * The next reply, which may be an error reply and which the caller frees.  NULL
 * with the error set: the connection has to be closed then.
 */

redisReply *connection_read(connection_t *c, int64_t deadline,
    ctl_error_t *error);

/*
 * Waits until connection_read() has something to read, or the deadline has
 * passed: 1 or 0.
 */

int connection_readable(connection_t *c, int64_t deadline);

/* connection_write() and connection_read(), in the format of redisCommand(). */

redisReply *connection_command(connection_t *c, int64_t deadline,
    ctl_error_t *error, const char *fmt, ...);

/*
 * AUTH with the user and password of the options.  0, or -1 with the error set.
 */

int connection_auth(connection_t *c, const connection_options_t *options,
    int64_t deadline, ctl_error_t *error);

/* 0 without TLS, else 1 with text and *days as tls_describe() sets them. */

int connection_tls(const connection_t *c, char *text, size_t size, int *days);


#endif /* CTL_CONNECTION_H */
