/*
 * The Redis servers that ampctl connects to, and what all connections to them
 * have in common: the URL, the password, the time-out.  Which of them a command
 * is sent to is decided above: route.h, cluster.h, sentinel.h.
 */

#ifndef CTL_NODES_H
#define CTL_NODES_H


#include "../core/amp_redis_url.h"
#include "connection.h"
#include "secret.h"


typedef struct {
    amp_redis_host_t       host;
    connection_t          *connection;      /* or NULL                        */
    unsigned               lost:1;          /* the last connection failed     */
    unsigned               slots;           /* of a cluster, that it serves   */
    unsigned               replicas;        /* of a cluster's master          */
} node_t;


/* The owner sets url, password, options.tls and timeout before nodes_init(). */

typedef struct {
    amp_redis_url_t        url;             /* without its password           */
    secret_t               password;
    connection_options_t   options;
    unsigned               timeout;         /* ms, of a command               */

    node_t                *list;
    unsigned               n;
    unsigned               changes;         /* see store_changes()            */
    unsigned               retry:1;         /* after a failure: another
                                               attempt may succeed            */
} nodes_t;


/*
 * Adds the servers of the URL; of Sentinel's URL none, its hosts are Sentinels.
 * Connections are made when they are needed.
 */

void nodes_init(nodes_t *nodes);

/* Closes all connections and frees the list. */

void nodes_close(nodes_t *nodes);

/*
 * The index of a server, which is added if it is new; -1 where there are
 * AMP_SLOT_MAP_NODES of them.
 */

int nodes_add(nodes_t *nodes, const amp_redis_host_t *host);

/*
 * The connection to a server, which is made if there is none, by the deadline
 * (connection_clock()).  NULL with the error and nodes->retry set.
 */

connection_t *nodes_connect(nodes_t *nodes, unsigned i, int64_t deadline,
    ctl_error_t *error);

/* Closes a connection that is of no more use. */

void nodes_lost(nodes_t *nodes, connection_t *c);

/*
 * The time until which one of n servers that can replace each other is asked:
 * at most half of what is left before the deadline.
 */

int64_t nodes_share(const nodes_t *nodes, unsigned n, int64_t deadline);


#endif /* CTL_NODES_H */
