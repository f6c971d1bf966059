/*
 * ampctl identity: what names a tenant in place of a token, for locations with
 * "ampersand_identity VALUE by=...".
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ampctl.h"
#include "identity.h"
#include "record.h"
#include "token_count.h"
#include "token_plan.h"
#include "token_scope.h"
#include "token_use.h"


static const ctl_option_t  identity_add_options[] = {
    TOKEN_SCOPE_OPTIONS,
    CTL_OPTION_DRY_RUN,
    { 0, NULL, NULL, NULL, 0 }
};


static const ctl_option_t  identity_remove_options[] = {
    CTL_OPTION_DRY_RUN,
    { 0, NULL, NULL, NULL, 0 }
};


typedef struct {
    json_t         *list;
    token_entry_t  *entries;        /* of the rows of the list                */
    size_t          room;
} identity_rows_t;


/* 1 when the tenant may have it, 0 when there is no such tenant, -1. */

static int
identity_add_check(ctl_t *ctl, const identity_t *identity, amp_span_t id,
    const char *scope)
{
    int            rc;
    json_t        *record;
    token_state_t  state;

    rc = identity_state(ctl->store, &ctl->error, identity, &state);
    if (rc == -1) {
        return -1;
    }

    if (rc == 1) {
        ctl_error(&ctl->error, CTL_REFUSED, "exists", "%s is an identity of "
                  "tenant \"%s\" already", identity->name, state.tenant);
        return ctl_remedy(&ctl->error, "it can be that of one tenant only, and "
                          "may do what it was added with; to add it anew, "
                          "remove it first: ampctl identity remove '%s'",
                          identity->name);
    }

    rc = tenant_load(ctl->store, &ctl->error, id, &record);
    if (rc != 1) {
        return rc;
    }

    if (scope != NULL && token_scope_within(ctl, record) != 0) {
        rc = -1;
    }

    json_decref(record);

    return rc;
}


static int
identity_add(ctl_t *ctl, const identity_t *identity, amp_span_t id,
    amp_span_t scope)
{
    int                 rc;
    char                token[AMP_TOKEN_ID_MAX + 1];
    amp_span_t          name;
    amp_token_record_t  record;

    name = ctl_span(identity->name);

    if (ctl_dry_run(ctl)) {
        memset(&record, 0, sizeof(record));
        record.tenant = id;
        record.scope = scope;
        record.identity = name;
        return token_plan_print(ctl, &record, NULL, 0);
    }

    rc = token_identify(ctl->store, &ctl->error, id, &identity->entry, name,
                        scope, token);
    if (rc != 1) {
        return rc == 0 ? ctl_no_tenant(ctl, id) : -1;
    }

    if (ctl->json) {
        return output_json(json_pack("{s:s, s:s, s:s, s:o}", "tenant",
                                     ctl->args[0], "id", token, "identity",
                                     identity->name, "scope",
                                     token_scope_json(scope)));
    }

    output("%s is tenant %s\n", identity->name, ctl->args[0]);

    return CTL_DONE;
}


static int
identity_add_command(ctl_t *ctl)
{
    int          rc;
    char        *scope;
    amp_span_t   id;
    identity_t   identity;

    if (ctl_tenant_id(ctl, &id) != 0
        || identity_read(ctl, ctl->args[1], &identity) != 0
        || token_scope_read(ctl, &scope) != 0)
    {
        return -1;
    }

    rc = ctl_store(ctl) == NULL ? -1
         : identity_add_check(ctl, &identity, id, scope);

    if (rc == 1) {
        rc = identity_add(ctl, &identity, id, ctl_span(scope ? scope : ""));

    } else if (rc == 0) {
        rc = ctl_no_tenant(ctl, id);
    }

    free(scope);

    return rc;
}


static void
identity_list_one(unsigned tenant, const token_entry_t *entry,
    const amp_token_record_t *record, void *data)
{
    size_t            n;
    identity_rows_t  *rows = data;

    (void) tenant;

    if (record == NULL || record->identity.len == 0) {
        return;
    }

    n = json_array_size(rows->list);

    if (n == rows->room) {
        rows->room = 2 * rows->room + TOKEN_PIPELINE;

        rows->entries = realloc(rows->entries,
                                rows->room * sizeof(*rows->entries));
        if (rows->entries == NULL) {
            abort();
        }
    }

    rows->entries[n] = *entry;
    json_array_append_new(rows->list, json_pack("{s:s%, s:s%, s:s, s:I, s:o}",
                          "identity", record->identity.data,
                          record->identity.len, "tenant", record->tenant.data,
                          record->tenant.len, "id", entry->id, "created",
                          (json_int_t) record->created, "scope",
                          token_scope_json(record->scope)));
}


/* Those of the tenants.  0, or -1. */

static int
identity_list_read(ctl_t *ctl, const tenant_ids_t *ids, identity_rows_t *rows)
{
    int            rc;
    size_t         i, n;
    json_t        *row;
    int64_t        now, *days;
    token_use_t    use;
    token_uses_t   uses;

    for (rc = 0, i = 0; rc == 0 && i < ids->n; i += n) {
        n = ids->n - i < TENANT_BATCH ? ids->n - i : TENANT_BATCH;

        output_progress("tenants", i, ids->n);
        rc = token_each_of(ctl->store, &ctl->error, ids->ids + i, n,
                           identity_list_one, rows);
    }

    output_progress(NULL, 0, 0);

    n = json_array_size(rows->list);

    days = calloc(n + 1, sizeof(*days));
    if (days == NULL) {
        abort();
    }

    if (rc != 0
        || store_time(ctl->store, &ctl->error, store_prefix(ctl->store), &now)
           != 0
        || token_uses(ctl->store, &ctl->error, now / 1000000, &uses) != 0
        || token_use_days(ctl->store, &ctl->error, rows->entries, n, days) != 0)
    {
        free(days);
        return -1;
    }

    json_array_foreach(rows->list, i, row) {
        use = token_use(&uses, json_integer_value(json_object_get(row,
                                                                  "created")),
                        days[i]);
        token_use_members(&use, row);
    }

    free(days);

    return 0;
}


static void
identity_list_print(const json_t *list)
{
    char                      created[CTL_TIME_MAX], last[TOKEN_USE_TEXT];
    size_t                    i;
    json_t                   *row;
    output_table_t           *table;
    static const char *const  heads[] = {
        "IDENTITY", "TENANT", "MAY", "ADDED", "LAST USE", "TOKEN"
    };

    if (json_array_size(list) == 0) {
        output("there are no identities\n"
               "next: add one: ampctl identity add ID NAME\n");
        return;
    }

    table = output_table(6, heads);

    json_array_foreach(list, i, row) {
        output_row(table, record_text(row, "identity"),
                   record_text(row, "tenant"),
                   json_is_null(json_object_get(row, "scope")) ? "all" : "less",
                   output_time(json_integer_value(
                               json_object_get(row, "created")), created),
                   token_use_text(row, last), record_text(row, "id"));
    }

    output_table_print(table);
}


static int
identity_list_command(ctl_t *ctl)
{
    int              rc;
    tenant_ids_t     ids;
    identity_rows_t  rows;

    if (ctl_tenants(ctl, &ids) != 0) {
        return -1;
    }

    memset(&rows, 0, sizeof(rows));
    rows.list = json_array();

    rc = identity_list_read(ctl, &ids, &rows);

    tenant_ids_free(&ids);
    free(rows.entries);

    if (rc == 0 && ctl->json) {
        return output_json(rows.list);
    }

    if (rc == 0) {
        identity_list_print(rows.list);
    }

    json_decref(rows.list);

    return rc;
}


static int
identity_none(ctl_t *ctl, const identity_t *identity)
{
    ctl_error(&ctl->error, CTL_REFUSED, "not_found", "no tenant has the "
              "identity %s", identity->name);

    return ctl_remedy(&ctl->error, "list identities: ampctl identity list");
}


static int
identity_remove_command(ctl_t *ctl)
{
    int                 rc;
    identity_t          identity;
    token_state_t       state;
    amp_token_record_t  record;

    if (identity_read(ctl, ctl->args[0], &identity) != 0
        || ctl_store(ctl) == NULL)
    {
        return -1;
    }

    rc = identity_state(ctl->store, &ctl->error, &identity, &state);

    if (rc == 1 && ctl_dry_run(ctl)) {
        memset(&record, 0, sizeof(record));
        record.id = ctl_span(state.id);
        return token_plan_print(ctl, NULL, &record, 0);
    }

    if (rc == 1) {
        rc = token_revoke(ctl->store, &ctl->error, ctl_span(state.id));
    }

    if (rc != 1) {
        return rc == 0 ? identity_none(ctl, &identity) : -1;
    }

    if (ctl->json) {
        return output_json(json_pack("{s:s, s:s, s:b}", "tenant", state.tenant,
                                     "identity", identity.name, "removed", 1));
    }

    output("%s is no identity of tenant %s any more\n", identity.name,
           state.tenant);

    return CTL_DONE;
}


const ctl_command_t  ctl_identity_commands[] = {

    { "identity", "add", "ID NAME", "let an identity name a tenant",
      "NAME is fingerprint:HEX or subject:DN of a client certificate, or\n"
      "claim:NAME=VALUE. It may do what its tenant may, or less where options\n"
      "say so, as a token. nginx needs \"ampersand_identity VALUE by=...\".\n"
      "For example:\n"
      "  ampctl identity add acme subject:CN=billing,O=Example\n"
      "  ampctl identity add acme claim:sub=billing@example.com --allow read",
      identity_add_options, identity_add_command },

    { "identity", "list", "[ID]", "list identities, of a tenant or of all",
      "For example:\n"
      "  ampctl identity list acme",
      NULL, identity_list_command },

    { "identity", "remove", "NAME", "remove an identity, at once on all "
      "gateways",
      "For example:\n"
      "  ampctl identity remove subject:CN=billing,O=Example",
      identity_remove_options, identity_remove_command },

    { NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};
