/*
 * Tenant records in Redis: read, and changed in place.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../core/amp_json.h"
#include "../core/amp_keys.h"
#include "audit.h"
#include "record.h"
#include "tenant_store.h"
#include "tenant_write.h"


static const char  tenant_other[] = "it has the id of another tenant";


json_t *
tenant_parse(amp_span_t id, const char *text, size_t len, const char **why)
{
    json_t         *record;
    tenant_flat_t   flat;

    *why = "the record is too large";

    if (len > AMP_TENANT_JSON_MAX) {
        return NULL;
    }

    record = amp_json_object(amp_span_make(text, len), why);
    if (record == NULL) {
        return NULL;
    }

    if (amp_tenant_decode_object(record, &flat, sizeof(flat), why) == 0) {
        json_decref(record);
        return NULL;
    }

    if (!amp_span_eq(id, amp_tenant_field((amp_tenant_t *) &flat,
                                          ((amp_tenant_t *) &flat)->id)))
    {
        *why = tenant_other;
        json_decref(record);
        return NULL;
    }

    return record;
}


static amp_span_t
tenant_span(const char *id)
{
    return amp_span_make(id, strlen(id));
}


/* The tenant's record as text.  NULL with the error filled. */

static redisReply *
tenant_get(store_t *store, ctl_error_t *error, amp_span_t id)
{
    amp_buf_t       key;
    unsigned char   buf[AMP_KEYS_MAX];

    amp_buf_init(&key, buf, sizeof(buf));
    amp_keys_tenant(store_prefix(store), id, &key);

    return store_command(store, error, "GET %b", buf,
                         amp_buf_written(&key).len);
}


static void
tenant_unreadable(ctl_error_t *error, amp_span_t id, const char *why)
{
    ctl_error(error, CTL_REFUSED, "bad_record",
              "the record of tenant \"%.*s\" cannot be read (%s)",
              (int) id.len, id.data, why);

    (void) ctl_remedy(error, "%s, or remove the tenant (ampctl tenant remove "
                      "%.*s) and add it again",
                      why == tenant_other ? "ampctl repair writes it under its "
                                            "own name, if that is free"
                                          : "repair the record in Redis",
                      (int) id.len, id.data);
}


int
tenant_load(store_t *store, ctl_error_t *error, amp_span_t id, json_t **record)
{
    const char  *why;
    redisReply  *reply;

    reply = tenant_get(store, error, id);

    if (reply == NULL) {
        if (strcmp(error->code, "bad_record") == 0) {
            tenant_unreadable(error, id, "a value of another type");
        }

        return -1;
    }

    if (reply->type != REDIS_REPLY_STRING) {
        freeReplyObject(reply);
        return 0;
    }

    *record = tenant_parse(id, reply->str, reply->len, &why);

    freeReplyObject(reply);

    if (*record == NULL) {
        tenant_unreadable(error, id, why);
        return -1;
    }

    return 1;
}


int
tenant_change(store_t *store, ctl_error_t *error, amp_span_t id,
    tenant_change_pt change, void *data)
{
    int        rc;
    char      *text, expected[24];
    json_t    *record, *before, *view;
    uint64_t   rev;
    unsigned   try, dry;

    for (try = 0; try < TENANT_TRIES; try++) {

        rc = tenant_load(store, error, id, &record);
        if (rc != 1) {
            return rc;
        }

        rev = tenant_rev(record);
        view = record_view(record);
        before = json_deep_copy(view);
        json_decref(view);

        rc = change(record, data, error);

        if (rc == 0 || rc == 2) {
            dry = (rc == 2);
            snprintf(expected, sizeof(expected), "%llu",
                     (unsigned long long) rev);
            text = tenant_text(error, id, record, rev + 1);
            rc = text == NULL ? -1
                 : dry ? 1
                 : tenant_write(store, error, id, expected, text, rev + 1);

            if (rc == 1 && !dry) {
                tenant_audit(store, "tenant changed", id, before, record);
            }

            free(text);
        }

        json_decref(before);
        json_decref(record);

        if (rc != 0) {
            return rc;
        }

        /* a different pause in each process, so that one of them is first */

        usleep(1000 * (try + 1) + (unsigned) getpid() % 1000);
    }

    return tenant_conflict(error, id);
}


/* With --dry-run: could it be written?  1, or -1. */

static int
tenant_change_check(ctl_error_t *error, amp_span_t id, json_t *record)
{
    char  *text;

    text = tenant_text(error, id, record, tenant_rev(record) + 1);
    free(text);

    return text != NULL ? 1 : -1;
}


/* Queues the write of a changed record.  0, or -1. */

static int
tenant_change_queue(store_t *store, ctl_error_t *error, amp_span_t id,
    json_t *record)
{
    char             *text, expected[24];
    uint64_t          rev;
    tenant_script_t   script;

    rev = tenant_rev(record);
    text = tenant_text(error, id, record, rev + 1);

    if (text == NULL) {
        return -1;
    }

    snprintf(expected, sizeof(expected), "%llu", (unsigned long long) rev);
    tenant_script(store, id, expected, text, rev + 1, &script);
    store_queue_script(store, &amp_script_write_tenant, script.key, script.args,
                       4);
    free(text);

    return 0;
}


void
tenant_change_many(store_t *store, char *const *ids, size_t n,
    tenant_change_pt change, void *data, size_t size, int *done)
{
    int             rc;
    size_t          i;
    json_t         *records[TENANT_BATCH];
    amp_buf_t       key;
    amp_span_t      id;
    const char     *why;
    redisReply     *reply;
    ctl_error_t     error;
    unsigned char   buf[AMP_KEYS_MAX];

    for (i = 0; i < n; i++) {
        done[i] = -1;
        records[i] = NULL;

        amp_buf_init(&key, buf, sizeof(buf));
        amp_keys_tenant(store_prefix(store), tenant_span(ids[i]), &key);
        store_queue(store, "GET %b", buf, amp_buf_written(&key).len);
    }

    for (i = 0; i < n; i++) {
        reply = store_reply_typed(store, &error);
        if (reply == NULL) {
            break;
        }

        if (reply->type == REDIS_REPLY_STRING) {
            records[i] = tenant_parse(tenant_span(ids[i]), reply->str,
                                      reply->len, &why);
        }

        freeReplyObject(reply);
    }

    for (i = 0; i < n; i++) {
        if (records[i] == NULL) {
            continue;
        }

        id = tenant_span(ids[i]);
        rc = change(records[i], (char *) data + i * size, &error);

        /* 2: its write is queued */

        done[i] = rc == 1 ? 1
                  : rc == 2 ? tenant_change_check(&error, id, records[i])
                  : rc == 0 && tenant_change_queue(store, &error, id,
                                                   records[i]) == 0
                    ? 2 : -1;

        json_decref(records[i]);
    }

    for (i = 0; i < n; i++) {
        if (done[i] != 2) {
            continue;
        }

        reply = store_reply(store, &error);

        if (reply == NULL) {
            for ( /* void */ ; i < n; i++) {
                done[i] = done[i] == 2 ? -1 : done[i];
            }

            break;
        }

        done[i] = reply->integer == 1 ? 1 : -1;
        freeReplyObject(reply);
    }
}


int
tenant_disable_large(store_t *store, ctl_error_t *error, amp_span_t id)
{
    int          rc;
    char        *text;
    json_t      *record;
    uint64_t     now;
    redisReply  *reply;

    reply = tenant_get(store, error, id);
    if (reply == NULL) {
        return -1;
    }

    record = NULL;

    if (reply->type == REDIS_REPLY_STRING && reply->len > AMP_TENANT_JSON_MAX) {
        record = json_loadb(reply->str, reply->len, JSON_REJECT_DUPLICATES,
                            NULL);
    }

    freeReplyObject(reply);

    if (json_integer_value(json_object_get(record, "v")) != 1
        || !amp_span_eq(id, record_span(record_text(record, "id"))))
    {
        json_decref(record);

        rc = tenant_load(store, error, id, &record);

        if (rc == 1) {
            json_decref(record);
        }

        return rc == -1 ? -1 : tenant_conflict(error, id);
    }

    rc = tenant_time(store, error, id, &now);

    if (rc == 0) {
        json_object_set_new(record, "rev", json_integer((json_int_t) now));
        json_object_set_new(record, "disabled", json_true());

        text = json_dumps(record, JSON_COMPACT|JSON_PRESERVE_ORDER);
        if (text == NULL) {
            abort();
        }

        rc = tenant_write(store, error, id, "*", text, now);
        free(text);

        if (rc == 1) {
            audit_add(store, "tenant changed", id, NULL, NULL);
        }
    }

    json_decref(record);

    return rc == 1 ? 0 : -1;
}
