/*
 * The index of a tenant's tokens.
 */

#include <stdlib.h>
#include <string.h>

#include "../core/amp_keys.h"
#include "token_index.h"


int
token_index(store_t *store, ctl_error_t *error, amp_span_t tenant,
    const char *id, const char *digest)
{
    amp_buf_t       key;
    redisReply     *reply;
    unsigned char   buf[AMP_KEYS_MAX];

    amp_buf_init(&key, buf, sizeof(buf));
    amp_keys_tokens(store_prefix(store), tenant, &key);

    if (digest != NULL) {
        reply = store_command(store, error, "HSET %b %s %s", buf,
                              amp_buf_written(&key).len, id, digest);
    } else {
        reply = store_command(store, error, "HDEL %b %s", buf,
                              amp_buf_written(&key).len, id);
    }

    if (reply == NULL) {
        return -1;
    }

    freeReplyObject(reply);

    return 0;
}


static int
token_order(const void *a, const void *b)
{
    return strcmp(((const token_entry_t *) a)->id,
                  ((const token_entry_t *) b)->id);
}


static int
token_digest_valid(const redisReply *reply)
{
    return reply->len == AMP_TOKEN_DIGEST_HEX
           && strspn(reply->str, "0123456789abcdef") == AMP_TOKEN_DIGEST_HEX;
}


void
token_entries(redisReply *reply, token_list_t *list)
{
    size_t          i;
    redisReply     *id, *digest;
    token_entry_t  *entry;

    list->n = 0;
    list->entries = calloc(reply->elements / 2 + 1, sizeof(*list->entries));
    if (list->entries == NULL) {
        abort();
    }

    for (i = 0; i + 1 < reply->elements; i += 2) {
        id = reply->element[i];
        digest = reply->element[i + 1];

        if (id->len <= AMP_TOKEN_ID_MAX && token_digest_valid(digest)) {
            entry = &list->entries[list->n++];
            memcpy(entry->id, id->str, id->len);
            memcpy(entry->digest, digest->str, digest->len);
        }
    }

    freeReplyObject(reply);

    if (list->n > 1) {
        qsort(list->entries, list->n, sizeof(*list->entries), token_order);
    }
}


int
token_list(store_t *store, ctl_error_t *error, amp_span_t tenant,
    token_list_t *list)
{
    amp_buf_t       key;
    redisReply     *reply;
    unsigned char   buf[AMP_KEYS_MAX];

    amp_buf_init(&key, buf, sizeof(buf));
    amp_keys_tokens(store_prefix(store), tenant, &key);

    reply = store_command(store, error, "HGETALL %b", buf,
                          amp_buf_written(&key).len);
    if (reply == NULL) {
        return -1;
    }

    token_entries(reply, list);

    return 0;
}


void
token_list_free(token_list_t *list)
{
    free(list->entries);
}


int
token_find(store_t *store, ctl_error_t *error, amp_span_t id,
    token_entry_t *entry)
{
    amp_buf_t       key;
    redisReply     *reply;
    unsigned char   buf[AMP_KEYS_MAX];

    memset(entry, 0, sizeof(*entry));

    amp_buf_init(&key, buf, sizeof(buf));
    amp_keys_tokens(store_prefix(store), amp_token_id_tenant(id), &key);

    reply = store_command(store, error, "HGET %b %b", buf,
                          amp_buf_written(&key).len, id.data, id.len);
    if (reply == NULL) {
        return -1;
    }

    if (reply->type == REDIS_REPLY_STRING && token_digest_valid(reply)) {
        memcpy(entry->id, id.data, id.len);
        memcpy(entry->digest, reply->str, reply->len);
    }

    freeReplyObject(reply);

    return 0;
}


/*
 * Removes the entry of a token that is gone.  One that is being issued has an
 * entry before it is there: when it is there by now, its entry is written
 * again; when it is not, token_settle() writes it.  0, or -1.
 */

static int
token_unlist(store_t *store, ctl_error_t *error, amp_span_t tenant,
    const token_entry_t *entry)
{
    int             exists;
    amp_buf_t       key;
    redisReply     *reply;
    unsigned char   buf[AMP_KEYS_MAX];

    if (token_index(store, error, tenant, entry->id, NULL) != 0) {
        return -1;
    }

    amp_buf_init(&key, buf, sizeof(buf));
    amp_keys_token(store_prefix(store),
                   amp_span_make(entry->digest, AMP_TOKEN_DIGEST_HEX), &key);

    reply = store_command(store, error, "EXISTS %b", buf,
                          amp_buf_written(&key).len);
    if (reply == NULL) {
        return -1;
    }

    exists = (reply->integer != 0);
    freeReplyObject(reply);

    return exists ? token_index(store, error, tenant, entry->id, entry->digest)
                  : 0;
}


int
token_prune(store_t *store, ctl_error_t *error, amp_span_t tenant)
{
    int             rc;
    size_t          i, n, end;
    amp_buf_t       key;
    redisReply     *reply;
    token_list_t    list;
    unsigned char   buf[AMP_KEYS_MAX];

    if (token_list(store, error, tenant, &list) != 0) {
        return -1;
    }

    for (rc = 0, i = 0; rc == 0 && i < list.n; i = end) {
        end = list.n - i < TOKEN_PIPELINE ? list.n : i + TOKEN_PIPELINE;

        for (n = i; n < end; n++) {
            amp_buf_init(&key, buf, sizeof(buf));
            amp_keys_token(store_prefix(store),
                           amp_span_make(list.entries[n].digest,
                                         AMP_TOKEN_DIGEST_HEX), &key);
            store_queue(store, "EXISTS %b", buf, amp_buf_written(&key).len);
        }

        for (n = i; n < end; n++) {
            reply = store_reply(store, error);
            if (reply == NULL) {
                rc = -1;
                break;
            }

            if (reply->integer != 0) {
                list.entries[n].id[0] = '\0';      /* it stays */
            }

            freeReplyObject(reply);
        }
    }

    for (i = 0; rc == 0 && i < list.n; i++) {
        if (list.entries[i].id[0] != '\0') {
            rc = token_unlist(store, error, tenant, &list.entries[i]);
        }
    }

    token_list_free(&list);

    return rc;
}
