#include "ngx_ampersand_redis.h"
#include "ngx_ampersand_cluster_command.h"
#include "amp_slot.h"
#include "ngx_ampersand_sentinel.h"


struct ngx_ampersand_redis_s {
    ngx_ampersand_links_t               links;
    ngx_ampersand_redis_state_pt        on_state;
    void                               *data;
    ngx_ampersand_redis_state_e         state;

    ngx_ampersand_link_t               *link;   /* NULL: a cluster            */
    ngx_ampersand_link_t               *subscription; /* NULL: none, or of a
                                                   cluster                    */
    ngx_ampersand_sentinel_t           *sentinel;
    ngx_ampersand_cluster_t            *cluster;
    ngx_ampersand_cluster_commands_t    commands; /* of a cluster             */

    ngx_ampersand_reply_pt              message;
    ngx_ampersand_redis_subscribed_pt   subscribed;
    void                               *subscriber;
};


static ngx_int_t ngx_ampersand_redis_link(ngx_ampersand_redis_t *redis,
    ngx_ampersand_link_t **link, ngx_ampersand_link_opts_t *opts);
static void ngx_ampersand_redis_link_state(void *data,
    ngx_ampersand_link_t *link, ngx_uint_t up);
static void ngx_ampersand_redis_cluster_changed(void *data, ngx_uint_t map);
static void ngx_ampersand_redis_state(ngx_ampersand_redis_t *redis,
    ngx_ampersand_redis_state_e state);
static void ngx_ampersand_redis_subscription_state(void *data,
    ngx_ampersand_link_t *link, ngx_uint_t up);
static void ngx_ampersand_redis_subscription_message(void *data, ngx_int_t rc,
    redisReply *reply);


ngx_ampersand_redis_t *
ngx_ampersand_redis_create(ngx_ampersand_redis_conf_t *conf, ngx_log_t *log,
    ngx_ampersand_redis_counters_t *counters,
    ngx_ampersand_redis_state_pt state, ngx_ampersand_link_count_pt count,
    void *data)
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
    redis->links.count = count;
    redis->links.count_data = data;
    redis->on_state = state;
    redis->data = data;

    ngx_ampersand_redis_state(redis, NGX_AMPERSAND_REDIS_STARTING);

    if (conf->form == AMP_REDIS_CLUSTER) {
        redis->cluster = ngx_ampersand_cluster_create(&redis->links,
                                           ngx_ampersand_redis_cluster_changed,
                                           redis);

        redis->commands.links = &redis->links;
        redis->commands.cluster = redis->cluster;
        ngx_queue_init(&redis->commands.queue);

        rc = redis->cluster ? NGX_OK : NGX_ERROR;

    } else {
        ngx_memzero(&opts, sizeof(opts));

        opts.effect = "tenants in the zone are served, others get 503";
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
        return ngx_ampersand_cluster_command_send(&redis->commands, key, argc,
                                                  argv, handler, data);
    }

    return ngx_ampersand_link_command(redis->link, argc, argv, handler, data);
}


void
ngx_ampersand_redis_on_server(ngx_ampersand_redis_t *redis,
    ngx_ampersand_link_server_pt on_server, void *data)
{
    redis->links.on_server = on_server;
    redis->links.on_server_data = data;
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
    ngx_ampersand_redis_subscribed_pt subscribed, void *data)
{
    ngx_ampersand_link_opts_t  opts;

    redis->message = message;
    redis->subscribed = subscribed;
    redis->subscriber = data;

    subscribed(data, 0);

    ngx_memzero(&opts, sizeof(opts));

    /* an outage of Redis is an error of the link that looks tenants up */

    opts.effect = "changes take effect after ampersand_tenant_ttl only";
    opts.level = NGX_LOG_WARN;
    opts.channel = *channel;
    opts.message = ngx_ampersand_redis_subscription_message;
    opts.state = ngx_ampersand_redis_subscription_state;
    opts.data = redis;

    return ngx_ampersand_redis_link(redis, &redis->subscription, &opts);
}


void
ngx_ampersand_redis_close(ngx_ampersand_redis_t *redis)
{
    if (redis->link) {
        ngx_ampersand_link_close(redis->link);
    }

    if (redis->subscription) {
        ngx_ampersand_link_close(redis->subscription);
    }

    if (redis->sentinel) {
        ngx_ampersand_sentinel_close(redis->sentinel);
    }

    if (redis->cluster) {
        ngx_ampersand_cluster_close(redis->cluster);
        ngx_ampersand_cluster_command_close(&redis->commands);
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
        ngx_ampersand_cluster_command_resume(&redis->commands);
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
ngx_ampersand_redis_subscription_state(void *data, ngx_ampersand_link_t *link,
    ngx_uint_t up)
{
    ngx_ampersand_redis_t *redis = data;

    redis->subscribed(redis->subscriber, up);
}


static void
ngx_ampersand_redis_subscription_message(void *data, ngx_int_t rc,
    redisReply *reply)
{
    ngx_ampersand_redis_t *redis = data;

    redis->message(redis->subscriber, rc, reply);
}
