/*
 * The slot map of a cluster (CLUSTER SLOTS, amp_slot_map.h): its nodes, and
 * which of them serves which slot.  It asks nobody; ngx_ampersand_cluster.h
 * does, and makes the links.
 */

#ifndef NGX_AMPERSAND_CLUSTER_MAP_H
#define NGX_AMPERSAND_CLUSTER_MAP_H


#include "ngx_ampersand_link.h"
#include "amp_slot_map.h"


typedef struct {
    amp_redis_host_t               host;
    ngx_ampersand_link_t          *link;        /* the owner's; NULL: none    */
    unsigned                       used:1;      /* it serves slots            */
} ngx_ampersand_cluster_node_t;


/* The owner sets log, clears the rest, and may read all but next. */

typedef struct {
    ngx_log_t                     *log;
    ngx_uint_t                     nnodes;
    ngx_ampersand_cluster_node_t  *nodes[AMP_SLOT_MAP_NODES]; /* or NULL      */
    uint16_t                       slots[AMP_SLOTS];  /* index + 1, or 0      */
    uint16_t                       next[AMP_SLOTS];   /* being read           */
    ngx_uint_t                     unknown;     /* slots whose master has no
                                                   known address              */
    unsigned                       mapped:1;    /* a map was read             */
    unsigned                       holes:1;     /* slots without a node       */
} ngx_ampersand_cluster_map_t;


/*
 * Takes all of the map that the host answered gave, or nothing of it.  NULL, or
 * why the map cannot be used, a static text.  Nodes that serve no slot any more
 * stay until ngx_ampersand_cluster_map_drop().
 */

const char *ngx_ampersand_cluster_map_read(ngx_ampersand_cluster_map_t *map,
    redisReply *reply, const amp_redis_host_t *answered);

/* The node that serves a slot, or NULL. */

ngx_ampersand_cluster_node_t *ngx_ampersand_cluster_map_slot(
    ngx_ampersand_cluster_map_t *map, ngx_uint_t slot);

/* The node with this host, added if new.  NULL: no room or no memory. */

ngx_ampersand_cluster_node_t *ngx_ampersand_cluster_map_node(
    ngx_ampersand_cluster_map_t *map, const amp_redis_host_t *host);

/* The same node, which serves the slot from now on. */

ngx_ampersand_cluster_node_t *ngx_ampersand_cluster_map_moved(
    ngx_ampersand_cluster_map_t *map, ngx_uint_t slot,
    const amp_redis_host_t *host);

/* How many nodes serve slots; *host, unless NULL: that of the one in turn. */

ngx_uint_t ngx_ampersand_cluster_map_masters(ngx_ampersand_cluster_map_t *map,
    ngx_uint_t turn, amp_redis_host_t *host);

/* 1 where the node with this host serves slots, else 0. */

ngx_uint_t ngx_ampersand_cluster_map_serves(ngx_ampersand_cluster_map_t *map,
    const amp_redis_host_t *host);

/* Frees the node with this index; its link has to be closed. */

void ngx_ampersand_cluster_map_drop(ngx_ampersand_cluster_map_t *map,
    ngx_uint_t i);


#endif /* NGX_AMPERSAND_CLUSTER_MAP_H */
