/*
 * What a link says first: AUTH and SELECT where configured, INFO to learn which
 * server this is, then PING, or ROLE where only a master will do.  A Sentinel
 * gets PING alone, and AUTH when it asks for it: most have no password.
 *
 *   begin ──▶ AUTH ──▶ SELECT ──▶ INFO ──▶ PING or ROLE ──▶ done()
 *     │                                      │ NOAUTH, a Sentinel, once
 *     └──────────────────────────────────────┘
 *
 * Any refusal is left in refusal, and done() is not called; but INFO may be
 * refused: then the server has no name.
 */

#ifndef NGX_AMPERSAND_GREETING_H
#define NGX_AMPERSAND_GREETING_H


#include "ngx_ampersand_pipeline.h"
#include "ngx_ampersand_redis_conf.h"
#include "ngx_ampersand_redis_error.h"


#define NGX_AMPERSAND_RUN_ID  40


typedef struct {
    u_char                       run[NGX_AMPERSAND_RUN_ID];
    size_t                       len;       /* of run, or 0                   */
    uint64_t                     time;      /* the server's when it said so,
                                               microseconds; 0: not said      */
} ngx_ampersand_server_t;


typedef struct {
    ngx_ampersand_redis_conf_t  *conf;
    ngx_ampersand_pipeline_t    *commands;
    ngx_ampersand_redis_error_t     *refusal;
    ngx_ampersand_server_t       server;
    void                       (*done)(void *data);
    void                        *data;
    unsigned                     master:1;
    unsigned                     sentinel:1;
    unsigned                     asked:1;       /* for AUTH, by a Sentinel    */
} ngx_ampersand_handshake_t;


/* NGX_ERROR: no memory. */

ngx_int_t ngx_ampersand_handshake_start(ngx_ampersand_handshake_t *greeting);


#endif /* NGX_AMPERSAND_GREETING_H */
