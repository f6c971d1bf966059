#include "ngx_ampersand_cluster.h"
#include "ngx_ampersand_redis_error.h"
#include "amp_redis_host.h"
#include "amp_slot_map.h"


#define NGX_AMPERSAND_CLUSTER_SWEEP  1000       /* ms                         */


typedef struct {
    amp_redis_host_t                 host;
    ngx_ampersand_link_t            *link;      /* NULL: no command so far    */
    unsigned                         used:1;    /* it serves slots            */
} ngx_ampersand_cluster_node_t;


struct ngx_ampersand_cluster_s {
    ngx_ampersand_links_t           *links;
    ngx_ampersand_cluster_pt         changed;
    void                            *data;

    ngx_ampersand_link_t            *ask;       /* for CLUSTER SLOTS          */
    ngx_ampersand_link_t            *follower;  /* NULL: no map so far        */
    ngx_ampersand_link_opts_t        follower_opts;
    ngx_uint_t                       turns[2];  /* of ask, of follower        */

    ngx_event_t                      refresh;   /* cancelable                 */
    ngx_event_t                      sweep;     /* cancelable                 */
    ngx_msec_t                       asked;     /* when the map was asked for */
    ngx_uint_t                       rounds;    /* requests in a row          */
    unsigned                         asking:1;  /* a request is under way     */
    unsigned                         mapped:1;  /* there is a map             */
    unsigned                         holes:1;   /* slots without a node       */
    unsigned                         failed:1;  /* no usable map: logged      */
    unsigned                         unknown:1; /* a master without address:
                                                   logged                     */

    ngx_uint_t                       nnodes;
    ngx_ampersand_cluster_node_t    *nodes[AMP_SLOT_MAP_NODES];
    uint16_t                         slots[AMP_SLOTS];  /* index + 1, or 0    */
    uint16_t                         next[AMP_SLOTS];   /* being read         */
};


static ngx_int_t ngx_ampersand_cluster_next(void *data,
    ngx_ampersand_link_t *link, amp_redis_host_t *host, const char **why);
static ngx_int_t ngx_ampersand_cluster_locate(void *data,
    ngx_ampersand_link_t *link, amp_redis_host_t *host, const char **why);
static ngx_uint_t ngx_ampersand_cluster_turn(ngx_ampersand_cluster_t *cluster,
    ngx_uint_t turn, amp_redis_host_t *host);
static void ngx_ampersand_cluster_ask_state(void *data,
    ngx_ampersand_link_t *link, ngx_uint_t up);
static void ngx_ampersand_cluster_node_state(void *data,
    ngx_ampersand_link_t *link, ngx_uint_t up);
static ngx_uint_t ngx_ampersand_cluster_node(ngx_ampersand_cluster_t *cluster,
    const amp_redis_host_t *host);
static ngx_ampersand_link_t *ngx_ampersand_cluster_link(
    ngx_ampersand_cluster_t *cluster, ngx_uint_t n);
static void ngx_ampersand_cluster_refresh_handler(ngx_event_t *ev);
static void ngx_ampersand_cluster_mapped(void *data, ngx_int_t rc,
    redisReply *reply);
static const char *ngx_ampersand_cluster_read(
    ngx_ampersand_cluster_t *cluster, redisReply *reply);
static const char *ngx_ampersand_cluster_read_ranges(
    ngx_ampersand_cluster_t *cluster, amp_slot_map_t *map,
    ngx_uint_t *unknown);
static void ngx_ampersand_cluster_log_failed(ngx_ampersand_cluster_t *cluster,
    redisReply *reply, const char *why);
static void ngx_ampersand_cluster_log_unknown(
    ngx_ampersand_cluster_t *cluster, ngx_uint_t unknown);
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
    cluster->changed = changed;
    cluster->data = data;

    cluster->refresh.handler = ngx_ampersand_cluster_refresh_handler;
    cluster->refresh.data = cluster;
    cluster->refresh.log = links->log;
    cluster->refresh.cancelable = 1;

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

    if (!cluster->mapped) {
        return (cluster->failed || ngx_ampersand_link_failures(cluster->ask))
               ? NGX_AMPERSAND_CLUSTER_DEGRADED
               : NGX_AMPERSAND_CLUSTER_STARTING;
    }

    for (i = 0; i < cluster->nnodes; i++) {
        node = cluster->nodes[i];

        if (node && node->used && node->link
            && !ngx_ampersand_link_ready(node->link)
            && ngx_ampersand_link_failures(node->link))
        {
            return NGX_AMPERSAND_CLUSTER_DEGRADED;
        }
    }

    return cluster->holes ? NGX_AMPERSAND_CLUSTER_DEGRADED
                          : NGX_AMPERSAND_CLUSTER_UP;
}


ngx_int_t
ngx_ampersand_cluster_slot(ngx_ampersand_cluster_t *cluster, ngx_uint_t slot,
    ngx_ampersand_link_t **link)
{
    ngx_uint_t  n;

    n = cluster->slots[slot];

    if (n == 0) {
        if (ngx_ampersand_cluster_state(cluster)
            == NGX_AMPERSAND_CLUSTER_STARTING)
        {
            return NGX_AGAIN;
        }

        (void) ngx_ampersand_cluster_refresh(cluster);
        return NGX_DECLINED;
    }

    *link = ngx_ampersand_cluster_link(cluster, n);

    return *link ? NGX_OK : NGX_ERROR;
}


ngx_ampersand_link_t *
ngx_ampersand_cluster_host(ngx_ampersand_cluster_t *cluster,
    const amp_redis_host_t *host)
{
    return ngx_ampersand_cluster_link(cluster,
                                      ngx_ampersand_cluster_node(cluster,
                                                                 host));
}


ngx_ampersand_link_t *
ngx_ampersand_cluster_moved(ngx_ampersand_cluster_t *cluster, ngx_uint_t slot,
    const amp_redis_host_t *host)
{
    ngx_uint_t  n;

    n = ngx_ampersand_cluster_node(cluster, host);

    if (n) {
        cluster->slots[slot] = (uint16_t) n;
        cluster->nodes[n - 1]->used = 1;
    }

    (void) ngx_ampersand_cluster_refresh(cluster);

    return ngx_ampersand_cluster_link(cluster, n);
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

    if (cluster->mapped) {
        ngx_ampersand_cluster_lead(cluster);
    }
}


void
ngx_ampersand_cluster_close(ngx_ampersand_cluster_t *cluster)
{
    ngx_uint_t  i;

    if (cluster->refresh.timer_set) {
        ngx_del_timer(&cluster->refresh);
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

    for (i = 0; i < cluster->nnodes; i++) {
        if (cluster->nodes[i]) {
            if (cluster->nodes[i]->link) {
                ngx_ampersand_link_close(cluster->nodes[i]->link);
            }

            ngx_free(cluster->nodes[i]);
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

    n = ngx_ampersand_cluster_turn(cluster, 0, NULL);
    turn = cluster->turns[0] % (n + cluster->links->conf->nhosts);

    if (turn < n) {
        (void) ngx_ampersand_cluster_turn(cluster, turn, host);

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

    n = ngx_ampersand_cluster_turn(cluster, 0, NULL);

    if (n == 0) {
        *why = "has no masters";
        return NGX_ERROR;
    }

    (void) ngx_ampersand_cluster_turn(cluster, cluster->turns[1] % n, host);

    return NGX_OK;
}


/* How many masters serve slots; *host, unless NULL: the one in turn. */

static ngx_uint_t
ngx_ampersand_cluster_turn(ngx_ampersand_cluster_t *cluster, ngx_uint_t turn,
    amp_redis_host_t *host)
{
    ngx_uint_t  i, n;

    n = 0;

    for (i = 0; i < cluster->nnodes; i++) {
        if (cluster->nodes[i] && cluster->nodes[i]->used) {
            if (host && n == turn) {
                *host = cluster->nodes[i]->host;
            }

            n++;
        }
    }

    return n;
}


static void
ngx_ampersand_cluster_ask_state(void *data, ngx_ampersand_link_t *link,
    ngx_uint_t up)
{
    ngx_ampersand_cluster_t *cluster = data;

    (void) link;

    if (up) {
        (void) ngx_ampersand_cluster_refresh(cluster);

    } else if (!cluster->mapped) {
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


/* Index + 1 of the node, which is added if new; 0: no room or no memory. */

static ngx_uint_t
ngx_ampersand_cluster_node(ngx_ampersand_cluster_t *cluster,
    const amp_redis_host_t *host)
{
    ngx_uint_t                     i, hole;
    ngx_ampersand_cluster_node_t  *node;

    hole = cluster->nnodes;

    for (i = 0; i < cluster->nnodes; i++) {
        node = cluster->nodes[i];

        if (node == NULL) {
            hole = i;

        } else if (amp_redis_host_eq(&node->host, host)) {
            return i + 1;
        }
    }

    if (hole == AMP_SLOT_MAP_NODES) {
        return 0;
    }

    node = ngx_calloc(sizeof(*node), cluster->links->log);
    if (node == NULL) {
        return 0;
    }

    node->host = *host;
    cluster->nodes[hole] = node;
    cluster->nnodes = ngx_max(cluster->nnodes, hole + 1);

    return hole + 1;
}


static ngx_ampersand_link_t *
ngx_ampersand_cluster_link(ngx_ampersand_cluster_t *cluster, ngx_uint_t n)
{
    ngx_ampersand_link_opts_t      opts;
    ngx_ampersand_cluster_node_t  *node;

    if (n == 0) {
        return NULL;
    }

    node = cluster->nodes[n - 1];

    if (node->link) {
        return node->link;
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
    amp_span_t                argv[2];
    ngx_ampersand_cluster_t  *cluster;

    cluster = ev->data;
    cluster->asked = ngx_current_msec;

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

    why = ngx_ampersand_cluster_read(cluster, reply);

    if (why == NULL) {
        cluster->mapped = 1;
        cluster->failed = 0;

        ngx_ampersand_link_set_level(cluster->ask, NGX_LOG_INFO);
        ngx_ampersand_cluster_lead(cluster);

        if (!cluster->sweep.timer_set) {
            ngx_add_timer(&cluster->sweep, NGX_AMPERSAND_CLUSTER_SWEEP);
        }

        cluster->changed(cluster->data, 1);

        return;
    }

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


/*
 * Takes all of the map, or nothing of it.  NULL, or why the map cannot be used.
 */

static const char *
ngx_ampersand_cluster_read(ngx_ampersand_cluster_t *cluster, redisReply *reply)
{
    size_t           i;
    const char      *why;
    ngx_uint_t       unknown;
    amp_reply_t      view;
    amp_slot_map_t   map;

    view = amp_reply_hiredis(reply);

    if (amp_slot_map_open(&map, &view, ngx_ampersand_link_host(cluster->ask))
        != 0)
    {
        return "it is malformed";
    }

    why = ngx_ampersand_cluster_read_ranges(cluster, &map, &unknown);

    if (why != NULL) {
        return why;
    }

    for (i = 0; i < cluster->nnodes; i++) {
        if (cluster->nodes[i]) {
            cluster->nodes[i]->used = 0;
        }
    }

    cluster->holes = 0;

    for (i = 0; i < AMP_SLOTS; i++) {
        cluster->slots[i] = cluster->next[i];

        if (cluster->slots[i]) {
            cluster->nodes[cluster->slots[i] - 1]->used = 1;

        } else {
            cluster->holes = 1;
        }
    }

    ngx_ampersand_cluster_log_unknown(cluster, unknown);

    return NULL;
}


/*
 * Fills cluster->next.  *unknown: slots whose master has no known address,
 * which are left without a node.
 */

static const char *
ngx_ampersand_cluster_read_ranges(ngx_ampersand_cluster_t *cluster,
    amp_slot_map_t *map, ngx_uint_t *unknown)
{
    ngx_uint_t        i, n;
    amp_slot_range_t  range;

    *unknown = 0;
    ngx_memzero(cluster->next, sizeof(cluster->next));

    while (amp_slot_map_next(map, &range)) {

        if (range.unknown) {
            *unknown += range.last - range.first + 1;
            continue;
        }

        n = ngx_ampersand_cluster_node(cluster, &range.master);

        if (n == 0) {
            return "it names too many nodes";
        }

        for (i = range.first; i <= range.last; i++) {
            cluster->next[i] = (uint16_t) n;
        }
    }

    return NULL;
}


static void
ngx_ampersand_cluster_log_unknown(ngx_ampersand_cluster_t *cluster,
    ngx_uint_t unknown)
{
    const amp_redis_host_t  *host;

    if (unknown && !cluster->unknown) {
        host = ngx_ampersand_link_host(cluster->ask);

        ngx_log_error(NGX_LOG_ERR, cluster->links->log, 0,
                      "ampersand: Redis \"%s:%ui\" gives no address for the "
                      "master of %ui slots, which are not served: set "
                      "cluster-announce-hostname in Redis, or "
                      "cluster-preferred-endpoint-type ip",
                      host->host, (ngx_uint_t) host->port, unknown);
    }

    cluster->unknown = (unknown != 0);
}


/* Moves the follower where its node serves no slots any more. */

static void
ngx_ampersand_cluster_lead(ngx_ampersand_cluster_t *cluster)
{
    ngx_uint_t               i, n;
    amp_redis_host_t         host;
    const amp_redis_host_t  *now;

    if (cluster->follower_opts.locate == NULL) {
        return;
    }

    if (cluster->follower == NULL) {
        (void) ngx_ampersand_link_create(&cluster->follower,
                                         &cluster->follower_opts);
        return;
    }

    now = ngx_ampersand_link_host(cluster->follower);
    n = ngx_ampersand_cluster_turn(cluster, 0, NULL);

    for (i = 0; i < n; i++) {
        (void) ngx_ampersand_cluster_turn(cluster, i, &host);

        if (amp_redis_host_eq(&host, now)) {
            return;
        }
    }

    if (n) {
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

    for (i = 0; i < cluster->nnodes; i++) {
        node = cluster->nodes[i];

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

        ngx_free(node);
        cluster->nodes[i] = NULL;
    }

    if (busy) {
        ngx_add_timer(&cluster->sweep, NGX_AMPERSAND_CLUSTER_SWEEP);
    }
}
