/*
 * Views of hiredis' replies.  Whoever includes this header has included
 * <hiredis/hiredis.h> before: the core itself does not depend on hiredis.
 */

#ifndef AMP_REPLY_HIREDIS_H
#define AMP_REPLY_HIREDIS_H


#include "amp_reply.h"


static inline amp_reply_t amp_reply_hiredis(const redisReply *reply);


static inline amp_reply_t
amp_reply_hiredis_element(const void *source, size_t i)
{
    return amp_reply_hiredis(((const redisReply *) source)->element[i]);
}


/* The view of a reply, valid until the reply is freed. */

static inline amp_reply_t
amp_reply_hiredis(const redisReply *reply)
{
    amp_reply_t  view;

    memset(&view, 0, sizeof(view));

    switch (reply->type) {

    case REDIS_REPLY_NIL:
        view.type = AMP_REPLY_NIL;
        break;

    case REDIS_REPLY_INTEGER:
        view.type = AMP_REPLY_INTEGER;
        view.integer = reply->integer;
        break;

    case REDIS_REPLY_ARRAY:
        view.type = AMP_REPLY_ARRAY;
        view.elements = (size_t) reply->elements;
        view.element = amp_reply_hiredis_element;
        view.source = reply;
        break;

    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_ERROR:
        view.type = reply->type == REDIS_REPLY_STRING ? AMP_REPLY_STRING
                    : reply->type == REDIS_REPLY_STATUS ? AMP_REPLY_STATUS
                                                        : AMP_REPLY_ERROR;
        view.text = amp_span_make(reply->str, (size_t) reply->len);
        break;

    default:
        view.type = AMP_REPLY_OTHER;
    }

    return view;
}


#endif /* AMP_REPLY_HIREDIS_H */
