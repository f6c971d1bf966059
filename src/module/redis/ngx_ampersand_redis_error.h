/*
 * An error reply of Redis: what follows from its class for the link that it
 * comes from, and its text for the log.
 */

#ifndef NGX_AMPERSAND_REDIS_ERROR_H
#define NGX_AMPERSAND_REDIS_ERROR_H


#include "ngx_ampersand_compat.h"
#include "amp_redis_error.h"
#include "amp_reply_hiredis.h"


#define NGX_AMPERSAND_REDIS_ERROR  256      /* bytes of a text that are kept  */


typedef struct {
    size_t  len;                            /* 0: no error                    */
    u_char  text[NGX_AMPERSAND_REDIS_ERROR];
} ngx_ampersand_redis_error_t;


/* What follows from an error reply, from the least to the most. */

typedef enum {
    NGX_AMPERSAND_REDIS_EFFECT_CALLER = 0,  /* the command's caller gets it   */
    NGX_AMPERSAND_REDIS_EFFECT_LOGGED,      /* the caller gets it, and it is
                                               logged: an operator has to act */
    NGX_AMPERSAND_REDIS_EFFECT_REPLICA,     /* the server is a replica, the
                                               master is elsewhere            */
    NGX_AMPERSAND_REDIS_EFFECT_CONNECTION   /* each command on this connection
                                               would get it                   */
} ngx_ampersand_redis_effect_e;


/* NGX_AMPERSAND_REDIS_EFFECT_CALLER for a reply that is no error. */

ngx_ampersand_redis_effect_e ngx_ampersand_redis_error_effect(
    redisReply *reply);

/* 1 where the reply is an error of this class, else 0. */

ngx_uint_t ngx_ampersand_redis_error_is(redisReply *reply,
    amp_redis_error_e class);

/*
 * Copies the text of an error reply as amp_redis_error_text() does.  The first
 * error counts: nothing is copied where error->len is set.
 */

void ngx_ampersand_redis_error_set(ngx_ampersand_redis_error_t *error,
    redisReply *reply);


#endif /* NGX_AMPERSAND_REDIS_ERROR_H */
