/*
 * The check of what is in Redis and in no index.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/amp_keys.h"
#include "doctor_redis.h"
#include "doctor_scan.h"
#include "tenant_list.h"


#define SCAN_COUNT  "1000"
#define SCAN_NAMES  5               /* tenants named in the line              */


typedef struct {
    tenant_ids_t   found;           /* ids of the records                     */
    unsigned       more:1;          /* there was no time for the other keys   */
} scan_t;


/* 0, or -1: Redis does not answer, or does not permit it. */

static int
scan_keys(doctor_t *doctor, connection_t *c, scan_t *scan)
{
    char          cursor[24], pattern[AMP_KEYS_MAX + 1];
    ctl_t        *ctl;
    size_t        i, skip;
    int64_t       deadline;
    amp_buf_t     out;
    redisReply   *reply, *keys;
    ctl_error_t   error;

    ctl = doctor->ctl;
    deadline = connection_clock() + ctl->timeout;
    snprintf(cursor, sizeof(cursor), "0");

    amp_buf_init(&out, pattern, sizeof(pattern) - 1);
    amp_keys_tenant(store_prefix(ctl->store), amp_span("*"), &out);
    *out.pos = '\0';

    do {
        if (connection_clock() >= deadline) {
            scan->more = 1;
            return 0;
        }

        reply = connection_command(c, connection_clock() + ctl->timeout, &error,
                                   "SCAN %s MATCH %s COUNT " SCAN_COUNT, cursor,
                                   pattern);

        if (reply == NULL) {
            route_lost(store_route(ctl->store), c);
            return -1;
        }

        if (reply->type != REDIS_REPLY_ARRAY
            || reply->elements != 2
            || reply->element[0]->type != REDIS_REPLY_STRING
            || reply->element[1]->type != REDIS_REPLY_ARRAY)
        {
            freeReplyObject(reply);
            return -1;
        }

        keys = reply->element[1];

        for (i = 0; i < keys->elements; i++) {
            skip = amp_buf_written(&out).len - 1;

            if (keys->element[i]->type == REDIS_REPLY_STRING
                && keys->element[i]->len > skip)
            {
                tenant_ids_add(&scan->found, keys->element[i]->str + skip,
                               keys->element[i]->len - skip);
            }
        }

        snprintf(cursor, sizeof(cursor), "%s", reply->element[0]->str);
        freeReplyObject(reply);

    } while (strcmp(cursor, "0") != 0);

    return 0;
}


static void
scan_report(doctor_t *doctor, scan_t *scan, const tenant_ids_t *ids)
{
    char      text[(AMP_TENANT_ID_MAX + 2) * SCAN_NAMES + 8];
    size_t    i, len;
    unsigned  n;

    n = 0;
    text[0] = '\0';

    /* SCAN may return a key twice */

    tenant_ids_sort(&scan->found);

    for (i = 0; i < scan->found.n; i++) {

        if (tenant_ids_has(ids, scan->found.ids[i])) {
            continue;
        }

        len = strlen(text);

        if (n++ < SCAN_NAMES) {
            snprintf(text + len, sizeof(text) - len, "%s%s", len ? ", " : "",
                     scan->found.ids[i]);

        } else if (n == SCAN_NAMES + 1) {
            snprintf(text + len, sizeof(text) - len, ", ...");
        }
    }

    if (n != 0) {
        doctor_add(doctor, "unlisted", DOCTOR_WARN,
                   "an interrupted command can leave such a record: ampctl "
                   "tenant remove ID removes it and its tokens",
                   "%u tenant records that ampctl tenant list does not show, "
                   "and whose tokens are valid: %s", n, text);
    }

    if (scan->more) {
        doctor_add(doctor, "unlisted", DOCTOR_WARN,
                   "give doctor more time, e.g. --timeout 60s", "Redis has so "
                   "many keys that not all of them were looked at");
    }
}


void
doctor_scan(doctor_t *doctor)
{
    int            rc;
    ctl_t         *ctl;
    scan_t         scan;
    route_t       *route;
    unsigned       node;
    connection_t  *c;
    tenant_ids_t   ids;

    ctl = doctor->ctl;
    route = store_route(ctl->store);
    memset(&scan, 0, sizeof(scan));

    /* the master that Sentinels name, or the slot map of a cluster */

    c = route_connection(route, ROUTE_ANY, connection_clock() + ctl->timeout,
                         &ctl->error);
    rc = c != NULL ? 0 : -1;

    for (node = 0; rc == 0 && node < route->nodes.n; node++) {

        if (!route_serves(route, node)) {
            continue;
        }

        c = nodes_connect(&route->nodes, node,
                          connection_clock() + ctl->timeout, &ctl->error);

        rc = c != NULL ? scan_keys(doctor, c, &scan) : -1;
    }

    /* the set is read after the records: a new tenant is in both then */

    if (rc == 0 && tenant_ids(ctl->store, &ctl->error, &ids) == 0) {
        scan_report(doctor, &scan, &ids);
        tenant_ids_free(&ids);
    }

    tenant_ids_free(&scan.found);
}
