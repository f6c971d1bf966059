/*
 * What exactly was wrong with a request that amp_decide() or amp_scope_body()
 * refused: the cause in the problem.  Not needed to decide, so it is looked for
 * afterwards.
 */

#ifndef AMP_FAULT_H
#define AMP_FAULT_H


#include "amp_decide.h"


/*
 * Fills *fault; its text is NULL where the problem's own detail says all.  The
 * name is no part of the path, where an API key may stand.  Everything is as
 * amp_decide() was given it, and left it.
 */

void amp_fault_find(amp_reason_e reason, const amp_request_t *request,
    const amp_tenant_t *t, const amp_decision_t *decision, amp_fault_t *fault);

/*
 * The same for a reason of amp_scope_body(), which was given all this.  Nothing
 * of the body is in *fault.
 */

void amp_fault_body(amp_reason_e reason, const amp_tenant_t *t,
    const amp_token_scope_t *scope, const amp_operation_t *op, amp_span_t body,
    amp_fault_t *fault);


#endif /* AMP_FAULT_H */
