/*
 * A Redis cluster: which node serves a slot.
 */

#ifndef CTL_CLUSTER_H
#define CTL_CLUSTER_H


#include "../core/amp_slot.h"
#include "nodes.h"


#define CLUSTER_ANY  AMP_SLOTS          /* in place of a slot: any node       */


typedef struct {
    unsigned        mapped:1;           /* the slot map was read              */
    unsigned        unknown:1;          /* it has masters without an address  */
    unsigned short  slots[AMP_SLOTS];   /* 1 + index of the node, or 0        */
} cluster_t;


/*
 * The connection to the node that serves a slot, or for CLUSTER_ANY to any node
 * that serves slots.  Reads the slot map first unless cluster->mapped.  NULL
 * with the error and nodes->retry set.
 */

connection_t *cluster_connection(cluster_t *cluster, nodes_t *nodes,
    unsigned slot, int64_t deadline, ctl_error_t *error);

/*
 * Follows a MOVED or ASK: after MOVED the node that it names serves the slot.
 * The index of the node, or -1: it names no node whose address is known, and
 * after MOVED the map is read before the next command.
 */

int cluster_redirect(cluster_t *cluster, nodes_t *nodes,
    const amp_redirect_t *to);


#endif /* CTL_CLUSTER_H */
