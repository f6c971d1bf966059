/*
 * ampctl config import --replay.
 *
 * The log has tenant, operation and decision of each request.  So what depends
 * on the tenant's record alone is decided for both states: is there such a
 * tenant, is it disabled, is the operation granted, has it a key.  Which group,
 * project or parameter a request has named is not in the log: where the
 * decision depends on it, and it changes, the request is listed as undecided.
 * Limits are not tried.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/amp_scope.h"
#include "config_replay.h"
#include "record.h"
#include "replay_log.h"


typedef struct {
    replay_log_t   log;
    json_t        *fail;
    json_t        *pass;
    json_t        *undecided;
} replay_t;


/* A state of a tenant; no record: there is no such tenant. */

typedef struct {
    const json_t  *record;

    union {
        amp_tenant_t   tenant;
        uint64_t       aligned;
        unsigned char  bytes[AMP_TENANT_FLAT_MAX];
    } flat;
} replay_state_t;


static void
replay_state(replay_state_t *state, const json_t *record)
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


/* In the gateway's order, see amp_decide(). */

static amp_reason_e
replay_decide(const replay_state_t *state, const amp_operation_t *op,
    replay_kind_e kind)
{
    amp_query_t          query;
    amp_reason_e         reason;
    const amp_tenant_t  *t;

    if (state->record == NULL) {
        return AMP_UNKNOWN_TOKEN;
    }

    t = &state->flat.tenant;

    if (t->disabled) {
        return AMP_TENANT_DISABLED;
    }

    if (t->ngroups != 0 && op->group_in == AMP_IN_NOWHERE) {
        return AMP_NO_GROUP;
    }

    memset(&query, 0, sizeof(query));
    query.secret = (kind == REPLAY_SECRET);
    query.changes = (kind == REPLAY_CHANGE);

    reason = amp_scope_grant(t, NULL, op, &query);

    if (reason == AMP_OK && t->sealed.len == 0) {
        return AMP_NO_KEY;
    }

    return reason;
}


static int
replay_same(const replay_state_t *before, const replay_state_t *after,
    const char *member)
{
    json_t  *a, *b;

    a = json_object_get(before->record, member);
    b = json_object_get(after->record, member);

    return json_equal(a, b)
           || (json_array_size(a) == 0 && json_array_size(b) == 0
               && !json_is_object(a) && !json_is_object(b));
}


/* Why the log does not say what would become of a request, or NULL. */

static const char *
replay_unknown(const replay_state_t *before, const replay_state_t *after,
    const amp_operation_t *op, replay_kind_e kind)
{
    const amp_tenant_t  *a, *b;

    a = &before->flat.tenant;
    b = &after->flat.tenant;

    if (!replay_same(before, after, "project")
        && (op->project_in != AMP_IN_NOWHERE || kind == REPLAY_OTHER))
    {
        return "the project changes, and the log does not say which project "
               "the request named";
    }

    if (!replay_same(before, after, "groups")
        && ((op->group_in != AMP_IN_NOWHERE && b->ngroups != 0)
            || kind == REPLAY_OTHER))
    {
        return "the groups change, and the log does not say which group the "
               "request named";
    }

    if (a->secrets != b->secrets && *op->secret_query != '\0'
        && kind == REPLAY_PLAIN)
    {
        return "the log does not say whether a parameter asked for secrets";
    }

    if (a->changes != b->changes && *op->state_query != '\0'
        && kind == REPLAY_PLAIN)
    {
        return "the log does not say whether a parameter changes something";
    }

    return NULL;
}


static void
replay_list(json_t *list, const char *tenant, const char *member,
    const char *name, json_t *n, const char *why)
{
    json_array_append_new(list, json_pack("{s:s, s:s, s:O, s:s}", "tenant",
                                          tenant, member, name, "requests", n,
                                          "why", why));
}


static void
replay_use(replay_t *replay, const char *tenant, const char *use, json_t *n,
    const replay_state_t *before, const replay_state_t *after)
{
    const char             *id, *why;
    amp_reason_e            was, is;
    replay_kind_e           kind;
    const amp_operation_t  *op;

    id = replay_use_operation(use);
    kind = replay_use_kind(use);
    op = amp_operation_find(record_span(id));

    if (op == NULL) {
        if (after->record != NULL && !after->flat.tenant.disabled) {
            replay_list(replay->undecided, tenant, "operation", id, n,
                        "the tenant was disabled, and the log does not say "
                        "what the request asked for");
        }

        return;
    }

    was = replay_decide(before, op, kind);
    is = replay_decide(after, op, kind);
    why = NULL;

    if (is == AMP_OK && before->record != NULL) {
        why = replay_unknown(before, after, op, kind);
    }

    if (why != NULL) {
        replay_list(replay->undecided, tenant, "operation", id, n, why);

    } else if (was == AMP_OK && is != AMP_OK && kind != REPLAY_OTHER) {
        replay_list(replay->fail, tenant, "operation", id, n,
                    amp_problem(is)->name);

    } else if (was != AMP_OK && is == AMP_OK && kind != REPLAY_OTHER) {
        replay_list(replay->pass, tenant, "operation", id, n,
                    amp_problem(was)->name);
    }
}


static void
replay_tenant(replay_t *replay, const char *id, const json_t *before,
    const json_t *after)
{
    json_t          *uses, *n;
    const char      *use;
    replay_state_t  *states;

    uses = json_object_get(json_object_get(replay->log.tenants, id), "uses");

    states = calloc(2, sizeof(*states));
    if (states == NULL) {
        abort();
    }

    replay_state(&states[0], before);
    replay_state(&states[1], after);

    json_object_foreach(uses, use, n) {
        replay_use(replay, id, use, n, &states[0], &states[1]);
    }

    free(states);
}


/* Tokens that the import revokes; the log may not name tokens. */

static void
replay_tokens(const import_t *im, replay_t *replay,
    const import_tenant_t *tenant, const char *id)
{
    json_t      *used, *listed, *n;
    const char  *token;

    listed = json_object_get(tenant->doc, "tokens");
    used = json_object_get(json_object_get(replay->log.tenants, id), "tokens");

    if (!im->prune || listed == NULL) {
        return;
    }

    json_object_foreach(used, token, n) {
        if (import_find(listed, token) == NULL
            && import_find(tenant->tokens, token) != NULL)
        {
            replay_list(replay->fail, id, "token", token, n,
                        amp_problem(AMP_UNKNOWN_TOKEN)->name);
        }
    }
}


/* A tenant of the document; for import_pass().  0, or -1. */

static int
replay_run(import_t *im, import_tenant_t *tenant)
{
    json_t      *record;
    replay_t    *replay = im->data;
    const char  *id;

    id = record_text(tenant->doc, "id");

    if (json_object_get(replay->log.tenants, id) == NULL) {
        return 0;
    }

    record = import_merged(im, tenant);
    if (record == NULL) {
        return -1;
    }

    replay_tenant(replay, id, tenant->record, record);
    replay_tokens(im, replay, tenant, id);
    json_decref(record);

    return 0;
}


/* Tenants of the log that the import removes.  0, or -1. */

static int
replay_removed(import_t *im, replay_t *replay)
{
    int          rc;
    ctl_t       *ctl;
    json_t      *used, *record;
    const char  *id;

    ctl = im->ctl;

    json_object_foreach(replay->log.tenants, id, used) {
        if (!im->prune || tenant_ids_has(&im->ids, id)
            || !amp_tenant_id_valid(ctl_span(id)))
        {
            continue;
        }

        rc = tenant_load(ctl->store, &ctl->error, ctl_span(id), &record);

        if (rc == -1) {
            return -1;
        }

        if (rc == 1) {
            replay_tenant(replay, id, record, NULL);
            json_decref(record);
        }
    }

    return 0;
}


/* The rows of a list; the sum of their requests. */

static long long
replay_print_list(const json_t *list, const char *title, const char *why)
{
    char             requests[24];
    size_t           i;
    json_t          *row;
    long long        n, sum;
    const char      *operation, *heads[4];
    output_table_t  *table;

    if (json_array_size(list) == 0) {
        return 0;
    }

    heads[0] = "TENANT";
    heads[1] = "OPERATION";
    heads[2] = "REQUESTS";
    heads[3] = why;

    output("%s:\n", title);
    table = output_table(4, heads);
    sum = 0;

    json_array_foreach(list, i, row) {
        n = json_integer_value(json_object_get(row, "requests"));
        sum += n;
        snprintf(requests, sizeof(requests), "%lld", n);
        operation = record_text(row, "operation");

        output_row(table, record_text(row, "tenant"),
                   *operation ? operation : record_text(row, "token"),
                   requests, record_text(row, "why"));
    }

    output_table_print(table);
    output("\n");

    return sum;
}


static void
replay_print(const replay_t *replay)
{
    long long            fail, pass, undecided;
    const replay_log_t  *log;

    log = &replay->log;

    fail = replay_print_list(replay->fail, "would newly fail", "REASON");
    pass = replay_print_list(replay->pass, "would newly pass",
                             "REASON BEFORE");
    undecided = replay_print_list(replay->undecided, "not decided", "WHY");

    output("%llu requests of %lu tenants: %lld would newly fail, %lld would "
           "newly pass, %lld are not decided\n", log->requests,
           (unsigned long) json_object_size(log->tenants), fail, pass,
           undecided);

    if (log->nobody || log->unmatched || log->malformed || log->other) {
        output("left out: %llu without a tenant, %llu without an operation, "
               "%llu refused in any case, %llu lines of another format\n",
               log->nobody, log->unmatched, log->malformed, log->other);
    }

    output("not tried: limits, and what the log does not have (groups, "
           "projects, parameters, bodies)\n");
}


static void
replay_print_json(replay_t *replay)
{
    const replay_log_t  *log;

    log = &replay->log;

    (void) output_json(json_pack("{s:I, s:O, s:O, s:O, s:{s:I, s:I, s:I, s:I}}",
                       "requests", (json_int_t) log->requests,
                       "fail", replay->fail, "pass", replay->pass,
                       "undecided", replay->undecided, "left_out",
                       "tenant", (json_int_t) log->nobody,
                       "operation", (json_int_t) log->unmatched,
                       "refused", (json_int_t) log->malformed,
                       "format", (json_int_t) log->other));
}


int
config_replay(import_t *im, const char *log)
{
    int        rc;
    replay_t  *replay;

    replay = calloc(1, sizeof(*replay));
    if (replay == NULL) {
        abort();
    }

    replay->fail = json_array();
    replay->pass = json_array();
    replay->undecided = json_array();
    im->data = replay;

    rc = replay_log_read(&replay->log, log, &im->ctl->error);

    if (rc == 0) {
        rc = replay_removed(im, replay);
    }

    if (rc == 0) {
        rc = import_pass(im, "replayed", replay_run);
    }

    if (rc == 0) {
        if (im->ctl->json) {
            replay_print_json(replay);
        } else {
            replay_print(replay);
        }

        rc = json_array_size(replay->fail) ? CTL_REFUSED : CTL_DONE;
    }

    json_decref(replay->fail);
    json_decref(replay->pass);
    json_decref(replay->undecided);
    replay_log_free(&replay->log);
    free(replay);

    return rc;
}
