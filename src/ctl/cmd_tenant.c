/*
 * ampctl tenant: who may call the gateway, and for which project.
 */

#include <stdio.h>
#include <string.h>

#include "ampctl.h"
#include "config_diff.h"
#include "record.h"
#include "record_key.h"
#include "record_policy.h"
#include "tenant_add.h"
#include "tenant_keys.h"
#include "tenant_list.h"
#include "token_count.h"
#include "token_index.h"


enum {
    TENANT_PROJECT = CTL_OPTION,
    TENANT_PROJECT_NAME,
    TENANT_LABEL
};


static const ctl_option_t  tenant_set_options[] = {

    { TENANT_PROJECT, "project", "PROJECT_ID", "the project's id in Ampersand",
      0 },

    { TENANT_PROJECT_NAME, "project-name", "NAME",
      "its name, which paths may use in place of the id", 0 },

    { TENANT_LABEL, "label", "L", "a note for people; \"\" removes it", 0 },

    CTL_OPTION_DRY_RUN,
    { 0, NULL, NULL, NULL, 0 }
};


/* The limit of all of the tenant's requests as rate+burst: "50/s+100". */

static const char *
tenant_limit(const json_t *record, char *text, size_t size)
{
    json_t      *limit;
    const char  *rate;

    limit = json_object_get(json_object_get(record, "limits"), "default");
    rate = record_text(limit, "rate");

    if (*rate == '\0') {
        return "-";
    }

    snprintf(text, size, "%s+%lld", rate,
             (long long) json_integer_value(json_object_get(limit, "burst")));

    return text;
}


typedef struct {
    size_t           n;
    output_table_t  *table;         /* NULL: JSON                             */
} tenant_list_t;


static void
tenant_list_one(const char *id, json_t *record, const char *why, void *data)
{
    char            limit[64];
    json_t         *key, *project;
    tenant_list_t  *list = data;

    if (list->table == NULL) {
        output_item(&list->n, record ? record_view(record)
                    : json_pack("{s:s, s:{s:s, s:s}}", "id", id, "error",
                                "code", "bad_record", "message", why));
        return;
    }

    key = record_active_key(record);
    project = json_object_get(record, "project");

    output_row(list->table, id, record == NULL ? "unreadable"
               : json_is_true(json_object_get(record, "disabled"))
                 ? "disabled" : "enabled",
               record_text(project, "id"), record_text(project, "name"),
               record_text(key, "id"),
               tenant_limit(record, limit, sizeof(limit)));
    list->n++;
}


/*
 * Ends what was printed before Redis was lost, so that a document stays one:
 * its last element is the error.
 */

static int
tenant_list_cut(ctl_t *ctl, tenant_list_t *list)
{
    if (list->n == 0) {
        return -1;
    }

    if (list->table != NULL) {
        output_table_print(list->table);
        return -1;
    }

    output_item(&list->n, json_pack("{s:o}", "error",
                                    ctl_error_json(&ctl->error)));
    output_items_end(list->n);

    return ctl->error.exit;
}


static int
tenant_list(ctl_t *ctl)
{
    tenant_list_t  list;

    static const char *const  heads[] = {
        "TENANT", "STATE", "PROJECT", "NAME", "KEY", "LIMIT"
    };

    if (ctl_store(ctl) == NULL) {
        return -1;
    }

    list.n = 0;
    list.table = ctl->json ? NULL : output_table(6, heads);

    if (tenant_each(ctl->store, &ctl->error, tenant_list_one, &list) != 0) {
        return tenant_list_cut(ctl, &list);
    }

    if (list.table == NULL) {
        output_items_end(list.n);

    } else if (list.n != 0) {
        output_table_print(list.table);

    } else {
        output("there are no tenants\n"
               "next: add one: ampctl tenant add ID --project PROJECT_ID\n");
    }

    return CTL_DONE;
}


static void
tenant_show_limits(const json_t *record)
{
    json_t      *limit;
    const char  *name;

    json_object_foreach(json_object_get(record, "limits"), name, limit) {
        if (*record_text(limit, "rate") != '\0') {
            output("limit     %s %s, burst %lld\n", name,
                   record_text(limit, "rate"), (long long)
                   json_integer_value(json_object_get(limit, "burst")));

        } else if (json_is_integer(limit)) {
            output("limit     %s %lld\n", name,
                   (long long) json_integer_value(limit));
        }
    }
}


static int
tenant_show_print(const json_t *record, const token_count_t *tokens)
{
    char     words[1024];
    size_t   i;
    json_t  *key, *project, *grants;

    project = json_object_get(record, "project");
    grants = json_object_get(record, "grants");

    output("tenant    %s\n", record_text(record, "id"));

    if (*record_text(record, "label") != '\0') {
        output("label     %s\n", record_text(record, "label"));
    }

    output("state     %s\n", json_is_true(json_object_get(record, "disabled"))
                             ? "disabled" : "enabled");

    if (json_array_size(json_object_get(record, "frozen")) != 0) {
        output("frozen    %s\n", output_words(json_object_get(record, "frozen"),
                                              words, sizeof(words)));
    }

    output("revision  %lld\n", (long long)
           json_integer_value(json_object_get(record, "rev")));
    output("project   %s%s%s\n", record_text(project, "id"),
           *record_text(project, "name") ? " " : "",
           record_text(project, "name"));

    json_array_foreach(json_object_get(record, "keys"), i, key) {
        output("key       %s %s, master key %s\n", record_text(key, "id"),
               record_text(key, "state"), record_text(key, "master"));
    }

    output("allow     %s\n", output_words(json_object_get(grants, "allow"),
                                          words, sizeof(words)));
    output("deny      %s\n", output_words(json_object_get(grants, "deny"),
                                          words, sizeof(words)));
    output("groups    %s\n", output_words(json_object_get(record, "groups"),
                                          words, sizeof(words)));
    tenant_show_limits(record);
    output("tokens    %u", tokens->active);

    if (tokens->expired != 0) {
        output(", and %u expired", tokens->expired);
    }

    output("\n");

    return CTL_DONE;
}


static int
tenant_show(ctl_t *ctl)
{
    int             rc;
    json_t         *record, *view;
    int64_t         now;
    amp_span_t      id;
    token_count_t   tokens;

    record = ctl_tenant_record(ctl, &id);
    if (record == NULL) {
        return -1;
    }

    if (store_time(ctl->store, &ctl->error, id, &now) != 0
        || token_counts(ctl->store, &ctl->error, now / 1000000, ctl->args, 1,
                        &tokens) != 0)
    {
        json_decref(record);
        return -1;
    }

    view = record_view(record);

    if (ctl->json) {
        json_object_set_new(view, "tokens",
                            json_integer((json_int_t) tokens.active));
        rc = output_json(json_incref(view));

    } else {
        rc = tenant_show_print(view, &tokens);
    }

    json_decref(view);
    json_decref(record);

    return rc;
}


static const ctl_option_t  tenant_dry_options[] = {
    CTL_OPTION_DRY_RUN,
    { 0, NULL, NULL, NULL, 0 }
};


static int
tenant_set_disabled(json_t *record, void *data, ctl_error_t *error)
{
    int  disabled = *(int *) data;

    if (json_is_true(json_object_get(record, "disabled")) == disabled) {
        return 1;
    }

    return json_object_set_new(record, "disabled", json_boolean(disabled));
}


static int
tenant_switch(ctl_t *ctl, int disabled)
{
    int         rc;
    amp_span_t  id;

    rc = ctl_tenant_change(ctl, tenant_set_disabled, &disabled);

    if (rc != 0 && disabled && strcmp(ctl->error.code, "bad_record") == 0
        && !ctl_dry_run(ctl) && ctl_tenant_id(ctl, &id) == 0)
    {
        rc = tenant_disable_large(ctl->store, &ctl->error, id);
    }

    if (rc != 0) {
        return -1;
    }

    if (ctl_dry_run(ctl)) {
        return ctl_not_made(ctl);
    }

    if (ctl->json) {
        return output_json(json_pack("{s:s, s:b}", "tenant", ctl->args[0],
                                     "disabled", disabled));
    }

    if (disabled) {
        output("tenant %s is disabled: the gateways refuse its requests\n"
               "next: to enable it again: ampctl tenant enable %s\n",
               ctl->args[0], ctl->args[0]);
    } else {
        output("tenant %s is enabled\n", ctl->args[0]);
    }

    return CTL_DONE;
}


static int
tenant_disable(ctl_t *ctl)
{
    return tenant_switch(ctl, 1);
}


static int
tenant_enable(ctl_t *ctl)
{
    return tenant_switch(ctl, 0);
}


static int
tenant_set_project(json_t *record, void *data, ctl_error_t *error)
{
    ctl_t       *ctl = data;
    json_t      *project;
    const char  *id, *name, *label;

    id = ctl_value(ctl, TENANT_PROJECT);
    name = ctl_value(ctl, TENANT_PROJECT_NAME);
    label = ctl_value(ctl, TENANT_LABEL);
    project = json_object_get(record, "project");

    /* another project has another name */

    if (id != NULL && strcmp(id, record_text(project, "id")) != 0) {
        json_object_set_new(project, "name", json_string(""));
    }

    if (id != NULL) {
        json_object_set_new(project, "id", json_string(id));
    }

    if (name != NULL) {
        json_object_set_new(project, "name", json_string(name));
    }

    return label == NULL ? 0 : record_label(record, label, error);
}


static int
tenant_set(ctl_t *ctl)
{
    json_t      *record;
    amp_span_t   id;
    const char  *project, *name;

    project = ctl_value(ctl, TENANT_PROJECT);
    name = ctl_value(ctl, TENANT_PROJECT_NAME);

    if (project == NULL && name == NULL
        && ctl_value(ctl, TENANT_LABEL) == NULL)
    {
        ctl_error(&ctl->error, CTL_USAGE, "usage", "nothing to set");
        return ctl_remedy(&ctl->error, "name --project, --project-name or "
                          "--label");
    }

    if ((project != NULL && !amp_project_id_valid(ctl_span(project)))
        || (name != NULL && *name != '\0'
            && !amp_project_name_valid(ctl_span(name))))
    {
        ctl_error(&ctl->error, CTL_USAGE, "usage", "this is no id or name of a "
                  "project");
        return ctl_remedy(&ctl->error, "give at most %d characters of A-Z a-z "
                          "0-9 . _ -", AMP_PROJECT_ID_MAX);
    }

    if (ctl_tenant_change(ctl, tenant_set_project, ctl) != 0) {
        return -1;
    }

    if (ctl_dry_run(ctl)) {
        return ctl_not_made(ctl);
    }

    record = ctl_tenant_record(ctl, &id);
    if (record == NULL) {
        return -1;
    }

    if (ctl->json) {
        output_json(json_pack("{s:s, s:O, s:O*}", "tenant", ctl->args[0],
                              "project", json_object_get(record, "project"),
                              "label", json_object_get(record, "label")));

    } else if (project == NULL && name == NULL) {
        output("tenant %s has the label: %s\n", ctl->args[0],
               *record_text(record, "label") ? record_text(record, "label")
                                             : "none");
    } else {
        output("tenant %s has project %s, name %s; its tokens stay valid\n"
               "next: check that its key is of that project: ampctl key verify "
               "%s\n", ctl->args[0],
               record_text(json_object_get(record, "project"), "id"),
               record_text(json_object_get(record, "project"), "name"),
               ctl->args[0]);
    }

    json_decref(record);

    return CTL_DONE;
}


/* With --dry-run: the tenant and its tokens.  CTL_DONE, or -1. */

static int
tenant_remove_try(ctl_t *ctl)
{
    size_t         i;
    json_t        *record;
    amp_span_t     id;
    token_list_t   tokens;
    config_diff_t  diff;

    record = ctl_tenant_record(ctl, &id);
    json_decref(record);

    /* a record that cannot be read can be removed */

    if ((record == NULL && strcmp(ctl->error.code, "bad_record") != 0)
        || token_list(ctl->store, &ctl->error, id, &tokens) != 0)
    {
        return -1;
    }

    config_diff_begin(&diff, ctl->json, 1);
    config_diff_removed(&diff, ctl->args[0]);

    for (i = 0; i < tokens.n; i++) {
        config_diff_token(&diff, CONFIG_REMOVED, tokens.entries[i].id, NULL);
    }

    token_list_free(&tokens);

    return config_diff_end(&diff);
}


static int
tenant_remove_command(ctl_t *ctl)
{
    int         rc;
    unsigned    tokens;
    amp_span_t  id;

    if (ctl_dry_run(ctl)) {
        return tenant_remove_try(ctl);
    }

    if (ctl_tenant_id(ctl, &id) != 0 || ctl_store(ctl) == NULL) {
        return -1;
    }

    rc = tenant_remove(ctl->store, &ctl->error, id, &tokens);
    if (rc != 1) {
        return rc == 0 ? ctl_no_tenant(ctl, id) : -1;
    }

    if (ctl->json) {
        return output_json(json_pack("{s:s, s:b, s:i}", "tenant", ctl->args[0],
                                     "removed", 1, "tokens", (int) tokens));
    }

    output("tenant %s is removed with %u token%s\n", ctl->args[0], tokens,
           tokens == 1 ? "" : "s");

    return CTL_DONE;
}


const ctl_command_t  ctl_tenant_commands[] = {

    { "tenant", "add", "ID", "add a tenant and issue its first token",
      "The token is printed once and cannot be printed again. Without --grant\n"
      "the tenant may use every class but secrets; with --grant only what is\n"
      "named, where \"default\" is every class but secrets: --grant default\n"
      "--grant secrets. For example:\n"
      "  ampctl tenant add acme --key-file acme.key --rate 50/s \\\n"
      "      --project 66438162-5299-4669-a41d-85c5a3b1a83e",
      tenant_add_options, tenant_add },

    { "tenant", "list", "", "list all tenants", "For example:\n"
      "  ampctl tenant list --json",
      NULL, tenant_list },

    { "tenant", "show", "ID", "show a tenant", "For example:\n"
      "  ampctl tenant show acme",
      NULL, tenant_show },

    { "tenant", "set", "ID", "change a tenant's project, or its label",
      "Its tokens stay valid. With --project alone the name of the former\n"
      "project is forgotten. For example:\n"
      "  ampctl tenant set acme --project-name alpha",
      tenant_set_options, tenant_set },

    { "tenant", "disable", "ID", "refuse all requests of a tenant",
      "Nothing of the tenant is lost: ampctl tenant enable ends it. For\n"
      "example:\n"
      "  ampctl tenant disable acme",
      tenant_dry_options, tenant_disable },

    { "tenant", "enable", "ID", "admit a disabled tenant's requests again",
      "For example:\n"
      "  ampctl tenant enable acme",
      tenant_dry_options, tenant_enable },

    { "tenant", "remove", "ID", "remove a tenant with its keys and tokens",
      "Run it again after an interrupted removal: it completes the removal.\n"
      "For example:\n"
      "  ampctl tenant remove acme",
      tenant_dry_options, tenant_remove_command },

    { NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};
