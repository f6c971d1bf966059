/*
 * How many tokens tenants have.
 */

#include <stdlib.h>
#include <string.h>

#include "../core/amp_keys.h"
#include "token_count.h"
#include "token_index.h"


/* The tokens of some tenants in one list. */

typedef struct {
    token_list_t     all;
    unsigned        *owners;        /* of each token: index of its tenant     */
    token_owned_pt   each;
    void            *data;
} token_walk_t;


typedef struct {
    int64_t          now;
    token_count_t   *counts;
} token_counting_t;


static void
token_walk_add(token_walk_t *walk, redisReply *reply, unsigned owner)
{
    size_t         i;
    token_list_t   list, *all;

    all = &walk->all;
    token_entries(reply, &list);

    if (list.n != 0) {
        all->entries = realloc(all->entries,
                               (all->n + list.n) * sizeof(*all->entries));
        walk->owners = realloc(walk->owners,
                               (all->n + list.n) * sizeof(*walk->owners));

        if (all->entries == NULL || walk->owners == NULL) {
            abort();
        }
    }

    for (i = 0; i < list.n; i++) {
        all->entries[all->n] = list.entries[i];
        walk->owners[all->n++] = owner;
    }

    token_list_free(&list);
}


static void
token_walk_one(const token_entry_t *entry, const amp_token_record_t *record,
    void *data)
{
    token_walk_t  *walk = data;

    walk->each(walk->owners[entry - walk->all.entries], entry, record,
               walk->data);
}


int
token_each_of(store_t *store, ctl_error_t *error, char *const *tenants,
    size_t n, token_owned_pt each, void *data)
{
    int             rc;
    size_t          i;
    amp_buf_t       key;
    redisReply     *reply;
    token_walk_t    walk;
    unsigned char   buf[AMP_KEYS_MAX];

    memset(&walk, 0, sizeof(walk));
    walk.each = each;
    walk.data = data;

    for (i = 0; i < n; i++) {
        amp_buf_init(&key, buf, sizeof(buf));
        amp_keys_tokens(store_prefix(store),
                        amp_span_make(tenants[i], strlen(tenants[i])), &key);
        store_queue(store, "HGETALL %b", buf, amp_buf_written(&key).len);
    }

    for (rc = 0, i = 0; rc == 0 && i < n; i++) {
        reply = store_reply_typed(store, error);

        /* of an index of another type: no tokens */

        if (reply != NULL) {
            token_walk_add(&walk, reply, (unsigned) i);
        } else {
            rc = -1;
        }
    }

    if (rc == 0) {
        rc = token_each(store, error, &walk.all, token_walk_one, &walk);
    }

    token_list_free(&walk.all);
    free(walk.owners);

    return rc;
}


static void
token_count_one(unsigned tenant, const token_entry_t *entry,
    const amp_token_record_t *record, void *data)
{
    token_count_t     *count;
    token_counting_t  *counting = data;

    count = &counting->counts[tenant];

    if (record == NULL
        || (record->expires && record->expires <= counting->now))
    {
        count->expired++;
        return;
    }

    count->active++;

    if (record->expires == 0) {
        count->ends = INT64_MAX;

    } else if (record->expires > count->ends) {
        count->ends = record->expires;
    }
}


int
token_counts(store_t *store, ctl_error_t *error, int64_t now,
    char *const *tenants, size_t n, token_count_t *counts)
{
    token_counting_t  counting;

    memset(counts, 0, n * sizeof(*counts));
    counting.counts = counts;
    counting.now = now;

    return token_each_of(store, error, tenants, n, token_count_one, &counting);
}
