/*
 * A Redis cluster: which node serves which slot, and a link to each node that
 * commands are sent to.
 *
 * One more link asks for the slot map (ngx_ampersand_cluster_map.h).  It asks
 * any master of the last map, or a host of the directive; when one fails, or
 * gives a map that cannot be used, the next.  The map is asked for again after
 * MOVED and CLUSTERDOWN, when a node's link is lost or cannot be made, and when
 * a slot has no node: one request at a time, and with jittered back-off while
 * such reasons follow each other.  It is asked for each three seconds as well,
 * of a master, since a node that leaves the cluster keeps its connections: a
 * worker without traffic would go on to listen there.
 *
 * When a node is lost, its slots fail, and no others.  A node that serves no
 * slot any more is closed when no command waits for its reply.
 */

#ifndef NGX_AMPERSAND_CLUSTER_H
#define NGX_AMPERSAND_CLUSTER_H


#include "ngx_ampersand_link.h"
#include "amp_slot.h"


typedef struct ngx_ampersand_cluster_s  ngx_ampersand_cluster_t;


typedef enum {
    NGX_AMPERSAND_CLUSTER_STARTING = 0, /* no map so far, no failure so far   */
    NGX_AMPERSAND_CLUSTER_UP,
    NGX_AMPERSAND_CLUSTER_DEGRADED      /* no map, a slot without a node, or a
                                           node out of reach                  */
} ngx_ampersand_cluster_state_e;


/* The state may have changed; map = 1: a new map is in use. */

typedef void (*ngx_ampersand_cluster_pt)(void *data, ngx_uint_t map);


/*
 * Creates a cluster and begins to ask for its map.  links and data have to
 * outlive it.  NULL: no memory.
 */

ngx_ampersand_cluster_t *ngx_ampersand_cluster_create(
    ngx_ampersand_links_t *links, ngx_ampersand_cluster_pt changed,
    void *data);

ngx_ampersand_cluster_state_e ngx_ampersand_cluster_state(
    ngx_ampersand_cluster_t *cluster);

/*
 * The link to the node of a slot.  NGX_AGAIN: the first map is under way, and
 * changed() is called when it is in use or has failed.  NGX_DECLINED: no node
 * serves the slot.  NGX_ERROR: no memory.
 */

ngx_int_t ngx_ampersand_cluster_slot(ngx_ampersand_cluster_t *cluster,
    ngx_uint_t slot, ngx_ampersand_link_t **link);

/*
 * After ASK: the link to the node that it names.  NULL: no memory, or more than
 * AMP_SLOT_MAP_NODES nodes.
 */

ngx_ampersand_link_t *ngx_ampersand_cluster_host(
    ngx_ampersand_cluster_t *cluster, const amp_redis_host_t *host);

/*
 * After MOVED: the link to the node that it names, which serves the slot from
 * now on.  The map is asked for as well.  NULL as above.
 */

ngx_ampersand_link_t *ngx_ampersand_cluster_moved(
    ngx_ampersand_cluster_t *cluster, ngx_uint_t slot,
    const amp_redis_host_t *host);

/*
 * Asks for the map, which may be out of date.  NGX_OK: it is asked for now, and
 * changed() is called.  NGX_AGAIN: later, it has been asked for a moment ago.
 */

ngx_int_t ngx_ampersand_cluster_refresh(ngx_ampersand_cluster_t *cluster);

/*
 * Makes a link to any one master, as soon as there is a map, with these options
 * (copied) but for locate.  The link is moved when its node is in the map no
 * longer, and closed with the cluster.  At most one call for each cluster.
 */

void ngx_ampersand_cluster_follow(ngx_ampersand_cluster_t *cluster,
    ngx_ampersand_link_opts_t *opts);

/* Closes all links, without calling any handler, and frees the cluster. */

void ngx_ampersand_cluster_close(ngx_ampersand_cluster_t *cluster);


#endif /* NGX_AMPERSAND_CLUSTER_H */
