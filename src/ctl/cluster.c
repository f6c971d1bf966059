/*
 * A Redis cluster.
 *
 * The map comes from CLUSTER SLOTS of any node: those of the URL are only the
 * first to be asked.  It is learned anew when a node is lost or says that the
 * cluster is down; a redirection changes one slot of it.
 */

#include <string.h>

#include "cluster.h"
#include "fault.h"


/*
 * The node of an entry "host, port, id...".  A node that does not know its
 * address is at that of the node which tells; "?" is a host name not known
 * yet.  0, or -1 when it cannot be used.
 */

static int
cluster_host(const redisReply *entry, const amp_redis_host_t *teller,
    amp_redis_host_t *host)
{
    const redisReply  *name, *port;

    if (entry->type != REDIS_REPLY_ARRAY || entry->elements < 2) {
        return -1;
    }

    name = entry->element[0];
    port = entry->element[1];

    if (port->type != REDIS_REPLY_INTEGER || port->integer < 1
        || port->integer > 65535)
    {
        return -1;
    }

    *host = *teller;
    host->port = (unsigned) port->integer;

    if (name->type == REDIS_REPLY_NIL || name->len == 0) {
        return 0;
    }

    if (name->str == NULL || (size_t) name->len >= sizeof(host->host)
        || strcmp(name->str, "?") == 0)
    {
        return -1;
    }

    memset(host->host, 0, sizeof(host->host));
    memcpy(host->host, name->str, (size_t) name->len);

    return 0;
}


/* One range of slots: first, last, master, replicas... */

static void
cluster_range(route_t *route, const redisReply *range,
    const amp_redis_host_t *teller)
{
    unsigned           node;
    long long          slot;
    amp_redis_host_t   host;
    const redisReply  *first, *last;

    if (range->type != REDIS_REPLY_ARRAY || range->elements < 3) {
        return;
    }

    first = range->element[0];
    last = range->element[1];

    if (first->type != REDIS_REPLY_INTEGER || first->integer < 0
        || last->type != REDIS_REPLY_INTEGER || last->integer >= AMP_SLOTS
        || cluster_host(range->element[2], teller, &host) != 0)
    {
        return;
    }

    node = route_node(route, &host);
    route->nodes[node].replicas = (unsigned) range->elements - 3;

    for (slot = first->integer; slot <= last->integer; slot++) {
        route->slots[slot] = (unsigned short) (node + 1);
        route->nodes[node].slots++;
    }
}


/* 0, or -1 with the error and route->later filled. */

static int
cluster_ask(route_t *route, unsigned node, int64_t deadline,
    ctl_error_t *error)
{
    int                rc;
    size_t             i;
    redisReply        *reply;
    connection_t      *c;
    amp_redis_host_t   teller;

    teller = route->nodes[node].host;

    c = route_open(route, node, deadline, error);
    if (c == NULL) {
        return -1;
    }

    reply = connection_command(c, deadline, error, "CLUSTER SLOTS");

    if (reply == NULL) {
        route_lost(route, c);
        route->later = 1;
        return -1;
    }

    if (reply->type != REDIS_REPLY_ARRAY) {
        route->later = fault_is(reply, "LOADING");

        if (reply->type == REDIS_REPLY_ERROR) {
            rc = fault_reply(error, connection_who(c), reply);

        } else {
            rc = ctl_error(error, CTL_REACH, "redis_protocol",
                           "%s does not tell its slots", connection_who(c));
        }

        freeReplyObject(reply);

        return rc;
    }

    memset(route->slots, 0, sizeof(route->slots));

    for (i = 0; i < route->nnodes; i++) {
        route->nodes[i].slots = 0;
        route->nodes[i].replicas = 0;
    }

    for (i = 0; i < reply->elements; i++) {
        cluster_range(route, reply->element[i], &teller);
    }

    freeReplyObject(reply);

    route->learned = 1;

    return 0;
}


/*
 * Asks whoever is connected, then the others, then those that were lost, each
 * for a part of the time.  What one cannot tell another may, unless it is our
 * fault.
 */

static int
cluster_learn(route_t *route, int64_t deadline, ctl_error_t *error)
{
    int64_t        begin;
    unsigned       i, n, turn;
    route_node_t  *node;

    n = route->nnodes;
    begin = connection_clock();

    for (turn = 0; turn < 3; turn++) {
        for (i = 0; i < n; i++) {
            node = &route->nodes[i];

            if (turn != (node->connection ? 0u : node->lost ? 2u : 1u)) {
                continue;
            }

            if (cluster_ask(route, i, route_share(route, n, deadline), error)
                == 0)
            {
                return 0;
            }

            if (!route->later || connection_clock() >= deadline) {
                return -1;
            }
        }
    }

    /* who refuses is not there; who takes his time may be */

    route->later = (connection_clock() - begin) * 4 >= deadline - begin;

    if (n > 1) {
        ctl_error(error, CTL_REACH, "redis_unreachable",
                  "no node of %s answers", route->url.shown);
        ctl_remedy(error, "check that they run, and --redis or "
                   "AMPERSAND_REDIS");
    }

    return -1;
}


connection_t *
cluster_connection(route_t *route, unsigned slot, int64_t deadline,
    ctl_error_t *error)
{
    unsigned  i, node;

    if (!route->learned && cluster_learn(route, deadline, error) != 0) {
        return NULL;
    }

    node = 0;

    if (slot < AMP_SLOTS) {
        node = route->slots[slot];

    } else {
        for (i = route->nnodes; i-- > 0; ) {
            if (route->nodes[i].slots != 0
                && (node == 0 || route->nodes[i].connection != NULL))
            {
                node = i + 1;
            }
        }
    }

    if (node == 0) {
        route->later = 1;
        ctl_error(error, CTL_REACH, "redis_cluster", "no node of %s holds the "
                  "slot that is needed", route->url.shown);
        ctl_remedy(error, "see: redis-cli --cluster check HOST:PORT");
        return NULL;
    }

    return route_open(route, node - 1, deadline, error);
}
