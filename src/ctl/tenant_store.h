/*
 * Tenant records in Redis: read, changed as JSON, so that members that this
 * version does not know survive, and written only when the record was not
 * changed in between and the gateway can read the result.
 */

#ifndef CTL_TENANT_STORE_H
#define CTL_TENANT_STORE_H


#include "../core/amp_tenant.h"
#include "store.h"


/*
 * A record from the text in Redis, the caller's to release.  NULL with *why
 * set, a static text, when the gateway could not read it.
 */

json_t *tenant_parse(amp_span_t id, const char *text, size_t len,
    const char **why);

/*
 * Reads a record into *record, the caller's to release.  1, 0 when there is
 * no such tenant, -1 with the error filled, also when the record is malformed.
 */

int tenant_load(store_t *store, ctl_error_t *error, amp_span_t id,
    json_t **record);

/*
 * Changes the record in place.  0 to write it, 1 when nothing is to be changed,
 * 2 when it is to be checked and not written, -1 with the error filled.  Called
 * again with the new record when another command has changed it in between.
 */

typedef int (*tenant_change_pt)(json_t *record, void *data,
    ctl_error_t *error);

/* 1 changed or unchanged, 0 when there is no such tenant, -1 as above. */

int tenant_change(store_t *store, ctl_error_t *error, amp_span_t id,
    tenant_change_pt change, void *data);

/*
 * The same for n tenants at once, at most TENANT_BATCH; the data of the i-th is
 * at data + i * size.  done[i] is 1 as above, or -1: nothing was changed, and
 * tenant_change() has to say why, or may succeed.
 */

#define TENANT_BATCH  256

void tenant_change_many(store_t *store, char *const *ids, size_t n,
    tenant_change_pt change, void *data, size_t size, int *done);

/*
 * Disables a tenant whose record tenant_load() cannot read because it is too
 * large: gateways refuse it then, even if they know an older record.  0, or -1
 * with the error filled, also when the record has another fault.
 */

int tenant_disable_large(store_t *store, ctl_error_t *error,
    amp_span_t id);


#endif /* CTL_TENANT_STORE_H */
