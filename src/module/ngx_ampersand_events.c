#include "ngx_ampersand_events.h"
#include "amp_keys.h"


static void ngx_ampersand_events_message(void *data, ngx_int_t rc,
    redisReply *reply);
static void ngx_ampersand_events_state(void *data, ngx_uint_t up);


ngx_ampersand_redis_t *
ngx_ampersand_events_create(ngx_pool_t *pool, ngx_log_t *log,
    ngx_ampersand_redis_conf_t *conf, ngx_ampersand_zone_t *zone)
{
    amp_buf_t                   name;
    ngx_ampersand_redis_opts_t  opts;

    ngx_memzero(&opts, sizeof(opts));

    opts.channel.data = ngx_pnalloc(pool, AMP_KEYS_MAX);
    if (opts.channel.data == NULL) {
        return NULL;
    }

    amp_buf_init(&name, opts.channel.data, AMP_KEYS_MAX);
    amp_keys_events(amp_span_make(conf->prefix.data, conf->prefix.len), &name);
    opts.channel.len = amp_buf_written(&name).len;

    opts.conf = conf;
    opts.message = ngx_ampersand_events_message;
    opts.state = ngx_ampersand_events_state;
    opts.data = zone;

    ngx_ampersand_zone_counters(zone)->events_up = 0;

    return ngx_ampersand_redis_create(pool, log, &opts);
}


static void
ngx_ampersand_events_message(void *data, ngx_int_t rc, redisReply *reply)
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

    ngx_ampersand_zone_event(zone, &event);
}


static void
ngx_ampersand_events_state(void *data, ngx_uint_t up)
{
    ngx_ampersand_zone_t *zone = data;

    ngx_ampersand_zone_counters(zone)->events_up = up;

    if (up) {
        ngx_ampersand_zone_distrust(zone);
    }
}
