/*
 * A view of one RESP2 reply, so that the core reads replies without knowing the
 * library that parsed them.  amp_reply_hiredis.h makes a view of a redisReply.
 *
 * A view owns nothing: it is valid as long as the reply behind it.
 */

#ifndef AMP_REPLY_H
#define AMP_REPLY_H


#include "amp_span.h"


typedef enum {
    AMP_REPLY_OTHER = 0,        /* a type that RESP2 does not have            */
    AMP_REPLY_NIL,              /* a null string or a null array              */
    AMP_REPLY_STRING,           /* a bulk string                              */
    AMP_REPLY_STATUS,           /* a simple string, such as "OK"              */
    AMP_REPLY_ERROR,
    AMP_REPLY_INTEGER,
    AMP_REPLY_ARRAY
} amp_reply_type_e;


typedef struct amp_reply_s  amp_reply_t;


struct amp_reply_s {
    amp_reply_type_e    type;
    long long           integer;    /* INTEGER                                */
    amp_span_t          text;       /* STRING, STATUS, ERROR (without its "-")*/
    size_t              elements;   /* ARRAY: how many                        */

    /* The view of element i < elements; amp_reply_element() calls it. */

    amp_reply_t       (*element)(const void *source, size_t i);
    const void         *source;     /* the library's reply                    */
};


/* Element i of an array.  Type OTHER where the reply has no such element. */

static inline amp_reply_t
amp_reply_element(const amp_reply_t *reply, size_t i)
{
    if (reply->type != AMP_REPLY_ARRAY || i >= reply->elements) {
        return (amp_reply_t) { .type = AMP_REPLY_OTHER };
    }

    return reply->element(reply->source, i);
}


#endif /* AMP_REPLY_H */
