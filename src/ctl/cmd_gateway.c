/*
 * ampctl gateway: the gateways that live, as the registry has them.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/amp_gateway.h"
#include "../core/amp_json.h"
#include "../core/amp_keys.h"
#include "ampctl.h"
#include "record.h"


#define GATEWAY_ID_MAX  64


static int
gateway_order(const void *a, const void *b)
{
    const json_t *const *one = a, *const *two = b;

    return strcmp(record_text(*one, "id"), record_text(*two, "id"));
}


/*
 * Reads the records of the gateways in the registry: an array in the order of
 * their ids, the caller's to release.  A gateway whose record has expired, or
 * cannot be read, has only its id.  NULL with the error filled.
 */

static json_t *
gateway_records(store_t *store, ctl_error_t *error)
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

        if (id.len > GATEWAY_ID_MAX || amp_span_eq(id, amp_span("swept"))) {
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
        qsort(sorted, n, sizeof(*sorted), gateway_order);
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


/* "tenant acme, revision 8" */

static void
gateway_event(const json_t *event, char *text, size_t size)
{
    const char  *name;

    *text = '\0';

    if (event == NULL) {
        return;
    }

    name = record_text(event, "tenant");
    if (*name == '\0') {
        name = record_text(event, "project");
    }

    snprintf(text, size, "%s %s", record_text(event, "type"), name);

    if (json_is_integer(json_object_get(event, "rev"))) {
        snprintf(text + strlen(text), size - strlen(text), ", revision %lld",
                 (long long) json_integer_value(json_object_get(event,
                                                                "rev")));
    }
}


static const char *
gateway_time(const json_t *record, const char *name, char *text)
{
    return output_time(json_integer_value(json_object_get(record, name)), text);
}


static int
gateway_list(ctl_t *ctl)
{
    char                       start[CTL_TIME_MAX], applied[CTL_TIME_MAX];
    char                       event[AMP_EVENT_MAX];
    size_t                     i;
    json_t                    *list, *record;
    output_table_t            *table;
    static const char *const   heads[] = { "GATEWAY", "VERSION", "START",
                                           "LAST EVENT", "APPLIED", "STATUS" };

    if (ctl_store(ctl) == NULL) {
        return -1;
    }

    list = gateway_records(ctl->store, &ctl->error);
    if (list == NULL) {
        return -1;
    }

    if (ctl->json) {
        return output_json(json_pack("{s:o}", "gateways", list));
    }

    table = output_table(6, heads);

    json_array_foreach(list, i, record) {
        gateway_event(json_object_get(record, "event"), event, sizeof(event));
        output_row(table, record_text(record, "id"),
                   record_text(record, "version"),
                   gateway_time(record, "start", start), event,
                   gateway_time(record, "applied", applied),
                   record_text(record, "status"));
    }

    output_table_print(table);
    json_decref(list);

    return CTL_DONE;
}


const ctl_command_t  ctl_gateway_commands[] = {

    { "gateway", "list", "", "show the gateways that live",
      "A gateway that ends leaves the list at once, one that dies after 10\n"
      "seconds. LAST EVENT is the last change that the gateway has applied.\n"
      "A gateway of a version without a registry is not shown.",
      NULL, gateway_list },

    { NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};
