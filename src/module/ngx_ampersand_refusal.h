/* An error reply of Redis: what follows from it, and its text for the log. */

#ifndef NGX_AMPERSAND_REFUSAL_H
#define NGX_AMPERSAND_REFUSAL_H


#include "ngx_ampersand_compat.h"


#define NGX_AMPERSAND_REFUSAL  160


typedef struct {
    size_t  len;                        /* 0: none                            */
    u_char  text[NGX_AMPERSAND_REFUSAL];
} ngx_ampersand_refusal_t;


typedef enum {
    NGX_AMPERSAND_REFUSAL_CALLER = 0,   /* the caller's business              */
    NGX_AMPERSAND_REFUSAL_SAID,         /* the operator's too: one line       */
    NGX_AMPERSAND_REFUSAL_MOVED,        /* the master is elsewhere            */
    NGX_AMPERSAND_REFUSAL_DOWN          /* any command would get it           */
} ngx_ampersand_refusal_e;


ngx_ampersand_refusal_e ngx_ampersand_refusal_kind(redisReply *reply);

/* Does the reply begin with this code? */

ngx_uint_t ngx_ampersand_refusal_is(redisReply *reply, const char *code);

/*
 * Copies what may be logged: printable, and not what Redis repeats of a
 * command.  The first reason counts: nothing when there is one.
 */

void ngx_ampersand_refusal_set(ngx_ampersand_refusal_t *refusal,
    redisReply *reply);


#endif /* NGX_AMPERSAND_REFUSAL_H */
