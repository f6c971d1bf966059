/*
 * Operation and grants of a request that is explained.
 */

#ifndef CTL_EXPLAIN_GRANT_H
#define CTL_EXPLAIN_GRANT_H


#include "explain.h"


/*
 * The item of the tenant's grants that decides on an operation: that of deny,
 * else that of allow, else NULL.  *denied is set.
 */

const char *explain_grant(const json_t *record, const amp_operation_t *op,
    int *denied);

/* Fills "operation", "grant" and "allow" of the document. */

void explain_operation(explain_t *e);

/*
 * Fills "command": what whoever manages the tenant can do about a refusal for
 * e->reason.
 */

void explain_remedy(explain_t *e);


#endif /* CTL_EXPLAIN_GRANT_H */
