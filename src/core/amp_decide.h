/*
 * What the gateway makes of a request, as far as the request, the tenant's
 * record and the token's scope say: the operation, or the reason to refuse.
 * Limits, cool-downs and the state of Redis and Ampersand are not part of it.
 */

#ifndef AMP_DECIDE_H
#define AMP_DECIDE_H


#include "amp_path.h"
#include "amp_scope.h"


typedef struct {
    amp_api_e   api;
    amp_span_t  method;
    amp_span_t  path;               /* raw, see amp_path_match()              */
    amp_span_t  query;              /* raw, without "?"                       */
    amp_span_t  project;            /* x-amp-project-id; empty: not sent      */
    amp_span_t  group;              /* x-amp-group-ref                        */
    amp_span_t  origin;             /* Origin; empty: not sent, or twice      */
    const amp_token_scope_t  *scope;    /* of the token, or NULL              */
    unsigned    frozen;             /* classes, for all tenants               */
    unsigned    has_group:1;        /* it was sent, and may be empty          */
    unsigned    installation:1;     /* x-amp-installation-id was sent         */
    unsigned    malformed:1;        /* an x-amp-* header is malformed         */
    unsigned    observe:1;          /* ampersand_observe: grants refuse
                                       nothing                                */
} amp_request_t;


typedef struct {
    const amp_operation_t  *op;     /* NULL: no operation matched             */
    unsigned                methods;    /* AMP_NO_METHOD: 1 << amp_method_e   */
    amp_reason_e            observed;   /* what grants would have refused, or
                                           AMP_OK                             */
    unsigned                wrap:1; /* listProjects is answered with the
                                       tenant's own project, see
                                       amp_path_compose(): an array of one    */
    amp_match_t             match;  /* these two after AMP_OK only            */
    amp_query_t             query;
} amp_decision_t;


#define amp_decide_scratch(path_len, query_len)                               \
    (AMP_PATH_SCRATCH(path_len) + (query_len))

/*
 * Decides, in this order: is the tenant disabled; is the token for this origin;
 * which operation is it; is the query right; are project, group and headers the
 * tenant's, and the token's; is the operation granted, to both; is its class
 * frozen.  AMP_OK: the request may be made; a body that amp_scope_needs_body()
 * asks for has still to be checked by amp_scope_body().
 *
 * scratch has at least amp_decide_scratch() bytes; the caller keeps it and the
 * texts of the request as long as the decision.
 */

amp_reason_e amp_decide(const amp_request_t *request, const amp_tenant_t *t,
    unsigned char *scratch, amp_decision_t *decision);

/*
 * Appends the target that is sent upstream: path and query.  For a decision
 * that was AMP_OK; amp_target_size() bytes are enough.
 */

void amp_decision_compose(const amp_decision_t *decision,
    const amp_tenant_t *t, amp_buf_t *out);

/*
 * 1 when the answer to a GET or HEAD without a body may be stored: no parameter
 * asks for secrets or changes state.
 */

static inline int
amp_decision_storable(const amp_decision_t *decision)
{
    return !decision->query.secret && !decision->query.changes;
}


/*
 * The families that a success invalidates, AMP_F(...) | ...  safe: the method
 * changes nothing (RFC 9110, section 9.2.1).  A GET changes something by a
 * parameter only.  Where no answer of the proxy API is stored (ttl is 0), its
 * writes need not be published.
 */

static inline uint32_t
amp_decision_writes(const amp_decision_t *decision, unsigned safe, uint32_t ttl)
{
    const amp_operation_t  *op = decision->op;

    if (op->method == AMP_METHOD_ANY
        ? (ttl != 0 && !safe)
        : (decision->query.changes || op->method != AMP_METHOD_GET))
    {
        return op->writes;
    }

    return 0;
}


#endif /* AMP_DECIDE_H */
