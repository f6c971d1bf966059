/*
 * The records of tokens, read.
 */

#include <stdio.h>
#include <string.h>

#include "../core/amp_keys.h"
#include "token_record.h"


static int
token_each_batch(store_t *store, ctl_error_t *error,
    const token_entry_t *entries, size_t n, token_each_pt each, void *data)
{
    int                 rc;
    size_t              i;
    amp_buf_t           key;
    redisReply         *reply;
    const char         *why;
    unsigned char       buf[AMP_KEYS_MAX], texts[AMP_TOKEN_RECORD_MAX];
    amp_token_record_t  record;

    for (i = 0; i < n; i++) {
        amp_buf_init(&key, buf, sizeof(buf));
        amp_keys_token(store_prefix(store),
                       amp_span_make(entries[i].digest, AMP_TOKEN_DIGEST_HEX),
                       &key);
        store_queue(store, "GET %b", buf, amp_buf_written(&key).len);
    }

    for (i = 0; i < n; i++) {
        reply = store_reply_typed(store, error);
        if (reply == NULL) {
            return -1;
        }

        rc = -1;

        if (reply->type == REDIS_REPLY_STRING) {
            rc = amp_token_record_decode(amp_span_make(reply->str, reply->len),
                                         texts, sizeof(texts), &record, &why);
        }

        each(&entries[i], rc == 0 ? &record : NULL, data);
        freeReplyObject(reply);
    }

    return 0;
}


int
token_each(store_t *store, ctl_error_t *error, const token_list_t *list,
    token_each_pt each, void *data)
{
    size_t  i, n;

    for (i = 0; i < list->n; i += n) {
        n = list->n - i;
        if (n > TOKEN_PIPELINE) {
            n = TOKEN_PIPELINE;
        }

        if (token_each_batch(store, error, list->entries + i, n, each, data)
            != 0)
        {
            return -1;
        }
    }

    return 0;
}


static void
token_state_read(const token_entry_t *entry, const amp_token_record_t *record,
    void *data)
{
    token_state_t  *state = data;

    if (record != NULL) {
        memcpy(state->digest, entry->digest, sizeof(state->digest));
        memcpy(state->id, record->id.data, record->id.len);
        memcpy(state->tenant, record->tenant.data, record->tenant.len);
        snprintf(state->label, sizeof(state->label), "%.*s",
                 (int) record->label.len, record->label.len
                 ? (const char *) record->label.data : "");
        snprintf(state->identity, sizeof(state->identity), "%.*s",
                 (int) record->identity.len, record->identity.len
                 ? (const char *) record->identity.data : "");
        state->created = record->created;
        state->expires = record->expires;
        state->scope_len = record->scope.len;
        memcpy(state->scope, record->scope.data, record->scope.len);
    }
}


int
token_state(store_t *store, ctl_error_t *error, amp_span_t id,
    token_state_t *state)
{
    token_entry_t  entry;

    memset(state, 0, sizeof(*state));

    if (token_find(store, error, id, &entry) != 0) {
        return -1;
    }

    return entry.digest[0] == '\0' ? 0
           : token_state_of(store, error, &entry, state);
}


int
token_state_of(store_t *store, ctl_error_t *error, const token_entry_t *entry,
    token_state_t *state)
{
    memset(state, 0, sizeof(*state));

    if (token_each_batch(store, error, entry, 1, token_state_read, state)
        != 0)
    {
        return -1;
    }

    return state->digest[0] != '\0';
}
