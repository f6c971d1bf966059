/*
 * The link to Redis: one connection, pipelined and never blocking, on nginx's
 * events; hiredis only formats commands and parses replies.
 *
 *   DOWN ──timer──▶ CONNECTING ──connected──▶ GREETING ──PONG──▶ READY
 *    ▲                  │                        │                 │
 *    └──────────────────┴── error, time-out, garbage, EOF ─────────┘
 *
 * GREETING sends AUTH and SELECT where configured, then PING: a Redis that
 * accepts connections but does not answer (stopped, loading, wrong password)
 * never becomes READY.  Commands are taken while READY, and while the first
 * attempt after a start or a loss is under way; otherwise
 * ngx_ampersand_redis_command() declines at once, so an outage costs a caller
 * microseconds.
 *
 * A link is proven by the first command it answers, or by staying READY for
 * ten time-outs.  Losing a proven link is no outage yet: Redis was restarted or
 * threw idle clients out, and it connects again at once.  An outage ends when
 * the link is proven again; it is one line in the log, and one when it ends.
 *
 * Each command has a deadline.  The oldest one missing it takes the whole link
 * down: what follows it on the same connection could only be later.
 */

#ifndef NGX_AMPERSAND_REDIS_H
#define NGX_AMPERSAND_REDIS_H


#include "ngx_ampersand_compat.h"
#include "amp_span.h"


#define NGX_AMPERSAND_REDIS_QUEUE      4096         /* commands in flight     */
#define NGX_AMPERSAND_REDIS_REPLY_MAX  (1024 * 1024)
#define NGX_AMPERSAND_REDIS_BACKOFF    100          /* ms, doubled each time  */
#define NGX_AMPERSAND_REDIS_BACKOFF_MAX  1000


/* What "ampersand_redis" says; lives in the configuration's pool. */

typedef struct {
    ngx_url_t   url;            /* parsed and resolved                        */
    ngx_str_t   display;        /* host and port for logs, never a password   */
    ngx_str_t   user;
    ngx_str_t   password;
    ngx_str_t   db;             /* digits; empty for database 0               */
    ngx_str_t   prefix;
    ngx_msec_t  timeout;        /* of connecting and of each command          */
} ngx_ampersand_redis_conf_t;


typedef struct ngx_ampersand_redis_s  ngx_ampersand_redis_t;

/*
 * NGX_OK: the reply, which stays the link's and is valid during the call (it
 * may be an error reply of the command itself).  NGX_ERROR: no reply, the link
 * failed or timed out; reply is NULL; the command may be given again, and is
 * declined where that makes no sense.  Called exactly once for each command
 * that was taken, always from the event loop, never from within
 * ngx_ampersand_redis_command().
 */

typedef void (*ngx_ampersand_redis_reply_pt)(void *data, ngx_int_t rc,
    redisReply *reply);

/* A link changed to READY (up = 1) or left it (up = 0). */

typedef void (*ngx_ampersand_redis_state_pt)(void *data, ngx_uint_t up);


typedef struct {
    ngx_atomic_uint_t  connects;
    ngx_atomic_uint_t  failures;
    ngx_atomic_uint_t  commands;
    ngx_atomic_uint_t  timeouts;
} ngx_ampersand_redis_counters_t;


/*
 * Makes a link and starts to connect.  pool and log are the cycle's.  With a
 * channel the link subscribes to it once greeted: it is READY when Redis has
 * confirmed, message replies go to message(), and no command is taken.
 * counters (or NULL) may be shared memory.  NULL without memory.
 */

typedef struct {
    ngx_ampersand_redis_conf_t      *conf;
    ngx_ampersand_redis_counters_t  *counters;
    ngx_str_t                        channel;
    ngx_ampersand_redis_reply_pt     message;   /* reply: the payload string  */
    ngx_ampersand_redis_state_pt     state;
    void                            *data;
} ngx_ampersand_redis_opts_t;

ngx_ampersand_redis_t *ngx_ampersand_redis_create(ngx_pool_t *pool,
    ngx_log_t *log, ngx_ampersand_redis_opts_t *opts);

/*
 * Appends a command.  NGX_OK: taken.  NGX_DECLINED: the link is down.
 * NGX_BUSY: the queue is full.  NGX_ERROR: no memory.  handler may be NULL.
 */

ngx_int_t ngx_ampersand_redis_command(ngx_ampersand_redis_t *link,
    ngx_uint_t argc, const amp_span_t *argv,
    ngx_ampersand_redis_reply_pt handler, void *data);

/* Closes for good, without calling anybody; for exit_process. */

void ngx_ampersand_redis_close(ngx_ampersand_redis_t *link);


#endif /* NGX_AMPERSAND_REDIS_H */
