/*
 * Tokens in Redis: a record under each token's digest, and for each tenant an
 * index from token id to digest.
 */

#ifndef CTL_TOKEN_STORE_H
#define CTL_TOKEN_STORE_H


#include "../core/amp_tenant.h"
#include "../core/amp_token.h"
#include "store.h"


typedef struct {
    char  id[AMP_TOKEN_ID_MAX + 1];
    char  digest[AMP_TOKEN_DIGEST_HEX + 1];
} token_entry_t;


typedef struct {
    size_t          n;
    token_entry_t  *entries;        /* in the order of their ids              */
} token_list_t;


typedef struct {
    char     id[AMP_TOKEN_ID_MAX + 1];
    char     token[AMP_TOKEN_LEN + 1];  /* the caller's to wipe               */
    int64_t  created;
    int64_t  expires;
} token_issued_t;


/*
 * Reads the index of a tenant, also of one without a record.  0, or -1 with the
 * error filled.
 */

int token_list(store_t *store, ctl_error_t *error, amp_span_t tenant,
    token_list_t *list);

void token_list_free(token_list_t *list);

/* The list from a reply to HGETALL, which is freed. */

void token_entries(redisReply *reply, token_list_t *list);

/*
 * Issues a token, and removes expired ones from the index; lifetime in seconds,
 * 0 for one that does not expire.  1, 0 when the tenant does not exist, -1 with
 * the error filled.
 */

int token_issue(store_t *store, ctl_error_t *error, amp_span_t tenant,
    amp_span_t label, int64_t lifetime, token_issued_t *issued);

/*
 * Reads a token by its id: 1, 0 when there is none that is valid, -1 with the
 * error filled.
 */

typedef struct {
    char     digest[AMP_TOKEN_DIGEST_HEX + 1];
    char     label[AMP_TOKEN_LABEL_MAX + 1];
    int64_t  created;
    int64_t  expires;
} token_state_t;

int token_state(store_t *store, ctl_error_t *error, amp_span_t id,
    token_state_t *state);

/*
 * Writes a token with a known digest, which replaces one that has its id.  1, 0
 * when the tenant does not exist, -1 with the error filled.
 */

int token_restore(store_t *store, ctl_error_t *error, const char *digest,
    const amp_token_record_t *record);

/* Deletes the tokens of a list and their index entries.  0, or -1. */

int token_delete_all(store_t *store, ctl_error_t *error, amp_span_t tenant,
    const token_list_t *list);

/*
 * Deletes a token and its index entry.  1, 0 when the index has no such entry,
 * -1.
 */

int token_revoke(store_t *store, ctl_error_t *error, amp_span_t id);


/*
 * Calls each() for the tokens of a list, in its order; record is NULL when the
 * token has expired or its record is malformed.  0, or -1.
 */

typedef void (*token_each_pt)(const token_entry_t *entry,
    const amp_token_record_t *record, void *data);

int token_each(store_t *store, ctl_error_t *error, const token_list_t *list,
    token_each_pt each, void *data);


#endif /* CTL_TOKEN_STORE_H */
