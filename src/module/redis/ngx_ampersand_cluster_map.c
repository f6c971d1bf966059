#include "ngx_ampersand_cluster_map.h"
#include "amp_redis_host.h"


static const char *ngx_ampersand_cluster_map_ranges(
    ngx_ampersand_cluster_map_t *map, amp_slot_map_t *reader,
    ngx_uint_t *unknown);
static ngx_uint_t ngx_ampersand_cluster_map_index(
    ngx_ampersand_cluster_map_t *map, const amp_redis_host_t *host);


const char *
ngx_ampersand_cluster_map_read(ngx_ampersand_cluster_map_t *map,
    redisReply *reply, const amp_redis_host_t *answered)
{
    size_t           i;
    const char      *why;
    ngx_uint_t       unknown;
    amp_reply_t      view;
    amp_slot_map_t   reader;

    view = amp_reply_hiredis(reply);

    if (amp_slot_map_open(&reader, &view, answered) != 0) {
        return "it is malformed";
    }

    why = ngx_ampersand_cluster_map_ranges(map, &reader, &unknown);

    if (why != NULL) {
        return why;
    }

    for (i = 0; i < map->nnodes; i++) {
        if (map->nodes[i]) {
            map->nodes[i]->used = 0;
        }
    }

    map->mapped = 1;
    map->holes = 0;
    map->unknown = unknown;

    for (i = 0; i < AMP_SLOTS; i++) {
        map->slots[i] = map->next[i];

        if (map->slots[i]) {
            map->nodes[map->slots[i] - 1]->used = 1;

        } else {
            map->holes = 1;
        }
    }

    return NULL;
}


/*
 * Fills map->next.  *unknown: slots whose master has no known address, which
 * are left without a node.
 */

static const char *
ngx_ampersand_cluster_map_ranges(ngx_ampersand_cluster_map_t *map,
    amp_slot_map_t *reader, ngx_uint_t *unknown)
{
    ngx_uint_t        i, n, ranges;
    amp_slot_range_t  range;

    *unknown = 0;
    ngx_memzero(map->next, sizeof(map->next));

    for (ranges = 0; amp_slot_map_next(reader, &range); ranges++) {

        if (range.unknown) {
            *unknown += range.last - range.first + 1;
            continue;
        }

        n = ngx_ampersand_cluster_map_index(map, &range.master);

        if (n == 0) {
            return "it names too many nodes";
        }

        for (i = range.first; i <= range.last; i++) {
            map->next[i] = (uint16_t) n;
        }
    }

    /* that of a node which is in no cluster, or not any more */

    return ranges ? NULL : "it names no slots";
}


ngx_ampersand_cluster_node_t *
ngx_ampersand_cluster_map_slot(ngx_ampersand_cluster_map_t *map,
    ngx_uint_t slot)
{
    return map->slots[slot] ? map->nodes[map->slots[slot] - 1] : NULL;
}


ngx_ampersand_cluster_node_t *
ngx_ampersand_cluster_map_node(ngx_ampersand_cluster_map_t *map,
    const amp_redis_host_t *host)
{
    ngx_uint_t  n;

    n = ngx_ampersand_cluster_map_index(map, host);

    return n ? map->nodes[n - 1] : NULL;
}


ngx_ampersand_cluster_node_t *
ngx_ampersand_cluster_map_moved(ngx_ampersand_cluster_map_t *map,
    ngx_uint_t slot, const amp_redis_host_t *host)
{
    ngx_uint_t  n;

    n = ngx_ampersand_cluster_map_index(map, host);

    if (n == 0) {
        return NULL;
    }

    map->slots[slot] = (uint16_t) n;
    map->nodes[n - 1]->used = 1;

    return map->nodes[n - 1];
}


ngx_uint_t
ngx_ampersand_cluster_map_masters(ngx_ampersand_cluster_map_t *map,
    ngx_uint_t turn, amp_redis_host_t *host)
{
    ngx_uint_t  i, n;

    n = 0;

    for (i = 0; i < map->nnodes; i++) {
        if (map->nodes[i] && map->nodes[i]->used) {
            if (host && n == turn) {
                *host = map->nodes[i]->host;
            }

            n++;
        }
    }

    return n;
}


ngx_uint_t
ngx_ampersand_cluster_map_serves(ngx_ampersand_cluster_map_t *map,
    const amp_redis_host_t *host)
{
    ngx_uint_t                     i;
    ngx_ampersand_cluster_node_t  *node;

    for (i = 0; i < map->nnodes; i++) {
        node = map->nodes[i];

        if (node && node->used && amp_redis_host_eq(&node->host, host)) {
            return 1;
        }
    }

    return 0;
}


/* Index + 1 of the node, which is added if new; 0: no room or no memory. */

static ngx_uint_t
ngx_ampersand_cluster_map_index(ngx_ampersand_cluster_map_t *map,
    const amp_redis_host_t *host)
{
    ngx_uint_t                     i, hole;
    ngx_ampersand_cluster_node_t  *node;

    hole = map->nnodes;

    for (i = 0; i < map->nnodes; i++) {
        node = map->nodes[i];

        if (node == NULL) {
            hole = i;

        } else if (amp_redis_host_eq(&node->host, host)) {
            return i + 1;
        }
    }

    if (hole == AMP_SLOT_MAP_NODES) {
        return 0;
    }

    node = ngx_calloc(sizeof(*node), map->log);
    if (node == NULL) {
        return 0;
    }

    node->host = *host;
    map->nodes[hole] = node;
    map->nnodes = ngx_max(map->nnodes, hole + 1);

    return hole + 1;
}


void
ngx_ampersand_cluster_map_drop(ngx_ampersand_cluster_map_t *map, ngx_uint_t i)
{
    ngx_free(map->nodes[i]);
    map->nodes[i] = NULL;
}
