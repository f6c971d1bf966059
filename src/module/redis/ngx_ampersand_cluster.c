#include "ngx_ampersand_cluster.h"
#include "ngx_ampersand_redis_error.h"


#define NGX_AMPERSAND_CLUSTER_SWEEP  1000       /* ms                         */


typedef struct {
    amp_redis_host_t                 host;
    ngx_ampersand_link_t            *link;      /* NULL: never used           */
    unsigned                         used:1;    /* in the map                 */
} ngx_ampersand_cluster_node_t;


struct ngx_ampersand_cluster_s {
    ngx_ampersand_links_t           *links;
    ngx_ampersand_cluster_pt         changed;
    void                            *data;

    ngx_ampersand_link_t            *ask;       /* for the map                */
    ngx_ampersand_link_t            *follower;  /* NULL: no map yet           */
    ngx_ampersand_link_opts_t        follower_opts;
    ngx_uint_t                       turns[2];  /* of ask, of follower        */

    ngx_event_t                      refresh;   /* cancelable                 */
    ngx_event_t                      sweep;     /* cancelable                 */
    ngx_msec_t                       asked;
    ngx_uint_t                       rounds;    /* requests on end            */
    unsigned                         asking:1;
    unsigned                         mapped:1;
    unsigned                         holes:1;   /* slots without a node       */
    unsigned                         refused:1; /* said that there is no map  */

    ngx_uint_t                       nnodes;
    ngx_ampersand_cluster_node_t    *nodes[NGX_AMPERSAND_CLUSTER_NODES];
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
static ngx_int_t ngx_ampersand_cluster_read(ngx_ampersand_cluster_t *cluster,
    redisReply *reply);
static ngx_int_t ngx_ampersand_cluster_range(ngx_ampersand_cluster_t *cluster,
    redisReply *range);
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
        return (cluster->refused || ngx_ampersand_link_failures(cluster->ask))
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


/* Where to ask for the map: masters, then the directive's hosts. */

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


/* How many masters the map names; host: the one whose turn it is. */

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


/* Index + 1; 0 without room for one more. */

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

        } else if (node->host.port == host->port
                   && ngx_strcmp(node->host.host, host->host) == 0)
        {
            return i + 1;
        }
    }

    if (hole == NGX_AMPERSAND_CLUSTER_NODES) {
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
    opts.effect = "known tenants of its slots are served from memory, unknown "
                  "ones get 503";
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

    /* where it cannot be asked, it will be when its link is there */

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

    size_t                   len;
    u_char                  *text;
    ngx_ampersand_redis_error_t  refusal;

    cluster->asking = 0;

    if (rc != NGX_OK) {
        return;
    }

    if (ngx_ampersand_cluster_read(cluster, reply) == NGX_OK) {
        cluster->mapped = 1;
        cluster->refused = 0;

        ngx_ampersand_link_set_level(cluster->ask, NGX_LOG_INFO);
        ngx_ampersand_cluster_lead(cluster);

        if (!cluster->sweep.timer_set) {
            ngx_add_timer(&cluster->sweep, NGX_AMPERSAND_CLUSTER_SWEEP);
        }

        cluster->changed(cluster->data, 1);

        return;
    }

    if (!cluster->refused) {
        cluster->refused = 1;
        text = (u_char *) "it is malformed";
        len = ngx_strlen(text);

        if (reply->type == REDIS_REPLY_ERROR) {
            refusal.len = 0;
            ngx_ampersand_redis_error_set(&refusal, reply);
            text = refusal.text;
            len = refusal.len;
        }

        ngx_log_error(NGX_LOG_ERR, cluster->links->log, 0,
                      "ampersand: Redis \"%s:%ui\" gives no slot map: %*s",
                      ngx_ampersand_link_host(cluster->ask)->host,
                      (ngx_uint_t) ngx_ampersand_link_host(cluster->ask)->port,
                      len, text);

        cluster->changed(cluster->data, 0);
    }

    (void) ngx_ampersand_cluster_refresh(cluster);
}


/* All of the map, or nothing of it. */

static ngx_int_t
ngx_ampersand_cluster_read(ngx_ampersand_cluster_t *cluster, redisReply *reply)
{
    size_t      i;
    ngx_uint_t  holes;

    if (reply->type != REDIS_REPLY_ARRAY) {
        return NGX_ERROR;
    }

    ngx_memzero(cluster->next, sizeof(cluster->next));

    for (i = 0; i < reply->elements; i++) {
        if (ngx_ampersand_cluster_range(cluster, reply->element[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    for (i = 0; i < cluster->nnodes; i++) {
        if (cluster->nodes[i]) {
            cluster->nodes[i]->used = 0;
        }
    }

    holes = 0;

    for (i = 0; i < AMP_SLOTS; i++) {
        cluster->slots[i] = cluster->next[i];

        if (cluster->slots[i]) {
            cluster->nodes[cluster->slots[i] - 1]->used = 1;

        } else {
            holes = 1;
        }
    }

    cluster->holes = holes;

    return NGX_OK;
}


/* [first, last, [host, port, ...], replicas ...] */

static ngx_int_t
ngx_ampersand_cluster_range(ngx_ampersand_cluster_t *cluster,
    redisReply *range)
{
    long long           i, first, last;
    ngx_uint_t          n;
    redisReply        **element, **master;
    amp_redis_host_t    host;

    element = range->element;

    if (range->type != REDIS_REPLY_ARRAY || range->elements < 3
        || element[0]->type != REDIS_REPLY_INTEGER
        || element[1]->type != REDIS_REPLY_INTEGER
        || element[2]->type != REDIS_REPLY_ARRAY || element[2]->elements < 2)
    {
        return NGX_ERROR;
    }

    first = element[0]->integer;
    last = element[1]->integer;
    master = element[2]->element;

    if (first < 0 || last < first || last >= AMP_SLOTS
        || master[1]->type != REDIS_REPLY_INTEGER
        || master[1]->integer < 1 || master[1]->integer > 65535)
    {
        return NGX_ERROR;
    }

    /* a node that does not know what it is called: as it was reached */

    host = *ngx_ampersand_link_host(cluster->ask);
    host.port = (unsigned) master[1]->integer;

    if (master[0]->type == REDIS_REPLY_STRING && master[0]->len
        && ngx_strcmp(master[0]->str, "?") != 0)
    {
        if (ngx_ampersand_reply_len(master[0]) >= AMP_REDIS_URL_TEXT) {
            return NGX_ERROR;
        }

        (void) ngx_cpystrn((u_char *) host.host, (u_char *) master[0]->str,
                           AMP_REDIS_URL_TEXT);
    }

    n = ngx_ampersand_cluster_node(cluster, &host);

    if (n == 0) {
        return NGX_ERROR;
    }

    for (i = first; i <= last; i++) {
        cluster->next[i] = (uint16_t) n;
    }

    return NGX_OK;
}


/* The follower stays where it is as long as that is in the map. */

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

        if (host.port == now->port && ngx_strcmp(host.host, now->host) == 0) {
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
