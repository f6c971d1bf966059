/*
 * Lists tokens again.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/amp_keys.h"
#include "repair.h"
#include "scan.h"
#include "token_record.h"


typedef char  repair_digest_t[AMP_TOKEN_DIGEST_HEX + 1];


typedef struct {
    size_t            n;
    size_t            size;
    repair_digest_t  *list;
} repair_digests_t;


typedef struct {
    repair_t          *repair;
    size_t             skip;        /* of a key, to its digest                */
    repair_digests_t   indexed;     /* sorted                                 */
    token_list_t       unlisted;
} repair_tokens_t;


static int
repair_digest_order(const void *a, const void *b)
{
    return strcmp(a, b);
}


/* The digests in the index of a tenant; the reply is freed. */

static void
repair_indexed(repair_digests_t *digests, redisReply *reply)
{
    size_t        i;
    token_list_t  list;

    token_entries(reply, &list);

    while (digests->size < digests->n + list.n) {
        digests->size = 2 * digests->size + 1024;
        digests->list = realloc(digests->list,
                                digests->size * sizeof(*digests->list));
        if (digests->list == NULL) {
            abort();
        }
    }

    for (i = 0; i < list.n; i++) {
        memcpy(digests->list[digests->n++], list.entries[i].digest,
               sizeof(*digests->list));
    }

    token_list_free(&list);
}


/* The indexes of all tenants that have a record.  0, or -1. */

static int
repair_indexes(repair_tokens_t *tokens)
{
    ctl_t          *ctl;
    size_t          i, end, next;
    amp_buf_t       key;
    redisReply     *reply;
    tenant_ids_t   *ids;
    unsigned char   buf[AMP_KEYS_MAX];

    ctl = tokens->repair->ctl;
    ids = &tokens->repair->inventory.records;

    for (next = 0; next < ids->n; next = end) {
        end = ids->n - next < TENANT_BATCH ? ids->n : next + TENANT_BATCH;

        for (i = next; i < end; i++) {
            amp_buf_init(&key, buf, sizeof(buf));
            amp_keys_tokens(store_prefix(ctl->store), ctl_span(ids->ids[i]),
                            &key);
            store_queue(ctl->store, "HGETALL %b", buf,
                        amp_buf_written(&key).len);
        }

        for (i = next; i < end; i++) {
            reply = store_reply_typed(ctl->store, &ctl->error);
            if (reply == NULL) {
                return -1;
            }

            repair_indexed(&tokens->indexed, reply);
        }
    }

    if (tokens->indexed.n != 0) {
        qsort(tokens->indexed.list, tokens->indexed.n,
              sizeof(*tokens->indexed.list), repair_digest_order);
    }

    return 0;
}


static void
repair_token_key(amp_span_t key, const char *type, void *data)
{
    token_list_t     *list;
    token_entry_t    *entry;
    repair_digest_t   digest;
    repair_tokens_t  *tokens = data;

    if (key.len - tokens->skip != AMP_TOKEN_DIGEST_HEX) {
        return;
    }

    memcpy(digest, key.data + tokens->skip, AMP_TOKEN_DIGEST_HEX);
    digest[AMP_TOKEN_DIGEST_HEX] = '\0';

    if (strspn(digest, "0123456789abcdef") != AMP_TOKEN_DIGEST_HEX
        || (tokens->indexed.n != 0
            && bsearch(digest, tokens->indexed.list, tokens->indexed.n,
                       sizeof(digest), repair_digest_order)
               != NULL))
    {
        return;
    }

    list = &tokens->unlisted;
    list->entries = realloc(list->entries,
                            (list->n + 1) * sizeof(*list->entries));
    if (list->entries == NULL) {
        abort();
    }

    entry = &list->entries[list->n++];
    memset(entry, 0, sizeof(*entry));
    memcpy(entry->digest, digest, sizeof(digest));
}


/* The id of a token that is not listed, where its tenant has a record. */

static void
repair_token(const token_entry_t *entry, const amp_token_record_t *record,
    void *data)
{
    char              tenant[AMP_TENANT_ID_MAX + 1];
    token_entry_t    *unlisted;
    repair_tokens_t  *tokens = data;

    if (record == NULL || record->id.len > AMP_TOKEN_ID_MAX
        || record->tenant.len > AMP_TENANT_ID_MAX)
    {
        return;
    }

    memcpy(tenant, record->tenant.data, record->tenant.len);
    tenant[record->tenant.len] = '\0';

    if (tenant_ids_has(&tokens->repair->inventory.records, tenant)) {
        unlisted = &tokens->unlisted.entries[entry - tokens->unlisted.entries];
        memcpy(unlisted->id, record->id.data, record->id.len);
    }
}


static int
repair_index(repair_tokens_t *tokens)
{
    int             rc;
    ctl_t          *ctl;
    size_t          i;
    repair_t       *repair;
    token_entry_t  *entry;

    repair = tokens->repair;
    ctl = repair->ctl;

    for (rc = 0, i = 0; rc == 0 && i < tokens->unlisted.n; i++) {
        entry = &tokens->unlisted.entries[i];

        if (entry->id[0] == '\0') {
            continue;
        }

        json_array_append_new(repair->tokens, json_string(entry->id));

        if (!repair->dry) {
            rc = token_index(ctl->store, &ctl->error,
                             amp_token_id_tenant(ctl_span(entry->id)),
                             entry->id, entry->digest);
        }

        /* SCAN may have returned the key twice */

        while (i + 1 < tokens->unlisted.n
               && strcmp(entry->id, tokens->unlisted.entries[i + 1].id) == 0)
        {
            i++;
        }
    }

    return rc;
}


static int
repair_token_order(const void *a, const void *b)
{
    return strcmp(((const token_entry_t *) a)->id,
                  ((const token_entry_t *) b)->id);
}


int
repair_tokens(repair_t *repair)
{
    int               rc;
    char              pattern[AMP_KEYS_MAX + 1];
    ctl_t            *ctl;
    amp_buf_t         out;
    repair_tokens_t   tokens;

    ctl = repair->ctl;

    memset(&tokens, 0, sizeof(tokens));
    tokens.repair = repair;

    amp_buf_init(&out, pattern, AMP_KEYS_MAX);
    amp_keys_token(store_prefix(ctl->store), amp_span("*"), &out);
    *out.pos = '\0';
    tokens.skip = amp_buf_written(&out).len - 1;

    rc = repair_indexes(&tokens);

    if (rc == 0) {
        rc = scan_keys(ctl->store, &ctl->error, pattern, 0, 0,
                       repair_token_key, &tokens);
    }

    if (rc == 0) {
        rc = token_each(ctl->store, &ctl->error, &tokens.unlisted,
                        repair_token, &tokens);
    }

    if (rc == 0) {
        if (tokens.unlisted.n > 1) {
            qsort(tokens.unlisted.entries, tokens.unlisted.n,
                  sizeof(*tokens.unlisted.entries), repair_token_order);
        }

        rc = repair_index(&tokens);
    }

    free(tokens.indexed.list);
    token_list_free(&tokens.unlisted);

    return rc;
}
