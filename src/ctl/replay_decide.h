/*
 * What the gateway makes of a request of the access log, in one state of its
 * tenant and token: as amp_decide(), as far as the log says what was asked for.
 */

#ifndef CTL_REPLAY_DECIDE_H
#define CTL_REPLAY_DECIDE_H


#include "../core/amp_problem.h"
#include "../core/amp_tenant.h"
#include "../core/amp_token_scope.h"
#include "replay_log.h"


typedef struct {
    const json_t  *record;          /* NULL: there is no such tenant          */
    amp_reason_e   token;           /* AMP_OK, or why it is refused           */
    const json_t  *scope;           /* of the token; NULL: all that its tenant
                                       may                                    */
    unsigned       frozen;          /* classes, for all tenants               */

    union {
        amp_tenant_t   tenant;
        uint64_t       aligned;
        unsigned char  bytes[AMP_TENANT_FLAT_MAX];
    } flat;

    union {
        amp_token_scope_t  scope;
        uint64_t           aligned[AMP_TOKEN_SCOPE_MAX / sizeof(uint64_t)];
    } own;
} replay_state_t;


/* Sets the tenant; a record that cannot be read is none. */

void replay_state_tenant(replay_state_t *state, const json_t *record);

/*
 * Sets the token, as in the document of ampctl config, whose texts stay the
 * caller's.  NULL: there is none, which matters where it is needed.
 */

void replay_state_token(replay_state_t *state, const json_t *token,
    unsigned needed);

/* AMP_OK, or the reason to refuse; op is NULL where the log has none. */

amp_reason_e replay_decide(const replay_state_t *state,
    const amp_operation_t *op, replay_kind_e kind);

/*
 * Why the log does not say what would become of a request that the second state
 * would not refuse for another reason; or NULL.
 */

const char *replay_unknown(const replay_state_t *before,
    const replay_state_t *after, const amp_operation_t *op,
    replay_kind_e kind);


#endif /* CTL_REPLAY_DECIDE_H */
