/*
 * All tenants in Redis.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/amp_keys.h"
#include "tenant_list.h"
#include "tenant_store.h"


#define TENANT_SCAN   "1000"        /* members that Redis looks at in one go  */
#define TENANT_SCANS  8


void
tenant_ids_add(tenant_ids_t *ids, const char *id, size_t len)
{
    if (!amp_tenant_id_valid(amp_span_make(id, len))) {
        return;
    }

    if (ids->size - ids->len <= len) {
        ids->size = 2 * ids->size + 4096;

        ids->text = realloc(ids->text, ids->size);
        if (ids->text == NULL) {
            abort();
        }
    }

    memcpy(ids->text + ids->len, id, len);
    ids->text[ids->len + len] = '\0';

    ids->len += len + 1;
    ids->n++;
}


static int
tenant_ids_order(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}


void
tenant_ids_sort(tenant_ids_t *ids)
{
    char    *p;
    size_t   i, n;

    ids->ids = calloc(ids->n + 1, sizeof(*ids->ids));
    if (ids->ids == NULL) {
        abort();
    }

    for (i = 0, p = ids->text; i < ids->n; i++) {
        ids->ids[i] = p;
        p += strlen(p) + 1;
    }

    qsort(ids->ids, ids->n, sizeof(*ids->ids), tenant_ids_order);

    for (i = 0, n = 0; i < ids->n; i++) {
        if (n == 0 || strcmp(ids->ids[n - 1], ids->ids[i]) != 0) {
            ids->ids[n++] = ids->ids[i];
        }
    }

    ids->n = n;
}


int
tenant_ids_has(const tenant_ids_t *ids, const char *id)
{
    return bsearch(&id, ids->ids, ids->n, sizeof(*ids->ids), tenant_ids_order)
           != NULL;
}


void
tenant_ids_free(tenant_ids_t *ids)
{
    free(ids->ids);
    free(ids->text);
}


/* A part of the set; *cursor moves on.  0, or -1 with the error filled. */

static int
tenant_ids_part(store_t *store, ctl_error_t *error, tenant_ids_t *ids,
    unsigned long long *cursor)
{
    size_t          i;
    amp_buf_t       key;
    redisReply     *reply, *members;
    unsigned char   buf[AMP_KEYS_MAX];

    amp_buf_init(&key, buf, sizeof(buf));
    amp_keys_tenants(store_prefix(store), &key);

    reply = store_command(store, error, "SSCAN %b %llu COUNT " TENANT_SCAN, buf,
                          amp_buf_written(&key).len, *cursor);
    if (reply == NULL) {
        return -1;
    }

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2
        || reply->element[0]->type != REDIS_REPLY_STRING
        || reply->element[1]->type != REDIS_REPLY_ARRAY)
    {
        freeReplyObject(reply);
        ctl_error(error, CTL_REACH, "redis_protocol", "%s does not answer "
                  "SSCAN as Redis does", store_address(store));
        return ctl_remedy(error, "is this Redis 6 or newer, or Valkey?");
    }

    *cursor = strtoull(reply->element[0]->str, NULL, 10);
    members = reply->element[1];

    for (i = 0; i < members->elements; i++) {
        if (members->element[i]->type == REDIS_REPLY_STRING) {
            tenant_ids_add(ids, members->element[i]->str,
                           members->element[i]->len);
        }
    }

    freeReplyObject(reply);

    return 0;
}


int
tenant_ids(store_t *store, ctl_error_t *error, tenant_ids_t *ids)
{
    unsigned            changes, scan;
    unsigned long long  cursor;

    memset(ids, 0, sizeof(*ids));

    for (scan = 0; scan < TENANT_SCANS; scan++) {
        cursor = 0;
        changes = 0;

        do {
            if (tenant_ids_part(store, error, ids, &cursor) != 0) {
                tenant_ids_free(ids);
                return -1;
            }

            /* the first command may make the connection */

            changes = changes ? changes : store_changes(store);

        } while (cursor != 0 && changes == store_changes(store));

        if (changes == store_changes(store)) {
            tenant_ids_sort(ids);
            return 0;
        }
    }

    tenant_ids_free(ids);
    ctl_error(error, CTL_REACH, "redis_unreachable", "Redis at %s was lost "
              "again and again while its tenants were read",
              store_address(store));

    return ctl_remedy(error, "run ampctl doctor");
}


int
tenant_read(store_t *store, ctl_error_t *error, char *const *ids, size_t n,
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
        reply = store_reply_typed(store, error);
        if (reply == NULL) {
            return -1;
        }

        if (reply->type == REDIS_REPLY_ERROR) {
            each(ids[i], NULL, "a value of another type", data);

        } else if (reply->type == REDIS_REPLY_STRING) {
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

    for (i = 0; rc == 0 && i < ids.n && !ferror(stdout); i += n) {
        n = ids.n - i;
        if (n > TENANT_BATCH) {
            n = TENANT_BATCH;
        }

        output_progress("tenants", i, ids.n);
        rc = tenant_read(store, error, ids.ids + i, n, each, data);
    }

    output_progress(NULL, 0, 0);
    tenant_ids_free(&ids);

    return rc;
}
