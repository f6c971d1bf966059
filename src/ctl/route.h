/*
 * Which connection a command takes, and when it is sent again.
 *
 *   single    one server; a failure is final
 *   Sentinel  one server: the master that Sentinels name and that says itself
 *             that it is one; when it is lost, or is a replica now, the
 *             Sentinels are asked again
 *   Cluster   the node that serves the key's slot; MOVED and ASK are followed;
 *             after TRYAGAIN, CLUSTERDOWN, LOADING and a lost node the command
 *             is sent again after a pause
 *
 * All of that until the command's time-out; then the last error stands.
 */

#ifndef CTL_ROUTE_H
#define CTL_ROUTE_H


#include "cluster.h"
#include "nodes.h"
#include "sentinel.h"


#define ROUTE_ANY    CLUSTER_ANY    /* in place of a slot                     */
#define ROUTE_PAUSE  50             /* ms between two attempts                */


/* The owner sets the members of nodes and calls nodes_init(). */

typedef struct {
    nodes_t                nodes;
    cluster_t              cluster;
    sentinel_t             sentinel;
} route_t;


typedef struct {
    const char            *text;            /* RESP                           */
    size_t                 len;
    unsigned               slot;            /* or ROUTE_ANY                   */
    unsigned               idempotent:1;    /* sent again when its reply is
                                               lost: it may run twice         */
} route_command_t;


/*
 * The connection for a slot, which is made if there is none.  NULL with the
 * error and nodes.retry set.
 */

connection_t *route_connection(route_t *route, unsigned slot,
    int64_t deadline, ctl_error_t *error);

/* Whether a server takes writes: a cluster's with slots, Sentinel's master. */

int route_serves(const route_t *route, unsigned node);

/* Closes a connection that is of no more use; its node is looked for again. */

void route_lost(route_t *route, connection_t *c);

/*
 * Runs a command.  Its reply, which the caller frees and which may be an error
 * reply that another attempt does not change: then the error is set as well.
 * NULL with the error set: no reply.
 */

redisReply *route_call(route_t *route, const route_command_t *command,
    ctl_error_t *error);


#endif /* CTL_ROUTE_H */
