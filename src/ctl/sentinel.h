/*
 * Redis behind Sentinels (Redis documentation, "Guidelines for Redis clients
 * with support for Redis Sentinel").
 */

#ifndef CTL_SENTINEL_H
#define CTL_SENTINEL_H


#include "nodes.h"


typedef struct {
    unsigned  master;               /* 1 + index of the node, or 0            */
    unsigned  first;                /* the Sentinel of the URL to ask first   */
} sentinel_t;


/*
 * The connection to the master.  Asks the Sentinels in turn for its address,
 * first the one that answered last; the server at that address has to confirm
 * with ROLE that it is a master.  NULL with the error and nodes->retry set: 1
 * while a fail-over may be under way, 0 where no Sentinel answers or none knows
 * the name.
 */

connection_t *sentinel_connection(sentinel_t *sentinel, nodes_t *nodes,
    int64_t deadline, ctl_error_t *error);

/*
 * Asks Sentinel i of the URL for the master.  1 with *master set, 0 where it
 * monitors no master of that name, or -1 with the error set.
 */

int sentinel_ask(const nodes_t *nodes, unsigned i, int64_t deadline,
    amp_redis_host_t *master, ctl_error_t *error);


#endif /* CTL_SENTINEL_H */
