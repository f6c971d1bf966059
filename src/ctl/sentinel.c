/*
 * Redis behind Sentinels.
 */

#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "sentinel.h"


/* User and password are Redis'; a Sentinel is told only when it asks. */

static redisReply *
sentinel_command(route_t *route, connection_t *c,
    const connection_options_t *options, int64_t deadline, ctl_error_t *error)
{
    redisReply  *reply;

    reply = connection_command(c, deadline, error,
                               "SENTINEL get-master-addr-by-name %s",
                               route->url.name);

    if (reply == NULL || !fault_is(reply, "NOAUTH")
        || route->options.password.len == 0)
    {
        return reply;
    }

    freeReplyObject(reply);

    if (connection_auth(c, options, deadline, error) != 0) {
        return NULL;
    }

    return connection_command(c, deadline, error,
                              "SENTINEL get-master-addr-by-name %s",
                              route->url.name);
}


int
sentinel_ask(route_t *route, unsigned i, int64_t deadline,
    amp_redis_host_t *master, ctl_error_t *error)
{
    int                    rc;
    redisReply            *reply;
    connection_t          *c;
    connection_options_t   options, shy;

    options = route->options;
    options.what = "Sentinel";
    options.timeout = (unsigned) (deadline - connection_clock());

    shy = options;
    shy.password = amp_span_null;
    shy.db = 0;

    c = connection_open(&shy, NULL, &route->url.hosts[i], deadline, error);
    if (c == NULL) {
        return -1;
    }

    reply = sentinel_command(route, c, &options, deadline, error);

    if (reply == NULL) {
        rc = -1;

    } else if (reply->type == REDIS_REPLY_NIL) {
        rc = 0;

    } else if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2
               && reply->element[0]->str != NULL
               && reply->element[1]->str != NULL
               && reply->element[0]->len > 0
               && (size_t) reply->element[0]->len < sizeof(master->host)
               && atoi(reply->element[1]->str) > 0
               && atoi(reply->element[1]->str) < 65536)
    {
        memset(master, 0, sizeof(*master));
        memcpy(master->host, reply->element[0]->str,
               (size_t) reply->element[0]->len);
        master->port = (unsigned) atoi(reply->element[1]->str);
        rc = 1;

    } else if (reply->type == REDIS_REPLY_ERROR
               && strstr(reply->str, "unknown command") == NULL)
    {
        rc = fault_reply(error, connection_who(c), reply);

    } else {
        ctl_error(error, CTL_REACH, "redis_sentinel", "%s is no Sentinel",
                  connection_who(c));
        rc = ctl_remedy(error, "to Redis itself one writes redis://host:port");
    }

    if (reply != NULL) {
        freeReplyObject(reply);
    }

    connection_close(c);

    return rc;
}


/* Is it the master?  0, or -1 with the error and route->later filled. */

static int
sentinel_verify(route_t *route, connection_t *c, int64_t deadline,
    ctl_error_t *error)
{
    int          rc;
    redisReply  *reply;

    route->later = 1;

    reply = connection_command(c, deadline, error, "ROLE");
    if (reply == NULL) {
        return -1;
    }

    rc = 0;

    if (reply->type == REDIS_REPLY_ERROR) {
        rc = fault_reply(error, connection_who(c), reply);
        route->later = fault_is(reply, "LOADING");

    } else if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0
               || reply->element[0]->str == NULL
               || strcmp(reply->element[0]->str, "master") != 0)
    {
        ctl_error(error, CTL_REACH, "redis_failover",
                  "%s is named by Sentinel and is no master",
                  connection_who(c));
        rc = ctl_remedy(error, "a fail-over is under way: run the command "
                        "again in a few seconds");
    }

    freeReplyObject(reply);

    return rc;
}


static int
sentinel_master(route_t *route, const amp_redis_host_t *master,
    int64_t deadline, ctl_error_t *error)
{
    unsigned       node;
    connection_t  *c;

    node = route_node(route, master);
    c = route_open(route, node, deadline, error);

    if (c == NULL) {
        return -1;
    }

    if (sentinel_verify(route, c, deadline, error) != 0) {
        route_lost(route, c);
        return -1;
    }

    route->master = node + 1;

    return 0;
}


connection_t *
sentinel_connection(route_t *route, int64_t deadline, ctl_error_t *error)
{
    int               rc;
    int64_t           begin;
    unsigned          i, k, n, first, named, strange;
    ctl_error_t       fault;
    amp_redis_host_t  master, before;

    if (route->master != 0) {
        return route->nodes[route->master - 1].connection;
    }

    n = route->url.nhosts;
    first = route->sentinel;
    begin = connection_clock();
    named = 0;
    strange = 0;
    memset(&before, 0, sizeof(before));
    memset(&fault, 0, sizeof(fault));

    for (i = 0; i < n && connection_clock() < deadline; i++) {
        k = (first + i) % n;

        rc = sentinel_ask(route, k, route_share(route, n, deadline), &master,
                          &fault);

        strange += (rc == 0);

        if (rc != 1 || (named && memcmp(&master, &before, sizeof(master))
                                 == 0))
        {
            continue;
        }

        named = 1;
        before = master;

        if (sentinel_master(route, &master, deadline, error) == 0) {
            route->sentinel = k;
            return route->nodes[route->master - 1].connection;
        }

        if (!route->later) {
            return NULL;
        }

        /* it may be cut off from the others: they are asked first next time */

        route->sentinel = (k + 1) % n;
    }

    if (named) {
        return NULL;
    }

    route->later = 0;

    if (strange != 0) {
        ctl_error(error, CTL_REACH, "redis_sentinel", "no Sentinel of %s "
                  "knows a master of that name", route->url.shown);
        ctl_remedy(error, "check the name at the end of the URL; redis-cli -p "
                   "%d SENTINEL masters shows those there are",
                   AMP_REDIS_SENTINEL_PORT);

    } else {
        *error = fault;

        /* who refuses is not there; who takes his time may be */

        route->later = strcmp(fault.code, "redis_unreachable") == 0
                       && (connection_clock() - begin) * 4 >= deadline - begin;

        if (n > 1 && strcmp(fault.code, "redis_unreachable") == 0) {
            ctl_error(error, CTL_REACH, "redis_unreachable", "none of the %u "
                      "Sentinels answers; the last: %s", n, fault.message);
            ctl_remedy(error, "check that they run, and --redis or "
                       "AMPERSAND_REDIS");
        }
    }

    return NULL;
}
