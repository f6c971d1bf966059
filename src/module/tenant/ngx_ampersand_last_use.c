#include "ngx_ampersand_last_use.h"
#include "zone/ngx_ampersand_clock.h"
#include "amp_escape.h"
#include "amp_keys.h"
#include "amp_usage.h"


#define NGX_AMPERSAND_LAST_USE_PAUSE  10000     /* ms                         */


static ngx_int_t ngx_ampersand_last_use_since(
    ngx_ampersand_last_use_t *last_use, uint32_t day);
static void ngx_ampersand_last_use_since_reply(void *data, ngx_int_t rc,
    redisReply *reply);
static ngx_int_t ngx_ampersand_last_use_set(ngx_ampersand_last_use_set_t *set);
static void ngx_ampersand_last_use_reply(void *data, ngx_int_t rc,
    redisReply *reply);
static void ngx_ampersand_last_use_failed(ngx_ampersand_last_use_set_t *set);


void
ngx_ampersand_last_use(ngx_ampersand_last_use_t *last_use, const u_char *digest,
    uint32_t used)
{
    uint32_t                       day;
    ngx_uint_t                     i;
    ngx_ampersand_last_use_set_t  *set;

    day = (uint32_t) (ngx_ampersand_clock_now(last_use->zone) / AMP_USAGE_DAY);

    if (used == day) {
        return;
    }

    if (last_use->paused
        && ngx_current_msec - last_use->failed < NGX_AMPERSAND_LAST_USE_PAUSE)
    {
        return;
    }

    last_use->paused = 0;
    set = last_use->sets;

    for (i = 0; set[i].day; i++) {
        if (i + 1 == NGX_AMPERSAND_LAST_USES) {
            return;
        }
    }

    set += i;

    if (ngx_ampersand_records_use(last_use->zone, digest, 0, day) != NGX_OK) {
        return;
    }

    set->last_use = last_use;
    set->day = day;
    ngx_memcpy(set->digest, digest, AMP_TOKEN_DIGEST);

    if (ngx_ampersand_last_use_since(last_use, day) != NGX_OK
        || ngx_ampersand_last_use_set(set) != NGX_OK)
    {
        ngx_ampersand_last_use_failed(set);
    }
}


static ngx_int_t
ngx_ampersand_last_use_since(ngx_ampersand_last_use_t *last_use, uint32_t day)
{
    u_char      name[AMP_KEYS_MAX], date[AMP_USAGE_DATE];
    amp_buf_t   key;
    amp_span_t  argv[4];

    if (last_use->since) {
        return NGX_OK;
    }

    amp_usage_date(day, date);
    amp_buf_init(&key, name, sizeof(name));
    amp_keys_used_since(ngx_ampersand_span(*last_use->prefix), &key);

    argv[0] = amp_span("SET");
    argv[1] = amp_buf_written(&key);
    argv[2] = amp_span_make(date, sizeof(date));
    argv[3] = amp_span("NX");

    return ngx_ampersand_redis_command(last_use->redis, argv[1], 4, argv,
                                       ngx_ampersand_last_use_since_reply,
                                       last_use);
}


static void
ngx_ampersand_last_use_since_reply(void *data, ngx_int_t rc, redisReply *reply)
{
    ngx_ampersand_last_use_t *last_use = data;

    last_use->since = (rc == NGX_OK && reply->type != REDIS_REPLY_ERROR);
}


static ngx_int_t
ngx_ampersand_last_use_set(ngx_ampersand_last_use_set_t *set)
{
    u_char      name[AMP_KEYS_MAX], date[AMP_USAGE_DATE];
    u_char      hex[AMP_TOKEN_DIGEST_HEX], kept[NGX_INT64_LEN];
    amp_buf_t   key;
    amp_span_t  argv[5];

    amp_usage_date(set->day, date);
    amp_hex(set->digest, AMP_TOKEN_DIGEST, hex);
    amp_buf_init(&key, name, sizeof(name));
    amp_keys_used(ngx_ampersand_span(*set->last_use->prefix),
                  amp_span_make(hex, sizeof(hex)), &key);

    argv[0] = amp_span("SET");
    argv[1] = amp_buf_written(&key);
    argv[2] = amp_span_make(date, sizeof(date));
    argv[3] = amp_span("PX");
    argv[4] = amp_span_make(kept, ngx_sprintf(kept, "%L", AMP_USAGE_KEPT)
                                  - kept);

    return ngx_ampersand_redis_command(set->last_use->redis, argv[1], 5, argv,
                                       ngx_ampersand_last_use_reply, set);
}


static void
ngx_ampersand_last_use_reply(void *data, ngx_int_t rc, redisReply *reply)
{
    ngx_ampersand_last_use_set_t *set = data;

    ngx_ampersand_last_use_t  *last_use;

    if (rc == NGX_OK && reply->type != REDIS_REPLY_ERROR) {
        set->day = 0;
        return;
    }

    last_use = set->last_use;

    if (rc == NGX_OK && !last_use->logged) {
        last_use->logged = 1;

        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "ampersand: the last use of tokens is not recorded in "
                      "Redis: \"%*s\"; \"ampctl doctor\" names missing rights",
                      ngx_ampersand_reply_len(reply), reply->str);
    }

    ngx_ampersand_last_use_failed(set);
}


static void
ngx_ampersand_last_use_failed(ngx_ampersand_last_use_set_t *set)
{
    ngx_ampersand_last_use_t  *last_use;

    last_use = set->last_use;

    last_use->failed = ngx_current_msec;
    last_use->paused = 1;

    (void) ngx_ampersand_records_use(last_use->zone, set->digest, set->day, 0);

    set->day = 0;
}
