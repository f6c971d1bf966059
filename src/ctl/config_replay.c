/*
 * ampctl config import --replay.
 *
 * The log has tenant, token, operation and decision of each request.  So what
 * depends on the records of tenant and token alone is decided for both states:
 * is there such a tenant, and such a token, is the tenant disabled, is the
 * operation granted to both, is it frozen, has the tenant a key.  Which group,
 * project, parameter or origin a request has named is not in the log: where the
 * decision depends on it, and it changes, the request is listed as undecided.
 * Limits are not tried.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_replay.h"
#include "frozen.h"
#include "record.h"
#include "replay_decide.h"


typedef struct {
    replay_log_t         log;
    json_t              *fail;
    json_t              *pass;
    json_t              *undecided;
    json_t              *rows;      /* of this tenant, in these lists         */
    replay_state_t       before;
    replay_state_t       after;
    unsigned long long   frozen;    /* requests of what is frozen             */
    unsigned long long   gone;      /* of tokens that are in neither state    */
} replay_t;


/* A token, where it decides, and an operation, or NULL. */

static void
replay_row(replay_t *replay, json_t *list, const char *tenant,
    const char *token, const char *operation, json_int_t n, const char *why)
{
    char     name[512];
    json_t  *row, *sum;

    snprintf(name, sizeof(name), "%p %s %s %s", (void *) list,
             token ? token : "", operation ? operation : "", why);

    row = json_object_get(replay->rows, name);

    if (row == NULL) {
        row = json_pack("{s:s, s:s*, s:s*, s:i, s:s}", "tenant", tenant,
                        "token", token, "operation", operation, "requests", 0,
                        "why", why);
        json_object_set(replay->rows, name, row);
        json_array_append_new(list, row);
    }

    sum = json_object_get(row, "requests");
    json_integer_set(sum, json_integer_value(sum) + n);
}


static void
replay_use(replay_t *replay, const char *tenant, const char *token,
    const char *use, json_int_t n)
{
    const char             *id, *why, *named;
    amp_reason_e            was, is;
    replay_kind_e           kind;
    const amp_operation_t  *op;

    id = replay_use_operation(use);
    kind = replay_use_kind(use);
    op = amp_operation_find(record_span(id));

    was = replay_decide(&replay->before, op, kind);
    is = replay_decide(&replay->after, op, kind);
    why = NULL;
    named = replay->before.scope || replay->after.scope ? token : NULL;

    if (is == AMP_FROZEN) {
        replay->frozen += (unsigned long long) n;
    }

    if (is == AMP_OK && replay->before.record != NULL) {
        why = replay_unknown(&replay->before, &replay->after, op, kind);
    }

    if (why != NULL) {
        replay_row(replay, replay->undecided, tenant, named, id, n, why);
        return;
    }

    if (kind == REPLAY_OTHER || kind == REPLAY_ORIGIN || kind == REPLAY_TOKEN) {
        return;
    }

    if (was == AMP_OK && is != AMP_OK) {

        /* all requests of a token that the import revokes are one row */

        if (replay->after.record != NULL && replay->after.token != AMP_OK) {
            named = token;
            id = NULL;
        }

        replay_row(replay, replay->fail, tenant, named, id, n,
                   amp_problem(is)->name);

    } else if (was != AMP_OK && is == AMP_OK) {
        replay_row(replay, replay->pass, tenant, named, id, n,
                   amp_problem(was)->name);
    }
}


/*
 * The token as the import makes it, to be released; NULL where it is not there
 * then.
 */

static json_t *
replay_token_after(const import_t *im, const import_tenant_t *tenant,
    json_t *before, const char *id)
{
    json_t   *listed, *token, *whole;
    int64_t   expires;

    listed = json_object_get(tenant->doc, "tokens");
    token = import_find(listed, id);
    expires = json_integer_value(json_object_get(token, "expires"));

    if (token == NULL && listed != NULL && im->prune) {
        return NULL;
    }

    if (token == NULL || (expires != 0 && expires <= im->now)) {
        return json_incref(before);
    }

    whole = before ? json_copy(before) : json_object();
    json_object_update(whole, token);

    return whole;
}


/* after NULL: the import removes the tenant. */

static void
replay_tenant(const import_t *im, replay_t *replay,
    const import_tenant_t *tenant, const char *id, const json_t *after)
{
    json_t      *tokens, *uses, *n, *was, *is;
    unsigned     needed;
    const char  *use, *token;

    replay_state_tenant(&replay->before, tenant->record);
    replay_state_tenant(&replay->after, after);
    json_object_clear(replay->rows);

    tokens = json_object_get(replay->log.tenants, id);

    json_object_foreach(tokens, token, uses) {
        was = import_find(tenant->tokens, token);
        is = replay_token_after(im, tenant, was, token);

        /* a token of the log may have been rotated since */

        needed = *token != '\0'
                 && (was != NULL || is != NULL || tenant->record == NULL);

        replay_state_token(&replay->before, was, needed);
        replay_state_token(&replay->after, is, needed);

        json_object_foreach(uses, use, n) {
            replay_use(replay, id, token, use, json_integer_value(n));

            if (*token != '\0' && !needed) {
                replay->gone += (unsigned long long) json_integer_value(n);
            }
        }

        json_decref(is);
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

    replay_tenant(im, replay, tenant, id, record);
    json_decref(record);

    return 0;
}


/* Tenants of the log that the import removes.  0, or -1. */

static int
replay_removed(import_t *im, replay_t *replay)
{
    int               rc;
    char             *one;
    ctl_t            *ctl;
    json_t           *used;
    const char       *id;
    import_tenant_t   tenant;

    ctl = im->ctl;

    json_object_foreach(replay->log.tenants, id, used) {
        if (!im->prune || tenant_ids_has(&im->ids, id)
            || !amp_tenant_id_valid(ctl_span(id)))
        {
            continue;
        }

        memset(&tenant, 0, sizeof(tenant));
        one = (char *) id;

        rc = tenant_load(ctl->store, &ctl->error, ctl_span(id), &tenant.record);

        if (rc == 1) {
            rc = config_tokens(ctl, &one, 1, &tenant.tokens) == 0 ? 1 : -1;
        }

        if (rc == 1) {
            replay_tenant(im, replay, &tenant, id, NULL);
        }

        json_decref(tenant.record);
        json_decref(tenant.tokens);

        if (rc == -1) {
            return -1;
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
    const char      *heads[5];
    output_table_t  *table;

    if (json_array_size(list) == 0) {
        return 0;
    }

    heads[0] = "TENANT";
    heads[1] = "TOKEN";
    heads[2] = "OPERATION";
    heads[3] = "REQUESTS";
    heads[4] = why;

    output("%s:\n", title);
    table = output_table(5, heads);
    sum = 0;

    json_array_foreach(list, i, row) {
        n = json_integer_value(json_object_get(row, "requests"));
        sum += n;
        snprintf(requests, sizeof(requests), "%lld", n);
        output_row(table, record_text(row, "tenant"), record_text(row, "token"),
                   record_text(row, "operation"), requests,
                   record_text(row, "why"));
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

    if (replay->frozen != 0) {
        output("frozen: %llu requests are of what is frozen, and fail before "
               "and after (ampctl freeze list)\n", replay->frozen);
    }

    if (replay->gone != 0) {
        output("%llu requests are of tokens that are gone: they were decided "
               "as of a token that may do all that its tenant may\n",
               replay->gone);
    }

    output("not tried: limits, and what the log does not have (groups, "
           "projects, parameters, bodies)\n");
}


static void
replay_print_json(replay_t *replay)
{
    const replay_log_t  *log;

    log = &replay->log;

    (void) output_json(json_pack("{s:I, s:O, s:O, s:O, s:I, s:I, "
                       "s:{s:I, s:I, s:I, s:I}}",
                       "requests", (json_int_t) log->requests,
                       "fail", replay->fail, "pass", replay->pass,
                       "undecided", replay->undecided,
                       "frozen", (json_int_t) replay->frozen,
                       "tokens_gone", (json_int_t) replay->gone, "left_out",
                       "tenant", (json_int_t) log->nobody,
                       "operation", (json_int_t) log->unmatched,
                       "refused", (json_int_t) log->malformed,
                       "format", (json_int_t) log->other));
}


int
config_replay(import_t *im, const char *log)
{
    int        rc;
    ctl_t     *ctl;
    replay_t  *replay;
    uint64_t   rev;

    ctl = im->ctl;
    replay = calloc(1, sizeof(*replay));
    if (replay == NULL) {
        abort();
    }

    replay->fail = json_array();
    replay->pass = json_array();
    replay->undecided = json_array();
    replay->rows = json_object();
    im->data = replay;

    rc = replay_log_read(&replay->log, log, &ctl->error);

    if (rc == 0) {
        rc = frozen_load(ctl->store, &ctl->error, &replay->before.frozen, &rev);
        replay->after.frozen = replay->before.frozen;
    }

    if (rc == 0) {
        rc = replay_removed(im, replay);
    }

    if (rc == 0) {
        rc = import_pass(im, "replayed", replay_run);
    }

    if (rc == 0) {
        if (ctl->json) {
            replay_print_json(replay);
        } else {
            replay_print(replay);
        }

        rc = json_array_size(replay->fail) ? CTL_REFUSED : CTL_DONE;
    }

    json_decref(replay->fail);
    json_decref(replay->pass);
    json_decref(replay->undecided);
    json_decref(replay->rows);
    replay_log_free(&replay->log);
    free(replay);

    return rc;
}
