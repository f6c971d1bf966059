/*
 * The limit of a project: its tenants share one account at Ampersand, so they
 * may share a rate, too.
 *
 * It is the field "limit" of the hash amp:gen:<project id>, an object
 *   { "rate": "50/s", "burst": 100 }
 * No field: no limit.  There a look-up reads it with the generations, which it
 * needs in any case, and a node of the zone has both; so a limit costs a tenant
 * whose project has none nothing.  A change is the event "limit".  A gateway of
 * version 0.1.0 passes over field and event: it does not hold the limit.
 *
 * The bucket is amp:limit:{<project id>}:project, see amp_lease.h: a limit as
 * any other, whose holder is the project.  A request takes a unit of the
 * project's and of each other limit that applies to it, or none.
 */

#ifndef AMP_PROJECT_H
#define AMP_PROJECT_H


#include "amp_rate.h"


#define AMP_PROJECT_LIMIT      "limit"  /* the field, which no family has     */
#define AMP_PROJECT_LIMIT_MAX  128      /* bytes of its text                  */

struct json_t;

/*
 * Reads the object: 0 with *rate filled, its count is 0 for {}; or -1 when it
 * is malformed.
 */

int amp_project_limit(const struct json_t *limit, amp_rate_t *rate);

/* The same from the text of the field; an empty text is no limit. */

int amp_project_limit_decode(amp_span_t text, amp_rate_t *rate);

/* Appends the object, at most AMP_PROJECT_LIMIT_MAX bytes. */

void amp_project_limit_write(const amp_rate_t *rate, amp_buf_t *out);


#endif /* AMP_PROJECT_H */
