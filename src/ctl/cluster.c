/*
 * A Redis cluster.
 *
 * The slot map comes from CLUSTER SLOTS of any node, first of those in the URL.
 * It is read again when a node is lost or answers CLUSTERDOWN; a MOVED changes
 * one slot of it.
 */

#include <string.h>

#include <hiredis/hiredis.h>

#include "../core/amp_reply_hiredis.h"
#include "../core/amp_slot_map.h"
#include "cluster.h"
#include "fault.h"


/*
 * Takes the slot map that the host answered gave.  0, or -1 where it is
 * malformed or names too many nodes.
 */

static int
cluster_map(cluster_t *cluster, nodes_t *nodes, const redisReply *reply,
    const amp_redis_host_t *answered)
{
    int                node;
    unsigned           i;
    amp_reply_t        view;
    amp_slot_map_t     map;
    amp_slot_range_t   range;

    view = amp_reply_hiredis(reply);

    if (amp_slot_map_open(&map, &view, answered) != 0) {
        return -1;
    }

    memset(cluster->slots, 0, sizeof(cluster->slots));
    cluster->unknown = 0;

    for (i = 0; i < nodes->n; i++) {
        nodes->list[i].slots = 0;
        nodes->list[i].replicas = 0;
    }

    while (amp_slot_map_next(&map, &range)) {

        if (range.unknown) {
            cluster->unknown = 1;
            continue;
        }

        node = nodes_add(nodes, &range.master);
        if (node == -1) {
            return -1;
        }

        for (i = range.first; i <= range.last; i++) {
            cluster->slots[i] = (unsigned short) (node + 1);
        }

        nodes->list[node].slots += range.last - range.first + 1;
        nodes->list[node].replicas = range.replicas;
    }

    cluster->mapped = 1;

    return 0;
}


/* Asks one node for the map.  0, or -1 with the error and nodes->retry set. */

static int
cluster_ask(cluster_t *cluster, nodes_t *nodes, unsigned node,
    int64_t deadline, ctl_error_t *error)
{
    int                rc;
    redisReply        *reply;
    connection_t      *c;
    amp_redis_host_t   answered;

    answered = nodes->list[node].host;

    c = nodes_connect(nodes, node, deadline, error);
    if (c == NULL) {
        return -1;
    }

    reply = connection_command(c, deadline, error, "CLUSTER SLOTS");

    if (reply == NULL) {
        nodes_lost(nodes, c);
        nodes->retry = 1;
        return -1;
    }

    nodes->retry = (fault_class(reply) == AMP_REDIS_ERROR_LOADING);

    if (reply->type == REDIS_REPLY_ERROR) {
        rc = fault_reply(error, connection_who(c), reply);

    } else {
        rc = cluster_map(cluster, nodes, reply, &answered);

        if (rc != 0) {
            ctl_error(error, CTL_REACH, "redis_protocol", "%s answers CLUSTER "
                      "SLOTS with no slot map, or with one of more than %d "
                      "nodes", connection_who(c), AMP_SLOT_MAP_NODES);
        }
    }

    freeReplyObject(reply);

    return rc;
}


/*
 * Asks the nodes with a connection, then the others, those that were lost last,
 * each for a part of the time.  Where one cannot give the map, the next may,
 * unless the fault is in what ampctl was given.
 */

static int
cluster_learn(cluster_t *cluster, nodes_t *nodes, int64_t deadline,
    ctl_error_t *error)
{
    node_t    *node;
    int64_t    begin;
    unsigned   i, n, turn;

    n = nodes->n;
    begin = connection_clock();

    for (turn = 0; turn < 3; turn++) {
        for (i = 0; i < n; i++) {
            node = &nodes->list[i];

            if (turn != (node->connection ? 0u : node->lost ? 2u : 1u)) {
                continue;
            }

            if (cluster_ask(cluster, nodes, i,
                            nodes_share(nodes, n, deadline), error)
                == 0)
            {
                return 0;
            }

            if (!nodes->retry || connection_clock() >= deadline) {
                return -1;
            }
        }
    }

    /* nodes that refuse connections are down, slow ones may answer later */

    nodes->retry = (connection_clock() - begin) * 4 >= deadline - begin;

    if (n > 1) {
        ctl_error(error, CTL_REACH, "redis_unreachable",
                  "no node of %s answers", nodes->url.shown);
        ctl_remedy(error, "check that they run, and --redis or "
                   "AMPERSAND_REDIS");
    }

    return -1;
}


/* 1 + the index of a node that serves slots, of one with a connection first. */

static unsigned
cluster_any(const nodes_t *nodes)
{
    unsigned  i, node;

    node = 0;

    for (i = nodes->n; i-- > 0; ) {
        if (nodes->list[i].slots != 0
            && (node == 0 || nodes->list[i].connection != NULL))
        {
            node = i + 1;
        }
    }

    return node;
}


connection_t *
cluster_connection(cluster_t *cluster, nodes_t *nodes, unsigned slot,
    int64_t deadline, ctl_error_t *error)
{
    unsigned  node;

    if (!cluster->mapped
        && cluster_learn(cluster, nodes, deadline, error) != 0)
    {
        return NULL;
    }

    node = slot < AMP_SLOTS ? cluster->slots[slot] : cluster_any(nodes);

    if (node != 0) {
        return nodes_connect(nodes, node - 1, deadline, error);
    }

    nodes->retry = 1;

    if (cluster->unknown) {
        ctl_error(error, CTL_REACH, "redis_cluster", "%s names no address for "
                  "the node that serves this slot", nodes->url.shown);
        ctl_remedy(error, "set cluster-announce-hostname in each node, or "
                   "cluster-preferred-endpoint-type ip; CLUSTER SLOTS shows "
                   "\"?\" for the nodes in question");

    } else {
        ctl_error(error, CTL_REACH, "redis_cluster", "no node of %s serves "
                  "the slot that is needed", nodes->url.shown);
        ctl_remedy(error, "see: redis-cli --cluster check HOST:PORT");
    }

    return NULL;
}


int
cluster_redirect(cluster_t *cluster, nodes_t *nodes, const amp_redirect_t *to)
{
    int  node;

    node = to->unknown ? -1 : nodes_add(nodes, &to->host);

    if (!to->ask) {
        nodes->changes++;

        if (node == -1) {
            cluster->mapped = 0;

        } else {
            cluster->slots[to->slot] = (unsigned short) (node + 1);
        }
    }

    return node;
}
