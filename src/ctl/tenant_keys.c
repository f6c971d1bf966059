/*
 * All keys of a tenant in Redis: added and removed.
 *
 * The keys are written in an order that grants nothing when ampctl is killed in
 * between:
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

#include "../core/amp_keys.h"
#include "audit.h"
#include "tenant_keys.h"
#include "tenant_store.h"
#include "tenant_write.h"
#include "token_store.h"


int
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
