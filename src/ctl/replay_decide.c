/*
 * The decision on a request of the access log.
 */

#include <stdlib.h>
#include <string.h>

#include "../core/amp_scope.h"
#include "record.h"
#include "replay_decide.h"


void
replay_state_tenant(replay_state_t *state, const json_t *record)
{
    const char  *why;

    state->record = record;

    if (record != NULL
        && amp_tenant_decode_object(record, &state->flat, sizeof(state->flat),
                                    &why)
           == 0)
    {
        state->record = NULL;
    }
}


void
replay_state_token(replay_state_t *state, const json_t *token, unsigned needed)
{
    char        *text;
    size_t       size;
    const char  *why;

    state->token = token == NULL && needed ? AMP_UNKNOWN_TOKEN : AMP_OK;
    state->scope = json_object_get(token, "scope");

    if (!json_is_object(state->scope)) {
        state->scope = NULL;
        return;
    }

    text = json_dumps(state->scope, JSON_COMPACT|JSON_PRESERVE_ORDER);
    size = text == NULL ? 0
           : amp_token_scope_decode(record_span(text),
                                    record_span(record_text(token, "id")),
                                    &state->own, sizeof(state->own), &why);
    free(text);

    if (size == 0) {
        state->token = AMP_BAD_RECORD;
    }
}


#define replay_scope(state)                                                   \
    ((state)->scope != NULL ? &(state)->own.scope : NULL)


amp_reason_e
replay_decide(const replay_state_t *state, const amp_operation_t *op,
    replay_kind_e kind)
{
    amp_query_t               query;
    amp_reason_e              reason;
    const amp_tenant_t       *t;
    const amp_token_scope_t  *scope;

    if (state->record == NULL || state->token != AMP_OK) {
        return state->record == NULL ? AMP_UNKNOWN_TOKEN : state->token;
    }

    t = &state->flat.tenant;
    scope = replay_scope(state);

    if (t->disabled) {
        return AMP_TENANT_DISABLED;
    }

    if (op == NULL) {
        return AMP_OK;
    }

    if (t->ngroups != 0 && op->group_in == AMP_IN_NOWHERE) {
        return AMP_NO_GROUP;
    }

    memset(&query, 0, sizeof(query));
    query.secret = (kind == REPLAY_SECRET);
    query.changes = (kind == REPLAY_CHANGE);

    reason = amp_scope_grant(t, NULL, op, &query);

    if (reason == AMP_OK && scope != NULL && scope->ngroups != 0
        && op->group_in == AMP_IN_NOWHERE)
    {
        return AMP_TOKEN_GROUP;
    }

    if (reason == AMP_OK) {
        reason = amp_scope_grant(t, scope, op, &query);
    }

    if (reason == AMP_OK && ((state->frozen | t->frozen) >> op->class & 1)) {
        return AMP_FROZEN;
    }

    return reason == AMP_OK && t->sealed.len == 0 ? AMP_NO_KEY : reason;
}


/* Whether a member is the same; an array that is empty is as none. */

static int
replay_same(const json_t *before, const json_t *after, const char *member)
{
    json_t  *a, *b;

    a = json_object_get(before, member);
    b = json_object_get(after, member);

    return json_equal(a, b)
           || (json_array_size(a) == 0 && json_array_size(b) == 0
               && !json_is_object(a) && !json_is_object(b));
}


/* Whether parameters that ask for secrets, or that change state, may pass. */

static int
replay_secrets(const replay_state_t *state)
{
    return state->flat.tenant.secrets
           && (state->scope == NULL || state->own.scope.secrets);
}


static int
replay_changes(const replay_state_t *state)
{
    return state->flat.tenant.changes
           && (state->scope == NULL || state->own.scope.changes);
}


const char *
replay_unknown(const replay_state_t *before, const replay_state_t *after,
    const amp_operation_t *op, replay_kind_e kind)
{
    const amp_tenant_t       *t;
    const amp_token_scope_t  *scope;

    if (!replay_same(before->scope, after->scope, "origins")
        && (kind == REPLAY_ORIGIN || json_object_get(after->scope, "origins")))
    {
        return "the origins of the token change, and the log does not say from "
               "which page the request came";
    }

    if (op == NULL) {
        return kind == REPLAY_ORIGIN ? NULL
               : "the tenant was disabled, and the log does not say what the "
                 "request asked for";
    }

    if (kind == REPLAY_TOKEN
        && !(json_equal(before->scope, after->scope)
             && replay_same(before->record, after->record, "grants")))
    {
        return "the log does not say whether a parameter asked for more than "
               "the token may";
    }

    if (!replay_same(before->record, after->record, "project")
        && (op->project_in != AMP_IN_NOWHERE || kind == REPLAY_OTHER))
    {
        return "the project changes, and the log does not say which project "
               "the request named";
    }

    t = &after->flat.tenant;
    scope = replay_scope(after);

    if ((!replay_same(before->record, after->record, "groups")
         || !replay_same(before->scope, after->scope, "groups"))
        && ((op->group_in != AMP_IN_NOWHERE
             && (t->ngroups != 0 || (scope != NULL && scope->ngroups != 0)))
            || kind == REPLAY_OTHER))
    {
        return "the groups change, and the log does not say which group the "
               "request named";
    }

    if (replay_secrets(before) != replay_secrets(after)
        && *op->secret_query != '\0' && kind == REPLAY_PLAIN)
    {
        return "the log does not say whether a parameter asked for secrets";
    }

    if (replay_changes(before) != replay_changes(after)
        && *op->state_query != '\0' && kind == REPLAY_PLAIN)
    {
        return "the log does not say whether a parameter changes something";
    }

    return NULL;
}
