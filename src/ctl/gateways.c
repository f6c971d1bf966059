/*
 * The gateways in the registry.
 */

#include <stdlib.h>
#include <string.h>

#include "../core/amp_gateway.h"
#include "../core/amp_json.h"
#include "../core/amp_keys.h"
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
        if (reply == NULL) {
            break;
        }

        record = (reply->type == REDIS_REPLY_STRING)
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
