/*
 * How many tokens tenants have.
 */

#ifndef CTL_TOKEN_COUNT_H
#define CTL_TOKEN_COUNT_H


#include "store.h"


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
