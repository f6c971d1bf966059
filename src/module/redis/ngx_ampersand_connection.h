/*
 * One connection: sends what is in commands, parses replies; TLS is nginx's,
 * RESP is hiredis'.  Knows neither what is said nor what follows from it.
 *
 * connected() is called when bytes may be sent; reply() for each reply, which
 * is valid during the call; NGX_ERROR from either ends the connection;
 * failed() once, when the connection is of no use any more, with "closed" set
 * where the other side closed it: wire_close() has still to be called, and may
 * be only there and in other event handlers, never in reply().
 */

#ifndef NGX_AMPERSAND_CONNECTION_H
#define NGX_AMPERSAND_CONNECTION_H


#include "ngx_ampersand_pipeline.h"
#include "ngx_ampersand_tls.h"


#define NGX_AMPERSAND_REPLY_MAX  (1024 * 1024)  /* bytes of a reply           */
#define NGX_AMPERSAND_SAID       200


typedef struct {
    ngx_ampersand_pipeline_t  *commands;        /* what is to be sent         */
    ngx_log_t                 *log;
    ngx_ampersand_tls_t       *tls;             /* or NULL                    */
    const char                *host;            /* whom TLS has to prove      */

    ngx_int_t                (*connected)(void *data);
    ngx_int_t                (*reply)(void *data, redisReply *reply);
    void                     (*failed)(void *data, const char *why,
                                       ngx_err_t err, ngx_uint_t closed);
    void                      *data;

    /* the wire's own */
    ngx_peer_connection_t      peer;
    ngx_log_t                  quiet;           /* an outage is one line, and
                                                   that line is the caller's  */
    redisReader               *reader;
    size_t                     fed;             /* bytes of an open reply     */
    size_t                     said;            /* what nginx would have said
                                                   of a failure of TLS        */
    u_char                     text[NGX_AMPERSAND_SAID];
} ngx_ampersand_connection_t;


/* The caller has set the upper half.  NGX_ERROR: failed() was not called. */

ngx_int_t ngx_ampersand_connection_connect(ngx_ampersand_connection_t *wire,
    struct sockaddr *sockaddr, socklen_t socklen, ngx_str_t *name);

/* Commands of one turn of the event loop leave in one packet. */

void ngx_ampersand_connection_flush(ngx_ampersand_connection_t *wire);

void ngx_ampersand_connection_close(ngx_ampersand_connection_t *wire);


#endif /* NGX_AMPERSAND_CONNECTION_H */
