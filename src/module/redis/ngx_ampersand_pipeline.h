/*
 * What a link has been asked and has not answered yet: the commands that wait
 * for replies, in order, and the bytes of them that have not left.  Knows
 * neither sockets nor states.
 */

#ifndef NGX_AMPERSAND_PIPELINE_H
#define NGX_AMPERSAND_PIPELINE_H


#include "ngx_ampersand_compat.h"
#include "amp_span.h"


#define NGX_AMPERSAND_COMMAND_NAME  16          /* bytes of it that are kept  */


/*
 * NGX_OK: the reply, which stays the link's and is valid during the call (it
 * may be an error reply of the command itself).  NGX_ERROR: no reply, the link
 * failed or timed out; reply is NULL; the command may be given again, and is
 * declined where that makes no sense.  Called exactly once for each command
 * that was taken, always from the event loop, never from within the call that
 * took it.
 */

typedef void (*ngx_ampersand_reply_pt)(void *data, ngx_int_t rc,
    redisReply *reply);


typedef struct {
    ngx_queue_t   queue;        /* oldest first                               */
    ngx_uint_t    waiting;
    u_char       *out;          /* bytes to be sent                           */
    size_t        len;
    size_t        size;
    uint64_t      written;      /* bytes so far, sent or not                  */
    ngx_log_t    *log;
} ngx_ampersand_pipeline_t;


void ngx_ampersand_pipeline_init(ngx_ampersand_pipeline_t *commands,
    ngx_log_t *log);

/* Bytes only: its answer is no reply to a command.  NGX_ERROR: no memory. */

ngx_int_t ngx_ampersand_pipeline_write(ngx_ampersand_pipeline_t *commands,
    ngx_uint_t argc, const amp_span_t *argv);

/* Bytes, and a place in the queue; the deadline is timeout from now. */

ngx_int_t ngx_ampersand_pipeline_add(ngx_ampersand_pipeline_t *commands,
    ngx_uint_t argc, const amp_span_t *argv, ngx_msec_t timeout,
    ngx_ampersand_reply_pt handler, void *data);

/* Appends all of from, deadlines as they are; from is empty then. */

ngx_int_t ngx_ampersand_pipeline_join(ngx_ampersand_pipeline_t *commands,
    ngx_ampersand_pipeline_t *from);

/* The first n bytes have left; they are wiped, a password may be in them. */

void ngx_ampersand_pipeline_sent(ngx_ampersand_pipeline_t *commands, size_t n);

/*
 * Gives the oldest command its reply.  NGX_DECLINED: none waits, or it has not
 * left yet, so that this cannot be its reply.
 */

ngx_int_t ngx_ampersand_pipeline_answer(ngx_ampersand_pipeline_t *commands,
    redisReply *reply);

/* The oldest command's name, "" when none waits. */

const char *ngx_ampersand_pipeline_name(ngx_ampersand_pipeline_t *commands);

/* Milliseconds until the oldest command is overdue; some must wait. */

ngx_msec_int_t ngx_ampersand_pipeline_left(ngx_ampersand_pipeline_t *commands);

/* Adds all that wait to the list failed and forgets what has not left. */

void ngx_ampersand_pipeline_take(ngx_ampersand_pipeline_t *commands,
    ngx_queue_t *failed);

/* Tells each that there will be no reply (call), or nobody, and frees them. */

void ngx_ampersand_pipeline_fail(ngx_queue_t *failed, ngx_uint_t call);


#endif /* NGX_AMPERSAND_PIPELINE_H */
