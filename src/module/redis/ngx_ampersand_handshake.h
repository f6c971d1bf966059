/*
 * The handshake on a new connection: AUTH and SELECT where configured, INFO to
 * learn which server this is, then PING, or ROLE where the server has to be a
 * master.  A Sentinel gets PING alone, and AUTH when it asks for it: most have
 * no password.
 *
 *   start ──▶ AUTH ──▶ SELECT ──▶ INFO ──▶ PING or ROLE ──▶ done()
 *     ▲                                      │
 *     └── a Sentinel answers NOAUTH, once ───┘
 *
 * All commands are sent at once.  After an error reply done() is not called:
 * *error has its text; or why is set, where the server is no master.  An error
 * reply to INFO is ignored, unless it ends the connection: the server has no
 * run id then.
 */

#ifndef NGX_AMPERSAND_HANDSHAKE_H
#define NGX_AMPERSAND_HANDSHAKE_H


#include "ngx_ampersand_pipeline.h"
#include "ngx_ampersand_redis_conf.h"
#include "ngx_ampersand_redis_error.h"


#define NGX_AMPERSAND_RUN_ID  40                /* bytes, INFO's run_id       */


/* A server, from its answer to INFO. */

typedef struct {
    u_char                        run_id[NGX_AMPERSAND_RUN_ID];
    size_t                        run_id_len;   /* 0: unknown                 */
    uint64_t                      time;         /* its clock at the handshake,
                                                   microseconds since 1970; 0:
                                                   unknown                    */
} ngx_ampersand_server_t;


/* The caller sets all but why, server and auth_wanted, once. */

typedef struct {
    ngx_ampersand_redis_conf_t   *conf;
    ngx_ampersand_pipeline_t     *pipeline;     /* of the connection          */
    ngx_ampersand_redis_error_t  *error;        /* the caller clears it       */
    const char                   *why;          /* static, or NULL            */
    ngx_ampersand_server_t        server;
    void                        (*done)(void *data);
    void                         *data;
    unsigned                      master:1;     /* it has to be a master      */
    unsigned                      sentinel:1;   /* it is a Sentinel           */
    unsigned                      auth_wanted:1; /* by a Sentinel             */
} ngx_ampersand_handshake_t;


/*
 * Adds the commands to the pipeline, with the configured time-out; the caller
 * flushes it.  NGX_ERROR: no memory.
 */

ngx_int_t ngx_ampersand_handshake_start(ngx_ampersand_handshake_t *hs);


#endif /* NGX_AMPERSAND_HANDSHAKE_H */
