/*
 * Tenants whose ids people take for one another: "billing" and "Billing".
 */

#ifndef CTL_TENANT_TWIN_H
#define CTL_TENANT_TWIN_H


#include "tenant_store.h"


/*
 * Looks for another tenant whose id differs from this one only in the case of
 * letters; the set of ids is read a part at a time.  1 with the error filled
 * (its exit code is CTL_REFUSED), 0 when there is none, -1 with the error
 * filled.
 */

int tenant_twin(store_t *store, ctl_error_t *error, amp_span_t id);


#endif /* CTL_TENANT_TWIN_H */
