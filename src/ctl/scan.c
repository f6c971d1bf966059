/*
 * The keys of all servers that have a pattern.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "scan.h"


#define SCAN_COUNT  "1000"


/* The next part of a server's keys, of which *cursor moves on.  0, or -1. */

static int
scan_part(store_t *store, ctl_error_t *error, connection_t *c,
    const char *pattern, unsigned long long *cursor, scan_each_pt each,
    void *data)
{
    int           rc;
    size_t        i;
    route_t      *route;
    redisReply   *reply, *keys;

    route = store_route(store);
    reply = connection_command(c, connection_clock() + route->nodes.timeout,
                               error, "SCAN %llu MATCH %s COUNT " SCAN_COUNT,
                               *cursor, pattern);
    if (reply == NULL) {
        route_lost(route, c);
        return -1;
    }

    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2
        && reply->element[0]->type == REDIS_REPLY_STRING
        && reply->element[1]->type == REDIS_REPLY_ARRAY)
    {
        *cursor = strtoull(reply->element[0]->str, NULL, 10);
        keys = reply->element[1];

        for (i = 0; i < keys->elements; i++) {
            if (keys->element[i]->type == REDIS_REPLY_STRING) {
                each(amp_span_make(keys->element[i]->str,
                                   keys->element[i]->len), data);
            }
        }

        rc = 0;

    } else if (reply->type == REDIS_REPLY_ERROR) {
        rc = fault_reply(error, connection_who(c), reply);

    } else {
        rc = ctl_error(error, CTL_REACH, "redis_protocol", "%s does not answer "
                       "SCAN as Redis does", connection_who(c));
        (void) ctl_remedy(error, "is this Redis 6 or newer, or Valkey?");
    }

    freeReplyObject(reply);

    return rc;
}


int
scan_keys(store_t *store, ctl_error_t *error, const char *pattern,
    unsigned time, scan_each_pt each, void *data)
{
    int                  more;
    int64_t              deadline;
    route_t             *route;
    unsigned             node;
    connection_t        *c;
    unsigned long long   cursor;

    more = 0;
    route = store_route(store);

    /* the master that Sentinels name, or the slot map of a cluster */

    if (route_connection(route, ROUTE_ANY, connection_clock()
                         + route->nodes.timeout, error)
        == NULL)
    {
        return -1;
    }

    for (node = 0; node < route->nodes.n; node++) {

        if (!route_serves(route, node)) {
            continue;
        }

        c = nodes_connect(&route->nodes, node, connection_clock()
                          + route->nodes.timeout, error);
        if (c == NULL) {
            return -1;
        }

        deadline = connection_clock() + time;
        cursor = 0;

        do {
            if (time != 0 && connection_clock() >= deadline) {
                more = 1;
                break;
            }

            if (scan_part(store, error, c, pattern, &cursor, each, data) != 0) {
                return -1;
            }

        } while (cursor != 0);
    }

    return more;
}
