/*
 * The keys of all servers that have a pattern.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "scan.h"


#define SCAN_COUNT  "1000"


typedef struct {
    store_t       *store;
    ctl_error_t   *error;
    const char    *pattern;
    unsigned       types;
    scan_each_pt   each;
    void          *data;
} scan_t;


/* Writes TYPE for each key, in one go.  0, or -1. */

static int
scan_types_write(scan_t *scan, connection_t *c, const redisReply *keys)
{
    int      rc, n;
    char    *one, *all;
    size_t   i, len;

    all = NULL;
    len = 0;

    for (i = 0; i < keys->elements; i++) {
        n = redisFormatCommand(&one, "TYPE %b", keys->element[i]->str,
                               keys->element[i]->len);
        all = n > 0 ? realloc(all, len + (size_t) n) : NULL;
        if (all == NULL) {
            abort();
        }

        memcpy(all + len, one, (size_t) n);
        len += (size_t) n;
        redisFreeCommand(one);
    }

    rc = connection_write(c, all, len, connection_clock()
                          + store_route(scan->store)->nodes.timeout,
                          scan->error);
    free(all);

    return rc;
}


/*
 * The types of some keys.  One that has moved to another node meanwhile is left
 * out.  0, or -1.
 */

static int
scan_types(scan_t *scan, connection_t *c, const redisReply *keys)
{
    int          rc;
    size_t       i;
    redisReply  *reply;

    if (keys->elements == 0) {
        return 0;
    }

    if (scan_types_write(scan, c, keys) != 0) {
        route_lost(store_route(scan->store), c);
        return -1;
    }

    for (rc = 0, i = 0; i < keys->elements; i++) {
        reply = connection_read(c, connection_clock()
                                + store_route(scan->store)->nodes.timeout,
                                scan->error);
        if (reply == NULL) {
            route_lost(store_route(scan->store), c);
            return -1;
        }

        if (reply->type == REDIS_REPLY_STATUS) {
            scan->each(amp_span_make(keys->element[i]->str,
                                     keys->element[i]->len),
                       reply->str, scan->data);

        } else if (fault_class(reply) != AMP_REDIS_ERROR_MOVED
                   && fault_class(reply) != AMP_REDIS_ERROR_ASK
                   && rc == 0)
        {
            rc = fault_reply(scan->error, connection_who(c), reply);
        }

        freeReplyObject(reply);
    }

    return rc;
}


/* The next part of a server's keys, of which *cursor moves on.  0, or -1. */

static int
scan_part(scan_t *scan, connection_t *c, unsigned long long *cursor)
{
    int           rc;
    size_t        i;
    route_t      *route;
    redisReply   *reply, *keys;
    ctl_error_t  *error;

    error = scan->error;

    route = store_route(scan->store);
    reply = connection_command(c, connection_clock() + route->nodes.timeout,
                               error, "SCAN %llu MATCH %s COUNT " SCAN_COUNT,
                               *cursor, scan->pattern);
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

        for (i = 0; !scan->types && i < keys->elements; i++) {
            if (keys->element[i]->type == REDIS_REPLY_STRING) {
                scan->each(amp_span_make(keys->element[i]->str,
                                         keys->element[i]->len), "",
                           scan->data);
            }
        }

        rc = scan->types ? scan_types(scan, c, keys) : 0;

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
    unsigned types, unsigned time, scan_each_pt each, void *data)
{
    int                  more;
    scan_t               scan;
    int64_t              deadline;
    route_t             *route;
    unsigned             node;
    connection_t        *c;
    unsigned long long   cursor;

    scan.store = store;
    scan.error = error;
    scan.pattern = pattern;
    scan.types = types;
    scan.each = each;
    scan.data = data;

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

            if (scan_part(&scan, c, &cursor) != 0) {
                return -1;
            }

        } while (cursor != 0);
    }

    return more;
}
