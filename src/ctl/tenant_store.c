/*
 * Tenant records in Redis.
 *
 * A change of a record is one script on its one key: compare the revision,
 * write, publish.  What stands beside the record is ordered so that a crash
 * in between leaves nothing that grants anything:
 *
 *   add     id into amp:tenants, then the record.  Left over: an id without a
 *           record, which lists skip and "tenant remove" clears.
 *   remove  the record, then each token, the rate state, the index of tokens,
 *           the id out of amp:tenants.  Left over: tokens of no tenant, which
 *           open nothing; "tenant remove" again, or "tenant add" of the same
 *           id, deletes them first.
 *
 * A new tenant's revision starts at the clock of Redis in milliseconds, so a
 * tenant that is removed and added again is newer than every message about
 * its former self.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../core/amp_event.h"
#include "../core/amp_keys.h"
#include "../core/amp_script.h"
#include "tenant_store.h"
#include "token_store.h"


#define TENANT_TRIES     32
#define TENANT_PIPELINE  128


/* Room for amp_tenant_decode(). */

typedef union {
    uint64_t       aligned;
    unsigned char  bytes[AMP_TENANT_FLAT_MAX];
} tenant_flat_t;


static json_t *
tenant_parse(amp_span_t id, const char *text, size_t len, const char **why)
{
    json_t         *record;
    tenant_flat_t   flat;

    *why = "not JSON";

    if (amp_tenant_decode(amp_span_make(text, len), &flat, sizeof(flat), why)
        == 0)
    {
        return NULL;
    }

    record = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    if (record == NULL) {
        *why = "not JSON";
        return NULL;
    }

    if (!amp_span_eq(id, amp_tenant_field((amp_tenant_t *) &flat,
                                          ((amp_tenant_t *) &flat)->id)))
    {
        *why = "id: another tenant's";
        json_decref(record);
        return NULL;
    }

    return record;
}


int
tenant_load(store_t *store, ctl_error_t *error, amp_span_t id, json_t **record)
{
    amp_buf_t       key;
    const char     *why;
    redisReply     *reply;
    unsigned char   buf[AMP_KEYS_MAX];

    amp_buf_init(&key, buf, sizeof(buf));
    amp_keys_tenant(store_prefix(store), id, &key);

    reply = store_command(store, error, "GET %b", buf,
                          amp_buf_written(&key).len);
    if (reply == NULL) {
        return -1;
    }

    if (reply->type != REDIS_REPLY_STRING) {
        freeReplyObject(reply);
        return 0;
    }

    *record = tenant_parse(id, reply->str, reply->len, &why);

    freeReplyObject(reply);

    if (*record == NULL) {
        ctl_error(error, CTL_REFUSED, "bad_record",
                  "the record of tenant \"%.*s\" cannot be read (%s)",
                  (int) id.len, id.data, why);
        return ctl_remedy(error, "mend it in Redis, or ampctl tenant remove "
                          "%.*s and add it again", (int) id.len, id.data);
    }

    return 1;
}


/* The clock of the Redis that holds the record, in milliseconds.  0, or -1. */

static int
tenant_time(store_t *store, ctl_error_t *error, amp_span_t id, uint64_t *now)
{
    int64_t         microseconds;
    amp_buf_t       key;
    unsigned char   buf[AMP_KEYS_MAX];

    amp_buf_init(&key, buf, sizeof(buf));
    amp_keys_tenant(store_prefix(store), id, &key);

    if (store_time(store, error, amp_buf_written(&key), &microseconds) != 0) {
        return -1;
    }

    *now = (uint64_t) microseconds / 1000;

    return 0;
}


/*
 * The write with its event.  record NULL deletes; rev is that of the event.
 * 1, 0 when the expected revision is not there, -1.
 */

static int
tenant_write(store_t *store, ctl_error_t *error, amp_span_t id,
    const char *expected, json_t *record, uint64_t rev)
{
    int             rc;
    char           *text;
    amp_buf_t       key, channel, message;
    amp_span_t      args[4];
    long long       answer;
    const char     *why;
    amp_event_t     event;
    tenant_flat_t   flat;
    unsigned char   key_buf[AMP_KEYS_MAX], channel_buf[AMP_KEYS_MAX];
    unsigned char   message_buf[AMP_EVENT_MAX];

    text = NULL;

    if (record != NULL) {
        json_object_set_new(record, "rev", json_integer((json_int_t) rev));

        text = json_dumps(record, JSON_COMPACT|JSON_PRESERVE_ORDER);
        why = "no memory";

        if (text == NULL || strlen(text) > AMP_TENANT_JSON_MAX
            || amp_tenant_decode(amp_span_make(text, strlen(text)), &flat,
                                 sizeof(flat), &why)
               == 0)
        {
            free(text);
            ctl_error(error, CTL_REFUSED, "bad_record",
                      "the gateway could not read tenant \"%.*s\" after this "
                      "change (%s)", (int) id.len, id.data, why);
            return ctl_remedy(error, "nothing was written");
        }
    }

    memset(&event, 0, sizeof(event));
    event.type = AMP_EVENT_TENANT;
    event.rev = rev;
    event.tenant_len = id.len;
    memcpy(event.tenant, id.data, id.len);

    amp_buf_init(&key, key_buf, sizeof(key_buf));
    amp_buf_init(&channel, channel_buf, sizeof(channel_buf));
    amp_buf_init(&message, message_buf, sizeof(message_buf));

    amp_keys_tenant(store_prefix(store), id, &key);
    amp_keys_events(store_prefix(store), &channel);
    amp_event_write(&event, &message);

    args[0] = amp_span_make(expected, strlen(expected));
    args[1] = amp_span_make(text, text ? strlen(text) : 0);
    args[2] = amp_buf_written(&channel);
    args[3] = amp_buf_written(&message);

    rc = store_script(store, error, &amp_script_write_tenant,
                      expected[0] != '\0', amp_buf_written(&key), args, 4,
                      &answer);

    free(text);

    return rc == 0 ? answer == 1 : -1;
}


static uint64_t
tenant_rev(const json_t *record)
{
    return (uint64_t) json_integer_value(json_object_get(record, "rev"));
}


int
tenant_change(store_t *store, ctl_error_t *error, amp_span_t id,
    tenant_change_pt change, void *data)
{
    int        rc;
    char       expected[24];
    json_t    *record;
    uint64_t   rev;
    unsigned   try;

    for (try = 0; try < TENANT_TRIES; try++) {

        rc = tenant_load(store, error, id, &record);
        if (rc != 1) {
            return rc;
        }

        rev = tenant_rev(record);
        rc = change(record, data, error);

        if (rc == 0) {
            snprintf(expected, sizeof(expected), "%llu",
                     (unsigned long long) rev);
            rc = tenant_write(store, error, id, expected, record, rev + 1);
        }

        json_decref(record);

        if (rc != 0) {
            return rc;
        }

        /* apart from the other writer, who is waiting for us as well */

        usleep(1000 * (try + 1) + (unsigned) getpid() % 1000);
    }

    ctl_error(error, CTL_REFUSED, "conflict",
              "tenant \"%.*s\" is being changed by others all the time",
              (int) id.len, id.data);

    return ctl_remedy(error, "run the command again");
}


static int
tenant_set_of_ids(store_t *store, ctl_error_t *error, const char *command,
    amp_span_t id, long long *answer)
{
    amp_buf_t       key;
    redisReply     *reply;
    unsigned char   buf[AMP_KEYS_MAX];

    amp_buf_init(&key, buf, sizeof(buf));
    amp_keys_tenants(store_prefix(store), &key);

    reply = store_command(store, error, "%s %b %b", command, buf,
                          amp_buf_written(&key).len, id.data, id.len);
    if (reply == NULL) {
        return -1;
    }

    *answer = reply->integer;
    freeReplyObject(reply);

    return 0;
}


int
tenant_create(store_t *store, ctl_error_t *error, amp_span_t id,
    json_t *record)
{
    int            rc;
    json_t        *old;
    uint64_t       now;
    long long      answer;
    token_list_t   stale;

    /*
     * The tokens are read before the record: whatever they list while there
     * is no record belongs to a former tenant of this name, and never to one
     * that another ampctl is adding now.
     */

    if (token_list(store, error, id, &stale) != 0) {
        return -1;
    }

    rc = tenant_load(store, error, id, &old);

    if (rc != 0) {
        token_list_free(&stale);

        if (rc == 1) {
            json_decref(old);
            return 0;
        }

        return -1;
    }

    rc = token_delete_all(store, error, id, &stale);

    token_list_free(&stale);

    if (rc != 0
        || tenant_time(store, error, id, &now) != 0
        || tenant_set_of_ids(store, error, "SADD", id, &answer) != 0)
    {
        return -1;
    }

    return tenant_write(store, error, id, "", record, now);
}


/* Drops the tenant's rate state; the gateways' own runs out by itself. */

static int
tenant_drop_limits(store_t *store, ctl_error_t *error, amp_span_t id)
{
    unsigned        i;
    amp_buf_t       key;
    redisReply     *reply;
    unsigned char   buf[AMP_KEYS_MAX];

    for (i = 0; i < AMP_LIMIT_COUNT; i++) {
        amp_buf_init(&key, buf, sizeof(buf));
        amp_keys_limit(store_prefix(store), id, i, &key);

        reply = store_command(store, error, "DEL %b", buf,
                              amp_buf_written(&key).len);
        if (reply == NULL) {
            return -1;
        }

        freeReplyObject(reply);
    }

    return 0;
}


/* 1 deleted, 0 there was none, -1. */

static int
tenant_delete_record(store_t *store, ctl_error_t *error, amp_span_t id)
{
    int        rc;
    char       expected[24];
    json_t    *record;
    uint64_t   rev;
    unsigned   try;

    for (try = 0; try < TENANT_TRIES; try++) {

        rc = tenant_load(store, error, id, &record);

        if (rc == 0) {
            return 0;
        }

        if (rc == 1) {
            rev = tenant_rev(record);
            json_decref(record);

            snprintf(expected, sizeof(expected), "%llu",
                     (unsigned long long) rev);

        } else if (strcmp(error->code, "bad_record") == 0) {

            /* nobody can read its revision: any later one will do */

            if (tenant_time(store, error, id, &rev) != 0) {
                return -1;
            }

            strcpy(expected, "*");

        } else {
            return -1;
        }

        rc = tenant_write(store, error, id, expected, NULL, rev + 1);
        if (rc != 0) {
            return rc;
        }
    }

    ctl_error(error, CTL_REFUSED, "conflict",
              "tenant \"%.*s\" is being changed by others all the time",
              (int) id.len, id.data);

    return ctl_remedy(error, "run the command again");
}


int
tenant_remove(store_t *store, ctl_error_t *error, amp_span_t id,
    unsigned *tokens)
{
    int           rc, found;
    long long     member;
    token_list_t  list;

    found = tenant_delete_record(store, error, id);

    if (found == -1 || token_list(store, error, id, &list) != 0) {
        return -1;
    }

    *tokens = (unsigned) list.n;
    found |= (list.n != 0);

    rc = token_delete_all(store, error, id, &list);

    token_list_free(&list);

    if (rc != 0
        || tenant_drop_limits(store, error, id) != 0
        || tenant_set_of_ids(store, error, "SREM", id, &member) != 0)
    {
        return -1;
    }

    return found || member != 0;
}


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
