#include "ngx_ampersand_redis.h"
#include "ngx_ampersand_cluster_command.h"
#include "amp_slot.h"
#include "ngx_ampersand_sentinel.h"


struct ngx_ampersand_redis_s {
    ngx_ampersand_links_t            links;
    ngx_ampersand_redis_state_pt     on_state;
    void                            *data;
    ngx_ampersand_redis_state_e      state;

    ngx_ampersand_link_t            *link;      /* not of a cluster           */
    ngx_ampersand_link_t            *events;    /* not of a cluster           */
    ngx_ampersand_sentinel_t        *sentinel;
    ngx_ampersand_cluster_t         *cluster;
    ngx_ampersand_cluster_commands_t            calls;

    ngx_ampersand_reply_pt           message;
    ngx_ampersand_redis_heard_pt     heard;
    void                            *heard_data;
};


static ngx_int_t ngx_ampersand_redis_link(ngx_ampersand_redis_t *redis,
    ngx_ampersand_link_t **link, ngx_ampersand_link_opts_t *opts);
static void ngx_ampersand_redis_link_state(void *data,
    ngx_ampersand_link_t *link, ngx_uint_t up);
static void ngx_ampersand_redis_cluster_changed(void *data, ngx_uint_t map);
static void ngx_ampersand_redis_state(ngx_ampersand_redis_t *redis,
    ngx_ampersand_redis_state_e state);
static void ngx_ampersand_redis_events_state(void *data,
    ngx_ampersand_link_t *link, ngx_uint_t up);
static void ngx_ampersand_redis_events_message(void *data, ngx_int_t rc,
    redisReply *reply);


ngx_ampersand_redis_t *
ngx_ampersand_redis_create(ngx_ampersand_redis_conf_t *conf, ngx_log_t *log,
    ngx_ampersand_redis_counters_t *counters,
    ngx_ampersand_redis_state_pt state, void *data)
{
    ngx_int_t                   rc;
    ngx_ampersand_redis_t      *redis;
    ngx_ampersand_link_opts_t   opts;

    redis = ngx_calloc(sizeof(*redis), log);
    if (redis == NULL) {
        return NULL;
    }

    redis->links.conf = conf;
    redis->links.log = log;
    redis->links.counters = counters;
    redis->on_state = state;
    redis->data = data;

    ngx_ampersand_redis_state(redis, NGX_AMPERSAND_REDIS_STARTING);

    if (conf->form == AMP_REDIS_CLUSTER) {
        redis->cluster = ngx_ampersand_cluster_create(&redis->links,
                                           ngx_ampersand_redis_cluster_changed,
                                           redis);

        redis->calls.links = &redis->links;
        redis->calls.cluster = redis->cluster;
        ngx_queue_init(&redis->calls.queue);

        rc = redis->cluster ? NGX_OK : NGX_ERROR;

    } else {
        ngx_memzero(&opts, sizeof(opts));

        opts.effect = "known tenants are served from memory, unknown ones get "
                      "503";
        opts.level = NGX_LOG_ERR;
        opts.state = ngx_ampersand_redis_link_state;
        opts.data = redis;

        rc = ngx_ampersand_redis_link(redis, &redis->link, &opts);
    }

    if (rc != NGX_OK) {
        ngx_ampersand_redis_close(redis);
        return NULL;
    }

    return redis;
}


ngx_int_t
ngx_ampersand_redis_command(ngx_ampersand_redis_t *redis, amp_span_t key,
    ngx_uint_t argc, const amp_span_t *argv, ngx_ampersand_reply_pt handler,
    void *data)
{
    if (redis->cluster) {
        return ngx_ampersand_cluster_command_send(&redis->calls, key, argc, argv,
                                           handler, data);
    }

    return ngx_ampersand_link_command(redis->link, argc, argv, handler, data);
}


void
ngx_ampersand_redis_meet(ngx_ampersand_redis_t *redis,
    ngx_ampersand_link_met_pt met, void *data)
{
    redis->links.met = met;
    redis->links.met_data = data;
}


const ngx_ampersand_server_t *
ngx_ampersand_redis_server(ngx_ampersand_redis_t *redis, amp_span_t key)
{
    ngx_ampersand_link_t  *link;

    link = redis->link;

    if (redis->cluster
        && ngx_ampersand_cluster_slot(redis->cluster, amp_slot(key), &link)
           != NGX_OK)
    {
        return NULL;
    }

    return ngx_ampersand_link_server(link);
}


ngx_int_t
ngx_ampersand_redis_subscribe(ngx_ampersand_redis_t *redis,
    ngx_str_t *channel, ngx_ampersand_reply_pt message,
    ngx_ampersand_redis_heard_pt up, void *data)
{
    ngx_ampersand_link_opts_t  opts;

    redis->message = message;
    redis->heard = up;
    redis->heard_data = data;

    up(data, 0);

    ngx_memzero(&opts, sizeof(opts));

    /* what both links suffer from is an error of the one that serves */

    opts.effect = "changes take effect after ampersand_tenant_ttl only";
    opts.level = NGX_LOG_WARN;
    opts.channel = *channel;
    opts.message = ngx_ampersand_redis_events_message;
    opts.state = ngx_ampersand_redis_events_state;
    opts.data = redis;

    return ngx_ampersand_redis_link(redis, &redis->events, &opts);
}


void
ngx_ampersand_redis_close(ngx_ampersand_redis_t *redis)
{
    if (redis->link) {
        ngx_ampersand_link_close(redis->link);
    }

    if (redis->events) {
        ngx_ampersand_link_close(redis->events);
    }

    if (redis->sentinel) {
        ngx_ampersand_sentinel_close(redis->sentinel);
    }

    if (redis->cluster) {
        ngx_ampersand_cluster_close(redis->cluster);
        ngx_ampersand_cluster_command_close(&redis->calls);
    }

    ngx_free(redis);
}


static ngx_int_t
ngx_ampersand_redis_link(ngx_ampersand_redis_t *redis,
    ngx_ampersand_link_t **link, ngx_ampersand_link_opts_t *opts)
{
    ngx_ampersand_redis_conf_t  *conf;

    conf = redis->links.conf;

    opts->links = &redis->links;
    opts->kind = "Redis";

    switch (conf->form) {

    case AMP_REDIS_CLUSTER:
        ngx_ampersand_cluster_follow(redis->cluster, opts);
        return NGX_OK;

    case AMP_REDIS_SENTINEL:
        if (redis->sentinel == NULL) {
            redis->sentinel = ngx_ampersand_sentinel_create(&redis->links);
            if (redis->sentinel == NULL) {
                return NGX_ERROR;
            }
        }

        return ngx_ampersand_sentinel_follow(redis->sentinel, link, opts);

    default: /* AMP_REDIS_SINGLE */
        opts->host = &conf->hosts[0].host;
        opts->turns = conf->hosts[0].naddrs;

        return ngx_ampersand_link_create(link, opts);
    }
}


static void
ngx_ampersand_redis_link_state(void *data, ngx_ampersand_link_t *link,
    ngx_uint_t up)
{
    ngx_ampersand_redis_t *redis = data;

    ngx_ampersand_redis_state_e  state;

    state = NGX_AMPERSAND_REDIS_UP;

    if (!up) {
        state = ngx_ampersand_link_failures(link)
                ? NGX_AMPERSAND_REDIS_DEGRADED : NGX_AMPERSAND_REDIS_STARTING;
    }

    ngx_ampersand_redis_state(redis, state);
}


static void
ngx_ampersand_redis_cluster_changed(void *data, ngx_uint_t map)
{
    ngx_ampersand_redis_t *redis = data;

    if (redis->cluster == NULL) {
        return;
    }

    switch (ngx_ampersand_cluster_state(redis->cluster)) {

    case NGX_AMPERSAND_CLUSTER_STARTING:
        ngx_ampersand_redis_state(redis, NGX_AMPERSAND_REDIS_STARTING);
        break;

    case NGX_AMPERSAND_CLUSTER_UP:
        ngx_ampersand_redis_state(redis, NGX_AMPERSAND_REDIS_UP);
        break;

    default: /* NGX_AMPERSAND_CLUSTER_DEGRADED */
        ngx_ampersand_redis_state(redis, NGX_AMPERSAND_REDIS_DEGRADED);
    }

    if (map) {
        ngx_ampersand_cluster_command_resume(&redis->calls);
    }
}


static void
ngx_ampersand_redis_state(ngx_ampersand_redis_t *redis,
    ngx_ampersand_redis_state_e state)
{
    if (redis->state != state) {
        redis->state = state;
        redis->on_state(redis->data, state);
    }
}


static void
ngx_ampersand_redis_events_state(void *data, ngx_ampersand_link_t *link,
    ngx_uint_t up)
{
    ngx_ampersand_redis_t *redis = data;

    redis->heard(redis->heard_data, up);
}


static void
ngx_ampersand_redis_events_message(void *data, ngx_int_t rc, redisReply *reply)
{
    ngx_ampersand_redis_t *redis = data;

    redis->message(redis->heard_data, rc, reply);
}
