/* An error reply of Redis: what follows from it, and its text for the log. */

#ifndef NGX_AMPERSAND_REDIS_ERROR_H
#define NGX_AMPERSAND_REDIS_ERROR_H


#include "ngx_ampersand_compat.h"


#define NGX_AMPERSAND_REDIS_ERROR  160


typedef struct {
    size_t  len;                        /* 0: none                            */
    u_char  text[NGX_AMPERSAND_REDIS_ERROR];
} ngx_ampersand_redis_error_t;


typedef enum {
    NGX_AMPERSAND_REDIS_ERROR_CALLER = 0,   /* the caller's business              */
    NGX_AMPERSAND_REDIS_ERROR_SAID,         /* the operator's too: one line       */
    NGX_AMPERSAND_REDIS_ERROR_MOVED,        /* the master is elsewhere            */
    NGX_AMPERSAND_REDIS_ERROR_DOWN          /* any command would get it           */
} ngx_ampersand_redis_error_e;


ngx_ampersand_redis_error_e ngx_ampersand_redis_error_kind(redisReply *reply);

/* Does the reply begin with this code? */

ngx_uint_t ngx_ampersand_redis_error_is(redisReply *reply, const char *code);

/*
 * Copies what may be logged: printable, and not what Redis repeats of a
 * command.  The first reason counts: nothing when there is one.
 */

void ngx_ampersand_redis_error_set(ngx_ampersand_redis_error_t *refusal,
    redisReply *reply);


#endif /* NGX_AMPERSAND_REDIS_ERROR_H */
