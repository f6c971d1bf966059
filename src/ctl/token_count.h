/*
 * The tokens of several tenants at once, and their number.
 */

#ifndef CTL_TOKEN_COUNT_H
#define CTL_TOKEN_COUNT_H


#include "token_store.h"


/*
 * Calls each() for the tokens of n tenants, at most TENANT_BATCH: the index of
 * the tenant, and the rest as of token_each_pt.  0, or -1 with the error
 * filled.
 */

typedef void (*token_owned_pt)(unsigned tenant, const token_entry_t *entry,
    const amp_token_record_t *record, void *data);

int token_each_of(store_t *store, ctl_error_t *error, char *const *tenants,
    size_t n, token_owned_pt each, void *data);


/* Of one tenant. */

typedef struct {
    unsigned  active;
    unsigned  expired;              /* also: in the index, and gone           */
    int64_t   ends;                 /* when the last active one expires;
                                       INT64_MAX: never                       */
} token_count_t;

/*
 * Counts the tokens of n tenants; now is Redis' clock, Unix seconds, by which
 * tokens expire.  0, or -1 with the error filled.
 */

int token_counts(store_t *store, ctl_error_t *error, int64_t now,
    char *const *tenants, size_t n, token_count_t *counts);


#endif /* CTL_TOKEN_COUNT_H */
