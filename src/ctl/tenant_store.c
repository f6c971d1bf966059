/*
 * Tenant records in Redis.
 *
 * One script on the record's key compares the revision, writes the record and
 * publishes an event.  The other keys of a tenant are written in an order that
 * grants nothing when ampctl is killed in between:
 *
 *   add     the id into amp:tenants, then the record.  Left over: an id without
 *           a record, which lists leave out and "tenant remove" clears.
 *   remove  the record, then each token, the rate state, the index of tokens,
 *           the id from amp:tenants.  Left over: tokens without a tenant, which
 *           gateways refuse; "tenant remove" or "tenant add" of the same id
 *           deletes them first.
 *
 * The revision of a new tenant is the clock of Redis in milliseconds: when a
 * tenant is removed and added again, its revision is higher than that of every
 * event about the removed one.  The same number is its incarnation, which never
 * changes: cached answers and cool-downs of the gateways belong to one
 * incarnation.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../core/amp_event.h"
#include "../core/amp_json.h"
#include "../core/amp_keys.h"
#include "../core/amp_script.h"
#include "audit.h"
#include "record.h"
#include "tenant_store.h"
#include "token_store.h"


#define TENANT_TRIES  32


/* Room for amp_tenant_decode(). */

typedef union {
    uint64_t       aligned;
    unsigned char  bytes[AMP_TENANT_FLAT_MAX];
} tenant_flat_t;


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
        *why = "it has the id of another tenant";
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

    (void) ctl_remedy(error, "repair the record in Redis, or remove the "
                      "tenant (ampctl tenant remove %.*s) and add it again",
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
 * The record as text, with "rev" set, the caller's to free().  NULL with the
 * error filled when the gateway could not read it.
 */

static char *
tenant_text(ctl_error_t *error, amp_span_t id, json_t *record, uint64_t rev)
{
    char           *text;
    size_t          len;
    const char     *why;
    tenant_flat_t   flat;

    json_object_set_new(record, "rev", json_integer((json_int_t) rev));

    text = json_dumps(record, JSON_COMPACT|JSON_PRESERVE_ORDER);
    if (text == NULL) {
        abort();
    }

    why = "the record is too large";
    len = strlen(text);

    if (len <= AMP_TENANT_JSON_MAX
        && amp_tenant_decode(amp_span_make(text, len), &flat, sizeof(flat),
                             &why)
           != 0)
    {
        return text;
    }

    free(text);

    ctl_error(error, CTL_REFUSED, "bad_record",
              "nothing was written: with this change the gateway could not "
              "read tenant \"%.*s\" (%s)", (int) id.len, id.data, why);
    (void) ctl_remedy(error, "make the record smaller, e.g. with fewer groups, "
                      "grants or retired keys");

    return NULL;
}


/* The key and the arguments of the script that writes a record. */

typedef struct {
    amp_span_t      key;
    amp_span_t      args[4];
    unsigned char   key_buf[AMP_KEYS_MAX];
    unsigned char   channel_buf[AMP_KEYS_MAX];
    unsigned char   message_buf[AMP_EVENT_MAX];
} tenant_script_t;


static void
tenant_script(store_t *store, amp_span_t id, const char *expected,
    const char *text, uint64_t rev, tenant_script_t *script)
{
    amp_buf_t    key, channel, message;
    amp_event_t  event;

    memset(&event, 0, sizeof(event));
    event.type = AMP_EVENT_TENANT;
    event.rev = rev;
    event.tenant_len = id.len;
    memcpy(event.tenant, id.data, id.len);

    amp_buf_init(&key, script->key_buf, sizeof(script->key_buf));
    amp_buf_init(&channel, script->channel_buf, sizeof(script->channel_buf));
    amp_buf_init(&message, script->message_buf, sizeof(script->message_buf));

    amp_keys_tenant(store_prefix(store), id, &key);
    amp_keys_events(store_prefix(store), &channel);
    amp_event_write(&event, &message);

    script->key = amp_buf_written(&key);
    script->args[0] = amp_span_make(expected, strlen(expected));
    script->args[1] = amp_span_make(text, text ? strlen(text) : 0);
    script->args[2] = amp_buf_written(&channel);
    script->args[3] = amp_buf_written(&message);
}


/*
 * Writes the text of a record with revision rev, or deletes the record when
 * text is NULL, and publishes an event with rev.  1, 0 when Redis has another
 * revision than the expected, -1.
 */

static int
tenant_write(store_t *store, ctl_error_t *error, amp_span_t id,
    const char *expected, const char *text, uint64_t rev)
{
    int              rc;
    long long        answer;
    tenant_script_t  script;

    tenant_script(store, id, expected, text, rev, &script);

    rc = store_script(store, error, &amp_script_write_tenant,
                      expected[0] != '\0', script.key, script.args, 4,
                      &answer);

    return rc == 0 ? answer == 1 : -1;
}


static uint64_t
tenant_rev(const json_t *record)
{
    return (uint64_t) json_integer_value(json_object_get(record, "rev"));
}


static int
tenant_conflict(ctl_error_t *error, amp_span_t id)
{
    ctl_error(error, CTL_REFUSED, "conflict",
              "tenant \"%.*s\" was changed by other commands %d times in a row",
              (int) id.len, id.data, TENANT_TRIES);

    return ctl_remedy(error, "run the command again");
}


/* before is a view already, or NULL. */

static void
tenant_audit(store_t *store, const char *change, amp_span_t id,
    const json_t *before, const json_t *record)
{
    json_t  *after;

    after = record_view(record);
    audit_add(store, change, id, before, after);
    json_decref(after);
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
        reply = store_reply(store, &error);
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


static int
tenant_delete_key(store_t *store, ctl_error_t *error, const amp_buf_t *key)
{
    amp_span_t   name;
    redisReply  *reply;

    name = amp_buf_written(key);
    reply = store_command(store, error, "DEL %b", name.data, name.len);

    if (reply == NULL) {
        return -1;
    }

    freeReplyObject(reply);

    return 0;
}


/*
 * Deletes the tenant's rate state and its cool-down; what the gateways lease of
 * it expires.
 */

static int
tenant_drop_limits(store_t *store, ctl_error_t *error, amp_span_t id)
{
    unsigned        i;
    amp_buf_t       key;
    redisReply     *reply;
    unsigned char   buf[AMP_KEYS_MAX];

    for (i = 0; i <= AMP_LIMIT_COUNT; i++) {
        amp_buf_init(&key, buf, sizeof(buf));

        if (i < AMP_LIMIT_COUNT) {
            amp_keys_limit(store_prefix(store), id, i, &key);
        } else {
            amp_keys_cooldown(store_prefix(store), id, amp_span_null, &key);
        }

        store_queue(store, "DEL %b", buf, amp_buf_written(&key).len);
    }

    while (i-- > 0) {
        reply = store_reply(store, error);
        if (reply == NULL) {
            return -1;
        }

        freeReplyObject(reply);
    }

    return 0;
}


int
tenant_create(store_t *store, ctl_error_t *error, amp_span_t id,
    json_t *record)
{
    int            rc;
    char          *text;
    json_t        *old;
    uint64_t       now;
    long long      answer;
    token_list_t   stale;

    /*
     * The index of tokens is read before the record: tokens that are listed
     * while there is no record belong to a removed tenant of this id, and never
     * to one that another ampctl is adding now.
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

    if (rc != 0 || tenant_drop_limits(store, error, id) != 0
        || tenant_time(store, error, id, &now) != 0) {
        return -1;
    }

    json_object_set_new(record, "incarnation", json_integer((json_int_t) now));

    text = tenant_text(error, id, record, now);
    if (text == NULL) {
        return -1;
    }

    rc = tenant_set_of_ids(store, error, "SADD", id, &answer);

    if (rc == 0) {
        rc = tenant_write(store, error, id, "", text, now);
    }

    if (rc == 1) {
        tenant_audit(store, "tenant added", id, NULL, record);
    }

    free(text);

    return rc;
}


/*
 * The index of tokens, or an empty list where the index is of another type:
 * then the key is deleted.  Tokens without a tenant are refused.
 */

static int
tenant_tokens(store_t *store, ctl_error_t *error, amp_span_t id,
    token_list_t *list)
{
    amp_buf_t       key;
    unsigned char   buf[AMP_KEYS_MAX];

    if (token_list(store, error, id, list) == 0) {
        return 0;
    }

    if (strcmp(error->code, "bad_record") != 0) {
        return -1;
    }

    memset(list, 0, sizeof(*list));

    amp_buf_init(&key, buf, sizeof(buf));
    amp_keys_tokens(store_prefix(store), id, &key);

    return tenant_delete_key(store, error, &key);
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

            /* the revision cannot be read: the clock is higher */

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

    return tenant_conflict(error, id);
}


int
tenant_remove(store_t *store, ctl_error_t *error, amp_span_t id,
    unsigned *tokens)
{
    int           rc, found;
    long long     member;
    token_list_t  list;

    found = tenant_delete_record(store, error, id);

    if (found == -1 || tenant_tokens(store, error, id, &list) != 0) {
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

    if (found || member != 0) {
        audit_add(store, "tenant removed", id, NULL, NULL);
        return 1;
    }

    return 0;
}
