/*
 * Tokens in Redis.
 *
 * One script sets or deletes a token's key and publishes an event.  The index
 * entry is written before the token and deleted after it, so that every token
 * is listed and can be revoked.  When ampctl is killed in between, an entry
 * without a token is left, which is harmless.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/amp_escape.h"
#include "../core/amp_event.h"
#include "../core/amp_keys.h"
#include "../core/amp_script.h"
#include "audit.h"
#include "secret.h"
#include "token_scope.h"
#include "token_store.h"
#include "token_use.h"


#define TOKEN_RANDOM     128
#define TOKEN_SHORT_ID   10


static int
token_write(store_t *store, ctl_error_t *error, amp_span_t tenant,
    const token_entry_t *entry, amp_span_t record, int64_t expires,
    long long *answer)
{
    char           end[24];
    unsigned       i, byte;
    amp_buf_t      key, channel, message;
    amp_span_t     args[5];
    amp_event_t    event;
    unsigned char  key_buf[AMP_KEYS_MAX], channel_buf[AMP_KEYS_MAX];
    unsigned char  message_buf[AMP_EVENT_MAX];

    memset(&event, 0, sizeof(event));
    event.type = AMP_EVENT_TOKEN;
    event.tenant_len = tenant.len;
    memcpy(event.tenant, tenant.data, tenant.len);

    for (i = 0; i < AMP_TOKEN_DIGEST; i++) {
        if (sscanf(entry->digest + 2 * i, "%2x", &byte) == 1) {
            event.digest[i] = (unsigned char) byte;
        }
    }

    snprintf(end, sizeof(end), "%lld", (long long) expires);

    amp_buf_init(&key, key_buf, sizeof(key_buf));
    amp_buf_init(&channel, channel_buf, sizeof(channel_buf));
    amp_buf_init(&message, message_buf, sizeof(message_buf));

    amp_keys_token(store_prefix(store),
                   amp_span_make(entry->digest, AMP_TOKEN_DIGEST_HEX), &key);
    amp_keys_events(store_prefix(store), &channel);
    amp_event_write(&event, &message);

    args[0] = record;
    args[1] = amp_span_make(end, strlen(end));
    args[2] = amp_buf_written(&channel);
    args[3] = amp_buf_written(&message);
    args[4] = amp_span_make(entry->id, strlen(entry->id));

    return store_script(store, error, &amp_script_write_token, 1,
                        amp_buf_written(&key), args, 5, answer);
}


static int
token_draw(ctl_error_t *error, amp_span_t tenant, token_issued_t *issued)
{
    int            rc;
    unsigned char  random[TOKEN_RANDOM], id[TOKEN_SHORT_ID];

    do {
        if (secret_random(random, sizeof(random), error) != 0) {
            return -1;
        }

        /* the id is public: it shares no byte with the token */

        rc = amp_token_make(random, TOKEN_RANDOM / 2,
                            (unsigned char *) issued->token)
             | amp_base62(random + TOKEN_RANDOM / 2, TOKEN_RANDOM / 2, id,
                          sizeof(id));
    } while (rc != 0);

    secret_clean(random, sizeof(random));

    issued->token[AMP_TOKEN_LEN] = '\0';
    snprintf(issued->id, sizeof(issued->id), "%.*s.%.*s", (int) tenant.len,
             tenant.data, (int) sizeof(id), id);

    return 0;
}


/*
 * 1 when the tenant has a record, with its incarnation or 0; 0 when it has
 * none; -1.
 */

static int
token_tenant(store_t *store, ctl_error_t *error, amp_span_t tenant,
    uint64_t *incarnation)
{
    int             exists;
    json_t         *record;
    amp_buf_t       key;
    redisReply     *reply;
    unsigned char   buf[AMP_KEYS_MAX];

    amp_buf_init(&key, buf, sizeof(buf));
    amp_keys_tenant(store_prefix(store), tenant, &key);

    reply = store_command(store, error, "GET %b", buf,
                          amp_buf_written(&key).len);
    if (reply == NULL) {
        return -1;
    }

    exists = (reply->type == REDIS_REPLY_STRING);
    record = exists ? json_loadb(reply->str, reply->len, 0, NULL) : NULL;
    *incarnation = (uint64_t) json_integer_value(
                       json_object_get(record, "incarnation"));

    json_decref(record);
    freeReplyObject(reply);

    return exists;
}


static int
token_delete(store_t *store, ctl_error_t *error, amp_span_t tenant,
    const token_entry_t *entry, long long *answer)
{
    if (token_write(store, error, tenant, entry, amp_span_null, 0, answer)
        != 0)
    {
        return -1;
    }

    /* not that of another token which has this digest */

    if (*answer != -1 && token_use_forget(store, error, entry->digest) != 0) {
        return -1;
    }

    return token_index(store, error, tenant, entry->id, NULL);
}


/*
 * Deletes a new token when its tenant was removed at the same time.  The
 * removal may have read the index before the token's entry was written, or
 * deleted the token before it was written; the token must not be left for a
 * later tenant of the same id.  1 when the token stays, 0 when it was deleted,
 * -1.
 */

static int
token_settle(store_t *store, ctl_error_t *error, amp_span_t tenant,
    uint64_t incarnation, const token_entry_t *written)
{
    int            rc;
    uint64_t       now;
    long long      answer;
    token_entry_t  entry;

    if (token_find(store, error, amp_span_make(written->id,
                                               strlen(written->id)), &entry)
        != 0)
    {
        return -1;
    }

    /* token_prune() may have taken the entry for one of a token that is gone */

    if (entry.digest[0] == '\0'
        && token_index(store, error, tenant, written->id, written->digest) != 0)
    {
        return -1;
    }

    rc = token_tenant(store, error, tenant, &now);

    if (rc == -1 || (rc == 1 && now == incarnation)) {
        return rc;
    }

    return token_delete(store, error, tenant, written, &answer);
}


/* Writes a token and its entry.  1, 0 when its tenant was removed, -1. */

static int
token_put(store_t *store, ctl_error_t *error, uint64_t incarnation,
    const token_entry_t *entry, const amp_token_record_t *record)
{
    int            rc;
    json_t        *after;
    amp_buf_t      text;
    long long      answer;
    unsigned char  buf[AMP_TOKEN_RECORD_MAX];

    amp_buf_init(&text, buf, sizeof(buf));
    amp_token_record_write(record, &text);

    if (text.overflow) {
        ctl_error(error, CTL_REFUSED, "bad_record", "the token's record is too "
                  "large");
        return ctl_remedy(error, "give a shorter label, or fewer groups, "
                          "origins and grants");
    }

    if (token_index(store, error, record->tenant, entry->id, entry->digest) != 0
        || token_write(store, error, record->tenant, entry,
                       amp_buf_written(&text), record->expires, &answer) != 0)
    {
        return -1;
    }

    if (answer == -1) {
        ctl_error(error, CTL_REFUSED, "conflict", "another token, or the same "
                  "identity of a tenant, was added at the same time");
        (void) ctl_remedy(error, "see which: ampctl identity list");
        (void) token_index(store, error, record->tenant, entry->id, NULL);
        return -1;
    }

    rc = token_settle(store, error, record->tenant, incarnation, entry);

    if (rc == 1) {
        after = json_pack("{s:s, s:s%, s:I, s:o}", "id", entry->id, "label",
                          record->label.len ? (char *) record->label.data : "",
                          record->label.len, "expires",
                          (json_int_t) record->expires, "scope",
                          token_scope_json(record->scope));
        audit_add(store, "token written", record->tenant, NULL, after);
        json_decref(after);
    }

    return rc;
}


int
token_issue(store_t *store, ctl_error_t *error, amp_span_t tenant,
    amp_span_t label, int64_t lifetime, amp_span_t scope,
    token_issued_t *issued)
{
    int                 rc;
    int64_t             now;
    uint64_t            incarnation;
    amp_buf_t           key;
    token_entry_t       entry;
    unsigned char       digest[AMP_TOKEN_DIGEST];
    unsigned char       key_buf[AMP_KEYS_MAX];
    amp_token_record_t  record;

    rc = token_tenant(store, error, tenant, &incarnation);
    if (rc != 1) {
        return rc;
    }

    if (token_draw(error, tenant, issued) != 0) {
        return -1;
    }

    if (amp_token_digest(amp_span_make(issued->token, AMP_TOKEN_LEN), digest)
        != 0)
    {
        ctl_error(error, CTL_REFUSED, "no_digest",
                  "OpenSSL failed to compute SHA-256");
        return ctl_remedy(error, "check OpenSSL's configuration "
                          "(OPENSSL_CONF)");
    }

    memset(&entry, 0, sizeof(entry));
    memcpy(entry.id, issued->id, strlen(issued->id));
    amp_hex(digest, sizeof(digest), (unsigned char *) entry.digest);

    /* Redis expires the token by its own clock */

    amp_buf_init(&key, key_buf, sizeof(key_buf));
    amp_keys_token(store_prefix(store),
                   amp_span_make(entry.digest, AMP_TOKEN_DIGEST_HEX), &key);

    if (store_time(store, error, amp_buf_written(&key), &now) != 0) {
        return -1;
    }

    issued->created = now / 1000000;
    issued->expires = lifetime ? issued->created + lifetime : 0;

    record.tenant = tenant;
    record.id = amp_span_make(issued->id, strlen(issued->id));
    record.label = label;
    record.created = issued->created;
    record.expires = issued->expires;
    record.scope = scope;
    record.identity = amp_span_null;

    if (token_prune(store, error, tenant) != 0) {
        return -1;
    }

    return token_put(store, error, incarnation, &entry, &record);
}


int
token_identify(store_t *store, ctl_error_t *error, amp_span_t tenant,
    const token_entry_t *entry, amp_span_t identity, amp_span_t scope,
    char id[AMP_TOKEN_ID_MAX + 1])
{
    int                 rc;
    int64_t             now;
    token_issued_t      drawn;
    amp_token_record_t  record;

    rc = token_draw(error, tenant, &drawn);
    memcpy(id, drawn.id, AMP_TOKEN_ID_MAX + 1);
    secret_clean(&drawn, sizeof(drawn));

    if (rc != 0 || store_time(store, error, tenant, &now) != 0
        || token_prune(store, error, tenant) != 0)
    {
        return -1;
    }

    memset(&record, 0, sizeof(record));
    record.tenant = tenant;
    record.id = amp_span_make(id, strlen(id));
    record.created = now / 1000000;
    record.scope = scope;
    record.identity = identity;

    return token_restore(store, error, entry->digest, &record);
}


int
token_restore(store_t *store, ctl_error_t *error, const char *digest,
    const amp_token_record_t *record)
{
    int            rc;
    uint64_t       incarnation;
    long long      answer;
    token_entry_t  entry, old;

    rc = token_tenant(store, error, record->tenant, &incarnation);
    if (rc != 1) {
        return rc;
    }

    if (token_find(store, error, record->id, &old) != 0) {
        return -1;
    }

    if (old.digest[0] != '\0' && strcmp(old.digest, digest) != 0
        && token_delete(store, error, record->tenant, &old, &answer) != 0)
    {
        return -1;
    }

    memset(&entry, 0, sizeof(entry));
    memcpy(entry.id, record->id.data, record->id.len);
    memcpy(entry.digest, digest, AMP_TOKEN_DIGEST_HEX);

    return token_put(store, error, incarnation, &entry, record);
}


int
token_delete_all(store_t *store, ctl_error_t *error, amp_span_t tenant,
    const token_list_t *list)
{
    size_t     i;
    long long  answer;

    for (i = 0; i < list->n; i++) {
        if (token_delete(store, error, tenant, &list->entries[i], &answer)
            != 0)
        {
            return -1;
        }
    }

    return 0;
}


int
token_revoke(store_t *store, ctl_error_t *error, amp_span_t id)
{
    json_t        *before;
    long long      answer;
    amp_span_t     tenant;
    token_entry_t  entry;

    tenant = amp_token_id_tenant(id);

    if (tenant.len == 0 || id.len > AMP_TOKEN_ID_MAX) {
        return 0;
    }

    if (token_find(store, error, id, &entry) != 0) {
        return -1;
    }

    if (entry.digest[0] == '\0') {
        return 0;
    }

    if (token_delete(store, error, tenant, &entry, &answer) != 0) {
        return -1;
    }

    before = json_pack("{s:s}", "id", entry.id);
    audit_add(store, "token revoked", tenant, before, NULL);
    json_decref(before);

    return 1;
}
