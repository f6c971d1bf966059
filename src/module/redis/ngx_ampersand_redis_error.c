#include "ngx_ampersand_redis_error.h"


ngx_ampersand_redis_effect_e
ngx_ampersand_redis_error_effect(redisReply *reply)
{
    amp_reply_t  view;

    view = amp_reply_hiredis(reply);

    if (view.type != AMP_REPLY_ERROR) {
        return NGX_AMPERSAND_REDIS_EFFECT_CALLER;
    }

    switch (amp_redis_error_class(view.text, NULL)) {

    case AMP_REDIS_ERROR_NOAUTH:
    case AMP_REDIS_ERROR_WRONGPASS:
    case AMP_REDIS_ERROR_LOADING:
    case AMP_REDIS_ERROR_MASTERDOWN:
    case AMP_REDIS_ERROR_PROTECTED:
    case AMP_REDIS_ERROR_MAX_CLIENTS:
        return NGX_AMPERSAND_REDIS_EFFECT_CONNECTION;

    case AMP_REDIS_ERROR_READONLY:
        return NGX_AMPERSAND_REDIS_EFFECT_REPLICA;

    case AMP_REDIS_ERROR_NOPERM:
    case AMP_REDIS_ERROR_MISCONF:
    case AMP_REDIS_ERROR_OOM:
    case AMP_REDIS_ERROR_NOREPLICAS:
    case AMP_REDIS_ERROR_BUSY:
    case AMP_REDIS_ERROR_CLUSTERDOWN:
        return NGX_AMPERSAND_REDIS_EFFECT_LOGGED;

    default:
        return NGX_AMPERSAND_REDIS_EFFECT_CALLER;
    }
}


ngx_uint_t
ngx_ampersand_redis_error_is(redisReply *reply, amp_redis_error_e class)
{
    amp_reply_t  view;

    view = amp_reply_hiredis(reply);

    return view.type == AMP_REPLY_ERROR
           && amp_redis_error_class(view.text, NULL) == class;
}


void
ngx_ampersand_redis_error_set(ngx_ampersand_redis_error_t *error,
    redisReply *reply)
{
    if (error->len == 0) {
        error->len = amp_redis_error_text(amp_reply_hiredis(reply).text,
                                          error->text, sizeof(error->text));
    }
}
