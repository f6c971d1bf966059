/*
 * A Redis cluster: which node serves which slot, and a link to each node that
 * is used.
 *
 * One more link asks for the slot map (CLUSTER SLOTS: Redis 6, 7, Valkey): any
 * master that the last map named, or a host of the directive, one after the
 * other as they fail.  The map is asked for anew after MOVED and CLUSTERDOWN,
 * when a node's link is lost or cannot be made, and when a slot has no node:
 * one request at a time, with jittered back-off while reasons keep coming.
 *
 * A node that is lost takes down its slots only.  A node that serves no slot
 * any more is closed when nobody waits for it.
 */

#ifndef NGX_AMPERSAND_CLUSTER_H
#define NGX_AMPERSAND_CLUSTER_H


#include "ngx_ampersand_link.h"
#include "amp_slot.h"


#define NGX_AMPERSAND_CLUSTER_NODES  1024


typedef struct ngx_ampersand_cluster_s  ngx_ampersand_cluster_t;


typedef enum {
    NGX_AMPERSAND_CLUSTER_STARTING = 0,
    NGX_AMPERSAND_CLUSTER_UP,
    NGX_AMPERSAND_CLUSTER_DEGRADED      /* no map, slot or node         */
} ngx_ampersand_cluster_state_e;


/* The state may be another one; a map (map = 1) has come. */

typedef void (*ngx_ampersand_cluster_pt)(void *data, ngx_uint_t map);


/* NULL without memory. */

ngx_ampersand_cluster_t *ngx_ampersand_cluster_create(
    ngx_ampersand_links_t *links, ngx_ampersand_cluster_pt changed,
    void *data);

ngx_ampersand_cluster_state_e ngx_ampersand_cluster_state(
    ngx_ampersand_cluster_t *cluster);

/*
 * The link to the slot's node.  NGX_AGAIN: the first map is under way, and
 * changed() will tell.  NGX_DECLINED: nobody serves it.  NGX_ERROR: no memory.
 */

ngx_int_t ngx_ampersand_cluster_slot(ngx_ampersand_cluster_t *cluster,
    ngx_uint_t slot, ngx_ampersand_link_t **link);

/* A node said ASK: the link to that host.  NULL: no room for it. */

ngx_ampersand_link_t *ngx_ampersand_cluster_host(
    ngx_ampersand_cluster_t *cluster, const amp_redis_host_t *host);

/* A node said MOVED: the slot goes there, as the next map will say too. */

ngx_ampersand_link_t *ngx_ampersand_cluster_moved(
    ngx_ampersand_cluster_t *cluster, ngx_uint_t slot,
    const amp_redis_host_t *host);

/*
 * The map may be wrong.  NGX_OK: it is asked for now, changed() will tell.
 * NGX_AGAIN: later, it has been asked for lately.
 */

ngx_int_t ngx_ampersand_cluster_refresh(ngx_ampersand_cluster_t *cluster);

/*
 * Makes a link to any one master, once there is a map, as opts says but for
 * locate.  The link is moved when its node is in the map no longer, and closed
 * with the cluster.  Once a cluster.
 */

void ngx_ampersand_cluster_follow(ngx_ampersand_cluster_t *cluster,
    ngx_ampersand_link_opts_t *opts);

/* Closes all links, without calling anybody. */

void ngx_ampersand_cluster_close(ngx_ampersand_cluster_t *cluster);


#endif /* NGX_AMPERSAND_CLUSTER_H */
