#include "amp_decide.h"


/* Project, groups and grants, of the tenant, or of tenant and token. */

static amp_reason_e
amp_decide_policy(const amp_request_t *request, const amp_tenant_t *t,
    const amp_token_scope_t *scope, amp_decision_t *decision)
{
    amp_match_t   *match;
    amp_query_t   *query;
    amp_reason_e   reason;

    match = &decision->match;
    query = &decision->query;

    /*
     * an installation may be of any group: who is restricted to groups must not
     * name one
     */

    if (request->api == AMP_API_PROXY && request->installation) {

        if (t->ngroups != 0) {
            return AMP_NO_GROUP;
        }

        if (scope != NULL && scope->ngroups != 0) {
            return AMP_TOKEN_GROUP;
        }
    }

    reason = amp_scope_isolate(t, scope, match, query, request->project,
                               request->has_group, request->group);

    if (reason != AMP_OK) {
        return reason;
    }

    reason = amp_scope_grant(t, scope, match->op, query);

    /* an operation that is never served has no upstream path */

    if (request->observe && reason != AMP_NOT_SERVED) {
        decision->observed = reason;
        return AMP_OK;
    }

    return reason;
}


amp_reason_e
amp_decide(const amp_request_t *request, const amp_tenant_t *t,
    unsigned char *scratch, amp_decision_t *decision)
{
    amp_match_t              *match;
    amp_query_t              *query;
    amp_reason_e              reason;
    const amp_token_scope_t  *scope;

    scope = request->scope;
    match = &decision->match;
    query = &decision->query;

    decision->op = NULL;
    decision->methods = 0;
    decision->observed = AMP_OK;
    decision->wrap = 0;

    if (t->disabled) {
        return AMP_TENANT_DISABLED;
    }

    if (scope != NULL && !amp_token_scope_origin(scope, request->origin)) {
        return AMP_TOKEN_ORIGIN;
    }

    reason = amp_path_match(request->api, request->method, request->path,
                            scratch, match);

    if (reason != AMP_OK) {
        decision->methods = (reason == AMP_NO_METHOD) ? match->allow : 0;
        return reason;
    }

    decision->op = match->op;

    reason = amp_query_parse(match->op, request->query,
                             scratch + AMP_PATH_SCRATCH(request->path.len),
                             query);

    if (reason != AMP_OK) {
        return reason;
    }

    decision->wrap = (match->op->project_in == AMP_IN_NOWHERE
                      && match->op->reads == AMP_F(PROJECTS));

    if (request->malformed) {
        return AMP_BAD_HEADER;
    }

    reason = amp_decide_policy(request, t, NULL, decision);

    /* the token is to blame only where the tenant may do it */

    if (reason == AMP_OK && scope != NULL) {
        reason = amp_decide_policy(request, t, scope, decision);
    }

    if (reason == AMP_OK
        && ((request->frozen | t->frozen) >> match->op->class & 1))
    {
        return AMP_FROZEN;
    }

    return reason;
}


void
amp_decision_compose(const amp_decision_t *decision, const amp_tenant_t *t,
    amp_buf_t *out)
{
    amp_path_compose(&decision->match, amp_tenant_field(t, t->project_id), out);
    amp_query_compose(&decision->query, out);
}
