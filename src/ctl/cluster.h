/*
 * A Redis cluster: which node holds a slot.
 */

#ifndef CTL_CLUSTER_H
#define CTL_CLUSTER_H


#include "route.h"


/*
 * The connection to the node that holds a slot, or for ROUTE_ANY to any that
 * holds some.  Learns the map of the cluster first where it is not there.
 * NULL with the error and route->later filled.
 */

connection_t *cluster_connection(route_t *route, unsigned slot,
    int64_t deadline, ctl_error_t *error);


#endif /* CTL_CLUSTER_H */
