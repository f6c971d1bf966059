/*
 * All keys of a tenant in Redis: added and removed.
 */

#ifndef CTL_TENANT_KEYS_H
#define CTL_TENANT_KEYS_H


#include "../core/amp_span.h"
#include "store.h"


/*
 * Adds a tenant: sets the record's "rev", writes the record and adds the id to
 * the set of tenants.  1, 0 when the tenant exists, -1 as above.
 */

int tenant_create(store_t *store, ctl_error_t *error, amp_span_t id,
    json_t *record);

/*
 * Removes a tenant with its tokens, their index and its rate state, readable or
 * not, and what an interrupted removal has left.  1 with the number of tokens
 * in *tokens, 0 when there was nothing to remove, -1 as above.
 */

int tenant_remove(store_t *store, ctl_error_t *error, amp_span_t id,
    unsigned *tokens);

/*
 * SADD or SREM (command) of an id in the set of tenants.  0 with Redis' answer,
 * -1 with the error filled.
 */

int tenant_set_of_ids(store_t *store, ctl_error_t *error, const char *command,
    amp_span_t id, long long *answer);


#endif /* CTL_TENANT_KEYS_H */
