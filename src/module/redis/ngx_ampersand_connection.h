/*
 * One connection to a server: connects, with TLS where configured, sends what
 * is in the pipeline and parses replies.  TLS is nginx's, RESP2 is hiredis'.
 * What commands and replies mean is the caller's business.
 *
 *   connect ──▶ TCP ──▶ TLS ──▶ connected(), then reply() for each reply
 *                │       │         │
 *                └───────┴─────────┴──▶ failed(), once
 *
 * The callbacks run from the event loop.  A reply is valid during the call.
 * NGX_ERROR from connected() or reply() makes the connection fail.  After
 * failed() the caller has to close the connection, or to connect again: there,
 * or in any other event handler, but never in connected() or reply().
 */

#ifndef NGX_AMPERSAND_CONNECTION_H
#define NGX_AMPERSAND_CONNECTION_H


#include "ngx_ampersand_pipeline.h"
#include "ngx_ampersand_tls.h"


#define NGX_AMPERSAND_REPLY_MAX         (1024 * 1024)   /* bytes of a reply   */
#define NGX_AMPERSAND_CONNECTION_ERROR  200             /* bytes of text      */


typedef struct {
    /* set by the caller, once */
    ngx_ampersand_pipeline_t  *pipeline;        /* sends what is added to it  */
    ngx_log_t                 *log;
    ngx_ampersand_tls_t       *tls;             /* or NULL                    */
    const char                *host;            /* name or address that the
                                                   certificate has to match,
                                                   NUL-terminated             */

    ngx_int_t                (*connected)(void *data);
    ngx_int_t                (*reply)(void *data, redisReply *reply);
    void                     (*failed)(void *data, const char *why,
                                       ngx_err_t err, ngx_uint_t closed);
                                                /* why: static, for the log;
                                                   err: errno or 0; closed: by
                                                   the server                 */
    void                      *data;

    /* the connection's own */
    ngx_peer_connection_t      peer;
    ngx_log_t                  capture;         /* nginx's messages about this
                                                   connection                 */
    redisReader               *reader;
    size_t                     unparsed;        /* bytes of a reply that is not
                                                   complete                   */
    size_t                     error_len;       /* what went wrong with TLS, in
                                                   more words than "why"; 0:
                                                   nothing                    */
    u_char                     error[NGX_AMPERSAND_CONNECTION_ERROR];
} ngx_ampersand_connection_t;


/*
 * Starts to connect; what sockaddr and name (for nginx's messages) point to has
 * to stay until the connection is closed.  NGX_ERROR: failed() is not called,
 * errno says why, and the connection has to be closed.
 */

ngx_int_t ngx_ampersand_connection_connect(ngx_ampersand_connection_t *conn,
    struct sockaddr *sockaddr, socklen_t socklen, ngx_str_t *name);

/*
 * Sends what is in the pipeline, before the event loop waits again: commands of
 * one event leave in one packet.  Only after connected().
 */

void ngx_ampersand_connection_flush(ngx_ampersand_connection_t *conn);

/* Closes it, calls no handler; nothing happens without a connection. */

void ngx_ampersand_connection_close(ngx_ampersand_connection_t *conn);


#endif /* NGX_AMPERSAND_CONNECTION_H */
