#include "ngx_ampersand_redis_error.h"


ngx_ampersand_redis_error_e
ngx_ampersand_redis_error_kind(redisReply *reply)
{
    ngx_uint_t  i;

    static const struct {
        const char               *code;
        ngx_ampersand_redis_error_e   kind;
    } kinds[] = {
        { "NOAUTH", NGX_AMPERSAND_REDIS_ERROR_DOWN },
        { "WRONGPASS", NGX_AMPERSAND_REDIS_ERROR_DOWN },
        { "LOADING", NGX_AMPERSAND_REDIS_ERROR_DOWN },
        { "MASTERDOWN", NGX_AMPERSAND_REDIS_ERROR_DOWN },
        { "READONLY", NGX_AMPERSAND_REDIS_ERROR_MOVED },
        { "NOPERM", NGX_AMPERSAND_REDIS_ERROR_SAID },
        { "MISCONF", NGX_AMPERSAND_REDIS_ERROR_SAID },
        { "OOM", NGX_AMPERSAND_REDIS_ERROR_SAID },
        { "CLUSTERDOWN", NGX_AMPERSAND_REDIS_ERROR_SAID }
    };

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (ngx_ampersand_redis_error_is(reply, kinds[i].code)) {
            return kinds[i].kind;
        }
    }

    return NGX_AMPERSAND_REDIS_ERROR_CALLER;
}


ngx_uint_t
ngx_ampersand_redis_error_is(redisReply *reply, const char *code)
{
    size_t  len;

    len = ngx_strlen(code);

    return reply->type == REDIS_REPLY_ERROR
           && ngx_strncmp(reply->str, code, len) == 0
           && (reply->str[len] == ' ' || reply->str[len] == '\0');
}


void
ngx_ampersand_redis_error_set(ngx_ampersand_redis_error_t *refusal, redisReply *reply)
{
    size_t   n;
    u_char  *args, *p;

    if (refusal->len) {
        return;
    }

    p = (u_char *) reply->str;

    /* "unknown command 'AUTH', with args beginning with: " and the password */

    args = (u_char *) ngx_strstr(p, ", with args");

    for (n = 0; n < NGX_AMPERSAND_REDIS_ERROR && p[n] && p + n != args; n++) {
        refusal->text[n] = (p[n] < 0x20 || p[n] > 0x7e) ? '?' : p[n];
    }

    if (n == 0) {
        refusal->text[n++] = '?';
    }

    refusal->len = n;
}
