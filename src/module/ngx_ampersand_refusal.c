#include "ngx_ampersand_refusal.h"


ngx_ampersand_refusal_e
ngx_ampersand_refusal_kind(redisReply *reply)
{
    ngx_uint_t  i;

    static const struct {
        const char               *code;
        ngx_ampersand_refusal_e   kind;
    } kinds[] = {
        { "NOAUTH", NGX_AMPERSAND_REFUSAL_DOWN },
        { "WRONGPASS", NGX_AMPERSAND_REFUSAL_DOWN },
        { "LOADING", NGX_AMPERSAND_REFUSAL_DOWN },
        { "MASTERDOWN", NGX_AMPERSAND_REFUSAL_DOWN },
        { "READONLY", NGX_AMPERSAND_REFUSAL_MOVED },
        { "NOPERM", NGX_AMPERSAND_REFUSAL_SAID },
        { "MISCONF", NGX_AMPERSAND_REFUSAL_SAID },
        { "OOM", NGX_AMPERSAND_REFUSAL_SAID },
        { "CLUSTERDOWN", NGX_AMPERSAND_REFUSAL_SAID }
    };

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (ngx_ampersand_refusal_is(reply, kinds[i].code)) {
            return kinds[i].kind;
        }
    }

    return NGX_AMPERSAND_REFUSAL_CALLER;
}


ngx_uint_t
ngx_ampersand_refusal_is(redisReply *reply, const char *code)
{
    size_t  len;

    len = ngx_strlen(code);

    return reply->type == REDIS_REPLY_ERROR
           && ngx_strncmp(reply->str, code, len) == 0
           && (reply->str[len] == ' ' || reply->str[len] == '\0');
}


void
ngx_ampersand_refusal_set(ngx_ampersand_refusal_t *refusal, redisReply *reply)
{
    size_t   n;
    u_char  *args, *p;

    if (refusal->len) {
        return;
    }

    p = (u_char *) reply->str;

    /* "unknown command 'AUTH', with args beginning with: " and the password */

    args = (u_char *) ngx_strstr(p, ", with args");

    for (n = 0; n < NGX_AMPERSAND_REFUSAL && p[n] && p + n != args; n++) {
        refusal->text[n] = (p[n] < 0x20 || p[n] > 0x7e) ? '?' : p[n];
    }

    if (n == 0) {
        refusal->text[n++] = '?';
    }

    refusal->len = n;
}
