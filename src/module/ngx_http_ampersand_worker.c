#include "ngx_http_ampersand_worker.h"
#include "limit/ngx_http_ampersand_cooldown.h"
#include "zone/ngx_ampersand_invalidation.h"
#include "zone/ngx_ampersand_link_counts.h"
#include "zone/ngx_ampersand_workers.h"
#include "amp_keys.h"


static ngx_int_t ngx_http_ampersand_worker_lookups(
    ngx_http_ampersand_main_conf_t *amcf, ngx_cycle_t *cycle);
static void ngx_http_ampersand_worker_tenant(void *data, amp_span_t id);
static void ngx_http_ampersand_worker_sample(
    ngx_http_ampersand_main_conf_t *amcf);
static void ngx_http_ampersand_worker_limits(
    ngx_http_ampersand_main_conf_t *amcf);
static void ngx_http_ampersand_worker_invalidator(
    ngx_http_ampersand_main_conf_t *amcf, ngx_cycle_t *cycle);
static void ngx_http_ampersand_worker_registry(
    ngx_http_ampersand_main_conf_t *amcf, ngx_cycle_t *cycle);
static void ngx_http_ampersand_worker_breakers(
    ngx_http_ampersand_main_conf_t *amcf);
static void ngx_http_ampersand_worker_usage(
    ngx_http_ampersand_main_conf_t *amcf, ngx_cycle_t *cycle);
static ngx_int_t ngx_http_ampersand_worker_subscribe(
    ngx_http_ampersand_main_conf_t *amcf, ngx_cycle_t *cycle);
static void ngx_http_ampersand_worker_message(void *data, ngx_int_t rc,
    redisReply *reply);
static void ngx_http_ampersand_worker_subscribed(void *data, ngx_uint_t up);
static void ngx_http_ampersand_worker_state(void *data,
    ngx_ampersand_redis_state_e state);
static void ngx_http_ampersand_worker_link(void *data,
    const amp_redis_host_t *host, ngx_ampersand_linked_e from,
    ngx_ampersand_linked_e to);


ngx_int_t
ngx_http_ampersand_init_process(ngx_cycle_t *cycle)
{
    ngx_ampersand_counters_t        *counters;
    ngx_http_ampersand_worker_t     *worker;
    ngx_http_ampersand_main_conf_t  *amcf;

    /* the cache manager and the cache loader call it, too */

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    amcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_ampersand_module);

    if (amcf == NULL || !amcf->used) {
        return NGX_OK;
    }

    /* the cached time is the master's, from before it read its configuration */

    ngx_time_update();

    ngx_ampersand_workers_join(amcf->zone);
    ngx_ampersand_link_counts_join(amcf->metrics);

    worker = ngx_pcalloc(cycle->pool, sizeof(*worker));
    if (worker == NULL) {
        return NGX_ERROR;
    }

    amcf->worker = worker;
    counters = ngx_ampersand_zone_counters(amcf->zone);

    worker->redis = ngx_ampersand_redis_create(amcf->redis_conf, cycle->log,
                                               &counters->redis,
                                               ngx_http_ampersand_worker_state,
                                               ngx_http_ampersand_worker_link,
                                               amcf);
    if (worker->redis == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_ampersand_worker_lookups(amcf, cycle) != NGX_OK
        || ngx_http_ampersand_cache_memory_init(&worker->cache_memory, cycle,
                                                &worker->random)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_ampersand_worker_sample(amcf);
    ngx_http_ampersand_worker_limits(amcf);
    ngx_http_ampersand_worker_invalidator(amcf, cycle);
    ngx_http_ampersand_cache_lock_init(&worker->cache_lock, cycle->log);
    ngx_http_ampersand_cache_files_init(&amcf->cache_files, cycle);
    ngx_http_ampersand_worker_registry(amcf, cycle);
    ngx_http_ampersand_worker_breakers(amcf);
    ngx_http_ampersand_worker_usage(amcf, cycle);

    worker->last_use.zone = amcf->zone;
    worker->last_use.redis = worker->redis;
    worker->last_use.prefix = &amcf->redis_conf->prefix;

    if (ngx_worker != 0) {
        return NGX_OK;
    }

    worker->freeze.zone = amcf->zone;
    worker->freeze.redis = worker->redis;
    worker->freeze.prefix = &amcf->redis_conf->prefix;

    ngx_ampersand_freeze_init(&worker->freeze, cycle->log);

    return ngx_http_ampersand_worker_subscribe(amcf, cycle);
}


void
ngx_http_ampersand_exit_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                       last;
    ngx_http_ampersand_worker_t     *worker;
    ngx_http_ampersand_main_conf_t  *amcf;

    amcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_ampersand_module);

    if (amcf == NULL || amcf->worker == NULL) {
        return;
    }

    worker = amcf->worker;
    last = ngx_ampersand_workers_leave(amcf->zone);

    ngx_ampersand_lease_exit(&worker->limits.leasing, last);

    if (last) {
        ngx_ampersand_registry_exit(&worker->registry);
        ngx_ampersand_usage_report_exit(&worker->usage);
    }

    /* the link writes in an event of its own, and no event loop follows */

    ngx_event_process_posted(cycle, &ngx_posted_events);

    ngx_ampersand_redis_close(worker->redis);
    ngx_ampersand_lease_give_up(&worker->limits.leasing);
    ngx_ampersand_cache_invalidate_exit(&worker->invalidator);
    ngx_http_ampersand_lookups_close(&worker->lookups);
}


static ngx_int_t
ngx_http_ampersand_worker_lookups(ngx_http_ampersand_main_conf_t *amcf,
    ngx_cycle_t *cycle)
{
    ngx_http_ampersand_lookups_t  *lookups;

    lookups = &amcf->worker->lookups;

    lookups->zone = amcf->zone;
    lookups->redis = amcf->worker->redis;
    lookups->conf = amcf->redis_conf;
    lookups->keyring = amcf->keyring;
    lookups->logged = &amcf->worker->logged;
    lookups->tenant = ngx_http_ampersand_worker_tenant;
    lookups->data = &amcf->worker->limits.leasing;

    return ngx_http_ampersand_lookups_init(lookups, cycle->pool);
}


/* A cool-down may have begun before this gateway had read the tenant. */

static void
ngx_http_ampersand_worker_tenant(void *data, amp_span_t id)
{
    ngx_http_ampersand_cooldown_read(data, id);
}


static void
ngx_http_ampersand_worker_sample(ngx_http_ampersand_main_conf_t *amcf)
{
    ngx_ampersand_sample_t  *sample;

    sample = &amcf->worker->sample;

    sample->zone = amcf->zone;
    sample->redis = amcf->worker->redis;
    sample->prefix = &amcf->redis_conf->prefix;
    sample->keyring = amcf->keyring;

    ngx_ampersand_sample_init(sample);
}


static void
ngx_http_ampersand_worker_limits(ngx_http_ampersand_main_conf_t *amcf)
{
    ngx_http_ampersand_limits_t  *limits;

    limits = &amcf->worker->limits;

    limits->conf = &amcf->limit;
    limits->leasing.zone = amcf->zone;
    limits->leasing.redis = amcf->worker->redis;
    limits->leasing.prefix = &amcf->redis_conf->prefix;

    ngx_http_ampersand_limit_init(limits, amcf->redis_conf->timeout);
}


static void
ngx_http_ampersand_worker_invalidator(ngx_http_ampersand_main_conf_t *amcf,
    ngx_cycle_t *cycle)
{
    ngx_ampersand_invalidator_t  *invalidator;

    invalidator = &amcf->worker->invalidator;

    invalidator->zone = amcf->zone;
    invalidator->redis = amcf->worker->redis;
    invalidator->prefix = &amcf->redis_conf->prefix;

    ngx_ampersand_cache_invalidate_init(invalidator, cycle->log);
}


static void
ngx_http_ampersand_worker_registry(ngx_http_ampersand_main_conf_t *amcf,
    ngx_cycle_t *cycle)
{
    ngx_ampersand_registry_t  *registry;

    registry = &amcf->worker->registry;

    registry->zone = amcf->zone;
    registry->redis = amcf->worker->redis;
    registry->prefix = &amcf->redis_conf->prefix;
    registry->status = amcf->status_address;
    registry->file = amcf->gateways;

    ngx_ampersand_registry_init(registry, cycle->log, ngx_worker == 0);
}


static void
ngx_http_ampersand_worker_breakers(ngx_http_ampersand_main_conf_t *amcf)
{
    ngx_uint_t                       i;
    ngx_http_ampersand_loc_conf_t  **alcf;

    alcf = amcf->upstreams->elts;

    for (i = 0; i < amcf->upstreams->nelts; i++) {
        if (alcf[i]->suspend) {
            alcf[i]->breaker = ngx_ampersand_breaker(amcf->zone, alcf[i]->api,
                                                     &alcf[i]->target->host);
        }
    }
}


static void
ngx_http_ampersand_worker_usage(ngx_http_ampersand_main_conf_t *amcf,
    ngx_cycle_t *cycle)
{
    ngx_ampersand_usage_reporter_t  *usage;

    usage = &amcf->worker->usage;

    usage->metrics = amcf->metrics;
    usage->redis = amcf->worker->redis;
    usage->prefix = &amcf->redis_conf->prefix;

    ngx_ampersand_usage_report_init(usage, cycle->log, ngx_worker == 0);
}


static ngx_int_t
ngx_http_ampersand_worker_subscribe(ngx_http_ampersand_main_conf_t *amcf,
    ngx_cycle_t *cycle)
{
    amp_buf_t  name;
    ngx_str_t  channel;

    channel.data = ngx_pnalloc(cycle->pool, AMP_KEYS_MAX);
    if (channel.data == NULL) {
        return NGX_ERROR;
    }

    amp_buf_init(&name, channel.data, AMP_KEYS_MAX);
    amp_keys_events(ngx_ampersand_span(amcf->redis_conf->prefix), &name);
    channel.len = amp_buf_written(&name).len;

    return ngx_ampersand_redis_subscribe(amcf->worker->redis, &channel,
                                         ngx_http_ampersand_worker_message,
                                         ngx_http_ampersand_worker_subscribed,
                                         amcf);
}


static void
ngx_http_ampersand_worker_message(void *data, ngx_int_t rc, redisReply *reply)
{
    ngx_http_ampersand_main_conf_t *amcf = data;

    (void) rc;

    ngx_ampersand_invalidation_message(amcf->zone,
                                       amp_span_make(reply->str,
                                           ngx_ampersand_reply_len(reply)));
    ngx_ampersand_registry_event(&amcf->worker->registry);
}


static void
ngx_http_ampersand_worker_subscribed(void *data, ngx_uint_t up)
{
    ngx_http_ampersand_main_conf_t *amcf = data;

    ngx_ampersand_invalidation_subscribed(amcf->zone, up);
}


static void
ngx_http_ampersand_worker_state(void *data, ngx_ampersand_redis_state_e state)
{
    ngx_http_ampersand_main_conf_t *amcf = data;

    /* after a reload this place is that of a new worker */

    if (ngx_worker < NGX_AMPERSAND_WORKERS && !ngx_exiting) {
        ngx_ampersand_zone_counters(amcf->zone)->up[ngx_worker] = state;
    }
}


/* A socket has no port. */

static void
ngx_http_ampersand_worker_link(void *data, const amp_redis_host_t *host,
    ngx_ampersand_linked_e from, ngx_ampersand_linked_e to)
{
    ngx_http_ampersand_main_conf_t *amcf = data;

    u_char       name[sizeof("[]:65535") + AMP_REDIS_URL_TEXT];
    const char  *format;

    format = host->port == 0 ? "%s"
             : ngx_strchr(host->host, ':') ? "[%s]:%ui" : "%s:%ui";

    ngx_ampersand_link_counts_move(amcf->metrics,
                                   amp_span_make(name,
                                       ngx_snprintf(name, sizeof(name), format,
                                                    host->host,
                                                    (ngx_uint_t) host->port)
                                       - name),
                                   from, to);
}
