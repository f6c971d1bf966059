/*
 * All tenants in Redis, a part at a time: no command asks for all of them, and
 * no more than their ids and TENANT_BATCH records are in memory.
 */

#ifndef CTL_TENANT_LIST_H
#define CTL_TENANT_LIST_H


#include "tenant_store.h"


typedef struct {
    size_t    n;
    char    **ids;                  /* after tenant_ids_sort()                */
    char     *text;                 /* each with its NUL                      */
    size_t    len;
    size_t    size;
} tenant_ids_t;


/* The set of tenant ids.  0, or -1 with the error filled. */

int tenant_ids(store_t *store, ctl_error_t *error, tenant_ids_t *ids);

void tenant_ids_free(tenant_ids_t *ids);

/*
 * For a list that is zero at first: adds an id unless it is malformed; sorts
 * them, and removes those that are there twice.
 */

void tenant_ids_add(tenant_ids_t *ids, const char *id, size_t len);
void tenant_ids_sort(tenant_ids_t *ids);

/* Whether a sorted list has an id. */

int tenant_ids_has(const tenant_ids_t *ids, const char *id);


/*
 * Called with a tenant's record, which is released afterwards; or, when the
 * record cannot be read, with NULL and the reason.
 */

typedef void (*tenant_each_pt)(const char *id, json_t *record,
    const char *why, void *data);

/*
 * Calls each() for n tenants in their order, at most TENANT_BATCH; an id
 * without a record is left out.  0, or -1 with the error filled.
 */

int tenant_read(store_t *store, ctl_error_t *error, char *const *ids, size_t n,
    tenant_each_pt each, void *data);

/*
 * The same for all tenants in the order of their ids, with progress on a
 * terminal.  It ends early where nobody reads standard output any more.
 */

int tenant_each(store_t *store, ctl_error_t *error, tenant_each_pt each,
    void *data);


#endif /* CTL_TENANT_LIST_H */
