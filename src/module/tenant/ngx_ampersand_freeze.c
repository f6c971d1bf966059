#include "ngx_ampersand_freeze.h"
#include "redis/ngx_ampersand_redis_error.h"
#include "amp_frozen.h"
#include "amp_keys.h"


#define NGX_AMPERSAND_FREEZE_BEAT  1000         /* ms                         */


static void ngx_ampersand_freeze_beat(ngx_event_t *ev);
static void ngx_ampersand_freeze_reply(void *data, ngx_int_t rc,
    redisReply *reply);


void
ngx_ampersand_freeze_init(ngx_ampersand_freeze_t *freeze, ngx_log_t *log)
{
    freeze->timer.handler = ngx_ampersand_freeze_beat;
    freeze->timer.data = freeze;
    freeze->timer.log = log;
    freeze->timer.cancelable = 1;

    ngx_ampersand_freeze_beat(&freeze->timer);
}


static void
ngx_ampersand_freeze_beat(ngx_event_t *ev)
{
    u_char                   name[AMP_KEYS_MAX];
    amp_buf_t                key;
    amp_span_t               argv[2];
    ngx_ampersand_freeze_t  *freeze;

    freeze = ev->data;
    freeze->seq = freeze->zone->sh->frozen_events;

    amp_buf_init(&key, name, sizeof(name));
    amp_keys_frozen(ngx_ampersand_span(*freeze->prefix), &key);

    argv[0] = amp_span("GET");
    argv[1] = amp_buf_written(&key);

    (void) ngx_ampersand_redis_command(freeze->redis, argv[1], 2, argv,
                                       ngx_ampersand_freeze_reply, freeze);

    if (!ngx_exiting) {
        ngx_add_timer(ev, NGX_AMPERSAND_FREEZE_BEAT);
    }
}


static void
ngx_ampersand_freeze_reply(void *data, ngx_int_t rc, redisReply *reply)
{
    ngx_ampersand_freeze_t *freeze = data;

    unsigned                 classes;
    ngx_uint_t               foreign;
    ngx_ampersand_shared_t  *sh;

    sh = freeze->zone->sh;
    classes = 0;

    if (rc != NGX_OK || freeze->seq != sh->frozen_events) {
        return;
    }

    foreign = ngx_ampersand_redis_error_is(reply, AMP_REDIS_ERROR_WRONGTYPE);

    if (reply->type == REDIS_REPLY_ERROR && !foreign) {
        return;
    }

    if (foreign
        || (reply->type == REDIS_REPLY_STRING
            && amp_frozen_decode(amp_span_make(reply->str,
                                               ngx_ampersand_reply_len(reply)),
                                 &classes)
               != 0))
    {
        if (!freeze->malformed) {
            freeze->malformed = 1;
            ngx_log_error(NGX_LOG_ERR, freeze->timer.log, 0,
                          "ampersand: what is frozen cannot be read, and stays "
                          "as it was: \"%Vfrozen\" in Redis is %s; \"ampctl "
                          "thaw\" writes it again", freeze->prefix,
                          foreign ? "not a string" : "malformed");
        }

        return;
    }

    freeze->malformed = 0;
    sh->frozen = classes;
}
