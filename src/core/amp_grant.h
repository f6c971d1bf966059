/*
 * Grants: which operations a tenant may call.  A grant item names operations:
 *
 *   a class             "read", in any case
 *   an operationId      "listIntegrations", exactly
 *   a tag               "Provider App" or "provider-app", in any case
 *   "tag:" and a tag    needed for the tags Read and Write, which are classes
 *
 * The first meaning that fits is taken.  A tag names all of its operations,
 * those of the class "secrets" included.  Operations that are never served
 * (AMP_CLASS_NONE) cannot be granted.
 */

#ifndef AMP_GRANT_H
#define AMP_GRANT_H


#include "amp_operations.h"


#define AMP_GRANT_WORDS  (AMP_OPERATIONS_MAX / 64)


/* What a list of grant items names; zero at first. */

typedef struct {
    uint64_t  operations[AMP_GRANT_WORDS];  /* bits: amp_operation_index()    */
    unsigned  classes;                      /* bits: 1 << amp_class_e         */
} amp_grants_t;


/*
 * Adds the operations that an item names to a set.  Returns their number: 0
 * when the item is unknown or names only operations that are never served.
 */

unsigned amp_grant_expand(amp_span_t item, uint64_t set[AMP_GRANT_WORDS]);

/* The same for a list; also notes the class, if the item is one. */

unsigned amp_grants_add(amp_grants_t *grants, amp_span_t item);

/* Adds every class but "secrets": what a tenant without an allow list has. */

void amp_grants_default(amp_grants_t *grants);


#endif /* AMP_GRANT_H */
