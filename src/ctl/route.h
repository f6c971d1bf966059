/*
 * Which connection a command takes, and when it is sent again.
 *
 *   single    one node.  What fails has failed.
 *   Sentinel  one node: the master that Sentinels name and that says it is
 *             one.  Lost, or no longer one: they are asked again.
 *   Cluster   the node that holds the key's slot.  MOVED and ASK are followed;
 *             TRYAGAIN, CLUSTERDOWN, LOADING and a lost node are waited out.
 *
 * All of that until the command's time is over; then the last fault stands.
 */

#ifndef CTL_ROUTE_H
#define CTL_ROUTE_H


#include "../core/amp_slot.h"
#include "connection.h"
#include "secret.h"


#define ROUTE_ANY    AMP_SLOTS      /* in place of a slot                     */
#define ROUTE_PAUSE  50             /* ms between two attempts                */


typedef struct {
    amp_redis_host_t       host;
    connection_t          *connection;      /* or NULL                        */
    unsigned               slots;           /* of a cluster, that it holds    */
    unsigned               replicas;
    unsigned               lost:1;          /* so it is asked last            */
} route_node_t;


typedef struct {
    amp_redis_url_t        url;             /* without its password           */
    secret_t               password;
    connection_options_t   options;
    unsigned               timeout;         /* ms, of a command               */

    route_node_t          *nodes;
    unsigned               nnodes;
    unsigned               master;          /* Sentinel: 1 + index, or 0      */
    unsigned               sentinel;        /* to be asked first              */
    unsigned               learned:1;       /* Cluster: the map is there      */
    unsigned               later:1;         /* another attempt may do better  */
    unsigned short         slots[AMP_SLOTS];/* 1 + index of nodes, or 0       */
} route_t;


typedef struct {
    const char            *text;            /* RESP                           */
    size_t                 len;
    unsigned               slot;            /* or ROUTE_ANY                   */
    unsigned               twice:1;         /* may run twice: an answer that
                                               got lost does not end it       */
} route_command_t;


/* Connections are made when they are needed. */

void route_init(route_t *route);
void route_close(route_t *route);

/* The index of a node, which is added when it is new. */

unsigned route_node(route_t *route, const amp_redis_host_t *host);

/*
 * The node's connection, which is made where there is none.  NULL with the
 * error and route->later filled.
 */

connection_t *route_open(route_t *route, unsigned node, int64_t deadline,
    ctl_error_t *error);

/* The connection for a slot, else as route_open(). */

connection_t *route_connection(route_t *route, unsigned slot,
    int64_t deadline, ctl_error_t *error);

/* The connection is of no use any more. */

void route_lost(route_t *route, connection_t *c);

/*
 * Runs a command.  The reply, which may be an error reply where waiting does
 * not help: then the error is filled as well.  NULL with the error filled.
 */

redisReply *route_call(route_t *route, const route_command_t *command,
    ctl_error_t *error);

/*
 * Until when one of n servers that may stand in for each other is asked: at
 * most half of what is left is one's.
 */

int64_t route_share(const route_t *route, unsigned n, int64_t deadline);


#endif /* CTL_ROUTE_H */
