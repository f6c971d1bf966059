/*
 * One connection to a Redis or a Sentinel: a socket, TCP or local, TLS where
 * it is wanted, hiredis as the codec.  Blocking, each call to its deadline.
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


/* Milliseconds of a clock that nobody sets. */

int64_t connection_clock(void);

/*
 * Connects to the socket at path, or with path NULL to a host; shakes hands,
 * authenticates, selects.  NULL with the error filled: its code is
 * "redis_unreachable" when another attempt may fare better.
 */

connection_t *connection_open(const connection_options_t *options,
    const char *path, const amp_redis_host_t *host, int64_t deadline,
    ctl_error_t *error);

void connection_close(connection_t *c);

/* "Redis at 127.0.0.1:6379" */

const char *connection_who(const connection_t *c);

/*
 * Sends a command as redisvFormatCommand() writes it.  0, or -1 with the error
 * filled; the connection is then of no more use.
 */

int connection_write(connection_t *c, const char *text, size_t len,
    int64_t deadline, ctl_error_t *error);

/*
 * The next reply, an error reply too, which the caller frees.  NULL with the
 * error filled; the connection is then of no more use.
 */

redisReply *connection_read(connection_t *c, int64_t deadline,
    ctl_error_t *error);

/* Both in one, redisCommand()'s format. */

redisReply *connection_command(connection_t *c, int64_t deadline,
    ctl_error_t *error, const char *fmt, ...);

/*
 * AUTH with what the options of connection_open() hold.  0, or -1 with the
 * error filled.
 */

int connection_auth(connection_t *c, const connection_options_t *options,
    int64_t deadline, ctl_error_t *error);

/* 0 without TLS, else 1 with what tls_describe() tells. */

int connection_tls(const connection_t *c, char *text, size_t size, int *days);


#endif /* CTL_CONNECTION_H */
