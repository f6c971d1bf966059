#include "amp_decide.h"


amp_reason_e
amp_decide(const amp_request_t *request, const amp_tenant_t *t,
    unsigned char *scratch, amp_decision_t *decision)
{
    amp_match_t   *match;
    amp_query_t   *query;
    amp_reason_e   reason;

    match = &decision->match;
    query = &decision->query;

    decision->op = NULL;
    decision->methods = 0;
    decision->observed = AMP_OK;
    decision->wrap = 0;

    if (t->disabled) {
        return AMP_TENANT_DISABLED;
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

    /*
     * an installation may be of any group: a tenant that is restricted to
     * groups must not name one
     */

    if (t->ngroups != 0 && request->api == AMP_API_PROXY
        && request->installation)
    {
        return AMP_NO_GROUP;
    }

    reason = amp_scope_isolate(t, match, query, request->project,
                               request->has_group, request->group);

    if (reason != AMP_OK) {
        return reason;
    }

    reason = amp_scope_grant(t, match->op, query);

    /* an operation that is never served has no upstream path */

    if (request->observe && reason != AMP_NOT_SERVED) {
        decision->observed = reason;
        return AMP_OK;
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
