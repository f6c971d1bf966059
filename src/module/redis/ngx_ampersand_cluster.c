#include "ngx_ampersand_cluster.h"
#include "ngx_ampersand_cluster_map.h"
#include "ngx_ampersand_redis_error.h"
#include "amp_redis_host.h"


#define NGX_AMPERSAND_CLUSTER_SWEEP    1000     /* ms                         */
#define NGX_AMPERSAND_CLUSTER_REGULAR  3000     /* ms, the mean               */


struct ngx_ampersand_cluster_s {
    ngx_ampersand_links_t           *links;
    ngx_ampersand_cluster_pt         changed;
    void                            *data;

    ngx_ampersand_link_t            *ask;       /* for CLUSTER SLOTS          */
    ngx_ampersand_link_t            *follower;  /* NULL: no map so far        */
    ngx_ampersand_link_opts_t        follower_opts;
    ngx_uint_t                       turns[2];  /* of ask, of follower        */

    ngx_event_t                      refresh;   /* cancelable                 */
    ngx_event_t                      regular;   /* cancelable                 */
    ngx_event_t                      sweep;     /* cancelable                 */
    ngx_msec_t                       asked;     /* when the map was asked for */
    ngx_uint_t                       rounds;    /* requests in a row          */
    unsigned                         asking:1;  /* a request is under way     */
    unsigned                         failed:1;  /* no usable map: logged      */
    unsigned                         another:1; /* ask another node           */
    unsigned                         unknown:1; /* a master without address:
                                                   logged                     */

    ngx_ampersand_cluster_map_t      map;
};


static ngx_int_t ngx_ampersand_cluster_next(void *data,
    ngx_ampersand_link_t *link, amp_redis_host_t *host, const char **why);
static ngx_int_t ngx_ampersand_cluster_locate(void *data,
    ngx_ampersand_link_t *link, amp_redis_host_t *host, const char **why);
static void ngx_ampersand_cluster_ask_state(void *data,
    ngx_ampersand_link_t *link, ngx_uint_t up);
static void ngx_ampersand_cluster_node_state(void *data,
    ngx_ampersand_link_t *link, ngx_uint_t up);
static ngx_ampersand_link_t *ngx_ampersand_cluster_link(
    ngx_ampersand_cluster_t *cluster, ngx_ampersand_cluster_node_t *node);
static void ngx_ampersand_cluster_refresh_handler(ngx_event_t *ev);
static void ngx_ampersand_cluster_regular_handler(ngx_event_t *ev);
static void ngx_ampersand_cluster_regularly(ngx_ampersand_cluster_t *cluster);
static void ngx_ampersand_cluster_ask(ngx_ampersand_cluster_t *cluster);
static void ngx_ampersand_cluster_mapped(void *data, ngx_int_t rc,
    redisReply *reply);
static void ngx_ampersand_cluster_log_failed(ngx_ampersand_cluster_t *cluster,
    redisReply *reply, const char *why);
static void ngx_ampersand_cluster_log_unknown(
    ngx_ampersand_cluster_t *cluster);
static void ngx_ampersand_cluster_lead(ngx_ampersand_cluster_t *cluster);
static void ngx_ampersand_cluster_sweep_handler(ngx_event_t *ev);


ngx_ampersand_cluster_t *
ngx_ampersand_cluster_create(ngx_ampersand_links_t *links,
    ngx_ampersand_cluster_pt changed, void *data)
{
    ngx_ampersand_cluster_t    *cluster;
    ngx_ampersand_link_opts_t   opts;

    cluster = ngx_calloc(sizeof(*cluster), links->log);
    if (cluster == NULL) {
        return NULL;
    }

    cluster->links = links;
    cluster->map.log = links->log;
    cluster->changed = changed;
    cluster->data = data;

    cluster->refresh.handler = ngx_ampersand_cluster_refresh_handler;
    cluster->refresh.data = cluster;
    cluster->refresh.log = links->log;
    cluster->refresh.cancelable = 1;

    cluster->regular.handler = ngx_ampersand_cluster_regular_handler;
    cluster->regular.data = cluster;
    cluster->regular.log = links->log;
    cluster->regular.cancelable = 1;

    cluster->sweep.handler = ngx_ampersand_cluster_sweep_handler;
    cluster->sweep.data = cluster;
    cluster->sweep.log = links->log;
    cluster->sweep.cancelable = 1;

    /* not all workers ask the same node */

    cluster->turns[0] = ngx_random();
    cluster->turns[1] = ngx_random();

    ngx_memzero(&opts, sizeof(opts));

    opts.links = links;
    opts.kind = "Redis";
    opts.effect = "another node is asked for the slot map";
    opts.level = NGX_LOG_ERR;
    opts.nhosts = links->conf->nhosts;
    opts.state = ngx_ampersand_cluster_ask_state;
    opts.data = cluster;
    opts.locate = ngx_ampersand_cluster_next;
    opts.locate_data = cluster;

    if (ngx_ampersand_link_create(&cluster->ask, &opts) != NGX_OK) {
        ngx_ampersand_cluster_close(cluster);
        return NULL;
    }

    return cluster;
}


ngx_ampersand_cluster_state_e
ngx_ampersand_cluster_state(ngx_ampersand_cluster_t *cluster)
{
    ngx_uint_t                     i;
    ngx_ampersand_cluster_node_t  *node;

    if (!cluster->map.mapped) {
        return (cluster->failed || ngx_ampersand_link_failures(cluster->ask))
               ? NGX_AMPERSAND_CLUSTER_DEGRADED
               : NGX_AMPERSAND_CLUSTER_STARTING;
    }

    for (i = 0; i < cluster->map.nnodes; i++) {
        node = cluster->map.nodes[i];

        if (node && node->used && node->link
            && !ngx_ampersand_link_ready(node->link)
            && ngx_ampersand_link_failures(node->link))
        {
            return NGX_AMPERSAND_CLUSTER_DEGRADED;
        }
    }

    return cluster->map.holes ? NGX_AMPERSAND_CLUSTER_DEGRADED
                              : NGX_AMPERSAND_CLUSTER_UP;
}


ngx_int_t
ngx_ampersand_cluster_slot(ngx_ampersand_cluster_t *cluster, ngx_uint_t slot,
    ngx_ampersand_link_t **link)
{
    ngx_ampersand_cluster_node_t  *node;

    node = ngx_ampersand_cluster_map_slot(&cluster->map, slot);

    if (node == NULL) {
        if (ngx_ampersand_cluster_state(cluster)
            == NGX_AMPERSAND_CLUSTER_STARTING)
        {
            return NGX_AGAIN;
        }

        (void) ngx_ampersand_cluster_refresh(cluster);
        return NGX_DECLINED;
    }

    *link = ngx_ampersand_cluster_link(cluster, node);

    return *link ? NGX_OK : NGX_ERROR;
}


ngx_ampersand_link_t *
ngx_ampersand_cluster_host(ngx_ampersand_cluster_t *cluster,
    const amp_redis_host_t *host)
{
    return ngx_ampersand_cluster_link(cluster,
                         ngx_ampersand_cluster_map_node(&cluster->map, host));
}


ngx_ampersand_link_t *
ngx_ampersand_cluster_moved(ngx_ampersand_cluster_t *cluster, ngx_uint_t slot,
    const amp_redis_host_t *host)
{
    ngx_ampersand_cluster_node_t  *node;

    node = ngx_ampersand_cluster_map_moved(&cluster->map, slot, host);

    (void) ngx_ampersand_cluster_refresh(cluster);

    return ngx_ampersand_cluster_link(cluster, node);
}


ngx_int_t
ngx_ampersand_cluster_refresh(ngx_ampersand_cluster_t *cluster)
{
    ngx_msec_t  delay;

    if (cluster->asking || cluster->refresh.timer_set) {
        return (cluster->asking || cluster->rounds == 1) ? NGX_OK : NGX_AGAIN;
    }

    if (ngx_current_msec - cluster->asked
        > 2 * NGX_AMPERSAND_LINK_BACKOFF_MAX)
    {
        cluster->rounds = 0;
    }

    delay = 0;

    if (cluster->rounds) {
        delay = ngx_min(NGX_AMPERSAND_LINK_BACKOFF_MAX,
                        NGX_AMPERSAND_LINK_BACKOFF
                        << ngx_min(cluster->rounds - 1, 8));
        delay = delay / 2 + ngx_random() % delay;
    }

    cluster->rounds++;

    ngx_add_timer(&cluster->refresh, delay);

    return delay ? NGX_AGAIN : NGX_OK;
}


void
ngx_ampersand_cluster_follow(ngx_ampersand_cluster_t *cluster,
    ngx_ampersand_link_opts_t *opts)
{
    cluster->follower_opts = *opts;
    cluster->follower_opts.locate = ngx_ampersand_cluster_locate;
    cluster->follower_opts.locate_data = cluster;

    if (cluster->map.mapped) {
        ngx_ampersand_cluster_lead(cluster);
    }
}


void
ngx_ampersand_cluster_close(ngx_ampersand_cluster_t *cluster)
{
    ngx_uint_t                     i;
    ngx_ampersand_cluster_node_t  *node;

    if (cluster->refresh.timer_set) {
        ngx_del_timer(&cluster->refresh);
    }

    if (cluster->regular.timer_set) {
        ngx_del_timer(&cluster->regular);
    }

    if (cluster->sweep.timer_set) {
        ngx_del_timer(&cluster->sweep);
    }

    if (cluster->ask) {
        ngx_ampersand_link_close(cluster->ask);
    }

    if (cluster->follower) {
        ngx_ampersand_link_close(cluster->follower);
    }

    for (i = 0; i < cluster->map.nnodes; i++) {
        node = cluster->map.nodes[i];

        if (node) {
            if (node->link) {
                ngx_ampersand_link_close(node->link);
            }

            ngx_ampersand_cluster_map_drop(&cluster->map, i);
        }
    }

    ngx_free(cluster);
}


/* Which node is asked for the map: masters, then the directive's hosts. */

static ngx_int_t
ngx_ampersand_cluster_next(void *data, ngx_ampersand_link_t *link,
    amp_redis_host_t *host, const char **why)
{
    ngx_ampersand_cluster_t *cluster = data;

    ngx_uint_t  n, turn;

    (void) why;

    if (ngx_ampersand_link_failures(link)) {
        cluster->turns[0]++;
    }

    n = ngx_ampersand_cluster_map_masters(&cluster->map, 0, NULL);
    turn = cluster->turns[0] % (n + cluster->links->conf->nhosts);

    if (turn < n) {
        (void) ngx_ampersand_cluster_map_masters(&cluster->map, turn, host);

    } else {
        *host = cluster->links->conf->hosts[turn - n].host;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_ampersand_cluster_locate(void *data, ngx_ampersand_link_t *link,
    amp_redis_host_t *host, const char **why)
{
    ngx_ampersand_cluster_t *cluster = data;

    ngx_uint_t  n;

    if (ngx_ampersand_link_failures(link)) {
        cluster->turns[1]++;
    }

    n = ngx_ampersand_cluster_map_masters(&cluster->map, 0, NULL);

    if (n == 0) {
        *why = "has no masters";
        return NGX_ERROR;
    }

    (void) ngx_ampersand_cluster_map_masters(&cluster->map,
                                             cluster->turns[1] % n, host);

    return NGX_OK;
}


static void
ngx_ampersand_cluster_ask_state(void *data, ngx_ampersand_link_t *link,
    ngx_uint_t up)
{
    ngx_ampersand_cluster_t *cluster = data;

    (void) link;

    if (up) {
        (void) ngx_ampersand_cluster_refresh(cluster);

    } else if (!cluster->map.mapped) {
        cluster->changed(cluster->data, 0);
    }
}


static void
ngx_ampersand_cluster_node_state(void *data, ngx_ampersand_link_t *link,
    ngx_uint_t up)
{
    ngx_ampersand_cluster_t *cluster = data;

    (void) link;

    if (!up) {
        (void) ngx_ampersand_cluster_refresh(cluster);
    }

    cluster->changed(cluster->data, 0);
}


/* The link to a node, made where there is none.  NULL: no node, no memory. */

static ngx_ampersand_link_t *
ngx_ampersand_cluster_link(ngx_ampersand_cluster_t *cluster,
    ngx_ampersand_cluster_node_t *node)
{
    ngx_ampersand_link_opts_t  opts;

    if (node == NULL || node->link) {
        return node ? node->link : NULL;
    }

    ngx_memzero(&opts, sizeof(opts));

    opts.links = cluster->links;
    opts.kind = "Redis";
    opts.effect = "tenants in the zone are served, others of its slots get "
                  "503";
    opts.level = NGX_LOG_ERR;
    opts.state = ngx_ampersand_cluster_node_state;
    opts.data = cluster;
    opts.host = &node->host;

    return ngx_ampersand_link_create(&node->link, &opts) == NGX_OK
           ? node->link : NULL;
}


static void
ngx_ampersand_cluster_refresh_handler(ngx_event_t *ev)
{
    ngx_ampersand_cluster_t  *cluster;

    cluster = ev->data;
    cluster->asked = ngx_current_msec;

    ngx_ampersand_cluster_ask(cluster);
}


/*
 * Commands alone would not show that a node has left the cluster, to which the
 * follower or the link that asks is connected.
 */

static void
ngx_ampersand_cluster_regular_handler(ngx_event_t *ev)
{
    ngx_ampersand_cluster_t  *cluster;

    cluster = ev->data;

    if (!ngx_ampersand_cluster_map_serves(&cluster->map,
                                     ngx_ampersand_link_host(cluster->ask)))
    {
        cluster->another = 1;
    }

    if (!cluster->asking) {
        ngx_ampersand_cluster_ask(cluster);
    }

    ngx_ampersand_cluster_regularly(cluster);
}


static void
ngx_ampersand_cluster_regularly(ngx_ampersand_cluster_t *cluster)
{
    ngx_add_timer(&cluster->regular,
                  NGX_AMPERSAND_CLUSTER_REGULAR / 2
                  + ngx_random() % NGX_AMPERSAND_CLUSTER_REGULAR);
}


static void
ngx_ampersand_cluster_ask(ngx_ampersand_cluster_t *cluster)
{
    ngx_uint_t        n;
    amp_span_t        argv[2];
    amp_redis_host_t  host;

    if (cluster->another) {
        cluster->another = 0;
        cluster->turns[0]++;

        n = ngx_ampersand_cluster_map_masters(&cluster->map, 0, NULL);

        if (n) {
            (void) ngx_ampersand_cluster_map_masters(&cluster->map,
                                                     cluster->turns[0] % n,
                                                     &host);

        } else {
            n = cluster->turns[0] % cluster->links->conf->nhosts;
            host = cluster->links->conf->hosts[n].host;
        }

        ngx_ampersand_link_move(cluster->ask, &host);
    }

    argv[0] = amp_span("CLUSTER");
    argv[1] = amp_span("SLOTS");

    /* a link that is down asks as soon as it is ready: _ask_state() */

    if (ngx_ampersand_link_command(cluster->ask, 2, argv,
                                   ngx_ampersand_cluster_mapped, cluster)
        == NGX_OK)
    {
        cluster->asking = 1;
        ngx_ampersand_count(cluster->links->counters, refreshes);
    }
}


static void
ngx_ampersand_cluster_mapped(void *data, ngx_int_t rc, redisReply *reply)
{
    ngx_ampersand_cluster_t *cluster = data;

    const char  *why;

    cluster->asking = 0;

    if (rc != NGX_OK) {
        return;
    }

    why = ngx_ampersand_cluster_map_read(&cluster->map, reply,
                                      ngx_ampersand_link_host(cluster->ask));

    if (why == NULL) {
        cluster->failed = 0;

        ngx_ampersand_cluster_log_unknown(cluster);
        ngx_ampersand_link_set_level(cluster->ask, NGX_LOG_INFO);
        ngx_ampersand_cluster_lead(cluster);

        if (!cluster->sweep.timer_set) {
            ngx_add_timer(&cluster->sweep, NGX_AMPERSAND_CLUSTER_SWEEP);
        }

        if (!cluster->regular.timer_set) {
            ngx_ampersand_cluster_regularly(cluster);
        }

        cluster->changed(cluster->data, 1);

        return;
    }

    /* this node may be in the cluster no longer, others are */

    cluster->another = 1;

    if (!cluster->failed) {
        cluster->failed = 1;
        ngx_ampersand_cluster_log_failed(cluster, reply, why);
        cluster->changed(cluster->data, 0);
    }

    (void) ngx_ampersand_cluster_refresh(cluster);
}


static void
ngx_ampersand_cluster_log_failed(ngx_ampersand_cluster_t *cluster,
    redisReply *reply, const char *why)
{
    const amp_redis_host_t       *host;
    ngx_ampersand_redis_error_t   error;

    host = ngx_ampersand_link_host(cluster->ask);
    error.len = 0;

    if (reply->type == REDIS_REPLY_ERROR) {
        ngx_ampersand_redis_error_set(&error, reply);
        why = "";
    }

    ngx_log_error(NGX_LOG_ERR, cluster->links->log, 0,
                  "ampersand: Redis \"%s:%ui\" gives no slot map: %s%*s",
                  host->host, (ngx_uint_t) host->port, why, error.len,
                  error.text);
}


static void
ngx_ampersand_cluster_log_unknown(ngx_ampersand_cluster_t *cluster)
{
    const amp_redis_host_t  *host;

    if (cluster->map.unknown && !cluster->unknown) {
        host = ngx_ampersand_link_host(cluster->ask);

        ngx_log_error(NGX_LOG_ERR, cluster->links->log, 0,
                      "ampersand: Redis \"%s:%ui\" gives no address for the "
                      "master of %ui slots, which are not served: set "
                      "cluster-announce-hostname in Redis, or "
                      "cluster-preferred-endpoint-type ip",
                      host->host, (ngx_uint_t) host->port,
                      cluster->map.unknown);
    }

    cluster->unknown = (cluster->map.unknown != 0);
}


/* Moves the follower where its node serves no slots any more. */

static void
ngx_ampersand_cluster_lead(ngx_ampersand_cluster_t *cluster)
{
    ngx_uint_t        n;
    amp_redis_host_t  host;

    if (cluster->follower_opts.locate == NULL) {
        return;
    }

    if (cluster->follower == NULL) {
        (void) ngx_ampersand_link_create(&cluster->follower,
                                         &cluster->follower_opts);
        return;
    }

    if (ngx_ampersand_cluster_map_serves(&cluster->map,
                                ngx_ampersand_link_host(cluster->follower)))
    {
        return;
    }

    n = ngx_ampersand_cluster_map_masters(&cluster->map, 0, NULL);

    if (n) {
        (void) ngx_ampersand_cluster_map_masters(&cluster->map,
                                                 ngx_random() % n, &host);
        ngx_ampersand_link_move(cluster->follower, &host);
    }
}


static void
ngx_ampersand_cluster_sweep_handler(ngx_event_t *ev)
{
    ngx_uint_t                     i, busy;
    ngx_ampersand_cluster_t       *cluster;
    ngx_ampersand_cluster_node_t  *node;

    cluster = ev->data;
    busy = 0;

    for (i = 0; i < cluster->map.nnodes; i++) {
        node = cluster->map.nodes[i];

        if (node == NULL || node->used) {
            continue;
        }

        if (node->link) {
            if (!ngx_ampersand_link_idle(node->link)) {
                busy = 1;
                continue;
            }

            ngx_ampersand_link_close(node->link);
        }

        ngx_ampersand_cluster_map_drop(&cluster->map, i);
    }

    if (busy) {
        ngx_add_timer(&cluster->sweep, NGX_AMPERSAND_CLUSTER_SWEEP);
    }
}
