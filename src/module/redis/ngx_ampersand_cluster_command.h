/*
 * Commands to a cluster: each goes to the node of its key's slot, and again to
 * another one when that node says so.
 *
 *            no map yet            MOVED, ASK
 *   PARKED ◀──────────── new ─▶ SENT ──────┐
 *     │ ▲                       │ ▲ ▲      │
 *     │ └─ TRYAGAIN, node lost ─┘ │ └──────┘
 *     └── map, or a little later ─┘
 *
 *   node lost    waits for the map, where that is asked for at once: another
 *                node may have its slots
 *   MOVED        the slot is there from now on
 *   ASK          this command alone goes there, after ASKING
 *   all else     is the caller's, CLUSTERDOWN included
 *
 * A command is sent at most NGX_AMPERSAND_CLUSTER_COMMAND_TRIES times: then a MOVED, too,
 * is its caller's.  All that has one time-out, at which the caller is told; the
 * reply, if it comes, is dropped.
 * A call keeps a copy of its command.
 */

#ifndef NGX_AMPERSAND_CLUSTER_COMMAND_H
#define NGX_AMPERSAND_CLUSTER_COMMAND_H


#include "ngx_ampersand_cluster.h"


#define NGX_AMPERSAND_CLUSTER_COMMAND_TRIES     5
#define NGX_AMPERSAND_CLUSTER_COMMAND_TRYAGAIN  10        /* ms                         */


typedef struct {
    ngx_ampersand_links_t    *links;
    ngx_ampersand_cluster_t  *cluster;
    ngx_queue_t               queue;
    ngx_uint_t                parked;
} ngx_ampersand_cluster_commands_t;


/* As ngx_ampersand_link_command(). */

ngx_int_t ngx_ampersand_cluster_command_send(ngx_ampersand_cluster_commands_t *calls,
    amp_span_t key, ngx_uint_t argc, const amp_span_t *argv,
    ngx_ampersand_reply_pt handler, void *data);

/* A map has come. */

void ngx_ampersand_cluster_command_resume(ngx_ampersand_cluster_commands_t *calls);

/* Frees all, without calling anybody; the cluster has to be closed before. */

void ngx_ampersand_cluster_command_close(ngx_ampersand_cluster_commands_t *calls);


#endif /* NGX_AMPERSAND_CLUSTER_COMMAND_H */
