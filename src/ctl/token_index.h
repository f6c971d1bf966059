/*
 * The index of a tenant's tokens in Redis: from token id to digest.
 */

#ifndef CTL_TOKEN_INDEX_H
#define CTL_TOKEN_INDEX_H


#include "../core/amp_tenant.h"
#include "../core/amp_token.h"
#include "store.h"


/* How many tokens are read in one pipeline. */

#define TOKEN_PIPELINE  128


typedef struct {
    char  id[AMP_TOKEN_ID_MAX + 1];
    char  digest[AMP_TOKEN_DIGEST_HEX + 1];
} token_entry_t;


typedef struct {
    size_t          n;
    token_entry_t  *entries;        /* in the order of their ids              */
} token_list_t;


/*
 * Reads the index of a tenant, also of one without a record.  0, or -1 with the
 * error filled.
 */

int token_list(store_t *store, ctl_error_t *error, amp_span_t tenant,
    token_list_t *list);

void token_list_free(token_list_t *list);

/* The list from a reply to HGETALL, which is freed. */

void token_entries(redisReply *reply, token_list_t *list);

/* The entry of a token id, or an empty one.  0, or -1. */

int token_find(store_t *store, ctl_error_t *error, amp_span_t id,
    token_entry_t *entry);

/* Sets an entry, or deletes it when digest is NULL.  0, or -1. */

int token_index(store_t *store, ctl_error_t *error, amp_span_t tenant,
    const char *id, const char *digest);

/*
 * Removes the entries of tokens that have expired, which Redis has deleted.
 * 0, or -1.
 */

int token_prune(store_t *store, ctl_error_t *error, amp_span_t tenant);


#endif /* CTL_TOKEN_INDEX_H */
