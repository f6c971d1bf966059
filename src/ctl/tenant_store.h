/*
 * Tenant records in Redis: loaded as they stand, changed as JSON so that
 * members unknown to this version survive, and written back only when nobody
 * changed them in between and the gateway can read the result.
 */

#ifndef CTL_TENANT_STORE_H
#define CTL_TENANT_STORE_H


#include "../core/amp_tenant.h"
#include "store.h"


/*
 * Loads a record into *record, the caller's to release.  1, 0 when there is
 * no such tenant, -1 with the error filled, also when it cannot be read.
 */

int tenant_load(store_t *store, ctl_error_t *error, amp_span_t id,
    json_t **record);

/*
 * A change: edits the record in place.  0 to write it, 1 when it is as wanted
 * already, -1 with the error filled.  Called again on a fresh record when
 * another writer was faster.
 */

typedef int (*tenant_change_pt)(json_t *record, void *data,
    ctl_error_t *error);

/* 1 changed or as wanted, 0 when there is no such tenant, -1 as above. */

int tenant_change(store_t *store, ctl_error_t *error, amp_span_t id,
    tenant_change_pt change, void *data);

/*
 * Writes the first record of a tenant ("rev" is set here) and takes its id up
 * in the set of tenants.  1, 0 when the tenant exists, -1 as above.
 */

int tenant_create(store_t *store, ctl_error_t *error, amp_span_t id,
    json_t *record);

/*
 * Removes a tenant with its tokens, its index and its rate state; also what a
 * killed removal has left.  1 and *tokens = how many went, 0 when there was
 * nothing, -1 as above.
 */

int tenant_remove(store_t *store, ctl_error_t *error, amp_span_t id,
    unsigned *tokens);


/*
 * All tenants in the order of their ids: each() with the record or, where it
 * cannot be read, with NULL and the reason.  0, or -1 as above.
 */

typedef struct {
    size_t    n;
    char    **ids;
} tenant_ids_t;

typedef void (*tenant_each_pt)(const char *id, json_t *record,
    const char *why, void *data);

int tenant_ids(store_t *store, ctl_error_t *error, tenant_ids_t *ids);
void tenant_ids_free(tenant_ids_t *ids);
int tenant_each(store_t *store, ctl_error_t *error, tenant_each_pt each,
    void *data);


#endif /* CTL_TENANT_STORE_H */
