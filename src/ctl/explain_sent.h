/*
 * What the gateway would charge, send and store for a request that passes.
 */

#ifndef CTL_EXPLAIN_SENT_H
#define CTL_EXPLAIN_SENT_H


#include "explain.h"


/*
 * Fills "limits": those that the request is charged to.  0, or -1 with
 * ctl->error filled.
 */

int explain_limits(explain_t *e);

/*
 * Fills "upstream": request line and headers, but the key and the values that
 * only a real request has (null).  checked: the body was checked as JSON; body:
 * what would be sent.
 */

void explain_upstream(explain_t *e, unsigned checked, amp_span_t body);

/*
 * Fills "cache" where the answer would be stored: e->ttl is not 0.  0, or -1
 * with ctl->error filled.
 */

int explain_cache(explain_t *e);


#endif /* CTL_EXPLAIN_SENT_H */
