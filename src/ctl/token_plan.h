/*
 * What issuing, rotating and revoking a token would change, for --dry-run.
 */

#ifndef CTL_TOKEN_PLAN_H
#define CTL_TOKEN_PLAN_H


#include "command.h"
#include "token_store.h"


/*
 * When a token that is issued now would begin and end; no token is made, and
 * issued->token and id are empty.  As token_issue().
 */

int token_plan_issue(ctl_t *ctl, amp_span_t tenant, int64_t lifetime,
    token_issued_t *issued);

/*
 * Prints the changes, and returns CTL_DONE.  made is the record of a token that
 * would be issued, without an id; old that of one that would end at the time
 * ends, or that would be revoked, where ends is 0.  Either may be NULL.
 */

int token_plan_print(ctl_t *ctl, const amp_token_record_t *made,
    const amp_token_record_t *old, int64_t ends);


#endif /* CTL_TOKEN_PLAN_H */
