/*
 * Commands to a cluster: each is sent to the node of its key's slot, and sent
 * once more where that node answers MOVED, ASK or TRYAGAIN, or is lost.
 *
 *            no map so far         MOVED, ASK
 *   PARKED ◀──────────── new ─▶ SENT ──────┐
 *     │ ▲                       │ ▲ ▲      │
 *     │ └─ TRYAGAIN, node lost ─┘ │ └──────┘
 *     └─ new map, or its timer ───┘
 *
 *   node lost     waits for the map where that is asked for at once: another
 *                 node may serve its slots
 *   MOVED         the node that it names serves the slot from now on; where it
 *                 names none ("?"), the command waits for the map
 *   ASK           this command alone is sent there, after ASKING; where it
 *                 names no node, as TRYAGAIN
 *   TRYAGAIN      after NGX_AMPERSAND_CLUSTER_COMMAND_TRYAGAIN ms
 *   other errors  the caller's, CLUSTERDOWN included
 *
 * A command is sent at most NGX_AMPERSAND_CLUSTER_COMMAND_TRIES times: after
 * that MOVED, ASK and TRYAGAIN are the caller's as well.  All of it has one
 * time-out, at which the caller's handler is called; the reply of a command
 * that was sent is waited for all the same, and dropped.
 */

#ifndef NGX_AMPERSAND_CLUSTER_COMMAND_H
#define NGX_AMPERSAND_CLUSTER_COMMAND_H


#include "ngx_ampersand_cluster.h"


#define NGX_AMPERSAND_CLUSTER_COMMAND_TRIES     5
#define NGX_AMPERSAND_CLUSTER_COMMAND_TRYAGAIN  10      /* ms                 */


/* A worker's commands to a cluster; the owner sets links, cluster, queue. */

typedef struct {
    ngx_ampersand_links_t    *links;
    ngx_ampersand_cluster_t  *cluster;
    ngx_queue_t               queue;        /* all of them                    */
    ngx_uint_t                parked;       /* how many are not sent          */
} ngx_ampersand_cluster_commands_t;


/*
 * As ngx_ampersand_link_command(), to the node that serves the key's slot.  The
 * arguments are copied.
 */

ngx_int_t ngx_ampersand_cluster_command_send(
    ngx_ampersand_cluster_commands_t *commands, amp_span_t key,
    ngx_uint_t argc, const amp_span_t *argv, ngx_ampersand_reply_pt handler,
    void *data);

/* A new map is in use: sends the commands that wait for it. */

void ngx_ampersand_cluster_command_resume(
    ngx_ampersand_cluster_commands_t *commands);

/*
 * Frees all commands, without calling their handlers.  The cluster has to be
 * closed before.
 */

void ngx_ampersand_cluster_command_close(
    ngx_ampersand_cluster_commands_t *commands);


#endif /* NGX_AMPERSAND_CLUSTER_COMMAND_H */
