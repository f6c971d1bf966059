/*
 * All tenants in Redis.
 */

#include <stdlib.h>
#include <string.h>

#include "../core/amp_keys.h"
#include "tenant_list.h"
#include "tenant_store.h"


#define TENANT_PIPELINE  128


static int
tenant_ids_order(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}


int
tenant_ids(store_t *store, ctl_error_t *error, tenant_ids_t *ids)
{
    size_t          i;
    amp_buf_t       key;
    redisReply     *reply, *id;
    unsigned char   buf[AMP_KEYS_MAX];

    amp_buf_init(&key, buf, sizeof(buf));
    amp_keys_tenants(store_prefix(store), &key);

    reply = store_command(store, error, "SMEMBERS %b", buf,
                          amp_buf_written(&key).len);
    if (reply == NULL) {
        return -1;
    }

    ids->n = 0;
    ids->ids = calloc(reply->elements + 1, sizeof(*ids->ids));
    if (ids->ids == NULL) {
        abort();
    }

    for (i = 0; i < reply->elements; i++) {
        id = reply->element[i];

        if (amp_tenant_id_valid(amp_span_make(id->str, id->len))) {
            ids->ids[ids->n] = strndup(id->str, id->len);
            if (ids->ids[ids->n++] == NULL) {
                abort();
            }
        }
    }

    freeReplyObject(reply);

    if (ids->n > 1) {
        qsort(ids->ids, ids->n, sizeof(*ids->ids), tenant_ids_order);
    }

    return 0;
}


void
tenant_ids_free(tenant_ids_t *ids)
{
    size_t  i;

    for (i = 0; i < ids->n; i++) {
        free(ids->ids[i]);
    }

    free(ids->ids);
}


static int
tenant_each_batch(store_t *store, ctl_error_t *error, char **ids, size_t n,
    tenant_each_pt each, void *data)
{
    size_t          i;
    json_t         *record;
    amp_buf_t       key;
    amp_span_t      id;
    const char     *why;
    redisReply     *reply;
    unsigned char   buf[AMP_KEYS_MAX];

    for (i = 0; i < n; i++) {
        amp_buf_init(&key, buf, sizeof(buf));
        amp_keys_tenant(store_prefix(store),
                        amp_span_make(ids[i], strlen(ids[i])), &key);
        store_queue(store, "GET %b", buf, amp_buf_written(&key).len);
    }

    for (i = 0; i < n; i++) {
        reply = store_reply(store, error);
        if (reply == NULL) {
            return -1;
        }

        if (reply->type == REDIS_REPLY_STRING) {
            id = amp_span_make(ids[i], strlen(ids[i]));
            record = tenant_parse(id, reply->str, reply->len, &why);
            each(ids[i], record, record ? NULL : why, data);
            json_decref(record);
        }

        freeReplyObject(reply);
    }

    return 0;
}


int
tenant_each(store_t *store, ctl_error_t *error, tenant_each_pt each,
    void *data)
{
    int           rc;
    size_t        i, n;
    tenant_ids_t  ids;

    if (tenant_ids(store, error, &ids) != 0) {
        return -1;
    }

    rc = 0;

    for (i = 0; rc == 0 && i < ids.n; i += n) {
        n = ids.n - i;
        if (n > TENANT_PIPELINE) {
            n = TENANT_PIPELINE;
        }

        rc = tenant_each_batch(store, error, ids.ids + i, n, each, data);
    }

    tenant_ids_free(&ids);

    return rc;
}
