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


/* The ids of the records that were found. */

typedef struct {
    char      **ids;
    size_t      n;
    size_t      size;
    unsigned    more:1;             /* there was no time for the other keys   */
} scan_t;


static void
scan_add(scan_t *scan, const redisReply *key, size_t prefix)
{
    size_t  size;

    if (key->type != REDIS_REPLY_STRING || key->len <= prefix
        || !amp_tenant_id_valid(amp_span_make(key->str + prefix,
                                              key->len - prefix)))
    {
        return;
    }

    if (scan->n == scan->size) {
        size = scan->size ? 2 * scan->size : 64;
        scan->ids = realloc(scan->ids, size * sizeof(*scan->ids));
        if (scan->ids == NULL) {
            abort();
        }

        scan->size = size;
    }

    scan->ids[scan->n] = strndup(key->str + prefix, key->len - prefix);
    if (scan->ids[scan->n++] == NULL) {
        abort();
    }
}


/* 0, or -1: Redis does not answer, or does not permit it. */

static int
scan_keys(doctor_t *doctor, connection_t *c, scan_t *scan)
{
    char          cursor[24], pattern[AMP_KEYS_MAX + 1];
    ctl_t        *ctl;
    size_t        i;
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
            scan_add(scan, keys->element[i], amp_buf_written(&out).len - 1);
        }

        snprintf(cursor, sizeof(cursor), "%s", reply->element[0]->str);
        freeReplyObject(reply);

    } while (strcmp(cursor, "0") != 0);

    return 0;
}


static int
scan_order(const void *a, const void *b)
{
    return strcmp(*(const char *const *) a, *(const char *const *) b);
}


/* SCAN may return a key twice. */

static void
scan_report(doctor_t *doctor, scan_t *scan, const tenant_ids_t *ids)
{
    char      text[(AMP_TENANT_ID_MAX + 2) * SCAN_NAMES + 8];
    size_t    i, len;
    unsigned  n;

    n = 0;
    text[0] = '\0';

    if (scan->n > 1) {
        qsort(scan->ids, scan->n, sizeof(*scan->ids), scan_order);
    }

    for (i = 0; i < scan->n; i++) {

        if ((i != 0 && strcmp(scan->ids[i], scan->ids[i - 1]) == 0)
            || (ids->n != 0 && bsearch(&scan->ids[i], ids->ids, ids->n,
                                       sizeof(*ids->ids), scan_order) != NULL))
        {
            continue;
        }

        len = strlen(text);

        if (n++ < SCAN_NAMES) {
            snprintf(text + len, sizeof(text) - len, "%s%s", len ? ", " : "",
                     scan->ids[i]);

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
    size_t         i;
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

        if (!doctor_redis_serves(doctor, node)) {
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

    for (i = 0; i < scan.n; i++) {
        free(scan.ids[i]);
    }

    free(scan.ids);
}
