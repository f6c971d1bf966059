/*
 * A pipeline: commands that wait for their replies, in the order in which they
 * were added, and their bytes that have not been sent yet.  It does no input or
 * output of its own.
 */

#ifndef NGX_AMPERSAND_PIPELINE_H
#define NGX_AMPERSAND_PIPELINE_H


#include "ngx_ampersand_compat.h"
#include "amp_span.h"


#define NGX_AMPERSAND_PIPELINE_ARGS  32         /* of a command               */
#define NGX_AMPERSAND_COMMAND_NAME   16         /* bytes of its name that are
                                                   kept, with a final NUL     */


/*
 * A command's reply.  NGX_OK: reply is valid during the call and freed by the
 * connection; it may be an error reply.  NGX_ERROR: the connection failed or
 * the command timed out, and reply is NULL; whether Redis executed the command
 * is unknown; the handler may send commands, which are declined in an outage.
 * Called once for each command that was taken, from the event loop, never
 * within the call that took it; not called when the link is closed.
 */

typedef void (*ngx_ampersand_reply_pt)(void *data, ngx_int_t rc,
    redisReply *reply);


typedef struct {
    ngx_queue_t   queue;        /* commands without a reply, oldest first     */
    ngx_uint_t    waiting;      /* number of these                            */
    u_char       *out;          /* bytes to send, allocated, or NULL          */
    size_t        len;          /* of them                                    */
    size_t        size;         /* allocated                                  */
    uint64_t      written;      /* bytes added so far, sent or not            */
    ngx_log_t    *log;
} ngx_ampersand_pipeline_t;


void ngx_ampersand_pipeline_init(ngx_ampersand_pipeline_t *pipeline,
    ngx_log_t *log);

/*
 * Adds a command's bytes only, for SUBSCRIBE and a subscription's PING: what
 * Redis answers is no reply to a command.  argv is copied.  NGX_ERROR: no
 * memory, or more than NGX_AMPERSAND_PIPELINE_ARGS.
 */

ngx_int_t ngx_ampersand_pipeline_write(ngx_ampersand_pipeline_t *pipeline,
    ngx_uint_t argc, const amp_span_t *argv);

/*
 * Adds a command, due in timeout milliseconds from now; handler may be NULL.
 * NGX_ERROR: as above.
 */

ngx_int_t ngx_ampersand_pipeline_add(ngx_ampersand_pipeline_t *pipeline,
    ngx_uint_t argc, const amp_span_t *argv, ngx_msec_t timeout,
    ngx_ampersand_reply_pt handler, void *data);

/*
 * Moves all commands of from, of which nothing was sent, to the pipeline's end;
 * their deadlines stay.  NGX_ERROR: no memory, and nothing was moved.
 */

ngx_int_t ngx_ampersand_pipeline_move(ngx_ampersand_pipeline_t *pipeline,
    ngx_ampersand_pipeline_t *from);

/* The first n bytes were sent; wipes them, a password may be among them. */

void ngx_ampersand_pipeline_sent(ngx_ampersand_pipeline_t *pipeline, size_t n);

/*
 * Hands the reply to the oldest command's handler and frees the command.
 * NGX_DECLINED: this is no command's reply, since none waits, or the oldest has
 * not been sent completely.
 */

ngx_int_t ngx_ampersand_pipeline_reply(ngx_ampersand_pipeline_t *pipeline,
    redisReply *reply);

/* The oldest command's name, "" when none waits; valid until its reply. */

const char *ngx_ampersand_pipeline_name(ngx_ampersand_pipeline_t *pipeline);

/* Milliseconds until the oldest command is overdue; at least one must wait. */

ngx_msec_int_t ngx_ampersand_pipeline_left(ngx_ampersand_pipeline_t *pipeline);

/*
 * Moves all commands to the list failed, wipes and frees the bytes: the
 * pipeline is empty and ready for use.  The list has to be given to
 * ngx_ampersand_pipeline_fail().
 */

void ngx_ampersand_pipeline_clear(ngx_ampersand_pipeline_t *pipeline,
    ngx_queue_t *failed);

/* Frees the commands; with call set, calls their handlers with NGX_ERROR. */

void ngx_ampersand_pipeline_fail(ngx_queue_t *failed, ngx_uint_t call);


#endif /* NGX_AMPERSAND_PIPELINE_H */
