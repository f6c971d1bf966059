/*
 * May this tenant make this request?  Project isolation, grants and groups;
 * isolation before grants, so that a foreign project is told as such.
 */

#ifndef AMP_SCOPE_H
#define AMP_SCOPE_H


#include "amp_path.h"
#include "amp_tenant.h"


#define AMP_BODY_CHECK_MAX  (1024 * 1024)   /* bytes of a body that is checked */


/* Is the text this tenant's project: its id, its name (any case) or "-"? */

int amp_scope_project(const amp_tenant_t *t, amp_span_t project);

/*
 * Grants alone, split off so that ampersand_observe can let a refusal pass:
 * AMP_OK, AMP_NOT_SERVED (never passes), AMP_NOT_GRANTED,
 * AMP_SECRETS_NOT_GRANTED (an operation of the class "secrets", or a
 * secret-bearing parameter, without that class), AMP_CHANGE_NOT_GRANTED.
 */

amp_reason_e amp_scope_grant(const amp_tenant_t *t, const amp_operation_t *op,
    const amp_query_t *q);

/*
 * Isolation: project in the path and in the header x-amp-project-id (empty
 * when the client sent none), group in the query or in the header
 * x-amp-group-ref (has_group_header tells an empty one from none).
 * AMP_OK, AMP_OTHER_PROJECT, AMP_OTHER_GROUP, AMP_NO_GROUP.  A group in the
 * body is left to amp_scope_body().
 */

amp_reason_e amp_scope_isolate(const amp_tenant_t *t, const amp_match_t *m,
    const amp_query_t *q, amp_span_t project_header, int has_group_header,
    amp_span_t group_header);

/*
 * Must the body be read and checked before the request may go on?  Yes where
 * the operation carries the project in its body, or its group while the
 * tenant is bound to groups.
 */

int amp_scope_needs_body(const amp_tenant_t *t, const amp_operation_t *op);

/*
 * Checks a whole body; AMP_OK for an operation that needs no check,
 * AMP_TOO_LARGE above AMP_BODY_CHECK_MAX.  It must be one strict JSON object:
 * UTF-8, no duplicate member at any depth, nothing after it.
 * "projectIdOrName" and "projectId" (project operations) and "groupRef" count
 * only at the top and only in their exact spelling; the same name in another
 * case (Go's JSON decoder would take it), a wrong type, or two values that
 * disagree are AMP_BAD_BODY; another project is AMP_OTHER_PROJECT, another
 * group AMP_OTHER_GROUP, a missing one AMP_NO_GROUP.  Project values disagree
 * when they differ and one of them is not this tenant's: id, name and "-" of
 * one project agree.
 *
 * *replacement: for project operations the body to send instead, composed anew
 * with the project's id in the member the client used ("projectIdOrName" where
 * it used none), malloc()ed, for the caller to free(); otherwise data NULL:
 * the body may go as it came.  AMP_INTERNAL without memory.
 */

amp_reason_e amp_scope_body(const amp_tenant_t *t, const amp_operation_t *op,
    amp_span_t body, amp_span_t *replacement);


#endif /* AMP_SCOPE_H */
