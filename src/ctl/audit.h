/*
 * The audit stream: who has changed what, with ampctl.
 */

#ifndef CTL_AUDIT_H
#define CTL_AUDIT_H


#include "store.h"


#define AUDIT_LINES  100000         /* kept at least                          */


/*
 * Adds a line after a change: "tenant changed", the tenant's id (empty for
 * none), and what was and is, without secrets; each may be NULL.  A line that
 * cannot be written is a warning: the change is made already.
 */

void audit_add(store_t *store, const char *change, amp_span_t tenant,
    const json_t *before, const json_t *after);

/*
 * Calls each() for the lines behind *id, a stream id, and moves it on: an
 * object with id, time (Unix milliseconds), user, host, command, change,
 * tenant, before and after.  0, or -1 with the error filled.
 */

typedef void (*audit_each_pt)(json_t *line, void *data);

int audit_each(store_t *store, ctl_error_t *error, char id[48],
    audit_each_pt each, void *data);


#endif /* CTL_AUDIT_H */
