/*
 * The records of tokens in Redis, read.
 */

#ifndef CTL_TOKEN_RECORD_H
#define CTL_TOKEN_RECORD_H


#include "../core/amp_identity.h"
#include "token_index.h"


/*
 * Calls each() for the tokens of a list, in its order; record is NULL when the
 * token has expired or its record is malformed.  0, or -1.
 */

typedef void (*token_each_pt)(const token_entry_t *entry,
    const amp_token_record_t *record, void *data);

int token_each(store_t *store, ctl_error_t *error, const token_list_t *list,
    token_each_pt each, void *data);

/*
 * Reads a token by its id: 1, 0 when there is none that is valid, -1 with the
 * error filled.
 */

typedef struct {
    char     id[AMP_TOKEN_ID_MAX + 1];
    char     tenant[AMP_TENANT_ID_MAX + 1];
    char     digest[AMP_TOKEN_DIGEST_HEX + 1];
    char     label[AMP_TOKEN_LABEL_MAX + 1];
    char     identity[AMP_IDENTITY_MAX + 1];    /* empty: it is a token       */
    int64_t  created;
    int64_t  expires;
    size_t   scope_len;
    char     scope[AMP_TOKEN_RECORD_MAX];
} token_state_t;

int token_state(store_t *store, ctl_error_t *error, amp_span_t id,
    token_state_t *state);

/* The same by its digest; the id of the entry is not looked at. */

int token_state_of(store_t *store, ctl_error_t *error,
    const token_entry_t *entry, token_state_t *state);


#endif /* CTL_TOKEN_RECORD_H */
