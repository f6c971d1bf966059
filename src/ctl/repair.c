/*
 * Mends keys of another type, and lists tenants again.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/amp_json.h"
#include "../core/amp_keys.h"
#include "audit.h"
#include "record.h"
#include "repair.h"
#include "tenant_keys.h"
#include "tenant_write.h"


/* What mends a key that is not moved, or NULL where it is moved. */

static const char *
repair_remedy(amp_span_t prefix, const char *key, char remedy[512])
{
    const char  *name;

    name = key + prefix.len;

    if (strncmp(name, "tenant:", 7) == 0) {
        snprintf(remedy, 512, "ampctl tenant remove %.*s, then add or import "
                 "it", AMP_TENANT_ID_MAX, name + 7);
        return remedy;
    }

    if (strncmp(name, "token:", 6) == 0) {
        return "revoke the token (ampctl token revoke TOKEN_ID) or, where no "
               "index names it, remove the key; and issue another one";
    }

    return strcmp(name, "frozen") == 0
           ? "ampctl freeze or ampctl thaw writes it again" : NULL;
}


static int
repair_move(repair_t *repair, const char *key, json_t *entry)
{
    char            number[24];
    ctl_t          *ctl;
    amp_buf_t       to;
    amp_span_t      name;
    redisReply     *reply;
    unsigned char   buf[2 * AMP_KEYS_MAX];

    ctl = repair->ctl;
    snprintf(number, sizeof(number), "%lld", (long long) repair->now);

    amp_buf_init(&to, buf, sizeof(buf));
    amp_keys_broken(store_prefix(ctl->store), ctl_span(key), ctl_span(number),
                    &to);
    name = amp_buf_written(&to);
    json_object_set_new(entry, "to", json_stringn((const char *) name.data,
                                                  name.len));

    if (strncmp(key + store_prefix(ctl->store).len, "gen:", 4) == 0) {
        json_object_set_new(entry, "remedy", json_string("if the project had a "
                            "limit, set it again: ampctl limit set --project "
                            "PROJECT_ID"));
    }

    if (!repair->dry) {
        reply = store_command(ctl->store, &ctl->error, "RENAMENX %s %b", key,
                              name.data, name.len);
        if (reply == NULL) {
            return -1;
        }

        freeReplyObject(reply);
    }

    return 0;
}


static int
repair_types(repair_t *repair)
{
    char         text[512];
    json_t      *type, *entry;
    const char  *key, *remedy, *expected;
    amp_span_t   prefix;

    prefix = store_prefix(repair->ctl->store);

    json_object_foreach(repair->inventory.wrong, key, type) {
        expected = amp_keys_type(prefix, ctl_span(key));
        entry = json_pack("{s:s, s:O, s:s}", "key", key, "type", type,
                          "expected", expected ? expected : "");
        remedy = repair_remedy(prefix, key, text);

        if (remedy != NULL) {
            json_object_set_new(entry, "remedy", json_string(remedy));
            json_array_append_new(repair->left, entry);
            continue;
        }

        if (repair_move(repair, key, entry) != 0) {
            json_decref(entry);
            return -1;
        }

        json_array_append_new(repair->moved, entry);
    }

    return 0;
}


/*
 * Where the record under a tenant's name has the id of another tenant: its
 * text, the caller's to free, that id and the revision.  Else NULL.
 */

static char *
repair_misnamed(repair_t *repair, const char *id,
    char own[AMP_TENANT_ID_MAX + 1], uint64_t *rev)
{
    char           *text;
    ctl_t          *ctl;
    json_t         *record;
    amp_buf_t       key;
    const char     *why;
    redisReply     *reply;
    unsigned char   buf[AMP_KEYS_MAX];

    ctl = repair->ctl;
    text = NULL;

    amp_buf_init(&key, buf, sizeof(buf));
    amp_keys_tenant(store_prefix(ctl->store), ctl_span(id), &key);

    reply = store_command(ctl->store, &ctl->error, "GET %b", buf,
                          amp_buf_written(&key).len);

    if (reply != NULL && reply->type == REDIS_REPLY_STRING) {
        record = amp_json_object(amp_span_make(reply->str, reply->len), &why);
        snprintf(own, AMP_TENANT_ID_MAX + 1, "%s", record_text(record, "id"));
        json_decref(record);

        record = strcmp(own, id) != 0
                 ? tenant_parse(ctl_span(own), reply->str, reply->len, &why)
                 : NULL;

        if (record != NULL) {
            *rev = tenant_rev(record);
            text = strndup(reply->str, reply->len);
            json_decref(record);
        }
    }

    freeReplyObject(reply);

    return text;
}


/* Adds an id to the set of tenants.  0, or -1. */

static int
repair_add(repair_t *repair, const char *id)
{
    ctl_t      *ctl;
    long long   added;

    ctl = repair->ctl;

    return tenant_set_of_ids(ctl->store, &ctl->error, "SADD",
                             amp_span_make(id, strlen(id)), &added);
}


/* Writes a record under its own name, unless there is one.  0, or -1. */

static int
repair_rename(repair_t *repair, const char *id)
{
    int        rc;
    char      *text, own[AMP_TENANT_ID_MAX + 1];
    ctl_t     *ctl;
    json_t    *record;
    uint64_t   rev;

    ctl = repair->ctl;

    text = repair_misnamed(repair, id, own, &rev);
    if (text == NULL) {
        return 0;
    }

    rc = tenant_load(ctl->store, &ctl->error, ctl_span(own), &record);

    if (rc == 1) {
        json_decref(record);
    }

    if (rc == 0 && !repair->dry) {
        rc = tenant_write(ctl->store, &ctl->error, ctl_span(own), "", text,
                          rev);

        if (rc == 1) {
            rc = tenant_write(ctl->store, &ctl->error, ctl_span(id), "*", NULL,
                              rev + 1);
        }

        rc = rc == 1 ? repair_add(repair, own)
             : rc == 0 ? tenant_conflict(&ctl->error, ctl_span(own)) : -1;
    }

    free(text);

    if (rc == 0) {
        json_array_append_new(repair->renamed,
                              json_pack("{s:s, s:s}", "tenant", own,
                                        "found_as", id));
    }

    /* there is a record of that name, which may be unreadable: both stay */

    return rc == 1 || (rc == -1 && strcmp(ctl->error.code, "bad_record") == 0)
           ? 0 : rc;
}


typedef struct {
    repair_t  *repair;
    json_t    *unreadable;
} repair_records_t;


static void
repair_record(const char *id, json_t *record, const char *why, void *data)
{
    repair_records_t  *records = data;

    if (record == NULL) {
        json_array_append_new(records->unreadable, json_string(id));
    }
}


/* Records under the name of another tenant. */

static int
repair_names(repair_t *repair)
{
    int                rc;
    ctl_t             *ctl;
    size_t             i, n;
    json_t            *id;
    tenant_ids_t      *ids;
    repair_records_t   records;

    ctl = repair->ctl;
    ids = &repair->inventory.records;
    records.repair = repair;
    records.unreadable = json_array();

    for (rc = 0, i = 0; rc == 0 && i < ids->n; i += n) {
        n = ids->n - i < TENANT_BATCH ? ids->n - i : TENANT_BATCH;
        rc = tenant_read(ctl->store, &ctl->error, ids->ids + i, n,
                         repair_record, &records);
    }

    for (i = 0; rc == 0 && i < json_array_size(records.unreadable); i++) {
        id = json_array_get(records.unreadable, i);
        rc = repair_rename(repair, json_string_value(id));
    }

    json_decref(records.unreadable);

    return rc;
}


/* The set of tenants; in a dry run it may still be of another type. */

static int
repair_listed(repair_t *repair, tenant_ids_t *listed)
{
    ctl_t  *ctl;

    ctl = repair->ctl;

    if (tenant_ids(ctl->store, &ctl->error, listed) == 0) {
        return 0;
    }

    if (!repair->dry || strcmp(ctl->error.code, "bad_record") != 0) {
        return -1;
    }

    memset(listed, 0, sizeof(*listed));
    tenant_ids_sort(listed);

    return 0;
}


/* Whether a record is that of another tenant, which has it now. */

static int
repair_was_renamed(const repair_t *repair, const char *id)
{
    size_t   i;
    json_t  *entry;

    json_array_foreach(repair->renamed, i, entry) {
        if (strcmp(record_text(entry, "found_as"), id) == 0) {
            return 1;
        }
    }

    return 0;
}


static int
repair_tenants(repair_t *repair)
{
    int            rc;
    size_t         i;
    const char    *id;
    tenant_ids_t   listed, *records;

    records = &repair->inventory.records;

    if (repair_listed(repair, &listed) != 0) {
        return -1;
    }

    for (rc = 0, i = 0; rc == 0 && i < records->n; i++) {
        id = records->ids[i];

        if (!tenant_ids_has(&listed, id) && !repair_was_renamed(repair, id)) {
            json_array_append_new(repair->tenants, json_string(id));
            rc = repair->dry ? 0 : repair_add(repair, id);
        }
    }

    tenant_ids_free(&listed);

    return rc;
}


static void
repair_audit(repair_t *repair)
{
    size_t       i;
    json_t      *entry;
    store_t     *store;

    store = repair->ctl->store;

    json_array_foreach(repair->moved, i, entry) {
        audit_add(store, "key moved aside", amp_span_null, NULL, entry);
    }

    json_array_foreach(repair->renamed, i, entry) {
        audit_add(store, "tenant renamed back",
                  ctl_span(record_text(entry, "tenant")), NULL, entry);
    }

    json_array_foreach(repair->tenants, i, entry) {
        audit_add(store, "tenant listed again",
                  ctl_span(json_string_value(entry)), NULL, NULL);
    }

    json_array_foreach(repair->tokens, i, entry) {
        audit_add(store, "token listed again",
                  amp_token_id_tenant(ctl_span(json_string_value(entry))),
                  NULL, entry);
    }
}


int
repair(repair_t *repair)
{
    int            rc;
    ctl_t         *ctl;
    int64_t        now;

    ctl = repair->ctl;

    repair->moved = json_array();
    repair->renamed = json_array();
    repair->tenants = json_array();
    repair->tokens = json_array();
    repair->left = json_array();

    now = 0;
    rc = inventory_read(ctl->store, &ctl->error, 0, &repair->inventory);

    if (rc == 0) {
        rc = store_time(ctl->store, &ctl->error, store_prefix(ctl->store),
                        &now);
    }

    if (rc == 0) {
        repair->now = now / 1000000;
        rc = repair_types(repair);
    }

    if (rc == 0) {
        rc = repair_names(repair);
    }

    if (rc == 0) {
        rc = repair_tenants(repair);
    }

    if (rc == 0) {
        rc = repair_tokens(repair);
    }

    if (!repair->dry) {
        repair_audit(repair);
    }

    return rc;
}


void
repair_free(repair_t *repair)
{
    inventory_free(&repair->inventory);
    json_decref(repair->moved);
    json_decref(repair->renamed);
    json_decref(repair->tenants);
    json_decref(repair->tokens);
    json_decref(repair->left);
}
