/* Replies to commands, error replies, and messages of a subscription. */

#include "ngx_ampersand_link_state.h"


static ngx_ampersand_redis_effect_e ngx_ampersand_link_error_effect(
    ngx_ampersand_link_t *link, redisReply *reply);
static ngx_int_t ngx_ampersand_link_message(ngx_ampersand_link_t *link,
    redisReply *reply);


/* NGX_ERROR: the connection fails. */

ngx_int_t
ngx_ampersand_link_reply(void *data, redisReply *reply)
{
    ngx_ampersand_link_t *link = data;

    ngx_uint_t                    ready;
    ngx_ampersand_redis_effect_e  effect;

    ready = (link->state == NGX_AMPERSAND_LINK_READY);
    effect = ngx_ampersand_link_error_effect(link, reply);

    if (effect >= NGX_AMPERSAND_REDIS_EFFECT_REPLICA) {
        ngx_ampersand_redis_error_set(&link->error, reply);
        return NGX_ERROR;
    }

    if (link->pipeline.waiting
        && (effect == NGX_AMPERSAND_REDIS_EFFECT_LOGGED
            || link->opts.links->refused[0]))
    {
        ngx_ampersand_link_log_refused(link, reply);
    }

    if (ngx_ampersand_pipeline_reply(&link->pipeline, reply) != NGX_OK) {
        return ngx_ampersand_link_message(link, reply);
    }

    /* no command waits: the timer stays set, but lets the worker exit */

    if (ready && link->pipeline.waiting == 0) {
        link->deadline.cancelable = 1;
    }

    if (ready && !link->stable && reply->type != REDIS_REPLY_ERROR) {
        ngx_ampersand_link_set_stable(link);
    }

    /* the handshake may have sent more */

    if (!ready && link->pipeline.len) {
        ngx_ampersand_connection_flush(&link->connection);
    }

    return (link->error.len || link->handshake.why) ? NGX_ERROR : NGX_OK;
}


/* In the handshake the commands' handlers judge their replies. */

static ngx_ampersand_redis_effect_e
ngx_ampersand_link_error_effect(ngx_ampersand_link_t *link, redisReply *reply)
{
    ngx_ampersand_redis_effect_e  effect;

    if (link->state != NGX_AMPERSAND_LINK_READY) {
        return NGX_AMPERSAND_REDIS_EFFECT_CALLER;
    }

    effect = ngx_ampersand_redis_error_effect(reply);

    if (effect == NGX_AMPERSAND_REDIS_EFFECT_REPLICA) {

        if (ngx_current_msec - link->readonly_at < NGX_AMPERSAND_LINK_READONLY)
        {
            return NGX_AMPERSAND_REDIS_EFFECT_LOGGED;
        }

        link->readonly_at = ngx_current_msec;
        link->readonly = 1;
    }

    return effect;
}


/*
 * What is no reply to a command, as RESP2 has it: [subscribe, channel, n],
 * [message, channel, text] and [pong, ""]; or the error of SUBSCRIBE.
 */

static ngx_int_t
ngx_ampersand_link_message(ngx_ampersand_link_t *link, redisReply *reply)
{
    redisReply  *kind;

    if (reply->type == REDIS_REPLY_ERROR) {
        link->no_subscribe = (link->opts.channel.len
                              && link->pipeline.waiting == 0);
        ngx_ampersand_redis_error_set(&link->error, reply);
        return NGX_ERROR;
    }

    if (link->opts.channel.len == 0
        || reply->type != REDIS_REPLY_ARRAY || reply->elements < 2
        || reply->element[0]->type != REDIS_REPLY_STRING)
    {
        return NGX_ERROR;
    }

    kind = reply->element[0];

    if (ngx_strcmp(kind->str, "message") == 0
        && reply->elements == 3
        && reply->element[2]->type == REDIS_REPLY_STRING)
    {
        link->opts.message(link->opts.data, NGX_OK, reply->element[2]);

    } else if (ngx_strcmp(kind->str, "pong") == 0) {
        link->pinged = 0;

        if (link->deadline.timer_set) {
            ngx_del_timer(&link->deadline);
        }

    } else if (ngx_strcmp(kind->str, "subscribe") == 0
               && link->state == NGX_AMPERSAND_LINK_HANDSHAKE)
    {
        link->attempt_done(link, NGX_OK);
    }

    return NGX_OK;
}
