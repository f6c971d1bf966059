#include "ngx_ampersand_invalidation.h"
#include "ngx_ampersand_cooldown.h"
#include "amp_keys.h"


static void ngx_ampersand_invalidation_message(void *data, ngx_int_t rc,
    redisReply *reply);
static void ngx_ampersand_invalidation_state(void *data, ngx_uint_t up);


ngx_int_t
ngx_ampersand_invalidation_subscribe(ngx_pool_t *pool, ngx_ampersand_redis_t *redis,
    ngx_str_t *prefix, ngx_ampersand_zone_t *zone)
{
    amp_buf_t  name;
    ngx_str_t  channel;

    channel.data = ngx_pnalloc(pool, AMP_KEYS_MAX);
    if (channel.data == NULL) {
        return NGX_ERROR;
    }

    amp_buf_init(&name, channel.data, AMP_KEYS_MAX);
    amp_keys_events(amp_span_make(prefix->data, prefix->len), &name);
    channel.len = amp_buf_written(&name).len;

    return ngx_ampersand_redis_subscribe(redis, &channel,
                                         ngx_ampersand_invalidation_message,
                                         ngx_ampersand_invalidation_state, zone);
}


static void
ngx_ampersand_invalidation_message(void *data, ngx_int_t rc, redisReply *reply)
{
    ngx_ampersand_zone_t *zone = data;

    amp_event_t  event;

    (void) rc;

    /* what other versions of the tools say is not for us, and harmless */

    if (amp_event_decode(amp_span_make(reply->str,
                                       ngx_ampersand_reply_len(reply)),
                         &event)
        != 0)
    {
        return;
    }

    (void) ngx_atomic_fetch_add(&ngx_ampersand_zone_counters(zone)->events, 1);

    if (event.type == AMP_EVENT_COOLDOWN) {
        (void) ngx_ampersand_cooldown_set(zone,
                  event.scoped ? amp_span_make(event.digest, AMP_TOKEN_DIGEST)
                               : amp_span_make(event.tenant, event.tenant_len),
                  (ngx_msec_t) event.rev);
        return;
    }

    ngx_ampersand_zone_event(zone, &event);
}


static void
ngx_ampersand_invalidation_state(void *data, ngx_uint_t up)
{
    ngx_ampersand_zone_t *zone = data;

    ngx_ampersand_zone_counters(zone)->events_up = up;

    if (up) {
        ngx_ampersand_zone_distrust(zone);
    }
}
