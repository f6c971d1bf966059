/*
 * The Redis servers that ampctl connects to.
 */

#include <stdlib.h>
#include <string.h>

#include "../core/amp_redis_host.h"
#include "../core/amp_slot_map.h"
#include "nodes.h"


void
nodes_init(nodes_t *nodes)
{
    unsigned  i;

    nodes->options.what = "Redis";
    nodes->options.user = nodes->url.user;
    nodes->options.password = secret_span(&nodes->password);
    nodes->options.db = nodes->url.db;
    nodes->options.timeout = nodes->timeout;

    if (nodes->url.form == AMP_REDIS_SENTINEL) {
        return;
    }

    for (i = 0; i < nodes->url.nhosts; i++) {
        (void) nodes_add(nodes, &nodes->url.hosts[i]);
    }

    if (nodes->url.nhosts == 0) {
        (void) nodes_add(nodes, &nodes->url.hosts[0]);      /* a socket */
    }
}


void
nodes_close(nodes_t *nodes)
{
    unsigned  i;

    for (i = 0; i < nodes->n; i++) {
        connection_close(nodes->list[i].connection);
    }

    free(nodes->list);
    nodes->list = NULL;
    nodes->n = 0;
}


int
nodes_add(nodes_t *nodes, const amp_redis_host_t *host)
{
    node_t    *list;
    unsigned   i;

    for (i = 0; i < nodes->n; i++) {
        if (amp_redis_host_eq(&nodes->list[i].host, host)) {
            return (int) i;
        }
    }

    if (i == AMP_SLOT_MAP_NODES) {
        return -1;
    }

    list = realloc(nodes->list, (i + 1) * sizeof(*list));
    if (list == NULL) {
        abort();
    }

    memset(&list[i], 0, sizeof(list[i]));
    list[i].host = *host;

    nodes->list = list;
    nodes->n++;

    return (int) i;
}


connection_t *
nodes_connect(nodes_t *nodes, unsigned i, int64_t deadline,
    ctl_error_t *error)
{
    node_t  *node;

    node = &nodes->list[i];

    if (node->connection == NULL) {
        node->connection = connection_open(&nodes->options, nodes->url.path[0]
                                           ? nodes->url.path : NULL,
                                           &node->host, deadline, error);
        nodes->changes++;
    }

    node->lost = (node->connection == NULL);

    nodes->retry = node->lost && strcmp(error->code, "redis_unreachable") == 0;

    return node->connection;
}


void
nodes_lost(nodes_t *nodes, connection_t *c)
{
    unsigned  i;

    for (i = 0; i < nodes->n; i++) {
        if (nodes->list[i].connection == c) {
            nodes->list[i].connection = NULL;
            nodes->list[i].lost = 1;
        }
    }

    connection_close(c);
}


int64_t
nodes_share(const nodes_t *nodes, unsigned n, int64_t deadline)
{
    int64_t  now, share, most;

    now = connection_clock();
    share = nodes->timeout / (n + 1);
    most = n > 1 ? (deadline - now) / 2 : deadline - now;

    return now + (share < most ? share : most);
}
