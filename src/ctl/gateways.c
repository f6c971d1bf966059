/*
 * The gateways in the registry.
 */

#include <stdlib.h>
#include <string.h>

#include "../core/amp_gateway.h"
#include "../core/amp_json.h"
#include "../core/amp_keys.h"
#include "fault.h"
#include "gateways.h"
#include "record.h"


#define GATEWAYS_ID_MAX  64


static int
gateways_order(const void *a, const void *b)
{
    const json_t *const *one = a, *const *two = b;

    return strcmp(record_text(*one, "id"), record_text(*two, "id"));
}


json_t *
gateways_read(store_t *store, ctl_error_t *error)
{
    size_t          i, n;
    json_t         *list, *record, **sorted;
    amp_buf_t       key;
    amp_span_t      id;
    const char     *why;
    redisReply     *all, *reply;
    unsigned char   buf[AMP_KEYS_MAX];

    amp_buf_init(&key, buf, sizeof(buf));
    amp_keys_gateways(store_prefix(store), &key);

    all = store_command(store, error, "HGETALL %b", buf,
                        amp_buf_written(&key).len);
    if (all == NULL) {
        return NULL;
    }

    n = 0;
    sorted = calloc(all->elements / 2 + 1, sizeof(*sorted));
    if (sorted == NULL) {
        abort();
    }

    for (i = 0; i + 1 < all->elements; i += 2) {
        id = amp_span_make(all->element[i]->str, all->element[i]->len);

        if (id.len > GATEWAYS_ID_MAX || amp_span_eq(id, amp_span("swept"))) {
            continue;
        }

        amp_buf_init(&key, buf, sizeof(buf));
        amp_keys_gateway(store_prefix(store), id, &key);

        reply = store_command(store, error, "GET %b", buf,
                              amp_buf_written(&key).len);
        if (reply == NULL && strcmp(error->code, "bad_record") != 0) {
            break;
        }

        record = (reply != NULL && reply->type == REDIS_REPLY_STRING)
                 ? amp_json_object(amp_span_make(reply->str, reply->len), &why)
                 : NULL;

        if (record == NULL || *record_text(record, "id") == '\0') {
            json_decref(record);
            record = json_pack("{s:s%}", "id", id.data, id.len);
        }

        freeReplyObject(reply);

        if (record != NULL) {
            sorted[n++] = record;
        }
    }

    list = (i + 1 < all->elements) ? NULL : json_array();

    if (n > 1) {
        qsort(sorted, n, sizeof(*sorted), gateways_order);
    }

    for (i = 0; i < n; i++) {
        if (list) {
            json_array_append(list, sorted[i]);
        }

        json_decref(sorted[i]);
    }

    free(sorted);
    freeReplyObject(all);

    return list;
}


int
gateways_mark(store_t *store, unsigned node, unsigned timeout, uint64_t mark,
    ctl_error_t *error)
{
    int             rc;
    int64_t         deadline;
    route_t        *route;
    amp_buf_t       channel, message;
    redisReply     *reply;
    amp_event_t     event;
    connection_t   *c;
    unsigned char   name[AMP_KEYS_MAX], text[AMP_EVENT_MAX];

    memset(&event, 0, sizeof(event));
    event.type = AMP_EVENT_MARK;
    event.rev = mark;

    amp_buf_init(&channel, name, sizeof(name));
    amp_keys_events(store_prefix(store), &channel);
    amp_buf_init(&message, text, sizeof(text));
    amp_event_write(&event, &message);

    route = store_route(store);
    deadline = connection_clock() + timeout;

    c = nodes_connect(&route->nodes, node, deadline, error);
    if (c == NULL) {
        return -1;
    }

    reply = connection_command(c, deadline, error, "PUBLISH %b %b",
                               name, amp_buf_written(&channel).len,
                               text, amp_buf_written(&message).len);

    if (reply == NULL) {
        route_lost(route, c);
        return -1;
    }

    rc = (reply->type == REDIS_REPLY_ERROR)
         ? fault_reply(error, connection_who(c), reply) : 0;

    freeReplyObject(reply);

    return rc;
}


int
gateways_marked(const json_t *record, uint64_t mark)
{
    size_t         i;
    json_t        *marks, *value;

    marks = json_object_get(record, "marks");

    json_array_foreach(marks, i, value) {
        if (json_is_integer(value)
            && (uint64_t) json_integer_value(value) == mark)
        {
            return 1;
        }
    }

    return 0;
}
