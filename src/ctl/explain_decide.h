/*
 * What the gateway would make of a request, as a document.
 */

#ifndef CTL_EXPLAIN_DECIDE_H
#define CTL_EXPLAIN_DECIDE_H


#include "explain.h"


/*
 * { decision, problem, command, operation, allow, grant, limits, upstream,
 * cache, notes } of a request by the tenant of a record; *reason is AMP_OK
 * where the request would pass.  The caller's to release; NULL with ctl->error
 * filled.
 */

json_t *explain_decide(ctl_t *ctl, const explain_request_t *ex,
    const json_t *record, amp_reason_e *reason);

/* The same of a request that is refused before its tenant is known. */

json_t *explain_refused(amp_reason_e reason);


#endif /* CTL_EXPLAIN_DECIDE_H */
