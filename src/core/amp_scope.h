/*
 * May this tenant make this request, and this token of it?  Project isolation,
 * grants and groups.  Callers check isolation before grants: another tenant's
 * project is refused for that reason.
 *
 * "scope" is that of the token (amp_token_scope.h), or NULL.  It is tested
 * after the tenant, so it can only refuse more: AMP_TOKEN_NOT_GRANTED and
 * AMP_TOKEN_GROUP are of requests that the tenant may make.
 */

#ifndef AMP_SCOPE_H
#define AMP_SCOPE_H


#include "amp_match.h"
#include "amp_query.h"
#include "amp_token_scope.h"


#define AMP_BODY_CHECK_MAX  (1024 * 1024)   /* bytes                          */


/* 1 when the text is the tenant's project: its id, its name (any case), "-". */

int amp_scope_project(const amp_tenant_t *t, amp_span_t project);

/*
 * Checks grants alone: a function of its own because ampersand_observe lets
 * requests pass that grants refuse.  AMP_OK, AMP_NOT_SERVED (refused under
 * ampersand_observe, too), AMP_NOT_GRANTED, AMP_SECRETS_NOT_GRANTED (an
 * operation of the class "secrets", or a parameter that asks for secrets,
 * without that class), AMP_CHANGE_NOT_GRANTED (a parameter that changes state,
 * without the class "write"), AMP_TOKEN_NOT_GRANTED (any of these, by the
 * token).
 */

amp_reason_e amp_scope_grant(const amp_tenant_t *t,
    const amp_token_scope_t *scope, const amp_operation_t *op,
    const amp_query_t *q);

/*
 * Checks the project in the path and in the header x-amp-project-id (empty when
 * the client sent none), and the group in the query or in the header
 * x-amp-group-ref (has_group_header: the client sent one, which may be empty).
 * AMP_OK, AMP_OTHER_PROJECT, AMP_OTHER_GROUP, AMP_NO_GROUP, AMP_TOKEN_GROUP.  A
 * group in the body is checked by amp_scope_body().
 */

amp_reason_e amp_scope_isolate(const amp_tenant_t *t,
    const amp_token_scope_t *scope, const amp_match_t *m, const amp_query_t *q,
    amp_span_t project_header, int has_group_header, amp_span_t group_header);

/*
 * 1 when the body has to be read and checked before the request may be sent:
 * the operation has the project in its body, or it has the group there and the
 * tenant or the token is bound to groups.
 */

int amp_scope_needs_body(const amp_tenant_t *t, const amp_token_scope_t *scope,
    const amp_operation_t *op);

/*
 * Checks a complete body.  Returns AMP_OK, also for an operation that needs no
 * check; AMP_TOO_LARGE above AMP_BODY_CHECK_MAX; AMP_INTERNAL without memory.
 * The body must be one strict JSON object: UTF-8, no duplicate member at any
 * depth, nothing after it.
 *
 * "projectIdOrName" and "projectId" (where the operation has its project in the
 * body) and "groupRef" count only at the top level and in this exact spelling.
 * AMP_BAD_BODY: the same name in another case (Go's JSON decoder would accept
 * it), a wrong type, or two different projects of which one is not the
 * tenant's; id, name and "-" of one project are not different.  Another project
 * is AMP_OTHER_PROJECT, another group AMP_OTHER_GROUP, a missing group
 * AMP_NO_GROUP; either by the token AMP_TOKEN_GROUP.
 *
 * *replacement: where the project is in the body, the body to send instead,
 * with the project's id in the members that the client used
 * ("projectIdOrName" if it used none); malloc()ed, the caller frees it.
 * Otherwise its data is NULL: the body is sent as it came.
 */

amp_reason_e amp_scope_body(const amp_tenant_t *t,
    const amp_token_scope_t *scope, const amp_operation_t *op, amp_span_t body,
    amp_span_t *replacement);


#endif /* AMP_SCOPE_H */
