/*
 * Tokens in Redis, written: a record under each token's digest, and for each
 * tenant an index from token id to digest.
 */

#ifndef CTL_TOKEN_STORE_H
#define CTL_TOKEN_STORE_H


#include "token_record.h"


typedef struct {
    char     id[AMP_TOKEN_ID_MAX + 1];
    char     token[AMP_TOKEN_LEN + 1];  /* the caller's to wipe               */
    int64_t  created;
    int64_t  expires;
} token_issued_t;


/*
 * Issues a token, and removes expired ones from the index; lifetime in seconds,
 * 0 for one that does not expire; scope as in amp_token_record_t.  1, 0 when
 * the tenant does not exist, -1 with the error filled.
 */

int token_issue(store_t *store, ctl_error_t *error, amp_span_t tenant,
    amp_span_t label, int64_t lifetime, amp_span_t scope,
    token_issued_t *issued);

/*
 * Gives an identity (amp_identity.h) to a tenant; entry has its digest; id is
 * filled.  As above, and -1 where it has been given before.
 */

int token_identify(store_t *store, ctl_error_t *error, amp_span_t tenant,
    const token_entry_t *entry, amp_span_t identity, amp_span_t scope,
    char id[AMP_TOKEN_ID_MAX + 1]);

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


#endif /* CTL_TOKEN_STORE_H */
