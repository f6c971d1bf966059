/*
 * All tenants in Redis: their ids, and their records.
 */

#ifndef CTL_TENANT_LIST_H
#define CTL_TENANT_LIST_H


#include "store.h"


typedef struct {
    size_t    n;
    char    **ids;                  /* sorted                                 */
} tenant_ids_t;


/* The set of tenant ids.  0, or -1 with the error filled. */

int tenant_ids(store_t *store, ctl_error_t *error, tenant_ids_t *ids);

void tenant_ids_free(tenant_ids_t *ids);


/*
 * Called with a tenant's record, which is released afterwards; or, when the
 * record cannot be read, with NULL and the reason.
 */

typedef void (*tenant_each_pt)(const char *id, json_t *record,
    const char *why, void *data);

/*
 * Calls each() for all tenants in the order of their ids; an id without a
 * record is left out.  0, or -1 with the error filled.
 */

int tenant_each(store_t *store, ctl_error_t *error, tenant_each_pt each,
    void *data);


#endif /* CTL_TENANT_LIST_H */
